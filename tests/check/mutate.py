"""One edit to a correct function that breaks the convention: what it is and what it breaks.

A mutant is a function of an object whose words were changed, with the rules of which one
must be reported.  The edits are such that any execution that reaches them is wrong; that a
compiler saved a register says that the function writes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from callproof.check.conventions import PROFILES, SAVED_LIST
from callproof.check.flow import Flow
from callproof.check.functions import Code, find_functions
from callproof.check.image import Image
from callproof.check.load_object import image_of_object
from callproof.check.program import Report, check_image
from callproof.check.summaries import Summary
from callproof.object.model import ObjectFile
from callproof.target.arm64 import effects as e
from callproof.target.arm64.effects import effect_of
from callproof.target.arm64.instructions import FORMS, decode

NOP = 0xD503201F
SAVED = frozenset(SAVED_LIST) - {29}
Words = dict[int, int]


@dataclass(slots=True)
class Mutant:
    """`words`: address -> new word; `accepted`: (rule, register name) one of which is due."""

    kind: str
    function: str
    words: Words
    accepted: set[tuple[str, str]]


def _name(bit: int) -> str:
    return f"x{bit}" if bit < 31 else f"d{bit - 32}"


def mutants_of(file: ObjectFile) -> Iterator[Mutant]:
    """All mutants of an object's functions that we know how to make."""
    image = image_of_object(file)
    code = find_functions(image)
    summaries: dict[int, Summary] = {}
    for function in code.functions.values():
        flow = Flow(code, function, summaries, PROFILES["linux"])
        flow.run()
        if flow.events or flow.unexplored or not flow.summary.returns or not function.is_global:
            continue
        addresses = range(function.start, function.end, 4)
        reached = [a for a in addresses if any(b.start <= a < b.end for b in flow.blocks.values())]
        words = {address: image.word(address) or 0 for address in reached}
        yield from _saves(flow, words)
        yield from _restores(flow, words)
        yield from _stack(flow, words)
        yield from _link(flow, words)
        yield from _renamed(code, flow, words)


def _saves(flow: Flow, words: Words) -> Iterator[Mutant]:
    for bit, (address, _) in flow.saves.items():
        effect = effect_of(words.get(address, NOP))
        if bit in SAVED and not effect.c and effect.kind == e.STORE and _is_written(words, bit):
            lost = {("CS1", _name(pair[0])) for pair in effect.pairs if pair[0] in SAVED}
            yield Mutant("save dropped", flow.function.name, {address: NOP}, lost)


def _leaves_soon(words: Words, address: int) -> bool:
    kinds = [effect_of(words.get(address + 4 * n, NOP)).kind for n in range(1, 12)]
    return e.RETURN in kinds


def _is_written(words: Words, bit: int) -> bool:
    """By anything but a load from the frame."""
    effects = [effect_of(word) for word in words.values()]
    return any(f.writes >> bit & 1 for f in effects if f.kind != e.LOAD or f.a not in (29, 31))


def _restores(flow: Flow, words: Words) -> Iterator[Mutant]:
    name = flow.function.name
    for address, word in words.items():
        effect = effect_of(word)
        if effect.kind != e.LOAD or effect.a not in (29, 31) or effect.c:
            continue
        bits = [bit for bit, _, size in effect.pairs if bit in SAVED and size == 8]
        if not _leaves_soon(words, address) or not all(_is_written(words, b) for b in bits):
            continue  # an ordinary load; or the register was saved to fill the frame only
        slots = {flow.saves[bit][1] for bit in bits if bit in flow.saves}
        if not bits or len(slots) != len(bits) or len(bits) != len(effect.pairs):
            continue
        lost = {("CS1", _name(bit)) for bit in bits}
        yield Mutant("restore dropped", name, {address: NOP}, lost)
        if len(bits) == 2:
            swapped = word & ~(31 | 31 << 10) | (word >> 10 & 31) | (word & 31) << 10
            yield Mutant("restores swapped", name, {address: swapped}, lost)
            if word >> 15 & 127 not in (63, 64):
                moved = word & ~(127 << 15) | (word >> 15) + 1 % 128 << 15 & 127 << 15
                yield Mutant("restored from other slots", name, {address: moved}, lost)


def _stack(flow: Flow, words: Words) -> Iterator[Mutant]:
    name = flow.function.name
    accepted = {("CS1", "sp"), ("SP1", "sp"), ("CS1", "x29"), ("LR1", "x30")}
    for address, word in words.items():
        effect = effect_of(word)
        if effect.kind == e.ADD_IMMEDIATE and effect.a == effect.b == 31:
            for change, kind in ((16, "sp unbalanced"), (8, "sp misaligned")):
                imm = (word >> 10 & 0xFFF) + change
                if not word >> 22 & 1 and imm < 4096:
                    changed = word & ~(0xFFF << 10) | imm << 10
                    yield Mutant(kind, name, {address: changed}, accepted)


def _link(flow: Flow, words: Words) -> Iterator[Mutant]:
    for address, word in words.items():
        effect = effect_of(word)
        post = effect.kind == e.LOAD and effect.a == 31 and effect.b == 0 and effect.c > 0
        if post and [pair[0] for pair in effect.pairs] == [29, 30] and 30 in flow.saves:
            form = FORMS["add_x_imm"]
            popped = form.encode((31, 31, effect.c, 0))
            lost = {("LR1", "x30"), ("CS1", "x29")}
            yield Mutant("link lost", flow.function.name, {address: popped}, lost)


def _calls(code: Code, start: int, end: int) -> list[int]:
    return [place for place, _ in code.calls if start <= place < end]


def _renamed(code: Code, flow: Flow, words: Words) -> Iterator[Mutant]:
    """A preserved register that lives across a call becomes one that does not."""
    function = flow.function
    if not _calls(code, function.start, function.end):
        return
    used = 0
    for word in words.values():
        effect = effect_of(word)
        used |= effect.reads | effect.writes
    for old, new in ((19, 9), (20, 12), (40, 48), (41, 52)):
        if old not in flow.saves or used >> new & 1:
            continue
        changed = _rename(flow, words, old, new)
        if changed:
            names = {("CR1", _name(new)), ("AR2", _name(new)), ("AR1", _name(new))}
            yield Mutant(f"{_name(old)} is {_name(new)}", function.name, changed, names)


def _rename(flow: Flow, words: Words, old: int, new: int) -> Words:
    changed: Words = {}
    for address, word in words.items():
        effect = effect_of(word)
        frame = effect.kind in (e.LOAD, e.STORE) and effect.a in (29, 31)
        if frame and any(pair[0] == old for pair in effect.pairs):
            continue  # its save and its restore stay
        if not (effect.reads | effect.writes) >> old & 1:
            continue
        decoded = decode(word)
        if decoded is None:
            return {}
        form, arguments = decoded
        arguments = [
            new if spec.is_register and argument == old else argument
            for spec, argument in zip(form.operands, arguments, strict=True)
        ]
        changed[address] = form.encode(arguments)
    return changed


def check_mutant(file: ObjectFile, mutant: Mutant) -> Report:
    """The report on an object with the mutant's words in it."""
    image: Image = image_of_object(file)
    for region in image.regions:
        data = bytearray(region.data)
        for address, word in mutant.words.items():
            if region.address <= address < region.end:
                offset = address - region.address
                data[offset : offset + 4] = word.to_bytes(4, "little")
        region.data = bytes(data)
        region.__post_init__()
    return check_image(image, PROFILES["linux"])


__all__ = ["Mutant", "check_mutant", "mutants_of"]
