// The fast path of a block function leaves before the epilogue: the registers are restored
// on the long path only.
// expect: CS1 x19
        .globl blocks
        .type blocks, %function
blocks:
        stp     x19, x20, [sp, #-16]!
        mov     x19, x0
.if FIXED
        cbz     x1, 2f
.else
        cbz     x1, 3f
.endif
1:      ldrb    w20, [x19], #1
        subs    x1, x1, #1
        b.ne    1b
2:      ldp     x19, x20, [sp], #16
3:      ret
        .size blocks, . - blocks
