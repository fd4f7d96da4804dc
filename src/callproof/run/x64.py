"""x86-64 for the emulator: x86-64 Linux, and the System V psABI (1.0, section 3.2)."""

from __future__ import annotations

from unicorn import UC_ARCH_X86, UC_MODE_64
from unicorn import x86_const as uc

from callproof.abi.sysv64 import (
    CALLEE_SAVED,
    CALLER_SAVED,
    INTEGER_ARGUMENTS,
    INTEGER_RESULTS,
    RAX,
    RBP,
    RDI,
    RDX,
    RSI,
    RSP,
    SSE_ARGUMENTS,
    SSE_RESULTS,
    SYSV64,
    XMM0,
    register_name,
)
from callproof.run import linux_x64, x64_code
from callproof.run.loader import Image
from callproof.run.machine import (
    Contract,
    Exceptions,
    Flags,
    Machine,
    Preserved,
    SystemCalls,
)
from callproof.run.signals import deliver_x64
from callproof.run.uapi import X64 as KERNEL

# Beyond the numbers of `abi/plan.py`, which end with ST(7) at 71.
RFLAGS, MXCSR, X87_CONTROL = 72, 73, 74

ORDER = "AX CX DX BX SP BP SI DI".split()
GENERAL = tuple(getattr(uc, f"UC_X86_REG_R{name}") for name in ORDER) + tuple(
    getattr(uc, f"UC_X86_REG_R{number}") for number in range(8, 16)
)
NUMBERS = {
    **dict(enumerate(GENERAL)),
    **{XMM0 + number: uc.UC_X86_REG_XMM0 + number for number in range(16)},
    RFLAGS: uc.UC_X86_REG_RFLAGS,
    MXCSR: uc.UC_X86_REG_MXCSR,
    X87_CONTROL: uc.UC_X86_REG_FPCW,
}

# The flags that arithmetic sets, by their bits; of the rest only DF means anything here.
CARRY, PARITY, ADJUST, ZERO, SIGN, DIRECTION, OVERFLOW = 0, 2, 4, 6, 7, 10, 11
STATUS = sum(1 << bit for bit in (CARRY, PARITY, ADJUST, ZERO, SIGN, OVERFLOW))
AS_STARTED = 0x202  # interrupts enabled, and a bit that is always set
MXCSR_AT_START, X87_AT_START, X87_EMPTY = 0x1F80, 0x37F, 0xFFFF  # psABI 3.4.1
MXCSR_CONTROL = 0xFFC0  # all but the exceptions that there were
X87_CONTROL_BITS = 0x1F3F

SSE_ENABLED = 0x600  # CR4.OSFXSR, CR4.OSXMMEXCPT
# The vectors of the processor's exceptions, as Unicorn's interrupt hook gets them; the
# signals are those of arch/x86/kernel/traps.c.
EXCEPTIONS = {
    0: (8, "division by zero, or a quotient that does not fit"),
    1: (5, "single step"),
    4: (11, "overflow trap"),
    6: (4, "undefined instruction"),
    11: (7, "segment not present"),
    12: (7, "stack segment fault"),
    13: (11, "general protection fault"),
    16: (8, "floating-point error"),
    17: (7, "misaligned access"),
    19: (8, "floating-point error"),
}
BREAKPOINT = 3
HLT = b"\xf4"
PREFIXES_OF_AVX = (0xC4, 0xC5, 0x62)


def _flags(variant: int) -> int:
    """All combinations of four flags, and the other two with them."""
    carry, zero, sign, overflow = (variant >> bit & 1 for bit in range(4))
    return (
        carry << CARRY
        | zero << ZERO
        | sign << SIGN
        | overflow << OVERFLOW
        | (carry ^ zero) << PARITY
        | (sign ^ 1) << ADJUST
    )


class X64Code:
    """Instructions of 1 to 15 bytes, told by `x64_code.py`."""

    def last_of(self, image: Image, start: int, end: int) -> int:
        kind = x64_code.classify(image, start, end)
        return kind if kind in (x64_code.CALL, x64_code.RETURN) else x64_code.OTHER

    def call_site(self, image: Image, address: int) -> int | None:
        return x64_code.call_site(image, address)

    def count(self, code: bytes) -> int:
        return sum(1 for _ in x64_code.instructions(code))

    def repeats(self, image: Image, start: int, end: int) -> bool:
        found = x64_code.instruction(image.code(start, end - start), 0)
        return found == (end - start, x64_code.REPEATED)

    def text(self, code: bytes) -> str:
        return x64_code.text_of(code)

    def refused(self, code: bytes) -> str:
        """Unicorn executes AVX as if it were SSE, with the wrong operands, and says nothing."""
        if not any(lead in code for lead in PREFIXES_OF_AVX):
            return ""
        for offset, length, kind in x64_code.instructions(code):
            if kind == x64_code.VECTOR:
                shown = code[offset : offset + length].hex(" ")
                return f"an instruction of AVX or BMI ({shown}), which the emulator does not have"
        return ""


def _mask_of(registers: range) -> tuple[int, ...]:
    return tuple(register for register in registers if CALLER_SAVED >> register & 1)


X64 = Machine(
    name="x86_64",
    cpu=(UC_ARCH_X86, UC_MODE_64, uc.UC_CPU_X86_NEHALEM),
    untranslated=True,
    start=(
        (uc.UC_X86_REG_CR4, SSE_ENABLED),
        (uc.UC_X86_REG_RFLAGS, AS_STARTED),
        (uc.UC_X86_REG_MXCSR, MXCSR_AT_START),
        (uc.UC_X86_REG_FPCW, X87_AT_START),
        (uc.UC_X86_REG_FPTAG, X87_EMPTY),
    ),
    numbers=NUMBERS,
    pc=uc.UC_X86_REG_RIP,
    sp=RSP,
    sp_name="rsp",
    frame_pointer=RBP,
    general=(*range(8, 16), RDI, RSI, RBP, 3, RDX, RAX, 1, RSP),
    thread_base=uc.UC_X86_REG_FS_BASE,
    return_to=None,
    handed=(RDI, RSI, RDX),
    hardware=0,  # AT_HWCAP is CPUID's word here, which programs ask themselves
    pushed=8,
    stack_alignment=SYSV64.stack_alignment,
    kernel=KERNEL,
    system=SystemCalls(
        number=NUMBERS[RAX],
        arguments=tuple(NUMBERS[number] for number in (RDI, RSI, RDX, 10, 8, 9)),
        result=NUMBERS[RAX],
        table=linux_x64.TABLE,
        returning=linux_x64.RT_SIGRETURN,
        instruction=uc.UC_X86_INS_SYSCALL,
        links=(NUMBERS[1], NUMBERS[11]),
    ),
    exceptions=Exceptions(
        BREAKPOINT, 1, EXCEPTIONS, HLT, (11, "a privileged instruction (HLT: the program gave up)")
    ),
    code=X64Code(),
    contract=Contract(
        general=_mask_of(range(16)),
        vectors=_mask_of(range(XMM0, XMM0 + 16)),
        half_saved=(),
        arguments=(*INTEGER_ARGUMENTS, *range(XMM0, XMM0 + SSE_ARGUMENTS)),
        results=(*INTEGER_RESULTS, *range(XMM0, XMM0 + SSE_RESULTS)),
        link=None,
        indirect=RDI,
        returned_address=RAX,
        hidden={RAX: 1},  # AL: how many XMM registers have arguments
        flags=Flags(RFLAGS, tuple(_flags(variant) for variant in range(16)), 0xFFFF_FFFF & ~STATUS),
    ),
    shown=(
        *dict.fromkeys((*INTEGER_ARGUMENTS, *INTEGER_RESULTS)),
        *range(XMM0, XMM0 + SSE_ARGUMENTS),
    ),
    preserved=(
        *(
            Preserved(register, register_name(register, 8))
            for register in range(16)
            if CALLEE_SAVED >> register & 1 and register != RSP  # compared apart
        ),
        Preserved(RFLAGS, "df (the direction flag)", 1 << DIRECTION),
        Preserved(MXCSR, "mxcsr's control bits", MXCSR_CONTROL),
        Preserved(X87_CONTROL, "the x87 control word", X87_CONTROL_BITS),
    ),
    deliver=deliver_x64,
)

__all__ = ["X64"]
