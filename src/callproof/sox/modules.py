"""Finding and reading the modules that a program imports (reference, sections 13, 18, 20).

Imports execute at run time, and so do their failures: one that cannot be found, read or
compiled is an error only if control reaches the import.  That a module imports itself, directly
or through others, is noticed at run time too: here it is just a module like any other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from callproof.source import CallproofError, Diagnostics
from callproof.sox import nodes as ast
from callproof.sox.lexer import SoxSource
from callproof.sox.parser import parse
from callproof.sox.symbols import MODULE, ImportFailure, Module, Program


@dataclass(frozen=True, slots=True)
class SearchPlaces:
    """`directory` stands for the process's working directory ('' is that itself)."""

    directory: str = ""
    folders: tuple[str, ...] = ()  # --module-path


def candidates(path: str, importer: Path | None, places: SearchPlaces) -> Iterator[str]:
    """Where a module may be, in order; not all of them exist."""
    for spelling in (path, f"{path}.sox", f"./{path}.sox", f"./{path}"):
        yield os.path.join(places.directory, spelling)
    folders = [str(importer.parent)] if importer is not None else []
    for folder in (*folders, *places.folders):
        for spelling in (path, f"{path}.sox"):
            yield os.path.join(folder, spelling)


class Loader:
    """Reads every module once; `warnings` gets the imports that are going to fail.

    The key of a module is the path as written (as in the reference), together with the file
    that it leads to: the same words may mean another file beside another importer.
    """

    def __init__(self, places: SearchPlaces, warnings: Diagnostics) -> None:
        self.places = places
        self.warnings = warnings
        self.known: dict[tuple[str, str], Module | ImportFailure] = {}
        self.modules: list[Module] = []

    def program(self, script: Module) -> Program:
        self.modules.append(script)
        for module in self.modules:  # grows on the way
            for node in module.imports:
                node.target = self.target(node, module)
                if isinstance(node.target, ImportFailure):
                    message = node.target.message.decode("utf-8", "replace")
                    self.warnings.warning(message, node.span, code="import")
        return Program(script, self.modules)

    def target(self, node: ast.Import, importer: Module) -> Module | ImportFailure:
        path = os.fsdecode(node.path)
        for file in candidates(path, importer.path, self.places):
            if os.path.isfile(file):
                break
        else:
            return ImportFailure(b"Module not found: '%s'" % node.path)
        key = (path, file)
        if key not in self.known:
            self.known[key] = self.read(path, file)
        return self.known[key]

    def read(self, path: str, file: str) -> Module | ImportFailure:
        shown = os.fsencode(os.path.relpath(file, self.places.directory or "."))
        if os.path.join(self.places.directory, path) == file:
            shown = os.fsencode(path)
        try:
            source = SoxSource.read(file)
        except CallproofError:
            return ImportFailure(b"Could not read module: '%s'" % shown)
        diagnostics = Diagnostics()
        module = parse(source, diagnostics, MODULE, path, Path(file))
        if diagnostics.errors:
            for found in diagnostics.errors:
                self.warnings.warning(found.message, found.span, found.notes, found.code)
            message = b"Failed to compile module: '%s'" % shown
            return ImportFailure(message, tuple(diagnostics.errors))
        self.modules.append(module)
        return module
