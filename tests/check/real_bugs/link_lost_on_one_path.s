// A leaf function got a call in its rare path; its link is not saved there.
// expect: LR1 x30
        .globl rare
        .type rare, %function
rare:
        cbz     x0, 1f
        add     x0, x0, #1
        ret
1:
.if FIXED
        stp     x29, x30, [sp, #-16]!
.endif
        bl      refill
.if FIXED
        ldp     x29, x30, [sp], #16
.endif
        ret
        .size rare, . - rare
