"""The checker's rules for x86-64 (System V), on code of our own compiler.

    code      an image's functions, decoded by the instruction table     (code.py)
    values    what registers and stack slots hold                        (values.py, state.py)
    flow      one function's states, and what is wrong in them           (flow.py, calls.py)
    program   all functions of an image -> a report                      (program.py, findings.py)

Takes images (`check/image.py`), gives the reports that AArch64's checker gives, by the same
rules' names.  Other than there each function is looked at alone: a call changes what the
convention lets it change, and its arguments are those of the callee's function record.
"""

from __future__ import annotations

from callproof.check.x64.program import check_image

__all__ = ["check_image"]
