"""System V x86-64 (psABI 1.0, section 3.2.3): classification, registers, stack.

Every eightbyte of a value gets a class; `_merge` is the psABI's step 4 and
`_post_merge` its step 5.  Vectors of 256 bits and more are not in Callproof's type
space, so no value has more than two eightbytes in registers.
"""

from __future__ import annotations

from dataclasses import replace

from callproof.abi.data_model import LINUX_X64
from callproof.abi.plan import (
    Assignment,
    CallPlan,
    Convention,
    InRegister,
    Location,
    OnStack,
    Part,
)
from callproof.abi.signature import Signature
from callproof.abi.types import (
    POINTER,
    U32,
    Composite,
    Floating,
    Integer,
    Pointer,
    Scalar,
    ShortVector,
    Type,
    round_up,
    structure,
)
from callproof.source import CallproofError

RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI = range(8)
R8, R9, R10, R11, R12, R13, R14, R15 = range(8, 16)
XMM0, ST0 = 32, 64
NAMES = "ax cx dx bx sp bp si di".split()

INTEGER_ARGUMENTS = (RDI, RSI, RDX, RCX, R8, R9)
INTEGER_RESULTS = (RAX, RDX)
SSE_ARGUMENTS, SSE_RESULTS = 8, 2


def _mask(registers: tuple[int, ...] | range) -> int:
    return sum(1 << register for register in registers)


CALLEE_SAVED = _mask((RBX, RSP, RBP, R12, R13, R14, R15))
CALLER_SAVED = (
    _mask((RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11))
    | _mask(range(XMM0, XMM0 + 16))
    | _mask(range(ST0, ST0 + 8))
)
ARGUMENTS = _mask(INTEGER_ARGUMENTS) | _mask(range(XMM0, XMM0 + SSE_ARGUMENTS))

NO_CLASS, INTEGER, SSE, SSEUP, X87, X87UP, COMPLEX_X87, MEMORY = (
    "NO_CLASS INTEGER SSE SSEUP X87 X87UP COMPLEX_X87 MEMORY".split()
)


def _merge(first: str, second: str) -> str:
    """3.2.3, classification, step 4."""
    if first == second or second == NO_CLASS:  # (a), (b)
        return first
    if first == NO_CLASS:
        return second
    if MEMORY in (first, second):  # (c)
        return MEMORY
    if INTEGER in (first, second):  # (d)
        return INTEGER
    if any(c in (X87, X87UP, COMPLEX_X87) for c in (first, second)):  # (e)
        return MEMORY
    return SSE  # (f)


def _post_merge(classes: list[str], size: int) -> list[str]:
    """3.2.3, classification, step 5."""
    if MEMORY in classes:  # (a)
        return [MEMORY]
    for index, class_ in enumerate(classes):
        if class_ == X87UP and (index == 0 or classes[index - 1] != X87):  # (b)
            return [MEMORY]
    if size > 16 and (classes[0] != SSE or any(c != SSEUP for c in classes[1:])):  # (c)
        return [MEMORY]
    for index, class_ in enumerate(classes):
        if class_ == SSEUP and (index == 0 or classes[index - 1] not in (SSE, SSEUP)):  # (d)
            classes[index] = SSE
    return classes


def _scalar_classes(type_: Scalar) -> list[str]:
    if isinstance(type_, Integer | Pointer):
        return [INTEGER] * (-(-type_.size // 8))
    if isinstance(type_, Floating):
        if type_.bits == 80:
            return [X87, X87UP]
        return [SSE, SSEUP] if type_.bits == 128 else [SSE]
    return [SSE, SSEUP] if type_.size == 16 else [SSE]


def classify(type_: Type) -> list[str]:
    """The class of each eightbyte of a value, or `[MEMORY]`."""
    if not isinstance(type_, Composite):
        return _scalar_classes(type_)
    if type_.size == 0:
        return []
    if type_.name == "_Complex" and type_.size == 32:  # of x87 long double
        return [COMPLEX_X87]
    if type_.size > 16:  # step 1: no vector of ours is that large
        return [MEMORY]
    classes = [NO_CLASS] * (-(-type_.size // 8))
    if not _classify_fields(type_, 0, classes):
        return [MEMORY]
    return _post_merge(classes, type_.size)


def _classify_fields(type_: Composite, base: int, classes: list[str]) -> bool:
    """Merge each field's classes into its eightbytes; False if one is not aligned (step 1)."""
    for field in type_.fields:
        if field.is_padding:
            continue
        if field.bits is not None:
            first = (base + field.offset) * 8 + field.bit
            for eightbyte in range(first // 64, (first + field.bits - 1) // 64 + 1):
                classes[eightbyte] = _merge(classes[eightbyte], INTEGER)
            continue
        inner = field.type
        if not inner.size:
            continue
        for index in range(field.count):
            offset = base + field.offset + index * inner.size
            if isinstance(inner, Composite):
                if offset % inner.alignment or not _classify_fields(inner, offset, classes):
                    return False
                continue
            if offset % inner.alignment:
                return False
            for part, class_ in enumerate(_scalar_classes(inner)):
                place = offset // 8 + part
                classes[place] = _merge(classes[place], class_)
    return True


def _known(type_: Type) -> None:
    if isinstance(type_, Composite):
        for field in type_.fields:
            _known(field.type)
    elif isinstance(type_, ShortVector) and type_.size not in (8, 16):
        raise CallproofError(f"vectors of {type_.size} bytes are not in Callproof's type space")


class _Assigner:
    """3.2.3, "Passing": the next registers and the argument area."""

    __slots__ = ("alignment", "integers", "sse", "stack")

    def __init__(self, integers: int = 0) -> None:
        self.integers = integers
        self.sse = 0
        self.stack = 0
        self.alignment = 16

    def assign(self, name: str, type_: Type) -> Assignment:
        classes = classify(type_)
        if not classes:
            return Assignment(name, type_, (), rules=("empty",))
        rules = [f"sysv-{class_}" for class_ in dict.fromkeys(classes)]
        needed = classes.count(INTEGER)
        vectors = classes.count(SSE)
        if classes[0] in (MEMORY, X87, COMPLEX_X87):
            return Assignment(name, type_, self._memory(type_), rules=tuple(rules))
        if self.integers + needed > len(INTEGER_ARGUMENTS) or self.sse + vectors > SSE_ARGUMENTS:
            # No register for one eightbyte: the whole argument goes on the stack; later
            # ones may still use what is left.
            rules.append("sysv-whole")
            return Assignment(name, type_, self._memory(type_), rules=tuple(rules))
        parts = _parts(
            type_,
            classes,
            INTEGER_ARGUMENTS[self.integers : self.integers + needed],
            range(XMM0 + self.sse, XMM0 + self.sse + vectors),
        )
        self.integers += needed
        self.sse += vectors
        if any(part.extend for part in parts):
            rules.append("sysv-extend")
        return Assignment(name, type_, parts, rules=tuple(rules))

    def _memory(self, type_: Type) -> tuple[Part, ...]:
        alignment = max(8, type_.alignment)
        self.alignment = max(self.alignment, alignment)
        self.stack = round_up(self.stack, alignment)
        size = round_up(type_.size, 8)
        location = OnStack(self.stack, size)
        self.stack += size
        return (Part(0, type_.size, location, _extension(type_)),)


def _extension(type_: Type) -> int:
    """Clang relies on narrow integers having been extended to 32 bits, GCC does it; the
    psABI itself says so of `_Bool` and 8 bits only."""
    return 32 if isinstance(type_, Integer) and type_.bits < 32 else 0


def _parts(
    type_: Type, classes: list[str], integers: tuple[int, ...], vectors: range
) -> tuple[Part, ...]:
    """One part per eightbyte in its register; SSE with SSEUP is one part of 16 bytes."""
    parts: list[Part] = []
    next_integer, next_vector = iter(integers), iter(vectors)
    for index, class_ in enumerate(classes):
        if class_ in (SSEUP, NO_CLASS):
            continue
        offset = index * 8
        size = min(8, type_.size - offset)
        if class_ == INTEGER:
            location: Location = InRegister(next(next_integer))
        else:
            location = InRegister(next(next_vector))
            if SSEUP in classes[index + 1 : index + 2]:
                size = 16
        parts.append(Part(offset, size, location, _extension(type_)))
    return tuple(parts)


def _result(type_: Type) -> Assignment:
    """3.2.3, "Returning of Values"."""
    classes = classify(type_)
    if not classes:
        return Assignment("", type_, (), rules=("empty",))
    if MEMORY in classes:
        pointer = (Part(0, 8, InRegister(RDI)),)
        return Assignment("", type_, pointer, indirect=True, rules=("sysv-result-memory",))
    if classes[0] in (X87, COMPLEX_X87):
        places = tuple(
            Part(16 * index, 16, InRegister(ST0 + index)) for index in range(type_.size // 16)
        )
        return Assignment("", type_, places, rules=(f"sysv-result-{classes[0]}",))
    places = _parts(type_, classes, INTEGER_RESULTS, range(XMM0, XMM0 + SSE_RESULTS))
    # Nobody extends a result: of a short only AX counts (Clang's callers extend it again).
    parts = tuple(replace(part, extend=0) for part in places)
    rules = tuple(f"sysv-result-{class_}" for class_ in dict.fromkeys(classes) if class_ != SSEUP)
    return Assignment("", type_, parts, rules=rules)


def assign(signature: Signature) -> CallPlan:
    """System V x86-64: anonymous arguments like named ones, and AL counts XMM registers."""
    result = None
    if signature.result is not None:
        _known(signature.result)
        result = _result(signature.result)
    indirect = result is not None and result.indirect
    assigner = _Assigner(integers=1 if indirect else 0)
    parameters = []
    for parameter in signature.parameters:
        _known(parameter.type)
        parameters.append(assigner.assign(parameter.name, parameter.type))
    constants = () if signature.variadic_from is None else ((RAX, assigner.sse),)
    return CallPlan(
        signature=signature,
        parameters=tuple(parameters),
        result=result,
        stack_bytes=round_up(assigner.stack, assigner.alignment),
        clobbers=CALLER_SAVED,
        preserved=CALLEE_SAVED,
        constants=constants,
        stack_alignment=assigner.alignment,
        returned_pointer=RAX if indirect else None,
    )


def register_name(register: int, size: int) -> str:
    """Assembly's name of a register for a value of `size` bytes."""
    if register >= ST0:
        return f"st({register - ST0})"
    if register >= XMM0:
        return f"xmm{register - XMM0}"
    if register >= 8:
        suffix = {1: "b", 2: "w", 3: "d", 4: "d"}.get(size, "")
        return f"r{register}{suffix}"
    name = NAMES[register]
    if size == 1:
        return name[0] + "l" if register < 4 else name + "l"
    return name if size == 2 else ("e" if size <= 4 else "r") + name


# 3.5.7: va_list is an array of one of these.
VA_LIST = structure(
    U32,
    U32,
    POINTER,
    POINTER,
    name="__va_list_tag",
    names=("gp_offset", "fp_offset", "overflow_arg_area", "reg_save_area"),
)

SYSV64 = Convention(
    name="sysv64",
    title="System V x86-64",
    machine="x86_64",
    model=LINUX_X64,
    assign=assign,
    argument_registers=ARGUMENTS,
    argument_order=(*INTEGER_ARGUMENTS, *range(XMM0, XMM0 + SSE_ARGUMENTS)),
    caller_saved=CALLER_SAVED,
    callee_saved=CALLEE_SAVED,
    stack_alignment=16,
    red_zone=128,
    register_name=register_name,
    va_list=VA_LIST,
    va_list_is_array=True,
)

__all__ = ["SYSV64", "classify"]
