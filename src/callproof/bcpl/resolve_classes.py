"""Functions and classes as symbols: layout, inheritance, vtable slots."""

from __future__ import annotations

from callproof.bcpl import nodes as ast
from callproof.bcpl.scopes import ScopeKeeper
from callproof.bcpl.symbols import ClassInfo, FieldInfo, FunctionInfo, Variable
from callproof.bcpl.value_types import FLOAT, INTEGER, UNDECIDED, ValueType
from callproof.source import Note, Span


class ClassResolver(ScopeKeeper):
    """Makes `FunctionInfo` and `ClassInfo` of declarations."""

    def make_function(
        self, item: ast.FunctionDeclaration, symbol: str, class_info: ClassInfo | None
    ) -> FunctionInfo:
        is_plain = class_info is None and "." not in symbol
        if (self.exports and is_plain) or symbol.startswith("bcpl_") or symbol in self.c_symbols:
            # Neither the runtime's names nor those of C functions are to be taken.
            symbol = f"user.{symbol}"
        parameters = []
        seen: set[str] = set()
        for parameter in item.parameters:
            if parameter.name in seen:
                self.diagnostics.error(
                    f"parameter '{parameter.name}' stands twice in {item.name}", parameter.span
                )
            seen.add(parameter.name)
            type_ = self.annotated(parameter.annotation)
            variable = Variable(parameter.name, type_ or UNDECIDED, parameter.span)
            variable.is_parameter, variable.fixed_type = True, type_ is not None
            variable.dominates = True
            parameters.append(variable)
        result = (
            FLOAT
            if item.is_float
            else self.annotated(item.annotation) or (INTEGER if item.is_routine else UNDECIDED)
        )
        function = FunctionInfo(item.name, symbol, item, parameters, result, class_info)
        if class_info is not None:
            function.this = Variable("this", class_info.type, item.name_span)
            function.this.dominates = True
        return function

    def classes(self) -> None:
        done: set[str] = set()
        for info in self.info.classes.values():
            chain: list[ClassInfo] = []
            current: ClassInfo | None = info
            while current is not None and current.name not in done:
                if current in chain:
                    self.diagnostics.error(
                        f"class {current.name} extends itself", current.declaration.name_span
                    )
                    current.declaration.base = None
                    break
                chain.append(current)
                base = current.declaration.base
                if base is not None and base not in self.info.classes:
                    self.unknown(base, current.declaration.name_span, "class", self.info.classes)
                    base = None
                current = self.info.classes[base] if base else None
            for item in reversed(chain):
                if item.name not in done:
                    done.add(item.name)
                    self.complete_class(item)

    def complete_class(self, info: ClassInfo) -> None:
        base_name = info.declaration.base
        base = self.info.classes.get(base_name) if base_name else None
        if base is not None:
            info.base = base
            info.fields = dict(base.fields)
            info.methods = dict(base.methods)
            info.slots = list(base.slots)
            info.size = base.size
        for member in info.declaration.members:
            if isinstance(member, ast.Fields):
                for name in member.names:
                    self.field(
                        info,
                        name,
                        self.annotated(member.annotation),
                        member.span,
                        None,
                        member.visibility,
                    )
            elif isinstance(member, ast.Let):
                if member.values and len(member.values) != len(member.names):
                    self.diagnostics.error(
                        f"{len(member.names)} names, but {len(member.values)} values", member.span
                    )
                    continue
                for index, name in enumerate(member.names):
                    type_ = FLOAT if member.is_float else self.annotated(member.annotation)
                    value = member.values[index] if member.values else None
                    self.field(info, name, type_, member.span, value, member.visibility)
            elif isinstance(member, ast.FunctionDeclaration):
                self.method(info, member)

    def field(
        self,
        info: ClassInfo,
        name: str,
        type_: ValueType | None,
        span: Span,
        value: ast.Expression | None,
        visibility: str,
    ) -> None:
        known = info.fields.get(name)
        if known is not None and known.owner is info:
            self.diagnostics.error(f"field '{name}' is declared twice", span, code="duplicate")
            return
        variable = Variable(name, type_ or INTEGER, span, fixed_type=type_ is not None)
        field = FieldInfo(name, variable, info.size, info, visibility, value)
        info.size += 8
        info.fields[name] = field
        info.own_fields.append(field)

    def method(self, info: ClassInfo, item: ast.FunctionDeclaration) -> None:
        known = info.methods.get(item.name)
        if known is not None and known.class_info is info:
            self.diagnostics.error(f"method '{item.name}' is declared twice", item.name_span)
            return
        if known is not None and known.declaration.is_final:
            self.diagnostics.error(
                f"'{item.name}' is FINAL in {known.class_info and known.class_info.name}",
                item.name_span,
                [Note("it is declared here", known.declaration.name_span)],
            )
        function = self.make_function(item, f"{info.name}::{item.name}", info)
        function.name = f"{info.name}::{item.name}"
        if known is not None and item.name not in ("CREATE", "RELEASE"):
            if len(known.parameters) != len(function.parameters):
                self.diagnostics.error(
                    f"'{item.name}' has {len(function.parameters)} parameters here and "
                    f"{len(known.parameters)} in the class that it overrides",
                    item.name_span,
                    [Note("it is declared here", known.declaration.name_span)],
                )
            function.slot = known.slot
            info.slots[function.slot] = function
        elif item.name in ("CREATE", "RELEASE"):
            function.slot = int(item.name == "RELEASE")
            info.slots[function.slot] = function
        else:
            function.slot = len(info.slots)
            info.slots.append(function)
        info.methods[item.name] = function
        self.info.functions.append(function)
