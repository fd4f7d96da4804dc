"""C++ exceptions in programs for macOS: tables of handlers, personalities, cleanups."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.link.test_macho_link import FLAGS, TARGET, ZIG
from tests.support import darwin
from tests.support.darwin import Mac
from tests.support.darwin_exceptions import Unwinder

from callproof.link import LinkOptions
from callproof.link.macho import macho_bytes
from callproof.runtime import macos_files
from callproof.source import CallproofError

SYNCHRONOUS = ["-fno-asynchronous-unwind-tables", "-funwind-tables"]
FIRST = """
extern "C" int printf(const char *, ...);
struct Noisy { int n; ~Noisy() { printf("gone %d\\n", n); } };
struct Bad { int code; };
int catcher(int n, double kept);
__attribute__((noinline)) void thrower(int n) {
    Noisy a{n};
    if (n > 2) throw n;
    if (n == 2) throw Bad{7};
    printf("fine %d\\n", n);
}
int main() {
    double sum = 0.5;
    for (int i = 1; i < 5; i++) sum += catcher(i, sum);
    try {
        try { throw 'x'; } catch (int) { printf("never\\n"); }
    } catch (...) { printf("any\\n"); }
    printf("%g\\n", sum);
    return 0;
}
"""
SECOND = """
extern "C" int printf(const char *, ...);
struct Bad { int code; };
struct Other { ~Other() { printf("other gone\\n"); } };
void thrower(int n);
__attribute__((noinline)) static void between(int n) { Other other; thrower(n); }
int catcher(int n, double kept) {
    int a = n * 3, b = n * 5;
    try { between(n); return a; }
    catch (int value) { printf("int %d\\n", value); return value + a + (kept > 0); }
    catch (const Bad &bad) { printf("bad %d\\n", bad.code); return bad.code + b; }
}
"""
PRINTED = b"""\
fine 1
gone 1
other gone
gone 2
other gone
bad 7
gone 3
other gone
int 3
gone 4
other gone
int 4
any
50.5
"""
LIBRARY = """\
--- !tapi-tbd
tbd-version:     4
targets:         [ arm64-macos ]
install-name:    '/usr/lib/libc++.1.dylib'
exports:
  - targets:         [ arm64-macos ]
    symbols:         [ ___gxx_personality_v0, ___cxa_throw, ___cxa_begin_catch, ___cxa_end_catch,
                       ___cxa_allocate_exception, __ZTIi, __ZTIc, __ZSt9terminatev,
                       __ZTVN10__cxxabiv117__class_type_infoE ]
...
"""


def compiled(text: str, name: str, folder: Path, *flags: str) -> Path:
    source, item = folder / f"{name}.cc", folder / f"{name}.o"
    source.write_text(text)
    command = [*ZIG[:3], "c++", *ZIG[4:], *FLAGS, *flags, str(source), "-o", str(item)]
    subprocess.run(command, check=True)
    return item


def linked(*inputs: Path) -> bytes:
    folder = inputs[0].parent
    (folder / "libc++.tbd").write_text(LIBRARY)
    names = frozenset(macos_files(TARGET).system.read_text().split())
    options = LinkOptions(entry="main", format="mach-o", system_names=names)
    return macho_bytes([*inputs, folder / "libc++.tbd"], options, "program")


@pytest.mark.parametrize("level", ["-O0", "-O1", "-O2"])
def test_thrown_and_caught(level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through functions of two objects, with cleanups on the way and registers kept."""
    first = compiled(FIRST, "first", tmp_path, *SYNCHRONOUS, level)
    second = compiled(SECOND, "second", tmp_path, *SYNCHRONOUS, level)
    data = linked(first, second)
    mac = Mac(data)
    unwinder = Unwinder(mac)
    for name, function in unwinder.functions().items():
        monkeypatch.setitem(darwin.FUNCTIONS, name, function)
    for name, special in unwinder.special().items():
        monkeypatch.setitem(darwin.SPECIAL, name, special)
    assert mac.run() == 0
    assert bytes(mac.output[1]) == PRINTED
    assert unwinder.landed >= 10 and not unwinder.caught
    assert len(unwinder.handlers) >= 4 and unwinder.personalities == 1


def test_frames_that_are_described_at_length_only(tmp_path: Path) -> None:
    first = compiled(FIRST, "first", tmp_path, "-fasynchronous-unwind-tables")
    second = compiled(SECOND, "second", tmp_path, *SYNCHRONOUS)
    with pytest.raises(CallproofError, match="described by __eh_frame only, which is not linked"):
        linked(first, second)


def test_handlers_of_what_is_left_out_are_left_out(tmp_path: Path) -> None:
    plain = compiled("int main() { return 0; }", "plain", tmp_path, *SYNCHRONOUS)
    unused = compiled(SECOND, "second", tmp_path, *SYNCHRONOUS)
    needed = compiled("void thrower(int) {}", "thrower", tmp_path, *SYNCHRONOUS)
    found = darwin.load(linked(plain, unused, needed))
    assert not found.binds and ("__TEXT", "__gcc_except_tab") not in found.sections


def test_what_lief_reads(tmp_path: Path) -> None:
    lief = pytest.importorskip("lief")
    first = compiled(FIRST, "first", tmp_path, *SYNCHRONOUS)
    path = tmp_path / "program"
    path.write_bytes(linked(first, compiled(SECOND, "second", tmp_path, *SYNCHRONOUS)))
    program = lief.MachO.parse(str(path)).at(0)
    assert lief.MachO.check_layout(program) == (True, "")
    binds = {one.symbol.name for one in program.bindings}
    assert {"___gxx_personality_v0", "__ZTIi", "___cxa_throw"} <= binds
