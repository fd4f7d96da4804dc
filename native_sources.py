"""Python files as mypyc shall see them: the same program, said so that more of it is native.

    field: Type               field: "Type"            in class bodies
    NAME = value              NAME: Final = value      what modules bind once and never again
    @dataclass class          its methods written out

By `from __future__ import annotations` the first two are the same to Python.  mypyc loads what
an unquoted annotation names when the class is made, and that may be a name that only type
checkers import; it looks a name that is not final up in a dictionary each time; and what the
`dataclass` decorator makes is interpreted, called as from Python, and takes a millisecond to
make.  A frozen class is not frozen any more: type checkers have seen that nobody changes it.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*$")
GENERIC = frozenset("tuple list dict set frozenset type Callable Sequence Mapping".split())
FINAL = "from typing import Final as _Final, Any as _Any"
MADE_BY = {"list": "[]", "dict": "{}", "set": "set()"}  # by a default_factory of that name


@dataclass(slots=True)
class Field:
    """Of a dataclass; `default` is Python text, '' for none.  `fresh`: it is computed anew for
    each object, as a `default_factory` is."""

    name: str
    annotation: str
    default: str = ""
    fresh: bool = False
    keyword_only: bool = False
    compared: bool = True
    shown: bool = True
    constant: bool = True  # its default means the same in every module


@dataclass(slots=True)
class DataClass:
    """What the decorator is told, and the fields in the order of the parameters; `whole` is
    false where there is something that this module does not write out."""

    name: str
    equal: bool
    frozen: bool
    shown: bool
    fields: dict[str, Field] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    methods: set[str] = field(default_factory=set)
    whole: bool = True


Classes = dict[tuple[str, str], DataClass]  # by module and name
Place = tuple[int, int]  # line from 1, column in bytes from 0
Edit = tuple[Place, Place, str]  # what from there to there becomes


def module_name(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


# --- dataclasses -----------------------------------------------------------------------------


def data_classes(sources: Mapping[str, str]) -> Classes:
    """Those of the modules' own level, of modules by their paths."""
    trees = {module_name(path): ast.parse(text) for path, text in sources.items()}
    nodes = {
        (module, node.name): node
        for module, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
    imported = {
        (module, alias.asname or alias.name): (node.module or "", alias.name)
        for module, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    found: Classes = {}

    def visit(key: tuple[str, str]) -> DataClass | None:
        """The class of that name, its bases before it."""
        key = imported.get(key, key)
        node = nodes.get(key)
        if key in found or node is None:
            return found.get(key)
        options = _options(node)
        if options is None:
            return None
        made = DataClass(
            node.name,
            options.get("eq", True),
            options.get("frozen", False),
            options.get("repr", True),
        )
        for base in node.bases:
            above = visit((key[0], base.id)) if isinstance(base, ast.Name) else None
            if above is not None:
                made.fields.update(above.fields)
                made.whole &= above.whole
            elif not isinstance(base, ast.Name) or _has_fields(nodes.get((key[0], base.id))):
                made.whole = False
        _read_fields(made, node, lambda name: imported.get((key[0], name), ("", name))[1])
        made.whole &= not node.keywords and set(options) <= {"eq", "frozen", "slots", "repr"}
        found[key] = made
        return made

    for key in nodes:
        visit(key)
    return found


def _has_fields(node: ast.ClassDef | None) -> bool:
    """Whether a base that is no dataclass may be more than an empty class."""
    return node is None or any(isinstance(one, ast.FunctionDef) for one in node.body)


def _options(node: ast.ClassDef) -> dict[str, bool] | None:
    """The decorator's, if `dataclass` is the only one."""
    if len(node.decorator_list) != 1:
        return None
    decorator = node.decorator_list[0]
    if isinstance(decorator, ast.Name) and decorator.id == "dataclass":
        return {}
    if not (isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name)):
        return None
    if decorator.func.id != "dataclass":
        return None
    return {
        word.arg or "": isinstance(word.value, ast.Constant) and word.value.value is True
        for word in decorator.keywords
    }


def _read_fields(made: DataClass, node: ast.ClassDef, original: Callable[[str], str]) -> None:
    """`original` gives what a name is called where it is imported from."""
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef):
            made.methods.add(statement.name)
        if not isinstance(statement, ast.AnnAssign):
            continue
        annotation = ast.unparse(statement.annotation)
        if not isinstance(statement.target, ast.Name) or "InitVar" in annotation:
            made.whole = False
            continue
        if annotation.startswith("ClassVar"):
            continue
        name = statement.target.id
        found = Field(name, annotation)
        if statement.value is not None:
            made.whole &= _read_default(found, statement.value, original)
        made.fields[name] = found
        made.own.add(name)


def _read_default(found: Field, value: ast.expr, original: Callable[[str], str]) -> bool:
    """Whether all that is said of the field is understood."""
    if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Name)):
        found.default = ast.unparse(value)
        found.constant = isinstance(value, ast.Constant)
        return True
    if original(value.func.id) != "field":
        found.default, found.constant = ast.unparse(value), False
        return True
    for word in value.keywords:
        told = isinstance(word.value, ast.Constant) and bool(word.value.value)
        match word.arg:
            case "default":
                found.default = ast.unparse(word.value)
                found.constant = isinstance(word.value, ast.Constant)
            case "default_factory":
                factory = ast.unparse(word.value)
                found.fresh = True
                found.default = MADE_BY.get(factory, f"({factory})()")
                found.constant = factory in MADE_BY
            case "kw_only":
                found.keyword_only = told
            case "compare":
                found.compared = told
            case "repr":
                found.shown = told
            case _:
                return False
    return True


def written_out(made: DataClass) -> list[str]:
    """The lines of the methods that the decorator would make, without the class's indentation;
    none if this module does not understand all of the class."""
    inherited = [one for one in made.fields.values() if one.name not in made.own]
    if not made.whole or not all(one.constant or not one.default for one in inherited):
        return []
    lines: list[str] = []
    if "__init__" not in made.methods:
        lines += _init(made)
    if made.shown and "__repr__" not in made.methods:
        shown = ", ".join(
            f"{one.name}={{self.{one.name}!r}}" for one in made.fields.values() if one.shown
        )
        lines += ["def __repr__(self) -> str:", f'    return f"{made.name}({shown})"']
    compared = [one.name for one in made.fields.values() if one.compared]
    if made.equal and "__eq__" not in made.methods:
        mine = "".join(f"self.{name}, " for name in compared)
        others = "".join(f"other.{name}, " for name in compared)
        lines += [
            "def __eq__(self, other: object) -> _Any:",
            "    if self is other: return True",
            "    if type(other) is not type(self): return NotImplemented",
            f"    assert isinstance(other, {made.name})",
            f"    return ({mine}) == ({others})",
        ]
        if made.frozen and "__hash__" not in made.methods:
            lines += ["def __hash__(self) -> int:", f"    return hash(({mine}))"]
    return lines


def _init(made: DataClass) -> list[str]:
    fields = list(made.fields.values())
    plain = [one for one in fields if not one.keyword_only]
    keyword = [one for one in fields if one.keyword_only]
    words = ["self", *(_parameter(made, one) for one in plain)]
    if keyword:
        words += ["*", *(_parameter(made, one) for one in keyword)]
    lines = [f"def __init__({', '.join(words)}) -> None:"]
    for one in fields:
        if one.fresh:
            lines.append(
                f"    self.{one.name} = {one.default} if {one.name} is None else {one.name}"
            )
        else:
            lines.append(f"    self.{one.name} = {one.name}")
    if "__post_init__" in made.methods:
        lines.append("    self.__post_init__()")
    return lines if len(lines) > 1 else [*lines, "    pass"]


def _parameter(made: DataClass, one: Field) -> str:
    # The names in an inherited field's annotation may not be known in this module, and in the
    # class a field's name is the field.
    hidden = not made.fields.keys().isdisjoint(re.findall(r"\w+", one.annotation))
    annotation = one.annotation.strip("'\"") if one.name in made.own and not hidden else "_Any"
    if one.fresh:
        return f"{one.name}: _Any = None"
    default = f" = {one.default}" if one.default else ""
    return f'{one.name}: "{annotation}"{default}'


# --- constants -------------------------------------------------------------------------------


def bound_once(tree: ast.Module) -> set[str]:
    """Names that the module binds once, and no function as a `global`."""
    count: Counter[str] = Counter()
    for node in _outside_functions(tree.body):
        match node:
            case ast.Name(ctx=ast.Store() | ast.Del()):
                count[node.id] += 1
            case ast.FunctionDef() | ast.ClassDef():
                count[node.name] += 1
            case ast.Import() | ast.ImportFrom():
                count.update((one.asname or one.name).partition(".")[0] for one in node.names)
            case ast.ExceptHandler(name=str(name)):
                count[name] += 1
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            count.update(node.names * 2)
    return {name for name, times in count.items() if times == 1}


def _outside_functions(body: Iterable[ast.AST]) -> Iterable[ast.AST]:
    """All nodes but those in functions and classes, whose names are their own."""
    pending = list(body)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
            pending += ast.iter_child_nodes(node)


def final_constants(tree: ast.Module, text: str) -> list[Edit]:
    """What makes names of the module's own level final."""
    once = bound_once(tree)
    found: list[Edit] = []
    for number, statement in enumerate(tree.body):
        match statement:
            case ast.Assign(targets=[ast.Name(id=name) as target], value=value):
                if name in once and CONSTANT.match(name) and not _is_type(value):
                    end = _place(target)[1]
                    found.append((end, end, ": _Final"))
            case ast.AnnAssign(target=ast.Name(id=name), annotation=kind, value=ast.expr()):
                shown = ast.unparse(kind).strip("'\"")
                if name in once and not shown.startswith(("Final", "TypeAlias", "ClassVar")):
                    found.append((*_place(kind), f'"_Final[{shown}]"'))
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=value):
                names = [one.id for one in targets if isinstance(one, ast.Name)]
                if len(names) == len(targets) and all(
                    name in once and CONSTANT.match(name) for name in names
                ):
                    new = _each(names, value, text, f"_constants_{number}")
                    if new:
                        found.append((*_place(statement), new))
    return found


def _is_type(value: ast.expr) -> bool:
    """Whether an uppercase name may be that of a type: a type variable, an alias."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr):
        return all(isinstance(one, (ast.Name, ast.Constant)) for one in (value.left, value.right))
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id in ("TypeVar", "NewType", "ParamSpec")
    if isinstance(value, ast.Subscript) and isinstance(value.value, ast.Name):
        return value.value.id in GENERIC
    return isinstance(value, ast.Name) and not CONSTANT.match(value.id)


def _each(names: Sequence[str], value: ast.expr, text: str, temporary: str) -> str:
    """`A, B = value` as one statement for each; '' where that may not be the same."""
    first = ""
    match value:
        case ast.Tuple(elts=parts) if len(parts) == len(names):
            if any(isinstance(part, ast.Starred) for part in parts):
                return ""
            shown = [f"({ast.get_source_segment(text, part)})" for part in parts]
        case ast.Call(func=ast.Name(id="range"), args=[ast.Constant(value=int(count))]):
            if count != len(names):
                return ""
            shown = [str(number) for number in range(count)]
        case ast.GeneratorExp():
            shown = [f"{temporary}[{index}]" for index in range(len(names))]
            first = f"{temporary}: _Final = tuple({ast.get_source_segment(text, value)}); "
        case _:
            return ""
    each = (f"{name}: _Final = {part}" for name, part in zip(names, shown, strict=True))
    return first + "; ".join(each)


# --- the whole -------------------------------------------------------------------------------


def native_sources(sources: Mapping[str, str]) -> dict[str, str]:
    """Modules by their paths, as mypyc shall see them."""
    classes = data_classes(sources)
    return {path: _rewritten(path, text, classes) for path, text in sources.items()}


def _rewritten(path: str, text: str, classes: Classes) -> str:
    tree = ast.parse(text)
    lines = text.encode().split(b"\n")  # `ast` counts columns in bytes
    edits: list[Edit] = []
    absent = _for_type_checkers(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for one in node.body:
                if isinstance(one, ast.AnnAssign):
                    shown = ast.unparse(one.annotation).strip("'\"")
                    if shown.startswith(("ClassVar", "InitVar")):
                        continue  # the decorator looks for these words
                    if node.decorator_list and (shown in absent or shown == "object"):
                        # The decorator is given the class itself, which may not be made yet
                        # (and `object` mypyc does not find).
                        shown = "_Any"
                    edits.append((*_place(one.annotation), f'"{shown}"'))
    edits += final_constants(tree, text)
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef):
            made = classes.get((module_name(path), statement.name))
            new_lines = written_out(made) if made is not None else []
            if new_lines:
                end = _place(statement)[1]
                edits.append((end, end, "".join(f"\n    {line}" for line in new_lines)))
                decorator = statement.decorator_list[0]
                edits.append((*_place(decorator), "dataclass(init=False, repr=False, eq=False)"))
    for start, end, new in sorted(edits, key=lambda edit: edit[0], reverse=True):
        before = lines[start[0] - 1][: start[1]]
        after = lines[end[0] - 1][end[1] :]
        lines[start[0] - 1 : end[0]] = [before + new.encode() + after]
    result = b"\n".join(lines).decode()
    future = "from __future__ import annotations\n"
    return result.replace(future, f"{future}{FINAL}\n", 1)


def _for_type_checkers(tree: ast.Module) -> set[str]:
    """Names that are only imported for them."""
    return {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for one in node.body
        if isinstance(one, ast.ImportFrom)
        for alias in one.names
    }


def _place(node: ast.expr | ast.stmt) -> tuple[Place, Place]:
    assert node.end_lineno is not None and node.end_col_offset is not None
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


__all__ = ["native_sources"]
