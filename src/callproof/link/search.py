"""Finding libraries for a dynamic link: `-l NAME`, the system's folders, `libc.so` scripts.

A linker script is followed as far as libraries need it: `INPUT`, `GROUP` and `AS_NEEDED` of
files and `-lNAME`.  The rest of ld's script language is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from callproof.link.inputs import AsNeeded, script_message
from callproof.object import elf_format as elf
from callproof.source import CallproofError

SYSTEM_FOLDERS = {
    "aarch64": (
        "/lib/aarch64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/aarch64-linux-gnu/lib",
    ),
    "x86_64": ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/usr/x86_64-linux-gnu/lib"),
}
SHARED_FOLDERS = ("/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")
TOKENS = re.compile(r"/\*.*?\*/|[(),]|[^\s(),]+", re.DOTALL)
LONGEST_SCRIPT = 65536
DEEPEST = 8

Found = list["Path | AsNeeded"]


def system_folders(machine: str) -> list[Path]:
    """Where the system keeps libraries for a machine; those for others there are passed over."""
    return [Path(name) for name in (*SYSTEM_FOLDERS[machine], *SHARED_FOLDERS)]


def find_shared(name: str, folders: Sequence[Path], machine: str, depth: int = 0) -> Found:
    """`-l NAME`: libNAME.so of the first folder that has it, or the highest libNAME.so.N there,
    or libNAME.a; `-l :FILE` is a file's own name.

    A script gives the files that it names.  Raises `CallproofError` with the folders.
    """
    passed: list[str] = []
    for folder in folders:
        for path in _candidates(name, folder):
            start = _start(path)
            if (
                start[:4] == elf.MAGIC
                and int.from_bytes(start[18:20], "little") != elf.MACHINES[machine]
            ):
                passed.append(str(path))
                continue
            return follow(path, folders, machine, depth)
    looked = ", ".join(str(folder) for folder in folders if folder.is_dir()) or "no folder"
    other = f"; {passed[0]} is for another machine" if passed else ""
    raise CallproofError(
        f"-l {name}: there is no lib{name}.so for {machine} (looked in {looked}){other}"
    )


def _candidates(name: str, folder: Path) -> Iterable[Path]:
    if name.startswith(":"):
        names = [folder / name[1:]]
    else:
        versions = sorted(folder.glob(f"lib{name}.so.*"), key=_version, reverse=True)
        names = [folder / f"lib{name}.so", *versions, folder / f"lib{name}.a"]
    return (path for path in names if path.is_file())


def _version(path: Path) -> list[int]:
    numbers = path.name.partition(".so.")[2].split(".")
    return [int(number) if number.isdigit() else -1 for number in numbers]


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(LONGEST_SCRIPT)
    except OSError as error:
        raise CallproofError(f"cannot read {path}: {error.strerror or error}") from error


def follow(path: Path, folders: Sequence[Path], machine: str, depth: int = 0) -> Found:
    """The file itself; if it is a script (the `depth`th in another) the files that it names."""
    data = _start(path)
    if not script_message(path, data):
        return [path]
    if depth > DEEPEST:
        raise CallproofError(f"{path}: linker scripts that name each other")
    words = [w for w in TOKENS.findall(data.decode("utf-8", "replace")) if not w.startswith("/*")]
    return _Script(path, words, folders, machine, depth + 1).read()


class _Script:
    __slots__ = ("depth", "folders", "machine", "path", "words")

    def __init__(
        self, path: Path, words: list[str], folders: Sequence[Path], machine: str, depth: int
    ) -> None:
        self.path = path
        self.words = words[::-1]
        self.folders = folders
        self.machine = machine
        self.depth = depth

    def fail(self, why: str) -> CallproofError:
        return CallproofError(f"{self.path}: a linker script, of which {why} is not supported")

    def read(self) -> Found:
        found: Found = []
        while self.words:
            word = self.words.pop()
            if word in ("OUTPUT_FORMAT", "TARGET", "OUTPUT_ARCH"):
                self.skip()
            elif word in ("INPUT", "GROUP"):
                found += self.files(as_needed=False)
            elif word != ";":
                raise self.fail(f"'{word}'")
        return found

    def open(self) -> None:
        if not self.words or self.words.pop() != "(":
            raise self.fail("a command without '('")

    def skip(self) -> None:
        self.open()
        while self.words and self.words.pop() != ")":
            pass

    def files(self, *, as_needed: bool) -> Found:
        self.open()
        found: Found = []
        while self.words:
            word = self.words.pop()
            if word == ")":
                return found
            if word == "AS_NEEDED":
                found += self.files(as_needed=True)
            elif word != ",":
                for item in self.file(word.strip('"')):
                    plain = item.path if isinstance(item, AsNeeded) else item
                    found.append(AsNeeded(plain) if as_needed else item)
        raise self.fail("a list without ')'")

    def file(self, name: str) -> Found:
        if name.startswith("-l"):
            return find_shared(name[2:], self.folders, self.machine, self.depth)
        path = Path(name)
        for place in (path, self.path.parent / path):
            if place.is_file():
                return follow(place, self.folders, self.machine, self.depth)
        # A system that stands elsewhere, as one for cross compilation, keeps its own paths.
        folders = [self.path.parent, *self.folders]
        return find_shared(f":{path.name}", folders, self.machine, self.depth)


def names_shared_library(path: Path) -> bool:
    """Whether a file's name is one of a shared library: libx.so, libx.so.1.2."""
    return path.suffix == ".so" or bool(re.search(r"\.so(\.\d+)+$", path.name))
