"""Code of languages with conventions of their own is recognised, and listed as exempt."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from callproof.check import check_file
from tests.check.assembled import assemble_all, function
from tests.support.clang import ZIG_CC

BREAKS = function("_start", "mov x19, x0\nret")
MARKS = {
    "go": '.section .go.buildinfo,"a"\n.quad 1\n',
    "ocaml": ".data\n.globl camlMain__frametable\n.type camlMain__frametable,%object\n"
    "camlMain__frametable: .quad 0\n",
    "ghc": '.section .rodata\n.asciz "    (GHC version %s for %s)"\n',
    "": '.section .rodata\n.asciz "a program about the GHC version"\n',
}


@pytest.mark.parametrize("language", MARKS)
def test_a_language_is_recognised(language: str, tmp_path: Path) -> None:
    path = assemble_all({"program": BREAKS + MARKS[language]}, tmp_path)["program"]
    made = tmp_path / "linked"
    command = [*ZIG_CC, "-nostdlib", "-static", "-Wl,--no-gc-sections", str(path), "-o", str(made)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = check_file(made)
    assert result.reports[0].exempt == language
    assert (result.reports[0].functions == 0) == bool(language)
