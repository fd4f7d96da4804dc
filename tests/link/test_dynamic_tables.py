"""The loader's tables, decoded by the rules of the standards."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callproof.link import dynamic_tables as tables
from callproof.link import plt
from callproof.link.imports import UNKNOWN, asks_for
from callproof.link.relocate import DATA, INSTRUCTIONS
from callproof.link.relocate_x64 import FIELDS
from callproof.source import CallproofError


def unpacked(words: list[int]) -> list[int]:
    """RELR as the gABI says to read it."""
    found: list[int] = []
    place = 0
    for word in words:
        if not word & 1:
            found.append(word)
            place = word + 8
            continue
        found += [place + 8 * bit for bit in range(63) if word >> (bit + 1) & 1]
        place += 8 * 63
    return found


@given(st.lists(st.integers(0, 3000), unique=True), st.sampled_from((2, 8)))
def test_packed_relocations_are_the_addresses(numbers: list[int], step: int) -> None:
    addresses = sorted(number * step for number in numbers)
    words = tables.packed_relocations(addresses)
    assert unpacked(words) == addresses
    assert len(words) <= len(addresses)
    assert unpacked([*words, 1, 1]) == addresses  # what fills the room that is left


def test_dense_addresses_take_little_room() -> None:
    assert len(tables.packed_relocations(range(0x1000, 0x1000 + 8 * 640, 8))) == 12


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=8), unique=True))
def test_names_are_found_by_their_hash(names: list[str]) -> None:
    count, chain_count = struct.unpack_from("<II", table := tables.hash_table(names))
    words = struct.unpack_from(f"<{count + chain_count}I", table, 8)
    assert chain_count == len(names) + 1
    for number, name in enumerate(names, 1):
        at, seen = words[tables.elf_hash(name) % count], []
        while at:
            seen.append(at)
            at = words[count + at]
        assert number in seen


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=8), unique=True), st.integers(1, 50))
def test_names_are_found_by_their_gnu_hash(names: list[str], first: int) -> None:
    count = tables.gnu_buckets(len(names))
    names.sort(key=lambda name: tables.gnu_hash(name) % count)
    data = tables.gnu_hash_table(names, first)
    buckets, start, bloom_size, shift = struct.unpack_from("<IIII", data)
    assert (buckets, start) == (count, first)
    bloom = struct.unpack_from(f"<{bloom_size}Q", data, 16)
    rest = struct.unpack_from(f"<{buckets + len(names)}I", data, 16 + 8 * bloom_size)
    for number, name in enumerate(names, first):
        value = tables.gnu_hash(name)
        word = bloom[value // 64 % bloom_size]
        assert word >> value % 64 & 1 and word >> (value >> shift) % 64 & 1
        at, seen = rest[value % buckets], []
        while at:
            if rest[buckets + at - first] | 1 == value | 1:
                seen.append(at)
            at = 0 if rest[buckets + at - first] & 1 else at + 1
        assert number in seen


def test_known_hashes() -> None:
    # From the gABI's and glibc's own tests.
    assert tables.elf_hash("printf") == 0x077905A6
    assert tables.elf_hash("GLIBC_2.2.5") == 0x09691A75
    assert tables.gnu_hash("printf") == 0x156B2BB8
    assert tables.gnu_hash("") == 5381


def test_entries_that_do_not_reach_their_slots_are_refused() -> None:
    for machine, distance in (("aarch64", 1 << 33), ("x86_64", 1 << 32)):
        with pytest.raises(CallproofError, match="does not reach its slot"):
            plt.entry(machine, 0x1000, 0x1000 + distance)
        assert len(plt.entry(machine, 0x1000, 0x1008)) == plt.ENTRY_SIZE


def test_every_relocation_that_is_applied_is_known_to_ask_for_something() -> None:
    for type_ in {*INSTRUCTIONS, *DATA, *FIELDS}:
        assert asks_for(type_) != UNKNOWN, type_
