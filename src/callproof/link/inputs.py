"""What a link is given besides plain files: groups, whole archives, libraries by name.

`ArchiveGroup`, `WholeArchive` and `AsNeeded` stand among the inputs of `link`; `find_library`
is `-l` of a static link (`search.py` has that of a dynamic one).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from callproof.source import CallproofError

# What musl has in its libc, and other systems have beside it.
PARTS_OF_LIBC = frozenset(("c", "m", "pthread", "dl", "rt", "util", "crypt", "resolv", "xnet"))
SCRIPT_WORDS = re.compile(
    rb"\s*(?:/\*.*?\*/\s*)*(?:OUTPUT_FORMAT|INPUT|GROUP|SECTIONS|SEARCH_DIR|ENTRY|VERSION|MEMORY"
    rb"|PHDRS|TARGET|OUTPUT_ARCH)\b",
    re.DOTALL,
)
SCRIPT_FILES = re.compile(rb"\b(?:INPUT|GROUP)\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)")


@dataclass(frozen=True, slots=True)
class ArchiveGroup:
    """`--start-group ... --end-group`: with ordered archives, searched until none gives more."""

    inputs: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class WholeArchive:
    """`--whole-archive`: every member takes part."""

    path: Path


@dataclass(frozen=True, slots=True)
class AsNeeded:
    """`--as-needed`: a shared library that is asked for only if something of it is used."""

    path: Path


def is_in_libc(name: str, folders: Sequence[Path]) -> bool:
    """Whether `-l NAME` is musl's libc itself, and of no archive in the folders."""
    return name in PARTS_OF_LIBC and not any((one / f"lib{name}.a").is_file() for one in folders)


def find_library(name: str, folders: Sequence[Path]) -> Path:
    """`-l NAME`: libNAME.a of the first folder that has it; `-l :FILE` is a file's own name.

    Raises `CallproofError` with the folders, and says when there is a shared library only.
    """
    wanted = name.removeprefix(":") if name.startswith(":") else f"lib{name}.a"
    for folder in folders:
        if (folder / wanted).is_file():
            return folder / wanted
    looked = ", ".join(map(str, folders)) or "no folders: -L gives them"
    for folder in folders:
        shared = folder / f"lib{name}.so"
        if shared.exists():
            raise CallproofError(
                f"-l {name}: {shared} is a shared library; a static executable needs {wanted} "
                "(--dynamic makes one that uses the library)"
            )
    raise CallproofError(f"-l {name}: there is no {wanted} (looked in {looked})")


def script_message(path: Path, data: bytes) -> str:
    """Why a file that is text, a linker script, is refused; '' if it is none."""
    start = data[:4096]
    if not SCRIPT_WORDS.match(start):
        return ""
    files = SCRIPT_FILES.search(start)
    named = files[1].decode("utf-8", "replace").split() if files else []
    named = [word for word in named if word not in ("AS_NEEDED", "(", ")")]
    hint = f"; give {', '.join(named)} instead" if named else ""
    return f"{path}: a linker script, which is not supported{hint}"
