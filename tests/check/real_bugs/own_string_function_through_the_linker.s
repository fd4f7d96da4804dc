// A C library's rawmemchr keeps its argument in x14 and its link in x15 while it calls strlen,
// which does not use them; but the call goes through the linker's hands, and another strlen may
// be behind it.
// expect: CR1 x14, LR1 x15
        .globl rawmemchr
        .type rawmemchr, %function
rawmemchr:
        cbz     w1, 1f
        mov     x2, #-1
        b       memchr
1:
.if FIXED
        stp     x29, x30, [sp, #-32]!
        mov     x29, sp
        str     x0, [sp, #16]
        bl      strlen
        ldr     x14, [sp, #16]
        add     x0, x14, x0
        ldp     x29, x30, [sp], #32
        ret
.else
        mov     x15, x30
        mov     x14, x0
        bl      strlen
        add     x0, x14, x0
        ret     x15
.endif
        .size rawmemchr, . - rawmemchr
