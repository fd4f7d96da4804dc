/* Traces: machine code in a table, written by hand. */
#include "compiled.h"

void traced_outer(void);
void traced_recursive(uint64_t depth);
void traced_error(void);
void traced_error(void) { sox_add(nil_value(), nil_value()); }

#if defined(__aarch64__)
#define FUNCTION(name, body, call, label)                                                        \
    ".globl " #name "\n" #name ":\n stp x29, x30, [sp, #-16]!\n mov x29, sp\n" body " bl " call \
    "\n" #label ":\n ldp x29, x30, [sp], #16\n ret\n"
__asm__(".text\n.balign 16\n.globl traced_outer_return, traced_middle_return, traced_leaf_return\n"
        ".globl traced_recursive_return, traced_recursive_end\n"
        FUNCTION(traced_outer, "", "traced_middle", traced_outer_return)
        FUNCTION(traced_middle, "", "traced_leaf", traced_middle_return)
        FUNCTION(traced_leaf, "", "traced_error", traced_leaf_return)
        ".globl traced_end\ntraced_end:\n"
        FUNCTION(traced_recursive, " cbz x0, traced_recursive_bottom\n sub x0, x0, #1\n",
                 "traced_recursive", traced_recursive_return)
        "traced_recursive_bottom: bl traced_error\n"
        "traced_recursive_end:\n");
#else
#define FUNCTION(name, body, call, label)                                                          \
    ".globl " #name "\n" #name ":\n push %rbp\n mov %rsp, %rbp\n" body " call " call "\n" #label \
    ":\n pop %rbp\n ret\n"
__asm__(".text\n.balign 16\n.globl traced_outer_return, traced_middle_return, traced_leaf_return\n"
        ".globl traced_recursive_return, traced_recursive_end\n"
        FUNCTION(traced_outer, "", "traced_middle", traced_outer_return)
        FUNCTION(traced_middle, "", "traced_leaf", traced_middle_return)
        FUNCTION(traced_leaf, "", "traced_error", traced_leaf_return)
        ".globl traced_end\ntraced_end:\n"
        FUNCTION(traced_recursive,
                 " test %rdi, %rdi\n jz traced_recursive_bottom\n dec %rdi\n",
                 "traced_recursive", traced_recursive_return)
        "traced_recursive_bottom: call traced_error\n"
        "traced_recursive_end:\n");
#endif

/* The tables, as the compiler writes them. */
#define ONE_ROW(name, label, line, inlined) ".4byte " #label " - " #name ", " #line ", " inlined "\n"
#define CALL_ROW(name, label, line) #name "_calls: " ONE_ROW(name, label, line, "0")
#define ROW_OF(name, end, text, calls)                                      \
    " .8byte " #name "\n .4byte " #end " - " #name ", " calls "\n .8byte " text \
    ", " #name "_calls, names\n"
__asm__(".section .data.rel.ro,\"aw\"\n.balign 8\n"
        CALL_ROW(traced_outer, traced_outer_return, 30)
        /* A function inlined twice, one in the other, and all that in a nameless one. */
        "traced_middle_calls: "
        ONE_ROW(traced_middle, traced_middle_return, 21, "text_inlined - names")
        ONE_ROW(traced_middle, traced_middle_return, 22, "text_inlined - names")
        ONE_ROW(traced_middle, traced_middle_return, 20, "0")
        CALL_ROW(traced_leaf, traced_leaf_return, 10)
        CALL_ROW(traced_recursive, traced_recursive_return, 5)
        "names: .byte 0\ntext_inlined: .asciz \"inlined()\"\n"
        "text_script: .asciz \"script\"\ntext_leaf: .asciz \"leaf()\"\n"
        "text_deep: .asciz \"deep()\"\n.balign 8\n"
        ".globl sox_trace_functions, sox_trace_count\n"
        "sox_trace_functions:\n"
        ROW_OF(traced_outer, traced_middle, "text_script", "1")
        ROW_OF(traced_middle, traced_leaf, "0", "3") /* not shown */
        ROW_OF(traced_leaf, traced_end, "text_leaf", "1")
        ROW_OF(traced_recursive, traced_recursive_end, "text_deep", "1")
        "sox_trace_count: .8byte 4\n.text\n");

void trace(void) {
    sox_print(text("printed before"));
    traced_outer();
}

void recursion(void) { traced_recursive(strtoull(argument_values[2], NULL, 10)); }
