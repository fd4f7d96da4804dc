"""Whole vectors: the loops made for them against arithmetic written in Python."""

from __future__ import annotations

import random
import struct

import pytest

from callproof.bcpl.frontend import compile_to_ir
from callproof.ir.interpret import Interpreter, Number
from callproof.ir.model import Module
from callproof.ir.verify import verify
from callproof.passes.pipeline import optimise
from callproof.source import Diagnostics, SourceFile
from tests.support import bcpl_vectors as model
from tests.support.bcpl_externals import Runtime

CLASSES = "VEC FVEC PAIRS FPAIRS QUADS OCTS FQUADS FOCTS".split()  # by the model's numbers
OPERATIONS = {"add": 0, "sub": 1, "mul": 2, "div": 3, "min": 4, "max": 5}


def module_with(name: str) -> Module:
    packs = "" if name in ("VEC", "FVEC") else "a + b  a - b  a * b  a / b"
    values = [f"keep({one})" for one in packs.split("  ") if one]
    for word in ("MIN", "MAX", "SUM"):
        values += [f"keep({word}(a, b))", f"keep({word}(a))"]
    values += [f"keep(PAIRWISE_{word}(a, b))" for word in ("MIN", "MAX", "ADD")]
    text = (
        f"LET keep(x) BE $( $)\nLET f(a AS {name}, b AS {name}) BE $(\n"
        + "\n".join(values)
        + f"\n$)\nLET START() BE f({name} 2, {name} 2)\n"
    )
    module = compile_to_ir(SourceFile("test.bcl", text), Diagnostics())
    verify(module)
    return module


def random_words(source: random.Random, interpreter: Interpreter, kind: int) -> int:
    """The address of a vector of up to seven elements, or 0."""
    lanes, bits, letter, _ = model.KINDS[kind]
    words = []
    for _ in range(source.choice([0, 1, 2, 3, 4, 7])):
        numbers: list[int | float]
        if letter in "fd":
            numbers = [source.randint(1, 999) / 8 * source.choice([1, -1]) for _ in range(lanes)]
        else:
            numbers = [
                source.randint(-(1 << (bits - 1)), (1 << (bits - 1)) - 1) for _ in range(lanes)
            ]
        words.append(model.element_of(interpreter, kind, numbers))
    return model.new_vector(interpreter, words)


def shown(interpreter: Interpreter, kind: int, vector: int) -> list[list[int | float]]:
    return [model.lanes_of(interpreter, kind, word) for word in model.words_of(interpreter, vector)]


@pytest.mark.parametrize("name", CLASSES)
def test_the_loops(name: str) -> None:
    kind = CLASSES.index(name)
    module = module_with(name)
    optimise(module, 2, verify_each=True, inlining=False)
    source = random.Random(name)
    done = set()
    for symbol in [one for one in module.functions if one.startswith("vectors.")]:
        _, _, what = symbol.split(".")
        for _ in range(12):
            interpreter = Interpreter(module, Runtime().externals)
            a, b = (random_words(source, interpreter, kind) for _ in range(2))
            done.add(what)
            if what.endswith("_of_all"):
                number = {"sum": 0, "min": 4, "max": 5}[what.removesuffix("_of_all")]
                (wanted,) = model.reduce(interpreter, [number, kind, a])
                found = interpreter.call(symbol, [a])
                assert element(kind, found) == model.lanes_of(interpreter, kind, int(wanted)), what
                continue
            (found_vector,) = interpreter.call(symbol, [a, b])
            if what.startswith("pairwise_"):
                number = OPERATIONS[what.removeprefix("pairwise_")]
                (expected,) = model.pairwise(interpreter, [number, kind, a, b])
                result_kind = int(model.KINDS[kind][2] in "fd")
            else:
                (expected,) = model.vectors(interpreter, [OPERATIONS[what], kind, a, b])
                result_kind = kind
            both = [shown(interpreter, result_kind, int(v)) for v in (found_vector, expected)]
            assert both[0] == both[1], (what, shown(interpreter, kind, a))
    assert {"add", "min", "max", "sum_of_all", "pairwise_add"} <= done


def element(kind: int, values: list[Number]) -> list[int | float]:
    """The lanes of a result: a word, a double, a vector, or two halves of one."""
    lanes, bits, letter, _ = model.KINDS[kind]
    if kind < 2:
        return list(values)
    data = b"".join(
        (int(v) & ((1 << (lanes * bits // len(values))) - 1)).to_bytes(
            lanes * bits // 8 // len(values), "little"
        )
        for v in values
    )
    return list(struct.unpack(f"<{lanes}{letter}", data))
