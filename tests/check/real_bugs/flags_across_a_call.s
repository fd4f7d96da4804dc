// A comparison, a call for tracing put in between, and the branch.
// expect: CR1 nzcv
        .globl traced
        .type traced, %function
traced:
        stp     x29, x30, [sp, #-32]!
        mov     x29, sp
        stp     x19, x20, [sp, #16]
        mov     x19, x0
        cmp     x0, x1
        bl      trace
.if FIXED
        cmp     x19, #0
.endif
        cset    w0, eq
        ldp     x19, x20, [sp, #16]
        ldp     x29, x30, [sp], #32
        ret
        .size traced, . - traced
