"""Bad programs and exactly what is said about them.

Each `errors/NAME.bcl` is compiled; its rendered diagnostics must equal `errors/NAME.expected`.
`UPDATE_GOLDEN=1 pytest tests/bcpl/test_errors.py` writes the expected files anew: read the
difference before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from callproof.bcpl.frontend import compile_to_ir
from callproof.source import CallproofError, Diagnostics, SourceFile

FOLDER = Path(__file__).parent / "errors"
NAMES = sorted(path.stem for path in FOLDER.glob("*.bcl"))


def report(path: Path) -> tuple[str, bool]:
    """All diagnostics of a program as text, and whether it was refused."""
    source = SourceFile(path.name, path.read_text(encoding="utf-8"))
    diagnostics = Diagnostics()
    try:
        compile_to_ir(source, diagnostics)
    except CallproofError as error:
        found = diagnostics.found or error.diagnostics
        return "".join(one.render() + "\n" for one in found), True
    return "".join(one.render() + "\n" for one in diagnostics.found), False


@pytest.mark.parametrize("name", NAMES)
def test_diagnostics(name: str) -> None:
    text, refused = report(FOLDER / f"{name}.bcl")
    expected = FOLDER / f"{name}.expected"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(text, encoding="utf-8")
    assert refused, "a bad program was accepted"
    assert text == expected.read_text(encoding="utf-8")


def test_there_are_enough_cases_and_none_is_left_over() -> None:
    assert len(NAMES) >= 40
    assert sorted(path.stem for path in FOLDER.glob("*.expected")) == NAMES
