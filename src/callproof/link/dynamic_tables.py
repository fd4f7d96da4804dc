"""The tables that a loader reads: hashes of names, versions, packed relocations.

All are pure functions from numbers and names to bytes.  Facts: System V gABI chapter 5
(hash table, dynamic section, RELR); the LSB's chapter on symbol versions; for the GNU hash
table glibc's `elf/dl-lookup.c`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

MASK32 = (1 << 32) - 1
BLOOM_SHIFT = 26
WORDS_PER_BITMAP = 63  # a RELR bitmap is a word whose lowest bit marks it


def elf_hash(name: str) -> int:
    """The hash of the System V ABI; also that of versions' names."""
    value = 0
    for byte in name.encode(errors="surrogateescape"):
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ high >> 24) & ~high & MASK32
    return value


def gnu_hash(name: str) -> int:
    value = 5381
    for byte in name.encode(errors="surrogateescape"):
        value = (value * 33 + byte) & MASK32
    return value


def hash_table(names: Sequence[str]) -> bytes:
    """`.hash` for the symbols 1, 2, ...: buckets of chains through all of them."""
    count = max(1, len(names) // 2)
    buckets, chains = [0] * count, [0] * (len(names) + 1)
    for number, name in enumerate(names, 1):
        bucket = elf_hash(name) % count
        chains[number], buckets[bucket] = buckets[bucket], number
    words = [count, len(chains), *buckets, *chains]
    return struct.pack(f"<{len(words)}I", *words)


def gnu_buckets(count: int) -> int:
    return max(1, count // 3)


def gnu_hash_table(names: Sequence[str], first: int) -> bytes:
    """`.gnu.hash` for the symbols from `first` on, which stand in the order of their buckets."""
    count = gnu_buckets(len(names))
    words = 1
    while words * 64 < 12 * len(names):
        words *= 2
    bloom, buckets, chains = [0] * words, [0] * count, []
    hashes = [gnu_hash(name) for name in names]
    for index, value in enumerate(hashes):
        bloom[value // 64 % words] |= 1 << value % 64 | 1 << (value >> BLOOM_SHIFT) % 64
        bucket = value % count
        if not buckets[bucket]:
            buckets[bucket] = first + index
        is_last = index + 1 == len(hashes) or hashes[index + 1] % count != bucket
        chains.append(value & ~1 | is_last)
    head = struct.pack("<IIII", count, first, words, BLOOM_SHIFT)
    rest = struct.pack(f"<{count + len(chains)}I", *buckets, *chains)
    return head + struct.pack(f"<{words}Q", *bloom) + rest


@dataclass(slots=True)
class NeededVersions:
    """One library's versions that are wanted: `file` its name, `names` to their numbers."""

    file: str
    names: dict[str, int] = field(default_factory=dict)


def version_needs(needs: Sequence[NeededVersions], strings: dict[str, int]) -> bytes:
    """`.gnu.version_r`; `strings` has the offsets of the names in `.dynstr`."""
    data = b""
    for index, need in enumerate(needs):
        size = 16 * (1 + len(need.names))
        following = 0 if index + 1 == len(needs) else size
        data += struct.pack("<HHIII", 1, len(need.names), strings[need.file], 16, following)
        for position, (name, number) in enumerate(need.names.items(), 1):
            following = 0 if position == len(need.names) else 16
            data += struct.pack("<IHHII", elf_hash(name), 0, number, strings[name], following)
    return data


def packed_relocations(addresses: Sequence[int]) -> list[int]:
    """RELR: words of which each is an address, or a bitmap of the 63 words behind the last one.

    The addresses are even, ascending and different.
    """
    words: list[int] = []
    index = 0
    while index < len(addresses):
        words.append(addresses[index])
        base = addresses[index] + 8
        index += 1
        while True:
            bitmap = 0
            while index < len(addresses):
                distance = addresses[index] - base
                if distance % 8 or not 0 <= distance < 8 * WORDS_PER_BITMAP:
                    break
                bitmap |= 1 << distance // 8
                index += 1
            if not bitmap:
                break
            words.append(bitmap << 1 | 1)
            base += 8 * WORDS_PER_BITMAP
    return words
