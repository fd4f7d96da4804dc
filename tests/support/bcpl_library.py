"""The NewBCPL runtime's lists and strings for the IR interpreter, after `lists.c`: written
from the reference, so that the two check each other."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from callproof.ir.interpret import Interpreter, Number

Results = Sequence[Number]
INTEGER, FLOAT, STRING, LIST = 1, 2, 3, 4


def word_at(i: Interpreter, address: int) -> int:
    return int.from_bytes(i.read(address, 8), "little", signed=True)


def put_word(i: Interpreter, address: int, value: int) -> None:
    i.write(address, (value & (1 << 64) - 1).to_bytes(8, "little"))


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
