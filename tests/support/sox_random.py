"""Random Sox programs that end, print something and depend on nothing outside.

`generate(seed)` gives a program's text.  No program has a run-time error but the one that some
end with.  Loops have constant bounds, functions call only what was declared before them, and
an estimate of the work keeps nested loops and calls from growing without limit.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from tests.support.sox_random_expressions import BUDGET, KEYS, ExpressionMaker, Function

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
class Maker(ExpressionMaker):
    small: bool = False
    class_names: list[str] = field(default_factory=list)

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
            self.claim,
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
            self.local_class,
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
        makers["any"] = lambda: self.anything(2)
        kind = self.random.choice(["number", "number", "any", *makers])
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
        kind = self.random.choice(["number", "number", "any", "any", "string", "bool", "function"])
        name = self.name_of(kind, assigned=True)
        if name is None:
            return self.show()
        # Texts and numbers must not grow with every turn of a loop.
        texts: dict[str, Callable[[], str]] = {
            "number": lambda: f"{self.number()} % 1000",
            "string": lambda: f"stringSubstring({self.string()}, 0, 30)",
            "bool": lambda: self.truth(),
            "function": lambda: self.closure(2),
            "any": lambda: self.anything(2),
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
                f'{table}["{key}"] = {table}["{key}"] or {self.number(0)}',
                f"print tableKeys({table})",
            ]
        if target:
            name = self.random.choice(["size", "level"])
            choices.append(f"{target}.{name} = {self.number(2)} % 50")
        if self.in_class:
            choices.append(f"this.size = {self.number(2)} % 100")
        self.emit(self.random.choice(choices) if choices else f"print {self.string()}")

    def claim(self) -> None:
        value = self.anything(1)
        self.end(f"assert({value} == nil or !({value} == nil), {self.string(1)})")

    def condition(self, depth: int) -> None:
        name = self.name_of("any") if self.chance(0.2) else None
        with self.braces(f"if {name or self.truth()}"):
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
    def body(
        self, parameters: list[str], head: str, kinds: tuple[str, ...] = ()
    ) -> Generator[None, None, None]:
        """The inside of a function; without `kinds` its parameters are numbers."""
        loops, self.loops = self.loops, []
        self.function_depth += 1
        with self.braces(head):
            for index, parameter in enumerate(parameters):
                self.declare(parameter, kinds[index] if kinds else "number")
            yield
        self.function_depth -= 1
        self.loops = loops

    def local_function(self, depth: int) -> None:
        """A named function in a function or block, called at once; it may call itself."""
        name = self.fresh("local")
        parameter = self.fresh("p")
        with self.body([parameter], f"fn {name}({parameter})"):
            if self.chance(0.3):
                test = f"{parameter} == 2 or {parameter} == 3"
                self.emit(f"if {test} {{ return {name}({parameter} - 1) }}")
            self.statements(min(depth, 1), 3)
            self.end(f"return {self.number(2)}")
        self.end(f"print {name}({self.number(1)})")

    def local_class(self, depth: int) -> None:
        """A class in a block, whose method uses what is around it."""
        if self.in_class:  # what `this` is inside would have other fields
            return self.block(depth)
        name = self.fresh("Local")
        parameter = self.fresh("p")
        parent = " < Base" if len(self.scopes) > 1 and self.chance(0.4) else ""
        self.emit(f"class {name}{parent} {{")
        self.indent += 1
        with self.body([parameter], f"method({parameter})"):
            self.statements(0, 2)
            self.emit(f'if type({name}) != "Class" {{ print {name} }}')
            self.end(f"return {self.number(2)}")
        self.indent -= 1
        self.emit("}")
        argument = "1" if parent else ""
        self.end(f"print {name}({argument}).method({self.number(1)})")

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
        kinds = tuple(self.random.choice(["number", "number", "any"]) for _ in names)
        if required < len(names):  # defaults are numbers, and may be other parameters
            kinds = ()

        def write() -> None:
            with self.body(names, f"fn {name}({text})", kinds):
                if self.chance(0.25):
                    with self.body([], "defer ()"):
                        self.statement(0)
                self.statements(2, 5)
                self.end(f"return {self.number()}")

        cost = self.measured(write)
        self.functions.append(Function(name, required, len(names), cost, kinds))

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
        count = 1 if self.small else self.random.randint(1, 3)
        shapes = [self.parameters(self.random.choice([1, 2, 5])) for _ in range(count)]
        costs = [0.0] * count
        family: tuple[tuple[str, str | None], ...]
        family = (("Base", None), ("Middle", "Base"), ("Last", "Middle"))
        if self.small:
            family = family[: self.random.randint(1, 3)]
        self.class_names = [name for name, _ in family]
        for name, parent in family:
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
                method = f"super.method{index}"
                if self.chance(0.3):
                    self.end(f"var bound = {method}")
                    method = "bound"
                arguments = ", ".join(names)
                self.end(f"return ({method}({arguments}) + {self.number(1)}) % 1000")
            else:
                self.end(f"return (this.size + {self.number(1)}) % 1000")
        self.in_class = False

    def program(self, *, small: bool = False) -> str:
        self.small = small
        self.emit("fn at(a, i) { if i >= 0 and i < len(a) { return a[i] } return a[0] }")
        self.emit('fn numeric(x) { if type(x) == "<number>" { return x } return 0 }')
        self.emit("fn helper0(x) { return x + 1 }")
        self.emit("var functions = {helper: helper0, double: fn (x) { return x * 2 }}")
        self.emit("var array[] = {3, 1, 2}")
        self.emit("var table = {key: 1, name: 2}")
        self.emit('var text = "start"')
        self.emit("var global = 5")
        for known, kind in (("array", "array"), ("table", "table"), ("text", "string")):
            self.declare(known, kind)
        self.declare("global", "number")
        self.emit("var changing = nil")
        self.declare("changing", "any")
        self.classes()
        for _ in range(1 if small else self.random.randint(1, 4)):
            self.recursive_function() if self.chance(0.25) else self.function()
        name = self.random.choice(self.class_names)
        self.emit(f"var object = {name}({self.number(1)})")
        self.declare("object", "object", fixed=True)
        if self.chance(0.3):
            self.emit("defer () { print text + global }")
        for _ in range(self.random.randint(2, 4) if small else self.random.randint(6, 16)):
            self.statement(2 if small else 3)
        for shown in ("global", "text", "array", "table", "changing", "object.size"):
            self.emit(f"print {shown}")
        if self.chance(0.3):
            error = self.random.choice(FINAL_ERRORS).format(n=self.number(1))
            with self.body([], "fn fail()"):
                self.emit(error)
            self.emit("fail()")
        return "\n".join(self.lines) + "\n"


def generate(seed: int, *, small: bool = False) -> str:
    """The program of a seed: always the same text; about 170 lines, or 80."""
    return Maker(random.Random(seed)).program(small=small)


if __name__ == "__main__":
    print(generate(int(sys.argv[1])), end="")
