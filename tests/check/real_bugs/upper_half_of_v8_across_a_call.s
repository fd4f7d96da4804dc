// All of v8 is kept by a kernel, so its caller thought; a call keeps the low 64 bits.
// expect: CS2 v8.d[1]
        .globl halves
        .type halves, %function
halves:
        stp     x29, x30, [sp, #-32]!
        mov     x29, sp
        stp     d8, d9, [sp, #16]
        dup     v8.2d, x0
        bl      work
.if FIXED
        mov     x0, v8.d[0]
.else
        mov     x0, v8.d[1]
.endif
        ldp     d8, d9, [sp, #16]
        ldp     x29, x30, [sp], #32
        ret
        .size halves, . - halves
