"""The NewBCPL runtime for the IR interpreter: prints exactly what the C runtime prints."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence

from callproof.ir.interpret import Interpreter, Number, signed
from tests.support.bcpl_library import EXTERNALS
from tests.support.bcpl_system import SYSTEM


class Finished(Exception):
    """The program ended by FINISH or EXIT."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def utf8(code: int) -> bytes:
    if not 0 <= code <= 0x10FFFF or 0xD800 <= code < 0xE000:
        return b"?"
    return chr(code).encode()


def general(value: float) -> str:
    """C's %g."""
    return f"{value:g}" if math.isfinite(value) else _special(value)


def _special(value: float) -> str:
    if value != value:
        return "nan"
    return "inf" if value > 0 else "-inf"


class Runtime:
    """`output` collects what is printed; `externals` go to the interpreter."""

    def __init__(self) -> None:
        self.output = bytearray()
        self.externals: dict[str, Callable[[Interpreter, list[Number]], Sequence[Number]]] = {
            "bcpl_writes": self.writes,
            "bcpl_writen": lambda i, a: self.put(str(a[0])),
            "bcpl_writec": lambda i, a: self.put_bytes(utf8(int(a[0]))),
            "bcpl_newline": lambda i, a: self.put("\n"),
            "bcpl_fwrite": lambda i, a: self.put(general(float(a[0]))),
            "bcpl_writef": self.writef,
            "bcpl_getvec": self.getvec,
            "bcpl_string": self.string,
            "bcpl_new": self.new,
            "bcpl_freevec": lambda i, a: (),
            **dict.fromkeys(QUIET, lambda i, a: ()),
            "bcpl_abs": lambda i, a: (signed(abs(int(a[0])), 64),),
            "bcpl_finish": self.finish,
            "bcpl_share_stdio": lambda i, a: (),
            "bcpl_exit": self.exit,
            **SYSTEM,
            **EXTERNALS,
        }

    def put(self, text: str) -> tuple[Number, ...]:
        return self.put_bytes(text.encode())

    def put_bytes(self, data: bytes) -> tuple[Number, ...]:
        self.output += data
        return ()

    def exit(self, interpreter: Interpreter, arguments: list[Number]) -> tuple[Number, ...]:
        raise Finished(int(arguments[0]))

    def finish(self, interpreter: Interpreter, arguments: list[Number]) -> tuple[Number, ...]:
        raise Finished(0)

    def text(self, interpreter: Interpreter, address: int) -> str:
        characters = []
        while code := int.from_bytes(interpreter.read(address, 4), "little"):
            characters.append(chr(code))
            address += 4
        return "".join(characters)

    def writes(self, interpreter: Interpreter, arguments: list[Number]) -> tuple[Number, ...]:
        address = int(arguments[0])
        return self.put(self.text(interpreter, address) if address else "(null)")

    def getvec(self, interpreter: Interpreter, arguments: list[Number]) -> tuple[Number, ...]:
        words = int(arguments[0])
        if words <= 0:
            return (0,)
        address = interpreter.memory.allocate(8 * (words + 2))
        interpreter.write(address, words.to_bytes(8, "little"))
        return (address + 8,)

    def string(self, interpreter: Interpreter, arguments: list[Number]) -> tuple[Number, ...]:
        count = max(0, int(arguments[0]))
        address = interpreter.memory.allocate(12 + 4 * count)
        interpreter.write(address, count.to_bytes(8, "little"))
        return (address + 8,)

    def new(self, interpreter: Interpreter, arguments: list[Number]) -> tuple[Number, ...]:
        address = interpreter.memory.allocate(int(arguments[0]))
        interpreter.write(address, int(arguments[1]).to_bytes(8, "little"))
        return (address,)

    def writef(self, interpreter: Interpreter, arguments: list[Number]) -> tuple[Number, ...]:
        text = self.text(interpreter, int(arguments[0]))
        values = [
            int.from_bytes(interpreter.read(int(arguments[2]) + 8 * i, 8), "little", signed=True)
            for i in range(int(arguments[1]))
        ]
        index = 0
        while index < len(text):
            character = text[index]
            index += 1
            if character != "%" or index == len(text):
                self.put(character)
                continue
            letter = text[index]
            digits = len(text[index + 1 :]) - len(text[index + 1 :].lstrip("0123456789"))
            end = index + 1 + digits
            if letter == "%":
                self.put("%")
                index += 1
            elif letter == "." and digits and text[end : end + 1] in ("f", "F") and values:
                precision = int(text[index + 1 : end])
                self.put(f"{as_double(values.pop(0)):.{precision}f}")
                index = end + 1
            elif values and letter in DIRECTIVES:
                self.directive(interpreter, letter, values.pop(0))
                index += 1
            elif letter == "n" and not values:
                self.put("\n")
                index += 1
            else:
                self.put("%")
        return ()

    def directive(self, interpreter: Interpreter, letter: str, value: int) -> None:
        raw = value & (1 << 64) - 1
        if letter in "diNn":
            self.put(str(value))
        elif letter in "xo":
            self.put(f"{raw:{letter}}")
        elif letter == "X":
            self.put(f"{raw:016X}")
        elif letter in "fF":
            number = as_double(value)
            self.put(f"{number:.6f}" if math.isfinite(number) else _special(number))
        elif letter == "c":
            self.put_bytes(utf8(value))
        elif letter in "sS":
            self.writes(interpreter, [value])
        elif letter == "Q":
            low, high = struct.unpack("<ff", struct.pack("<Q", raw))
            self.put(f"({general(low)}, {general(high)})")
        else:
            bits = 32 if letter == "P" else 16
            lanes = [signed(raw >> shift, bits) for shift in range(0, 64, bits)]
            self.put(f"({', '.join(map(str, lanes))})")


# About memory, of which the interpreter has enough.
QUIET = ("bcpl_gc", "bcpl_heap_info", "bcpl_show_errors", "bcpl_clear_errors")
DIRECTIVES = frozenset("diNnxXofFcsSPQR")


def as_double(word: int) -> float:
    return float(struct.unpack("<d", struct.pack("<q", word))[0])
