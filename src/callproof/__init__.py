"""Callproof: a native compiler for NewBCPL whose calls are right, and are proved so."""

from __future__ import annotations

__version__ = "0.1.0"
