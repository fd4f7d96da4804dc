// The story that Callproof began with: a constructor keeps its own parameter in x15 while it
// calls the parent's, which may use x15 as it likes.
// expect: CR1 x15
        .globl ColorPoint_CREATE
        .type ColorPoint_CREATE, %function
ColorPoint_CREATE:
        stp     x29, x30, [sp, #-32]!
        mov     x29, sp
        str     x19, [sp, #16]
        mov     x19, x0
.if FIXED
        str     x3, [sp, #24]
.else
        mov     x15, x3
.endif
        bl      Point_CREATE
.if FIXED
        ldr     x15, [sp, #24]
.endif
        str     x15, [x19, #24]
        mov     x0, x19
        ldr     x19, [sp, #16]
        ldp     x29, x30, [sp], #32
        ret
        .size ColorPoint_CREATE, . - ColorPoint_CREATE
