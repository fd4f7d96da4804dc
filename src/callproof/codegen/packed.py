"""A function's finished code as plain tuples and back: for the cache, and between processes.

What is packed is what objects are made of (`objects.py`, `traces.py`); listings and debug
information need more.  With a `Fingerprint`, places and some symbols are packed as numbers,
and unpacked as what these numbers mean in the function that has the same key now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from callproof.codegen.emit import CodeRelocation, EmittedBlock, EmittedCall, EmittedFunction
from callproof.codegen.fingerprint import Fingerprint
from callproof.codegen.machine import MachineBlock
from callproof.codegen.target import Frame
from callproof.ir.places import Site

Packed = tuple[Any, ...]
"""name, display name, code, (offset, type, symbol, addend) of the relocations, (offset, place)
of the lines, (symbol, offsets) of the tables, (offset, place, registers) of the calls, frame."""


def pack(emitted: EmittedFunction, by: Fingerprint | None = None) -> Packed:
    """The tuple of a function without debug information; it holds nothing but numbers, text,
    bytes, tuples and lists."""
    symbols: dict[str, int] = by.symbols if by is not None else {}
    places = by.places if by is not None else None
    frame = emitted.frame
    return (
        emitted.name,
        emitted.display_name,
        emitted.code,
        [
            (r.offset, r.type, symbols.get(r.symbol, r.symbol), r.addend)
            for r in emitted.relocations
        ],
        [(at, places[place] if places is not None else place) for at, place in emitted.line_rows],
        [(symbol, [block.offset for block in entries]) for symbol, entries in emitted.tables],
        [
            (
                call.returns,
                places[call.place] if places is not None else call.place,
                None if call.kept is None else list(call.kept.items()),
            )
            for call in emitted.calls
        ],
        (
            frame.size,
            frame.outgoing,
            list(frame.slots),
            list(frame.spills),
            list(frame.saved),
            frame.record,
            frame.alignment,
        ),
    )


def unpack(packed: Packed, sites: list[Site], by: Fingerprint | None = None) -> EmittedFunction:
    """The function that was packed, without blocks; `sites` are those of its IR."""
    name, display_name, code, relocations, rows, tables, calls, frame = packed
    symbols: Sequence[str] = list(by.symbols) if by is not None else ()
    places: Sequence[int] | None = list(by.places) if by is not None else None
    return EmittedFunction(
        name,
        display_name,
        [],
        Frame(*frame),
        code,
        [
            CodeRelocation(at, type_, symbols[symbol] if type(symbol) is int else symbol, addend)
            for at, type_, symbol, addend in relocations
        ],
        [(at, places[place]) for at, place in rows] if places is not None else rows,
        sites,
        [
            (symbol, [EmittedBlock(MachineBlock("", -1), [], [], offset) for offset in offsets])
            for symbol, offsets in tables
        ],
        [
            EmittedCall(
                returns,
                places[place] if places is not None else place,
                None if kept is None else dict(kept),
            )
            for returns, place, kept in calls
        ],
    )
