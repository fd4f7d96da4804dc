"""How errors in Sox programs are shown: in the reference's words, or in ours (rich)."""

from __future__ import annotations

import os
import sys

from callproof.source import CallproofError

COMPILE_ERROR, CANNOT_OPEN = 65, 74
VARIABLE = "CALLPROOF_DIAGNOSTICS"


def wants_rich() -> bool:
    return os.environ.get(VARIABLE, "") == "rich"


def print_reference_errors(error: CallproofError) -> int | None:
    """Print errors of a Sox program as the reference does; its exit status.

    None if they are no such errors, and nothing is printed.
    """
    from callproof.sox.frontend import CANNOT_OPEN as CODE
    from callproof.sox.frontend import reference_errors
    from callproof.sox.lexer import SoxSource

    errors = [one for one in error.diagnostics if one.severity == "error"]
    if any(one.code == CODE for one in errors):
        for one in errors:
            print(one.message, file=sys.stderr)
            name = one.message.partition('"')[2].removesuffix('".')
            print(f"Could not read file: {name}")
        return CANNOT_OPEN
    if not errors or not all(
        one.span is not None and isinstance(one.span.file, SoxSource) for one in errors
    ):
        return None
    if wants_rich():
        from callproof.cli.output import print_diagnostics

        print_diagnostics(errors)
    else:
        sys.stderr.flush()
        for line in reference_errors(errors):
            sys.stderr.buffer.write(line + b"\n")
        sys.stderr.buffer.flush()
    return COMPILE_ERROR
