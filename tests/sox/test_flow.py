"""What the compiler believes of a program's values: that it is true, and that it is enough.

True: an evaluator that holds each value against the beliefs runs all programs of
`tests/programs/sox` and random ones (CALLPROOF_SOX_RANDOM of them).  Enough: the functions that
number crunching depends on have no checks and no calls of the runtime left.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from callproof import driver
from callproof.ir.text import print_function
from callproof.passes.pipeline import optimise
from callproof.runtime.sox_entries import NATIVES
from callproof.source import CallproofError
from callproof.sox import kinds
from callproof.sox.flow import Flow
from callproof.sox.frontend import load_source
from callproof.sox.lexer import SoxSource
from callproof.sox.lower import lower
from callproof.sox.native_kinds import PLAIN, SPECIAL
from callproof.sox.slots import Slots
from callproof.sox.symbols import ClassInfo, Program
from tests.sox.compiled import Mode, run_compiled
from tests.sox.test_evaluator import NAMES, PROGRAMS
from tests.support.sox_checked import CheckedEvaluator, check_file
from tests.support.sox_evaluator import run_file
from tests.support.sox_random import generate

RANDOM = int(os.environ.get("CALLPROOF_SOX_RANDOM", "20"))
STEPS = 3000  # of each program: a belief that is wrong is wrong early
GOLDEN = sorted((Path(__file__).parent / "golden_ir").glob("*.sox"))


def source(text: str) -> Program:
    return load_source(SoxSource("test.sox", text.encode()))


def function_text(text: str, name: str) -> str:
    """The IR of one function after -O1."""
    module = lower(source(text))
    optimise(module, 1, verify_each=True, inlining=False)
    return print_function(module.functions[name], module)


# --- true --------------------------------------------------------------------------------------


def test_beliefs_hold_in_all_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROGRAMS)
    found: list[CheckedEvaluator] = []
    for name in NAMES:
        try:
            _, evaluator = check_file(Path(f"{name}.sox"), STEPS)
        except CallproofError:
            continue  # programs that show compile errors
        assert not evaluator.wrong, (name, evaluator.wrong[:3])
        found.append(evaluator)
    assert sum(one.checks for one in found) > 100_000
    assert sum(one.slots_seen for one in found) > 5_000


def test_beliefs_hold_in_random_programs(tmp_path: Path) -> None:
    path = tmp_path / "random.sox"
    for seed in range(RANDOM):
        path.write_text(generate(70_000 + seed))
        _, evaluator = check_file(path, STEPS)
        assert evaluator.checks
        assert not evaluator.wrong, (seed, evaluator.wrong[:3])


def test_a_wrong_belief_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With assignments forgotten by the flow, and with `this` let out before its fields."""
    path = tmp_path / "wrong.sox"
    path.write_text('var a = 1\na = "text"\nprint a\n')
    with monkeypatch.context() as patch:
        patch.setattr(Flow, "assign_to", lambda self, meaning, kind: None)
        _, evaluator = check_file(path, STEPS)
    assert evaluator.wrong == ["Variable in line 3: a bytes is not in 0b100"]
    path.write_text(
        "var seen = nil\nclass C { init() { seen = this print seen this.x = 1 } }\nC()\n"
    )
    with monkeypatch.context() as patch:
        patch.setattr(Slots, "fields", lambda self, info: ["x"])
        _, evaluator = check_file(path, STEPS)
    assert any("does not begin with ['x']" in one for one in evaluator.wrong)


# Each goes around the obvious way from a value to its use; where the compiler forgot that way, it
# would take what comes for a number, or find a field in another's slot.
DETOURS = {
    "a native under another name": """
        var put = push  var a[] = {1}  put(a, "text")
        print a[1] + 1""",
    "a native in a table": """
        var t = {put: push}  var a[] = {1}  t.put(a, "x")  print a[1]  print a[0] + 1""",
    "an array under two names": """
        var a[] = {1, 2}  var b = a  fn set(c) { c[0] = nil }  set(b)  print a[0]
        print a[1] * 2""",
    "elements through a slice and a reversal": """
        var a[] = {1, "two", 3}  print a[0:1][1] + 1  print arrayReverse(a)[1] + 1""",
    "an array in a field in a table in an array": """
        class Box { init(v) { this.v = v } }
        var inner[] = {1}  var outer[] = {{box: Box(inner)}}
        outer[0].box.v[0] = "text"  print inner[0] + 1""",
    "a parameter from a callback": """
        fn twice(f, x) { return f(f(x)) }
        print twice(fn (n) { return n + 1 }, 1)  print twice(fn (n) { return n + "!" }, "a")""",
    "a method as a value": """
        class C { add(n) { return n + 1 } }
        var f = C().add  print f(1)  print f("x")""",
    "a variable that a closure sets": """
        fn make() { var n = 1  fn set(v) { n = v }  print n + 1  set("text")  print n + 1 }
        make()""",
    "a variable that a defer sets": """
        var g = 1  fn f() { defer () { g = "text" }  return g + 1 }
        print f()  print g + 1""",
    "an exit handler's global": """
        var g = 1  sysOnExit(fn () { print g + 1 })  g = "text" """,
    "a default that is no number": """
        fn f(a, b = "b", c = a) { return a + b + c }
        print f(1)  print f(1, 2)  print f(1, 2, 3)""",
    "a default that shows this": """
        var seen = nil  fn look(o) { seen = o  return 1 }
        class C { init(a = look(this)) { this.a = a  this.b = 2 } }
        var c = C()  print seen.b + c.a""",
    "this let out in an initializer": """
        var log[]
        class C { init() { this.a = 1  push(log, this)  show(log)  this.b = 2 } }
        fn show(l) { print l[0].a  l[0].c = 3 }
        var c = C()  print c.b  print c.c""",
    "this let out by a method": """
        class C { init() { this.a = 1  this.early()  this.b = 2 } early() { this.c = "c" } }
        var c = C()  print c.a + c.b  print c.c""",
    "a subclass with fields before its parent's": """
        class A { init(n) { this.x = n  this.y = n + 1 } sum() { return this.x + this.y } }
        class B < A { init(n) { this.z = "z"  super.init(n) } }
        class D < A { init(n) { this.y = "y"  super.init(n) } }
        print A(1).sum()  print B(1).sum()  print D(1).sum()  print B(1).z""",
    "an initializer that leaves early": """
        class C { init(n) { this.a = n  if n > 1 { return; }  this.b = 2 } }
        print C(1).b  print C(2).b""",
    "an initializer called again": """
        class C { init(n) { this.a = n  this.b = this.a * 2 } }
        var c = C(1)  c.d = 4  c.init(5)  print c.a + c.b + c.d""",
    "a field that hides a method": """
        class C { init() { this.n = 1 } m() { return 1 } }
        var c = C()  print c.m()  c.m = fn () { return "field" }  print c.m()  print C().m()""",
    "a table where instances were": """
        class C { init() { this.x = 1 } m() { return this.x } }
        fn get(o) { return o.x } fn call(o) { return o.m() }
        print get(C())  print get({x: "table"})  print call({m: fn () { return nil }})""",
    "instances of two classes": """
        class A { init() { this.x = 1  this.y = 2 } m() { return this.x } }
        class B { init() { this.y = "y"  this.x = "x" } m() { return this.y } }
        for o in ArrayOf() { print o.x + o.y  print o.m() }
        fn ArrayOf() { var a[] = {A(), B()}  return a }""".replace(
        "for o in ArrayOf() {", "fn show(all) { for o in all {"
    ).replace("print o.m() }", "print o.m() } }")
    + "\n        show(ArrayOf())",
    "a method of a class that depends": """
        fn pick(n) { class A { m() { return 1 } } class B { m() { return "b" } }
            if n > 0 { return A } return B }
        class C < pick(1) {}  class D < pick(0) {}
        print C().m()  print D().m()""".replace(
        "class C < pick(1) {}  class D < pick(0) {}",
        """
        var P = pick(1)  var Q = pick(0)  class C < P {}  class D < Q {}""",
    ),
    "a loop's variable that is no number": """
        fn f(n) { var s = 0  for var i = 0; i < n; i = i + 1 { s = s + i } return s }
        print f(4)  print f("4")""",
    "an index that is no number, or outside": """
        var a[] = {1, 2}  var zero = 0
        print a[1.9]  print a[-0.5]  var i = zero / zero
        print i == i  if i < 1 { print a[0] } print a[i]""",
    "a condition that compares a NaN": """
        var zero = 0  var a[] = {1, 2, 3}
        fn f(i) { if !(i >= 1) { print a[i] } print "not reached" }
        f(0)  f(zero / zero)""",
    "an array that grows and shrinks in its loop": """
        var a[] = {1, 2, 3}
        for x in a { print x  if x == 1 { push(a, "last") } if x == 2 { pop(a)  pop(a) } }
        foreach var i, x in a { print i + x }""",
    "a root of what has none": """
        fn root(x) { return mathSqrt(x) }
        print root(16)  print root(-0.0)  print mathFloor(-0.5)  print mathFloor(2.5)
        print 7 % 3  print -7 % 3  print 0 % 5  print 5.5 % 2  print 7 % -3
        print mathFloor("a")""",
    "the result of a function that ends in two ways": """
        fn f(n) { if n > 0 { return n } }
        print f(1) + 1  print f(0)  print f(0) + 1""",
    "a global before it is there": """
        fn f() { return late + 1 }
        var early = 1  print early  print f()  var late = 1""",
    "a comparison of unlike values": """
        class C {}  var c = C()  var n = nil  var d = c
        fn eq(a, b) { return a == b }
        print c == n  print c == d  print n == nil  print eq(c, d)  print eq(1, 1)
        print eq("a", "a")
        print eq(true, nil)  print eq(false, nil)""",
}


@pytest.mark.parametrize("name", DETOURS)
def test_detours(name: str, tmp_path: Path) -> None:
    path = tmp_path / "detour.sox"
    path.write_text(re.sub(r"  +", "\n", DETOURS[name].strip()) + "\n")
    result, evaluator = check_file(path, STEPS)
    assert not evaluator.wrong
    assert result == run_file(path)
    assert result.status != 65, result
    level = list(DETOURS).index(name) % 3
    assert run_compiled(path, Mode(level, poison=True), verify=True) == result


# --- enough ------------------------------------------------------------------------------------


def test_kinds_of_globals() -> None:
    program = source(
        """
        var n = 1  var s = "s"  var mixed = 1  mixed = nil
        class C { init(a) { this.a = a } get() { return this.a } }
        var c = C(2)  var got = c.get()  var a[]  push(a, 1)  var first = a[0]
        var both = nil or 1  fn f(x) { return x }  var same = f(f)
        """
    )
    flow = Flow(program)
    held = {name: flow.held(info).tags for name, info in program.script.globals.items()}
    number, nil = kinds.NUMBER, kinds.NIL
    assert (held["n"], held["s"], held["mixed"]) == (number, kinds.STRING, number | nil)
    assert (held["c"], held["got"], held["first"]) == (kinds.INSTANCE, number, number)
    assert (held["both"], held["same"]) == (number, kinds.CLOSURE)


def test_fields_of_classes() -> None:
    program = source(
        """
        class A { init(x) { this.x = x  var y = x * 2  this.y = y  this.z = this.x } }
        class B < A { init() { this.b = 1  super.init(2)  this.x = 3  this.c = 4 } }
        class Out { init() { this.x = 1  this.y = fn () { return this }  this.z = 2 } }
        class None {}
        class Both { init(n) {
            for var i = 0; i < n; i = i + 1 { print i }
            if n > 0 { this.l = n  this.r = None() } else { this.l = nil  { this.r = nil } }
            this.n = n } }
        class Either { init(n) {
            this.a = n  if n > 0 { this.b = 1 } else { this.c = 1 }  this.d = 1 } }
        class Maybe { init(n) { this.a = n  if n > 0 { this.b = 1 }  this.c = 1 } }
        class Again { init(n) { this.a = n  if n > 0 { this.a = 1 }  this.c = 1 } }
        """
    )
    slots = Slots(Flow(program))
    classes: dict[str, ClassInfo] = {
        node.name: node.info  # type: ignore[attr-defined]
        for node in program.script.function.body
    }
    assert slots.fields(classes["A"]) == ["x", "y", "z"]
    assert slots.fields(classes["B"]) == ["b", "x", "y", "z", "c"]
    assert slots.fields(classes["Out"]) == ["x"]
    assert slots.fields(classes["None"]) == []
    assert slots.fields(classes["Both"]) == ["l", "r", "n"]
    assert slots.fields(classes["Either"]) == slots.fields(classes["Maybe"]) == ["a"]
    assert slots.fields(classes["Again"]) == ["a", "c"]
    assert slots.slot([classes["A"], classes["Out"]], "x") == 0
    assert slots.slot([classes["A"], classes["B"]], "x") is None


def test_an_open_program_has_no_beliefs() -> None:
    program = source("var n = 1\nprint n")
    program.script.is_open = True
    flow = Flow(program)
    assert not flow.state
    assert flow.tags(program.script.function.body[1].expression) == kinds.ALL  # type: ignore[attr-defined]


def test_too_much_work_leaves_no_beliefs() -> None:
    program = source("fn f(x) { return x }\nprint f(1)")
    assert Flow(program).state
    flow = Flow(program, limit=3)
    assert not flow.state
    assert not flow.nodes


def test_deep_and_wide_programs_take_little_work() -> None:
    deep = "class C0 { m() { return 1 } }\n" + "".join(
        f"class C{i} < C{i - 1} {{ m() {{ return super.m() + this.a }} }}\n" for i in range(1, 60)
    )
    wide = "".join(f"fn f{i}(x) {{ return f{i + 1}(x) + 1 }}\n" for i in range(300))
    assert Flow(source(deep)).work < 200_000
    assert Flow(source(wide + "fn f300(x) { return x }\nprint f0(1)")).work < 20_000


def test_every_native_is_known() -> None:
    context = {"test_error", "test_fatal"}
    assert set(NATIVES) | context == {*PLAIN, *SPECIAL}
    assert not set(PLAIN) & set(SPECIAL)


def test_numbers_travel_in_d_registers() -> None:
    """Not a tag, not a call but its own is left of fib."""
    text = function_text("fn fib(n) { if n < 2 { return n } return fib(n - 1) + fib(n - 2) }\n"
                         "print fib(20)", "sox:fib$typed")  # fmt: skip
    assert set(re.findall(r"call (\S+?)\(", text)) == {"@sox:fib$typed"}, text
    assert "(n: f64) -> f64" in text
    assert "i64" not in text, text


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_ir(path: Path) -> None:
    """The first line of a program names the function whose IR is beside it.

    CALLPROOF_GOLDEN=1 writes the files anew, to be looked at before they are committed.
    """
    text = path.read_text()
    name = text.partition("\n")[0].removeprefix("// ")
    got = function_text(text, name)
    golden = path.with_suffix(".ir")
    if os.environ.get("CALLPROOF_GOLDEN"):
        golden.write_text(got)
    assert got == golden.read_text()


def test_log_of_calls(tmp_path: Path) -> None:
    path = tmp_path / "log.sox"
    path.write_text(
        "class C { m() { return 1 } }\nclass D { m() { return 2 } }\n"
        "fn both(o) { return o.m() }\nprint C().m()\nprint both(C()) + both(D())\n"
        "var f = fn () { return 3 }\nprint f()\n"
    )
    lines: list[str] = []
    driver.build([path], tmp_path / "log", "exe", driver.Options(log=lines.append))
    found = [
        line.split(": ", 1)[0].rsplit(":", 1)[1] + " " + line.split(": ", 1)[1] for line in lines
    ]
    assert "4 direct call of method m: all instances here have it" in found
    assert "3 indirect call of method m: through the site's cache" in found
    assert "7 direct call of anonymous: nothing else gets here" in found
