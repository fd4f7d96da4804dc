"""Programs for macOS: what dyld and the kernel insist on, and that the code runs.

The loader's tables are decoded by `tests/support/darwin.py` and here from Apple's headers'
facts, by LIEF where it is installed, and compared with what Zig's linker makes of the same
objects.
"""

from __future__ import annotations

import hashlib
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.darwin import Mac, load
from tests.support.darwin_unwind import Walker

from callproof import driver
from callproof.check.load import load_images
from callproof.link import LinkOptions
from callproof.link.macho import macho_bytes
from callproof.object import read_archive, read_macho
from callproof.object.macho_archive import write_macho_archive
from callproof.object.macho_read import is_macho
from callproof.object.model import ObjectFile
from callproof.runtime import macos_files
from callproof.source import CallproofError

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "examples"
BCPL = HERE.parent / "bcpl"
ZIG = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-macos.12.0"]
FLAGS = ["-O1", "-fno-sanitize=all", "-fno-stack-protector", "-c"]
TARGET = "aarch64-macos"
OWN = {"__mh_execute_header", "___dso_handle"}  # linkers' own names
DATA = {"___stderrp", "___stdoutp"}

# Everything a C object can ask of a linker: data of the library, of the program, weak names
# that there are and that there are not, constructors, common and aligned data, differences.
C = """
#include <stdio.h>
#include <stdint.h>
extern int getpid(void) __attribute__((weak_import));
extern int nobody_has_this(int) __attribute__((weak_import));
extern const char _mh_execute_header[];
static int built;
__attribute__((constructor)) static void build(void) { built = 41; }
static const char *const words[] = {"alpha", "beta", 0};
int common_one;
static _Alignas(4096) int aligned = 5;
int (*table[])(const char *) = {puts, 0};
FILE **const streams[] = {&stdout, &stderr};
__attribute__((weak)) long chosen(void) { return 1; }
static long pick(long n) {
    switch (n) {
    case 0: return 11; case 1: return 7; case 2: return 5; case 3: return 901; case 4: return 77;
    default: return n * 3;
    }
}
static void *volatile kept[8];
int main(int argc, char **argv) {
    double big[40];
    for (int i = 0; i < 40; i++) big[i] = i * 0.5;
    for (int i = 0; i < 8; i++) kept[i] = &big[i];
    built += common_one + aligned;
    printf("%d %s %s %ld %g\\n", built, words[0], words[1], pick(argc), big[argc + 3]);
    printf("%s %d\\n", argv[0], (int)((uintptr_t)&aligned % 4096));
    printf("%d %d %d\\n", getpid != 0, nobody_has_this != 0, *(const int *)_mh_execute_header);
    fprintf(*streams[1], "to %s %ld\\n", "stderr", chosen());
    return table[0]("the end") < 0;
}
"""
STRONG = "long chosen(void) { return 2; }\n"


def compiled(text: str, name: str, folder: Path, *flags: str) -> Path:
    source = folder / f"{name}.c"
    source.write_text(text)
    item = folder / f"{name}.o"
    subprocess.run([*ZIG, *FLAGS, *flags, str(source), "-o", str(item)], check=True)
    return item


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("macos")
    return {
        "C": compiled(C, "everything", folder, "-mcpu=generic"),
        "strong": compiled(STRONG, "strong", folder),
        "external": compiled((BCPL / "external.c").read_text(), "external", folder, "-O2"),
    }


def build(*inputs: Path, output: Path, level: int = 1) -> bytes:
    driver.build(list(inputs), output, "exe", driver.Options(level=level, target=TARGET))
    return output.read_bytes()


def link_c(*inputs: Path, collect_garbage: bool = True) -> bytes:
    files = macos_files(TARGET)
    names = frozenset(files.system.read_text().split())
    options = LinkOptions(
        entry="main", format="mach-o", system_names=names, collect_garbage=collect_garbage
    )
    return macho_bytes(list(inputs), options, "everything")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return build(EXAMPLES / "shapes.sox", output=tmp_path_factory.mktemp("sox") / "shapes")


# --- what runs ---------------------------------------------------------------------------


@pytest.mark.parametrize("strong", [False, True])
def test_a_c_program_of_every_kind(strong: bool, objects: dict[str, Path]) -> None:
    mac = Mac(link_c(objects["C"], *([objects["strong"]] if strong else [])))
    assert mac.run(("name",)) == 0
    first, second, third, last = mac.output[1].decode().splitlines()
    assert first == "46 alpha beta 7 2"
    assert second == "name 0"
    assert third == f"1 0 {0xFEEDFACF - (1 << 32)}"
    assert last == "the end"
    assert mac.output[2].decode() == f"to stderr {1 + strong}\n"


@pytest.mark.parametrize("kind", ["object", "archive"])
def test_calls_of_c_and_back_by_darwins_convention(
    kind: str, objects: dict[str, Path], tmp_path: Path
) -> None:
    """Narrow arguments packed on the stack, variadic ones always there, rubbish in results."""
    item = objects["external"]
    if kind == "archive":
        item = tmp_path / "libextra.a"
        item.write_bytes(write_macho_archive([("x.o", objects["external"].read_bytes())]))
    level = 1 if kind == "object" else 2
    mac = Mac(build(BCPL / "external.bcl", item, output=tmp_path / "program", level=level))
    mac.watch = Walker.of(mac)
    assert mac.run() == 0
    assert bytes(mac.output[1]) == (BCPL / "external.out").read_bytes()
    assert mac.watch.whole > 50


def test_every_frame_is_unwound(tmp_path: Path, shapes: bytes) -> None:
    """From each call of the library to `main`'s caller, with all preserved registers."""
    for name in ("qsort", "colorpoint", "life"):
        mac = Mac(build(EXAMPLES / f"{name}.bcl", output=tmp_path / name, level=2))
        walker = mac.watch = Walker.of(mac)
        assert mac.run() == 0
        assert (
            bytes(mac.output[1]) == (HERE.parent / "programs/examples" / f"{name}.out").read_bytes()
        )
        assert walker.whole > 3 and walker.cut == 0, name
    mac = Mac(shapes)
    walker = mac.watch = Walker.of(mac)
    assert mac.run() == 0
    assert walker.whole > 10 and walker.cut == 0  # through both stacks of a Sox program


# --- what the loader and the kernel look at ------------------------------------------------


def test_the_signature_is_of_these_bytes(shapes: bytes) -> None:
    commands = list(load_commands(shapes))
    (place,) = [at for command, at in commands if command == 0x1D]
    offset, size = struct.unpack_from("<2I", shapes, place + 8)
    assert offset % 16 == 0 and offset + size == len(shapes)
    magic, length, count, slot, at = struct.unpack_from(">5I", shapes, offset)
    assert (magic, count, slot) == (0xFADE0CC0, 1, 0) and length <= size
    blob = shapes[offset + at : offset + length]
    (magic, length, version, flags, hashes, identifier, special, slots, limit) = struct.unpack_from(
        ">9I", blob
    )
    hash_size, hash_type, _, page = blob[36:40]
    assert (magic, length, version, flags) == (0xFADE0C02, len(blob), 0x20400, 0x20002)
    assert (hash_size, hash_type, page, special, limit) == (32, 2, 12, 0, offset)
    assert blob[identifier : blob.index(b"\0", identifier)] == b"shapes"
    base, executable, kind = struct.unpack_from(">3Q", blob, 64)
    text = next(one for one in load(shapes).segments if one[0] == "__TEXT")
    assert (base, executable, kind) == (0, len(text[3]), 1)
    wanted = [hashlib.sha256(shapes[n : min(n + 4096, offset)]) for n in range(0, offset, 4096)]
    assert slots == len(wanted)
    assert blob[hashes:] == b"".join(one.digest() for one in wanted)


def load_commands(data: bytes) -> list[tuple[int, int]]:
    """(command, offset) of each."""
    found, at = [], 32
    for _ in range(struct.unpack_from("<I", data, 16)[0]):
        command, size = struct.unpack_from("<2I", data, at)
        found.append((command, at))
        at += size
    return found


def uuid(data: bytes) -> bytes:
    (place,) = [at for command, at in load_commands(data) if command == 0x1B]
    return data[place + 8 : place + 24]


def test_equal_inputs_give_equal_bytes(shapes: bytes, tmp_path: Path) -> None:
    again = build(EXAMPLES / "shapes.sox", output=tmp_path / "shapes")
    assert again == shapes
    other = build(EXAMPLES / "shapes.sox", output=tmp_path / "other")
    assert other != shapes and uuid(other) == uuid(shapes)  # the name is in the signature
    assert uuid(shapes)[6] >> 4 == 3 and uuid(shapes)[8] >> 6 == 2
    changed = build(EXAMPLES / "shapes.sox", output=tmp_path / "shapes", level=0)
    assert uuid(changed) != uuid(shapes)


def test_as_zigs_linker_links_it(shapes: bytes, tmp_path: Path) -> None:
    """Our object and archive, linked by Zig: the same functions, of the same sizes, the same
    imports; and Zig's linker has nothing to say about them."""
    item = tmp_path / "shapes.o"
    driver.build([EXAMPLES / "shapes.sox"], item, "obj", driver.Options(target=TARGET))
    archive = macos_files(TARGET).libraries["sox"]
    theirs_path = tmp_path / "theirs"
    command = [*ZIG, str(item), str(archive), "-o", str(theirs_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    # Zig keeps all of the members that it takes.
    ours = names_of(link_c(item, archive, collect_garbage=False))
    theirs = names_of(theirs_path.read_bytes())
    assert ours["undefined"] == theirs["undefined"] - {"dyld_stub_binder"}
    assert ours["defined"] - OWN == theirs["defined"] - OWN
    assert len(ours["defined"]) > 100
    assert {name for _, name, _ in load_dylibs(shapes)} == {b"/usr/lib/libSystem.B.dylib"}
    assert load_dylibs(theirs_path.read_bytes())[0][1] == b"/usr/lib/libSystem.B.dylib"
    our_types = {command for command, _ in load_commands(shapes)}
    their_types = {command for command, _ in load_commands(theirs_path.read_bytes())}
    assert their_types - our_types == {0x80000022}  # dyld's older opcodes
    assert our_types - their_types == {0x80000033, 0x80000034}  # for which we have chains


def load_dylibs(data: bytes) -> list[tuple[int, bytes, int]]:
    found = []
    for command, at in load_commands(data):
        if command == 0xC:
            name = at + struct.unpack_from("<I", data, at + 8)[0]
            (version,) = struct.unpack_from("<I", data, at + 20)
            found.append((at, data[name : data.index(b"\0", name)], version))
    return found


def names_of(data: bytes) -> dict[str, set[str]]:
    """External names that a program defines and imports."""
    (place,) = [at for command, at in load_commands(data) if command == 2]
    symbols, count, strings, _ = struct.unpack_from("<4I", data, place + 8)
    found: dict[str, set[str]] = {"defined": set(), "undefined": set()}
    for number in range(count):
        name, kind, _, _, _ = struct.unpack_from("<I2BHQ", data, symbols + 16 * number)
        text = data[strings + name : data.index(b"\0", strings + name)].decode()
        if kind & 1 and not kind & 0x10:
            found["undefined" if kind & 0xE == 0 else "defined"].add(text)
    return found


def test_what_lief_reads(shapes: bytes, tmp_path: Path) -> None:
    lief = pytest.importorskip("lief")
    path = tmp_path / "shapes"
    path.write_bytes(shapes)
    program = lief.MachO.parse(str(path)).at(0)
    assert lief.MachO.check_layout(program) == (True, "")
    mine = load(shapes)
    binds = {one.address: (one.symbol.name, one.addend) for one in program.bindings}
    assert binds == mine.binds
    rebases = {one.address: one.target for one in program.relocations if one.target}
    assert rebases == mine.rebases
    exports = {one.symbol.name: one.address for one in program.dyld_exports_trie.exports}
    assert exports == {"__mh_execute_header": 0, "_main": mine.entry - mine.base}
    starts = set(program.function_starts.functions)
    functions = {
        one.value - mine.base
        for one in program.symbols
        if one.value and one.numberof_sections == 1 and one.name != "__mh_execute_header"
    }
    assert starts == functions


def test_the_checker_reads_it(shapes: bytes) -> None:
    (image,), problems = load_images(shapes, "shapes")
    assert problems == []
    mine = load(shapes)
    assert image.entry == mine.entry
    stubs, size, _ = mine.sections["__TEXT", "__stubs"]
    named = {name for address, name in image.externs.items() if stubs <= address < stubs + size}
    assert {f"_{name}" for name in named} >= {name for name, _ in mine.binds.values()} - DATA


# --- what is refused -----------------------------------------------------------------------


def test_what_nobody_defines(tmp_path: Path) -> None:
    source = tmp_path / "wrong.bcl"
    source.write_text(
        "EXTERNAL FUNCTION strlem(s: CSTRING) : SIZE\nLET START() BE WRITEN(strlem(0))\n"
    )
    with pytest.raises(CallproofError, match="'strlem' is not defined anywhere"):
        build(source, output=tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()


def test_objects_of_other_systems(objects: dict[str, Path], tmp_path: Path) -> None:
    elf = tmp_path / "linux.o"
    driver.build([EXAMPLES / "hello.bcl"], elf, "obj", driver.Options(target="aarch64-linux"))
    with pytest.raises(CallproofError, match="is no Mach-O object"):
        build(EXAMPLES / "qsort.bcl", elf, output=tmp_path / "program")
    archive = tmp_path / "libdarwin.a"
    archive.write_bytes(write_macho_archive([("strong.o", objects["strong"].read_bytes())]))
    source = tmp_path / "wants.bcl"
    source.write_text("EXTERNAL FUNCTION chosen() : LONG\nLET START() BE WRITEN(chosen())\n")
    options = driver.Options(target="aarch64-linux")
    with pytest.raises(CallproofError, match="calls are Darwin's and not Linux's"):
        driver.build([source, archive], tmp_path / "program", "exe", options)
    assert build(source, archive, output=tmp_path / "program")


@pytest.mark.parametrize(
    ("choices", "message"),
    [({"pie": True}, "--pie"), ({"dynamic": True}, "--dynamic"), ({"icf": "safe"}, "--icf")],
)
def test_options_of_linux(choices: dict[str, bool], message: str, tmp_path: Path) -> None:
    options = driver.Options(target=TARGET, link=LinkOptions(**choices))  # type: ignore[arg-type]
    with pytest.raises(CallproofError, match=f"{message}.* is of use for Linux only"):
        driver.build([EXAMPLES / "hello.bcl"], tmp_path / "program", "exe", options)


HANDLED = """
void other(void);
struct guard { ~guard() { other(); } };
void handled(void) { guard g; other(); }
"""
REFUSED = {
    "thread": (
        "extern _Thread_local int chosen; int main(void) { return chosen; }",
        "'chosen' of .*: it is not thread-local, but this reference is made for that",
    ),
    "far": (
        "extern char **environ; char *far = (char *)&environ + 256;int main(void) { return !far; }",
        "256 bytes from a library's datum",
    ),
    "odd": (
        "struct __attribute__((packed)) { char c; int (*p)(void); } odd; int main(void);"
        "struct __attribute__((packed)) s { char c; int (*p)(void); } s = {1, main};"
        "int main(void) { return s.c; }",
        "the loader wants addresses at multiples of 4",
    ),
    "twice": ("int main(void) { return 0; } long chosen(void) { return 3; }", "more than once"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_programs_cannot_have(name: str, objects: dict[str, Path], tmp_path: Path) -> None:
    text, message = REFUSED[name]
    with pytest.raises(CallproofError, match=message):
        link_c(compiled(text, name, tmp_path), objects["strong"])


def test_handlers_of_exceptions_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "handled.cc"
    source.write_text(HANDLED)
    item = tmp_path / "handled.o"
    command = [*ZIG[:3], "c++", *ZIG[4:], *FLAGS, str(source), "-o", str(item)]
    subprocess.run(command, check=True)
    library = "_Z5otherv _ZSt9terminatev __cxa_begin_catch __gxx_personality_v0 _Unwind_Resume"
    options = LinkOptions(
        entry="_Z7handledv", format="mach-o", system_names=frozenset(library.split())
    )
    with pytest.raises(CallproofError, match="handles exceptions, whose tables are not linked"):
        macho_bytes([item], options, "handled")


def test_the_command_line_links(objects: dict[str, Path], tmp_path: Path) -> None:
    archive = tmp_path / "libstrong.a"
    archive.write_bytes(write_macho_archive([("s.o", objects["strong"].read_bytes())]))
    path = tmp_path / "program"
    words = ["link", "--target", TARGET, str(objects["C"]), "-L", str(tmp_path), "-lstrong"]
    main = "from callproof.cli import main; main()"
    command = [sys.executable, "-c", main, *words, "-o", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert path.stat().st_mode & 0o777 == 0o755
    mac = Mac(path.read_bytes())
    assert mac.run(("name",)) == 0
    # The weak `chosen` is there already: nobody asks the archive for another.
    assert mac.output[2] == b"to stderr 1\n"


def test_it_is_not_run_here(shapes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "shapes"
    path.write_bytes(shapes)
    command = [sys.executable, "-c", "from callproof.cli import main; main()", "run", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert "a program for macOS, which cannot be run here" in done.stderr


def test_damaged_objects_are_refused_or_linked(objects: dict[str, Path]) -> None:
    """Nothing but a program or a message comes of them."""
    data = objects["C"].read_bytes()
    system = frozenset(macos_files(TARGET).system.read_text().split())
    chooser = random.Random(5)
    refused = 0
    for _ in range(250):
        damaged = bytearray(data)
        for _ in range(chooser.randint(1, 5)):
            place = chooser.randrange(min(len(data), chooser.choice((64, 900, len(data)))))
            damaged[place] = chooser.choice((0, 255, chooser.randrange(256)))
        if not is_macho(bytes(damaged)):
            continue
        options = LinkOptions(entry="main", format="mach-o", system_names=system)
        try:
            file: ObjectFile = read_macho(bytes(damaged), "bad.o")
            load(macho_bytes([file], options, "bad"))
        except CallproofError:
            refused += 1
    assert refused > 50


# --- archives ------------------------------------------------------------------------------


def test_archives_of_darwin(objects: dict[str, Path], tmp_path: Path) -> None:
    members = [("everything.o", objects["C"].read_bytes()), ("s.o", objects["strong"].read_bytes())]
    ours = write_macho_archive(members)
    theirs_path = tmp_path / "theirs.a"
    names = []
    for name, data in members:
        (tmp_path / name).write_bytes(data)
        names.append(str(tmp_path / name))
    command = [sys.executable, "-m", "ziglang", "ar", "--format=darwin", "rcs", str(theirs_path)]
    subprocess.run([*command, *names], check=True)
    theirs = read_archive(theirs_path.read_bytes(), "theirs.a")
    mine = read_archive(ours, "ours.a")
    assert {"main", "chosen"} <= set(mine.index) == set(theirs.index)
    for archive in (mine, theirs):
        found = archive.members()
        assert [name for name, _ in found] == [name for name, _ in members]
        assert all(a.startswith(b) for (_, a), (_, b) in zip(found, members, strict=True))
        assert archive.member(archive.index["main"]).format == "mach-o"
    listed = subprocess.run(
        [sys.executable, "-m", "ziglang", "ar", "t", "/dev/stdin"],
        input=ours,
        capture_output=True,
        check=False,
    )
    assert listed.stdout.split() == [name.encode() for name, _ in members] or listed.returncode
    at = [offset % 8 for offset in mine.offsets()]
    assert at == [0] * len(members)
