"""The parameter passing of AAPCS64 (2024Q3, section 6.8.2), stage by stage.

The stages and steps carry the standard's own numbers.  NGRN, NSRN and NSAA are
the next general-purpose register number, the next SIMD and floating-point
register number and the next stacked argument address (here relative to SP at
the call).  The scalable-vector steps (NPRN, B.1, C.7, C.8) concern SVE types,
which Callproof's type space does not have.

Darwin and Windows differ in few places, which are facts in `Variant`; their
tables are `abi/darwin64.py` and `abi/windows64.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from callproof.abi.data_model import LINUX_ARM64
from callproof.abi.plan import (
    Assignment,
    CallPlan,
    Convention,
    InRegister,
    OnStack,
    Part,
)
from callproof.abi.signature import Signature
from callproof.abi.types import (
    I32,
    POINTER,
    Composite,
    Floating,
    Integer,
    Scalar,
    ShortVector,
    Type,
    round_up,
    structure,
)
from callproof.source import CallproofError

ARGUMENT_REGISTERS = 8  # X0-X7 and V0-V7 (6.4.1, 6.4.2)
V0 = 32
X8_INDIRECT_RESULT = 8
MOST_HOMOGENEOUS = 4


def registers(first: int, last: int) -> int:
    """The mask of register numbers `first` to `last`, both included."""
    return (1 << (last + 1)) - (1 << first)


# 6.1.1 and 6.1.2: X19-X28, X29, SP and the low halves of V8-V15 survive a call.
CALLEE_SAVED = registers(19, 29) | registers(31, 31) | registers(V0 + 8, V0 + 15)
CALLER_SAVED = (
    registers(0, 18) | registers(30, 30) | registers(V0, V0 + 7) | registers(V0 + 16, V0 + 31)
)
ARGUMENTS = registers(0, 7) | registers(V0, V0 + 7)
ARGUMENT_ORDER = (*range(8), *range(V0, V0 + 8))
PLATFORM_REGISTER = registers(18, 18)


@dataclass(frozen=True, slots=True)
class Variant:
    """Where the platforms differ from the base standard.

    even_pairs           C.10: a 16-byte aligned value starts at an even NGRN
    caller_extends       narrow integers are extended to 32 bits by the caller (results: callee)
    packed_stack         C.16 is left out: stack arguments take their own size and alignment
    copy_alignment_full  B.6 is left out: an over-aligned composite keeps its alignment
    variadic_on_stack    anonymous arguments are never in registers
    clangs_homogeneous   in an HFA _Float16 and __bf16 are one type, and there is no
                         bit-field in it, not even of no width (Clang's reading)
    variadic_as_integer  a variadic function's arguments, named ones too, never travel in V
                         registers, HFAs are nothing special, and X7 and the stack may
                         share a value
    """

    even_pairs: bool = True
    caller_extends: bool = False
    packed_stack: bool = False
    copy_alignment_full: bool = False
    variadic_on_stack: bool = False
    clangs_homogeneous: bool = False
    variadic_as_integer: bool = False


def _base(type_: Type, clang: bool) -> tuple[Scalar, int] | None:
    """Base type and number of members if all scalars inside are alike (5.10.5), else None.

    (None, 0) cannot be told from None: a type without scalars has no base type.
    """
    if not isinstance(type_, Composite):
        return (type_, 1) if isinstance(type_, Floating | ShortVector) else None
    base: Scalar | None = None
    members = 0
    for field in type_.fields:
        if isinstance(field.type, Composite) and not field.type.size:
            continue  # an empty structure (a GNU extension) is no member
        if field.count == 0 or (field.bits == 0 and not clang):
            continue
        inner = _base(field.type, clang)
        if inner is None or field.bits is not None:
            return None
        scalar, count = inner
        if base is None:
            base = scalar
        elif not _alike(base, scalar, clang):
            return None
        count *= field.count
        members = max(members, count) if type_.union else members + count
        if members > MOST_HOMOGENEOUS:
            return None
    if base is None or type_.size != base.size * members:
        return None  # padding makes it an ordinary composite
    return base, members


def _alike(first: Scalar, second: Scalar, clang: bool) -> bool:
    if isinstance(first, ShortVector):
        # An HVA's members need only agree in size: any two vectors of a size are one base type.
        return isinstance(second, ShortVector) and first.size == second.size
    return first == second or (
        clang
        and isinstance(first, Floating)
        and isinstance(second, Floating)
        and first.bits == second.bits == 16
    )


def homogeneous_members(type_: Type, clang: bool = False) -> tuple[Scalar, ...] | None:
    """The 1 to 4 equal members of an HFA or HVA (5.10.5), or None if it is not one."""
    if not isinstance(type_, Composite):
        return None
    found = _base(type_, clang)
    return None if found is None else (found[0],) * found[1]


class _Assigner:
    """Stages A to C for one call; `ngrn`, `nsrn` and `nsaa` are the standard's."""

    __slots__ = ("as_integer", "ngrn", "nsaa", "nsrn", "rules", "stack_only", "variant")

    def __init__(self, variant: Variant, *, as_integer: bool = False) -> None:
        # Stage A: initialisation (A.1, A.2, A.4).
        self.ngrn = 0
        self.nsrn = 0
        self.nsaa = 0
        self.variant = variant
        self.as_integer = as_integer
        self.stack_only = False
        self.rules: list[str] = []

    def anonymous(self) -> None:
        """From here on the arguments are the anonymous ones."""
        if self.variant.variadic_on_stack:
            self.stack_only = True
            self.nsaa = round_up(self.nsaa, 8)

    def assign(self, name: str, type_: Type) -> Assignment:
        self.rules = ["darwin-variadic"] if self.stack_only else []
        if self.as_integer:
            self.rules.append("windows-variadic")
        indirect = False
        # Stage B: pre-padding and extension.
        members = (
            None if self.as_integer else homogeneous_members(type_, self.variant.clangs_homogeneous)
        )
        if isinstance(type_, Composite) and type_.size == 0:
            self.rules.append("empty")
            parts: tuple[Part, ...] = ()  # an empty structure (a GNU extension) takes no place
        elif isinstance(type_, Composite) and members is None:
            if type_.size > 16:  # B.4: by reference to a copy made by the caller
                self.rules.append("B.4")
                indirect = True
                parts = self._integral(POINTER)
            else:  # B.5: the size is rounded up to a multiple of 8.
                self.rules.append("B.5")
                parts = self._composite(type_)
        # Stage C: assignment to registers and stack.
        elif members is not None:
            assert isinstance(type_, Composite)
            parts = self._homogeneous(type_, members)
        elif isinstance(type_, Floating | ShortVector) and not self.as_integer:
            parts = self._floating(type_)
        else:
            parts = self._integral(type_)
        return Assignment(name, type_, parts, indirect, tuple(self.rules))

    def _floating(self, type_: Floating | ShortVector) -> tuple[Part, ...]:
        if self.nsrn < ARGUMENT_REGISTERS and not self.stack_only:
            self.rules.append("C.1")
            register = V0 + self.nsrn
            self.nsrn += 1
            return (Part(0, type_.size, InRegister(register)),)
        return (self._stack_scalar(type_),)

    def _homogeneous(self, type_: Composite, members: tuple[Scalar, ...]) -> tuple[Part, ...]:
        size = members[0].size
        if not self.stack_only:
            if self.nsrn + len(members) <= ARGUMENT_REGISTERS:
                self.rules.append("C.2")
                parts = tuple(
                    Part(index * size, size, InRegister(V0 + self.nsrn + index))
                    for index in range(len(members))
                )
                self.nsrn += len(members)
                return parts
            self.rules.append("C.3")
            self.nsrn = ARGUMENT_REGISTERS
        self.rules.append("C.4")
        alignment = type_.unadjusted_alignment
        if self.variant.packed_stack and not self.stack_only:
            self.rules.append("darwin-packed")
            # Apple's compiler passes an HFA as an array of its members.
            alignment = max(members[0].alignment, 1)
        else:
            alignment = 16 if alignment >= 16 else 8
        self._align(alignment)
        return self._stack_words(type_.size, size)

    def _integral(self, type_: Type) -> tuple[Part, ...]:
        size = type_.size
        if size <= 8:
            if self.ngrn < ARGUMENT_REGISTERS and not self.stack_only:
                self.rules.append("C.9")
                register = self.ngrn
                self.ngrn += 1
                return (Part(0, size, InRegister(register), self._extension(type_)),)
            self._full()
            return (self._stack_scalar(type_),)
        self._even(type_.alignment)
        if not self.stack_only and (
            self.ngrn < ARGUMENT_REGISTERS - 1
            or (self.as_integer and self.ngrn < ARGUMENT_REGISTERS)
        ):
            self.rules.append("C.11")
            return self._words(2)
        self._full()
        self._align(type_.alignment)
        self.rules.append("C.17")
        return self._stack_words(size, 8)

    def _composite(self, type_: Composite) -> tuple[Part, ...]:
        words = -(-type_.size // 8)
        # B.6: the copy is aligned to 8 or 16 bytes by the type's natural alignment.
        if self.variant.copy_alignment_full:
            alignment = max(8, type_.alignment)
        else:
            self.rules.append("B.6")
            alignment = 16 if type_.unadjusted_alignment >= 16 else 8
        self._even(alignment)
        if not self.stack_only and (
            words <= ARGUMENT_REGISTERS - self.ngrn
            or (self.as_integer and self.ngrn < ARGUMENT_REGISTERS)
        ):
            self.rules.append("C.12")
            return self._words(words, type_.size)
        self._full()
        self._align(alignment)
        self.rules.append("C.15")
        return self._stack_words(words * 8, 8, type_.size)

    def _even(self, alignment: int) -> None:
        """C.10: an even register number for what is aligned to 16 bytes."""
        if alignment >= 16 and not self.stack_only:
            if self.variant.even_pairs:
                self.rules.append("C.10")
                self.ngrn += self.ngrn % 2
            else:
                self.rules.append("darwin-odd-pairs")

    def _full(self) -> None:
        """C.13, C.14: no general-purpose register any more."""
        if not self.stack_only:
            self.ngrn = ARGUMENT_REGISTERS
            self.rules.append("C.13")

    def _words(self, words: int, size: int = 0) -> tuple[Part, ...]:
        """`words` consecutive X registers; a variadic Windows call may run into the stack."""
        size = size or words * 8
        in_registers = min(words, ARGUMENT_REGISTERS - self.ngrn)
        parts = tuple(
            Part(8 * index, min(8, size - 8 * index), InRegister(self.ngrn + index))
            for index in range(in_registers)
        )
        self.ngrn += in_registers
        if in_registers < words:
            self.rules.append("windows-split")
            rest = self._stack_words((words - in_registers) * 8, 8)
            parts += tuple(
                Part(8 * in_registers + part.offset, min(8, size - 8), part.location)
                for part in rest
            )
        return parts

    def _stack_scalar(self, type_: Type) -> Part:
        """C.5, C.6 and C.13-C.17 for one scalar: a slot of 8 or 16 bytes, or Darwin's own size."""
        size = type_.size
        extend = self._extension(type_)
        if self.variant.packed_stack and not self.stack_only:
            self.rules.append("darwin-packed")
            self._align(type_.alignment)
            location = OnStack(self.nsaa, size)
            self.nsaa += size
            return Part(0, size, location, 0)
        self._align(max(8, type_.alignment))
        floating = isinstance(type_, Floating | ShortVector) and not self.as_integer
        if size < 8:
            self.rules.append("C.5" if floating else "C.16")
        self.rules.append("C.6" if floating else "C.17")
        location = OnStack(self.nsaa, max(8, size))
        self.nsaa += max(8, size)
        return Part(0, size, location, extend)

    def _stack_words(self, size: int, unit: int, value_size: int = 0) -> tuple[Part, ...]:
        value_size = value_size or size
        parts = tuple(
            Part(offset, min(unit, value_size - offset), OnStack(self.nsaa + offset, unit))
            for offset in range(0, size, unit)
        )
        self.nsaa += size
        if not self.variant.packed_stack or self.stack_only:
            self.nsaa = round_up(self.nsaa, 8)
        return parts

    def _align(self, alignment: int) -> None:
        if alignment >= 16:
            self.rules.append("C.14")
        self.nsaa = round_up(self.nsaa, alignment)

    def _extension(self, type_: Type) -> int:
        if self.variant.caller_extends and isinstance(type_, Integer) and type_.bits < 32:
            self.rules.append("darwin-extend")
            return 32
        return 0


def _result(type_: Type, variant: Variant) -> Assignment:
    """6.9: a result travels as a first argument of its type would, or through memory at X8."""
    if isinstance(type_, Composite) and type_.size > 16 and homogeneous_members(type_) is None:
        pointer = (Part(0, 8, InRegister(X8_INDIRECT_RESULT)),)
        return Assignment("", type_, pointer, indirect=True, rules=("6.9-memory",))
    found = _Assigner(variant).assign("", type_)
    return Assignment("", type_, found.parts, rules=("6.9", *found.rules))


def _known(type_: Type) -> None:
    """Refuse scalars that the standard does not have."""
    if isinstance(type_, Composite):
        for field in type_.fields:
            _known(field.type)
    elif isinstance(type_, Integer) and type_.bits not in (8, 16, 32, 64, 128):
        raise CallproofError(f"AAPCS64 has no integral type of {type_.bits} bits")
    elif isinstance(type_, Floating) and type_.bits not in (16, 32, 64, 128):
        raise CallproofError(f"AAPCS64 has no floating-point type of {type_.bits} bits")
    elif isinstance(type_, ShortVector) and type_.size not in (8, 16):
        raise CallproofError(f"AAPCS64 has short vectors of 8 and 16 bytes, not of {type_.size}")


def assign_variant(signature: Signature, variant: Variant) -> CallPlan:
    """The plan of a call by AAPCS64 or one of its variants."""
    first_anonymous = signature.variadic_from
    as_integer = variant.variadic_as_integer and first_anonymous is not None
    assigner = _Assigner(variant, as_integer=as_integer)
    parameters = []
    for index, parameter in enumerate(signature.parameters):
        _known(parameter.type)
        if index == first_anonymous:
            assigner.anonymous()
        parameters.append(assigner.assign(parameter.name, parameter.type))
    if signature.result is not None:
        _known(signature.result)
    return CallPlan(
        signature=signature,
        parameters=tuple(parameters),
        result=None if signature.result is None else _result(signature.result, variant),
        stack_bytes=round_up(assigner.nsaa, 16),  # SP is a multiple of 16 at a call (6.4.5.1)
        clobbers=CALLER_SAVED,
        preserved=CALLEE_SAVED,
    )


def register_name(register: int, size: int) -> str:
    """Assembly's name of a register for a value of `size` bytes."""
    if register >= V0:
        return f"{ {1: 'b', 2: 'h', 4: 's', 8: 'd'}.get(size, 'q') }{register - V0}"
    if register == 31:
        return "sp"
    return f"{'x' if size > 4 else 'w'}{register}"


# 10.1.5: va_list, with pointers to the next stacked argument and to the ends of the two
# register save areas, and the (negative) offsets of the next register arguments from those.
VA_LIST = structure(
    POINTER,
    POINTER,
    POINTER,
    I32,
    I32,
    name="__va_list",
    names=("__stack", "__gr_top", "__vr_top", "__gr_offs", "__vr_offs"),
)


def assign(signature: Signature) -> CallPlan:
    """AAPCS64 on Linux: anonymous arguments travel like named ones (6.8.1)."""
    return assign_variant(signature, LINUX)


LINUX = Variant()
AAPCS64 = Convention(
    name="aapcs64",
    title="AAPCS64 (Linux)",
    machine="aarch64",
    model=LINUX_ARM64,
    assign=assign,
    argument_registers=ARGUMENTS,
    argument_order=ARGUMENT_ORDER,
    caller_saved=CALLER_SAVED,
    callee_saved=CALLEE_SAVED,
    stack_alignment=16,
    red_zone=0,
    register_name=register_name,
    va_list=VA_LIST,
)

__all__ = ["AAPCS64", "Variant", "assign", "assign_variant", "homogeneous_members"]
