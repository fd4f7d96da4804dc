// Code by a generator for a stack machine pushes single registers of 8 bytes.
// expect: SP1 sp
        .globl push
        .type push, %function
push:
.if FIXED
        str     x30, [sp, #-16]!
.else
        str     x30, [sp, #-8]!
.endif
        bl      work
.if FIXED
        ldr     x30, [sp], #16
.else
        ldr     x30, [sp], #8
.endif
        ret
        .size push, . - push
