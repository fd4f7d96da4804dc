"""The image of a linked file: one piece of memory that relocation writes to.

It holds everything up to the tables of symbols and sections, which come behind it.  Each
`Piece` has a view of its place there; what is read as columns only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callproof.link.layout import Layout, Piece

# Gives so many bytes, all zero.
Room = Callable[[int], memoryview]


def plain_room(size: int) -> memoryview:
    """Memory of the process."""
    return memoryview(bytearray(size))


def place_unloaded(layout: Layout) -> int:
    """Where debug information and the like begins in the file, by name; the image's size."""
    loaded = [output for output in layout.outputs() if output.in_file and output.size]
    end = max([layout.headers_size, *(output.offset + output.size for output in loaded)])
    for name, pieces in layout.unloaded.items():
        layout.unloaded_offsets[name] = end
        if pieces:
            end += pieces[-1].address + pieces[-1].size
    return end


def places(layout: Layout) -> list[tuple[int, list[Piece]]]:
    """What to add to the addresses of pieces for their offsets in the file, and those pieces."""
    found = [
        (output.offset - output.address, output.pieces)
        for output in layout.outputs()
        if output.in_file
    ]
    found += [(layout.unloaded_offsets[name], all_) for name, all_ in layout.unloaded.items()]
    return found


def make_image(layout: Layout, room: Room) -> None:
    """Room for the image, and in it a copy of each section that has no columns."""
    image = layout.image = room(place_unloaded(layout))
    columns = layout.resolved.columns
    if columns is None:
        for distance, pieces in places(layout):
            for piece in pieces:
                _copy(image, piece, distance)
        return
    from callproof.link.places import Places

    # Who loads the program is told of its words: these are looked at one by one.
    viewed = layout.dynamic is not None
    made = layout.columns = Places(layout, columns)
    for distance, pieces in places(layout):
        for piece in pieces:
            if not made.take(piece, distance):
                _copy(image, piece, distance)
            elif viewed:
                start = piece.address + distance
                piece.data = image[start : start + piece.size]


def _copy(image: memoryview, piece: Piece, distance: int) -> None:
    start = piece.address + distance
    piece.data = image[start : start + piece.size]
    section = piece.section
    if section.kind not in ("bss", "tbss"):  # these are zeros, where they are in the file at all
        piece.data[:] = section.data
