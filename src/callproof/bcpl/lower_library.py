"""Lowering of the special library routines (`symbols.SPECIALS`), and of loops over lists."""

from __future__ import annotations

from collections.abc import Callable

from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import F64 as ABI_F64
from callproof.abi.types import I64 as ABI_I64
from callproof.bcpl import lower_vectors
from callproof.bcpl import nodes as ast
from callproof.bcpl.infer_library import element_of, function_result
from callproof.bcpl.lower_calls import CallLowering, check_special
from callproof.bcpl.lower_values import A_WORD, ONE, ZERO, nothing_of
from callproof.bcpl.symbols import FunctionInfo, SpecialRoutine
from callproof.bcpl.value_types import (
    FLOAT,
    INTEGER,
    NULL,
    VEC,
    ValueType,
    described,
    list_of,
    tag_of,
)
from callproof.ir import operations as op
from callproof.ir.model import Block, Constant, Operand, Symbol
from callproof.ir.types import I64
from callproof.runtime import entries

LENGTH_AT, HEAD_AT = 8, 16  # in a list's header
VALUE_AT, NEXT_AT = 8, 16  # in a node


class LibraryLowering(CallLowering):
    """Library routines that are more than a call of one C function."""

    def special(self, meaning: SpecialRoutine, node: ast.Call) -> Operand:
        if not check_special(self, meaning, node):
            return nothing_of(node.type)
        return SPECIAL_LOWERINGS[meaning.name](self, meaning.name, node)

    # --- lists ---------------------------------------------------------------------------------

    def walk_list(self, items: Operand, body: Callable[[Operand, Block, Block], None]) -> None:
        """`body(node, end, again)` for each node, as many as there are when the loop begins."""
        builder = self.builder
        begin, head = builder.new_block("list"), builder.new_block("nodes")
        inside, again = builder.new_block("node"), builder.new_block("next")
        end = builder.new_block("endlist")
        left, node = object(), object()
        builder.declare(left, I64, "left")
        builder.declare(node, I64, "node")
        builder.branch(items, begin, end)
        builder.start(begin)
        builder.write(left, builder.load(I64, items, LENGTH_AT, "length"))
        builder.write(node, builder.load(I64, items, HEAD_AT, "head"))
        builder.jump(head)
        builder.start(head, seal=False)
        builder.branch(builder.value(op.SGT, I64, builder.read(left), ZERO), inside, end)
        builder.start(inside)
        body(builder.read(node), end, again)
        self.go(again)
        builder.start(again)
        builder.write(left, builder.value(op.SUB, I64, builder.read(left), ONE))
        builder.write(node, builder.load(I64, builder.read(node), NEXT_AT))
        builder.jump(head)
        builder.seal(head)
        builder.start(end)

    def node_value(self, node: Operand, element: ValueType, wanted: ValueType) -> Operand:
        """What is in a node, as the class that is wanted; a FLOAT by what the node's tag says."""
        if wanted is FLOAT:
            return self.runtime_call(entries.HD_FLOAT, node)
        word = self.builder.load(I64, node, VALUE_AT, "value")
        return self.convert(self.from_bits(word, element), element, wanted)

    def make_list(self, node: ast.Constructor) -> Operand:
        values = [(self.bits(element), element.type) for element in node.elements]
        made = self.runtime_call(entries.LIST)
        for value, type_ in values:
            self.append(made, type_, value)
        return made

    def append(self, items: Operand, type_: ValueType, bits: Operand) -> Operand:
        return self.runtime_call(entries.APPEND, items, Constant(I64, tag_of(type_)), bits)

    def append_call(self, name: str, node: ast.Call) -> Operand:
        """APND by the class of the value; the others convert to theirs."""
        items = self.list_value(node.arguments[0])
        value = node.arguments[1]
        type_: ValueType = value.type
        if name == "FPND":
            return self.append(items, FLOAT, self.as_bits(self.converted(value, FLOAT), FLOAT))
        bits = self.bits(value)
        if name == "LPND":
            type_ = list_of(None)
        elif name == "SPND":
            return self.runtime_call(entries.APPEND, items, Constant(I64, 3), bits)
        return self.append(items, type_, bits)

    def list_function(self, name: str, node: ast.Call) -> Operand:
        arguments = [self.list_value(argument) for argument in node.arguments]
        return self.runtime_call(entries.LIST_FUNCTIONS[name], *arguments)

    def find(self, name: str, node: ast.Call) -> Operand:
        items = self.list_value(node.arguments[0])
        value = node.arguments[1]
        tag = Constant(I64, tag_of(value.type))
        return self.runtime_call(entries.FIND, items, tag, self.bits(value))

    def atom(self, name: str, node: ast.Call) -> Operand:
        """AS_x of a node: its payload; of anything else: the value itself."""
        (argument,) = node.arguments
        type_: ValueType = argument.type
        value = self.value(argument)
        if not type_.is_node:
            if name == "AS_FLOAT" and type_.name == "WORD":
                return self.from_bits(value, FLOAT)  # a FLOAT that went through a word
            return self.convert(value, type_, FLOAT if name == "AS_FLOAT" else A_WORD)
        return self.runtime_call(entries.ATOMS[name], value)

    def applied(
        self, function: ast.Expression, element: ValueType
    ) -> tuple[Callable[[Operand], Operand], ValueType]:
        """How to call a function of one argument with a node, and the class that it gives."""

        def first_of(known: FunctionInfo, node: Operand) -> list[Operand]:
            types = [parameter.type for parameter in known.parameters]
            found = [self.node_value(node, element, type_) for type_ in types[:1]]
            return found + [nothing_of(type_) for type_ in types[1:]]

        if (
            isinstance(function, ast.Name)
            and isinstance(function.meaning, FunctionInfo)
            and function.meaning.class_info is None
        ):
            known = function.meaning
            return lambda node: self.call_function(known, first_of(known, node)), known.result
        target = self.address_value(function)
        held = self.module.inference.held_function(function)
        if held is not None:
            call_held: Callable[[Operand], Operand] = lambda node: self.call_with(
                target, held, first_of(held, node)
            )
            return call_held, held.result
        kind = ABI_F64 if element is FLOAT else ABI_I64
        signature = Signature((Parameter(kind, ""),), ABI_I64)

        def call_value(node: Operand) -> Operand:
            argument = self.node_value(node, element, element)
            if element is not FLOAT:
                argument = self.as_bits(argument, element)
            return self.builder.call(target, signature, [argument])[0]

        return call_value, function_result(function)

    def map(self, name: str, node: ast.Call) -> Operand:
        items = self.list_value(node.arguments[0])
        apply, result = self.applied(node.arguments[1], element_of(node.arguments[0].type))
        made = self.runtime_call(entries.LIST)
        self.walk_list(
            items,
            lambda atom, end, again: self._drop(
                self.append(made, result, self.as_bits(apply(atom), result))
            ),
        )
        return made

    def _drop(self, value: Operand) -> None:
        """A value that nobody wants."""

    def filter(self, name: str, node: ast.Call) -> Operand:
        items = self.list_value(node.arguments[0])
        apply, result = self.applied(node.arguments[1], element_of(node.arguments[0].type))
        made = self.runtime_call(entries.LIST)

        def keep(atom: Operand, end: Block, again: Block) -> None:
            builder = self.builder
            chosen = builder.new_block("keep")
            verdict = apply(atom)
            builder.branch(self.is_true(verdict, result), chosen, again)
            builder.start(chosen)
            tag = self.load(op.LOAD_S32, atom)
            value = builder.load(I64, atom, VALUE_AT)
            self.runtime_call(entries.APPEND, made, tag, value)

        self.walk_list(items, keep)
        return made

    # --- MIN, MAX, SUM, PAIRWISE ------------------------------------------------------------------

    def common_class(self, name: str, node: ast.Call) -> ValueType | None:
        """The class of all arguments, null aside; a message and None if they differ."""
        types: list[ValueType] = [argument.type for argument in node.arguments]
        types = [type_ for type_ in types if type_ is not NULL]
        if len(set(types)) == 1:
            return types[0]
        self.module.diagnostics.error(
            f"{name} cannot combine {described(types[0])} with {described(types[1])}",
            node.span,
            code="type",
        )
        return None

    def extreme(self, name: str, node: ast.Call) -> Operand:
        types: list[ValueType] = [argument.type for argument in node.arguments]
        values = [self.value(argument) for argument in node.arguments]
        if any(type_.is_vector or type_.pack is not None for type_ in types):
            common = self.common_class(name, node)
            if common is None:
                return nothing_of(node.type)
            pack = common.pack
            if pack is None:
                return self._whole_vectors(name, common, values)
            if len(values) == 2:
                return self.combined_packs(name, pack, *values)
            return self.reduced_pack(name, pack, values[0])
        if len(values) == 1:
            return values[0]
        a, b = (self.convert(v, t, node.type) for v, t in zip(values, types, strict=True))
        return self.combined(name, node.type is FLOAT, a, b)

    def _whole_vectors(self, name: str, vector: ValueType, values: list[Operand]) -> Operand:
        if len(values) == 2:
            return self.vector_operation(name, vector, *values)
        symbol, signature = lower_vectors.reduction(self.module, name, vector)
        results = self.builder.call(symbol, signature, values)
        assert vector.element is not None
        return self.received(vector.element, results, packs_as_words=False)

    def pairwise(self, name: str, node: ast.Call) -> Operand:
        values = [self.value(argument) for argument in node.arguments]
        short = name.removeprefix("PAIRWISE_")
        common = self.common_class(name, node)
        if common is None:
            return nothing_of(node.type)
        pack = common.pack
        if pack is not None:
            if len(values) == 1:
                return self.reduced_pack(short, pack, values[0])
            return self.pairwise_packs(short, pack, *values)
        if not common.is_vector:  # nothing is known of it: words
            values = [self.convert(value, common, A_WORD) for value in values]
            common = VEC
        symbol, signature = lower_vectors.pairwise(self.module, short, common)
        second = values[1] if len(values) == 2 else ZERO
        return self.builder.call(symbol, signature, [values[0], second])[0]

    # --- the rest ------------------------------------------------------------------------------

    def length_call(self, name: str, node: ast.Call) -> Operand:
        (argument,) = node.arguments
        return self.length(self.value(argument), argument.type, node.span)

    def to_float(self, name: str, node: ast.Call) -> Operand:
        return self.converted(node.arguments[0], FLOAT)

    def first_only(self, name: str, node: ast.Call) -> Operand:
        """BCPL_ALLOC_WORDS: what follows the size named variables of the old allocator."""
        size, *others = (self.converted(argument, INTEGER) for argument in node.arguments)
        del others
        return self.runtime_call(entries.ENTRIES["GETVEC"], size)

    def freevec(self, name: str, node: ast.Call) -> Operand:
        self.free_vector(node.arguments[0])
        return ZERO

    def free_vector(self, node: ast.Expression) -> None:
        """The runtime only wants to know, and where, in case that it is done twice."""
        vector = self.address_value(node)
        file = Symbol(self.module.c_string(node.span.file.name))
        self.runtime_call(entries.FREEVEC, vector, file, Constant(I64, node.span.line))

    def evaluated(self, name: str, node: ast.Call) -> Operand:
        """Releasing is optional: the operand is evaluated."""
        for argument in node.arguments:
            self.value(argument)
        return ZERO

    def set_type(self, name: str, node: ast.Call) -> Operand:
        """All is done by inference."""
        first = node.arguments[0]
        if not isinstance(first, ast.Name) or self.module.inference.variable_of(first) is None:
            self.module.diagnostics.error("SETTYPE takes a variable", first.span)
        return ZERO


SPECIAL_LOWERINGS: dict[str, Callable[[LibraryLowering, str, ast.Call], Operand]] = {
    "WRITEF": lambda self, name, node: self.writef(node),
    **{f"WRITEF{n}": (lambda self, name, node: self.writef(node)) for n in range(1, 8)},
    "LENGTH": LibraryLowering.length_call,
    "FLTOFX": LibraryLowering.to_float,
    "MIN": LibraryLowering.extreme,
    "MAX": LibraryLowering.extreme,
    "SUM": LibraryLowering.extreme,
    "PAIRWISE_MIN": LibraryLowering.pairwise,
    "PAIRWISE_MAX": LibraryLowering.pairwise,
    "PAIRWISE_ADD": LibraryLowering.pairwise,
    "APND": LibraryLowering.append_call,
    "FPND": LibraryLowering.append_call,
    "SPND": LibraryLowering.append_call,
    "LPND": LibraryLowering.append_call,
    "CONCAT": LibraryLowering.list_function,
    "COPYLIST": LibraryLowering.list_function,
    "DEEPCOPYLIST": LibraryLowering.list_function,
    "REVERSE": LibraryLowering.list_function,
    "FIND": LibraryLowering.find,
    "FILTER": LibraryLowering.filter,
    "MAP": LibraryLowering.map,
    "AS_INT": LibraryLowering.atom,
    "AS_FLOAT": LibraryLowering.atom,
    "AS_STRING": LibraryLowering.atom,
    "AS_LIST": LibraryLowering.atom,
    "FREEVEC": LibraryLowering.freevec,
    "BCPL_FREE_LIST": LibraryLowering.evaluated,
    "BCPL_ALLOC_WORDS": LibraryLowering.first_only,
    "SETTYPE": LibraryLowering.set_type,
}
