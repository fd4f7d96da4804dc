"""Whole inputs of every kind that a link reads, where their parts are, and how they are damaged."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.check.fuzz.inputs import VALUES
from tests.check.fuzz.inputs import damaged as damaged_anywhere
from tests.support.shared_libraries import LIBRARY, shared_library

from callproof.link import Input, LinkOptions, WholeArchive, link_bytes
from callproof.link.macho import macho_bytes
from callproof.link.macho_libraries import read_library
from callproof.object import elf_format as elf
from callproof.object import write_archive
from callproof.object.dwarf import LineTable
from callproof.object.macho_archive import write_macho_archive

# Something of each kind that the linker treats in its own way.
CODE = r"""
typedef unsigned long word;
extern word other(word), absent(word) __attribute__((weak));
static __thread word mine = 4; __thread word zero[3];
extern __thread word theirs;
static word table[4] = {1, 2, 3, 4};
word common[3]; int lazy = 3;
static const char *const names[] = {"alpha", "beta", "a longer one, beta"};
__attribute__((weak)) word twice(word x) { return 2 * x; }
static word (*volatile function)(word) = twice;
__attribute__((section("listed"), used)) static word one = 1;
extern word __start_listed[], __stop_listed[];
__attribute__((constructor)) static void begin(void) { mine += table[1]; }
__attribute__((used)) static word (*pick(void))(word) { return twice; }
__asm__(".globl choice\n.type choice, %gnu_indirect_function\n.set choice, pick");
extern word choice(word);
extern char __rela_iplt_start[], __rela_iplt_end[];
word start(word x) {
    word sum = function(x) + other(x) + mine + theirs + zero[x & 1] + choice(x);
    for (int i = 0; i < 3; i++) sum += names[i][x & 3];
    if (absent) sum += absent(x);
    common[x & 1] = sum;
    return sum + (word)(__stop_listed - __start_listed) + (__rela_iplt_end - __rela_iplt_start);
}
"""
OTHER = r"""
typedef unsigned long word;
__thread word theirs = 9;
static const char text[] = "other";
word common[5];
__attribute__((weak)) word twice(word x) { return 3 * x; }
word unused(word x) { return x; }
word other(word x) { return twice(x) + text[x & 3] + common[4]; }
"""
APPLE = r"""
typedef unsigned long word;
extern int puts(const char *);
extern word other(word);
static word table[4] = {1, 2, 3, 4}; word common[3];
static const char *const names[] = {"alpha", "beta"};
__attribute__((constructor)) static void begin(void) { table[1] += 1; }
word start(word x) { common[1] = table[x & 3]; return puts(names[x & 1]) + other(x); }
"""
APPLE_OTHER = "unsigned long common[5]; unsigned long other(unsigned long x) { return 3 * x; }"
APPLE_THREADS = """
_Thread_local int counted = 5; static _Thread_local long sum[3]; extern _Thread_local int theirs;
unsigned long other(unsigned long x) { return counted++ + (sum[x & 1] += 2) + theirs; }
"""
APPLE_THEIRS = "_Thread_local int theirs = 3;"
APPLE_CATCHES = """
extern "C" int puts(const char *);
struct Noisy { int n; ~Noisy() { puts("gone"); } };
struct Bad { int code; };
extern "C" unsigned long other(unsigned long x) {
    Noisy noisy{1};
    try { if (x & 1) throw Bad{7}; if (x & 2) throw 3; return puts("fine"); }
    catch (int value) { return value; }
    catch (const Bad &bad) { return bad.code; }
}
"""
DESCRIPTION = """\
--- !tapi-tbd
tbd-version:     4
targets:         [ x86_64-macos, arm64-macos ]
install-name:    '/usr/lib/liba.dylib'
current-version: 3.2.1
reexported-libraries:
  - targets:         [ arm64-macos ]
    libraries:       [ '/usr/lib/libinner.dylib' ]
exports:
  - targets:         [ arm64-macos ]
    symbols:         [ _plus, '_datum' ]
    thread-local-symbols: [ _per_thread ]
--- !tapi-tbd
tbd-version:     4
targets:         [ arm64-macos ]
install-name:    '/usr/lib/libinner.dylib'
exports:
  - targets:         [ arm64-macos ]
    symbols:         [ _inner ]
...
"""
USER = "extern int shared, triple(int), twice(int); int start(void) { return triple(shared) + "
USER += "twice(2); } int called_back(int x) { return x; }"

MAIN = LinkOptions(entry="start")
Place = tuple[int, int]
Use = Callable[[Path], object]


@dataclass(slots=True)
class Whole:
    """A file to be damaged, and what is done with it.

    parts   offset and size of what it consists of
    tables  offset, size and row size of tables of numbers
    silent  damage gives fewer answers, and no message
    """

    name: str
    data: bytes
    use: Use
    parts: list[Place] = field(default_factory=list)
    tables: list[tuple[int, int, int]] = field(default_factory=list)
    silent: bool = False

    def __post_init__(self) -> None:
        at = 0
        while at >= 0:  # objects in archives, too
            if self.data[at : at + 4] == elf.MAGIC:
                self.find_parts(at)
            at = self.data.find(elf.MAGIC, at + 1)

    def find_parts(self, base: int) -> None:
        header = elf.HEADER.unpack_from(self.data, base)
        count = header[12]
        self.parts.append((base, elf.HEADER.size))
        self.tables.append((base + header[6], count * elf.SECTION.size, elf.SECTION.size))
        for number in range(count):
            row = elf.SECTION.unpack_from(self.data, base + header[6] + number * elf.SECTION.size)
            if row[1] not in (elf.SHT_NULL, elf.SHT_NOBITS) and row[5]:
                self.parts.append((base + row[4], row[5]))
                if row[9]:
                    self.tables.append((base + row[4], row[5], row[9]))


def wholes(folder: Path) -> list[Whole]:
    """One of each kind; takes some seconds, as Clang makes them."""
    found = []
    for machine in ("aarch64", "x86_64"):
        main = clang(folder, f"main-{machine}", CODE, f"{machine}-linux-musl")
        other = clang(folder, f"other-{machine}", OTHER, f"{machine}-linux-musl")
        archive = folder / f"other-{machine}.a"
        archive.write_bytes(write_archive([("other.o", other.read_bytes())]))
        found += [
            Whole(f"{machine} object", main.read_bytes(), _linking([other], MAIN)),
            Whole(f"{machine} object, no collection", main.read_bytes(), _linking([other], KEEP)),
            Whole(f"{machine} archive", archive.read_bytes(), _linking([main], MAIN)),
        ]
        library = shared_library(folder, machine, f"demo-{machine}", LIBRARY)
        user = clang(folder, f"user-{machine}", USER, f"{machine}-linux-musl")
        found += [
            Whole(f"{machine} library", library.read_bytes(), _linking([user], DYNAMIC)),
            Whole(f"{machine} object, PIE", user.read_bytes(), _linking([library], DYNAMIC)),
        ]
    program = link_bytes([folder / "main-aarch64.o", folder / "other-aarch64.o"], MAIN)
    found.append(Whole("lines", program, _lines, silent=True))
    main = clang(folder, "main-macos", APPLE, "aarch64-macos")
    other = clang(folder, "other-macos", APPLE_OTHER, "aarch64-macos")
    both = write_macho_archive([("other.o", other.read_bytes())])
    found += [
        Whole("Mach-O object", main.read_bytes(), _darwin([other])),
        Whole("Mach-O archive", both, _darwin([main])),
        Whole("whole Mach-O archive", both, _darwin([main], whole=True)),
    ]
    threads = clang(folder, "threads-macos", APPLE_THREADS, "aarch64-macos")
    theirs = clang(folder, "theirs-macos", APPLE_THEIRS, "aarch64-macos")
    catches = clang(folder, "catches-macos", APPLE_CATCHES, "aarch64-macos", "c++")
    dylib = folder / "library-macos.dylib"
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-macos", "-shared"]
    subprocess.run([*command, str(theirs), "-o", str(dylib)], check=True, capture_output=True)
    found += [
        Whole("Mach-O threads", threads.read_bytes(), _darwin([main, theirs])),
        Whole("Mach-O handlers", catches.read_bytes(), _darwin([main])),
        Whole("dylib", dylib.read_bytes(), read_library),
        Whole("description", DESCRIPTION.encode(), read_library),
    ]
    return found


KEEP = LinkOptions(entry="start", collect_garbage=False, icf="safe", eh_frame_hdr=True)
DYNAMIC = LinkOptions(entry="start", dynamic=True, pie=True, export_dynamic=True)
NAMES = frozenset(
    """puts _tlv_bootstrap __gxx_personality_v0 __cxa_throw __cxa_begin_catch __cxa_end_catch
    __cxa_allocate_exception _ZTIi _ZTVN10__cxxabiv117__class_type_infoE _ZSt9terminatev
    _Unwind_Resume""".split()
)
SYSTEM = LinkOptions(entry="start", format="mach-o", system_names=NAMES)


def _linking(others: list[Path], options: LinkOptions) -> Use:
    return lambda path: link_bytes([path, *others], options)


def _darwin(others: list[Path], *, whole: bool = False) -> Use:
    def use(path: Path) -> object:
        inputs: list[Input] = [WholeArchive(path) if whole else path, *others]
        return macho_bytes(inputs, SYSTEM, "program")

    return use


def _lines(path: Path) -> object:
    table = LineTable.from_elf(path.read_bytes())
    return [table.find(address) for address in range(0x400000, 0x430000, 0x1000)]


def clang(folder: Path, name: str, text: str, target: str, language: str = "cc") -> Path:
    suffix = ".c" if language == "cc" else ".cc"
    source, output = folder / f"{name}{suffix}", folder / f"{name}.o"
    source.write_text(text)
    command = [sys.executable, "-m", "ziglang", language, "-target", target, "-g", "-O1"]
    if language == "cc":
        command += ["-fasynchronous-unwind-tables"]
    else:  # the linker for macOS wants handlers' frames in their compact form
        command += ["-fno-asynchronous-unwind-tables", "-funwind-tables"]
    command += ["-fno-sanitize=all", "-ffunction-sections"]
    command += ["-fcommon", "-c", str(source), "-o", str(output)]
    subprocess.run(command, check=True, capture_output=True)
    return output


def damaged(whole: Whole, source: random.Random) -> bytes:
    """Half of the time anywhere; else a field of a row of a table, or bytes of one part."""
    if not whole.parts or source.random() < 0.4:
        return damaged_anywhere(whole.data, source)
    out = bytearray(whole.data)
    for _ in range(source.choice((1, 1, 2, 4))):
        if whole.tables and source.random() < 0.6:
            offset, size, row = source.choice(whole.tables)
            at = offset + source.randrange(max(size // row, 1)) * row
            width = source.choice((1, 2, 4, 4, 8, 8))
            at += source.randrange(0, max(row - width, 0) + 1, min(width, 4))
        else:
            offset, size = source.choice(whole.parts)
            width = source.choice((1, 2, 4, 8))
            at = offset + source.randrange(size)
        if at + width > len(out):
            continue
        old = int.from_bytes(out[at : at + width], "little")
        new = source.choice(
            (
                source.choice(VALUES),
                old + source.choice((-8, -1, 1, 3, 8, 4096)),
                old ^ 1 << source.randrange(8 * width),
                source.choice((1 << 31, 1 << 40, 1 << 63, -1, -8, len(out))),
                source.getrandbits(64),
            )
        )
        out[at : at + width] = struct.pack("<Q", new & (1 << 64) - 1)[:width]
    return bytes(out)
