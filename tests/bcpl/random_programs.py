"""Random NewBCPL programs, and what they must print: each is written in Python beside.

Functions of up to 25 parameters of all classes, classes with CREATE and SUPER chains,
vectors of words and of floats.  Every function changes a global variable, so that the
order of evaluation shows.
"""

from __future__ import annotations

from tests.bcpl.random_expressions import (
    PLAIN_TYPES,
    TYPES,
    VECTOR_SIZE,
    VECTORS,
    Class,
    Expressions,
    Function,
    Text,
)
from tests.bcpl.random_values import (
    BITS,
    FLOAT,
    FPAIR,
    FVEC,
    HELPERS,
    INTEGER,
    LANES,
    PAIR,
    QUAD,
    VEC,
)

DIRECTIVE = {INTEGER: "%d", PAIR: "%P", QUAD: "%R", FPAIR: "%Q"}


SHOWING = """LET showOCT(p AS OCT) BE $( FOR i = 0 TO 7 DO WRITEF("%d ", p.|i|)  NEWLINE() $)
LET showFQUAD(p AS FQUAD) BE $( FOR i = 0 TO 3 DO $( FWRITE(p.|i|) WRITES(" ") $)  NEWLINE() $)
LET showFOCT(p AS FOCT) BE $( FOR i = 0 TO 7 DO $( FWRITE(p.|i|) WRITES(" ") $)  NEWLINE() $)
"""


class Generator(Expressions):
    """Writes one program in both languages."""

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
            self.element_assignment(depth)
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

    def element_assignment(self, depth: int) -> None:
        """The value comes first, then the place: as in Python."""
        kind = self.random.choice(VECTORS)
        places = ["vector" if kind == VEC else "floats"]
        places += [name for name, type_ in self.scope if type_ == kind]
        name = self.random.choice(places)
        place = self.expression(INTEGER, 2)
        value = self.expression(INTEGER if kind == VEC else FLOAT, 3)
        if kind == FVEC:
            value = f"tame({value[0]})", f"tame({value[1]})"
        self.emit(
            depth, f"{name}!({place[0]} & 7) := {value[0]}", f"{name}[{place[1]} & 7] = {value[1]}"
        )

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
        if kind in VECTORS or (kind in LANES and kind not in DIRECTIVE):
            self.emit(depth, f"show{kind}({value[0]})", python)
        elif kind == FLOAT:
            self.emit(depth, f"FWRITE({value[0]}) NEWLINE()", python)
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
            f"IF calls > 150 THEN RESULTIS {quick[0]}",
            f"if calls > 150: return {quick[1]}",
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

    def define_create(self, info: Class) -> Function:
        """A CREATE that calls its base's, whichever ancestor has it, and fills fields."""
        create = self.signature("CREATE", self.random.choice([4, 12]))
        texts = ", ".join(f"{name} AS {type_}" for name, type_ in create.parameters)
        self.emit(1, f"ROUTINE CREATE({texts}) BE $(")
        names = ", ".join(["self", *(name for name, _ in create.parameters)])
        self.emit(1, "", f"def __init__({names}):")
        self.scope, self.this, self.calls_left = list(create.parameters), info, 1
        self.emit(2, "count := count + 1", "globals()['count'] += 1")
        above = info.base.creator() if info.base is not None else None
        if above is not None:
            arguments = [self.expression(type_, 2) for _, type_ in above.parameters]
            self.emit(2, *self.call_text("SUPER.CREATE", "super().__init__", arguments))
        for name, kind in info.all_fields().items():
            if self.random.random() < 0.7:
                value = self.expression(kind, 2)
                if kind == FLOAT:
                    value = f"tame({value[0]})", f"tame({value[1]})"
                self.emit(2, f"{name} := {value[0]}", f"self.{name} = {value[1]}")
        self.emit(1, "$)")
        self.this = None
        return create

    def define_class(self, base: Class | None) -> Class:
        # A vector as first value would be one for all objects in Python.
        kinds = [self.random.choice(PLAIN_TYPES) for _ in range(self.random.randrange(1, 4))]
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
        if self.random.random() < 0.7:
            info.create = self.define_create(info)
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
        size = VECTOR_SIZE
        self.emit(0, f"GLOBALS $( LET vector = VEC {size}", f"vector = [0] * {size}")
        self.emit(0, f"  LET floats = FVEC {size} $)", f"floats = [0.0] * {size}")
        routines = {VEC: 'WRITEF("%d ", v!i)', FVEC: "$( FWRITE(v!i)  WRITEC(32) $)"}
        for kind, routine in routines.items():
            self.emit(0, f"LET show{kind}(v AS {kind}) BE $(")
            self.emit(0, f"    FOR i = 0 TO LEN v - 1 DO {routine}  NEWLINE() $)")
        self.emit(0, "FLET tame(x AS FLOAT) = -1.0e6 < x AND x < 1.0e6 -> x, 0.5")
        for _ in range(self.random.randrange(3, 6)):
            function = self.signature(self.name("f"), self.random.choice([6, 13, 26]))
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
            create = chosen.creator()
            given = [self.expression(type_, 2) for _, type_ in create.parameters] if create else []
            made = self.call_text(f"NEW {chosen.name}", chosen.name, given)
            self.emit(1, f"LET {name} AS {info.name} = {made[0]}")
            self.emit(0, "", f"{name} = {made[1]}")
            self.scope.append((name, info.name))
        before = len(self.python)
        for _ in range(8):
            self.statement(1, 2)
        for kind in (INTEGER, FLOAT, *LANES, VEC, FVEC):
            self.show(1, kind, self.expression(kind, 3))
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
