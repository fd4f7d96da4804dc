"""The parser: statements and declarations by recursive descent.

Errors are collected: after one the parser skips to where a statement or declaration
can begin, so that several are found in one run.  Expressions are in
`parse_expressions.py`.
"""

from __future__ import annotations

import itertools
import sys

from callproof.bcpl import nodes as ast
from callproof.bcpl.lexer import END, INTEGER, NAME, STRING, tokenize
from callproof.bcpl.parse_expressions import MAXIMUM_DEPTH, ExpressionParser, SyntaxFailure
from callproof.source import Diagnostics, Note, SourceFile, Span

DECLARATIONS = frozenset(
    "LET FLET MANIFEST STATIC FSTATIC GLOBAL GLOBALS CLASS GET FUNCTION ROUTINE".split()
)
STATEMENTS = frozenset(
    """IF UNLESS TEST WHILE UNTIL FOR FOREACH REPEAT SWITCHON RESULTIS RETURN FINISH BREAK LOOP
    ENDCASE GOTO BRK DEFER USING RETAIN REMANAGE SEND ACCEPT FREEVEC FREELIST CASE DEFAULT""".split()
)
MEMBERS = frozenset("DECL LET FLET FUNCTION ROUTINE PUBLIC PRIVATE PROTECTED VIRTUAL FINAL".split())
SIMPLE_JUMPS = frozenset("RETURN FINISH BREAK LOOP ENDCASE BRK".split())
BEGINS_STATEMENT = STATEMENTS | DECLARATIONS | SIMPLE_JUMPS | frozenset((NAME, "$(", "!", "%", "(", "SUPER", "NEW", "VALOF"))  # fmt: skip
ENDS_CONDITION = STATEMENTS | DECLARATIONS | frozenset((";", ":=", END))
AFTER_BODY = frozenset(("REPEAT", "REPEATWHILE", "REPEATUNTIL"))


RECURSION_LIMIT = 30 * MAXIMUM_DEPTH


class Parser(ExpressionParser):
    """See `parse`."""

    def program(self) -> ast.Program:
        start = self.span()
        declarations: list[ast.Statement] = []
        while self.kind != END:
            before = self.at
            try:
                declarations += self.top_level()
            except SyntaxFailure:
                self.skip_to(DECLARATIONS)
                self.depth = self.function_bodies = 0
                self.in_class = self.or_ends = False
            if self.at == before:
                self.at += 1
        return ast.Program(start.to(self.span()), declarations)

    def skip_to(self, kinds: frozenset[str]) -> None:
        """To the next token of these kinds that begins a line, past brackets on the way."""
        depth = 0
        while self.kind != END:
            if depth <= 0 and self.kind in kinds and self.token.first:
                return
            if self.kind == "$(":
                depth += 1
            elif self.kind == "$)":
                depth -= 1
            self.at += 1

    def top_level(self) -> list[ast.Statement]:
        kind = self.kind
        if kind == ";":
            self.at += 1
            return []
        if kind == "CLASS":
            return [self.class_declaration()]
        if kind in DECLARATIONS:
            return self.declaration()
        span = self.span()
        if kind == "$)":
            self.at += 1
            self.diagnostics.error("'$)' closes nothing", span)
            return []
        if kind == NAME and str(self.token.value).upper() in DECLARATIONS:
            raise self.fail(f"'{self.token.value}' is not a keyword; write it in capitals")
        if kind in STATEMENTS or kind in (NAME, "$(", "!", "%"):
            raise self.fail(
                "a statement cannot stand here: only declarations can be outside a routine",
                [Note("the program starts at LET START() BE ...")],
            )
        raise self.fail(f"expected a declaration, found {self.shown()}")

    # --- declarations ---------------------------------------------------------------------

    def declaration(self) -> list[ast.Statement]:
        kind = self.kind
        if kind in ("LET", "FLET", "FUNCTION", "ROUTINE"):
            return self.let()
        if kind == "MANIFEST":
            return [self.manifest()]
        if kind in ("STATIC", "FSTATIC"):
            return [self.static()]
        if kind in ("GLOBAL", "GLOBALS"):
            return self.globals()
        if kind == "GET":
            start = self.take()
            path = self.expect(STRING, "a file name in quotes after GET")
            return [ast.Get(start.to(self.last_span()), str(path.value))]
        return [self.class_declaration()]

    def let(self) -> list[ast.Statement]:
        """A LET, and what follows it with AND."""
        start = self.take_token()
        found = [self.definition(start.kind, self.token_span(start))]
        while self.kind == "AND":
            span = self.take()
            found.append(self.definition(start.kind, span))
        return found

    def definition(self, keyword: str, start: Span) -> ast.Statement:
        name = self.name(f"a name after {keyword}")
        name_span = self.last_span()
        is_float = keyword == "FLET"
        if self.kind == "(" and not self.token.first:
            return self.function(name, name_span, is_float, start)
        if keyword in ("FUNCTION", "ROUTINE"):
            raise self.fail(f"expected '(' and the parameters of {name}, found {self.shown()}")
        names = [name]
        while self.accept(","):
            names.append(self.name("a name"))
        annotation = self.annotation()
        if self.kind == "[":
            raise self.fail(
                "a vector is made by VEC",
                [Note(f"write LET {name} = VEC n")],
            )
        if self.kind == ":=":
            raise self.fail("expected '=' in a declaration, found ':='")
        if not self.accept("="):
            if self.in_class:
                return ast.Let(start.to(self.last_span()), names, [], is_float, annotation)
            raise self.fail(
                f"'{name}' needs a first value: expected '=', found {self.shown()}",
            )
        values = [self.expression()]
        while self.accept(","):
            values.append(self.expression())
        return ast.Let(start.to(self.last_span()), names, values, is_float, annotation)

    def function(
        self, name: str, name_span: Span, is_float: bool, start: Span
    ) -> ast.FunctionDeclaration:
        parameters = self.parameters()
        annotation = self.annotation()
        if annotation is not None and annotation.name == "FLOAT":
            is_float = True
        outer, self.in_class = self.in_class, False
        try:
            body: ast.Expression | ast.Statement
            if self.accept("="):
                self.function_bodies += 1
                try:
                    body = self.expression()
                finally:
                    self.function_bodies -= 1
            elif self.accept("BE"):
                self.function_bodies += 1
                try:
                    body = self.statement()
                finally:
                    self.function_bodies -= 1
            else:
                raise self.fail(f"expected '=' or BE and the body of {name}, found {self.shown()}")
        finally:
            self.in_class = outer
        return ast.FunctionDeclaration(
            start.to(self.last_span()), name, parameters, body, is_float, name_span, annotation
        )

    def parameters(self) -> list[ast.Parameter]:
        self.expect("(", "'('")
        found: list[ast.Parameter] = []
        while self.kind != ")":
            if found:
                self.expect(",", "',' or ')' in the parameters")
            name = self.name("a parameter's name")
            found.append(ast.Parameter(self.last_span(), name, self.annotation()))
        self.take()
        return found

    def annotation(self) -> ast.TypeExpression | None:
        return self.type_expression() if self.accept("AS") else None

    def type_expression(self) -> ast.TypeExpression:
        self.enter()
        while self.kind in ("^", "POINTER", "TO"):
            self.at += 1
        token = self.token
        if token.kind != NAME and not (token.kind.isalpha() and token.kind.isupper()):
            raise self.fail(f"expected a type, found {self.shown()}")
        span = self.take()
        name = str(token.value)
        of = self.type_expression() if self.accept("OF") else None
        self.leave()
        return ast.TypeExpression(span, name, of)

    def manifest(self) -> ast.Manifest:
        start = self.take()
        opened = self.expect_open("MANIFEST")
        names, values, spans = [], [], []
        while not self.closes(opened):
            names.append(self.name("a constant's name"))
            spans.append(self.last_span())
            self.expect("=", "'=' and the constant's value")
            values.append(self.expression())
            self.separators()
        return ast.Manifest(start.to(self.last_span()), names, values, spans)

    def separators(self) -> None:
        while self.kind in (";", ","):
            self.at += 1

    def static(self) -> ast.Static:
        keyword = self.take_token()
        start = self.token_span(keyword)
        names: list[str] = []
        values: list[ast.Expression | None] = []

        def entry() -> None:
            names.append(self.name("a variable's name"))
            values.append(self.expression() if self.accept("=") else None)

        if self.kind == "$(":
            opened = self.expect_open("STATIC")
            while not self.closes(opened):
                entry()
                self.separators()
        else:
            entry()
            while self.accept(","):
                entry()
        is_float = keyword.kind == "FSTATIC"
        return ast.Static(start.to(self.last_span()), names, values, is_float)

    def globals(self) -> list[ast.Statement]:
        start = self.take()
        declarations: list[ast.Let] = []
        forward: list[str] = []
        if self.kind != "$(":
            self.global_entry(declarations, forward)
            return [ast.Globals(start.to(self.last_span()), declarations)]
        opened = self.expect_open("GLOBALS")
        while not self.closes(opened):
            self.global_entry(declarations, forward)
            self.separators()
        span = start.to(self.last_span())
        found: list[ast.Statement] = [ast.Forward(span, forward)] if forward else []
        if declarations or not forward:
            found.append(ast.Globals(span, declarations))
        return found

    def global_entry(self, declarations: list[ast.Let], forward: list[str]) -> None:
        start = self.span()
        is_float = self.kind == "FLET"
        if self.kind in ("LET", "FLET"):
            self.at += 1
        names = [self.name("a global variable's name")]
        if self.accept(":"):
            self.expect(INTEGER, "a number")
            forward += names
            return
        while self.accept(","):
            names.append(self.name("a global variable's name"))
        annotation = self.annotation()
        self.expect("=", "'=' and the variable's first value")
        values = [self.expression()]
        while len(values) < len(names) and self.accept(","):
            values.append(self.expression())
        declarations.append(
            ast.Let(start.to(self.last_span()), names, values, is_float, annotation)
        )

    # --- classes -----------------------------------------------------------------------------

    def class_declaration(self) -> ast.ClassDeclaration:
        start = self.take()
        name = self.name("the class's name")
        name_span = self.last_span()
        base = self.name("the base class's name") if self.accept("EXTENDS") else None
        self.accept("MANAGED")
        self.accept("BE")
        opened = self.expect_open(f"CLASS {name}")
        members: list[ast.Statement] = []
        visibility = "PUBLIC"
        while not self.closes(opened):
            before = self.at
            try:
                if self.kind in ("PUBLIC", "PRIVATE", "PROTECTED"):
                    visibility = self.take_token().kind
                    self.expect(":", f"':' after {visibility}")
                elif self.kind == ";":
                    self.at += 1
                else:
                    members += self.member(visibility)
            except SyntaxFailure:
                self.skip_to(MEMBERS | DECLARATIONS | frozenset(("$)",)))
                if self.kind in ("CLASS", "MANIFEST", "STATIC", "GLOBALS", "GET"):
                    break
            if self.at == before:
                self.at += 1
        return ast.ClassDeclaration(start.to(self.last_span()), name, base, members, name_span)

    def member(self, visibility: str) -> list[ast.Statement]:
        is_virtual = is_final = False
        while self.kind in ("VIRTUAL", "FINAL"):
            is_virtual |= self.kind == "VIRTUAL"
            is_final |= self.kind == "FINAL"
            self.at += 1
        if self.kind == "DECL":
            start = self.take()
            names = [self.name("a field's name")]
            while self.accept(","):
                names.append(self.name("a field's name"))
            annotation = self.annotation()
            return [ast.Fields(start.to(self.last_span()), names, annotation, visibility)]
        if self.kind not in ("LET", "FLET", "FUNCTION", "ROUTINE"):
            raise self.fail(f"expected a field or a method, found {self.shown()}")
        outer, self.in_class = self.in_class, True
        try:
            found = self.let()
        finally:
            self.in_class = outer
        for item in found:
            if isinstance(item, ast.FunctionDeclaration):
                item.visibility = visibility
                item.is_virtual, item.is_final = is_virtual, is_final
        return found

    # --- blocks --------------------------------------------------------------------------------

    def expect_open(self, what: str) -> Span:
        """Take the opening bracket after `what`; the place of it."""
        if self.kind != "$(":
            raise self.fail(f"expected '$(' after {what}, found {self.shown()}")
        return self.take()

    def closes(self, opened: Span) -> bool:
        """Take the closing bracket if it is here; at the end of the file say which one is open."""
        if self.accept("$)"):
            return True
        if self.kind == END:
            if self.gave_up:
                raise SyntaxFailure()
            raise self.fail(
                "'$)' is missing at the end of the file",
                [Note("the block that is not closed begins here", opened)],
            )
        return False

    def block(self) -> ast.Block:
        opened = self.take()
        self.enter()
        depth = self.depth
        outer, self.function_bodies = self.function_bodies, 0
        statements: list[ast.Statement] = []
        while not self.closes(opened):
            before = self.at
            try:
                statements += self.statements()
            except SyntaxFailure:
                self.recover_in_block()
                self.depth = depth
                self.function_bodies = 0
            if self.at == before:
                self.at += 1
        self.function_bodies = outer
        self.leave()
        return ast.Block(opened.to(self.last_span()), statements)

    def recover_in_block(self) -> None:
        """To the next statement on a line of its own, or the block's end."""
        depth = 0
        while self.kind != END:
            if depth == 0 and (
                self.kind == "$)"
                or (
                    self.token.first
                    and (self.kind in STATEMENTS or self.kind in DECLARATIONS or self.kind == NAME)
                )
            ):
                return
            if self.kind == "$(":
                depth += 1
            elif self.kind == "$)":
                depth -= 1
            self.at += 1

    def statements(self) -> list[ast.Statement]:
        """One statement, or the declarations of one LET ... AND."""
        if self.kind == ";":
            self.at += 1
            return []
        if self.kind in DECLARATIONS:
            if self.kind == "CLASS":
                raise self.fail("a class cannot be declared inside a routine")
            return self.declaration()
        return [self.statement()]

    # --- statements ------------------------------------------------------------------------------

    def statement(self) -> ast.Statement:
        self.enter()
        depth = self.depth
        result = self.simple_statement()
        while self.kind in AFTER_BODY and not self.is_prefix_repeat():
            self.enter()  # each is one loop around the other
            result = self.repeat_after(result)
        self.depth = depth
        self.leave()
        return result

    def is_prefix_repeat(self) -> bool:
        """A REPEAT that begins a line before a bracket is a loop of its own (1.4)."""
        following = self.tokens[min(self.at + 1, len(self.tokens) - 1)]
        return self.kind == "REPEAT" and self.token.first and following.kind == "$("

    def repeat_after(self, body: ast.Statement) -> ast.Statement:
        keyword = self.take_token().kind
        if keyword == "REPEAT":
            if self.kind in ("WHILE", "UNTIL") and not self.is_new_loop():
                negated = self.take_token().kind == "UNTIL"
                condition = self.expression()
                return ast.Repeat(body.span.to(condition.span), body, condition, negated)
            return ast.Repeat(body.span.to(self.last_span()), body, None, False)
        condition = self.expression()
        negated = keyword == "REPEATUNTIL"
        return ast.Repeat(body.span.to(condition.span), body, condition, negated)

    def is_new_loop(self) -> bool:
        """After REPEAT or its body: a WHILE that begins a line and has a DO begins a new loop."""
        if not self.token.first:
            return False
        depth = 0
        for token in itertools.islice(self.tokens, self.at + 1, None):
            kind = token.kind
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
        if kind != NAME:
            self.or_ends = False
        if kind == "$(":
            return self.block()
        method = self.BY_KEYWORD.get(kind)
        if method is not None:
            return method(self)
        if kind in SIMPLE_JUMPS:
            span = self.take()
            if kind == "FINISH" and self.kind == "(" and not self.token.first:
                self.at += 1
                self.expect(")", "')'")
            return ast.Jump(span, kind)
        if kind in ("LET", "FLET"):
            raise self.fail("a declaration cannot be the body; put it into $( ... $)")
        if kind == NAME:
            following = self.tokens[self.at + 1].kind
            if following == ":" and self.tokens[self.at + 2].kind != "=":
                span = self.take()
                self.at += 1
                return ast.Label(span, str(self.tokens[self.at - 2].value))
        return self.assignment_or_call()

    def assignment_or_call(self) -> ast.Statement:
        start = self.span()
        word = str(self.token.value)
        lower_keyword = (
            self.kind == NAME
            and not word.isupper()
            and (word.upper() in STATEMENTS or word.upper() in DECLARATIONS)
        )
        # Of a statement OR can only be the old ELSE of TEST; in brackets it is an operator.
        or_ends = self.or_ends
        targets = [self.expression()]
        self.or_ends = False
        if or_ends and self.kind == "OR":
            self.or_ends = True
        while self.accept(","):
            targets.append(self.expression())
        if self.kind == ":=":
            self.at += 1
            values = [self.expression()]
            while self.accept(","):
                values.append(self.expression())
            if self.kind == ":=":
                raise self.fail("':=' cannot be repeated; write one assignment each")
            return ast.Assignment(start.to(self.last_span()), targets, values)
        span = start.to(self.last_span())
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
        if lower_keyword:
            raise self.fail_at(f"'{word}' is not a keyword; did you mean {word.upper()}?", start)
        raise self.fail_at("this expression is not a statement: only calls are", span)

    def then(self, *words: str) -> None:
        """The word between condition and body, which may be left out."""
        if self.kind in words:
            self.at += 1
        elif self.kind not in BEGINS_STATEMENT:
            raise self.fail(f"expected {words[0]} and a statement, found {self.shown()}")

    def if_statement(self) -> ast.Statement:
        keyword = self.take_token()
        start = self.token_span(keyword)
        condition = self.condition()
        self.then("THEN", "DO")
        self.or_ends = keyword.kind == "TEST"
        then = self.statement()
        self.or_ends = False
        otherwise = None
        if self.kind == "ELSE" or (keyword.kind == "TEST" and self.kind == "OR"):
            if keyword.kind == "UNLESS":
                raise self.fail("UNLESS has no ELSE; use TEST")
            self.at += 1
            otherwise = self.statement()
        span = start.to(self.last_span())
        return ast.If(span, condition, then, otherwise, keyword.kind == "UNLESS")

    def while_statement(self) -> ast.Statement:
        keyword = self.take_token()
        condition = self.condition()
        self.then("DO", "THEN")
        body = self.statement()
        span = self.token_span(keyword).to(self.last_span())
        return ast.While(span, condition, body, keyword.kind == "UNTIL")

    def repeat_statement(self) -> ast.Statement:
        start = self.take()
        self.enter()
        body = self.simple_statement()
        self.leave()
        if self.kind in ("WHILE", "UNTIL") and not self.is_new_loop():
            negated = self.take_token().kind == "UNTIL"
            condition = self.expression()
            return ast.Repeat(start.to(self.last_span()), body, condition, negated)
        return ast.Repeat(start.to(self.last_span()), body, None, False)

    def for_statement(self) -> ast.Statement:
        start = self.take()
        name = self.name("the loop's variable")
        self.expect("=", "'=' and the first value")
        first = self.condition()
        self.expect("TO", "TO and the last value")
        last = self.condition()
        step = self.condition() if self.accept("BY") else None
        self.then("DO", "THEN")
        body = self.statement()
        return ast.For(start.to(self.last_span()), name, first, last, step, body)

    def foreach_statement(self) -> ast.Statement:
        start = self.take()
        is_pattern = self.accept("(")
        names = [self.name("the loop's variable")]
        while self.accept(","):
            names.append(self.name("the loop's variable"))
        if is_pattern:
            self.expect(")", "')'")
        self.annotation()
        self.expect("IN", "IN and the collection")
        collection = self.condition()
        self.then("DO", "THEN")
        body = self.statement()
        return ast.Foreach(start.to(self.last_span()), names, collection, body, is_pattern)

    def switch_statement(self) -> ast.Statement:
        start = self.take()
        value = self.condition()
        if self.kind in ("INTO", "DO"):
            self.at += 1
        if self.kind != "$(":
            raise self.fail(f"expected '$(' and the cases of SWITCHON, found {self.shown()}")
        return ast.Switch(start.to(self.last_span()), value, self.block())

    def case_label(self) -> ast.Statement:
        keyword = self.take_token()
        value = self.expression() if keyword.kind == "CASE" else None
        self.expect(":", "':' after the case")
        return ast.Case(self.token_span(keyword).to(self.last_span()), value)

    def resultis(self) -> ast.Statement:
        start = self.take()
        value = self.expression()
        return ast.Resultis(start.to(value.span), value)

    def goto(self) -> ast.Statement:
        start = self.take()
        return ast.Goto(start, self.name("a label"))

    def defer(self) -> ast.Statement:
        start = self.take()
        body = self.statement()
        return ast.Defer(start.to(body.span), body)

    def using(self) -> ast.Statement:
        start = self.take()
        name = self.name("a name after USING")
        self.expect("=", "'='")
        value = self.condition()
        self.then("DO")
        body = self.statement()
        return ast.Using(start.to(body.span), name, value, body)

    def ownership(self) -> ast.Statement:
        keyword = self.take_token()
        start = self.token_span(keyword)
        if keyword.kind in ("SEND", "FREEVEC", "FREELIST"):
            value: ast.Expression | None = self.expression()
            return ast.Ownership(start.to(self.last_span()), keyword.kind, "", value)
        name = self.name(f"a name after {keyword.kind}")
        value = self.expression() if self.accept("=") else None
        return ast.Ownership(start.to(self.last_span()), keyword.kind, name, value)

    BY_KEYWORD = {
        "IF": if_statement,
        "UNLESS": if_statement,
        "TEST": if_statement,
        "WHILE": while_statement,
        "UNTIL": while_statement,
        "REPEAT": repeat_statement,
        "FOR": for_statement,
        "FOREACH": foreach_statement,
        "SWITCHON": switch_statement,
        "CASE": case_label,
        "DEFAULT": case_label,
        "RESULTIS": resultis,
        "GOTO": goto,
        "DEFER": defer,
        "USING": using,
        "RETAIN": ownership,
        "REMANAGE": ownership,
        "SEND": ownership,
        "ACCEPT": ownership,
        "FREEVEC": ownership,
        "FREELIST": ownership,
    }


def parse(source: SourceFile, diagnostics: Diagnostics) -> ast.Program:
    """The program of a source file.  Errors go to `diagnostics`; a program always comes back.

    The nesting is bounded by `MAXIMUM_DEPTH`, the stages after this one recurse too: Python's
    limit is raised to what that bound needs.  (Since 3.11 calls take no C stack.)
    """
    sys.setrecursionlimit(max(sys.getrecursionlimit(), RECURSION_LIMIT))
    return Parser(source, tokenize(source, diagnostics), diagnostics).program()
