"""Profiles by name, and those that somebody describes in a TOML file:

    name = "kernel"
    based-on = "linux"        # one of PROFILES
    red-zone = 0              # bytes
    reserved = ["x18"]        # nobody writes these, and no call changes them
    preserved = ["x9"]        # a function gives these back, too
    not-preserved = ["x28"]   # and these no longer
    arguments = ["x15"]       # these may hold something at a function's entry

A register is x0-x30, d0-d31 (the low half of a vector register) or v0-v31 (all of it).
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from functools import cache
from pathlib import Path

from callproof.check.conventions import PROFILES, RESULTS, Profile
from callproof.source import CallproofError
from callproof.target.arm64.effects import HIGH, LOW

_SETS = ("reserved", "preserved", "not-preserved", "arguments")
_KEYS = frozenset(("name", "based-on", "red-zone", *_SETS))
_REGISTER = re.compile(r"x([12]?\d|30)|([dv])([12]?\d|3[01])")
LARGEST_ZONE = 4096
FIXED = 1 << 30
"""The link register's part in a call is the instruction's, and no profile changes it."""


@cache
def profile_named(name: str) -> Profile:
    """A profile of PROFILES, or of a file whose name ends in `.toml`.

    Raises `CallproofError` if there is none, or with what is wrong in the file.
    """
    if name in PROFILES:
        return PROFILES[name]
    if not name.endswith(".toml"):
        raise CallproofError(f"--abi {name}: there is {', '.join(PROFILES)}, or a FILE.toml")
    return read_profile(Path(name))


def read_profile(path: Path) -> Profile:
    """The profile that a file describes.  Raises `CallproofError` with what is wrong in it."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CallproofError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise CallproofError(f"{path}: {error}") from error
    unknown = sorted(table.keys() - _KEYS)
    if unknown:
        raise CallproofError(f"{path}: {unknown[0]!r} is none of {', '.join(sorted(_KEYS))}")
    base = table.get("based-on", "linux")
    if not isinstance(base, str) or base not in PROFILES:
        raise CallproofError(f"{path}: based-on: there is {', '.join(PROFILES)}")
    profile = PROFILES[base]
    zone = table.get("red-zone", profile.red_zone)
    if type(zone) is not int or not 0 <= zone <= LARGEST_ZONE:
        raise CallproofError(f"{path}: red-zone is a number of bytes up to {LARGEST_ZONE}")
    reserved, preserved, lost, arguments = (_registers(path, table, key) for key in _SETS)
    if preserved & lost:
        raise CallproofError(f"{path}: a register is both preserved and not-preserved")
    saved = (profile.saved | preserved) & ~lost & ~reserved
    hard = (profile.hard | lost) & ~preserved & ~reserved & ~RESULTS
    return replace(
        profile,
        name=str(table.get("name", path.stem)),
        red_zone=zone,
        reserved=profile.reserved | reserved,
        saved=saved,
        hard=hard,
        undefined=profile.undefined & ~arguments & ~preserved & ~reserved,
        saved_list=tuple(bit for bit in range(saved.bit_length()) if saved >> bit & 1),
    )


def _registers(path: Path, table: dict[str, object], key: str) -> int:
    names = table.get(key, [])
    if not isinstance(names, list):
        raise CallproofError(f"{path}: {key} is a list of registers")
    mask = 0
    for name in names:
        match = _REGISTER.fullmatch(name) if isinstance(name, str) else None
        if match is None:
            raise CallproofError(f"{path}: {key}: {name!r} is no register like x18, d8 or v16")
        if match[1] is not None:
            mask |= 1 << int(match[1])
        else:
            mask |= 1 << LOW + int(match[3])
            mask |= 1 << HIGH + int(match[3]) if match[2] == "v" else 0
    if mask & FIXED:
        raise CallproofError(f"{path}: {key}: x30 holds the return address")
    return mask
