"""What happens around every subcommand: Python's collector is calmed, errors become messages.

Imports nothing of the command line's library, so that `quick.py` can do without it.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable

from callproof.source import CallproofError, InternalError

# Python's cycle collector looks this often, in objects made: with its own 700 it takes a
# quarter of a compilation's time, and finds little.
COLLECTIONS = (50_000, 20, 50)


def guarded(action: Callable[[], None]) -> None:
    """Do it; errors become diagnostics and exit statuses (see `app.py`)."""
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)
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
    except KeyboardInterrupt:
        sys.exit(130)  # as shells do for SIGINT; who interrupts knows it
    except BrokenPipeError:
        # Nobody reads any more; keep the interpreter from complaining at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
