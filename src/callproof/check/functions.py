"""Where functions start and end in an image, and how that is known.

Sources: symbols, FDEs, Mach-O's function starts, the entry point, pointers in data and
targets of BL.  Branches are found for the whole text at once, with array operations.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from callproof.check.image import Image, Label, Region

if TYPE_CHECKING:
    from callproof.check.blocks import Block

HOW = {
    "symbol": "symbol",
    "frame": "FDE",
    "starts": "LC_FUNCTION_STARTS, or the start of plain code",
    "entry": "entry point",
    "pointer": "pointer in data",
    "call": "target of a call",
}
PARTS = (".cold", ".part", "OUTLINED_FUNCTION", ".isra.cold", "__unlikely")


@dataclass(slots=True)
class Function:
    """Code from `start` to `end`; `how` is a key of HOW.

    called, jumped, pointed: whether a BL, a branch of another function, or a pointer
    leads to its start.
    """

    start: int
    end: int
    name: str
    how: str
    is_global: bool = False
    typed: bool = False  # the symbol says that it is a function
    variant: bool = False
    signal: bool = False
    called: bool = False
    jumped: bool = False
    pointed: bool = False

    @property
    def is_part(self) -> bool:
        """A cold part, shared tail or the like: no function of its own."""
        if any(part in self.name for part in PARTS):
            return True
        return self.jumped and not (self.called or self.pointed or self.is_global)

    @property
    def is_root(self) -> bool:
        """May be called by code that knows no more of it than the convention."""
        if self.is_global or self.pointed or self.how == "entry":
            return True
        return not self.called and not self.jumped


@dataclass(slots=True)
class Code:
    """The functions of an image and the branches between them."""

    image: Image
    functions: dict[int, Function] = field(default_factory=dict)
    starts: list[int] = field(default_factory=list)
    leaders: set[int] = field(default_factory=set)
    calls: list[tuple[int, int]] = field(default_factory=list)  # (from, to), sorted
    jumps: list[tuple[int, int]] = field(default_factory=list)
    pads: dict[int, int] = field(default_factory=dict)  # call -> landing pad
    endings: dict[int, str] = field(default_factory=dict)
    """Outside functions that `never` or only `perhaps` come back, by address."""
    row_changes: set[int] = field(default_factory=set)
    """Where the unwinder's row changes: behind a call only if that does not come back."""
    variants: set[str] = field(default_factory=set)
    stubs: dict[int, str | None] = field(default_factory=dict)
    names: dict[str, Function] = field(default_factory=dict)
    straight: dict[int, Block | None] = field(default_factory=dict)
    """Functions of one block by their start, for going through them at a call."""

    made: dict[int, Block] = field(default_factory=dict)
    """Blocks made for the functions at hand."""

    def block(self, address: int) -> Block:
        block = self.made.get(address)
        if block is None:
            from callproof.check.blocks import make_block

            block = self.made[address] = make_block(self, address)
        return block

    def ends_at(self, address: int) -> bool:
        """Whether code ends here, or behind the padding here: a function or section starts."""
        end = behind_padding(self.image, address)
        return end in self.functions or self.image.code_at(end) is not self.image.code_at(
            address - 4
        )

    def comes_back(self, place: int, target: int) -> str:
        """Whether a call does: 'yes', 'perhaps', 'no'."""
        after = place + 4
        ending = self.endings.get(target, "returns")
        if ending == "never" or after in self.row_changes:
            return "no"
        return "perhaps" if ending == "perhaps" and after in self.leaders else "yes"

    def by_name(self, name: str) -> Function | None:
        return self.names.get(name)

    def extern_at(self, address: int) -> str | None:
        """The name of a function outside the image, if that is what a branch there calls."""
        name = self.image.externs.get(address)
        if name is not None:
            return name
        if address not in self.stubs:
            self.stubs[address] = _stub(self.image, address)
        return self.stubs[address]

    def containing(self, address: int) -> Function | None:
        index = bisect_right(self.starts, address) - 1
        if index < 0:
            return None
        function = self.functions[self.starts[index]]
        return function if address < function.end else None

    def name_of(self, address: int) -> str:
        """What to call the target of a call."""
        if address in self.image.externs:
            return self.image.externs[address]
        function = self.functions.get(address)
        if function is not None:
            return function.name
        inside = self.containing(address)
        if inside is not None:
            return f"{inside.name}+{address - inside.start:#x}"
        return f"{address:#x}"


def _targets(
    words: npt.NDArray[np.uint32],
    address: int,
    shift: int,
    bits: int,
    chosen: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(places, targets) of the chosen branches, whose distance is a signed field."""
    (places,) = np.nonzero(chosen)
    field_ = (words[places] >> np.uint32(shift)).astype(np.int64) & ((1 << bits) - 1)
    distance = np.where(field_ >> (bits - 1), field_ - (1 << bits), field_) * 4
    where = places.astype(np.int64) * 4 + address
    return where, where + distance


def _stub(image: Image, address: int) -> str | None:
    """The name behind a PLT entry: `adrp x16; ldr x17, [x16, #n]; (add;) br x17`."""
    if not image.slots:
        return None
    word = image.word(address) or 0
    if word & 0xFFFFFF3F == 0xD503241F:  # bti
        address += 4
        word = image.word(address) or 0
    load = image.word(address + 4) or 0
    if word & 0x9F00001F != 0x90000010 or load & 0xFFC003FF != 0xF9400211:
        return None
    distance = (word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3
    distance -= (1 << 21) if distance >> 20 else 0
    slot = (address & ~0xFFF) + (distance << 12) + (load >> 10 & 0xFFF) * 8
    return image.slots.get(slot)


PADDING = frozenset((0, 0xD503201F))
MOST_PADDING = 64  # bytes
BRK, BRK_MASK = 0xD4200000, 0xFFE0001F


def behind_padding(image: Image, address: int) -> int:
    """The first address from here on that holds no NOP and no zero word."""
    end = address
    while image.word(end) in PADDING and end - address < MOST_PADDING:
        end += 4
    return end


def _endings(code: Code) -> None:
    """Do calls of functions ever have something behind them?  Where each is the last of its
    function, or has another row of the unwinder behind it, or is followed by a place that
    other branches lead to, the function may well be one that does not come back.

    A place that only a jump table leads to looks like one that the call comes back to; so
    what does not come back most of the time never does.  Of functions in the image that is
    only said where the unwinder says so.
    """
    image = code.image
    kinds: dict[int, Counter[str]] = {}
    for place, target in code.calls:
        kind = kinds.setdefault(target, Counter())
        after = place + 4
        if after in code.row_changes:
            kind["proved"] += 1
            continue
        word = image.word(after)
        if word is None or word & BRK_MASK == BRK or code.ends_at(after):
            kind["never"] += 1
        else:
            kind["perhaps" if after in code.leaders else "returns"] += 1
    for target, kind in kinds.items():
        if not kind["proved"] and code.extern_at(target) is None:
            continue
        certain = kind["proved"] + kind["never"]
        if certain > kind["returns"]:
            code.endings[target] = "never"
        elif certain or not kind["returns"]:
            code.endings[target] = "perhaps"


def find_functions(image: Image) -> Code:
    """All functions of an image, and its branches."""
    code = Code(image)
    for region in image.regions:
        if region.executable:
            _branches(code, region)
    code.calls.sort()
    code.jumps.sort()
    found: dict[int, tuple[str, Label | None]] = {}
    for label in image.labels:
        region_ = image.code_at(label.address)
        if region_ is None or label.address % 4 or image.is_data(label.address):
            continue
        if label.kind == "function" or (label.kind == "none" and label.binding == "global"):
            known = found.get(label.address)
            if known is None or _better(label, known[1]):
                found[label.address] = ("symbol", label)
    sources: list[tuple[str, object]] = [
        ("frame", (frame.start for frame in image.frames)),
        ("starts", image.starts),
        ("entry", () if image.entry is None else (image.entry,)),
        ("pointer", image.pointers),
        ("call", (to for _, to in code.calls)),
    ]
    extents = [(frame.start, frame.end) for frame in image.frames]
    for start, (_, named) in found.items():
        if named is not None and named.kind == "function" and named.size:
            extents.append((start, start + named.size))
    extents.sort()
    for how, addresses in sources:
        for address in addresses:  # type: ignore[attr-defined]
            if (
                address not in found
                and address % 4 == 0
                and image.code_at(address) is not None
                and not image.is_data(address)
                and address not in image.externs
            ):
                if how == "pointer" and _is_inside(extents, address):
                    code.leaders.add(address)  # a label whose address is taken
                    continue
                found[address] = (how, None)
    _finish(code, found)
    return code


def _is_inside(extents: list[tuple[int, int]], address: int) -> bool:
    """Whether an FDE or a symbol's size covers an address that is not its start."""
    index = bisect_right(extents, (address, 1 << 64)) - 1
    return index >= 0 and extents[index][0] < address < extents[index][1]


def _better(label: Label, other: Label | None) -> bool:
    """Of several names, a typed global one is shown."""
    if other is None:
        return True
    return (label.kind == "function", label.binding == "global", label.size) > (
        other.kind == "function",
        other.binding == "global",
        other.size,
    )


def _finish(code: Code, found: dict[int, tuple[str, Label | None]]) -> None:
    image = code.image
    code.starts = sorted(found)
    frames = {frame.start: frame for frame in image.frames}
    locals_ = {label.address: label.name for label in image.labels if label.kind == "none"}
    called = {to for _, to in code.calls}
    for index, start in enumerate(code.starts):
        how, label = found[start]
        region = image.code_at(start)
        assert region is not None
        following = code.starts[index + 1] if index + 1 < len(code.starts) else region.end
        end = min(following, region.end)
        size = label.size if label is not None and label.size else 0
        if not size and start in frames:
            size = frames[start].end - start
        if size:
            end = min(end, start + size)
        name = label.name if label is not None else locals_.get(start, f"function_{start:x}")
        code.functions[start] = Function(
            start,
            max(end, start + 4),
            name,
            how,
            is_global=label is not None and label.binding == "global",
            typed=label is not None and label.kind == "function",
            variant=label is not None and label.variant,
            signal=start in frames and frames[start].signal,
            called=start in called,
            pointed=start in image.pointers or start == image.entry,
        )
    for place, target in code.jumps:
        function = code.functions.get(target)
        if function is not None and not function.start <= place < function.end:
            function.jumped = True
    code.leaders.update(code.starts)
    for frame in image.frames:
        code.row_changes |= frame.changes
        code.row_changes.add(frame.end)
        for begin, end, pad in frame.pads:
            code.leaders.add(pad)
            for address in range(begin & ~3, min(end, begin + (1 << 20)), 4):
                code.pads.setdefault(address, pad)

    code.names = {function.name: function for function in code.functions.values()}
    _endings(code)


def _branches(code: Code, region: Region) -> None:
    data = region.data[: len(region.data) & ~3]
    if region.address % 4:
        return
    words = np.frombuffer(data, np.uint32)
    u = np.uint32
    bl = (words & u(0xFC000000)) == u(0x94000000)
    b = (words & u(0xFC000000)) == u(0x14000000)
    nineteen = ((words & u(0xFF000000)) == u(0x54000000)) | (
        (words & u(0x7E000000)) == u(0x34000000)
    )
    fourteen = (words & u(0x7E000000)) == u(0x36000000)
    where, to = _targets(words, region.address, 0, 26, bl)
    # A BL of 0 is an unresolved call, not a function's start.
    real = where != to
    code.calls += zip(where[real].tolist(), to[real].tolist(), strict=True)
    for shift, bits, chosen in ((0, 26, b), (5, 19, nineteen), (5, 14, fourteen)):
        where, to = _targets(words, region.address, shift, bits, chosen)
        code.leaders.update(to.tolist())
        code.jumps += zip(where.tolist(), to.tolist(), strict=True)
