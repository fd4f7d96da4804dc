"""The IR, run slowly and obviously: the oracle for everything behind it.

Memory is bytes at 64-bit addresses: data, stack slots and whatever externals
allocate are regions; functions have addresses of their own, so that calls through
values work.  The interpreter keeps its own call stack, so deep recursion is fine.
A NaN that an operation makes is the default NaN of AArch64 (quiet, positive).
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_right
from collections.abc import Callable, Sequence

from callproof.abi.types import leaves
from callproof.ir import operations as op
from callproof.ir import vectors
from callproof.ir.model import (
    CONSTANT,
    VALUE,
    Constant,
    Function,
    Instruction,
    Module,
    Operand,
    Symbol,
    Target,
    Value,
)
from callproof.ir.types import F32, Type

Number = int | float
External = Callable[["Interpreter", list[Number]], "Sequence[Number]"]

FUNCTION_BASE = 0x0040_0000
DATA_BASE = 0x1000_0000
STACK_BASE = 0x7000_0000_0000
GAP = 64  # bytes between regions that belong to nobody


class Trap(Exception):
    """The program did what has no meaning: bad memory, unreachable code, too many steps."""


class Memory:
    """Regions of bytes; an access must lie inside one."""

    __slots__ = ("_bases", "_next", "_regions")

    def __init__(self) -> None:
        self._bases: list[int] = []
        self._regions: list[bytearray] = []
        self._next = DATA_BASE

    def allocate(self, size: int, alignment: int = 16) -> int:
        """Zeroed memory after all that there is; its address."""
        address = -(-self._next // alignment) * alignment
        self._next = address + size + GAP
        self._bases.append(address)
        self._regions.append(bytearray(size))
        return address

    def mark(self) -> tuple[int, int]:
        return len(self._bases), self._next

    def release(self, mark: tuple[int, int]) -> None:
        """Give up what was allocated since the mark."""
        count, self._next = mark
        del self._bases[count:], self._regions[count:]

    def _find(self, address: int, size: int) -> tuple[bytearray, int]:
        index = bisect_right(self._bases, address) - 1
        if index >= 0:
            offset = address - self._bases[index]
            if offset + size <= len(self._regions[index]):
                return self._regions[index], offset
        raise Trap(f"access to {size} bytes at {address:#x}, where there is no memory")

    def read(self, address: int, size: int) -> bytes:
        region, offset = self._find(address, size)
        return bytes(region[offset : offset + size])

    def write(self, address: int, data: bytes) -> None:
        region, offset = self._find(address, len(data))
        region[offset : offset + len(data)] = data


def signed(value: int, bits: int) -> int:
    """The low bits of a value as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def unsigned(value: int, bits: int) -> int:
    return value & ((1 << bits) - 1)


def round_float(value: float, type_: Type) -> float:
    """A result as the type holds it; NaNs become the default NaN."""
    if value != value:
        return math.nan
    if type_ is F32:
        try:
            return float(struct.unpack("<f", struct.pack("<f", value))[0])
        except OverflowError:
            return math.copysign(math.inf, value)
    return value


def to_signed(value: float, bits: int) -> int:
    """Conversion toward zero that saturates; NaN gives 0."""
    if value != value:
        return 0
    limit = 1 << (bits - 1)
    if value >= limit:
        return limit - 1
    if value <= -limit:
        return -limit
    return int(value)


def divide_signed(a: int, b: int, bits: int) -> int:
    if b == 0:
        return 0
    quotient = abs(a) // abs(b)
    return signed(-quotient if (a < 0) != (b < 0) else quotient, bits)


def float_divide(a: float, b: float) -> float:
    if b == 0:
        if a == 0 or a != a:
            return math.nan
        return math.copysign(math.inf, a) * math.copysign(1.0, b)
    return a / b


def _multiply(a: float, b: float) -> float:
    return a * b


INTEGER: dict[op.Operation, Callable[[int, int, int], int]] = {
    op.ADD: lambda a, b, n: a + b,
    op.SUB: lambda a, b, n: a - b,
    op.MUL: lambda a, b, n: a * b,
    op.SDIV: divide_signed,
    op.UDIV: lambda a, b, n: unsigned(a, n) // unsigned(b, n) if b else 0,
    op.SREM: lambda a, b, n: a - divide_signed(a, b, n) * b,
    op.UREM: lambda a, b, n: unsigned(a, n) % unsigned(b, n) if b else a,
    op.AND: lambda a, b, n: a & b,
    op.OR: lambda a, b, n: a | b,
    op.XOR: lambda a, b, n: a ^ b,
    op.SHL: lambda a, b, n: a << b if 0 <= b < n else 0,
    op.LSHR: lambda a, b, n: unsigned(a, n) >> b if 0 <= b < n else 0,
    op.ASHR: lambda a, b, n: a >> (b if 0 <= b < n else n - 1),
}
COMPARE: dict[op.Operation, Callable[[int, int, int], bool]] = {
    op.EQ: lambda a, b, n: a == b,
    op.NE: lambda a, b, n: a != b,
    op.SLT: lambda a, b, n: a < b,
    op.SLE: lambda a, b, n: a <= b,
    op.SGT: lambda a, b, n: a > b,
    op.SGE: lambda a, b, n: a >= b,
    op.ULT: lambda a, b, n: unsigned(a, n) < unsigned(b, n),
    op.ULE: lambda a, b, n: unsigned(a, n) <= unsigned(b, n),
    op.UGT: lambda a, b, n: unsigned(a, n) > unsigned(b, n),
    op.UGE: lambda a, b, n: unsigned(a, n) >= unsigned(b, n),
}
FLOAT_COMPARE: dict[op.Operation, Callable[[float, float], bool]] = {
    op.FEQ: lambda a, b: a == b,
    op.FNE: lambda a, b: a != b,
    op.FLT: lambda a, b: a < b,
    op.FLE: lambda a, b: a <= b,
    op.FGT: lambda a, b: a > b,
    op.FGE: lambda a, b: a >= b,
}
FLOAT: dict[op.Operation, Callable[[float, float], float]] = {
    op.FADD: lambda a, b: a + b,
    op.FSUB: lambda a, b: a - b,
    op.FMUL: _multiply,
    op.FDIV: float_divide,
}
FLOAT_UNARY: dict[op.Operation, Callable[[float], float]] = {
    op.FSQRT: lambda a: math.sqrt(a) if a >= 0 else math.nan,
}
NARROW = {
    op.LOAD_S8: (8, True),
    op.LOAD_U8: (8, False),
    op.LOAD_S16: (16, True),
    op.LOAD_U16: (16, False),
    op.LOAD_S32: (32, True),
    op.LOAD_U32: (32, False),
    op.STORE8: (8, False),
    op.STORE16: (16, False),
    op.STORE32: (32, False),
}


def pack(value: Number, type_: Type) -> bytes:
    """A value's bytes in memory."""
    if type_.is_float and type_.lanes == 1:
        return struct.pack("<f" if type_ is F32 else "<d", value)
    return unsigned(int(value), type_.bits).to_bytes(type_.size, "little")


def unpack(data: bytes, type_: Type) -> Number:
    if type_.is_float and type_.lanes == 1:
        return float(struct.unpack("<f" if type_ is F32 else "<d", data)[0])
    return signed(int.from_bytes(data, "little"), type_.bits)


def evaluate(
    operation: op.Operation, type_: Type, operands: Sequence[Number], from_: Type
) -> Number:
    """A pure operation on numbers; `from_` is the type of the (first) operand.

    Constant folding uses this too, so that folded and executed results cannot differ.
    """
    bits = type_.bits
    first = operands[0]
    if operation is op.SELECT:
        return operands[1] if first != 0 else operands[2]
    if type_.lanes + from_.lanes > 2 and operation is not op.BITCAST:
        return vectors.evaluate(operation, type_, operands, from_, evaluate)
    if operation in INTEGER:
        return signed(INTEGER[operation](int(first), int(operands[1]), bits), bits)
    if operation in COMPARE:
        return int(COMPARE[operation](int(first), int(operands[1]), bits))
    if operation in FLOAT_COMPARE:
        return int(FLOAT_COMPARE[operation](first, operands[1]))
    if operation in FLOAT:
        return round_float(FLOAT[operation](float(first), float(operands[1])), type_)
    if operation in FLOAT_UNARY:
        return round_float(FLOAT_UNARY[operation](float(first)), type_)
    if operation is op.FNEG or operation is op.FABS:
        sign = 1 << (bits - 1)
        raw = int.from_bytes(pack(first, type_), "little")
        raw = raw ^ sign if operation is op.FNEG else raw & ~sign
        return unpack(raw.to_bytes(type_.size, "little"), type_)
    if operation is op.SITOF:
        return round_float(_integer_to_float(int(first), type_), type_)
    if operation is op.FTOSI:
        return to_signed(float(first), bits)
    if operation is op.FLOORTOSI:
        value = float(first)
        return to_signed(float(math.floor(value)) if math.isfinite(value) else value, bits)
    if operation is op.FEXT or operation is op.FTRUNC:
        return round_float(float(first), type_)
    if operation is op.BITCAST:
        return unpack(pack(first, from_), type_)
    if operation is op.SEXT:
        return int(first)
    if operation is op.ZEXT:
        return signed(unsigned(int(first), from_.bits), bits)
    if operation is op.TRUNC:
        return signed(int(first), bits)
    raise Trap(f"'{operation}' of {type_} is not interpreted")


def _integer_to_float(value: int, type_: Type) -> float:
    """Rounded once, to nearest even: a detour through f64 would round an f32 twice."""
    if type_ is not F32 or abs(value) < 1 << 53:
        return float(value)
    shift = abs(value).bit_length() - 30
    sticky = int(abs(value) & ((1 << shift) - 1) != 0)
    return math.copysign(float((abs(value) >> shift | sticky) << shift), value)


class _Frame:
    __slots__ = ("arguments_to", "block", "function", "index", "mark", "values")

    def __init__(self, function: Function, mark: tuple[int, int]) -> None:
        self.function = function
        self.block = function.blocks[0]
        self.index = 0
        self.values: dict[int, Number] = {}
        self.mark = mark
        self.arguments_to: Instruction | None = None


class Interpreter:
    """Runs functions of a module.

    `externals` maps names of declared functions to Python functions
    `(interpreter, argument values) -> result values`.  `limit` bounds the number of
    instructions; `steps` counts them.
    """

    def __init__(
        self,
        module: Module,
        externals: dict[str, External] | None = None,
        *,
        limit: int = 50_000_000,
        depth: int = 200_000,
    ) -> None:
        self.module = module
        self.externals = externals or {}
        self.limit = limit
        self.depth = depth
        self.steps = 0
        self.memory = Memory()
        self.heap_mark = 0
        self.addresses: dict[str, int] = {}
        self.functions_at: dict[int, str] = {}
        names = [*module.functions, *(n for n in module.declarations if n not in module.functions)]
        for number, name in enumerate(names):
            self.addresses[name] = FUNCTION_BASE + 16 * number
            self.functions_at[FUNCTION_BASE + 16 * number] = name
        for datum in module.data.values():
            size = max(datum.zero_bytes, len(datum.data))
            self.addresses[datum.name] = self.memory.allocate(size, max(16, datum.alignment))
        for datum in module.data.values():
            base = self.addresses[datum.name]
            if datum.data:
                self.memory.write(base, bytes(datum.data))
            for address in datum.addresses:
                value = self.addresses[address.symbol] + address.addend
                self.memory.write(base + address.offset, value.to_bytes(8, "little"))
        self.stack = Memory()
        self.stack._next = STACK_BASE

    # --- memory, for externals too --------------------------------------------------------

    def _memory(self, address: int) -> Memory:
        return self.stack if address >= STACK_BASE else self.memory

    def read(self, address: int, size: int) -> bytes:
        return self._memory(address).read(address, size)

    def write(self, address: int, data: bytes) -> None:
        self._memory(address).write(address, data)

    # --- running ---------------------------------------------------------------------------

    def call(self, name: str, arguments: Sequence[Number] = ()) -> list[Number]:
        """Run a function to its end; the values that it returns."""
        frames: list[_Frame] = []
        results = self._enter(frames, name, list(arguments), None)
        while frames:
            results = self._step(frames)
        return list(results or ())

    def _enter(
        self, frames: list[_Frame], name: str, arguments: list[Number], site: Instruction | None
    ) -> Sequence[Number] | None:
        """Push a frame, or run an external and give its results to the call site."""
        function = self.module.functions.get(name)
        if function is None:
            external = self.externals.get(name)
            if external is None:
                raise Trap(f"@{name} has no definition")
            mark = self.stack.mark()
            results = external(self, self._copied(site, arguments))
            self.stack.release(mark)
            if frames and site is not None:
                self._deliver(frames[-1], site, results)
            return results
        if len(frames) >= self.depth:
            raise Trap("the stack overflows")
        frame = _Frame(function, self.stack.mark())
        frame.arguments_to = site
        arguments = self._copied(site, arguments)
        for value, argument in zip(function.blocks[0].parameters, arguments, strict=True):
            frame.values[value.number] = argument
        frames.append(frame)
        return None

    def _function_at(self, address: int) -> str:
        name = self.functions_at.get(address)
        if name is None:
            raise Trap(f"call of {address:#x}, which is no function")
        return name

    def _copied(self, site: Instruction | None, arguments: list[Number]) -> list[Number]:
        """Objects that are passed by value (`byval`) are the callee's own copies."""
        signature = site.signature if site is not None else None
        if signature is None or not any(p.in_memory for p in signature.parameters):
            return arguments
        found: list[Number] = []
        at = 0
        if signature.result_in_memory:
            found.append(arguments[0])
            at = 1
        for parameter in signature.parameters:
            if not parameter.in_memory:
                count = len(leaves(parameter.type))
                found += arguments[at : at + count]
                at += count
                continue
            size, alignment = parameter.type.size, parameter.type.alignment
            copy = self.stack.allocate(max(size, 1), max(16, alignment))
            if size:
                self.write(copy, self.read(int(arguments[at]), size))
            found.append(copy)
            at += 1
        return found

    def _deliver(self, frame: _Frame, site: Instruction, results: Sequence[Number]) -> None:
        for value, result in zip(site.results, results, strict=False):
            frame.values[value.number] = result

    def _value(self, frame: _Frame, operand: Operand) -> Number:
        if operand.kind == VALUE:
            assert isinstance(operand, Value)
            return frame.values[operand.number]
        if operand.kind == CONSTANT:
            assert isinstance(operand, Constant)
            return operand.value
        assert isinstance(operand, Symbol)
        return self.addresses[operand.name] + operand.offset

    def _jump(self, frame: _Frame, target: Target) -> None:
        arguments = [self._value(frame, operand) for operand in target.arguments]
        for value, argument in zip(target.block.parameters, arguments, strict=True):
            frame.values[value.number] = argument
        frame.block = target.block
        frame.index = 0

    def _step(self, frames: list[_Frame]) -> Sequence[Number] | None:
        """Run until a frame is pushed or popped; the results of a popped one."""
        frame = frames[-1]
        while True:
            i = frame.block.instructions[frame.index]
            frame.index += 1
            self.steps += 1
            if self.steps > self.limit:
                raise Trap(f"more than {self.limit} steps")
            operation = i.operation
            operands = [self._value(frame, operand) for operand in i.operands]
            if not operation.effect and not operation.reads:
                if operation is op.SLOT:
                    address = self.stack.allocate(i.size, max(16, i.alignment))
                    known = frame.values.get(i.results[0].number)
                    frame.values[i.results[0].number] = address if known is None else known
                    continue
                assert i.type is not None
                from_ = i.operands[0].type
                frame.values[i.results[0].number] = evaluate(operation, i.type, operands, from_)
            elif operation.reads:
                frame.values[i.results[0].number] = self._load(i, int(operands[0]))
            elif operation is op.CALL:
                if self._enter(frames, i.callee, operands, i) is None:
                    return None
            elif operation is op.CALL_INDIRECT:
                name = self._function_at(int(operands[0]))
                if self._enter(frames, name, operands[1:], i) is None:
                    return None
            elif operation is op.JUMP:
                self._jump(frame, i.targets[0])
            elif operation is op.BRANCH:
                self._jump(frame, i.targets[0 if operands[0] != 0 else 1])
            elif operation is op.SWITCH:
                index = i.cases.index(int(operands[0])) + 1 if operands[0] in i.cases else 0
                self._jump(frame, i.targets[index])
            elif operation is op.RETURN:
                frames.pop()
                self.stack.release(frame.mark)
                if frames and frame.arguments_to is not None:
                    self._deliver(frames[-1], frame.arguments_to, operands)
                return operands
            elif operation is op.UNREACHABLE:
                raise Trap(f"unreachable code of @{frame.function.name} is reached")
            else:
                self._store(i, operands)

    def _load(self, i: Instruction, address: int) -> Number:
        assert i.type is not None
        place = unsigned(address + i.offset, 64)
        if i.operation is op.LOAD:
            return unpack(self.read(place, i.type.size), i.type)
        bits, is_signed = NARROW[i.operation]
        raw = int.from_bytes(self.read(place, bits // 8), "little")
        return signed(signed(raw, bits) if is_signed else raw, i.type.bits)

    def _store(self, i: Instruction, operands: Sequence[Number]) -> None:
        assert i.type is not None
        place = unsigned(int(operands[1]) + i.offset, 64)
        data = pack(operands[0], i.type)
        if i.operation is not op.STORE:
            data = data[: NARROW[i.operation][0] // 8]
        self.write(place, data)
