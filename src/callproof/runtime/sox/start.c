/* The start and the end of a program.  It runs on a stack of its own, so that its depth does
 * not depend on the system's limit, and a page that may not be touched lies below. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ucontext.h>
#include <unistd.h>

#include "runtime.h"

enum { STACK_SIZE = 64 << 20, GUARD = 1 << 20, SIGNAL_STACK = 64 << 10, PROLOGUE = 32 };

uintptr_t sox_stack_limit, stack_top;
int argument_count;
char **argument_values;

static char signal_stack[SIGNAL_STACK] __attribute__((aligned(16)));

/* Where the program was when it hit the guard.  In a prologue the caller is still in the link
 * register (on x86-64, before the first push, on the stack), and its frame in the frame
 * register. */
static struct place interrupted(const void *context) {
#if defined(__aarch64__)
#if defined(__APPLE__)
    const _STRUCT_ARM_THREAD_STATE64 *machine = &((const ucontext_t *)context)->uc_mcontext->__ss;
    uintptr_t pc = __darwin_arm_thread_state64_get_pc(*machine);
    uintptr_t link = __darwin_arm_thread_state64_get_lr(*machine);
    const uintptr_t *frame = (const uintptr_t *)__darwin_arm_thread_state64_get_fp(*machine);
#else
    const mcontext_t *machine = &((const ucontext_t *)context)->uc_mcontext;
    uintptr_t pc = machine->pc, link = machine->regs[30];
    const uintptr_t *frame = (const uintptr_t *)machine->regs[29];
#endif
    for (uint64_t i = 0; i < sox_trace_count; i++) {
        uintptr_t start = (uintptr_t)sox_trace_functions[i].start;
        if (pc - start < PROLOGUE) return (struct place){link, frame};
    }
    return (struct place){pc, frame};
#else
    const mcontext_t *machine = &((const ucontext_t *)context)->uc_mcontext;
    uintptr_t at = (uintptr_t)machine->gregs[REG_RIP];
    const uintptr_t *frame = (const uintptr_t *)machine->gregs[REG_RBP];
    for (uint64_t i = 0; i < sox_trace_count; i++) {
        if (at == (uintptr_t)sox_trace_functions[i].start)
            return (struct place){*(const uintptr_t *)machine->gregs[REG_RSP], frame};
    }
    return (struct place){at, frame};
#endif
}

static void on_fault(int number, siginfo_t *info, void *context) {
    uintptr_t address = (uintptr_t)info->si_addr;
    if (address >= sox_stack_limit - GUARD && address < sox_stack_limit)
        fail_at(interrupted(context), "Stack overflow.");
    signal(number, SIG_DFL); /* something else: let it happen again */
}

static void watch_stack(void) {
    stack_t stack = {.ss_sp = signal_stack, .ss_size = sizeof signal_stack};
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    action.sa_sigaction = on_fault;
    sigemptyset(&action.sa_mask);
    sigaltstack(&stack, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

#define UNUSED __attribute__((unused))
#define NAKED __attribute__((naked, noinline))
/* Darwin's unwinding is told of a frame that Clang did not make. */
#if defined(__APPLE__)
#define FRAME_RECORD ".cfi_def_cfa w29, 16\n\t.cfi_offset w30, -8\n\t.cfi_offset w29, -16\n\t"
#else
#define FRAME_RECORD
#endif

/* Calls a function on another stack. */
#if defined(__aarch64__)
NAKED static void on_stack(void *top UNUSED, void (*function)(void) UNUSED) {
    __asm__("stp x29, x30, [sp, #-16]!\n\t"
            "mov x29, sp\n\t" FRAME_RECORD
            "mov sp, x0\n\t"
            "blr x1\n\t"
            "mov sp, x29\n\t"
            "ldp x29, x30, [sp], #16\n\t"
            "ret");
}
#else
NAKED static void on_stack(void *top UNUSED, void (*function)(void) UNUSED) {
    __asm__("push %rbp\n\t"
            "mov %rsp, %rbp\n\t"
            "mov %rdi, %rsp\n\t"
            "call *%rsi\n\t"
            "mov %rbp, %rsp\n\t"
            "pop %rbp\n\t"
            "ret");
}
#endif

static void program(void) {
    sox_script(NULL);
    sox_exit(0);
}

static size_t stack_size(void) {
    const char *wanted = getenv("CALLPROOF_STACK");
    size_t bytes = wanted != NULL ? strtoull(wanted, NULL, 10) : 0;
    return bytes >= GUARD ? (bytes + GUARD - 1) / GUARD * GUARD : STACK_SIZE;
}

static int is_on(const char *name) {
    const char *text = getenv(name);
    return text != NULL && *text != 0 && strcmp(text, "0") != 0;
}

int sox_start(int argc, char **argv) {
    argument_count = argc;
    argument_values = argv;
    suppress_print = is_on("CALLPROOF_SUPPRESS_PRINT");
    size_t size = stack_size() + GUARD;
    char *low = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (low == MAP_FAILED || mprotect(low, GUARD, PROT_NONE) != 0) {
        dprintf(STDERR_FILENO, "no memory for a stack of %zu bytes\n", size);
        return RUNTIME_ERROR;
    }
    sox_stack_limit = (uintptr_t)low + GUARD;
    stack_top = (uintptr_t)low + size;
    watch_stack();
    gc_start(&sox_language, (void *)stack_top);
    on_stack((void *)stack_top, program);
    return 0;
}

/* Handlers may register more, and may end the program themselves: the rest still runs. */
_Noreturn void sox_exit(int status) {
    sox_run_defers(&exit_handlers);
    flush_output();
    gc_print_statistics();
    exit(status);
}

/* argv[0] is the program, argv[1] the script if the compiler named one, then the rest. */
value sox_argument_values(void) {
    struct array *array = new_array((uint64_t)argument_count + 1);
    for (int i = 0; i < argument_count; i++) {
        array_push(array, c_string_value(argument_values[i]));
        if (i == 0 && sox_script_path != NULL) array_push(array, c_string_value(sox_script_path));
    }
    return object_value(ARRAY, array);
}

value sox_argument_count(void) {
    return number_value(argument_count + (argument_count > 0 && sox_script_path != NULL));
}
