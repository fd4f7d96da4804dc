"""Data of a module: strings, tables, static lists, zeros."""

from __future__ import annotations

import struct

from callproof.bcpl import nodes as ast
from callproof.bcpl.value_types import TAGS
from callproof.ir.model import Address, Datum, Module

LARGEST_BOX = 32  # bytes of an FOCT
STATIC_LIST = 1  # the flag in the header of a MANIFESTLIST
HEADER, NODE = struct.Struct("<iiqqq"), struct.Struct("<iiqq")  # see lists.c


class DataLowering:
    """Makes data of constants, equal ones once."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self._strings: dict[str, str] = {}
        self._c_strings: dict[str, str] = {}

    def word_datum(self, symbol: str, value: int | float | str) -> Datum:
        """A variable's memory with its first value."""
        if isinstance(value, str):
            datum = Datum(symbol, bytes(8), alignment=8, writable=True)
            datum.addresses.append(Address(0, self.string(value), 8))
            return datum
        if value == 0:
            return Datum(symbol, alignment=8, writable=True, zero_bytes=8)
        form = "<d" if isinstance(value, float) else "<q"
        return Datum(symbol, struct.pack(form, value), alignment=8, writable=True)

    def string(self, text: str) -> str:
        """The symbol of a string's datum; its characters begin 8 bytes behind it."""
        symbol = self._strings.get(text)
        if symbol is None:
            symbol = self._strings[text] = f"string.{len(self._strings)}"
            codes = [ord(character) for character in text]
            data = struct.pack("<q", len(codes))
            data += struct.pack(f"<{len(codes) + 1}i", *codes, 0)
            self.module.data[symbol] = Datum(symbol, data, alignment=8)
        return symbol

    def c_string(self, text: str) -> str:
        """The symbol of a string as C has it: UTF-8 with a zero byte behind it."""
        symbol = self._c_strings.get(text)
        if symbol is None:
            symbol = self._c_strings[text] = f"cstring.{len(self._c_strings)}"
            data = text.encode("utf-8", errors="replace") + b"\0"
            self.module.data[symbol] = Datum(symbol, data, alignment=1)
        return symbol

    def zero_box(self) -> str:
        """The symbol of a boxed pack full of zeros; its words begin 8 bytes behind it."""
        symbol = "zero.box"
        if symbol not in self.module.data:
            self.module.data[symbol] = Datum(symbol, bytes(8 + LARGEST_BOX), alignment=8)
        return symbol

    def _word(self, datum: Datum, data: bytearray, element: ast.Expression) -> None:
        """Append a constant as a word."""
        if isinstance(element, ast.StringLiteral):
            datum.addresses.append(Address(len(data), self.string(element.value), 8))
            data += bytes(8)
        elif isinstance(element, ast.FloatLiteral):
            data += struct.pack("<d", element.value)
        elif isinstance(element, ast.IntegerLiteral):
            data += struct.pack("<q", element.value)

    def table(self, elements: list[ast.Expression]) -> str:
        """The symbol of a static vector's datum; word 0 stands 8 bytes behind it."""
        symbol = f"table.{len(self.module.data)}"
        data = bytearray(struct.pack("<q", len(elements)))
        datum = Datum(symbol, alignment=8)
        self.module.data[symbol] = datum
        for element in elements:
            self._word(datum, data, element)
        datum.data = bytes(data)
        return symbol

    def static_list(self, elements: list[ast.Expression]) -> str:
        """The symbol of a list that is there from the start: its header, then its nodes."""
        symbol = f"list.{len(self.module.data)}"
        datum = Datum(symbol, alignment=8)
        self.module.data[symbol] = datum
        data = bytearray(HEADER.pack(0, STATIC_LIST, len(elements), 0, 0))
        if elements:
            last = HEADER.size + NODE.size * (len(elements) - 1)
            datum.addresses += [Address(16, symbol, HEADER.size), Address(24, symbol, last)]
        for index, element in enumerate(elements, 1):
            data += struct.pack("<ii", _TAGS.get(type(element), TAGS["TYPE_INT"]), 0)
            self._word(datum, data, element)
            if index < len(elements):
                following = HEADER.size + NODE.size * index
                datum.addresses.append(Address(len(data), symbol, following))
            data += bytes(8)
        datum.data = bytes(data)
        return symbol


_TAGS = {ast.StringLiteral: TAGS["TYPE_STRING"], ast.FloatLiteral: TAGS["TYPE_FLOAT"]}
