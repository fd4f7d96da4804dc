"""The parser's token handling, and expressions by precedence climbing (reference 6.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from callproof.bcpl import nodes as ast
from callproof.bcpl.lexer import (
    BAD,
    END,
    FLOAT,
    INTEGER,
    NAME,
    STRING,
    Tokens,
    string_value,
    words,
)
from callproof.source import Diagnostics, Note, SourceFile, Span

MAXIMUM_DEPTH = 400

# operator -> (level, meaning); all are left-associative
LEVELS = {
    "*": 8, "/": 8, "REM": 8,
    "+": 7, "-": 7,
    "<<": 6, ">>": 6,
    "=": 5, "~=": 5, "<": 5, "<=": 5, ">": 5, ">=": 5,
    "&": 3, "AND": 3, "BAND": 3,
    "|": 2, "OR": 2, "BOR": 2, "BXOR": 2, "XOR": 2, "EQV": 2, "NEQV": 2,
}  # fmt: skip
MARKABLE = frozenset(("+", "-", "*", "/", "=", "~=", "<", "<=", ">", ">="))
LEVELS |= {operator + mark: LEVELS[operator] for operator in MARKABLE for mark in ".#"}
SAME = {"BAND": "&", "BOR": "|", "BXOR": "NEQV"}  # other spellings
# operator -> (its meaning, whether it is marked as one of FLOATs)
MEANINGS = {operator: (SAME.get(operator, operator), False) for operator in LEVELS} | {
    operator + mark: (operator, True) for operator in MARKABLE for mark in ".#"
}
PREFIX = {"-": "-", "+": "+", "~": "~", "BNOT": "~", "NOT": "NOT", "!": "!", "%": "%", "@": "@",
          "&": "@"}  # fmt: skip
PREFIX_WORDS = words("HD TL REST LEN FLOAT FIX TRUNC ENTIER FSQRT TYPE TYPEOF")
POSTFIX = frozenset(("(", "!", "%", "#%", ".%", "%%", ".", "OF", ".|"))
SIZED = words("VEC FVEC PAIRS FPAIRS QUADS OCTS FQUADS FOCTS STRING")
CONSTRUCTORS = SIZED | words("TABLE FTABLE LIST MANIFESTLIST PAIR FPAIR QUAD FQUAD OCT FOCT")
SMALLEST = -(1 << 63)
LANES = {"first": 0, "second": 1, "third": 2, "fourth": 3}


class SyntaxFailure(Exception):
    """Reported already; unwinds to where parsing can go on."""


class ExpressionParser:
    """Tokens, and everything that can stand in an expression but VALOF's statement."""

    def __init__(self, source: SourceFile, tokens: Tokens, diagnostics: Diagnostics) -> None:
        self.source = source
        self.tokens = tokens
        self.kinds = tokens.kinds
        self.texts = tokens.texts
        self.starts = tokens.starts
        self.ends = tokens.ends
        self.diagnostics = diagnostics
        self.at = 0  # the present token; `kind` is its kind
        self._last = len(tokens.kinds) - 1
        self.kind = tokens.kinds[0]
        self.depth = 0
        self.gave_up = False
        self.in_class = False
        self.or_ends = False  # the statement behind TEST e THEN, which OR may end
        self.or_may_end = False  # the value of an assignment there: if another one follows
        self.function_bodies = 0  # inside the body of LET f(..) = e, where AND may declare

    # --- tokens ---------------------------------------------------------------------------

    def advance(self) -> None:
        """To the next token; at the end of the file it is the END token again and again."""
        at = self.at
        if at < self._last:
            self.at = at = at + 1
            self.kind = self.kinds[at]

    @property
    def text(self) -> str:
        """That of the present token."""
        return self.texts[self.at]

    def begins_line(self) -> bool:
        """Whether the present token is the first of its line."""
        return self.tokens.begins_line(self.at)

    def span(self) -> Span:
        """The place of the present token."""
        return Span(self.source, self.starts[self.at], self.ends[self.at])

    def last_span(self) -> Span:
        at = self.at - 1 if self.at else 0
        return Span(self.source, self.starts[at], self.ends[at])

    def since(self, start: int) -> Span:
        """From an offset to the end of the token that was taken last."""
        return Span(self.source, start, self.ends[self.at - 1])

    def take(self) -> Span:
        at = self.at
        self.advance()
        return Span(self.source, self.starts[at], self.ends[at])

    def begin(self) -> int:
        """Take a token; the offset where it starts, for `since`."""
        at = self.at
        self.advance()
        return self.starts[at]

    def accept(self, kind: str) -> bool:
        if self.kind == kind:
            self.advance()
            return True
        return False

    def shown(self) -> str:
        """The token as a message shows it."""
        if self.kind == END:
            return "the end of the file"
        text = self.source.text[self.starts[self.at] : self.ends[self.at]]
        return f"'{text}'" if len(text) < 30 and "\n" not in text else f"a {self.kind}"

    def fail_at(self, message: str, span: Span, notes: Iterable[Note] = ()) -> SyntaxFailure:
        self.diagnostics.error(message, span, notes, code="syntax")
        return SyntaxFailure()

    def fail(self, message: str, notes: Iterable[Note] = ()) -> SyntaxFailure:
        """Report at the present token, or if that begins a line, behind the one before it."""
        if self.kind == BAD:
            return SyntaxFailure()
        span = self.span()
        if self.at and self.begins_line():
            end = self.ends[self.at - 1]
            span = Span(self.source, end, end + 1)
        return self.fail_at(message, span, notes)

    def expect(self, kind: str, wanted: str) -> str:
        """Take a token of that kind; its text."""
        if self.kind != kind:
            raise self.fail(f"expected {wanted}, found {self.shown()}")
        text = self.texts[self.at]
        self.advance()
        return text

    def name(self, wanted: str) -> str:
        kind = self.kind
        if kind != NAME:
            notes = []
            if kind.isalpha() and kind.isupper():
                notes.append(Note(f"{kind} is a keyword and cannot be a name"))
            raise self.fail(f"expected {wanted}, found {self.shown()}", notes)
        text = self.texts[self.at]
        self.advance()
        return text

    def enter(self) -> None:
        self.depth += 1
        if self.depth > MAXIMUM_DEPTH:
            self.too_deep()

    def too_deep(self) -> NoReturn:
        span = self.span()
        self.gave_up = True  # one message is enough: the rest is skipped
        self.depth = 0
        self.at, self.kind = self._last, END
        raise self.fail_at(f"nested too deeply: more than {MAXIMUM_DEPTH} levels", span)

    def leave(self) -> None:
        self.depth -= 1

    # --- expressions -------------------------------------------------------------------------

    def expression(self) -> ast.Expression:
        self.depth += 1
        if self.depth > MAXIMUM_DEPTH:
            self.too_deep()
        left = self.binary(2)
        if self.kind == "->":
            self.advance()
            then = self.expression()
            self.expect(",", "',' and the other value of the conditional")
            otherwise = self.expression()
            left = ast.Conditional(left.span.to(otherwise.span), left, then, otherwise)
        self.depth -= 1
        return left

    def binary(self, lowest: int) -> ast.Expression:
        left = self.prefix()
        while True:
            kind = self.kind
            level = LEVELS.get(kind, 0)
            if level < lowest:
                if kind == "=" and self.kinds[self.at + 1] == "=":
                    raise self.fail("equality is written with one '='")
                return left
            if kind == "AND" and self.starts_declaration():
                return left
            if kind == "OR" and (self.or_ends or (self.or_may_end and self.else_follows())):
                return left
            at = self.at
            self.at = at + 1
            self.kind = self.kinds[at + 1]
            if self.starts[at + 1] == self.ends[at]:
                self.check_adjacent(kind)
            self.depth += 1
            if self.depth > MAXIMUM_DEPTH:
                self.too_deep()
            right = self.binary(level + 1)
            self.depth -= 1
            operator, marked = MEANINGS[kind]
            span = Span(self.source, left.span.start, right.span.end)
            left = ast.Binary(span, operator, left, right, marked)

    def check_adjacent(self, operator: str) -> None:
        """Refuse what looks like an operator of another language, or like two things at once."""
        if operator == "=" and self.kind == "=":
            raise self.fail("equality is written with one '='")
        if operator in MARKABLE and self.kind == INTEGER:
            text = self.source.text[self.starts[self.at] : self.ends[self.at]]
            if text[0] == "#":
                raise self.fail(
                    f"'{operator}{text}' can be read as '{operator}#' (for floats) "
                    f"or as the number {text}",
                    [Note("put a space on one side of the #")],
                )
        if self.kind == operator and operator in "+-":
            raise self.fail(
                f"'{operator}{operator}' is not an operator",
                [Note(f"write x := x {operator} 1, or a space between the two")],
            )

    def condition(self) -> ast.Expression:
        """An expression inside brackets or before DO: no AND in it begins a declaration."""
        outer = self.or_ends, self.or_may_end, self.function_bodies
        self.or_ends, self.or_may_end, self.function_bodies = False, False, 0
        result = self.expression()
        self.or_ends, self.or_may_end, self.function_bodies = outer
        return result

    def else_follows(self) -> bool:
        """Whether the OR here begins the other branch of a TEST: a statement is behind it."""
        raise AssertionError("provided by Parser")

    def starts_declaration(self) -> bool:
        """`AND name (names) =` or `BE`, in the body of a LET f(..) = ... (6.1)."""
        if not self.function_bodies:
            return False
        kinds, at = self.kinds, self.at + 1
        if kinds[at] != NAME or kinds[at + 1] != "(":
            return False
        at += 2
        wants_name = True
        while kinds[at] != ")":
            if kinds[at] not in ((NAME,) if wants_name else (",", "AS")):
                return False
            if kinds[at] == "AS":
                at += kinds[at + 1] != END
            else:
                wants_name = not wants_name
            at += 1
        return kinds[at + 1] in ("=", "BE")

    def prefix(self) -> ast.Expression:
        kind = self.kind
        if kind == NAME:
            at = self.at
            self.at = at + 1
            kind = self.kind = self.kinds[at + 1]
            name = ast.Name(Span(self.source, self.starts[at], self.ends[at]), self.texts[at])
            return self.postfix(name) if kind in POSTFIX else name
        operator = PREFIX.get(kind)
        if operator is None and kind not in PREFIX_WORDS:
            left = self.primary()
            return self.postfix(left) if self.kind in POSTFIX else left
        start = self.begin()
        self.enter()
        operand = self.prefix()
        self.leave()
        span = Span(self.source, start, operand.span.end)
        if operator == "-" and isinstance(operand, ast.IntegerLiteral):
            value = -operand.value
            return ast.IntegerLiteral(span, value - (1 << 64) if value >> 63 == 1 else value)
        if operator == "-" and isinstance(operand, ast.FloatLiteral):
            return ast.FloatLiteral(span, -operand.value)
        return ast.Unary(span, operator or kind, operand)

    def postfix(self, left: ast.Expression) -> ast.Expression:
        while True:
            kind = self.kind
            if kind not in POSTFIX:
                return left
            if kind == "(" and not self.begins_line():
                left = self.call(left)
            elif kind in ("!", "%", "#%", ".%") and not self.begins_line():
                self.advance()
                self.enter()
                right = self.prefix_operand()
                self.leave()
                span = Span(self.source, left.span.start, right.span.end)
                left = ast.Binary(span, kind, left, right)
            elif kind == "%%" and not self.begins_line():
                left = self.bit_field(left)
            elif kind == ".":
                left = self.dotted(left)
            elif kind == "OF":
                left = self.field_of(left)
            elif kind == ".|":
                self.advance()
                self.enter()
                index = self.binary(3)  # a '|' ends it
                self.leave()
                self.expect("|", "'|' after the lane's number")
                left = ast.Lane(self.since(left.span.start), left, index)
            else:
                return left

    def prefix_operand(self) -> ast.Expression:
        """The right operand of `!` and `%`: a unary expression (without further `!`)."""
        kind = self.kind
        if kind in PREFIX or kind in PREFIX_WORDS:
            return self.prefix()
        operand = self.primary()
        while self.kind in ("(", ".", ".|") and not (self.kind == "(" and self.begins_line()):
            if self.kind == "(":
                operand = self.call(operand)
            elif self.kind == ".":
                operand = self.dotted(operand)
            else:
                break
        return operand

    def call(self, callee: ast.Expression) -> ast.Expression:
        arguments = self.arguments()
        return ast.Call(self.since(callee.span.start), callee, arguments)

    def arguments(self, closing: str = ")") -> list[ast.Expression]:
        """From the opening bracket to the closing one; a comma may stand before that."""
        outer = self.or_ends, self.or_may_end, self.function_bodies
        self.or_ends, self.or_may_end, self.function_bodies = False, False, 0
        found = self.bracketed(closing)
        self.or_ends, self.or_may_end, self.function_bodies = outer
        return found

    def bracketed(self, closing: str) -> list[ast.Expression]:
        opened = self.at
        self.advance()
        found: list[ast.Expression] = []
        while self.kind != closing:
            if self.kind == END:
                raise self.fail(f"'{closing}' is missing", self.not_closed(opened))
            if found:
                if self.kind != "," and self.begins_line():
                    raise self.fail(
                        f"expected ',' or '{closing}', found {self.shown()} on the next line",
                        self.not_closed(opened),
                    )
                self.expect(",", f"',' or '{closing}' in a list of arguments")
                if self.kind == closing:
                    break
            found.append(self.expression())
        self.advance()
        return found

    def not_closed(self, opened: int) -> list[Note]:
        span = Span(self.source, self.starts[opened], self.ends[opened])
        return [Note("the bracket that is not closed", span)]

    def dotted(self, left: ast.Expression) -> ast.Expression:
        self.advance()
        if isinstance(left, ast.IntegerLiteral | ast.FloatLiteral):
            raise self.fail_at(
                "a number cannot have members",
                left.span,
                [Note("a float has digits on both sides of its point: 1.0")],
            )
        name = self.name("a member's name after '.'")
        span = self.since(left.span.start)
        if self.kind == "(" and not self.begins_line():
            arguments = self.arguments()
            return ast.MethodCall(self.since(left.span.start), left, name, arguments)
        if name in LANES:
            index = ast.IntegerLiteral(self.last_span(), LANES[name])
            return ast.Lane(span, left, index, name)
        return ast.FieldAccess(span, left, name)

    def field_of(self, left: ast.Expression) -> ast.Expression:
        """`f OF x` is x.f: the classic order."""
        name = left.name if isinstance(left, ast.Name) else None
        if name is None:
            raise self.fail_at("before OF stands the name of a field", left.span)
        self.advance()
        self.enter()
        record = self.postfix(self.primary())
        self.leave()
        span = left.span.to(record.span)
        if name in LANES:
            index = ast.IntegerLiteral(left.span, LANES[name])
            return ast.Lane(span, record, index, name)
        return ast.FieldAccess(span, record, name)

    def bit_field(self, left: ast.Expression) -> ast.Expression:
        self.advance()
        if self.kind != "(":
            raise self.fail("expected '(start, width)' after %%")
        places = self.arguments()
        if not 1 <= len(places) <= 2:
            raise self.fail_at("a bit field is (start, width)", self.last_span())
        width = places[1] if len(places) == 2 else None
        return ast.BitField(self.since(left.span.start), left, places[0], width)

    def primary(self) -> ast.Expression:
        kind, at = self.kind, self.at
        span = Span(self.source, self.starts[at], self.ends[at])
        if kind == NAME:
            self.advance()
            return ast.Name(span, self.texts[at])
        if kind == INTEGER:
            self.advance()
            value = int(self.texts[at])
            if value == SMALLEST and self.source.text[span.start] == "9":
                self.check_smallest(at, span)
            return ast.IntegerLiteral(span, value)
        if kind == "(":
            self.advance()
            inside = self.condition()
            if self.kind != ")":
                raise self.fail(f"expected ')', found {self.shown()}", self.not_closed(at))
            self.advance()
            return inside
        if kind == STRING:
            self.advance()
            return ast.StringLiteral(span, string_value(self.texts[at]))
        if kind == FLOAT:
            self.advance()
            return ast.FloatLiteral(span, float(self.texts[at]))
        if kind in ("TRUE", "FALSE"):
            self.advance()
            return ast.IntegerLiteral(span, int(kind == "TRUE"))
        if kind == "?":
            self.advance()
            return ast.NullLiteral(span)
        if kind in ("VALOF", "FVALOF"):
            return self.valof()
        if kind == "NEW":
            self.advance()
            name = self.name("a class after NEW")
            arguments = self.arguments() if self.kind == "(" and not self.begins_line() else []
            return ast.New(self.since(span.start), name, arguments)
        if kind == "SUPER":
            self.advance()
            self.expect(".", "'.' and a method after SUPER")
            name = self.name("a method's name after SUPER.")
            if self.kind != "(":
                raise self.fail(f"expected '(' after SUPER.{name}, found {self.shown()}")
            arguments = self.arguments()
            return ast.SuperCall(self.since(span.start), name, arguments)
        if kind in CONSTRUCTORS:
            return self.constructor()
        notes = []
        if kind == "=" and at and self.ends[at - 1] == span.start:
            before = self.kinds[at - 1]
            if before in ("!", "+", "-", "*", "/", "%"):
                remedy = "not equal is ~=" if before == "!" else f"write x := x {before} e"
                notes.append(Note(f"'{before}=' is not an operator: {remedy}"))
        if kind == "." and self.kinds[at + 1] == INTEGER:
            notes.append(Note("a float has digits on both sides of its point: 0.5"))
        raise self.fail(f"expected an expression, found {self.shown()}", notes)

    def check_smallest(self, at: int, span: Span) -> None:
        """9223372036854775808 is no number by itself, only with the minus before it."""
        if at == 0 or self.kinds[at - 1] != "-":
            self.diagnostics.error(
                "this number does not fit a 64-bit word",
                span,
                [Note("the largest is 9223372036854775807")],
                code="integer-too-large",
            )

    def constructor(self) -> ast.Expression:
        kind = self.kind
        start = self.begin()
        if kind in SIZED:
            if self.kind == "[":
                elements = self.arguments("]")
                return ast.Constructor(self.since(start), kind, elements)
            if self.kind == "(":
                elements = self.arguments()
                span = self.since(start)
                if not elements:
                    raise self.fail_at(f"{kind} needs a size or elements", span)
                if len(elements) == 1:
                    self.refuse_arithmetic(kind)
                    return ast.Constructor(span, kind, [], elements[0])
                return ast.Constructor(span, kind, elements)
            size = self.prefix()
            self.refuse_arithmetic(kind)
            return ast.Constructor(Span(self.source, start, size.span.end), kind, [], size)
        if self.kind in ("(", "["):
            elements = self.arguments("]" if self.kind == "[" else ")")
            return ast.Constructor(self.since(start), kind, elements)
        if kind in ("TABLE", "FTABLE"):
            elements = [self.expression()]
            while self.accept(","):
                elements.append(self.expression())
            return ast.Constructor(self.since(start), kind, elements)
        raise self.fail(f"expected '(' after {kind}, found {self.shown()}")

    def refuse_arithmetic(self, kind: str) -> None:
        """`VEC n + 1` would be an address plus one; whoever writes it means the size n + 1."""
        if LEVELS.get(self.kind, 0) >= 6:
            raise self.fail(
                f"'{self.kind}' after the size of a {kind} would calculate with its address",
                [Note(f"put the whole size into brackets: {kind} (n + 1)")],
            )

    def valof(self) -> ast.Expression:
        is_float = self.kind == "FVALOF"
        start = self.begin()
        annotation = self.type_expression() if self.accept("AS") else None
        outer, self.function_bodies = self.function_bodies, 0
        try:
            body = self.statement()
        finally:
            self.function_bodies = outer
        return ast.Valof(Span(self.source, start, body.span.end), body, is_float, annotation)

    # The statement parser provides these.
    def statement(self) -> ast.Statement:
        raise AssertionError("provided by Parser")

    def type_expression(self) -> ast.TypeExpression:
        raise AssertionError("provided by Parser")
