"""Makes a failing Sox program smaller, for differences that random programs find.

It works on lines, as the generator writes them: braces that open on one line close at the
start of a later one.  Whatever still shows the fault is kept; the caller's test must itself
reject programs that no longer compile or fail in another way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

# In a line: a bracketed or constant operand gives way to a plain number.
SIMPLER = [
    (re.compile(r"\([^()]*\)"), "1"),
    (re.compile(r"\b[A-Za-z_]\w*\([^()]*\)"), "1"),
    (re.compile(r" (and|or|[-+*/%]) [^ ();]+"), ""),
]

Accept = Callable[[list[str]], bool]  # does this program still show the fault?


def block_end(lines: list[str], start: int) -> int:
    """The line behind the statement that starts there (behind its closing brace)."""
    depth = 0
    for at in range(start, len(lines)):
        depth += lines[at].count("{") - lines[at].count("}")
        if depth <= 0 and not lines[at].rstrip().endswith("{"):
            return at + 1
    return len(lines)


def without_chunks(lines: list[str], accept: Accept) -> list[str]:
    """Leave out runs of lines, the longest first."""
    size = len(lines) // 2
    while size > 0:
        start = 0
        while start < len(lines):
            candidate = lines[:start] + lines[start + size :]
            if accept(candidate):
                lines = candidate
            else:
                start += size
        size //= 2
    return lines


def without_statements(lines: list[str], accept: Accept) -> list[str]:
    """Leave out whole statements, or the head and the brace around a block."""
    at = 0
    while at < len(lines):
        end = block_end(lines, at)
        candidates = [lines[:at] + lines[end:]]
        if end - at > 2:
            candidates.append(lines[:at] + lines[at + 1 : end - 1] + lines[end:])
        kept = next((candidate for candidate in candidates if accept(candidate)), None)
        if kept is None:
            at += 1
        else:
            lines = kept
    return lines


def with_simpler_lines(lines: list[str], accept: Accept) -> list[str]:
    at = 0
    while at < len(lines):
        kept = next((one for one in simpler(lines, at) if accept(one)), None)
        if kept is None:
            at += 1
        else:
            lines = kept
    return lines


def simpler(lines: list[str], at: int) -> Iterator[list[str]]:
    line = lines[at]
    for pattern, simple in SIMPLER:
        for found in pattern.finditer(line):
            changed = line[: found.start()] + simple + line[found.end() :]
            if len(changed) < len(line):
                yield [*lines[:at], changed, *lines[at + 1 :]]


def shrink(text: str, shows_fault: Callable[[str], bool]) -> str:
    """A program from which nothing more can be left out; `text` itself must show the fault."""

    def accept(lines: list[str]) -> bool:
        return shows_fault("\n".join(lines) + "\n")

    lines = text.splitlines()
    before = None
    while lines != before:
        before = lines
        for reduce in (without_chunks, without_statements, with_simpler_lines):
            lines = reduce(lines, accept)
    return "\n".join(lines) + "\n"
