"""The memory map against an obvious model: a dictionary from page to bytes."""

from __future__ import annotations

from importlib import import_module
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callproof.run import memory as module
from callproof.run.memory import BadAddress, Memory, OutOfMemory

unicorn: Any = import_module("unicorn")  # its published types are for Python 2

PAGE = 4096
BASE = 0x10_0000

OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["map", "unmap", "write", "protect"]),
        st.integers(0, 15),
        st.integers(1, 6),
    ),
    max_size=25,
)


def fresh(limit: int = 1 << 30) -> Memory:
    return Memory(unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM), limit)


@settings(max_examples=60, deadline=None)
@given(OPERATIONS)
@pytest.mark.parametrize("large", [module.LARGE, 2 * PAGE])
def test_map_unmap_and_write_behave_like_a_set_of_pages(
    large: int, operations: list[tuple[str, int, int]]
) -> None:
    with mock.patch.object(module, "LARGE", large):
        compare_with_a_set_of_pages(operations)


def compare_with_a_set_of_pages(operations: list[tuple[str, int, int]]) -> None:
    memory = fresh()
    model: dict[int, int] = {}
    for turn, (what, first, count) in enumerate(operations, 1):
        pages = range(first, first + count)
        address, size = BASE + first * PAGE, count * PAGE
        if what == "map":
            memory.map(address, size, 3)
            model |= dict.fromkeys(pages, 0)
        elif what == "unmap":
            memory.unmap(address, size)
            for page in pages:
                model.pop(page, None)
        elif what == "protect":
            if all(page in model for page in pages):
                memory.protect(address, size, 1 + 2 * (turn % 2))
        elif all(page in model for page in pages):
            memory.write(address, bytes([turn]) * size)
            model |= dict.fromkeys(pages, turn)
        else:
            with pytest.raises(BadAddress):
                memory.write(address, bytes(size))
    for page in range(22):
        if page in model:
            assert memory.read(BASE + page * PAGE, PAGE) == bytes([model[page]]) * PAGE
        else:
            with pytest.raises(BadAddress):
                memory.read(BASE + page * PAGE, 1)
    assert memory.mapped == PAGE * len(model)


def test_the_limit_is_kept() -> None:
    memory = fresh(limit=10 * PAGE)
    memory.allocate(8 * PAGE, 3)
    with pytest.raises(OutOfMemory):
        memory.allocate(3 * PAGE, 3)
    memory.brk = memory.brk_start = BASE
    assert memory.set_brk(BASE + 3 * PAGE) == BASE
    assert memory.set_brk(BASE + 2 * PAGE) == BASE + 2 * PAGE


def test_the_heap_grows_and_shrinks_and_forgets() -> None:
    memory = fresh()
    memory.brk = memory.brk_start = BASE
    memory.set_brk(BASE + 5000)
    memory.write(BASE + 4096, b"abc")
    assert memory.set_brk(BASE + 100) == BASE + 100
    with pytest.raises(BadAddress):
        memory.read(BASE + 4096, 1)
    memory.set_brk(BASE + 5000)
    assert memory.read(BASE + 4096, 3) == bytes(3)
    assert memory.set_brk(0) == BASE + 5000


def test_text_ends_at_nul_and_may_cross_pages() -> None:
    memory = fresh()
    memory.map(BASE, 2 * PAGE, 3)
    memory.write(BASE + PAGE - 2, b"abcd\0e")
    assert memory.text(BASE + PAGE - 2) == b"abcd"
    memory.write(BASE + PAGE, b"x" * PAGE)
    with pytest.raises(BadAddress):
        memory.text(BASE + PAGE)


def test_many_mappings_come_from_a_pool_zeroed_and_reused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SEPARATE_MAPPINGS", 2)
    memory = fresh()
    pieces = [memory.allocate(3 * PAGE, 3) for _ in range(6)]
    for index, address in enumerate(pieces):
        memory.write(address, bytes([index + 1]) * 3 * PAGE)
    for index, address in enumerate(pieces):
        assert memory.read(address, 3 * PAGE) == bytes([index + 1]) * 3 * PAGE
    memory.unmap(pieces[4], 3 * PAGE)
    with pytest.raises(BadAddress):
        memory.read(pieces[4], 1)
    again = memory.allocate(3 * PAGE, 3)
    assert again == pieces[4]
    assert memory.read(again, 3 * PAGE) == bytes(3 * PAGE)
    memory.map(pieces[5], PAGE, 3)  # MAP_FIXED over a part
    assert memory.read(pieces[5], 2 * PAGE) == bytes(PAGE) + bytes([6]) * PAGE
