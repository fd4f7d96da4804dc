"""Random programs in NewBCPL and Sox, and what their variables are while they run.

One small language is rendered as either, a statement a line; a plain interpreter runs it.
At each `Tick` (a call of the runtime that prints a number) it notes all active functions
with the values of their visible variables; between ticks, what each line saw and left.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

MODULUS = 1009
FEWEST_TICKS, MOST_TICKS = 8, 120


@dataclass(slots=True)
class Statement:
    """kind: 'let', 'set', 'call' (name := function(arguments)), 'poke' (another function adds 1
    to it), 'tick', 'if', 'while', 'for'."""

    kind: str
    name: str = ""
    expression: Expression | None = None
    function: str = ""
    arguments: list[Expression] = field(default_factory=list)
    body: list[Statement] = field(default_factory=list)
    otherwise: list[Statement] = field(default_factory=list)
    number: int = 0
    line: int = 0


@dataclass(slots=True)
class Expression:
    """A number, a variable, or an operation of two: '+', '-', '*', '<', '='."""

    operator: str
    left: Expression | None = None
    right: Expression | None = None
    number: int = 0
    name: str = ""


@dataclass(slots=True)
class Function:
    name: str
    parameters: list[str]
    body: list[Statement]
    result: Expression
    line: int = 0
    result_line: int = 0


@dataclass(slots=True)
class Active:
    """A function under way: the line that it is at, and its visible variables."""

    function: str
    line: int
    values: dict[str, int]


@dataclass(slots=True)
class Truth:
    """`ticks`: at each, the active functions, innermost first.  `seen[tick]`: (function,
    line, variable) -> the values that it had when the line began or had been done, between
    that tick and the one before."""

    ticks: list[list[Active]] = field(default_factory=list)
    seen: list[dict[tuple[str, int, str], set[int]]] = field(default_factory=lambda: [{}])


class Maker:
    """Makes the functions of one program; `depth` bounds recursion.

    `in_slots`: variables whose address is taken, which are in memory at all levels.
    """

    def __init__(self, source: random.Random, in_slots: bool = False) -> None:
        self.source = source
        self.in_slots = in_slots
        self.ticks = 0
        self.names = 0
        self.functions = ["f", "g"]

    def program(self) -> list[Function]:
        found = [self.function(name, ["d", "a", "b"]) for name in self.functions]
        return [*found, self.function("first", ["d", "p"])]

    def function(self, name: str, parameters: list[str]) -> Function:
        visible = [one for one in parameters if one != "d"]
        body = self.statements(visible, 3, loops=0)
        result = self.expression(visible, 2)
        return Function(name, parameters, body, result)

    def statements(self, visible: list[str], depth: int, loops: int) -> list[Statement]:
        """`visible` grows by what is declared."""
        found: list[Statement] = []
        for _ in range(self.source.randint(2, 5)):
            found.append(self.statement(visible, depth, loops))
        found.append(self.tick())
        return found

    def tick(self) -> Statement:
        self.ticks += 1
        return Statement("tick", number=self.ticks)

    def statement(self, visible: list[str], depth: int, loops: int) -> Statement:
        source = self.source
        kinds = ["let", "let", "set", "set", "set", "tick", "call"]
        if depth:
            kinds += ["if", "if", "for", "while"] if loops < 2 else ["if"]
        if self.in_slots:
            kinds += ["poke", "poke", "set", "set", "set", "set"]
        kind = source.choice(kinds)
        if kind == "tick":
            return self.tick()
        if kind == "let":
            value = self.expression(visible, 2)
            self.names += 1
            # Now and then a name that is visible already: an inner block's own variable.
            name = f"v{self.names}"
            visible.append(name)
            return Statement("let", name, value)
        writable = [one for one in visible if not one.startswith("i")]
        if kind == "set" and writable:
            return Statement("set", source.choice(writable), self.expression(visible, 3))
        if kind == "poke" and writable:
            return Statement("poke", source.choice(writable))
        if kind == "call" and writable:
            target = source.choice(self.functions)
            arguments = [self.expression(visible, 1), self.expression(visible, 1)]
            call = Statement("call", source.choice(writable), None, target, arguments)
            depth_left = Expression("<", Expression("n", number=0), Expression("v", name="d"))
            return Statement("if", expression=depth_left, body=[call])
        if kind == "if":
            condition = Expression("<", self.expression(visible, 1), self.expression(visible, 1))
            body = self.statements(list(visible), depth - 1, loops)
            both = source.random() < 0.4
            other = self.statements(list(visible), depth - 1, loops) if both else []
            return Statement("if", expression=condition, body=body, otherwise=other)
        if kind == "for":
            self.names += 1
            name = f"i{self.names}"
            body = self.statements([*visible, name], depth - 1, loops + 1)
            return Statement("for", name, body=body, number=source.randint(1, 3))
        if kind == "while":
            self.names += 1
            name = f"w{self.names}"
            inner = [*visible, name]
            body = self.statements([one for one in inner if one != name], depth - 1, loops + 1)
            step = Statement("set", name, Expression("-", _variable(name), _number(1)))
            condition = Expression("<", _number(0), _variable(name))
            loop = Statement("while", expression=condition, body=[*body, step])
            start = Statement("let", name, _number(source.randint(1, 3)))
            return Statement(
                "if", expression=Expression("<", _number(0), _number(1)), body=[start, loop]
            )
        return self.tick()

    def expression(self, visible: list[str], depth: int) -> Expression:
        source = self.source
        if depth and source.random() < 0.7:
            operator = source.choice("+-*")
            left, right = self.expression(visible, depth - 1), self.expression(visible, depth - 1)
            return Expression(operator, left, right)
        if visible and source.random() < 0.75:
            return _variable(source.choice(visible))
        return _number(source.randint(0, 20))


def _number(value: int) -> Expression:
    return Expression("n", number=value)


def _variable(name: str) -> Expression:
    return Expression("v", name=name)


# --- text ------------------------------------------------------------------------------------


class Writer:
    """Puts a statement on each line, and notes which."""

    def __init__(self, language: str) -> None:
        self.bcpl = language == "bcpl"
        self.lines: list[str] = []

    def add(self, depth: int, text: str) -> int:
        self.lines.append("  " * depth + text)
        return len(self.lines)

    def program(self, functions: list[Function]) -> str:
        for function in functions:
            names = ", ".join(function.parameters)
            if self.bcpl:
                function.line = self.add(0, f"LET {function.name}({names}) = VALOF $(")
            else:
                function.line = self.add(0, f"fn {function.name}({names}) {{")
            self.block(1, function.body)
            result = self.reduced(function.result)
            verb = "RESULTIS" if self.bcpl else "return"
            function.result_line = self.add(1, f"{verb} {result}{self.end}")
            self.add(0, "$)" if self.bcpl else "}")
        if self.bcpl and any(" poke(@" in line for line in self.lines):
            self.add(0, "LET poke(place) BE !place := !place + 1")
        if self.bcpl:
            self.add(0, "LET START() BE $(")
            self.add(1, "LET r = first(3, 5)")
            self.add(1, "WRITEN(r)")
            self.add(0, "$)")
        else:
            self.add(0, "fn main() {")
            self.add(1, "var r = first(3, 5);")
            self.add(1, "print r;")
            self.add(0, "}")
        return "\n".join(self.lines) + "\n"

    @property
    def end(self) -> str:
        return "" if self.bcpl else ";"

    def block(self, depth: int, body: list[Statement]) -> None:
        for one in body:
            self.statement(depth, one)

    def statement(self, depth: int, one: Statement) -> None:
        bcpl, end = self.bcpl, self.end
        set_ = ":=" if bcpl else "="
        value = self.reduced(one.expression) if one.expression is not None else ""
        if one.kind == "let":
            one.line = self.add(depth, f"{'LET' if bcpl else 'var'} {one.name} = {value}{end}")
        elif one.kind == "set":
            one.line = self.add(depth, f"{one.name} {set_} {value}{end}")
        elif one.kind == "call":
            arguments = ", ".join(["d - 1", *(self.reduced(a) for a in one.arguments)])
            one.line = self.add(depth, f"{one.name} {set_} {one.function}({arguments}){end}")
        elif one.kind == "poke":
            one.line = self.add(depth, f"poke(@{one.name})")
        elif one.kind == "tick":
            one.line = self.add(depth, f"WRITEN({one.number})" if bcpl else f"print {one.number};")
        elif one.kind == "if":
            condition = self.text(one.expression)
            head = (
                f"TEST {condition} THEN $("
                if bcpl and one.otherwise
                else (f"IF {condition} THEN $(" if bcpl else f"if ({condition}) {{")
            )
            one.line = self.add(depth, head)
            self.block(depth + 1, one.body)
            if one.otherwise:
                self.add(depth, "$) ELSE $(" if bcpl else "} else {")
                self.block(depth + 1, one.otherwise)
            self.add(depth, "$)" if bcpl else "}")
        elif one.kind == "while":
            condition = self.text(one.expression)
            head = f"WHILE {condition} DO $(" if bcpl else f"while ({condition}) {{"
            one.line = self.add(depth, head)
            self.block(depth + 1, one.body)
            self.add(depth, "$)" if bcpl else "}")
        else:
            name, last = one.name, one.number
            head = (
                f"FOR {name} = 1 TO {last} DO $("
                if bcpl
                else f"for var {name} = 1; {name} <= {last}; {name} = {name} + 1 {{"
            )
            one.line = self.add(depth, head)
            self.block(depth + 1, one.body)
            self.add(depth, "$)" if bcpl else "}")

    def reduced(self, one: Expression) -> str:
        """Kept small, so that Sox's numbers are exact."""
        if one.operator in "nv":
            return self.text(one)
        return f"({self.text(one)}) {'REM' if self.bcpl else '%'} {MODULUS}"

    def text(self, one: Expression | None) -> str:
        assert one is not None
        if one.operator == "n":
            return str(one.number)
        if one.operator == "v":
            return one.name
        return f"({self.text(one.left)} {one.operator} {self.text(one.right)})"


# --- the truth -------------------------------------------------------------------------------


class Interpreter:
    """Runs the program and notes what debuggers should see."""

    def __init__(self, functions: list[Function]) -> None:
        self.functions = {one.name: one for one in functions}
        self.truth = Truth()
        self.stack: list[tuple[str, list[dict[str, int]]]] = []
        self.lines: list[int] = []
        self.steps = 0

    def run(self) -> Truth:
        self.call("first", [3, 5])
        return self.truth

    def call(self, name: str, arguments: list[int]) -> int:
        function = self.functions[name]
        values = dict(zip(function.parameters, arguments, strict=True))
        self.stack.append((name, [values, {}]))
        self.lines.append(function.line)
        for one in function.body:
            self.statement(one)
        self.note(function.result_line)
        result = self.reduced(function.result)
        self.lines.pop()
        self.stack.pop()
        return result

    def visible(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for scope in self.stack[-1][1]:
            found.update(scope)
        return found

    def note(self, line: int) -> None:
        self.lines[-1] = line
        name = self.stack[-1][0]
        seen = self.truth.seen[-1]
        for variable, value in self.visible().items():
            seen.setdefault((name, line, variable), set()).add(value)

    def block(self, body: list[Statement]) -> None:
        scopes = self.stack[-1][1]
        scopes.append({})
        for one in body:
            self.statement(one)
        scopes.pop()

    def assign(self, name: str, value: int) -> None:
        for scope in reversed(self.stack[-1][1]):
            if name in scope:
                scope[name] = value
                return
        raise AssertionError(name)

    def statement(self, one: Statement) -> None:
        self.steps += 1
        if self.steps > 3000:
            raise RuntimeError("the program runs too long")
        self.note(one.line)
        if one.kind == "let":
            assert one.expression is not None
            value = self.reduced(one.expression)
            self.stack[-1][1][-1][one.name] = value
        elif one.kind == "set":
            assert one.expression is not None
            self.assign(one.name, self.reduced(one.expression))
        elif one.kind == "call":
            arguments = [self.value(Expression("-", _variable("d"), _number(1)))]
            arguments += [self.reduced(argument) for argument in one.arguments]
            result = self.call(one.function, arguments)
            self.note(one.line)  # the call has come back, the variable is as before
            self.assign(one.name, result)
        elif one.kind == "poke":
            self.assign(one.name, self.value(_variable(one.name)) + 1)
        elif one.kind == "tick":
            active = []
            for (name, scopes), line in zip(
                reversed(self.stack), reversed(self.lines), strict=True
            ):
                values: dict[str, int] = {}
                for scope in scopes:
                    values.update(scope)
                active.append(Active(name, line, values))
            self.truth.ticks.append(active)
            self.truth.seen.append({})
        elif one.kind == "if":
            taken = one.body if self.value(one.expression) else one.otherwise
            self.block(taken)
            return
        elif one.kind == "while":
            while self.value(one.expression):
                self.block(one.body)
                self.note(one.line)
        else:
            scopes = self.stack[-1][1]
            scopes.append({one.name: 1})
            while scopes[-1][one.name] <= one.number:
                self.note(one.line)
                self.block(one.body)
                self.note(one.line)
                scopes[-1][one.name] += 1
            self.note(one.line)
            scopes.pop()
        self.note(one.line)

    def reduced(self, one: Expression) -> int:
        value = self.value(one)
        if one.operator in "nv":
            return value
        remainder = abs(value) % MODULUS  # both languages truncate
        return -remainder if value < 0 else remainder

    def value(self, one: Expression | None) -> int:
        assert one is not None
        if one.operator == "n":
            return one.number
        if one.operator == "v":
            for scope in reversed(self.stack[-1][1]):
                if one.name in scope:
                    return scope[one.name]
            raise AssertionError(one.name)
        left, right = self.value(one.left), self.value(one.right)
        if one.operator == "<":
            return int(left < right)
        return {"+": left + right, "-": left - right, "*": left * right}[one.operator]


def make(seed: int, language: str, in_slots: bool = False) -> tuple[str, Truth] | None:
    """A program's text and its truth; None if that would not show enough, or
    run too long.  `in_slots`: NewBCPL only, with variables whose address is taken."""
    functions = Maker(random.Random(seed), in_slots).program()
    text = Writer(language).program(functions)
    try:
        truth = Interpreter(functions).run()
    except RuntimeError:
        return None
    return (text, truth) if FEWEST_TICKS <= len(truth.ticks) <= MOST_TICKS else None
