"""From pycparser's tree to our types, for one data model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pycparser import c_ast

from callproof.abi.c_constants import Constants
from callproof.abi.c_names import (
    BUILTINS,
    BY_MODEL,
    HARMLESS,
    SPECIFIER_COUNTS,
    Aligned,
    Array,
    CType,
    Flexible,
    FunctionType,
    Void,
)
from callproof.abi.c_scan import Attribute
from callproof.abi.data_model import LINUX_ARM64, LINUX_X64, DataModel
from callproof.abi.layout import Member, layout
from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import (
    BOOL,
    F32,
    F64,
    I128,
    POINTER,
    U128,
    Composite,
    Floating,
    Integer,
    Scalar,
    ShortVector,
    Type,
    structure,
)
from callproof.source import CallproofError

if TYPE_CHECKING:
    from callproof.abi.c_parser import CDeclarations


class Evaluator:
    """Types, tags, constants and functions of a text on one platform."""

    def __init__(self, declarations: CDeclarations, model: DataModel) -> None:
        self.declarations = declarations
        self.model = model
        self.typedefs: dict[str, CType] = dict(BUILTINS)
        self.typedefs["wchar_t"] = Integer(model.wchar_bits, model.wchar_signed)
        va_list = self._va_list()
        for name in BY_MODEL[1:]:
            self.typedefs[name] = va_list
        self.tags: dict[str, CType] = {}
        self.functions: dict[str, c_ast.FuncDecl] = {}
        self._signatures: dict[str, Signature] = {}
        self._named: dict[str, Type] = {}
        self._structures: dict[int, CType] = {}
        self.constants = Constants(self)
        self.pack = 0
        self._packs: list[int] = []
        prelude = True
        for node in declarations.tree.ext:
            if prelude and isinstance(node, c_ast.Typedef):
                prelude = node.name != BY_MODEL[-1]
                continue
            self._external(node)

    def _va_list(self) -> CType:
        # The conventions own these layouts; the import is late as they import types, too.
        from callproof.abi.aapcs64 import VA_LIST
        from callproof.abi.sysv64 import VA_LIST as SYSV_VA_LIST

        if self.model is LINUX_ARM64:
            return VA_LIST
        if self.model is LINUX_X64:
            return Array(SYSV_VA_LIST, 1)
        return POINTER

    # --- errors ------------------------------------------------------------------------

    def error(
        self, message: str, node: c_ast.Node | None, start: int | None = None
    ) -> CallproofError:
        if start is None and node is not None:
            start = self.declarations.offset_of(node)
        return self.declarations.error(message, start or 0)

    # --- declarations ---------------------------------------------------------------------

    def _external(self, node: c_ast.Node) -> None:
        if isinstance(node, c_ast.Pragma):
            self._pragma(node)
        elif isinstance(node, c_ast.Typedef):
            if node.name is not None:
                type_ = self._declared(node)
                self.typedefs[node.name] = type_
                if isinstance(type_, Composite):
                    self._named[node.name] = type_
        elif isinstance(node, c_ast.FuncDef):
            self._external(node.decl)
        elif isinstance(node, c_ast.Decl):
            if isinstance(node.type, c_ast.FuncDecl):
                self._check_harmless(node)
                self.functions.pop(node.name, None)
                self._signatures.pop(node.name, None)
                self.functions[node.name] = node.type
            elif isinstance(node.type, c_ast.Struct | c_ast.Union | c_ast.Enum):
                self.evaluate(node.type)
            else:
                type_ = self._declared(node)
                if isinstance(type_, FunctionType):  # through a typedef
                    self.functions[node.name] = type_.node
        elif not isinstance(node, c_ast.StaticAssert):
            raise self.error("a declaration is expected here", node)

    def _pragma(self, node: c_ast.Pragma) -> None:
        text = re.sub(r"\s+", "", str(node.string))
        if not text.startswith("pack"):
            return
        match = re.fullmatch(r"pack\((?:(push|pop)?,?)?(\d+)?\)", text)
        if match is None or (match[2] and int(match[2]) not in (1, 2, 4, 8, 16)):
            raise self.error("#pragma pack takes push, pop, and 1, 2, 4, 8 or 16", node)
        if match[1] == "pop":
            self.pack = self._packs.pop() if self._packs else 0
            return
        if match[1] == "push":
            self._packs.append(self.pack)
            self.pack = int(match[2]) if match[2] else self.pack
        else:
            self.pack = int(match[2] or 0)

    def _check_harmless(self, node: c_ast.Decl) -> None:
        for attribute in self._attributes_of(node):
            if attribute.name not in HARMLESS:
                raise self.error(
                    f"attribute '{attribute.name}' of a function is not understood",
                    node,
                    attribute.start,
                )

    def signature(self, name: str) -> Signature:
        """The signature of a declared function."""
        found = self._signatures.get(name)
        if found is None:
            node = self.functions.get(name)
            if node is None:
                raise CallproofError(f"no function '{name}' is declared")
            found = self._signatures[name] = self._signature(node, name)
        return found

    def named_types(self) -> dict[str, Type]:
        return dict(self._named)

    def _signature(self, node: c_ast.FuncDecl, name: str) -> Signature:
        result = self.evaluate(node.type)
        parameters: list[Parameter] = []
        variadic: int | None = None
        nodes = node.args.params if node.args else []
        for index, parameter in enumerate(nodes):
            if isinstance(parameter, c_ast.EllipsisParam):
                variadic = len(parameters)
                continue
            if isinstance(parameter, c_ast.ID):
                raise self.error(f"parameter '{parameter.name}' has no type", parameter)
            type_ = self._declared(parameter)
            is_void = isinstance(type_, Void) and type_.what == "void"
            if is_void and len(nodes) == 1 and not parameter.name:
                break
            label = parameter.name or f"parameter {index + 1}"
            parameters.append(
                Parameter(self._passable(type_, parameter, f"'{label}'"), parameter.name or "")
            )
        if isinstance(result, Void) and result.what == "void":
            value = None
        elif isinstance(result, Array | FunctionType):
            raise self.error(f"'{name}' returns an array or a function", node)
        else:
            value = self._passable(result, node, f"the result of '{name}'")
        return Signature(tuple(parameters), value, variadic)

    def _passable(self, type_: CType, node: c_ast.Node, what: str) -> Type:
        """The type as an argument: arrays and functions decay to pointers."""
        if isinstance(type_, Array | FunctionType):
            return POINTER
        if isinstance(type_, Void):
            raise self.error(f"{what} is of {type_.what}, which cannot be passed by value", node)
        if isinstance(type_, Flexible):
            raise self.error(
                f"{what} has the flexible array member '{type_.member}', "
                "so it cannot be passed by value",
                node,
            )
        if isinstance(type_, Aligned):
            return type_.as_argument()
        return type_

    # --- attributes -------------------------------------------------------------------------

    def _attributes_of(self, node: c_ast.Node) -> list[Attribute]:
        """Of a declarator: by the place of its identifier."""
        inner: c_ast.Node | None = node
        while inner is not None and not isinstance(inner, c_ast.TypeDecl):
            inner = getattr(inner, "type", None)
        if inner is None or inner.declname is None:
            return []
        start = self.declarations.offset_of(inner)
        return [] if start is None else self.declarations.scanned.of_declarator.get(start, [])

    def _alignment_argument(self, attribute: Attribute, node: c_ast.Node) -> int:
        if not attribute.arguments:
            return 16  # "the largest alignment that is ever used" on our machines
        value = self.constants.of_text(attribute.arguments, node, attribute.start)
        return self._valid_alignment(value, node, attribute.start)

    def _valid_alignment(self, value: int, node: c_ast.Node, start: int | None = None) -> int:
        if value <= 0 or value & (value - 1) or value > 1 << 28:
            raise self.error(
                f"an alignment is a power of two up to 2**28, not {value}", node, start
            )
        return value

    def _alignas(self, node: c_ast.Node) -> int:
        """The strongest `_Alignas` of a declaration, 0 for none."""
        strongest = 0
        for item in getattr(node, "align", None) or []:
            inner = item.alignment
            if isinstance(inner, c_ast.Typename):
                value = self.alignment(self.evaluate(inner.type), inner)
            else:
                value = self.constants.evaluate(inner)
            if value:
                strongest = max(strongest, self._valid_alignment(value, node))
        return strongest

    def _declared(self, node: c_ast.Node) -> CType:
        """The type of a declarator with its attributes, except `packed` (members only)."""
        type_ = self.evaluate(node.type)
        alignment = 0
        for attribute in self._attributes_of(node):
            if attribute.name == "vector_size":
                size = self.constants.of_text(attribute.arguments, node, attribute.start)
                type_ = self._vector(type_, size, attribute, node, in_bytes=True)
            elif attribute.name in ("ext_vector_type", "neon_vector_type"):
                lanes = self.constants.of_text(attribute.arguments, node, attribute.start)
                type_ = self._vector(type_, lanes, attribute, node, in_bytes=False)
            elif attribute.name == "aligned":
                alignment = max(alignment, self._alignment_argument(attribute, node))
            elif attribute.name != "packed" and attribute.name not in HARMLESS:
                raise self.error(
                    f"attribute '{attribute.name}' is not understood", node, attribute.start
                )
        if alignment and isinstance(node, c_ast.Typedef):
            base = type_
            if isinstance(base, Aligned):
                base = base.type
            if not isinstance(base, Array | FunctionType | Void | Flexible):
                return Aligned(base, alignment)
            raise self.error("an alignment of this type is not understood", node)
        return type_

    def _vector(
        self, type_: CType, amount: int, attribute: Attribute, node: c_ast.Node, *, in_bytes: bool
    ) -> ShortVector:
        if not isinstance(type_, Integer | Floating) or type_.size > 8:
            raise self.error("a vector is of integers or floats", node, attribute.start)
        size = amount if in_bytes else amount * type_.size
        if size not in (8, 16):
            raise self.error(f"vectors have 8 or 16 bytes here, not {size}", node, attribute.start)
        return ShortVector(type_, size // type_.size)

    # --- types ----------------------------------------------------------------------------

    def evaluate(self, node: c_ast.Node) -> CType:
        """The type that a tree means."""
        if isinstance(node, c_ast.TypeDecl):
            return self._qualified(self.evaluate(node.type), node)
        if isinstance(node, c_ast.PtrDecl):
            return POINTER
        if isinstance(node, c_ast.FuncDecl):
            return FunctionType(node)
        if isinstance(node, c_ast.ArrayDecl):
            return self._array(node)
        if isinstance(node, c_ast.IdentifierType):
            return self._identifier(node)
        if isinstance(node, c_ast.Struct | c_ast.Union):
            return self._structure(node)
        if isinstance(node, c_ast.Enum):
            return self._enumeration(node)
        if isinstance(node, c_ast.Typename):
            return self.evaluate(node.type)
        raise self.error("this type is not understood", node)

    def _qualified(self, type_: CType, node: c_ast.TypeDecl) -> CType:
        if "_Atomic" in (node.quals or []) and not isinstance(type_, Scalar):
            raise self.error("an atomic type must be a scalar here", node)
        return type_

    def _array(self, node: c_ast.ArrayDecl) -> Array:
        element = self.evaluate(node.type)
        if isinstance(element, Void | FunctionType | Flexible):
            raise self.error("an array of this type is not possible", node)
        if isinstance(element, Array) and element.count is None:
            raise self.error("only the first dimension of an array may be left out", node)
        if node.dim is None:
            return Array(element, None)
        count = self.constants.evaluate(node.dim)
        if count < 0 or count > 1 << 48:
            raise self.error(f"an array of {count} elements is not possible", node)
        return Array(element, count)

    def _identifier(self, node: c_ast.IdentifierType) -> CType:
        names: list[str] = list(node.names)
        if len(names) == 1 and names[0] in self.typedefs:
            type_ = self.typedefs[names[0]]
            if isinstance(type_, Void) and type_.tag:
                return self.tags.get(type_.tag, type_)  # it may be complete by now
            return type_
        if names == ["void"]:
            return Void()
        if "_Complex" in names:
            rest = [name for name in names if name != "_Complex"]
            part = self._scalar(rest or ["double"], node)
            return structure(part, part, name="_Complex", names=("re", "im"))
        return self._scalar(names, node)

    def _scalar(self, names: list[str], node: c_ast.Node) -> Scalar:
        count = {name: names.count(name) for name in names}
        if "__int128" in count:
            return U128 if "unsigned" in count else I128
        if names == ["_Bool"]:
            return BOOL
        if names == ["float"]:
            return F32
        if "double" in count:
            if set(names) <= {"double", "long"} and count.get("long", 0) <= 1:
                return self.model.long_double if "long" in count else F64
        elif all(name in SPECIFIER_COUNTS for name in names):
            signed = "unsigned" not in count
            if "char" in count:
                plain = "signed" not in count and signed
                return Integer(8, self.model.char_signed if plain else signed)
            if "short" in count:
                return Integer(16, signed)
            longs = count.get("long", 0)
            return Integer(64 if longs > 1 else self.model.long_bits if longs else 32, signed)
        raise self.error(f"'{' '.join(names)}' is not a type", node)

    def _enumeration(self, node: c_ast.Enum) -> CType:
        key = f"enum {node.name}"
        if node.values is None:
            return self.tags.get(key, Integer(32, self.model.enum_signed))
        lowest = highest = value = 0
        for item in node.values.enumerators:
            if item.value is not None:
                value = self.constants.evaluate(item.value)
            self.constants.names[item.name] = value
            lowest, highest = min(lowest, value), max(highest, value)
            value += 1
        packed = False
        for attribute in self._type_attributes(node):
            if attribute.name != "packed":
                raise self.error(
                    f"attribute '{attribute.name}' of an enumeration is not understood",
                    node,
                    attribute.start,
                )
            packed = True
        signed = lowest < 0
        bits = max(highest.bit_length() + signed, (-lowest - 1).bit_length() + 1 if signed else 0)
        for width in (8, 16, 32, 64) if packed else (32, 64):
            if bits <= width:
                type_ = Integer(width, signed or (self.model.enum_signed and not packed))
                break
        else:
            raise self.error("an enumeration constant has more than 64 bits", node)
        if node.name:
            self.tags[key] = type_
        return type_

    def _type_attributes(self, node: c_ast.Node) -> list[Attribute]:
        start = self.declarations.offset_of(node)
        return [] if start is None else self.declarations.scanned.of_type.get(start, [])

    def _structure(self, node: c_ast.Struct | c_ast.Union) -> CType:
        union = isinstance(node, c_ast.Union)
        key = f"{'union' if union else 'struct'} {node.name}"
        if node.decls is None:
            return self.tags.get(key, Void(f"the incomplete type '{key}'", key))
        done = self._structures.get(id(node))
        if done is not None:
            return done
        known = self.tags.get(key)
        if node.name and known is not None and not isinstance(known, Void):
            raise self.error(f"'{key}' is defined twice", node)
        if node.name:
            self.tags[key] = Void(f"'{key}', which is not complete yet")
        type_ = self._laid_out(node, union, node.name or "")
        self._structures[id(node)] = type_
        if node.name:
            self.tags[key] = type_
            if isinstance(type_, Composite):
                self._named[key] = type_
        return type_

    def _laid_out(self, node: c_ast.Struct | c_ast.Union, union: bool, name: str) -> CType:
        packed, alignment, flexible = False, 0, ""
        for attribute in self._type_attributes(node):
            if attribute.name == "packed":
                packed = True
            elif attribute.name == "aligned":
                alignment = max(alignment, self._alignment_argument(attribute, node))
            elif attribute.name not in HARMLESS:
                raise self.error(
                    f"attribute '{attribute.name}' of a structure is not understood",
                    node,
                    attribute.start,
                )
        members: list[Member] = []
        declarations = [d for d in node.decls if not isinstance(d, c_ast.StaticAssert)]
        for index, declaration in enumerate(declarations):
            if isinstance(declaration, c_ast.Pragma):
                raise self.error("#pragma inside a structure is not understood", declaration)
            last = index == len(declarations) - 1
            member, is_flexible = self._member(declaration, last and not union)
            if is_flexible:
                flexible = member.name
            members.append(member)
        seen: set[str] = set()
        for member, declaration in zip(members, declarations, strict=True):
            if member.name and member.name in seen:
                raise self.error(f"member '{member.name}' is declared twice", declaration)
            seen.add(member.name)
        try:
            type_ = layout(
                members,
                self.model,
                name=name,
                union=union,
                packed=packed,
                alignment=alignment,
                pack=self.pack,
            )
        except CallproofError as error:
            raise self.error(error.diagnostics[0].message, node) from None
        return Flexible(type_, flexible) if flexible else type_

    def _member(self, node: c_ast.Node, may_be_flexible: bool) -> tuple[Member, bool]:
        if isinstance(node, c_ast.Struct | c_ast.Union | c_ast.Enum):
            type_: CType = self.evaluate(node)
            name, bits = "", None
        else:
            type_ = self._declared(node)
            name = node.name or ""
            bits = None if node.bitsize is None else self.constants.evaluate(node.bitsize)
        packed, alignment = False, self._alignas(node)
        for attribute in self._attributes_of(node):
            if attribute.name == "packed":
                packed = True
            elif attribute.name == "aligned":
                alignment = max(alignment, self._alignment_argument(attribute, node))
        count, flexible, array = 1, False, isinstance(type_, Array)
        while isinstance(type_, Array):
            if type_.count is None:
                if not may_be_flexible:
                    raise self.error(f"array member '{name}' has no size", node)
                flexible = True
                count = 0
            else:
                count *= type_.count
            type_ = type_.element
        if isinstance(type_, Aligned):
            # The typedef's alignment takes the place of the type's own.
            packed, alignment = True, max(alignment, type_.alignment)
            type_ = type_.type
        if isinstance(type_, Void):
            raise self.error(f"member '{name}' is of {type_.what}", node)
        if isinstance(type_, FunctionType):
            raise self.error(f"member '{name}' is a function", node)
        if isinstance(type_, Flexible):
            raise self.error(f"member '{name}' has a flexible array member", node)
        return Member(name, type_, count, bits, alignment, packed, array), flexible

    # --- sizes, for sizeof and _Alignof -----------------------------------------------------

    def size(self, type_: CType, node: c_ast.Node) -> int:
        if isinstance(type_, Array):
            return self.size(type_.element, node) * (type_.count or 0)
        if isinstance(type_, Aligned | Flexible):
            return type_.type.size
        if isinstance(type_, Void | FunctionType):
            raise self.error("this type has no size", node)
        return type_.size

    def alignment(self, type_: CType, node: c_ast.Node) -> int:
        if isinstance(type_, Array):
            return self.alignment(type_.element, node)
        if isinstance(type_, Aligned):
            return type_.alignment
        if isinstance(type_, Flexible):
            return type_.type.alignment
        if isinstance(type_, Void | FunctionType):
            raise self.error("this type has no alignment", node)
        return type_.alignment
