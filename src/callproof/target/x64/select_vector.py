"""Selection rules: vectors of 64 and 128 bits in XMM registers, with SSE2.

`passes/legalise_vectors.py` has run: what `lacks` names is done lane by lane and does not
come here.  A vector of 8 bytes lies in the low half of its register; what is above is
undefined, so nothing here may let it reach a lane.  What holds more than the vector's own
bytes on the way is a register of 16 bytes (`_wide`), lest a spill cuts it.

Memory operands must be aligned: only pooled constants, of 16 bytes always, are used so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.codegen.machine import Form
from callproof.codegen.target import Rule
from callproof.ir import operations as op
from callproof.ir import types
from callproof.ir.model import CONSTANT, Constant, Instruction
from callproof.ir.model import Operand as IrOperand
from callproof.ir.vectors import constant, lanes_of
from callproof.passes.legalise_vectors import DIVISIONS, SHIFTS, uniform_shift
from callproof.target.x64.instructions import FORMS
from callproof.target.x64.select_compare import select_float
from callproof.target.x64.select_float import bitcast, masked
from callproof.target.x64.select_integer import commutative
from callproof.target.x64.select_memory import load, store, store_constant
from callproof.target.x64.values import constant_bytes, pooled, two_address, use

if TYPE_CHECKING:
    from callproof.codegen.select import Selector

INTEGERS = {8: "b", 16: "w", 32: "d", 64: "q"}  # the letter of a lane, by its bits
FLOATS = {32: "ps", 64: "pd"}
NAMES = {  # ? stands for the letters of the lanes
    op.ADD: "padd?",
    op.SUB: "psub?",
    op.MUL: "pmull?",
    op.SMIN: "pmins?",
    op.SMAX: "pmaxs?",
    op.FADD: "add?",
    op.FSUB: "sub?",
    op.FMUL: "mul?",
    op.FDIV: "div?",
    # Of what cannot be ordered, and of equal zeros, the second operand, as the IR has it.
    op.FMIN: "min?",
    op.FMAX: "max?",
}
BITWISE = {op.AND: "pand", op.OR: "por", op.XOR: "pxor"}
SHIFT_NAMES = {op.SHL: "psll", op.LSHR: "psrl", op.ASHR: "psra"}
SQRT = {bits: FORMS[f"sqrt{letters}"] for bits, letters in FLOATS.items()}
COPY = FORMS["movaps"]
PSHUFD, PSHUFLW, SHUFPS = FORMS["pshufd"], FORMS["pshuflw"], FORMS["shufps"]
PEXTRW, PINSRW = FORMS["pextrw"], FORMS["pinsrw"]
PAND, PAND_POOLED, POR, PXOR = (FORMS[n] for n in ("pand", "pand_xm_p", "por", "pxor"))
PXOR_POOLED, PMULLW, PMULUDQ = (FORMS[n] for n in ("pxor_xm_p", "pmullw", "pmuludq"))
PACK_WORDS, PACK_DOUBLES = FORMS["packuswb"], FORMS["packssdw"]
PSLLD, PSRLW, PSRAD = FORMS["pslld"], FORMS["psrlw"], FORMS["psrad"]
LOW_DOUBLES, HIGH_DOUBLES = FORMS["punpckldq"], FORMS["punpckhdq"]
LOW_QUADS, HIGH_QUADS = FORMS["punpcklqdq"], FORMS["punpckhqdq"]
REPLACE_LOWEST = {32: FORMS["movss"], 64: FORMS["movsd"]}
TO_FLOAT = {32: FORMS["movd_xr"], 64: FORMS["movq_xr"]}
TO_GENERAL = {32: FORMS["movd_rx"], 64: FORMS["movq_rx"]}
MOVZBL, MOVSLQ = FORMS["movzbl"], FORMS["movslq"]
SHIFT_32 = {op.SHL: FORMS["shl_l_i"], op.LSHR: FORMS["shr_l_i"]}
AND_32, OR_32, IMUL_32 = FORMS["and_l_ri"], FORMS["or_l_rr"], FORMS["imul_l_rri"]
ADD_64 = FORMS["add_q_ri"]
# Lanes of 32 bits by their numbers, two bits each from the lowest on.
SPLAT_0, SECOND, HIGH_HALF, LOW_HALF = 0x00, 0x55, 0xEE, 0x44
EVEN_LANES, ODD_LANES = 0x88, 0xDD
ODD_DOWN, EACH_TWICE, EVENS_TOGETHER = 0xF5, 0x50, 0x08


def lacks(i: Instruction) -> bool:
    """Whether SSE2 has no good way to do a vector operation on all lanes at once.

    Divisions of integers, shifts by several or unknown counts, products and choices of
    64-bit lanes, the least and greatest lane.
    """
    type_ = i.type
    operation = i.operation
    if operation is op.SMIN_LANES or operation is op.SMAX_LANES:
        return True
    if operation is op.SUM_LANES:
        return i.operands[0].type.element.bits == 64
    if type_ is None or type_.lanes == 1 or type_ in types.HALVES:
        return False
    if operation in DIVISIONS:
        return True
    if operation in SHIFTS:
        return uniform_shift(i) is None
    return operation in (op.MUL, op.SMIN, op.SMAX) and type_.element is types.I64


def letters(type_: types.Type) -> str:
    element = type_.element
    return (FLOATS if element.is_float else INTEGERS)[element.bits]


def _wide(s: Selector) -> int:
    return s.new_register(types.V2I64)


def _changed(s: Selector, form: Form, first: int, *others: object) -> int:
    """A new register of 16 bytes with what a two-address form makes of its operands."""
    made = _wide(s)
    two_address(s, form, made, first, *others)
    return made


def _shuffled(s: Selector, source: int, lanes: int) -> int:
    made = _wide(s)
    s.emit(PSHUFD, made, source, lanes)
    return made


def _full(operand: IrOperand) -> bytes:
    """A vector constant as 16 bytes; one of 8 twice, so that no other number gets in."""
    assert isinstance(operand, Constant)
    data = constant_bytes(operand)
    return data * (16 // len(data))


def _everywhere(lane: int, bits: int) -> object:
    """A pooled constant with this number in all lanes."""
    return pooled((lane & ((1 << bits) - 1)).to_bytes(bits // 8, "little") * (128 // bits))


# --- lane by lane -------------------------------------------------------------------------


def _binary(s: Selector, i: Instruction, name: str) -> None:
    first, second = i.operands
    if i.operation.commutative and first.kind == CONSTANT:
        first, second = second, first
    pooled_form = FORMS.get(f"{name}_xm_p")
    if second.kind == CONSTANT and pooled_form is not None:
        result = s.register(i.result)
        two_address(s, pooled_form, result, use(s, first), pooled(_full(second)))
    elif i.operation.commutative:
        commutative(s, i, FORMS[name])
    else:
        left, right = use(s, first), use(s, second)
        two_address(s, FORMS[name], s.register(i.result), left, right)


def lanewise(s: Selector, i: Instruction) -> bool:
    assert i.type is not None
    name = NAMES[i.operation].replace("?", letters(i.type))
    if name not in FORMS:
        return False
    _binary(s, i, name)
    return True


def bitwise(s: Selector, i: Instruction) -> bool:
    _binary(s, i, BITWISE[i.operation])
    return True


def square_root(s: Selector, i: Instruction) -> bool:
    assert i.type is not None
    s.emit(SQRT[i.type.element.bits], s.register(i.result), use(s, i.operands[0]))
    return True


def multiply_doubles(s: Selector, i: Instruction) -> bool:
    """PMULUDQ multiplies lanes 0 and 2 to 64 bits, whose lower halves are the products."""
    assert i.type is not None
    if i.type.element is not types.I32:
        return False
    first, second = (use(s, operand) for operand in i.operands)
    result = s.register(i.result)
    if i.type.size == 8:
        spread = [_shuffled(s, source, EACH_TWICE) for source in (first, second)]
        s.emit(PSHUFD, result, _changed(s, PMULUDQ, *spread), EVENS_TOGETHER)
        return True
    odd = [_shuffled(s, source, ODD_DOWN) for source in (first, second)]
    products = [_changed(s, PMULUDQ, first, second), _changed(s, PMULUDQ, *odd)]
    evens, odds = (_shuffled(s, product, EVENS_TOGETHER) for product in products)
    two_address(s, LOW_DOUBLES, result, evens, odds)
    return True


def multiply_bytes(s: Selector, i: Instruction) -> bool:
    """Products of words, once of the lower bytes and once of the upper ones."""
    assert i.type is not None
    if i.type.element is not types.I8:
        return False
    first, second = (use(s, operand) for operand in i.operands)
    even = _changed(s, PMULLW, first, second)
    even = _changed(s, PAND_POOLED, even, _everywhere(0xFF, 16))
    upper = _changed(s, PAND_POOLED, second, _everywhere(0xFF00, 16))
    odd = _changed(s, PMULLW, _changed(s, PSRLW, first, 8), upper)
    two_address(s, POR, s.register(i.result), even, odd)
    return True


def choice(s: Selector, i: Instruction) -> bool:
    """The smaller or larger of each lane by a mask of where the first one is it."""
    assert i.type is not None
    first, second = (use(s, operand) for operand in i.operands)
    larger = (second, first) if i.operation is op.SMIN else (first, second)
    mask = _changed(s, FORMS[f"pcmpgt{letters(i.type)}"], *larger)
    difference = _changed(s, PAND, _changed(s, PXOR, first, second), mask)
    two_address(s, PXOR, s.register(i.result), difference, second)
    return True


def shift(s: Selector, i: Instruction) -> bool:
    """By one constant for all lanes.

    There are no shifts of bytes: words are shifted, and what came from the neighbour is
    cleared.  Bytes and 64-bit lanes have no arithmetic shift: (x ^ m) - m extends the sign
    whose place the shift has brought to m.
    """
    type_, operation = i.type, i.operation
    count = uniform_shift(i)
    assert type_ is not None and count is not None
    result, value = s.register(i.result), use(s, i.operands[0])
    bits = type_.element.bits
    if count == 0:
        s.emit(COPY, result, value)
        return True
    form = FORMS.get(f"{SHIFT_NAMES[operation]}{letters(type_)}")
    if form is not None:
        two_address(s, form, result, value, count)
        return True
    logical = op.SHL if operation is op.SHL else op.LSHR
    is_last = logical is operation
    if bits == 8:
        shifted = _changed(s, FORMS[f"{SHIFT_NAMES[logical]}w"], value, count)
        mask = 0xFF << count if logical is op.SHL else 0xFF >> count
        cleared = result if is_last else _wide(s)
        two_address(s, PAND_POOLED, cleared, shifted, _everywhere(mask, 8))
    else:
        cleared = result if is_last else _wide(s)
        two_address(s, FORMS[f"{SHIFT_NAMES[logical]}q"], cleared, value, count)
    if not is_last:
        sign = _everywhere(1 << (bits - 1 - count), bits)
        flipped = _changed(s, PXOR_POOLED, cleared, sign)
        two_address(s, FORMS[f"psub{letters(type_)}_xm_p"], result, flipped, sign)
    return True


# --- rearrangements ---------------------------------------------------------------------------


def alternate(s: Selector, i: Instruction) -> bool:
    """Lanes 0, 2 ... (or 1, 3 ...) of both operands: shuffled, or as words packed to half."""
    type_, odd = i.type, i.operation is op.ODDS
    assert type_ is not None
    first, second = (use(s, operand) for operand in i.operands)
    result, bits = s.register(i.result), type_.element.bits
    if bits == 64:
        two_address(s, HIGH_QUADS if odd else LOW_QUADS, result, first, second)
    elif bits == 32 and type_.size == 16:
        two_address(s, SHUFPS, result, first, second, ODD_LANES if odd else EVEN_LANES)
    elif bits == 32:
        if odd:
            s.emit(PSHUFD, result, _changed(s, LOW_DOUBLES, first, second), HIGH_HALF)
        else:
            two_address(s, LOW_DOUBLES, result, first, second)
    else:
        sources = [first, second]
        if type_.size == 8:  # both in one register, then that with itself
            sources = [_changed(s, LOW_QUADS, first, second)]
        parts = [_alone(s, source, bits, odd) for source in sources]
        pack = PACK_WORDS if bits == 8 else PACK_DOUBLES
        two_address(s, pack, result, parts[0], parts[-1])
    return True


def _alone(s: Selector, source: int, bits: int, odd: bool) -> int:
    """Every other lane, extended over its neighbour as the packing instruction wants it."""
    if bits == 8:
        if odd:
            return _changed(s, PSRLW, source, 8)
        return _changed(s, PAND_POOLED, source, _everywhere(0xFF, 16))
    if not odd:
        source = _changed(s, PSLLD, source, 16)
    return _changed(s, PSRAD, source, 16)


def lane_number(i: Instruction) -> int:
    return int(i.operands[1].value)  # type: ignore[union-attr]


def _lane_lowest(s: Selector, source: IrOperand, lane: int) -> int:
    """A register whose lowest lane is that lane; of lanes of 32 or 64 bits."""
    vector = use(s, source)
    if lane == 0:
        return vector
    return _shuffled(s, vector, HIGH_HALF if source.type.element.bits == 64 else lane)


def _in_float(s: Selector, operand: IrOperand) -> int:
    """An XMM register whose lowest lane is a value of 32 or 64 bits."""
    taken = s.only_use(operand, op.EXTRACT)
    if taken is not None:
        return _lane_lowest(s, taken.operands[0], lane_number(taken))
    if operand.type.is_float:
        return use(s, operand)
    made = _wide(s)
    s.emit(TO_FLOAT[operand.type.bits], made, use(s, operand))
    return made


def splat(s: Selector, i: Instruction) -> bool:
    type_, operand = i.type, i.operands[0]
    assert type_ is not None
    result, bits = s.register(i.result), type_.element.bits
    if operand.kind == CONSTANT:
        lanes = [operand.value] * type_.lanes  # type: ignore[union-attr]
        s.emit(COPY, result, use(s, constant(type_, lanes)))
        return True
    if bits >= 32:
        taken = s.only_use(operand, op.EXTRACT)
        lane = lane_number(taken) if taken is not None else 0
        source = use(s, taken.operands[0]) if taken is not None else _in_float(s, operand)
        picture = lane * SECOND if bits == 32 else (LOW_HALF, HIGH_HALF)[lane]
        s.emit(PSHUFD, result, source, picture)
        return True
    value = use(s, operand)
    if bits == 8:
        byte, value_twice = s.new_register(types.I32), s.new_register(types.I32)
        s.emit(MOVZBL, byte, value)
        s.emit(IMUL_32, value_twice, byte, 0x0101)
        value = value_twice
    lowest, words = _wide(s), _wide(s)
    s.emit(TO_FLOAT[32], lowest, value)
    if type_.size == 8:
        s.emit(PSHUFLW, result, lowest, SPLAT_0)
    else:
        s.emit(PSHUFLW, words, lowest, SPLAT_0)
        s.emit(PSHUFD, result, words, SPLAT_0)
    return True


def insert(s: Selector, i: Instruction) -> bool:
    """Lanes of 32 and 64 bits: the lowest is replaced, for the others after an exchange."""
    type_ = i.type
    assert type_ is not None
    vector, _, value = i.operands
    bits, lane = type_.element.bits, lane_number(i)
    if bits < 32:
        return False
    if lane and type_.lanes == 2:  # lane 0 stays, whatever else the vector has goes
        filled = s.only_use(vector, op.SPLAT)
        kept = _in_float(s, filled.operands[0]) if filled is not None else use(s, vector)
        form = LOW_DOUBLES if bits == 32 else LOW_QUADS
        two_address(s, form, s.register(i.result), kept, _in_float(s, value))
        return True
    changed, lowest = use(s, vector), _in_float(s, value)
    result = s.register(i.result)
    if lane == 0:
        two_address(s, REPLACE_LOWEST[bits], result, changed, lowest)
        return True
    exchanged = lane | 0xE4 & ~3 & ~(3 << 2 * lane)  # lanes 0 and `lane` change places
    moved = _changed(s, REPLACE_LOWEST[bits], _shuffled(s, changed, exchanged), lowest)
    s.emit(PSHUFD, result, moved, exchanged)
    return True


def built(s: Selector, i: Instruction) -> bool:
    """Four lanes put in one after the other: two pairs, and these together."""
    type_ = i.type
    assert type_ is not None
    if type_.lanes != 4 or type_.element.bits != 32:
        return False
    lanes: dict[int, IrOperand] = {}
    at: Instruction | None = i
    vector: IrOperand = i.result
    while at is not None:
        lanes.setdefault(lane_number(at), at.operands[2])
        vector = at.operands[0]
        at = s.only_use(vector, op.INSERT)
    filled = s.only_use(vector, op.SPLAT)
    for lane in range(4):
        if lane not in lanes and filled is not None:
            lanes[lane] = filled.operands[0]
        elif lane not in lanes and vector.kind == CONSTANT:
            number = lanes_of(vector.value, type_)[lane]  # type: ignore[union-attr]
            lanes[lane] = Constant(type_.element, number)
    if len(lanes) < 4:
        return False
    a, b, c, d = (_in_float(s, lanes[lane]) for lane in range(4))
    low, high = _changed(s, LOW_DOUBLES, a, b), _changed(s, LOW_DOUBLES, c, d)
    two_address(s, LOW_QUADS, s.register(i.result), low, high)
    return True


def insert_narrow(s: Selector, i: Instruction) -> bool:
    """Words have an instruction; a byte is put into its word first."""
    assert i.type is not None
    vector, _, value = i.operands
    changed, lane = use(s, vector), lane_number(i)
    word = use(s, value)
    if i.type.element is types.I8:
        old, kept, new = (s.new_register(types.I32) for _ in range(3))
        s.emit(PEXTRW, old, changed, lane // 2)
        s.emit(MOVZBL, new, word)
        if lane & 1:
            upper = s.new_register(types.I32)
            two_address(s, SHIFT_32[op.SHL], upper, new, 8)
            s.emit(MOVZBL, kept, old)
            new = upper
        else:
            two_address(s, AND_32, kept, old, 0xFF00)
        word = s.new_register(types.I32)
        two_address(s, OR_32, word, kept, new)
        lane //= 2
    two_address(s, PINSRW, s.register(i.result), changed, word, lane)
    return True


def extract(s: Selector, i: Instruction) -> bool:
    """Above a narrow lane anything may stand, here the neighbour or zeros."""
    assert i.type is not None
    source, lane, bits = i.operands[0], lane_number(i), i.type.bits
    result = s.register(i.result)
    if i.type.is_float:
        if lane:
            s.emit(PSHUFD, result, use(s, source), HIGH_HALF if bits == 64 else lane)
        else:
            s.emit(COPY, result, use(s, source))
    elif bits >= 32:
        s.emit(TO_GENERAL[bits], result, _lane_lowest(s, source, lane))
    elif bits == 8 and lane & 1:
        word = s.new_register(types.I32)
        s.emit(PEXTRW, word, use(s, source), lane // 2)
        two_address(s, SHIFT_32[op.LSHR], result, word, 8)
    else:
        s.emit(PEXTRW, result, use(s, source), lane * bits // 16)
    return True


# --- sums ---------------------------------------------------------------------------------------


def sum_of_lanes(s: Selector, i: Instruction) -> bool:
    """Neighbours first, as signed numbers that cannot overflow, then halves."""
    type_ = i.operands[0].type
    bits, whole = type_.element.bits, type_.size == 16
    value = use(s, i.operands[0])
    result = s.register(i.result)
    if bits == 8:
        # PSADBW adds unsigned bytes: 128 more each.
        biased = _changed(s, PXOR_POOLED, value, _everywhere(0x80, 8))
        zero = use(s, constant(types.V2I64, (0, 0)))
        total = _changed(s, FORMS["psadbw"], biased, zero)
        if whole:
            total = _changed(s, FORMS["paddq"], _shuffled(s, total, HIGH_HALF), total)
        unsigned = s.new_register(types.I64)
        s.emit(TO_GENERAL[64], unsigned, total)
        two_address(s, ADD_64, result, unsigned, -128 * type_.lanes)
        return True
    if bits == 16:
        total = _changed(s, FORMS["pmaddwd_xm_p"], value, _everywhere(1, 16))
        for picture in (HIGH_HALF, SECOND) if whole else (SECOND,):
            total = _changed(s, FORMS["paddd"], _shuffled(s, total, picture), total)
        short = s.new_register(types.I32)
        s.emit(TO_GENERAL[32], short, total)
        s.emit(MOVSLQ, result, short)
        return True
    sign = _changed(s, PSRAD, value, 31)
    total = _changed(s, LOW_DOUBLES, value, sign)
    if whole:
        total = _changed(s, FORMS["paddq"], _changed(s, HIGH_DOUBLES, value, sign), total)
    total = _changed(s, FORMS["paddq"], _shuffled(s, total, HIGH_HALF), total)
    s.emit(TO_GENERAL[64], result, total)
    return True


VECTOR_RULES = [
    *(Rule(f"vector_{operation}", operation, lanewise) for operation in NAMES),
    Rule("vector_mul_doubles", op.MUL, multiply_doubles),
    Rule("vector_mul_bytes", op.MUL, multiply_bytes),
    *(Rule(f"vector_{o}_by_comparison", o, choice) for o in (op.SMIN, op.SMAX)),
    *(Rule(f"vector_{operation}", operation, bitwise) for operation in BITWISE),
    *(Rule(f"vector_{operation}", operation, shift) for operation in SHIFT_NAMES),
    *(Rule(f"vector_{operation}", operation, masked) for operation in (op.FNEG, op.FABS)),
    Rule("vector_fsqrt", op.FSQRT, square_root),
    *(Rule(str(operation), operation, alternate) for operation in (op.EVENS, op.ODDS)),
    Rule("splat", op.SPLAT, splat),
    Rule("insert_four", op.INSERT, built),
    Rule("insert", op.INSERT, insert),
    Rule("insert_narrow", op.INSERT, insert_narrow),
    Rule("extract", op.EXTRACT, extract),
    Rule("sum_lanes", op.SUM_LANES, sum_of_lanes),
    Rule("vector_select", op.SELECT, select_float),
    Rule("vector_bitcast", op.BITCAST, bitcast),
    Rule("vector_load", op.LOAD, load),
    Rule("vector_store_constant", op.STORE, store_constant),
    Rule("vector_store", op.STORE, store),
]
