"""What every part of the resolver uses: scopes, looking names up, constants, annotations."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from callproof.bcpl import nodes as ast
from callproof.bcpl.constants import fold
from callproof.bcpl.external import ExternalInfo
from callproof.bcpl.symbols import (
    SPECIALS,
    Constant,
    FieldInfo,
    FunctionInfo,
    Library,
    ProgramInfo,
    SpecialRoutine,
    Variable,
    special_name,
)
from callproof.bcpl.value_types import (
    BY_NAME,
    FLOAT,
    FVEC,
    INTEGER,
    TAGS,
    UNDECIDED,
    WORD,
    ValueType,
    list_of,
    vector_of,
)
from callproof.runtime.entries import ENTRIES, lookup
from callproof.source import Diagnostics, Note, Span


def suggestion(name: str, names: Iterable[str]) -> list[Note]:
    """A note with the name that was probably meant; nothing if none comes near."""
    known = list(names)
    close = get_close_matches(name, known, n=1, cutoff=0.7)
    if not close:  # as if all were written in the same letters
        lower = {other.lower(): other for other in known}
        close = [lower[one] for one in get_close_matches(name.lower(), lower, n=1, cutoff=0.7)]
    return [Note(f"did you mean '{close[0]}'?")] if close else []


class ScopeKeeper:
    """The state of the resolver; see `resolve.Resolver`."""

    def __init__(self, program: ast.Program, diagnostics: Diagnostics) -> None:
        self.program = program
        self.diagnostics = diagnostics
        self.info = ProgramInfo()
        self.scopes: list[dict[str, object]] = []
        self.locals_of: dict[object, list[Variable]] = {}
        self.function: FunctionInfo | None = None
        # What encloses the place: loops, switches and VALOFs of the function.
        self.loops = self.switches = self.valofs = 0
        # Around the place: loops, VALOFs and so on, into which no GOTO may lead.
        self.regions: tuple[ast.Node, ...] = ()
        self.labels: dict[str, tuple[ast.Label, tuple[ast.Node, ...]]] = {}
        self.gotos: list[tuple[ast.Goto, tuple[ast.Node, ...]]] = []
        self.c_symbols: set[str] = set()
        self.exports = False  # functions get names that are not C's
        self.c_functions: dict[str, ExternalInfo] = {}
        self.nested: list[tuple[FunctionInfo, list[dict[str, object]]]] = []
        self.nested_symbols: set[str] = set()
        self.hidden: dict[str, set[str]] = {}  # nested function's symbol -> variables around it

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

    def annotated(self, annotation: ast.TypeExpression | None) -> ValueType | None:
        """The class that an annotation names; None without one."""
        if annotation is None:
            return None
        name, of = annotation.name, annotation.of
        if name in self.info.classes:
            return self.info.classes[name].type
        found = BY_NAME.get(name.upper())
        if found is None:
            self.diagnostics.error(
                f"'{name}' is no type",
                annotation.span,
                suggestion(name, [*BY_NAME, *self.info.classes]),
            )
            return WORD
        element = self.annotated(of)
        if element is not None and found.is_list:
            return list_of(element)
        if element is not None and found.is_vector:
            return vector_of(element)
        if annotation.is_pointer and found in (INTEGER, FLOAT):
            # An address, whatever is at it: what `p!i` gives is all that it says.
            return FVEC if found is FLOAT else WORD
        return found

    def same_number(self, names: list[str], values: list[ast.Expression], span: Span) -> bool:
        """As many values as names; or one, which then must be a pack to be taken apart."""
        if len(names) == len(values) or len(values) == 1:
            return True
        self.diagnostics.error(f"{len(names)} names, but {len(values)} values", span)
        return False

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
        return TAGS.get(name)

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
        special = special_name(name)
        if special:
            return SpecialRoutine(special, SPECIALS[special])
        if name in TAGS:
            return Constant(name, TAGS[name], self.program.span)
        return None

    def unknown(self, name: str, span: Span, what: str, among: Iterable[str]) -> None:
        notes = suggestion(name, among)
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
        return [*names, *self.info.names, *ENTRIES, *SPECIALS]

    def local(self, name: str, type_: ValueType | None, span: Span) -> Variable:
        variable = Variable(name, type_ or UNDECIDED, span, fixed_type=type_ is not None)
        self.scopes[-1][name] = variable
        return variable
