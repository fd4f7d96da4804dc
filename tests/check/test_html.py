"""The HTML report: its structure always, its behaviour in a headless Chromium if one is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from callproof.check import CheckOptions, Result, check_file
from callproof.check.filters import Filter
from callproof.check.report_html import as_html
from tests.check.assembled import FRAME, LEAVE, assemble_all, function

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
VOID = frozenset(("meta", "input", "br"))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    text = (
        function("crossing", f"{FRAME}mov x9, x0\nbl g\nadd x0, x0, x9\n{LEAVE}")
        + function("keeps<nothing>", "mov x19, x0\nret").replace("keeps<nothing>", "keeps_nothing")
        + function("doubtful", f"{FRAME}bl g\nadd x0, x0, x5\n{LEAVE}")
        + function("long", "mov x20, x0\n" + "add x0, x0, #1\n" * 800 + "ret")
    )
    path = assemble_all({"html": text}, tmp_path_factory.mktemp("html"))["html"]
    return check_file(path, CheckOptions(listings=True))


class Page(HTMLParser):
    """Checks that elements are closed in order; keeps start tags and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if self.rows and {"td", "th"} & set(self.open[-2:]):
            self.rows[-1][-1] += data

    def classes(self, name: str) -> list[dict[str, str | None]]:
        return [found for _, found in self.tags if name in (found.get("class") or "").split()]


def test_the_page_is_whole_and_needs_nothing_else(result: Result) -> None:
    text = as_html([result])
    page = Page(text)
    assert re.search(r"(src|href)\s*=|@import|url\(|https?://", text) is None
    findings = page.classes("finding")
    assert [(f["data-function"], f["data-rule"], f["data-severity"]) for f in findings] == [
        ("crossing", "CR1", "error"),
        ("keeps_nothing", "CS1", "error"),
        ("doubtful", "CR1", "warning"),
        ("long", "CS1", "error"),
    ]
    assert [f["data-function"] for f in page.classes("function")] == [
        "crossing",
        "keeps_nothing",
        "doubtful",
        "long",
    ]


def test_lifelines_say_what_registers_hold(result: Result) -> None:
    (listing,) = [one for one in result.reports[0].listings if one.function == "crossing"]
    place = listing.registers.index("x9")
    lived = [(line.text, line.cells[place].holds, line.cells[place].mark) for line in listing.lines]
    assert lived == [
        ("stp x29, x30, [sp, #-48]!", "e", ""),
        ("mov x29, sp", "e", ""),
        ("mov x9, x0", "v", "w"),
        ("bl g", "x", "c"),
        ("add x0, x0, x9", "x", "r"),
        ("ldp x29, x30, [sp], #48", "x", ""),
        ("ret", "x", ""),
    ]


def test_the_code_of_a_long_function_is_cut(result: Result) -> None:
    (listing,) = [one for one in result.reports[0].listings if one.function == "long"]
    assert len(listing.lines) < 40 and any(line.gap for line in listing.lines)
    place = listing.registers.index("x20")
    assert [line.cells[place].holds for line in listing.lines][-1] == "v"


def test_hidden_findings_are_not_in_the_page(tmp_path: Path) -> None:
    text = function("f", "mov x19, x0\nmov x20, x0\nret") + function("g", "mov x21, x0\nret")
    path = assemble_all({"two": text}, tmp_path)["two"]
    result = check_file(path, CheckOptions(listings=True))
    hidden = Filter(allowed=[("f", "CS1", frozenset(("x19",))), ("g", "CS1", frozenset())])
    assert hidden.apply([result]) == 2
    page = Page(as_html([result]))
    assert [f["data-function"] for f in page.classes("finding")] == ["f"]
    assert as_html([]).count("<section") == 0


def browse(*words: str) -> str:
    if BROWSER is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is here")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("view", "shown"),
    [
        ("", ["crossing", "keeps_nothing", "doubtful", "long"]),
        ("rule=CR1", ["crossing", "doubtful"]),
        ("rule=CR1&severity=error", ["crossing"]),
        ("function=KEEPS", ["keeps_nothing"]),
        ("function=nowhere", []),
    ],
)
def test_a_browser_filters(view: str, shown: list[str], result: Result, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(as_html([result]), "utf-8")
    page = Page(browse("--dump-dom", f"{path.as_uri()}#{view}").strip())
    left = [f for f in page.classes("finding") if "hidden" not in f]
    assert [f["data-function"] for f in left] == shown
    sections = [f for f in page.classes("function") if "hidden" not in f]
    assert [f["data-function"] for f in sections] == shown
    (nothing,) = [found for _, found in page.tags if found.get("id") == "nothing"]
    assert ("hidden" in nothing) == bool(shown)
