"""Code is found in packages of every kind, and damaged ones are said to be so."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from callproof.survey import containers
from callproof.survey.containers import code_in
from tests.survey.packages import KINDS, NEEDS, ar, tar, zip_

ELF = bytes.fromhex("7f454c460201010000000000000000000300b700") + bytes(1000)
OTHER = bytes.fromhex("7f454c4602010100000000000000000003003e00") + bytes(1000)
FILES = {"usr/lib/libone.so": ELF, "usr/lib/x86.so": OTHER, "doc/readme": b"text", "empty": b""}


@pytest.mark.parametrize("kind", KINDS)
def test_code_is_found_in(kind: str, tmp_path: Path) -> None:
    for module in NEEDS.get(kind, ()):
        pytest.importorskip(module)
    path = tmp_path / "package"
    path.write_bytes(KINDS[kind](FILES))
    (found,) = code_in(path)
    assert found.data == ELF and found.problem == ""
    assert found.name.endswith("usr/lib/libone.so") and not found.name.startswith(".")
    assert ("!" in found.name) == (" in " in kind)


def test_plain_files_and_single_packed_ones(tmp_path: Path) -> None:
    for name, data in {"plain": ELF, "packed.gz": gzip.compress(ELF)}.items():
        (tmp_path / name).write_bytes(data)
        assert [found.data for found in code_in(tmp_path / name)] == [ELF]
    library = ar({"one.o/": ELF})
    (tmp_path / "lib.a").write_bytes(library)
    assert [found.data for found in code_in(tmp_path / "lib.a")] == [library]
    for data in (b"", b"text", OTHER, b"\xca\xfe\xba\xbe\x00\x00\x00\x37" + bytes(100)):
        (tmp_path / "other").write_bytes(data)
        assert list(code_in(tmp_path / "other")) == []


def test_depth_and_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = ELF
    for _ in range(9):
        data = gzip.compress(tar({"inner": data}))
    (tmp_path / "deep").write_bytes(data)
    (found,) = code_in(tmp_path / "deep")
    assert "containers inside containers" in found.problem
    monkeypatch.setattr(containers, "MOST_BYTES", 900)
    for data in (tar({"big": ELF}), zip_({"big": ELF}), gzip.compress(ELF), ELF):
        (tmp_path / "big").write_bytes(data)
        (found,) = code_in(tmp_path / "big")
        assert "bytes" in found.problem and found.data == b""


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    (found,) = code_in(tmp_path / "nowhere")
    assert "cannot read it" in found.problem


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_packages_are_no_surprise(kind: str, tmp_path: Path) -> None:
    for module in NEEDS.get(kind, ()):
        pytest.importorskip(module)
    source = random.Random(kind)
    whole = KINDS[kind](FILES)
    path = tmp_path / "package"
    problems = 0
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(source.randrange(1, 6)):
            data[source.randrange(len(data))] = source.randrange(256)
        if source.random() < 0.5:
            del data[source.randrange(len(data)) :]
        path.write_bytes(data)
        problems += any(found.problem for found in code_in(path))
    assert problems > 5
