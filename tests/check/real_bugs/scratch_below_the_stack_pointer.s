// A spill to a red zone, which Linux on ARM64 does not have: a signal handler writes there.
// expect: SP2 sp
        .globl spill
        .type spill, %function
spill:
.if FIXED
        sub     sp, sp, #16
        str     x19, [sp]
        mov     x19, x0
        add     x0, x19, x19
        ldr     x19, [sp]
        add     sp, sp, #16
.else
        str     x19, [sp, #-8]
        mov     x19, x0
        add     x0, x19, x19
        ldr     x19, [sp, #-8]
.endif
        ret
        .size spill, . - spill
