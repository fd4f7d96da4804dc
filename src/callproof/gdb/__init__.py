"""What gdb loads: printers of NewBCPL's and Sox's values (`printers.py`).

`printers.py` is run by gdb's own Python, which knows nothing of this package: it imports
nothing of it, and is never imported by it.  The offsets in it are those of
`runtime/sox_layout.py` and `runtime/bcpl/bcpl.h`; tests compare them.
"""

from __future__ import annotations

from pathlib import Path

PRINTERS = Path(__file__).parent / "printers.py"
