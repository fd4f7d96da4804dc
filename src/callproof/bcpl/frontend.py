"""The front end as two functions: source texts in, modules of IR out."""

from __future__ import annotations

from collections.abc import Sequence

from callproof.bcpl import nodes as ast
from callproof.bcpl.headers import Headers
from callproof.bcpl.lower import ModuleLowering
from callproof.bcpl.options import FrontEndOptions
from callproof.bcpl.resolve import resolve
from callproof.bcpl.types import infer
from callproof.ir.model import Module
from callproof.source import Diagnostics, SourceFile, Span

DEFAULTS = FrontEndOptions()


def compile_to_ir(
    source: SourceFile, diagnostics: Diagnostics, options: FrontEndOptions = DEFAULTS
) -> Module:
    """Lower a program.  Raises `CallproofError` with everything found wrong."""
    (module,) = compile_modules([source], diagnostics, options)
    return module


def compile_modules(
    sources: Sequence[SourceFile], diagnostics: Diagnostics, options: FrontEndOptions = DEFAULTS
) -> list[Module]:
    """Lower the sources of one program, each to a module of its own.

    They see each other's declarations; what a header declares belongs to the first source
    that GETs it.  Raises `CallproofError` with everything found wrong.
    """
    headers = Headers(options.include, diagnostics)
    declarations: list[ast.Statement] = []
    owned: list[frozenset[SourceFile]] = []
    for source in sources:
        before = len(headers.read)
        declarations += headers.expanded(source)
        owned.append(frozenset(headers.read[before:]))
    diagnostics.raise_if_errors()
    first = sources[0]
    program = ast.Program(Span(first, 0, len(first.text)), declarations)
    several = len(sources) > 1
    info, locals_of = resolve(program, diagnostics, exports=several)
    diagnostics.raise_if_errors()
    inference = infer(info, locals_of, diagnostics)
    modules = [
        ModuleLowering(
            source,
            info,
            locals_of,
            inference,
            diagnostics,
            options,
            files if several else None,
            number,
            len(sources),
        ).run()
        for number, (source, files) in enumerate(zip(sources, owned, strict=True))
    ]
    diagnostics.raise_if_errors()
    return modules
