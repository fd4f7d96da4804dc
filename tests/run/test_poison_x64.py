"""What `--poison` fills on x86-64 and what it leaves alone, register by register."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import pytest

from callproof.abi import SYSV64, Parameter, Signature, plan
from callproof.abi.types import F32, F64, I16, I32, I64, VALUE, Type, structure
from callproof.run import run
from callproof.run.functions import FunctionRecord, record_of
from tests.run.programs import assembly, c_program, execute, function

PATTERN = 0x1122334455667788
FLAGS = 0x8D5  # all of arithmetic's
EXIT = "    mov $60, %eax\n    syscall"
GENERAL = ["rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11"]
VECTORS = [f"xmm{n}" for n in range(16)]


def record(
    name: str, *types: Type, result: Type | None = None, variadic: int | None = None
) -> FunctionRecord:
    parameters = tuple(Parameter(type_, f"p{index}") for index, type_ in enumerate(types))
    return record_of(name, name, plan(Signature(parameters, result, variadic), SYSV64))


# --- all registers at once --------------------------------------------------------------------

SET_ALL = "\n".join(
    [
        f"    push ${FLAGS | 2:#x}",
        "    popfq",
        f"    movabs ${PATTERN:#x}, %rax",
        "    movq %rax, %xmm0",
        "    movlhps %xmm0, %xmm0",
        *(f"    mov %rax, %{name}" for name in GENERAL[1:]),
        *(f"    movaps %xmm0, %{name}" for name in VECTORS[1:]),
    ]
)
# RBX and R12 are callee-saved, so the poison leaves them to this dump, which keeps all flags.
DUMP = "\n".join(
    [
        *(f"    mov %{name}, {8 * n}(%rbx)" for n, name in enumerate(GENERAL)),
        *(f"    movups %{name}, {72 + 16 * n}(%rbx)" for n, name in enumerate(VECTORS)),
        "    pushfq",
        "    pop %r12",
        f"    mov %r12, {72 + 256}(%rbx)",
        "    lea 336(%rbx), %rbx",
    ]
)
DUMP_BYTES = 336
PROGRAM = (
    function(
        "_start",
        f"""
    lea buffer(%rip), %rbx
{SET_ALL}
    call called
{DUMP}
    mov $1, %eax
    mov $1, %edi
    lea buffer(%rip), %rsi
    mov ${2 * DUMP_BYTES}, %edx
    syscall
    xor %edi, %edi
{EXIT}""",
    )
    + function("called", f"{DUMP}\n{SET_ALL}\n    {{last}}\n")
    + function("tail", "    ret")
    + f".bss\n.balign 16\nbuffer: .skip {2 * DUMP_BYTES}\n"
)


def changed(dump: bytes) -> dict[str, int]:
    """The bytes of each register, from the lowest, that still hold the pattern, where not all."""
    values = [(name, dump[index * 8 :][:8]) for index, name in enumerate(GENERAL)]
    values += [(name, dump[72 + 16 * index :][:16]) for index, name in enumerate(VECTORS)]
    kept = {}
    for name, data in values:
        pattern = (struct.pack("<Q", PATTERN) * 2)[: len(data)]
        if data != pattern:
            kept[name] = next(
                n for n in range(len(data)) if data[n:] != pattern[n:] and data[n] != pattern[n]
            )
    if int.from_bytes(dump[-8:], "little") & FLAGS != FLAGS:
        kept["flags"] = 0
    assert int.from_bytes(dump[-8:], "little") & ~FLAGS in (2, 0x202), "the other flags"
    return kept


ALWAYS = dict.fromkeys([*GENERAL, *VECTORS, "flags"], 0)


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
    text = PROGRAM.format(last=last)
    program = assembly(text, records or [record("tail")], machine="x86_64")
    plain = dumped(program, poison=False)
    assert changed(plain[:DUMP_BYTES]) == changed(plain[DUMP_BYTES:]) == {}
    out = dumped(program, poison=True)
    return changed(out[:DUMP_BYTES]), changed(out[DUMP_BYTES:])


def dumped(program: bytes, *, poison: bool) -> bytes:
    out = io.BytesIO()
    result = run(program, [], on="emulator", poison=poison, stdout=out)
    assert result.exit_status == 0
    assert len(out.getvalue()) == 2 * DUMP_BYTES
    return out.getvalue()


def test_without_arguments_and_result_everything_is_filled() -> None:
    assert dumps(record("called")) == (ALWAYS, ALWAYS)


def test_arguments_arrive_and_the_result_returns() -> None:
    entry, after = dumps(record("called", I64, F64, VALUE, result=I64))
    assert entry == without("rdi", "rsi", "rdx", xmm0=8)
    assert after == without("rax")


def test_narrow_values_have_rubbish_above_them() -> None:
    """But shorts as arguments, which Clang wants extended to 32 bits."""
    entry, after = dumps(record("called", I32, I64, F32, I16, result=I16))
    assert entry == without("rsi", rdi=4, xmm0=4, rdx=4)
    assert after == without(rax=2)


def test_results_of_several_registers_return_whole() -> None:
    assert dumps(record("called", result=VALUE))[1] == without("rax", "rdx")
    assert dumps(record("called", result=structure(F64, I64)))[1] == without("rax", xmm0=8)
    assert dumps(record("called", result=structure(F64, F64)))[1] == without(xmm0=8, xmm1=8)


def test_a_result_in_memory_has_its_address_in_rdi_and_then_in_rax() -> None:
    entry, after = dumps(record("called", I64, result=structure(I64, I64, I64)))
    assert entry == without("rdi", "rsi")
    assert after == without("rax")


ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9", *VECTORS[:8])


def test_a_callee_without_a_record_may_take_and_return_anything() -> None:
    entry, after = dumps(None)
    assert entry == {}
    assert after == without("rax", "rdx", "xmm0", "xmm1")


def test_anonymous_arguments_may_be_anywhere_and_al_counts_them() -> None:
    entry, _ = dumps(record("called", I64, variadic=1))
    assert entry == without(*ARGUMENTS, rax=1)


def test_code_without_a_record_is_left_alone_when_it_is_returned_to() -> None:
    assert dumps(record("called", I64), known_caller=False) == (without("rdi"), {})


def test_a_declared_function_is_known_outside_and_unknown_inside() -> None:
    outside = replace(record("called", I64, result=F64), external=True)
    assert dumps(outside) == (without("rdi"), without(xmm0=8))
    started = (replace(record("_start"), external=True),)
    assert dumps(outside, known_caller=False, others=started)[1] == {}


def test_a_tail_call_returns_what_the_called_function_does() -> None:
    tail = (record("tail", I64, result=I64),)
    assert dumps(record("called", result=F64), last="jmp tail", others=tail)[1] == without(xmm0=8)


# --- programs ---------------------------------------------------------------------------------


def both(text: str, *records: FunctionRecord) -> tuple[int, int]:
    program = assembly(text, [record("_start"), *records], machine="x86_64")
    return execute(program).status, execute(program, poison=True).status


NOTHING = function("g", "    ret")


@pytest.mark.parametrize(
    ("register", "number"), [("rcx", 1), ("rsi", 6), ("rdi", 7), ("r8", 8), ("r11", 11)]
)
def test_a_value_left_in_a_caller_saved_register_is_lost(register: str, number: int) -> None:
    text = function(
        "_start", f"    mov $77, %{register}\n    call g\n    mov %{register}, %rdi\n{EXIT}"
    )
    assert both(text + NOTHING, record("g")) == (77, number)  # rubbish has its register's number


@pytest.mark.parametrize("register", ["rbx", "rbp", "r12", "r13", "r14", "r15"])
def test_a_value_in_a_callee_saved_register_is_kept(register: str) -> None:
    text = function(
        "_start", f"    mov $77, %{register}\n    call g\n    mov %{register}, %rdi\n{EXIT}"
    )
    assert both(text + NOTHING, record("g")) == (77, 77)


@pytest.mark.parametrize(
    ("flag", "set_it", "plain"),
    [
        ("c", "clc", 0),
        ("e", "cmp %eax, %eax", 1),
        ("p", "mov $3, %eax\n    add $4, %eax", 0),
    ],
)
def test_flags_left_across_a_call_are_lost(flag: str, set_it: str, plain: int) -> None:
    text = function(
        "_start", f"    xor %edi, %edi\n    {set_it}\n    call g\n    set{flag} %dil\n{EXIT}"
    )
    assert both(text + NOTHING, record("g")) == (plain, 1 - plain)


def test_no_xmm_register_survives() -> None:
    body = f"    mov $5, %eax\n    movd %eax, %xmm15\n    call g\n    movd %xmm15, %edi\n{EXIT}"
    plain, poisoned = both(function("_start", body) + NOTHING, record("g"))
    assert plain == 5
    assert poisoned == 47  # rubbish has its register's number in its low byte


def test_a_direction_flag_left_behind_stays() -> None:
    """It is not the poison's to put it right; the trace reports it."""
    text = function("_start", f"    call g\n    pushf\n    pop %rdi\n    shr $10, %edi\n{EXIT}")
    text = text.replace("shr $10, %edi", "shr $10, %edi\n    and $1, %edi")
    assert both(text + function("g", "    std\n    ret"), record("g")) == (1, 1)


def test_reading_a_register_that_is_no_argument_is_found() -> None:
    text = function("_start", f"    mov $9, %esi\n    call g\n    mov %eax, %edi\n{EXIT}")
    text += function("g", "    mov %rsi, %rax\n    ret")
    assert both(text, record("g", I64, result=I64)) == (9, 6)


def test_a_loop_head_after_a_call_is_not_a_return() -> None:
    body = f"""
    xor  %ebx, %ebx
    call g
head:
    test %ebx, %ebx
    jz   first
    cmp  $7, %ecx
    mov  $99, %edi
    jne  bad
first:
    mov  $7, %ecx
    inc  %ebx
    cmp  $5, %ebx
    jne  head
    mov  $42, %edi
bad:
{EXIT}"""
    assert both(function("_start", body) + NOTHING, record("g")) == (42, 42)


@pytest.mark.parametrize("what", ["hello", "sort", "jumps", "files", "deep"])
def test_clangs_code_and_musl_withstand_it_everywhere(what: str, tmp_path: object) -> None:
    """All of a C program and its library, strictly: they follow the standard."""
    arguments = [what, f"{tmp_path}/file"]
    plain = execute(c_program("x86_64"), *arguments)
    hostile = execute(c_program("x86_64"), *arguments, poison=True, strict=True)
    assert (hostile.out, hostile.status) == (plain.out, plain.status)
    assert hostile.result.poisoned > 50
