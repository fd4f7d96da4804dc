"""The runtime's functions: one row each, with names, types and what a call may do."""

from __future__ import annotations

from dataclasses import dataclass

from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import F64, I64, POINTER, Type


@dataclass(frozen=True, slots=True)
class Entry:
    """A routine of the library.

    `names` as programs write them (also in lower case), `symbol` of the C function,
    `result` the class of its value ('INTEGER', 'FLOAT', 'STRING', 'VEC', 'FVEC',
    'STRINGS' for a list of strings, or '' for none), `may_fail` if it can end the
    program, `may_collect` if it allocates.
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
    _row("IGETVEC", "bcpl_getvec", "words:word", "VEC", may_fail=True, may_collect=True),
    _row("SGETVEC", "bcpl_getvec", "words:word", "VEC", may_fail=True, may_collect=True),
    _row("PGETVEC", "bcpl_getvec", "words:word", "PAIRS", may_fail=True, may_collect=True),
    _row("QGETVEC", "bcpl_getvec", "words:word", "QUADS", may_fail=True, may_collect=True),
    _row("MALLOC", "bcpl_malloc", "bytes:word", "WORD", may_fail=True, may_collect=True),
    _row("BCPL_ALLOC_CHARS", "bcpl_string", "n:word", "STRING", may_fail=True, may_collect=True),
    _row("GC BCPL_FREE_CELLS", "bcpl_gc", may_collect=True),
    _row("HEAP_INFO", "bcpl_heap_info"),
    _row("BCPL_CHECK_AND_DISPLAY_ERRORS", "bcpl_show_errors"),
    _row("BCPL_CLEAR_ERRORS", "bcpl_clear_errors"),
    _row("READN", "bcpl_readn", "", "INTEGER"),
    _row("READF", "bcpl_readf", "", "FLOAT"),
    _row("PACKSTRING", "bcpl_packstring", "text:ptr", "WORD", may_collect=True),
    _row("UNPACKSTRING", "bcpl_from_cstring", "bytes:ptr", "STRING", may_collect=True),
    _row("SPLIT", "bcpl_split", "text:ptr delimiter:ptr", "STRINGS", may_collect=True),
    _row("JOIN", "bcpl_join", "list:ptr delimiter:ptr", "STRING", may_collect=True),
    _row("SLURP", "bcpl_slurp", "name:ptr", "STRING", may_collect=True),
    _row("SPIT", "bcpl_spit", "text:ptr name:ptr", "INTEGER"),
    _row("FILE_OPEN_READ", "bcpl_file_open_read", "name:ptr", "INTEGER"),
    _row("FILE_OPEN_WRITE", "bcpl_file_open_write", "name:ptr", "INTEGER"),
    _row("FILE_OPEN_APPEND", "bcpl_file_open_append", "name:ptr", "INTEGER"),
    _row("FILE_CLOSE", "bcpl_file_close", "file:word", "INTEGER"),
    _row("FILE_WRITES", "bcpl_file_writes", "file:word text:ptr", "INTEGER"),
    _row("FILE_READS", "bcpl_file_reads", "file:word", "STRING", may_collect=True),
    _row("FILE_READ", "bcpl_file_read", "file:word cells:ptr count:word", "INTEGER"),
    _row("FILE_WRITE", "bcpl_file_write", "file:word cells:ptr count:word", "INTEGER"),
    _row("FILE_SEEK", "bcpl_file_seek", "file:word offset:word origin:word", "INTEGER"),
    _row("FILE_TELL", "bcpl_file_tell", "file:word", "INTEGER"),
    _row("FILE_EOF", "bcpl_file_eof", "file:word", "INTEGER"),
    _row("TIMER_START", "bcpl_timer_start", "", "INTEGER"),
    _row("TIMER_END", "bcpl_timer_end", "start:word", "INTEGER"),
    _row("TIMER_DISPLAY", "bcpl_timer_display", "nanoseconds:word"),
    _row("SLEEP", "bcpl_sleep", "milliseconds:word"),
)

# What the compiler calls by itself.
WRITEF = _row("WRITEF", "bcpl_writef", "format:ptr count:word values:ptr")
NEW = _row("", "bcpl_new", "bytes:word vtable:ptr", "INTEGER", may_fail=True, may_collect=True)
STRING = _row("", "bcpl_string", "characters:word", "STRING", may_fail=True, may_collect=True)

FREEVEC = _row("", "bcpl_freevec", "vector:ptr file:ptr line:word")
LEND = _row("", "bcpl_lend", "address:ptr", may_fail=True)

NO_MEMBER = _row("", "bcpl_no_member", "name:ptr", may_fail=True)
BOUNDS = _row("", "bcpl_bounds", "index:word length:word file:ptr line:word", may_fail=True)
BRK = _row("", "bcpl_brk", "function:ptr file:ptr line:word count:word variables:ptr")

# Lists (lists.c): a list is a header or, where only its atoms are looked at, a node.
LIST = _row("", "bcpl_list", "", "LIST", may_fail=True, may_collect=True)
APPEND = _row(
    "", "bcpl_append", "list:ptr tag:word value:word", "LIST", may_fail=True, may_collect=True
)
HD = _row("", "bcpl_hd", "list:ptr", "WORD")
HD_FLOAT = _row("", "bcpl_hd_float", "list:ptr", "FLOAT")
TL = _row("", "bcpl_tl", "list:ptr", "LIST", may_fail=True, may_collect=True)
LIST_LENGTH = _row("", "bcpl_list_length", "list:ptr", "INTEGER")
NTH = _row("", "bcpl_nth", "list:ptr index:word", "WORD")
FIND = _row("", "bcpl_find", "list:ptr tag:word value:word", "WORD")
LIST_FUNCTIONS = {
    name: _row("", f"bcpl_{name.lower()}", parameters, "LIST", may_fail=True, may_collect=True)
    for name, parameters in (
        ("CONCAT", "a:ptr b:ptr"),
        ("COPYLIST", "list:ptr"),
        ("DEEPCOPYLIST", "list:ptr"),
        ("REVERSE", "list:ptr"),
    )
}
ATOMS = {
    "AS_INT": _row("", "bcpl_as_int", "node:ptr", "INTEGER"),
    "AS_FLOAT": HD_FLOAT,
    "AS_STRING": _row("", "bcpl_as_string", "node:ptr", "STRING", may_fail=True),
    "AS_LIST": _row("", "bcpl_as_list", "node:ptr", "LIST", may_fail=True),
}

FREE_CSTRING = _row("", "bcpl_free_cstring", "bytes:ptr")
SHARE_STDIO = _row("", "bcpl_share_stdio")

ENTRIES: dict[str, Entry] = {name: row for row in ROWS for name in row.names}
CSTRING, FROM_CSTRING = ENTRIES["TOCSTRING"], ENTRIES["FROMCSTRING"]


def lookup(name: str) -> Entry | None:
    """The library routine of that name, in upper or in lower case."""
    return ENTRIES.get(name) or (ENTRIES.get(name.upper()) if name.islower() else None)
