"""The numbers that the compiler shares with the C runtime, and its list of entries."""

from __future__ import annotations

import re

from callproof.abi.types import I64, POINTER, VALUE
from callproof.runtime import sox_entries, sox_layout
from tests.sox_runtime.build import RUNTIME

HEADER = (RUNTIME / "sox" / "sox.h").read_text()
LAYOUT = (RUNTIME / "sox" / "layout.c").read_text()
C_TYPES = {"value": "value", "void": "none", "uint64_t": "word", "int": "word"}


def test_the_compiler_has_the_numbers_that_c_asserts() -> None:
    asserted = {
        name: int(number)
        for name, number in re.findall(r"^SAME\((\w+), .*, (\d+)\);$", LAYOUT, re.M)
    }
    stated = {
        name: number
        for name, number in vars(sox_layout).items()
        if name.isupper() and isinstance(number, int)
    }
    assert len(stated) > 80
    assert stated == asserted
    assert VALUE.size == sox_layout.VALUE_SIZE
    assert {f.name: f.offset for f in VALUE.fields} == {
        "tag": sox_layout.VALUE_TAG,
        "payload": sox_layout.VALUE_PAYLOAD,
    }


def declarations() -> dict[str, tuple[str, list[str], bool]]:
    """Result, parameter types (as entries name them) and whether it returns, by symbol."""
    text = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.S)
    found = {}
    pattern = r"^(_Noreturn )?(value|void|uint64_t) (sox_\w+)\(([^)]*)\);"
    for never, result, symbol, parameters in re.findall(pattern, text, re.M):
        types = []
        for parameter in parameters.split(","):
            if parameter.strip() == "void":
                continue
            if "*" in parameter:
                types.append("ptr")
            else:
                types.append(C_TYPES[parameter.split()[-2]])
        found[symbol] = (C_TYPES[result], types, not never)
    return found


def test_the_entries_are_what_the_header_declares() -> None:
    names = {VALUE: "value", I64: "word", POINTER: "ptr", None: "none"}
    declared = declarations()
    del declared["sox_script"]  # emitted by the compiler
    stated = {
        symbol: (
            names[entry.signature.result],
            [names[parameter.type] for parameter in entry.signature.parameters],
            entry.returns,
        )
        for symbol, entry in sox_entries.ENTRIES.items()
    }
    assert stated == declared


def test_what_can_run_code_can_fail_and_collect() -> None:
    for entry in sox_entries.ENTRIES.values():
        assert not entry.may_call or (entry.may_fail and entry.may_collect), entry.symbol
        assert entry.returns or entry.may_fail, entry.symbol
    assert not sox_entries.ENTRIES["sox_equal"].may_fail
    assert sox_entries.ENTRIES["sox_add"].may_collect


def test_each_native_has_its_object() -> None:
    defined: set[str] = set()
    for source in (RUNTIME / "sox").glob("natives_*.c"):
        found = re.findall(r"^(?:DEFINE|MATH)_NATIVE\((\w+)[,)]", source.read_text(), re.M)
        assert defined.isdisjoint(found)
        defined.update(found)
    assert defined == set(sox_entries.NATIVES)
    assert sox_entries.native_symbol("len") == "sox_native_len"
