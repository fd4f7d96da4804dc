"""Source files, places in them, and every message that a person sees.

This is the only module that every stage may import.  A stage that finds
something wrong adds a `Diagnostic` to a `Diagnostics` collection (and goes on
if it can), or raises `CallproofError` when there is nothing to go on with.
`cli/` prints both; no other module writes to the terminal.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


class SourceFile:
    """A text with a name; turns offsets (in characters) into lines and columns (from 1)."""

    __slots__ = ("_line_starts", "name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._line_starts: list[int] | None = None

    @classmethod
    def read(cls, path: Path | str) -> SourceFile:
        """Read a UTF-8 file; a BOM is dropped.

        Raises `CallproofError` if it cannot be read or is not UTF-8.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise CallproofError(f"cannot read {path}: {error.strerror or error}") from error
        try:
            return cls(str(path), data.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise CallproofError(
                f"{path}:{line}: not valid UTF-8 (byte {data[error.start]:#04x} "
                f"at offset {error.start})"
            ) from error

    def line_starts(self) -> list[int]:
        if self._line_starts is None:
            starts = [0]
            find = self.text.find
            position = find("\n")
            while position >= 0:
                starts.append(position + 1)
                position = find("\n", position + 1)
            self._line_starts = starts
        return self._line_starts

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1, of a character offset."""
        starts = self.line_starts()
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    def line_of(self, offset: int) -> int:
        """The line, from 1, of a character offset."""
        return bisect_right(self._line_starts or self.line_starts(), offset)

    def line_text(self, line: int) -> str:
        """The text of a line (from 1) without its end; '' past the end of the file."""
        starts = self.line_starts()
        if not 1 <= line <= len(starts):
            return ""
        end = starts[line] if line < len(starts) else len(self.text)
        return self.text[starts[line - 1] : end].rstrip("\r\n")


class Span:
    """Characters `start` up to but not including `end` of a file; never changed.

    Parsers make one for each node, so it is a plain class: a frozen dataclass takes three
    times as long to make.
    """

    __slots__ = ("end", "file", "start")

    def __init__(self, file: SourceFile, start: int, end: int) -> None:
        self.file = file
        self.start = start
        self.end = end

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Span)
            and self.start == other.start
            and self.end == other.end
            and self.file is other.file
        )

    def __hash__(self) -> int:
        return hash((self.file, self.start, self.end))

    def __repr__(self) -> str:
        return f"Span({self.file.name!r}, {self.start}, {self.end})"

    @property
    def line(self) -> int:
        return self.file.line_of(self.start)

    @property
    def column(self) -> int:
        return self.file.line_and_column(self.start)[1]

    def to(self, other: Span) -> Span:
        """From the start of this span to the end of `other` (same file)."""
        end, last = self.end, other.end
        return Span(self.file, self.start, last if last > end else end)

    def __str__(self) -> str:
        line, column = self.file.line_and_column(self.start)
        return f"{self.file.name}:{line}:{column}"


@dataclass(frozen=True, slots=True)
class Note:
    """A second place or a remedy that belongs to a diagnostic."""

    message: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One message: `severity` is 'error' or 'warning'; `code` a stable name for scripts."""

    severity: str
    message: str
    span: Span | None = None
    notes: tuple[Note, ...] = ()
    code: str = ""

    def render(self) -> str:
        """Plain text: place, message, source line, caret; then the notes."""
        lines = [_headline(self.span, f"{self.severity}: {self.message}")]
        lines += _excerpt(self.span)
        for note in self.notes:
            lines.append(_headline(note.span, f"note: {note.message}"))
            lines += _excerpt(note.span)
        return "\n".join(lines)


def _headline(span: Span | None, text: str) -> str:
    return f"{span}: {text}" if span is not None else text


LONGEST_EXCERPT = 200  # characters


def _excerpt(span: Span | None) -> list[str]:
    if span is None:
        return []
    line, column = span.file.line_and_column(span.start)
    text = span.file.line_text(line)
    if len(text) > LONGEST_EXCERPT:  # a machine's line: only what is around the place
        cut = max(0, min(column - 1 - LONGEST_EXCERPT // 2, len(text) - LONGEST_EXCERPT))
        text = text[cut : cut + LONGEST_EXCERPT]
        column -= cut
    # Tabs stay tabs in the caret's line, so that it lines up however wide they are shown.
    lead = "".join("\t" if character == "\t" else " " for character in text[: column - 1])
    width = max(1, min(span.end - span.start, len(text) - column + 1))
    return [f"{line:>5} | {text}", f"      | {lead}^{'~' * (width - 1)}"]


class CallproofError(Exception):
    """A refusal with a reason; the CLI prints it and exits with a non-zero status.

    `diagnostics` holds everything that is to be shown; the exception's text is
    the first of them, so that a traceback-free `str()` is always worth reading.
    """

    def __init__(self, message: str | Diagnostic | Iterable[Diagnostic]) -> None:
        if isinstance(message, str):
            self.diagnostics: tuple[Diagnostic, ...] = (Diagnostic("error", message),)
        elif isinstance(message, Diagnostic):
            self.diagnostics = (message,)
        else:
            self.diagnostics = tuple(message)
        super().__init__("\n".join(diagnostic.render() for diagnostic in self.diagnostics))


class InternalError(Exception):
    """A broken invariant of ours (never the user's fault): a bug to be reported."""


@dataclass(slots=True)
class Diagnostics:
    """Collects messages of one compilation; equal messages at one place are kept once."""

    found: list[Diagnostic] = field(default_factory=list)
    _seen: set[tuple[str, str, str]] = field(default_factory=set)

    def _add(
        self, severity: str, message: str, span: Span | None, notes: Iterable[Note], code: str
    ) -> None:
        key = (severity, message, str(span))
        if key not in self._seen:
            self._seen.add(key)
            self.found.append(Diagnostic(severity, message, span, tuple(notes), code))

    def error(
        self, message: str, span: Span | None = None, notes: Iterable[Note] = (), code: str = ""
    ) -> None:
        self._add("error", message, span, notes, code)

    def warning(
        self, message: str, span: Span | None = None, notes: Iterable[Note] = (), code: str = ""
    ) -> None:
        self._add("warning", message, span, notes, code)

    @property
    def errors(self) -> list[Diagnostic]:
        return [diagnostic for diagnostic in self.found if diagnostic.severity == "error"]

    def raise_if_errors(self) -> None:
        """Raise `CallproofError` with all messages so far if any of them is an error."""
        if self.errors:
            raise CallproofError(self.found)
