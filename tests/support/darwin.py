"""A small macOS: loads a Mach-O program into the bare emulator and is its libSystem.

What dyld does is done here anew from the file's bytes (nothing of callproof's own readers or
writers is used): segments are mapped with their protection, chained fixups followed.  The
library's functions are Python (`darwin_library.py`); behind each the registers that a call may
change are filled with rubbish.  Variadic arguments are taken from the stack, as Darwin has them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from tests.support.darwin_library import FUNCTIONS, PAGE, STACK_TOP, Ended

LIBRARY, STACK_SIZE = 0x2_0000_0000, 8 << 20
HEAP = 0x4_0000_0000
SLIDE = 0x1234_4000  # the program is not where it was linked for
THREAD_VARIABLES, THREAD_VALUES = 0x13, (0x11, 0x12)  # types of sections
HAS_THREAD_VARIABLES = 0x800000  # in the header's flags
LC_LOAD_DYLIB, LC_SEGMENT_64, LC_MAIN, LC_CHAINED_FIXUPS = 0xC, 0x19, 0x80000028, 0x80000034
RUBBISH = 0xBAD0_BAD0_BAD0_BAD0
CALL_CHANGES = range(1, 18)
SIGBUS = 10  # what a protected page gives on Darwin
MASK = (1 << 64) - 1
CONVERSION = re.compile(rb"%([-+ #0]*)(\*|\d*)((?:\.(?:\*|\d*))?)(?:ll|l|z|j|t|hh|h)?([a-zA-Z%])")


@dataclass
class Loaded:
    """A file's segments (name, address, size, contents, protection), fixups and entry.

    sections   (segment, name) -> (address, size, type)
    """

    segments: list[tuple[str, int, int, bytes, int]] = field(default_factory=list)
    rebases: dict[int, int] = field(default_factory=dict)  # address -> target, both unslid
    binds: dict[int, tuple[str, int]] = field(default_factory=dict)  # address -> (name, addend)
    entry: int = 0
    base: int = 0
    sections: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)
    libraries: list[str] = field(default_factory=list)
    given_by: dict[str, str] = field(default_factory=dict)  # imported name -> library

    def of_type(self, *types: int) -> list[tuple[int, int]]:
        """(address, size) of the sections of these types."""
        return [row[:2] for row in self.sections.values() if row[2] in types]

    def content(self, segment: str, name: str) -> bytes:
        address, size, _ = self.sections[segment, name]
        for found, start, _, contents, _ in self.segments:
            if found == segment:
                return contents[address - start : address - start + size]
        raise KeyError(segment)


def load(data: bytes) -> Loaded:
    """Read a program as dyld does; asserts what dyld insists on."""
    magic, cpu, _, kind, count, size, flags, _ = struct.unpack_from("<8I", data)
    assert (magic, cpu, kind) == (0xFEEDFACF, 0x0100000C, 2)
    assert flags & 0x200085 == 0x200085  # NOUNDEFS, DYLDLINK, TWOLEVEL, PIE
    found = Loaded()
    at, chains, end = 32, None, 32 + size
    for _ in range(count):
        command, length = struct.unpack_from("<2I", data, at)
        assert length % 8 == 0
        if command == LC_SEGMENT_64:
            raw, address, memory, offset, stored = struct.unpack_from("<16s4Q", data, at + 8)
            protection = struct.unpack_from("<I", data, at + 60)[0]
            name = raw.rstrip(b"\0").decode()
            assert address % PAGE == memory % PAGE == offset % PAGE == 0
            assert offset + stored <= len(data) and stored <= memory
            found.segments.append(
                (name, address, memory, data[offset : offset + stored], protection)
            )
            for number in range(struct.unpack_from("<I", data, at + 64)[0]):
                raw, _, place, extent = struct.unpack_from("<16s16s2Q", data, at + 72 + 80 * number)
                (kind,) = struct.unpack_from("<I", data, at + 72 + 80 * number + 64)
                assert address <= place and place + extent <= address + memory
                found.sections[name, raw.rstrip(b"\0").decode()] = place, extent, kind & 0xFF
            if name == "__TEXT":
                assert offset == 0
                found.base = address
        elif command == LC_LOAD_DYLIB:
            (start,) = struct.unpack_from("<I", data, at + 8)
            found.libraries.append(data[at + start : data.index(b"\0", at + start)].decode())
        elif command == LC_MAIN:
            found.entry = struct.unpack_from("<Q", data, at + 8)[0]
        elif command == LC_CHAINED_FIXUPS:
            chains = struct.unpack_from("<2I", data, at + 8)
        at += length
    assert at == end and chains is not None
    name, _, _, linkedit, _ = found.segments[-1]
    assert name == "__LINKEDIT" and data.endswith(linkedit)
    found.entry += found.base
    assert bool(flags & HAS_THREAD_VARIABLES) == bool(found.of_type(THREAD_VARIABLES))
    _follow(found, data[chains[0] : chains[0] + chains[1]])
    return found


def _follow(found: Loaded, table: bytes) -> None:
    version, starts, imports, symbols, count, kind, packed = struct.unpack_from("<7I", table)
    assert (version, kind, packed) == (0, 1, 0)
    names = []
    for number in range(count):
        (word,) = struct.unpack_from("<I", table, imports + 4 * number)
        assert 1 <= word & 0xFF <= len(found.libraries)
        text = table[symbols + (word >> 9) :]
        names.append(text[: text.index(b"\0")].decode())
        found.given_by[names[-1]] = found.libraries[(word & 0xFF) - 1]
    (segments,) = struct.unpack_from("<I", table, starts)
    assert segments == len(found.segments)
    for number in range(segments):
        (offset,) = struct.unpack_from("<I", table, starts + 4 + 4 * number)
        if not offset:
            continue
        at = starts + offset
        _, page, pointers, segment, _, pages = struct.unpack_from("<I2HQIH", table, at)
        _, address, _, contents, protection = found.segments[number]
        assert (page, pointers, found.base + segment) == (PAGE, 6, address)
        assert protection & 2, "an address in a segment that cannot be written"
        for index in range(pages):
            (first,) = struct.unpack_from("<H", table, at + 22 + 2 * index)
            if first == 0xFFFF:
                continue
            place = index * PAGE + first
            while True:
                (value,) = struct.unpack_from("<Q", contents, place)
                if value >> 63:
                    name = names[value & 0xFFFFFF]
                    found.binds[address + place] = (name, value >> 24 & 0xFF)
                else:
                    target = found.base + (value & (1 << 36) - 1)
                    found.rebases[address + place] = target | (value >> 36 & 0xFF) << 56
                step = (value >> 51 & 0xFFF) * 4
                if not step:
                    break
                place += step
                assert place // PAGE == index


class Mac:
    """One program in memory; `run` runs it, `call` one of its functions."""

    def __init__(
        self, data: bytes, environment: dict[str, str] | None = None, stdin: bytes = b""
    ) -> None:
        unicorn: Any = import_module("unicorn")
        constants: Any = import_module("unicorn.arm64_const")
        self.registers = {
            name: getattr(constants, f"UC_ARM64_REG_{name}")
            for name in (
                *(f"X{n}" for n in range(31)),
                *(f"D{n}" for n in range(32)),
                *("SP", "PC", "CPACR_EL1"),
            )
        }
        self.uc: Any = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        self.error = unicorn.UcError
        self.program = load(data)
        self.environment = environment or {}
        self.stdin = stdin
        self.output = {1: bytearray(), 2: bytearray()}
        self.status: int | None = None
        self.failure: BaseException | None = None
        self.calls: dict[str, int] = {}
        self.watch: Callable[[Mac], None] | None = None  # called at each call of the library
        self.stack = 0
        self.handlers: dict[int, int] = {}  # signal -> function
        self.signal_stack = 0
        self.fault = 0
        self.slept = 0.0
        self.error_place = 0
        self.heap = HEAP
        self.thread_values = 0  # the one thread's copy
        self.sizes: dict[int, int] = {}
        self.set("CPACR_EL1", 3 << 20)
        for _, address, memory, contents, protection in self.program.segments[1:]:
            self.uc.mem_map(address + SLIDE, memory, 7)
            self.uc.mem_write(address + SLIDE, contents)
            self.uc.mem_protect(address + SLIDE, memory, protection)
        self.uc.mem_map(STACK_TOP - STACK_SIZE, STACK_SIZE + PAGE)
        self.uc.mem_map(LIBRARY, PAGE)
        self.uc.mem_map(HEAP, 256 << 20)
        self.names: list[str] = []
        for place, target in self.program.rebases.items():
            self.put(place + SLIDE, target + SLIDE)
        for place, (name, addend) in self.program.binds.items():
            if name not in self.names:
                self.names.append(name)
            self.put(place + SLIDE, LIBRARY + 16 * self.names.index(name) + addend)
        self.uc.mem_write(LIBRARY, struct.pack("<I", 0xD65F03C0) * (PAGE // 4))  # ret
        for name, handle in (("___stdinp", 0), ("___stdoutp", 1), ("___stderrp", 2)):
            if name in self.names:  # a `FILE *` is the descriptor
                self.put(LIBRARY + 16 * self.names.index(name), handle)
        self.uc.hook_add(
            unicorn.UC_HOOK_MEM_READ_PROT | unicorn.UC_HOOK_MEM_WRITE_PROT, self.refused
        )
        self.uc.hook_add(
            unicorn.UC_HOOK_CODE, self.library, None, LIBRARY, LIBRARY + 16 * len(self.names)
        )

    # --- the machine -----------------------------------------------------------------------

    def get(self, name: str) -> int:
        return int(self.uc.reg_read(self.registers[name]))

    def set(self, name: str, value: int) -> None:
        self.uc.reg_write(self.registers[name], value & MASK)

    def put(self, address: int, value: int) -> None:
        self.uc.mem_write(address, struct.pack("<Q", value & MASK))

    def word(self, address: int) -> int:
        return int(struct.unpack("<Q", bytes(self.uc.mem_read(address, 8)))[0])

    def text(self, address: int) -> bytes:
        out = bytearray()
        while (byte := bytes(self.uc.mem_read(address, 1))) != b"\0":
            out += byte
            address += 1
        return bytes(out)

    def double(self, number: int) -> float:
        return float(struct.unpack("<d", struct.pack("<Q", self.get(f"D{number}")))[0])

    # --- running ---------------------------------------------------------------------------

    def run(self, arguments: tuple[str, ...] = ("program",)) -> int:
        """The initialisers, and from `main` to exit; the exit status."""
        for (segment, name), (address, size, kind) in self.program.sections.items():
            if kind == 9:  # S_MOD_INIT_FUNC_POINTERS
                assert segment != "__TEXT", name
                for at in range(address, address + size, 8):
                    self.call(self.word(at + SLIDE) - SLIDE)
        place = STACK_TOP - 4096
        pointers = []
        for argument in arguments:
            raw = argument.encode() + b"\0"
            place -= len(raw)
            self.uc.mem_write(place, raw)
            pointers.append(place)
        place = (place - 8 * (len(pointers) + 1)) & ~15
        self.uc.mem_write(place, struct.pack(f"<{len(pointers) + 1}Q", *pointers, 0))
        result = self.call(self.program.entry, len(arguments), place, stack=place)
        return result & 0xFF if self.status is None else self.status

    def call(self, address: int, *values: int, stack: int = STACK_TOP - 4096) -> int:
        """A function at its unslid address; X0.  Checks what calls have to preserve."""
        for number, value in enumerate(values):
            self.set(f"X{number}", value)
        for number in range(19, 29):
            self.set(f"X{number}", number * 0x0101_0101)
        for number in range(8, 16):
            self.set(f"D{number}", number * 0x0202_0202)
        self.set("X29", 0)
        self.set("X30", LIBRARY + PAGE - 16)
        self.stack = stack
        self.set("SP", stack)
        self.start(address + SLIDE)
        if isinstance(self.failure, Ended):
            return 0
        if self.failure is not None:
            raise self.failure
        assert self.get("PC") == LIBRARY + PAGE - 16, "the program does not end"
        for number in range(19, 29):
            assert self.get(f"X{number}") == number * 0x0101_0101, f"x{number} is lost"
        for number in range(8, 16):
            assert self.get(f"D{number}") == number * 0x0202_0202, f"d{number} is lost"
        assert self.get("SP") == stack
        return self.get("X0")

    def start(self, address: int) -> None:
        """Run; a fault goes to the program's handler, if it has one."""
        try:
            self.uc.emu_start(address, LIBRARY + PAGE - 16, timeout=120_000_000)
        except self.error as error:
            if self.failure is not None:
                return
            handler = self.handlers.pop(SIGBUS, 0)
            if not handler or not self.fault:
                place = self.get("PC") - SLIDE
                raise AssertionError(f"{error} at {place:#x}, lr {self.get('X30'):#x}") from None
            self.start(self.signal(handler))

    def signal(self, handler: int) -> int:
        """Prepare the call of a handler, on the stack for it, as Darwin calls it.

        Facts: <sys/_types/_ucontext64.h>, <mach/arm/_structs.h>, <sys/signal.h>.
        """
        place = (self.signal_stack - 2048) & ~15
        information, context, machine = place, place + 128, place + 256
        self.uc.mem_write(information, struct.pack("<6iQ", SIGBUS, 0, 0, 0, 0, 0, self.fault))
        self.put(context + 48, machine)
        names = [*(f"X{n}" for n in range(31)), "SP", "PC"]  # X29 and X30 are fp and lr
        state = struct.pack(f"<{len(names)}Q", *map(self.get, names))
        self.uc.mem_write(machine + 16, state)
        for register, value in (("X0", SIGBUS), ("X1", information), ("X2", context)):
            self.set(register, value)
        self.set("SP", place)
        return handler

    def refused(self, _uc: Any, _kind: int, address: int, *_rest: Any) -> bool:
        self.fault = address
        return False

    def call_back(self, address: int, *values: int) -> int:
        """A function of the program's, called by the library; X0."""
        kept = {name: self.get(name) for name in ("X30", "SP", "PC", "X29")}
        for number, value in enumerate(values):
            self.set(f"X{number}", value)
        self.set("X30", LIBRARY + PAGE - 32)
        self.set("SP", kept["SP"] - 256)
        self.uc.emu_start(address, LIBRARY + PAGE - 32)
        assert self.get("SP") == kept["SP"] - 256 and self.get("X29") == kept["X29"]
        result = self.get("X0")
        # Behind the library's RET: at the RET itself this hook would be called again.
        for name, value in (kept | {"PC": kept["X30"]}).items():
            self.set(name, value)
        return result

    def library(self, _uc: Any, address: int, _size: int, _user: Any) -> None:
        name = self.names[(address - LIBRARY) // 16]
        self.calls[name] = self.calls.get(name, 0) + 1
        if name in SPECIAL:
            SPECIAL[name](self)
            return
        assert self.get("SP") % 16 == 0, f"{name} called with a stack that is not aligned"
        function = FUNCTIONS.get(name)
        try:
            if self.watch is not None:
                self.watch(self)
            assert function is not None, f"{name} is called, which this libSystem has not"
            result = function(self)
        except (Ended, AssertionError) as failure:
            self.failure = failure
            self.uc.emu_stop()
            return
        for number in CALL_CHANGES:
            self.set(f"X{number}", RUBBISH + number)
        for number in (*range(1, 8), *range(16, 32)):
            self.set(f"D{number}", RUBBISH)
        if isinstance(result, float):
            self.set("D0", struct.unpack("<Q", struct.pack("<d", result))[0])
            self.set("X0", RUBBISH)
        else:
            self.set("D0", RUBBISH)
            self.set("X0", result or 0)

    def thread_variable(self) -> None:
        """What dyld puts into descriptors: X0 becomes the variable's address, and only X16 and
        X17 are changed besides (_tlv_get_addr of dyld's threadLocalHelpers.s)."""
        values = self.program.of_type(*THREAD_VALUES)
        start = min(address for address, _ in values)
        end = max(address + size for address, size in values)
        place = self.get("X0")
        assert any(
            one <= place - SLIDE < one + size and (place - SLIDE - one) % 24 == 0
            for one, size in self.program.of_type(THREAD_VARIABLES)
        )
        key, offset = self.word(place + 8), self.word(place + 16)
        assert key == 0 and offset < end - start
        if not self.thread_values:
            self.thread_values = self.allocate(end - start, 64)
            first = bytes(self.uc.mem_read(start + SLIDE, end - start))
            self.uc.mem_write(self.thread_values, first)
        self.set("X16", RUBBISH)
        self.set("X17", RUBBISH)
        self.set("X0", self.thread_values + offset)

    # --- the library -----------------------------------------------------------------------

    def allocate(self, size: int, alignment: int = 16) -> int:
        self.heap = -(-self.heap // alignment) * alignment
        place = self.heap
        self.heap += max(size, 1)
        self.sizes[place] = size
        return place

    def format(self, form: bytes, arguments: int) -> bytes:
        """C's printf; the arguments are words from `arguments` on."""
        out, at = bytearray(), 0
        for match in CONVERSION.finditer(form):
            out += form[at : match.start()]
            at = match.end()
            flags, width, precision, letter = (one.decode() for one in match.groups())
            if letter == "%":
                out += b"%"
                continue
            for star in ("width", "precision"):
                value = width if star == "width" else precision.removeprefix(".")
                if value == "*":
                    number = struct.unpack("<i", bytes(self.uc.mem_read(arguments, 4)))[0]
                    arguments += 8
                    width = str(number) if star == "width" else width
                    precision = f".{number}" if star == "precision" else precision
            word = self.word(arguments)
            arguments += 8
            bits = 64 if re.search(rb"(ll|l|z|j|t)[a-zA-Z]$", match.group()) else 32
            shown = f"%{flags}{width}{precision}"
            if letter in "aefgAEFG":
                value_ = struct.unpack("<d", struct.pack("<Q", word))[0]
                out += (shown + letter).encode() % value_
            elif letter == "s":
                text = self.text(word)
                out += (shown + "s").encode() % text
            elif letter == "c":
                out += (shown + "c").encode() % bytes((word & 0xFF,))
            else:
                value_ = word & ((1 << bits) - 1)
                if letter in "di" and value_ >> (bits - 1):
                    value_ -= 1 << bits
                out += (shown + letter.replace("u", "d").replace("p", "x")).encode() % value_
        return bytes(out + form[at:])


# They set the registers themselves.
SPECIAL: dict[str, Callable[[Mac], None]] = {"__tlv_bootstrap": Mac.thread_variable}
__all__ = [
    "CALL_CHANGES",
    "FUNCTIONS",
    "HAS_THREAD_VARIABLES",
    "LIBRARY",
    "PAGE",
    "RUBBISH",
    "SLIDE",
]
__all__ += ["SPECIAL", "STACK_TOP", "Ended", "Loaded", "Mac", "load"]
