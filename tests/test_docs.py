"""The documents are true: files that they name exist, text that they quote is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from callproof import driver

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_named_files_exist(path: Path) -> None:
    named = re.findall(r"(?:src|examples|benchmarks|docs)/[\w./-]*\w", path.read_text())
    assert named
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing


def test_the_tour_quotes_the_listing() -> None:
    text = (ROOT / "docs" / "tour.md").read_text()
    section = text.split("## 8.")[1].split("## 9.")[0]
    quoted = [line for line in section.splitlines() if line.startswith("    ")]
    source = ROOT / "examples" / "colorpoint.bcl"
    listing = driver.compile_file(source, driver.Options()).listing("ColorPoint::CREATE")
    lines = [" ".join(line.split()) for line in listing.splitlines()]
    assert len(quoted) == 4
    for line in quoted:
        assert " ".join(line.split()) in lines


def test_every_package_says_what_it_takes_and_gives() -> None:
    for path in sorted((ROOT / "src" / "callproof").rglob("__init__.py")):
        text = path.read_text()
        assert text.startswith('"""'), path
        assert len(text.split('"""')[1]) > 60, f"{path}: one paragraph, please"
