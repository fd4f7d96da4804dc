"""What a debugger shall know of a NewBCPL program: types of variables, classes, globals."""

from __future__ import annotations

from callproof.bcpl.symbols import ClassInfo, Variable
from callproof.bcpl.value_types import FLOAT, INTEGER, STRING, ValueType
from callproof.ir.debug import (
    ArrayType,
    BaseType,
    DebugType,
    DebugVariable,
    Member,
    NamedType,
    PointerType,
    StructureType,
)

LIST_SIZE, NODE_SIZE = 32, 24  # of `struct list` and `struct node` in runtime/bcpl/bcpl.h


class DebugTypes:
    """The types of one module: each class of values has one, made when it is first met."""

    def __init__(self) -> None:
        self.word = BaseType("WORD", "signed", 8)
        self.integer = BaseType("INT", "signed", 8)
        self.float = BaseType("FLOAT", "float", 8)
        self.character = BaseType("char32_t", "utf", 4)  # so gdb shows text
        self.tag = BaseType("TAG", "signed", 4)
        self.string = NamedType("STRING", PointerType(self.character))
        self._node = StructureType("bcpl_node", NODE_SIZE)
        self._node.members += [
            Member("tag", self.tag, 0),
            Member("value", self.word, 8),
            Member("next", PointerType(self._node), 16),
        ]
        self._list = StructureType("bcpl_list", LIST_SIZE)
        self._list.members += [
            Member("tag", self.tag, 0),
            Member("length", self.word, 8),
            Member("head", PointerType(self._node), 16),
            Member("tail", PointerType(self._node), 24),
        ]
        self._known: dict[ValueType, DebugType] = {
            INTEGER: self.integer,
            FLOAT: self.float,
            STRING: self.string,
        }
        self._classes: dict[ClassInfo, StructureType] = {}

    def of(self, type_: ValueType) -> DebugType:
        """The type of a value of the class, as a variable holds it."""
        found = self._known.get(type_)
        if found is None:
            found = self._known[type_] = self._made(type_)
        return found

    def _made(self, type_: ValueType) -> DebugType:
        if type_.class_info is not None:
            return PointerType(self.structure(type_.class_info))
        if type_.pack is not None:
            element = type_.pack.vector.element
            encoding = "float" if element.is_float else "signed"
            lane = BaseType(f"{type_.name}_LANE", encoding, element.size)
            return NamedType(type_.name, ArrayType(lane, type_.pack.lanes, vector=True))
        if type_.is_vector:
            assert type_.element is not None
            return NamedType(type_.name, PointerType(self.element(type_.element)))
        if type_.is_list:
            return NamedType("LIST", PointerType(self._list))
        if type_.is_node:
            return NamedType("NODE", PointerType(self._node))
        return self.word

    def element(self, type_: ValueType) -> DebugType:
        """The type of the word in memory that holds such a value: boxed packs' is an address."""
        found = self.of(type_)
        if type_.pack is not None and type_.pack.boxed:
            return PointerType(found)
        return found

    def structure(self, info: ClassInfo) -> StructureType:
        """A class as its objects are in memory: the table of its methods, then the fields."""
        found = self._classes.get(info)
        if found is not None:
            return found
        found = self._classes[info] = StructureType(info.name, info.size, is_class=True)
        if info.base is not None:
            base = self.structure(info.base)
            found.members.append(Member(info.base.name, base, 0, inherited=True))
        else:
            found.members.append(Member("vtable", PointerType(None), 0, visibility="private"))
        for one in info.own_fields:
            found.members.append(
                Member(
                    one.name,
                    self.element(one.variable.type),
                    one.offset,
                    visibility=one.visibility.lower(),
                )
            )
        return found

    def variable(self, variable: Variable, size: int, *, in_memory: bool) -> DebugVariable:
        """`size` of its value; a variable `in_memory` is a word."""
        type_ = self.element(variable.type) if in_memory else self.of(variable.type)
        return DebugVariable(
            variable.name,
            type_,
            variable.span.line,
            variable.is_parameter or variable.name == "this",
            (8 if in_memory else size,),
        )
