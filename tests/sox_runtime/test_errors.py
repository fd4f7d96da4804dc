"""Errors of operators, properties and calls; traces; the end of the stack."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sox_runtime.build import EVERYWHERE, Output, emulated, natively

PLACES = [
    "Undefined property 'y'.",
    "Only instances and tables have properties.",
    "Only instances and tables have fields.",
    "Undefined property 'y'.",
    "Undefined property 'y'.",
    "Only instances and tables have methods.",
    "Expected 0 arguments but got 1.",
    "Can only call functions and classes.",
    "Expected 1 arguments but got 0.",
    "Expected 0 arguments but got 1.",
    "Expected 1 to 2 arguments but got 0.",
    "Expected 2 arguments but got 0.",
    "Superclass must be a class.",
    "Undefined property 'y'.",
    "Undefined variable 'x'.",
    "Assertion failed.",
    "Assertion failed: why",
    "Assertion failed: message must be a string.",
    "Array variable expects an array.",
    "Circular import detected: 'p'",
]


@pytest.mark.parametrize(("number", "message"), list(enumerate(PLACES)))
def test_places(number: int, message: str) -> None:
    assert natively("property_error", str(number)) == Output(70, "", message + "\n")


NUMBERS = "Operands must be numbers."
ADDED = "Operands must be two numbers or involve a string."
OPERATORS = [
    ("+", "true", "n:1", "nil", ADDED),
    ("+", "n:1", "nil", "nil", ADDED),
    ("+", "t:", "t:", "nil", ADDED),
    ("-", "s:a", "n:1", "nil", NUMBERS),
    ("*", "n:1", "nil", "nil", NUMBERS),
    ("/", "n:1", "s:b", "nil", NUMBERS),
    ("%", "false", "n:1", "nil", NUMBERS),
    ("<", "s:a", "s:b", "nil", NUMBERS),
    ("~", "s:a", "nil", "nil", "Operand must be a number."),
    ("[", "n:1", "n:1", "nil", "cannot index non-table or array types."),
    ("[", "s:abc", "n:1", "nil", "cannot index non-table or array types."),
    ("[", "a:n:1|n:2|n:3", "n:3", "nil", "Index out of bounds. index=(3) count=(3)"),
    ("[", "a:n:1", "n:-1", "nil", "Index out of bounds. index=(-1) count=(1)"),
    ("[", "a:n:1", "n:-1.9", "nil", "Index out of bounds. index=(-1) count=(1)"),
    ("[", "a:n:1", "n:nan", "nil", "Index out of bounds. index=(nan) count=(1)"),
    ("[", "a:", "n:-0.5", "nil", "Index out of bounds. index=(0) count=(0)"),
    ("[", "a:", "nil", "nil", "Index value must be a number for arrays. type=(<nil>)"),
    ("[", "t:", "n:1", "nil", "Index value must be a string for tables. type=(<number>)"),
    ("=", "nil", "n:1", "nil", "cannot index non-table or array types."),
    ("=", "a:n:1", "n:1", "nil", "Index out of bounds. index=(1) count=(1)"),
    ("=", "a:", "s:x", "nil", "Index value must be a number. type=(String)"),
    ("=", "t:", "true", "nil", "Index value must be a string. type=(<bool>)"),
    (":", "s:abc", "n:0", "n:1", "Array range expects array."),
    (":", "a:", "nil", "n:1", "Invalid array range definition."),
    (":", "a:", "n:0", "s:1", "Invalid array range definition."),
    ("i", "n:1", "nil", "nil", "Get Iterator expects a container."),
    ("r", "n:1", "n:2", "n:0", "range(): step cannot be zero"),
    ("r", "n:1", "n:2", "nil", "range(): parameters must be numbers"),
]


@pytest.mark.parametrize("row", OPERATORS, ids=" ".join)
def test_operators(row: tuple[str, ...]) -> None:
    *words, message = row
    assert natively("operator_error", *words) == Output(70, "", message + "\n")


def test_errors_in_the_emulator() -> None:
    assert emulated("property_error", "6") == Output(70, "", PLACES[6] + "\n")
    assert emulated("operator_error", *OPERATORS[0][:4]) == Output(70, "", ADDED + "\n")


INLINED = "[line 21] in inlined()\n[line 22] in inlined()\n"
TRACE = f"{ADDED}\n[line 10] in script\n[line 10] in leaf()\n{INLINED}[line 30] in script\n"
DEEP = "[line 5] in deep()\n"


def test_trace() -> None:
    """Output comes before the message; the nameless function between is not shown, but what
    is inlined in it."""
    expected = Output(70, "printed before\n", TRACE)
    assert natively("trace") == expected
    assert emulated("trace") == expected


def test_short_recursion_is_shown_in_full() -> None:
    expected = Output(70, "", f"{ADDED}\n[line 5] in script\n{DEEP * 31}")
    assert natively("recursion", "30") == expected
    assert emulated("recursion", "30") == expected


def test_long_recursion_is_folded() -> None:
    folded = f"{ADDED}\n[line 5] in script\n{DEEP}... this line 500 more times\n"
    assert natively("recursion", "500") == Output(70, "", folded)


@pytest.mark.parametrize("run", EVERYWHERE)
def test_stack_overflow(run: Callable[..., Output]) -> None:
    done = run("recursion", str(10**9), CALLPROOF_STACK=str(2 << 20))
    first, second, *rest = done.err.splitlines()
    assert (done.status, done.out, first, second) == (
        70,
        "",
        "Stack overflow.",
        "[line 5] in script",
    )
    assert rest[0] == DEEP.strip()
    frames = (2 << 20) // 16
    assert frames - 100 < int(rest[1].split()[3]) <= frames
