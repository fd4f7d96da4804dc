"""System calls with any arguments at all: a result, an errno or an end, never a traceback."""

from __future__ import annotations

import io
import stat
import struct
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from callproof.run.linux import TABLE, call
from callproof.run.memory import Memory
from callproof.run.process import ERRNO, Ended, OpenFile, Process

BASE = 0x10_0000
SIZE = 4 * 4096
SLEEPING = {"nanosleep", "clock_nanosleep", "ppoll", "futex"}
NUMBERS = sorted(number for number, row in TABLE.items() if row[0] not in SLEEPING)

WORDS = st.one_of(
    st.sampled_from([0, 1, 2, 3, 4, 8, 16, 0x10, 0x22, 0x32, 4096, 8192, BASE, BASE + SIZE - 8]),
    st.integers(BASE, BASE + SIZE),
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 200),
    st.sampled_from([(1 << 64) - 100, (1 << 64) - 1, 1 << 63, 1 << 47, 0x7FFF_FFFF_FFFF_F000]),
)


def process() -> Process:
    unicorn = import_module("unicorn")
    memory = Memory(unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM), 1 << 24)
    memory.map(BASE, SIZE, 3)
    memory.brk = memory.brk_start = 0x40_0000
    streams = [io.BytesIO(b"input" * 100), io.BytesIO(), io.BytesIO()]
    files = {number: OpenFile(stream=stream) for number, stream in enumerate(streams)}
    return Process(memory, "fuzz", files, (BASE, BASE + SIZE))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    calls=st.lists(
        st.tuples(st.sampled_from(NUMBERS) | st.integers(0, 600), st.lists(WORDS, min_size=6)),
        min_size=1,
        max_size=12,
    )
)
@example(calls=[(233, [BASE, 1 << 60, 4, 0, 0, 0])])
@example(calls=[(215, [0, (1 << 64) - 1, 0, 0, 0, 0])])
@example(calls=[(222, [0, 1 << 63, 3, 0x22, (1 << 64) - 1, 0])])
@example(calls=[(216, [BASE, 4096, 1 << 62, 1, 0, 0])])
@example(calls=[(64, [1, BASE, (1 << 64) - 1, 0, 0, 0])])
@example(calls=[(129, [0, 1 << 32, 0, 0, 0, 0])])
def test_no_arguments_make_a_call_fall(
    calls: list[tuple[int, list[int]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fuzzed = process()
    try:
        for number, arguments in calls:
            if TABLE.get(number, ("",))[0] in SLEEPING:
                continue
            result = call(fuzzed, number, arguments)
            assert -max(ERRNO.values()) <= result < 1 << 64
    except Ended as ended:
        assert 0 <= ended.status < 256
    finally:
        fuzzed.close()


def test_every_call_has_its_own_number_and_enough_arguments() -> None:
    for number, (name, function, count) in TABLE.items():
        assert 0 <= number < 600, name
        assert callable(function)
        assert 0 <= count <= 6


def test_a_stream_looks_like_a_pipe() -> None:
    here = process()
    assert call(here, 80, [1, BASE, 0, 0, 0, 0]) == 0
    (mode,) = struct.unpack("<I", here.memory.read(BASE + 16, 4))
    assert stat.S_ISFIFO(mode)


def test_poll_answers_each_entry_by_what_it_asks() -> None:
    here = process()
    assert call(here, 59, [BASE, 0, 0, 0, 0, 0]) == 0  # pipe2
    reader, writer = struct.unpack("<ii", here.memory.read(BASE, 8))
    asked = [(reader, 1), (writer, 4), (reader, 0), (99, 1), (-1, 1)]
    here.memory.write(BASE + 64, b"".join(struct.pack("<ihh", *entry, 0) for entry in asked))
    here.memory.write(BASE + 32, b"ready")
    assert call(here, 64, [writer, BASE + 32, 5, 0, 0, 0]) == 5
    here.memory.write(BASE + 128, bytes(16))
    assert call(here, 73, [BASE + 64, len(asked), BASE + 128, 0, 0, 0]) == 3
    answers = [row[2] for row in struct.iter_unpack("<ihh", here.memory.read(BASE + 64, 40))]
    assert answers == [1, 4, 0, 0x20, 0]
    here.close()


def test_a_wait_that_nobody_can_end_is_a_deadlock() -> None:
    with pytest.raises(Ended) as caught:
        call(process(), 98, [BASE, 0, 0, 0, 0, 0])
    assert caught.value.status == 134
    assert "deadlock" in caught.value.why
    assert call(process(), 98, [BASE, 0, 1, 0, 0, 0]) == -ERRNO["EAGAIN"]


def test_terminal_size_is_the_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    try:
        master, slave = os.openpty()
    except (AttributeError, OSError):
        pytest.skip("this host has no pseudo-terminals")
    here = process()
    here.files[3] = OpenFile(slave)
    try:
        assert call(here, 29, [3, 0x5413, BASE, 0, 0, 0]) == 0
        assert call(here, 29, [1, 0x5413, BASE, 0, 0, 0]) == -ERRNO["ENOTTY"]
    finally:
        os.close(master)
        os.close(slave)
