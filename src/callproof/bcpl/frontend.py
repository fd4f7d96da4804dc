"""The front end as one function: source text in, a module of IR out."""

from __future__ import annotations

from callproof.bcpl.lower import ModuleLowering
from callproof.bcpl.parser import parse
from callproof.bcpl.resolve import resolve
from callproof.bcpl.types import infer
from callproof.ir.model import Module
from callproof.source import Diagnostics, SourceFile


def compile_to_ir(source: SourceFile, diagnostics: Diagnostics) -> Module:
    """Lower a program.  Raises `CallproofError` with everything found wrong."""
    program = parse(source, diagnostics)
    diagnostics.raise_if_errors()
    info, locals_of = resolve(program, diagnostics)
    diagnostics.raise_if_errors()
    inference = infer(info, locals_of, diagnostics)
    module = ModuleLowering(source, info, locals_of, inference, diagnostics).run()
    diagnostics.raise_if_errors()
    return module
