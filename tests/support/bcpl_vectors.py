"""Arithmetic on whole vectors, written from the reference: to check `lower_vectors.py` with."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from callproof.ir.interpret import Interpreter, signed
from tests.support.bcpl_library import Results, put_word, word_at

# kind -> lanes, bits, struct's letter of a lane, whether elements are addresses
KINDS = [
    (1, 64, "q", False),
    (1, 64, "d", False),
    (2, 32, "i", False),
    (2, 32, "f", False),
    (4, 16, "h", False),
    (8, 8, "b", False),
    (4, 32, "f", True),
    (8, 32, "f", True),
]


def new_vector(i: Interpreter, words: Sequence[int]) -> int:
    """A vector; 0 of none."""
    if not words:
        return 0
    address = i.memory.allocate(8 * (len(words) + 2))
    put_word(i, address, len(words))
    for index, word in enumerate(words):
        put_word(i, address + 8 + 8 * index, word)
    return address + 8


def lanes_of(i: Interpreter, kind: int, word: int) -> list[int | float]:
    lanes, bits, letter, boxed = KINDS[kind]
    size = lanes * bits // 8
    data = (i.read(word, size) if word else bytes(size)) if boxed else struct.pack("<q", word)
    return list(struct.unpack(f"<{lanes}{letter}", data))


def element_of(i: Interpreter, kind: int, lanes: Sequence[int | float]) -> int:
    count, bits, letter, boxed = KINDS[kind]
    if letter in "fd":
        data = struct.pack(f"<{count}{letter}", *lanes)
    else:
        data = struct.pack(f"<{count}{letter}", *(signed(int(lane), bits) for lane in lanes))
    words = [
        int.from_bytes(data[at : at + 8], "little", signed=True) for at in range(0, len(data), 8)
    ]
    return new_vector(i, words) if boxed else words[0]


def combine(operation: int, a: float, b: float) -> float:
    if operation == 3:
        if isinstance(a, float):
            return a / b
        return 0 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    table: list[Callable[[float, float], float]] = [
        lambda x, y: x + y,
        lambda x, y: x - y,
        lambda x, y: x * y,
        lambda x, y: 0,
        lambda x, y: x if x < y else y,
        lambda x, y: x if x > y else y,
    ]
    return table[operation](a, b)


def words_of(i: Interpreter, vector: int) -> list[int]:
    return [word_at(i, vector + 8 * n) for n in range(word_at(i, vector - 8))] if vector else []


def both(i: Interpreter, operation: int, kind: int, a: int, b: int) -> int:
    pairs = zip(lanes_of(i, kind, a), lanes_of(i, kind, b), strict=True)
    return element_of(i, kind, [combine(operation, x, y) for x, y in pairs])


def vectors(i: Interpreter, a: Sequence[int]) -> Results:
    elements = zip(words_of(i, a[2]), words_of(i, a[3]), strict=False)
    return (new_vector(i, [both(i, a[0], a[1], x, y) for x, y in elements]),)


def reduce(i: Interpreter, a: Sequence[int]) -> Results:
    found = words_of(i, a[2])
    if not found:
        return (0,)
    result, *rest = found
    for word in rest:
        result = both(i, a[0], a[1], result, word)
    return (result,)


def pairwise(i: Interpreter, a: Sequence[int]) -> Results:
    operation, kind = a[0], a[1]
    found = []
    for vector in a[2:]:
        words = words_of(i, vector)
        if KINDS[kind][0] == 1:
            for x, y in zip(words[0::2], words[1::2], strict=False):
                found.append(both(i, operation, kind, x, y))
            continue
        for word in words:
            result, *rest = lanes_of(i, kind, word)
            for lane in rest:
                result = combine(operation, result, lane)
            letter = "<d" if isinstance(result, float) else "<q"
            found.append(int.from_bytes(struct.pack(letter, result), "little", signed=True))
    return (new_vector(i, found),)
