"""The shape of a machine function: predecessors, dominators, loops.

Everything is by block index.  Blocks come in an order in which each but the entry has a
predecessor before it (reverse postorder has that); in any other order nothing but the entry
dominates anything, and there are no loops, so that what is built on them only does less.
"""

from __future__ import annotations

from callproof.codegen.machine import MachineFunction

HEAVIER = 8  # how often a loop's body runs, for each time that the loop is entered
DEEPEST = 5  # loops around a block that count


class Flow:
    """predecessors   with repetitions, one for each edge
    idom           immediate dominator; the entry's is itself
    header         the header of the smallest loop around a block, -1 for none
    outer          header -> the header of the loop around the loop, -1 for none
    weight         an estimate of how often a block runs, 1 for code outside of loops
    with_calls     headers of loops that have calls in them, elsewhere than in rare blocks

    Dominators are found when they are asked for: without a jump back there are no loops, and
    few ask.
    """

    __slots__ = (
        "_backward",
        "_enter",
        "_idom",
        "_size",
        "header",
        "outer",
        "predecessors",
        "weight",
        "with_calls",
    )

    def __init__(self, function: MachineFunction) -> None:
        blocks = function.blocks
        self.predecessors: list[list[int]] = [[] for _ in blocks]
        backward: list[tuple[int, int]] = []
        for block in blocks:
            index = block.index
            for successor in block.successors:
                self.predecessors[successor.index].append(index)
                if successor.index <= index:
                    backward.append((successor.index, index))
        self.header = [-1] * len(blocks)
        self.outer: dict[int, int] = {}
        self._backward = bool(backward)
        self._idom: list[int] = []
        self._enter: list[int] = []
        self._size: list[int] = []
        self.weight = [1] * len(blocks)
        self.with_calls: set[int] = set()
        if backward and self._ordered():
            self._find_loops(backward)
            if self.outer:
                self._weigh(function)

    @property
    def idom(self) -> list[int]:
        if not self._idom:
            self._find_dominators()
        return self._idom

    def dominates(self, first: int, second: int) -> bool:
        """Whether block `first` is on all ways from the entry to `second`."""
        if not self._idom:
            self._find_dominators()
        return 0 <= self._enter[second] - self._enter[first] < self._size[first]

    def preheader(self, header: int) -> int:
        """The only block outside of a loop from which it is entered, -1 if there are several."""
        found = -1
        for predecessor in self.predecessors[header]:
            if self.contains(header, predecessor):
                continue
            if found >= 0:
                return -1
            found = predecessor
        return found

    def contains(self, header: int, block: int) -> bool:
        """Whether a block is in the loop with that header."""
        around = self.header[block]
        while around > header:
            around = self.outer[around]
        return around == header

    def _ordered(self) -> bool:
        return all(
            predecessors and predecessors[0] < index  # they are in ascending order
            for index, predecessors in enumerate(self.predecessors)
            if index
        )

    def _find_dominators(self) -> None:
        count = len(self.predecessors)
        self._idom = [0] * count
        self._enter = list(range(count))
        self._size = [1] * count
        self._size[0] = count
        if count > 1 and self._ordered():
            self._dominators(self._backward)
            self._number()

    def _dominators(self, again: bool) -> None:
        """Cooper, Harvey and Kennedy; without backward edges one round does."""
        predecessors, idom = self.predecessors, self._idom
        idom[1:] = [-1] * (len(idom) - 1)
        changed = True
        while changed:
            changed = False
            for index in range(1, len(idom)):
                new = -1
                for other in predecessors[index]:
                    if idom[other] < 0:
                        continue
                    if new < 0:
                        new = other
                        continue
                    while new != other:
                        if new > other:
                            new = idom[new]
                        else:
                            other = idom[other]
                if new != idom[index]:
                    idom[index] = new
                    changed = again

    def _number(self) -> None:
        """Places in a walk over the dominator tree, and the sizes of its subtrees."""
        idom, size, enter = self._idom, self._size, self._enter
        size[0] = 1
        for index in range(len(idom) - 1, 0, -1):
            size[idom[index]] += size[index]
        following = [1] * len(idom)
        enter[0] = 0
        for index in range(1, len(idom)):
            parent = idom[index]
            enter[index] = following[parent]
            following[parent] += size[index]
            following[index] = enter[index] + 1

    def _find_loops(self, backward: list[tuple[int, int]]) -> None:
        """Natural loops, inner ones first; a jump into the midst of a cycle makes none."""
        latches: dict[int, list[int]] = {}
        for header, latch in backward:
            if self.dominates(header, latch):
                latches.setdefault(header, []).append(latch)
        innermost, outer = self.header, self.outer
        for header in sorted(latches, reverse=True):
            outer[header] = -1
            pending = latches[header]
            while pending:
                block = pending.pop()
                around = innermost[block]
                if around < 0:
                    innermost[block] = header
                    if block != header:
                        pending += self.predecessors[block]
                    continue
                while outer[around] >= 0:
                    around = outer[around]
                if around != header:
                    outer[around] = header
                    pending += self.predecessors[around]
            if innermost[header] < 0:
                innermost[header] = header

    def _weigh(self, function: MachineFunction) -> None:
        depth: dict[int, int] = {-1: 0}
        for header in sorted(self.outer):
            depth[header] = depth[self.outer[header]] + 1
        for block in function.blocks:
            header = self.header[block.index]
            if header < 0:
                continue
            self.weight[block.index] = HEAVIER ** min(depth[header] - block.rare, DEEPEST)
            if block.rare:
                continue
            if header not in self.with_calls and any(i.is_call for i in block.instructions):
                while header >= 0:
                    self.with_calls.add(header)
                    header = self.outer[header]
