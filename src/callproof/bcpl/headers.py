"""GET: headers in place of the directives (reference, section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from callproof.bcpl import nodes as ast
from callproof.bcpl.parser import parse
from callproof.source import CallproofError, Diagnostics, Note, SourceFile

# What may be missing: the compiler knows the library by itself.
EMPTY_HEADERS = frozenset(("libhdr", "libhdr.h", "libhdr.bcl", "runtime.bcl"))


class Headers:
    """Reads headers; each file once, however often it is asked for at the top level.

    `read` holds the files in the order in which they were first met.
    """

    def __init__(self, include: Sequence[Path], diagnostics: Diagnostics) -> None:
        self.include = include
        self.diagnostics = diagnostics
        self.read: list[SourceFile] = []
        self._known: set[Path] = set()
        self._open: list[tuple[Path, ast.Get]] = []

    def expanded(self, source: SourceFile) -> list[ast.Statement]:
        """The declarations of a source, those of its headers where these are asked for."""
        self.read.append(source)
        self._known.add(Path(source.name).resolve())
        return self._expand(self._parse(source).declarations, source)

    def _parse(self, source: SourceFile, inside: str = "") -> ast.Program:
        splice = lambda item, where: self._get(item, source, where)
        return parse(source, self.diagnostics, splice, inside=inside)

    def _expand(self, declarations: list[ast.Statement], source: SourceFile) -> list[ast.Statement]:
        found: list[ast.Statement] = []
        for item in declarations:
            if isinstance(item, ast.Get):
                found += self._get(item, source)
            else:
                found.append(item)
        return found

    def _get(self, item: ast.Get, source: SourceFile, inside: str = "") -> list[ast.Statement]:
        """What a header declares, once; `inside` a "block" or "class" that asks, each time."""
        name = item.path.replace("\\", "/")
        path = self._search(name, source)
        if path is None:
            if name.rpartition("/")[2].lower() not in EMPTY_HEADERS:
                folders = [str(Path(source.name).parent), *map(str, self.include), "."]
                self.diagnostics.error(
                    f'there is no header "{item.path}"',
                    item.span,
                    [Note(f"searched in {', '.join(dict.fromkeys(folders))}")],
                    code="get",
                )
            return []
        resolved = path.resolve()
        if any(resolved == other for other, _ in self._open) or resolved == _path(source):
            notes = [Note("on the way to here", get.span) for _, get in self._open]
            self.diagnostics.error(f'"{item.path}" gets itself', item.span, notes, code="get")
            return []
        if resolved in self._known and not inside:
            return []
        first = resolved not in self._known
        self._known.add(resolved)
        try:
            header = SourceFile.read(path)
        except CallproofError as error:
            self.diagnostics.error(error.diagnostics[0].message, item.span, code="get")
            return []
        if first:
            self.read.append(header)
        self._open.append((resolved, item))
        program = self._parse(header, inside)
        found = program.declarations if inside else self._expand(program.declarations, header)
        self._open.pop()
        return found

    def _search(self, name: str, source: SourceFile) -> Path | None:
        """As given, beside the source, in each -I folder; also with `.bcl`, or for `.h`."""
        names = [name, f"{name}.bcl"]
        if name.endswith(".h"):
            names.append(f"{name[:-2]}.bcl")
        for folder in (Path("."), Path(source.name).parent, *self.include):
            for candidate in names:
                path = folder / candidate
                if path.is_file():
                    return path
        return None


def _path(source: SourceFile) -> Path:
    return Path(source.name).resolve()
