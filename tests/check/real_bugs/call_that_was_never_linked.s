// A patcher of code left one call without its target.
// expect: RL1 
        .globl unlinked
        .type unlinked, %function
unlinked:
        stp     x29, x30, [sp, #-16]!
        mov     x29, sp
.if FIXED
        bl      work
.else
        .inst   0x94000000
.endif
        ldp     x29, x30, [sp], #16
        ret
        .size unlinked, . - unlinked
