"""Tables for programs that print their own stack walks: calls by address, with lines.

`struct trace_function` and `struct trace_call` of the Sox runtime (`sox/sox.h`): for each
function its start, size, printed name and calls, for each call the offset of its return
address and its source line.
"""

from __future__ import annotations

import struct

from callproof.codegen.emit import EmittedFunction
from callproof.ir.model import Address, Datum, Module

FUNCTION_ROW = struct.Struct("<QIIQQ")  # start, code size, calls, name, first call
CALL_ROW = struct.Struct("<II")
CALLS = ("call", "indirect_call")


def trace_data(module: Module, functions: list[EmittedFunction]) -> list[Datum]:
    """The tables as data; rows in the order of the functions, which is that of addresses."""
    rows, calls, names = bytearray(), bytearray(), bytearray()
    table = Datum("sox_trace_functions", alignment=8, exported=True)
    for emitted in functions:
        start = len(rows)
        first = len(calls)
        count = 0
        for block in emitted.blocks:
            for line in block.lines:
                if line.form.control in CALLS:
                    calls += CALL_ROW.pack(line.offset + line.size, line.line)
                    count += 1
        rows += FUNCTION_ROW.pack(0, len(emitted.code), count, 0, 0)
        table.addresses.append(Address(start, emitted.name))
        name = module.trace_names.get(emitted.name)
        if name is not None:
            table.addresses.append(Address(start + 16, "sox.trace.names", len(names)))
            names += name.replace(b"\0", b"") + b"\0"
        table.addresses.append(Address(start + 24, "sox.trace.calls", first))
    table.data = bytes(rows)
    return [
        table,
        Datum("sox_trace_count", struct.pack("<Q", len(functions)), alignment=8, exported=True),
        Datum("sox.trace.calls", bytes(calls) or bytes(8), alignment=4),
        Datum("sox.trace.names", bytes(names) or b"\0", alignment=1),
    ]
