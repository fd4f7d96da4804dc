"""Reads debug information with pyelftools, and evaluates it as a debugger would.

Independent of what writes it: the expressions and frames are evaluated from the standard.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from elftools.dwarf.callframe import FDE
from elftools.dwarf.dwarf_expr import DWARFExprParser
from elftools.elf.elffile import ELFFile

MASK = (1 << 64) - 1
RETURN_ADDRESS = {"AArch64": 30, "x64": 16}
STACK_POINTER = {"AArch64": 31, "x64": 7}
PRESERVED = {
    "AArch64": frozenset((*range(19, 30), 31, *range(72, 80))),
    "x64": frozenset((3, 6, 12, 13, 14, 15)),
}


class Wrong(Exception):
    """What no debugger could make sense of."""


LEFT_OUT = (1 << 64) - 1  # where what is not in the program begins


@dataclass(slots=True)
class Variable:
    """`at`: (start, end, expression), absolute addresses; `depth` of its block."""

    name: str
    type: Any
    at: list[tuple[int, int, list[Any]]]
    ranges: list[tuple[int, int]]
    depth: int
    is_parameter: bool

    def expression(self, pc: int) -> list[Any] | None:
        for start, end, found in self.at:
            if start <= pc < end:
                return found
        return None


@dataclass(slots=True)
class Function:
    """A function's own code, or code that stands for a call of it at `call_line`."""

    name: str
    start: int
    end: int
    variables: list[Variable] = field(default_factory=list)
    inlined: list[Function] = field(default_factory=list)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    call_line: int = 0

    def chain(self, pc: int) -> list[Function]:
        """The calls that stand inlined at an address, innermost first, and the function."""
        for one in self.inlined:
            if any(start <= pc < end for start, end in one.ranges):
                return [*one.chain(pc), self]
        return [self]

    def visible(self, pc: int) -> dict[str, Variable]:
        """Inner blocks' variables hide outer ones."""
        found: dict[str, Variable] = {}
        for one in sorted(self.variables, key=lambda v: v.depth):
            if any(start <= pc < end for start, end in one.ranges):
                found[one.name] = one
        return found


@dataclass(slots=True)
class Frame:
    """`registers` by DWARF's numbers; what is not in it is not known."""

    pc: int
    registers: dict[int, int]


class Information:
    """All functions, lines and frames of a program."""

    def __init__(self, data: bytes) -> None:
        self.elf: Any = ELFFile(BytesIO(data))
        self.machine = self.elf.get_machine_arch()
        self.dwarf: Any = self.elf.get_dwarf_info(follow_links=False)
        self.functions: list[Function] = []
        self.lists: Any = self.dwarf.location_lists()
        self.range_lists: Any = self.dwarf.range_lists()
        for unit in self.dwarf.iter_CUs():
            self.expressions = DWARFExprParser(unit.structs)
            for entry in unit.get_top_DIE().iter_children():
                if entry.tag == "DW_TAG_subprogram" and "DW_AT_low_pc" in entry.attributes:
                    self._function(unit, entry)
        self.functions = [one for one in self.functions if one.start != LEFT_OUT]
        self.functions.sort(key=lambda one: one.start)
        self.starts = [one.start for one in self.functions]
        self.rows = self._frames()
        self.row_starts = [row[0] for row in self.rows]
        self.lines = self._lines()
        self.line_starts = [row[0] for row in self.lines]

    # --- entries --------------------------------------------------------------------------

    def _function(self, unit: Any, entry: Any) -> None:
        start = entry.attributes["DW_AT_low_pc"].value
        function = Function(_name(entry), start, start + entry.attributes["DW_AT_high_pc"].value)
        function.ranges.append((function.start, function.end))
        self._contents(unit, entry, function, function.ranges)
        self.functions.append(function)

    def _contents(
        self, unit: Any, entry: Any, function: Function, whole: list[tuple[int, int]]
    ) -> None:
        pending = [(child, whole, 0) for child in entry.iter_children()]
        while pending:
            child, ranges, depth = pending.pop()
            if child.tag in ("DW_TAG_variable", "DW_TAG_formal_parameter"):
                function.variables.append(
                    Variable(
                        _name(child),
                        child.get_DIE_from_attribute("DW_AT_type"),
                        self._locations(unit, child),
                        ranges,
                        depth,
                        child.tag == "DW_TAG_formal_parameter",
                    )
                )
            elif child.tag == "DW_TAG_lexical_block":
                inner = self._ranges(unit, child)
                pending += [(one, inner, depth + 1) for one in child.iter_children()]
            elif child.tag == "DW_TAG_inlined_subroutine":
                origin = child.get_DIE_from_attribute("DW_AT_abstract_origin")
                line = child.attributes["DW_AT_call_line"].value
                found = Function(_name(origin), 0, 0, [], [], self._ranges(unit, child), line)
                function.inlined.append(found)
                self._contents(unit, child, found, found.ranges)

    def _ranges(self, unit: Any, entry: Any) -> list[tuple[int, int]]:
        attribute = entry.attributes["DW_AT_ranges"]
        base, found = 0, []
        for row in self.range_lists.get_range_list_at_offset(attribute.value, cu=unit):
            if hasattr(row, "base_address"):
                base = row.base_address
            else:
                offset = 0 if row.is_absolute else base
                found.append((offset + row.begin_offset, offset + row.end_offset))
        return found

    def _locations(self, unit: Any, entry: Any) -> list[tuple[int, int, list[Any]]]:
        attribute = entry.attributes.get("DW_AT_location")
        if attribute is None:
            return []
        if attribute.form == "DW_FORM_exprloc":
            return [(0, 1 << 64, self.expressions.parse_expr(attribute.value))]
        base, found = 0, []
        for row in self.lists.get_location_list_at_offset(attribute.value, entry):
            if hasattr(row, "base_address"):
                base = row.base_address
                continue
            offset = 0 if row.is_absolute else base
            expression = self.expressions.parse_expr(row.loc_expr)
            found.append((offset + row.begin_offset, offset + row.end_offset, expression))
        return found

    def _lines(self) -> list[tuple[int, int]]:
        found = []
        for unit in self.dwarf.iter_CUs():
            program = self.dwarf.line_program_for_CU(unit)
            if program is None:
                continue
            for entry in program.get_entries():
                state = entry.state
                if state is not None and state.address < LEFT_OUT:
                    found.append((state.address, 0 if state.end_sequence else state.line))
        return sorted(found)

    def _frames(self) -> list[tuple[int, dict[Any, Any] | None]]:
        found: list[tuple[int, dict[Any, Any] | None]] = []
        entries = list(self.dwarf.CFI_entries()) if self.dwarf.has_CFI() else []
        for entry in entries:
            if isinstance(entry, FDE) and entry.header["initial_location"] != LEFT_OUT:
                header = entry.header
                found += [(row["pc"], row) for row in entry.get_decoded().table]
                found.append((header["initial_location"] + header["address_range"], None))
        return sorted(found, key=lambda row: (row[0], row[1] is not None))

    # --- questions ----------------------------------------------------------------------------

    def function(self, pc: int) -> Function | None:
        index = bisect_right(self.starts, pc) - 1
        if index < 0 or pc >= self.functions[index].end:
            return None
        return self.functions[index]

    def line(self, pc: int) -> int:
        index = bisect_right(self.line_starts, pc) - 1
        return self.lines[index][1] if index >= 0 else 0

    def symbol(self, name: str) -> int:
        table: Any = self.elf.get_section_by_name(".symtab")
        (found,) = table.get_symbol_by_name(name)
        return int(found["st_value"])

    def caller(self, frame: Frame, memory: Callable[[int, int], bytes], at: int) -> Frame:
        """The frame that called `frame`; `at` is the address that its row is looked up for."""
        row = self.rows[bisect_right(self.row_starts, at) - 1][1]
        if row is None:
            raise Wrong(f"no frame description at {at:#x}")
        rule = row["cfa"]
        if rule.expr is not None or rule.reg not in frame.registers:
            raise Wrong(f"the frame at {at:#x} begins at a register that is not known")
        cfa = frame.registers[rule.reg] + rule.offset & MASK
        kept = PRESERVED[self.machine]
        registers = {one: value for one, value in frame.registers.items() if one in kept}
        registers.pop(RETURN_ADDRESS[self.machine], None)
        for number, how in row.items():
            if number in ("pc", "cfa"):
                continue
            if how.type == "OFFSET":
                registers[number] = int.from_bytes(memory(cfa + how.arg & MASK, 8), "little")
            elif how.type == "UNDEFINED":
                registers.pop(number, None)
            elif how.type != "SAME_VALUE":
                raise Wrong(f"a rule of another kind: {how.type}")
        link = RETURN_ADDRESS[self.machine]
        back = registers.get(link)
        if back is None:
            back = frame.registers.get(link)  # a leaf's is still in its register
        if back is None:
            raise Wrong(f"the return address of the frame at {at:#x} is lost")
        registers[STACK_POINTER[self.machine]] = cfa
        return Frame(back, registers)

    def cfa(self, frame: Frame, at: int) -> int:
        row = self.rows[bisect_right(self.row_starts, at) - 1][1]
        if row is None:
            raise Wrong(f"no frame description at {at:#x}")
        rule = row["cfa"]
        return int(frame.registers[rule.reg] + rule.offset) & MASK

    def value(
        self,
        expression: list[Any],
        frame: Frame,
        memory: Callable[[int, int], bytes],
        at: int,
        size: int,
    ) -> bytes:
        """The bytes of a variable of `size` bytes."""
        whole, stack = b"", list[int]()
        place: bytes | None = None
        for operation in expression:
            name, arguments = operation.op_name, operation.args
            if name.startswith("DW_OP_reg"):
                register = arguments[0] if name == "DW_OP_regx" else operation.op - 0x50
                place = _register(frame, register)
            elif name.startswith("DW_OP_breg"):
                register = operation.op - 0x70
                (value,) = struct.unpack("<Q", _register(frame, register)[:8])
                stack.append(value + arguments[0] & MASK)
            elif name == "DW_OP_fbreg":
                stack.append(self.cfa(frame, at) + arguments[0] & MASK)
            elif name == "DW_OP_addr":
                stack.append(arguments[0])
            elif name == "DW_OP_consts":
                stack.append(arguments[0] & MASK)
            elif name == "DW_OP_plus_uconst":
                stack.append(stack.pop() + arguments[0] & MASK)
            elif name == "DW_OP_deref":
                stack.append(int.from_bytes(memory(stack.pop(), 8), "little"))
            elif name == "DW_OP_stack_value":
                place = struct.pack("<Q", stack.pop())
            elif name == "DW_OP_implicit_value":
                place = bytes(arguments[0])
            elif name == "DW_OP_piece":
                piece = arguments[0]
                whole += place[:piece] if place is not None else memory(stack.pop(), piece)
                place = None
            else:
                raise Wrong(f"operation {name}")
        if whole:
            return whole
        return place[:size] if place is not None else memory(stack.pop(), size)


def _register(frame: Frame, number: int) -> bytes:
    value = frame.registers.get(number)
    if value is None:
        raise Wrong(f"register {number} is not known in the frame at {frame.pc:#x}")
    return struct.pack("<Q", value & MASK)


def _name(entry: Any) -> str:
    return str(entry.attributes["DW_AT_name"].value.decode())


def bare_type(entry: Any) -> Any:
    """A type without its other names."""
    while entry.tag == "DW_TAG_typedef":
        entry = entry.get_DIE_from_attribute("DW_AT_type")
    return entry


def number_of(type_: Any, data: bytes) -> int | float:
    """A number of a base type, or a Sox value that is a number, from its bytes."""
    type_ = bare_type(type_)
    if type_.tag == "DW_TAG_structure_type":
        tag, bits = struct.unpack("<QQ", data)
        if tag != 2:
            raise Wrong(f"a Sox value with tag {tag} where there is a number")
        return float(struct.unpack("<d", struct.pack("<Q", bits))[0])
    if type_.attributes["DW_AT_encoding"].value == 4:
        return float(struct.unpack("<d", data[:8])[0])
    return int.from_bytes(data[:8], "little", signed=True)


def size_of(type_: Any) -> int:
    return int(bare_type(type_).attributes["DW_AT_byte_size"].value)
