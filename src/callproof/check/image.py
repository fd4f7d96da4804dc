"""Code in memory as the checker sees it, whatever file it came from.

Addresses are those of the image; relocatable objects are laid out and relocated first,
with a made-up address for each undefined symbol.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

GLOBAL = frozenset(("global", "weak"))
HIGHEST = 1 << 62  # beyond it there is no program, and addresses do not fit 64 bits with a sign


@dataclass(slots=True)
class Region:
    """Bytes at an address; `name` is the section's or segment's."""

    address: int
    data: bytes
    executable: bool
    name: str
    end: int = 0
    words: memoryview = field(init=False)

    def __post_init__(self) -> None:
        self.end = self.address + len(self.data)
        self.words = memoryview(self.data)[: len(self.data) & ~3].cast("I")


@dataclass(slots=True)
class Label:
    """A symbol with an address; `kind` 'function', 'object' or 'none'."""

    name: str
    address: int
    size: int = 0
    kind: str = "none"
    binding: str = "local"
    variant: bool = False  # STO_AARCH64_VARIANT_PCS: other registers are preserved


@dataclass(slots=True)
class Frame:
    """An FDE: code from `start` to `end`; `pads` are (call start, call end, landing pad);
    `changes`: where the unwinder's row changes."""

    start: int
    end: int
    signal: bool = False
    pads: list[tuple[int, int, int]] = field(default_factory=list)
    changes: frozenset[int] = frozenset()


@dataclass(slots=True)
class Image:
    """`externs`: made-up addresses of undefined symbols.  `slots`: addresses of pointers
    that the dynamic linker fills with a symbol's address.  `pointers`: code addresses found
    in data.  `relocated`: addresses of instructions that a relocation completes.
    `marks`: (address, is code) of mapping symbols, sorted.  `records`: what our compiler says
    of its functions (`run/functions.py`), where it made the code."""

    name: str
    regions: list[Region] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    externs: dict[int, str] = field(default_factory=dict)
    slots: dict[int, str] = field(default_factory=dict)
    pointers: set[int] = field(default_factory=set)
    relocated: set[int] = field(default_factory=set)
    marks: list[tuple[int, bool]] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    starts: set[int] = field(default_factory=set)  # LC_FUNCTION_STARTS
    entry: int | None = None
    relocatable: bool = False
    claims_bti: bool = False
    machine: str = "aarch64"
    records: bytes = b""
    language: str = ""  # 'go', 'ghc', 'ocaml' where the code does not follow AAPCS64
    notes: list[str] = field(default_factory=list)
    _addresses: list[int] = field(default_factory=list)

    def finish(self) -> Image:
        """Sort what is searched; of overlapping regions the first wins."""
        self.regions.sort(key=lambda region: region.address)
        kept: list[Region] = []
        for region in self.regions:
            if region.end > HIGHEST:
                self.notes.append(f"{region.name} lies at {region.address:#x}: it is not read")
                continue
            if kept and region.address < kept[-1].end:
                self.notes.append(f"{region.name} overlaps {kept[-1].name}: its code is not read")
                continue
            kept.append(region)
        self.regions = kept
        self._addresses = [region.address for region in kept]
        self.marks.sort()
        return self

    def region_at(self, address: int) -> Region | None:
        index = bisect_right(self._addresses, address) - 1
        if index >= 0 and address < self.regions[index].end:
            return self.regions[index]
        return None

    def code_at(self, address: int) -> Region | None:
        region = self.region_at(address)
        return region if region is not None and region.executable else None

    def read(self, address: int, size: int) -> bytes | None:
        region = self.region_at(address)
        if region is None or address + size > region.end:
            return None
        offset = address - region.address
        return region.data[offset : offset + size]

    def word(self, address: int) -> int | None:
        """The instruction word at an address; None outside, and for what is not aligned."""
        region = self.region_at(address)
        if region is None or address + 4 > region.end or (address - region.address) & 3:
            return None
        return region.words[(address - region.address) >> 2]

    def is_data(self, address: int) -> bool:
        """Whether mapping symbols say that no instruction is at this address."""
        index = bisect_right(self.marks, (address, True)) - 1
        if index < 0:
            return False
        start, is_code = self.marks[index]
        region = self.region_at(address)
        return not is_code and region is not None and start >= region.address

    def place(self, address: int) -> str:
        """An address for people: in an object, section and offset."""
        region = self.region_at(address)
        if self.relocatable and region is not None:
            return f"{region.name}+{address - region.address:#x}"
        return f"{address:#x}"
