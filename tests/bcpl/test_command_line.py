"""The options of the command line that concern NewBCPL programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.bcpl_programs import write


def callproof(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from callproof.cli import main; main()", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_include_folders(tmp_path: Path) -> None:
    source, *_ = write(
        tmp_path,
        {
            "main.bcl": 'GET "h"\nLET START() BE WRITEN(H)',
            "a/x": "",
            "b/h": "MANIFEST $( H = 42 $)",
        },
    )
    missing = callproof("run", source)
    assert missing.returncode == 1
    assert 'main.bcl:1:1: error: there is no header "h"' in missing.stderr
    found = callproof("run", "-I", tmp_path / "a", "-I", tmp_path / "b", source)
    assert (found.stdout, found.stderr, found.returncode) == ("42", "", 0)


def test_warnings_as_errors(tmp_path: Path) -> None:
    (source,) = write(tmp_path, {"p.bcl": "LET START() BE $( LET i = 1  i := 2.5  WRITEN(i) $)"})
    warned = callproof("run", source)
    assert (warned.stdout, warned.returncode) == ("2", 0)
    assert "p.bcl:1:30: warning: a FLOAT is truncated" in warned.stderr
    refused = callproof("run", "--werror", source)
    assert (refused.stdout, refused.returncode) == ("", 1)
    assert "p.bcl:1:30: error: a FLOAT is truncated" in refused.stderr


def test_bounds_check(tmp_path: Path) -> None:
    text = "LET get(v AS VEC, i) = v!i\nLET START() BE WRITEN(get(VEC 3, 3))"
    (source,) = write(tmp_path, {"p.bcl": text})
    assert callproof("run", source).stdout == "0"
    checked = callproof("run", "--bounds-check", "--on", "emulator", source)
    assert checked.returncode != 0
    assert "Out of bounds access" in checked.stderr and "p.bcl:1" in checked.stderr


def test_seed(tmp_path: Path) -> None:
    text = 'LET START() BE FOR i = 1 TO 5 DO WRITEF("%d ", RAND(1000000))'
    (source,) = write(tmp_path, {"p.bcl": text})
    first, again, other = (callproof("run", "--seed", n, source).stdout for n in "778")
    assert first == again != other
    assert len(first.split()) == 5


def test_several_sources(tmp_path: Path) -> None:
    texts = {"a.bcl": "LET START() BE WRITEN(f(20))", "b.bcl": "LET f(x) = x + 1"}
    output = tmp_path / "program"
    done = callproof("build", *write(tmp_path, texts), "-o", output)
    assert (done.returncode, done.stderr) == (0, "")
    assert callproof("run", output).stdout == "21"


def test_collector_options(tmp_path: Path) -> None:
    text = 'LET START() BE $( LET l = LIST("a", "b")  FOREACH s IN l DO WRITES(s) $)'
    (source,) = write(tmp_path, {"p.bcl": text})
    done = callproof("run", "--gc-stress", "--gc-stats", source)
    assert (done.returncode, done.stdout) == (0, "ab")
    # The header and two nodes are three allocations; the strings are constants.
    assert "gc: 3 collections, " in done.stderr
