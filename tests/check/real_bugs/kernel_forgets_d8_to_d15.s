// A matrix kernel with so many accumulators that it reaches v8-v15, and saves none of them.
// Matrix libraries and codecs have shipped this: it shows only where the caller keeps a double
// in one of them.
// expect: CS1 d8, CS1 d9, CS1 d10, CS1 d11
        .globl kernel
        .type kernel, %function
kernel:
.if FIXED
        stp     d8, d9, [sp, #-32]!
        stp     d10, d11, [sp, #16]
.endif
        movi    v8.4s, #0
        movi    v9.4s, #0
        movi    v10.4s, #0
        movi    v11.4s, #0
1:      ld1     {v0.4s}, [x1], #16
        ld1     {v1.4s}, [x2], #16
        fmla    v8.4s, v0.4s, v1.s[0]
        fmla    v9.4s, v0.4s, v1.s[1]
        fmla    v10.4s, v0.4s, v1.s[2]
        fmla    v11.4s, v0.4s, v1.s[3]
        subs    x3, x3, #1
        b.ne    1b
        st1     {v8.4s-v11.4s}, [x0]
.if FIXED
        ldp     d10, d11, [sp, #16]
        ldp     d8, d9, [sp], #32
.endif
        ret
        .size kernel, . - kernel
