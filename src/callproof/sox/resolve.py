"""What each name means, found while the parser reads it.

The reference compiles in a single pass, and an error in the meaning of a name puts it into the
same panic mode as one in the syntax.  To report the same errors at the same tokens, scopes
are followed during parsing; since a local must be declared before its use and globals are late
bound, nothing that comes later can change what a name means.
"""

from __future__ import annotations

from collections.abc import Callable

from callproof.runtime.sox_entries import NATIVES
from callproof.source import Span
from callproof.sox.symbols import (
    ARGUMENTS,
    DECLARED,
    MODULE,
    SCRIPT,
    SET,
    CaptureInfo,
    ClassInfo,
    FunctionInfo,
    GlobalInfo,
    LocalInfo,
    Module,
    Resolution,
)

DUPLICATE = "Already a variable with this name in this scope."
OWN_INITIALIZER = "Can't read local variable in its own initializer."


class FunctionScope:
    """The scopes of a function that is being parsed, outermost first; each maps its names.

    `loops` and `switches` count what `break` and `continue` could leave.  A script's first
    scope is its globals and holds nothing here.
    """

    __slots__ = ("captures", "info", "loops", "outer", "scopes", "switches")

    def __init__(self, info: FunctionInfo, outer: FunctionScope | None) -> None:
        self.info = info
        self.outer = outer
        self.scopes: list[dict[str, LocalInfo]] = [{}]
        self.captures: dict[LocalInfo, CaptureInfo] = {}
        self.loops = 0
        self.switches = 0

    @property
    def is_global(self) -> bool:
        return self.info.kind in (SCRIPT, MODULE) and len(self.scopes) == 1

    def find(self, name: str) -> LocalInfo | None:
        for scope in reversed(self.scopes):
            found = scope.get(name)
            if found is not None:
                return found
        return None


class Resolver:
    """Follows the scopes of one module.  `report` gets the errors, at the last token read."""

    def __init__(self, module: Module, top: FunctionInfo, report: Callable[[str], None]) -> None:
        self.module = module
        self.report = report
        self.scope = FunctionScope(top, None)
        self.classes: ClassInfo | None = None
        module.function = top

    # --- scopes -------------------------------------------------------------------------

    def begin_function(self, info: FunctionInfo) -> None:
        self.scope = FunctionScope(info, self.scope)
        self.module.functions.append(info)
        if info.owner is not None:
            info.receiver = self.hidden("this", info.span)

    def end_function(self) -> None:
        assert self.scope.outer is not None
        self.scope = self.scope.outer

    def begin_scope(self) -> None:
        self.scope.scopes.append({})

    def end_scope(self) -> None:
        self.scope.scopes.pop()

    # --- declarations -------------------------------------------------------------------

    def declare(self, name: str, span: Span) -> GlobalInfo | LocalInfo:
        """A new variable in the present scope; a local may be read when its state is set on."""
        if self.scope.is_global:
            return self.global_named(name)
        names = self.scope.scopes[-1]
        if name in names:
            self.report(DUPLICATE)
        local = self.new_local(name, span)
        names[name] = local
        return local

    def hidden(self, name: str, span: Span) -> LocalInfo:
        """`this` or `super`, which no declaration can clash with: both are keywords."""
        local = self.new_local(name, span)
        local.state = SET
        self.scope.scopes[-1][name] = local
        return local

    def new_local(self, name: str, span: Span) -> LocalInfo:
        function = self.scope.info
        local = LocalInfo(name, function, span, len(function.locals))
        function.locals.append(local)
        return local

    def global_named(self, name: str) -> GlobalInfo:
        found = self.module.globals.get(name)
        if found is None:
            initial = "native" if name in NATIVES else "argument" if name in ARGUMENTS else ""
            found = GlobalInfo(name, self.module, initial, self.module.is_open)
            self.module.globals[name] = found
        return found

    # --- uses ---------------------------------------------------------------------------

    def resolve(self, name: str) -> Resolution:
        """What a name means here, without counting the use."""
        found = self.find_in(self.scope, name)
        return self.global_named(name) if found is None else found

    def find_in(self, scope: FunctionScope, name: str) -> LocalInfo | CaptureInfo | None:
        """A local of `scope` or of the functions around it; None for a global."""
        path: list[FunctionScope] = []
        at: FunctionScope | None = scope
        local: LocalInfo | None = None
        while at is not None:
            local = at.find(name)
            if local is not None:
                break
            path.append(at)
            at = at.outer
        if local is None:
            return None
        if local.state == DECLARED:
            self.report(OWN_INITIALIZER)
        source: LocalInfo | CaptureInfo = local
        for inner in reversed(path):
            source = self.capture(inner, source, local)
        return source

    def capture(
        self, scope: FunctionScope, source: LocalInfo | CaptureInfo, local: LocalInfo
    ) -> CaptureInfo:
        found = scope.captures.get(local)
        if found is None:
            captures = scope.info.captures
            if isinstance(source, CaptureInfo):
                source.passed_on = True
            found = scope.captures[local] = CaptureInfo(scope.info, len(captures), source, local)
            captures.append(found)
            local.is_captured = True
            if local.state != SET:
                local.is_captured_early = True
        return found

    def read(self, name: str) -> Resolution:
        meaning = self.resolve(name)
        (meaning.local if isinstance(meaning, CaptureInfo) else meaning).reads += 1
        return meaning

    def assign(self, name: str) -> Resolution:
        meaning = self.resolve(name)
        if isinstance(meaning, CaptureInfo):
            meaning.local.is_reassigned = True
        elif isinstance(meaning, LocalInfo):
            meaning.is_reassigned = True
        return meaning

    def this(self) -> LocalInfo | CaptureInfo | None:
        return self.keyword("this")

    def parent(self) -> LocalInfo | CaptureInfo | None:
        return self.keyword("super")

    def keyword(self, name: str) -> LocalInfo | CaptureInfo | None:
        """`this` or `super`; every function on the way to it is marked."""
        found = self.find_in(self.scope, name)
        if found is not None:
            at: FunctionInfo | None = self.scope.info
            while at is not None:
                at.uses_this |= name == "this"
                at.uses_super |= name == "super"
                at = at.enclosing if at.owner is None else None
        return found

    # --- questions ----------------------------------------------------------------------

    @property
    def kind(self) -> str:
        return self.scope.info.kind
