"""Statements (reference sections 2, 3 and 11)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from callproof.sox import nodes as ast
from callproof.sox.lexer import END, NAME
from callproof.sox.parse_expressions import PREFIX, ExpressionParser
from callproof.sox.symbols import INITIALIZER, SCRIPT, SET, LocalInfo


class StatementParser(ExpressionParser):
    """Each method finds the statement's keyword taken."""

    def statement(self) -> ast.Statement:
        self.enter()
        rule = STATEMENTS.get(self.kind)
        if rule is None:
            found = self.expression_statement()
        else:
            self.advance()
            found = rule(self)
        self.leave()
        return found

    @abstractmethod
    def declaration(self) -> list[ast.Statement]:
        """One declaration or statement (a declaration may give several), then recovery."""

    @abstractmethod
    def var_items(self) -> list[ast.Statement]:
        """What follows `var`, without the semicolon."""

    def expression_statement(self) -> ast.Statement:
        start = self.starts[self.at]
        expression = self.expression()
        line = self.line
        self.match(";")
        return ast.ExpressionStatement(self.since(start), line, expression)

    # --- blocks ---------------------------------------------------------------------------

    def block(self) -> ast.Block:
        """After `{`: a scope of its own."""
        start = self.starts[self.taken]
        self.resolver.begin_scope()
        statements = self.block_body()
        self.resolver.end_scope()
        return ast.Block(self.since(start), self.line, statements)

    def block_body(self) -> list[ast.Statement]:
        found: list[ast.Statement] = []
        while self.kind not in ("}", END):
            found += self.declaration()
        self.consume("}", "Expect '}' after block.")
        return found

    # --- simple statements ----------------------------------------------------------------

    def print_statement(self) -> ast.Statement:
        start = self.starts[self.taken]
        expression = self.expression()
        self.match(";")
        return ast.Print(self.since(start), self.line, expression)

    def assert_statement(self) -> ast.Statement:
        start = self.starts[self.taken]
        self.consume("(", "Expect '(' after 'assert'.")
        condition = self.expression()
        message = self.expression() if self.match(",") else None
        self.consume(")", "Expect ')' after assert.")
        self.match(";")
        return ast.Assert(self.since(start), self.line, condition, message)

    def return_statement(self) -> ast.Statement:
        start = self.starts[self.taken]
        kind = self.resolver.kind
        if kind == SCRIPT:
            self.error_of_meaning("Can't return from top-level code.")
        if self.match(";"):
            return ast.Return(self.since(start), self.line, None)
        if kind == INITIALIZER:
            self.error_of_meaning("Can't return a value from an initializer.")
        value = self.expression()
        self.match(";")
        return ast.Return(self.since(start), self.line, value)

    def break_statement(self) -> ast.Statement:
        start = self.starts[self.taken]
        if not self.resolver.scope.loops and not self.resolver.scope.switches:
            self.error_of_meaning("Can't use break outside of a loop or switch statement.")
        self.match(";")
        return ast.Break(self.since(start), self.line)

    def continue_statement(self) -> ast.Statement:
        start = self.starts[self.taken]
        if not self.resolver.scope.loops:
            self.error_of_meaning("Can't use continue outside of a loop statement.")
        self.match(";")
        return ast.Continue(self.since(start), self.line)

    # --- choices --------------------------------------------------------------------------

    def if_statement(self) -> ast.Statement:
        start = self.starts[self.taken]
        condition = self.expression()
        line = self.line
        then = self.statement()
        otherwise = self.statement() if self.match("else") else None
        return ast.If(self.since(start), line, condition, then, otherwise)

    def switch_statement(self) -> ast.Statement:
        start = self.starts[self.taken]
        subject = self.expression()
        line = self.line
        self.consume("{", "Expect '{' before switch body.")
        arms: list[ast.SwitchArm] = []
        values: list[ast.Expression] = []  # of cases that wait for a block
        has_default = False
        first = self.at
        self.resolver.scope.switches += 1
        while True:
            if not values:
                first = self.at
            if self.match("case"):
                values.append(self.expression())
                if not self.match("{"):
                    continue
                body: ast.Statement = self.block()
                is_default = False
            elif not has_default and self.match("default"):
                body = self.statement()
                is_default = has_default = True
            else:
                break
            arms.append(self.arm(first, values, is_default, body))
            values = []
        if values:
            arms.append(self.arm(first, values, False, None))
        self.resolver.scope.switches -= 1
        self.consume("}", "Expect '}' after switch body.")
        return ast.Switch(self.since(start), line, subject, arms)

    def arm(
        self,
        first: int,
        values: list[ast.Expression],
        is_default: bool,
        body: ast.Statement | None,
    ) -> ast.SwitchArm:
        """An arm that begins with the token `first`."""
        span = self.since(self.starts[first])
        return ast.SwitchArm(span, self.lines[first], values, is_default, body)

    # --- loops ----------------------------------------------------------------------------

    def loop_body(self) -> ast.Statement:
        self.resolver.scope.loops += 1
        body = self.statement()
        self.resolver.scope.loops -= 1
        return body

    def while_statement(self) -> ast.Statement:
        start = self.starts[self.taken]
        condition = self.expression()
        line = self.line
        body = self.loop_body()
        return ast.While(self.since(start), line, condition, body)

    def for_statement(self) -> ast.Statement:
        if self.kind == NAME and self.peek() == "in":
            return self.for_in()
        start = self.starts[self.taken]
        self.resolver.begin_scope()
        initial: list[ast.Statement] = []
        if self.match("var"):
            initial = self.var_items()
            self.match(";")
        elif not self.match(";"):
            initial = [self.expression_statement()]
        condition: ast.Expression | None = None
        if not self.match(";"):
            condition = self.expression()
            self.consume(";", "Expect ';' after loop condition.")
        line = self.line
        step: ast.Expression | None = None
        if self.kind != "{" and self.kind in PREFIX:
            step = self.expression()
        body = self.loop_body()
        self.resolver.end_scope()
        return ast.For(self.since(start), line, initial, condition, step, body)

    def for_in(self) -> ast.Statement:
        start = self.starts[self.taken]
        self.resolver.begin_scope()
        element = self.loop_variable("Expect variable name.")
        return self.each(start, [element])

    def foreach_statement(self) -> ast.Statement:
        start = self.starts[self.taken]
        self.consume("var", "Expect 'var' after 'foreach'.")
        self.resolver.begin_scope()
        variables = [self.loop_variable("Expect index variable name.")]
        if self.kind != "in":
            self.consume(",", "Expect ',' after index variable.")
            variables.append(self.loop_variable("Expect value variable name."))
        return self.each(start, variables)

    def loop_variable(self, message: str) -> LocalInfo:
        name = self.name(message)
        local = self.resolver.declare(name, self.span(self.taken))
        assert isinstance(local, LocalInfo)  # a loop has a scope of its own
        return local

    def each(self, start: int, variables: list[LocalInfo]) -> ast.Statement:
        """From `in` on; ends the scope of the loop's variables."""
        self.consume("in", "Expect 'in' after foreach variables.")
        container = self.expression()
        line = self.line
        for local in variables:
            local.state = SET
        self.consume("{", "Expect '{' before foreach body.")
        self.resolver.scope.loops += 1
        body = self.block()
        self.resolver.scope.loops -= 1
        self.resolver.end_scope()
        span = self.since(start)
        if len(variables) == 1:
            return ast.ForEach(span, line, None, None, variables[0], container, body)
        return ast.ForEach(span, line, variables[0], variables[1], None, container, body)


S = StatementParser

STATEMENTS: dict[str, Callable[[StatementParser], ast.Statement]] = {
    "{": S.block,
    "if": S.if_statement,
    "while": S.while_statement,
    "for": S.for_statement,
    "foreach": S.foreach_statement,
    "switch": S.switch_statement,
    "break": S.break_statement,
    "continue": S.continue_statement,
    "return": S.return_statement,
    "print": S.print_statement,
    "assert": S.assert_statement,
}
