// Two parameters exchanged for a call: the second move reads what the first has overwritten.
// expect: MV1 x0
// severity: warning
        .globl swapped
        .type swapped, %function
swapped:
        stp     x29, x30, [sp, #-16]!
        mov     x29, sp
.if FIXED
        mov     x2, x0
        mov     x0, x1
        mov     x1, x2
.else
        mov     x0, x1
        mov     x1, x0
.endif
        bl      work
        ldp     x29, x30, [sp], #16
        ret
        .size swapped, . - swapped
