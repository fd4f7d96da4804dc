"""The classes of expressions (reference 3.2), from what is known of variables and functions."""

from __future__ import annotations

from collections.abc import Callable

from callproof.bcpl import nodes as ast
from callproof.bcpl.external import ExternalInfo
from callproof.bcpl.infer_library import (
    APPENDED,
    ENTRY_RESULTS,
    as_list,
    element_of,
    special_result,
)
from callproof.bcpl.infer_work import Held, Said, Work
from callproof.bcpl.symbols import (
    ClassInfo,
    Constant,
    FieldInfo,
    FunctionInfo,
    Library,
    ProgramInfo,
    SpecialRoutine,
    Variable,
)
from callproof.bcpl.value_types import (
    FLOAT,
    INTEGER,
    NULL,
    PACK_VECTORS,
    PACKS,
    STRING,
    TAGS,
    UNDECIDED,
    VEC,
    VECTORS,
    WORD,
    ValueType,
    join,
    join_elements,
    list_of,
    node_of,
)
from callproof.source import Diagnostics

UNKNOWN = frozenset((INTEGER, WORD, UNDECIDED))  # what evidence may change
KEPT = frozenset((FLOAT, UNDECIDED))
ARITHMETIC = frozenset(("+", "-", "*", "/"))
FLOAT_INDEXING = frozenset((".%", "#%"))
# What an operator without a mark gives of two INTEGERs, where that is not INTEGER.
OF_INTEGERS = {"!": WORD, **dict.fromkeys(FLOAT_INDEXING, FLOAT)}
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
    "TYPE": STRING,
    "TYPEOF": INTEGER,
}
SETTYPE_CLASSES = {
    TAGS["TYPE_INT"]: INTEGER,
    TAGS["TYPE_FLOAT"]: FLOAT,
    TAGS["TYPE_STRING"]: STRING,
    TAGS["TYPE_LIST"]: list_of(None),
    TAGS["TYPE_OBJECT"]: WORD,
    TAGS["TYPE_PAIR"]: PACKS["PAIR"],
}


class ExpressionInference:
    """Sets `type` of expressions; statements and functions are in `types.py`."""

    def __init__(
        self, info: ProgramInfo, locals_of: dict[object, list[Variable]], diagnostics: Diagnostics
    ) -> None:
        self.info = info
        self.locals_of = locals_of
        self.diagnostics = diagnostics
        self.changed = False
        self.function: FunctionInfo | None = None
        self.results: list[list[ValueType]] = []
        self.work = Work(info)
        self.walk = 0  # how many there were before this one
        # What the unit that is being walked says: the classes that parameters get at calls,
        # and lists by appending; the functions that variables can hold, None for not known.
        self.passed: Said = {}
        self.appended: Said = {}
        self.held: Held = {}
        # What all said in the pass before.
        self.appended_before = self.work.appended
        self.held_before = self.work.held

    # --- function values ---------------------------------------------------------------------

    def hold(self, variable: Variable, value: ast.Expression) -> None:
        """A variable gets a value: which functions can that be?"""
        if type(value) is not ast.Name:
            if type(value) is not ast.NullLiteral:
                self.held[variable] = None
            return
        found: set[FunctionInfo] | None = None
        meaning = value.meaning
        if isinstance(meaning, FunctionInfo) and meaning.class_info is None:
            found = {meaning}
        elif isinstance(meaning, Variable):
            found = self.held_before.get(meaning)
        if found is None:
            self.held[variable] = None
            return
        known = self.held.get(variable, found)
        self.held[variable] = None if known is None else known | found

    def held_function(self, node: ast.Expression) -> FunctionInfo | None:
        """A function that has the signature of whatever a variable holds, if there is one."""
        if not isinstance(node, ast.Name):
            return None
        variable = node.meaning
        if not isinstance(variable, Variable) or variable.in_memory:
            return None
        held = self.held_before.get(variable)
        if not held:
            return None
        first = next(iter(held))
        same = all(other.signature() == first.signature() for other in held)
        return min(held, key=lambda function: function.name) if same else None

    # --- variables -------------------------------------------------------------------------

    def give(self, variable: Variable, type_: ValueType) -> None:
        """A variable takes the class of its first value, unless it was declared with one."""
        self.give_class(variable, type_)
        variable.seen = self.walk

    def give_class(self, variable: Variable, type_: ValueType) -> None:
        if type_ is UNDECIDED:
            return
        if type_ is NULL:
            type_ = WORD
        more = self.appended_before.get(variable)
        if more and type_.is_list and not variable.fixed_type:
            known = [type_.element] if type_.element is not None else []
            type_ = list_of(join_elements([*known, *more]))
        if variable.fixed_type or variable.type is type_ or variable.type is FLOAT:
            return
        self.set_type(variable, type_)

    def set_type(self, variable: Variable, type_: ValueType) -> None:
        variable.type = type_
        self.changed = True
        self.work.variable_changed(variable, was_seen=variable.seen == self.walk)

    def make_float(self, variable: Variable) -> None:
        if not variable.fixed_type and variable.type is not FLOAT:
            self.set_type(variable, FLOAT)

    def evidence(self, node: ast.Expression) -> None:
        """The expression meets a FLOAT in arithmetic: if it is a parameter, so is it."""
        if isinstance(node, ast.Name) and isinstance(node.meaning, Variable):
            variable = node.meaning
            if variable.is_parameter and variable.type in UNKNOWN:
                self.make_float(variable)

    # --- expressions ---------------------------------------------------------------------------

    def type_of(self, node: ast.Expression) -> ValueType:
        rule = EXPRESSIONS.get(type(node))
        if rule is not None:
            found: ValueType
            found = node.type = rule(self, node)
            return found
        # A long chain leans to the left: walk down it, then up.
        spine: list[ast.Binary] = []
        while type(node) is ast.Binary:
            spine.append(node)
            node = node.left
        rules = EXPRESSIONS
        type_ = node.type = rules[type(node)](self, node)
        while spine:
            parent = spine.pop()
            operand = parent.right
            kind = type(operand)
            if kind is ast.IntegerLiteral:
                operand.type = INTEGER
                if type_ is INTEGER and not parent.float_marked:
                    parent.type = type_ = OF_INTEGERS.get(parent.operator, INTEGER)
                    continue
            rule = rules.get(kind)
            if rule is not None:
                right = operand.type = rule(self, operand)
            else:
                right = self.type_of(operand)
            if type_ is INTEGER and right is INTEGER and not parent.float_marked:
                type_ = parent.type = OF_INTEGERS.get(parent.operator, INTEGER)
            else:
                type_ = parent.type = self.binary(parent, type_, right)
        return type_

    def name(self, node: ast.Name) -> ValueType:
        meaning = node.meaning
        if type(meaning) is Variable:
            meaning.seen = self.walk
            return meaning.type
        if isinstance(meaning, Constant):
            return FLOAT if isinstance(meaning.value, float) else INTEGER
        if isinstance(meaning, FieldInfo):
            return meaning.variable.type
        return WORD

    def unary(self, node: ast.Unary) -> ValueType:
        operand = self.type_of(node.operand)
        operator = node.operator
        if operator in ("-", "+"):
            return operand if operand in KEPT or operand.pack is not None else INTEGER
        if operator == "HD":
            return operand if operand is UNDECIDED else element_of(operand)
        if operator in ("TL", "REST"):
            return list_of(operand.element) if operand.is_node else as_list(operand)
        return CONVERSIONS[operator]

    def conditional(self, node: ast.Conditional) -> ValueType:
        self.type_of(node.condition)
        return join([self.type_of(node.then), self.type_of(node.otherwise)])

    def valof(self, node: ast.Valof) -> ValueType:
        self.results.append([])
        self.statement(node.body)
        types = self.results.pop()
        if node.is_float:
            return FLOAT
        return self.info.annotations.get(node) or join(types)

    def binary(self, node: ast.Binary, left: ValueType, right: ValueType) -> ValueType:
        operator = node.operator
        if operator in ARITHMETIC:
            if left.pack is not None or right.pack is not None:
                return left if left.pack is not None else right
            if left is right and left.name in PACK_VECTORS:
                return left
            if node.float_marked or left is FLOAT or right is FLOAT:
                self.evidence(node.left)
                self.evidence(node.right)
                return FLOAT
            return UNDECIDED if UNDECIDED in (left, right) else INTEGER
        if operator in FLOAT_INDEXING:
            return FLOAT
        if operator == "!":
            if left.is_list:
                return node_of(left.element)
            return left.element if left.is_vector and left.element is not None else WORD
        return INTEGER

    def lane(self, node: ast.Lane) -> ValueType:
        pack = self.type_of(node.pack)
        self.type_of(node.index)
        if pack.pack is not None:
            return FLOAT if pack.pack.is_float else INTEGER
        fields = self.fields_of(pack.class_info, node.member) if node.member else []
        return join([field.variable.type for field in fields]) if fields else INTEGER

    def bit_field(self, node: ast.BitField) -> ValueType:
        for part in (node.word, node.start, node.width):
            if part is not None:
                self.type_of(part)
        return INTEGER

    def constructor(self, node: ast.Constructor) -> ValueType:
        if node.size is not None:
            self.type_of(node.size)
        elements = [self.type_of(element) for element in node.elements]
        if node.kind in ("LIST", "MANIFESTLIST"):
            return list_of(join_elements(elements))
        fixed = {"STRING": STRING, "FTABLE": VECTORS["FVEC"], "TABLE": VEC}
        return fixed.get(node.kind) or PACKS.get(node.kind) or VECTORS[node.kind]

    # --- calls ---------------------------------------------------------------------------------

    def call(self, node: ast.Call) -> ValueType:
        callee = node.callee
        if not isinstance(callee, ast.Name):
            self.type_of(callee)
            self.arguments(None, node.arguments)
            return INTEGER
        callee.type = self.name(callee)
        meaning = callee.meaning
        if isinstance(meaning, FunctionInfo):
            return self.arguments(meaning, node.arguments)
        if isinstance(meaning, ClassInfo):
            self.arguments(meaning.methods.get("CREATE"), node.arguments)
            return meaning.type
        types = [self.type_of(argument) for argument in node.arguments]
        if isinstance(meaning, SpecialRoutine):
            self.special(meaning.name, node, types)
            if meaning.name == "MAP" and len(node.arguments) == 2:
                held = self.held_function(node.arguments[1])
                if held is not None:
                    return list_of(held.result)
            return special_result(meaning.name, types, node.arguments)
        if isinstance(meaning, Library):
            return ENTRY_RESULTS.get(meaning.entry.result, INTEGER)
        if isinstance(meaning, ExternalInfo):
            return meaning.value
        held = self.held_function(callee)
        return held.result if held is not None else INTEGER

    def special(self, name: str, node: ast.Call, types: list[ValueType]) -> None:
        """What a call of a special routine says of its arguments."""
        if len(types) != 2:
            return
        variable = self.variable_of(node.arguments[0])
        if variable is None:
            return
        if name in APPENDED:
            self.append_to(variable, APPENDED[name](types[1]))
        elif name == "SETTYPE" and isinstance(node.arguments[1], ast.Name | ast.IntegerLiteral):
            second = node.arguments[1]
            meaning = second.meaning if isinstance(second, ast.Name) else None
            number = second.value if isinstance(second, ast.IntegerLiteral) else None
            if isinstance(meaning, Constant) and isinstance(meaning.value, int):
                number = meaning.value
            type_ = SETTYPE_CLASSES.get(number or 0)
            if type_ is not None and variable.type is not type_:
                variable.fixed_type = True
                variable.seen = self.walk  # it was free before
                self.set_type(variable, type_)

    def append_to(self, variable: Variable, added: ValueType) -> None:
        """A list gets an atom of that class."""
        if added is UNDECIDED:
            return
        self.appended.setdefault(variable, set()).add(added)
        variable.seen = self.walk
        if variable.type in UNKNOWN:
            self.give(variable, list_of(None))
        elif variable.type.is_list and not variable.fixed_type:
            known = variable.type.element
            both = list_of(join_elements([added] if known is None else [known, added]))
            if both is not variable.type:
                self.set_type(variable, both)

    def variable_of(self, node: ast.Expression) -> Variable | None:
        """The variable or field that an expression names."""
        if type(node) is ast.Name:
            meaning = node.meaning
            if type(meaning) is Variable:
                return meaning
            return meaning.variable if isinstance(meaning, FieldInfo) else None
        if isinstance(node, ast.FieldAccess):
            fields = self.fields_of(self.class_of(node.receiver), node.name)
            return fields[0].variable if len(fields) == 1 else None
        return None

    def arguments(
        self, function: FunctionInfo | None, arguments: list[ast.Expression]
    ) -> ValueType:
        types = [self.type_of(argument) for argument in arguments]
        if function is None:
            return INTEGER
        passed = self.passed
        # Who else calls a method, or a function by its value, is not seen here.
        sees_all = function.class_info is None and not function.used_as_value
        for parameter, type_, argument in zip(function.parameters, types, arguments, strict=False):
            known = passed.get(parameter)
            if known is None:
                known = passed[parameter] = set()
            # A parameter that is passed to itself says nothing of its class.
            if type(argument) is not ast.Name or argument.meaning is not parameter:
                known.add(type_)
            if sees_all:
                self.hold(parameter, argument)
        return function.result

    def method_call(self, node: ast.MethodCall) -> ValueType:
        self.type_of(node.receiver)
        methods = self.methods_of(self.class_of(node.receiver), node.method)
        if not methods:
            self.arguments(None, node.arguments)
            return INTEGER
        return join([self.arguments(method, node.arguments) for method in methods])

    def super_call(self, node: ast.SuperCall) -> ValueType:
        info = self.function.class_info if self.function else None
        base = info.base if info else None
        method = base.methods.get(node.method) if base else None
        return self.arguments(method, node.arguments)

    def new(self, node: ast.New) -> ValueType:
        info = self.info.classes.get(node.class_name)
        create = info.methods.get("CREATE") if info else None
        self.arguments(create, node.arguments)
        return info.type if info else WORD

    def field_access(self, node: ast.FieldAccess) -> ValueType:
        self.type_of(node.receiver)
        info = self.class_of(node.receiver)
        fields = self.fields_of(info, node.name)
        if not fields:
            for method in self.methods_of(info, node.name):
                method.used_as_value = True
            return WORD
        return join([field.variable.type for field in fields])

    # --- members, for lowering too ---------------------------------------------------------------

    def class_of(self, node: ast.Expression) -> ClassInfo | None:
        type_ = node.type
        return type_.class_info if isinstance(type_, ValueType) else None

    def fields_of(self, info: ClassInfo | None, name: str) -> list[FieldInfo]:
        """The fields that an access can mean: of a known class one, else of every class."""
        if info is not None:
            return [info.fields[name]] if name in info.fields else []
        return [
            field
            for other in self.info.classes.values()
            for field in other.own_fields
            if field.name == name
        ]

    def methods_of(self, info: ClassInfo | None, name: str) -> list[FunctionInfo]:
        """The methods that a call can mean; of overriding ones the first declaration."""
        if info is not None:
            return [info.methods[name]] if name in info.methods else []
        found: list[FunctionInfo] = []
        for other in self.info.classes.values():
            method = other.methods.get(name)
            if method is None:
                continue
            root = root_of(method, name)
            if root not in found:
                found.append(root)
        return found

    def statement(self, node: ast.Statement) -> None:
        raise AssertionError("provided by Inference")


def root_of(method: FunctionInfo, name: str) -> FunctionInfo:
    """The first declaration that a method overrides: it has the vtable slot."""
    info = method.class_info
    if method.slot == 0:  # CREATE is each class's own
        return method
    while info is not None and info.base is not None and name in info.base.methods:
        method = info.base.methods[name]
        info = method.class_info
    return method


EXPRESSIONS: dict[type, Callable[..., ValueType]] = {
    ast.IntegerLiteral: lambda self, node: INTEGER,
    ast.FloatLiteral: lambda self, node: FLOAT,
    ast.StringLiteral: lambda self, node: STRING,
    ast.NullLiteral: lambda self, node: NULL,
    ast.Name: ExpressionInference.name,
    ast.Unary: ExpressionInference.unary,
    ast.Conditional: ExpressionInference.conditional,
    ast.Valof: ExpressionInference.valof,
    ast.Call: ExpressionInference.call,
    ast.MethodCall: ExpressionInference.method_call,
    ast.SuperCall: ExpressionInference.super_call,
    ast.New: ExpressionInference.new,
    ast.FieldAccess: ExpressionInference.field_access,
    ast.Lane: ExpressionInference.lane,
    ast.BitField: ExpressionInference.bit_field,
    ast.Constructor: ExpressionInference.constructor,
}
