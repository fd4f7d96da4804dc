"""Our side of a batch as an IR module: the same callees and callers as `c_side`'s.

Composites go in memory (`byval`, `sret`) or as their leaves, scalars as values or in
memory, so that every way of `codegen/expand_calls.py` is taken.
"""

from __future__ import annotations

import random

from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import Composite, Type, leaves
from callproof.ir.text import signature_text
from callproof.ir.types import of_scalar
from callproof.source import CallproofError
from tests.conformance.c_side import RESULT, CaseText


def _has_leaves(type_: Type) -> bool:
    """Whether the IR can carry the type as SSA values."""
    if isinstance(type_, Composite) and type_.size > 256:
        return False
    try:
        return all(of_scalar(scalar) is not None for _, scalar in leaves(type_))
    except CallproofError:
        return False


class _Writer:
    def __init__(self, case: CaseText, chooser: random.Random, count: int) -> None:
        self.case = case
        self.count = count
        self.random = chooser
        self.lines: list[str] = []
        self.number = 0
        old = case.signature
        parameters = tuple(
            Parameter(p.type, f"p{index}", self.in_memory(p.type))
            for index, p in enumerate(old.parameters)
        )
        result_in_memory = old.result is not None and self.in_memory(old.result)
        self.signature = Signature(parameters, old.result, old.variadic_from, result_in_memory)

    def in_memory(self, type_: Type) -> bool:
        if not _has_leaves(type_):
            return True
        return self.random.random() < (0.7 if isinstance(type_, Composite) else 0.2)

    def value(self) -> str:
        self.number += 1
        return f"%v{self.number}"

    def emit(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def slot(self, type_: Type) -> str:
        value = self.value()
        self.emit(f"{value} = slot {max(type_.size, 1)} align {max(type_.alignment, 1)}")
        return value

    def check(self, index: int, address: str) -> None:
        self.emit(f"call @check(i32 {self.case.number}, i32 {index}, {address})")

    def check_values(self, index: int, type_: Type, values: list[str]) -> None:
        slot = self.slot(type_)
        for (offset, scalar), value in zip(leaves(type_), values, strict=True):
            self.emit(f"store {of_scalar(scalar)} {value}, {slot} + {offset}")
        self.check(index, slot)

    def loads(self, type_: Type, symbol: str) -> list[str]:
        found = []
        for offset, scalar in leaves(type_):
            value = self.value()
            self.emit(f"{value} = load {of_scalar(scalar)} @{symbol} + {offset}")
            found.append(value)
        return found

    # --- the two functions -----------------------------------------------------------------

    def callee(self) -> None:
        i, signature = self.case.number, self.signature
        entry: list[str] = []
        places: list[list[str]] = []
        if signature.result_in_memory:
            entry.append("%result: ptr")
        for index, parameter in enumerate(signature.parameters):
            if parameter.in_memory:
                names = [f"%p{index}"]
                entry.append(f"%p{index}: ptr")
            else:
                names = []
                for leaf, (_, scalar) in enumerate(leaves(parameter.type)):
                    names.append(f"%p{index}x{leaf}")
                    entry.append(f"%p{index}x{leaf}: {of_scalar(scalar)}")
            places.append(names)
        self.lines.append(f"function @callee_{i}_ir{signature_text(signature)} {{")
        self.lines.append(f"^entry({', '.join(entry)}):" if entry else "^entry:")

        def checks() -> None:
            for index, parameter in enumerate(signature.parameters):
                if parameter.in_memory:
                    self.check(index, places[index][0])
                else:
                    self.check_values(index, parameter.type, places[index])

        if self.random.random() < 0.5:
            checks()
        self.emit(f"call @call_back(i32 {(i + 1) % self.count})")
        checks()
        if signature.result is None:
            self.emit("return")
        elif signature.result_in_memory:
            self.emit(f"%done = call @memcpy(%result, @r_{i}, {signature.result.size})")
            self.emit("return")
        else:
            self.emit(f"return {', '.join(self.loads(signature.result, f'r_{i}'))}")
        self.lines.append("}")

    def caller(self) -> None:
        i, signature = self.case.number, self.signature
        self.lines.append(f"function @caller_{i}_ir() {{")
        self.lines.append("^entry:")
        arguments: list[str] = []
        slot = ""
        if signature.result_in_memory:
            assert signature.result is not None
            slot = self.slot(signature.result)
            arguments.append(slot)
        for index, parameter in enumerate(signature.parameters):
            if parameter.in_memory:
                arguments.append(f"@a_{i}_{index}")
            else:
                arguments += self.loads(parameter.type, f"a_{i}_{index}")
        results: list[str] = []
        if signature.result is not None and not signature.result_in_memory:
            results = [self.value() for _ in leaves(signature.result)]
        start = f"{', '.join(results)} = " if results else ""
        text = ", ".join(arguments)
        if self.random.random() < 0.5:
            self.emit(f"{start}call @callee_{i}_c({text}) : {signature_text(signature)}")
        else:
            pointer = self.value()
            self.emit(f"{pointer} = load ptr @pointer_{i}")
            self.emit(f"{start}call_indirect {pointer}({text}) : {signature_text(signature)}")
        if signature.result_in_memory:
            self.check(RESULT, slot)
        elif signature.result is not None:
            self.check_values(RESULT, signature.result, results)
        self.emit("return")
        self.lines.append("}")


def ir_program(cases: list[CaseText]) -> str:
    """The module's text; what it declares `c_side` defines."""
    lines = [
        "declare @check(case: i32, index: i32, value: ptr)",
        "declare @call_back(number: i32)",
        "declare @memcpy(to: ptr, from: ptr, bytes: i64) -> ptr",
    ]
    for case in cases:
        writer = _Writer(case, random.Random(case.seed), len(cases))
        i = case.number
        lines.append(f"declare @callee_{i}_c{signature_text(writer.signature)}")
        lines += [f"declare data @a_{i}_{k} align 1" for k in range(len(case.values))]
        if case.result is not None:
            lines.append(f"declare data @r_{i} align 1")
        lines.append(f"data @pointer_{i} align 8 readonly @callee_{i}_c")
        writer.callee()
        writer.caller()
        lines += writer.lines
    return "\n".join(lines) + "\n"
