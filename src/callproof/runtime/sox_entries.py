"""The functions of the Sox runtime that compiled code calls, and the natives of the language.

`sox/sox.h` declares the same functions and says what they do.  A value travels as the
composite `callproof.abi.types.VALUE`; `name`s of strings, caches and so on are pointers.
"""

from __future__ import annotations

from dataclasses import dataclass

from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import I64, POINTER, VALUE, Type


@dataclass(frozen=True, slots=True)
class SoxEntry:
    """A runtime function: C symbol, signature, and what a call may do.

    `may_fail`: it can end the program with an error and a trace, so the call needs a row
    in the trace table.  `may_collect`: it can allocate, hence collect garbage.  `returns`
    is False for those that never come back.  `may_call`: it can run compiled code again.
    """

    symbol: str
    signature: Signature
    may_fail: bool
    may_collect: bool
    may_call: bool
    returns: bool


_TYPES: dict[str, Type] = {"value": VALUE, "word": I64, "ptr": POINTER}


def _row(line: str) -> SoxEntry:
    """`symbol flags result parameter:type ...`, flags of f(ail), c(ollect), r(un code), n(ever)."""
    symbol, flags, result, *parameters = line.split()
    found = []
    for text in parameters:
        name, _, type_name = text.partition(":")
        found.append(Parameter(_TYPES[type_name], name))
    signature = Signature(tuple(found), None if result == "none" else _TYPES[result])
    fails = "f" in flags or "n" in flags or "r" in flags
    collects = "c" in flags or "r" in flags
    return SoxEntry(symbol, signature, fails, collects, "r" in flags, "n" not in flags)


_ROWS = """
sox_add fc value a:value b:value
sox_subtract f value a:value b:value
sox_multiply f value a:value b:value
sox_divide f value a:value b:value
sox_remainder f value a:value b:value
sox_negate f value a:value
sox_less f word a:value b:value
sox_less_equal f word a:value b:value
sox_greater f word a:value b:value
sox_greater_equal f word a:value b:value
sox_equal - word a:value b:value
sox_same_contents - word a:ptr b:ptr
sox_concatenate fc value count:word pieces:ptr
sox_concatenate_strings fc value count:word pieces:ptr
sox_print f none shown:value
sox_array fc value count:word items:ptr
sox_require_array f value array:value
sox_table fc value
sox_table_literal fc value count:word pairs:ptr
sox_range fc value start:value end:value step:value
sox_index f value container:value index:value
sox_set_index fc none container:value index:value content:value
sox_slice fc value array:value start:value end:value
sox_iterate fc none state:ptr container:value
sox_next_pair fc word state:ptr
sox_next_value fc word state:ptr
sox_closure fc value info:ptr count:word captures:ptr
sox_cell fc value content:value
sox_take_cell fc word size_class:word
sox_new_instance fc word class:ptr
sox_call r value callee:value count:word arguments:ptr
sox_class fc value name:ptr
sox_subclass fc value name:ptr superclass:value
sox_method fc none class:value name:ptr method:value
sox_get_property fc value object:value name:ptr cache:ptr
sox_set_property fc none object:value name:ptr content:value cache:ptr
sox_invoke r value name:ptr cache:ptr count:word frame:ptr
sox_get_super fc value class:value receiver:value name:ptr
sox_invoke_super r value class:value name:ptr count:word frame:ptr
sox_defer fc none list:ptr closure:value
sox_run_defers r none list:ptr
sox_argument_count - value
sox_argument_values fc value
sox_fail n none message:ptr
sox_get_undefined n none name:ptr
sox_assert_failed n none message:value
sox_wrong_count n none info:ptr count:word
sox_stack_overflow n none
sox_exit rn none status:word
sox_run_test rn none function:value
sox_run_benchmark r none name:ptr function:value
sox_end_benchmarks f none
sox_session r none
"""

ENTRIES: dict[str, SoxEntry] = {
    entry.symbol: entry for entry in map(_row, _ROWS.strip().splitlines())
}

# Language name of each native; its static object is the symbol `sox_native_NAME`, and the
# global's value {NATIVE, address of it}.
NATIVES: tuple[str, ...] = tuple(
    """
    Table len push pop type clock usleep
    stringUpper stringLower stringTrim stringIndexOf stringSubstring stringReplace
    stringStartsWith stringEndsWith stringSplit stringEscape stringToNumber
    mathSqrt mathPow mathFloor mathCeil mathRound mathSin mathCos mathTan
    mathRandom mathRandomInt mathSrand
    arraySlice arrayReverse arrayIndexOf arrayContains arrayJoin
    sysArgs sysGetenv sysOnExit sysExit sysPlatform sysSleep
    range tableKeys tableDelete tableHas numberToString fileRead fileWrite
    """.split()
)


def native_symbol(name: str) -> str:
    """The symbol of a native's object (`struct native`)."""
    return f"sox_native_{name}"
