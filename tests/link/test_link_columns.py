"""Objects as columns, relocated in batches: the same bytes and messages as one by one."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.link.fuzz.inputs import CODE, OTHER, Whole, clang, damaged

from callproof.link import LinkOptions, link, link_layout, loading, output, resolve
from callproof.link.arm64_fields import INSTRUCTIONS, OutOfRange
from callproof.link.batch_arm64 import INSTRUCTIONS as VECTORS
from callproof.link.executable import write_executable
from callproof.link.explain import explain
from callproof.link.link_map import link_map
from callproof.object import ObjectFile, Relocation, Section, Symbol, read_elf, write_elf
from callproof.object.columns import ColumnObject
from callproof.source import CallproofError

MACHINES = ("aarch64", "x86_64")
# Thread-locals through every kind of sequence, calls of what is not there, merged strings.
MORE = r"""
__thread long mine = 3; extern __thread long theirs; static __thread long own[2];
extern long other(long), absent(long) __attribute__((weak)); extern long common[5];
static const char *const names[] = {"one", "two", "a two", "one"};
long *place(int i) { return i ? &theirs : &own[i]; }
long (*const table[])(long) = {other, absent, other};
long more(long x) {
    return *place(x & 1) + mine + (absent ? absent(x) : names[x & 3][1]) + common[1];
}
"""
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "all": {"collect_garbage": False},
    "folded": {"icf": "safe", "eh_frame_hdr": True, "relro": True, "build_id": True},
    "pie": {"pie": True},
    "wrap": {"wrap": ("other",)},
}


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Three objects of a program, with debug information, for each machine."""
    folder = tmp_path_factory.mktemp("objects")
    pic = MORE.replace("mine", "mine_too").replace("more(", "start_more(")
    return {
        machine: [
            clang(folder, f"{name}-{machine}", text, f"{machine}-linux-musl")
            for name, text in (("main", CODE), ("other", OTHER), ("more", pic))
        ]
        for machine in MACHINES
    }


def use(patch: pytest.MonkeyPatch, *, columns: bool) -> None:
    limit = 0 if columns else 1 << 60
    patch.setattr(loading, "COLUMNS_FROM", limit)
    patch.setattr(resolve, "COLUMNS_FROM", limit)


def told(inputs: list[Path], options: LinkOptions, name: str = "other") -> tuple[bytes, str, str]:
    """The program, its map, and what is known of a name in it; or the message."""
    try:
        layout = link_layout(inputs, options)
        image = write_executable(layout)
        why = "".join(one.text() for one in explain(layout, name))
        return image, link_map(layout), why
    except CallproofError as error:
        return b"", str(error), ""


@pytest.mark.parametrize("machine", MACHINES)
def test_both_ways_give_the_same(
    machine: str, objects: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, chosen in OPTIONS.items():
        options = LinkOptions(entry="start", **chosen)
        use(monkeypatch, columns=False)
        plain = told(objects[machine], options)
        use(monkeypatch, columns=True)
        layout_files = resolve.resolve(objects[machine], options).files if name == "plain" else []
        assert all(isinstance(file, ColumnObject) for file in layout_files)
        assert told(objects[machine], options) == plain, name
        assert plain[0] or name == "pie" or name == "wrap"


@pytest.mark.parametrize("machine", MACHINES)
def test_damage_is_told_in_the_same_words(
    machine: str, objects: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    main, other, _ = objects[machine]
    whole = Whole("object", main.read_bytes(), lambda path: None)
    path = tmp_path / "damaged.o"
    refused = 0
    for seed in range(60):
        path.write_bytes(damaged(whole, random.Random(seed)))
        options = LinkOptions(entry="start", collect_garbage=bool(seed % 2))
        use(monkeypatch, columns=False)
        plain = told([path, other], options)
        use(monkeypatch, columns=True)
        assert told([path, other], options) == plain, seed
        refused += not plain[0]
    assert 0 < refused < 60


def contents(file: ObjectFile) -> tuple[list[Any], list[Any]]:
    """All there is to know of an object."""
    sections: list[Any] = []
    for s in file.sections:
        rows = [(r.offset, r.type, r.addend, r.symbol.name) for r in s.relocations]
        facts = (s.size, s.alignment, s.flags, s.elf_type, s.entry_size, s.group)
        sections.append((s.name, s.kind, bytes(s.data), facts, rows))
    symbols: list[Any] = []
    for one in file.symbols:
        home = None if one.section is None else one.section.name
        numbers = (one.value, one.size, one.common, one.other)
        kinds = (one.binding, one.kind, one.visibility, one.absolute)
        symbols.append((one.name, home, numbers, kinds))
    return sections, symbols


@pytest.mark.parametrize("machine", MACHINES)
def test_columns_are_an_object_like_others(machine: str, objects: dict[str, list[Path]]) -> None:
    for path in objects[machine]:
        data = path.read_bytes()
        found = read_elf(data, "x.o", columns=True)
        assert isinstance(found, ColumnObject)
        assert contents(found) == contents(read_elf(data, "x.o"))


@pytest.mark.parametrize("type_", VECTORS)
def test_fields_of_many_are_those_of_one(type_: str) -> None:
    one, many = INSTRUCTIONS[type_], VECTORS[type_]
    source = random.Random(type_)
    word = np.array([source.getrandbits(32) for _ in range(300)])
    place = np.array([source.randrange(0, 1 << 40, 4) for _ in range(300)])
    far = [source.choice((15, 21, 28, 33, 60)) for _ in range(300)]
    step = [source.choice((1, 4, 16)) for _ in range(300)]
    value = place + [
        source.randrange(-(1 << bits), 1 << bits) // of * of
        for bits, of in zip(far, step, strict=True)
    ]
    new, fits = many(word, value, place)
    for index in range(300):
        try:
            expected = one(int(word[index]), int(value[index]), int(place[index]))
        except OutOfRange:
            assert not fits[index]
            continue
        assert fits[index]
        assert new[index] == expected


def relocated(
    rows: list[tuple[int, str, int]], data: bytes, machine: str
) -> list[Path | ObjectFile]:
    """A function and a section of data with relocations to it."""
    code = Section(".text", "code", b"\xc0\x03\x5f\xd6", alignment=4)
    symbol = Symbol("main", code, kind="function")
    section = Section(".data", "data", data, alignment=8)
    section.relocations = [
        Relocation(offset, type_, symbol, addend) for offset, type_, addend in rows
    ]
    table = Symbol("table", section, kind="object")
    return [ObjectFile("a.o", machine, [code, section], [symbol, table])]


OVERLAPS = [
    [(0, "R_X86_64_64", 1), (4, "R_X86_64_32", 2)],
    [(8, "R_X86_64_64", 1), (0, "R_X86_64_64", 2)],
    [(0, "R_X86_64_32", 1), (0, "R_X86_64_32", 7), (4, "R_X86_64_8", -0x400000)],
    [(0, "R_X86_64_32S", 1 << 31), (8, "R_X86_64_64", 2)],
    [(28, "R_X86_64_64", 0), (8, "R_X86_64_32", 1 << 40)],
    [(0, "R_X86_64_64", -(1 << 63)), (8, "R_X86_64_64", (1 << 63) - 1)],
    [(0, "R_X86_64_SIZE32", 0), (4, "R_X86_64_PC32", 0), (8, "R_X86_64_PC64", 0)],
]


@pytest.mark.parametrize("rows", OVERLAPS)
def test_rows_that_overlap_or_do_not_fit(
    rows: list[tuple[int, str, int]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (file,) = relocated(rows, bytes(32), "x86_64")
    assert isinstance(file, ObjectFile)
    path = tmp_path / "a.o"
    path.write_bytes(write_elf(file))
    found = []
    for way in (False, True):
        use(monkeypatch, columns=way)
        found.append(told([path], LinkOptions(entry="main", collect_garbage=False), "main"))
    assert found[0][0] or "R_X86_64" in found[0][1]
    assert found[0] == found[1]


def test_branches_too_far_for_their_targets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By veneers, as if a branch reached 4 KiB."""
    inputs = []
    for number in range(12):
        body = [Relocation(0, "R_AARCH64_CALL26", Symbol(f"f{(number * 5 + 3) % 12}"))]
        code = Section(f".text.{number}", "code", b"\0\0\0\x94" * 300, 4, relocations=body)
        own = Symbol(f"f{number}", code, kind="function")
        inputs.append(tmp_path / f"{number}.o")
        file = ObjectFile("", "aarch64", [code], [own, body[0].symbol])
        inputs[-1].write_bytes(write_elf(file))
    found = []
    for way in (False, True):
        use(monkeypatch, columns=way)
        options = LinkOptions(entry="f0", reach=4096, collect_garbage=False)
        found.append(told(inputs, options, "f0"))
    assert "a veneer" in found[0][1]
    assert found[0] == found[1]


def test_a_large_image_is_made_in_the_file(
    objects: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And a link that fails, or a disk that is full, leaves what was there."""
    options = LinkOptions(entry="start", build_id=True)
    inputs = objects["x86_64"]
    link(inputs, tmp_path / "small", options)
    monkeypatch.setattr(output, "MAPPED_FROM", 0)
    for way in (False, True):
        use(monkeypatch, columns=way)
        link(inputs, tmp_path / "large", options)
        assert (tmp_path / "large").read_bytes() == (tmp_path / "small").read_bytes()
        assert (tmp_path / "large").stat().st_mode & 0o777 == 0o755

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(CallproofError, match=r"cannot write .*: No space left on device"):
        link(inputs, tmp_path / "large", options)
    monkeypatch.undo()
    monkeypatch.setattr(output, "MAPPED_FROM", 0)
    monkeypatch.setattr("callproof.link.executable.symbol_table", full)
    with pytest.raises(OSError, match="No space"):
        link(inputs, tmp_path / "large", options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large", "small"]
    assert (tmp_path / "large").read_bytes() == (tmp_path / "small").read_bytes()
