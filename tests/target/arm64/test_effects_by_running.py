"""What each encoding group says of registers, by experiment in the emulator.

One instruction runs with random registers.  What changed must be among what the group
says is written; and with everything random again except what it reads, what it writes must
get the same values (a value that is merged into is among what is read).
"""

from __future__ import annotations

import random
from importlib import import_module
from typing import Any

import pytest

from callproof.target.arm64 import effects as e
from callproof.target.arm64.effects import FLAGS, FLAGS_BIT, HIGH, LOW, effect_of, group_of
from callproof.target.arm64.groups import GROUPS, Group

unicorn: Any = import_module("unicorn")  # its published types are for Python 2
uc: Any = import_module("unicorn.arm64_const")
CODE, DATA, SIZE = 0x10_0000, 0x40_0000, 0x10_0000
MIDDLE = DATA + SIZE // 2
TRIES, WORDS = 2, 80
X = [getattr(uc, f"UC_ARM64_REG_X{number}") for number in range(31)]
Q = [getattr(uc, f"UC_ARM64_REG_Q{number}") for number in range(32)]
MASK = (1 << 64) - 1
# System state, signatures, exclusive monitors: one instruction alone does not show them.
SKIPPED = (
    "mrs msr sys sysl barrier wfet hint cfinv stxr stxp pac xpac pacga addg/subg irg gmi stg ldg "
    "stgm ldgm subp subps ldraa prfm prfum ld64b st64b cpy smstart"
).split()
State = dict[int, int]


def machine() -> Any:
    engine = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
    engine.ctl_set_cpu_model(uc.UC_CPU_ARM64_MAX)
    engine.mem_map(CODE, 0x1000)
    engine.mem_map(DATA, SIZE)
    return engine


def write(engine: Any, state: State) -> None:
    for bit, register in enumerate(X):
        engine.reg_write(register, state[bit])
    engine.reg_write(uc.UC_ARM64_REG_SP, state[31])
    for number, register in enumerate(Q):
        engine.reg_write(register, state[LOW + number] | state[HIGH + number] << 64)
    engine.reg_write(uc.UC_ARM64_REG_NZCV, state[FLAGS_BIT])


def read(engine: Any) -> State:
    state = {bit: engine.reg_read(register) for bit, register in enumerate(X)}
    state[31] = engine.reg_read(uc.UC_ARM64_REG_SP)
    for number, register in enumerate(Q):
        value = engine.reg_read(register)
        state[LOW + number], state[HIGH + number] = value & MASK, value >> 64
    state[FLAGS_BIT] = engine.reg_read(uc.UC_ARM64_REG_NZCV) & 0xF0000000
    return state


def random_state(source: random.Random, *, memory: bool) -> State:
    state = {bit: source.getrandbits(64) for bit in range(96)}
    for bit in range(32):
        if memory or bit == 31:
            state[bit] = MIDDLE + 16 * source.randrange(-256, 256)
    state[FLAGS_BIT] = source.getrandbits(4) << 28
    return state


def run(engine: Any, word: int, state: State) -> State | None:
    engine.mem_write(CODE, word.to_bytes(4, "little"))
    write(engine, state)
    try:
        engine.emu_start(CODE, CODE + 4, count=1)
    except unicorn.UcError:
        return None  # not allocated, or outside the memory
    if engine.reg_read(uc.UC_ARM64_REG_PC) != CODE + 4:
        return None
    return read(engine)


# On some words of these the emulator ends the process.
DANGEROUS = {"scalar half, two registers", "three half registers", "two half registers"}


def is_tested(group: Group) -> bool:
    if group.name in DANGEROUS:
        return False
    name = group.name.split(",")[0].split()[0]
    return (
        name not in SKIPPED
        and group.kind
        not in ("trap scalable unknown system_call monitor_call exception_return").split()
    )


def random_word(group: Group, source: random.Random) -> int:
    word = group.value | source.getrandbits(32) & ~group.mask
    if source.random() < 0.2:
        word = word & ~(31 << 16) & 0xFFFFFFFF | group.value
    return word


def check_word(engine: Any, word: int, source: random.Random, *, memory: bool) -> bool:
    effect = effect_of(word)
    ran = False
    for _ in range(TRIES):
        first = random_state(source, memory=memory)
        if memory:
            engine.mem_write(DATA, CONTENT)
        after = run(engine, word, first)
        if after is None:
            return ran
        ran = True
        changed = sum(1 << bit for bit in after if after[bit] != first[bit])
        extra = changed & ~effect.writes
        assert not extra, f"{word:#010x} {effect.group}: also writes {extra:#x}"
        second = random_state(source, memory=memory)
        for bit in second:
            if effect.reads >> bit & 1:
                second[bit] = first[bit]
        if memory:
            engine.mem_write(DATA, CONTENT)
        again = run(engine, word, second)
        if again is None:
            continue
        for bit in after:
            if effect.writes >> bit & 1:
                assert after[bit] == again[bit], f"{word:#010x} {effect.group}: reads more ({bit})"
    return ran


CONTENT = random.Random(1).randbytes(SIZE)
CONTROL = frozenset((e.JUMP, e.BRANCH, e.CALL, e.CALL_REGISTER, e.JUMP_REGISTER, e.RETURN))
NAMES = sorted({group.name for group in GROUPS if is_tested(group)})


@pytest.mark.parametrize("name", NAMES)
def test_registers_by_experiment(name: str) -> None:
    source = random.Random(f"effects {name}")
    engine = machine()
    ran = tried = 0
    for number, group in enumerate(GROUPS):
        if group.name != name or not is_tested(group):
            continue
        memory = group.mask >> 27 & 1 == 1 and group.value >> 25 & 5 == 4
        for _ in range(WORDS // (4 if memory else 1)):
            word = random_word(group, source)
            effect = effect_of(word)
            if group_of(word) != number or effect.kind in (*CONTROL, e.UNKNOWN):
                continue
            tried += 1
            ran += check_word(engine, word, source, memory=memory)
    if tried and name not in NOT_EMULATED:
        assert ran, f"no word of the group {name} ran"


# Extensions that this emulator does not have, and addresses that random registers do not give.
NOT_EMULATED = {
    "min/max immediate",
    "ldr literal",
    "ldr literal, SIMD",
    "ldrsw literal",
    "load/store register offset",
    "stgp",
}
assert FLAGS == 1 << FLAGS_BIT
