"""Every executable that a test builds is checked: no call of ours may be broken.

What is linked is checked object by object: a program's own objects each time they are new,
the runtime's once (`tests/check/test_files.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from callproof.check.conventions import PROFILES
from callproof.check.load_object import image_of_object
from callproof.check.program import check_image
from callproof.object import write_elf
from callproof.object.model import ObjectFile

_clean: set[bytes] = set()
counts = {"objects": 0, "functions": 0}


def check_object(made: ObjectFile) -> None:
    """Fails with the findings if there are errors in an object; of x86-64 code of ours there
    is nothing, either, that could not be followed."""
    key = hashlib.sha256(write_elf(made)).digest()
    if key in _clean:
        return
    report = check_image(image_of_object(made), PROFILES["linux"])
    errors = [finding for finding in report.findings if finding.severity == "error"]
    assert not errors, f"the compiler broke a call in {made.name}: {errors[:3]}"
    assert made.machine == "aarch64" or not report.unexplored, report.unexplored
    _clean.add(key)
    counts["objects"] += 1
    counts["functions"] += report.functions


def checking(link: Any) -> Any:
    """`driver.link_inputs`, with a look at the objects first."""

    def link_inputs(files: Sequence[Path | ObjectFile], *rest: Any, **named: Any) -> object:
        for file in files:
            if isinstance(file, ObjectFile):
                check_object(file)
        return link(files, *rest, **named)

    return link_inputs
