"""Names in statements get their meanings; locals come into being."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from callproof.bcpl import nodes as ast
from callproof.bcpl.constants import fold
from callproof.bcpl.resolve_expressions import INDEXING, ExpressionResolver
from callproof.bcpl.scopes import suggestion
from callproof.bcpl.symbols import Constant, FieldInfo, FunctionInfo, Variable
from callproof.bcpl.value_types import FLOAT, INTEGER, VECTORS
from callproof.source import Note, Span


class StatementResolver(ExpressionResolver):
    """Bodies of functions."""

    def body(self, function: FunctionInfo, around: Sequence[dict[str, object]] = ()) -> None:
        """Resolve a function's body; `around`: the scopes that a nested function sees."""
        self.function = function
        self.loops = self.switches = self.valofs = 0
        self.regions, self.labels, self.gotos = (), {}, []
        scope: dict[str, object] = {p.name: p for p in function.parameters}
        if function.this is not None:
            scope["SELF"] = scope["_this"] = function.this
        self.scopes = [*around, scope]
        body = function.declaration.body
        if isinstance(body, ast.Expression):
            self.expression(body)
        else:
            self.statement(body)
        self.check_gotos()
        self.scopes = []
        self.function = None

    def statement(self, node: ast.Statement) -> None:
        if self.function is None and (
            isinstance(node, OF_ROUTINES)
            or (isinstance(node, ast.Jump) and node.kind in ("RETURN", "BRK"))
        ):
            self.diagnostics.error(
                "this cannot stand in the first value of a global variable or a field",
                node.span,
                [Note("put it into a routine, and call that")],
                code="misplaced",
            )
            return
        STATEMENTS[type(node)](self, node)

    def block(self, node: ast.Block) -> None:
        self.scopes.append({})
        functions = [
            self.nested_function(statement)
            for statement in node.statements
            if type(statement) is ast.FunctionDeclaration and self.function is not None
        ]
        for statement in node.statements:
            self.statement(statement)
        for function in functions:
            self.remember_scopes(function)
        self.scopes.pop()

    def nested_function(self, node: ast.FunctionDeclaration) -> FunctionInfo:
        assert self.function is not None
        symbol = f"{self.function.symbol}.{node.name}"
        if symbol in self.nested_symbols:  # one of that name in another block
            symbol = f"{symbol}.{len(self.nested_symbols)}"
        self.nested_symbols.add(symbol)
        function = self.make_function(node, symbol, None)
        known = self.scopes[-1].get(node.name)
        if isinstance(known, FunctionInfo):
            self.diagnostics.error(
                f"'{node.name}' is declared twice",
                node.name_span,
                [Note("it is first declared here", known.declaration.name_span)],
                code="duplicate",
            )
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
        for variable in self.locals_of[node]:
            variable.dominates = True
        for variable, value in zip(self.locals_of[node], node.values, strict=False):
            if len(node.values) == len(node.names):
                variable.vector_size = self.vector_size(value)

    def vector_size(self, value: ast.Expression) -> int | None:
        """How many elements a constructor makes, if that is a constant."""
        if not isinstance(value, ast.Constructor) or value.kind not in WITH_SIZE:
            return None
        if value.size is None:
            return len(value.elements)
        size = fold(value.size, lambda name: self.find_constant(name, None))
        return size if isinstance(size, int) and size > 0 else None

    def if_(self, node: ast.If) -> None:
        self.expression(node.condition)
        self.inner(node.then)
        if node.otherwise is not None:
            self.inner(node.otherwise)

    def inner(self, node: ast.Statement) -> None:
        """A statement by itself; of these only RETAIN and its like declare anything here."""
        if type(node) is not ast.Ownership:
            self.statement(node)
            return
        self.scopes.append({})
        self.statement(node)
        self.scopes.pop()

    # --- loops -----------------------------------------------------------------------------

    def loop_body(self, node: ast.Statement) -> None:
        self.loops += 1
        self.inner(node)
        self.loops -= 1

    def guarded_loop(self, node: ast.For | ast.Foreach) -> None:
        """The body of a loop whose head has values that a GOTO into it would not have made."""
        outer, self.regions = self.regions, (*self.regions, node)
        self.loop_body(node.body)
        self.regions = outer

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
        self.guarded_loop(node)
        self.scopes.pop()

    def foreach(self, node: ast.Foreach) -> None:
        self.expression(node.collection)
        self.scopes.append({})
        type_ = self.annotated(node.annotation)
        self.locals_of[node] = [self.local(name, type_, node.span) for name in node.names]
        self.guarded_loop(node)
        self.scopes.pop()

    # --- SWITCHON ----------------------------------------------------------------------------

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
            for variable in self.locals_of.get(statement, ()):
                variable.dominates = False  # the next case can be reached without it
        self.scopes.pop()

    def case(self, node: ast.Case) -> None:
        self.diagnostics.error("a case outside the block of its SWITCHON", node.span)

    # --- jumps -------------------------------------------------------------------------------

    def in_defer(self) -> bool:
        return any(isinstance(region, ast.Defer) for region in self.regions)

    def resultis(self, node: ast.Resultis) -> None:
        self.expression(node.value)
        if not self.valofs:
            self.no_way_out("RESULTIS", node.span)

    def no_way_out(self, what: str, span: Span) -> None:
        """What a DEFER does happens when the routine is being left already."""
        if self.in_defer():
            self.diagnostics.error(f"{what} is not possible in a DEFER", span, code="misplaced")

    def jump(self, node: ast.Jump) -> None:
        kind = node.kind
        if kind in ("BREAK", "LOOP") and not self.loops:
            self.diagnostics.error(f"{kind} is not in a loop", node.span, code="misplaced")
        elif kind == "ENDCASE" and not self.switches:
            self.diagnostics.error("ENDCASE is not in a SWITCHON", node.span, code="misplaced")
        elif kind == "RETURN":
            self.no_way_out("RETURN", node.span)
        elif kind == "BRK":
            self.info.has_brk = True
            for scope in self.scopes:
                for meaning in scope.values():
                    if isinstance(meaning, Variable) and meaning not in self.brk_variables(node):
                        self.brk_variables(node).append(meaning)

    def brk_variables(self, node: ast.Jump) -> list[Variable]:
        """The variables that a BRK shows."""
        return self.locals_of.setdefault(node, [])

    def label(self, node: ast.Label) -> None:
        known = self.labels.get(node.name)
        if known is not None:
            self.diagnostics.error(
                f"label '{node.name}' stands twice",
                node.span,
                [Note("the first", known[0].span)],
                code="duplicate",
            )
            return
        self.labels[node.name] = (node, self.regions)
        if self.function is not None:
            self.function.has_labels = True

    def goto(self, node: ast.Goto) -> None:
        self.gotos.append((node, self.regions))

    def check_gotos(self) -> None:
        """Where the GOTOs of a function lead: its labels are all known now."""
        for node, regions in self.gotos:
            found = self.labels.get(node.label)
            if found is None:
                notes = suggestion(node.label, self.labels)
                self.diagnostics.error(
                    f"there is no label '{node.label}' in this routine",
                    node.span,
                    notes,
                    code="undeclared",
                )
                continue
            label, around = found
            if regions[: len(around)] != around:
                into = around[0]
                for mine, other in zip(regions, around, strict=False):
                    if mine is not other:
                        into = other
                        break
                else:
                    into = around[len(regions)]
                self.diagnostics.error(
                    f"GOTO {node.label} leads into the middle of a {REGIONS[type(into)]}, "
                    "which has not been begun",
                    node.span,
                    [Note("the label is here", label.span)],
                    code="misplaced",
                )
            elif any(isinstance(region, ast.Defer) for region in regions[len(around) :]):
                self.diagnostics.error("GOTO cannot leave a DEFER", node.span, code="misplaced")
            depth = 0
            for region in around:  # what a DEFER does is done when its USINGs are closed
                depth = (
                    0 if isinstance(region, ast.Defer) else depth + isinstance(region, ast.Using)
                )
            node.using_depth = depth

    def defer(self, node: ast.Defer) -> None:
        assert self.function is not None
        self.function.has_defer = True
        outer = (self.loops, self.switches, self.valofs, self.regions)
        self.loops = self.switches = self.valofs = 0
        self.regions = (*self.regions, node)
        self.inner(node.body)
        self.loops, self.switches, self.valofs, self.regions = outer

    def using(self, node: ast.Using) -> None:
        self.expression(node.value)
        self.scopes.append({})
        self.locals_of[node] = [self.local(node.name, None, node.span)]
        outer, self.regions = self.regions, (*self.regions, node)
        self.inner(node.body)
        self.regions = outer
        self.scopes.pop()

    # --- assignment --------------------------------------------------------------------------

    def assignment(self, node: ast.Assignment) -> None:
        for value in node.values:
            self.expression(value)
        for target in node.targets:
            self.target(target)
        if len(node.values) not in (1, len(node.targets)):
            self.diagnostics.error(
                f"{len(node.targets)} targets, but {len(node.values)} values", node.span
            )

    def target(self, node: ast.Expression) -> None:
        self.expression(node)
        self.check_target(node)

    def check_target(self, node: ast.Expression) -> None:
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
            else:
                meaning.is_assigned = True
        elif isinstance(node, ast.BitField):
            self.check_target(node.word)
        elif isinstance(node, ast.Lane):
            if node.member is None or not isinstance(node.pack, ast.Call):
                self.check_target(node.pack)
        elif not (
            isinstance(node, ast.FieldAccess)
            or (isinstance(node, ast.Binary) and node.operator in INDEXING)
            or (isinstance(node, ast.Unary) and node.operator in ("!", "%"))
        ):
            self.diagnostics.error("this cannot be assigned to", node.span)

    # --- the rest ------------------------------------------------------------------------------

    def call_statement(self, node: ast.CallStatement) -> None:
        self.expression(node.call)

    def manifest_statement(self, node: ast.Manifest) -> None:
        self.manifest(node, self.scopes[-1])

    def static_statement(self, node: ast.Static) -> None:
        assert self.function is not None
        prefix = f"static.{self.function.symbol}.{len(self.info.statics)}."
        self.static(node, self.scopes[-1], prefix)

    def refuse(self, node: ast.Statement) -> None:
        self.diagnostics.error(
            f"{REFUSED[type(node)]} cannot stand inside a routine",
            node.span,
            [Note("what it declares belongs to the whole program: put it outside")],
            code="misplaced",
        )

    def ownership(self, node: ast.Ownership) -> None:
        """SEND is RESULTIS; RETAIN, REMANAGE and ACCEPT steer an allocator that we have not."""
        if node.value is not None:
            self.expression(node.value)
        if node.kind == "SEND":
            if not self.valofs:
                self.no_way_out("SEND", node.span)
        elif node.name and node.value is not None:
            self.locals_of[node] = [self.local(node.name, None, node.span)]
        elif node.name and self.find(node.name) is None:
            self.unknown(node.name, node.span, "name", self.visible_names())

    def nothing(self, node: ast.Statement) -> None:
        """Nested functions are declared with their block."""

    def manifest(self, item: ast.Manifest, scope: dict[str, object]) -> None:
        raise AssertionError("provided by Resolver")

    def static(self, item: ast.Static, scope: dict[str, object], prefix: str) -> None:
        raise AssertionError("provided by Resolver")


# What belongs to one routine and its ways out, while first values are computed in several.
OF_ROUTINES = (
    ast.Label,
    ast.Goto,
    ast.Defer,
    ast.Static,
    ast.FunctionDeclaration,
)
WITH_SIZE = frozenset(("TABLE", "FTABLE", *VECTORS))
REGIONS: dict[type, str] = {
    ast.For: "FOR",
    ast.Foreach: "FOREACH",
    ast.Valof: "VALOF",
    ast.Using: "USING",
    ast.Defer: "DEFER",
}
REFUSED: dict[type, str] = {
    ast.Globals: "GLOBALS",
    ast.Forward: "GLOBAL",
    ast.Get: "this GET",
    ast.External: "EXTERNAL",
    ast.ClassDeclaration: "a class",
}
STATEMENTS: dict[type, Callable[..., None]] = {
    ast.Block: StatementResolver.block,
    ast.If: StatementResolver.if_,
    ast.While: StatementResolver.while_,
    ast.Repeat: StatementResolver.repeat,
    ast.For: StatementResolver.for_,
    ast.Foreach: StatementResolver.foreach,
    ast.Switch: StatementResolver.switch,
    ast.Case: StatementResolver.case,
    ast.Resultis: StatementResolver.resultis,
    ast.Jump: StatementResolver.jump,
    ast.Label: StatementResolver.label,
    ast.Goto: StatementResolver.goto,
    ast.Defer: StatementResolver.defer,
    ast.Using: StatementResolver.using,
    ast.Assignment: StatementResolver.assignment,
    ast.CallStatement: StatementResolver.call_statement,
    ast.Let: StatementResolver.let,
    ast.Manifest: StatementResolver.manifest_statement,
    ast.Static: StatementResolver.static_statement,
    ast.FunctionDeclaration: StatementResolver.nothing,
    ast.Ownership: StatementResolver.ownership,
    **dict.fromkeys(REFUSED, StatementResolver.refuse),
}
