"""How gdb shows values of NewBCPL and Sox programs that Callproof compiled with -g.

In gdb: `source PATH`, where PATH is what `callproof gdb-printers` prints; or at its start
`gdb -x "$(callproof gdb-printers)" PROGRAM`.
"""

# Runs inside gdb, so it uses gdb's module and nothing of Callproof.
from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import gdb  # type: ignore[import-untyped]
import gdb.printing  # type: ignore[import-untyped]

MOST_BYTES = 1 << 16  # of a string that is shown
MOST_ELEMENTS = 1 << 16  # a damaged length must not hang gdb
DEEPEST = 3  # containers in containers

# Sox: tags of values, offsets in objects (sox/sox.h).
NIL, BOOL, NUMBER, STRING, CLOSURE, NATIVE, CLASS, INSTANCE = range(8)
BOUND, TABLE, ARRAY, RANGE, ITERATOR, CELL, UNDEFINED = 8, 9, 10, 11, 12, 13, 255
VALUE_SIZE, VALUE_PAYLOAD = 16, 8
STRING_LENGTH, STRING_BYTES = 8, 16
CLOSURE_INFO, INFO_NAME = 24, 0
CLASS_NAME = 8
INSTANCE_CLASS, INSTANCE_SHAPE, INSTANCE_FIELDS = 8, 16, 24
SHAPE_PARENT, SHAPE_NAME, SHAPE_COUNT = 16, 24, 48
BOUND_METHOD = 32
ARRAY_COUNT, ARRAY_ITEMS = 8, 24
TABLE_CAPACITY, TABLE_COUNT, TABLE_ENTRIES = 16, 8, 24
ENTRY_CONTENT, ENTRY_SIZE = 8, 24
RANGE_START, RANGE_END, RANGE_STEP = 8, 16, 24

# NewBCPL: tags of list atoms, offsets (bcpl/bcpl.h).
LIST_HEADER, LIST_INTEGER, LIST_FLOAT, LIST_STRING, LIST_LIST, LIST_OBJECT, LIST_PAIR = range(7)
LIST_LENGTH, LIST_HEAD, NODE_VALUE, NODE_NEXT = 8, 16, 8, 16
LENGTH_BEFORE = 8  # strings and vectors have their length that far before their address


def memory(address: int, size: int) -> bytes:
    """Bytes of the program; raises `gdb.MemoryError` where there are none."""
    return bytes(gdb.selected_inferior().read_memory(address, size))


def word(address: int) -> int:
    return int(struct.unpack("<Q", memory(address, 8))[0])


def signed(address: int) -> int:
    return int(struct.unpack("<q", memory(address, 8))[0])


def real(address: int) -> float:
    return float(struct.unpack("<d", memory(address, 8))[0])


def c_string(address: int) -> str:
    found = bytearray()
    while len(found) < MOST_BYTES:
        byte = memory(address + len(found), 1)
        if byte == b"\0":
            break
        found += byte
    return found.decode("utf-8", "replace")


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


# --- Sox --------------------------------------------------------------------------------------


def sox_string(address: int) -> str:
    length = min(word(address + STRING_LENGTH), MOST_BYTES)
    return memory(word(address + STRING_BYTES), length).decode("utf-8", "replace")


def sox_number(value: float) -> str:
    return f"{value:.14g}"


def sox_value(address: int) -> tuple[int, int]:
    return word(address), word(address + VALUE_PAYLOAD)


def sox_fields(instance: int) -> Iterator[tuple[str, tuple[int, int]]]:
    shape = word(instance + INSTANCE_SHAPE)
    names: list[str] = []
    for _ in range(min(word(shape + SHAPE_COUNT), MOST_ELEMENTS)):
        names.append(sox_string(word(shape + SHAPE_NAME)))
        shape = word(shape + SHAPE_PARENT)
    fields = word(instance + INSTANCE_FIELDS)
    for index, name in enumerate(reversed(names)):
        yield name, sox_value(fields + index * VALUE_SIZE)


def sox_entries(table: int) -> Iterator[tuple[str, tuple[int, int]]]:
    entries = word(table + TABLE_ENTRIES)
    for index in range(min(word(table + TABLE_CAPACITY), MOST_ELEMENTS)):
        entry = entries + index * ENTRY_SIZE
        key = word(entry)
        if key:
            yield sox_string(key), sox_value(entry + ENTRY_CONTENT)


def sox_items(array: int) -> Iterator[tuple[str, tuple[int, int]]]:
    items = word(array + ARRAY_ITEMS)
    for index in range(min(word(array + ARRAY_COUNT), MOST_ELEMENTS)):
        yield f"[{index}]", sox_value(items + index * VALUE_SIZE)


def sox_children(tag: int, payload: int) -> Iterator[tuple[str, tuple[int, int]]]:
    if tag == INSTANCE:
        return sox_fields(payload)
    if tag == TABLE:
        return sox_entries(payload)
    return sox_items(payload) if tag == ARRAY else iter(())


def sox_head(tag: int, payload: int) -> str:
    """A value without what is in it."""
    if tag == NIL:
        return "nil"
    if tag == BOOL:
        return "true" if payload else "false"
    if tag == NUMBER:
        return sox_number(struct.unpack("<d", struct.pack("<Q", payload))[0])
    if tag == STRING:
        return quoted(sox_string(payload))
    if tag == CLOSURE:
        return f"<fn {c_string(word(word(payload + CLOSURE_INFO) + INFO_NAME))}>"
    if tag == NATIVE:
        return "<native fn>"
    if tag == CLASS:
        return f"<class {sox_string(word(payload + CLASS_NAME))}>"
    if tag == INSTANCE:
        return f"{sox_string(word(word(payload + INSTANCE_CLASS) + CLASS_NAME))} instance"
    if tag == BOUND:
        return f"<method {sox_head(CLOSURE, word(payload + BOUND_METHOD))}>"
    if tag == TABLE:
        return f"table of {word(payload + TABLE_COUNT)}"
    if tag == ARRAY:
        return f"array of {word(payload + ARRAY_COUNT)}"
    if tag == RANGE:
        start, end, step = (real(payload + at) for at in (RANGE_START, RANGE_END, RANGE_STEP))
        text = f"range {sox_number(start)} to {sox_number(end)}"
        return text if step == 1 else f"{text} step {sox_number(step)}"
    if tag == UNDEFINED:
        return "<undefined>"
    return f"<Sox value: tag {tag}, payload {payload:#x}>"


def sox_text(tag: int, payload: int, depth: int = DEEPEST) -> str:
    """A value with what is in it, in one line."""
    try:
        head = sox_head(tag, payload)
        if tag not in (INSTANCE, TABLE, ARRAY):
            return head
        if not depth:
            return f"{head} {{...}}"
        limit = gdb.parameter("print elements") or MOST_ELEMENTS
        shown: list[str] = []
        for name, value in sox_children(tag, payload):
            if len(shown) >= limit:
                shown.append("...")
                break
            inner = sox_text(*value, depth - 1)
            shown.append(inner if tag == ARRAY else f"{name}: {inner}")
        return f"{head} {{{', '.join(shown)}}}"
    except gdb.MemoryError:
        return f"<Sox value: tag {tag}, payload {payload:#x}>"


class SoxValue:
    """A Sox value; what is in a container are its children."""

    def __init__(self, value: Any) -> None:
        self.tag = int(value["tag"])
        self.payload = int(value["payload"])

    def to_string(self) -> str:
        return sox_text(self.tag, self.payload)


# --- NewBCPL ----------------------------------------------------------------------------------


def bcpl_string(address: int) -> str:
    if not address:
        return "NULL"
    try:
        length = min(word(address - LENGTH_BEFORE), MOST_BYTES // 4)
        codes = struct.unpack(f"<{length}I", memory(address, 4 * length))
    except gdb.MemoryError:
        return f"<STRING at {address:#x}>"
    return quoted("".join(chr(code) if code < 0x110000 else "\ufffd" for code in codes))


def bcpl_atom(tag: int, address: int, depth: int) -> str:
    """What is at the address, which the tag of its list's node tells."""
    value = word(address)
    if tag == LIST_FLOAT:
        return f"{real(address):.15g}"
    if tag == LIST_STRING:
        return bcpl_string(value)
    if tag == LIST_LIST:
        return bcpl_list(value, depth - 1)
    if tag == LIST_OBJECT:
        return f"OBJECT {value:#x}"
    return str(signed(address))


def bcpl_list(address: int, depth: int = DEEPEST) -> str:
    """A list's atoms; of a node those from it on."""
    if not address:
        return "NULL"
    if not depth:
        return "LIST(...)"
    try:
        (tag,) = struct.unpack("<i", memory(address, 4))
        node = word(address + LIST_HEAD) if tag == LIST_HEADER else address
        limit = gdb.parameter("print elements") or MOST_ELEMENTS
        shown: list[str] = []
        while node:
            if len(shown) >= limit:
                shown.append("...")
                break
            (tag,) = struct.unpack("<i", memory(node, 4))
            shown.append(bcpl_atom(tag, node + NODE_VALUE, depth))
            node = word(node + NODE_NEXT)
        return f"LIST({', '.join(shown)})"
    except gdb.MemoryError:
        return f"<LIST at {address:#x}>"


class BcplString:
    def __init__(self, value: Any) -> None:
        self.address = int(value)

    def to_string(self) -> str:
        return bcpl_string(self.address)


class BcplList:
    def __init__(self, value: Any) -> None:
        self.address = int(value)

    def to_string(self) -> str:
        return bcpl_list(self.address)


class BcplVector:
    """A vector's elements are its children."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.address = int(value)
        self.length = 0
        self.is_known = False
        if self.address:
            try:
                self.length = word(self.address - LENGTH_BEFORE)
                # Memory that was not made by VEC has anything before it.
                memory(self.address, max(8 * self.length, 1))
                self.is_known = self.length < MOST_ELEMENTS
            except (gdb.MemoryError, OverflowError, gdb.error):
                self.is_known = False

    def to_string(self) -> str:
        name = self.value.type.name
        if not self.address:
            return "NULL"
        return f"{name} {self.length}" if self.is_known else f"<{name} at {self.address:#x}>"

    def children(self) -> Iterator[tuple[str, Any]]:
        if not self.is_known:
            return
        pointer = self.value.cast(self.value.type.strip_typedefs())
        for index in range(self.length):
            yield f"[{index}]", pointer[index]

    def display_hint(self) -> str:
        return "array"


STRUCTURES = {"sox_value": SoxValue}
NAMED = {"STRING": BcplString, "LIST": BcplList, "NODE": BcplList}
VECTORS = ("VEC", "FVEC", "PAIRS", "FPAIRS", "QUADS", "OCTS", "FQUADS", "FOCTS")
NAMED.update(dict.fromkeys(VECTORS, BcplVector))


class Printers(gdb.printing.PrettyPrinter):  # type: ignore[misc]
    """Finds the printer of a type by its name."""

    def __init__(self) -> None:
        super().__init__("callproof")

    def __call__(self, value: Any) -> Any:
        type_ = value.type
        name = type_.name
        if type_.code == gdb.TYPE_CODE_TYPEDEF:
            found = NAMED.get(name)
            return found(value) if found is not None else None
        found = STRUCTURES.get(name)
        return found(value) if found is not None else None


gdb.printing.register_pretty_printer(None, Printers(), replace=True)
