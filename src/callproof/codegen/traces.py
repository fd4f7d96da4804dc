"""Tables for programs that print their own stack walks: calls by address, with lines.

`struct trace_function` and `struct trace_call` of the runtimes (`sox/sox.h`, `bcpl/trace.h`):
for each function its start, size, printed name and calls, for each call the offset of its
return address and its source line.  A call in inlined code has a row for each function that
it is in, innermost first; all but the last say whose line it is, by where in the names its
name is (those of functions that are not shown are left out).  For a call that shows
registers `struct trace_kept`: its return address, and for each register with variables a
byte with the register's number and one, the variables' names and a zero byte; one more zero
byte at the end.
"""

from __future__ import annotations

import struct

from callproof.codegen.emit import EmittedFunction
from callproof.ir.model import Address, Datum, Module
from callproof.ir.places import calls_of

FUNCTION_ROW = struct.Struct("<QIIQQQ")  # start, code size, calls, name, first call, names
CALL_ROW = struct.Struct("<III")  # return offset, line, 0 or the inlined function's name
KEPT_ROW_SIZE = 16  # return address, names


class _Names:
    """The printed names one behind the other; each function has one place, also if several
    have the same name, as traces tell repeated lines by it."""

    __slots__ = ("_known", "_places", "text")

    def __init__(self, known: dict[str, bytes]) -> None:
        self._known = known
        self._places: dict[str, int] = {}
        self.text = bytearray(1)  # 0 is no name's place

    def place(self, function: str) -> int | None:
        """Where the name of a function (a symbol) is; None if it is not shown."""
        name = self._known.get(function)
        if name is None:
            return None
        if function not in self._places:
            self._places[function] = len(self.text)
            self.text += name.replace(b"\0", b"") + b"\0"
        return self._places[function]


def trace_data(module: Module, functions: list[EmittedFunction]) -> list[Datum]:
    """The tables as data; rows in the order of the functions, which is that of addresses."""
    rows, calls, kept = bytearray(), bytearray(), bytearray()
    names = _Names(module.trace_names)
    prefix = module.trace_prefix
    table = Datum(f"{prefix}functions", alignment=8, exported=True)
    shown = Datum(f"{prefix}kept", alignment=8, exported=True)
    for emitted in functions:
        start = len(rows)
        first = len(calls)
        count = 0
        for call in emitted.calls:
            for callee, number in calls_of(emitted.sites, call.place):
                name = names.place(callee) if callee else 0
                if name is not None:
                    calls += CALL_ROW.pack(call.returns, number, name)
                    count += 1
            if call.kept is not None:
                row = KEPT_ROW_SIZE * (len(shown.addresses) // 2)
                shown.addresses.append(Address(row, emitted.name, call.returns))
                shown.addresses.append(Address(row + 8, f"{prefix}variables", len(kept)))
                kept += _kept_text(call.kept)
        rows += FUNCTION_ROW.pack(0, len(emitted.code), count, 0, 0, 0)
        table.addresses.append(Address(start, emitted.name))
        name = names.place(emitted.name)
        if name is not None:
            table.addresses.append(Address(start + 16, f"{prefix}names", name))
        table.addresses.append(Address(start + 24, f"{prefix}calls", first))
        table.addresses.append(Address(start + 32, f"{prefix}names"))
    table.data = bytes(rows)
    found = [
        table,
        _count(f"{prefix}count", len(functions)),
        Datum(f"{prefix}calls", bytes(calls) or bytes(CALL_ROW.size), alignment=4),
        Datum(f"{prefix}names", bytes(names.text), alignment=1),
    ]
    if module.observers:
        number = len(shown.addresses) // 2
        shown.data = bytes(KEPT_ROW_SIZE * max(number, 1))
        found += [shown, _count(f"{prefix}kept_count", number)]
        found.append(Datum(f"{prefix}variables", bytes(kept) or b"\0", alignment=1))
    if module.trace_tables is not None:
        found += _table_of_tables(*module.trace_tables)
    return found


TABLE_OF_TABLES = ("functions", "count", "kept", "kept_count")


def _table_of_tables(name: str, prefixes: tuple[str, ...]) -> list[Datum]:
    """`struct trace_table` of each module of the program, and how many there are."""
    rows = Datum(f"{name}s", bytes(32 * len(prefixes)), alignment=8, exported=True)
    for number, prefix in enumerate(prefixes):
        for column, what in enumerate(TABLE_OF_TABLES):
            rows.addresses.append(Address(32 * number + 8 * column, f"{prefix}{what}"))
    return [rows, _count(f"{name}_count", len(prefixes))]


def _count(name: str, number: int) -> Datum:
    return Datum(name, struct.pack("<Q", number), alignment=8, exported=True)


def _kept_text(kept: dict[int, str]) -> bytes:
    text = b"".join(
        bytes([register + 1]) + name.encode() + b"\0" for register, name in sorted(kept.items())
    )
    return text + b"\0"
