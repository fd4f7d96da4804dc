"""Vectors on x86-64: SSE2 where it has something, in each type, against the interpreter.

Each operation meets edge values in all lanes (operands as values and as constants); the
lanes of the results are mixed into one word.  NaNs are looked at as NaNs, not as bits.
"""

from __future__ import annotations

import itertools

import pytest
from tests.support.execute_x64 import NATIVE, run_main_x64
from tests.target.x64.test_select_x64 import TARGET, assembly

from callproof.codegen.backend import compile_module
from callproof.ir.interpret import Interpreter
from callproof.ir.parse import parse_module
from callproof.ir.types import BY_NAME, HALVES, VECTORS, Type
from callproof.ir.vectors import of_lanes
from callproof.ir.verify import verify
from callproof.passes import split_pairs
from callproof.passes.pipeline import optimise
from callproof.target.x64.select_vector import VECTOR_RULES

native = pytest.mark.skipif(not NATIVE, reason="needs an x86-64 Linux host")
INTEGER_BINARY = "add sub mul smin smax and or xor evens odds sdiv urem".split()
FLOAT_BINARY = "fadd fsub fmul fdiv fmin fmax evens odds".split()
FLOATS = (0.0, -0.0, 1.5, -2.25, float("inf"), float("nan"), 1e30, -7.0)


def numbers(type_: Type, start: int) -> list[int | float]:
    if type_.element.is_float:
        return [FLOATS[(start + 3 * n) % len(FLOATS)] for n in range(type_.lanes)]
    bits = type_.element.bits
    top = 1 << (bits - 1)
    edges = [0, -1, top - 1, -top, 1, 100, -3, top // 3, -(top // 5), 77]
    return [edges[(start * 7 + 3 * n) % len(edges)] for n in range(type_.lanes)]


class Mixer:
    """IR text that makes one word of the lanes of many vectors."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = itertools.count()
        self.word = "7"

    def emit(self, text: str) -> str:
        name = f"%t{next(self.count)}"
        self.lines.append(f"  {name} = {text}")
        return name

    def mix(self, word: str) -> None:
        product = self.emit(f"mul i64 {self.word}, 31")
        self.word = self.emit(f"xor i64 {product}, {word}")

    def mix_lanes(self, vector: str, type_: Type) -> None:
        element = type_.element
        for index in range(type_.lanes):
            lane = self.emit(f"extract {element} {vector}, {index}")
            if element.is_float:
                unequal = self.emit(f"fne {element} {lane}, {lane}")
                lane = self.emit(f"select {element} {unequal}, {element} 42.0, {lane}")
                lane = self.emit(f"bitcast i{element.bits} {lane}")
            if element.bits < 64:
                lane = self.emit(f"sext i64 {lane}")
            self.mix(lane)


def constant(type_: Type, start: int) -> str:
    return f"{type_} {of_lanes(numbers(type_, start), type_) & (1 << type_.bits) - 1:#x}"


def operations(type_: Type, a: str, b: str, mixer: Mixer) -> None:
    """Everything that the type has, of two values."""
    one, other = constant(type_, 3), constant(type_, 5)
    is_float, bits = type_.element.is_float, type_.element.bits
    for name in FLOAT_BINARY if is_float else INTEGER_BINARY:
        for operands in (f"{a}, {b}", f"{a}, {one}", f"{other}, {b}", f"{a}, {a}"):
            mixer.mix_lanes(mixer.emit(f"{name} {type_} {operands}"), type_)
    for name in ("fneg", "fabs", "fsqrt") if is_float else ():
        mixer.mix_lanes(mixer.emit(f"{name} {type_} {a}"), type_)
    if not is_float:
        for name, count in itertools.product(("shl", "lshr", "ashr"), (0, 1, bits // 2, bits - 1)):
            counts = f"{type_} <{', '.join([str(count)] * type_.lanes)}>"
            mixer.mix_lanes(mixer.emit(f"{name} {type_} {a}, {counts}"), type_)
            mixer.mix_lanes(mixer.emit(f"{name} {type_} {a}, {b}"), type_)
        for name in ("sum_lanes", "smin_lanes", "smax_lanes"):
            mixer.mix(mixer.emit(f"{name} i64 {a}"))
        zeros = ", ".join(["0"] * type_.lanes)
        mixer.mix_lanes(mixer.emit(f"sub {type_} <{zeros}>, {a}"), type_)
    element = str(type_.element)
    for index in range(type_.lanes):
        taken = mixer.emit(f"extract {element} {b}, {type_.lanes - 1 - index}")
        mixer.mix_lanes(mixer.emit(f"insert {type_} {a}, {index}, {taken}"), type_)
        mixer.mix_lanes(mixer.emit(f"splat {type_} {taken}"), type_)
        number = "2.5" if is_float else "-3"
        mixer.mix_lanes(mixer.emit(f"insert {type_} {a}, {index}, {element} {number}"), type_)
        if not is_float:  # a lane out of a general register
            sum_ = mixer.emit(f"add {element} {taken}, {element} 1")
            mixer.mix_lanes(mixer.emit(f"insert {type_} {a}, {index}, {sum_}"), type_)
            mixer.mix_lanes(mixer.emit(f"splat {type_} {sum_}"), type_)
    lanes = [mixer.emit(f"extract {element} {a}, {n}") for n in range(type_.lanes)]
    built = mixer.emit(f"splat {type_} {lanes[0]}")
    for index in range(1, type_.lanes):
        built = mixer.emit(f"insert {type_} {built}, {index}, {lanes[-index]}")
    mixer.mix_lanes(built, type_)
    for condition in ("0", "1"):
        word = mixer.emit(f"xor i64 {mixer.word}, {mixer.word}")
        chosen = mixer.emit(f"ne i64 {word}, {condition}")
        mixer.mix_lanes(mixer.emit(f"select {type_} {chosen}, {a}, {b}"), type_)


def program(type_: Type) -> str:
    """A module whose `main` calls a function of all operations with many pairs of vectors."""
    mixer = Mixer()
    operations(type_, "%a", "%b", mixer)
    calls, word = [], "0"
    for n, (one, other) in enumerate(itertools.product(range(4), range(5))):
        calls.append(
            f"  %r{n} = call @f({constant(type_, one)}, {constant(type_, other)})\n"
            f"  %m{n} = mul i64 {word}, 31\n  %w{n} = xor i64 %m{n}, %r{n}"
        )
        word = f"%w{n}"
    return (
        f"function @f(a: {type_}, b: {type_}) -> i64 {{\n^e(%a: {type_}, %b: {type_}):\n"
        + "\n".join(mixer.lines)
        + f"\n  return {mixer.word}\n}}\nfunction @main() -> i64 {{\n^e:\n"
        + "\n".join(calls)
        + f"\n  return {word}\n}}\n"
    )


@native
@pytest.mark.parametrize("type_", [t for t in VECTORS if t not in HALVES], ids=str)
def test_each_operation_in_each_type(type_: Type) -> None:
    text = program(type_)
    (expected,) = Interpreter(parse_module(text)).call("main")
    for level in (0, 1) if type_.lanes <= 4 else (1,):
        module = parse_module(text)
        optimise(module, level)
        assert run_main_x64(module, poison=True) == expected, level


def test_every_rule_is_reached() -> None:
    hits: dict[str, int] = {}
    for name in ("v8i8", "v4i16", "v4i32", "v4f32"):
        compile_module(parse_module(program(BY_NAME[name])), TARGET, hits=hits)
    text = (
        "function @f(p: ptr) -> i64 {\n^e(%p: ptr):\n  %v = load v2i32 %p\n"
        "  store v2i32 %v, %p + 8\n  store v2i32 <3, 0>, %p + 16\n  %w = bitcast i64 %v\n"
        "  return %w\n}\n"
    )
    compile_module(parse_module(text), TARGET, hits=hits)
    assert not {rule.name for rule in VECTOR_RULES} - set(hits)


def body(type_: str, instructions: str) -> list[str]:
    """Assembly of a leaf function of two vectors and a number, without its `retq`."""
    scalar = BY_NAME[type_].element
    lines = assembly(
        f"function @f(a: {type_}, b: {type_}, x: {scalar}) -> {type_} {{\n"
        f"^e(%a: {type_}, %b: {type_}, %x: {scalar}):\n{instructions}\n  return %r\n}}"
    )
    assert lines[-1] == "retq"
    return lines[:-1]


@pytest.mark.parametrize(
    ("type_", "instructions", "expected"),
    [
        ("v2f32", "%r = fmul v2f32 %a, %b", "mulps %xmm1, %xmm0"),
        ("v2f64", "%r = fsub v2f64 %a, %b", "subpd %xmm1, %xmm0"),
        ("v4i32", "%r = add v4i32 %a, %b", "paddd %xmm1, %xmm0"),
        ("v8i16", "%r = mul v8i16 %a, %b", "pmullw %xmm1, %xmm0"),
        ("v4f32", "%r = fmin v4f32 %a, %b", "minps %xmm1, %xmm0"),
        ("v2i64", "%r = shl v2i64 %a, <3, 3>", "psllq $3, %xmm0"),
        ("v4f32", "%r = splat v4f32 %x", "pshufd $0, %xmm2, %xmm0"),
        ("v2f64", "%r = insert v2f64 %a, 1, %x", "punpcklqdq %xmm2, %xmm0"),
        ("v2f32", "%r = evens v2f32 %a, %b", "punpckldq %xmm1, %xmm0"),
        ("v4i32", "%r = odds v4i32 %a, %b", "shufps $221, %xmm1, %xmm0"),
        ("v2f32", "%y = extract f32 %a, 1\n  %r = splat v2f32 %y", "pshufd $85, %xmm0, %xmm0"),
        ("v4f32", "%r = fadd v4f32 %a, <1.0, 2.0, 3.0, 4.0>",
         "addps .Lconstant.0000803f000000400000404000008040(%rip), %xmm0"),
        ("v2i32", "%s = splat v2i32 %x\n  %r = insert v2i32 %s, 1, i32 7",
         "movd %edi, %xmm0; movl $7, %eax; movd %eax, %xmm1; punpckldq %xmm1, %xmm0"),
        ("v4f32", "%s = splat v4f32 %x\n  %t = insert v4f32 %s, 1, %y\n"
         "  %u = insert v4f32 %t, 2, %y\n  %r = insert v4f32 %u, 3, %x",
         "movaps %xmm2, %xmm0; punpckldq %xmm1, %xmm0; punpckldq %xmm2, %xmm1; "
         "punpcklqdq %xmm1, %xmm0"),
    ],
)  # fmt: skip
def test_patterns(type_: str, instructions: str, expected: str) -> None:
    if "%y" in instructions and "%y =" not in instructions:
        instructions = f"%y = extract f32 %b, 0\n  {instructions}"
    assert body(type_, "  " + instructions) == expected.split("; ")


@native
def test_vectors_alive_across_calls_and_in_many() -> None:
    """More than registers hold, of 8 and 16 bytes, across calls that change all of them."""
    count = 20
    lines = ["  %a = load v4i32 @d", "  %b = load v2f32 @d + 16"]
    for n in range(count):
        lines.append(f"  %v{n} = add v4i32 %a, <{n}, {n * n}, -{n}, 7>")
        lines.append(f"  %f{n} = fadd v2f32 %b, <{n}.0, -{n}.5>")
    lines.append("  %k = call @g(%a, %b)")
    total, sums = "%k", "%b"
    for n in range(count):
        lines.append(f"  %s{n} = xor v4i32 {total}, %v{n}")
        lines.append(f"  %p{n} = fadd v2f32 {sums}, %f{n}")
        total, sums = f"%s{n}", f"%p{n}"
    mixer = Mixer()
    mixer.mix_lanes(total, BY_NAME["v4i32"])
    mixer.mix_lanes(sums, BY_NAME["v2f32"])
    data = "".join(f"\\{n:02x}" for n in range(1, 17)) + "\\00\\00\\80\\3f\\00\\00\\00\\40"
    text = (
        f'data @d align 16 readonly "{data}"\n'
        "function @g(a: v4i32, b: v2f32) -> v4i32 {\n^e(%a: v4i32, %b: v2f32):\n"
        "  %c = bitcast v2i32 %b\n  %n = extract i32 %c, 1\n  %m = splat v4i32 %n\n"
        "  %r = mul v4i32 %a, %m\n  return %r\n}\n"
        "function @main() -> i64 {\n^e:\n"
        + "\n".join([*lines, *mixer.lines])
        + f"\n  return {mixer.word}\n}}\n"
    )
    (expected,) = Interpreter(parse_module(text)).call("main")
    assert run_main_x64(parse_module(text), poison=True) == expected


def pair_lines(text: str) -> list[str]:
    """The packed instructions and shuffles of a function of one v2f32."""
    packed = ("pshuf", "punpck", "mulps", "addps")
    head = "function @f(c: v2f32) -> f32 {\n^e(%c: v2f32):\n"
    return [line for line in assembly(f"{head}{text}\n}}") if line.startswith(packed)]


def test_pairs_used_by_lanes_are_two_scalars() -> None:
    """Packed they would be shuffled apart and together in each round of the loop."""
    loop = (
        "  jump ^l(v2f32 <0.0, 0.0>, 9)\n^l(%z: v2f32, %n: i64):\n  %s = fmul v2f32 %z, %z\n{lanes}"
        "  %w = fadd v2f32 {sum}, %c\n  %m = sub i64 %n, 1\n  %q = sgt i64 %m, 0\n"
        "  branch %q, ^l(%w, %m), ^x\n^x:\n  %r = extract f32 %w, 1\n  return %r"
    )
    lanes = (
        "  %a = extract f32 %s, 0\n  %b = extract f32 %s, 1\n  %d = fsub f32 %a, %b\n"
        "  %k = splat v2f32 %d\n  %t = insert v2f32 %k, 1, %a\n"
    )
    apart = pair_lines(loop.format(lanes=lanes, sum="%t"))
    assert apart == ["pshufd $1, %xmm0, %xmm0"]  # the parameter's upper lane, before the loop
    together = pair_lines(loop.format(lanes="", sum="%s"))
    assert [line.split()[0] for line in together] == ["mulps", "addps", "pshufd"]


@native
def test_pairs_taken_apart_compute_the_same() -> None:
    """Through parameters of blocks, choices, calls and memory, in each type of two lanes."""
    for name in ("v2i32", "v2i64", "v2f32", "v2f64"):
        type_ = BY_NAME[name]
        element, add = type_.element, "fadd" if type_.element.is_float else "add"
        one = "1.0" if type_.element.is_float else "1"
        mixer = Mixer()
        mixer.mix_lanes("%o", type_)
        text = (
            f"function @g(p: {name}) -> {name} {{\n^e(%p: {name}):\n"
            f"  %a = extract {element} %p, 1\n  %s = splat {name} %a\n  %r = {add} {name} %s, %p\n"
            f"  return %r\n}}\nfunction @main() -> i64 {{\n^e:\n  %m = slot 16 align 16\n"
            f"  jump ^l({constant(type_, 4)}, 5)\n^l(%v: {name}, %n: i64):\n"
            f"  %a = extract {element} %v, 0\n  %b = extract {element} %v, 1\n"
            f"  %c = {add} {element} %a, {element} {one}\n  %s = splat {name} %b\n"
            f"  %t = insert {name} %s, 1, %c\n  %u = {add} {name} %t, %v\n"
            f"  %h = and i64 %n, 1\n  %w = select {name} %h, %u, {constant(type_, 6)}\n"
            f"  store {name} %w, %m\n  %x = load {name} %m\n  %y = call @g(%x)\n"
            f"  %z = insert {name} %y, 0, %c\n  %k = sub i64 %n, 1\n"
            f"  branch %k, ^l(%z, %k), ^x(%z, %w)\n^x(%i: {name}, %j: {name}):\n"
            f"  %o = {add} {name} %i, %j\n"
        )
        text += "\n".join(mixer.lines) + f"\n  return {mixer.word}\n}}\n"
        (expected,) = Interpreter(parse_module(text)).call("main")
        module = parse_module(text)
        assert split_pairs.run(module.functions["main"])
        verify(module)
        assert Interpreter(module).call("main") == [expected]
        assert run_main_x64(parse_module(text), poison=True) == expected
