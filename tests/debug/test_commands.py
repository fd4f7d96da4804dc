"""Where the command line takes -g: wherever something is compiled or linked."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from callproof.cli.app import app

TEXT = """\
LET sum(n) = VALOF $(
  LET total = 0
  FOR i = 1 TO n DO total := total + i
  RESULTIS total
$)
LET START() BE WRITEN(sum(4))
"""


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "program.bcl"
    path.write_text(TEXT)
    return str(path)


def done(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_asm_shows_the_code_of_a_build_with_it(source: str, tmp_path: Path) -> None:
    for level in ("-O0", "-O1"):
        listing = tmp_path / "listing"
        done("build", "-g", level, source, "--emit", "asm", "-o", str(listing))
        assert done("asm", "-g", level, source) == listing.read_text()
        assert (done("asm", level, source) == listing.read_text()) == (level == "-O1")


def test_linking_afterwards_is_as_building_at_once(source: str, tmp_path: Path) -> None:
    item, one, other, plain = (str(tmp_path / name) for name in ("p.o", "one", "other", "plain"))
    done("build", "-g", source, "--emit", "obj", "-o", item)
    done("link", "-g", item, "-o", one)
    done("build", "-g", source, "-o", other)
    assert Path(one).read_bytes() == Path(other).read_bytes()
    done("link", item, "-o", plain)
    assert b".eh_frame_hdr" in Path(one).read_bytes()
    assert b".eh_frame_hdr" not in Path(plain).read_bytes()


def test_run_takes_it(source: str, capfd: pytest.CaptureFixture[str]) -> None:
    done("run", "-g", "-O0", "--on", "emulator", source)
    assert capfd.readouterr().out == "10"
