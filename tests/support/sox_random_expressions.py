"""Expressions of random Sox programs (`sox_random.py` has statements and programs).

Expressions are made by kind (number, text, truth value), so that none has a run-time error.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

BUDGET = 4000  # estimated statements that a program executes
KEYS = ["a", "b", "key", "name", "left", "right", "x1", "sum", "last", "zz"]
WORDS = ["", "sox", "two words", "a,b,c", "Mixed", "0", "é"]


@dataclass(slots=True)
class Variable:
    name: str
    kind: str  # number, string, bool, array, table, function, object, any
    function_depth: int
    fixed: bool = False  # not to be assigned
    loop: bool = False  # not to be captured: whether each turn has its own is left open


@dataclass(slots=True)
class Function:
    name: str
    minimum: int
    maximum: int
    cost: float
    kinds: tuple[str, ...] = ()  # of the parameters; none means numbers


@dataclass(slots=True)
class ExpressionMaker:
    random: random.Random
    lines: list[str] = field(default_factory=list)
    indent: int = 0
    scopes: list[list[Variable]] = field(default_factory=lambda: [[]])
    functions: list[Function] = field(default_factory=list)
    methods: list[Function] = field(default_factory=list)  # method0, method1, ...
    callable_methods: int = 0  # inside a method only those with a lower number
    in_class: bool = False
    function_depth: int = 0
    loops: list[str] = field(default_factory=list)  # loops and switches of this function
    weight: float = 1.0  # how often the place is reached
    work: float = 0.0
    used: int = 0
    avoid: str = ""  # a name that must not be read (its own initializer)

    # Text

    def emit(self, text: str) -> None:
        self.lines.append("    " * self.indent + text)

    def end(self, text: str) -> None:
        """A statement that may end with a semicolon."""
        self.emit(text + self.random.choice([";", "", ""]))

    def fresh(self, stem: str) -> str:
        self.used += 1
        return f"{stem}{self.used}"

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    @contextmanager
    def braces(self, head: str, tail: str = "") -> Generator[None, None, None]:
        self.emit(f"{head} {{".lstrip())
        self.indent += 1
        self.scopes.append([])
        yield
        self.scopes.pop()
        self.indent -= 1
        self.emit("}" + tail)

    @contextmanager
    def repeated(self, times: float, kind: str) -> Generator[None, None, None]:
        self.weight *= times
        self.loops.append(kind)
        yield
        self.loops.pop()
        self.weight /= times

    # Names

    def visible(self, kind: str, assigned: bool = False) -> list[Variable]:
        """The innermost variable of each name, if it has the kind and may be used here."""
        found: dict[str, Variable] = {}
        for scope in self.scopes:
            for variable in scope:
                found[variable.name] = variable
        return [
            variable
            for variable in found.values()
            if variable.kind == kind
            and variable.name != self.avoid
            and not (assigned and variable.fixed)
            and not (variable.loop and variable.function_depth != self.function_depth)
        ]

    def name_of(self, kind: str, assigned: bool = False) -> str | None:
        choices = self.visible(kind, assigned)
        return self.random.choice(choices).name if choices else None

    def declare(self, name: str, kind: str, *, fixed: bool = False, loop: bool = False) -> None:
        self.scopes[-1].append(Variable(name, kind, self.function_depth, fixed, loop))

    # Expressions

    def number(self, depth: int = 3) -> str:
        pick = self.random
        if depth == 0 or self.chance(0.2):
            name = self.name_of("number")
            if self.in_class and self.chance(0.2):
                return pick.choice(["this.size", "this.level"])
            if name and self.chance(0.7):
                return name
            return pick.choice(["0", "1", "2", "3", "7", "0.5", "10", "1.25", "100", "0.1", "-1"])
        choices: list[Callable[[int], str]] = [
            self.binary,
            self.binary,
            self.binary,
            self.call,
            self.call,
            self.element,
            self.method_call,
            self.applied,
            self.narrowed,
            lambda d: f"len({self.string(d)})",
            lambda d: f"({self.truth(d)} and {self.number(d)} or {self.number(d)})",
            lambda d: f"-{self.number(0)}" if self.chance(0.5) else self.number(d),
            lambda d: f"mathFloor({self.number(d)})",
            lambda d: f"stringIndexOf({self.string(d)}, {self.string(0)})",
        ]
        return pick.choice(choices)(depth - 1)

    def binary(self, depth: int) -> str:
        operator = self.random.choice(["+", "+", "-", "*", "/", "%"])
        # Negative literals are bracketed: a statement may begin with no minus.
        right = "7" if operator == "%" and self.chance(0.5) else f"({self.number(depth)})"
        return f"({self.number(depth)} {operator} {right})"

    def arguments(self, function: Function, depth: int) -> str:
        count = self.random.randint(function.minimum, function.maximum)
        kinds = function.kinds or ("number",) * count
        makers = {"number": self.number, "any": self.anything}
        return ", ".join(makers[kind](min(depth, 1)) for kind in kinds[:count])

    def affordable(self, function: Function) -> bool:
        return self.work + self.weight * function.cost < BUDGET

    def call(self, depth: int) -> str:
        choices = [function for function in self.functions if self.affordable(function)]
        if not choices:
            return self.number(0)
        function = self.random.choice(choices)
        self.work += self.weight * function.cost
        return f"{function.name}({self.arguments(function, depth)})"

    def method_call(self, depth: int) -> str:
        methods = self.methods[: self.callable_methods] if self.in_class else self.methods
        methods = [method for method in methods if self.affordable(method)]
        name = "this" if self.in_class else self.name_of("object")
        if name is None or not methods:
            return self.number(0)
        method = self.random.choice(methods)
        self.work += self.weight * method.cost
        if self.chance(0.3):
            return f"{name}.{self.random.choice(['size', 'level'])}"
        arguments = self.arguments(method, depth)
        if self.chance(0.2):  # the bound method as a value of its own
            return f"({name}.{method.name})({arguments})"
        return f"{name}.{method.name}({arguments})"

    def element(self, depth: int) -> str:
        array, table = self.name_of("array"), self.name_of("table")
        if array and self.chance(0.5):
            return f"at({array}, {self.number(depth)})"
        if table:
            key = self.random.choice(KEYS)
            get = f"{table}.{key}" if self.chance(0.6) else f'{table}["{key}"]'
            return f"({get} or {self.number(0)})"
        return self.number(depth)

    def applied(self, depth: int) -> str:
        """A closure called: one in a variable, or one made on the spot."""
        if self.chance(0.2):  # in a table, to which the call gives no receiver
            return f"functions.{self.random.choice(['double', 'helper'])}({self.number(depth)})"
        name = self.name_of("function")
        if name and self.chance(0.7):
            self.work += self.weight * 5
            return f"{name}({self.number(depth)})"
        return f"{self.closure(depth)}({self.number(depth)})"

    def narrowed(self, depth: int) -> str:
        """A number out of a variable that may hold anything."""
        name = self.name_of("any")
        if name is None:
            return self.number(depth)
        if self.chance(0.5):
            return f"numeric({name})"
        return f'(type({name}) == "<number>" and {name} or {self.number(depth)})'

    def closure(self, depth: int) -> str:
        parameter = self.fresh("p")
        self.function_depth += 1
        self.scopes.append([])
        self.declare(parameter, "number")
        # A closure in a variable calls nothing: its cost would not be known.
        functions, self.functions = self.functions, []
        methods, self.methods = self.methods, []
        hidden = [
            variable for scope in self.scopes for variable in scope if variable.kind == "function"
        ]
        for variable in hidden:
            variable.kind = "hidden function"
        captured = self.name_of("number", assigned=True)
        body = f"return {self.number(min(depth, 2))}"
        if captured and captured != parameter and self.chance(0.4):
            body = f"{captured} = {captured} + {parameter} {body}"
        for variable in hidden:
            variable.kind = "function"
        self.functions, self.methods = functions, methods
        self.scopes.pop()
        self.function_depth -= 1
        return f"fn ({parameter}) {{ {body} }}"

    def string(self, depth: int = 2) -> str:
        name = self.name_of("string")
        if depth == 0 or self.chance(0.25):
            if name and self.chance(0.6):
                return name
            return f'"{self.random.choice(WORDS)}"'
        choices: list[Callable[[int], str]] = [
            lambda d: f"({self.string(d)} + {self.number(d)})",
            lambda d: f"({self.number(d)} + {self.string(d)})",
            lambda d: f"({self.string(d)} + {self.truth(d)} + {self.string(d)})",
            lambda d: f"(nil + {self.string(d)})",
            lambda d: f"stringUpper({self.string(d)})",
            lambda d: f"stringSubstring({self.string(d)}, {self.random.randint(0, 3)}, 9)",
            lambda d: f'stringReplace({self.string(d)}, "o", {self.string(0)})',
            lambda d: f"type({self.anything(d)})",
            lambda d: f'arrayJoin({self.name_of("array") or "{1, 2}"}, ",")',
            lambda d: f'("" + {self.name_of("table") or "clock"})',
            lambda d: f'("" + {self.name_of("any") or "nil"})',
            lambda d: f'({self.name_of("any") or "1"} + ":")',
        ]
        return self.random.choice(choices)(depth - 1)

    def truth(self, depth: int = 2) -> str:
        if depth == 0 or self.chance(0.15):
            return self.name_of("bool") or self.random.choice(["true", "false"])
        table = self.name_of("table")
        choices: list[Callable[[int], str]] = [
            lambda d: (
                f"({self.number(d)} {self.random.choice(['<', '<=', '>', '>='])} {self.number(d)})"
            ),
            lambda d: f"({self.anything(d)} {self.random.choice(['==', '!='])} {self.anything(d)})",
            lambda d: f"(!{self.truth(d)})",
            lambda d: f"({self.truth(d)} {self.random.choice(['and', 'or'])} {self.truth(d)})",
            lambda d: f"stringStartsWith({self.string(d)}, {self.string(0)})",
            lambda d: f"({self.anything(d)} and {self.truth(d)} or {self.truth(d)})",
            lambda d: f'tableHas({table}, "{self.random.choice(KEYS)}")' if table else "true",
        ]
        return self.random.choice(choices)(depth - 1)

    def anything(self, depth: int) -> str:
        kind = self.random.choice(["number", "string", "bool", "name", "name", "nil", "logic"])
        if kind == "logic" and depth > 0:
            operator = self.random.choice(["and", "or"])
            return f"({self.anything(depth - 1)} {operator} {self.anything(depth - 1)})"
        if kind == "name":
            names = [
                self.name_of(k) for k in ("any", "any", "array", "table", "object", "function")
            ]
            choices = [name for name in names if name]
            return self.random.choice(choices) if choices else "nil"
        # Texts are kept short, as the value may come back in the next turn of a loop.
        makers: dict[str, Callable[[int], str]] = {
            "number": self.number,
            "string": lambda d: f"stringSubstring({self.string(d)}, 0, 20)",
            "bool": self.truth,
        }
        return makers[kind](depth) if kind in makers else "nil"

    def array(self) -> str:
        return "{" + ", ".join(self.number(1) for _ in range(self.random.randint(1, 4))) + "}"

    def table(self) -> str:
        keys = self.random.sample(KEYS, self.random.randint(0, 4))
        return "{" + ", ".join(f"{key}: {self.number(1)}" for key in keys) + "}"
