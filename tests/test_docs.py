"""The documents are true: files that they name exist, text that they quote is there."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from callproof import driver
from callproof.abi.clauses import CLAUSES
from tests.abi.rules import EXAMPLES
from tests.test_programs import output_of

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
    options = driver.Options(inlining=False)
    listing = driver.compile_file(source, options).listing("ColorPoint::CREATE")
    lines = [" ".join(line.split()) for line in listing.splitlines()]
    assert len(quoted) == 4
    for line in quoted:
        assert " ".join(line.split()) in lines


def test_every_package_says_what_it_takes_and_gives() -> None:
    for path in sorted((ROOT / "src" / "callproof").rglob("__init__.py")):
        text = path.read_text()
        assert text.startswith('"""'), path
        assert len(text.split('"""')[1]) > 60, f"{path}: one paragraph, please"


def test_the_table_of_rules_is_that_of_the_tests() -> None:
    text = (ROOT / "docs" / "calling-conventions.md").read_text()
    rows = {}
    for line in text.split("<!-- rules -->")[1].split("<!-- end of rules -->")[0].splitlines()[3:]:
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        rows[cells[0]] = cells[1:]
    assert set(rows) == set(CLAUSES)
    for rule, (source, what, example, place) in rows.items():
        first = EXAMPLES[rule][0]
        called = f" called with `{first.arguments}`" if first.arguments else ""
        assert (source, what) == (CLAUSES[rule].source, CLAUSES[rule].text)
        assert example == f"`{first.declaration}`{called}"
        assert place == f"{first.name}: {first.where}"


def test_the_program_that_calls_c(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "c-functions.md").read_text()
    program, printed = text.split("    EXTERNAL", 1)[1].split("prints\n")
    source = tmp_path / "program.bcl"
    source.write_text(textwrap.dedent(f"    EXTERNAL{program}"))
    driver.build([source], tmp_path / "program", "exe", driver.Options())
    expected = printed.split("The string")[0].strip() + "\n"
    assert output_of(tmp_path / "program", poison=True).decode() == expected


def test_the_python_example_of_the_conventions(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "calling-conventions.md").read_text()
    block = text.split("The same in Python:")[1].split("| name |")[0]
    exec(textwrap.dedent(block), {})
    assert capsys.readouterr().out == "InRegister(register=34)\nxmm0, xmm1\n"
