"""An image's functions, from their symbols, as decoded instructions and blocks."""

from __future__ import annotations

from dataclasses import dataclass, field

from callproof.check.conventions import never_returns
from callproof.check.image import GLOBAL, Image, Label
from callproof.check.x64.effects import Effect, effect_of
from callproof.check.x64.jump_tables import sizes_of_data, targets_of
from callproof.codegen.machine import Form
from callproof.run.functions import FunctionRecord, decode_records
from callproof.source import CallproofError
from callproof.target.x64.decode import Decoded, decode

ENDS = frozenset(("jump", "branch", "return", "indirect_jump", "trap"))
JUMPS = frozenset(("jump", "branch"))


@dataclass(slots=True)
class Instruction:
    """`target`: where a jump or call leads, if that is known; `effect` as in `effects.py`."""

    address: int
    decoded: Decoded
    effect: Effect
    target: int = -1

    @property
    def form(self) -> Form:
        return self.decoded.row.form

    @property
    def end(self) -> int:
        return self.address + self.decoded.size


@dataclass(slots=True)
class Function:
    """`record`: what our compiler says of it, None for others' code.  `problem`: the place and
    why it could not be decoded; then it has no instructions.  `jumps`: the addresses of jumps
    through tables, and where they lead."""

    name: str
    start: int
    end: int
    record: FunctionRecord | None = None
    instructions: dict[int, Instruction] = field(default_factory=dict)
    blocks: dict[int, list[Instruction]] = field(default_factory=dict)
    predecessors: dict[int, list[int]] = field(default_factory=dict)
    problem: tuple[int, str] | None = None
    jumps: dict[int, list[int]] = field(default_factory=dict)


@dataclass(slots=True)
class Code:
    """The functions of an image by address, and the names and records of what they call."""

    image: Image
    functions: dict[int, Function] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    data: dict[int, int] = field(default_factory=dict)  # sizes by address
    records: dict[str, FunctionRecord] = field(default_factory=dict)

    def name_of(self, address: int) -> str:
        name = self.names.get(address) or self.image.externs.get(address)
        return name or self.image.place(address)

    def record_at(self, address: int) -> FunctionRecord | None:
        """The record of a function that is called; None for one that is not known."""
        return self.records.get(self.name_of(address))

    def comes_back(self, address: int) -> bool:
        return not never_returns(self.name_of(address))


def find_functions(image: Image) -> Code:
    """What symbols say is a function (or is global code), up to its size or the next one."""
    code = Code(image)
    code.data = sizes_of_data(image)
    try:
        code.records = _records(image)
    except CallproofError as error:
        image.notes.append(str(error))
    best: dict[int, Label] = {}
    for label in image.labels:
        region = image.code_at(label.address)
        if region is None or label.kind not in ("function", "none"):
            continue
        known = best.get(label.address)
        if known is None or _rank(label) > _rank(known):
            best[label.address] = label
    # A label without a type inside a function with a size is only a place in it.
    starts: list[int] = []
    covered = 0
    for address in sorted(best):
        label = best[address]
        if label.kind == "function" or (label.binding in GLOBAL and address >= covered):
            starts.append(address)
            covered = max(covered, address + label.size)
    for index, start in enumerate(starts):
        label = best[start]
        region = image.code_at(start)
        assert region is not None
        following = starts[index + 1] if index + 1 < len(starts) else region.end
        end = min(region.end, following)
        if label.size:
            end = min(end, start + label.size)
        record = code.records.get(label.name)
        if record is not None and record.external:
            record = None
        code.functions[start] = Function(label.name, start, end, record)
        code.names[start] = label.name
    return code


def _rank(label: Label) -> tuple[bool, bool, int]:
    return label.kind == "function", label.binding in GLOBAL, label.size


def _records(image: Image) -> dict[str, FunctionRecord]:
    """By symbol.  Names that objects of a linked file give to different functions mean nothing."""
    found: dict[str, FunctionRecord] = {}
    doubtful: set[str] = set()
    for record in decode_records(image.records):
        known = found.get(record.name)
        if known is not None and known != record:
            if known.external == record.external:
                doubtful.add(record.name)
            elif record.external:
                continue  # the definition knows best
        found[record.name] = record
    for name in doubtful:
        del found[name]
    return found


def make_blocks(code: Code, function: Function) -> None:
    """Decode a function and find its blocks, or say in `problem` why that cannot be."""
    data = code.image.read(function.start, function.end - function.start)
    if data is None:
        function.problem = (function.start, "its bytes are not in the file")
        return
    listing: list[Instruction] = []
    at = 0
    while at < len(data):
        address = function.start + at
        decoded = decode(data, at)
        effect = None if decoded is None else effect_of(decoded)
        if decoded is None or effect is None:
            function.problem = (address, f"no known instruction: {data[at : at + 8].hex(' ')}")
            return
        instruction = Instruction(address, decoded, effect)
        if decoded.row.kinds and decoded.row.kinds[-1] == "rel":
            instruction.target = address + decoded.arguments[-1]
        listing.append(instruction)
        at += decoded.size
    function.instructions = {one.address: one for one in listing}
    leaders = {function.start}
    for one in listing:
        if one.form.control in ENDS:
            leaders.add(one.end)
            if one.form.control in JUMPS and function.start <= one.target < function.end:
                if one.target not in function.instructions:
                    function.problem = (one.address, "a jump leads into an instruction")
                    function.instructions = {}
                    return
                leaders.add(one.target)
    for index, one in enumerate(listing):
        if one.form.control == "indirect_jump" and one.effect.name == "jmp_r":
            targets = targets_of(
                code.image, code.data, listing, index, function.start, function.end
            )
            if targets:
                function.jumps[one.address] = targets
                leaders.update(targets)
    block: list[Instruction] = []
    for one in listing:
        if one.address in leaders:
            block = function.blocks[one.address] = []
        block.append(one)
    for start in function.blocks:
        for following in successors(code, function, start):
            function.predecessors.setdefault(following, []).append(start)


def successors(code: Code, function: Function, start: int) -> list[int]:
    """The blocks of the function that a block leads to."""
    last = function.blocks[start][-1]
    control = last.form.control
    found = list(function.jumps.get(last.address, ()))
    if control in JUMPS and last.target in function.blocks:
        found.append(last.target)
    falls = control not in ("jump", "return", "indirect_jump", "trap")
    if control == "call" and not code.comes_back(last.target):
        falls = False
    if falls and last.end in function.blocks:
        found.append(last.end)
    return found


__all__ = ["Code", "Function", "Instruction", "find_functions", "make_blocks", "successors"]
