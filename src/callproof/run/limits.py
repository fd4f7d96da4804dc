"""How much an executed program may take."""

from __future__ import annotations

from dataclasses import dataclass

TIMEOUT_STATUS = 124  # as timeout(1)


@dataclass(slots=True)
class Limits:
    """Sizes are of the emulated process; `seconds` of wall-clock time, None for no limit."""

    stack_bytes: int = 8 << 20
    memory_bytes: int = 4 << 30
    seconds: float | None = None
