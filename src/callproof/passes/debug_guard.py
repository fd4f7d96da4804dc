"""Keeps what is said of variables true, whatever a pass does; used only with debug information.

A place says "here x is %7", and passes carry places along without looking.  That stays true
as long as an instruction is still where %7 is what it was.  The passes in `CAREFUL` see to
that themselves.  After any other:

- what it has made anew (copies of a loop's body, say) keeps its line, but no variables;
- what it has moved (out of a loop, say) belongs to the line where it is now: a debugger that
  stops at its old line must not stop there;
- if it leads control to another old block than before, past blocks whose values are
  variables, nothing is known in the function any more but its variables in memory.
"""

from __future__ import annotations

from callproof.ir.debug import Place
from callproof.ir.model import Block, Function

CAREFUL = frozenset(
    (
        "simplify-cfg",
        "thread-branches",
        "fold",
        "copy-propagation",
        "gvn",
        "fold-2",
        "dce",
        "inline",  # the copied code has no places, what is left stays in order
        "simplify-cfg-2",
        "tail-calls",
    )
)


class Guard:
    """Made before a pass; `check` comes after it."""

    __slots__ = ("blocks", "homes", "instructions", "targets")

    def __init__(self, function: Function) -> None:
        # The objects themselves are kept, so that no new one can have an old one's id.
        self.blocks = {id(block): block for block in function.blocks}
        self.instructions = {
            id(one): one for block in function.blocks for one in block.instructions
        }
        self.homes = {
            id(one): (block, block.terminator)
            for block in function.blocks
            for one in block.instructions
        }
        self.targets = {
            id(block.terminator): {id(target.block) for target in block.terminator.targets}
            for block in function.blocks
        }

    def check(self, function: Function) -> None:
        """Take back what may not be true any more."""
        debug = function.debug
        assert debug is not None
        old = self.instructions
        for block in function.blocks:
            for one in block.instructions:
                home = self.homes.get(id(one))
                if home is not None and block is not home[0] and block.terminator is not home[1]:
                    one.line = block.terminator.line
                line = one.line
                if id(one) in old or not isinstance(line, Place) or line.owner is not debug:
                    continue
                if not line.values:
                    continue
                plain = Place(line)
                plain.owner, plain.scope, plain.inlined_at = debug, line.scope, line.inlined_at
                plain.values = {v: parts for v, parts in line.values.items() if not parts}
                one.line = plain
        if any(self._led_elsewhere(block) for block in function.blocks):
            debug.forget_all()

    def _led_elsewhere(self, block: Block) -> bool:
        before = self.targets.get(id(block.terminator))
        if before is None:
            return False
        for target in block.terminator.targets:
            destination = target.block
            # New blocks in between that lead nowhere else do no harm.
            for _ in range(8):
                if id(destination) in self.blocks or len(destination.successors()) != 1:
                    break
                destination = destination.successors()[0]
            if id(destination) not in before:
                return True
        return False
