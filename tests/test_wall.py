"""The benchmarks that are timed: the twins print the same, sizes are put in, figures are right."""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import wall

from callproof.source import CallproofError

SOX = Path(wall.__file__).parent / "sox"
NODE = shutil.which("node")
here = pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.platform != "linux", reason="runs x86-64 Linux programs"
)


def small(path: Path, folder: Path) -> Path:
    """The program with the sizes that stand behind `small:`."""
    text, count = re.subn(r"= \d+(?=\s+(?://|#|--) small: (\d+))", "= SIZE", path.read_text())
    sizes = re.findall(r"small: (\d+)", text)
    assert count == len(sizes) >= 1
    for size in sizes:
        text = text.replace("SIZE", size, 1)
    (folder / path.name).write_text(text)
    return folder / path.name


@pytest.mark.parametrize("name", wall.SIZES)
def test_twins_print_the_same(name: str, tmp_path: Path) -> None:
    expected = (SOX / f"{name}.small.out").read_bytes()
    commands = [[sys.executable, "-I", "-S", str(small(SOX / f"{name}.py", tmp_path))]]
    if NODE:
        script = small(SOX / f"{name}.js", tmp_path)
        commands.append([NODE, "-r", str(SOX / "show.js"), str(script)])
    for command in commands:
        assert subprocess.run(command, capture_output=True, check=True).stdout == expected


def test_every_program_is_timed() -> None:
    assert set(wall.SIZES) == {path.stem for path in SOX.glob("*.sox")}
    assert set(wall.UNITS) == {path.stem for path in (SOX.parent / "bcpl").glob("*.bcl")}


def test_all_twins_take_the_size() -> None:
    for name in wall.SIZES:
        for suffix in (".sox", ".lua", ".js", ".py"):
            text = (SOX / f"{name}{suffix}").read_text()
            changed = wall.resized(wall.SIZE_LINE, text, 987654, name)
            assert re.search(r"(?m)^(var |local |const )?size = 987654\b", changed)
    for name in wall.UNITS:
        text = (SOX.parent / "bcpl" / f"{name}.bcl").read_text()
        assert "UNITS = 987654 $)" in wall.resized(wall.UNITS_LINE, text, 987654, name)
        assert "UNITS" in (SOX.parent / "bcpl" / f"{name}.c").read_text()
    with pytest.raises(CallproofError, match="no line gives its size"):
        wall.resized(wall.SIZE_LINE, "var n = 3", 1, "x")


def test_ratios_are_within_a_round() -> None:
    own = [wall.Sample(1.0, 0.5), wall.Sample(10.0, 1.0), wall.Sample(2.0, 2.0)]
    lua = [wall.Sample(3.0, 2.0), wall.Sample(40.0, 3.0), wall.Sample(4.0, 4.0)]
    figures = {"sox/a": wall.Figures("7", {"-O1": own, "-O2": own, "Lua 5.4": lua})}
    head, line, mean = wall.rows(figures, "wall")
    assert head == ["program", "units", "-O1 s", "-O2 s", "Lua 5.4"]
    assert line == ["sox/a", "7", "2.00", "2.00", "3.00"]  # not 4 / 2
    assert mean[-1] == "3.00"
    assert wall.rows(figures, "cpu")[1][-1] == "3.00"


@here
def test_a_kernel_and_a_program(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several units are what they are in C; a peer that is not there is named."""
    monkeypatch.setitem(wall.UNITS, "queens", 3)
    monkeypatch.setitem(wall.SIZES, "fib", 15)
    missing = wall.Peer("Nothing", ("no-such-program",), (), ".py", "-V", "")
    monkeypatch.setattr(wall, "PEERS", (wall.PEERS[-1], missing))
    samples = tmp_path / "samples.json"
    words = [
        "queens",
        "sox/fib",
        "--rounds",
        "2",
        "--markdown",
        "--clock",
        "both",
        "--json",
        str(samples),
    ]
    assert wall.main(words) == 0
    found = json.loads(samples.read_text())
    assert set(found["sox/fib"]) == {"-O1", "-O2", "CPython"}
    assert all(len(one) == 2 for one in found["sox/fib"].values())
    gcc = {f"gcc {level}" for level in wall.GCC_LEVELS} if shutil.which("gcc") else set()
    assert set(found["bcpl/queens"]) == {"-O1", "-O2"} | gcc
    output, errors = capfd.readouterr()
    assert "Nothing is left out: no no-such-program here" in errors
    assert output.count("| program | units | -O1 s | -O2 s |") == 2
    assert "| bcpl/queens | 3 |" in output and "| sox/fib | 15 |" in output


@here
def test_another_output_is_an_error() -> None:
    sides = [
        wall.Side(word, [sys.executable, "-I", "-S", "-c", f"print('{word}')"])
        for word in ("one", "two")
    ]
    with pytest.raises(CallproofError, match="prints b'two"):
        wall.measure(sides, 1, {})
    failing = wall.Side("three", [sys.executable, "-I", "-S", "-c", "raise SystemExit(3)"])
    with pytest.raises(CallproofError, match="ended with 3"):
        wall.run_once(failing, {})


def test_bad_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CallproofError, match="no benchmark is named 'fibb'"):
        wall.wanted(["fibb"])
    with pytest.raises(CallproofError, match="no usr/bin"):
        wall.Finder(tmp_path)
    with pytest.raises(SystemExit):
        wall.main(["--rounds", "0"])
    assert "from 1" in capsys.readouterr().err
