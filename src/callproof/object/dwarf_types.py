"""Types as debugging information entries."""

from __future__ import annotations

from callproof.ir import debug
from callproof.object.dwarf_entries import Entry

TAG_ARRAY, TAG_CLASS, TAG_MEMBER, TAG_POINTER, TAG_STRUCTURE = 0x01, 0x02, 0x0D, 0x0F, 0x13
TAG_TYPEDEF, TAG_INHERITANCE, TAG_SUBRANGE, TAG_BASE = 0x16, 0x1C, 0x21, 0x24
AT_NAME, AT_BYTE_SIZE, AT_ACCESSIBILITY, AT_COUNT = 0x03, 0x0B, 0x32, 0x37
AT_MEMBER_LOCATION, AT_ENCODING, AT_TYPE, AT_GNU_VECTOR = 0x38, 0x3E, 0x49, 0x2107
ENCODINGS = {"boolean": 0x02, "float": 0x04, "signed": 0x05, "unsigned": 0x07, "utf": 0x10}
ACCESS = {"public": 1, "protected": 2, "private": 3}


class Types:
    """Makes one entry below `unit` for each type, when it is first asked for."""

    def __init__(self, unit: Entry) -> None:
        self.unit = unit
        self.known: dict[debug.DebugType, Entry] = {}

    def entry(self, type_: debug.DebugType) -> Entry:
        found = self.known.get(type_)
        if found is not None:
            return found
        found = self.known[type_] = Entry(0)  # before its parts, which may lead back to it
        if isinstance(type_, debug.BaseType):
            found.tag = TAG_BASE
            found.name(AT_NAME, type_.name)
            found.number(AT_BYTE_SIZE, type_.size)
            found.number(AT_ENCODING, ENCODINGS[type_.encoding])
        elif isinstance(type_, debug.PointerType):
            found.tag = TAG_POINTER
            found.number(AT_BYTE_SIZE, 8)
            if type_.target is not None:
                found.refer(AT_TYPE, self.entry(type_.target))
        elif isinstance(type_, debug.NamedType):
            found.tag = TAG_TYPEDEF
            found.name(AT_NAME, type_.name)
            found.refer(AT_TYPE, self.entry(type_.target))
        elif isinstance(type_, debug.ArrayType):
            self._array(found, type_)
        else:
            assert isinstance(type_, debug.StructureType)
            self._structure(found, type_)
        self.unit.children.append(found)
        return found

    def _array(self, found: Entry, type_: debug.ArrayType) -> None:
        found.tag = TAG_ARRAY
        if type_.vector:
            found.flag(AT_GNU_VECTOR)
        found.refer(AT_TYPE, self.entry(type_.element))
        bounds = found.child(TAG_SUBRANGE)
        if type_.count is not None:
            bounds.number(AT_COUNT, type_.count)

    def _structure(self, found: Entry, type_: debug.StructureType) -> None:
        found.tag = TAG_CLASS if type_.is_class else TAG_STRUCTURE
        found.name(AT_NAME, type_.name)
        found.number(AT_BYTE_SIZE, type_.size)
        for member in type_.members:
            one = found.child(TAG_INHERITANCE if member.inherited else TAG_MEMBER)
            if not member.inherited:
                one.name(AT_NAME, member.name)
            one.refer(AT_TYPE, self.entry(member.type))
            one.number(AT_MEMBER_LOCATION, member.offset)
            access = "public" if member.inherited else member.visibility
            if access in ACCESS:
                one.number(AT_ACCESSIBILITY, ACCESS[access])
