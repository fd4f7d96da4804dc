"""What programs ask of the system and of C's mathematics, for the IR interpreter: an empty
input, no files, random numbers of its own."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

from callproof.ir.interpret import Interpreter, Number, signed
from tests.support.bcpl_library import new_string, put_word, text_at

Results = Sequence[Number]
_random = random.Random(1)


def _alloc(interpreter: Interpreter, arguments: list[Number]) -> Results:
    size = int(arguments[0])
    return (interpreter.memory.allocate(size) if size > 0 else 0,)


def _packed(interpreter: Interpreter, arguments: list[Number]) -> Results:
    data = text_at(interpreter, int(arguments[0])).encode()
    address = interpreter.memory.allocate(9 + len(data))
    put_word(interpreter, address, len(data))
    interpreter.write(address + 8, data + b"\0")
    return (address + 8,)


def _unpacked(interpreter: Interpreter, arguments: list[Number]) -> Results:
    data = bytearray()
    address = int(arguments[0])
    while byte := interpreter.read(address + len(data), 1)[0]:
        data.append(byte)
    return (new_string(interpreter, data.decode()),)


def _put_byte(interpreter: Interpreter, arguments: list[Number]) -> Results:
    address, index, byte = (int(one) for one in arguments)
    interpreter.write(address + index, bytes([byte & 0xFF]))
    return ()


def _of(function: Callable[[float], float]) -> Callable[[Interpreter, list[Number]], Results]:
    return lambda interpreter, arguments: (function(float(arguments[0])),)


def _constant(value: Number) -> Callable[[Interpreter, list[Number]], Results]:
    return lambda interpreter, arguments: (value,)


SYSTEM: dict[str, Callable[[Interpreter, list[Number]], Results]] = {
    "bcpl_malloc": _alloc,
    "bcpl_packstring": _packed,
    "bcpl_from_cstring": _unpacked,
    "bcpl_getbyte": lambda i, a: (i.read(int(a[0]) + int(a[1]), 1)[0],),
    "bcpl_putbyte": _put_byte,
    "bcpl_signed32": lambda i, a: (signed(int(a[0]) & (1 << 32) - 1, 32),),
    "bcpl_fabs": _of(abs),
    "bcpl_fsin": _of(math.sin),
    "bcpl_fcos": _of(math.cos),
    "bcpl_ftan": _of(math.tan),
    "bcpl_flog": _of(math.log),
    "bcpl_fexp": _of(math.exp),
    "bcpl_rand": lambda i, a: (_random.randint(0, int(a[0])) if int(a[0]) > 0 else 0,),
    "bcpl_frnd": lambda i, a: (_random.random(),),
    "bcpl_rnd": lambda i, a: (_random.random() * int(a[0]),),
    "bcpl_rdch": _constant(-1),
    "bcpl_readn": _constant(0),
    "bcpl_readf": _constant(0.0),
    "bcpl_file_open_read": _constant(0),
    "bcpl_file_close": _constant(1),
    "bcpl_file_tell": _constant(-1),
    "bcpl_file_eof": _constant(1),
    "bcpl_slurp": _constant(0),
}
