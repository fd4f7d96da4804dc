// A coroutine switch written when nobody kept doubles across a switch: the general registers
// go to the other stack, d8-d15 do not.
// expect: CS1 d8, CS1 d9, CS1 d10, CS1 d11, CS1 d12, CS1 d13, CS1 d14, CS1 d15
        .globl switch_to
        .type switch_to, %function
switch_to:
        stp     x19, x20, [x0, #0]
        stp     x21, x22, [x0, #16]
        stp     x23, x24, [x0, #32]
        stp     x25, x26, [x0, #48]
        stp     x27, x28, [x0, #64]
        stp     x29, x30, [x0, #80]
        mov     x9, sp
        str     x9, [x0, #96]
.if FIXED
        stp     d8, d9, [x0, #112]
        stp     d10, d11, [x0, #128]
        stp     d12, d13, [x0, #144]
        stp     d14, d15, [x0, #160]
        ldp     d8, d9, [x1, #112]
        ldp     d10, d11, [x1, #128]
        ldp     d12, d13, [x1, #144]
        ldp     d14, d15, [x1, #160]
.endif
        ldp     x19, x20, [x1, #0]
        ldp     x21, x22, [x1, #16]
        ldp     x23, x24, [x1, #32]
        ldp     x25, x26, [x1, #48]
        ldp     x27, x28, [x1, #64]
        ldp     x29, x30, [x1, #80]
        ldr     x9, [x1, #96]
        mov     sp, x9
        ret
        .size switch_to, . - switch_to
