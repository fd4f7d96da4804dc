"""Random NewBCPL programs, and what they must print: each is written in Python beside.

Integers wrap to 64 bits, lanes to theirs; float lanes are rounded to 32 bits.  Every
function changes a global variable, so that the order of evaluation shows.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tests.bcpl.random_values import (
    BITS,
    FLOAT,
    FOCT,
    FPAIR,
    FQUAD,
    HELPERS,
    INTEGER,
    LANES,
    OCT,
    PAIR,
    QUAD,
)

TYPES = [INTEGER] * 5 + [FLOAT] * 3 + [PAIR, QUAD, FPAIR, OCT, FQUAD, FOCT]
DIRECTIVE = {INTEGER: "%d", PAIR: "%P", QUAD: "%R", FPAIR: "%Q"}
CHOICES = {"MIN": "x if x < y else y", "MAX": "x if x > y else y", "SUM": "x + y", "ADD": "x + y"}
SHOWING = """LET showOCT(p AS OCT) BE $( FOR i = 0 TO 7 DO WRITEF("%d ", p.|i|)  NEWLINE() $)
LET showFQUAD(p AS FQUAD) BE $( FOR i = 0 TO 3 DO $( FWRITE(p.|i|) WRITES(" ") $)  NEWLINE() $)
LET showFOCT(p AS FOCT) BE $( FOR i = 0 TO 7 DO $( FWRITE(p.|i|) WRITES(" ") $)  NEWLINE() $)
"""
VECTOR_SIZE = 8

Text = tuple[str, str]  # the same in NewBCPL and in Python


@dataclass
class Function:
    name: str
    parameters: list[tuple[str, str]]
    result: str
    owner: str = ""


@dataclass
class Class:
    name: str
    base: Class | None
    fields: dict[str, str]
    methods: dict[str, Function] = field(default_factory=dict)

    def all_fields(self) -> dict[str, str]:
        return {**(self.base.all_fields() if self.base else {}), **self.fields}

    def all_methods(self) -> dict[str, Function]:
        return {**(self.base.all_methods() if self.base else {}), **self.methods}


class Generator:
    """Writes one program in both languages."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.functions: list[Function] = []
        self.classes: list[Class] = []
        self.bcpl: list[str] = []
        self.python: list[str] = []
        self.names = 0
        self.scope: list[tuple[str, str]] = []  # variables: name, class
        self.constant_names: set[str] = set()
        self.this: Class | None = None
        self.calls_left = 0

    def name(self, start: str) -> str:
        self.names += 1
        return f"{start}{self.names}"

    def emit(self, depth: int, bcpl: str, python: str | None = None) -> None:
        if bcpl:
            self.bcpl.append("    " * depth + bcpl)
        if python:
            self.python.append("    " * depth + python)

    # --- expressions -----------------------------------------------------------------------

    def expression(self, kind: str, depth: int) -> Text:
        pick = self.random.random()
        if depth <= 0 or pick < 0.12:
            return self.leaf(kind)
        if pick < 0.30 and self.calls_left > 0:
            call = self.call(kind, depth)
            if call is not None:
                return call
        if pick < 0.38:
            condition = self.expression(INTEGER, depth - 1)
            a, b = self.expression(kind, depth - 1), self.expression(kind, depth - 1)
            return (
                f"({condition[0]} -> {a[0]}, {b[0]})",
                f"({a[1]} if {condition[1]} else {b[1]})",
            )
        return {INTEGER: self.integer, FLOAT: self.floating}.get(kind, self.pack)(kind, depth)

    def leaf(self, kind: str) -> Text:
        known = [name for name, type_ in self.scope if type_ == kind]
        if known and self.random.random() < 0.7:
            name = self.random.choice(known)
            return name, name
        if self.this is not None and self.random.random() < 0.5:
            fields = [name for name, type_ in self.this.all_fields().items() if type_ == kind]
            if fields:
                name = self.random.choice(fields)
                return self.random.choice([name, f"SELF.{name}"]), f"self.{name}"
        number = self.random.choice(
            [self.random.randint(-9, 9), self.random.randint(-(1 << 40), 1 << 40), 1 << 62]
        )
        if kind == INTEGER:
            return f"({number})", f"({number})"
        if kind == FLOAT:
            value = self.random.randint(-999, 999) / self.random.choice([1, 2, 8])
            return f"({value!r})", f"({value!r})"
        parts = [self.random.randint(-30000, 30000) for _ in range(LANES[kind])]
        inside = ", ".join(map(str, parts))
        return f"{kind}({inside})", f"lanes({kind!r}, [{inside}])"

    def integer(self, kind: str, depth: int) -> Text:
        a, b = self.expression(INTEGER, depth - 1), self.expression(INTEGER, depth - 1)
        operator = self.random.choice(
            "+ - * / REM & | NEQV << >> = ~= < <= > >= AND OR NOT -1 ~ XOR "
            "FIX lane lane float= v! v! bits pack= reduce".split()
        )
        simple = {"+": "+", "-": "-", "*": "*", "&": "&", "|": "|", "NEQV": "^"}
        compare = {"=": "==", "~=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
        if operator in simple:
            return f"({a[0]} {operator} {b[0]})", f"wrap({a[1]} {simple[operator]} {b[1]})"
        if operator in compare:
            return f"({a[0]} {operator} {b[0]})", f"int({a[1]} {compare[operator]} {b[1]})"
        if operator in ("/", "REM"):
            function = "wrap(quotient" if operator == "/" else "(remainder"
            return f"({a[0]} {operator} {b[0]})", f"{function}({a[1]}, {b[1]}))"
        if operator in ("<<", ">>"):
            count = self.random.choice([f"({b[0]} & 15)", "3", "63", "64", "100"])
            python = count.replace(b[0], b[1])
            return f"({a[0]} {operator} {count})", f"shifted({a[1]}, {python}, {operator == '<<'})"
        if operator in ("AND", "OR"):
            word = operator.lower()
            return f"({a[0]} {operator} {b[0]})", f"int(bool({a[1]}) {word} bool({b[1]}))"
        if operator == "XOR":
            return f"({a[0]} XOR {b[0]})", f"int(bool({a[1]}) != bool({b[1]}))"
        if operator == "NOT":
            return f"(NOT {a[0]})", f"int({a[1]} == 0)"
        if operator == "-1":
            return f"(-{a[0]})", f"wrap(-{a[1]})"
        if operator == "~":
            return f"(~{a[0]})", f"(~{a[1]})"
        if operator == "FIX":
            x = self.expression(FLOAT, depth - 1)
            return f"FIX({x[0]})", f"int({x[1]})"
        if operator == "lane":
            pack_kind = self.random.choice(list(BITS))
            pack, index = self.expression(pack_kind, depth - 1), self.random.randrange(2)
            word = ("first", "second")[index]
            return self.random.choice([f"({pack[0]}).{word}", f"({pack[0]}).|{index}|"]), (
                f"{pack[1]}[{index}]"
            )
        if operator == "float=":
            x, y = self.expression(FLOAT, depth - 1), self.expression(FLOAT, depth - 1)
            chosen = self.random.choice(list(compare))
            return f"({x[0]} {chosen} {y[0]})", f"int({x[1]} {compare[chosen]} {y[1]})"
        if operator == "pack=":
            pack_kind = self.random.choice(list(BITS))
            x, y = self.expression(pack_kind, depth - 1), self.expression(pack_kind, depth - 1)
            return f"({x[0]} = {y[0]})", f"int({x[1]} == {y[1]})"
        if operator == "reduce":
            return self.reduction(self.random.choice(list(BITS)), depth)
        if operator == "bits":
            start, width = self.random.randrange(50), self.random.randrange(1, 14)
            mask = (1 << width) - 1
            return f"({a[0]} %% ({start}, {width}))", f"(({a[1]} >> {start}) & {mask})"
        return f"vector!({a[0]} & 7)", f"vector[{a[1]} & 7]"

    def floating(self, kind: str, depth: int) -> Text:
        operator = self.random.choice("+ - * / FLOAT mixed lane -1 # reduce".split())
        if operator in ("lane", "reduce"):
            pack_kind = self.random.choice([FPAIR, FQUAD, FOCT])
            if operator == "reduce":
                return self.reduction(pack_kind, depth)
            pack = self.expression(pack_kind, depth - 1)
            index = self.random.randrange(LANES[pack_kind])
            return f"({pack[0]}).|{index}|", f"{pack[1]}[{index}]"
        a = self.expression(FLOAT, depth - 1)
        if operator == "-1":
            return f"(-{a[0]})", f"(-{a[1]})"
        if operator == "FLOAT":
            i = self.expression(INTEGER, depth - 1)
            return f"FLOAT({i[0]} & 1023)", f"float({i[1]} & 1023)"
        if operator == "mixed":
            i = self.expression(INTEGER, depth - 1)
            return f"({a[0]} + ({i[0]} & 255))", f"({a[1]} + float({i[1]} & 255))"
        if operator == "#":
            i, j = self.expression(INTEGER, depth - 1), self.expression(INTEGER, depth - 1)
            return (
                f"(({i[0]} & 255) -# ({j[0]} & 255))",
                f"(float({i[1]} & 255) - float({j[1]} & 255))",
            )
        b = self.expression(FLOAT, depth - 1)
        if operator == "/":
            divisor = self.random.choice(["2.0", "8.0", "-0.5"])
            return f"({a[0]} / {divisor})", f"({a[1]} / {divisor})"
        if operator == "*":
            return f"tame({a[0]} * {b[0]})", f"tame({a[1]} * {b[1]})"
        return f"({a[0]} {operator} {b[0]})", f"({a[1]} {operator} {b[1]})"

    def pack(self, kind: str, depth: int) -> Text:
        operator = self.random.choice(
            ["+", "-", "*", "make", "scalar", "-1", "/", "choose", "pairs"]
        )
        if kind not in BITS and operator in "*/":
            operator = "+"
        a = self.expression(kind, depth - 1)
        if operator in ("choose", "pairs"):
            b = self.expression(kind, depth - 1)
            name = self.random.choice(["MIN", "MAX", "SUM" if operator == "choose" else "ADD"])
            function = f"lambda x, y: {CHOICES[name]}"
            if operator == "choose":
                return f"{name}({a[0]}, {b[0]})", f"lanewise({kind!r}, {function}, {a[1]}, {b[1]})"
            return (
                f"PAIRWISE_{name}({a[0]}, {b[0]})",
                f"neighbours({kind!r}, {function}, {a[1]}, {b[1]})",
            )
        if operator == "/":
            b = self.expression(kind, depth - 1)
            return f"({a[0]} / {b[0]})", f"lanewise({kind!r}, quotient, {a[1]}, {b[1]})"
        if operator == "-1":
            if kind not in BITS:
                return f"(-{a[0]})", f"tuple(-lane for lane in {a[1]})"
            return f"(-{a[0]})", f"lanewise({kind!r}, lambda x, y: y - x, {a[1]}, 0)"
        if operator == "make":
            inner = INTEGER if kind in BITS else FLOAT
            parts = [self.expression(inner, depth - 2) for _ in range(LANES[kind])]
            if kind not in BITS:
                parts = [(f"tame({x})", f"tame({y})") for x, y in parts]
            return (
                f"{kind}({', '.join(part[0] for part in parts)})",
                f"lanes({kind!r}, [{', '.join(part[1] for part in parts)}])",
            )
        if operator == "scalar":
            number = self.random.randint(-100, 100)
            sign = self.random.choice("+-")
            function = f"lambda x, y: x {sign} y"
            if self.random.random() < 0.5:
                return (
                    f"({a[0]} {sign} {number})",
                    f"lanewise({kind!r}, {function}, {a[1]}, {number})",
                )
            return f"({number} {sign} {a[0]})", f"lanewise({kind!r}, {function}, {number}, {a[1]})"
        b = self.expression(kind, depth - 1)
        return (
            f"({a[0]} {operator} {b[0]})",
            f"lanewise({kind!r}, lambda x, y: x {operator} y, {a[1]}, {b[1]})",
        )

    def reduction(self, kind: str, depth: int) -> Text:
        name = self.random.choice(["MIN", "MAX", "SUM"])
        pack = self.expression(kind, depth - 1)
        python = f"reduced(lambda x, y: {CHOICES[name]}, {pack[1]})"
        if kind in BITS:
            return f"{name}({pack[0]})", python
        return f"tame({name}({pack[0]}))", f"tame({python})"

    def arguments(self, function: Function, depth: int) -> list[Text]:
        return [self.expression(type_, depth - 2) for _, type_ in function.parameters]

    def call(self, kind: str, depth: int) -> Text | None:
        suitable = [function for function in self.functions if function.result == kind]
        objects = [(name, type_) for name, type_ in self.scope if type_.startswith("C")]
        if objects and self.random.random() < 0.5:
            name, class_name = self.random.choice(objects)
            (info,) = [one for one in self.classes if one.name == class_name]
            methods = [m for m in info.all_methods().values() if m.result == kind]
            if methods:
                method = self.random.choice(methods)
                self.calls_left -= 1
                found = self.arguments(method, depth)
                return self.call_text(f"{name}.{method.name}", f"{name}.{method.name}", found)
        if not suitable:
            return None
        function = self.random.choice(suitable)
        self.calls_left -= 1
        return self.call_text(function.name, function.name, self.arguments(function, depth))

    def call_text(self, bcpl: str, python: str, arguments: list[Text]) -> Text:
        return (
            f"{bcpl}({', '.join(a[0] for a in arguments)})",
            f"{python}({', '.join(a[1] for a in arguments)})",
        )

    # --- statements ----------------------------------------------------------------------------

    def statement(self, depth: int, nesting: int) -> None:
        choice = self.random.randrange(9)
        variables = [
            (name, type_)
            for name, type_ in self.scope
            if not type_.startswith("C") and name not in self.constant_names
        ]
        if choice <= 1 or not variables:
            kind = self.random.choice(TYPES)
            value = self.expression(kind, 3)
            name = self.name("x")
            self.emit(depth, f"LET {name} AS {kind} = {value[0]}", f"{name} = {value[1]}")
            self.scope.append((name, kind))
        elif choice == 2:
            (name, kind), (other, other_kind) = (self.random.choice(variables) for _ in range(2))
            if name == other:
                return
            a, b = self.expression(kind, 2), self.expression(other_kind, 2)
            self.emit(
                depth, f"{name}, {other} := {a[0]}, {b[0]}", f"{name}, {other} = {a[1]}, {b[1]}"
            )
        elif choice == 3 and nesting:
            condition = self.expression(INTEGER, 3)
            word, python = self.random.choice([("IF", ""), ("UNLESS", "not ")])
            self.emit(depth, f"{word} {condition[0]} THEN $(", f"if {python}({condition[1]}):")
            self.body(depth + 1, nesting - 1)
            self.emit(depth, "$)")
        elif choice == 4 and nesting:
            index, last = self.name("i"), self.random.randrange(4)
            self.emit(
                depth, f"FOR {index} = 0 TO {last} DO $(", f"for {index} in range({last + 1}):"
            )
            self.scope.append((index, INTEGER))
            self.constant_names.add(index)
            self.body(depth + 1, nesting - 1)
            self.scope.remove((index, INTEGER))
            self.emit(depth, "$)")
        elif choice == 5:
            place, value = self.expression(INTEGER, 2), self.expression(INTEGER, 3)
            # The value comes first, then the place: as in Python.
            self.emit(
                depth,
                f"vector!({place[0]} & 7) := {value[0]}",
                f"vector[{place[1]} & 7] = {value[1]}",
            )
        elif choice == 6:
            packs = [(name, kind) for name, kind in variables if kind in LANES]
            if packs:
                self.lane_assignment(depth, *self.random.choice(packs))
        elif choice == 7 and nesting:
            selector = self.expression(INTEGER, 2)
            self.emit(depth, f"SWITCHON {selector[0]} & 3 INTO $(", f"case = {selector[1]} & 3")
            for label in range(3):
                self.emit(depth, f"CASE {label}: $(", f"if case == {label}:")
                self.body(depth + 1, 0)
                self.emit(depth, "$) ENDCASE")
            self.emit(depth, "DEFAULT: $(", "if case == 3:")
            self.body(depth + 1, 0)
            self.emit(depth, "$) $)")
        else:
            name, kind = self.random.choice(variables)
            self.show(depth, kind, (name, name))

    def lane_assignment(self, depth: int, name: str, kind: str) -> None:
        chosen = self.random.randrange(LANES[kind])
        value = self.expression(INTEGER if kind in BITS else FLOAT, 2)
        new = value if kind in BITS else (f"tame({value[0]})", f"tame({value[1]})")
        parts = [new[1] if lane == chosen else f"{name}[{lane}]" for lane in range(LANES[kind])]
        self.emit(
            depth,
            f"{name}.|{self.random.choice([chosen, f'one * {chosen}'])}| := {new[0]}",
            f"{name} = lanes({kind!r}, [{', '.join(parts)}])",
        )

    def body(self, depth: int, nesting: int) -> None:
        known = list(self.scope)
        self.emit(depth, "count := count + 1", "globals()['count'] += 1")
        for _ in range(self.random.randrange(1, 4)):
            self.statement(depth, nesting)
        self.scope = known

    def show(self, depth: int, kind: str, value: Text) -> None:
        python = f"out.append(shown({kind!r}, {value[1]}) + '\\n')"
        if kind == FLOAT:
            self.emit(depth, f"FWRITE({value[0]}) NEWLINE()", python)
        elif kind not in DIRECTIVE:
            self.emit(depth, f"show{kind}({value[0]})", python)
        else:
            self.emit(depth, f'WRITEF("{DIRECTIVE[kind]}*N", {value[0]})', python)

    # --- definitions -----------------------------------------------------------------------------

    def signature(self, name: str, largest: int) -> Function:
        count = self.random.randrange(largest)
        parameters = [(self.name("p"), self.random.choice(TYPES)) for _ in range(count)]
        return Function(name, parameters, self.random.choice(TYPES))

    def define(self, function: Function, depth: int, this: Class | None) -> None:
        """A function that counts its calls; deep calls give a constant, so that it ends."""
        texts = ", ".join(f"{name} AS {type_}" for name, type_ in function.parameters)
        names = [name for name, _ in function.parameters]
        word = "FUNCTION" if this else "LET"
        self.emit(depth, f"{word} {function.name}({texts}) = VALOF AS {function.result} $(")
        python = ", ".join((["self"] if this else []) + names)
        self.emit(depth, "", f"def {function.name}({python}):")
        self.scope, self.this, self.calls_left = list(function.parameters), this, 3
        self.emit(depth + 1, "calls := calls + 1", "globals()['calls'] += 1")
        quick = self.leaf(function.result)
        self.emit(
            depth + 1,
            f"IF calls > 400 THEN RESULTIS {quick[0]}",
            f"if calls > 400: return {quick[1]}",
        )
        for _ in range(self.random.randrange(3)):
            self.statement(depth + 1, 1)
        base = this.base if this is not None else None
        if base is not None and function.name in base.all_methods() and self.random.random() < 0.6:
            arguments = [self.expression(type_, 1) for _, type_ in function.parameters]
            value = self.call_text(f"SUPER.{function.name}", f"super().{function.name}", arguments)
        else:
            value = self.expression(function.result, 4)
        if function.result == FLOAT:
            value = f"tame({value[0]})", f"tame({value[1]})"
        self.emit(depth + 1, f"RESULTIS {value[0]}", f"return {value[1]}")
        self.emit(depth, "$)")
        self.this = None

    def define_class(self, base: Class | None) -> Class:
        kinds = [self.random.choice(TYPES) for _ in range(self.random.randrange(1, 4))]
        info = Class(self.name("C"), base, {self.name("f"): kind for kind in kinds})
        self.emit(
            0,
            f"CLASS {info.name}{' EXTENDS ' + base.name if base else ''} $(",
            f"class {info.name}{'(' + base.name + ')' if base else ''}:",
        )
        self.emit(1, "", "pass")
        for name, kind in info.fields.items():
            self.scope, self.calls_left = [], 0
            value = self.leaf(kind)
            self.emit(1, f"LET {name} AS {kind} = {value[0]}", f"{name} = {value[1]}")
        inherited = base.all_methods() if base else {}
        for _ in range(self.random.randrange(1, 3)):
            if inherited and self.random.random() < 0.6:
                old = self.random.choice(list(inherited.values()))
                method = Function(
                    old.name, [(self.name("p"), t) for _, t in old.parameters], old.result
                )
                if method.name in info.methods:
                    continue
            else:
                method = self.signature(self.name("m"), 6)
            self.define(method, 1, info)
            info.methods[method.name] = method
        self.emit(0, "$)")
        self.classes.append(info)
        return info

    def program(self) -> tuple[str, str]:
        """NewBCPL text and Python text."""
        self.emit(0, "STATIC $( calls = 0, count = 0, one = 1 $)", "calls = count = 0")
        self.emit(0, SHOWING)
        self.emit(
            0, f"GLOBALS $( LET vector = VEC {VECTOR_SIZE} $)", f"vector = [0] * {VECTOR_SIZE}"
        )
        self.emit(0, "FLET tame(x AS FLOAT) = -1.0e6 < x AND x < 1.0e6 -> x, 0.5")
        for _ in range(self.random.randrange(3, 6)):
            function = self.signature(self.name("f"), 13)
            self.define(function, 0, None)
            self.functions.append(function)
        base: Class | None = None
        for _ in range(self.random.randrange(1, 4)):
            base = self.define_class(base if self.random.random() < 0.8 else None)
        self.emit(0, "LET START() BE $(")
        self.scope, self.calls_left = [], 40
        for info in self.classes:
            name = self.name("o")
            chosen = self.random.choice([c for c in self.classes if info in _chain(c)])
            self.emit(1, f"LET {name} AS {info.name} = NEW {chosen.name}")
            self.emit(0, "", f"{name} = {chosen.name}()")
            self.scope.append((name, info.name))
        before = len(self.python)
        for _ in range(8):
            self.statement(1, 2)
        for kind in (INTEGER, FLOAT, *LANES):
            self.show(1, kind, self.expression(kind, 4))
        self.python[before:] = [line[4:] for line in self.python[before:]]
        self.emit(1, 'WRITEF("%d %d*N", calls, count)')
        self.emit(0, "$)", "out.append(f'{calls} {count}\\n')")
        return "\n".join(self.bcpl) + "\n", "\n".join(self.python) + "\n"


def _chain(info: Class) -> list[Class]:
    return [info, *(_chain(info.base) if info.base else [])]


def make(seed: int) -> tuple[str, str]:
    """A program, and its output as Python computes it."""
    bcpl, python = Generator(seed).program()
    out: list[str] = []
    exec(compile(python, "<oracle>", "exec"), {**HELPERS, "out": out})
    return bcpl, "".join(out)
