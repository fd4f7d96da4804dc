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


def block_end(lines: list[str], start: int) -> int:
    """The line behind the statement that starts there (behind its closing brace)."""
    depth = 0
    for at in range(start, len(lines)):
        depth += lines[at].count("{") - lines[at].count("}")
        if depth <= 0 and not lines[at].rstrip().endswith("{"):
            return at + 1
    return len(lines)


def smaller(lines: list[str]) -> Iterator[list[str]]:
    """Programs with something left out, the largest pieces first."""
    size = len(lines) // 2
    while size > 1:
        for start in range(0, len(lines), size):
            yield lines[:start] + lines[start + size :]
        size //= 2
    for start in range(len(lines)):
        end = block_end(lines, start)
        yield lines[:start] + lines[end:]
        if end - start > 2:  # the inside without its head and brace
            yield lines[:start] + lines[start + 1 : end - 1] + lines[end:]
    for at, line in enumerate(lines):
        for pattern, simple in SIMPLER:
            for found in pattern.finditer(line):
                changed = line[: found.start()] + simple + line[found.end() :]
                if changed != line:
                    yield [*lines[:at], changed, *lines[at + 1 :]]


def shrink(text: str, shows_fault: Callable[[str], bool], most: int = 2000) -> str:
    """The smallest program found with at most `most` trials; `text` itself must show the fault."""
    lines = text.splitlines()
    trials = 0
    progress = True
    while progress:
        progress = False
        for candidate in smaller(lines):
            trials += 1
            if trials > most:
                break
            if shows_fault("\n".join(candidate) + "\n"):
                lines, progress = candidate, True
                break
    return "\n".join(lines) + "\n"
