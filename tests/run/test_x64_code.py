"""The lengths and kinds of x86-64 instructions, against Capstone."""

from __future__ import annotations

from random import Random

import capstone
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from callproof.run.loader import load
from callproof.run.x64_code import CALL, LONGEST, RETURN, VECTOR, instruction, instructions, text_of
from tests.run.programs import build, c_program

ORACLE = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)


def kind_of(mnemonic: str) -> int:
    words = mnemonic.split()
    return {"call": CALL, "ret": RETURN}.get(words[-1], 0)


def test_all_of_a_program_and_its_library() -> None:
    """Every function of musl that the program has, instruction by instruction."""
    image = load(c_program("x86_64"), any_machine=True)
    seen = 0
    for address, size, name in image.symbols.functions:
        code = image.code(address, size)
        found = [(offset, length) for offset, length, _ in instructions(code)]
        wanted = list(ORACLE.disasm_lite(code, 0))
        assert found == [(offset, length) for offset, length, _, _ in wanted], name
        for offset, _, mnemonic, _ in wanted:
            told = instruction(code, offset)
            assert told is not None
            if mnemonic.split()[-1] in ("call", "ret") or told[1] in (CALL, RETURN):
                assert told[1] == kind_of(mnemonic), (name, offset)
        seen += len(wanted)
    assert seen > 5000


def test_avx_and_what_surrounds_it() -> None:
    source = """
typedef double four __attribute__((vector_size(32)));
typedef long eight __attribute__((vector_size(64)));
double sum(const four *a, long n) {
    four s = {};
    for (long i = 0; i < n; i++) s = s * a[i] + s / 3.0;
    return s[0] + s[3];
}
eight wide(eight a, const eight *b) { return (a + b[3] * 7) & ~b[1] & (a > b[2]); }
long bits(long a, long b) { return (~a & b) + __builtin_ctzl(a) + (a & -a) + (a << (b & 63)); }
void add(float *a, const float *b, long n) { for (long i = 0; i < n; i++) a[i] += b[i] * 3; }
void _start(void) {}
"""
    flags = ("-O2", "-nostdlib", "-mavx512f", "-mbmi", "-mbmi2", "-mfma", "-fno-sanitize=all")
    image = load(build(source, ".c", *flags, machine="x86_64"), any_machine=True)
    vectors = 0
    for address, size, name in image.symbols.functions:
        code = image.code(address, size)
        found = list(instructions(code))
        assert [row[:2] for row in found] == [row[:2] for row in ORACLE.disasm_lite(code, 0)], name
        vectors += sum(kind == VECTOR for _, _, kind in found)
    assert vectors > 12


# Capstone takes UD0 and UD1 without the ModRM that Intel gives them, and 66 before JO and JNO
# (not before other jumps) for a shorter distance; the other two are AMD's SSE4a.
KNOWN = {"ud0", "ud1", "jo", "jno", "extrq", "insertq"}


def compare(code: bytes) -> bool:
    """All that Capstone takes for an instruction is one here, with the same length."""
    wanted = next(iter(ORACLE.disasm_lite(code, 0, 1)), None)
    found = instruction(code, 0)
    if wanted is None or unusual(code) or wanted[2] in KNOWN:
        assert found is None or found[0] <= len(code)
        return False
    assert found is not None, wanted
    assert found[0] == wanted[1], wanted
    return True


def test_every_opcode() -> None:
    random = Random(7)
    prefixes = [b"", b"\x66", b"\x48", b"\xf2", b"\xf3", b"\x67"]
    compared = sum(
        compare(prefix + map_ + bytes([opcode]) + random.randbytes(12))
        for prefix in prefixes
        for map_ in (b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a")
        for opcode in range(256)
        for _ in range(3)
    )
    assert compared > 7000


@settings(max_examples=300, deadline=None)
@given(code=st.binary(min_size=1, max_size=LONGEST))
@example(code=bytes.fromhex("75c3"))
@example(code=bytes.fromhex("48b80102030405060708"))
@example(code=bytes.fromhex("66c700341290"))
@example(code=bytes.fromhex("f60401ff"))
@example(code=bytes.fromhex("67a101020304"))
@example(code=bytes.fromhex("0f2004"))
def test_whatever_capstone_knows(code: bytes) -> None:
    compare(code)


def unusual(code: bytes) -> bool:
    """Prefixes in orders that no assembler writes, VEX with them, and AMD's own maps."""
    at = 0
    while at < len(code) and code[at] in (
        0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3, *range(0x40, 0x50),
    ):  # fmt: skip
        at += 1
    return at > 1 or code[at : at + 1] in (b"\xc4", b"\xc5", b"\x62", b"\x8f")


@pytest.mark.parametrize(
    "text", ["75c3", "c3", "f3c3", "c20800", "e800000000", "41ffd3", "ff1500000000"]
)
def test_the_text_of_an_instruction(text: str) -> None:
    code = bytes.fromhex(text)
    assert text_of(code + b"\x90\x90").replace(" ", "") == text
    found = instruction(code, 0)
    assert found is not None
    kind = {"c": RETURN, "f3": RETURN, "75": 0}.get(text[:2] if text[0] in "f7" else text[0], CALL)
    assert found == (len(code), kind)
