"""The encoding groups against the instruction table and against Capstone."""

from __future__ import annotations

import random
import struct

import capstone
import numpy as np
import pytest
from tests.support.arm64_words import random_word

from callproof.target.arm64 import effects
from callproof.target.arm64.effects import FLAGS, HIGH, LOW, Effect, effect_of, group_of
from callproof.target.arm64.groups import GROUPS
from callproof.target.arm64.instructions import ROWS, decode
from callproof.target.arm64.registers import V0, XZR

CONTROL = {
    "jump": effects.JUMP,
    "branch": effects.BRANCH,
    "call": effects.CALL,
    "indirect_call": effects.CALL_REGISTER,
    "indirect_jump": effects.JUMP_REGISTER,
    "return": effects.RETURN,
    "trap": effects.TRAP,
}
SEED, PER_ROW = 6, 20


def whole(mask: int) -> int:
    """Registers without the distinction of halves, numbered as the instruction table does."""
    high = mask >> HIGH & 0xFFFFFFFF
    return mask & (1 << HIGH) - 1 | high << V0


def expected(word: int) -> tuple[int, int, Effect]:
    """What the table's row says: registers read and written."""
    decoded = decode(word)
    assert decoded is not None
    form, arguments = decoded
    reads = writes = 0
    for spec, argument in zip(form.operands, arguments, strict=True):
        if spec.is_register and argument != XZR:
            if "use" in spec.role:
                reads |= 1 << argument
            if "def" in spec.role:
                writes |= 1 << argument
    return reads, writes, effect_of(word)


# The row says what the allocator must know, the group what the machine does.
READS_LESS = {"eor", "sub", "subs", "cmeq", "ext", "ins_d_x", "ins_d_d"}
DIFFERENT = {"svc", "hint", "paciasp", "autiasp", "nop", "bti"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.form.name)
def test_groups_agree_with_the_instruction_table(row: object) -> None:
    source = random.Random(SEED)
    for _ in range(PER_ROW):
        word = random_word(row, source)  # type: ignore[arg-type]
        form, arguments = decode(word)  # type: ignore[misc]
        reads, writes, effect = expected(word)
        if form.name in DIFFERENT or (form.name == "b_cond" and word & 14 == 14):
            continue
        assert effect.kind != effects.UNKNOWN
        assert CONTROL.get(form.control, -1) == (
            effect.kind if effect.kind >= effects.FIRST_CONTROL else -1
        ), form.text(arguments) if not form.operands else form.name
        mine = whole(effect.reads & ~FLAGS)
        if mine != reads:  # x ^ x, and halves that are not looked at
            assert mine & ~reads == 0, f"{word:08x} {form.name}"
            assert form.mnemonic in READS_LESS or form.name in READS_LESS, form.name
        written = whole(effect.writes & ~FLAGS)
        if form.memory and arguments[-1] == 0 and form.name.endswith(("_pre", "_post")):
            written |= 1 << (word >> 5 & 31)  # writing back the base plus 0
        assert written == writes, f"{word:08x} {form.name}"
        if mine:
            assert bool(effect.reads & FLAGS) == form.reads_flags or form.name == "b_cond"
        assert bool(effect.writes & FLAGS) == form.writes_flags, form.name
        assert (effect.kind in (effects.STORE, effects.OTHER_STORE)) == (form.memory == "store")


def test_many_words_are_classified_as_one_is() -> None:
    source = random.Random(SEED)
    words = [source.getrandbits(32) for _ in range(20_000)]
    groups = effects.classify(np.array(words, np.uint32))
    assert [group_of(word) for word in words] == groups.tolist()


def test_every_group_is_reached() -> None:
    source = random.Random(SEED)
    for number, group in enumerate(GROUPS):
        assert any(
            group_of(group.value | source.getrandbits(32) & ~group.mask) == number
            for _ in range(3000)
        ), group.name


# Registers that Capstone's access lists may be trusted with: those of the operands' text.
def test_what_capstone_decodes_is_in_a_group() -> None:
    source = random.Random(SEED)
    engine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)
    known = 0
    for _ in range(60_000):
        word = source.getrandbits(32)
        found = list(engine.disasm(struct.pack("<I", word), 0))
        if not found:
            continue
        known += 1
        assert group_of(word) >= 0, f"{word:#010x} {found[0].mnemonic} {found[0].op_str}"
    assert known > 20_000


def experiment(text: str) -> Effect:
    from tests.support.clang import assemble

    (word,) = struct.unpack("<I", assemble(text + "\n", features="generic+lse+crypto+fullfp16"))
    return effect_of(word)


def v(*numbers: int, half: int = LOW) -> int:
    return sum(1 << half + number for number in numbers)


@pytest.mark.parametrize(
    ("text", "reads", "writes"),
    [
        ("st1 {v8.2d-v9.2d}, [x0]", 1 | v(8, 9) | v(8, 9, half=HIGH), 0),
        ("ld4 {v30.16b-v1.16b}, [x3], x4", 0b11000, 8 | v(30, 31, 0, 1) | v(30, 31, 0, 1, half=64)),
        ("ld1 {v4.b}[3], [x1]", 2 | v(4), v(4)),
        ("ld1r {v4.4s}, [x1]", 2, v(4) | v(4, half=HIGH)),
        ("sshll2 v1.8h, v2.16b, #0", v(2, half=HIGH), v(1) | v(1, half=HIGH)),
        ("sshll v1.8h, v2.8b, #0", v(2), v(1) | v(1, half=HIGH)),
        ("xtn2 v1.16b, v2.8h", v(2) | v(2, half=HIGH), v(1, half=HIGH)),
        ("fmla v0.4s, v1.4s, v9.s[3]", v(0, 1) | v(0, 1, 9, half=HIGH), v(0) | v(0, half=HIGH)),
        ("fmul v0.4s, v1.4s, v9.s[1]", v(1, 9) | v(1, half=HIGH), v(0) | v(0, half=HIGH)),
        ("mov v3.d[1], x5", 1 << 5, v(3, half=HIGH)),
        ("fmov v3.d[1], x5", 1 << 5, v(3, half=HIGH)),
        ("zip1 v0.4s, v1.4s, v2.4s", v(1, 2), v(0) | v(0, half=HIGH)),
        ("zip2 v0.4s, v1.4s, v2.4s", v(1, 2, half=HIGH), v(0) | v(0, half=HIGH)),
        ("ldadd x1, x2, [x3]", 0b1010, 0b100),
        ("casal x1, x2, [x3]", 0b1110, 0b10),
        ("caspal x2, x3, x4, x5, [x6]", 0b1111100, 0b1100),
        ("eor x3, x9, x9", 0, 8),
        ("sha256h q0, q1, v2.4s", v(0, 1, 2) | v(0, 1, 2, half=HIGH), v(0) | v(0, half=HIGH)),
        (
            "tbl v0.16b, {v31.16b, v0.16b}, v2.16b",
            v(31, 0, 2) | v(31, 0, 2, half=64),
            v(0) | v(0, half=64),
        ),
        ("ext v0.16b, v1.16b, v2.16b, #8", v(1, half=HIGH) | v(2), v(0) | v(0, half=HIGH)),
        ("ldp q8, q9, [sp], #32", 1 << 31, v(8, 9) | v(8, 9, half=HIGH) | 1 << 31),
        ("fcvtzs w0, s1", v(1), 1),
        ("mrs x3, fpcr", 0, 8),
    ],
)
def test_halves_and_lists(text: str, reads: int, writes: int) -> None:
    effect = experiment(text)
    assert (effect.reads, effect.writes) == (reads, writes)
