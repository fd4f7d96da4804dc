"""Surveys: the tables, going on after a kill, dead workers, Dask, the report."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from callproof.check import CheckOptions
from callproof.source import CallproofError
from callproof.survey import Survey, run, survey
from callproof.survey.store import columns, files_name, read_table
from callproof.survey.summary import plot, summarise
from callproof.survey.work import Part, check_path
from tests.check.assembled import FRAME, LEAVE, assemble_all, function
from tests.survey.packages import tar, zip_

MAIN = [sys.executable, "-c", "from callproof.cli import main; main()", "survey"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    sources = {
        "good": function("f", "add x0, x0, #1\nret"),
        "bad": function("f", f"{FRAME}mov x9, x0\nbl g\nadd x0, x0, x9\n{LEAVE}")
        + function("h", "mov x19, x0\nret"),
        "doubtful": function("f", f"{FRAME}bl g\nadd x0, x0, x5\n{LEAVE}"),
    }
    made = assemble_all(sources, tmp_path_factory.mktemp("objects"))
    data = {name: path.read_bytes() for name, path in made.items()}
    (folder / "inner").mkdir()
    (folder / "one.tar").write_bytes(tar({"lib/good.o": data["good"], "lib/bad.o": data["bad"]}))
    (folder / "inner" / "two.zip").write_bytes(zip_({"doubtful.o": data["doubtful"]}))
    (folder / "plain.o").write_bytes(data["bad"])
    (folder / "broken.o").write_bytes(data["bad"][:70])
    (folder / "text").write_text("no code")
    (folder / "link").symlink_to("plain.o")
    return folder


def rows(out: Path, table: str) -> list[tuple[object, ...]]:
    names = list(columns(table))
    return sorted(tuple(row.values()) for row in read_table(out, table, names))


def test_rows_of_findings_and_files(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.sqlite"
    assert survey(Survey([tree], out)) == (5, 0)
    wanted = ["package", "file", "function", "rule", "severity", "registers"]
    found = [tuple(row.values()) for row in read_table(out, "findings", wanted)]
    short = sorted((str(p).removeprefix(f"{tree}/"), *map(str, rest)) for p, *rest in found)
    assert short == [
        ("inner/two.zip", "doubtful.o", "f", "CR1", "warning", "x5"),
        ("one.tar", "lib/bad.o", "f", "CR1", "error", "x9"),
        ("one.tar", "lib/bad.o", "h", "CS1", "error", "x19"),
        ("plain.o", "", "f", "CR1", "error", "x9"),
        ("plain.o", "", "h", "CS1", "error", "x19"),
    ]
    wanted = ["file", "package", "status", "functions", "errors", "warnings", "code_bytes"]
    files = {
        Path(str(r["package"])).name + str(r["file"]): r for r in read_table(out, "files", wanted)
    }
    assert sorted(files) == [
        "broken.o",
        "one.tarlib/bad.o",
        "one.tarlib/good.o",
        "plain.o",
        "two.zipdoubtful.o",
    ]
    assert files["broken.o"]["status"] == "unusable"
    bad = files["one.tarlib/bad.o"]
    assert (bad["functions"], bad["errors"], bad["warnings"], bad["code_bytes"]) == (2, 2, 0, 36)
    assert not (tmp_path / "found.sqlite.parts").exists()


def test_processes_and_parquet_give_the_same(tree: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    plain, out = tmp_path / "one.sqlite", tmp_path / "two.parquet"
    survey(Survey([tree], plain))
    survey(Survey([tree], out, jobs=2))
    assert rows(out, "findings") == rows(plain, "findings") != []
    without_time = [row[:-1] for row in rows(out, "files")]
    assert without_time == [row[:-1] for row in rows(plain, "files")]
    assert files_name(out).exists()


def test_a_killed_survey_goes_on(tree: Path, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for number in range(40):
        (many / f"{number:02}.tar").write_bytes((tree / "one.tar").read_bytes())
    out = tmp_path / "found.sqlite"
    parts = tmp_path / "found.sqlite.parts"
    command = [*MAIN, str(many), "--out", str(out), "--jobs", "1"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    limit = time.monotonic() + 60
    while len(list(parts.glob("*.json"))) < 3 and time.monotonic() < limit:
        time.sleep(0.005)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert not out.exists()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before = int(done.stdout.split(", ")[1].split()[0])
    assert 3 <= before < 40 and done.stdout.startswith("40 paths")
    assert len(rows(out, "findings")) == 80 and len(rows(out, "files")) == 80


def dying(path: str, package: str, options: CheckOptions, limit: int) -> Part:
    if path.endswith("plain.o"):
        os._exit(9)
    return check_path(path, package, options, limit)


def test_a_worker_that_dies_takes_nobody_with_it(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "check_path", dying)
    out = tmp_path / "found.sqlite"
    survey(Survey([tree], out, jobs=2))
    found = {
        Path(row["package"]).name: row["status"]
        for row in read_table(out, "files", ["package", "status"])
    }
    assert found == {
        "broken.o": "unusable",
        "one.tar": "checked",
        "plain.o": "crashed",
        "two.zip": "checked",
    }


def test_a_file_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    text = "".join(function(f"f{n}", "cbz x0, 1f\nadd x0, x0, #1\n1: ret") for n in range(30_000))
    path = assemble_all({"slow": text}, tmp_path)["slow"]
    (row,) = check_path(str(path), "slow.o", CheckOptions(), 0.05).files
    assert (row.status, row.detail) == ("too slow", "more than 0.05 seconds")


def test_through_dask(tree: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    )
    with cluster:
        survey(Survey([tree], tmp_path / "dask.sqlite", scheduler=cluster.scheduler_address))
    survey(Survey([tree], tmp_path / "here.sqlite"))
    assert rows(tmp_path / "dask.sqlite", "findings") == rows(tmp_path / "here.sqlite", "findings")


def test_the_report_and_its_plots(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.sqlite"
    command = [*MAIN, str(tree), "--out", str(out), "--report"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "5 files (4 checked, 1 unusable)" in done.stdout
    summary = summarise(out)
    assert summary.rules == {("CR1", "error"): 2, ("CS1", "error"): 2, ("CR1", "warning"): 1}
    assert (summary.total.functions, summary.total.errors) == (6, 4)
    pytest.importorskip("matplotlib")
    for path in plot(summary, tmp_path / "plots"):
        assert path.read_text().rstrip().endswith("</svg>")


def test_queries_of_the_documentation(tree: Path, tmp_path: Path) -> None:
    """Each fenced `sql` block of docs/survey.md runs on what a survey writes."""
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("pyarrow")
    survey(Survey([tree], tmp_path / "findings.parquet"))
    page = Path(__file__).parents[2] / "docs" / "survey.md"
    queries = [part.split("```")[0] for part in page.read_text().split("```sql\n")[1:]]
    assert len(queries) >= 3
    with duckdb.connect() as base:
        for query in queries:
            text = query.replace("'findings", f"'{tmp_path}/findings")
            assert base.execute(text).fetchall(), query


def test_what_cannot_be_done_is_said(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(CallproofError, match=r"kept as \.parquet or \.sqlite"):
        survey(Survey([tree], tmp_path / "found.csv"))
    with pytest.raises(CallproofError, match="there is no"):
        survey(Survey([tmp_path / "nowhere"], tmp_path / "found.sqlite"))
    with pytest.raises(CallproofError, match="there is no"):
        summarise(tmp_path / "found.sqlite")
    (tmp_path / "text.sqlite").write_text("this is no data base, only text" * 100)
    with pytest.raises(CallproofError, match="no survey"):
        summarise(tmp_path / "text.sqlite")
    done = subprocess.run([*MAIN, "--out", "x.sqlite"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "which paths?" in done.stderr
