"""What a rule is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from callproof.check.finding import Step

if TYPE_CHECKING:
    from callproof.check.evidence import Evidence
    from callproof.check.flow import Event

Described = tuple[str, list[Step]]


@dataclass(frozen=True, slots=True)
class Rule:
    """`kinds` are the events it makes findings of; `describe` gives message and path.

    `takes`: which events of those kinds are this rule's (by register); `opt_in`: only if
    asked for; `assumption`: what a finding that is no error depends on.
    """

    name: str
    title: str
    kinds: tuple[str, ...]
    clause: str
    remedy: str
    describe: Callable[[Evidence, Event], Described]
    takes: Callable[[Event], bool] = lambda event: True
    opt_in: bool = False
    assumption: str = ""
