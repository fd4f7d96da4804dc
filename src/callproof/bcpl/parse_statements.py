"""Blocks and statements by recursive descent (reference, section 5), with recovery from errors."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from callproof.bcpl import nodes as ast
from callproof.bcpl.lexer import END, NAME, words
from callproof.bcpl.parse_expressions import (
    LEVELS,
    PREFIX,
    PREFIX_WORDS,
    ExpressionParser,
    SyntaxFailure,
)
from callproof.source import Note, Span

DECLARATIONS = words(
    "LET FLET MANIFEST STATIC FSTATIC GLOBAL GLOBALS CLASS GET FUNCTION ROUTINE EXTERNAL"
)
SIMPLE_JUMPS = words("RETURN FINISH BREAK LOOP ENDCASE BRK")
STATEMENTS = SIMPLE_JUMPS | words(
    "IF UNLESS TEST WHILE UNTIL FOR FOREACH REPEAT SWITCHON RESULTIS GOTO DEFER USING "
    "RETAIN REMANAGE SEND ACCEPT FREEVEC FREELIST CASE DEFAULT"
)
BEGINS_STATEMENT = STATEMENTS | DECLARATIONS | words("$( ! % ( SUPER NEW VALOF") | {NAME}
ENDS_CONDITION = STATEMENTS | DECLARATIONS | {";", ":=", END}
NEVER_FIRST = (
    words(") ] , : := . -> | .| .% #% THEN ELSE DO TO BY IN INTO BE EXTENDS MANAGED AS OF DECL")
    | words("PUBLIC PRIVATE PROTECTED VIRTUAL FINAL")
    | frozenset(LEVELS)
) - (PREFIX_WORDS | frozenset(PREFIX))
AFTER_BODY = words("REPEAT REPEATWHILE REPEATUNTIL")


class StatementParser(ExpressionParser):
    """Statements; declarations among them are left to `Parser`.

    `splice` gives what is in the file that a GET names, inside a "block" or a "class".
    """

    splice: Callable[[ast.Get, str], list[ast.Statement]] | None = None

    # --- blocks --------------------------------------------------------------------------------

    def expect_open(self, what: str) -> Span:
        """Take the opening bracket after `what`; the place of it."""
        if self.kind != "$(":
            raise self.fail(f"expected '$(' after {what}, found {self.shown()}")
        return self.take()

    def closes(self, opened: Span, suspect: Span | None = None) -> bool:
        """Take the closing bracket if it is here; at the end of the file say which one is open.

        `suspect`: a declaration inside the block that looks as if it were not meant to be.
        """
        if self.accept("$)"):
            return True
        if self.kind == END:
            if self.gave_up:
                raise SyntaxFailure()
            notes = [Note("the block that is not closed begins here", opened)]
            if suspect is not None:
                notes.append(Note("this begins at the left margin, but inside that block", suspect))
            raise self.fail_at("'$)' is missing at the end of the file", self.end_span(), notes)
        return False

    def end_span(self) -> Span:
        """Behind the last token of the file."""
        end = self.ends[-2] if len(self.ends) > 1 else 0
        return Span(self.source, end, end + 1)

    def block(self) -> ast.Block:
        opened = self.take()
        self.enter()
        depth = self.depth
        outer, self.function_bodies = self.function_bodies, 0
        statements: list[ast.Statement] = []
        suspect: Span | None = None
        while not self.closes(opened, suspect):
            before = self.at
            if suspect is None and self.kind in DECLARATIONS and self.at_margin():
                suspect = self.span()
            try:
                statements += self.statements()
            except SyntaxFailure:
                self.recover_in_block()
                self.depth = depth
                self.function_bodies = 0
                self.or_ends = self.or_may_end = False
            if self.at == before:
                self.advance()
        self.function_bodies = outer
        self.leave()
        return ast.Block(self.since(opened.start), statements)

    def at_margin(self) -> bool:
        start = self.starts[self.at]
        return start == 0 or self.source.text[start - 1] == "\n"

    def recover_in_block(self) -> None:
        """To the next statement on a line of its own, or the block's end."""
        depth = 0
        while self.kind != END:
            if depth == 0 and (
                self.kind == "$)"
                or (
                    self.begins_line()
                    and (self.kind in STATEMENTS or self.kind in DECLARATIONS or self.kind == NAME)
                )
            ):
                return
            if self.kind == "$(":
                depth += 1
            elif self.kind == "$)":
                depth -= 1
            self.advance()

    def statements(self) -> list[ast.Statement]:
        """One statement, or the declarations of one LET ... AND."""
        if self.kind == ";":
            self.advance()
            return []
        if self.kind in DECLARATIONS:
            if self.kind == "CLASS":
                span = self.span()
                self.class_declaration()
                self.diagnostics.error(
                    "a class cannot be declared inside a routine",
                    span,
                    [Note("is the $) of the routine before it missing?")],
                )
                return []
            found = self.declaration()
            if isinstance(found[0], ast.Get) and self.splice is not None:
                return self.splice(found[0], "block")
            return found
        return [self.statement()]

    def spliced(self) -> list[ast.Statement]:
        """All of a file as the statements of a block."""
        found: list[ast.Statement] = []
        while self.kind != END:
            before = self.at
            try:
                if self.kind == "$)":
                    raise self.fail_at("'$)' closes nothing in this file", self.span())
                found += self.statements()
            except SyntaxFailure:
                self.recover_in_block()
                self.depth = self.function_bodies = 0
                self.or_ends = self.or_may_end = False
            if self.at == before:
                self.advance()
        return found

    # --- statements ------------------------------------------------------------------------------

    def statement(self) -> ast.Statement:
        depth = self.depth
        self.enter()
        result = self.simple_statement()
        while self.kind in AFTER_BODY and not self.is_prefix_repeat():
            self.enter()  # each is one loop around the other
            result = self.repeat_after(result)
        self.depth = depth
        return result

    def is_prefix_repeat(self) -> bool:
        """A REPEAT that begins a line before a bracket is a loop of its own (1.4)."""
        if self.kind != "REPEAT" or not self.begins_line():
            return False
        return self.kinds[self.at + 1] == "$("

    def repeat_after(self, body: ast.Statement) -> ast.Statement:
        keyword = self.kind
        self.advance()
        if keyword == "REPEAT":
            if self.kind in ("WHILE", "UNTIL") and not self.is_new_loop():
                negated = self.kind == "UNTIL"
                self.advance()
                condition = self.expression()
                return ast.Repeat(body.span.to(condition.span), body, condition, negated)
            return ast.Repeat(self.since(body.span.start), body, None, False)
        condition = self.expression()
        negated = keyword == "REPEATUNTIL"
        return ast.Repeat(body.span.to(condition.span), body, condition, negated)

    def is_new_loop(self) -> bool:
        """After REPEAT or its body: a WHILE that begins a line and has a DO begins a new loop."""
        if not self.begins_line():
            return False
        depth = 0
        for kind in itertools.islice(self.kinds, self.at + 1, None):
            if kind in ("$(", "("):
                depth += 1
            elif kind in ("$)", ")"):
                depth -= 1
                if depth < 0:
                    return False
            elif depth == 0:
                if kind == "DO":
                    return True
                if kind in ENDS_CONDITION:
                    return False
        return False

    def simple_statement(self) -> ast.Statement:
        kind = self.kind
        if kind == NAME:
            at = self.at
            if self.kinds[at + 1] == ":" and self.kinds[at + 2] != "=":
                span = self.take()
                self.advance()
                return ast.Label(span, self.texts[at])
            return self.assignment_or_call()
        if kind == "$(" or kind in STATEMENTS:
            self.or_ends = False
        if kind == "$(":
            return self.block()
        method = BY_KEYWORD.get(kind)
        if method is not None:
            return method(self)
        if kind in SIMPLE_JUMPS:
            span = self.take()
            if kind == "FINISH" and self.kind == "(" and not self.begins_line():
                self.advance()
                self.expect(")", "')'")
            return ast.Jump(span, kind)
        if kind in DECLARATIONS:
            raise self.fail_at(
                "a declaration cannot be the body; put it into $( ... $)", self.span()
            )
        if kind in NEVER_FIRST:
            raise self.fail_at(f"expected a statement, found {self.shown()}", self.span())
        return self.assignment_or_call()

    def assignment_or_call(self) -> ast.Statement:
        begin = self.at
        start = self.starts[begin]
        # Of a statement OR can only be the old ELSE of TEST; in brackets it is an operator.
        or_ends = self.or_ends
        targets = [self.expression()]
        self.or_ends = False
        while self.accept(","):
            targets.append(self.expression())
        if self.kind == ":=":
            self.advance()
            self.or_may_end = or_ends
            values = [self.expression()]
            while self.accept(","):
                values.append(self.expression())
            self.or_may_end = False
            if self.kind == ":=":
                raise self.fail("':=' cannot be repeated; write one assignment each")
            return ast.Assignment(self.since(start), targets, values)
        span = self.since(start)
        if self.kind == "=" or (
            len(targets) == 1 and isinstance(targets[0], ast.Binary) and targets[0].operator == "="
        ):
            raise self.fail_at("an assignment is written with ':=', not '='", span)
        if len(targets) == 1 and isinstance(
            targets[0], ast.Call | ast.MethodCall | ast.SuperCall | ast.New
        ):
            return ast.CallStatement(span, targets[0])
        if len(targets) == 1 and isinstance(targets[0], ast.Valof):
            return ast.CallStatement(span, targets[0])
        word = self.texts[begin].upper()
        if (
            self.kinds[begin] == NAME
            and self.texts[begin] != word
            and (word in STATEMENTS or word in DECLARATIONS)
        ):
            place = Span(self.source, start, self.ends[begin])
            raise self.fail_at(
                f"'{self.texts[begin]}' is not a keyword; did you mean {word}?", place
            )
        raise self.fail_at("this expression is not a statement: only calls are", span)

    def else_follows(self) -> bool:
        following = self.kinds[self.at + 1]
        if following == "$(" or following in STATEMENTS:
            return True
        depth = 0
        for kind in itertools.islice(self.kinds, self.at + 1, None):
            if kind in ("$(", "(", "["):
                depth += 1
            elif kind in ("$)", ")", "]"):
                depth -= 1
                if depth < 0:
                    return False
            elif depth == 0 and (kind in ENDS_CONDITION or kind in ("ELSE", "OR")):
                return kind == ":="
        return False

    def then(self, *words: str) -> None:
        """The word between condition and body, which may be left out."""
        if self.kind in words:
            self.advance()
        elif self.kind not in BEGINS_STATEMENT:
            raise self.fail(f"expected {words[0]} and a statement, found {self.shown()}")

    def if_statement(self) -> ast.Statement:
        keyword = self.kind
        start = self.begin()
        condition = self.condition()
        self.then("THEN", "DO")
        self.or_ends = keyword == "TEST"
        then = self.statement()
        self.or_ends = False
        otherwise = None
        if self.kind == "ELSE" or (keyword == "TEST" and self.kind == "OR"):
            if keyword == "UNLESS":
                raise self.fail("UNLESS has no ELSE; use TEST")
            self.advance()
            otherwise = self.statement()
        span = self.since(start)
        return ast.If(span, condition, then, otherwise, keyword == "UNLESS")

    def while_statement(self) -> ast.Statement:
        negated = self.kind == "UNTIL"
        start = self.begin()
        condition = self.condition()
        self.then("DO", "THEN")
        body = self.statement()
        return ast.While(self.since(start), condition, body, negated)

    def repeat_statement(self) -> ast.Statement:
        start = self.begin()
        self.enter()
        body = self.simple_statement()
        self.leave()
        if self.kind in ("WHILE", "UNTIL") and not self.is_new_loop():
            negated = self.kind == "UNTIL"
            self.advance()
            condition = self.expression()
            return ast.Repeat(self.since(start), body, condition, negated)
        return ast.Repeat(self.since(start), body, None, False)

    def for_statement(self) -> ast.Statement:
        start = self.begin()
        name = self.name("the loop's variable")
        self.expect("=", "'=' and the first value")
        first = self.condition()
        self.expect("TO", "TO and the last value")
        last = self.condition()
        step = self.condition() if self.accept("BY") else None
        self.then("DO", "THEN")
        body = self.statement()
        return ast.For(self.since(start), name, first, last, step, body)

    def foreach_statement(self) -> ast.Statement:
        start = self.begin()
        is_pattern = self.accept("(")
        names = [self.name("the loop's variable")]
        while self.accept(","):
            names.append(self.name("the loop's variable"))
        if is_pattern:
            self.expect(")", "')'")
        annotation = self.annotation()
        self.expect("IN", "IN and the collection")
        collection = self.condition()
        self.then("DO", "THEN")
        body = self.statement()
        span = self.since(start)
        return ast.Foreach(span, names, collection, body, is_pattern, annotation)

    def switch_statement(self) -> ast.Statement:
        start = self.begin()
        value = self.condition()
        if self.kind in ("INTO", "DO"):
            self.advance()
        if self.kind != "$(":
            raise self.fail(f"expected '$(' and the cases of SWITCHON, found {self.shown()}")
        return ast.Switch(self.since(start), value, self.block())

    def case_label(self) -> ast.Statement:
        has_value = self.kind == "CASE"
        start = self.begin()
        value = self.expression() if has_value else None
        self.expect(":", "':' after the case")
        return ast.Case(self.since(start), value)

    def resultis(self) -> ast.Statement:
        start = self.begin()
        value = self.expression()
        return ast.Resultis(Span(self.source, start, value.span.end), value)

    def goto(self) -> ast.Statement:
        start = self.take()
        return ast.Goto(start, self.name("a label"))

    def defer(self) -> ast.Statement:
        start = self.begin()
        body = self.statement()
        return ast.Defer(Span(self.source, start, body.span.end), body)

    def using(self) -> ast.Statement:
        start = self.begin()
        name = self.name("a name after USING")
        self.expect("=", "'='")
        value = self.condition()
        self.then("DO")
        body = self.statement()
        return ast.Using(Span(self.source, start, body.span.end), name, value, body)

    def ownership(self) -> ast.Statement:
        keyword = self.kind
        start = self.begin()
        if keyword in ("SEND", "FREEVEC", "FREELIST"):
            value: ast.Expression | None = self.expression()
            return ast.Ownership(self.since(start), keyword, "", value)
        name = self.name(f"a name after {keyword}")
        value = self.expression() if self.accept("=") else None
        return ast.Ownership(self.since(start), keyword, name, value)

    # The declaration parser provides these.
    def annotation(self) -> ast.TypeExpression | None:
        raise AssertionError("provided by Parser")

    def declaration(self) -> list[ast.Statement]:
        raise AssertionError("provided by Parser")

    def class_declaration(self) -> ast.ClassDeclaration:
        raise AssertionError("provided by Parser")


BY_KEYWORD: dict[str, Callable[[StatementParser], ast.Statement]] = {
    "IF": StatementParser.if_statement,
    "UNLESS": StatementParser.if_statement,
    "TEST": StatementParser.if_statement,
    "WHILE": StatementParser.while_statement,
    "UNTIL": StatementParser.while_statement,
    "REPEAT": StatementParser.repeat_statement,
    "FOR": StatementParser.for_statement,
    "FOREACH": StatementParser.foreach_statement,
    "SWITCHON": StatementParser.switch_statement,
    "CASE": StatementParser.case_label,
    "DEFAULT": StatementParser.case_label,
    "RESULTIS": StatementParser.resultis,
    "GOTO": StatementParser.goto,
    "DEFER": StatementParser.defer,
    "USING": StatementParser.using,
    "RETAIN": StatementParser.ownership,
    "REMANAGE": StatementParser.ownership,
    "SEND": StatementParser.ownership,
    "ACCEPT": StatementParser.ownership,
    "FREEVEC": StatementParser.ownership,
    "FREELIST": StatementParser.ownership,
}
