"""The command line for Sox: run, test, and the reference's own words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from callproof.cli.sox import WrongUse, parse
from callproof.sox.benchmarks import benchmarks_of, hash_order
from callproof.sox.frontend import load_source
from callproof.sox.lexer import SoxSource
from callproof.sox.signatures import fnv1a
from tests.sox.test_evaluator import PROGRAMS

SUITE = PROGRAMS.parent / "sox_tests"
SCRIPT = """\
fn twice(x) { return 2 * x }
print twice(21)
print len(argv)
fn BenchmarkTwice(b) { for var i = 0; i < b.n; i = i + 1 { twice(i) } }
"""


def callproof(
    *words: object, cwd: Path | None = None, input: str = ""
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from callproof.cli import main; main()", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd, input=input
    )


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.sox"
    path.write_text(SCRIPT)
    return path


@pytest.mark.parametrize("words", [["run"], ["sox"], ["sox", "--custom-linker"]])
def test_a_script_runs(words: list[str], script: Path) -> None:
    done = callproof(*words, script)
    assert (done.stdout, done.stderr, done.returncode) == ("42\n2\n", "", 0)


def test_flags_in_any_order(script: Path) -> None:
    done = callproof("sox", script, "--suppress-print", "--", "more", "arguments")
    assert (done.stdout, done.returncode) == ("", 0)
    done = callproof("sox", "--custom-linker", script, "--", "more", "arguments")
    assert done.stdout == "42\n4\n"


def test_native_executables_and_objects(script: Path, tmp_path: Path) -> None:
    assert callproof("sox", "--native", script).returncode == 0
    assert callproof("run", tmp_path / "script").stdout == "42\n2\n"
    assert callproof("sox", script, "--native-obj", "--native-opt=3").returncode == 0
    linked = callproof("link", f"{script}.o", "-o", tmp_path / "linked")
    assert linked.returncode == 0, linked.stderr
    assert callproof("run", tmp_path / "linked").stdout == "42\n2\n"
    done = callproof("sox", script, f"--native-out={tmp_path / 'named'}")
    assert done.returncode == 0
    assert (tmp_path / "named").exists()


def test_benchmarks(script: Path) -> None:
    done = callproof("sox", script, "--bench-time=0.01")
    assert done.returncode == 0, done.stderr
    name, count, nanoseconds, unit = done.stdout.splitlines()[2].split()
    assert (name, unit) == ("BenchmarkTwice", "ns/op")
    assert int(count) >= 1
    assert float(nanoseconds) > 0
    done = callproof("sox", script, "--bench-filter=Nothing")
    assert "No benchmarks found" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--wasm", "x.sox"], 1, "--wasm is not offered"),
        (["--serialise", "x.sox"], 1, "--serialise is not offered"),
        (["x.sox", "y.sox"], 1, "sox: excess option y.sox"),
        (["--what"], 1, 'sox: invalid option "--what"'),
        (["--native-arch=vax", "x.sox"], 1, "unknown architecture 'vax'"),
        (["--native-opt=9", "x.sox"], 1, "--native-opt takes 0, 1, 2 or 3"),
        (["--bench-time=0", "x.sox"], 1, "a number of seconds above 0"),
        (["--bench", "--native", "x.sox"], 64, "cannot be combined"),
    ],
)
def test_wrong_use(words: list[str], status: int, message: str) -> None:
    with pytest.raises(WrongUse, match=message) as raised:
        parse(words)
    assert raised.value.status == status


def test_compile_errors(tmp_path: Path) -> None:
    path = tmp_path / "bad.sox"
    path.write_text("var x = ;\nprint 1\n")
    for words in (["run"], ["build"], ["sox"]):
        done = callproof(*words, path, cwd=tmp_path)
        assert done.returncode == 65
        assert done.stderr == "[line 1] Error at ';': Expect expression.\n"
    done = callproof("--diagnostics", "rich", "run", path)
    assert "bad.sox:1:9: error: Expect expression." in done.stderr


def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    done = callproof("run", "none.sox", cwd=tmp_path)
    assert done.returncode == 74
    assert done.stderr == 'Could not open file "none.sox".\n'
    assert done.stdout == "Could not read file: none.sox\n"


def test_the_test_command() -> None:
    done = callproof("test", SUITE)
    assert done.stdout == (SUITE / "expected.out").read_text()
    assert done.returncode == 1
    reported = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert reported == (SUITE / "expected.err_lines").read_text().splitlines()
    assert callproof("sox", "--test", SUITE / "arithmetic_test.sox").returncode == 0


def test_junit() -> None:
    done = callproof("test", SUITE, "--format", "junit")
    suite = ElementTree.fromstring(done.stdout)
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("15", "5", "4")
    assert len(suite.findall("testcase")) == 15


def test_nothing_to_test(tmp_path: Path) -> None:
    done = callproof("test", tmp_path)
    assert (done.stdout, done.returncode) == (f"No test files found in {tmp_path}\n", 0)
    done = callproof("test", SUITE / "no_tests_test.sox")
    assert (done.stderr, done.returncode) == ("No tests run, 0 (100%) skipped.\n", 0)


def test_calls_are_logged(script: Path) -> None:
    done = callproof("run", "--log-calls", script)
    assert f"{script}:2: direct call of twice: defined once, at top level" in done.stderr


def test_module_path(tmp_path: Path) -> None:
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "far.sox").write_text('return "from afar"\n')
    script = tmp_path / "main.sox"
    script.write_text('import "far"\nprint far\n')
    assert callproof("run", script).returncode == 70
    done = callproof("run", "--module-path", folder, script)
    assert (done.stdout, done.returncode) == ("from afar\n", 0)


def test_collector_options(tmp_path: Path) -> None:
    path = tmp_path / "strings.sox"
    path.write_text('var s = ""\nfor var i = 0; i < 50; i = i + 1 { s = s + i }\nprint len(s)\n')
    done = callproof("run", "--gc-stress", "--gc-stats", path)
    assert done.stdout == "90\n"
    assert "collections" in done.stderr


def test_the_order_of_benchmarks() -> None:
    # Section 4's own example.
    assert hash_order(["z", "y", "x", "hello", "after"]) == ["after", "hello", "y", "z", "x"]
    # Thirteen names have made the table grow twice, to 32 places.
    order = hash_order(f"n{number}" for number in range(13))
    places = [fnv1a(name.encode()) % 32 for name in order]
    assert len(places) == 13
    assert places == sorted(places)
    text = "var n = 0\nfn BenchmarkA(b) { }\nfn other() { }\nfn BenchmarkB(b) { }\n"
    script = load_source(SoxSource("bench.sox", text.encode())).script
    assert sorted(benchmarks_of(script)) == ["BenchmarkA", "BenchmarkB"]


def test_the_bench_command(script: Path, tmp_path: Path) -> None:
    (tmp_path / "none.sox").write_text("print 1\n")
    done = callproof("bench", tmp_path, "--time", "0.001", "--format", "json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["file"], row["name"]) == (str(script), "BenchmarkTwice")
    assert row["iterations"] >= 1
    assert row["ns_per_op"] > 0
    done = callproof("bench", script, "--bench-time=0.001")
    assert done.stdout.startswith("42\n2\nBenchmarkTwice ")
    script.write_text("var BenchmarkNone = 1\nfn BenchmarkBad(b) { missing }\n")
    done = callproof("bench", script, "--format=json")
    assert (done.stdout, done.returncode) == ("[]\n", 70)
    assert "Benchmark BenchmarkBad failed" in done.stderr
    assert callproof("bench", script, "--time", "-1").returncode == 2


def test_building_with_the_options_of_run(tmp_path: Path) -> None:
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "far.sox").write_text("return 1\n")
    path = tmp_path / "main.sox"
    path.write_text('import "far"\nfn f() { return far }\nprint f()\n')
    executable = tmp_path / "main"
    done = callproof("build", "--log-calls", "--module-path", folder, path, "-o", executable)
    assert f"{path}:3: direct call of f" in done.stderr
    assert callproof("run", executable).stdout == "1\n"
