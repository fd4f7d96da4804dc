"""Profiles from TOML: each key changes what is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from callproof.check import CheckOptions, check_file
from callproof.check.profiles import read_profile
from callproof.source import CallproofError
from tests.check.assembled import FRAME, LEAVE, assemble_all, function

SOURCES = {
    "writes_x20": function("f", "mov x20, x0\nret"),
    "writes_x9": function("f", "mov x9, x0\nret"),
    "writes_x28": function("f", "mov x28, x0\nret"),
    "expects_x9": function("f", f"{FRAME}mov x9, x0\nbl g\nadd x0, x0, x9\n{LEAVE}"),
    "expects_x28": function(
        "f", f"{FRAME}str x28, [sp, #16]\nmov x28, x0\nbl g\nadd x0, x0, x28\n{LEAVE}"
    ),
    "takes_x15": function("f", "add x0, x0, x15\nret"),
    "red_zone": function("f", "str x0, [sp, #-16]\nldr x0, [sp, #-16]\nret"),
    "writes_v16": function("f", "mov v16.d[1], x0\nret"),
}
# (the profile, the program) -> (what is found by it, what by the plain convention)
CASES = {
    'reserved = ["x20"]': ("writes_x20", {"PL1"}, {"CS1"}),
    'preserved = ["x9"]': ("writes_x9", {"CS1"}, set()),
    'preserved = ["x9", "x10"]': ("expects_x9", {"CS1"}, {"CR1"}),
    'not-preserved = ["x28"]': ("writes_x28", set[str](), {"CS1"}),
    'name = "mine"\nnot-preserved = ["x27", "x28"]': ("expects_x28", {"CR1"}, {"CS1"}),
    'arguments = ["x15"]': ("takes_x15", set[str](), {"AR2"}),
    "red-zone = 128": ("red_zone", set[str](), {"SP2"}),
    'preserved = ["v16"]': ("writes_v16", {"CS1"}, set()),
    'preserved = ["d16"]': ("writes_v16", set[str](), set()),
}


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return assemble_all(SOURCES, tmp_path_factory.mktemp("profiles"))


@pytest.mark.parametrize("profile", CASES)
def test_a_profile_decides(profile: str, objects: dict[str, Path], tmp_path: Path) -> None:
    program, expected, plain = CASES[profile]
    path = tmp_path / "profile.toml"
    path.write_text(profile)
    found = check_file(objects[program], CheckOptions(str(path))).at_least("warning")
    assert {finding.rule for finding in found} == expected
    found = check_file(objects[program]).at_least("warning")
    assert {finding.rule for finding in found} == plain


def test_a_profile_may_rest_on_another(tmp_path: Path) -> None:
    path = tmp_path / "embedded.toml"
    path.write_text('based-on = "darwin"\nreserved = ["x27"]\n')
    profile = read_profile(path)
    assert (profile.name, profile.red_zone) == ("embedded", 128)
    assert profile.reserved == 1 << 18 | 1 << 27


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = 1", "'colour' is none of"),
        ('based-on = "vax"', "based-on: there is"),
        ("based-on = [1]", "based-on: there is"),
        ("red-zone = -1", "number of bytes"),
        ('red-zone = "big"', "number of bytes"),
        ('reserved = ["x31"]', "'x31' is no register"),
        ('preserved = ["x30"]', "return address"),
        ('preserved = "x9"', "a list of registers"),
        ("preserved = [9]", "9 is no register"),
        ('preserved = ["x9"]\nnot-preserved = ["x9"]', "both"),
        ("= 1", "profile.toml"),
    ],
)
def test_what_is_wrong_in_a_profile_is_said(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "profile.toml"
    path.write_text(text)
    with pytest.raises(CallproofError) as caught:
        CheckOptions(str(path))
    assert message in str(caught.value) and "profile.toml" in str(caught.value)


def test_a_profile_that_is_not_there_is_refused() -> None:
    with pytest.raises(CallproofError, match=r"cannot read nowhere\.toml"):
        CheckOptions("nowhere.toml")
