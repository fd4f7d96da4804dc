"""The NewBCPL runtime's lists, strings and vectors for the IR interpreter, after `lists.c`
and `packs.c`: written from the reference, so that the two check each other."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from callproof.ir.interpret import Interpreter, Number, signed

Results = Sequence[Number]
INTEGER, FLOAT, STRING, LIST = 1, 2, 3, 4
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


def word_at(i: Interpreter, address: int) -> int:
    return int.from_bytes(i.read(address, 8), "little", signed=True)


def put_word(i: Interpreter, address: int, value: int) -> None:
    i.write(address, (value & (1 << 64) - 1).to_bytes(8, "little"))


def new_vector(i: Interpreter, words: Sequence[int]) -> int:
    """A vector; 0 of none."""
    if not words:
        return 0
    address = i.memory.allocate(8 * (len(words) + 2))
    put_word(i, address, len(words))
    for index, word in enumerate(words):
        put_word(i, address + 8 + 8 * index, word)
    return address + 8


def new_string(i: Interpreter, text: str) -> int:
    address = i.memory.allocate(12 + 4 * len(text))
    put_word(i, address, len(text))
    i.write(address + 8, b"".join(ord(c).to_bytes(4, "little") for c in text))
    return address + 8


def text_at(i: Interpreter, address: int) -> str:
    characters = []
    while address and (code := int.from_bytes(i.read(address, 4), "little")):
        characters.append(chr(code))
        address += 4
    return "".join(characters)


# --- lists: a header is tag, flag, length, head, tail; a node tag, 0, value, next --------------


def new_list(i: Interpreter, atoms: Sequence[tuple[int, int]] = ()) -> int:
    header = i.memory.allocate(32)
    for tag, value in atoms:
        add(i, header, tag, value)
    return header


def add(i: Interpreter, header: int, tag: int, value: int) -> None:
    node = i.memory.allocate(24)
    i.write(node, tag.to_bytes(4, "little"))
    put_word(i, node + 8, value)
    tail = word_at(i, header + 24)
    put_word(i, tail + 16 if tail else header + 16, node)
    put_word(i, header + 24, node)
    put_word(i, header + 8, word_at(i, header + 8) + 1)


def tag_at(i: Interpreter, node: int) -> int:
    return int.from_bytes(i.read(node, 4), "little")


def nodes(i: Interpreter, items: int) -> list[int]:
    """The nodes of a list, or a node and those behind it."""
    found: list[int] = []
    if not items:
        return found
    if tag_at(i, items) == 0:
        node = word_at(i, items + 16)
        for _ in range(word_at(i, items + 8)):
            found.append(node)
            node = word_at(i, node + 16)
        return found
    while items:
        found.append(items)
        items = word_at(i, items + 16)
    return found


def atoms(i: Interpreter, items: int) -> list[tuple[int, int]]:
    return [(tag_at(i, node), word_at(i, node + 8)) for node in nodes(i, items)]


def append(i: Interpreter, a: Sequence[int]) -> Results:
    header = a[0] or new_list(i)
    tail = word_at(i, header + 24)
    if tail and word_at(i, tail + 16):
        copy = new_list(i, atoms(i, header))
        i.write(header, i.read(copy, 32))
    add(i, header, a[1], a[2])
    return (header,)


def first(i: Interpreter, items: int) -> tuple[int, int]:
    found = atoms(i, items)
    return found[0] if found else (INTEGER, 0)


def as_double(tag: int, word: int) -> float:
    if tag == INTEGER:
        return float(word)
    return float(struct.unpack("<d", struct.pack("<q", word))[0])


def tail_of(i: Interpreter, a: Sequence[int]) -> Results:
    rest = nodes(i, a[0])[1:]
    header = new_list(i)
    if rest:
        put_word(i, header + 8, len(rest))
        put_word(i, header + 16, rest[0])
        put_word(i, header + 24, rest[-1])
    return (header,)


def nth(i: Interpreter, a: Sequence[int]) -> Results:
    found = nodes(i, a[0])
    return (found[a[1]] if 0 <= a[1] < len(found) else 0,)


def find(i: Interpreter, a: Sequence[int]) -> Results:
    def matches(tag: int, value: int) -> bool:
        if tag != a[1]:
            return False
        if tag == STRING:
            return text_at(i, value) == text_at(i, a[2])
        return as_double(tag, value) == as_double(tag, a[2]) if tag == FLOAT else value == a[2]

    for node, (tag, value) in zip(nodes(i, a[0]), atoms(i, a[0]), strict=True):
        if matches(tag, value):
            return (node,)
    return (0,)


def deep(i: Interpreter, items: int) -> int:
    copied = []
    for tag, value in atoms(i, items):
        if value and tag == STRING:
            value = new_string(i, text_at(i, value))
        elif value and tag == LIST:
            value = deep(i, value)
        copied.append((tag, value))
    return new_list(i, copied)


def split(i: Interpreter, a: Sequence[int]) -> Results:
    text, delimiter = text_at(i, a[0]), text_at(i, a[1])
    parts = text.split(delimiter) if delimiter else list(text)
    return (new_list(i, [(STRING, new_string(i, part)) for part in parts]),)


def join(i: Interpreter, a: Sequence[int]) -> Results:
    parts = [text_at(i, value) for tag, value in atoms(i, a[0]) if tag == STRING]
    return (new_string(i, text_at(i, a[1]).join(parts)),)


def as_integer(i: Interpreter, a: Sequence[int]) -> Results:
    tag, value = first(i, a[0])
    return (int(as_double(tag, value)) if tag == FLOAT else value,)


# --- vectors -----------------------------------------------------------------------


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


def _words(function: Callable[[Interpreter, Sequence[int]], Results]) -> Callable[..., Results]:
    return lambda i, arguments: function(i, [int(argument) for argument in arguments])


EXTERNALS: dict[str, Callable[[Interpreter, list[Number]], Results]] = {
    name: _words(function)
    for name, function in {
        "bcpl_list": lambda i, a: (new_list(i),),
        "bcpl_append": append,
        "bcpl_hd": lambda i, a: (first(i, a[0])[1],),
        "bcpl_hd_float": lambda i, a: (as_double(*first(i, a[0])),),
        "bcpl_tl": tail_of,
        "bcpl_list_length": lambda i, a: (len(nodes(i, a[0])),),
        "bcpl_nth": nth,
        "bcpl_find": find,
        "bcpl_concat": lambda i, a: (new_list(i, atoms(i, a[0]) + atoms(i, a[1])),),
        "bcpl_copylist": lambda i, a: (new_list(i, atoms(i, a[0])),),
        "bcpl_deepcopylist": lambda i, a: (deep(i, a[0]),),
        "bcpl_reverse": lambda i, a: (new_list(i, atoms(i, a[0])[::-1]),),
        "bcpl_as_int": as_integer,
        "bcpl_as_string": lambda i, a: (first(i, a[0])[1],),
        "bcpl_as_list": lambda i, a: (first(i, a[0])[1],),
        "bcpl_split": split,
        "bcpl_join": join,
        "bcpl_vectors": vectors,
        "bcpl_reduce": reduce,
        "bcpl_pairwise": pairwise,
        "bcpl_strlen": lambda i, a: (len(text_at(i, a[0])),),
        "bcpl_strcmp": lambda i, a: (
            (text_at(i, a[0]) > text_at(i, a[1])) - (text_at(i, a[0]) < text_at(i, a[1])),
        ),
        "bcpl_nothing": lambda i, a: (0,),
        "bcpl_brk": lambda i, a: (),
    }.items()
}


def strcopy(i: Interpreter, a: list[Number]) -> Results:
    text = text_at(i, int(a[1])) + "\0"
    i.write(int(a[0]), b"".join(ord(c).to_bytes(4, "little") for c in text))
    return (a[0],)


EXTERNALS["bcpl_strcopy"] = strcopy
