"""Selection rules: vectors of 64 and 128 bits, one NEON instruction for most operations.

`passes/legalise_vectors.py` has run: what NEON cannot do on all lanes at once does not
come here.  `VECTOR_RULES` are for instructions whose type, or whose first operand's, is a
vector; `MIXED_RULES` stand before the scalar ones, for what is made of lanes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.codegen.machine import (
    DEF,
    SAME_AS,
    USE,
    ZERO_REGISTER,
    Form,
    MachineInstruction,
    Operand,
)
from callproof.codegen.target import Rule
from callproof.ir import operations as op
from callproof.ir import types
from callproof.ir.model import CONSTANT, Instruction
from callproof.ir.vectors import constant
from callproof.passes.legalise_vectors import uniform_shift
from callproof.target.arm64.instructions import FORMS
from callproof.target.arm64.select_compare import FCSEL, condition_of
from callproof.target.arm64.select_float import bitcast
from callproof.target.arm64.select_memory import load, store
from callproof.target.arm64.values import ARRANGEMENT, ELEMENT_LETTERS, use, use_or_zero

if TYPE_CHECKING:
    from callproof.codegen.select import Selector

BYTES = {8: "v8b", 16: "v16b"}  # how bitwise operations are written, by size
NAMES = {
    op.ADD: "add",
    op.SUB: "sub",
    op.MUL: "mul",
    op.SMIN: "smin",
    op.SMAX: "smax",
    op.FADD: "fadd",
    op.FSUB: "fsub",
    op.FMUL: "fmul",
    op.FDIV: "fdiv",
    op.EVENS: "uzp1",
    op.ODDS: "uzp2",
    op.FNEG: "fneg",
    op.FABS: "fabs",
    op.FSQRT: "fsqrt",
}


def by_type(name: str) -> dict[types.Type, Form]:
    """The forms of an instruction by the vectors that it is for."""
    found = {type_: FORMS.get(f"{name}_{arranged}") for type_, arranged in ARRANGEMENT.items()}
    return {
        type_: form
        for type_, form in found.items()
        if form is not None and (name[0] != "f" or type_.element.is_float)
    }


LANEWISE = {operation: by_type(name) for operation, name in NAMES.items()}
BITWISE = {
    (operation, size): FORMS[f"{name}_{BYTES[size]}"]
    for operation, name in ((op.AND, "and"), (op.OR, "orr"), (op.XOR, "eor"))
    for size in BYTES
}
BSL = {size: FORMS[f"bsl_{name}"] for size, name in BYTES.items()}
GREATER = {**by_type("cmgt"), **by_type("fcmgt")}
NEG = by_type("neg")
SHIFT = {op.SHL: by_type("shl"), op.LSHR: by_type("ushr"), op.ASHR: by_type("sshr")}
PAIRWISE = {
    op.ADD: by_type("addp"),
    op.FADD: by_type("faddp"),
    op.SMIN: by_type("sminp"),
    op.SMAX: by_type("smaxp"),
}
FCVTL, FADDP_D = FORMS["fcvtl_v2d_v2s"], FORMS["faddp_d_v2d"]
FMOV_X_D, CSINV_X, DUP_X = FORMS["fmov_x_d"], FORMS["csinv_x"], FORMS["dup_v2d_x"]
# How the lanes of a vector are reduced: the form, and the letter of the element it leaves.
LONG_SUMS = {
    types.V8I8: ("saddlv_h_v8b", "h"),
    types.V16I8: ("saddlv_h_v16b", "h"),
    types.V4I16: ("saddlv_s_v4h", "s"),
    types.V8I16: ("saddlv_s_v8h", "s"),
    types.V2I32: ("saddlp_v1d_v2s", "d"),
    types.V4I32: ("saddlv_d_v4s", "d"),
}
NARROW_MOVE = {types.F32: FORMS["fmov_s"], types.F64: FORMS["fmov_d"]}


def tied(s: Selector, form: Form, result: int, changed: int, *arguments: object) -> None:
    """Emit a form whose first operand is read and written."""
    operands = [Operand(changed, USE)]
    immediates = []
    for spec, argument in zip(form.operands[1:], arguments, strict=True):
        if spec.is_register:
            assert isinstance(argument, int)
            operands.append(Operand(argument, USE))
        else:
            immediates.append(argument)
    operands.append(Operand(result, DEF, SAME_AS))
    s.append(MachineInstruction(form, operands, immediates))


# --- lane by lane -----------------------------------------------------------------------------


def lanewise(s: Selector, i: Instruction) -> bool:
    form = LANEWISE[i.operation].get(i.type)  # type: ignore[arg-type]
    if form is None:
        return False
    operands = [use(s, operand) for operand in i.operands]
    s.emit(form, s.register(i.result), *operands)
    return True


def pairwise(s: Selector, i: Instruction) -> bool:
    """evens(a, b) + odds(a, b): neighbours combined."""
    form = PAIRWISE[i.operation].get(i.type)  # type: ignore[arg-type]
    evens, odds = (
        s.only_use(operand, operation)
        for operand, operation in zip(i.operands, (op.EVENS, op.ODDS), strict=True)
    )
    if form is None or evens is None or odds is None:
        return False
    for one, other in zip(evens.operands, odds.operands, strict=True):
        same = one is other or (
            one.kind == other.kind == CONSTANT and one.key() == other.key()  # type: ignore[union-attr]
        )
        if not same:
            return False
    operands = [use(s, operand) for operand in evens.operands]
    s.emit(form, s.register(i.result), *operands)
    return True


def negative(s: Selector, i: Instruction) -> bool:
    first = i.operands[0]
    form = NEG.get(i.type)  # type: ignore[arg-type]
    if form is None or first.kind != CONSTANT or first.value != 0:  # type: ignore[union-attr]
        return False
    s.emit(form, s.register(i.result), use(s, i.operands[1]))
    return True


def bitwise(s: Selector, i: Instruction) -> bool:
    assert i.type is not None
    form = BITWISE[i.operation, i.type.size]
    s.emit(form, s.register(i.result), *(use(s, operand) for operand in i.operands))
    return True


def shift(s: Selector, i: Instruction) -> bool:
    count = uniform_shift(i)
    assert i.type is not None and count is not None
    value = use(s, i.operands[0])
    if count == 0:
        form, arguments = FORMS["mov_v16b"], [value]
    else:
        form, arguments = SHIFT[i.operation][i.type], [value, count]
    s.emit(form, s.register(i.result), *arguments)
    return True


def choice(s: Selector, i: Instruction) -> bool:
    """The smaller or larger of each lane as the language compares: FMIN treats NaNs otherwise."""
    assert i.type is not None
    first, second = (use(s, operand) for operand in i.operands)
    less = i.operation in (op.FMIN, op.SMIN)
    mask = s.new_register(i.type)
    s.emit(GREATER[i.type], mask, *((second, first) if less else (first, second)))
    tied(s, BSL[i.type.size], s.register(i.result), mask, first, second)
    return True


def select(s: Selector, i: Instruction) -> bool:
    """By a condition, all lanes: FCSEL of 64 bits; of 128 by a mask."""
    assert i.type is not None
    then, otherwise = (use(s, operand) for operand in i.operands[1:])
    if i.type.size == 8:
        condition = condition_of(s, i.operands[0])
        s.emit(FCSEL[types.F64], s.register(i.result), then, otherwise, condition)
        return True
    word, mask = s.new_register(types.I64), s.new_register(i.type)
    condition = condition_of(s, i.operands[0])
    s.emit(CSINV_X, word, ZERO_REGISTER, ZERO_REGISTER, condition ^ 1)
    s.emit(DUP_X, mask, word)
    tied(s, BSL[16], s.register(i.result), mask, then, otherwise)
    return True


# --- lanes ------------------------------------------------------------------------------------


def lane_number(i: Instruction) -> int:
    return int(i.operands[1].value)  # type: ignore[union-attr]


def element(type_: types.Type) -> tuple[str, str]:
    """The letter of an element, and that of a general register for it."""
    letter = ELEMENT_LETTERS[type_.bits]
    return letter, "x" if letter == "d" else "w"


def splat(s: Selector, i: Instruction) -> bool:
    type_, operand = i.type, i.operands[0]
    assert type_ is not None
    letter, general = element(type_.element)
    result, name = s.register(i.result), ARRANGEMENT[type_]
    taken = s.only_use(operand, op.EXTRACT)
    if operand.kind == CONSTANT:
        lanes = [operand.value] * type_.lanes  # type: ignore[union-attr]
        s.emit(FORMS["mov_v16b"], result, use(s, constant(type_, lanes)))
    elif taken is not None:
        source = use(s, taken.operands[0])
        s.emit(FORMS[f"dup_{name}_{letter}"], result, source, lane_number(taken))
    elif type_.element.is_float:
        s.emit(FORMS[f"dup_{name}_{letter}"], result, use(s, operand), 0)
    else:
        s.emit(FORMS[f"dup_{name}_{general}"], result, use_or_zero(s, operand))
    return True


def insert(s: Selector, i: Instruction) -> bool:
    assert i.type is not None
    letter, general = element(i.type.element)
    vector, _, value = i.operands
    result, lane = s.register(i.result), lane_number(i)
    both = s.only_use(vector, op.SPLAT)
    if both is not None and i.type is types.V2F32 and lane == 1:
        vector = both.operands[0]  # a scalar is lane 0 of its register
    changed = use(s, vector)
    taken = s.only_use(value, op.EXTRACT)
    if taken is not None:
        source = use(s, taken.operands[0])
        form = FORMS[f"ins_{letter}_{letter}"]
        tied(s, form, result, changed, lane, source, lane_number(taken))
    elif i.type.element.is_float:
        tied(s, FORMS[f"ins_{letter}_{letter}"], result, changed, lane, use(s, value), 0)
    else:
        tied(s, FORMS[f"ins_{letter}_{general}"], result, changed, lane, use_or_zero(s, value))
    return True


def of_two(s: Selector, i: Instruction) -> bool:
    """A vector of two floats made of them: ZIP1 of their registers."""
    made = s.only_use(i.operands[0], op.SPLAT)
    if i.type not in (types.V2F32, types.V2F64) or made is None or lane_number(i) != 1:
        return False
    first, second = made.operands[0], i.operands[2]
    if first.kind == CONSTANT or second.kind == CONSTANT:
        return False
    form = FORMS[f"zip1_{ARRANGEMENT[i.type]}"]
    s.emit(form, s.register(i.result), use(s, first), use(s, second))
    return True


def extract(s: Selector, i: Instruction) -> bool:
    assert i.type is not None
    letter, general = element(i.type)
    source, lane = use(s, i.operands[0]), lane_number(i)
    result = s.register(i.result)
    if not i.type.is_float:
        s.emit(FORMS[f"umov_{general}_{letter}"], result, source, lane)
    elif lane == 0:
        s.emit(NARROW_MOVE[i.type], result, source)
    else:
        s.emit(FORMS[f"dup_{letter}_{letter}"], result, source, lane)
    return True


def reduce(s: Selector, i: Instruction) -> bool:
    """All lanes into one, which SMOV extends."""
    source = i.operands[0].type
    value = use(s, i.operands[0])
    made = s.new_register(types.F64)
    if i.operation is op.SUM_LANES:
        name, letter = LONG_SUMS[source]
        s.emit(FORMS[name], made, value)
    else:
        letter = ELEMENT_LETTERS[source.element.bits]
        name = "sminv" if i.operation is op.SMIN_LANES else "smaxv"
        if source is types.V2I32:
            s.emit(FORMS[f"{name[:-1]}p_v2s"], made, value, value)
        else:
            s.emit(FORMS[f"{name}_{letter}_{ARRANGEMENT[source]}"], made, value)
    result = s.register(i.result)
    if letter == "d":
        s.emit(FMOV_X_D, result, made)
    else:
        s.emit(FORMS[f"smov_x_{letter}"], result, made, 0)
    return True


# --- scalars made of lanes --------------------------------------------------------------------


def extended_lane(s: Selector, i: Instruction) -> bool:
    """A lane that is extended as it is taken out: SMOV, UMOV."""
    taken = s.definition(i.operands[0], op.EXTRACT)
    assert i.type is not None
    if taken is None or i.type.bits < 32:
        return False
    letter, _ = element(taken.result.type)
    signed = i.operation is op.SEXT
    width = "x" if signed and i.type.bits == 64 else "w"  # UMOV to a W register clears the rest
    form = FORMS[f"{'smov' if signed else 'umov'}_{width}_{letter}"]
    s.emit(form, s.register(i.result), use(s, taken.operands[0]), lane_number(taken))
    return True


def sum_of_two_singles(s: Selector, i: Instruction) -> bool:
    """Both lanes of a v2f32, widened and added: FCVTL, FADDP."""
    if i.type is not types.F64:
        return False
    lanes = []
    for operand in i.operands:
        widened = s.only_use(operand, op.FEXT)
        taken = s.only_use(widened.operands[0], op.EXTRACT) if widened is not None else None
        if taken is None or taken.operands[0].type is not types.V2F32:
            return False
        lanes.append(taken)
    first, second = lanes
    if first.operands[0] is not second.operands[0] or {*map(lane_number, lanes)} != {0, 1}:
        return False
    wide = s.new_register(types.V2F64)
    s.emit(FCVTL, wide, use(s, first.operands[0]))
    s.emit(FADDP_D, s.register(i.result), wide)
    return True


VECTOR_RULES = [
    *(Rule(f"pairwise_{operation}", operation, pairwise) for operation in PAIRWISE),
    Rule("vector_negative", op.SUB, negative),
    *(Rule(f"vector_{operation}", operation, lanewise) for operation in LANEWISE),
    *(Rule(f"vector_{operation}", operation, bitwise) for operation in (op.AND, op.OR, op.XOR)),
    *(Rule(f"vector_{operation}", operation, shift) for operation in SHIFT),
    *(
        Rule(f"vector_{operation}_by_comparison", operation, choice)
        for operation in (op.FMIN, op.FMAX, op.SMIN, op.SMAX)
    ),
    Rule("vector_select", op.SELECT, select),
    Rule("splat", op.SPLAT, splat),
    Rule("of_two", op.INSERT, of_two),
    Rule("insert", op.INSERT, insert),
    Rule("extract", op.EXTRACT, extract),
    *(Rule(str(o), o, reduce) for o in (op.SUM_LANES, op.SMIN_LANES, op.SMAX_LANES)),
    Rule("vector_bitcast", op.BITCAST, bitcast),
    Rule("vector_load", op.LOAD, load),
    Rule("vector_store", op.STORE, store),
]
MIXED_RULES = [
    Rule("extended_lane_signed", op.SEXT, extended_lane),
    Rule("extended_lane", op.ZEXT, extended_lane),
    Rule("sum_of_two_singles", op.FADD, sum_of_two_singles),
]
