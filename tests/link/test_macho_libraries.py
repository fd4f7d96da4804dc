"""Programs for macOS that use shared libraries besides libSystem: dylibs and `.tbd` files."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from tests.link.test_macho_link import TARGET, ZIG, compiled, load_commands, load_dylibs
from tests.support import darwin
from tests.support.darwin import LIBRARY, Mac, load

from callproof.link import ArchiveGroup, LinkOptions
from callproof.link.macho import macho_bytes
from callproof.link.macho_libraries import read_library
from callproof.runtime import macos_files
from callproof.runtime.build import zig_folder
from callproof.source import CallproofError

PLUS = """
int plus(int a, int b) { return a + b; }
int shared_datum = 42;
int (*chosen)(int, int) = plus;
_Thread_local int per_thread = 3;
__attribute__((visibility("hidden"))) int secret(void) { return 1; }
"""
OTHER = "double twice(double x) { return x * 2; } int plus(int a, int b) { return 0; }\n"
MAIN = """
#include <stdio.h>
extern int plus(int, int);
extern double twice(double);
extern int shared_datum;
int *place = &shared_datum;
int (*table[])(int, int) = {plus};
int main(void) {
    printf("%d %g %d %d\\n", plus(shared_datum, 1), twice(2.5), *place, table[0](3, 4));
    return 0;
}
"""
TBD = """\
--- !tapi-tbd
tbd-version:     4
targets:         [ x86_64-macos, arm64-macos, arm64e-macos ]
uuids:
  - target:          arm64-macos
    value:           00000000-0000-0000-0000-000000000000
install-name:    '@rpath/libplus.dylib'
current-version: 3.2.1
compatibility-version: 2
reexported-libraries:
  - targets:         [ arm64-macos ]
    libraries:       [ '/usr/lib/libinner.dylib', '/usr/lib/libelsewhere.dylib' ]
exports:
  - targets:         [ x86_64-macos ]
    symbols:         [ _intel_only ]
  - targets:         [ arm64-macos, arm64e-macos ]
    symbols:         [ _plus, '_shared_datum',
                       _chosen, "_odd$NAME" ]
    weak-symbols:    [ __ZTIi ]
    objc-classes:    [ Thing ]
    thread-local-symbols: [ _per_thread ]
undefineds:
  - targets:         [ arm64-macos ]
    symbols:         [ _wanted ]
--- !tapi-tbd
tbd-version:     4
targets:         [ arm64-macos ]
install-name:    '/usr/lib/libinner.dylib'
exports:
  - targets:         [ arm64-macos ]
    symbols:         [ _inner ]
--- !tapi-tbd
tbd-version:     4
targets:         [ arm64-macos ]
install-name:    '/usr/lib/libnot.dylib'
exports:
  - targets:         [ arm64-macos ]
    symbols:         [ _not_reexported ]
...
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("libraries")
    found = {"main": compiled(MAIN, "main", folder)}
    for name, text, install in (
        ("plus", PLUS, "@rpath/libplus.dylib"),
        ("other", OTHER, "/opt/lib/libother.2.dylib"),
    ):
        item = compiled(text, name, folder, "-fPIC")
        found[name] = folder / f"lib{name}.dylib"
        command = [*ZIG, "-shared", str(item), "-o", str(found[name])]
        command += [f"-Wl,-install_name,{install}"]
        subprocess.run(command, check=True)
    return found


def linked(*inputs: Path | ArchiveGroup, rpath: tuple[str, ...] = ()) -> bytes:
    names = frozenset(macos_files(TARGET).system.read_text().split())
    options = LinkOptions(entry="main", format="mach-o", system_names=names, rpath=rpath)
    return macho_bytes(list(inputs), options, "program")


def run(data: bytes, monkeypatch: pytest.MonkeyPatch) -> bytes:
    def plus(mac: Mac) -> int:
        return mac.get("X0") + mac.get("X1") & 0xFFFFFFFF

    monkeypatch.setitem(darwin.FUNCTIONS, "_plus", plus)
    monkeypatch.setitem(darwin.FUNCTIONS, "_twice", lambda mac: mac.double(0) * 2)
    mac = Mac(data)
    mac.put(LIBRARY + 16 * mac.names.index("_shared_datum"), 42)
    assert mac.run() == 0
    return bytes(mac.output[1])


def test_a_program_with_two_libraries(
    made: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = linked(made["main"], made["plus"], made["other"])
    assert run(data, monkeypatch) == b"43 5 42 7\n"
    found = load(data)
    assert found.libraries == [
        "/usr/lib/libSystem.B.dylib",
        "@rpath/libplus.dylib",
        "/opt/lib/libother.2.dylib",
    ]
    assert found.given_by == {
        "_printf": found.libraries[0],
        "_plus": found.libraries[1],  # the first that has it
        "_shared_datum": found.libraries[1],
        "_twice": found.libraries[2],
    }
    grouped = linked(made["main"], ArchiveGroup((made["plus"], made["other"])))
    assert grouped == data
    swapped = load(linked(made["main"], made["other"], made["plus"]))
    assert swapped.given_by["_plus"] == "/opt/lib/libother.2.dylib"


def symbol_libraries(data: bytes) -> dict[str, str]:
    """The library of each undefined name, by the number in its symbol."""
    libraries = [name.decode() for _, name, _ in load_dylibs(data)]
    (place,) = [at for command, at in load_commands(data) if command == 2]
    symbols, count, strings, _ = struct.unpack_from("<4I", data, place + 8)
    found = {}
    for number in range(count):
        name, kind, _, desc, _ = struct.unpack_from("<I2BHQ", data, symbols + 16 * number)
        text = data[strings + name : data.index(b"\0", strings + name)].decode()
        if kind & 0xEF == 1:
            found[text] = libraries[(desc >> 8) - 1]
    return found


def test_as_zigs_linker_does_it(made: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "theirs"
    inputs = [made["main"], made["plus"], made["other"]]
    subprocess.run([*ZIG, *map(str, inputs), "-o", str(path)], check=True)
    ours, theirs = linked(*inputs), path.read_bytes()
    names = symbol_libraries(ours)
    others = {n: one for n, one in symbol_libraries(theirs).items() if n in names}
    assert set(names) == set(others) == {"_printf", "_plus", "_shared_datum", "_twice"}
    # Of two libraries with a name Zig takes the last, Apple's linker (as ours) the first.
    del names["_plus"], others["_plus"]
    assert names == others
    versions = {
        name: data[at + 20 : at + 24] for data in (ours,) for at, name, _ in load_dylibs(data)
    }
    for at, name, _ in load_dylibs(theirs):
        if b"System" not in name:
            assert versions[name] == theirs[at + 20 : at + 24]


def test_what_lief_reads(made: dict[str, Path], tmp_path: Path) -> None:
    lief = pytest.importorskip("lief")
    path = tmp_path / "program"
    path.write_bytes(linked(made["main"], made["plus"], made["other"], rpath=("@loader_path",)))
    program = lief.MachO.parse(str(path)).at(0)
    assert lief.MachO.check_layout(program) == (True, "")
    binds = {one.symbol.name: one.library.name for one in program.bindings}
    assert binds == load(path.read_bytes()).given_by
    assert [one.path for one in program.rpaths] == ["@loader_path"]


# --- descriptions ----------------------------------------------------------------------------


def test_a_description(made: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "libplus.tbd"
    path.write_text(TBD)
    found = read_library(path)
    assert found.name == "@rpath/libplus.dylib"
    assert (found.current, found.compatibility) == (3 << 16 | 2 << 8 | 1, 2 << 16)
    names = {"plus", "shared_datum", "chosen", "odd$NAME", "_ZTIi", "inner", "per_thread"}
    assert found.names == names and found.thread_locals == {"per_thread"}
    dylib = read_library(made["plus"])
    assert dylib.names == {"plus", "shared_datum", "chosen", "per_thread"}
    assert (dylib.name, dylib.thread_locals) == (found.name, found.thread_locals)
    text = TBD.replace("3.2.1", "1").replace("compatibility-version: 2", "")
    path.write_text(text)
    data = linked(made["main"], path, made["other"])
    assert load(data).given_by == load(linked(made["main"], made["plus"], made["other"])).given_by


def test_the_systems_own_description() -> None:
    """What the runtime's builder reads of it, read in another way."""
    found = read_library(zig_folder() / "lib" / "libc" / "darwin" / "libSystem.tbd")
    known = set(macos_files(TARGET).system.read_text().split())
    assert found.name == "/usr/lib/libSystem.B.dylib" and found.current >= 1 << 16
    assert len(found.names & known) > 5000
    assert {"printf", "malloc", "_tlv_bootstrap", "pthread_create"} <= found.names <= known


WRONG = {
    "text": ("int x;\n", "neither a dylib nor a text-based description"),
    "version": (TBD.replace("tbd-version:     4", "tbd-version:     3"), "of version '3'"),
    "machine": (TBD.replace("arm64-macos, arm64e-macos ]\nuuids", "i386-macos ]\nuuids"), "is not"),
    "nameless": (TBD.replace("install-name:", "old-name:", 1), "has no install-name"),
    "number": (TBD.replace("3.2.1", "3.2.1.9"), "'3.2.1.9' is no version"),
    "large": (TBD.replace("3.2.1", "3.256"), "'3.256' is no version"),
}


@pytest.mark.parametrize("name", WRONG)
def test_descriptions_that_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "lib.tbd"
    path.write_text(WRONG[name][0])
    with pytest.raises(CallproofError, match=f"lib.tbd: .*{WRONG[name][1]}"):
        read_library(path)


def test_damaged_dylibs_are_read_or_refused(made: dict[str, Path], tmp_path: Path) -> None:
    data, path = made["plus"].read_bytes(), tmp_path / "lib.dylib"
    chooser, refused = random.Random(3), 0
    for _ in range(300):
        damaged = bytearray(data[: chooser.choice((len(data), chooser.randrange(len(data))))])
        for _ in range(chooser.randint(0, 4)):
            place = chooser.randrange(min(len(damaged), chooser.choice((64, 1200))) or 1)
            if place < len(damaged):
                damaged[place] = chooser.choice((0, 255, chooser.randrange(256)))
        path.write_bytes(damaged)
        try:
            read_library(path)
        except CallproofError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused > 30


# --- what is refused, the command line ----------------------------------------------------------


def test_what_is_refused(made: dict[str, Path], tmp_path: Path) -> None:
    ordinary = "extern int per_thread; int main(void) { return per_thread; }"
    with pytest.raises(CallproofError, match=r"thread-local in @rpath/libplus\.dylib"):
        linked(compiled(ordinary, "ordinary", tmp_path), made["plus"])
    threads = "extern _Thread_local int chosen; int main(void) { return chosen; }"
    with pytest.raises(CallproofError, match=r"not thread-local in @rpath/libplus\.dylib"):
        linked(compiled(threads, "threads", tmp_path), made["plus"])
    secret = "int secret(void); int main(void) { return secret(); }"
    with pytest.raises(CallproofError, match="'secret' is not defined anywhere"):
        linked(compiled(secret, "secret", tmp_path), made["plus"])
    right = "extern _Thread_local int per_thread; int main(void) { return per_thread; }"
    data = linked(compiled(right, "right", tmp_path), made["plus"])
    assert load(data).given_by == {"_per_thread": "@rpath/libplus.dylib"}
    program = tmp_path / "program.dylib"
    program.write_bytes(data)
    with pytest.raises(CallproofError, match=r"program.dylib: not a shared library \(at offset"):
        linked(made["main"], program)


def test_the_command_line(
    made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "uses.bcl"
    source.write_text(
        "EXTERNAL FUNCTION plus(a: INT, b: INT) : INT\nLET START() BE WRITEN(plus(40, 2))\n"
    )
    folder = str(made["plus"].parent)
    main = [sys.executable, "-c", "from callproof.cli import main; main()"]
    rpath = ["--rpath", "@executable_path/lib", "-L", folder]
    target = ["--target", TARGET]
    monkeypatch.setitem(darwin.FUNCTIONS, "_plus", lambda mac: mac.get("X0") + mac.get("X1"))
    item = tmp_path / "uses.o"
    subprocess.run([*main, "build", *target, source, "--emit", "obj", "-o", item], check=True)
    commands = [
        ["build", *target, *rpath, str(source), "-l", "plus"],
        ["build", *target, *rpath, str(source), str(made["plus"])],
        ["link", *target, *rpath, str(item), "-lplus"],
    ]
    images = set()
    for command in commands:
        path = tmp_path / "program"
        done = subprocess.run(
            [*main, *command, "-o", path], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        images.add(path.read_bytes())
    (data,) = images
    mac = Mac(data)
    assert mac.run() == 0 and bytes(mac.output[1]) == b"42"
    (place,) = [at for command, at in load_commands(data) if command == 0x8000001C]
    assert data[place + 12 :].startswith(b"@executable_path/lib\0")
