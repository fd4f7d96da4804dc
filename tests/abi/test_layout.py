"""Layouts of random structures on each platform against Clang, by static assertions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.cases import HEADER, Aggregate, CaseSpec, Generator, source_of

from callproof.abi import parse_declarations
from callproof.abi.data_model import (
    DARWIN_ARM64,
    LINUX_ARM64,
    LINUX_X64,
    WINDOWS_ARM64,
    DataModel,
)
from callproof.abi.layout import LARGEST, Member, layout
from callproof.abi.types import BOOL, F64, I8, I32, Composite
from callproof.source import CallproofError

TARGETS = {
    "aarch64-linux-musl": LINUX_ARM64,
    "aarch64-macos": DARWIN_ARM64,
    "aarch64-windows-msvc": WINDOWS_ARM64,
    "x86_64-linux-musl": LINUX_X64,
}
# MSVC's C has none of these, and its long has 32 bits, too few for the generator's bit-fields.
WITHOUT = {
    "aarch64-windows-msvc": (
        *("__bf16", "_Float16", "__int128", "unsigned __int128", "long", "unsigned long"),
    )
}


def assertions(text: str, model: DataModel) -> list[str]:
    found = []
    for name, type_ in parse_declarations(text + "\nvoid f(void);").types(model).items():
        if not isinstance(type_, Composite) or not name.startswith(("struct", "union")):
            continue
        found.append(f"_Static_assert(sizeof({name}) == {type_.size});")
        found.append(f"_Static_assert(_Alignof({name}) == {type_.alignment});")
        found += [
            f"_Static_assert(__builtin_offsetof({name}, {field.name}) == {field.offset});"
            for field in type_.fields
            if field.bits is None
        ]
    return found


@pytest.mark.parametrize("target", TARGETS)
def test_random_structures(target: str, tmp_path: Path) -> None:
    generator = Generator(7, WITHOUT.get(target, ()))
    lines = [HEADER]
    for number in range(300):
        spec = generator.aggregate(0)
        assert isinstance(spec, Aggregate)
        lines.append(source_of(CaseSpec(spec, ()), f"s{number}_").declarations)
    text = "\n".join(lines)
    source = tmp_path / "layout.c"
    checks = assertions(text, TARGETS[target])
    assert len(checks) > 1000
    source.write_text("\n".join([text, *checks]) + "\n")
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-std=c2x"]
    command += [
        "-o",
        str(tmp_path / "layout.o"),
        "-Wno-everything",
        "-ferror-limit=5",
        "-c",
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]


def offsets(members: list[Member], **options: Any) -> tuple[list[tuple[int, int]], int, int]:
    found = layout(members, LINUX_ARM64, **options)
    return [(f.offset, f.bit) for f in found.fields], found.size, found.alignment


def test_padding_and_tail() -> None:
    members = [Member("a", I8), Member("b", F64), Member("c", I8)]
    assert offsets(members) == ([(0, 0), (8, 0), (16, 0)], 24, 8)
    assert offsets(members, packed=True) == ([(0, 0), (1, 0), (9, 0)], 10, 1)
    assert offsets(members, pack=4) == ([(0, 0), (4, 0), (12, 0)], 16, 4)
    assert offsets(members, alignment=32) == ([(0, 0), (8, 0), (16, 0)], 32, 32)
    assert offsets(members, union=True) == ([(0, 0), (0, 0), (0, 0)], 8, 8)


def test_bit_fields_share_their_unit() -> None:
    members = [Member("a", I32, bits=3), Member("b", I32, bits=30), Member("c", BOOL, bits=1)]
    assert offsets(members) == ([(0, 0), (4, 0), (7, 6)], 8, 4)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (Member("a", F64, bits=3), "not of an integral type"),
        (Member("a", I32, bits=33), "33 bits is wider than its type"),
        (Member("a", BOOL, bits=2), "2 bits is wider than its type"),
        (Member("a", I32, bits=0), "has no bits, so it can have no name"),
        (Member("a", I8, count=LARGEST + 1), r"more than 2\*\*48 bytes"),
    ],
)
def test_what_cannot_be_laid_out(member: Member, message: str) -> None:
    with pytest.raises(CallproofError, match=message):
        layout([member], LINUX_ARM64)
