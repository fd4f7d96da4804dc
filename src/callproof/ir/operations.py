"""The operations of the IR: one row each; the prose of each row is its semantics.

Everything else (verifier, interpreter, printer, folding, selection) reads these
rows or switches on `Operation` objects by identity.  `T` below is the
instruction's type (`Instruction.type`), `word` an i64.

Integers wrap modulo 2**bits; they have no sign, operations do.  Nothing traps:
division by zero gives 0 and remainder by zero gives the dividend (as AArch64's
SDIV/MSUB do), the most negative number divided by -1 gives itself; shift counts
of `bits` or more give 0 (shl, lshr) or all sign bits (ashr).

Where T is a vector, arithmetic is lane by lane (comparisons are of scalars only).
"""

from __future__ import annotations


class Operation:
    """One opcode.  Attributes are plain booleans, set once, for use in inner loops.

    pure        no effect, and the result depends on the operands only (may be
                shared, moved and deleted)
    effect      must stay, in order (stores, calls, terminators)
    reads       reads memory (loads; may be deleted when unused)
    stores      writes memory, operand 0 to the address that is operand 1
    width       bytes that a load or store touches, 0 where T says how many
    terminator  ends a block
    commutative operands may be exchanged
    compares    result is an i64 that is 0 or 1, operands have type T
    """

    __slots__ = (
        "arity",
        "commutative",
        "compares",
        "effect",
        "index",
        "meaning",
        "name",
        "pure",
        "reads",
        "stores",
        "terminator",
        "width",
    )

    def __init__(self, name: str, arity: int, flags: str, meaning: str, width: int = 0) -> None:
        self.name = name
        self.arity = arity
        words = flags.split()
        self.pure = "pure" in words or "compares" in words
        self.stores = "stores" in words
        self.effect = "effect" in words or "terminator" in words or self.stores
        self.reads = "reads" in words
        self.width = width
        self.terminator = "terminator" in words
        self.commutative = "commutative" in words
        self.compares = "compares" in words
        self.meaning = meaning
        self.index = len(ALL)
        ALL.append(self)
        BY_NAME[name] = self

    def __repr__(self) -> str:
        return self.name


ALL: list[Operation] = []
BY_NAME: dict[str, Operation] = {}

# --- integers: operands and result of type T (i8 i16 i32 i64 ptr) -------------------
ADD = Operation("add", 2, "pure commutative", "sum, wraps")
SUB = Operation("sub", 2, "pure", "difference, wraps")
MUL = Operation("mul", 2, "pure commutative", "product, wraps")
SDIV = Operation("sdiv", 2, "pure", "signed quotient toward zero; x/0 = 0")
UDIV = Operation("udiv", 2, "pure", "unsigned quotient; x/0 = 0")
SREM = Operation("srem", 2, "pure", "a - (a sdiv b) * b; sign of a; a srem 0 = a")
UREM = Operation("urem", 2, "pure", "a - (a udiv b) * b; a urem 0 = a")
AND = Operation("and", 2, "pure commutative", "bitwise and")
OR = Operation("or", 2, "pure commutative", "bitwise or")
XOR = Operation("xor", 2, "pure commutative", "bitwise exclusive or")
SHL = Operation("shl", 2, "pure", "shift left; unsigned counts >= bits give 0")
LSHR = Operation("lshr", 2, "pure", "logical shift right; unsigned counts >= bits give 0")
ASHR = Operation("ashr", 2, "pure", "arithmetic shift right; counts >= bits give the sign")

# --- comparisons: operands of type T, result i64 0 or 1 -----------------------------
EQ = Operation("eq", 2, "compares commutative", "equal (integers)")
NE = Operation("ne", 2, "compares commutative", "not equal (integers)")
SLT = Operation("slt", 2, "compares", "signed less than")
SLE = Operation("sle", 2, "compares", "signed less or equal")
SGT = Operation("sgt", 2, "compares", "signed greater than")
SGE = Operation("sge", 2, "compares", "signed greater or equal")
ULT = Operation("ult", 2, "compares", "unsigned less than")
ULE = Operation("ule", 2, "compares", "unsigned less or equal")
UGT = Operation("ugt", 2, "compares", "unsigned greater than")
UGE = Operation("uge", 2, "compares", "unsigned greater or equal")
FEQ = Operation("feq", 2, "compares commutative", "floats equal; false if unordered")
FNE = Operation("fne", 2, "compares commutative", "floats not equal; true if unordered")
FLT = Operation("flt", 2, "compares", "floats less; false if unordered")
FLE = Operation("fle", 2, "compares", "floats less or equal; false if unordered")
FGT = Operation("fgt", 2, "compares", "floats greater; false if unordered")
FGE = Operation("fge", 2, "compares", "floats greater or equal; false if unordered")

# --- floats: operands and result of type T (f32 f64) --------------------------------
FADD = Operation("fadd", 2, "pure commutative", "IEEE sum, round to nearest even")
FSUB = Operation("fsub", 2, "pure", "IEEE difference")
FMUL = Operation("fmul", 2, "pure commutative", "IEEE product")
FDIV = Operation("fdiv", 2, "pure", "IEEE quotient")
FNEG = Operation("fneg", 1, "pure", "sign bit flipped")
FABS = Operation("fabs", 1, "pure", "sign bit cleared")
FSQRT = Operation("fsqrt", 1, "pure", "IEEE square root")

# --- conversions: T is the type of the result; the operand's type is its own --------
SITOF = Operation("sitof", 1, "pure", "signed integer (i32, i64) to float T")
FTOSI = Operation("ftosi", 1, "pure", "float to signed T toward zero; saturates; NaN gives 0")
FLOORTOSI = Operation("floortosi", 1, "pure", "float to signed T toward minus infinity; saturates")
FEXT = Operation("fext", 1, "pure", "f32 to f64")
FTRUNC = Operation("ftrunc", 1, "pure", "f64 to f32, rounded")
BITCAST = Operation("bitcast", 1, "pure", "the same bits in another type of the same size")
SEXT = Operation("sext", 1, "pure", "sign-extend a narrower integer to T")
ZEXT = Operation("zext", 1, "pure", "zero-extend a narrower integer to T")
TRUNC = Operation("trunc", 1, "pure", "low bits of a wider integer")

# --- vectors: T is the type of the result -------------------------------------------
SMIN = Operation("smin", 2, "pure commutative", "lane by lane the smaller (signed)")
SMAX = Operation("smax", 2, "pure commutative", "lane by lane the larger (signed)")
FMIN = Operation("fmin", 2, "pure", "lane by lane operand 0 if it is less, else operand 1")
FMAX = Operation("fmax", 2, "pure", "lane by lane operand 0 if it is greater, else operand 1")
SPLAT = Operation("splat", 1, "pure", "operand 0 in all lanes of T")
EXTRACT = Operation(
    "extract", 2, "pure", "lane of operand 0 whose number is the constant operand 1"
)
INSERT = Operation("insert", 3, "pure", "operand 0 with operand 2 in lane operand 1, a constant")
EVENS = Operation("evens", 2, "pure", "lanes 0, 2 ... of operand 0, then those of operand 1")
ODDS = Operation("odds", 2, "pure", "lanes 1, 3 ... of operand 0, then those of operand 1")
LOW = Operation("low", 1, "pure", "the lower half of the lanes")
HIGH = Operation("high", 1, "pure", "the upper half of the lanes")
JOIN = Operation("join", 2, "pure", "operand 0 as lower half, operand 1 as upper half")
SUM_LANES = Operation("sum_lanes", 1, "pure", "sum of the sign-extended lanes; T is i64")
SMIN_LANES = Operation("smin_lanes", 1, "pure", "smallest lane (signed), extended; T is i64")
SMAX_LANES = Operation("smax_lanes", 1, "pure", "largest lane (signed), extended; T is i64")

# --- choice -------------------------------------------------------------------------
SELECT = Operation("select", 3, "pure", "operand 0 (word) not 0: operand 1, else operand 2; both T")

# --- memory: address operand is ptr; `Instruction.offset` (bytes, signed) is added --
LOAD = Operation("load", 1, "reads", "T at operand 0 + offset")
LOAD_S8 = Operation("load_s8", 1, "reads", "byte, sign-extended to T", 1)
LOAD_U8 = Operation("load_u8", 1, "reads", "byte, zero-extended to T", 1)
LOAD_S16 = Operation("load_s16", 1, "reads", "half word, sign-extended to T", 2)
LOAD_U16 = Operation("load_u16", 1, "reads", "half word, zero-extended to T", 2)
LOAD_S32 = Operation("load_s32", 1, "reads", "32 bits, sign-extended to T (i64)", 4)
LOAD_U32 = Operation("load_u32", 1, "reads", "32 bits, zero-extended to T (i64)", 4)
STORE = Operation("store", 2, "stores", "operand 0 (type T) to memory at operand 1 + offset")
STORE8 = Operation("store8", 2, "stores", "low 8 bits of operand 0 (T) to operand 1 + offset", 1)
STORE16 = Operation("store16", 2, "stores", "low 16 bits of operand 0 to operand 1 + offset", 2)
STORE32 = Operation("store32", 2, "stores", "low 32 bits of operand 0 to operand 1 + offset", 4)
SLOT = Operation(
    "slot", 0, "pure", "address of stack memory: `size` bytes aligned to `alignment`, named"
)

# --- calls --------------------------------------------------------------------------
CALL = Operation("call", -1, "effect", "direct call of `callee`; operands are its arguments")
CALL_INDIRECT = Operation(
    "call_indirect", -1, "effect", "operand 0 is the code address, the rest its arguments"
)

# --- terminators --------------------------------------------------------------------
JUMP = Operation("jump", 0, "terminator", "to target 0")
BRANCH = Operation("branch", 1, "terminator", "operand 0 (word) not 0: target 0, else target 1")
SWITCH = Operation(
    "switch", 1, "terminator", "operand 0 equals `cases[i]`: target i + 1, else target 0"
)
RETURN = Operation("return", -1, "terminator", "operands are the leaves of the result, in order")
UNREACHABLE = Operation("unreachable", 0, "terminator", "control never gets here; traps if it does")
