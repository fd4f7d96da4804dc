"""Random signatures as trees that print as C, weighted to the nasty corners."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

HEADER = """\
typedef float v2f __attribute__((vector_size(8)));
typedef float v4f __attribute__((vector_size(16)));
typedef double v2d __attribute__((vector_size(16)));
typedef int v2i __attribute__((vector_size(8)));
typedef int v4i __attribute__((vector_size(16)));
typedef unsigned short v8h __attribute__((vector_size(16)));
typedef signed char v8c __attribute__((vector_size(8)));
typedef void *pointer;
"""

INTEGERS = (
    "_Bool",
    "signed char",
    "unsigned char",
    "char",
    "short",
    "unsigned short",
    "int",
    "unsigned int",
    "long",
    "unsigned long",
    "long long",
    "__int128",
    "unsigned __int128",
    "pointer",
)
FLOATS = ("_Float16", "__bf16", "float", "double", "long double")
VECTORS = ("v2f", "v4f", "v2d", "v2i", "v4i", "v8h", "v8c")
QUADWORD_VECTORS = ("v4f", "v2d", "v4i", "v8h")
COMPLEX = ("_Complex float", "_Complex double")
# What an anonymous argument can be after C's promotions.
ANONYMOUS = (
    *("int", "unsigned int", "long", "unsigned long", "long long", "pointer", "double"),
    *("__int128", "unsigned __int128", "long double", "v2f", "v4f", "v2d", "v4i"),
)
BIT_FIELDS = (
    *("_Bool", "signed char", "unsigned char", "short", "unsigned short"),
    *("int", "unsigned int", "long", "unsigned long"),
)
WIDTHS = {
    "_Bool": 1,
    "signed char": 8,
    "unsigned char": 8,
    "short": 16,
    "unsigned short": 16,
    "int": 32,
    "unsigned int": 32,
    "long": 64,
    "unsigned long": 64,
}


@dataclass(frozen=True)
class Scalar:
    text: str


@dataclass(frozen=True)
class MemberSpec:
    """`bits` for a bit-field (0: unnamed); `aligned` and `packed` attributes of the member."""

    type: TypeSpec
    count: int | None = None
    bits: int | None = None
    aligned: int = 0
    packed: bool = False
    unnamed: bool = False


@dataclass(frozen=True)
class Aggregate:
    members: tuple[MemberSpec, ...]
    union: bool = False
    packed: bool = False
    aligned: int = 0


TypeSpec = Scalar | Aggregate


@dataclass(frozen=True)
class CaseSpec:
    """One signature; `anonymous` is None where the function is not variadic."""

    result: TypeSpec | None
    parameters: tuple[TypeSpec, ...]
    anonymous: tuple[TypeSpec, ...] | None = None


@dataclass
class Source:
    """C text of a case: type declarations, the types' names, and the prototype's pieces."""

    declarations: str
    parameters: list[str]
    anonymous: list[str]
    result: str
    variadic: bool
    aggregates: list[tuple[str, Aggregate]] = field(default_factory=list)

    def prototype(self, name: str) -> str:
        names = [f"{text} p{index}" for index, text in enumerate(self.parameters)]
        if self.variadic:
            names.append("...")
        return f"{self.result} {name}({', '.join(names) or 'void'})"


class _Printer:
    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.lines: list[str] = []
        self.aggregates: list[tuple[str, Aggregate]] = []

    def type(self, spec: TypeSpec) -> str:
        if isinstance(spec, Scalar):
            return spec.text
        lines = []
        for index, member in enumerate(spec.members):
            text = self.type(member.type)
            name = "" if member.unnamed else f" f{index}"
            dimension = f"[{member.count}]" if member.count is not None else ""
            bits = f" : {member.bits}" if member.bits is not None else ""
            attributes = ""
            if member.packed:
                attributes += " __attribute__((packed))"
            if member.aligned:
                attributes += f" __attribute__((aligned({member.aligned})))"
            lines.append(f"    {text}{name}{dimension}{bits}{attributes};")
        word = "union" if spec.union else "struct"
        name = f"{word} {self.prefix}t{len(self.aggregates)}"
        self.aggregates.append((name, spec))
        attributes = ""
        if spec.packed:
            attributes += " __attribute__((packed))"
        if spec.aligned:
            attributes += f" __attribute__((aligned({spec.aligned})))"
        self.lines += [f"{name} {{", *lines, f"}}{attributes};"]
        return name


def source_of(case: CaseSpec, prefix: str) -> Source:
    """The C text of a case; all its types' names begin with `prefix`."""
    printer = _Printer(prefix)
    result = "void" if case.result is None else printer.type(case.result)
    parameters = [printer.type(spec) for spec in case.parameters]
    anonymous = [printer.type(spec) for spec in case.anonymous or ()]
    return Source(
        "\n".join(printer.lines),
        parameters,
        anonymous,
        result,
        case.anonymous is not None,
        printer.aggregates,
    )


# Corners in which Clang and GCC, or Clang and itself, do not agree; see `batch.PLATFORMS`.
STRICT_ANONYMOUS = "anonymous HFAs with an alignment of more than 8"
MIXED_HALVES = "composites of both _Float16 and __bf16 alone"
SPLIT = "arguments that begin in X7 and go on in the stack"
PACKED_QUADS = "packed HFAs and HVAs of 16-byte members"
ALIGNED_BITS = "bit-fields with an alignment of their own"
UNNAMED_BITS = "unnamed bit-fields"


def scalars_in(spec: TypeSpec) -> list[str]:
    if isinstance(spec, Scalar):
        return [spec.text]
    return [text for member in spec.members for text in scalars_in(member.type)]


def has_mixed_halves(spec: TypeSpec) -> bool:
    """Whether a part of it would be an HFA if the two 16-bit formats were one."""
    if isinstance(spec, Scalar):
        return False
    return set(scalars_in(spec)) == {"_Float16", "__bf16"} or any(
        has_mixed_halves(member.type) for member in spec.members
    )


def has_packed_quads(spec: TypeSpec) -> bool:
    """Whether a part of it is packed and has only 16-byte numbers and vectors inside."""
    if isinstance(spec, Scalar):
        return False
    if any(has_packed_quads(member.type) for member in spec.members):
        return True

    def is_packed(one: TypeSpec) -> bool:
        return isinstance(one, Aggregate) and (
            one.packed or any(m.packed or is_packed(m.type) for m in one.members)
        )

    scalars = scalars_in(spec)
    quads = (*QUADWORD_VECTORS, "long double")
    return bool(scalars) and is_packed(spec) and all(text in quads for text in scalars)


def is_strict_homogeneous(spec: TypeSpec) -> bool:
    """Whether it may be an HFA or HVA with an alignment of more than 8."""
    alignments: list[int] = []

    def visit(inner: TypeSpec) -> None:
        if isinstance(inner, Scalar):
            return
        alignments.append(inner.aligned)
        for member in inner.members:
            alignments.append(member.aligned)
            visit(member.type)

    visit(spec)
    scalars = scalars_in(spec)
    return all(text in FLOATS or text in VECTORS for text in scalars) and (
        max(alignments, default=0) > 8 or any(text in QUADWORD_VECTORS for text in scalars)
    )


class Generator:
    """Signatures from a seed.  `without` leaves scalars out that a compiler lacks,
    and what compilers differ in (`STRICT_ANONYMOUS` ...); `extra` are more complex types."""

    def __init__(
        self,
        seed: int,
        without: tuple[str, ...] = (),
        extra: tuple[str, ...] = (),
    ) -> None:
        self.random = random.Random(seed)
        self.without = without

        def keep(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(name for name in names if name not in without)

        self.integers = keep(INTEGERS)
        self.floats = keep(FLOATS)
        self.bit_fields = keep(BIT_FIELDS)
        self.vectors = keep(VECTORS)
        self.complex = (*keep(COMPLEX), *extra)
        self.anonymous_scalars = keep(ANONYMOUS)

    def scalar(self) -> Scalar:
        chosen = self.random.random()
        if chosen < 0.55:
            return Scalar(self.random.choice(self.integers))
        if chosen < 0.85 or not self.vectors:
            return Scalar(self.random.choice(self.floats))
        return Scalar(self.random.choice(self.vectors))

    def type(self, depth: int = 0) -> TypeSpec:
        if self.random.random() < (0.5 if depth == 0 else 0.75):
            if depth == 0 and self.complex and self.random.random() < 0.05:
                return Scalar(self.random.choice(self.complex))
            return self.scalar()
        return self.aggregate(depth)

    def aggregate(self, depth: int) -> Aggregate:
        while True:
            found = self.any_aggregate(depth)
            if MIXED_HALVES in self.without and has_mixed_halves(found):
                continue
            if PACKED_QUADS in self.without and has_packed_quads(found):
                continue
            return found

    def any_aggregate(self, depth: int) -> Aggregate:
        chosen = self.random.random()
        if chosen < 0.3:
            return self.homogeneous(depth)
        if chosen < 0.42:
            return self.small(depth)
        if chosen < 0.54:
            return self.with_bit_fields()
        if chosen < 0.57:
            return Aggregate(())
        union = self.random.random() < 0.2
        count = self.random.choice((1, 1, 2, 2, 3, 4, 6))
        members = tuple(self.member(depth) for _ in range(count))
        packed = self.random.random() < 0.12
        aligned = self.random.choice((8, 16, 32)) if self.random.random() < 0.1 else 0
        return Aggregate(members, union, packed, aligned)

    def member(self, depth: int) -> MemberSpec:
        type_ = self.type(depth + 1) if depth < 3 else self.scalar()
        count = self.random.choice((1, 2, 3, 5)) if self.random.random() < 0.2 else None
        aligned = self.random.choice((1, 2, 8, 16)) if self.random.random() < 0.08 else 0
        packed = self.random.random() < 0.05
        return MemberSpec(type_, count, None, aligned, packed)

    def homogeneous(self, depth: int) -> Aggregate:
        """HFAs and HVAs of 1 to 5 members (5: no longer one), flat, nested, as arrays."""
        base = Scalar(self.random.choice((*self.floats, *self.vectors)))
        total = self.random.choice((1, 2, 3, 4, 4, 5))
        members: list[MemberSpec] = []
        while total:
            count = self.random.randint(1, total)
            total -= count
            shape = self.random.random()
            if shape < 0.3:
                members.append(MemberSpec(base, count))
            elif shape < 0.5 and depth < 3:
                inner = Aggregate(tuple(MemberSpec(base) for _ in range(count)))
                members.append(MemberSpec(inner))
            else:
                members += [MemberSpec(base) for _ in range(count)]
        if self.random.random() < 0.1:
            members.insert(0, MemberSpec(Aggregate(())))
        union = self.random.random() < 0.12
        aligned = self.random.choice((16, 32)) if self.random.random() < 0.08 else 0
        return Aggregate(tuple(members), union, False, aligned)

    def small(self, depth: int) -> Aggregate:
        """Odd sizes up to 16 bytes: tails of 1 to 7 bytes."""
        size = self.random.randint(1, 17)
        if self.random.random() < 0.5:
            return Aggregate((MemberSpec(Scalar("unsigned char"), size),))
        first = Scalar(self.random.choice(("int", "short", "float", "pointer")))
        return Aggregate(
            (MemberSpec(first), MemberSpec(Scalar("signed char"), size)),
            packed=self.random.random() < 0.3,
        )

    def with_bit_fields(self) -> Aggregate:
        members: list[MemberSpec] = []
        for _ in range(self.random.choice((1, 2, 3, 5, 7))):
            if self.random.random() < 0.25:
                members.append(self.member(3))
                continue
            text = self.random.choice(self.bit_fields)
            width = self.random.randint(1, WIDTHS[text])
            unnamed = self.random.random() < 0.15 and UNNAMED_BITS not in self.without
            if unnamed and self.random.random() < 0.5:
                width = 0
            aligned = 0
            if not unnamed and self.random.random() < 0.05 and ALIGNED_BITS not in self.without:
                aligned = self.random.choice((2, 4, 8))
            packed = not unnamed and self.random.random() < 0.06
            members.append(MemberSpec(Scalar(text), None, width, aligned, packed, unnamed))
        if all(member.unnamed for member in members):
            members.append(MemberSpec(Scalar("unsigned char")))
        return Aggregate(tuple(members), self.random.random() < 0.1, self.random.random() < 0.15)

    def prefix(self) -> list[TypeSpec]:
        """Parameters that use up one register file, all but a few of its registers."""
        chosen = self.random.random()
        if chosen < 0.55:
            return []
        count = self.random.randint(5, 8)
        found: list[TypeSpec] = []
        if chosen < 0.8:
            found += [Scalar("long")] * count
        if chosen > 0.7:
            found += [Scalar("double")] * self.random.randint(5, 8)
        self.random.shuffle(found)
        return found

    def case(self) -> CaseSpec:
        result = None if self.random.random() < 0.1 else self.type()
        parameters = self.prefix()
        parameters += [self.type() for _ in range(self.random.choice((0, 1, 2, 2, 3, 4, 6, 9)))]
        if self.random.random() >= 0.22:
            return CaseSpec(result, tuple(parameters))
        if not parameters:
            parameters.append(Scalar("int"))
        anonymous: list[TypeSpec] = []
        if self.random.random() < 0.3:
            anonymous += [Scalar("int" if self.random.random() < 0.5 else "double")] * 7
        for _ in range(self.random.choice((0, 1, 2, 3, 5, 8))):
            if self.random.random() < 0.7:
                anonymous.append(Scalar(self.random.choice(self.anonymous_scalars)))
            else:
                chosen = self.aggregate(1)
                if STRICT_ANONYMOUS not in self.without or not is_strict_homogeneous(chosen):
                    anonymous.append(chosen)
        return CaseSpec(result, tuple(parameters), tuple(anonymous))
