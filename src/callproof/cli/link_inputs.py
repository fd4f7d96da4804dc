"""The inputs of `callproof link` in their order: files, `-l NAME`, groups, whole archives.

Click keeps the order of files only, so what stands among them is passed on as marked
words, which `read_inputs` understands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from callproof.link import ArchiveGroup, Input, WholeArchive
from callproof.link.inputs import find_library, is_in_libc
from callproof.link.macho_libraries import find_library as find_darwins
from callproof.link.search import find_shared, follow, system_folders
from callproof.source import CallproofError

MARK = "\x01"
MARKS = {
    "--start-group": "(",
    "-(": "(",
    "--end-group": ")",
    "-)": ")",
    "--whole-archive": "+",
    "--no-whole-archive": "-",
}


class LinkCommand(TyperCommand):
    """A command of which the marked words count as files."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(_marked(args)))


def _marked(words: Sequence[str]) -> Iterator[str]:
    left = iter(words)
    for word in left:
        if word == "--":
            yield word
            yield from left
        elif word in MARKS:
            yield MARK + MARKS[word]
        elif word == "-l":
            yield f"{MARK}l{next(left, '')}"
        elif word.startswith("-l"):
            yield f"{MARK}l{word[2:]}"
        else:
            yield word


def read_inputs(
    words: Sequence[Path],
    folders: Sequence[Path],
    machine: str = "",
    *,
    with_libc: bool = False,
    is_darwin: bool = False,
) -> list[Input]:
    """Inputs for the linker; with a machine of a dynamic link; `is_darwin`: of one for macOS.

    `with_libc`: musl's libc.a is linked anyway, and has what elsewhere is in libm and others.
    Raises `CallproofError` for a library or a mark that is missing.
    """
    found: list[Input] = []
    group: list[Path] | None = None
    is_whole = False
    for word in words:
        text = str(word)
        if text == f"{MARK}(":
            if group is not None:
                raise CallproofError("--start-group stands inside a group")
            group = []
        elif text == f"{MARK})":
            if group is None:
                raise CallproofError("--end-group without --start-group")
            found.append(ArchiveGroup(tuple(group)))
            group = None
        elif text in (f"{MARK}+", f"{MARK}-"):
            is_whole = text[1] == "+"
        else:
            is_name = text.startswith(f"{MARK}l")
            if machine and not is_whole:
                places = [*folders, *system_folders(machine)]
                find = find_shared(text[2:], places, machine) if is_name else None
                for item in find or follow(word, places, machine):
                    if group is not None and isinstance(item, Path):
                        group.append(item)
                    else:
                        found.append(item)
                continue
            path = word
            if is_name:
                name = text[2:]
                if with_libc and not machine and is_in_libc(name, folders):
                    continue
                darwins = find_darwins(name, folders) if is_darwin else None
                path = darwins or find_library(name, folders)
            if is_whole:
                found.append(WholeArchive(path))
            elif group is not None:
                group.append(path)
            else:
                found.append(path)
    if group is not None:
        raise CallproofError("--start-group without --end-group")
    return found
