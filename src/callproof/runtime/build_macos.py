"""Building the runtime for macOS, with Clang and the headers of the `ziglang` package.

A program for macOS is linked with the system's own C library when it starts, so of that only
the names are needed: `libSystem.names` lists what ARM64's libSystem gives to programs, a name
a line without C's underscore, taken from the description that Zig brings.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from callproof.object.macho_archive import write_macho_archive
from callproof.runtime.build import LIBRARIES, compile_source, copy_notices, zig_folder
from callproof.source import CallproofError

TRIPLE = "aarch64-macos.12.0"
NAMES_FILE = "libSystem.names"
# The frames of our functions are described, so that debuggers and the system's crash reports
# see through them.  The processor: every Mac of this kind is at least an M1.
FLAGS = ("-fno-asynchronous-unwind-tables", "-funwind-tables")

ENTRY = re.compile(r"- targets:\s*\[([^\]]*)\]((?:(?!- targets:).)*)", re.DOTALL)
NAMES = re.compile(r"\b(?:weak-)?symbols:\s*\[([^\]]*)\]", re.DOTALL)
MACHINES = re.compile(r"\barm64e?-macos\b")


def build_macos_runtime(target: str, output: Path, progress: Callable[[str], None]) -> None:
    """Put a lib..._runtime.a per language and `libSystem.names` into a folder.

    Raises `CallproofError` with the compiler's words if a step fails.
    """
    steps = sum(len(library.sources()) for library in LIBRARIES.values())
    number = 0
    with tempfile.TemporaryDirectory() as folder:
        for language, library in LIBRARIES.items():
            members = []
            for source in library.sources():
                number += 1
                progress(
                    f"callproof: building the {target} runtime, once [{number}/{steps}]: "
                    f"{source.parent.name}/{source.name}"
                )
                item = Path(folder) / f"{source.stem}.o"
                compile_source(source, TRIPLE, library, item, FLAGS)
                members.append((item.name, item.read_bytes()))
            (output / f"lib{language}_runtime.a").write_bytes(write_macho_archive(members))
    description = zig_folder() / "lib" / "libc" / "darwin" / "libSystem.tbd"
    try:
        text = description.read_text(encoding="utf-8")
    except OSError as error:
        raise CallproofError(f"the 'ziglang' package has no {description.name}: {error}") from error
    names = exported_names(text)
    (output / NAMES_FILE).write_text("".join(f"{name}\n" for name in names))
    copy_notices(output)


def exported_names(text: str) -> list[str]:
    """The C names that a text-based description (tapi-tbd, version 4) gives to ARM64 programs."""
    found: set[str] = set()
    for targets, rest in ENTRY.findall(text):
        if MACHINES.search(targets):
            for names in NAMES.findall(rest):
                for name in names.split(","):
                    plain = name.strip().strip("'\"")
                    if plain.startswith("_"):
                        found.add(plain[1:])
    return sorted(found)
