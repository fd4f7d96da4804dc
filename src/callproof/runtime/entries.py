"""The runtime's functions: one row each, with names, types and what a call may do."""

from __future__ import annotations

from dataclasses import dataclass

from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import F64, I64, POINTER, Type


@dataclass(frozen=True, slots=True)
class Entry:
    """A routine of the library.

    `names` as programs write them (also in lower case), `symbol` of the C function,
    `result` the class of its value ('INTEGER', 'FLOAT', 'STRING', 'VEC', 'FVEC' or ''
    for none), `may_fail` if it can end the program, `may_collect` if it allocates.
    """

    names: tuple[str, ...]
    symbol: str
    signature: Signature
    result: str = ""
    may_fail: bool = False
    may_collect: bool = False


def _row(
    names: str,
    symbol: str,
    parameters: str = "",
    result: str = "",
    *,
    may_fail: bool = False,
    may_collect: bool = False,
) -> Entry:
    """`parameters` as 'name:type ...' with types word, double, ptr."""
    types: dict[str, Type] = {"word": I64, "double": F64, "ptr": POINTER}
    found = []
    for text in parameters.split():
        name, _, type_name = text.partition(":")
        found.append(Parameter(types[type_name], name))
    value: Type | None = None
    if result:
        value = F64 if result == "FLOAT" else I64
    signature = Signature(tuple(found), value)
    return Entry(tuple(names.split()), symbol, signature, result, may_fail, may_collect)


ROWS = (
    _row("WRITES", "bcpl_writes", "text:ptr"),
    _row("WRITEN", "bcpl_writen", "value:word"),
    _row("WRITEC", "bcpl_writec", "code:word"),
    _row("NEWLINE", "bcpl_newline"),
    _row("FWRITE", "bcpl_fwrite", "value:double"),
    _row("GETVEC", "bcpl_getvec", "words:word", "VEC", may_fail=True, may_collect=True),
    _row("FGETVEC", "bcpl_getvec", "words:word", "FVEC", may_fail=True, may_collect=True),
    _row("FREEVEC", "bcpl_freevec", "vector:ptr"),
    _row("FINISH", "bcpl_finish", may_fail=True),
    _row("EXIT", "bcpl_exit", "status:word", may_fail=True),
    _row("RDCH", "bcpl_rdch", "", "INTEGER"),
    _row("STRLEN", "bcpl_strlen", "text:ptr", "INTEGER"),
    _row("STRCMP", "bcpl_strcmp", "a:ptr b:ptr", "INTEGER"),
    _row("STRCOPY", "bcpl_strcopy", "to:ptr from:ptr", "STRING"),
    _row("TOCSTRING", "bcpl_cstring", "text:ptr", "INTEGER", may_fail=True),
    _row(
        "FROMCSTRING", "bcpl_from_cstring", "bytes:ptr", "STRING", may_fail=True, may_collect=True
    ),
    _row("GETBYTE", "bcpl_getbyte", "address:ptr index:word", "INTEGER"),
    _row("PUTBYTE", "bcpl_putbyte", "address:ptr index:word byte:word"),
    _row("SIGNED32", "bcpl_signed32", "value:word", "INTEGER"),
    _row("ABS", "bcpl_abs", "value:word", "INTEGER"),
    _row("RAND", "bcpl_rand", "maximum:word", "INTEGER"),
    _row("RND", "bcpl_rnd", "maximum:word", "FLOAT"),
    _row("FRND", "bcpl_frnd", "", "FLOAT"),
    _row("FABS", "bcpl_fabs", "x:double", "FLOAT"),
    _row("FSIN", "bcpl_fsin", "x:double", "FLOAT"),
    _row("FCOS", "bcpl_fcos", "x:double", "FLOAT"),
    _row("FTAN", "bcpl_ftan", "x:double", "FLOAT"),
    _row("FLOG", "bcpl_flog", "x:double", "FLOAT"),
    _row("FEXP", "bcpl_fexp", "x:double", "FLOAT"),
)

# What the compiler calls by itself.
WRITEF = _row("WRITEF", "bcpl_writef", "format:ptr count:word values:ptr")
NEW = _row("", "bcpl_new", "bytes:word vtable:ptr", "INTEGER", may_fail=True, may_collect=True)
STRING = _row("", "bcpl_string", "characters:word", "STRING", may_fail=True, may_collect=True)

FREE_CSTRING = _row("", "bcpl_free_cstring", "bytes:ptr")
SHARE_STDIO = _row("", "bcpl_share_stdio")

ENTRIES: dict[str, Entry] = {name: row for row in ROWS for name in row.names}
CSTRING, FROM_CSTRING = ENTRIES["TOCSTRING"], ENTRIES["FROMCSTRING"]


def lookup(name: str) -> Entry | None:
    """The library routine of that name, in upper or in lower case."""
    return ENTRIES.get(name) or (ENTRIES.get(name.upper()) if name.islower() else None)
