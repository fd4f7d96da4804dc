"""The kinds of edits.  Each gives words to be changed and what would have to be found.

An edit is only a proposal: whether it breaks the convention is what the run says.  `way`
says how the run must show it:

    lost        a preserved register or SP differs at the return, or there is no return
    rubbish     what the function does depends on rubbish in registers
    misaligned  SP is no multiple of 16 at a call
    platform    X18 has changed
    signals     what it does changes if a signal handler uses the memory below SP
    different   what it does differs from before (arguments exchanged)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from callproof.target.arm64 import effects as e
from callproof.target.arm64.effects import effect_of
from callproof.target.arm64.instructions import decode

NOP, BL_ZERO = 0xD503201F, 0x94000000
FRAME = (29, 31)
SAVED = frozenset((*range(19, 30), *range(40, 48)))
TEMPORARY = (9, 10, 11, 12, 13, 14, 15)
NEAR = 24  # instructions before a call where its arguments are set


@dataclass(slots=True)
class Edit:
    """`words`: address -> new word; `rules`: those of which one must be reported, with one of
    the `registers` (empty: with what the run shows as lost)."""

    kind: str
    words: dict[int, int]
    way: str
    rules: tuple[str, ...]
    registers: frozenset[str] = frozenset()
    unrelocated: frozenset[int] = field(default_factory=frozenset)


def name(bit: int) -> str:
    return f"x{bit}" if bit < 31 else "sp" if bit == 31 else f"d{bit - 32}"


Words = dict[int, int]
LOST = ("CS1", "LR1", "SP1", "SP2")


def edits_of(words: Words, callees: set[int]) -> Iterator[Edit]:
    """All edits of a function's words; `callees`: addresses of calls of functions with
    arguments in the same image."""
    yield from _accesses(words)
    yield from _stack(words)
    yield from _link(words)
    yield from _neighbours(words)
    yield from _renamed(words)
    yield from _calls(words, callees & set(words))


def _is_frame(effect: e.Effect, kind: int) -> bool:
    return effect.kind == kind and effect.a in FRAME and bool(effect.pairs)


def _accesses(words: Words) -> Iterator[Edit]:
    """Saves and restores: dropped, swapped, moved, narrowed."""
    for address, word in words.items():
        effect = effect_of(word)
        bits = [pair[0] for pair in effect.pairs]
        if not set(bits) & SAVED:
            continue
        is_save, is_restore = _is_frame(effect, e.STORE), _is_frame(effect, e.LOAD)
        if not (is_save or is_restore):
            continue
        what = "save" if is_save else "restore"
        if not effect.c:
            yield Edit(f"{what} dropped", {address: NOP}, "lost", LOST)
            if word & 0x3B000000 == 0x29000000 and word >> 15 & 127 < 60:
                yield Edit(f"{what}: other slots", {address: word + (1 << 15)}, "lost", LOST)
            elif word & 0x3B000000 == 0x39000000:
                yield Edit(f"{what}: other slot", {address: word + (1 << 10)}, "lost", LOST)
        if word & 0x3A000000 == 0x28000000 and len(bits) == 2:
            swapped = word & ~(31 | 31 << 10) | (word >> 10 & 31) | (word & 31) << 10
            yield Edit(f"{what}s swapped", {address: swapped}, "lost", LOST)
            if effect.c == 0:
                single = _first_only(word, effect)
                if single is not None:
                    yield Edit(f"half of a {what}", {address: single}, "lost", LOST)
            if is_restore and 29 in bits and 30 in bits:
                other = word & ~31 | 9
                yield Edit("frame pointer lost", {address: other}, "lost", LOST)
        if word & 0xFFC00000 in (0xF9000000, 0xF9400000):  # x -> w, in the same place
            index = word >> 10 & 0xFFF
            narrow = word & ~(0xFFF << 10 | 1 << 30) | index * 2 << 10
            if index < 2048:
                yield Edit(f"{what} narrowed", {address: narrow}, "lost", LOST)
        if word & 0xFFC00000 in (0xFD000000, 0xFD400000):  # d -> s
            index = word >> 10 & 0xFFF
            narrow = word & ~(0xFFF << 10 | 1 << 30) | index * 2 << 10
            if index < 2048:
                yield Edit(f"{what} narrowed", {address: narrow}, "lost", LOST)


def _first_only(word: int, effect: e.Effect) -> int | None:
    """A pair of doublewords as a load or store of the first alone."""
    offset = effect.b
    if effect.d != 16 or not 0 <= offset < 32760 or offset % 8:
        return None
    base = {0xA9000000: 0xF9000000, 0xA9400000: 0xF9400000}
    base |= {0x6D000000: 0xFD000000, 0x6D400000: 0xFD400000}
    opcode = base.get(word & 0xFFC00000)
    if opcode is None:
        return None
    return opcode | offset // 8 << 10 | word & 0x3FF


def _stack(words: Words) -> Iterator[Edit]:
    for address, word in words.items():
        effect = effect_of(word)
        if effect.kind == e.ADD_IMMEDIATE and effect.a == effect.b == 31:
            number = word >> 10 & 0xFFF
            if not word >> 22 & 1 and number + 16 < 4096:
                changed = word & ~(0xFFF << 10)
                unbalanced, odd = changed | number + 16 << 10, changed | number + 8 << 10
                yield Edit("SP unbalanced", {address: unbalanced}, "lost", LOST)
                yield Edit("SP misaligned", {address: odd}, "misaligned", ("SP1", "CS1"))
            yield Edit("SP change dropped", {address: NOP}, "lost", LOST)
        elif (
            effect.c
            and effect.a == 31
            and effect.kind in (e.LOAD, e.STORE)
            and word & 0x3A000000 == 0x28000000
            and word >> 15 & 127 not in (62, 63)
        ):
            changed = word & ~(127 << 15) | (word >> 15 & 127) + 2 << 15 & 127 << 15
            yield Edit("frame of another size", {address: changed}, "lost", LOST)


def _link(words: Words) -> Iterator[Edit]:
    for address, word in words.items():
        effect = effect_of(word)
        if word == 0xD65F03C0:
            for register in (19, 9):
                other = word & ~(31 << 5) | register << 5
                yield Edit("returns elsewhere", {address: other}, "lost", ("LR1",), frozenset())
        # ldp x29, x30, [sp], #n -> ldr x29, [sp], #n
        if (
            _is_frame(effect, e.LOAD)
            and [pair[0] for pair in effect.pairs] == [29, 30]
            and effect.c
            and not effect.b
        ):
            if effect.c < 256:
                only = 0xF8400400 | effect.c << 12 | 31 << 5 | 29
                yield Edit("link lost", {address: only}, "lost", ("LR1",), frozenset())
            popped = 0x910003FF | effect.c << 10
            yield Edit("link and frame lost", {address: popped}, "lost", LOST)
        if word == 0xD65F03C0 and effect_of(words.get(address - 4, NOP)).kind == e.LOAD:
            yield Edit("link overwritten", {address - 4: 0xAA1F03FE}, "lost", ("LR1", *LOST))


def _neighbours(words: Words) -> Iterator[Edit]:
    """Two neighbours exchanged: save after write, compare before call, popped too early."""
    for address, word in words.items():
        following = words.get(address + 4)
        if following is None:
            continue
        effect, second = effect_of(word), effect_of(following)
        swapped = {address: following, address + 4: word}
        stored = sum(1 << bit for bit, _, _ in effect.pairs) if effect.kind == e.STORE else 0
        if (
            _is_frame(effect, e.STORE)
            and stored & second.writes
            and second.kind < e.JUMP
            and {bit for bit, _, _ in effect.pairs} & SAVED
            and not second.writes >> 31 & 1
        ):
            yield Edit("save after write", swapped, "lost", LOST)
        if effect.kind == e.LOAD and effect.a == 31 and not effect.c:
            popped = second.kind == e.ADD_IMMEDIATE and second.a == second.b == 31
            if popped and second.c > 0 and not effect.writes >> 31 & 1:
                moved = _rebased(word, effect, -second.c)
                if moved is not None:
                    exchanged = {address: following, address + 4: moved}
                    yield Edit("popped too early", exchanged, "signals", ("SP2",), _SP)
        pair = (effect.kind, second.kind)
        if pair == (e.MOVE, e.MOVE) and len(effect.pairs) == len(second.pairs) == 1:
            (to, source), (to2, source2) = effect.pairs[0], second.pairs[0]
            if to < 8 and to2 < 8 and source == to2 and source2 != to and source < 8:
                found = frozenset((name(to2), name(to), name(source2)))
                yield Edit("moves exchanged", swapped, "different", ("MV1",), found)


_SP = frozenset(("sp",))


def _rebased(word: int, effect: e.Effect, more: int) -> int | None:
    """A load from SP with another distance: unscaled, or as a pair."""
    distance = effect.b + more
    if word & 0x3B000000 == 0x29000000 and word >> 26 & 1 == 0:
        step = distance // 8
        return word & ~(127 << 15) | (step & 127) << 15 if -64 <= step < 64 else None
    if word & 0xFFC00000 == 0xF9400000 and -256 <= distance < 256:
        return 0xF8400000 | (distance & 511) << 12 | word & 0x3FF
    return None


def _renamed(words: Words) -> Iterator[Edit]:
    """Registers exchanged for others that calls treat in another way."""
    used = 0
    has_call = False
    for word in words.values():
        effect = effect_of(word)
        used |= effect.reads | effect.writes
        has_call |= effect.kind in (e.CALL, e.CALL_REGISTER)
    for old, new, kind, rules in (
        (19, 9, "lives in x9 across a call", ("CR1",)),
        (20, 11, "lives in x11 across a call", ("CR1",)),
        (21, 15, "lives in x15 across a call", ("CR1",)),
        (22, 17, "lives in x17 across a call", ("CR1", "CR2")),
        (19, 6, "lives in x6 across a call", ("CR1",)),
        (40, 48, "lives in v16 across a call", ("CR1",)),
        (41, 63, "lives in v31 across a call", ("CR1",)),
        (42, 36, "lives in v4 across a call", ("CR1",)),
    ):
        if has_call and used >> old & 1 and not used >> new & 1:
            changed = _rename(words, old, new)
            if changed:
                found = frozenset((name(new), f"v{new - 32}.d[1]"))
                yield Edit(kind, changed, "rubbish", (*rules, "AR1", "AR2"), found)
    for new, way, kind, rules in (
        (20, "lost", "x20 as scratch", ("CS1",)),
        (28, "lost", "x28 as scratch", ("CS1",)),
        (18, "platform", "x18 as scratch", ("PL1",)),
        (44, "lost", "d12 as scratch", ("CS1",)),
    ):
        if used >> new & 1:
            continue
        scratch = (*range(48, 64), *range(33, 40)) if new > 31 else (*TEMPORARY, 3, 4, 5, 2, 1)
        for old in scratch:
            if used >> old & 1:
                changed = _rename(words, old, new, whole=True)
                if changed:
                    yield Edit(kind, changed, way, rules, frozenset((name(new),)))
                    break


def _rename(words: Words, old: int, new: int, *, whole: bool = False) -> Words:
    """All uses of a register, but for its save and its restore; none if one has no form."""
    changed: Words = {}
    for address, word in words.items():
        effect = effect_of(word)
        frame = effect.kind in (e.LOAD, e.STORE) and effect.a in FRAME
        if frame and not whole and any(pair[0] == old for pair in effect.pairs):
            continue
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
        try:
            changed[address] = form.encode(arguments)
        except ValueError:
            return {}
    # Reading another register alone is no broken convention, only another program.
    return changed if any(effect_of(w).writes >> new & 1 for w in changed.values()) else {}


def _calls(words: Words, callees: set[int]) -> Iterator[Edit]:
    addresses = sorted(words)
    for index, address in enumerate(addresses):
        word = words[address]
        effect = effect_of(word)
        if effect.kind == e.CALL:
            yield Edit(
                "call zeroed",
                {address: BL_ZERO},
                "lost",
                ("RL1",),
                unrelocated=frozenset({address}),
            )
        if effect.kind == e.CALL and address in callees:
            yield from _unset(words, addresses[max(0, index - 12) : index])
        # A temporary that is written once and read: without its write it is undefined.
        if effect.kind < e.JUMP and not effect.merges and effect.kind not in (e.LOAD, e.STORE):
            written = [
                bit for bit in (*TEMPORARY, 16, 17, *range(48, 64)) if effect.writes >> bit & 1
            ]
            if len(written) == 1 and effect.writes & ~(1 << written[0] | 1 << written[0] + 32) == 0:
                found = frozenset((name(written[0]), f"v{written[0] - 32}.d[1]"))
                rules = ("AR2", "CR1", "CR2", "AR1")
                yield Edit("write dropped", {address: NOP}, "rubbish", rules, found)
            elif effect.writes == e.FLAGS:
                due = ("AR2", "CR1")
                yield Edit("compare dropped", {address: NOP}, "rubbish", due, frozenset(("nzcv",)))
    for address in addresses:
        effect = effect_of(words[address])
        if not any(address < place <= address + 4 * NEAR for place in callees):
            continue  # what a function outside takes from the stack is not known
        if (
            effect.kind == e.STORE
            and effect.a == 31
            and not effect.c
            and effect.b in (0, 8)
            and not {bit for bit, _, _ in effect.pairs} & (SAVED | {30})
        ):
            yield Edit("stack argument dropped", {address: NOP}, "rubbish", ("SP3",), _SP)


def _unset(words: Words, before: list[int]) -> Iterator[Edit]:
    """An argument of a call that is not set."""
    for address in before:
        effect = effect_of(words[address])
        for bit in range(2, 8):
            if effect.kind < e.JUMP and effect.writes == 1 << bit and not effect.merges:
                due = ("AR1", "CR1", "MV1")
                # What was not set may be moved on and be passed by its new register.
                moves = [f for f in map(effect_of, words.values()) if f.kind == e.MOVE]
                moved = {pair[0] for f in moves for pair in f.pairs if pair[1] == bit}
                found = frozenset(map(name, {bit} | (moved & set(range(8)))))
                yield Edit("argument not set", {address: NOP}, "rubbish", due, found)
