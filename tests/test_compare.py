"""`callproof bench --compare`: pairs of builds by two commits, and what is made of them.

The two commits are of a small repository whose package is this one under another
`__init__.py`, so that what differs between them is known: the older compiles with -O0.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import callproof
from callproof import driver
from callproof.cli.bench_compare import print_table
from callproof.compare import (
    Comparison,
    Figures,
    Row,
    geometric_mean,
    programs,
    toplevel,
    two_sides,
)
from callproof.run.counting import Counter, find_counter
from callproof.source import CallproofError

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
REAL = Path(callproof.__file__)
PACKAGE = f"""\
import sys
__path__ = [{str(REAL.parent)!r}]
exec(compile(open({str(REAL)!r}).read(), __file__, "exec"))
"""
OLD = """\
sys.argv = [{"-O1": "-O0"}.get(word, word.replace("prints", "sums")) for word in sys.argv]
"""
NEW = """\
if any(word.endswith("refused.bcl") for word in sys.argv):
    sys.exit("refused.bcl: no longer")
"""
SUMS = "LET START() BE $( LET s = 0 FOR i = 1 TO 500 DO s := s + i WRITEN(s) $)\n"


def run_cli(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from callproof.cli import main; main()", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("checkout")
    (top / "src/callproof").mkdir(parents=True)
    (top / "benchmarks/bcpl").mkdir(parents=True)
    for name in ("sums", "refused"):
        (top / f"benchmarks/bcpl/{name}.bcl").write_text(SUMS)
    (top / "benchmarks/bcpl/prints.bcl").write_text(SUMS.replace("500", "501"))
    (top / "benchmarks/bcpl/wrong.bcl").write_text("LET START( BE\n")
    git = ["git", "-C", str(top), "-c", "user.name=a", "-c", "user.email=a@b", "-c"]
    git += ["commit.gpgsign=false"]
    for more in (OLD, NEW):
        (top / "src/callproof/__init__.py").write_text(PACKAGE + more)
        for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
            subprocess.run([*git, *words], check=True)
    return top


@needs_git
def test_two_commits(checkout: Path) -> None:
    done = run_cli("bench", checkout, "--compare", "HEAD~1", "--rounds", "1", "--format", "json")
    assert done.returncode == 1, done.stderr  # of what is refused now
    found = json.loads(done.stdout)
    rows = {row["name"]: row for row in found["programs"]}
    assert list(rows) == ["bcpl/prints", "bcpl/refused", "bcpl/sums", "bcpl/wrong"]
    sums = rows["bcpl/sums"]
    assert sums["trouble"] == ""
    assert len(sums["base"]["seconds"]) == len(sums["work"]["seconds"]) == 1
    # 500 turns of a loop that is longer at -O0.
    assert sums["base"]["instructions"] - sums["work"]["instructions"] > 500
    assert sums["ratios"]["instructions"] < 1
    # The program's own, without the runtime's: far less than an executable has.
    assert 0 < sums["work"]["code"] <= sums["base"]["code"] < 1024
    assert rows["bcpl/prints"]["trouble"] == "the two print different things"
    assert rows["bcpl/refused"]["trouble"] == "work: refused.bcl: no longer"
    assert rows["bcpl/refused"]["base"]["instructions"] == sums["base"]["instructions"]
    assert "wrong.bcl:1" in rows["bcpl/wrong"]["base"]["failure"]
    assert rows["bcpl/wrong"]["ratios"] == {"instructions": None, "code": None, "seconds": None}
    listed = ["git", "-C", str(checkout), "worktree", "list"]
    kept = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    assert len(kept.splitlines()) == 1


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        Row("bcpl/a", Figures(20_000, 100, [1.0]), Figures(10_000, 150, [2.0])),
        Row("bcpl/b", Figures(failure="no"), Figures(5, 5)),
    ]
    print_table(Comparison("1234567", "89abcde+changes", "aarch64-linux", 1, "qemu", rows))
    lines = capsys.readouterr().out.splitlines()
    assert "89abcde+changes / 1234567: -O1, aarch64-linux, counted by qemu" in lines[0]
    cells = [line.replace("│", "").split() for line in lines if "│" in line]
    assert cells == [
        ["bcpl/a", "20,000", "10,000", "0.500", "100", "150", "1.500", "1.00", "2.00", "2.000"],
        ["bcpl/b", "-", "5", "-", "-", "5", "-", "-", "-", "-"],
        ["geometric", "mean", "0.500", "1.500", "2.000"],
    ]


@needs_git
def test_wrong_use(checkout: Path, tmp_path: Path) -> None:
    done = run_cli("bench", checkout, "--compare", "nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert "git rev-parse: Needed a single revision" in done.stderr
    assert run_cli("bench", checkout, "--compare", "HEAD", "--time", "1").returncode == 2
    with pytest.raises(CallproofError, match="git rev-parse: not a git repository"):
        toplevel(tmp_path)
    with pytest.raises(CallproofError, match="no such file"):
        toplevel(tmp_path / "none")
    with pytest.raises(CallproofError, match=r"no programs .* with 'zz' in their names"):
        programs(checkout, checkout, "zz")


@needs_git
def test_the_worktree_goes_with_an_error(checkout: Path) -> None:
    roots = []
    with pytest.raises(KeyboardInterrupt), two_sides(checkout, "HEAD~1") as (base, work):
        roots.append(base.root)
        assert (base.root / "src/callproof/__init__.py").read_text().endswith(OLD)
        assert work.root == toplevel(checkout)
        assert not work.changed
        raise KeyboardInterrupt
    assert not roots[0].exists()


def test_ratios() -> None:
    # The median of 2, 0.5 and 1.5; whoever drifts within a round is outvoted.
    row = Row("a", Figures(200, 10, [1, 2, 2]), Figures(100, 20, [2, 1, 3]))
    assert (row.ratio("instructions"), row.ratio("code"), row.ratio("seconds")) == (0.5, 2, 1.5)
    assert geometric_mean([0.5, 2, None]) == pytest.approx(1)
    assert geometric_mean([None]) is None
    assert not row.worse
    broken = Row("a", Figures(failure="no"), Figures())
    assert (broken.trouble, broken.worse) == ("base: no", False)
    assert Row("a", Figures(output=(0, b"1")), Figures(output=(0, b"2"))).worse


def test_counters_agree(tmp_path: Path) -> None:
    source = tmp_path / "sums.bcl"
    source.write_text(SUMS)
    executable = tmp_path / "sums"
    driver.build([source], executable, "exe", driver.Options())
    slow = Counter().count(executable, 60)
    assert (slow.status, slow.output, slow.errors) == (0, b"125250", b"")
    assert slow.instructions is not None
    fast = find_counter("aarch64", tmp_path, executable)
    if not fast.qemu:
        pytest.skip("qemu-aarch64 cannot take the plugin here")
    counted = fast.count(executable, 60)
    assert (counted.status, counted.output, counted.errors) == (0, b"125250", b"")
    assert counted.instructions is not None
    # Only what Linux hands over at the start differs.
    assert abs(counted.instructions - slow.instructions) < 200
    longer = tmp_path / "longer.bcl"
    longer.write_text("LET START() BE $( WHILE TRUE DO $( $) $)\n")
    driver.build([longer], executable, "exe", driver.Options())
    assert fast.count(executable, 0.2).status == 124
