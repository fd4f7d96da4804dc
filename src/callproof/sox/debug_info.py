"""What a debugger shall know of a Sox program: its variables are values, or just numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from callproof.ir.debug import (
    BaseType,
    DebugGlobal,
    DebugModule,
    DebugType,
    DebugVariable,
    Member,
    StructureType,
)
from callproof.ir.types import I64
from callproof.runtime import sox_layout as layout
from callproof.sox.signatures import GLOBALS, Typed

if TYPE_CHECKING:
    from callproof.sox.lower_state import State
    from callproof.sox.symbols import CaptureInfo, LocalInfo, Module

WORD = BaseType("word", "unsigned", 8)
NUMBER = BaseType("number", "float", 8)
VALUE = StructureType(
    "sox_value",
    layout.VALUE_SIZE,
    [Member("tag", WORD, layout.VALUE_TAG), Member("payload", WORD, layout.VALUE_PAYLOAD)],
)
HIDDEN = ("", "super")


def show_local(state: State, local: LocalInfo) -> None:
    """A local comes into being, its IR variables are declared."""
    if local.name in HIDDEN:
        return
    keys = state.parts[local]
    sizes: tuple[int, ...] = (8,)
    content: tuple[int, ...] = ()
    type_: BaseType | StructureType = VALUE
    if local.needs_cell:
        content = (layout.CELL_CONTENT,)
    elif local in state.numeric:
        type_ = NUMBER
    else:
        sizes = (8, 8)
    known = state.shown.get(local)
    if known is None:
        is_parameter = local.is_parameter or local is state.function.receiver
        known = state.shown[local] = DebugVariable(
            local.name, type_, local.span.line, is_parameter, sizes, content
        )
    state.builder.show(known, keys)


def show_captures(state: State) -> None:
    """What the function uses of those around it: in its closure, the first parameter."""
    builder = state.builder
    for capture in state.function.captures:
        if capture.name in HIDDEN:
            continue
        key = ("closure", capture)
        builder.declare(key, I64, "self")
        builder.show(_captured(capture), (key,))
        builder.write(key, builder.entry.parameters[0])


def _captured(capture: CaptureInfo) -> DebugVariable:
    place = layout.CLOSURE_CAPTURES + capture.index * layout.VALUE_SIZE
    content: tuple[int, ...] = (place,)
    if capture.local.needs_cell:
        content = (place + layout.VALUE_PAYLOAD, layout.CELL_CONTENT)
    line = capture.local.span.line
    return DebugVariable(capture.name, VALUE, line, False, (8,), content)


def result_of(form: Typed | None) -> DebugType:
    """What a function gives; one of a known kind gives its payload only."""
    if form is None or form.result is None:
        return VALUE
    return NUMBER if form.result == layout.NUMBER else WORD


def show_globals(debug: DebugModule, modules: Sequence[Module], slots: dict[object, int]) -> None:
    """The globals that have memory; those that are not the script's with their file's name."""
    for module in modules:
        for info in module.globals.values():
            offset = slots.get(info)
            if offset is None:
                continue
            line = info.definitions[0].line if info.definitions else 0
            name = info.name if module.is_script else f"{module.key}.{info.name}"
            debug.globals.append(
                DebugGlobal(name, VALUE, module.source.name, line, GLOBALS, offset)
            )
