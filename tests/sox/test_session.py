"""Interactive sessions: what lives on from entry to entry, what ends, what is printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from callproof import driver
from callproof.source import CallproofError, Diagnostics
from callproof.sox.session import Entry, Session, run
from tests.sox.test_tools import callproof

Output = tuple[str, str, int]
Play = Callable[..., Output]


@pytest.fixture
def play(capfd: pytest.CaptureFixture[str]) -> Play:
    """Runs entries in a session of their own: standard output, standard error, status."""

    def played(*entries: str, level: int = 1) -> Output:
        session = Session(driver.Options(level=level, verify=level == 2))
        pending = list(entries)

        def next_entry(_status: int) -> Entry | None:
            if not pending:
                return None
            diagnostics = Diagnostics()
            script = session.parse(pending.pop(0).encode(), "entry", diagnostics)
            diagnostics.raise_if_errors()
            return session.entry(script)

        outcome = run(session, next_entry)
        shown = capfd.readouterr()
        return shown.out, shown.err, outcome.exit_status

    return played


@pytest.mark.parametrize("level", [0, 1, 2])
def test_definitions_live_on(play: Play, level: int) -> None:
    output, errors, status = play(
        "var x = 5",
        "fn times(n) { return n * x }",
        "times(4)",
        "x = 7",
        "times(4) print times(1)",
        "x",
        "class A { init(a) { this.a = a } get() { return this.a } }",
        "class B < A { get() { return super.get() + 1 } }",
        "var b = B(3)",
        "b.get()",
        "fn counter() { var n = 0 fn next() { n = n + 1 return n } return next }",
        "var c = counter() c() c()",
        "c()",
        "b.a = {10, 20}  b.a[1]",
        "foreach var i, v in b.a { print i + v }",
        "{}",
        "print x",
        level=level,
    )
    assert errors == ""
    assert output.split("\n") == ["20", "7", "7", "4", "2", "3", "20", "10", "21", "7", ""]
    assert status == 0


def test_everything_may_be_redefined(play: Play) -> None:
    entries = ["fn f() { return 1 }", "fn g() { return f() }", "g()", "fn f() { return 2 }", "g()"]
    entries += ["len({1, 2})", "fn len(x) { return 99 }", "len({1, 2})", "var f = 3", "f", "g()"]
    output, errors, status = play(*entries)
    assert output == "1\n2\n2\n99\n3\n"
    assert errors.startswith("Can only call functions and classes.\n[line 1] in script\n")
    assert status == 0


def test_an_error_ends_its_entry_only(play: Play) -> None:
    output, errors, status = play(
        "var log = 1",
        "defer() { print log }\nfn fails(x) {\n    return x + missing\n}",
        "log = 2\nfails(1)\nlog = 3",
        "log",
        "assert(false)",
        "fn deep(n) { return deep(n + 1) + 1 }",
        "deep(0)",
        "deep(0)",
        "log + 1",
    )
    assert output == "1\n2\n3\n"
    lines = errors.splitlines()
    assert lines[:4] == [
        "Undefined variable 'missing'.",
        "[line 3] in script",
        "[line 3] in fails()",
        "[line 2] in script",
    ]
    assert "Assertion failed." in lines
    assert lines.count("Stack overflow.") == 2
    assert status == 0


def test_the_collector_sees_what_entries_hold(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLPROOF_GC_STRESS", "1")
    output, errors, _ = play(
        'var t = {a: "x" + 1}',
        'var all = {}\nall["k"] = t fn keep() { return all }',
        "t = nil",
        'for var i = 0; i < 5; i = i + 1 { keep()["n" + i] = "v" + i }',
        'keep()["k"]["a"] + keep()["n4"]',
    )
    assert (output, errors) == ("x1v4\n", "")


def test_modules_run_once(play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("one.sox").write_text(
        'print "one runs"\nvar n = 0\nreturn {up: fn () { n = n + 1 return n }}\n'
    )
    Path("two.sox").write_text('import "one"\nreturn one\n')
    Path("bad.sox").write_text("return missing\n")
    output, errors, _ = play(
        'import "one"', "one.up()", 'import again "one"', "again.up()", 'import "two"', "two.up()",
        'import "bad"', 'import "bad"', 'import "none"', "one.up()",
    )  # fmt: skip
    assert output == "one runs\n1\n2\n3\n4\n"
    assert errors.count("Undefined variable 'missing'.\n") == 2
    assert "Module not found: 'none'" in errors
    assert "Circular" not in errors


def test_the_end_of_the_program_ends_the_session(play: Play) -> None:
    output, _, status = play('sysOnExit(fn () { print "bye" })', "print 1", "sysExit(5)", "print 2")
    assert (output, status) == ("nil\n1\nbye\n", 5)


def test_many_entries(play: Play) -> None:
    entries = [f"var v{n} = {n} fn f{n}() {{ return v{n} }}" for n in range(60)]
    total = " + ".join(f"f{n}()" for n in range(60))
    output, errors, _ = play(*entries, total)
    assert (output, errors) == (f"{sum(range(60))}\n", "")


def test_what_cannot_be_compiled_leaves_the_session_as_it_was() -> None:
    session = Session(driver.Options())
    diagnostics = Diagnostics()
    session.parse(b"var a = ;", "entry", diagnostics)
    with pytest.raises(CallproofError):
        diagnostics.raise_if_errors()
    assert not session.slots


def test_the_command(tmp_path: Path) -> None:
    typed = (
        "var x = 2\nfn f(a) {\n  return a *\n  x\n}\nf(21)\nvar = 1\n\nx x\nmissing\nargv[1]\n(1 +"
    )
    done = callproof("repl", "--", "given", input=typed)
    assert done.stdout == "42\n2\ngiven\n"
    lines = done.stderr.splitlines()
    assert lines[0] == "[line 1] Error at '=': Expect variable name."
    assert "Undefined variable 'missing'." in lines
    assert lines[-1] == "[line 1] Error at end: Expect expression."
    assert done.returncode == 0


@pytest.mark.parametrize("level", [0, 1])
def test_nothing_that_an_entry_shows_of_values_is_believed_of_later_ones(
    play: Play, level: int
) -> None:
    output, errors, status = play(
        "var x = 1  fn next() { return x + x }  next()",
        'x = "a"',
        "next()",
        "class A { init(v) { this.v = v } get() { return this.v + this.v } }",
        "fn of(a) { return a.get() }  var a = A(2)  of(a)",
        'a.v = "s"',
        "of(a)",
        'class Other { get() { return "other" } }',
        "of(Other())",
        "var list = {1, 2}  fn first() { return list[0] + list[0] }  first()",
        'list[0] = "b"',
        "first()",
        level=level,
    )
    assert (output, status) == ("2\naa\n4\nss\nother\n2\nbb\n", 0), errors
