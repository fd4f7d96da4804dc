"""Which registers a call keeps and changes, by platform; names of functions that matter.

The register sets of AAPCS64 come from `abi/aapcs64.py`; here they get their halves: of
V8-V15 a call keeps the low 64 bits (AAPCS64, 6.1.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from callproof.abi.aapcs64 import CALLEE_SAVED
from callproof.target.arm64.effects import FLAGS, HIGH, LOW


def _bits(first: int, last: int) -> int:
    return (1 << last + 1) - (1 << first)


SAVED = CALLEE_SAVED & ~(1 << 31)  # X19-X29 and the low halves of V8-V15; SP is looked at apart
SAVED_LIST = tuple(bit for bit in range(64) if SAVED >> bit & 1)
PRESERVED_BITS = SAVED | 1 << 31
RESULTS = _bits(0, 1) | _bits(LOW, LOW + 3) | _bits(HIGH, HIGH + 3)
MAYBE_RESULTS = _bits(2, 7) | _bits(LOW + 4, LOW + 7) | _bits(HIGH + 4, HIGH + 7)
CHANGED = (
    _bits(0, 18) | _bits(LOW, LOW + 7) | _bits(LOW + 16, LOW + 31) | _bits(HIGH, HIGH + 31) | FLAGS
)
# vector PCS (AAPCS64, "Advanced SIMD vector PCS"): all of V8-V23 is kept.
VECTOR_KEPT = _bits(LOW + 8, LOW + 23) | _bits(HIGH + 8, HIGH + 23)
# Registers that hold nothing at the entry of a function called by the convention.
UNDEFINED_AT_ENTRY = _bits(9, 18) | _bits(LOW + 16, LOW + 31) | _bits(HIGH + 8, HIGH + 31) | FLAGS
ARGUMENTS = _bits(0, 8) | _bits(LOW, LOW + 7) | _bits(HIGH, HIGH + 7)


HARD = CHANGED & ~RESULTS & ~MAYBE_RESULTS
PLATFORM = 1 << 18


@dataclass(frozen=True, slots=True)
class Profile:
    """Which registers calls keep on a platform; sets are those of `effects.py`.

    red_zone   bytes below SP that nobody else writes
    exempt     code of this kind has a convention of its own: it is not judged
    reserved   registers that nobody writes
    saved      registers that a function gives back as they were
    hard       registers in which a call of an unknown function leaves rubbish
    undefined  registers that hold nothing at a function's entry
    """

    name: str
    red_zone: int = 0
    exempt: bool = False
    reserved: int = 0
    saved: int = SAVED
    hard: int = HARD
    undefined: int = UNDEFINED_AT_ENTRY
    saved_list: tuple[int, ...] = SAVED_LIST

    @property
    def is_standard(self) -> bool:
        """Whether it is AAPCS64's, with or without X18 reserved: what the quick look knows."""
        return (
            self.saved == SAVED
            and self.undefined == UNDEFINED_AT_ENTRY
            and (self.reserved, self.hard) in ((0, HARD), (PLATFORM, HARD & ~PLATFORM))
        )


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("linux"),
        Profile("android", reserved=PLATFORM, hard=HARD & ~PLATFORM),
        Profile("darwin", red_zone=128, reserved=PLATFORM, hard=HARD & ~PLATFORM),
        Profile("windows", red_zone=16, reserved=PLATFORM, hard=HARD & ~PLATFORM),
        Profile("bare"),
        Profile("go", exempt=True),
        Profile("ghc", exempt=True),
        Profile("ocaml", exempt=True),
    )
}

_NEVER_RETURN = frozenset(
    """abort exit _exit _Exit quick_exit __assert_fail __assert __assert_rtn __stack_chk_fail
    __fortify_fail __chk_fail longjmp _longjmp siglongjmp __longjmp_chk _Unwind_Resume
    _Unwind_SjLj_Resume __cxa_throw __cxa_rethrow __cxa_bad_cast __cxa_bad_typeid
    __cxa_throw_bad_array_new_length __cxa_call_unexpected __cxa_call_terminate
    __cxa_pure_virtual __cxa_deleted_virtual __clang_call_terminate _ZSt9terminatev err errx verr
    verrx pthread_exit __pthread_exit thrd_exit _dl_signal_error __libc_fatal __malloc_panic
    __libc_start_main __libc_start_call_main rust_begin_unwind rust_panic __rust_start_panic
    rust_oom __rust_alloc_error_handler xalloc_die __builtin_unreachable _PyObject_AssertFailed
    Py_FatalError _Py_FatalErrorFunc Py_Exit _Py_FatalErrorFormat PyThread_exit_thread
    png_error png_chunk_error g_assertion_message g_assertion_message_expr g_abort
    __ubsan_handle_builtin_unreachable _objc_terminate objc_exception_throw objc_exception_rethrow
    """.split()
)
_NEVER = re.compile(
    r"^_ZSt(\d+)__throw_|^_ZN?.*(panick?ing|core9panicking|unwrap_failed|expect_failed|"
    r"handle_alloc_error|capacity_overflow|rust_panic|slice_(start|end)_index|"
    r"slice_index_order_fail|panic_bounds_check|panic_fmt|resume_unwind)"
    r"|^_R.*(panicking|unwrap_failed|expect_failed)"
)


def never_returns(name: str) -> bool:
    """Whether a function of this name is known not to come back."""
    return name in _NEVER_RETURN or _NEVER.search(name) is not None
