/* Where a dynamically linked program begins: what glibc's loader gives, handed to its C library.
 *
 * `__libc_start_main` runs the program's constructors by the function that it is given (the
 * second one of C, as glibc before 2.34 wants it and later ones still take it); musl's runs
 * them by itself and does not call ours. */

#include <stddef.h>

typedef void constructor(int, char **, char **);

extern constructor *__init_array_start[], *__init_array_end[];

__attribute__((used, visibility("hidden"))) void callproof_constructors(
    int count, char **arguments, char **environment) {
    size_t length = (size_t)(__init_array_end - __init_array_start);
    for (size_t i = 0; i < length; i++) __init_array_start[i](count, arguments, environment);
}

/* On entry the stack pointer is at argc, and rdx or x0 has what the loader wants to be called
 * at the end.  Parameters: main, argc, argv, constructors, no destructors, that, the stack. */
#if defined(__aarch64__)
__asm__(".text\n.globl _start\n.type _start, %function\n_start:\n"
        "    mov x29, #0\n"
        "    mov x30, #0\n"
        "    mov x5, x0\n"
        "    ldr x1, [sp]\n"
        "    add x2, sp, #8\n"
        "    mov x6, sp\n"
        "    adrp x0, main\n"
        "    add x0, x0, :lo12:main\n"
        "    adrp x3, callproof_constructors\n"
        "    add x3, x3, :lo12:callproof_constructors\n"
        "    mov x4, #0\n"
        "    bl __libc_start_main\n"
        "    bl abort\n"
        ".size _start, . - _start\n");
#else
__asm__(".text\n.globl _start\n.type _start, @function\n_start:\n"
        "    xorl %ebp, %ebp\n"
        "    movq %rdx, %r9\n"
        "    popq %rsi\n"
        "    movq %rsp, %rdx\n"
        "    andq $-16, %rsp\n"
        "    pushq %rax\n"
        "    pushq %rsp\n"
        "    xorl %r8d, %r8d\n"
        "    leaq callproof_constructors(%rip), %rcx\n"
        "    leaq main(%rip), %rdi\n"
        "    call *__libc_start_main@GOTPCREL(%rip)\n"
        "    hlt\n"
        ".size _start, . - _start\n");
#endif
