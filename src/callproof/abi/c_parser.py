"""C declarations as signatures: `parse("double f(struct v p, int n);")`.

pycparser reads the text; here its tree becomes our types.  That depends on the
platform (`long double`, `long`, `char`), so a `Prototype` is laid out anew for each
data model that is asked for.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from callproof.abi.c_scan import Scanned, scan
from callproof.abi.data_model import LINUX_ARM64, DataModel
from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import F64, I32, Floating, Integer, Type
from callproof.source import CallproofError, Diagnostic, SourceFile, Span

if TYPE_CHECKING:
    from pycparser import c_ast

    from callproof.abi.c_types import Evaluator

ARGUMENTS = "__callproof_arguments"
RECURSION = 12_000  # frames; bracket depth is limited by the scanner


@dataclass(frozen=True, slots=True)
class Prototype:
    """A function that some text declares; `name` is its C name."""

    name: str
    declarations: CDeclarations
    arguments: bool = False

    def signature(self, model: DataModel = LINUX_ARM64) -> Signature:
        """The function's types on a platform.

        If the declarations were parsed with the types of a call's anonymous arguments,
        the last function carries them, promoted as C does.
        """
        return self.declarations.signature(self.name, model, self.arguments)


class CDeclarations:
    """Parsed text: its functions, structures and types."""

    __slots__ = (
        "_evaluators",
        "_split",
        "argument_source",
        "functions",
        "has_arguments",
        "scanned",
        "source",
        "tree",
    )

    def __init__(self, text: str, name: str, arguments: str | None) -> None:
        text = text.rstrip()
        if text and text[-1] not in ";}":
            text += ";"
        self._split = len(text)
        self.argument_source = SourceFile("<arguments>", arguments or "")
        self.has_arguments = bool(arguments and arguments.strip())
        whole = text
        if self.has_arguments:
            whole += f"\nvoid {ARGUMENTS}({arguments});"
        self.source = SourceFile(name, whole)
        self._evaluators: dict[str, Evaluator] = {}
        try:
            self.scanned: Scanned = scan(self.source)
        except CallproofError as error:
            raise self.relocated(error) from None
        self.tree = self._parse()
        evaluator = self.evaluator(LINUX_ARM64)
        names = [name for name in evaluator.functions if name != ARGUMENTS]
        last = names[-1] if names else ""
        self.functions = {
            name: Prototype(name, self, self.has_arguments and name == last) for name in names
        }
        # What is wrong on the first platform is reported at once.
        for prototype in self.functions.values():
            prototype.signature(LINUX_ARM64)

    # --- places ------------------------------------------------------------------------

    def offset(self, line: int, column: int) -> int:
        lines = self.source.text.split("\n")
        line = min(max(line, 1), len(lines))
        return sum(len(text) + 1 for text in lines[: line - 1]) + max(column - 1, 0)

    def offset_of(self, node: c_ast.Node) -> int | None:
        coordinates = node.coord
        if coordinates is None:
            return None
        return self.offset(coordinates.line, coordinates.column or 1)

    def error(self, message: str, start: int, end: int | None = None) -> CallproofError:
        """A diagnostic at a place of the combined text, in the file it came from."""
        source = self.source
        if end is None:
            word = re.compile(r"\w+").match(source.text, start)
            end = word.end() if word else start + 1
        if start > self._split and self.has_arguments:
            shift = self._split + len(f"\nvoid {ARGUMENTS}(")
            start, end = max(start - shift, 0), max(end - shift, 1)
            source = self.argument_source
        limit = len(source.text)
        start = min(start, limit)
        return CallproofError(Diagnostic("error", message, Span(source, start, min(end, limit))))

    def relocated(self, error: CallproofError) -> CallproofError:
        """The same error with its place in the text that the user gave."""
        (diagnostic, *_) = error.diagnostics
        if diagnostic.span is None:
            return error
        return self.error(diagnostic.message, diagnostic.span.start, diagnostic.span.end)

    # --- parsing -------------------------------------------------------------------------

    def _parse(self) -> c_ast.FileAST:
        from pycparser import c_parser

        from callproof.abi.c_names import PRELUDE

        limit = sys.getrecursionlimit()
        try:
            sys.setrecursionlimit(max(limit, RECURSION))
            text = f'{PRELUDE}\n# 1 "text"\n{self.scanned.text}'
            return c_parser.CParser().parse(text, "text")
        except RecursionError:
            raise self.error("this declaration is too deeply nested", 0) from None
        except c_parser.ParseError as error:
            raise self._syntax_error(str(error)) from None
        except (AssertionError, AttributeError, IndexError, KeyError, TypeError) as error:
            # pycparser's own trouble with broken text; there is no better place to show.
            raise self.error(f"this is not a C declaration ({error})", 0) from None
        finally:
            sys.setrecursionlimit(limit)

    def _syntax_error(self, message: str) -> CallproofError:
        match = re.match(r"text:(\d+)(?::(\d+))?: (.*)", message, re.DOTALL)
        if match is None:
            return self.error("the declaration ends too early", max(len(self.source.text) - 1, 0))
        start = self.offset(int(match[1]), int(match[2] or 1))
        what = match[3].strip()
        if what.startswith("before: "):
            found = what.removeprefix("before: ")
            what = f"this is not C: unexpected '{found}'"
            if re.fullmatch(r"[A-Za-z_]\w*", found):
                what += " (is the type before it declared?)"
        elif what == "Invalid function definition":
            what = "this is not a declaration: is its type declared?"
        else:
            what = f"this is not C: {what[:1].lower()}{what[1:]}"
        return self.error(what, start)

    # --- what is declared -------------------------------------------------------------------

    def evaluator(self, model: DataModel) -> Evaluator:
        from callproof.abi.c_types import Evaluator

        found = self._evaluators.get(model.name)
        if found is None:
            limit = sys.getrecursionlimit()
            try:
                sys.setrecursionlimit(max(limit, RECURSION))
                found = Evaluator(self, model)
            except RecursionError:
                raise self.error("this declaration is too deeply nested", 0) from None
            finally:
                sys.setrecursionlimit(limit)
            self._evaluators[model.name] = found
        return found

    def signature(self, name: str, model: DataModel, with_arguments: bool = False) -> Signature:
        """The signature of function `name`; see `Prototype.signature`."""
        evaluator = self.evaluator(model)
        found = evaluator.signature(name)
        if not with_arguments:
            return found
        extra = evaluator.signature(ARGUMENTS)
        if extra.variadic_from is not None or found.variadic_from is None:
            problem = "is not variadic" if found.variadic_from is None else "takes types, not '...'"
            raise CallproofError(f"arguments are given, but '{name}' {problem}")
        anonymous = tuple(
            Parameter(promoted(parameter.type), parameter.name or f"anonymous{index + 1}")
            for index, parameter in enumerate(extra.parameters)
        )
        return Signature(found.parameters + anonymous, found.result, len(found.parameters))

    def types(self, model: DataModel = LINUX_ARM64) -> dict[str, Type]:
        """Every complete structure, union and typedef by its C name, in order."""
        return self.evaluator(model).named_types()


def promoted(type_: Type) -> Type:
    """C's default argument promotions (C17, 6.5.2.2 paragraph 6)."""
    if isinstance(type_, Integer) and type_.bits < 32:
        return I32
    if isinstance(type_, Floating) and type_.bits == 32:
        return F64
    return type_


def parse_declarations(
    text: str, *, name: str = "<declaration>", arguments: str | None = None
) -> CDeclarations:
    """All that a text of preprocessed C declares.

    `arguments` are the types of the anonymous arguments of a call to the last function,
    separated by commas, which must be variadic.  Raises `CallproofError` with a place.
    """
    return CDeclarations(text, name, arguments)


@cache
def _parsed(text: str, name: str, arguments: str | None) -> CDeclarations:
    return CDeclarations(text, name, arguments)


def parse(
    text: str, *, arguments: str | None = None, function: str = "", name: str = "<declaration>"
) -> Prototype:
    """The last function that the text declares, or the one called `function`.

    >>> parse("void f(int, ...);", arguments="float").signature().parameters[1].type
    Floating(bits=64, brain=False)

    Raises `CallproofError` with a place for malformed text, incomplete types by value,
    and text without a function.
    """
    declarations = _parsed(text, name, arguments)
    if function:
        if function not in declarations.functions:
            raise CallproofError(f"no function '{function}' is declared")
        return declarations.functions[function]
    if not declarations.functions:
        raise declarations.error("no function is declared here", 0)
    return list(declarations.functions.values())[-1]
