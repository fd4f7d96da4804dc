// The save of a 32-bit port: only the low 32 bits of d8 and d9 are kept.
// expect: CS1 d8, CS1 d9
        .globl kernel
        .type kernel, %function
kernel:
.if FIXED
        stp     d8, d9, [sp, #-16]!
.else
        stp     s8, s9, [sp, #-16]!
.endif
        fmov    d8, d0
        fmul    d9, d8, d1
        fadd    d0, d8, d9
.if FIXED
        ldp     d8, d9, [sp], #16
.else
        ldp     s8, s9, [sp], #16
.endif
        ret
        .size kernel, . - kernel
