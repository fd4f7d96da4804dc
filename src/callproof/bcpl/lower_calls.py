"""Lowering of calls: of functions, of values, of the library; WRITEF."""

from __future__ import annotations

from collections.abc import Sequence

from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import F64 as ABI_F64
from callproof.abi.types import I64 as ABI_I64
from callproof.abi.types import POINTER
from callproof.bcpl import nodes as ast
from callproof.bcpl.external import ExternalInfo
from callproof.bcpl.lower_external import call_external
from callproof.bcpl.lower_objects import ObjectLowering
from callproof.bcpl.lower_values import A_WORD, ZERO, nothing_of
from callproof.bcpl.symbols import ClassInfo, FunctionInfo, Library, SpecialRoutine
from callproof.bcpl.types import check_count
from callproof.bcpl.value_types import FLOAT, STRING, ValueType, described
from callproof.ir import operations as op
from callproof.ir.model import Constant, Operand
from callproof.ir.types import I64
from callproof.runtime.entries import WRITEF, Entry
from callproof.source import Note, Span

FLOAT_DIRECTIVES = frozenset("fF")
NUMBER_DIRECTIVES = frozenset("dixXoNnc")
VALUE_DIRECTIVES = frozenset("dfsSPQNFxXocRin")
PACK_DIRECTIVES = {"P": "PAIR", "Q": "FPAIR", "R": "QUAD"}


class CallLowering(ObjectLowering):
    """Calls."""

    def arguments(
        self, function: FunctionInfo | None, nodes: Sequence[ast.Expression]
    ) -> list[Operand]:
        """Evaluated left to right; converted to a known callee's parameters, as many as it has."""
        if function is None:
            return [self.value(node) for node in nodes]
        found = []
        for index, node in enumerate(nodes):
            if index < len(function.parameters):
                found.append(self.converted(node, function.parameters[index].type))
            else:
                self.value(node)
        for parameter in function.parameters[len(nodes) :]:
            found.append(nothing_of(parameter.type))
        return found

    def call(self, node: ast.Call) -> Operand:
        callee = node.callee
        if isinstance(callee, ast.Name):
            meaning = callee.meaning
            if isinstance(meaning, FunctionInfo):
                if meaning.class_info is not None:
                    return self.own_method(meaning, node)
                check_count(
                    self.module.diagnostics, meaning, len(node.arguments), node.span, strict=False
                )
                return self.call_function(meaning, self.arguments(meaning, node.arguments))
            if isinstance(meaning, ClassInfo):
                return self.make_object(meaning, node)
            if isinstance(meaning, Library):
                return self.library(meaning.entry, node)
            if isinstance(meaning, ExternalInfo):
                return call_external(self, meaning, node)
            if isinstance(meaning, SpecialRoutine):
                return self.special(meaning, node)
        target = self.address_value(callee)
        held = self.module.inference.held_function(callee)
        if held is not None:
            check_count(self.module.diagnostics, held, len(node.arguments), node.span, strict=False)
            arguments = self.arguments(held, node.arguments)
            return self.call_with(target, held, arguments)
        return self.call_value(target, node.arguments, node.span)

    def call_function(self, function: FunctionInfo, arguments: list[Operand]) -> Operand:
        self.module.function_symbol(function)
        return self.call_with(function.symbol, function, arguments)

    def call_value(self, target: Operand, nodes: Sequence[ast.Expression], span: Span) -> Operand:
        """Of a function value nothing is known: words and FLOATs go in, a word comes back."""
        lost = [f for f in self.module.info.functions if f.used_as_value and f.result is FLOAT]
        if lost:
            self.module.diagnostics.warning(
                f"which function this calls is not known: the FLOAT that {lost[0].name} gives "
                "would be lost",
                span,
                [Note(f"{lost[0].name} is used as a value, too", lost[0].declaration.name_span)],
                code="unknown-call",
            )
        arguments = [self.value(node) if node.type is FLOAT else self.bits(node) for node in nodes]
        parameters = tuple(
            Parameter(ABI_F64 if node.type is FLOAT else ABI_I64, "") for node in nodes
        )
        return self.builder.call(target, Signature(parameters, ABI_I64), arguments)[0]

    # --- the library -----------------------------------------------------------------------------

    def library(self, entry: Entry, node: ast.Call) -> Operand:
        parameters = entry.signature.parameters
        if not self.suits(entry.names[0], node, len(parameters), len(parameters)):
            return nothing_of(node.type)
        arguments = []
        for argument, parameter in zip(node.arguments, parameters, strict=True):
            if parameter.type == POINTER:
                arguments.append(self.address_value(argument))
            else:
                wanted = FLOAT if parameter.type == ABI_F64 else A_WORD
                arguments.append(self.converted(argument, wanted))
        return self.runtime_call(entry, *arguments)

    def suits(self, name: str, node: ast.Call, least: int, most: int | None) -> bool:
        """Whether the number of arguments is right; says so if not."""
        given = len(node.arguments)
        if least <= given and (most is None or given <= most):
            return True
        wanted = str(least) if most == least else f"at least {least}" if most is None else ""
        wanted = wanted or f"{least} to {most}"
        plural = "" if wanted == "1" else "s"
        self.module.diagnostics.error(
            f"{name} takes {wanted} argument{plural}, {given} given",
            node.span,
            code="argument-count",
        )
        return False

    def special(self, meaning: SpecialRoutine, node: ast.Call) -> Operand:
        raise AssertionError("provided by LibraryLowering")

    # --- WRITEF ----------------------------------------------------------------------------------

    def writef(self, node: ast.Call) -> Operand:
        """The values go into an array of words: FLOATs as their bits (reference 11.1)."""
        builder = self.builder
        format_node, *values = node.arguments
        wanted: list[str] = []
        if isinstance(format_node, ast.StringLiteral):
            wanted = directives(format_node.value, len(values))
            if len(wanted) != len(values):
                self.module.diagnostics.warning(
                    f"this format takes {len(wanted)} value{'' if len(wanted) == 1 else 's'}, "
                    f"{len(values)} given",
                    node.span,
                    code="format-count",
                )
        format_ = self.address_value(format_node)
        words = []
        for index, value in enumerate(values):
            letter = wanted[index] if index < len(wanted) else ""
            words.append(self.directive_value(value, letter))
        array: Operand = ZERO
        if words:
            array = builder.slot(8 * len(words), 8, "values")
            for index, word in enumerate(words):
                builder.store(I64, word, array, 8 * index)
        count = Constant(I64, len(words))
        self.runtime_call(WRITEF, format_, count, array)
        return ZERO

    def directive_value(self, node: ast.Expression, letter: str) -> Operand:
        """A word for a directive; converted if the format says that the class does not suit."""
        type_: ValueType = node.type
        if letter and not fits(letter, type_):
            self.module.diagnostics.warning(
                f"%{letter} cannot print {described(type_)}", node.span, code="format-class"
            )
            return self.bits(node)
        if letter and letter in FLOAT_DIRECTIVES and type_ is not FLOAT:
            return self.builder.value(op.BITCAST, I64, self.converted(node, FLOAT))
        if letter and letter in NUMBER_DIRECTIVES and type_ is FLOAT:
            return self.converted(node, A_WORD)
        return self.bits(node)


def fits(letter: str, type_: ValueType) -> bool:
    """Whether a directive can print a value of that class, as far as that is known."""
    is_address = type_ is STRING or type_.is_vector or type_.is_list or type_.class_info is not None
    if letter in FLOAT_DIRECTIVES:
        return not is_address and type_.pack is None
    if letter in NUMBER_DIRECTIVES:
        return type_.pack is None or letter in "xX"
    if letter in "sS":
        return type_ is not FLOAT and type_.pack is None and not type_.is_list
    return type_.name in ("WORD", "INTEGER", PACK_DIRECTIVES.get(letter, ""))


def directives(text: str, given: int) -> list[str]:
    """The letters of a literal format's directives that take a value, of which `given` are.

    `%n` takes one if there is one left for it, and else is a new line.
    """
    found = []
    index = 0
    while index + 1 < len(text):
        if text[index] != "%":
            index += 1
            continue
        letter = text[index + 1]
        end = index + 2
        if letter == ".":
            while end < len(text) and text[end].isdigit():
                end += 1
            if end < len(text) and text[end] in "fF" and end > index + 2:
                found.append("f")
                end += 1
        elif letter in VALUE_DIRECTIVES and (letter != "n" or len(found) < given):
            found.append(letter)
        index = end
    return found


def check_special(lowering: CallLowering, meaning: SpecialRoutine, node: ast.Call) -> bool:
    special = meaning.special
    return lowering.suits(meaning.name, node, special.least, special.most)
