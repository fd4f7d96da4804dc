"""What the checker says: findings with their evidence."""

from __future__ import annotations

from dataclasses import dataclass, field

SEVERITIES = ("note", "warning", "error")


@dataclass(frozen=True, slots=True)
class Step:
    """An instruction on the path and what matters there."""

    address: int
    text: str
    comment: str = ""


@dataclass(slots=True)
class Finding:
    """One broken call: `rule` (CS1 …), `registers` by name, `place` for people,
    `steps` the path in order; `assumption` what decides where it is not certain."""

    rule: str
    severity: str
    file: str
    function: str
    address: int
    place: str
    message: str
    registers: tuple[str, ...] = ()
    steps: list[Step] = field(default_factory=list)
    clause: str = ""
    remedy: str = ""
    assumption: str = ""


def register_name(bit: int) -> str:
    """The name of a bit of a register set (see `target/arm64/effects.py`)."""
    if bit < 31:
        return f"x{bit}"
    if bit == 31:
        return "sp"
    if bit < 64:
        return f"d{bit - 32}"
    if bit < 96:
        return f"v{bit - 64}.d[1]"
    return "nzcv"
