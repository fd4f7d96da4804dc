"""Calls: direct where the callee is known, else through the closure's entry point.

Known are: functions that are defined once at top level, local functions that are never
assigned to, natives that nobody redefines.  Everything else is looked at: a closure
with as many parameters as there are arguments is entered at once, an instance whose
class the site's cache knows is given to the method that the cache has; whatever is
left goes to the runtime, which knows how to call every callable, and every message.
"""

from __future__ import annotations

from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import POINTER, VALUE
from callproof.ir import operations as op
from callproof.ir.model import Constant, Operand, Symbol
from callproof.ir.types import F64, I64
from callproof.runtime import sox_layout as layout
from callproof.sox import nodes as ast
from callproof.sox.kinds import CLOSURE, INSTANCE, TABLE
from callproof.sox.lower_allocation import new_instance
from callproof.sox.lower_expressions import ExpressionLowering
from callproof.sox.lower_state import EXPRESSIONS
from callproof.sox.signatures import NATIVE
from callproof.sox.symbols import (
    INITIALIZER,
    CaptureInfo,
    ClassInfo,
    FunctionInfo,
    GlobalInfo,
    LocalInfo,
)
from callproof.sox.values import NIL, UNDEFINED, SoxValue, number_value, object_value, word


def any_entry(count: int) -> Signature:
    """The signature of an unknown function with that many values."""
    values = tuple(Parameter(VALUE, f"argument {n + 1}") for n in range(count))
    return Signature((Parameter(POINTER, "self"), *values), VALUE)


class CallLowering(ExpressionLowering):
    """See the module."""

    def call(self, node: ast.Call) -> SoxValue:
        callee = node.callee
        if isinstance(callee, ast.Variable):
            meaning = callee.meaning
            if isinstance(meaning, GlobalInfo):
                if meaning.is_native and meaning.is_constant:
                    return self.call_native(node, meaning)
                if (class_ := global_class(meaning)) is not None and known_ancestors(class_):
                    return self.construct(node, callee, meaning, class_)
                function = global_function(meaning)
                if function is not None:
                    return self.call_global(node, callee, meaning, function)
            elif (function := self.local_function(meaning)) is not None:
                self.note(node, f"direct call of {function.name}: a local function")
                self.at(callee)
                value = self.read(meaning)
                arguments = self.arguments(node.arguments)
                self.at(node)
                return self.direct(function, self.payload(value), arguments)
        value = self.expression(callee)
        arguments = self.arguments(node.arguments)
        self.at(node)
        only = self.only_function(callee)
        if only is not None:
            self.note(node, f"direct call of {only.name}: nothing else gets here")
            return self.direct(only, self.payload(value), arguments)
        self.note(node, "indirect call: the callee is a value")
        return self.indirect(value, arguments)

    def only_function(self, callee: ast.Expression) -> FunctionInfo | None:
        """The function of every closure that the callee can be, if it is one."""
        kind = self.flow.kind(callee)
        functions = kind.functions
        return functions[0] if kind.tags == CLOSURE and len(functions) == 1 else None

    def note(self, node: ast.Expression, text: str) -> None:
        """For `--log-calls`."""
        self.program.calls.append((node.span, text))

    def arguments(self, nodes: list[ast.Expression]) -> list[SoxValue]:
        return [self.expression(one) for one in nodes]

    def local_function(self, meaning: LocalInfo | CaptureInfo) -> FunctionInfo | None:
        local = meaning.local if isinstance(meaning, CaptureInfo) else meaning
        return self.program.local_functions.get(local)

    def call_native(self, node: ast.Call, meaning: GlobalInfo) -> SoxValue:
        self.note(node, f"indirect call of native {meaning.name}: known, in the runtime")
        arguments = self.arguments(node.arguments)
        self.at(node)
        inline = INLINE.get((meaning.name, len(arguments)))
        if inline is not None:
            return inline(self, meaning, arguments)
        return self.native(meaning, arguments)

    def native(self, meaning: GlobalInfo, arguments: list[SoxValue]) -> SoxValue:
        native = Symbol(self.program.native(meaning.name))
        code = self.builder.load(I64, native, layout.NATIVE_FUNCTION)
        place = self.spill(arguments) if arguments else word(0)
        operands = [word(len(arguments)), place]
        tag, payload = self.builder.call(code, NATIVE, operands)
        return SoxValue(tag, payload)

    def push(self, meaning: GlobalInfo, arguments: list[SoxValue]) -> SoxValue:
        """An array with room left takes its element in place."""
        builder = self.builder
        array, element = arguments
        slow, look, room, done = map(builder.new_block, ("slow", "array", "room", "pushed"))
        self.branch(self.has_tag(array, layout.ARRAY), look, slow)
        builder.start(look)
        address = self.payload(array)
        count = builder.load(I64, address, layout.ARRAY_COUNT)
        capacity = builder.load(I64, address, layout.ARRAY_CAPACITY)
        builder.branch(builder.value(op.ULT, I64, count, capacity), room, slow)
        builder.start(room)
        items = builder.load(I64, address, layout.ARRAY_ITEMS)
        offset = builder.value(op.SHL, I64, count, word(4))
        self.store_value(element, builder.value(op.ADD, I64, items, offset))
        more = builder.value(op.ADD, I64, count, word(1))
        builder.store(I64, more, address, layout.ARRAY_COUNT)
        builder.jump(done)
        builder.start(slow)
        self.native(meaning, arguments)
        builder.jump(done)
        builder.start(done)
        return object_value(layout.ARRAY, self.payload(array))

    def square_root(self, meaning: GlobalInfo, arguments: list[SoxValue]) -> SoxValue:
        """The runtime has nothing but errors for what is no number or below 0."""
        builder = self.builder
        (value,) = arguments
        number, bad, fine = map(builder.new_block, ("number", "no_root", "root"))
        self.branch(self.has_tag(value, layout.NUMBER), number, bad)
        builder.start(number)
        x = self.number(value)
        builder.branch(builder.value(op.FLT, F64, x, Constant(F64, 0.0)), bad, fine)
        builder.start(bad)
        self.native(meaning, arguments)
        builder.unreachable()
        builder.start(fine)
        return number_value(builder.value(op.FSQRT, F64, x))

    def length(self, meaning: GlobalInfo, arguments: list[SoxValue]) -> SoxValue:
        """Of an array or a string it is a field."""
        builder = self.builder
        (container,) = arguments
        key = object()
        builder.declare(key, F64, "length")
        array, other, string, slow, done = map(
            builder.new_block, ("array", "other", "string", "slow", "length")
        )
        self.branch(self.has_tag(container, layout.ARRAY), array, other)
        for block, offset in ((array, layout.ARRAY_COUNT), (string, layout.STRING_LENGTH)):
            if block is string:
                builder.start(other)
                self.branch(self.has_tag(container, layout.STRING), string, slow)
            builder.start(block)
            count = builder.load(I64, self.payload(container), offset)
            builder.write(key, builder.value(op.SITOF, F64, count))
            builder.jump(done)
        builder.start(slow)
        builder.write(key, self.number(self.native(meaning, arguments)))
        builder.jump(done)
        builder.start(done)
        return number_value(builder.read(key))

    def floor(self, meaning: GlobalInfo, arguments: list[SoxValue]) -> SoxValue:
        """Of numbers from 0 to 2**52 a conversion there and back; the others keep their sign."""
        builder = self.builder
        (given,) = arguments
        key = object()
        builder.declare(key, F64, "floor")
        number, small, slow, done = map(builder.new_block, ("number", "small", "slow", "floor"))
        self.branch(self.has_tag(given, layout.NUMBER), number, slow)
        builder.start(number)
        # As words, positive numbers are in their order and negative ones behind all of them.
        in_range = builder.value(op.ULT, I64, self.payload(given), word(TWO_TO_52))
        builder.branch(in_range, small, slow)
        builder.start(small)
        whole = builder.value(op.FTOSI, I64, self.number(given))
        builder.write(key, builder.value(op.SITOF, F64, whole))
        builder.jump(done)
        builder.start(slow)
        builder.write(key, self.number(self.native(meaning, arguments)))
        builder.jump(done)
        builder.start(done)
        return number_value(builder.read(key))

    def call_global(
        self, node: ast.Call, callee: ast.Variable, meaning: GlobalInfo, function: FunctionInfo
    ) -> SoxValue:
        self.note(node, f"direct call of {function.name}: defined once, at top level")
        if not self.is_defined(meaning, function):
            self.at(callee)
            self.check_defined(meaning, self.builder.load(I64, self.global_address(meaning)))
        arguments = self.arguments(node.arguments)
        self.at(node)
        self_: Operand = word(0)
        if self.program.needs_closure(function):
            address = self.global_address(meaning)
            self_ = self.builder.load(I64, address, layout.VALUE_PAYLOAD)
        return self.direct(function, self_, arguments)

    def construct(
        self, node: ast.Call, callee: ast.Variable, meaning: GlobalInfo, class_: ClassInfo
    ) -> SoxValue:
        """An instance of a class that is known, and its initializer."""
        initializer = find_initializer(class_)
        self.at(callee)
        value = self.read(meaning)
        arguments = self.arguments(node.arguments)
        self.at(node)
        if initializer is None:
            if arguments:
                self.note(node, f"indirect call: {class_.name} takes no arguments")
                return self.indirect(value, arguments)
            self.note(node, f"no call: instances of {class_.name} have no initializer")
            return new_instance(self, self.payload(value))
        self.note(node, f"direct call of {class_.name}.init: the class is defined once")
        self_: Operand = word(0)
        if self.program.needs_closure(initializer):
            self_ = self.builder.load(I64, self.payload(value), layout.CLASS_INITIALIZER)
        instance = new_instance(self, self.payload(value))
        self.direct(initializer, self_, [instance, *arguments])
        return instance

    def is_defined(self, meaning: GlobalInfo, function: FunctionInfo) -> bool:
        """Whether the definition has run whenever control is here."""
        inside: FunctionInfo | None = self.function
        while inside is not None:
            if inside is function:
                return True
            inside = inside.enclosing
        return self.function.kind == "script" and meaning in self.program.defined

    def direct(self, function: FunctionInfo, self_: Operand, arguments: list[SoxValue]) -> SoxValue:
        """A call of a known function; `this` comes first among a method's arguments."""
        receiver = 1 if function.receiver is not None else 0
        count = len(arguments) - receiver
        program = self.program
        if not function.required <= count <= len(function.parameters):
            info = Symbol(program.info(function))
            self.fail("sox_wrong_count", info, word(count))
            self.builder.unreachable_block()
            return NIL
        given = [*arguments, *[UNDEFINED] * (len(function.parameters) - count)]
        form = program.typed(function)
        symbol = program.direct_entry(function)
        if form is None:
            operands = [self_, *self.words(*given)]
            tag, payload = self.builder.call(symbol, program.entry_signature(function), operands)
            return SoxValue(tag, payload)
        operands = [self_] if form.has_self else []
        if receiver:
            operands.append(self.payload(given.pop(0)))
        for value, known in zip(given, form.parameters, strict=True):
            if known == layout.NUMBER:
                operands.append(self.number(value))
            else:
                operands += self.words(value) if known is None else [self.payload(value)]
        results = self.builder.call(symbol, form.signature, operands)
        if form.result is None:
            return SoxValue(results[0], results[1])
        if form.result == layout.NUMBER:
            return number_value(results[0])
        return object_value(form.result, results[0])

    def indirect(self, callee: SoxValue, arguments: list[SoxValue]) -> SoxValue:
        builder = self.builder
        count = len(arguments)
        pair = self.fresh("result")
        closure, enter, slow, done = map(builder.new_block, ("closure", "enter", "slow", "called"))
        self.branch(self.has_tag(callee, layout.CLOSURE), closure, slow)
        builder.start(closure)
        address = self.payload(callee)
        info = builder.load(I64, address, layout.CLOSURE_INFO)
        maximum = builder.emit(op.LOAD_U32, I64, [info], offset=layout.INFO_MAXIMUM)
        assert maximum is not None
        builder.branch(builder.value(op.EQ, I64, maximum, word(count)), enter, slow)
        builder.start(enter)
        code = builder.load(I64, address, layout.CLOSURE_ENTRY)
        operands = [address, *self.words(*arguments)]
        tag, payload = builder.call(code, any_entry(count), operands)
        self.write_pair(pair, SoxValue(tag, payload))
        builder.jump(done)
        builder.start(slow)
        place = self.spill(arguments) if arguments else word(0)
        operands = [*self.words(callee), word(count), place]
        self.write_pair(pair, self.runtime_value("sox_call", *operands))
        builder.jump(done)
        builder.start(done)
        return self.read_pair(pair)

    def invoke(self, node: ast.Invoke) -> SoxValue:
        receiver = self.expression(node.receiver)
        arguments = self.arguments(node.arguments)
        self.at(node)
        kind = self.flow.kind(node.receiver)
        if kind.tags & INSTANCE and not kind.tags & TABLE:
            count = len(arguments)
            only = self.program.only_method(kind.classes, node.name, count, fields=True)
            if only is not None:
                self.note(node, f"direct call of method {node.name}: all instances here have it")
                return self.invoke_known(node.name, receiver, arguments, only)
        self.note(node, f"indirect call of method {node.name}: through the site's cache")
        builder = self.builder
        cache = Symbol(self.program.cache())
        pair = self.fresh("result")
        slow, enter, done = map(builder.new_block, ("slow", "enter", "called"))
        instance = self.instance_with_shape(receiver, cache, slow)
        method = builder.load(I64, cache, layout.CACHE_METHOD)
        builder.branch(builder.value(op.NE, I64, method, word(0)), enter, slow)
        builder.start(enter)
        code = builder.load(I64, method, layout.CLOSURE_ENTRY)
        this = object_value(layout.INSTANCE, instance)
        operands = [method, *self.words(this, *arguments)]
        tag, payload = builder.call(code, any_entry(len(arguments) + 1), operands)
        self.write_pair(pair, SoxValue(tag, payload))
        builder.jump(done)
        builder.start(slow)
        frame = self.spill([receiver, *arguments])
        name = Symbol(self.program.name_string(node.name))
        operands = [name, cache, word(len(arguments)), frame]
        self.write_pair(pair, self.runtime_value("sox_invoke", *operands))
        builder.jump(done)
        builder.start(done)
        return self.read_pair(pair)

    def invoke_known(
        self, name: str, receiver: SoxValue, arguments: list[SoxValue], method: FunctionInfo
    ) -> SoxValue:
        if self.tag_of(receiver) != layout.INSTANCE:
            builder = self.builder
            bad, fine = builder.new_block("no_instance"), builder.new_block("instance")
            self.branch(self.has_tag(receiver, layout.INSTANCE), fine, bad)
            builder.start(bad)
            frame = self.spill([receiver, *arguments])
            text, cache = Symbol(self.program.name_string(name)), Symbol(self.program.cache())
            self.fail("sox_invoke", text, cache, word(len(arguments)), frame)
            builder.start(fine)
            self.learn(receiver, layout.INSTANCE)
        return self.direct(method, word(0), [receiver, *arguments])

    def super_get(self, node: ast.SuperGet) -> SoxValue:
        self.at(node)
        this, parent = self.this_value(node.this), self.read(node.parent)
        name = Symbol(self.program.name_string(node.name))
        return self.runtime_value("sox_get_super", *self.words(parent, this), name)

    def super_invoke(self, node: ast.SuperInvoke) -> SoxValue:
        this = self.this_value(node.this)
        arguments = self.arguments(node.arguments)
        self.at(node)
        only = self.program.known_super(node)
        if only is not None:
            self.note(node, f"direct call of super.{node.name}: the superclass is known")
            return self.direct(only, word(0), [this, *arguments])
        self.note(node, f"indirect call of super.{node.name}: looked up in the superclass")
        parent = self.read(node.parent)
        frame = self.spill([this, *arguments])
        name = Symbol(self.program.name_string(node.name))
        operands = [*self.words(parent), name, word(len(arguments)), frame]
        return self.runtime_value("sox_invoke_super", *operands)


def global_function(meaning: GlobalInfo) -> FunctionInfo | None:
    """The function that a global always is, once it is anything."""
    if not meaning.is_constant or len(meaning.definitions) != 1:
        return None
    (definition,) = meaning.definitions
    return definition.function if isinstance(definition, ast.FunctionDeclaration) else None


def global_class(meaning: GlobalInfo) -> ClassInfo | None:
    """The class that a global always is, once it is anything."""
    if not meaning.is_constant or len(meaning.definitions) != 1:
        return None
    (definition,) = meaning.definitions
    return definition.info if isinstance(definition, ast.ClassDeclaration) else None


def superclass(class_: ClassInfo) -> ClassInfo | None:
    parent = class_.superclass
    if parent is None or not isinstance(parent.meaning, GlobalInfo):
        return None
    return global_class(parent.meaning)


def known_ancestors(class_: ClassInfo) -> bool:
    """Whether all superclasses are known."""
    seen: set[int] = set()
    at: ClassInfo | None = class_
    while at is not None and at.superclass is not None and id(at) not in seen:
        seen.add(id(at))
        at = superclass(at)
    return at is not None and at.superclass is None


def find_initializer(class_: ClassInfo) -> FunctionInfo | None:
    """Its own `init` or the nearest superclass's; all of them are known."""
    at: ClassInfo | None = class_
    while at is not None:
        own = [method for method in at.methods if method.kind == INITIALIZER]
        if own:
            return own[-1]  # the last one replaces those before
        at = superclass(at)
    return None


TWO_TO_52 = 0x4330000000000000  # the bits of that number

INLINE = {
    ("push", 2): CallLowering.push,
    ("len", 1): CallLowering.length,
    ("mathSqrt", 1): CallLowering.square_root,
    ("mathFloor", 1): CallLowering.floor,
}

EXPRESSIONS[ast.Call] = CallLowering.call
EXPRESSIONS[ast.Invoke] = CallLowering.invoke
EXPRESSIONS[ast.SuperGet] = CallLowering.super_get
EXPRESSIONS[ast.SuperInvoke] = CallLowering.super_invoke
