"""zlib, SQLite and Lua, built by GCC and Clang from Debian's sources, linked by us and others.

    python -m tests.link.third_party [--targets ...] [--levels O0 O2] [--compilers gcc clang]

Fetches the sources with `apt-get source` into ~/.cache/callproof-third-party (nothing of
it is committed), compiles them with musl's headers, and links three kinds of programs: a
NewBCPL program that calls the library (EXTERNAL), C programs, and Lua's own interpreter.
Each link is done by our linker, by GNU ld and by lld with equal inputs; the programs
run (x86-64 as they are, AArch64 under qemu-aarch64) and must print what is expected,
and the address of every symbol must be the one in our map.  Lua is linked with
glibc's libc.a as well, whose start code and string functions need IRELATIVE.

Needs apt-get, tclsh (SQLite's build), gcc, aarch64-linux-gnu-gcc, qemu-aarch64.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ziglang
from elftools.elf.elffile import ELFFile

from callproof import driver
from callproof.link import Input, LinkOptions, link
from callproof.link.link_map import link_map
from callproof.object import write_elf
from callproof.runtime import runtime_files

CACHE = Path.home() / ".cache" / "callproof-third-party"
HERE = Path(__file__).parent / "third_party_programs"
ZIG = Path(ziglang.__file__).parent
PACKAGES = {"zlib": "zlib", "sqlite": "sqlite3", "lua": "lua5.4"}
LEVELS = ("O0", "O1", "O2", "O3")
TARGETS = {"aarch64-linux": "aarch64", "x86_64-linux": "x86_64"}
GCC = {"aarch64-linux": "aarch64-linux-gnu-gcc", "x86_64-linux": "gcc"}
GNU_LD = {"aarch64-linux": "aarch64-linux-gnu-ld", "x86_64-linux": "ld"}
# What makes of the linker's work more than plain code: sections of their own, GOT, TLS.
EXTRA = {
    "O0": (),
    "O1": ("-fPIC",),
    "O2": ("-ffunction-sections", "-fdata-sections"),
    "O3": ("-fPIC", "-g", "-ffunction-sections"),
}


@dataclass(frozen=True, slots=True)
class Way:
    """One way to compile: target, 'gcc' or 'clang', level."""

    target: str
    compiler: str
    level: str

    def command(self) -> list[str]:
        machine = TARGETS[self.target]
        flags = [f"-{self.level}", *EXTRA[self.level], "-w"]
        if self.compiler == "clang":
            triple = f"{machine}-linux-musl"
            zig = [sys.executable, "-m", "ziglang", "cc", "-target", triple]
            return [*zig, "-fno-sanitize=all", *flags]
        gcc = GCC[self.target]
        own = subprocess.run(
            [gcc, "-print-file-name=include"], capture_output=True, text=True, check=True
        ).stdout.strip()
        linux = "x86" if machine == "x86_64" else machine
        folders = [f"{machine}-linux-musl", "generic-musl", f"{linux}-linux-any", "any-linux-any"]
        paths = [own, *(str(ZIG / "lib" / "libc" / "include" / one) for one in folders)]
        system = [word for path in paths for word in ("-isystem", path)]
        return [gcc, "-nostdinc", *system, "-U_FORTIFY_SOURCE", *flags]


def fetch() -> None:
    """The sources, once.  apt gets a list of its own, so the machine's is not touched."""
    sources = CACHE / "sources"
    if all(list(sources.glob(f"{package}-*/")) for package in PACKAGES.values()):
        return
    for folder in (sources, CACHE / "apt" / "lists" / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    key = "/usr/share/keyrings/debian-archive-keyring.gpg"
    listed = CACHE / "apt" / "sources.list"
    listed.write_text(f"deb-src [signed-by={key}] http://deb.debian.org/debian {release} main\n")
    options = [
        f"Dir::Etc::sourcelist={listed}",
        "Dir::Etc::sourceparts=-",
        f"Dir::State::lists={CACHE / 'apt' / 'lists'}",
        "Dir::Cache::pkgcache=",
        "Dir::Cache::srcpkgcache=",
        "APT::Sandbox::User=root",
    ]
    apt = ["apt-get", *(word for option in options for word in ("-o", option))]
    subprocess.run([*apt, "update"], check=True, stdout=subprocess.DEVNULL)
    names = [*PACKAGES.values()]
    subprocess.run([*apt, "source", "--only-source", *names], check=True, cwd=sources)


def source_folder(subject: str) -> Path:
    return next((CACHE / "sources").glob(f"{PACKAGES[subject]}-*/"))


def sqlite_source() -> Path:
    """SQLite in one file, which its makefile puts together."""
    made = CACHE / "sqlite-build"
    if not (made / "sqlite3.c").exists():
        made.mkdir(exist_ok=True)
        configure = source_folder("sqlite") / "configure"
        quiet = subprocess.DEVNULL
        subprocess.run([configure, "--disable-tcl"], cwd=made, check=True, stdout=quiet)
        subprocess.run(["make", "sqlite3.c"], cwd=made, check=True, stdout=quiet)
    return made


def units(subject: str) -> tuple[list[Path], list[str]]:
    """The library's sources, and the flags that they want."""
    folder = source_folder(subject)
    if subject == "sqlite":
        made = sqlite_source()
        return [made / "sqlite3.c"], [f"-I{made}", "-DSQLITE_THREADSAFE=1"]
    if subject == "lua":
        files = [p for p in sorted((folder / "src").glob("*.c")) if p.name not in ("luac.c",)]
        header = CACHE / "lua-build" / "lua5.4-deb-multiarch.h"  # Debian's rules make it
        header.parent.mkdir(exist_ok=True)
        header.write_text('#define DEB_HOST_MULTIARCH "linux-gnu"\n')
        return files, ["-DLUA_USE_POSIX", f"-I{header.parent}"]
    return sorted(folder.glob("*.c")), ["-DHAVE_UNISTD_H", "-D_LARGEFILE64_SOURCE=1"]


def build(subject: str, way: Way) -> Path:
    """The folder with the objects and an archive lib<subject>.a (without main)."""
    folder = CACHE / "objects" / f"{subject}-{way.target}-{way.compiler}-{way.level}"
    archive = folder / f"lib{subject}.a"
    if archive.exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    sources, flags = units(subject)
    command = [*way.command(), *flags]
    for source in sources:
        compile_unit(command, source, folder / f"{source.stem}.o")
    members = [path for path in sorted(folder.glob("*.o")) if path.name != "lua.o"]
    subprocess.run(["ar", "rcs", str(archive), *map(str, members)], check=True)
    return folder


def compile_unit(command: Sequence[str], source: Path, output: Path) -> None:
    done = subprocess.run(
        [*command, "-c", str(source), "-o", str(output)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} {source}:\n{done.stderr[:4000]}")


@dataclass(slots=True)
class Program:
    """Inputs without the C library; what it is given and what it must print."""

    name: str
    inputs: list[Path]
    archive: Path
    words: list[str]
    expected: str


def programs(subject: str, way: Way, folder: Path) -> Iterator[Program]:
    """The programs of a subject, compiled into the folder of its objects."""
    archive = folder / f"lib{subject}.a"
    for source in sorted(HERE.glob(f"{subject}*")):
        expected = source.with_name(source.name + ".out")
        output = folder / f"{source.name}.o"
        if source.suffix == ".out":
            continue
        if source.suffix == ".bcl":
            options = driver.Options(target=way.target)
            file = driver.compile_file(source, options).object_file()
            output.write_bytes(write_elf(file))
        elif source.suffix == ".c":
            flags = units(subject)[1]
            include = f"-I{source_folder(subject)}"
            compile_unit([*way.command(), *flags, include], source, output)
        elif source.suffix == ".lua":
            lua = folder / "lua.o"
            yield Program(source.name, [lua], archive, [str(source)], expected.read_text())
            continue
        else:
            continue
        yield Program(source.name, [output], archive, [], expected.read_text())


def all_inputs(program: Program, target: str) -> list[Path]:
    files = runtime_files(target)
    ours = [*files.libraries.values()] if program.name.endswith(".bcl") else []
    return [files.crt1, *program.inputs, program.archive, *ours, files.libc, files.compiler_rt]


def link_with(linker: str, inputs: list[Path], output: Path, target: str, *, ours: str) -> None:
    """Link by 'ours', 'ld' or 'lld'.  `ours`: options of our linker, by name."""
    if linker == "ours":
        options = LinkOptions(
            icf="safe" if "icf" in ours else "none",
            relro="relro" in ours,
            eh_frame_hdr="frames" in ours,
        )
        given: list[Input] = [*inputs]
        layout = link(given, output, options)
        check_map(link_map(layout), output)
        return
    lld = [sys.executable, "-m", "ziglang", "ld.lld"]
    command = lld if linker == "lld" else [GNU_LD[target]]
    words = [*command, "-static", "--gc-sections", "-o", str(output), "--start-group"]
    subprocess.run([*words, *map(str, inputs), "--end-group"], check=True)


def check_map(text: str, output: Path) -> None:
    """Every function of the symbol table has the address that the map has for it."""
    rows = set()
    for line in text[text.index("\nMemory") : text.index("\nLeft out")].splitlines():
        words = line.split()
        if len(words) == 2 and words[0].startswith("0x"):
            rows.add((words[1], int(words[0], 16)))
    with output.open("rb") as stream:
        table: Any = ELFFile(stream).get_section_by_name(".symtab")
        for symbol in table.iter_symbols():
            is_function = symbol["st_info"]["type"] == "STT_FUNC"
            if is_function and (symbol.name, symbol["st_value"]) not in rows:
                raise RuntimeError(f"{output}: {symbol.name} is not in the map where it is")


def run_program(output: Path, words: Sequence[str], target: str) -> str:
    runner = []
    if TARGETS[target] != platform.machine():
        runner = ["qemu-aarch64"]
    with_words = [*runner, str(output), *words]
    done = subprocess.run(with_words, capture_output=True, text=True, check=False, timeout=600)
    return done.stdout + done.stderr + ("" if not done.returncode else f"[{done.returncode}]\n")


def glibc_inputs(program: Program, target: str) -> list[Path]:
    """crt files and archives of the C compiler's own static C library."""
    gcc = GCC[target]

    def find(name: str) -> Path:
        words = [gcc, f"-print-file-name={name}"]
        return Path(subprocess.run(words, capture_output=True, text=True).stdout.strip())

    math = find("libm.a")
    if math.read_bytes()[:2] == b"/*":  # a script, on x86-64
        math = next(math.parent.glob("libm-*.a"))
    libraries = [math, find("libgcc.a"), find("libgcc_eh.a"), find("libc.a")]
    begin = [find("crt1.o"), find("crti.o"), find("crtbeginT.o")]
    end = [find("crtend.o"), find("crtn.o")]
    # In an order that ld's one pass is content with, too.
    return [*begin, *program.inputs, program.archive, *libraries, *end]


def check(program: Program, inputs: list[Path], way: Way, linkers: Sequence[str]) -> list[str]:
    """What went wrong; prints a line for each link."""
    problems = []
    variants = [("ours", ""), ("ours", "icf relro frames")]
    variants += [(linker, "") for linker in linkers]
    for linker, ours in variants:
        output = CACHE / "programs" / f"{program.name}-{way.target}-{way.compiler}-{way.level}"
        output.parent.mkdir(exist_ok=True)
        label = f"{way.target} {way.compiler} -{way.level} {program.name} {linker} {ours}".strip()
        start = time.perf_counter()
        link_with(linker, inputs, output, way.target, ours=ours)
        middle = time.perf_counter()
        printed = run_program(output, program.words, way.target)
        size = output.stat().st_size
        is_good = printed == program.expected
        print(
            f"{'ok  ' if is_good else 'FAIL'} {label}: {size} bytes, linked in "
            f"{middle - start:.2f} s, ran {time.perf_counter() - middle:.2f} s",
            flush=True,
        )
        if not is_good:
            problems.append(f"{label}: printed {printed[:2000]!r}")
        output.unlink()
    return problems


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--targets", nargs="+", default=[*TARGETS], choices=[*TARGETS])
    parser.add_argument("--compilers", nargs="+", default=["gcc", "clang"])
    parser.add_argument("--levels", nargs="+", default=[*LEVELS], choices=LEVELS)
    parser.add_argument("--subjects", nargs="+", default=[*PACKAGES], choices=[*PACKAGES])
    parser.add_argument("--linkers", nargs="*", default=["ld", "lld"])
    chosen = parser.parse_args(arguments)
    needed = ["apt-get", "tclsh", "ar", "qemu-aarch64", *GCC.values(), *GNU_LD.values()]
    missing = [name for name in needed if shutil.which(name) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}", file=sys.stderr)
        return 2
    fetch()
    os.environ.pop("SOURCE_DATE_EPOCH", None)
    problems = []
    count = 0
    for subject in chosen.subjects:
        for target in chosen.targets:
            for compiler in chosen.compilers:
                for level in chosen.levels:
                    way = Way(target, compiler, level)
                    for program in programs(subject, way, build(subject, way)):
                        count += 1
                        inputs = all_inputs(program, target)
                        problems += check(program, inputs, way, chosen.linkers)
        if subject == "lua":
            for target in chosen.targets:
                way = Way(target, "glibc", "O2")
                folder = glibc_lua(target)
                for program in programs(subject, way, folder):
                    count += 1
                    linkers = [name for name in chosen.linkers if name != "lld"]
                    problems += check(program, glibc_inputs(program, target), way, linkers)
    print(f"{count} programs, {len(problems)} problems")
    print("\n".join(problems))
    return 1 if problems else 0


def glibc_lua(target: str) -> Path:
    """Lua compiled with glibc's headers."""
    folder = CACHE / "objects" / f"lua-{target}-glibc-O2"
    if not (folder / "liblua.a").exists():
        folder.mkdir(parents=True, exist_ok=True)
        sources, flags = units("lua")
        for source in sources:
            command = [GCC[target], "-O2", "-w", *flags]
            compile_unit(command, source, folder / f"{source.stem}.o")
        members = [path for path in sorted(folder.glob("*.o")) if path.name != "lua.o"]
        subprocess.run(["ar", "rcs", str(folder / "liblua.a"), *map(str, members)], check=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
