"""The peephole: what becomes of some blocks, and that random ones do the same as before."""

from __future__ import annotations

from importlib import import_module
from random import Random
from typing import Any

import pytest

from callproof.codegen.target import Line
from callproof.target.arm64.instructions import FORMS
from callproof.target.arm64.peephole import improve

CODE, MEMORY = 0x10000, 0x20000


def line(name: str, *arguments: int) -> Line:
    return Line(FORMS[name], arguments)


def text(lines: list[Line]) -> list[str]:
    return [one.form.text(one.arguments) for one in lines]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([("ldr_x_uimm", 1, 0, 8), ("ldr_x_uimm", 2, 0, 16)], ["ldp x1, x2, [x0, #8]"]),
        ([("str_x_uimm", 64, 0, 8), ("str_x_uimm", 2, 0, 0)], ["stp x2, xzr, [x0, #0]"]),
        ([("ldr_d_uimm", 33, 0, 8), ("ldr_d_unscaled", 34, 0, 0)], ["ldp d2, d1, [x0, #0]"]),
        # The base changes, one register twice, out of reach, a store between: none.
        ([("ldr_x_uimm", 0, 0, 8), ("ldr_x_uimm", 2, 0, 16)], None),
        ([("ldr_x_uimm", 1, 0, 8), ("ldr_x_uimm", 1, 0, 16)], None),
        ([("ldr_x_uimm", 1, 0, 512), ("ldr_x_uimm", 2, 0, 520)], None),
        ([("ldr_x_uimm", 1, 0, 8), ("str_x_uimm", 4, 3, 0), ("ldr_x_uimm", 2, 0, 16)], None),
        # A store of the same base elsewhere does not matter to a store, one of it does.
        ([("str_x_uimm", 1, 0, 8), ("str_x_uimm", 4, 0, 32), ("str_x_uimm", 2, 0, 16)],
         ["stp x1, x2, [x0, #8]", "str x4, [x0, #32]"]),
        ([("str_x_uimm", 1, 0, 8), ("str_w_uimm", 4, 0, 20), ("str_x_uimm", 2, 0, 16)], None),
        ([("ldr_x_uimm", 1, 0, 0), ("add_x_shift", 2, 1, 1, 0, 0), ("add_x_imm", 0, 0, 8, 0)],
         ["ldr x1, [x0], #8", "add x2, x1, x1"]),
        ([("ldr_x_uimm", 1, 0, 8), ("add_x_imm", 0, 0, 8, 0)], ["ldr x1, [x0, #8]!"]),
        ([("str_x_uimm", 1, 0, 0), ("add_x_shift", 2, 0, 1, 0, 0), ("add_x_imm", 0, 0, 8, 0)],
         None),
        ([("str_x_uimm", 0, 0, 0), ("add_x_imm", 0, 0, 8, 0)], None),
        ([("mov_x", 1, 0), ("add_x_imm", 2, 1, 1, 0), ("mov_x", 0, 1)],
         ["mov x1, x0", "add x2, x1, #1"]),
        ([("mov_x", 1, 0), ("add_x_imm", 1, 1, 1, 0), ("mov_x", 0, 1)], None),
    ],
)  # fmt: skip
def test_blocks(lines: list[tuple[Any, ...]], expected: list[str] | None) -> None:
    made = [line(*one) for one in lines]
    before = text(made)
    assert text(improve(made)) == (before if expected is None else expected)


def random_block(random: Random) -> list[Line]:
    """Accesses around two bases in memory, moves and additions, of few registers."""
    registers, bases = range(4), (8, 9)
    lines = []
    for _ in range(random.randrange(3, 14)):
        register, base = random.choice(registers), random.choice(bases)
        kind = random.randrange(12)
        if kind < 4:
            lines.append(line("ldr_x_uimm", register, base, 8 * random.randrange(4)))
        elif kind < 8:
            register = random.choice((register, 64))
            lines.append(line("str_x_uimm", register, base, 8 * random.randrange(4)))
        elif kind == 8:
            lines.append(line("ldr_w_unscaled", register, base, 4 * random.randrange(-2, 4)))
        elif kind == 9:
            lines.append(line("mov_x", register, random.choice(registers)))
        elif kind == 10:
            lines.append(line("add_x_imm", base, base, random.choice((8, 16)), 0))
        else:
            lines.append(line("add_x_shift", register, random.choice((base, register)), 3, 0, 0))
    return lines


def test_random_blocks_do_the_same() -> None:
    unicorn: Any = import_module("unicorn")
    constants: Any = import_module("unicorn.arm64_const")
    uc = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
    uc.mem_map(CODE, 0x1000)
    uc.mem_map(MEMORY, 0x1000)
    x0 = constants.UC_ARM64_REG_X0
    fill = Random(1).randbytes(512)

    def run(lines: list[Line]) -> tuple[list[int], bytes]:
        words = [one.form.encode(one.arguments) for one in lines]  # type: ignore[arg-type]
        code = b"".join(word.to_bytes(4, "little") for word in words)
        uc.ctl_remove_cache(CODE, CODE + 0x1000)
        uc.mem_write(CODE, code)
        uc.mem_write(MEMORY, fill)
        for register in range(4):
            uc.reg_write(x0 + register, 0x1111 * (register + 1))
        for register in (8, 9):  # 8 bytes apart, so that accesses of both meet
            uc.reg_write(x0 + register, MEMORY + 128 + 8 * (register - 8))
        uc.emu_start(CODE, CODE + len(code))
        state = [uc.reg_read(x0 + register) for register in (*range(4), 8, 9)]
        return state, bytes(uc.mem_read(MEMORY, len(fill)))

    shorter = 0
    for seed in range(600):
        lines = random_block(Random(seed))
        expected = run(lines)
        improved = improve(list(lines))
        shorter += len(improved) < len(lines)
        assert run(improved) == expected, (seed, text(lines), text(improved))
    assert shorter > 150
