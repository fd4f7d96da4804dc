"""Making a failing signature small: all smaller neighbours are tried in one batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from tests.conformance.cases import (
    MIXED_HALVES,
    PACKED_QUADS,
    STRICT_ANONYMOUS,
    Aggregate,
    CaseSpec,
    MemberSpec,
    Scalar,
    TypeSpec,
    has_mixed_halves,
    has_packed_quads,
    is_strict_homogeneous,
)

MOST_STEPS = 100
AT_ONCE = 16

RunBatch = Callable[[list[CaseSpec]], set[int]]
"""Runs cases and tells the numbers of those that fail."""


def smaller_types(spec: TypeSpec) -> Iterator[TypeSpec]:
    """Types that are simpler than this one, the simplest first."""
    if isinstance(spec, Scalar):
        if spec.text != "int":
            yield Scalar("int")
        if spec.text not in ("int", "long"):
            yield Scalar("long")
        return
    for member in spec.members:
        yield member.type
    for index in range(len(spec.members)):
        members = spec.members[:index] + spec.members[index + 1 :]
        if not spec.union or members:
            yield dataclasses.replace(spec, members=members)
    if spec.packed:
        yield dataclasses.replace(spec, packed=False)
    if spec.aligned:
        yield dataclasses.replace(spec, aligned=0)
    if spec.union:
        yield dataclasses.replace(spec, union=False)
    for index, member in enumerate(spec.members):
        for smaller in _smaller_members(member):
            members = (*spec.members[:index], smaller, *spec.members[index + 1 :])
            yield dataclasses.replace(spec, members=members)


def _smaller_members(member: MemberSpec) -> Iterator[MemberSpec]:
    if member.aligned:
        yield dataclasses.replace(member, aligned=0)
    if member.packed:
        yield dataclasses.replace(member, packed=False)
    if member.count is not None:
        yield dataclasses.replace(member, count=None)
    if member.bits is not None:
        if not member.unnamed:
            yield dataclasses.replace(member, bits=None)
        return
    for smaller in smaller_types(member.type):
        yield dataclasses.replace(member, type=smaller)


def smaller_cases(case: CaseSpec) -> Iterator[CaseSpec]:
    """Signatures one step simpler."""
    if case.result is not None:
        yield dataclasses.replace(case, result=None)
    if case.anonymous is not None:
        yield dataclasses.replace(case, anonymous=None)
        for index in range(len(case.anonymous)):
            rest = case.anonymous[:index] + case.anonymous[index + 1 :]
            yield dataclasses.replace(case, anonymous=rest)
    least = 0 if case.anonymous is None else 1
    if len(case.parameters) > least:
        half = len(case.parameters) // 2
        if half >= max(least, 2):
            yield dataclasses.replace(case, parameters=case.parameters[half:])
            yield dataclasses.replace(case, parameters=case.parameters[:half])
        for index in range(len(case.parameters)):
            rest = case.parameters[:index] + case.parameters[index + 1 :]
            yield dataclasses.replace(case, parameters=rest)
    if case.result is not None:
        for smaller in smaller_types(case.result):
            yield dataclasses.replace(case, result=smaller)
    for index, spec in enumerate(case.parameters):
        for smaller in smaller_types(spec):
            parameters = (*case.parameters[:index], smaller, *case.parameters[index + 1 :])
            yield dataclasses.replace(case, parameters=parameters)
    for index, spec in enumerate(case.anonymous or ()):
        for smaller in smaller_types(spec):
            assert case.anonymous is not None
            anonymous = (*case.anonymous[:index], smaller, *case.anonymous[index + 1 :])
            yield dataclasses.replace(case, anonymous=anonymous)


def valid(case: CaseSpec, without: tuple[str, ...] = ()) -> bool:
    """What the generator could have made: nothing that `without` names."""
    anonymous = case.anonymous or ()
    types = [one for one in (case.result, *case.parameters, *anonymous) if one is not None]
    if MIXED_HALVES in without and any(has_mixed_halves(one) for one in types):
        return False
    if PACKED_QUADS in without and any(has_packed_quads(one) for one in types):
        return False
    if STRICT_ANONYMOUS in without and any(
        isinstance(one, Aggregate) and is_strict_homogeneous(one) for one in anonymous
    ):
        return False
    return all(_valid(one) for one in types)


def _valid(spec: TypeSpec) -> bool:
    if isinstance(spec, Scalar):
        return True
    if spec.union and (not spec.members or all(m.unnamed for m in spec.members)):
        return False
    if spec.members and all(m.unnamed for m in spec.members):
        return False
    return all(_valid(m.type) for m in spec.members)


def shrink(case: CaseSpec, run: RunBatch, without: tuple[str, ...] = ()) -> CaseSpec:
    """The smallest failing signature that single steps lead to.

    The simplest neighbours stand first, so they are tried a few at a time.
    """
    for _ in range(MOST_STEPS):
        candidates = [c for c in dict.fromkeys(smaller_cases(case)) if valid(c, without)]
        for start in range(0, len(candidates), AT_ONCE):
            some = candidates[start : start + AT_ONCE]
            failing = run(some)
            if failing:
                case = some[min(failing)]
                break
        else:
            break
    return case


__all__ = ["Aggregate", "shrink", "smaller_cases"]
