"""The checker: broken calls in any AArch64 code (and our x86-64 code), found without running it.

    load      bytes of any format -> `Image`s (addresses, symbols, frames)    (load*.py)
    functions where functions start and end, and how that is known            (functions.py)
    flow      one function's state at each instruction                        (state.py, flow.py)
    program   all functions, callees first: summaries                         (program.py)
    x64       the same for x86-64 code, one function at a time                 (x64/)
    rules     one file a rule: what the flow saw -> findings                  (rules/)
    report    text, JSON, SARIF, HTML                                         (report*.py)

Takes files; knows the instruction facts (`target/arm64/effects.py`), object formats and
the ABI's register sets; knows nothing of the compiler.
"""

from __future__ import annotations

from callproof.check.assertion import assert_calls_ok
from callproof.check.checker import CheckOptions, Result, check_bytes, check_file
from callproof.check.finding import Finding, Step

__all__ = [
    "CheckOptions",
    "Finding",
    "Result",
    "Step",
    "assert_calls_ok",
    "check_bytes",
    "check_file",
]
