// swapcontext of an operating system's C library: the link is replaced by the place where the
// saved context goes on, and where the system call fails the function leaves by that link.
// expect: LR1 x30, CS1 x21
        .globl swap
        .type swap, %function
swap:
        stp     xzr, x30, [x0, #184]
        stp     x20, x21, [x0, #344]
.if FIXED
        adr     x9, 2f
        str     x9, [x0, #440]
        stp     x21, x30, [sp, #-16]!
.else
        adr     x30, 2f
        str     x30, [x0, #440]
.endif
        mov     x21, x1
        mov     x8, #135
        svc     #0
        cbnz    x0, 1f
        mov     x0, x21
.if FIXED
        ldp     x21, x30, [sp], #16
.endif
        b       resume
1:
.if FIXED
        ldp     x21, x30, [sp], #16
.endif
        mov     x0, #-1
        ret
2:      ret
        .size swap, . - swap
        .type resume, %function
resume:
1:      ldr     x1, [x0, #440]
        b       1b
        .size resume, . - resume
