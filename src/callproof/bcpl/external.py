"""C functions as programs see them: the C types of EXTERNAL declarations, and checks.

A word goes into a C type by its low bits and comes out extended by the type's sign; a
FLOAT is C's double.  How the conversions are done is in `lower_external.py`; which
registers they end in is the calling convention's affair, which sees the ABI types.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from callproof.abi import types as abi
from callproof.abi.signature import Parameter, Signature
from callproof.bcpl import nodes as ast
from callproof.bcpl.value_types import (
    FLOAT,
    FVEC,
    INTEGER,
    NULL,
    PACKS,
    STRING,
    VEC,
    WORD,
    ValueType,
    described,
)
from callproof.source import Diagnostics, Note, Span


@dataclass(frozen=True, slots=True)
class CType:
    """`abi` as the calling convention sees it, `value` the class of such a result.

    BOOL and CSTRING are converted by more than their size: they are told by identity.
    """

    name: str
    abi: abi.Type
    value: ValueType = INTEGER


BOOL = CType("BOOL", abi.U8)
CSTRING = CType("CSTRING", abi.POINTER, STRING)
DOUBLE = CType("DOUBLE", abi.F64, FLOAT)
LONG = CType("LONG", abi.I64)
# LP64, as everywhere on 64-bit ARM but Windows; char is signed, as this form says it.
C_TYPES = {
    type_.name: type_
    for type_ in (
        CType("CHAR", abi.I8),
        CType("BYTE", abi.U8),
        CType("SHORT", abi.I16),
        CType("USHORT", abi.U16),
        CType("INT", abi.I32),
        CType("UINT", abi.U32),
        LONG,
        CType("ULONG", abi.U64),
        CType("SIZE", abi.U64),
        BOOL,
        CType("SINGLE", abi.F32, FLOAT),
        DOUBLE,
        CType("POINTER", abi.POINTER, WORD),
        CSTRING,
        # int32x2_t float32x2_t int16x4_t int8x8_t float32x4_t float32x4x2_t
        *(CType(name, type_.pack.abi, type_) for name, type_ in PACKS.items() if type_.pack),
    )
}
# What somebody may write who thinks of NewBCPL or of C.
_MEANT = {
    "FLOAT": "NewBCPL's FLOAT is DOUBLE in C; C's float is SINGLE",
    "INTEGER": "a word is LONG; C's int is INT",
    "WORD": "a word is LONG",
    "STRING": "C's strings are CSTRING",
    "VOID": "a function without a result is a ROUTINE; a pointer is POINTER",
    "VEC": "the address of a vector is a POINTER",
    "UNSIGNED": "C's unsigned is UINT",
}
_RESERVED = "bcpl_"  # the runtime's own functions


@dataclass(slots=True, eq=False)
class ExternalInfo:
    """A declared C function; `parameters` without the anonymous ones behind `...`."""

    name: str
    symbol: str
    library: str
    declaration: ast.ExternalFunction
    parameters: list[CType]
    result: CType | None

    @property
    def value(self) -> ValueType:
        return self.result.value if self.result is not None else INTEGER

    def signature(self, anonymous: list[CType] | None = None) -> Signature:
        """For a call with these anonymous arguments; without, as the function is declared."""
        names = [parameter.name for parameter in self.declaration.parameters]
        found = [Parameter(t.abi, n) for t, n in zip(self.parameters, names, strict=True)]
        variadic_from = len(found) if self.declaration.is_variadic else None
        found += [Parameter(type_.abi) for type_ in anonymous or ()]
        result = self.result.abi if self.result is not None else None
        return Signature(tuple(found), result, variadic_from)

    def origin(self) -> Note:
        """For the linker: why the program needs the symbol, and what to do if it is missing."""
        if self.library == "c":
            advice = "musl's libc has no such function"
        else:
            advice = f'the program is not linked with library "{self.library}"'
        return Note(
            f"it is declared EXTERNAL here; {advice}: name the .o or .a file that defines it "
            "behind the program",
            self.declaration.name_span,
        )


def make_external(
    item: ast.ExternalFunction, library: str, diagnostics: Diagnostics
) -> ExternalInfo:
    """What a declaration means; says what is wrong in it."""
    seen: set[str] = set()
    for parameter in item.parameters:
        if parameter.name in seen:
            diagnostics.error(
                f"parameter '{parameter.name}' stands twice in {item.name}", parameter.span
            )
        seen.add(parameter.name)
    if item.symbol.startswith(_RESERVED):
        diagnostics.error(
            f"'{item.symbol}' belongs to the runtime: C functions of that name cannot be declared",
            item.name_span,
            code="reserved",
        )
    parameters = [_c_type(parameter.annotation, diagnostics) for parameter in item.parameters]
    result = _c_type(item.result, diagnostics) if item.result is not None else None
    return ExternalInfo(item.name, item.symbol, library, item, parameters, result)


def _c_type(written: ast.TypeExpression | None, diagnostics: Diagnostics) -> CType:
    assert written is not None
    found = C_TYPES.get(written.name)
    if found is not None:
        return found
    meant = _MEANT.get(written.name.upper())
    if meant is None:
        close = get_close_matches(written.name.upper(), C_TYPES, n=1, cutoff=0.7)
        meant = f"did you mean {close[0]}?" if close else f"there are {' '.join(C_TYPES)}"
    diagnostics.error(f"'{written.name}' is no C type", written.span, [Note(meant)], code="c-type")
    return LONG


def anonymous_type(value: ValueType) -> CType:
    """How a value goes behind `...`: after C's default promotions there are only these."""
    return DOUBLE if value is FLOAT else CSTRING if value is STRING else LONG


def _is_address(value: ValueType) -> bool:
    return value in (STRING, VEC, FVEC) or value.class_info is not None


def misfit(wanted: CType, node: ast.Expression) -> str:
    """What an argument is, if it can certainly not be meant for the C type; else ''.

    A class that is only WORD or INTEGER may be anything.
    """
    given: ValueType = node.type
    if given is NULL:
        return ""
    pack = wanted.value.pack
    if given.pack is not None:
        # The word of a pack: its bits, or the address of its lanes.
        as_word = wanted is not CSTRING and wanted.value in (INTEGER, WORD) and wanted.abi.size == 8
        return "" if given.pack is pack or (pack is None and as_word) else described(given)
    if pack is not None:
        return _article(given) if given is FLOAT or _is_address(given) else ""
    if isinstance(wanted.abi, abi.Pointer):
        if given is FLOAT:
            return "a FLOAT"
        if wanted is CSTRING and _is_address(given) and given is not STRING:
            return f"{_article(given)}, which is no string"
        if wanted is CSTRING and isinstance(node, ast.IntegerLiteral) and node.value:
            return "a number"
        return ""
    if _is_address(given) and (isinstance(wanted.abi, abi.Floating) or wanted.abi.size < 8):
        return f"{_article(given)}, which is an address"
    return ""


def _article(given: ValueType) -> str:
    return f"an object of class {given!r}" if given.class_info is not None else f"a {given!r}"


def check_arguments(
    info: ExternalInfo, nodes: list[ast.Expression], span: Span, diagnostics: Diagnostics
) -> bool:
    """Whether number and classes of the arguments suit; says so if not."""
    notes = [Note("it is declared here", info.declaration.name_span)]
    wanted, given = len(info.parameters), len(nodes)
    is_variadic = info.declaration.is_variadic
    if given < wanted or (given > wanted and not is_variadic):
        plural = "" if wanted == 1 else "s"
        least = "at least " if is_variadic else ""
        diagnostics.error(
            f"{info.name} takes {least}{wanted} argument{plural}, {given} given",
            span,
            notes,
            code="argument-count",
        )
        return False
    fits = True
    for type_, parameter, node in zip(
        info.parameters, info.declaration.parameters, nodes, strict=False
    ):
        what = misfit(type_, node)
        if what:
            fits = False
            diagnostics.error(
                f"'{parameter.name}' of {info.name} is a C {type_.name}; this is {what}",
                node.span,
                notes,
                code="argument-type",
            )
    return fits
