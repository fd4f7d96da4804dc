// Bignum and cipher code that uses x18 as one more temporary: the platform clears or owns it.
// expect: PL1 x18
// abi: darwin
        .globl multiply
        .type multiply, %function
multiply:
        ldp     x9, x10, [x1]
        mul     x11, x9, x2
.if FIXED
        umulh   x12, x9, x2
        madd    x12, x10, x2, x12
        stp     x11, x12, [x0]
.else
        umulh   x18, x9, x2
        madd    x18, x10, x2, x18
        stp     x11, x18, [x0]
.endif
        ret
        .size multiply, . - multiply
