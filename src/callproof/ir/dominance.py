"""Reverse postorder and dominators of a function's blocks."""

from __future__ import annotations

from callproof.ir.model import Block, Function


def reverse_postorder(function: Function) -> list[Block]:
    """Reachable blocks, each before those that it dominates; without recursion."""
    entry = function.blocks[0]
    seen = {entry}
    postorder: list[Block] = []
    stack = [entry]
    edges = [reversed(entry.instructions[-1].targets)]
    while stack:
        for target in edges[-1]:
            following = target.block
            if following not in seen:
                seen.add(following)
                stack.append(following)
                edges.append(reversed(following.instructions[-1].targets))
                break
        else:
            edges.pop()
            postorder.append(stack.pop())
    postorder.reverse()
    return postorder


def immediate_dominators(predecessors: list[list[int]]) -> list[int]:
    """Of nodes numbered in reverse postorder, 0 the entry; all are reachable.

    The iterative algorithm of Cooper, Harvey and Kennedy.
    """
    idom = [-1] * len(predecessors)
    idom[0] = 0
    changed = True
    while changed:
        changed = False
        for position in range(1, len(predecessors)):
            new = -1
            for predecessor in predecessors[position]:
                if idom[predecessor] < 0:
                    continue
                if new < 0:
                    new = predecessor
                    continue
                other = predecessor
                while new != other:
                    while new > other:
                        new = idom[new]
                    while other > new:
                        other = idom[other]
            if new != idom[position]:
                idom[position] = new
                changed = True
    return idom


class Dominators:
    """The dominator tree of a function.

    `order` is the reverse postorder, `predecessors[i]` the positions in it of the blocks
    that jump to block i, `idom[i]` the position in it of the immediate
    dominator of block i (0 for the entry), `children[i]` the blocks that i immediately
    dominates, `index` maps `id(block)` to its position.
    """

    __slots__ = ("_enter", "_leave", "children", "idom", "index", "order", "predecessors")

    def __init__(self, function: Function) -> None:
        self.order = reverse_postorder(function)
        self.index = {id(block): position for position, block in enumerate(self.order)}
        predecessors: list[list[int]] = [[] for _ in self.order]
        for position, block in enumerate(self.order):
            for successor in block.successors():
                predecessors[self.index[id(successor)]].append(position)
        self.predecessors = predecessors
        self.idom = idom = immediate_dominators(predecessors)
        self.children: list[list[int]] = [[] for _ in self.order]
        for position in range(1, len(self.order)):
            self.children[idom[position]].append(position)
        self._number()

    def _number(self) -> None:
        """Enter and leave times of a walk over the dominator tree."""
        self._enter = [0] * len(self.order)
        self._leave = [0] * len(self.order)
        clock = 0
        stack = [(0, False)]
        while stack:
            position, done = stack.pop()
            clock += 1
            if done:
                self._leave[position] = clock
                continue
            self._enter[position] = clock
            stack.append((position, True))
            stack += [(child, False) for child in reversed(self.children[position])]

    def dominates(self, first: int, second: int) -> bool:
        """Whether block `first` (a position in `order`) dominates `second`."""
        return (
            self._enter[first] <= self._enter[second] and self._leave[second] <= self._leave[first]
        )
