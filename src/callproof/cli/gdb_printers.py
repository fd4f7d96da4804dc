"""`callproof gdb-printers`"""

from __future__ import annotations


def gdb_printers() -> None:
    """Print the path of the file that teaches gdb to show NewBCPL's and Sox's values.

    Example: `callproof build -g prog.sox && gdb -x "$(callproof gdb-printers)" prog`
    """
    from callproof.gdb import PRINTERS

    print(PRINTERS)
