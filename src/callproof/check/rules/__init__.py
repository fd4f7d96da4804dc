"""The rules, one a file.  A module's text is what `callproof check --explain RULE` prints.

Each module has a `RULE`; what the flow saw (`Event.kind`) leads to the rule that makes a
finding of it.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from callproof.check.rules.base import Rule

NAMES = "CS1 CS2 CR1 CR2 AR1 AR2 MV1 SP1 SP2 SP3 LR1 FP1 PL1 RL1 BT1".split()
MODULES: dict[str, ModuleType] = {
    name: import_module(f"callproof.check.rules.{name.lower()}") for name in NAMES
}
RULES: dict[str, Rule] = {name: module.RULE for name, module in MODULES.items()}


def explain(name: str) -> str:
    """The text of a rule; KeyError if there is none of that name."""
    rule = RULES[name]
    text = (MODULES[name].__doc__ or "").strip()
    return f"{rule.name}: {text}\n\nClause: {rule.clause}\nRemedy: {rule.remedy}\n"
