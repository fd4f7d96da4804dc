"""Bad programs and exactly what is said about them.

Each `errors/NAME.bcl` is compiled; its rendered diagnostics must equal `errors/NAME.expected`.
The programs in `warnings/` are accepted, with the warnings expected.
`UPDATE_GOLDEN=1 pytest tests/bcpl/test_errors.py` writes the expected files anew: read the
difference before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from callproof.bcpl.frontend import compile_to_ir
from callproof.source import CallproofError, Diagnostics, SourceFile

HERE = Path(__file__).parent
CASES = sorted(
    (folder, path.stem)
    for folder in ("errors", "warnings")
    for path in (HERE / folder).glob("*.bcl")
)


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


@pytest.mark.parametrize(("folder", "name"), CASES)
def test_diagnostics(folder: str, name: str) -> None:
    text, refused = report(HERE / folder / f"{name}.bcl")
    expected = HERE / folder / f"{name}.expected"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(text, encoding="utf-8")
    assert refused == (folder == "errors")
    assert text == expected.read_text(encoding="utf-8")


def test_there_are_enough_cases_and_no_result_is_left_over() -> None:
    assert len([name for folder, name in CASES if folder == "errors"]) >= 60
    for folder in ("errors", "warnings"):
        names = [name for there, name in CASES if there == folder]
        assert sorted(path.stem for path in (HERE / folder).glob("*.expected")) == names
