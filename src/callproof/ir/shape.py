"""The shape of a function's control flow, found when it is asked for and kept until it changes.

Passes that are given one and change blocks, jumps or the order of a jump's targets `forget`
it; everything else (instructions, arguments, parameters) does not matter to it.
"""

from __future__ import annotations

from callproof.ir.dominance import Dominators
from callproof.ir.loops import Loops
from callproof.ir.model import Block, Function


class Shape:
    """Of one function: its dominators, which know its blocks in reverse postorder, and loops."""

    __slots__ = ("_loops", "_tree", "function")

    def __init__(self, function: Function) -> None:
        self.function = function
        self._tree: Dominators | None = None
        self._loops: Loops | None = None

    def forget(self) -> None:
        self._tree = None
        self._loops = None

    def tree(self) -> Dominators:
        tree = self._tree
        if tree is None:
            tree = self._tree = Dominators(self.function)
        return tree

    def loops(self) -> Loops:
        loops = self._loops
        if loops is None:
            tree = self.tree()
            loops = self._loops = Loops(tree.predecessors, tree.idom)
        return loops

    def has_loops(self) -> bool:
        tree = self._tree if self._tree is not None else self.tree()
        return tree.has_cycles and bool(self.loops().loops)

    def order(self) -> list[Block]:
        """Reachable blocks in reverse postorder."""
        return self.tree().order

    def is_true(self) -> bool:
        """Whether what is kept is still so; for those who verify."""
        if self._tree is None:
            return True
        now = Dominators(self.function)
        return self._tree.order == now.order and self._tree.predecessors == now.predecessors


def shape_of(function: Function, shape: Shape | None) -> Shape:
    """The given shape, or a new one for a pass that runs by itself."""
    return shape if shape is not None else Shape(function)


__all__ = ["Shape", "shape_of"]
