"""The x86-64 decoder against the encoder (there and back) and Capstone (lengths, texts)."""

from __future__ import annotations

from importlib import import_module
from random import Random
from typing import Any

from tests.target.x64.test_table import samples

from callproof.target.x64.decode import decode
from callproof.target.x64.instructions import ROWS

TRIES = 60_000


def capstone() -> Any:
    module: Any = import_module("capstone")
    decoder = module.Cs(module.CS_ARCH_X86, module.CS_MODE_64)
    decoder.syntax = module.CS_OPT_SYNTAX_ATT
    return decoder


def test_every_form_comes_back() -> None:
    seen = set()
    for row, one in samples():
        code = row.bytes_of(one)
        found = decode(b"\xff" + code + b"\xff\xff", 1)
        what = (row.form.text(one), code.hex())
        assert found is not None, what
        assert (found.row.form.name, found.size) == (row.form.name, len(code)), what
        assert row.bytes_of(found.arguments) == code, what
        seen.add(row.form.name)
    assert seen == set(ROWS)


def test_what_is_cut_off_is_unknown() -> None:
    for row, one in samples()[::7]:
        code = row.bytes_of(one)
        for length in range(len(code)):
            # No instruction is the beginning of another one.
            assert decode(code[:length]) is None, (row.form.text(one), length)


def _random_code(random: Random) -> bytes:
    """Bytes that begin as instructions of the table do, more often than by chance."""
    code = bytearray(random.randbytes(16))
    at = 0
    if random.random() < 0.4:
        code[at] = random.choice(b"\x66\xf2\xf3")
        at += 1
    if random.random() < 0.6:
        code[at] = 0x40 + random.randrange(16)
        at += 1
    if random.random() < 0.5:
        code[at] = 0x0F
    return bytes(code)


def test_capstone_reads_random_bytes_the_same_way() -> None:
    """What we read has the length that Capstone says, and our own encoding of it means the same."""
    random, other = Random(3), capstone()
    known = redundant = 0
    for _ in range(TRIES):
        code = _random_code(random)
        found = decode(code)
        if found is None:
            continue
        known += 1
        (theirs,) = other.disasm(code, 0x1000, count=1)
        what = (code.hex(), found.row.form.text(found.arguments), theirs.mnemonic, theirs.op_str)
        assert theirs.size == found.size, what
        ours = found.row.bytes_of(found.arguments)
        if ours != code[: found.size]:
            redundant += 1
            (again,) = other.disasm(ours, 0x1000, count=1)
            text = theirs.op_str.replace(", %riz", "")  # no index, said with a byte more
            assert (again.mnemonic, again.op_str) == (theirs.mnemonic, text), what
    assert known > 5000 and redundant > 100


def test_prefixes_and_registers_without_rows_are_unknown() -> None:
    for text in (
        "90",  # nop
        "f0480fb10f",  # lock cmpxchg
        "64488b042500000000",  # mov %fs:0, %rax
        "6666900f1f00",  # padding
        "8825deadbeef",  # mov %ah, ...
        "ff25deadbeef",  # jmp *...(%rip)
        "48",  # REX alone
        "4848c3",  # two of them
    ):
        assert decode(bytes.fromhex(text)) is None, text
