// A call at the end was made a jump, and the frame stayed.
// expect: CS1 sp, CS1 x29, LR1 x30
        .globl last
        .type last, %function
last:
        stp     x29, x30, [sp, #-16]!
        mov     x29, sp
        bl      first
.if FIXED
        ldp     x29, x30, [sp], #16
.endif
        b       second
        .size last, . - last
