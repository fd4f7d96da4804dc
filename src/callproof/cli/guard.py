"""What happens around every subcommand: Python's collector is calmed, errors become messages.

Imports nothing of the command line's library, so that `quick.py` can do without it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from callproof.source import CallproofError, InternalError

# Python's cycle collector looks this often, in objects made: with its own 700 it takes a
# quarter of a compilation's time, and finds little.
COLLECTIONS = (50_000, 20, 50)


def guarded(action: Callable[[], None]) -> None:
    """Do it; errors become diagnostics and exit statuses (see `app.py`)."""
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)
    try:
        try:
            _told(action)
        finally:
            if sys.stdout is not None:  # it may be closed
                sys.stdout.flush()  # while errors can still be told
    except KeyboardInterrupt:
        sys.exit(130)  # as shells do for SIGINT; who interrupts knows it
    except BrokenPipeError:
        _forget_output()  # nobody reads any more
        sys.exit(141)
    except OSError as error:
        _fail(_said(error))
    except MemoryError:
        _fail("there is not enough memory")


def _told(action: Callable[[], None]) -> None:
    """Do it, and tell of its errors."""
    try:
        action()
    except CallproofError as error:
        from callproof.cli import sox_errors
        from callproof.cli.output import print_error

        status = sox_errors.print_reference_errors(error)
        if status is not None:
            sys.exit(status)
        print_error(error)
        sys.exit(1)
    except InternalError as error:
        from callproof.cli.output import print_internal_error

        print_internal_error(str(error))
        sys.exit(70)
    except RecursionError:
        from callproof.cli.output import print_error

        print_error(CallproofError("the program is nested too deeply for this compiler"))
        sys.exit(1)


def _said(error: OSError) -> str:
    why = error.strerror or str(error)
    if error.filename is not None:
        return f"{error.filename}: {why}"
    return f"input or output failed: {why}"


def _fail(message: str) -> NoReturn:
    from callproof.cli.output import print_error

    _forget_output()
    print_error(CallproofError(message))
    sys.exit(1)


def _forget_output() -> None:
    """Keep the interpreter from writing at its end what could not be written before."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
