"""ARM64 for the emulator: AArch64 Linux, and AAPCS64."""

from __future__ import annotations

from unicorn import UC_ARCH_ARM64, UC_MODE_ARM
from unicorn import arm64_const as uc

from callproof.abi.aapcs64 import CALLEE_SAVED
from callproof.run import linux
from callproof.run.calls import CALL, OTHER, RETURN
from callproof.run.loader import Image
from callproof.run.machine import (
    Contract,
    Exceptions,
    Flags,
    Machine,
    Preserved,
    SystemCalls,
)
from callproof.run.registers import SLOT
from callproof.run.signals import deliver_arm64
from callproof.run.uapi import ARM64 as KERNEL

SP, V0, NZCV = 31, 32, 64
INDIRECT_RESULT, LINK, FRAME = 8, 30, 29
HWCAP_FP_ASIMD = 3  # no more than the base architecture
FP_ENABLED = 3 << 20  # CPACR_EL1.FPEN: no traps of SIMD and floating point
RT_SIGRETURN = 139
ARGUMENTS = (*range(8), *range(V0, V0 + 8))

# QEMU's exception numbers as Unicorn's interrupt hook gets them.
EXCP_UDEF, EXCP_SWI, EXCP_BKPT = 1, 2, 7

# X29 and X30 are not numbered behind X28.
NUMBERS = {
    **{number: uc.UC_ARM64_REG_X0 + number for number in range(29)},
    FRAME: uc.UC_ARM64_REG_X29,
    LINK: uc.UC_ARM64_REG_X30,
    SP: uc.UC_ARM64_REG_SP,
    **{V0 + number: uc.UC_ARM64_REG_V0 + number for number in range(32)},
    NZCV: uc.UC_ARM64_REG_NZCV,
}


def classify(word: int) -> int:
    """CALL for BL and BLR (with their authenticating forms), RETURN for RET, else OTHER."""
    if word & 0xFC00_0000 == 0x9400_0000 or word & 0xFEFF_F000 == 0xD63F_0000:
        return CALL
    if word & 0xFFFF_F000 == 0xD65F_0000:
        return RETURN
    return OTHER


class Arm64Code:
    """Every instruction is a word."""

    def last_of(self, image: Image, start: int, end: int) -> int:
        return classify(image.word(end - 4) or 0)

    def call_site(self, image: Image, address: int) -> int | None:
        return address - 4 if image.word(address - 4) is not None else None

    def count(self, code: bytes) -> int:
        return len(code) // 4

    def repeats(self, image: Image, start: int, end: int) -> bool:
        return False

    def text(self, code: bytes) -> str:
        return f"{int.from_bytes(code[:4], 'little'):#010x}"

    def refused(self, code: bytes) -> str:
        return ""


PRESERVED = tuple(
    Preserved(register, f"d{register - V0}" if register >= V0 else f"x{register}")
    for register in range(V0 + 32)
    if CALLEE_SAVED >> register & 1 and register != SP  # SP is compared apart
)

ARM64 = Machine(
    name="aarch64",
    cpu=(UC_ARCH_ARM64, UC_MODE_ARM, uc.UC_CPU_ARM64_MAX),
    untranslated=False,
    start=((uc.UC_ARM64_REG_CPACR_EL1, FP_ENABLED),),
    numbers=NUMBERS,
    pc=uc.UC_ARM64_REG_PC,
    sp=SP,
    sp_name="sp",
    frame_pointer=FRAME,
    general=tuple(range(31)),
    thread_base=None,
    return_to=LINK,
    handed=(0, 1, 2),
    hardware=HWCAP_FP_ASIMD,
    pushed=0,
    stack_alignment=1,  # the processor itself checks it
    kernel=KERNEL,
    system=SystemCalls(
        number=NUMBERS[8],
        arguments=tuple(NUMBERS[number] for number in range(6)),
        result=NUMBERS[0],
        table=linux.TABLE,
        returning=RT_SIGRETURN,
        exception=EXCP_SWI,
    ),
    exceptions=Exceptions(EXCP_BKPT, 0, {EXCP_UDEF: (4, "undefined instruction")}),
    code=Arm64Code(),
    contract=Contract(
        # X18, the platform register, is left alone.
        general=(*range(18), LINK),
        vectors=(*range(V0, V0 + 8), *range(V0 + 16, V0 + 32)),
        half_saved=tuple(range(V0 + 8, V0 + 16)),
        arguments=ARGUMENTS,
        results=ARGUMENTS,
        link=LINK,
        indirect=INDIRECT_RESULT,
        returned_address=None,
        hidden={INDIRECT_RESULT: SLOT},
        flags=Flags(NZCV, tuple(variant << 28 for variant in range(16))),
    ),
    shown=(*range(9), *range(V0, V0 + 8)),
    preserved=PRESERVED,
    deliver=deliver_arm64,
)

__all__ = ["ARM64"]
