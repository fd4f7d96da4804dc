"""What values print, how tables are ordered, operators, classes, loops: here and emulated."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sox_runtime.build import EVERYWHERE, Output, emulated, natively

Run = Callable[..., Output]

PRINTED = """\
0.3 0.333333 100000 999999 1e+06 1e+08 1.23457e+08 1e+06 12345.7 9.0072e+15 1e+21 0.0001 1e-05
-0 3 inf -inf 0 -7 -999999 0.5 9.99989e-321 nan nan nil true false"""
PRINTED_OBJECTS = """\

bytes
<fn add>
<fn anonymous>
<native fn>
<class: Shape>
<instance: Shape>\x20
<fn area>
[1,two,<instance: Shape> ,nil]
[]
<table>{}
<table>{{"d":"<table>{{"e":"5"}}"}}
range(0, 10, 2.5)
[1,two,<instance: Shape> ,nil,[...]]
<table>{{"me":"<table>{...}"}}
[1,two,<instance: Shape> ,nil,[...]]
"""
TABLE_ORDER = """\
<table>{{"after":"4"},{"hello":"3"},{"y":"1"},{"z":"0"},{"x":"2"}}
[after,hello,y,z,x]
true
false
<table>{{"after":"4"},{"y":"1"},{"z":"0"},{"x":"2"}}
nil
2
"""
OPERATORS = """\
63
333
anil
trueb
o <object>
<object>
-1
1.5
-inf
true
false
false
false
false
true
"""
# Printed: instance; field; cache; call; cache; method value twice; super twice; cache of a new
# field; a field in a method's place; its cache; the cached way to the new shape; a missing key.
CLASSES = """\
<instance: Square>\x20
7
true
7
true
7
7
7
7
true
42
true
true
nil
"""
LOOPS = """\
[0,4]
[1,5]
[4,5]
[y,2]
[x,1]
[y,x]
[0,a]
[1,b]
[a,b]
[0,5]
[1,3]
[2,1]
[5,3,1]
[0,0.1,0.2,0.3]
5
32
<table>{}
"""
SLICES = "[1,2]\n[1,2,3]\n[2,3]\n[1,2]\n[3]\n[1,2,3]\n[]\n[]\n[1]\n[]\n2\n1\n"
CASES = {
    "printing": "\n".join(PRINTED.split()) + "\n" + PRINTED_OBJECTS,
    "table_order": TABLE_ORDER,
    "table_churn": "true\n",
    "operators": OPERATORS,
    "calls": "3\n11\n8\nearlier\nbye\n",
    "classes": CLASSES,
    "many_fields": "0\n2\n",  # none wrong; two of three have them inside
    "loops": LOOPS,
    "slices": SLICES,
    "handlers": "end\nearlier\nbye\n",
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("run", EVERYWHERE)
def test_output(run: Run, case: str) -> None:
    assert run(case) == Output(0, CASES[case], "")


def test_print_can_be_suppressed() -> None:
    assert natively("printing", CALLPROOF_SUPPRESS_PRINT="1") == Output(0, "", "")


@pytest.mark.parametrize("run", EVERYWHERE)
def test_appending_is_linear(run: Run) -> None:
    """The program compares the bytes that were copied with the length: no clock."""
    assert run("appends") == Output(0, "1000\ntrue\n9|left\n9|right\ntrue\n", "")


def test_arguments() -> None:
    done = emulated("arguments", "a", "b")
    assert done == Output(0, "4\narguments\n4\n", "")


@pytest.mark.parametrize(
    ("kind", "status", "out", "err"),
    [
        ("pass", 0, "end of test\n", ""),
        ("error", 1, "end of test\n", "Error: it broke\nError: test failure\n"),
        ("fatal", 1, "", "Error: it broke\n"),
        ("assert", 1, "", "Error: Assertion failed: not so\n"),
        ("wrong", 70, "", "Test helpers expect a single string message.\n"),
    ],
)
def test_context_of_tests(kind: str, status: int, out: str, err: str) -> None:
    assert natively("testing", kind) == Output(status, out, err)


def test_benchmark_lines() -> None:
    done = natively("benchmark", CALLPROOF_BENCH_TIME="0.01")
    name, count, duration, unit = done.out.split()
    assert (name, unit, done.status) == ("BenchmarkTable", "ns/op", 0)
    assert int(count) > 1
    assert float(duration) > 0
    assert len(done.out) == 24 + 1 + 12 + 1 + 12 + len(" ns/op\n")
    failing = natively("benchmark", "x")
    assert failing == Output(70, "", "broken\nBenchmark BenchmarkTable failed\n")
    none = natively("benchmark", CALLPROOF_BENCH_FILTER="Other")
    assert none == Output(0, "No benchmarks found (functions named Benchmark*)\n", "")
