"""Shared libraries that a program for macOS is linked with: dylibs, and descriptions of them.

Of a library a program needs the name that it is loaded by, its versions, and which names it
has.  A text-based description (`.tbd`, tapi-tbd version 4) says just that; of a dylib they are
read from its load commands and its symbol table.  Names are without C's underscore.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from callproof.object import macho_format as macho
from callproof.object.elf_read import Reader, string_at
from callproof.object.macho_commands import load_commands, section_headers
from callproof.object.macho_read import arm64_slice, is_macho
from callproof.source import CallproofError

SUFFIXES = (".tbd", ".dylib")
MOST_LIBRARIES = 0xEF  # numbers of 8 bits, of which the highest mean something else
ONE = 1 << 16  # version 1.0.0
MACHINES = re.compile(r"\barm64e?-macos\b")
LINKERS = frozenset(("_mh_dylib_header", "__dso_handle"))  # names of each image's own
# `key: value` or `- key: value`; lists may go on over lines.
FIELD = re.compile(
    r"^(?P<indent> *)(?P<item>- +)?(?P<key>[\w-]+):[ \t]*(?P<value>\[[^\]]*\]|[^\n]*)", re.MULTILINE
)
EXPORTS = ("exports", "reexports")
SYMBOLS = ("symbols", "weak-symbols", "thread-local-symbols")


@dataclass(slots=True)
class Library:
    """`name` is what the loader looks for; versions are xxxx.yy.zz in 16, 8 and 8 bits."""

    name: str
    current: int = ONE
    compatibility: int = ONE
    names: set[str] = field(default_factory=set)
    thread_locals: set[str] = field(default_factory=set)


LIBSYSTEM = Library("/usr/lib/libSystem.B.dylib")  # of any version


def is_library(path: Path) -> bool:
    """By the name, as compilers' drivers tell it."""
    return path.suffix in SUFFIXES


def find_library(name: str, folders: Sequence[Path]) -> Path | None:
    """`-l NAME`: a description, a dylib or an archive of the first folder that has one."""
    for folder in folders:
        for suffix in (*SUFFIXES, ".a"):
            path = folder / f"lib{name}{suffix}"
            if path.is_file():
                return path
    return None


def read_library(path: Path) -> Library:
    """Raises `CallproofError` for what is no library for macOS on ARM64, with file and place."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CallproofError(f"cannot read {path}: {error.strerror or error}") from error
    if is_macho(data):
        return _read_dylib(Reader(data, str(path)))
    return _read_description(data.decode("utf-8", "replace"), str(path))


# --- descriptions ----------------------------------------------------------------------------


@dataclass(slots=True)
class _Document:
    """One library of a description; `contained`: names of libraries whose names it has too."""

    head: dict[str, str] = field(default_factory=dict)
    contained: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    thread_locals: set[str] = field(default_factory=set)


def _read_description(text: str, path: str) -> Library:
    if not re.match(r"\s*--- !tapi-tbd(?:-v\d)?\s", text):
        raise CallproofError(f"{path}: neither a dylib nor a text-based description of one")
    documents = [_document(part) for part in re.split(r"^--- ", text, flags=re.MULTILINE)[1:]]
    first = documents[0]
    version, name = first.head.get("tbd-version", ""), first.head.get("install-name", "")
    if version != "4":
        raise CallproofError(
            f"{path}: a description of version '{version}'; version 4 is understood"
        )
    if not name:
        raise CallproofError(f"{path}: the description has no install-name")
    if not MACHINES.search(first.head.get("targets", "")):
        raise CallproofError(f"{path}: the library is not for macOS on ARM64")
    found = Library(
        name,
        _version(first.head.get("current-version", "1"), path),
        _version(first.head.get("compatibility-version", "1"), path),
    )
    by_name = {one.head.get("install-name", ""): one for one in documents}
    pending, seen = [name], {name}
    while pending:
        document = by_name.get(pending.pop())
        if document is None:
            continue  # in a file of its own, which is given if it is meant
        found.names |= document.names | document.thread_locals
        found.thread_locals |= document.thread_locals
        pending += sorted(document.contained - seen)
        seen |= document.contained
    return found


def _document(text: str) -> _Document:
    found = _Document()
    section, is_ours = "", False
    for match in FIELD.finditer(text):
        key, value = match["key"], match["value"].strip()
        if not match["indent"] and not match["item"]:
            section, is_ours = key, False
            found.head[key] = value.strip("'\"")
            continue
        if key == "targets":
            is_ours = bool(MACHINES.search(value))
        elif is_ours and section == "reexported-libraries" and key == "libraries":
            found.contained |= set(_words(value))
        elif is_ours and section in EXPORTS and key in SYMBOLS:
            names = {one[1:] for one in _words(value) if one.startswith("_")}
            if key == "thread-local-symbols":
                found.thread_locals |= names
            else:
                found.names |= names
    return found


def _words(value: str) -> list[str]:
    plain = (word.strip().strip("'\"") for word in value.strip("[]").split(","))
    return [word for word in plain if word]


def _version(text: str, path: str) -> int:
    parts = text.split(".")
    is_plain = all(one.isascii() and one.isdecimal() and len(one) < 9 for one in parts)
    numbers = [*map(int, parts), 0, 0] if is_plain else [1 << 16]
    if len(parts) > 3 or numbers[0] >> 16 or numbers[1] >> 8 or numbers[2] >> 8:
        raise CallproofError(f"{path}: '{text}' is no version of a library")
    return numbers[0] << 16 | numbers[1] << 8 | numbers[2]


# --- dylibs ----------------------------------------------------------------------------------


def _read_dylib(reader: Reader) -> Library:
    if bytes(reader.data[:4]) == macho.FAT_MAGIC.to_bytes(4, "big"):
        reader = arm64_slice(reader)
    header = reader.unpack(macho.HEADER, 0, "the Mach-O header")
    magic, cpu, _, file_type, count, size = header[:6]
    if magic != macho.MAGIC_64 or cpu != macho.CPU_ARM64:
        raise reader.fail("not a 64-bit Mach-O file for ARM64", 0)
    if file_type not in (macho.MH_DYLIB, macho.MH_DYLIB_STUB):
        raise reader.fail("not a shared library", 12)
    found: Library | None = None
    table: tuple[int, ...] | None = None
    variables: set[int] = set()  # numbers of sections of thread-local ones
    sections = 0
    for command, offset, length in load_commands(reader, count, size):
        if command == macho.LC_ID_DYLIB:
            fields = reader.unpack(macho.DYLIB, offset, "the library's name")
            text = bytes(reader.slice(offset, length, "the library's name"))
            name = string_at(text, fields[2]) if fields[2] >= macho.DYLIB.size else None
            if not name:
                raise reader.fail("the library's name lies outside its command", offset)
            found = Library(name, fields[4], fields[5])
        elif command == macho.LC_BUILD_VERSION:
            platform = reader.unpack(macho.BUILD_VERSION, offset, "the platform")[2]
            if platform not in (macho.PLATFORM_MACOS, macho.PLATFORM_CATALYST):
                raise reader.fail(f"a library for platform {platform}, not for macOS", offset)
        elif command == macho.LC_SYMTAB:
            table = reader.unpack(macho.SYMTAB, offset, "the symbol table command")
        elif command == macho.LC_SEGMENT_64:
            for row in section_headers(reader, offset, length):
                sections += 1
                flags = row[8]
                assert isinstance(flags, int)
                if flags & macho.SECTION_TYPE == macho.S_THREAD_LOCAL_VARIABLES:
                    variables.add(sections)
    if found is None:
        raise reader.fail("a shared library without a name (LC_ID_DYLIB)")
    if table is not None:
        _read_names(reader, found, table, variables)
    return found


def _read_names(
    reader: Reader, found: Library, table: tuple[int, ...], variables: set[int]
) -> None:
    """Of what other images may see; thread-locals by the section that they stand in."""
    offset, count, strings, strings_size = table[2:]
    texts = bytes(reader.slice(strings, strings_size, "the string table"))
    rows = reader.slice(offset, count * macho.NLIST.size, "the symbol table")
    for start, type_, section, _, _ in macho.NLIST.iter_unpack(rows):
        is_seen = type_ & macho.N_EXT and not type_ & (macho.N_STAB | macho.N_PEXT)
        if not is_seen or type_ & macho.N_TYPE not in (macho.N_SECT, macho.N_ABS):
            continue
        name = string_at(texts, start)
        if name is None:
            raise reader.fail("a symbol's name lies outside the string table")
        if name.startswith("_") and name[1:] not in LINKERS:
            found.names.add(name[1:])
            if section in variables:
                found.thread_locals.add(name[1:])
