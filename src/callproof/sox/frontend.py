"""The front end as one function: a script's file in, a resolved program out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from callproof.source import CallproofError, Diagnostic, Diagnostics
from callproof.sox.lexer import SoxSource
from callproof.sox.modules import Loader, SearchPlaces
from callproof.sox.parse_base import LEXICAL_CODES
from callproof.sox.parser import parse
from callproof.sox.symbols import Program

OPEN_ENDS = ("unterminated-string", "unterminated-comment")
CANNOT_OPEN = "cannot-open"  # the code of the diagnostic; the reference exits with 74


def load(
    path: Path | str,
    places: SearchPlaces | None = None,
    diagnostics: Diagnostics | None = None,
) -> Program:
    """Read a script and all that it imports.

    Raises `CallproofError` with everything wrong in the script itself (`reference_errors`
    renders it in the reference's words).  Imports that are bound to fail when they execute are
    warnings in `diagnostics`.
    """
    try:
        source = SoxSource.read(path)
    except CallproofError as error:
        found = Diagnostic("error", f'Could not open file "{path}".', code=CANNOT_OPEN)
        raise CallproofError(found) from error
    return load_source(source, Path(path), places, diagnostics)


def load_source(
    source: SoxSource,
    path: Path | None = None,
    places: SearchPlaces | None = None,
    diagnostics: Diagnostics | None = None,
) -> Program:
    """As `load`, of a text at hand; `path` is where its imports are looked for, too."""
    diagnostics = Diagnostics() if diagnostics is None else diagnostics
    script = parse(source, diagnostics, path=path)
    diagnostics.raise_if_errors()
    return Loader(places or SearchPlaces(), diagnostics).program(script)


def reference_errors(diagnostics: Iterable[Diagnostic]) -> list[bytes]:
    """The lines that the reference prints for compile errors (section 16), without line ends.

    Other diagnostics (warnings, files that cannot be read) give none.
    """
    return [
        _reference_line(found)
        for found in diagnostics
        if found.severity == "error" and found.span is not None
    ]


def is_unfinished(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether more text could cure the first error: the text ended too early.

    A prompt then asks for another line.
    """
    first = next((found for found in diagnostics if found.severity == "error"), None)
    if first is None or first.span is None:
        return False
    at_end = first.span.start == first.span.end == len(first.span.file.text)
    return at_end or first.code in OPEN_ENDS


def _reference_line(found: Diagnostic) -> bytes:
    span = found.span
    assert span is not None
    text = span.file.text
    lexeme = text[span.start : span.end].encode("latin-1")
    # The reference has read the whole token when it reports it: a text that is never closed is
    # reported at the last line, other tokens where they end.
    last = span.end if found.code in OPEN_ENDS else max(span.start, span.end - 1)
    if found.code in LEXICAL_CODES.values():
        place = b""
    elif span.start == span.end:
        place = b" at end"
    else:
        place = b" at '%s'" % lexeme
    line = text.count("\n", 0, last) + 1
    return b"[line %d] Error%s: %s" % (line, place, found.message.encode())
