"""The call trace of x86-64 code, and what it reports."""

from __future__ import annotations

import pytest

from callproof.abi import SYSV64, Parameter, Signature, plan
from callproof.abi.types import F32, F64, I32, I64, POINTER, U8, VALUE, Type, structure
from callproof.run.functions import FunctionRecord, record_of
from tests.run.programs import assembly, c_program, execute, function

EXIT = "    mov $60, %eax\n    syscall"


def record(
    name: str, display: str, *parameters: tuple[str, Type], result: Type | None = None
) -> FunctionRecord:
    signature = Signature(tuple(Parameter(type_, label) for label, type_ in parameters), result)
    return record_of(name, display, plan(signature, SYSV64))


START = record("_start", "_start")
RETURN = function("f", "    ret")


def traced(text: str, *records: FunctionRecord) -> tuple[list[str], int]:
    ran = execute(assembly(text, [START, *records], machine="x86_64"), trace=True)
    assert ran.result.violations == sum(line.startswith("!!!") for line in ran.trace.splitlines())
    return ran.trace.splitlines(), ran.status


def called(setup: str, call: str = "call f") -> str:
    return function("_start", f"{setup}\n    {call}\n    mov $5, %edi\n{EXIT}")


# --- what is shown ----------------------------------------------------------------------------


def test_arguments_by_name_and_the_result() -> None:
    text = called("    mov $0x4000, %edi\n    mov $100, %esi\n    mov $-200, %rdx")
    text += function("f", "    lea 1(%rdi), %rax\n    ret")
    create = record("f", "Point::CREATE", ("this", POINTER), ("x", I64), ("y", I64), result=POINTER)
    lines, status = traced(text, create)
    assert lines == ["Point::CREATE(this=0x4000, x=100, y=-200)", "-> 0x4001"]
    assert status == 5


def test_types_are_shown_as_what_they_are() -> None:
    setup = """
    mov $0xC004000000000000, %rax
    movq %rax, %xmm0
    mov $0x3F000000, %eax
    movd %eax, %xmm1
    mov $-1, %rdi
    mov $-7, %esi
    mov $1, %edx
    mov $255, %ecx
    xorps %xmm2, %xmm2
    movaps %xmm0, %xmm3"""
    parameters: list[tuple[str, Type]] = [
        ("a", F64), ("b", F32), ("c", U8), ("d", I32), ("e", VALUE), ("f", structure(F64, F64)),
    ]  # fmt: skip
    lines, _ = traced(called(setup) + RETURN, record("f", "f", *parameters, result=F64))
    assert lines == ["f(a=-2.5, b=0.5, c=255, d=-7, e={1, 255}, f={0, -2.5})", "-> -2.5"]


def test_arguments_on_the_stack() -> None:
    """Above the return address, as seen before it was pushed."""
    setup = "\n".join(
        f"    mov ${n}, %{name}"
        for n, name in enumerate(("rdi", "rsi", "rdx", "rcx", "r8", "r9"), 1)
    )
    text = called(setup + "\n    push $-8\n    push $7")
    parameters = [(f"p{n}", I64) for n in range(1, 9)]
    lines, _ = traced(text + RETURN, record("f", "f", *parameters))
    expected = ", ".join(f"p{n}={n}" for n in range(1, 8))
    assert lines == [f"f({expected}, p8=-8)", "-> (nothing)"]


def test_a_result_in_memory_is_where_rax_says() -> None:
    text = called("    mov $0x7000, %edi\n    mov $3, %esi")
    text += function("f", "    mov %rdi, %rax\n    xor %edi, %edi\n    ret")
    large = structure(I64, I64, I64)
    lines, _ = traced(text, record("f", "f", ("n", I64), result=large))
    assert lines == ["f(n=3)", "-> &0x7000"]


FACTORIAL = function("_start", f"    mov $3, %edi\n    call f\n    mov %eax, %edi\n{EXIT}") + (
    function(
        "f",
        """
    test %rdi, %rdi
    jz   one
    push %rbx
    mov  %rdi, %rbx
    lea  -1(%rdi), %rdi
    call f
    imul %rbx, %rax
    pop  %rbx
    ret
one:
    mov $1, %eax
    ret""",
    )
)


def test_recursion_is_indented_and_poisoning_changes_nothing() -> None:
    program = assembly(
        FACTORIAL, [START, record("f", "fact", ("n", I64), result=I64)], machine="x86_64"
    )
    ran = execute(program, trace=True, poison=True)
    assert ran.trace.splitlines() == [
        "fact(n=3)",
        "  fact(n=2)",
        "    fact(n=1)",
        "      fact(n=0)",
        "      -> 1",
        "    -> 1",
        "  -> 2",
        "-> 6",
    ]
    assert (ran.status, ran.result.violations, ran.result.poisoned) == (6, 0, 8)


def test_calls_through_registers_and_memory() -> None:
    for call in ("lea f(%rip), %r13\n    call *%r13", "call *table(%rip)"):
        text = called("", call) + RETURN + ".data\ntable: .quad f\n"
        assert traced(text, record("f", "f")) == (["f()", "-> (nothing)"], 5)


def test_longjmp_leaves_frames() -> None:
    ran = execute(c_program("x86_64"), "jumps", trace=True)
    lines = [line.strip() for line in ran.trace.splitlines()]
    assert ran.status == 0
    assert lines.count("jump(...)") == 2 + 3 + 4
    assert lines.count("-> (left by a jump out of jump)") == 2 + 3 + 4
    assert not any("!!!" in line for line in lines)


# --- violations -------------------------------------------------------------------------------

GENERAL = ["rbx", "rbp", "r12", "r13", "r14", "r15"]


def test_each_register_that_is_not_preserved_is_reported() -> None:
    calls = "".join(f"    call break_{name}\n" for name in GENERAL)
    text = function("_start", f"{calls}    xor %edi, %edi\n{EXIT}")
    for name in GENERAL:
        text += function(f"break_{name}", f"    inc %{name}\n    ret")
    lines, status = traced(text, *(record(f"break_{n}", f"Breaks::{n}") for n in GENERAL))
    found = [line for line in lines if line.startswith("!!!")]
    assert found == [
        f"!!! Breaks::{name} does not preserve {name}: 0x0 at the call, 0x1 at the return to "
        + ("_start" if index == 0 else f"_start+{5 * index:#x}")
        for index, name in enumerate(GENERAL)
    ]
    assert status == 3


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("ret $16", 16),
        ("pop %rcx\n    sub $32, %rsp\n    push %rcx\n    ret", -32),
        ("pop %rcx\n    pop %rdx\n    push %rcx\n    ret", 8),
        ("pop %rcx\n    push %rax\n    push %rcx\n    ret", -8),
    ],
)
def test_a_changed_stack_pointer_is_reported(code: str, change: int) -> None:
    text = function("_start", f"    sub $64, %rsp\n    call f\n    xor %edi, %edi\n{EXIT}")
    lines, status = traced(text + function("f", f"    {code}"), record("f", "f"))
    before, after = (int(word, 16) for word in lines[-1].split() if word.startswith("0x"))
    assert lines[-1].startswith("!!! f does not preserve rsp: 0x")
    assert (after - before, status) == (change, 3)


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("std", "df (the direction flag): 0x0 at the call, 0x400"),
        (
            "movl $0x7f80, -8(%rsp)\n    ldmxcsr -8(%rsp)",
            "mxcsr's control bits: 0x1f80 at the call, 0x7f80",
        ),
        (
            "movw $0x27f, -8(%rsp)\n    fldcw -8(%rsp)",
            "the x87 control word: 0x33f at the call, 0x23f",
        ),
    ],
)
def test_what_else_is_preserved(code: str, what: str) -> None:
    lines, status = traced(called("") + function("f", f"    {code}\n    ret"), record("f", "f"))
    assert lines[-1] == f"!!! f does not preserve {what} at the return to _start"
    assert status == 3


def test_what_need_not_be_preserved_is_not_reported() -> None:
    """Flags but DF, the exceptions in MXCSR, and all that is caller-saved."""
    change = """
    mov  $1, %eax
    cvtsi2sd %eax, %xmm0
    cvtsi2sd %eax, %xmm15
    mov  $3, %r11d
    cvtsi2sd %r11, %xmm1
    divsd %xmm1, %xmm0
    mov  %r11, %rcx
    mov  %r11, %rdx
    mov  %r11, %rsi
    mov  %r11, %rdi
    mov  %r11, %r8
    mov  %r11, %r9
    mov  %r11, %r10
    add  $-1, %eax
    stc
    ret"""
    lines, status = traced(called("") + function("f", change), record("f", "f"))
    assert (lines, status) == (["f()", "-> (nothing)"], 5)


def test_only_the_function_at_fault_is_blamed() -> None:
    """g loses RBX; f around it is not told off for that, but for its own R12 it is."""
    text = called("    mov $1, %ebx\n    mov $2, %r12d")
    text += function(
        "f", "    push %rax\n    mov $8, %r12d\n    call g\n    call g\n    pop %rax\n    ret"
    )
    text += function("g", "    mov $9, %ebx\n    ret")
    lines, status = traced(text, record("f", "f"), record("g", "g"))
    found = [line.split(" at the return")[0] for line in lines if line.startswith("!!!")]
    assert found == [
        "!!! g does not preserve rbx: 0x1 at the call, 0x9",
        "!!! f does not preserve r12: 0x2 at the call, 0x8",
    ]
    assert status == 3


def test_a_misaligned_stack_is_the_callers_fault() -> None:
    lines, status = traced(called("    push %rax") + RETURN, record("f", "f"))
    assert lines[0] == "f()"
    assert lines[1].startswith("!!! f is called with rsp = 0x7ff")
    assert lines[1].endswith("8, not a multiple of 16, at _start+0x1")
    assert status == 3


def test_a_jump_whose_distance_looks_like_ret_is_no_return() -> None:
    """`75 C3` ends in the byte of RET, and goes to where a call returns, in an inner frame."""
    text = called("    mov $2, %edi") + function(
        "f",
        """
    sub  $24, %rsp
    dec  %edi
    mov  $3, %ecx
    jz   head
    call f
head:
    dec  %ecx
    jle  out
    test %ecx, %ecx
    .org head + 59, 0x90
    .byte 0x75, 0xC3
out:
    add  $24, %rsp
    ret""",
    )
    lines, status = traced(text, record("f", "f", ("n", I32)))
    assert lines == ["f(n=2)", "  f(n=1)", "  -> (nothing)", "-> (nothing)"]
    assert status == 5
