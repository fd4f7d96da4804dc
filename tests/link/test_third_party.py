"""zlib, SQLite and Lua of Debian's sources; long, so only when it is asked for."""

from __future__ import annotations

import os

import pytest

from callproof.object.archive import read_archive

if os.environ.get("CALLPROOF_THIRD_PARTY"):
    from tests.link import third_party


@pytest.mark.skipif(
    not os.environ.get("CALLPROOF_THIRD_PARTY"), reason="CALLPROOF_THIRD_PARTY=1 asks for it"
)
@pytest.mark.parametrize("subject", ["zlib", "sqlite", "lua"])
def test_programs_with_the_library_say_what_they_should(subject: str) -> None:
    words = os.environ.get("CALLPROOF_THIRD_PARTY_OPTIONS", "--levels O0 O2").split()
    assert third_party.main([*words, "--subjects", subject]) == 0
    folders = list((third_party.CACHE / "objects").glob(f"{subject}-*"))
    assert folders
    for folder in folders:
        path = folder / f"lib{subject}.a"
        assert read_archive(path.read_bytes(), str(path)).index
