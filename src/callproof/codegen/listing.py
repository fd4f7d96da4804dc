"""Commented assembly of emitted functions, in a form that GNU as and Clang accept.

It is printed from the same `Line`s that the bytes are encoded from.  Comments
say what each move is for: arguments by parameter name, values kept across calls
and where, spills by variable; and the source line that the code belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from callproof.codegen.emit import EmittedBlock, EmittedFunction
from callproof.codegen.machine import MachineBlock
from callproof.codegen.target import Assembly, Line
from callproof.ir.model import Datum, Module
from callproof.ir.places import Site, calls_of
from callproof.source import SourceFile

COMMENT_COLUMN = 44
_PLAIN_NAME = re.compile(r"[A-Za-z_.$][A-Za-z0-9_.$]*\Z")

# How assembly writes what a relocation asks for.
_OPERATORS = {
    "R_AARCH64_ADD_ABS_LO12_NC": ":lo12:",
    "R_AARCH64_LDST8_ABS_LO12_NC": ":lo12:",
    "R_AARCH64_LDST16_ABS_LO12_NC": ":lo12:",
    "R_AARCH64_LDST32_ABS_LO12_NC": ":lo12:",
    "R_AARCH64_LDST64_ABS_LO12_NC": ":lo12:",
    "R_AARCH64_LDST128_ABS_LO12_NC": ":lo12:",
    "R_AARCH64_ADR_PREL_PG_HI21": "",
    "R_AARCH64_CALL26": "",
    "R_AARCH64_JUMP26": "",
    "R_X86_64_PLT32": "",
    "R_X86_64_PC32": "",
}


def quoted(symbol: str) -> str:
    """A symbol as assembly writes it: quoted if it has characters such as ':'."""
    if _PLAIN_NAME.match(symbol):
        return symbol
    escaped = symbol.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class Listing:
    """Collects the lines of a text; `source` gives the source lines to show, `find` other
    files by their names, as far as they are there."""

    __slots__ = ("_assembly", "_find", "_shown", "_sites", "_source", "_text")

    def __init__(
        self,
        source: SourceFile | None = None,
        assembly: Assembly | None = None,
        find: Callable[[str], SourceFile | None] | None = None,
    ) -> None:
        self._find = find
        self._assembly = assembly or Assembly()
        self._source = self._shown = source
        self._sites: list[Site] = []
        self._text: list[str] = []

    def text(self) -> str:
        return "\n".join(self._text) + "\n"

    def function(
        self,
        function: EmittedFunction,
        number: int,
        *,
        exported: bool = True,
        source: SourceFile | None = None,
    ) -> None:
        """One function; `number` keeps its local labels apart from the others'.

        `source`: the file that its lines are of, if that is not the module's.
        """
        self._shown = source or self._source
        self._sites = function.sites
        put = self._text.append
        name = quoted(function.name)
        put(f'        .section .text.{_section_suffix(function.name)},"ax",%progbits')
        put(f"        .p2align {self._assembly.align}")
        if exported:
            put(f"        .globl {name}")
        put(f"        .type {name}, %function")
        shown = "" if function.display_name == function.name else function.display_name
        put(self._comment_at(f"{name}:", shown))
        line = 0
        for block in function.blocks:
            if block.labelled:
                put(f".L{number}_{block.block.index}:")
            line = self._block(block, number, line)
        put(f"        .size {name}, . - {name}")
        put("")
        for symbol, entries in function.tables:
            self._table(symbol, entries, number)

    def _block(self, block: EmittedBlock, number: int, last_line: int) -> int:
        for line in block.lines:
            if line.line and line.line != last_line:
                last_line = line.line
                self._text.append(f"        {self._assembly.comment} {self._place(last_line)}")
            self._text.append(
                self._comment_at(f"        {_instruction(line, number)}", line.comment)
            )
        return last_line

    def _table(self, symbol: str, entries: list[EmittedBlock], number: int) -> None:
        name = quoted(symbol)
        self._text += [
            f'        .section .rodata.{_section_suffix(symbol)},"a",%progbits',
            "        .p2align 2",
            f"        .type {name}, %object",
            f"{name}:",
            *(f"        .4byte .L{number}_{one.block.index} - {name}" for one in entries),
            f"        .size {name}, {4 * len(entries)}",
            "",
        ]

    def _place(self, place: int) -> str:
        """The source line, and for inlined code the function that it is of."""
        callee, number = calls_of(self._sites, place)[0]
        shown = self._shown
        text = str(number)
        if callee:
            site = next(one for one in self._sites if one.callee == callee)
            text += f" of {callee}"
            if shown is not None and site.source_name not in ("", shown.name):
                shown = self._find(site.source_name) if self._find is not None else None
        source = shown.line_text(number).strip() if shown is not None and number else ""
        return f"{text}: {source}".rstrip(": ")

    def _comment_at(self, text: str, comment: str) -> str:
        if not comment:
            return text
        return f"{text:<{COMMENT_COLUMN}} {self._assembly.comment} {comment}"

    def data(self, module: Module) -> None:
        """Directives for a module's data."""
        for datum in module.data.values():
            self._text += _datum(datum, self._assembly.word)

    def pool(self, constants: dict[str, bytes]) -> None:
        """The pooled float constants."""
        for name, data in constants.items():
            self._text += [
                f'        .section .rodata.cst{len(data)},"aM",%progbits,{len(data)}',
                f"        .p2align {len(data).bit_length() - 1}",
                f"{quoted(name)}:",
                f"        .byte {', '.join(f'{byte:#04x}' for byte in data)}",
                "",
            ]


def _section_suffix(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.$]", "_", name)


def _instruction(line: Line, number: int) -> str:
    arguments: list[int | str] = []
    for argument in line.arguments:
        if isinstance(argument, MachineBlock):
            arguments.append(f".L{number}_{argument.index}")
        else:
            arguments.append(argument)
    reference = line.reference
    if reference is not None:
        symbol = quoted(reference.name)
        if reference.addend:
            symbol += f"{reference.addend:+d}"
        text = _OPERATORS[reference.relocation] + symbol
        for index, spec in enumerate(line.form.operands):
            if not spec.is_register:
                arguments[index] = text
                break
    return line.form.text(arguments)


def _datum(datum: Datum, word: str) -> list[str]:
    name = quoted(datum.name)
    suffix = _section_suffix(datum.name)
    size = datum.zero_bytes or len(datum.data)
    if datum.zero_bytes:
        section = f'.bss.{suffix},"aw",%nobits'
    elif datum.writable:
        section = f'.data.{suffix},"aw",%progbits'
    elif datum.addresses:
        section = f'.data.rel.ro.{suffix},"aw",%progbits'
    else:
        section = f'.rodata.{suffix},"a",%progbits'
    lines = [
        f"        .section {section}",
        f"        .p2align {max(datum.alignment, 1).bit_length() - 1}",
    ]
    if datum.exported:
        lines.append(f"        .globl {name}")
    lines += [f"        .type {name}, %object", f"{name}:"]
    if datum.zero_bytes:
        lines.append(f"        .zero {datum.zero_bytes}")
    position = 0
    for address in sorted(datum.addresses, key=lambda address: address.offset):
        lines += _bytes(datum.data[position : address.offset])
        addend = f"{address.addend:+d}" if address.addend else ""
        lines.append(f"        {word} {quoted(address.symbol)}{addend}")
        position = address.offset + 8
    lines += _bytes(datum.data[position:])
    return [*lines, f"        .size {name}, {size}", ""]


def _bytes(data: bytes) -> list[str]:
    return [
        f"        .byte {', '.join(f'{byte:#04x}' for byte in data[start : start + 16])}"
        for start in range(0, len(data), 16)
    ]
