"""Random Sox programs that end, print something and depend on nothing outside.

`generate(seed)` gives a program's text.  Expressions are made by kind (number, text, truth
value), so that a program has no run-time error but the one that some programs end with.
Loops have constant bounds, functions call only what was declared before them, and an
estimate of the work keeps nested loops and calls from growing without limit.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

BUDGET = 4000  # estimated statements that a program executes
KEYS = ["a", "b", "key", "name", "left", "right", "x1", "sum", "last", "zz"]
WORDS = ["", "sox", "two words", "a,b,c", "Mixed", "0", "é"]

# The texts of section 16 that a program may end with; {n} is a number's expression.
FINAL_ERRORS = [
    "undefinedName",
    "undefinedName = {n}",
    "print {n} + nil",
    "print {n} - true",
    'print -"text"',
    'print {n} < "1"',
    "nil({n})",
    "print array[-1]",
    'print array["one"]',
    "array[len(array)] = {n}",
    "print table[{n}]",
    "table.missing({n})",
    "print object.missing",
    "object.missing({n})",
    "object.method0()",
    "print nil.field",
    "nil.field = {n}",
    "print Base.field",
    "class Wrong < array {{}}",
    "foreach var i, v in {n} {{ print v }}",
    "assert({n} == nil)",
    'assert(false, "the end")',
    "helper0()",
    "len({n})",
    "mathSqrt(-1)",
    'print "text"[0]',
    'print array["a":1]',
]


@dataclass(slots=True)
class Variable:
    name: str
    kind: str  # number, string, bool, array, table, function, object
    function_depth: int
    fixed: bool = False  # not to be assigned
    loop: bool = False  # not to be captured: whether each turn has its own is left open


@dataclass(slots=True)
class Function:
    name: str
    minimum: int
    maximum: int
    cost: float


@dataclass(slots=True)
class Maker:
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
        return ", ".join(self.number(min(depth, 1)) for _ in range(count))

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
        return f"{name}.{method.name}({self.arguments(method, depth)})"

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
        name = self.name_of("function")
        if name and self.chance(0.7):
            self.work += self.weight * 5
            return f"{name}({self.number(depth)})"
        return f"{self.closure(depth)}({self.number(depth)})"

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
            lambda d: f'tableHas({table}, "{self.random.choice(KEYS)}")' if table else "true",
        ]
        return self.random.choice(choices)(depth - 1)

    def anything(self, depth: int) -> str:
        kind = self.random.choice(["number", "string", "bool", "name", "nil"])
        if kind == "name":
            names = [self.name_of(k) for k in ("array", "table", "object", "function")]
            choices = [name for name in names if name]
            return self.random.choice(choices) if choices else "nil"
        makers = {"number": self.number, "string": self.string, "bool": self.truth}
        return makers[kind](depth) if kind in makers else "nil"

    def array(self) -> str:
        return "{" + ", ".join(self.number(1) for _ in range(self.random.randint(1, 4))) + "}"

    def table(self) -> str:
        keys = self.random.sample(KEYS, self.random.randint(0, 4))
        return "{" + ", ".join(f"{key}: {self.number(1)}" for key in keys) + "}"

    # Statements

    def statement(self, depth: int) -> None:
        self.work += self.weight
        simple: list[Callable[[], None]] = [
            self.variable,
            self.variable,
            self.assign,
            self.assign,
            self.show,
            self.show,
            self.change,
            self.change,
        ]
        nested: list[Callable[[int], None]] = [
            self.condition,
            self.condition,
            self.for_loop,
            self.while_loop,
            self.for_each,
            self.switch,
            self.block,
            self.local_function,
        ]
        if depth > 0 and self.weight < 200 and self.work < BUDGET and self.chance(0.4):
            self.random.choice(nested)(depth - 1)
        else:
            self.random.choice(simple)()

    def statements(self, depth: int, most: int = 4) -> None:
        for _ in range(self.random.randint(1, most)):
            self.statement(depth)

    def variable(self) -> None:
        makers: dict[str, Callable[[], str]] = {
            "number": lambda: self.number(),
            "string": lambda: f"stringSubstring({self.string()}, 0, 30)",
            "bool": lambda: self.truth(),
            "array": self.array,
            "table": self.table,
            "function": lambda: self.closure(2),
        }
        kind = self.random.choice(["number", "number", *makers])
        name = self.name_of(kind)
        local = len(self.scopes) > 1
        taken = {variable.name for variable in self.scopes[-1]}
        if not (local and name and name not in taken and self.chance(0.25)):
            name = self.fresh(kind[0])
        self.avoid = name
        text = makers[kind]()
        self.avoid = ""
        brackets = "[]" if kind == "array" and self.chance(0.5) else ""
        self.end(f"var {name}{brackets} = {text}")
        self.declare(name, kind)

    def assign(self) -> None:
        kind = self.random.choice(["number", "number", "string", "bool", "function"])
        name = self.name_of(kind, assigned=True)
        if name is None:
            return self.show()
        # Texts and numbers must not grow with every turn of a loop.
        texts: dict[str, Callable[[], str]] = {
            "number": lambda: f"{self.number()} % 1000",
            "string": lambda: f"stringSubstring({self.string()}, 0, 30)",
            "bool": lambda: self.truth(),
            "function": lambda: self.closure(2),
        }
        other = self.name_of(kind, assigned=True)
        chain = f"{other} = " if other != name and self.chance(0.2) else ""
        self.end(f"{name} = {chain}{texts[kind]()}")

    def show(self) -> None:
        self.end(f"print {self.anything(2)}")

    def change(self) -> None:
        """Change an array, a table or an object."""
        array, table, target = (self.name_of(k) for k in ("array", "table", "object"))
        key = self.random.choice(KEYS)
        choices: list[str] = []
        if array:
            choices += [
                f"if len({array}) < 12 {{ push({array}, {self.number(2)}) }}",
                f"if len({array}) > 1 {{ {array}[0] = {array}[len({array}) - 1] }}",
                f"if len({array}) > 2 {{ print pop({array}) }}",
                f"print {array}[{self.random.randint(-1, 2)}:{self.random.randint(0, 3)}]",
                f"print arrayReverse({array})",
            ]
        if table:
            choices += [
                f"{table}.{key} = {self.number(2)} % 1000",
                f'{table}["{key}"] = {table}["{key}"]',
                f"print tableKeys({table})",
            ]
        if target:
            name = self.random.choice(["size", "level"])
            choices.append(f"{target}.{name} = {self.number(2)} % 50")
        if self.in_class:
            choices.append(f"this.size = {self.number(2)} % 100")
        self.emit(self.random.choice(choices) if choices else f"print {self.string()}")

    def condition(self, depth: int) -> None:
        with self.braces(f"if {self.truth()}"):
            self.statements(depth, 3)
            self.jump()
        if self.chance(0.5):
            with self.braces("else"):
                self.statements(depth, 3)

    def jump(self) -> None:
        """At the end of a conditional block: leave the loop, the turn or the function."""
        if self.chance(0.7):
            return
        choices = ["break"] if self.loops else []
        if any(kind == "loop" for kind in self.loops):
            choices.append("continue")
        if self.function_depth and not choices:
            choices.append(f"return {self.number(1)}")
        if choices:
            self.end(self.random.choice(choices))

    def for_loop(self, depth: int) -> None:
        name = self.fresh("i")
        times = self.random.randint(1, 5)
        if self.chance(0.5):
            head = f"for var {name} = 0; {name} < {times}; {name} = {name} + 1"
        else:
            first, step = self.random.randint(-3, 3), self.random.choice([1, 2, -1, 0.5])
            head = f"for {name} in range({first}, {first + step * times:g}, {step})"
        with self.repeated(times, "loop"):
            self.scopes.append([])
            self.declare(name, "number", fixed=True, loop="in range" in head)
            with self.braces(head):
                self.statements(depth)
            self.scopes.pop()

    def while_loop(self, depth: int) -> None:
        name = self.fresh("w")
        times = self.random.randint(1, 5)
        self.end(f"var {name} = {times}")
        self.declare(name, "number", fixed=True)
        with self.repeated(times, "loop"), self.braces(f"while {name} > 0"):
            self.end(f"{name} = {name} - 1")
            self.statements(depth)

    def for_each(self, depth: int) -> None:
        key, value = self.fresh("k"), self.fresh("v")
        of_table = self.chance(0.5)
        container = self.name_of("table" if of_table else "array")
        container = container or (self.table() if of_table else self.array())
        if not of_table:  # a copy: the loop must not lengthen what it goes through
            container = f"arraySlice({container}, 0)"
        with self.repeated(4, "loop"):
            self.scopes.append([])
            self.declare(key, "string" if of_table else "number", fixed=True, loop=True)
            self.declare(value, "number", fixed=True, loop=True)
            # New keys may move the rest: only what cannot change the table happens inside.
            tables = [v for scope in self.scopes for v in scope if v.kind in ("table", "object")]
            kinds = [v.kind for v in tables]
            functions, self.functions = self.functions, []
            for variable in tables if of_table else []:
                variable.kind = "hidden"
            with self.braces(f"foreach var {key}, {value} in {container}"):
                self.statements(depth, 3)
            for variable, kind in zip(tables, kinds, strict=True):
                variable.kind = kind
            self.functions = functions
            self.scopes.pop()

    def switch(self, depth: int) -> None:
        number = self.chance(0.5)

        def make() -> str:
            return self.number(1) if number else self.string(0)

        subject = f"{self.number(1)} % 3" if number else self.string(1)
        default = self.random.choice([None, 0, 1, 2])
        self.loops.append("switch")
        self.emit(f"switch {subject} {{")
        self.indent += 1
        for arm in range(3):
            if arm == default:
                with self.braces("default"):
                    self.statements(depth, 2)
            if self.chance(0.2):
                self.emit(f"case {make()}")
            with self.braces(f"case {make()}"):
                self.statements(depth, 2)
                self.jump()
        self.indent -= 1
        self.emit("}")
        self.loops.pop()

    def block(self, depth: int) -> None:
        with self.braces(""):
            self.statements(depth)

    @contextmanager
    def body(self, parameters: list[str], head: str) -> Generator[None, None, None]:
        """The inside of a function whose parameters are numbers."""
        loops, self.loops = self.loops, []
        self.function_depth += 1
        with self.braces(head):
            for parameter in parameters:
                self.declare(parameter, "number")
            yield
        self.function_depth -= 1
        self.loops = loops

    def local_function(self, depth: int) -> None:
        """A named function in a function or block, called at once."""
        name = self.fresh("local")
        parameter = self.fresh("p")
        in_class, self.in_class = self.in_class, False
        with self.body([parameter], f"fn {name}({parameter})"):
            self.statements(min(depth, 1), 3)
            self.end(f"return {self.number(2)}")
        self.in_class = in_class
        self.end(f"print {name}({self.number(1)})")

    # Declarations

    def measured(self, make: Callable[[], None]) -> float:
        """The estimated work of what `make` writes, reached once; it counts when called."""
        work, weight = self.work, self.weight
        self.work, self.weight = BUDGET * 0.7, 1.0
        make()
        cost = self.work - BUDGET * 0.7
        self.work, self.weight = work, weight
        return cost + 1

    def parameters(self, most: int) -> tuple[list[str], str, int]:
        """Names, their text with defaults, and how many are required."""
        names = [self.fresh("p") for _ in range(self.random.randint(0, most))]
        required = len(names) if self.chance(0.7) else self.random.randint(0, len(names))
        texts = [
            name if index < required else f"{name} = {self.random.choice(['1', *names[:index]])}"
            for index, name in enumerate(names)
        ]
        return names, ", ".join(texts), required

    def function(self) -> None:
        name = self.fresh("f")
        names, text, required = self.parameters(self.random.choice([2, 3, 5, 9, 12]))

        def write() -> None:
            with self.body(names, f"fn {name}({text})"):
                if self.chance(0.25):
                    with self.body([], "defer ()"):
                        self.statement(0)
                self.statements(2, 5)
                self.end(f"return {self.number()}")

        cost = self.measured(write)
        self.functions.append(Function(name, required, len(names), cost))

    def recursive_function(self) -> None:
        name = self.fresh("r")
        parameter, other = self.fresh("p"), self.fresh("p")
        with self.body([parameter, other], f"fn {name}({parameter}, {other} = 1)"):
            stop = f"!({parameter} > 0 and {parameter} < 6)"
            self.emit(f"if {stop} {{ return {self.number(0)} }}")
            arguments = f"{parameter} - 1, {self.number(0)}"
            self.end(f"return ({name}({arguments}) * {other} + {parameter}) % 10000")
        self.functions.append(Function(name, 1, 2, 20))

    def classes(self) -> None:
        """A base class and two that inherit; all methods give numbers."""
        count = self.random.randint(1, 3)
        shapes = [self.parameters(self.random.choice([1, 2, 5])) for _ in range(count)]
        costs = [0.0] * count
        for name, parent in (("Base", None), ("Middle", "Base"), ("Last", "Middle")):
            self.emit(f"class {name} < {parent} {{" if parent else f"class {name} {{")
            self.indent += 1
            with self.body(["n"], "init(n)"):
                self.emit(f"super.init(n + {self.number(0)})" if parent else "this.size = n")
                self.end(f"this.level = {self.random.randint(0, 9)}")
            for index, (names, text, _) in enumerate(shapes):
                if parent is None or self.chance(0.6):
                    write = partial(self.method, index, names, text, parent)
                    costs[index] += self.measured(write)
            self.indent -= 1
            self.emit("}")
        for index, (names, _, required) in enumerate(shapes):
            cost = costs[index] + sum(costs[:index])
            self.methods.append(Function(f"method{index}", required, len(names), cost))

    def method(self, index: int, names: list[str], text: str, parent: str | None) -> None:
        self.in_class, self.callable_methods = True, index
        with self.body(names, f"method{index}({text})"):
            self.statements(1, 3)
            if parent and self.chance(0.7):
                arguments = ", ".join(names)
                self.end(f"return (super.method{index}({arguments}) + {self.number(1)}) % 1000")
            else:
                self.end(f"return (this.size + {self.number(1)}) % 1000")
        self.in_class = False

    def program(self) -> str:
        self.emit("fn at(a, i) { if i >= 0 and i < len(a) { return a[i] } return a[0] }")
        self.emit("fn helper0(x) { return x + 1 }")
        self.emit("var array[] = {3, 1, 2}")
        self.emit("var table = {key: 1, name: 2}")
        self.emit('var text = "start"')
        self.emit("var global = 5")
        for known, kind in (("array", "array"), ("table", "table"), ("text", "string")):
            self.declare(known, kind)
        self.declare("global", "number")
        self.classes()
        for _ in range(self.random.randint(1, 4)):
            self.recursive_function() if self.chance(0.25) else self.function()
        name = self.random.choice(["Base", "Middle", "Last"])
        self.emit(f"var object = {name}({self.number(1)})")
        self.declare("object", "object", fixed=True)
        if self.chance(0.3):
            self.emit("defer () { print text + global }")
        for _ in range(self.random.randint(6, 16)):
            self.statement(3)
        for shown in ("global", "text", "array", "table", "object.size"):
            self.emit(f"print {shown}")
        if self.chance(0.3):
            error = self.random.choice(FINAL_ERRORS).format(n=self.number(1))
            with self.body([], "fn fail()"):
                self.emit(error)
            self.emit("fail()")
        return "\n".join(self.lines) + "\n"


def generate(seed: int) -> str:
    """The program of a seed: always the same text."""
    return Maker(random.Random(seed)).program()
