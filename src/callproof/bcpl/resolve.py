"""Names to meanings: top-level declarations, classes, scopes.

After this pass each `Name` node has its `meaning` (a Variable, Constant,
FunctionInfo, ExternalInfo, ClassInfo, FieldInfo or Library), and each declared local its
Variable, listed in `Resolution.locals_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches

from callproof.bcpl import nodes as ast
from callproof.bcpl.external import ExternalInfo, make_external
from callproof.bcpl.symbols import (
    BY_NAME,
    FLOAT,
    INTEGER,
    LATER_LIBRARY,
    LIBRARY_SPECIAL,
    WORD,
    ClassInfo,
    Constant,
    FieldInfo,
    FunctionInfo,
    Library,
    ProgramInfo,
    ValueType,
    Variable,
)
from callproof.runtime.entries import ENTRIES, lookup
from callproof.source import Diagnostics, Note, Span

EMPTY_HEADERS = frozenset(("libhdr", "libhdr.h", "libhdr.bcl", "runtime.bcl"))
NOT_YET = "is not supported yet"


def not_yet(diagnostics: Diagnostics, what: str, span: Span) -> None:
    diagnostics.error(f"{what} {NOT_YET}", span, code="not-supported")


class Resolver:
    """See `resolve`."""

    def __init__(self, program: ast.Program, diagnostics: Diagnostics) -> None:
        self.program = program
        self.diagnostics = diagnostics
        self.info = ProgramInfo()
        self.scopes: list[dict[str, object]] = []
        self.locals_of: dict[object, list[Variable]] = {}
        self.function: FunctionInfo | None = None
        # What encloses the place: loops, switches and VALOFs of the function.
        self.loops = self.switches = self.valofs = 0
        self.c_symbols: set[str] = set()
        self.c_functions: dict[str, ExternalInfo] = {}
        self.nested: list[tuple[FunctionInfo, list[dict[str, object]]]] = []
        self.hidden: dict[str, set[str]] = {}  # nested function's symbol -> variables around it

    # --- top level -------------------------------------------------------------------------

    def run(self) -> ProgramInfo:
        declarations = self.program.declarations
        self.c_symbols = {
            function.symbol
            for item in declarations
            if isinstance(item, ast.External)
            for function in item.functions
        }
        for item in declarations:
            if isinstance(item, ast.ClassDeclaration):
                info = ClassInfo(item.name, item)
                if self.declare(item.name, info, item.name_span):
                    self.info.classes[item.name] = info
        for item in declarations:
            if isinstance(item, ast.Manifest):
                self.manifest(item, self.info.names)
        for item in declarations:
            self.top_level(item)
        self.classes()
        for item in declarations:
            if isinstance(item, ast.Let):
                self.global_values([item])
            elif isinstance(item, ast.Globals):
                self.global_values(item.declarations)
        for function in list(self.info.functions):
            self.body(function)
        self.field_initialisers()
        while self.nested:
            function, scopes = self.nested.pop()
            self.body(function, scopes)
        self.find_start()
        return self.info

    def declare(self, name: str, meaning: object, span: Span) -> bool:
        known = self.info.names.get(name)
        if known is not None:
            notes = []
            place = getattr(known, "span", None) or getattr(
                getattr(known, "declaration", None), "name_span", None
            )
            if place is not None:
                notes.append(Note("it is first declared here", place))
            self.diagnostics.error(f"'{name}' is declared twice", span, notes, code="duplicate")
            return False
        self.info.names[name] = meaning
        return True

    def top_level(self, item: ast.Statement) -> None:
        if isinstance(item, ast.FunctionDeclaration):
            function = self.make_function(item, item.name, None)
            if self.declare(item.name, function, item.name_span):
                self.info.functions.append(function)
        elif isinstance(item, ast.Let):
            self.global_variables(item)
        elif isinstance(item, ast.Globals):
            for let in item.declarations:
                self.global_variables(let)
        elif isinstance(item, ast.Static):
            self.static(item, self.info.names, "global.")
        elif isinstance(item, ast.External):
            self.external(item)
        elif isinstance(item, ast.Get):
            name = item.path.replace("\\", "/").rpartition("/")[2].lower()
            if name not in EMPTY_HEADERS:
                not_yet(self.diagnostics, f'GET "{item.path}"', item.span)

    def external(self, item: ast.External) -> None:
        for function in item.functions:
            info = make_external(function, item.library, self.diagnostics)
            known = self.c_functions.setdefault(info.symbol, info)
            if known is not info and known.name != info.name:
                self.diagnostics.error(
                    f"C's {info.symbol} is declared twice, as {known.name} and as {info.name}",
                    function.name_span,
                    [Note("it is first declared here", known.declaration.name_span)],
                    code="duplicate",
                )
            self.declare(info.name, info, function.name_span)

    def make_function(
        self, item: ast.FunctionDeclaration, symbol: str, class_info: ClassInfo | None
    ) -> FunctionInfo:
        if symbol.startswith("bcpl_") or symbol in self.c_symbols:
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
            variable = Variable(parameter.name, type_ or INTEGER, parameter.span)
            variable.is_parameter, variable.fixed_type = True, type_ is not None
            parameters.append(variable)
        result = FLOAT if item.is_float else INTEGER
        function = FunctionInfo(item.name, symbol, item, parameters, result, class_info)
        if class_info is not None:
            function.this = Variable("this", class_info.type, item.name_span)
        return function

    def annotated(self, annotation: ast.TypeExpression | None) -> ValueType | None:
        if annotation is None:
            return None
        found = BY_NAME.get(annotation.name.upper()) or (
            self.info.classes[annotation.name].type
            if annotation.name in self.info.classes
            else None
        )
        if found is None:
            if annotation.name.isupper() and annotation.name in _PACKS:
                not_yet(self.diagnostics, f"the type {annotation.name}", annotation.span)
            else:
                self.diagnostics.error(f"'{annotation.name}' is no type", annotation.span)
            return WORD
        return found

    def global_variables(self, item: ast.Let) -> None:
        for name in item.names:
            type_ = FLOAT if item.is_float else self.annotated(item.annotation)
            variable = Variable(name, type_ or INTEGER, item.span, f"global.{name}")
            variable.fixed_type = type_ is not None
            self.declare(name, variable, item.span)

    def global_values(self, items: list[ast.Let]) -> None:
        for item in items:
            variables = [self.info.names.get(name) for name in item.names]
            found = [v for v in variables if isinstance(v, Variable)]
            if self.same_number(item.names, item.values, item.span):
                self.scopes = [{}]
                for value in item.values:
                    self.expression(value)
                self.info.globals.append((found, item.values))

    def same_number(self, names: list[str], values: list[ast.Expression], span: Span) -> bool:
        if len(names) == len(values):
            return True
        if len(values) == 1 and len(names) > 1:
            not_yet(self.diagnostics, "taking a pack apart", span)
        else:
            self.diagnostics.error(f"{len(names)} names, but {len(values)} values", span)
        return False

    def static(self, item: ast.Static, scope: dict[str, object], prefix: str) -> None:
        for name, value in zip(item.names, item.values, strict=True):
            number: int | float | None = 0.0 if item.is_float else 0
            if value is not None:
                number = self.constant(value)
            if number is None:
                continue
            is_float = item.is_float or isinstance(number, float)
            number = float(number) if is_float else number
            type_ = FLOAT if is_float else INTEGER
            variable = Variable(name, type_, item.span, f"{prefix}{name}", fixed_type=True)
            if scope is not self.info.names or self.declare(name, variable, item.span):
                scope[name] = variable
                self.info.statics.append((variable, number))

    def manifest(self, item: ast.Manifest, scope: dict[str, object]) -> None:
        for name, value, span in zip(item.names, item.values, item.spans, strict=True):
            number = self.constant(value, scope)
            constant = Constant(name, 0 if number is None else number, span)
            if scope is self.info.names:
                self.declare(name, constant, span)
            else:
                scope[name] = constant

    def constant(
        self, value: ast.Expression, scope: dict[str, object] | None = None
    ) -> int | float | None:
        """The value of a constant expression; None, and a message, if it is not one."""
        number = fold(value, lambda name: self.find_constant(name, scope))
        if number is None:
            self.diagnostics.error("this is not a constant", value.span, code="not-constant")
        return number

    def find_constant(self, name: str, scope: dict[str, object] | None) -> int | float | None:
        for names in ([scope] if scope else []) + self.scopes[::-1] + [self.info.names]:
            meaning = names.get(name)
            if meaning is not None:
                return meaning.value if isinstance(meaning, Constant) else None
        return None

    # --- classes ---------------------------------------------------------------------------------

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

    def field_initialisers(self) -> None:
        for info in self.info.classes.values():
            for field in info.own_fields:
                if field.initialiser is not None:
                    self.scopes = [{}]
                    self.function = None
                    self.expression(field.initialiser)

    # --- bodies ------------------------------------------------------------------------------

    def body(self, function: FunctionInfo, around: Sequence[dict[str, object]] = ()) -> None:
        """Resolve a function's body; `around`: the scopes that a nested function sees."""
        outer = (self.function, self.loops, self.switches, self.valofs)
        self.function = function
        self.loops = self.switches = self.valofs = 0
        scope: dict[str, object] = {p.name: p for p in function.parameters}
        if function.this is not None:
            scope["SELF"] = scope["_this"] = function.this
        saved = self.scopes
        self.scopes = [*around, scope]
        body = function.declaration.body
        if isinstance(body, ast.Expression):
            self.expression(body)
        else:
            self.statement(body)
        self.scopes = saved
        self.function, self.loops, self.switches, self.valofs = outer

    def find(self, name: str) -> object | None:
        for scope in reversed(self.scopes):
            meaning = scope.get(name)
            if meaning is not None:
                return meaning
        if self.function is not None and self.function.class_info is not None:
            info = self.function.class_info
            member = info.fields.get(name) or info.methods.get(name)
            if member is not None:
                return member
        meaning = self.info.names.get(name)
        if meaning is not None:
            return meaning
        entry = lookup(name)
        if entry is not None:
            return Library(name.upper(), entry)
        return None

    def unknown(self, name: str, span: Span, what: str, among: object) -> None:
        names = list(among)  # type: ignore[call-overload]
        close = get_close_matches(name, names, n=1, cutoff=0.7)
        if not close:
            close = [other for other in names if other.lower() == name.lower()][:1]
        notes = [Note(f"did you mean '{close[0]}'?")] if close else []
        if self.function is not None and name in self.hidden.get(self.function.symbol, ()):
            notes = [
                Note(
                    f"'{name}' is a variable of the routine around {self.function.name}, which a "
                    "nested function cannot see: pass it as an argument"
                )
            ]
        self.diagnostics.error(f"{what} '{name}' is not declared", span, notes, code="undeclared")

    def check_private(self, meaning: object, span: Span) -> None:
        """A bare name of an inherited member: PRIVATE is for the declaring class alone."""
        if isinstance(meaning, FieldInfo):
            owner, name, visibility = meaning.owner, meaning.name, meaning.visibility
        elif isinstance(meaning, FunctionInfo) and meaning.class_info is not None:
            owner, name = meaning.class_info, meaning.declaration.name
            visibility = meaning.declaration.visibility
        else:
            return
        inside = self.function.class_info if self.function is not None else owner
        if visibility == "PRIVATE" and inside is not owner:
            self.diagnostics.error(f"'{name}' is PRIVATE in class {owner.name}", span)

    def visible_names(self) -> list[str]:
        names = [name for scope in self.scopes for name in scope]
        if self.function is not None and self.function.class_info is not None:
            names += [*self.function.class_info.fields, *self.function.class_info.methods]
        return [*names, *self.info.names, *ENTRIES, *LIBRARY_SPECIAL]

    def local(self, name: str, type_: ValueType | None, span: Span) -> Variable:
        variable = Variable(name, type_ or INTEGER, span, fixed_type=type_ is not None)
        self.scopes[-1][name] = variable
        return variable

    # --- statements --------------------------------------------------------------------------

    def statement(self, node: ast.Statement) -> None:
        STATEMENTS[type(node)](self, node)

    def block(self, node: ast.Block) -> None:
        self.scopes.append({})
        functions = [
            self.nested_function(statement)
            for statement in node.statements
            if isinstance(statement, ast.FunctionDeclaration)
        ]
        for statement in node.statements:
            self.statement(statement)
        for function in functions:
            self.remember_scopes(function)
        self.scopes.pop()

    def nested_function(self, node: ast.FunctionDeclaration) -> FunctionInfo:
        assert self.function is not None
        function = self.make_function(node, f"{self.function.symbol}.{node.name}", None)
        self.scopes[-1][node.name] = function
        self.info.functions.append(function)
        return function

    def remember_scopes(self, function: FunctionInfo) -> None:
        """A nested function sees statics, constants and functions around it, but no variables."""
        visible = [
            {
                name: meaning
                for name, meaning in scope.items()
                if not isinstance(meaning, Variable) or meaning.symbol
            }
            for scope in self.scopes
        ]
        around = self.function.symbol if self.function is not None else ""
        self.hidden[function.symbol] = self.hidden.get(around, set()) | {
            name
            for scope, seen in zip(self.scopes, visible, strict=True)
            for name in scope
            if name not in seen
        }
        self.nested.append((function, visible))

    def let(self, node: ast.Let) -> None:
        for value in node.values:
            self.expression(value)
        self.same_number(node.names, node.values, node.span)
        type_ = FLOAT if node.is_float else self.annotated(node.annotation)
        self.locals_of[node] = [self.local(name, type_, node.span) for name in node.names]

    def if_(self, node: ast.If) -> None:
        self.expression(node.condition)
        self.inner(node.then)
        if node.otherwise is not None:
            self.inner(node.otherwise)

    def inner(self, node: ast.Statement) -> None:
        self.scopes.append({})
        self.statement(node)
        self.scopes.pop()

    def loop_body(self, node: ast.Statement) -> None:
        self.loops += 1
        self.inner(node)
        self.loops -= 1

    def while_(self, node: ast.While) -> None:
        self.expression(node.condition)
        self.loop_body(node.body)

    def repeat(self, node: ast.Repeat) -> None:
        self.loop_body(node.body)
        if node.condition is not None:
            self.expression(node.condition)

    def for_(self, node: ast.For) -> None:
        for value in (node.start, node.end, node.step):
            if value is not None:
                self.expression(value)
        self.scopes.append({})
        self.locals_of[node] = [self.local(node.name, INTEGER, node.span)]
        self.loop_body(node.body)
        self.scopes.pop()

    def foreach(self, node: ast.Foreach) -> None:
        if node.is_pattern or len(node.names) > 1:
            not_yet(self.diagnostics, "FOREACH with several variables", node.span)
            return
        self.expression(node.collection)
        self.scopes.append({})
        self.locals_of[node] = [self.local(node.names[0], None, node.span)]
        self.loop_body(node.body)
        self.scopes.pop()

    def switch(self, node: ast.Switch) -> None:
        self.expression(node.value)
        self.switches += 1
        seen: dict[int, Span] = {}
        default: Span | None = None
        for item in node.body.statements:
            if not isinstance(item, ast.Case):
                continue
            if item.value is None:
                if default is not None:
                    self.diagnostics.error(
                        "a second DEFAULT", item.span, [Note("the first", default)]
                    )
                default = item.span
                continue
            number = self.constant(item.value)
            if isinstance(number, float):
                self.diagnostics.error("a case is an integer", item.value.span)
            elif number is not None:
                if number in seen:
                    self.diagnostics.error(
                        f"case {number} stands twice", item.span, [Note("the first", seen[number])]
                    )
                seen.setdefault(number, item.span)
                item.value = ast.IntegerLiteral(item.value.span, number)
        self.block_of_switch(node.body)
        self.switches -= 1

    def block_of_switch(self, node: ast.Block) -> None:
        self.scopes.append({})
        for statement in node.statements:
            if not isinstance(statement, ast.Case):
                self.statement(statement)
        self.scopes.pop()

    def case(self, node: ast.Case) -> None:
        self.diagnostics.error("a case outside the block of its SWITCHON", node.span)

    def resultis(self, node: ast.Resultis) -> None:
        self.expression(node.value)

    def jump(self, node: ast.Jump) -> None:
        kind = node.kind
        if kind in ("BREAK", "LOOP") and not self.loops:
            self.diagnostics.error(f"{kind} is not in a loop", node.span, code="misplaced")
        elif kind == "ENDCASE" and not self.switches:
            self.diagnostics.error("ENDCASE is not in a SWITCHON", node.span, code="misplaced")
        elif kind == "BRK":
            not_yet(self.diagnostics, "BRK", node.span)

    def assignment(self, node: ast.Assignment) -> None:
        for value in node.values:
            self.expression(value)
        for target in node.targets:
            self.target(target)
        if len(node.values) != len(node.targets):
            if len(node.values) == 1:
                not_yet(self.diagnostics, "taking a pack apart", node.span)
            else:
                self.diagnostics.error(
                    f"{len(node.targets)} targets, but {len(node.values)} values", node.span
                )

    def target(self, node: ast.Expression) -> None:
        self.expression(node)
        if isinstance(node, ast.Name):
            meaning = node.meaning
            if meaning is None or isinstance(meaning, FieldInfo):
                return
            if not isinstance(meaning, Variable):
                what = "constant" if isinstance(meaning, Constant) else "function or class"
                self.diagnostics.error(
                    f"'{node.name}' is a {what} and cannot be assigned to", node.span
                )
            elif meaning.name == "this" and not meaning.is_parameter:
                self.diagnostics.error(f"{node.name} cannot be assigned to", node.span)
        elif isinstance(node, ast.BitField):
            self.target(node.word)
        elif isinstance(node, ast.Lane):
            return  # refused by `expression`
        elif not (
            isinstance(node, ast.FieldAccess)
            or (isinstance(node, ast.Binary) and node.operator in ("!", "%", "#%", ".%"))
            or (isinstance(node, ast.Unary) and node.operator in ("!", "%"))
        ):
            self.diagnostics.error("this cannot be assigned to", node.span)

    def call_statement(self, node: ast.CallStatement) -> None:
        self.expression(node.call)

    def manifest_statement(self, node: ast.Manifest) -> None:
        self.manifest(node, self.scopes[-1])

    def static_statement(self, node: ast.Static) -> None:
        assert self.function is not None
        prefix = f"static.{self.function.symbol}.{len(self.info.statics)}."
        self.static(node, self.scopes[-1], prefix)

    def refuse(self, node: ast.Statement) -> None:
        what = {
            ast.Goto: "GOTO",
            ast.Label: "a label",
            ast.Using: "USING",
            ast.Defer: "DEFER",
            ast.Globals: "GLOBALS inside a routine",
            ast.Forward: "GLOBAL inside a routine",
            ast.Get: "GET inside a routine",
            ast.External: "EXTERNAL inside a routine",
            ast.ClassDeclaration: "a class inside a routine",
        }
        not_yet(self.diagnostics, what.get(type(node), type(node).__name__), node.span)

    def ownership(self, node: ast.Ownership) -> None:
        if node.kind in ("FREEVEC", "FREELIST") and node.value is not None:
            self.expression(node.value)
        else:
            not_yet(self.diagnostics, node.kind, node.span)

    def nothing(self, node: ast.Statement) -> None:
        """Nested functions are declared with their block."""

    # --- expressions -------------------------------------------------------------------------

    def expression(self, node: ast.Expression) -> None:
        # The left spine of a long chain is walked, not recursed into.
        while isinstance(node, ast.Binary):
            self.expression(node.right)
            if node.operator in ("#%", ".%"):
                not_yet(self.diagnostics, f"the operator {node.operator}", node.span)
            node = node.left
        EXPRESSIONS[type(node)](self, node)

    def literal(self, node: ast.Expression) -> None:
        """Nothing to resolve."""

    def name(self, node: ast.Name) -> None:
        node.meaning = self.find(node.name)
        self.check_private(node.meaning, node.span)
        if node.meaning is None:
            if node.name.upper() in LIBRARY_SPECIAL:
                return
            if node.name.upper() in LATER_LIBRARY:
                not_yet(self.diagnostics, f"the library routine {node.name}", node.span)
            else:
                self.unknown(node.name, node.span, "name", self.visible_names())
        elif isinstance(node.meaning, FunctionInfo):
            if node.meaning.class_info is not None:
                not_yet(self.diagnostics, "a method as a value", node.span)
            node.meaning.used_as_value = True

    def unary(self, node: ast.Unary) -> None:
        if node.operator in ("HD", "TL", "REST", "TYPE", "TYPEOF"):
            not_yet(self.diagnostics, node.operator, node.span)
            return
        self.expression(node.operand)
        if node.operator == "@":
            self.address_of(node)

    def address_of(self, node: ast.Unary) -> None:
        operand = node.operand
        if isinstance(operand, ast.Name):
            if isinstance(operand.meaning, Variable):
                operand.meaning.in_memory = True
            elif operand.meaning is not None and not isinstance(
                operand.meaning, FunctionInfo | FieldInfo | ExternalInfo
            ):
                self.diagnostics.error(f"'{operand.name}' has no address", node.span)
        elif not (
            (isinstance(operand, ast.Binary) and operand.operator in ("!", "%"))
            or isinstance(operand, ast.FieldAccess)
            or (isinstance(operand, ast.Unary) and operand.operator in ("!", "%"))
        ):
            self.diagnostics.error("this has no address", node.span)

    def conditional(self, node: ast.Conditional) -> None:
        self.expression(node.condition)
        self.expression(node.then)
        self.expression(node.otherwise)

    def valof(self, node: ast.Valof) -> None:
        loops, switches = self.loops, self.switches
        self.loops = self.switches = 0
        self.valofs += 1
        self.inner(node.body)
        self.valofs -= 1
        self.loops, self.switches = loops, switches

    def call(self, node: ast.Call) -> None:
        callee = node.callee
        if isinstance(callee, ast.Name):
            callee.meaning = self.find(callee.name)
            self.check_private(callee.meaning, callee.span)
            if callee.meaning is None and callee.name.upper() not in LIBRARY_SPECIAL:
                if callee.name.upper() in LATER_LIBRARY:
                    not_yet(self.diagnostics, f"the library routine {callee.name}", callee.span)
                else:
                    self.unknown(callee.name, callee.span, "routine", self.visible_names())
            elif isinstance(callee.meaning, Constant):
                self.diagnostics.error(f"'{callee.name}' is a constant, not a routine", callee.span)
        else:
            self.expression(callee)
        for argument in node.arguments:
            self.expression(argument)

    def method_call(self, node: ast.MethodCall) -> None:
        self.expression(node.receiver)
        for argument in node.arguments:
            self.expression(argument)

    def super_call(self, node: ast.SuperCall) -> None:
        for argument in node.arguments:
            self.expression(argument)
        info = self.function.class_info if self.function else None
        if info is None:
            self.diagnostics.error("SUPER is only known inside methods", node.span)
        elif info.base is None:
            self.diagnostics.error(f"class {info.name} has no base class", node.span)
        elif node.method not in info.base.methods and node.method not in ("CREATE", "RELEASE"):
            self.unknown(node.method, node.span, f"{info.base.name}'s method", info.base.methods)
        else:
            self.check_private(info.base.methods.get(node.method), node.span)

    def new(self, node: ast.New) -> None:
        for argument in node.arguments:
            self.expression(argument)
        if node.class_name not in self.info.classes:
            self.unknown(node.class_name, node.span, "class", self.info.classes)

    def field_access(self, node: ast.FieldAccess) -> None:
        self.expression(node.receiver)

    def lane(self, node: ast.Lane) -> None:
        not_yet(self.diagnostics, "a lane of a pack", node.span)

    def bit_field(self, node: ast.BitField) -> None:
        for part in (node.word, node.start, node.width):
            if part is not None:
                self.expression(part)

    def constructor(self, node: ast.Constructor) -> None:
        if node.kind not in ("VEC", "FVEC", "TABLE", "FTABLE", "STRING"):
            not_yet(self.diagnostics, node.kind, node.span)
            return
        if node.size is not None:
            self.expression(node.size)
        for element in node.elements:
            self.expression(element)
        if node.kind in ("TABLE", "FTABLE"):
            for index, element in enumerate(node.elements):
                if isinstance(element, ast.StringLiteral):
                    continue
                number = self.constant(element)
                if number is not None:
                    literal = ast.FloatLiteral if isinstance(number, float) else ast.IntegerLiteral
                    node.elements[index] = literal(element.span, number)  # type: ignore[arg-type]

    # --- the end -----------------------------------------------------------------------------

    def find_start(self) -> None:
        for name in ("START", "start", "main"):
            found = self.info.names.get(name)
            if isinstance(found, FunctionInfo):
                if found.parameters:
                    self.diagnostics.error(f"{name} has no parameters", found.declaration.name_span)
                self.info.start = found
                return
        self.diagnostics.error(
            "the program has no START routine",
            self.program.span,
            [Note("add: LET START() BE $( ... $)")],
            code="no-start",
        )


_PACKS = frozenset(
    ["PAIR", "FPAIR", "QUAD", "FQUAD", "OCT", "FOCT", "PAIRS", "FPAIRS", "LIST", "TABLE"]
)

STATEMENTS: dict[type, Callable[..., None]] = {
    ast.Block: Resolver.block,
    ast.If: Resolver.if_,
    ast.While: Resolver.while_,
    ast.Repeat: Resolver.repeat,
    ast.For: Resolver.for_,
    ast.Foreach: Resolver.foreach,
    ast.Switch: Resolver.switch,
    ast.Case: Resolver.case,
    ast.Resultis: Resolver.resultis,
    ast.Jump: Resolver.jump,
    ast.Assignment: Resolver.assignment,
    ast.CallStatement: Resolver.call_statement,
    ast.Let: Resolver.let,
    ast.Manifest: Resolver.manifest_statement,
    ast.Static: Resolver.static_statement,
    ast.FunctionDeclaration: Resolver.nothing,
    ast.Ownership: Resolver.ownership,
    ast.Goto: Resolver.refuse,
    ast.Label: Resolver.refuse,
    ast.Using: Resolver.refuse,
    ast.Defer: Resolver.refuse,
    ast.Globals: Resolver.refuse,
    ast.Forward: Resolver.refuse,
    ast.Get: Resolver.refuse,
    ast.External: Resolver.refuse,
    ast.ClassDeclaration: Resolver.refuse,
}
EXPRESSIONS: dict[type, Callable[..., None]] = {
    ast.IntegerLiteral: Resolver.literal,
    ast.FloatLiteral: Resolver.literal,
    ast.StringLiteral: Resolver.literal,
    ast.NullLiteral: Resolver.literal,
    ast.Name: Resolver.name,
    ast.Unary: Resolver.unary,
    ast.Conditional: Resolver.conditional,
    ast.Valof: Resolver.valof,
    ast.Call: Resolver.call,
    ast.MethodCall: Resolver.method_call,
    ast.SuperCall: Resolver.super_call,
    ast.New: Resolver.new,
    ast.FieldAccess: Resolver.field_access,
    ast.Lane: Resolver.lane,
    ast.BitField: Resolver.bit_field,
    ast.Constructor: Resolver.constructor,
}


def wrap(value: int) -> int:
    """A 64-bit word in signed form."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _quotient(a: int, b: int) -> int:
    if b == 0:
        return 0
    magnitude = abs(a) // abs(b)
    return -magnitude if (a < 0) != (b < 0) else magnitude


FOLD: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _quotient,
    "REM": lambda a, b: a - _quotient(a, b) * b,
    "<<": lambda a, b: a << b if 0 <= b < 64 else 0,
    ">>": lambda a, b: (a & (1 << 64) - 1) >> b if 0 <= b < 64 else 0,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "NEQV": lambda a, b: a ^ b,
}


def fold(node: ast.Expression, constant: Callable[[str], int | float | None]) -> int | float | None:
    """The value of a constant expression, None if it is none."""
    if isinstance(node, ast.IntegerLiteral | ast.FloatLiteral):
        return node.value
    if isinstance(node, ast.NullLiteral):
        return 0
    if isinstance(node, ast.Name):
        return constant(node.name)
    if isinstance(node, ast.Unary):
        value = fold(node.operand, constant)
        if value is None or node.operator not in ("-", "+", "~", "NOT"):
            return None
        if node.operator == "-":
            return -value if isinstance(value, float) else wrap(-value)
        if node.operator == "+":
            return value
        if isinstance(value, float):
            return None
        return wrap(~value) if node.operator == "~" else int(value == 0)
    if isinstance(node, ast.Binary):
        left, right = fold(node.left, constant), fold(node.right, constant)
        if isinstance(left, int) and isinstance(right, int) and node.operator in FOLD:
            return wrap(FOLD[node.operator](left, right))
        if left is not None and right is not None and node.operator in "+-*":
            a, b = float(left), float(right)
            return {"+": a + b, "-": a - b, "*": a * b}[node.operator]
    return None


def resolve(
    program: ast.Program, diagnostics: Diagnostics
) -> tuple[ProgramInfo, dict[object, list[Variable]]]:
    """Give every name its meaning.  Errors go to `diagnostics`."""
    resolver = Resolver(program, diagnostics)
    return resolver.run(), resolver.locals_of
