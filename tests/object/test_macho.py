"""Mach-O objects: Clang's for macOS, linked by us and run; and damaged ones."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conformance.machine import Machine

from callproof.link import LinkOptions, link_bytes
from callproof.link.loading import load
from callproof.object import read_macho, read_object
from callproof.object.model import ObjectFile
from callproof.source import CallproofError

CODE = """
typedef unsigned long word;
static const char text[] = "abcdef";
static word table[4] = {1, 2, 3, 4};
word common[3];
static const char *const pointers[] = {text + 1, text + 4, text};
extern word outside;
__attribute__((weak)) word twice(word x) { return 2 * x; }
static word (*volatile function)(word) = twice;
word letters(void) { return pointers[0][0] + 256 * pointers[1][0] + 65536 * pointers[2][2]; }
double half(double x) { return x * 0.5 + 3.25; }
word start(void) {
    common[1] = table[2] + outside;
    return function(common[1]) + letters() + (word)half(1.5);
}
"""
EXPECTED = 2 * (3 + 1000) + (ord("b") + 256 * ord("e") + 65536 * ord("c")) + 4


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The code for macOS at two levels, and a second file that defines `outside`."""
    folder = tmp_path_factory.mktemp("macho")
    found = {}
    for name, text, level in (
        ("O0", CODE, "-O0"),
        ("O2", CODE, "-O2"),
        ("outside", "unsigned long outside = 1000;", "-O1"),
    ):
        source, output = folder / f"{name}.c", folder / f"{name}.o"
        source.write_text(text)
        command = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-macos"]
        command += ["-mcpu=generic", "-fno-sanitize=all", "-fno-stack-protector", "-g", level]
        subprocess.run([*command, "-c", str(source), "-o", str(output)], check=True)
        found[name] = output.read_bytes()
    return found


@pytest.mark.parametrize("level", ["O0", "O2"])
def test_linked_and_run(level: str, files: dict[str, bytes]) -> None:
    objects = [read_object(files[name], f"{name}.o") for name in (level, "outside")]
    machine = Machine(link_bytes(objects, LinkOptions(entry="start")))
    assert machine.call(machine.entry) == EXPECTED


def symbols(file: ObjectFile) -> dict[str, str]:
    return {symbol.name: symbol.binding for symbol in file.symbols if symbol.name}


def test_names_lose_their_underscore(files: dict[str, bytes]) -> None:
    found = symbols(read_macho(files["O0"], "O0.o"))
    assert found["start"] == "global"
    assert found["twice"] == "weak"
    assert {"letters", "half", "common", "outside"} <= set(found)
    kept = symbols(read_macho(files["O0"], "O0.o", strip_underscore=False))
    assert {"_start", "_outside"} <= set(kept)


def test_not_for_linux_programs(files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "darwin.o"
    path.write_bytes(files["O0"])
    with pytest.raises(CallproofError, match="whose calls are Darwin's and not Linux's"):
        load(path)


def test_every_truncation_is_told(files: dict[str, bytes]) -> None:
    data = files["O2"]
    for length in [*range(0, min(len(data), 2000), 7), *range(2000, len(data), 131)]:
        try:
            read_macho(data[:length], "cut.o")
        except CallproofError as error:
            assert "cut.o" in error.diagnostics[0].render()


@pytest.mark.parametrize("seed", range(6))
def test_damage_never_raises_anything_else(seed: int, files: dict[str, bytes]) -> None:
    chooser = random.Random(seed)
    for _ in range(150):
        data = bytearray(files[chooser.choice(("O0", "O2"))])
        for _ in range(chooser.randint(1, 6)):
            place = chooser.randrange(min(len(data), chooser.choice((64, 800, len(data)))))
            data[place] = chooser.choice((0, 255, chooser.randrange(256)))
        try:
            link_bytes(
                [read_macho(bytes(data), "bad.o"), read_macho(files["outside"], "outside.o")],
                LinkOptions(entry="start"),
            )
        except CallproofError:
            continue


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, b"\xce\xfa\xed\xfe", "not a 64-bit little-endian Mach-O file"),
        (4, b"\x07\x00\x00\x01", "CPU type 0x1000007 is not ARM64"),
        (12, b"\x02\x00\x00\x00", r"not a relocatable object \(\.o\)"),
    ],
)
def test_other_files_are_refused(
    offset: int, value: bytes, message: str, files: dict[str, bytes]
) -> None:
    data = bytearray(files["O0"])
    data[offset : offset + len(value)] = value
    with pytest.raises(CallproofError, match=message):
        read_macho(bytes(data), "other.o")
