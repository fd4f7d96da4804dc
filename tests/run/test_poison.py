"""What `--poison` fills and what it leaves alone, register by register."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from callproof.abi import AAPCS64, Parameter, Signature, plan
from callproof.abi.types import F32, F64, I32, I64, VALUE, Type, structure
from callproof.run import run
from callproof.run.functions import FunctionRecord, record_of
from callproof.source import CallproofError
from tests.run.programs import EXIT, assembly, c_program, execute, function

PATTERN = 0x1122334455667788
FLAGS = 0x60000000  # Z and C; the first rubbish has none


def record(
    name: str, *types: Type, result: Type | None = None, variadic: int | None = None
) -> FunctionRecord:
    parameters = tuple(Parameter(type_, f"p{index}") for index, type_ in enumerate(types))
    return record_of(name, name, plan(Signature(parameters, result, variadic), AAPCS64))


# --- all registers at once --------------------------------------------------------------------

GENERAL = [f"x{n}" for n in range(19)]
SET_ALL = "\n".join(
    [
        "    ldr x17, =0x1122334455667788",
        *(f"    mov {name}, x17" for name in GENERAL),
        *(f"    dup v{n}.2d, x17" for n in range(32)),
        f"    movz x27, #{FLAGS >> 16:#x}, lsl #16",
        "    msr nzcv, x27",
    ]
)
# X27 and X28 are callee-saved, so the poison leaves them to this dump.
DUMP = "\n".join(
    [
        *(f"    str {name}, [x28], #8" for name in [*GENERAL, "x30"]),
        *(f"    str q{n}, [x28], #16" for n in range(32)),
        "    mrs x27, nzcv",
        "    str x27, [x28], #8",
    ]
)
DUMP_BYTES = 20 * 8 + 32 * 16 + 8
PROGRAM = (
    function(
        "_start",
        f"""
    ldr x28, =buffer
{SET_ALL}
    bl  called
{DUMP}
    mov x0, #1
    ldr x1, =buffer
    mov x2, #{2 * DUMP_BYTES}
    mov x8, #64
    svc #0
    mov x0, #0
{EXIT}""",
    )
    + function("called", f"{DUMP}\n    mov x20, x30\n{SET_ALL}\n    mov x30, x20\n    {{last}}\n")
    + function("tail", "    ret")
    + f".bss\n.balign 16\nbuffer: .skip {2 * DUMP_BYTES}\n"
)


def changed(dump: bytes) -> dict[str, int]:
    """The bytes of each register, from the lowest, that still hold the pattern, where not all."""
    values = [(name, dump[index * 8 :][:8]) for index, name in enumerate([*GENERAL, "x30"])]
    values += [(f"v{n}", dump[160 + 16 * n :][:16]) for n in range(32)]
    kept = {}
    for name, data in values:
        pattern = (struct.pack("<Q", PATTERN) * 2)[: len(data)]
        if data != pattern:
            kept[name] = next(
                n for n in range(len(data)) if data[n:] != pattern[n:] and data[n] != pattern[n]
            )
    if dump[-8:] != struct.pack("<Q", FLAGS):
        kept["nzcv"] = 0
    return kept


ALWAYS = (
    dict.fromkeys(GENERAL[:18], 0)
    | {f"v{n}": 0 for n in (*range(8), *range(16, 32))}
    | {f"v{n}": 8 for n in range(8, 16)}
    | {"nzcv": 0, "x30": 0}
)


def without(*names: str, **partly: int) -> dict[str, int]:
    left = {name: size for name, size in ALWAYS.items() if name not in names}
    return left | partly


def dumps(
    called: FunctionRecord | None,
    *,
    known_caller: bool = True,
    last: str = "ret",
    others: tuple[FunctionRecord, ...] = (),
) -> tuple[dict[str, int], dict[str, int]]:
    """What differs at the entry of `called` and after its return, poisoned."""
    records = [
        *others,
        *([record("_start")] if known_caller else []),
        *([called] if called else []),
    ]
    program = assembly(PROGRAM.format(last=last), records or [record("tail")])
    plain = run_bytes(program, poison=False)
    # Without poison nothing changes but LR, which a call sets.
    assert set(changed(plain[:DUMP_BYTES])) == {"x30"}
    assert set(changed(plain[DUMP_BYTES:])) == {"x30"}
    out = run_bytes(program, poison=True)
    assert out[18 * 8 : 19 * 8] == struct.pack("<Q", PATTERN), "x18 is the platform's"
    return changed(out[:DUMP_BYTES]), changed(out[DUMP_BYTES:])


def run_bytes(program: bytes, *, poison: bool) -> bytes:
    import io

    out = io.BytesIO()
    result = run(program, [], on="emulator", poison=poison, stdout=out)
    assert result.exit_status == 0
    assert len(out.getvalue()) == 2 * DUMP_BYTES
    return out.getvalue()


def test_without_arguments_and_result_everything_is_filled() -> None:
    entry, after = dumps(record("called"))
    assert entry == ALWAYS  # LR differs because the call set it
    assert after == ALWAYS


def test_arguments_arrive_and_the_result_returns() -> None:
    entry, after = dumps(record("called", I64, F64, VALUE, result=I64))
    assert entry == without("x0", "x1", "x2", v0=8)
    assert after == without("x0")


def test_narrow_values_have_rubbish_above_them() -> None:
    entry, after = dumps(record("called", I32, I64, F32, result=F32))
    assert entry == without("x1", x0=4, v0=4)
    assert after == without(v0=4)


def test_results_of_several_registers_return_whole() -> None:
    _, after = dumps(record("called", result=VALUE))
    assert after == without("x0", "x1")
    _, after = dumps(record("called", result=structure(F64, F64, F64)))
    assert after == without(v0=8, v1=8, v2=8)


def test_a_result_in_memory_has_its_address_in_x8_at_the_entry_only() -> None:
    entry, after = dumps(record("called", result=structure(I64, I64, I64)))
    assert entry == without("x8")
    assert after == ALWAYS


def test_a_callee_without_a_record_may_take_and_return_anything() -> None:
    entry, after = dumps(None)
    assert set(entry) == {"x30"}
    possible = [*(f"x{n}" for n in range(8)), *(f"v{n}" for n in range(8))]
    assert after == without(*possible)


def test_anonymous_arguments_may_be_anywhere() -> None:
    entry, _ = dumps(record("called", I64, variadic=1))
    possible = [*(f"x{n}" for n in range(9)), *(f"v{n}" for n in range(8))]
    assert entry == without(*possible)


def test_code_without_a_record_is_left_alone_when_it_is_returned_to() -> None:
    entry, after = dumps(record("called", I64), known_caller=False)
    assert entry == without("x0")
    assert set(after) == {"x30"}


def test_a_declared_function_is_known_outside_and_unknown_inside() -> None:
    """Its arguments and results are exact; but it is not our code that is returned to."""
    outside = replace(record("called", I64, result=F64), external=True)
    entry, after = dumps(outside)
    assert entry == without("x0")
    assert after == without(v0=8)
    _, after = dumps(
        outside, known_caller=False, others=(replace(record("_start"), external=True),)
    )
    assert set(after) == {"x30"}


def test_a_definition_counts_more_than_a_declaration() -> None:
    declared = replace(record("called", I64, I64), external=True)
    entry, _ = dumps(record("called", I64), others=(declared,))
    assert entry == without("x0")
    entry, _ = dumps(declared, others=(record("called", I64),))
    assert entry == without("x0")


def test_a_tail_call_returns_what_the_called_function_does() -> None:
    """`called` ends in a jump to `tail`, which is no call: the result is of `called`."""
    _, after = dumps(
        record("called", result=F64), last="b tail", others=(record("tail", I64, result=I64),)
    )
    assert after == without(v0=8)


# --- programs ---------------------------------------------------------------------------------


def both(text: str, *records: FunctionRecord) -> tuple[int, int]:
    program = assembly(text, [record("_start"), *records])
    return execute(program).status, execute(program, poison=True).status


NOTHING = function("g", "    ret")


@pytest.mark.parametrize("register", ["x9", "x16", "x7", "x17", "x1"])
def test_a_value_left_in_a_caller_saved_register_is_lost(register: str) -> None:
    text = function("_start", f"    mov {register}, #77\n    bl g\n    mov x0, {register}\n{EXIT}")
    plain, poisoned = both(text + NOTHING, record("g"))
    assert plain == 77
    assert poisoned == int(register[1:])  # rubbish has its register's number in its low byte


def test_flags_left_across_a_call_are_lost() -> None:
    text = function("_start", f"    cmp xzr, xzr\n    bl g\n    cset x0, eq\n{EXIT}")
    assert both(text + NOTHING, record("g")) == (1, 0)


def test_the_upper_half_of_v8_is_lost_and_the_lower_kept() -> None:
    half = "    mov x19, #5\n    dup v8.2d, x19\n    bl g\n    umov x0, v8.d[{}]\n" + EXIT
    assert both(function("_start", half.format(0)) + NOTHING, record("g")) == (5, 5)
    plain, poisoned = both(function("_start", half.format(1)) + NOTHING, record("g"))
    assert plain == 5
    assert poisoned != 5


def test_reading_a_register_that_is_no_argument_is_found() -> None:
    text = function("_start", f"    mov x3, #9\n    bl g\n{EXIT}")
    text += function("g", "    mov x0, x3\n    ret")
    assert both(text, record("g", I64, result=I64)) == (9, 3)


def test_a_loop_head_after_a_call_is_not_a_return() -> None:
    """The instruction after BL is reached by branches too, with live values in X9."""
    text = function(
        "_start",
        f"""
    mov x20, #0
    bl  g
head:
    cbz x20, first
    cmp x9, #7
    b.ne bad
first:
    mov x9, #7
    add x20, x20, #1
    cmp x20, #5
    b.ne head
    mov x0, #42
bad:
{EXIT}""",
    )
    assert both(text + NOTHING, record("g")) == (42, 42)


def test_a_loop_head_after_a_recursive_call_is_not_a_return() -> None:
    """Inside the inner activation the same address is only a loop's head."""
    text = function("_start", f"    mov x0, #3\n    bl f\n{EXIT}") + function(
        "f",
        """
    stp x29, x30, [sp, #-32]!
    stp x19, x20, [sp, #16]
    mov x19, x0
    mov x20, #0
    mov x9, #1
    cbz x0, head
    sub x0, x0, #1
    bl  f
    mov x9, #1
    b   head
    nop
head:
    cmp x9, #1
    b.ne wrong
    add x20, x20, #1
    cmp x20, #3
    b.ne head
    add x0, x19, #10
done:
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #32
    ret
wrong:
    mov x0, #99
    b done""",
    )
    direct = text.replace("    mov x9, #1\n    b   head\n    nop\n", "")
    # In `direct` the address after BL is the head; after a real return X9 is lost there.
    assert both(text, record("f", I64, result=I64)) == (13, 13)
    assert both(direct, record("f", I64, result=I64)) == (13, 99)


def test_calls_through_registers_are_calls() -> None:
    text = function(
        "_start", f"    mov x9, #7\n    adr x10, g\n    blr x10\n    mov x0, x9\n{EXIT}"
    )
    assert both(text + NOTHING, record("g")) == (7, 9)


def test_poison_needs_records_or_strictness() -> None:
    with pytest.raises(CallproofError, match="no function records"):
        execute(c_program(), "hello", poison=True)


@pytest.mark.parametrize("what", ["hello", "sort", "jumps", "files", "memory", "deep"])
def test_clangs_code_and_musl_withstand_it_everywhere(what: str, tmp_path: object) -> None:
    """All of a C program and its library, strictly: they follow the standard."""
    arguments = [what, f"{tmp_path}/file"]
    plain = execute(c_program(), *arguments)
    hostile = execute(c_program(), *arguments, poison=True, strict=True)
    assert (hostile.out, hostile.status) == (plain.out, plain.status)
    assert hostile.result.poisoned > 50
