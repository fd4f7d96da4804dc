"""Random NewBCPL expressions, each beside the same in Python.

Integers wrap to 64 bits, lanes to theirs; float lanes are rounded to 32 bits.  Vectors have
`VECTOR_SIZE` elements; as in Python, names stand for the same vector, not for copies.
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
    FVEC,
    INTEGER,
    LANES,
    OCT,
    PAIR,
    QUAD,
    VEC,
)

PLAIN_TYPES = [INTEGER] * 5 + [FLOAT] * 3 + [PAIR, QUAD, FPAIR, OCT, FQUAD, FOCT]
CHOICES = {"MIN": "x if x < y else y", "MAX": "x if x > y else y", "SUM": "x + y", "ADD": "x + y"}
TYPES = [*PLAIN_TYPES, VEC, FVEC]
VECTORS = (VEC, FVEC)
VECTOR_SIZE = 8

Text = tuple[str, str]  # the same in NewBCPL and in Python
GLOBAL: dict[str, Text] = {VEC: ("vector", "vector"), FVEC: ("floats", "floats")}


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
    create: Function | None = None

    def all_fields(self) -> dict[str, str]:
        return {**(self.base.all_fields() if self.base else {}), **self.fields}

    def creator(self) -> Function | None:
        """What NEW calls: the class's own CREATE or the nearest inherited one."""
        return self.create or (self.base.creator() if self.base else None)

    def all_methods(self) -> dict[str, Function]:
        return {**(self.base.all_methods() if self.base else {}), **self.methods}


class Expressions:
    """Both texts of a program so far, and expressions over what is in scope."""

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
        makers = {INTEGER: self.integer, FLOAT: self.floating, VEC: self.vector, FVEC: self.vector}
        return makers.get(kind, self.pack)(kind, depth)

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
        if kind in VECTORS:
            parts = [self.number(INTEGER if kind == VEC else FLOAT) for _ in range(VECTOR_SIZE)]
            inside = ", ".join(parts)
            return f"{kind}[{inside}]", f"[{inside}]"
        if kind in (INTEGER, FLOAT):
            text = f"({self.number(kind)})"
            return text, text
        lanes = [self.random.randint(-30000, 30000) for _ in range(LANES[kind])]
        inside = ", ".join(map(str, lanes))
        return f"{kind}({inside})", f"lanes({kind!r}, [{inside}])"

    def number(self, kind: str) -> str:
        """A constant that both languages write alike."""
        if kind == FLOAT:
            return repr(self.random.randint(-999, 999) / self.random.choice([1, 2, 8]))
        chosen = self.random.choice(
            [self.random.randint(-9, 9), self.random.randint(-(1 << 40), 1 << 40), 1 << 62]
        )
        return str(chosen)

    def vector(self, kind: str, depth: int) -> Text:
        """The elements of two combined, or one of those in scope."""
        if self.random.random() < 0.5:
            return self.leaf(kind)
        a, b = self.expression(kind, depth - 2), self.expression(kind, depth - 2)
        name = self.random.choice(["MIN", "MAX", "SUM"] if kind == VEC else ["MIN", "MAX"])
        return f"{name}({a[0]}, {b[0]})", f"elementwise({name!r}, {a[1]}, {b[1]})"

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
        return self.element(VEC, a, depth)

    def element(self, kind: str, index: Text, depth: int) -> Text:
        v = self.expression(kind, depth - 2) if self.random.random() < 0.5 else GLOBAL[kind]
        bcpl = v[0] if v[0].isalnum() else f"({v[0]})"
        return f"{bcpl}!({index[0]} & 7)", f"{v[1]}[{index[1]} & 7]"

    def floating(self, kind: str, depth: int) -> Text:
        operator = self.random.choice("+ - * / FLOAT mixed lane -1 # v! reduce".split())
        if operator == "v!":
            return self.element(FVEC, self.expression(INTEGER, depth - 1), depth)
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
