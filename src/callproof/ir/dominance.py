"""Reachable blocks, reverse postorder and dominators of a function's blocks."""

from __future__ import annotations

from callproof.ir.model import Block, Function


def edge_counts(function: Function) -> dict[Block, int]:
    """The blocks that control can get to, and how many edges lead to each from such blocks."""
    entry = function.blocks[0]
    found = {entry: 0}
    pending = [entry]
    for block in pending:  # grows
        for target in block.instructions[-1].targets:
            following = target.block
            if following in found:
                found[following] += 1
            else:
                found[following] = 1
                pending.append(following)
    return found


def reverse_postorder(function: Function) -> list[Block]:
    """Reachable blocks, each before those that it dominates; without recursion."""
    seen: set[Block] = set()
    postorder: list[Block] = []
    # The walk is in the blocks of the path; what is pending is looked at when it has gone back
    # to that length of the path.
    if not function.blocks[0].instructions[-1].targets:
        return function.blocks[:1]
    path: list[Block] = []
    pending: list[tuple[Block, int]] = []
    block = function.blocks[0]
    while True:
        seen.add(block)
        path.append(block)
        targets = block.instructions[-1].targets
        if targets:
            if len(targets) > 1:
                length = len(path)
                for target in targets[:-1]:
                    pending.append((target.block, length))
            block = targets[-1].block
            if block not in seen:
                continue
        while pending:
            block, length = pending.pop()
            if block not in seen:
                break
        else:
            break
        if len(path) > length:
            postorder += path[: length - 1 : -1]
            del path[length:]
    postorder += reversed(path)
    postorder.reverse()
    return postorder


def immediate_dominators(predecessors: list[list[int]]) -> list[int]:
    """Of nodes numbered in reverse postorder, 0 the entry; all are reachable.

    Each node's predecessors come in ascending order, so that the first is before the node.
    The iterative algorithm of Cooper, Harvey and Kennedy.
    """
    idom = [-1] * len(predecessors)
    idom[0] = 0
    changed = True
    waiting = False  # for what is known of some predecessor in the next round only
    while changed:
        changed = False
        for position in range(1, len(predecessors)):
            before = predecessors[position]
            new = before[0]
            if len(before) > 1:
                for other in before:
                    if idom[other] < 0:
                        waiting = True
                        continue
                    while new != other:
                        while new > other:
                            new = idom[new]
                        while other > new:
                            other = idom[other]
            if new != idom[position]:
                idom[position] = new
                changed = True
        changed &= waiting  # without cycles the first round is the last
    return idom


class Dominators:
    """The dominator tree of a function.

    `order` is the reverse postorder, `predecessors[i]` the positions in it of the blocks
    that jump to block i, `idom[i]` the position in it of the immediate
    dominator of block i (0 for the entry), `children[i]` the blocks that i immediately
    dominates, `index` maps a block to its position.  `has_cycles`: some block is followed by
    itself or one before it.
    """

    __slots__ = (
        "_enter",
        "_leave",
        "children",
        "has_cycles",
        "idom",
        "index",
        "order",
        "predecessors",
    )

    def __init__(self, function: Function) -> None:
        self.order = order = reverse_postorder(function)
        self.index = index = {block: position for position, block in enumerate(order)}
        self.predecessors: list[list[int]] = [[] for _ in order]
        self.children: list[list[int]] = [[] for _ in order]
        self.has_cycles = False
        self._enter: list[int] = []
        self._leave: list[int] = []
        if len(order) == 1:  # there are many such functions
            self.idom = [0]
            return
        for position, block in enumerate(order):
            for target in block.instructions[-1].targets:
                following = index[target.block]
                self.predecessors[following].append(position)
                if following <= position:
                    self.has_cycles = True
        self.idom = immediate_dominators(self.predecessors)
        for position in range(1, len(order)):
            self.children[self.idom[position]].append(position)

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
        if not self._enter:  # most trees are never asked
            self._number()
        return (
            self._enter[first] <= self._enter[second] and self._leave[second] <= self._leave[first]
        )
