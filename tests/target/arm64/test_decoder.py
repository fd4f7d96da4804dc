"""Random words of every encoding group against Capstone and, where installed, GNU objdump.

Whether a word is an instruction at all, what kind of branch it is and where it goes, and
whether scalable code is known as such.  Texts are compared in `test_instructions.py`,
registers read and written in `test_effects_by_running.py`.
"""

from __future__ import annotations

import random
import re
import shutil
import struct
import subprocess
from pathlib import Path

import capstone
import pytest

from callproof.target.arm64 import effects as e
from callproof.target.arm64.effects import effect_of, group_of
from callproof.target.arm64.groups import GROUPS

SEED, PER_GROUP, BASE = 5, 60, 0x100000
OBJDUMP = "aarch64-linux-gnu-objdump"

NEWER = "newer than this Capstone (CSSC, LS64, PSTATE fields of Armv8.8 and later)"
IGNORED = "fields that should be ones: Capstone wants them so, the processor ignores them"
UNPREDICTABLE = "writes back to the register that it loads: constrained, but some processor runs it"
MISSING = "not in this Capstone, though older than it"
# Where Capstone refuses words that objdump takes, as we do.
REFUSED_BY_CAPSTONE = {
    "min/max immediate": NEWER,
    "one source": NEWER,
    "two sources": NEWER,
    "msr immediate": NEWER,
    "ld64b": NEWER,
    "st64b": NEWER,
    "ldxr": IGNORED,
    "ldxp": IGNORED,
    "ldar": IGNORED,
    "stlr": IGNORED,
    "stgp": MISSING,
    "accumulating": MISSING,  # fmlal, fmlsl and their second halves
    "ldp": UNPREDICTABLE,
    "ldp, SIMD": UNPREDICTABLE,
    "stp": UNPREDICTABLE,
    "ldraa, writing back": UNPREDICTABLE,
    "load/store unprivileged": UNPREDICTABLE,
    "load/store post": UNPREDICTABLE,
    "load/store pre": UNPREDICTABLE,
}
# Capstone's groups say nothing of `bc.cond`; it is a branch (Armv8.8, "hinted").
NO_BRANCH_FOR_CAPSTONE = "bc."
SCALABLE = re.compile(r"\b([zp]\d+|za\d*)\b")  # its registers
UNKNOWN_GROUPS = {"sme", "sve", "smstart", "ld64b", "st64b"}
KINDS = {
    e.JUMP: "jump",
    e.BRANCH: "jump",
    e.JUMP_REGISTER: "jump",
    e.CALL: "call",
    e.CALL_REGISTER: "call",
    e.RETURN: "return",
}


@pytest.fixture(scope="module")
def words() -> list[tuple[str, int]]:
    """(group, word), random in all bits that the group leaves free."""
    source = random.Random(SEED)
    found = []
    for number, group in enumerate(GROUPS):
        for _ in range(PER_GROUP):
            word = group.value | source.getrandbits(32) & ~group.mask & 0xFFFFFFFF
            if group_of(word) == number:
                found.append((group.name, word))
    return found


def engine() -> capstone.Cs:
    made = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)
    made.detail = True
    return made


def test_branches_are_those_that_capstone_sees(words: list[tuple[str, int]]) -> None:
    disassembler = engine()
    names = {
        capstone.CS_GRP_CALL: "call",
        capstone.CS_GRP_RET: "return",
        capstone.CS_GRP_JUMP: "jump",
    }
    seen = dict.fromkeys(names.values(), 0)
    for group, word in words:
        for instruction in disassembler.disasm(struct.pack("<I", word), BASE):
            effect = effect_of(word)
            kinds = [kind for number, kind in names.items() if instruction.group(number)]
            expected = kinds[0] if kinds else ""
            if instruction.mnemonic.startswith(NO_BRANCH_FOR_CAPSTONE):
                expected = "jump"
            assert KINDS.get(effect.kind, "") == expected, f"{word:#010x} {group}"
            if not expected:
                continue
            seen[expected] += 1
            if effect.kind in (e.JUMP, e.BRANCH, e.CALL):
                target = int(instruction.op_str.split("#")[-1], 16)
                assert target == (BASE + effect.a) % (1 << 64), f"{word:#010x} {group}"
    assert min(seen.values()) > PER_GROUP // 4, seen


def test_scalable_code_is_known_as_such_and_nothing_else_is(words: list[tuple[str, int]]) -> None:
    disassembler = engine()
    scalable = 0
    for group, word in words:
        for instruction in disassembler.disasm(struct.pack("<I", word), BASE):
            known = effect_of(word).kind != e.UNKNOWN
            is_scalable = SCALABLE.search(instruction.op_str) is not None
            assert known or group in UNKNOWN_GROUPS, f"{word:#010x} {group}"
            assert not (known and is_scalable), f"{word:#010x} {group}"
            scalable += is_scalable
    assert scalable > PER_GROUP // 4


@pytest.mark.skipif(shutil.which(OBJDUMP) is None, reason="no objdump for ARM64")
def test_what_capstone_refuses_objdump_refuses_too(
    words: list[tuple[str, int]], tmp_path: Path
) -> None:
    disassembler = engine()
    refused = [
        (group, word)
        for group, word in words
        if not list(disassembler.disasm(struct.pack("<I", word), BASE))
    ]
    path = tmp_path / "words"
    path.write_bytes(b"".join(struct.pack("<I", word) for _, word in refused))
    command = [OBJDUMP, "-b", "binary", "-m", "aarch64", "-D", "-z", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line.split("\t") for line in done.stdout.splitlines() if ":\t" in line]
    assert len(lines) == len(refused) > 1000
    different = {
        group
        for (group, _), line in zip(refused, lines, strict=True)
        if not line[2].startswith(".inst") and "undefined" not in line[-1] and "NYI" not in line[-1]
    }
    assert different <= set(REFUSED_BY_CAPSTONE)
    assert {"ldxr", "stlr", "stgp", "min/max immediate", "ld64b"} <= different
