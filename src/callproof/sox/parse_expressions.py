"""Expressions: a Pratt parser with the precedences of the reference (section 2)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from callproof.source import Span
from callproof.sox import nodes as ast
from callproof.sox.lexer import NAME, NUMBER, STRING
from callproof.sox.parse_base import MAXIMUM_DEPTH, ParserBase
from callproof.sox.symbols import (
    DEFER,
    FUNCTION,
    SET,
    ClassInfo,
    FunctionInfo,
    GlobalInfo,
    LocalInfo,
    Parameter,
)

# Loose to tight.
NONE, ASSIGNMENT, OR, AND, EQUALITY, COMPARISON, TERM, FACTOR, UNARY, CALL = range(10)

MOST_PARAMETERS = 255  # and arguments

BAD_KEY = "Expect property key (identifier or string) in table literal."
_ARRAY_HINT = "arrays are written {a, b}"


class ExpressionParser(ParserBase, ABC):
    """`height` is that of the highest tree parsed since whoever asks set it to 0."""

    def expression(self) -> ast.Expression:
        return self.precedence(ASSIGNMENT)

    def precedence(self, least: int) -> ast.Expression:
        """An expression whose operators all bind at least as tight as `least`."""
        outer_height = self.height
        self.height = 0
        depth = self.depth = self.depth + 1
        if depth > MAXIMUM_DEPTH:
            self.too_deep()
        kind = self.kind
        start = self.advance()
        prefix = PREFIX.get(kind)
        if prefix is None:
            self.error("Expect expression.", _ARRAY_HINT if kind == "[" else "")
            self.depth = depth - 1
            self.height = outer_height
            return ast.Nil(self.span(start), self.line)
        can_assign = least <= ASSIGNMENT
        left = prefix(self, can_assign)
        height = self.height + 1
        while True:
            infix = INFIX.get(self.kind)
            if infix is None or infix[0] < least:
                break
            self.height = 0
            self.advance()
            left = infix[1](self, left, can_assign)
            height = (self.height if self.height > height else height) + 1
            self.height = height
            if depth + height >= MAXIMUM_DEPTH:  # the tree has grown to the left
                self.too_deep()
        self.depth = depth - 1
        self.height = outer_height if outer_height > height else height
        if can_assign and self.match("="):
            self.error("Invalid assignment target.")
        return left

    # --- operands -------------------------------------------------------------------------

    def nil(self, can_assign: bool) -> ast.Expression:
        return ast.Nil(self.span(self.taken), self.line)

    def boolean(self, can_assign: bool) -> ast.Expression:
        token = self.taken
        return ast.Boolean(self.span(token), self.line, self.kinds[token] == "true")

    def number(self, can_assign: bool) -> ast.Expression:
        token = self.taken
        span = Span(self.source, self.starts[token], self.ends[token])
        return ast.Number(span, self.lines[token], float(self.texts[token]))

    def string(self, can_assign: bool) -> ast.Expression:
        token = self.taken
        text = self.texts[token][1:-1].encode("latin-1")
        return ast.String(self.span(token), self.lines[token], text)

    def variable(self, can_assign: bool) -> ast.Expression:
        token = self.taken
        name = self.texts[token]
        # The reference looks the name up before it knows whether it is assigned to.
        if can_assign and self.kind == "=":
            meaning = self.resolver.assign(name)
            self.advance()
            value = self.expression()
            span = self.since(self.starts[token])
            assign = ast.Assign(span, self.line, name, value, meaning)
            if isinstance(meaning, GlobalInfo):
                meaning.assignments.append(assign)
            return assign
        meaning = self.resolver.read(name)
        if self.kind == "(" and isinstance(meaning, GlobalInfo):
            meaning.calls += 1
        span = Span(self.source, self.starts[token], self.ends[token])
        return ast.Variable(span, self.lines[token], name, meaning)

    def this(self, can_assign: bool) -> ast.Expression:
        token, line = self.taken, self.line
        found = self.resolver.this() if self.resolver.classes is not None else None
        if found is None:
            self.error_of_meaning("Can't use 'this' outside of a class.")
            return ast.Nil(self.span(token), line)
        return ast.This(self.span(token), line, found)

    def parent(self, can_assign: bool) -> ast.Expression:
        start = self.starts[self.taken]
        owner = self.resolver.classes
        if owner is None:
            self.error_of_meaning("Can't use 'super' outside of a class.")
        elif owner.superclass is None:
            self.error_of_meaning("Can't use 'super' in a class with no superclass.")
        self.consume(".", "Expect '.' after 'super'.")
        name = self.name("Expect superclass method name.")
        line = self.line
        this = self.resolver.this()
        arguments = self.arguments() if self.match("(") else None
        parent = self.resolver.parent()
        if owner is None or this is None or parent is None:
            return ast.Nil(self.since(start), line)
        node: ast.SuperGet | ast.SuperInvoke
        if arguments is None:
            node = ast.SuperGet(self.since(start), line, name, this, parent)
        else:
            line = self.line
            node = ast.SuperInvoke(self.since(start), line, name, arguments, this, parent)
        self.resolver.scope.info.supers.append(node)
        return node

    def grouping(self, can_assign: bool) -> ast.Expression:
        inner = self.expression()
        self.consume(")", "Expect ')' after expression.")
        return inner

    def braces(self, can_assign: bool) -> ast.Expression:
        """A table if it is empty or begins with a key and a colon, else an array."""
        key = self.kind in (NAME, STRING) and self.peek() == ":"
        if key or self.kind == "}":
            return self.table()
        return self.array()

    def table(self) -> ast.Expression:
        start = self.starts[self.taken]
        keys: list[bytes] = []
        values: list[ast.Expression] = []
        while self.kind != "}":
            if self.kind not in (NAME, STRING):
                self.error_at_current(
                    "Expect property key (identifier or string) in table literal."
                )
                break
            key = self.advance()
            keys.append(self.texts[key].strip('"').encode("latin-1"))
            self.consume(":", "Expect ':' after table key.")
            values.append(self.expression())
            if not self.match(","):
                break
        self.consume("}", "Expect '}' after table literal.")
        return ast.TableLiteral(self.since(start), self.line, keys, values)

    def array(self) -> ast.Expression:
        """The elements of an array whose `{` was taken; at least one."""
        start = self.starts[self.taken]
        elements = [self.expression()]
        while self.match(","):
            elements.append(self.expression())
        self.consume("}", "Expect '}' after array values")
        return ast.ArrayLiteral(self.since(start), self.line, elements)

    def function_expression(self, can_assign: bool) -> ast.Expression:
        token = self.taken
        if self.kind != "(":  # to the reference a `fn` is never an expression
            self.error("Expect expression.")
            return ast.Nil(self.span(token), self.line)
        function = self.function("anonymous", FUNCTION, token)
        return ast.FunctionExpression(self.since(self.starts[token]), self.line, function)

    # --- operators ------------------------------------------------------------------------

    def unary(self, can_assign: bool) -> ast.Expression:
        operator = self.taken
        operand = self.precedence(UNARY)
        span = self.since(self.starts[operator])
        return ast.Unary(span, self.line, self.kinds[operator], operand)

    def binary(self, left: ast.Expression, can_assign: bool) -> ast.Expression:
        operator = self.kinds[self.taken]
        right = self.precedence(INFIX[operator][0] + 1)
        return ast.Binary(self.since(left.span.start), self.line, operator, left, right)

    def logical(self, left: ast.Expression, can_assign: bool) -> ast.Expression:
        operator = self.kinds[self.taken]
        right = self.precedence(INFIX[operator][0] + 1)
        return ast.Logical(self.since(left.span.start), self.line, operator, left, right)

    def call(self, left: ast.Expression, can_assign: bool) -> ast.Expression:
        arguments = self.arguments()
        return ast.Call(self.since(left.span.start), self.line, left, arguments)

    def arguments(self) -> list[ast.Expression]:
        """After `(`, the closing one included."""
        found: list[ast.Expression] = []
        if self.kind != ")":
            while True:
                found.append(self.expression())
                if len(found) == MOST_PARAMETERS + 1:
                    self.error("Can't have more than 255 arguments.")
                if not self.match(","):
                    break
        self.consume(")", "Expect ')' after arguments.")
        return found

    def dot(self, left: ast.Expression, can_assign: bool) -> ast.Expression:
        name = self.name("Expect property name after '.'.")
        line = self.line
        if can_assign and self.match("="):
            value = self.expression()
            return ast.Set(self.since(left.span.start), self.line, left, name, value)
        if self.match("("):
            arguments = self.arguments()
            return ast.Invoke(self.since(left.span.start), self.line, left, name, arguments)
        return ast.Get(self.since(left.span.start), line, left, name)

    def index(self, left: ast.Expression, can_assign: bool) -> ast.Expression:
        first: ast.Expression | None = None
        if self.kind != ":":
            first = self.expression()
            if self.kind != ":":
                self.consume("]", "Expect ']' after indexing expression.")
                return self.element(left, first, can_assign)
        self.consume(":", "Expect ':' in range index.")
        last = self.expression() if self.kind != "]" else None
        self.consume("]", "Expect ']' after range.")
        return ast.Slice(self.since(left.span.start), self.line, left, first, last)

    def element(
        self, left: ast.Expression, index: ast.Expression, can_assign: bool
    ) -> ast.Expression:
        if can_assign and self.match("="):
            value = self.expression()
            return ast.SetIndex(self.since(left.span.start), self.line, left, index, value)
        return ast.Index(self.since(left.span.start), self.line, left, index)

    # --- functions ------------------------------------------------------------------------

    def function(
        self, name: str, kind: str, start: int, owner: ClassInfo | None = None
    ) -> FunctionInfo:
        """Parameters and body; everything before the `(` was taken, from the token `start` on."""
        scope = self.resolver.scope
        info = FunctionInfo(name, kind, self.span(start), self.module, scope.info, owner=owner)
        info.line = self.line
        self.resolver.begin_function(info)
        after = "declaration" if kind == DEFER else "name"
        self.consume("(", f"Expect '(' after function {after}.")
        if self.kind != ")":
            self.parameters(info)
        self.consume(")", "Expect ')' after parameters.")
        self.consume("{", "Expect '{' before function body.")
        info.body = self.block_body()
        info.span = self.since(self.starts[start])
        info.end_line = self.line
        self.resolver.end_function()
        return info

    def parameters(self, info: FunctionInfo) -> None:
        while True:
            if len(info.parameters) == MOST_PARAMETERS:
                self.error_at_current("Can't have more than 255 parameters.")
            name = self.name("Expect parameter name.")
            local = self.resolver.declare(name, self.span(self.taken))
            assert isinstance(local, LocalInfo)
            local.is_parameter = True
            default: ast.Expression | None = None
            if self.match("="):
                default = self.expression()
            elif info.parameters and info.parameters[-1].default is not None:
                self.error("Expect a default value: the parameter before has one.")
            local.state = SET
            info.parameters.append(Parameter(local, default))
            if not self.match(","):
                return

    @abstractmethod
    def block_body(self) -> list[ast.Statement]:
        """Declarations up to and including `}`."""


Prefix = Callable[[ExpressionParser, bool], ast.Expression]
Infix = Callable[[ExpressionParser, ast.Expression, bool], ast.Expression]
P = ExpressionParser

PREFIX: dict[str, Prefix] = {
    "nil": P.nil,
    "true": P.boolean,
    "false": P.boolean,
    NUMBER: P.number,
    STRING: P.string,
    NAME: P.variable,
    "this": P.this,
    "super": P.parent,
    "(": P.grouping,
    "{": P.braces,
    "fn": P.function_expression,
    "-": P.unary,
    "!": P.unary,
}

INFIX: dict[str, tuple[int, Infix]] = {
    "or": (OR, P.logical),
    "and": (AND, P.logical),
    "==": (EQUALITY, P.binary),
    "!=": (EQUALITY, P.binary),
    "<": (COMPARISON, P.binary),
    "<=": (COMPARISON, P.binary),
    ">": (COMPARISON, P.binary),
    ">=": (COMPARISON, P.binary),
    "+": (TERM, P.binary),
    "-": (TERM, P.binary),
    "*": (FACTOR, P.binary),
    "/": (FACTOR, P.binary),
    "%": (FACTOR, P.binary),
    "(": (CALL, P.call),
    ".": (CALL, P.dot),
    "[": (CALL, P.index),
}
