"""Calls of C functions: arguments into C types, the call, its result back into a word.

Narrow values get their width here and nothing more: which of a register's bits count
is the callee's business (AAPCS64 6.4.2, rule C.9), so nothing is extended for it, and
of a narrow result only its own bits are believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from callproof.abi import types as abi
from callproof.bcpl import nodes as ast
from callproof.bcpl.external import (
    BOOL,
    CSTRING,
    CType,
    ExternalInfo,
    anonymous_type,
    check_arguments,
)
from callproof.bcpl.lower_values import nothing_of
from callproof.bcpl.symbols import FunctionInfo
from callproof.bcpl.value_types import FLOAT, INTEGER
from callproof.ir import operations as op
from callproof.ir.model import CONSTANT, SYMBOL, Constant, Operand, Symbol
from callproof.ir.types import F32, F64, I64, of_scalar
from callproof.runtime.entries import CSTRING as TO_CSTRING
from callproof.runtime.entries import FREE_CSTRING, FROM_CSTRING, LEND

if TYPE_CHECKING:
    from callproof.bcpl.lower_values import ValueLowering


def call_external(lowering: ValueLowering, info: ExternalInfo, node: ast.Call) -> Operand:
    """The call's value as a word or FLOAT; 0 of a ROUTINE.

    A CSTRING argument is a copy, which lives until the call has returned and its result
    has been converted.  That of a literal is in the program's constants.
    """
    nodes = node.arguments
    nothing = nothing_of(info.value)
    if not check_arguments(info, nodes, node.span, lowering.module.diagnostics):
        return nothing
    fixed = info.parameters
    anonymous = [anonymous_type(one.type) for one in nodes[len(fixed) :]]
    types = [*fixed, *anonymous]
    # All values first: to compute one may change the text of another.
    values = [
        _c_literal(lowering, one)
        if _is_c_literal(one, type_)
        else _callback(lowering, one) or lowering.value(one)
        for one, type_ in zip(nodes, types, strict=True)
    ]
    copies: list[Operand] = []
    arguments: list[Operand] = []
    for value, one, type_ in zip(values, nodes, types, strict=True):
        if type_ is CSTRING and not _is_c_literal(one, type_):
            value = lowering.runtime_call(TO_CSTRING, value)
            copies.append(value)
        elif type_ is not CSTRING:
            value = argument(lowering, value, one, type_)
            if type_.abi == abi.POINTER and value.kind not in (CONSTANT, SYMBOL):
                lowering.runtime_call(LEND, value)
        arguments += lowering.passed(type_.value, value, packs_as_words=False)
    lowering.module.declare_external(info)
    results = lowering.builder.call(info.symbol, info.signature(anonymous), arguments)
    found = result(lowering, results, info.result) if info.result is not None else nothing
    for copy in copies:
        lowering.runtime_call(FREE_CSTRING, copy)
    return found


def _is_c_literal(node: ast.Expression, type_: CType) -> bool:
    return type_ is CSTRING and isinstance(node, ast.StringLiteral)


def _c_literal(lowering: ValueLowering, node: ast.Expression) -> Operand:
    assert isinstance(node, ast.StringLiteral)
    return Symbol(lowering.module.c_string(node.value))


def _callback(lowering: ValueLowering, node: ast.Expression) -> Operand | None:
    """A routine's own code: C passes packs in SIMD registers, as our calls by name do."""
    meaning = node.meaning if isinstance(node, ast.Name) else None
    if isinstance(meaning, FunctionInfo) and meaning.class_info is None:
        return lowering.module.function_symbol(meaning)
    return None


def argument(
    lowering: ValueLowering, value: Operand, node: ast.Expression, type_: CType
) -> Operand:
    """A value in a C type; between FLOAT and integers as the language converts (3.2.2)."""
    builder = lowering.builder
    if isinstance(type_.abi, abi.Floating):
        number = lowering.convert(value, node.type, FLOAT)
        return builder.value(op.FTRUNC, F32, number) if type_.abi == abi.F32 else number
    if type_.value.pack is not None:
        return lowering.convert(value, node.type, type_.value)
    assert isinstance(type_.abi, abi.Integer | abi.Pointer)
    wanted = of_scalar(type_.abi)
    if type_ is BOOL:
        is_float = node.type is FLOAT
        zero = Constant(F64, 0.0) if is_float else Constant(I64, 0)
        word: Operand = builder.value(
            op.FNE if is_float else op.NE, F64 if is_float else I64, value, zero
        )
    else:
        word = lowering.convert(value, node.type, INTEGER)
    if wanted.bits == 64:
        return word
    if word.kind == CONSTANT:
        half = 1 << (wanted.bits - 1)
        low = (int(word.value) + half) % (2 * half) - half  # type: ignore[union-attr]
        return Constant(wanted, low)
    return builder.value(op.TRUNC, wanted, word)


def result(lowering: ValueLowering, values: Sequence[Operand], type_: CType) -> Operand:
    """A C value as a word, a FLOAT or a pack."""
    builder = lowering.builder
    if type_.value.pack is not None:
        return lowering.received(type_.value, values, packs_as_words=False)
    (value,) = values
    if type_ is CSTRING:
        return lowering.runtime_call(FROM_CSTRING, value)
    if type_.abi == abi.F32:
        return builder.value(op.FEXT, F64, value)
    if type_.abi.size == 8:
        return value
    assert isinstance(type_.abi, abi.Integer)
    return builder.value(op.SEXT if type_.abi.signed else op.ZEXT, I64, value)
