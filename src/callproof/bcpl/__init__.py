"""NewBCPL: takes a source file, gives an `ir.Module`.

Lexer, parser and syntax tree (`ast`), then names, types and lowering.  May know the
language, the IR and the runtime's table of entries; may not know registers, calling
conventions or targets.  Errors go to `Diagnostics` with the place they were found at.
"""
