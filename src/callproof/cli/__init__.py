"""The command line: one thin module per subcommand.

Takes words, calls `callproof.driver`, prints what comes back.  Nothing but this
folder writes to the terminal or decides an exit status.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `callproof` script."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        # Before anything is imported: scripts ask this often.
        from callproof import version_text
        from callproof.cli.guard import guarded

        guarded(lambda: print(version_text()))
        return
    if sys.argv[1:2] == ["build"]:
        from callproof.cli import quick
        from callproof.cli.guard import guarded

        request = quick.parse(sys.argv[2:])
        if request is not None:
            guarded(lambda: quick.build(request))
            return
    if sys.argv[1:2] == ["link"]:
        from callproof.cli import quick_link
        from callproof.cli.guard import guarded

        wanted = quick_link.parse(sys.argv[2:])
        if wanted is not None:
            guarded(lambda: quick_link.link(wanted))
            return
    from callproof.cli.app import run

    run()
