"""Improvements of a block's finished instructions: pairs, addresses that move, lost copies.

    two loads or stores of neighbours          LDP, STP
    an access, and its base moved on later     the post-indexed or pre-indexed access
    a copy of what is there already            nothing

All of it within a block, over a few instructions.  An instruction is moved over others only
where neither reads or writes what the other writes; a load over no store and a store over no
access at all, unless both have one unchanged base and do not overlap.  A program's memory
is plain memory: no access has an effect of its own.
"""

from __future__ import annotations

from operator import attrgetter

from callproof.codegen.machine import Form, MachineBlock
from callproof.codegen.target import Line
from callproof.target.arm64.instructions import FORMS
from callproof.target.arm64.registers import SP, XZR

NEAR = 8  # instructions that are looked at for a partner
SIZES = {"x": 8, "w": 4, "d": 8, "s": 4, "q": 16}
# Form -> (pair form, size, is a load); arguments are register, base, offset.
PAIRS: dict[Form, tuple[Form, int, bool]] = {
    FORMS[f"{single}_{kind}_{mode}"]: (FORMS[f"{pair}_{kind}_off"], size, single == "ldr")
    for single, pair in (("ldr", "ldp"), ("str", "stp"))
    for kind, size in SIZES.items()
    for mode in ("uimm", "unscaled")
}
# Form -> (post-indexed form, pre-indexed form).
INDEXED: dict[Form, tuple[Form, Form]] = {
    FORMS[f"{name}_{mode}"]: (FORMS[f"{name}_post"], FORMS[f"{name}_pre"])
    for name in (
        *(f"{verb}_{kind}" for verb in ("ldr", "str") for kind in SIZES),
        *("ldrb", "ldrh", "strb", "strh", "ldrsw"),
    )
    for mode in ("uimm", "unscaled")
    if f"{name}_post" in FORMS and f"{name}_pre" in FORMS
}
COPIES = frozenset((FORMS["mov_x"], FORMS["fmov_d"]))
ADDITIONS = {FORMS["add_x_imm"]: 1, FORMS["sub_x_imm"]: -1}
ACCESS, COPY, ADDITION = range(3)
INTERESTING: dict[Form, int] = {
    **dict.fromkeys((*PAIRS, *INDEXED), ACCESS),
    **dict.fromkeys(COPIES, COPY),
    **dict.fromkeys(ADDITIONS, ADDITION),
}

FORM_OF = attrgetter("form")

Effects = tuple[tuple[int, ...], tuple[int, ...]]
_effects: dict[Form, Effects] = {}  # form -> places of the registers read, and written


def improve(lines: list[Line]) -> list[Line]:
    """The lines of a block, with the same effect.

    What most blocks have not is looked for first: neighbours, an addition to a base, a copy
    made twice.
    """
    kinds = [*map(INTERESTING.get, map(FORM_OF, lines))]
    fewest = 1 if ADDITION in kinds else 2
    if kinds.count(ACCESS) < fewest and kinds.count(COPY) < 2:
        return lines
    accesses: list[int] = []
    copies: list[Line] = []
    moved: list[int | MachineBlock] = []  # registers that something is added to
    for index, kind in enumerate(kinds):
        if kind is None or lines[index].reference is not None:
            continue
        if kind == ACCESS:
            accesses.append(index)
        elif kind == COPY:
            copies.append(lines[index])
        else:
            moved.append(lines[index].arguments[0])
    slots: list[Line | None] | None = None
    if len(accesses) > 1:
        near = _with_neighbours(lines, accesses)
        if near:
            slots = list(lines)
            for index in near:
                if slots[index] is not None:
                    _pair(slots, index)
    if moved and any(line.form in PAIRS or line.form in COPIES for line in lines):
        for index in accesses:
            if lines[index].arguments[1] in moved:
                if slots is None:
                    slots = list(lines)
                found = slots[index]
                if found is not None and found.form in INDEXED:
                    _move_on(slots, index)
    if slots is not None:
        lines = [line for line in slots if line is not None]
    return _without_copies(lines) if _has_twice(copies) else lines


def _with_neighbours(lines: list[Line], accesses: list[int]) -> list[int]:
    """The accesses for which there is another one of the same kind next to them in memory."""
    by_base: dict[tuple[Form, int], dict[int, int]] = {}
    known: list[tuple[int, dict[int, int], int, int]] = []
    for index in accesses:
        line = lines[index]
        found = PAIRS.get(line.form)
        if found is not None:
            _, base, offset = _numbers(line)
            offsets = by_base.setdefault((found[0], base), {})
            offsets[offset] = index
            known.append((index, offsets, offset, found[1]))
    return [
        index
        for index, offsets, offset, size in known
        if len(offsets) > 1
        and (offsets.get(offset + size, -1) > index or offsets.get(offset - size, -1) > index)
    ]


def _has_twice(copies: list[Line]) -> bool:
    """Whether two copies are between the same registers."""
    if len(copies) < 2:
        return False
    seen = {frozenset(line.arguments) for line in copies}
    return len(seen) < len(copies)


def effects(line: Line) -> tuple[set[int], set[int]] | None:
    """Registers read and written; None for what nothing may be moved over."""
    form = line.form
    if form.control:
        return None
    places = _effects.get(form)
    if places is None:
        if any(spec.kind in ("barrier", "system") for spec in form.operands):
            return None
        roles = [(which, spec.role) for which, spec in enumerate(form.operands) if spec.role]
        places = _effects[form] = (
            tuple(which for which, role in roles if role != "def"),
            tuple(which for which, role in roles if role != "use"),
        )
    arguments = line.arguments
    read = {arguments[which] for which in places[0]}
    written = {arguments[which] for which in places[1]}
    return read, written  # type: ignore[return-value]


def _numbers(line: Line) -> tuple[int, int, int]:
    register, base, offset = line.arguments
    assert not isinstance(register, MachineBlock) and not isinstance(base, MachineBlock)
    assert not isinstance(offset, MachineBlock)
    return register, base, offset


def _pair(slots: list[Line | None], index: int) -> None:
    """Join an access with one of the next ones, at the place of either."""
    first = slots[index]
    assert first is not None
    pair, size, is_load = PAIRS[first.form]
    register, base, offset = _numbers(first)
    if is_load and register == base:
        return
    read: set[int] = set()
    written: set[int] = set()
    accesses: list[Line] = []
    seen = 0
    for place in range(index + 1, len(slots)):
        line = slots[place]
        if line is None:
            continue
        seen += 1
        found = effects(line)
        if seen > NEAR or found is None:
            return
        known = PAIRS.get(line.form)
        if known is not None and known[0] is pair and line.reference is None:
            other, other_base, other_offset = _numbers(line)
            if other_base == base and abs(other_offset - offset) == size:
                low = min(offset, other_offset)
                if low % size == 0 and -64 * size <= low < 64 * size:
                    at = _meeting(
                        register, other, base, is_load, read, written, accesses, other_offset, size
                    )
                    if at >= 0:
                        ordered = (register, other) if offset < other_offset else (other, register)
                        made = Line(pair, (*ordered, base, low), None, "", first.line)
                        made.comment = ", ".join(filter(None, (first.comment, line.comment)))
                        slots[index] = slots[place] = None
                        slots[place if at else index] = made
                        return
        reads, writes = found
        if base in writes:
            return
        read |= reads
        written |= writes
        if line.form.memory:
            accesses.append(line)


def _meeting(
    register: int,
    other: int,
    base: int,
    is_load: bool,
    read: set[int],
    written: set[int],
    accesses: list[Line],
    offset: int,
    size: int,
) -> int:
    """Where a pair may stand: 0 at the first access, 1 at the second, -1 nowhere.

    `read`, `written` and `accesses` are those of the instructions between the two.
    """
    if is_load:
        if other in (register, base) or other in read or other in written or other == XZR:
            return -1
        if any(line.form.memory != "load" for line in accesses):
            return -1
        return 0
    if any(_may_meet(line, base, offset, size) for line in accesses):
        return -1
    if other not in written:
        return 0
    return -1


def _may_meet(line: Line, base: int, offset: int, size: int) -> bool:
    """Whether an access may be of the bytes at base + offset."""
    known = PAIRS.get(line.form)
    if known is None or line.reference is not None:
        return True
    _, other_base, other_offset = _numbers(line)
    return other_base != base or (other_offset < offset + size and offset < other_offset + known[1])


def _move_on(slots: list[Line | None], index: int) -> None:
    """Fold a later addition to the base into the access."""
    access = slots[index]
    assert access is not None
    register, base, offset = _numbers(access)
    if register == base or base == SP:
        return
    seen = 0
    for place in range(index + 1, len(slots)):
        line = slots[place]
        if line is None:
            continue
        seen += 1
        found = effects(line)
        if seen > NEAR or found is None:
            return
        sign = ADDITIONS.get(line.form)
        if sign is not None and line.reference is None and line.arguments[0] == base:
            _, source, amount, shift = line.arguments
            if source != base or shift or isinstance(amount, MachineBlock):
                return
            step = sign * amount
            post, pre = INDEXED[access.form]
            if not -256 <= step < 256 or (offset and offset != step):
                return
            made = Line(pre if offset else post, (register, base, step), None, "", access.line)
            made.comment = ", ".join(filter(None, (access.comment, line.comment)))
            slots[index], slots[place] = made, None
            return
        if base in found[0] or base in found[1]:
            return


def _without_copies(lines: list[Line]) -> list[Line]:
    """Leave out copies between registers that are equal already."""
    equal: set[tuple[int, int]] = set()
    kept = []
    for line in lines:
        if line.form in COPIES:
            destination, source = line.arguments
            assert isinstance(destination, int) and isinstance(source, int)
            if (destination, source) in equal or (source, destination) in equal:
                continue
            equal = {pair for pair in equal if destination not in pair}
            if source != XZR:
                equal.add((destination, source))
        elif equal:
            found = effects(line)
            if found is None:
                equal = set()
            elif found[1]:
                equal = {pair for pair in equal if found[1].isdisjoint(pair)}
        kept.append(line)
    return kept


__all__ = ["improve"]
