"""Thread-local variables of programs for macOS: descriptors, first values, references."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from tests.link.test_macho_link import ZIG, compiled, link_c, load_commands
from tests.support.darwin import HAS_THREAD_VARIABLES, Mac, load

from callproof.check.load import load_images
from callproof.object import read_macho
from callproof.object.macho_archive import write_macho_archive
from callproof.source import CallproofError

FIRST = """
#include <stdio.h>
#include <stdint.h>
_Thread_local int counted = 5;
static _Thread_local long sum;
static _Thread_local char text[100] = "kept";
_Thread_local _Alignas(32) double wide = 2.5;
extern _Thread_local int other, empty;
extern _Thread_local int maybe __attribute__((weak));
int *where(void) { return &counted; }
double mixed(double a, int b, long c) { return a * wide + b + counted + c + other; }
int main(int argc, char **argv) {
    counted++;
    sum += counted;
    text[4] = '!';
    empty += argc;
    printf("%d %ld %s %d %d\\n", counted, sum, text, other, empty);
    printf("%g %d\\n", mixed(4, argc, 100), where() == &counted);
    printf("%d\\n", (int)((uintptr_t)&wide % 32));
    return 0;
}
"""
SECOND = """
_Thread_local int other = 77;
_Thread_local int empty;
_Thread_local _Alignas(64) short more[3] = {1, 2, 3};
"""
PRINTED = b"6 6 kept! 77 1\n194 1\n0\n"


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("threads")
    return [compiled(FIRST, "first", folder), compiled(SECOND, "second", folder)]


@pytest.mark.parametrize("kind", ["objects", "archive", "reversed"])
def test_a_program_with_variables_of_its_thread(
    kind: str, objects: list[Path], tmp_path: Path
) -> None:
    inputs = list(objects)
    if kind == "archive":
        inputs[1] = tmp_path / "lib.a"
        inputs[1].write_bytes(write_macho_archive([("second.o", objects[1].read_bytes())]))
    elif kind == "reversed":
        inputs.reverse()
    data = link_c(*inputs)
    mac = Mac(data)
    assert mac.run() == 0
    assert bytes(mac.output[1]) == PRINTED
    assert mac.calls["__tlv_bootstrap"] > 4


def test_what_the_loader_reads(objects: list[Path]) -> None:
    data = link_c(*objects, collect_garbage=False)
    (flags,) = struct.unpack_from("<I", data, 24)
    assert flags & HAS_THREAD_VARIABLES
    found = load(data)
    address, size, _ = found.sections["__DATA", "__thread_vars"]
    assert address % 8 == 0 and size == 24 * 7
    values, values_size, _ = found.sections["__DATA", "__thread_data"]
    zeros, zeros_size, _ = found.sections["__DATA", "__thread_bss"]
    assert values % 64 == zeros % 64 == 0 and values + values_size <= zeros < values + 4096
    offsets = []
    content = found.content("__DATA", "__thread_vars")
    for at in range(0, size, 24):
        assert found.binds[address + at] == ("__tlv_bootstrap", 0)
        assert not {address + at + 8, address + at + 16} & {*found.rebases, *found.binds}
        key, offset = struct.unpack_from("<2Q", content, at + 8)
        assert key == 0
        offsets.append(offset)
    assert len(set(offsets)) == 7 and max(offsets) < zeros + zeros_size - values
    plain = link_c(compiled("int main(void) { return 0; }", "plain", objects[0].parent))
    assert not struct.unpack_from("<I", plain, 24)[0] & HAS_THREAD_VARIABLES


def test_as_zigs_linker_does_it(objects: list[Path], tmp_path: Path) -> None:
    """The same sections, as many descriptors."""
    path = tmp_path / "theirs"
    subprocess.run([*ZIG, *map(str, objects), "-o", str(path)], check=True)
    sections = {}
    for name, data in (("theirs", path.read_bytes()), ("ours", link_c(*objects))):
        (flags,) = struct.unpack_from("<I", data, 24)
        assert flags & HAS_THREAD_VARIABLES, name
        sections[name] = sections_of(data)
    for section in ("__thread_vars", "__thread_data", "__thread_bss"):
        ours, theirs = sections["ours"][section], sections["theirs"][section]
        assert ours[0] == theirs[0], section
    assert sections["ours"]["__thread_vars"] == sections["theirs"]["__thread_vars"]


def sections_of(data: bytes) -> dict[str, tuple[int, int]]:
    """Type and size by name."""
    found = {}
    for command, at in load_commands(data):
        if command != 0x19:
            continue
        (count,) = struct.unpack_from("<I", data, at + 64)
        for number in range(count):
            place = at + 72 + 80 * number
            name = data[place : place + 16].rstrip(b"\0").decode()
            (size,) = struct.unpack_from("<Q", data, place + 40)
            (kind,) = struct.unpack_from("<I", data, place + 64)
            found[name] = kind & 0xFF, size
    return found


def test_what_lief_reads(objects: list[Path], tmp_path: Path) -> None:
    lief = pytest.importorskip("lief")
    path = tmp_path / "program"
    path.write_bytes(link_c(*objects))
    program = lief.MachO.parse(str(path)).at(0)
    assert lief.MachO.check_layout(program) == (True, "")
    assert lief.MachO.Header.FLAGS.HAS_TLV_DESCRIPTORS in program.header.flags_list


WRONG = {
    "ordinary": (
        "extern int counted; int main(void) { return counted; }",
        "_Thread_local int counted = 5;",
        "'counted' of .*: it is thread-local, which this reference is not made for",
    ),
    "address": (
        "extern int counted; int *p = &counted; int main(void) { return *p; }",
        "_Thread_local int counted = 5;",
        "it is thread-local, which this reference is not made for",
    ),
    "nobody": (
        "extern _Thread_local int counted; int main(void) { return counted; }",
        "int something;",
        "'counted' is not defined anywhere",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused(name: str, tmp_path: Path) -> None:
    one, other, message = WRONG[name]
    with pytest.raises(CallproofError, match=message):
        link_c(compiled(one, "one", tmp_path), compiled(other, "other", tmp_path))


def test_the_checker_refuses_such_objects(objects: list[Path]) -> None:
    """It does not know that calls for addresses keep most registers."""
    data = objects[0].read_bytes()
    with pytest.raises(CallproofError, match="has thread-local variables"):
        load_images(data, "first.o")
    with pytest.raises(CallproofError, match="has thread-local variables"):
        read_macho(data, "first.o")
