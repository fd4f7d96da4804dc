// A filter keeps its coefficients in v16 and v17 while it calls a helper for each row.
// expect: CR1 d16
        .globl rows
        .type rows, %function
rows:
        stp     x29, x30, [sp, #-48]!
        mov     x29, sp
        stp     x19, x20, [sp, #16]
        str     x21, [sp, #32]
        mov     x19, x0
        mov     x20, x1
        mov     x21, x2
.if !FIXED
        ldr     d16, [x21]
.endif
1:      mov     x0, x19
        bl      load_row
.if FIXED
        ldr     d16, [x21]
.endif
        fmul    d0, d0, d16
        str     d0, [x19], #8
        subs    x20, x20, #1
        b.ne    1b
        ldr     x21, [sp, #32]
        ldp     x19, x20, [sp, #16]
        ldp     x29, x30, [sp], #48
        ret
        .size rows, . - rows
