"""Veneers: stepping stones for branches whose target is out of reach.

B and BL reach 128 MiB to either side.  Where a program's code is larger, islands of
veneers are laid between its sections, close enough together for every branch to
reach one; each veneer loads the target's address into X16, which the convention
leaves to veneers, and branches on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.object.columns import ColumnSection
from callproof.object.model import Symbol

if TYPE_CHECKING:
    from callproof.link.layout import Layout, OutputSection, Piece

VENEER_SIZE = 12  # adrp x16; add x16; br x16
BRANCHES = frozenset(("R_AARCH64_CALL26", "R_AARCH64_JUMP26", "R_AARCH64_PLT32"))


class Veneers:
    """Islands, by the number of the stretch of code that they follow.

    A stretch is about a third of the reach, so that a branch anywhere in it reaches
    the island behind it.
    """

    __slots__ = (
        "_islands",
        "_layout",
        "_stretch",
        "_stretch_of",
        "_stretch_start",
        "addresses",
    )

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._islands: list[dict[tuple[int, int], tuple[Symbol, int]]] = []
        self._stretch_of: dict[int, int] = {}
        self._stretch = 0
        self._stretch_start = 0
        # (stretch, id of the target's section or symbol, offset) -> address of the veneer
        self.addresses: dict[tuple[int, tuple[int, int]], int] = {}

    def place_before(self, output: OutputSection, piece: Piece, position: int) -> int:
        """Called before each code section is placed: an island may come first."""
        if piece is output.pieces[0] and output is self._first_code():
            self._stretch, self._stretch_start = 0, position
            self.addresses.clear()
        elif position + piece.size - self._stretch_start > self._layout.options.reach // 3:
            position = self._island(output, position)
            self._stretch += 1
            self._stretch_start = position
        self._stretch_of[id(piece.section)] = self._stretch
        return position

    def place_last(self, output: OutputSection, position: int) -> int:
        """Called after the last section of an output section."""
        position = self._island(output, position)
        self._stretch += 1
        self._stretch_start = position
        return position

    def _first_code(self) -> OutputSection:
        return next(o for o in self._layout.outputs() if o.kind == "code")

    def _island(self, output: OutputSection, position: int) -> int:
        while len(self._islands) <= self._stretch:
            self._islands.append({})
        island = self._islands[self._stretch]
        if island:
            position = -(-position // 4) * 4
        for key in island:
            self.addresses[self._stretch, key] = position
            output.veneers.append((position, b""))
            position += VENEER_SIZE
        return position

    def add_needed(self) -> bool:
        """Plan veneers for branches that do not reach their targets; True if there are new ones."""
        layout = self._layout
        reach = layout.options.reach
        low, high = layout.bounds("code")
        if high - low < reach:
            return False
        added = False
        far = None
        if layout.resolved.columns is not None:
            from callproof.link.far import far_rows

            far = far_rows(layout, layout.resolved.columns, BRANCHES, reach)
        for output in layout.outputs():
            if output.kind != "code":
                continue
            for piece in output.pieces:
                stretch = self._stretch_of[id(piece.section)]
                section = piece.section
                if far is not None and isinstance(section, ColumnSection) and section.is_raw:
                    relocations = far.get(id(section), [])
                else:
                    relocations = section.relocations
                for relocation in relocations:
                    if relocation.type not in BRANCHES:
                        continue
                    symbol = layout.resolved.meaning(relocation.symbol)
                    target = None if symbol is None else layout.address_of(symbol)
                    if target is None or symbol is None:
                        continue
                    distance = target + relocation.addend - piece.address - relocation.offset
                    if -reach <= distance < reach:
                        continue
                    key = (id(symbol), relocation.addend)
                    if key not in self._islands[stretch]:
                        self._islands[stretch][key] = (symbol, relocation.addend)
                        added = True
        return added

    def target(self, piece: Piece, symbol: Symbol, addend: int) -> int | None:
        """The veneer that a branch in a section uses for a target; None if there is none."""
        stretch = self._stretch_of.get(id(piece.section), -1)
        return self.addresses.get((stretch, (id(symbol), addend)))

    def planned(self) -> list[tuple[int, int]]:
        """(address, target address) of every veneer, to be written."""
        found = []
        for (stretch, key), address in self.addresses.items():
            symbol, addend = self._islands[stretch][key]
            target = self._layout.address_of(symbol)
            if target is not None:
                found.append((address, target + addend))
        return found
