"""The x86-64 instruction table against Clang's assembler (bytes) and Capstone (effects).

Each of the rows gets random operands, and the corners of each field; Clang assembles what
we print into what we encode, and Capstone reads the registers and flags from the bytes.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import pytest

from callproof.target.x64.instructions import ROWS
from callproof.target.x64.table import MEMORY_SPECS, Row

CC = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-musl"]
EACH = 24
LONG_NUMBER = re.compile("(add|or|and|sub|xor|cmp)_[ql]_mi_")
IMMEDIATES = (0, 1, -1, 127, 128, -128, -129, 0x7FFFFFFF, -0x80000000)


def _immediate(random: Random, row: Row) -> int:
    how = row._immediate
    if how == "ub":
        return random.choice((0, 1, 127, 128, 255, random.randrange(256)))
    if how == "i1/ib":
        return random.choice((1, 2, 31, random.randrange(32)))
    size = {"ib": 1, "iw": 2, "iq": 8}.get(how, 4)
    limit = 1 << (8 * size - 1)
    if LONG_NUMBER.match(row.form.name):  # of the short ones Clang makes the other row's code
        return random.choice((128, -129, 0x7FFFFFFF, -0x80000000))
    value = random.choice((*IMMEDIATES, random.randrange(-limit, limit)))
    if how == "iq":
        return random.choice((value, 1 << 62, -limit, 0x1234567890))
    return max(-limit, min(limit - 1, value))


def arguments(random: Random, row: Row) -> tuple[int, ...]:
    found: list[int] = []
    for spec in row.form.operands:
        kind = spec.kind
        if kind == "x":
            found.append(32 + random.randrange(16))
        elif kind in ("r8", "r16", "r32", "r64"):
            number = random.choice((0, 4, 5, 7, 12, 13, random.randrange(16)))
            found.append(5 if spec.name == "index" and number == 4 else number)
        elif kind == "scale":
            found.append(random.randrange(4))
        elif kind in ("disp", "symbol"):
            found.append(random.choice(IMMEDIATES))
        elif kind == "cond":
            found.append(random.randrange(16))
        elif kind == "rel":
            near = row._immediate == "rel8"
            found.append(random.randrange(-100, 100) if near else random.choice((-1, 1)) * 5000)
        else:
            found.append(_immediate(random, row))
    return tuple(found)


def samples() -> list[tuple[Row, tuple[int, ...]]]:
    random = Random(7)
    return [
        (row, one)
        for row in ROWS.values()
        for one in dict.fromkeys(arguments(random, row) for _ in range(EACH))
    ]


def test_clang_assembles_what_is_printed_into_what_is_encoded(tmp_path: Path) -> None:
    rows = samples()
    lines = [f"m{n}: {row.form.text(one)}" for n, (row, one) in enumerate(rows)]
    source, output = tmp_path / "all.s", tmp_path / "all.o"
    source.write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        [*CC, "-c", source, "-o", output], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[:3000]
    from callproof.object.elf_read import read_elf

    text = read_elf(output.read_bytes(), "all").section(".text")
    assert text is not None
    image = bytes(text.data)
    at = 0
    wrong = []
    for row, one in rows:
        ours = row.bytes_of(one)
        theirs = image[at : at + len(ours)]
        if ours != theirs:
            wrong.append((row.form.text(one), ours.hex(), image[at : at + 12].hex()))
            break
        assert row.measure(one) == len(ours) == row.form.size or row.form.size == 0
        at += len(ours)
    assert not wrong
    assert at == len(image)


def _names() -> dict[str, int]:
    from callproof.abi.sysv64 import register_name

    names = {register_name(r, size): r for r in range(16) for size in (1, 2, 4, 8)}
    names |= {f"xmm{n}": 32 + n for n in range(16)}
    return names


def test_capstone_sees_the_same_effects() -> None:
    capstone: Any = import_module("capstone")
    x86: Any = import_module("capstone.x86")
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    names = _names()
    flag_reads = [getattr(x86, f"X86_EFLAGS_TEST_{f}") for f in ("OF", "SF", "ZF", "CF", "PF")]
    flag_writes = [
        getattr(x86, f"X86_EFLAGS_{how}_{f}")
        for how in ("MODIFY", "RESET", "UNDEFINED")
        for f in ("OF", "SF", "ZF", "CF", "PF")
    ]
    for row, one in samples():
        form = row.form
        code = row.bytes_of(one)
        (found,) = decoder.disasm(code, 0x1000)
        assert found.size == len(code), form.text(one)
        reads, writes = (
            {names[decoder.reg_name(r)] for r in which if decoder.reg_name(r) in names}
            for which in found.regs_access()
        )
        uses, definitions = set(row.reads), set(row.writes)
        for spec, argument in zip(form.operands, one, strict=True):
            if spec.is_register and spec.role != "def":
                uses.add(argument)
            if spec.is_register and spec.role != "use":
                definitions.add(argument)
        what = (form.name, form.text(one), code.hex())
        # Capstone does not see that CMOV may keep its destination; in the scalar operations
        # that merge it sees the upper half, which means nothing to us.
        doubtful = {one[0]} if form.name.startswith(("sqrt", "cvt")) else set()
        doubtful |= {one[1]} if form.name.startswith("cmov") else set()
        assert reads - doubtful == uses - doubtful, what
        if form.name in ("cqto", "cltd") or form.name.startswith("test_"):
            writes -= {0} - definitions  # Capstone has RAX written, which is only read
        assert writes == definitions, what
        if form.name.startswith("f"):
            continue  # x87: Capstone's flags are those of the x87 status word
        assert form.writes_flags == any(found.eflags & bit for bit in flag_writes), what
        assert form.reads_flags == any(found.eflags & bit for bit in flag_reads), what


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("mov_q_rr", (0, 40)),
        ("movaps", (0, 40)),
        ("mov_q_rm_x", (0, 1, 4, 0, 0)),
        ("mov_q_rm_x", (0, 1, 2, 4, 0)),
        ("mov_q_rm_b", (0, 1, 1 << 31)),
        ("add_q_ri", (0, 1 << 31)),
        ("add_l_ri", (0, 1 << 32)),
        ("mov_q_ri", (0, 1 << 31)),
        ("movabs", (0, 1 << 64)),
        ("shl_q_i", (0, 64)),
        ("shl_l_i", (0, 32)),
        ("set", (16, 0)),
        ("pshufd", (32, 33, 256)),
        ("pshufd", (32, 33, -1)),
        ("jmp_short", (200,)),
        ("mov_q_rr", (0,)),
    ],
)
def test_what_cannot_be_encoded_is_refused(name: str, wrong: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"fit|register|RSP|scale|shift|condition|operands"):
        ROWS[name].bytes_of(wrong)


def test_every_memory_form_has_its_three_variants() -> None:
    for name, row in ROWS.items():
        if row.memory:
            stem = name.removesuffix(f"_{row.memory}")
            assert {f"{stem}_{variant}" for variant in MEMORY_SPECS} <= set(ROWS)
