"""Lowering of declarations and assignments: places to store to, packs taken apart."""

from __future__ import annotations

from collections.abc import Callable

from callproof.bcpl import nodes as ast
from callproof.bcpl.lower_expressions import ExpressionLowering
from callproof.bcpl.lower_values import A_WORD, ZERO
from callproof.bcpl.symbols import FieldInfo, Variable
from callproof.bcpl.value_types import FLOAT, INTEGER, ValueType, described
from callproof.ir import operations as op
from callproof.ir.model import Operand
from callproof.ir.types import I64
from callproof.source import Note, Span

PLACE = tuple[Callable[[Operand], None], ValueType]


class AssignmentLowering(ExpressionLowering):
    """LET and `:=`."""

    def let(self, node: ast.Let) -> None:
        variables = self.module.locals_of[node]
        for variable, value in zip(
            variables, self.first_values(variables, node.values, node.span), strict=True
        ):
            self.declare(variable, value)

    def first_values(
        self, variables: list[Variable], values: list[ast.Expression], span: Span
    ) -> list[Operand]:
        """All values, converted to the variables' classes; the lanes of a single pack."""
        if len(values) == len(variables):
            return [self.converted(v, w.type) for v, w in zip(values, variables, strict=True)]
        lanes = self.taken_apart(values[0], len(variables), span)
        return [
            self.convert(lane, type_, variable.type)
            for (lane, type_), variable in zip(lanes, variables, strict=True)
        ]

    def taken_apart(
        self, node: ast.Expression, count: int, span: Span
    ) -> list[tuple[Operand, ValueType]]:
        """The lanes of a pack, with their class; a message and zeros if it has not so many."""
        type_: ValueType = node.type
        pack = type_.pack
        if pack is None or pack.lanes != count:
            what = "which is no pack" if pack is None else f"{described(type_)}"
            self.module.diagnostics.error(
                f"{count} names, but only one value, {what}",
                span,
                self.as_hint() if pack is None else (),
            )
            return [(ZERO, INTEGER)] * count
        value = self.value(node)
        lane_type = FLOAT if pack.is_float else INTEGER
        return [(self.widened(pack, lane), lane_type) for lane in self.lanes(pack, value)]

    def assignment(self, node: ast.Assignment) -> None:
        """All values first, then all targets; a single one needs no such care."""
        if len(node.values) == len(node.targets):
            values = [(self.value(value), value.type) for value in node.values]
        else:
            values = self.taken_apart(node.values[0], len(node.targets), node.span)
        for target, (value, type_) in zip(node.targets, values, strict=True):
            store, wanted = self.place(target)
            self.check_pack(target, type_, wanted, node.span)
            store(self.convert(value, type_, wanted))

    def check_pack(
        self, target: ast.Expression, given: ValueType, wanted: ValueType, span: Span
    ) -> None:
        """Packs do not become numbers by themselves; FLOATs become words, but not silently."""
        if (
            given is FLOAT
            and wanted is not FLOAT
            and (target.type is None or target.type.pack is None)
        ):
            self.module.diagnostics.warning(
                "a FLOAT is truncated here to be stored in a word",
                span,
                [Note("write FIX(...) if that is meant")],
                code="truncation",
            )
        if given.pack is not None and wanted is FLOAT:
            self.module.diagnostics.error(f"{described(given)} is no number", span, code="type")
        elif given is FLOAT and target.type is not None and target.type.pack is not None:
            self.module.diagnostics.error(f"a number is no {target.type!r}", span, code="type")
        elif given.pack is not None and wanted.pack is not None:
            self.different_packs(given, wanted, span)

    # --- places ----------------------------------------------------------------------------------

    def place(self, node: ast.Expression) -> PLACE:
        """How to assign to a target, and the class that it takes."""
        if isinstance(node, ast.Name):
            meaning = node.meaning
            if isinstance(meaning, FieldInfo):
                return self.store_at(self.this(), meaning.offset, meaning.variable.type)
            assert isinstance(meaning, Variable)
            variable = meaning
            return (lambda value: self.write_variable(variable, value)), variable.type
        if isinstance(node, ast.FieldAccess):
            return self.field_place(node)
        if isinstance(node, ast.BitField):
            return self.bit_field_place(node)
        if isinstance(node, ast.Lane):
            return self.lane_place(node)
        if isinstance(node, ast.Unary):
            address = self.address_value(node.operand)
            if node.operator == "%":
                return self.store_character(address, 0)
            return self.store_at(address, 0, A_WORD)
        assert isinstance(node, ast.Binary)
        base = self.address_value(node.left)
        index = self.converted(node.right, A_WORD)
        if node.left.type.is_list:
            self.module.diagnostics.error(
                "l!i of a LIST is a node and cannot be assigned to", node.span, code="type"
            )
        if self.module.options.bounds_check:
            self.check_constant_index(node, index)
        address, offset = self.element(node.operator, base, index)
        if node.operator == "%":
            return self.store_character(address, offset)
        typed = node.type is FLOAT or node.type.pack is not None
        return self.store_at(address, offset, node.type if typed else A_WORD)

    def field_place(self, node: ast.FieldAccess) -> PLACE:
        base = self.address_value(node.receiver)
        type_: ValueType = node.type

        def store(value: Operand) -> None:
            def put(field: FieldInfo) -> Operand:
                kind = field.variable.type
                self.store_value(kind, self.convert(value, type_, kind), base, field.offset)
                return ZERO

            self.each_field(node, base, INTEGER, put)

        return store, type_

    def lane_place(self, node: ast.Lane) -> PLACE:
        """The pack is read, rebuilt and stored back where it was."""
        field = self.as_field(node)
        if field is not None:
            return self.field_place(field)
        pack = self.pack_of(node)
        if pack is None:
            return (lambda value: None), INTEGER
        read, write = self.read_and_write(node.pack)
        index = self.lane_index(node, pack)
        lane_type = FLOAT if pack.is_float else INTEGER

        def store(value: Operand) -> None:
            lane = self.narrowed(pack, value, lane_type)
            write(self.with_lane(pack, read(), index, lane))

        return store, lane_type

    def bit_field_place(self, node: ast.BitField) -> PLACE:
        """The word is read, changed and written; its address is computed once."""
        type_: ValueType = node.word.type
        is_variable = isinstance(node.word, ast.Name) and isinstance(node.word.meaning, Variable)
        if type_ is FLOAT and not is_variable:
            self.module.diagnostics.error("a FLOAT has no bit fields", node.word.span, code="type")
        read, write = self.read_and_write(node.word)
        start, mask = self.field_bounds(node)

        def store(value: Operand) -> None:
            word = self.convert(read(), type_, INTEGER)
            changed = self.inserted(word, start, mask, value)
            write(self.convert(changed, INTEGER, type_))

        return store, INTEGER

    def read_and_write(
        self, node: ast.Expression
    ) -> tuple[Callable[[], Operand], Callable[[Operand], None]]:
        """A place as two functions; what it takes to get there is done once."""
        if isinstance(node, ast.Name) and isinstance(node.meaning, Variable):
            variable = node.meaning
            return (
                lambda: self.read_variable(variable),
                lambda value: self.write_variable(variable, value),
            )
        if isinstance(node, ast.Lane):
            self.module.diagnostics.error("a lane has no lanes", node.span, code="type")
            return (lambda: ZERO), (lambda value: None)
        address = self.address(node)
        if isinstance(node, ast.Binary | ast.Unary) and node.operator == "%":
            return (
                lambda: self.load(op.LOAD_S32, address),
                lambda value: self.store_character(address, 0)[0](value),
            )
        kind = node.type if node.type.pack is not None else A_WORD
        return (
            lambda: self.load_value(kind, address),
            lambda value: self.store_value(kind, value, address),
        )

    def store_at(self, base: Operand, offset: int, type_: ValueType) -> PLACE:
        return (lambda value: self.store_value(type_, value, base, offset)), type_

    def store_character(self, address: Operand, offset: int) -> PLACE:
        def store(value: Operand) -> None:
            self.builder.emit(op.STORE32, I64, [value, address], offset=offset)

        return store, INTEGER
