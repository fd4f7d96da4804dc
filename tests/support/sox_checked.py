"""An evaluator that holds what it computes against what the compiler believes.

Every value of an expression, a parameter and a result must have one of the tags that the
flow found, and come from one of its sites; a field with a known slot must be in it.
"""

from __future__ import annotations

from pathlib import Path

from callproof.sox import kinds
from callproof.sox import nodes as ast
from callproof.sox.flow import Flow
from callproof.sox.frontend import load
from callproof.sox.kinds import Kind
from callproof.sox.slots import Slots
from callproof.sox.symbols import INITIALIZER, ClassInfo, Program
from tests.support.sox_evaluator import Evaluator, Result, in_deep_thread
from tests.support.sox_expressions import Scope
from tests.support.sox_values import (
    Array,
    Bound,
    Class,
    Closure,
    Instance,
    Native,
    Range,
    Table,
    Value,
)

TAGS: dict[type, int] = {
    type(None): kinds.NIL,
    bool: kinds.BOOL,
    float: kinds.NUMBER,
    bytes: kinds.STRING,
    Closure: kinds.CLOSURE,
    Native: kinds.NATIVE,
    Class: kinds.CLASS,
    Instance: kinds.INSTANCE,
    Bound: kinds.BOUND,
    Table: kinds.TABLE,
    Array: kinds.ARRAY,
    Range: kinds.RANGE,
}


class CheckedEvaluator(Evaluator):
    """`wrong` has what was not as believed; `checks` and `slots_seen` count what was looked at."""

    def __init__(self, program: Program, arguments: list[bytes], steps: int) -> None:
        super().__init__(program, arguments, steps)
        self.flow = Flow(program)
        self.slots = Slots(self.flow)
        self.infos: dict[Class, ClassInfo] = {}
        self.wrong: list[str] = []
        self.checks = self.slots_seen = 0

    def believed(self, value: Value, kind: Kind, what: str) -> None:
        self.checks += 1
        right = bool(TAGS[type(value)] & kind.tags)
        if isinstance(value, Closure):
            right &= value.node in kind.sites
        elif isinstance(value, Bound):
            right &= value.method.node in kind.sites
        elif isinstance(value, Native):
            right &= value.name in kind.sites
        elif isinstance(value, Class):
            right &= self.infos[value] in kind.sites
        elif isinstance(value, Instance):
            right &= self.infos[value.of] in kind.sites
        if not right:
            self.wrong.append(f"{what}: a {type(value).__name__} is not in {kind.tags:#b}")

    def evaluate(self, node: ast.Expression, scope: Scope | None) -> Value:
        value = super().evaluate(node, scope)
        what = f"{type(node).__name__} in line {node.line}"
        self.believed(value, self.flow.kind(node), what)
        is_this = isinstance(node, (ast.This, ast.SuperInvoke))  # `super.init(...)` gives it, too
        in_making = is_this and self.frames[-1].function.kind == INITIALIZER
        if isinstance(value, Instance) and not in_making:
            fields = self.slots.fields(self.infos[value.of])
            self.slots_seen += len(fields)
            if list(value.fields)[: len(fields)] != fields:
                self.wrong.append(f"{what}: {list(value.fields)} does not begin with {fields}")
        return value

    def run_closure(self, closure: Closure, arguments: list[Value], this: Value) -> Value:
        for parameter, argument in zip(closure.node.parameters, arguments, strict=False):
            self.believed(argument, self.flow.held(parameter.local), parameter.local.name)
        result = super().run_closure(closure, arguments, this)
        self.believed(result, self.flow.held(("result", closure.node)), closure.name)
        return result

    def class_(self, node: ast.ClassDeclaration, scope: Scope | None) -> Value:
        made = super().class_(node, scope)
        self.infos[made] = node.info
        return made


def check_file(path: Path, steps: int) -> tuple[Result, CheckedEvaluator]:
    evaluator = CheckedEvaluator(load(path), [b"callproof", str(path).encode()], steps)
    return in_deep_thread(evaluator.run), evaluator
