"""Damaged link inputs: some of those that `python -m tests.link.fuzz` makes."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from tests.link.fuzz.run import run
from tests.link.test_link import MAIN, calls, returns

from callproof.link import link_bytes
from callproof.object import elf_format as elf
from callproof.object import write_elf
from callproof.object.elf_read import read_elf
from callproof.source import CallproofError

COUNT = 700


def test_damaged_inputs_give_messages_and_nothing_else(tmp_path: Path) -> None:
    result = run(tmp_path, 0, COUNT)
    assert result.problems == []
    assert result.tried == COUNT
    assert min(result.linked.total(), result.refused.total()) > COUNT // 5
    assert len(result.linked | result.refused) == 18


def test_a_file_cannot_ask_for_more_work_than_it_has_bytes() -> None:
    """Many sections that name the same large piece of the file would make a huge program."""
    data = write_elf(returns("main", 1)) + bytes(1 << 16)
    header = elf.HEADER.unpack_from(data)
    row = (0, elf.SHT_PROGBITS, elf.SHF_ALLOC, 0, 0, len(data), 0, 0, 1, 0)
    table = data[header[6] : header[6] + header[12] * elf.SECTION.size]
    out = bytearray(data + table + 1000 * elf.SECTION.pack(*row))
    struct.pack_into("<Q", out, 40, len(data))
    struct.pack_into("<H", out, 60, header[12] + 1000)
    with pytest.raises(CallproofError, match=r"main\.o: .* lies over other sections"):
        read_elf(bytes(out), "main.o")


def test_messages_tell_in_which_file_the_other_end_is() -> None:
    main, far = calls("main", "far"), returns("far", 1)
    far.symbols[0].value = 1 << 40
    with pytest.raises(CallproofError, match=r"main\.o: \.text\.main\+0x0: .* to 'far' of far\.o"):
        link_bytes([main, far], MAIN)
