"""Traces of Sox errors as they are printed."""

from __future__ import annotations

LONGEST_TRACE = 64  # lines; of a longer one, repetitions are folded
LONGEST_GROUP = 8  # lines of a repetition


def folded(trace: list[str]) -> list[str]:
    """Groups of lines that repeat at least twice more are counted, if the trace is long."""
    if len(trace) <= LONGEST_TRACE:
        return trace
    lines: list[str] = []
    at = 0
    while at < len(trace):
        for period in range(1, LONGEST_GROUP + 1):
            group = trace[at : at + period]
            times = 0
            while trace[at + (times + 1) * period : at + (times + 2) * period] == group:
                times += 1
            if times >= 2:
                what = "line" if period == 1 else "lines"
                lines += [*group, f"... the last {period} {what} {times} more times"]
                at += period * (times + 1)
                break
        else:
            lines.append(trace[at])
            at += 1
    return lines
