"""Inference of value classes (reference 3.2), to a fixed point over the whole program.

A pass walks every function, computes the class of each expression from what is known
of variables, parameters and results, and notes evidence that a parameter is FLOAT.
Passes repeat until nothing changes; classes only ever move from INTEGER towards
FLOAT or something more telling, so that ends.  Functions for which nothing has changed
are left out (`infer_work.py`).
"""

from __future__ import annotations

from collections.abc import Callable

from callproof.bcpl import nodes as ast
from callproof.bcpl.infer_expressions import ARITHMETIC, ExpressionInference, root_of
from callproof.bcpl.infer_work import FIRST_VALUES, Held, Said
from callproof.bcpl.symbols import FunctionInfo, ProgramInfo, Variable
from callproof.bcpl.value_types import (
    FLOAT,
    FVEC,
    INTEGER,
    NULL,
    STRING,
    UNDECIDED,
    VEC,
    WORD,
    ValueType,
    described,
    join,
    node_of,
)
from callproof.source import Diagnostics, Note, Span

MAXIMUM_PASSES = 100  # and so many more as there are functions: what they say may pass along them


class Inference(ExpressionInference):
    """See `infer`."""

    # By parameter of a method: the classes of the arguments of all in its vtable slot.
    together: Said

    def run(self) -> None:
        for _ in range(MAXIMUM_PASSES + 2 * len(self.info.functions)):
            self.changed = False
            self.one_pass()
            is_new = self.work.end_pass()
            self.overrides()
            if is_new:
                self.changed = True
            if not self.changed:
                self.from_call_sites()
            if not self.changed:
                return
        self.diagnostics.error(
            "the classes of the values of this program cannot be worked out; "
            "declare those of parameters and variables with AS",
            self.info.start.declaration.name_span if self.info.start else None,
            code="inference",
        )

    def one_pass(self) -> None:
        work = self.work
        work.begin_pass()
        self.first_values()
        work.walked(FIRST_VALUES, *self.said())
        unit = work.next_unit()
        while unit is not None:
            self.walk = work.walks
            self.body(self.info.functions[unit])
            work.walked(unit, *self.said())
            unit = work.next_unit()

    def said(self) -> tuple[Said, Said, Held]:
        """What was said since this was last asked."""
        found = self.passed, self.appended, self.held
        self.passed, self.appended, self.held = {}, {}, {}
        return found

    def first_values(self) -> None:
        """Those of globals and fields."""
        for variables, values in self.info.globals:
            self.give_all(variables, values)
        for info in self.info.classes.values():
            for field in info.own_fields:
                if field.initialiser is not None:
                    self.give(field.variable, self.type_of(field.initialiser))

    def give_all(self, variables: list[Variable], values: list[ast.Expression]) -> None:
        """Variables take the classes of their values, or of the lanes of a single pack."""
        if len(values) == 1 and len(variables) == 1:
            self.give(variables[0], self.type_of(values[0]))
            self.hold(variables[0], values[0])
            return
        types = [self.type_of(value) for value in values]
        if len(types) == 1 and len(variables) > 1:
            pack = types[0].pack
            lane = FLOAT if pack is not None and pack.is_float else INTEGER
            types = [lane] * len(variables)
        for variable, type_ in zip(variables, types, strict=False):
            self.give(variable, type_)
        last = len(values) - 1
        for index, variable in enumerate(variables):
            self.hold(variable, values[index if index < last else last])

    def overrides(self) -> None:
        """What is called through one vtable slot has one signature: FLOAT where any has it."""
        self.together = {}
        for info in self.info.classes.values():
            for name, method in info.methods.items():
                root = root_of(method, name)
                if root is method:
                    continue
                for mine, other in zip(method.parameters, root.parameters, strict=False):
                    # Who calls the one may get to the other.
                    passed = self.passed_to(mine) | self.passed_to(other)
                    self.together[mine] = self.together[other] = passed
                    if FLOAT in (mine.type, other.type):
                        self.make_float(mine)
                        self.make_float(other)
                if FLOAT in (method.result, root.result) and method.result is not root.result:
                    self.set_result(method, FLOAT)
                    self.set_result(root, FLOAT)

    def set_result(self, function: FunctionInfo, type_: ValueType) -> None:
        function.result = type_
        self.changed = True
        self.work.result_changed(function)

    def passed_to(self, parameter: Variable) -> set[ValueType]:
        """The classes of the arguments that a parameter gets, also through overrides."""
        found = self.together.get(parameter)
        return found if found is not None else self.work.passed.get(parameter, set())

    def check_overrides(self) -> None:
        """Annotations may make the signatures of one slot differ: that cannot be called."""
        for info in self.info.classes.values():
            for name, method in info.methods.items():
                if method.class_info is not info:
                    continue
                root = root_of(method, name)
                for mine, other in zip(method.parameters, root.parameters, strict=False):
                    if (mine.type is FLOAT) != (other.type is FLOAT):
                        self.diagnostics.error(
                            f"'{mine.name}' of {method.name} is {described(mine.type)}, in the "
                            f"class that it overrides it is {described(other.type)}",
                            mine.span,
                            [Note("there it is declared here", other.span)],
                            code="override",
                        )

    def conventions(self) -> None:
        """Methods of one vtable slot pass packs in one way: as words if they disagree."""
        families: dict[FunctionInfo, list[FunctionInfo]] = {}
        for info in self.info.classes.values():
            for name, method in info.methods.items():
                families.setdefault(root_of(method, name), []).append(method)
        for root, methods in families.items():
            words = any(
                method.used_as_value
                or method.result.pack is not root.result.pack
                or any(
                    mine.type.pack is not other.type.pack
                    for mine, other in zip(method.parameters, root.parameters, strict=False)
                )
                for method in methods
            )
            for method in methods:
                method.packs_as_words = words

    def body(self, function: FunctionInfo) -> None:
        self.function = function
        body = function.declaration.body
        if isinstance(body, ast.Expression):
            result = self.type_of(body)
            if function.declaration.is_float:
                result = FLOAT
            if result is FLOAT:
                self.flows_to_float(body)
            result = INTEGER if result is NULL else result
            if function.declaration.annotation is not None or result is UNDECIDED:
                result = function.result
            if result is not function.result and function.result is not FLOAT:
                self.set_result(function, result)
        else:
            self.statement(body)
        self.function = None

    def flows_to_float(self, node: ast.Expression) -> None:
        """The value of the expression becomes the FLOAT result: so do parameters in it."""
        while True:
            if isinstance(node, ast.Binary) and node.operator in ARITHMETIC:
                self.flows_to_float(node.right)
                node = node.left
            elif isinstance(node, ast.Unary) and node.operator in ("-", "+"):
                node = node.operand
            elif isinstance(node, ast.Conditional):
                self.flows_to_float(node.then)
                node = node.otherwise
            elif isinstance(node, ast.Valof):
                for value in _results_of(node.body):
                    self.flows_to_float(value)
                return
            else:
                self.evidence(node)
                return

    def from_call_sites(self) -> None:
        """A parameter that gets a FLOAT at every call is one; else a class that all agree on.

        First where all calls are decided, then where those that are decided agree (the
        others go round in circles), at last what nothing is known of is INTEGER.
        """
        asked = self.work.candidates()
        for wants_all in (True, False):
            for function in self.info.functions:
                if not function.used_as_value:
                    for parameter in function.parameters:
                        # Of the others nothing has changed since they were last decided on.
                        if not wants_all or parameter in asked or parameter in self.together:
                            self.decide_parameter(parameter, wants_all)
            if self.changed:
                return
        for function in self.info.functions:
            if function.result is UNDECIDED:
                self.set_result(function, INTEGER)
        parameters = [p for function in self.info.functions for p in function.parameters]
        for variable in [*parameters, *(v for found in self.locals_of.values() for v in found)]:
            if variable.type is UNDECIDED:
                self.set_type(variable, INTEGER)

    def decide_parameter(self, parameter: Variable, wants_all: bool) -> None:
        types = self.passed_to(parameter) - {NULL}
        if wants_all and UNDECIDED in types:
            return
        types -= {UNDECIDED}
        if not types or parameter.fixed_type or parameter.type is FLOAT:
            return
        common = INTEGER if FLOAT in types and len(types) > 1 else join(types)
        if common is FLOAT:
            self.make_float(parameter)
        elif parameter.type is UNDECIDED or common not in (INTEGER, WORD, parameter.type):
            self.set_type(parameter, common)

    # --- statements --------------------------------------------------------------------------

    def statement(self, node: ast.Statement) -> None:
        rule = STATEMENTS.get(type(node))
        if rule is not None:
            rule(self, node)

    def block(self, node: ast.Block) -> None:
        rules = STATEMENTS
        for item in node.statements:
            rule = rules.get(type(item))
            if rule is not None:
                rule(self, item)

    def let(self, node: ast.Let) -> None:
        self.give_all(self.locals_of.get(node, []), node.values)

    def if_(self, node: ast.If) -> None:
        self.type_of(node.condition)
        self.statement(node.then)
        if node.otherwise is not None:
            self.statement(node.otherwise)

    def while_(self, node: ast.While) -> None:
        self.type_of(node.condition)
        self.statement(node.body)

    def repeat(self, node: ast.Repeat) -> None:
        self.statement(node.body)
        if node.condition is not None:
            self.type_of(node.condition)

    def for_(self, node: ast.For) -> None:
        for value in (node.start, node.end, node.step):
            if value is not None:
                self.type_of(value)
        self.statement(node.body)

    def foreach(self, node: ast.Foreach) -> None:
        collection = self.type_of(node.collection)
        variables = self.locals_of.get(node, [])
        for variable, type_ in zip(variables, foreach_types(node, collection), strict=False):
            self.give(variable, type_)
        self.statement(node.body)

    def switch(self, node: ast.Switch) -> None:
        self.type_of(node.value)
        for item in node.body.statements:
            if isinstance(item, ast.Case) and item.value is not None:
                self.type_of(item.value)
        self.statement(node.body)

    def resultis(self, node: ast.Resultis) -> None:
        type_ = self.type_of(node.value)
        if self.results:
            self.results[-1].append(type_)

    def using(self, node: ast.Using) -> None:
        self.give_all(self.locals_of.get(node, []), [node.value])
        self.statement(node.body)

    def defer(self, node: ast.Defer) -> None:
        self.statement(node.body)

    def call_statement(self, node: ast.CallStatement) -> None:
        self.type_of(node.call)

    def ownership(self, node: ast.Ownership) -> None:
        if node.value is None:
            return
        type_ = self.type_of(node.value)
        if node.kind == "SEND" and self.results:
            self.results[-1].append(type_)
        for variable in self.locals_of.get(node, []):
            self.give(variable, type_)

    def assignment(self, node: ast.Assignment) -> None:
        if len(node.targets) == 1 and len(node.values) == 1:
            target, value = node.targets[0], node.values[0]
            type_ = self.type_of(value)
            self.type_of(target)
            variable = self.variable_of(target)
            if variable is not None:
                if type(target) is ast.Name and target.meaning is variable:
                    self.hold(variable, value)
                if type_ is not variable.type:
                    self.assigned(target, variable, type_)
            return
        types = [self.type_of(value) for value in node.values]
        last = len(types) - 1
        for index, target in enumerate(node.targets):
            self.type_of(target)
            if type(target) is ast.Name and type(target.meaning) is Variable:
                self.hold(target.meaning, node.values[index if index < last else last])
        for target, type_ in zip(node.targets, types, strict=False):
            variable = self.variable_of(target)
            if variable is None or type_ is variable.type or len(types) < len(node.targets):
                continue
            self.assigned(target, variable, type_)

    def assigned(self, target: ast.Expression, variable: Variable, type_: ValueType) -> None:
        """A field, or a variable of no class of its own, takes that of what is stored in it."""
        if isinstance(target, ast.Name) and variable is target.meaning:
            if variable.type is WORD and (type_.class_info is not None or type_.is_list):
                self.give(variable, type_)
        elif variable.type in (INTEGER, WORD) and _says_something(type_):
            self.give(variable, type_)


def _says_something(type_: ValueType) -> bool:
    return (
        type_ in (FLOAT, STRING, VEC, FVEC)
        or type_.class_info is not None
        or type_.element is not None
        or type_.pack is not None
        or type_.is_list
    )


def foreach_types(node: ast.Foreach, collection: ValueType) -> list[ValueType]:
    """The classes of the variables of a FOREACH over a collection of that class."""
    if collection.is_list and len(node.names) == 2 and not node.is_pattern:
        return [INTEGER, node_of(collection.element)]  # T, V: tag and node
    element = WORD if collection.is_list else INTEGER
    if (collection.is_vector or collection.is_list) and collection.element is not None:
        element = collection.element
    if len(node.names) == 1 and not node.is_pattern:
        return [element]
    is_float = element.pack is not None and element.pack.is_float
    return [FLOAT if is_float else INTEGER] * len(node.names)


def _results_of(node: ast.Statement) -> list[ast.Expression]:
    """The values of the RESULTIS statements that end a VALOF's body."""
    found: list[ast.Expression] = []
    pending: list[ast.Statement | None] = [node]
    while pending:
        item = pending.pop()
        if isinstance(item, ast.Resultis):
            found.append(item.value)
        elif isinstance(item, ast.Block):
            pending += item.statements
        elif isinstance(item, ast.If):
            pending += [item.then, item.otherwise]
        elif isinstance(item, ast.Ownership) and item.kind == "SEND" and item.value is not None:
            found.append(item.value)
        elif isinstance(
            item, ast.While | ast.Repeat | ast.For | ast.Foreach | ast.Switch | ast.Using
        ):
            pending.append(item.body)
    return found


STATEMENTS: dict[type, Callable[..., None]] = {
    ast.Block: Inference.block,
    ast.If: Inference.if_,
    ast.While: Inference.while_,
    ast.Repeat: Inference.repeat,
    ast.For: Inference.for_,
    ast.Foreach: Inference.foreach,
    ast.Switch: Inference.switch,
    ast.Resultis: Inference.resultis,
    ast.Let: Inference.let,
    ast.Using: Inference.using,
    ast.Defer: Inference.defer,
    ast.CallStatement: Inference.call_statement,
    ast.Ownership: Inference.ownership,
    ast.Assignment: Inference.assignment,
}


def check_count(
    diagnostics: Diagnostics,
    function: FunctionInfo,
    given: int,
    span: Span,
    *,
    strict: bool,
) -> None:
    """Arguments against parameters: an error where the callee is sure, else a warning.

    The reference lets missing arguments be undefined and ignores extra ones; of a plain
    function that is warned of (missing ones become 0), of SUPER, NEW and methods it is
    an error.
    """
    wanted = len(function.parameters)
    if wanted == given:
        return
    text = f"{function.name} takes {wanted} argument{'' if wanted == 1 else 's'}, {given} given"
    notes = [Note("it is declared here", function.declaration.name_span)]
    report = diagnostics.error if strict else diagnostics.warning
    report(text, span, notes, code="argument-count")


def infer(
    info: ProgramInfo, locals_of: dict[object, list[Variable]], diagnostics: Diagnostics
) -> Inference:
    """Set the class of every expression, variable, parameter and result."""
    inference = Inference(info, locals_of, diagnostics)
    inference.run()
    inference.check_overrides()
    inference.conventions()
    return inference
