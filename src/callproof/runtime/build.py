"""Building the runtime with Clang from the `ziglang` package.

Used by the wheel's build hook and, in an editable install, on first use.  Zig builds
musl's C library for a target by itself; we ask it to link an empty program, and take
the files that it names on the linker's command line.

All of it can be put into position-independent programs: ARM64 code finds its data that way
anyway, x86-64 code is compiled for it.  For programs that are linked with the system's own
C library there is a second flavour of our runtime, compiled with glibc's headers.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from callproof.object.archive import read_archive, write_archive
from callproof.source import CallproofError

FOLDER = Path(__file__).parent
ZIG_TARGETS = {"aarch64-linux": "aarch64-linux-musl", "x86_64-linux": "x86_64-linux-musl"}
# The oldest glibc that both have: what is declared there, every later one has.
GNU_TARGETS = {
    "aarch64-linux": "aarch64-linux-gnu.2.17",
    "x86_64-linux": "x86_64-linux-gnu.2.17",
}
PIE_FLAGS = {"aarch64-linux": ("-fno-pic",), "x86_64-linux": ("-fPIE",)}
CFLAGS = (
    "-std=gnu11 -Wall -Wextra -Werror -ffunction-sections -fdata-sections "
    "-fno-stack-protector -fasynchronous-unwind-tables "
    "-fno-sanitize=all -g0"
).split()


@dataclass(frozen=True, slots=True)
class Library:
    """One of our archives: the folders of its C sources, and flags beside `CFLAGS`."""

    folders: tuple[str, ...]
    flags: tuple[str, ...]

    def sources(self) -> list[Path]:
        found: list[Path] = []
        for folder in self.folders:
            found.extend(sorted((FOLDER / folder).glob("*.c")))
        return found


# Stack walks follow frame records, also through the runtime's own functions.
LIBRARIES = {
    "bcpl": Library(("bcpl", "gc"), ("-Os", "-fno-omit-frame-pointer")),
    "sox": Library(("sox", "gc"), ("-O2", "-fno-omit-frame-pointer")),
}


# Whose code goes into every program; their licences ask that the notice goes with it.
NOTICES = {"LICENSE.zig": "LICENSE", "COPYRIGHT.musl": "lib/libc/musl/COPYRIGHT"}
MUSL_PARTS = ("libc.a", "libzigc.a", "libcompiler_rt.a")
# Where a static program begins: the second one first relocates itself.
STARTUPS = ("crt1", "rcrt1")


def _zig(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ziglang", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        text = done.stderr.strip() or done.stdout.strip()
        raise CallproofError(f"building the runtime failed: {' '.join(command[2:])}\n{text}")
    return done


def build_runtime(target: str, output: Path, progress: Callable[[str], None]) -> None:
    """Put (r)crt1.o, libc.a, libcompiler_rt.a and a lib..._runtime.a per language into a folder.

    Beside them the licence notices of musl and Zig.  `progress` gets a line before each
    step.  Raises `CallproofError` with the compiler's words if a step fails.
    """
    triple = ZIG_TARGETS.get(target)
    if triple is None:
        raise CallproofError(f"there is no runtime for {target}")
    steps = sum(len(library.sources()) for library in LIBRARIES.values()) + 2

    def say(number: int, what: str) -> None:
        progress(f"callproof: building the {target} runtime, once [{number}/{steps}]: {what}")

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        number = 0
        for language, library in LIBRARIES.items():
            members = []
            for source in library.sources():
                number += 1
                say(number, f"{source.parent.name}/{source.name}")
                item = place / f"{source.stem}.o"
                compile_source(source, triple, library, item, PIE_FLAGS[target])
                members.append((item.name, item.read_bytes()))
            (output / f"lib{language}_runtime.a").write_bytes(write_archive(members))
        say(steps - 1, "musl's C library (this takes a minute the first time)")
        parts = _musl(target, place)
        say(steps, "packing")
        libc = _stripped(parts["libc.a"]) + _stripped(parts["libzigc.a"])
        (output / "libc.a").write_bytes(write_archive(libc))
        rest = write_archive(_stripped(parts["libcompiler_rt.a"]))
        (output / "libcompiler_rt.a").write_bytes(rest)
        for name in STARTUPS:
            item = place / f"{name}.o"
            _startup(name, target, item)
            (output / item.name).write_bytes(strip_debug(item.read_bytes(), item.name))
        copy_notices(output)


def build_gnu_runtime(target: str, output: Path, progress: Callable[[str], None]) -> None:
    """Put start.o and a lib..._runtime.a per language for glibc into a folder.

    Raises as `build_runtime`.
    """
    triple = GNU_TARGETS.get(target)
    if triple is None:
        raise CallproofError(f"there is no runtime for {target}")
    start = Library(("gnu",), ("-Os", "-fno-omit-frame-pointer"))
    steps = sum(len(library.sources()) for library in (start, *LIBRARIES.values()))
    number = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, library in (("start", start), *LIBRARIES.items()):
            members = []
            for source in library.sources():
                number += 1
                progress(
                    f"callproof: building the {target} runtime for glibc, once "
                    f"[{number}/{steps}]: {source.parent.name}/{source.name}"
                )
                item = Path(folder) / f"{source.stem}.o"
                compile_source(source, triple, library, item, ("-fPIE",))
                members.append((item.name, item.read_bytes()))
            if name == "start":
                (output / "start.o").write_bytes(members[0][1])
            else:
                (output / f"lib{name}_runtime.a").write_bytes(write_archive(members))
    copy_notices(output)


def compile_source(
    source: Path, triple: str, library: Library, output: Path, flags: tuple[str, ...] = ()
) -> None:
    """One C file as it goes into an archive.  Raises `CallproofError` with Clang's words."""
    _zig("cc", "-target", triple, *CFLAGS, *library.flags, *flags, "-c", source, "-o", output)


def zig_folder() -> Path:
    """Where the `ziglang` package is.  Raises `CallproofError` if it is not installed."""
    found = importlib.util.find_spec("ziglang")
    if found is None or found.origin is None:
        raise CallproofError("the 'ziglang' package is missing; pip install ziglang")
    return Path(found.origin).parent


def copy_notices(output: Path) -> None:
    """Put the licences of what is built from others' sources beside it."""
    for name, inside in NOTICES.items():
        shutil.copyfile(zig_folder() / inside, output / name)


def _startup(name: str, target: str, output: Path) -> None:
    """musl's own startup code, from the sources that Zig brings, compiled as musl does it."""
    musl = zig_folder() / "lib" / "libc" / "musl"
    machine = target.partition("-")[0]
    folders = (f"arch/{machine}", "arch/generic", "src/include", "src/internal", "include")
    flags = "-std=c99 -nostdinc -ffreestanding -fno-stack-protector -fno-sanitize=all -Os -g0 -w"
    triple = ZIG_TARGETS[target]
    includes = [f"-I{musl / folder}" for folder in folders]
    source = musl / "crt" / f"{name}.c"
    _zig("cc", "-target", triple, *flags.split(), "-fPIE", *includes, "-c", source, "-o", output)


def _musl(target: str, place: Path) -> dict[str, Path]:
    """Paths of musl's parts in Zig's cache, from the linker command of an empty program."""
    is_pie = "-fPIE" in PIE_FLAGS[target]
    source = place / "empty.c"
    source.write_text("int main(void) { return 0; }\n")
    # Without a limit Zig would also add its checker of undefined behaviour.
    done = _zig(
        "cc",
        "-target",
        ZIG_TARGETS[target],
        *(("-static-pie", "-fPIE") if is_pie else ("-static",)),
        "-fno-sanitize=all",
        "--verbose",
        source,
        "-o",
        place / "empty",
    )
    found: dict[str, Path] = {}
    for word in (done.stdout + " " + done.stderr).split():
        path = Path(word.strip("'\""))
        if path.name in MUSL_PARTS and path.is_file():
            found[path.name] = path  # the last one: that of the final link
    missing = [name for name in MUSL_PARTS if name not in found]
    if missing:
        raise CallproofError(f"Zig's linker command names no {', '.join(missing)}")
    return found


def _stripped(path: Path) -> list[tuple[str, bytes]]:
    archive = read_archive(path.read_bytes(), path.name)
    return [(Path(name).name, strip_debug(data, name)) for name, data in archive.members()]


def strip_debug(data: bytes, name: str) -> bytes:
    """An object without debug information, notes and comments.

    Frame descriptions stay: the linker puts them only into programs that want them.
    Local names go too, but for functions, which say in a fault's report where it was.
    """
    from callproof.object.elf_read import read_elf
    from callproof.object.elf_write import write_elf

    file = read_elf(data, name)
    dropped = {
        id(section) for section in file.sections if section.kind in ("debug", "other", "note")
    }
    kept = [section for section in file.sections if id(section) not in dropped]
    used = {id(r.symbol) for section in kept for r in section.relocations}
    file.sections = kept
    file.symbols = [
        symbol
        for symbol in file.symbols
        if (symbol.section is None or id(symbol.section) not in dropped)
        and (symbol.binding != "local" or id(symbol) in used or symbol.kind == "function")
    ]
    return write_elf(file)
