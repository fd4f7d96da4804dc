"""Expressions that are neither operators, nor accesses, nor calls: literals, variables."""

from __future__ import annotations

from callproof.ir.model import Symbol
from callproof.runtime import sox_layout as layout
from callproof.sox import nodes as ast
from callproof.sox.lower_access import AccessLowering
from callproof.sox.lower_allocation import new_closure
from callproof.sox.lower_state import EXPRESSIONS
from callproof.sox.symbols import FunctionInfo
from callproof.sox.values import (
    NIL,
    SoxValue,
    boolean_value,
    constant_number,
    object_value,
    word,
)


class ExpressionLowering(AccessLowering):
    """See the module."""

    def nil(self, node: ast.Nil) -> SoxValue:
        return NIL

    def boolean(self, node: ast.Boolean) -> SoxValue:
        return boolean_value(word(int(node.value)))

    def number_literal(self, node: ast.Number) -> SoxValue:
        return constant_number(node.value)

    def string(self, node: ast.String) -> SoxValue:
        return object_value(layout.STRING, self.program.string_object(node.value))

    def variable(self, node: ast.Variable) -> SoxValue:
        self.at(node)
        return self.read(node.meaning)

    def assign(self, node: ast.Assign) -> SoxValue:
        value = self.expression(node.value)
        self.at(node)
        self.write(node.meaning, value)
        return value

    def this(self, node: ast.This) -> SoxValue:
        return self.this_value(node.meaning)

    def table(self, node: ast.TableLiteral) -> SoxValue:
        if not node.keys:
            self.at(node)
            return object_value(layout.TABLE, self.runtime("sox_table")[1])
        pairs = []
        for key, value in zip(node.keys, node.values, strict=True):
            pairs.append(object_value(layout.STRING, self.program.string_object(key)))
            pairs.append(self.expression(value))
        self.at(node)
        count = word(len(node.keys))
        return object_value(
            layout.TABLE, self.runtime("sox_table_literal", count, self.spill(pairs))[1]
        )

    def array(self, node: ast.ArrayLiteral) -> SoxValue:
        elements = [self.expression(one) for one in node.elements]
        self.at(node)
        place = self.spill(elements) if elements else word(0)
        return object_value(layout.ARRAY, self.runtime("sox_array", word(len(elements)), place)[1])

    def closure(self, function: FunctionInfo, *, once: bool = False) -> SoxValue:
        """A new closure, or a static one for what is made `once` and captures nothing."""
        program = self.program
        if once and not function.captures:
            return object_value(layout.CLOSURE, Symbol(program.static_closure(function)))
        captures = [self.captured(one.source) for one in function.captures]
        return new_closure(self, function, captures)

    def function_expression(self, node: ast.FunctionExpression) -> SoxValue:
        self.at(node)
        return self.closure(node.function)


EXPRESSIONS.update(
    {
        ast.Nil: ExpressionLowering.nil,
        ast.Boolean: ExpressionLowering.boolean,
        ast.Number: ExpressionLowering.number_literal,
        ast.String: ExpressionLowering.string,
        ast.Variable: ExpressionLowering.variable,
        ast.Assign: ExpressionLowering.assign,
        ast.This: ExpressionLowering.this,
        ast.TableLiteral: ExpressionLowering.table,
        ast.ArrayLiteral: ExpressionLowering.array,
        ast.FunctionExpression: ExpressionLowering.function_expression,
    }
)
