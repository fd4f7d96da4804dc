"""What the names of a Sox program mean: globals, locals, captures, functions, classes, modules.

The resolver makes these while the program is parsed; the nodes refer to them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from callproof.source import Diagnostic, SourceFile, Span

if TYPE_CHECKING:
    from callproof.sox import nodes as ast

# Kinds of functions.
SCRIPT, MODULE, FUNCTION, METHOD, INITIALIZER, DEFER = (
    "script",
    "module",
    "function",
    "method",
    "initializer",
    "defer",
)

# States of a local while its scope is parsed: its initializer may not read it; a function may
# call itself; it has its value.
DECLARED, READABLE, SET = 0, 1, 2

ARGUMENTS = frozenset(("argc", "argv"))


@dataclass(slots=True, eq=False)
class GlobalInfo:
    """One global name of one module; it need not be defined anywhere.

    `initial` is what it holds before the module runs: 'native', 'argument' (`argc`, `argv`)
    or '' (nothing: reading it is an error).  Every module has its own `len`, so that one that
    redefines it does not change it for the others.
    """

    name: str
    module: Module
    initial: str
    is_open: bool = False  # text that is not there yet may define it and assign to it
    definitions: list[ast.Definition] = field(default_factory=list)
    assignments: list[ast.Assign] = field(default_factory=list)
    reads: int = 0  # the calls included
    calls: int = 0

    @property
    def is_native(self) -> bool:
        return self.initial == "native"

    @property
    def is_constant(self) -> bool:
        """It holds one value only, from the start (a native) or once its definition has run.

        A definition at top level runs once at most: loops make scopes of their own.
        """
        if self.is_open:
            return False
        written = len(self.definitions) + len(self.assignments)
        return written == 0 if self.initial else written == 1 and not self.assignments


@dataclass(slots=True, eq=False)
class LocalInfo:
    """A variable of a function, a parameter, or the hidden `this` and `super`."""

    name: str
    function: FunctionInfo
    span: Span
    index: int  # in `function.locals`
    is_parameter: bool = False
    is_captured: bool = False
    is_reassigned: bool = False  # other than by its declaration or its loop
    is_captured_early: bool = False  # by a closure made before it has its value: `fn f() { f }`
    reads: int = 0
    state: int = 0  # DECLARED, later READABLE, at last SET

    @property
    def needs_cell(self) -> bool:
        """Closures must share the variable; otherwise each may copy its value."""
        return self.is_captured and (self.is_reassigned or self.is_captured_early)


@dataclass(slots=True, eq=False)
class CaptureInfo:
    """A variable of an outer function as seen by `function`.

    `index` in `function.captures`; `source` is what the *enclosing* function copies into the
    closure when it makes it; `local` the variable in the end.  `passed_on`: a closure inside
    captures it in turn.
    """

    function: FunctionInfo
    index: int
    source: LocalInfo | CaptureInfo
    local: LocalInfo
    passed_on: bool = False

    @property
    def name(self) -> str:
        return self.local.name


Resolution = GlobalInfo | LocalInfo | CaptureInfo


@dataclass(slots=True, eq=False)
class Parameter:
    local: LocalInfo
    default: ast.Expression | None = None


@dataclass(slots=True, eq=False)
class FunctionInfo:
    """A function, a method, the body of a `defer`, or the top level of a file.

    `name` is '' for the top level; `kind` see above; `receiver` the hidden local `this` of
    methods and initializers.  `end_line` is the line of its closing brace (or end of file),
    which the reference reports for what runs when control falls off the end.  `supers` are
    the expressions with `super` in its own code.
    """

    name: str
    kind: str
    span: Span
    module: Module
    enclosing: FunctionInfo | None = None
    parameters: list[Parameter] = field(default_factory=list)
    body: list[ast.Statement] = field(default_factory=list)
    locals: list[LocalInfo] = field(default_factory=list)
    captures: list[CaptureInfo] = field(default_factory=list)
    supers: list[ast.SuperGet | ast.SuperInvoke] = field(default_factory=list)
    receiver: LocalInfo | None = None
    owner: ClassInfo | None = None
    uses_this: bool = False
    uses_super: bool = False
    has_defer: bool = False
    is_test: bool = False
    line: int = 0
    end_line: int = 0

    @property
    def required(self) -> int:
        """How many arguments a call must have; parameters after those have defaults."""
        return next(
            (at for at, one in enumerate(self.parameters) if one.default is not None),
            len(self.parameters),
        )


@dataclass(slots=True, eq=False)
class ClassInfo:
    """`parent` is the hidden local `super` of a class with a superclass."""

    name: str
    methods: list[FunctionInfo] = field(default_factory=list)
    superclass: ast.Variable | None = None
    parent: LocalInfo | None = None
    enclosing: ClassInfo | None = None


@dataclass(slots=True, eq=False)
class Module:
    """One file.  `key` is the path as the import has it ('' for the script itself)."""

    key: str
    path: Path | None
    source: SourceFile
    function: FunctionInfo = field(init=False)
    globals: dict[str, GlobalInfo] = field(default_factory=dict)
    imports: list[ast.Import] = field(default_factory=list)
    functions: list[FunctionInfo] = field(default_factory=list)  # in order of their text
    tests: list[FunctionInfo] = field(default_factory=list)
    main: FunctionInfo | None = None
    is_open: bool = False  # one entry of an interactive session, which shares its `globals`

    @property
    def is_script(self) -> bool:
        return self.function.kind == SCRIPT


@dataclass(slots=True, eq=False)
class ImportFailure:
    """Why an import fails when it executes: a run-time error `message`.

    A module with compile errors has them in `errors`: they are printed before (as
    `frontend.reference_errors` renders them).
    """

    message: bytes
    errors: tuple[Diagnostic, ...] = ()


@dataclass(slots=True, eq=False)
class Program:
    """The script and, in the order in which they were found, the modules it imports."""

    script: Module
    modules: list[Module]  # the script first

    @property
    def main(self) -> FunctionInfo | None:
        """The function that is called after the script's top level (section 7)."""
        return self.script.main
