"""Lowering of objects: fields, methods, NEW; dispatch where the class is known and where not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import I64 as ABI_I64
from callproof.bcpl import nodes as ast
from callproof.bcpl.infer_expressions import root_of
from callproof.bcpl.lower_operators import OperatorLowering
from callproof.bcpl.lower_values import ZERO, ir_type, nothing_of
from callproof.bcpl.scopes import suggestion
from callproof.bcpl.symbols import ClassInfo, FieldInfo, FunctionInfo
from callproof.bcpl.types import check_count
from callproof.bcpl.value_types import FLOAT, ValueType
from callproof.ir import operations as op
from callproof.ir.model import Constant, Operand, Symbol
from callproof.ir.types import I64
from callproof.runtime.entries import NEW, NO_MEMBER
from callproof.source import Span

Action = Callable[[], Operand]
RELEASE_SIGNATURE = Signature((Parameter(ABI_I64, "this"),), ABI_I64)


class ObjectLowering(OperatorLowering):
    """Objects."""

    # --- fields ------------------------------------------------------------------------------

    def fields(self, node: ast.FieldAccess) -> list[FieldInfo]:
        """The fields that are meant: one if the object's class is known.  Reports if none."""
        info = self.module.inference.class_of(node.receiver)
        found = self.module.inference.fields_of(info, node.name)
        visible = [field for field in found if self.is_visible(field.visibility, field.owner)]
        if found and not visible:
            field = found[0]
            self.check_visible(field.visibility, field.owner, node.name, node.span)
        elif not found:
            self.no_member(node.receiver, node.name, "field", node.span)
        return visible

    def each_field(
        self, node: ast.FieldAccess, base: Operand, type_: ValueType, what: Callable[..., Operand]
    ) -> Operand:
        """`what(field)` for the field that an access means, chosen as the program runs."""
        fields = self.fields(node)
        places = {(field.offset, field.variable.type is FLOAT) for field in fields}
        if len(places) <= 1:
            return what(fields[0]) if fields else nothing_of(type_)
        groups = [
            (
                [c for c in self.module.info.classes.values() if c.fields.get(node.name) is field],
                lambda field=field: what(field),
            )
            for field in fields
        ]
        return self.by_class(base, groups, type_, node.name)

    def by_class(
        self,
        this: Operand,
        groups: Sequence[tuple[Sequence[ClassInfo], Action]],
        type_: ValueType,
        name: str,
    ) -> Operand:
        """Do what belongs to the object's class; the program ends if that is none of these."""
        builder = self.builder
        vtable = builder.load(I64, this, 0, "vtable")
        end = builder.new_block("chosen")
        result = object()
        builder.declare(result, ir_type(type_), "")
        for classes, action in groups:
            if not classes:
                continue
            here = builder.new_block("class")
            for info in classes:
                following = builder.new_block("other")
                symbol = self.module.vtable_symbol(info)
                builder.branch(builder.value(op.EQ, I64, vtable, symbol), here, following)
                builder.start(following)
            other = builder.current
            builder.start(here)
            builder.write(result, action())
            builder.jump(end)
            builder.start(other)
        self.runtime_call(NO_MEMBER, Symbol(self.module.c_string(name)))
        builder.unreachable()
        builder.start(end)
        return builder.read(result)

    def field_access(self, node: ast.FieldAccess) -> Operand:
        inference = self.module.inference
        info = inference.class_of(node.receiver)
        if not inference.fields_of(info, node.name):
            methods = inference.methods_of(info, node.name)
            if methods:
                return self.method_value(node, methods)
        base = self.address_value(node.receiver)
        type_: ValueType = node.type
        load = lambda field: self.convert(
            self.load_value(field.variable.type, base, field.offset, node.name),
            field.variable.type,
            type_,
        )
        return self.each_field(node, base, type_, load)

    def field_address(self, node: ast.FieldAccess) -> Operand:
        base = self.address_value(node.receiver)
        at = lambda field: self.builder.value(op.ADD, I64, base, Constant(I64, field.offset))
        return self.each_field(node, base, node.receiver.type, at)

    def as_field(self, node: ast.Lane) -> ast.FieldAccess | None:
        """`obj.first` of an object with a field of that name."""
        if node.pack.type.pack is not None or node.member is None:
            return None
        info = self.module.inference.class_of(node.pack)
        if not self.module.inference.fields_of(info, node.member):
            return None
        return ast.FieldAccess(node.span, node.pack, node.member, type=node.type)

    def no_member(self, receiver: ast.Expression, name: str, what: str, span: Span) -> None:
        info = self.module.inference.class_of(receiver)
        if info is None:
            members = [
                known
                for other in self.module.info.classes.values()
                for known in (other.fields if what == "field" else other.methods)
            ]
            self.module.diagnostics.error(
                f"no class has a {what} '{name}'", span, suggestion(name, members), code="no-member"
            )
            return
        names = info.fields if what == "field" else info.methods
        notes = suggestion(name, names)
        self.module.diagnostics.error(
            f"class {info.name} has no {what} '{name}'", span, notes, code="no-member"
        )

    def is_visible(self, visibility: str, owner: ClassInfo) -> bool:
        inside = self.function.class_info if self.function else None
        if visibility == "PRIVATE":
            return inside is owner
        return visibility != "PROTECTED" or (inside is not None and owner in inside.ancestors())

    def check_visible(self, visibility: str, owner: ClassInfo, name: str, span: Span) -> None:
        if not self.is_visible(visibility, owner):
            self.module.diagnostics.error(f"'{name}' is {visibility} in class {owner.name}", span)

    # --- methods -----------------------------------------------------------------------------

    def method_value(self, node: ast.FieldAccess, methods: list[FunctionInfo]) -> Operand:
        """The code of a method as a value: a function whose first argument is the object."""
        this = self.address_value(node.receiver)
        for method in methods:
            assert method.class_info is not None
            self.check_visible(
                method.declaration.visibility, method.class_info, node.name, node.span
            )
        groups = [
            (self.classes_with(method), lambda method=method: self.code_of(method, this))
            for method in methods
        ]
        if len(groups) == 1:
            return groups[0][1]()
        return self.by_class(this, groups, node.type, node.name)

    def classes_with(self, root: FunctionInfo) -> list[ClassInfo]:
        """The classes that have the method or one that overrides it."""
        name = root.declaration.name
        return [
            info
            for info in self.module.info.classes.values()
            if name in info.methods and root_of(info.methods[name], name) is root
        ]

    def code_of(self, method: FunctionInfo, this: Operand) -> Operand:
        """From the vtable; of CREATE, which each class has for itself, directly."""
        if method.slot == 0:
            return self.module.function_symbol(method)
        vtable = self.builder.load(I64, this, 0, "vtable")
        return self.builder.load(I64, vtable, 8 * method.slot, method.declaration.name)

    def method_call(self, node: ast.MethodCall) -> Operand:
        inference = self.module.inference
        info = inference.class_of(node.receiver)
        methods = inference.methods_of(info, node.method)
        if not methods:
            return self.call_of_field(node, info)
        this = self.address_value(node.receiver)
        visible = [
            method
            for method in methods
            if method.class_info is not None
            and self.is_visible(method.declaration.visibility, method.class_info)
        ]
        if not visible:
            method = methods[0]
            assert method.class_info is not None
            self.check_visible(
                method.declaration.visibility, method.class_info, node.method, node.span
            )
            return nothing_of(node.type)
        suitable = [m for m in visible if len(m.parameters) == len(node.arguments)]
        method = (suitable or visible)[0]
        check_count(self.module.diagnostics, method, len(node.arguments), node.span, strict=True)
        if len(methods) == 1:
            return self.dispatch(method, this, self.arguments(method, node.arguments))
        values = [(self.value(argument), argument.type) for argument in node.arguments]
        groups = [
            (
                self.classes_with(method),
                lambda method=method: self.convert(
                    self.dispatch(method, this, self.suited(method, values)),
                    method.result,
                    node.type,
                ),
            )
            for method in suitable
        ]
        return self.by_class(this, groups, node.type, node.method)

    def suited(
        self, method: FunctionInfo, values: list[tuple[Operand, ValueType]]
    ) -> list[Operand]:
        """Values converted to a method's parameters."""
        return [
            self.convert(value, type_, parameter.type)
            for (value, type_), parameter in zip(values, method.parameters, strict=True)
        ]

    def call_of_field(self, node: ast.MethodCall, info: ClassInfo | None) -> Operand:
        """`obj.f(x)` where no method is meant: a function value in a field."""
        if info is not None and node.method in ("CREATE", "RELEASE"):
            self.value(node.receiver)
            return ZERO  # defined by no class of the chain: nothing to do
        if not self.module.inference.fields_of(info, node.method):
            self.no_member(node.receiver, node.method, "method", node.span)
            return ZERO
        access = ast.FieldAccess(node.span, node.receiver, node.method)
        self.module.inference.type_of(access)
        return self.call_value(self.field_access(access), node.arguments, node.span)

    def dispatch(self, method: FunctionInfo, this: Operand, arguments: list[Operand]) -> Operand:
        """Through the vtable; but CREATE, whose signature differs by class, directly."""
        if method.slot == 0:
            return self.call_function(method, [this, *arguments])
        target = self.code_of(method, this)
        return self.call_with(target, method, [this, *arguments])

    def own_method(self, method: FunctionInfo, node: ast.Call) -> Operand:
        check_count(self.module.diagnostics, method, len(node.arguments), node.span, strict=True)
        this = self.this()
        return self.dispatch(method, this, self.arguments(method, node.arguments))

    def super_call(self, node: ast.SuperCall) -> Operand:
        assert self.function is not None and self.function.class_info is not None
        base = self.function.class_info.base
        assert base is not None
        method = base.methods.get(node.method)
        if method is None:  # CREATE or RELEASE that no base class defines
            for argument in node.arguments:
                self.value(argument)
            return ZERO
        check_count(self.module.diagnostics, method, len(node.arguments), node.span, strict=True)
        this = self.this()
        arguments = self.arguments(method, node.arguments)
        return self.call_function(method, [this, *arguments])

    def release(self, this: Operand) -> None:
        """Call the object's RELEASE, if there is an object and its class has one."""
        builder = self.builder
        some, has, end = (builder.new_block(name) for name in ("object", "release", "released"))
        builder.branch(this, some, end)
        builder.start(some)
        code = builder.load(I64, builder.load(I64, this, 0, "vtable"), 8, "RELEASE")
        builder.branch(code, has, end)
        builder.start(has)
        builder.call(code, RELEASE_SIGNATURE, [this])
        builder.jump(end)
        builder.start(end)

    # --- NEW -----------------------------------------------------------------------------------

    def new(self, node: ast.New) -> Operand:
        return self.make_object(self.module.info.classes[node.class_name], node)

    def make_object(self, info: ClassInfo, node: ast.New | ast.Call) -> Operand:
        create = info.methods.get("CREATE")
        if create is not None:
            check_count(
                self.module.diagnostics, create, len(node.arguments), node.span, strict=True
            )
        arguments = self.arguments(create, node.arguments)
        size = Constant(I64, info.size)
        made = self.runtime_call(NEW, size, self.module.vtable_symbol(info))
        made.name = info.name.lower()  # type: ignore[union-attr]
        self.initialise_fields(info, made)
        if create is not None:
            self.call_function(create, [made, *arguments])
        return made

    def initialise_fields(self, info: ClassInfo, made: Operand) -> None:
        for owner in reversed(info.ancestors()):
            for field in owner.own_fields:
                if field.initialiser is not None:
                    type_ = field.variable.type
                    value = self.converted(field.initialiser, type_)
                    self.store_value(type_, value, made, field.offset)

    # --- provided by CallLowering ----------------------------------------------------------------

    def arguments(
        self, function: FunctionInfo | None, nodes: Sequence[ast.Expression]
    ) -> list[Operand]:
        raise AssertionError("provided by CallLowering")

    def call_value(self, target: Operand, nodes: Sequence[ast.Expression], span: Span) -> Operand:
        raise AssertionError("provided by CallLowering")

    def call_function(self, function: FunctionInfo, arguments: list[Operand]) -> Operand:
        raise AssertionError("provided by CallLowering")
