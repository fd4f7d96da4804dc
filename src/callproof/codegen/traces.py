"""Tables for programs that print their own stack walks: calls by address, with lines.

`struct trace_function` and `struct trace_call` of the runtimes (`sox/sox.h`, `bcpl/trace.h`):
for each function its start, size, printed name and calls, for each call the offset of its
return address and its source line.  For a call that shows registers `struct trace_kept`:
its return address, and for each register with variables a byte with the register's number
and one, the variables' names and a zero byte; one more zero byte at the end.
"""

from __future__ import annotations

import struct

from callproof.codegen.emit import EmittedFunction
from callproof.ir.model import Address, Datum, Module

FUNCTION_ROW = struct.Struct("<QIIQQ")  # start, code size, calls, name, first call
CALL_ROW = struct.Struct("<II")
KEPT_ROW_SIZE = 16  # return address, names
CALLS = ("call", "indirect_call")


def trace_data(module: Module, functions: list[EmittedFunction]) -> list[Datum]:
    """The tables as data; rows in the order of the functions, which is that of addresses."""
    rows, calls, names, kept = bytearray(), bytearray(), bytearray(), bytearray()
    prefix = module.trace_prefix
    table = Datum(f"{prefix}functions", alignment=8, exported=True)
    shown = Datum(f"{prefix}kept", alignment=8, exported=True)
    for emitted in functions:
        start = len(rows)
        first = len(calls)
        count = 0
        for block in emitted.blocks:
            for line in block.lines:
                if line.form.control in CALLS:
                    calls += CALL_ROW.pack(line.offset + line.size, line.line)
                    count += 1
                    if line.kept is not None:
                        row = KEPT_ROW_SIZE * (len(shown.addresses) // 2)
                        returns = line.offset + line.form.size
                        shown.addresses.append(Address(row, emitted.name, returns))
                        shown.addresses.append(Address(row + 8, f"{prefix}variables", len(kept)))
                        kept += _kept_text(line.kept)
        rows += FUNCTION_ROW.pack(0, len(emitted.code), count, 0, 0)
        table.addresses.append(Address(start, emitted.name))
        name = module.trace_names.get(emitted.name)
        if name is not None:
            table.addresses.append(Address(start + 16, f"{prefix}names", len(names)))
            names += name.replace(b"\0", b"") + b"\0"
        table.addresses.append(Address(start + 24, f"{prefix}calls", first))
    table.data = bytes(rows)
    found = [
        table,
        _count(f"{prefix}count", len(functions)),
        Datum(f"{prefix}calls", bytes(calls) or bytes(8), alignment=4),
        Datum(f"{prefix}names", bytes(names) or b"\0", alignment=1),
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
