"""Small helpers of the Sox front end's tests."""

from __future__ import annotations

from callproof.source import Diagnostics
from callproof.sox.frontend import reference_errors
from callproof.sox.lexer import SoxSource
from callproof.sox.nodes import dump
from callproof.sox.parser import parse
from callproof.sox.symbols import SCRIPT, Module


def parsed(text: str | bytes, kind: str = SCRIPT) -> tuple[Module, Diagnostics]:
    data = text.encode() if isinstance(text, str) else text
    diagnostics = Diagnostics()
    return parse(SoxSource("test.sox", data), diagnostics, kind), diagnostics


def good(text: str | bytes, kind: str = SCRIPT) -> Module:
    module, diagnostics = parsed(text, kind)
    assert [one.render() for one in diagnostics.found] == []
    return module


def tree(text: str | bytes) -> str:
    """The statements of a script, without the brackets around them."""
    return dump(good(text).function.body)[1:-1]


def errors(text: str | bytes, kind: str = SCRIPT) -> list[str]:
    """The lines that the reference prints."""
    found = parsed(text, kind)[1].found
    return [line.decode("latin-1") for line in reference_errors(found)]
