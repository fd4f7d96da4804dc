"""Code cut into pieces for the quick look: blocks of items, made by array operations.

An item is a run of instructions that only read and write registers, put together, or one
instruction that does more.  All items of an image are made at once from the columns of its
words.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from callproof.check.functions import Code
from callproof.check.image import Region
from callproof.target.arm64 import effect_model as e
from callproof.target.arm64.columns import Columns, Words, columns_of

(
    RUN,
    MOVE_SP,  # add or sub of SP
    LOAD_SP,
    STORE_SP,
    ACCESS_FP,  # a load or store through X29
    ADDRESS_SP,  # the address of something in the frame, from SP or from X29
    ADDRESS_FP,
    WRITE_FP,  # X29 gets another value
    CALL,
    CALL_REGISTER,
    JUMP,
    BRANCH,
    RETURN,
    JUMP_REGISTER,
    TRAP,
    DOUBT,  # what is not followed here
) = range(16)

SP, FP = np.uint64(1 << 31), np.uint64(1 << 29)
LONGEST_RUN = 256
NEAR = 64  # instructions that are looked at behind `adrp`
MOST_LAGS = 12  # instructions looked back in a run of moves
ARGUMENTS = np.uint64(0xFF | 0xFF << 32)
HARMLESS = (e.MOVE, e.CONSTANT, e.ADDRESS, e.MOVK)

MAKES_ADDRESS = (
    e.MOVE,
    e.ADD_REGISTER,
    e.ADD_IMMEDIATE,
    e.ADDRESS,
    e.CONSTANT,
    e.MOVK,
    e.INDEXED_LOAD,
)
NONE = np.uint64(0)

Flags = npt.NDArray[np.bool_]
BlockPiece = tuple[int, int, int, int]
"""(first item, behind the last item, end address, instructions)."""


@dataclass(slots=True)
class Kept:
    """The columns that are looked at later, too."""

    kind: npt.NDArray[np.uint8]
    reads: npt.NDArray[np.uint64]
    writes: npt.NDArray[np.uint64]


@dataclass(slots=True)
class Pieces:
    """Arrays with one entry for each item, and the blocks by their first address.

    `reads` are the registers that a run reads before it writes them, `known` those that it
    leaves with what may be a known address; `places` and `item_words` are the index of the
    first instruction in its region, and its word.  `columns`, `words` and `suspect` are of
    all instructions; `suspect` counts up those that only the full flow understands.
    `offsets`: (address, end) of the regions.
    """

    codes: array[int] = field(default_factory=lambda: array("B"))
    addresses: array[int] = field(default_factory=lambda: array("Q"))
    reads: list[int] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)
    places: array[int] = field(default_factory=lambda: array("I"))
    lengths: array[int] = field(default_factory=lambda: array("I"))
    item_words: array[int] = field(default_factory=lambda: array("I"))
    known: array[int] = field(default_factory=lambda: array("Q"))
    blocks: dict[int, BlockPiece] = field(default_factory=dict)
    offsets: list[tuple[int, int]] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)
    columns: list[Kept] = field(default_factory=list)
    suspect: list[npt.NDArray[np.int64]] = field(default_factory=list)


def _codes(columns: Columns) -> npt.NDArray[np.uint8]:
    kind, reads, writes, base = columns.kind, columns.reads, columns.writes, columns.base
    code = np.zeros(len(kind), np.uint8)
    from_sp, from_fp = (reads & SP) != 0, (reads & FP) != 0
    to_sp, to_fp = (writes & SP) != 0, (writes & FP) != 0
    added = kind == e.ADD_IMMEDIATE
    code[to_fp] = WRITE_FP
    code[to_sp | (kind == e.COMPARE) | (kind == e.UNKNOWN)] = DOUBT
    code[(kind == e.ADD_REGISTER) & (from_sp | from_fp)] = DOUBT
    code[added & from_sp] = ADDRESS_SP
    code[(added | (kind == e.MOVE)) & from_fp] = ADDRESS_FP
    code[added & from_sp & to_sp] = MOVE_SP
    load, store = kind == e.LOAD, kind == e.STORE
    code[(load | store) & (base == 29)] = ACCESS_FP
    code[load & (base == 31)] = LOAD_SP
    code[store & (base == 31)] = STORE_SP
    for control, number in (
        (e.CALL, CALL),
        (e.CALL_REGISTER, CALL_REGISTER),
        (e.JUMP, JUMP),
        (e.BRANCH, BRANCH),
        (e.RETURN, RETURN),
        (e.JUMP_REGISTER, JUMP_REGISTER),
        (e.TRAP, TRAP),
    ):
        code[kind == control] = number
    return code


def _leaders(code: Code, region: Region, kind: npt.NDArray[np.uint8]) -> Flags:
    """Where blocks start: at targets of branches, and behind what is not a call."""
    count = len(kind)
    leads = np.zeros(count + 1, np.bool_)
    leads[0] = True
    targets = np.fromiter(code.leaders, np.int64, len(code.leaders)) - region.address
    targets = targets[(targets >= 0) & (targets < 4 * count) & (targets % 4 == 0)] >> 2
    leads[targets] = True
    control = (kind >= e.FIRST_CONTROL) & (kind != e.CALL) & (kind != e.CALL_REGISTER)
    leads[1:] |= control
    return leads[:count]


def _moves(columns: Columns) -> Flags:
    """Argument moves that read what an earlier move of the same run wrote (see `scan.py`)."""
    kind, writes = columns.kind, columns.writes
    harmless = np.isin(kind, HARMLESS)
    chosen = (kind == e.MOVE) & ((columns.reads & ARGUMENTS) != 0)
    (places,) = np.nonzero(chosen & ((writes & ARGUMENTS) != 0))
    read = columns.reads[places]
    suspect = np.zeros(len(kind), np.bool_)
    is_open = np.ones(len(places), np.bool_)
    for lag in range(1, MOST_LAGS + 1):
        earlier = np.maximum(places - lag, 0)
        is_open &= (places >= lag) & harmless[earlier]
        wrote = is_open & ((writes[earlier] & read) != 0)
        suspect[places[wrote & (kind[earlier] == e.MOVE)]] = True
        is_open &= ~wrote
    suspect[places[is_open]] = True
    return suspect


def _constants(code: Code, columns: Columns, words: Words, region: Region) -> Flags:
    """Constants that are or may become the address of a function: where those go matters."""
    kind = columns.kind
    suspect = np.zeros(len(kind), np.bool_)
    starts = np.array(code.starts, np.uint64)
    chosen = kind == e.CONSTANT
    (places,) = np.nonzero(chosen)
    value = _field(words[places])
    inverted = (words[places] & np.uint32(0x60000000)) == 0
    full = np.where(words[places] >> np.uint32(31), np.uint64(2**64 - 1), np.uint64(2**32 - 1))
    suspect[places] = np.isin(np.where(inverted, value ^ full, value), starts)
    _completed(suspect, kind, words, starts)
    (places,) = np.nonzero(kind == e.ADDRESS)
    chosen_words = words[places]
    low = (chosen_words >> np.uint32(29)) & np.uint32(3)
    high = ((chosen_words << np.uint32(8)).view(np.int32) >> np.int32(13)).astype(np.int64)
    distance = high * 4 + low
    here = places.astype(np.int64) * 4 + region.address
    page = (chosen_words >> np.uint32(31)) != 0
    target = np.where(page, (here & ~0xFFF) + distance * 4096, here + distance)
    suspect[places] = ~page & np.isin(target.astype(np.uint64), starts)
    first = np.searchsorted(starts, target.astype(np.uint64))
    near = page & (first < np.searchsorted(starts, target.astype(np.uint64) + np.uint64(4096)))
    for place, at in zip(places[near].tolist(), target[near].tolist(), strict=True):
        suspect[place] = _makes_start(code, columns, words, region, place, at)
    return suspect


def _field(words: Words) -> npt.NDArray[np.uint64]:
    """The 16 bits of movz, movn and movk where they belong."""
    shift = ((words >> np.uint32(21)) & np.uint32(3)).astype(np.uint64) * np.uint64(16)
    field_: npt.NDArray[np.uint64] = ((words >> np.uint32(5)) & np.uint32(0xFFFF)).astype(
        np.uint64
    ) << shift
    return field_


def _completed(
    suspect: Flags,
    kind: npt.NDArray[np.uint8],
    words: Words,
    starts: npt.NDArray[np.uint64],
) -> None:
    """Constants that movk completes: exact behind their movz, else by the part that is known."""
    (places,) = np.nonzero(kind == e.MOVK)
    own = words[places]
    value = _field(own)
    shift = ((own >> np.uint32(21)) & np.uint32(3)).astype(np.uint64) * np.uint64(16)
    known = np.zeros(len(places), np.bool_)
    is_open = np.ones(len(places), np.bool_)
    for lag in range(1, 4):
        earlier = np.maximum(places - lag, 0)
        other = words[earlier]
        is_open &= (places >= lag) & (((other ^ own) & np.uint32(31)) == 0)
        value = np.where(is_open & (kind[earlier] == e.MOVK), value | _field(other), value)
        movz = (
            is_open & (kind[earlier] == e.CONSTANT) & (other >> np.uint32(29) & np.uint32(3) == 2)
        )
        value = np.where(movz, value | _field(other), value)
        known |= movz
        is_open &= ~movz & (kind[earlier] == e.MOVK)
    end = _field(own) + (np.uint64(1) << shift)
    some = np.searchsorted(starts, _field(own)) < np.searchsorted(starts, end)
    suspect[places] = np.where(known, np.isin(value, starts), some)


def _makes_start(
    code: Code, columns: Columns, words: Words, region: Region, place: int, page: int
) -> bool:
    """Whether the function adds a number to a page that makes the address of a function."""
    register = words[place] & np.uint32(31)
    for later in range(place + 1, min(place + NEAR, len(words))):
        word = words[later]
        kind = columns.kind[later]
        if kind >= e.FIRST_CONTROL or kind in (e.MOVE, e.ADD_REGISTER):
            break
        if not int(columns.reads[later] | columns.writes[later]) >> int(register) & 1:
            continue
        if kind == e.ADD_IMMEDIATE and word & np.uint32(0x1F) == register:
            number = int(word >> np.uint32(10)) & 0xFFF
            return bool(word & np.uint32(1 << 22)) or page + number in code.functions
        if int(columns.writes[later]) >> int(register) & 1:
            return False  # as the base of a load into itself
    function = code.containing(region.address + 4 * place)
    if function is None:
        return False
    first, last = (function.start - region.address) >> 2, (function.end - region.address) >> 2
    adds = columns.kind[first:last] == e.ADD_IMMEDIATE
    chosen = words[first:last][adds]
    chosen = chosen[((chosen >> np.uint32(5)) & np.uint32(31)) == words[place] & np.uint32(31)]
    numbers = (chosen >> np.uint32(10)) & np.uint32(0xFFF)
    wide = (chosen & np.uint32(1 << 22)) != 0
    return (
        page in code.functions
        or bool(wide.any())
        or any(page + number in code.functions for number in numbers.tolist())
    )


def _put_together(
    pieces: Pieces,
    columns: Columns,
    words: Words,
    codes: npt.NDArray[np.uint8],
    leads: Flags,
    address: int,
) -> None:
    count = len(codes)
    plain = codes == RUN
    index = np.arange(count)
    starts = leads | ~plain
    starts[1:] |= ~plain[:-1]
    # Long runs are cut, so that they can be gone through side by side.
    anchor = np.maximum.accumulate(np.where(starts, index, 0))
    starts |= plain & ((index - anchor) % LONGEST_RUN == 0)
    (first,) = np.nonzero(starts)
    length = np.diff(first, append=count)
    reads, reads_high = columns.reads[first], columns.reads_high[first]
    writes, writes_high = columns.writes[first], columns.writes_high[first]
    makes_address = np.isin(columns.kind, MAKES_ADDRESS)
    # Half an address is none.
    makes_address &= (columns.kind != e.MOVE) | (words >> np.uint32(31) != 0)
    known = np.where(makes_address[first], columns.writes[first], NONE)
    order = np.argsort(-length, kind="stable")
    sorted_length = -length[order]
    for step in range(1, int(length.max(initial=0))):
        active = order[: int(np.searchsorted(sorted_length, -step, side="left"))]
        place = first[active] + step
        reads[active] |= columns.reads[place] & ~writes[active]
        reads_high[active] |= columns.reads_high[place] & ~writes_high[active]
        wrote = columns.writes[place]
        writes[active] |= wrote
        known[active] = known[active] & ~wrote | np.where(makes_address[place], wrote, NONE)
        writes_high[active] |= columns.writes_high[place]
    before = len(pieces.codes)
    pieces.codes.frombytes(codes[first].astype(np.uint8).tobytes())
    pieces.addresses.frombytes((first * 4 + address).astype(np.uint64).tobytes())
    pieces.places.frombytes(first.astype(np.uint32).tobytes())
    pieces.lengths.frombytes(length.astype(np.uint32).tobytes())
    pieces.item_words.frombytes(words[first].astype(np.uint32).tobytes())
    pieces.known.frombytes(known.tobytes())
    pieces.reads += _joined(reads, reads_high)
    pieces.writes += _joined(writes, writes_high)
    (block,) = np.nonzero(leads)
    ends = np.append(block[1:], count)
    items = np.searchsorted(first, np.append(block, count)) + before
    pieces.blocks.update(
        zip(
            (block * 4 + address).tolist(),
            zip(
                items[:-1].tolist(),
                items[1:].tolist(),
                (ends * 4 + address).tolist(),
                (ends - block).tolist(),
                strict=True,
            ),
            strict=True,
        )
    )


def _joined(low: npt.NDArray[np.uint64], high: npt.NDArray[np.uint64]) -> list[int]:
    return [a | b << 64 if b else a for a, b in zip(low.tolist(), high.tolist(), strict=True)]


def cut(code: Code) -> Pieces:
    """The pieces of all executable regions of an image."""
    pieces = Pieces()
    regions = [
        r for r in code.image.regions if r.executable and r.address % 4 == 0 and len(r.words)
    ]
    for region in regions:
        words = np.frombuffer(region.data, np.uint32, len(region.data) // 4)
        columns = columns_of(words)
        pieces.offsets.append((region.address, region.end))
        suspect = _moves(columns) | _constants(code, columns, words, region)
        pieces.suspect.append(np.concatenate(([0], np.cumsum(suspect))))
        pieces.words.append(words)
        pieces.columns.append(Kept(columns.kind, columns.reads, columns.writes))
        leads = _leaders(code, region, columns.kind)
        _put_together(pieces, columns, words, _codes(columns), leads, region.address)
    return pieces
