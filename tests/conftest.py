"""What holds for all tests."""

from __future__ import annotations

import gc

from callproof.cli.app import COLLECTIONS

# As the command line does: compilers make many objects and few cycles.
gc.set_threshold(*COLLECTIONS)
