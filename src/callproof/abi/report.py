"""Where everything of a call goes, in words: what `callproof abi` shows and others may print.

`report` puts one prototype's plans beside one another, one column for each convention,
and says which parameters travel differently; `as_json` is the same as plain data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from callproof.abi.c_parser import Prototype
from callproof.abi.clauses import CLAUSES
from callproof.abi.data_model import DataModel
from callproof.abi.plan import Assignment, CallPlan, Convention, InRegister, OnStack, Part, plan
from callproof.abi.types import (
    Composite,
    Field,
    Floating,
    Integer,
    Pointer,
    ShortVector,
    Type,
)

RESULT = "(result)"


@dataclass(frozen=True, slots=True)
class Row:
    """One parameter or the result under one convention.

    `where` is short ("x0, x1", "[sp+8]", "address of a copy in x2"); `differs` if
    another convention of the report puts it elsewhere.
    """

    name: str
    type: str
    size: int
    alignment: int
    assignment: Assignment
    where: str
    anonymous: bool = False
    differs: bool = False


@dataclass(frozen=True, slots=True)
class RegisterCell:
    """A register of the picture and what part of a value is in it ('' if nothing)."""

    register: str
    label: str
    owner: int | None


@dataclass(frozen=True, slots=True)
class StackCell:
    """`size` bytes at SP + `offset`; `owner` is the index of a row, None for padding."""

    offset: int
    size: int
    label: str
    owner: int | None


@dataclass(frozen=True, slots=True)
class LayoutRow:
    """A member, or a hole (`name` ''), of a composite; `bits` as 'first..last'."""

    offset: int
    size: int
    name: str
    type: str
    bits: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """A structure or union as a platform lays it out."""

    name: str
    size: int
    alignment: int
    union: bool
    rows: tuple[LayoutRow, ...]


@dataclass(frozen=True, slots=True)
class View:
    """Everything about the call under one convention; the result's row stands last."""

    convention: Convention
    plan: CallPlan
    rows: tuple[Row, ...]
    registers: tuple[RegisterCell, ...]
    stack: tuple[StackCell, ...]
    layouts: tuple[Layout, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """One function under several conventions; all views have the same rows."""

    name: str
    views: tuple[View, ...]

    @property
    def differs(self) -> bool:
        return any(row.differs for view in self.views for row in view.rows)


# --- types in C's words --------------------------------------------------------------------

_INTEGERS = {8: "char", 16: "short", 32: "int", 128: "__int128"}


def c_name(type_: Type, model: DataModel) -> str:
    """A type as C on that platform calls it; a short vector in words."""
    if isinstance(type_, Integer):
        if type_.boolean:
            return "_Bool"
        name = _INTEGERS.get(type_.bits) or ("long" if model.long_bits == 64 else "long long")
        if type_.bits == 8:
            return f"{'signed' if type_.signed else 'unsigned'} char"
        return name if type_.signed else f"unsigned {name}"
    if isinstance(type_, Pointer):
        return "pointer"
    if isinstance(type_, Floating):
        if type_.brain:
            return "__bf16"
        names = {16: "_Float16", 32: "float", 64: "double"}
        return names.get(type_.bits, "long double" if type_ == model.long_double else "__float128")
    if isinstance(type_, ShortVector):
        return f"{c_name(type_.element, model)} x {type_.lanes}"
    if type_.name == "_Complex":
        return f"_Complex {c_name(type_.fields[0].type, model)}"
    word = "union" if type_.union else "struct"
    if not type_.name:
        return f"{word} without a name"
    return type_.name if type_.name.startswith((word, "va_list")) else f"{word} {type_.name}"


def _field_type(field: Field, model: DataModel) -> str:
    text = c_name(field.type, model)
    return f"{text}[{field.count}]" if field.array else text


def layout_of(type_: Composite, model: DataModel) -> Layout:
    """Members in order of their places, with the holes between them."""
    rows: list[LayoutRow] = []
    end = 0
    for field in sorted(type_.fields, key=lambda one: (one.offset, one.bit)):
        if field.offset > end and not type_.union:
            rows.append(LayoutRow(end, field.offset - end, "", "padding"))
        if field.is_padding:
            continue
        if field.bits is not None:
            first = field.bit
            bits = f"bits {first}..{first + field.bits - 1}"
            size = -(-(first + field.bits) // 8)
            rows.append(LayoutRow(field.offset, size, field.name, c_name(field.type, model), bits))
        else:
            size = field.type.size * field.count
            rows.append(LayoutRow(field.offset, size, field.name, _field_type(field, model)))
        end = max(end, field.offset + size)
    if type_.size > end:
        rows.append(LayoutRow(end, type_.size - end, "", "padding"))
    return Layout(c_name(type_, model), type_.size, type_.alignment, type_.union, tuple(rows))


def _composites(types: Sequence[Type]) -> list[Composite]:
    """All composites inside, the outer ones first, each once."""
    found: list[Composite] = []

    def visit(type_: Type) -> None:
        if isinstance(type_, Composite) and type_ not in found and type_.name != "_Complex":
            found.append(type_)
            for field in type_.fields:
                visit(field.type)

    for type_ in types:
        visit(type_)
    return found


# --- places in words -----------------------------------------------------------------------


def _place(part: Part, convention: Convention, size: int) -> str:
    if isinstance(part.location, InRegister):
        return convention.register_name(part.location.register, size)
    return f"[sp+{part.location.offset}]"


def where(assignment: Assignment, convention: Convention, *, is_result: bool = False) -> str:
    """The places of an assignment in a few words."""
    if not assignment.parts:
        return "nowhere"
    if assignment.indirect:
        place = _place(assignment.parts[0], convention, 8)
        return f"memory at {place}" if is_result else f"address of a copy in {place}"
    is_scalar = not isinstance(assignment.type, Composite)
    texts: list[str] = []
    stack: list[Part] = []
    for part in assignment.parts:
        if isinstance(part.location, OnStack):
            stack.append(part)
            continue
        # A piece of a composite is any bytes: the whole X register takes part.
        is_general = part.location.register < 32
        size = 8 if is_general and not is_scalar else part.size
        texts.append(_place(part, convention, size))
    if stack:
        first = stack[0].location
        assert isinstance(first, OnStack)
        size = sum(part.size for part in stack)
        texts.append(f"[sp+{first.offset}]" + (f", {size} bytes" if len(stack) > 1 else ""))
    return ", ".join(texts)


def _kind(assignment: Assignment) -> tuple[Any, ...]:
    """What can be compared between different machines: the sort of place, not its name."""
    places = tuple(
        "stack" if isinstance(p.location, OnStack) else p.location.register // 32
        for p in assignment.parts
    )
    return (assignment.indirect, "stack" in places, tuple(dict.fromkeys(places)))


# --- the report ----------------------------------------------------------------------------


def report(prototype: Prototype, conventions: Sequence[Convention]) -> Report:
    """Plans of one prototype under one or more conventions, side by side.

    Raises `CallproofError` for what a convention has no rule for.
    """
    plans = [plan(prototype, convention) for convention in conventions]
    same_machine = len({convention.machine for convention in conventions}) == 1
    views = []
    for call, convention in zip(plans, conventions, strict=True):
        rows = []
        for index, (assignment, name, anonymous) in enumerate(_assignments(call)):
            keys = set()
            for other, its in zip(plans, conventions, strict=True):
                one = _assignments(other)[index][0]
                text = where(one, its, is_result=name == RESULT)
                keys.add((text, tuple(p.extend for p in one.parts)) if same_machine else _kind(one))
            type_ = assignment.type
            rows.append(
                Row(
                    name,
                    c_name(type_, convention.model),
                    type_.size,
                    type_.alignment,
                    assignment,
                    where(assignment, convention, is_result=name == RESULT),
                    anonymous,
                    len(keys) > 1,
                )
            )
        views.append(
            View(
                convention,
                call,
                tuple(rows),
                _registers(rows, convention),
                _stack(rows, call, convention),
                tuple(
                    layout_of(type_, convention.model)
                    for type_ in _composites([row.assignment.type for row in rows])
                ),
                _notes(call, convention),
            )
        )
    return Report(prototype.name, tuple(views))


def _assignments(call: CallPlan) -> list[tuple[Assignment, str, bool]]:
    """Parameters with names, and the result."""
    limit = call.signature.variadic_from
    found = [
        (one, one.name or f"parameter {index + 1}", limit is not None and index >= limit)
        for index, one in enumerate(call.parameters)
    ]
    return [*found, (call.result, RESULT, False)] if call.result is not None else found


def _label(row: Row, part: Part) -> str:
    if row.assignment.indirect:
        return f"address of {row.name}"
    if len(row.assignment.parts) == 1:
        return row.name
    return f"{row.name}[{part.offset}..{part.offset + part.size})"


def _registers(rows: Sequence[Row], convention: Convention) -> tuple[RegisterCell, ...]:
    """The argument registers in order, and any others that the call uses."""
    holders: dict[int, tuple[int, str]] = {}
    for index, row in enumerate(rows):
        if row.name == RESULT and not row.assignment.indirect:
            continue  # those registers hold it after the call, not at it
        for part in row.assignment.parts:
            if isinstance(part.location, InRegister):
                holders[part.location.register] = (index, _label(row, part))
    numbers = {n for n in range(96) if convention.argument_registers >> n & 1} | set(holders)
    order = convention.argument_order
    cells = []
    for number in sorted(numbers, key=lambda n: order.index(n) if n in order else 1000 + n):
        owner, label = holders.get(number, (None, ""))
        name = convention.register_name(number, 16)
        if convention.machine == "aarch64":
            name = name.replace("q", "v")  # the register as such, not a view of it
        cells.append(RegisterCell(name, label, owner))
    return tuple(cells)


def _stack(rows: Sequence[Row], call: CallPlan, convention: Convention) -> tuple[StackCell, ...]:
    """The argument area from SP upwards, without gaps."""
    cells: list[StackCell] = []
    pieces = sorted(
        (part.location.offset, part.size, index, _label(row, part))
        for index, row in enumerate(rows)
        for part in row.assignment.parts
        if isinstance(part.location, OnStack)
    )
    end = 0
    for offset, size, index, label in pieces:
        if offset > end:
            cells.append(StackCell(end, offset - end, "", None))
        cells.append(StackCell(offset, size, label, index))
        end = offset + size
    if call.stack_bytes > end:
        cells.append(StackCell(end, call.stack_bytes - end, "", None))
    return tuple(cells)


def _notes(call: CallPlan, convention: Convention) -> tuple[str, ...]:
    notes = [f"{call.stack_bytes} bytes of stack, SP a multiple of {call.stack_alignment}"]
    notes += [
        f"{convention.register_name(register, 1)} = {value}, the number of vector registers used"
        for register, value in call.constants
    ]
    if call.returned_pointer is not None:
        name = convention.register_name(call.returned_pointer, 8)
        notes.append(f"the callee gives the address of the result's memory back in {name}")
    extended = [
        one.name
        for one, _, _ in _assignments(call)
        if one is not call.result and any(part.extend for part in one.parts)
    ]
    if extended:
        notes.append(f"the caller extends {', '.join(extended)} to 32 bits")
    if convention.reserved:
        names = [convention.register_name(n, 8) for n in range(96) if convention.reserved >> n & 1]
        notes.append(f"{', '.join(names)} belongs to the platform")
    if convention.red_zone:
        notes.append(f"{convention.red_zone} bytes below SP survive signals (red zone)")
    return tuple(notes)


def as_json(whole: Report) -> dict[str, Any]:
    """The report as data for `json.dumps`."""
    return {
        "function": whole.name,
        "differs": whole.differs,
        "conventions": [_view_json(view) for view in whole.views],
    }


def _view_json(view: View) -> dict[str, Any]:
    convention = view.convention
    rows = [_row_json(row, convention) for row in view.rows]
    has_result = view.plan.result is not None
    return {
        "name": convention.name,
        "title": convention.title,
        "parameters": rows[:-1] if has_result else rows,
        "result": rows[-1] if has_result else None,
        "stack_bytes": view.plan.stack_bytes,
        "stack_alignment": view.plan.stack_alignment,
        "constants": {
            convention.register_name(register, 1): value for register, value in view.plan.constants
        },
        "red_zone": convention.red_zone,
        "notes": list(view.notes),
        "layouts": [
            {
                "name": one.name,
                "size": one.size,
                "alignment": one.alignment,
                "union": one.union,
                "members": [
                    {"offset": r.offset, "size": r.size, "name": r.name, "type": r.type}
                    | ({"bits": r.bits} if r.bits else {})
                    for r in one.rows
                ],
            }
            for one in view.layouts
        ],
    }


def _row_json(row: Row, convention: Convention) -> dict[str, Any]:
    parts = []
    for part in row.assignment.parts:
        place: dict[str, Any] = {"offset": part.offset, "size": part.size}
        if isinstance(part.location, InRegister):
            size = max(part.size, part.extend // 8)
            place["register"] = convention.register_name(part.location.register, size)
        else:
            place["stack"] = part.location.offset
        if part.extend:
            place["extended_to"] = part.extend
        parts.append(place)
    return {
        "name": row.name,
        "type": row.type,
        "size": row.size,
        "alignment": row.alignment,
        "anonymous": row.anonymous,
        "indirect": row.assignment.indirect,
        "where": row.where,
        "parts": parts,
        "rules": [
            {"id": name, "source": CLAUSES[name].source, "text": CLAUSES[name].text}
            for name in row.assignment.rules
        ],
        "differs": row.differs,
    }


__all__ = ["Report", "View", "as_json", "c_name", "layout_of", "report", "where"]
