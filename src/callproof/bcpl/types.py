"""Inference of value classes (reference 3.2), to a fixed point over the whole program.

A pass walks every function, computes the class of each expression from what is known
of variables, parameters and results, and notes evidence that a parameter is FLOAT.
Passes repeat until nothing changes; classes only ever move from INTEGER towards
FLOAT or something more telling, so that ends.
"""

from __future__ import annotations

from callproof.bcpl import nodes as ast
from callproof.bcpl.external import ExternalInfo
from callproof.bcpl.symbols import (
    FLOAT,
    FVEC,
    INTEGER,
    NULL,
    STRING,
    VEC,
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
from callproof.source import Diagnostics, Note, Span

ARITHMETIC = frozenset(("+", "-", "*", "/"))
COMPARISONS = frozenset(("=", "~=", "<", "<=", ">", ">="))
LIBRARY_RESULTS = {"FLOAT": FLOAT, "STRING": STRING, "VEC": VEC, "FVEC": FVEC, "INTEGER": INTEGER}
CONVERSIONS = {
    "FLOAT": FLOAT,
    "FSQRT": FLOAT,
    "FIX": INTEGER,
    "TRUNC": INTEGER,
    "ENTIER": INTEGER,
    "LEN": INTEGER,
    "NOT": INTEGER,
    "~": INTEGER,
    "@": INTEGER,
    "!": WORD,
    "%": INTEGER,
}
ELEMENTS = {VEC: WORD, FVEC: FLOAT}
MAXIMUM_PASSES = 100


class Inference:
    """See `infer`."""

    def __init__(
        self, info: ProgramInfo, locals_of: dict[object, list[Variable]], diagnostics: Diagnostics
    ) -> None:
        self.info = info
        self.locals_of = locals_of
        self.diagnostics = diagnostics
        self.changed = False
        self.function: FunctionInfo | None = None
        self.results: list[list[ValueType]] = []
        self.passed: dict[Variable, set[ValueType]] = {}

    def run(self) -> None:
        for _ in range(MAXIMUM_PASSES):
            self.changed = False
            self.passed = {}
            self.one_pass()
            if not self.changed:
                self.from_call_sites()
            if not self.changed:
                return

    def one_pass(self) -> None:
        for variables, values in self.info.globals:
            for variable, value in zip(variables, values, strict=False):
                self.give(variable, self.type_of(value))
        for info in self.info.classes.values():
            for field in info.own_fields:
                if field.initialiser is not None:
                    self.give(field.variable, self.type_of(field.initialiser))
        for function in self.info.functions:
            self.body(function)

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
            if result is not function.result and function.result is not FLOAT:
                function.result = result
                self.changed = True
        else:
            self.statement(body)
        self.function = None

    def give(self, variable: Variable, type_: ValueType) -> None:
        """A variable takes the class of its first value, unless it was declared with one."""
        if type_ is NULL:
            type_ = WORD
        if variable.fixed_type or variable.type is type_ or variable.type is FLOAT:
            return
        variable.type = type_
        self.changed = True

    def make_float(self, variable: Variable) -> None:
        if not variable.fixed_type and variable.type is not FLOAT:
            variable.type = FLOAT
            self.changed = True

    def evidence(self, node: ast.Expression) -> None:
        """The expression meets a FLOAT in arithmetic: if it is a parameter, so is it."""
        if isinstance(node, ast.Name) and isinstance(node.meaning, Variable):
            variable = node.meaning
            if variable.is_parameter and variable.type in (INTEGER, WORD):
                self.make_float(variable)

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
        """A parameter that gets a FLOAT at every call is one; that of an object its class."""
        for function in self.info.functions:
            if function.used_as_value:
                continue
            for parameter in function.parameters:
                types = self.passed.get(parameter)
                if not types or parameter.fixed_type:
                    continue
                types = types - {NULL}
                if types == {FLOAT}:
                    self.make_float(parameter)
                elif len(types) == 1 and parameter.type is INTEGER:
                    (only,) = types
                    if only not in (INTEGER, WORD):
                        parameter.type = only
                        self.changed = True

    # --- statements --------------------------------------------------------------------------

    def statement(self, node: ast.Statement) -> None:
        if isinstance(node, ast.Block):
            for item in node.statements:
                self.statement(item)
        elif isinstance(node, ast.Let):
            types = [self.type_of(value) for value in node.values]
            for variable, type_ in zip(self.locals_of.get(node, []), types, strict=False):
                self.give(variable, type_)
        elif isinstance(node, ast.If):
            self.type_of(node.condition)
            self.statement(node.then)
            if node.otherwise is not None:
                self.statement(node.otherwise)
        elif isinstance(node, ast.While):
            self.type_of(node.condition)
            self.statement(node.body)
        elif isinstance(node, ast.Repeat):
            self.statement(node.body)
            if node.condition is not None:
                self.type_of(node.condition)
        elif isinstance(node, ast.For):
            for value in (node.start, node.end, node.step):
                if value is not None:
                    self.type_of(value)
            self.statement(node.body)
        elif isinstance(node, ast.Foreach):
            collection = self.type_of(node.collection)
            for variable in self.locals_of.get(node, []):
                self.give(variable, ELEMENTS.get(collection, INTEGER))
            self.statement(node.body)
        elif isinstance(node, ast.Switch):
            self.type_of(node.value)
            self.statement(node.body)
        elif isinstance(node, ast.Resultis):
            type_ = self.type_of(node.value)
            if self.results:
                self.results[-1].append(type_)
        elif isinstance(node, ast.Assignment):
            self.assignment(node)
        elif isinstance(node, ast.CallStatement):
            self.type_of(node.call)
        elif isinstance(node, ast.Ownership) and node.value is not None:
            self.type_of(node.value)

    def assignment(self, node: ast.Assignment) -> None:
        for target, value in zip(node.targets, node.values, strict=False):
            self.type_of(target)
            type_ = self.type_of(value)
            # A field without a class of its own takes that of an object stored into it.
            variable = self.field_variable(target)
            if variable is not None and variable.type in (INTEGER, WORD):
                if type_ in (FLOAT, STRING, VEC, FVEC) or type_.class_info is not None:
                    self.give(variable, type_)
            elif isinstance(target, ast.Name) and isinstance(target.meaning, Variable):
                known = target.meaning
                if known.type is WORD and type_.class_info is not None:
                    self.give(known, type_)

    def field_variable(self, target: ast.Expression) -> Variable | None:
        if isinstance(target, ast.Name) and isinstance(target.meaning, FieldInfo):
            return target.meaning.variable
        if isinstance(target, ast.FieldAccess):
            field = self.field_of(target)
            return field.variable if field else None
        return None

    # --- expressions ---------------------------------------------------------------------------

    def type_of(self, node: ast.Expression) -> ValueType:
        # A long chain leans to the left: walk down it, then up.
        spine = []
        while isinstance(node, ast.Binary):
            spine.append(node)
            node = node.left
        type_ = node.type = self.plain(node)
        while spine:
            parent = spine.pop()
            right = self.type_of(parent.right)
            type_ = parent.type = self.binary(parent, type_, right)
        return type_

    def plain(self, node: ast.Expression) -> ValueType:
        if isinstance(node, ast.IntegerLiteral):
            return INTEGER
        if isinstance(node, ast.FloatLiteral):
            return FLOAT
        if isinstance(node, ast.StringLiteral):
            return STRING
        if isinstance(node, ast.NullLiteral):
            return NULL
        if isinstance(node, ast.Name):
            return self.name(node.meaning)
        if isinstance(node, ast.Unary):
            operand = self.type_of(node.operand)
            if node.operator in ("-", "+"):
                return FLOAT if operand is FLOAT else INTEGER
            return CONVERSIONS.get(node.operator, WORD)
        if isinstance(node, ast.Conditional):
            self.type_of(node.condition)
            return self.join([self.type_of(node.then), self.type_of(node.otherwise)])
        if isinstance(node, ast.Valof):
            return self.valof(node)
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, ast.MethodCall):
            return self.method_call(node)
        if isinstance(node, ast.SuperCall):
            info = self.function.class_info if self.function else None
            base = info.base if info else None
            method = base.methods.get(node.method) if base else None
            return self.arguments(method, node.arguments)
        if isinstance(node, ast.New):
            info = self.info.classes.get(node.class_name)
            create = info.methods.get("CREATE") if info else None
            self.arguments(create, node.arguments)
            return info.type if info else WORD
        if isinstance(node, ast.FieldAccess):
            self.type_of(node.receiver)
            field = self.field_of(node)
            return field.variable.type if field else WORD
        if isinstance(node, ast.BitField):
            for part in (node.word, node.start, node.width):
                if part is not None:
                    self.type_of(part)
            return INTEGER
        if isinstance(node, ast.Constructor):
            if node.size is not None:
                self.type_of(node.size)
            for element in node.elements:
                self.type_of(element)
            return {"STRING": STRING, "FVEC": FVEC, "FTABLE": FVEC}.get(node.kind, VEC)
        return WORD

    def name(self, meaning: object) -> ValueType:
        if isinstance(meaning, Variable):
            return meaning.type
        if isinstance(meaning, Constant):
            return FLOAT if isinstance(meaning.value, float) else INTEGER
        if isinstance(meaning, FieldInfo):
            return meaning.variable.type
        return WORD

    def join(self, types: list[ValueType]) -> ValueType:
        """The class of a value that is one of several (3.2.5, 3.2.6)."""
        found = {type_ for type_ in types if type_ is not NULL}
        if len(found) == 1:
            return found.pop()
        if FLOAT in found:
            return FLOAT
        infos = [type_.class_info for type_ in found]
        if infos and all(info is not None for info in infos):
            common = _common_base([info for info in infos if info is not None])
            if common is not None:
                return common.type
        return WORD if found else INTEGER

    def valof(self, node: ast.Valof) -> ValueType:
        self.results.append([])
        self.statement(node.body)
        types = self.results.pop()
        if node.is_float or (node.annotation and node.annotation.name.upper() == "FLOAT"):
            return FLOAT
        return self.join(types)

    def binary(self, node: ast.Binary, left: ValueType, right: ValueType) -> ValueType:
        operator = node.operator
        if operator in ARITHMETIC:
            if node.float_marked or left is FLOAT or right is FLOAT:
                self.evidence(node.left)
                self.evidence(node.right)
                return FLOAT
            return INTEGER
        if operator == "!":
            return ELEMENTS.get(left, WORD)
        return INTEGER

    def call(self, node: ast.Call) -> ValueType:
        callee = node.callee
        if not isinstance(callee, ast.Name):
            self.type_of(callee)
            self.arguments(None, node.arguments)
            return INTEGER
        meaning = callee.meaning
        if isinstance(meaning, FunctionInfo):
            return self.arguments(meaning, node.arguments)
        if isinstance(meaning, ClassInfo):
            self.arguments(meaning.methods.get("CREATE"), node.arguments)
            return meaning.type
        self.arguments(None, node.arguments)
        if isinstance(meaning, Library):
            return LIBRARY_RESULTS.get(meaning.entry.result, INTEGER)
        if isinstance(meaning, ExternalInfo):
            return meaning.value
        if meaning is None and callee.name.upper() == "FLTOFX":
            return FLOAT
        return INTEGER

    def arguments(
        self, function: FunctionInfo | None, arguments: list[ast.Expression]
    ) -> ValueType:
        types = [self.type_of(argument) for argument in arguments]
        if function is None:
            return INTEGER
        for parameter, type_ in zip(function.parameters, types, strict=False):
            self.passed.setdefault(parameter, set()).add(type_)
        return function.result

    def method_call(self, node: ast.MethodCall) -> ValueType:
        self.type_of(node.receiver)
        method = self.method_of(node)
        return self.arguments(method, node.arguments)

    # --- members, for lowering too ---------------------------------------------------------------

    def class_of(self, node: ast.Expression) -> ClassInfo | None:
        type_ = node.type
        return type_.class_info if isinstance(type_, ValueType) else None

    def field_of(self, node: ast.FieldAccess) -> FieldInfo | None:
        """The field that an access means; by a unique name where the class is not known."""
        info = self.class_of(node.receiver)
        if info is not None:
            return info.fields.get(node.name)
        owners = {
            field.owner: field
            for other in self.info.classes.values()
            for field in other.own_fields
            if field.name == node.name
        }
        return next(iter(owners.values())) if len(owners) == 1 else None

    def method_of(self, node: ast.MethodCall) -> FunctionInfo | None:
        info = self.class_of(node.receiver)
        if info is not None:
            return info.methods.get(node.method)
        found = [
            method
            for other in self.info.classes.values()
            for method in [other.methods.get(node.method)]
            if method is not None and method.class_info is other
        ]
        roots = {_root_of(method, node.method) for method in found}
        return next(iter(roots)) if len(roots) == 1 else None


def _root_of(method: FunctionInfo, name: str) -> FunctionInfo:
    """The first declaration that a method overrides: it has the vtable slot."""
    info = method.class_info
    while info is not None and info.base is not None and name in info.base.methods:
        method = info.base.methods[name]
        info = method.class_info
    return method


def _common_base(infos: list[ClassInfo]) -> ClassInfo | None:
    for candidate in infos[0].ancestors():
        if all(candidate in info.ancestors() for info in infos):
            return candidate
    return None


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
        elif isinstance(item, ast.While | ast.Repeat | ast.For | ast.Foreach | ast.Switch):
            pending.append(item.body)
    return found


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
    return inference
