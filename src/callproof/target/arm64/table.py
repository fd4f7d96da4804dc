"""How rows of the instruction table are written, encoded, decoded and printed.

A row has a bit pattern and operands.  The pattern is read from bit 31 down:
strings of 0 and 1 are fixed bits, `name:width` is a field.  An operand is written
`role:kind@field` (registers) or `kind@field[+field...]`, in assembly order; the
constructor asserts that the bits add up to 32 and that every field belongs to
exactly one operand.  Encoder, decoder, printer and the allocator's view are all
derived from the row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

from callproof.codegen.machine import Form, OperandSpec
from callproof.target.arm64.kinds import KINDS, Argument, Kind

Places = tuple[tuple[int, int], ...]
"""(shift, width) of each field of an operand."""

REMEMBERED = 4096  # encoded arguments kept per operand; labels could be millions


class _Placed(dict[int, int]):
    """Argument -> its bits in the instruction word.

    Encoding is a lookup for what was encoded before; the dictionary is shared by
    all rows that have this operand at this place.
    """

    __slots__ = ("kind", "operand", "places")

    def __init__(self, operand: str, kind: Kind, places: Places) -> None:
        super().__init__()
        self.operand = operand
        self.kind = kind
        self.places = places

    def __missing__(self, argument: int) -> int:
        try:
            values = self.kind.encode(argument)
        except ValueError as error:
            raise ValueError(f"operand '{self.operand}': {error}") from None
        bits = 0
        for (shift, width), value in zip(self.places, values, strict=True):
            assert not value >> width, f"{self.kind.name}: {argument} does not fit {width} bits"
            bits |= value << shift
        if len(self) < REMEMBERED:
            self[argument] = bits
        return bits


_placed = cache(_Placed)


@cache
def _pattern(pattern: str) -> tuple[int, int, dict[str, tuple[int, int]]]:
    """The fixed bits, the mask of them, and (shift, width) by field name."""
    fixed = mask = 0
    fields: dict[str, tuple[int, int]] = {}
    position = 32
    for token in pattern.split():
        if ":" in token:
            field, _, width_text = token.partition(":")
            width = int(width_text)
            position -= width
            assert field not in fields, f"{pattern}: field {field} twice"
            fields[field] = (position, width)
        else:
            assert re.fullmatch("[01]+", token), f"{pattern}: {token}"
            position -= len(token)
            fixed |= int(token, 2) << position
            mask |= ((1 << len(token)) - 1) << position
    assert position == 0, f"{pattern} has {32 - position} bits"
    return fixed, mask, fields


@cache
def _operand(token: str) -> tuple[OperandSpec, Kind, list[str]]:
    """What `role:kind@field+field` says; rows share it, as nobody changes it."""
    what, _, names = token.partition("@")
    role, _, kind_name = what.rpartition(":")
    kind = KINDS[kind_name]
    fields = names.split("+")
    assert len(fields) == kind.fields, token
    assert bool(role) == (kind.register_class >= 0), token
    return OperandSpec(fields[-1], kind_name, role, kind.register_class), kind, fields


def _encoder(fixed: int, placed: Sequence[_Placed]) -> Callable[[Sequence[int]], int]:
    """The encoder of a row, unrolled: it runs once for each instruction that we emit.

    A wrong number of arguments is a `ValueError` of the unpacking.
    """
    if len(placed) == 1:
        (p0,) = placed

        def encode1(arguments: Sequence[int]) -> int:
            (a,) = arguments
            return fixed | p0[a]

        return encode1
    if len(placed) == 2:
        p0, p1 = placed

        def encode2(arguments: Sequence[int]) -> int:
            a, b = arguments
            return fixed | p0[a] | p1[b]

        return encode2
    if len(placed) == 3:
        p0, p1, p2 = placed

        def encode3(arguments: Sequence[int]) -> int:
            a, b, c = arguments
            return fixed | p0[a] | p1[b] | p2[c]

        return encode3
    if len(placed) == 4:
        p0, p1, p2, p3 = placed

        def encode4(arguments: Sequence[int]) -> int:
            a, b, c, d = arguments
            return fixed | p0[a] | p1[b] | p2[c] | p3[d]

        return encode4

    def encode(arguments: Sequence[int]) -> int:
        word = fixed
        for bits, argument in zip(placed, arguments, strict=True):
            word |= bits[argument]
        return word

    return encode


class Row:
    """A row; see the module's text.  `template` shows the operands, by their index in braces."""

    __slots__ = ("aliases", "fields", "fixed", "form", "mask", "operands")

    def __init__(
        self,
        form_name: str,
        mnemonic: str,
        pattern: str,
        operands: str,
        template: str = "",
        *,
        control: str = "",
        memory: str = "",
        is_move: bool = False,
        flags: str = "",
        aliases: Sequence[Callable[[Sequence[Argument]], str | None]] = (),
    ) -> None:
        self.fixed, self.mask, self.fields = _pattern(pattern)
        self.operands: list[tuple[Kind, Places]] = []
        specs, used, placed = [], [], []
        for token in operands.split():
            spec, kind, names = _operand(token)
            used += names
            places = tuple(self.fields[field] for field in names)
            specs.append(spec)
            self.operands.append((kind, places))
            placed.append(_placed(spec.name, kind, places))
        assert sorted(used) == sorted(self.fields), f"{form_name}: {used} {self.fields}"
        self.aliases = aliases
        shown = template or ", ".join(f"{{{index}}}" for index in range(len(specs)))
        self.form = Form(
            form_name,
            mnemonic,
            tuple(specs),
            encode=_encoder(self.fixed, placed),
            text=self._printer(mnemonic, shown),
            control=control,
            memory=memory,
            is_move=is_move,
            reads_flags="r" in flags,
            writes_flags="w" in flags,
        )

    def _printer(self, mnemonic: str, template: str) -> Callable[[Sequence[Argument]], str]:
        operands, aliases = self.operands, self.aliases

        def text(arguments: Sequence[Argument]) -> str:
            for alias in aliases:
                special = alias(arguments)
                if special is not None:
                    return special
            shown = [kind.text(a) for (kind, _), a in zip(operands, arguments, strict=True)]
            return f"{mnemonic} {template.format(*shown)}".rstrip()

        return text

    def decode(self, word: int) -> list[int] | None:
        """The arguments if the word is this row's (reserved field values are not)."""
        if word & self.mask != self.fixed:
            return None
        arguments = []
        for kind, places in self.operands:
            values = tuple(word >> shift & ((1 << width) - 1) for shift, width in places)
            argument = kind.decode(values)
            if argument is None:
                return None
            arguments.append(argument)
        return arguments


class Table:
    """Rows in the order in which they were written."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def row(
        self,
        form_name: str,
        mnemonic: str,
        pattern: str,
        operands: str,
        template: str = "",
        *,
        control: str = "",
        memory: str = "",
        is_move: bool = False,
        flags: str = "",
        aliases: Sequence[Callable[[Sequence[Argument]], str | None]] = (),
    ) -> None:
        """Add a row; `flags` is of 'r' (reads NZCV) and 'w' (writes NZCV)."""
        self.rows.append(
            Row(
                form_name,
                mnemonic,
                pattern,
                operands,
                template,
                control=control,
                memory=memory,
                is_move=is_move,
                flags=flags,
                aliases=aliases,
            )
        )
