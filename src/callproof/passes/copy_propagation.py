"""Copies: block parameters that only ever stand for one value are replaced by it."""

from __future__ import annotations

from callproof.ir.model import Function
from callproof.ir.shape import Shape
from callproof.ir.ssa import remove_trivial_parameters


def run(function: Function, shape: Shape | None = None) -> bool:
    return remove_trivial_parameters(function)
