"""What a link is given: archives in any order or in ld's, groups, thin ones, -l, refusals."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.link.test_link import MAIN, calls, function, returns, words
from tests.support.execute import run_image
from tests.support.foreign import printed

from callproof.cli.link_inputs import MARK, _marked, read_inputs
from callproof.link import ArchiveGroup, Input, LinkOptions, WholeArchive, link_bytes
from callproof.link.inputs import find_library
from callproof.object import ObjectFile, Relocation, Section, Symbol, write_archive, write_elf
from callproof.object import elf_format as elf
from callproof.object.archive import read_archive
from callproof.object.elf_read import read_elf
from callproof.source import CallproofError

ORDERED = LinkOptions(entry="main", ordered=True)
NO_BITS = 0xD503201F  # a NOP


def archive(path: Path, *files: ObjectFile) -> Path:
    path.write_bytes(write_archive([(file.name, write_elf(file)) for file in files]))
    return path


# --- order ---------------------------------------------------------------------------------


def test_each_archive_is_searched_once_at_its_place_as_by_ld(tmp_path: Path) -> None:
    first = archive(tmp_path / "first.a", calls("one", "two"))
    second = archive(tmp_path / "second.a", returns("two", 5))
    main = calls("main", "one")
    assert run_image(link_bytes([main, first, second], ORDERED)) == 5
    with pytest.raises(CallproofError, match="'one' is not defined anywhere"):
        link_bytes([first, second, main], ORDERED)
    with pytest.raises(CallproofError, match="'two' is not defined anywhere"):
        link_bytes([main, second, first], ORDERED)
    # Without the option order does not matter.
    assert run_image(link_bytes([first, second, main], MAIN)) == 5


def test_a_group_is_searched_until_it_gives_no_more(tmp_path: Path) -> None:
    first = archive(tmp_path / "first.a", calls("one", "two"), returns("three", 6))
    second = archive(tmp_path / "second.a", calls("two", "three"))
    main = calls("main", "one")
    with pytest.raises(CallproofError, match="'three' is not defined anywhere"):
        link_bytes([main, ArchiveGroup((first,)), second], ORDERED)
    assert run_image(link_bytes([main, ArchiveGroup((second, first))], ORDERED)) == 6


def test_the_earlier_archive_wins_unless_order_says_otherwise(tmp_path: Path) -> None:
    """b.o, behind the first archive, wants what both have: ld takes the second's."""
    first = archive(tmp_path / "first.a", returns("value", 1))
    second = archive(tmp_path / "second.a", returns("value", 2))
    inputs: list[Input] = [calls("main", "b"), first, calls("b", "value"), second]
    assert run_image(link_bytes(inputs, MAIN)) == 1
    assert run_image(link_bytes(inputs, ORDERED)) == 2


def test_every_member_of_a_whole_archive_takes_part(tmp_path: Path) -> None:
    path = archive(tmp_path / "lib.a", returns("one", 1), returns("two", 2))
    options = LinkOptions(entry="main", collect_garbage=False)
    main = returns("main", 3)
    image = link_bytes([main, WholeArchive(path)], options)
    assert b"\0one\0" in image and b"\0two\0" in image
    assert b"\0one\0" not in link_bytes([main, path], options)


# --- thin archives ---------------------------------------------------------------------------


def thin_archive(folder: Path, *files: ObjectFile) -> Path:
    """As `ar rcT`: an index and names; the members beside it."""
    names = b"".join(file.name.encode() + b"/\n" for file in files)
    strings = b"".join(file.symbols[0].name.encode() + b"\0" for file in files)
    index_size = 4 + 4 * len(files) + len(strings)

    def header(name: bytes, size: int) -> bytes:
        return b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name, 0, 0, 0, b"644", size)

    body = b""
    offsets = []
    start = 8 + 60 + index_size + index_size % 2 + 60 + len(names) + len(names) % 2
    for file in files:
        data = write_elf(file)
        (folder / file.name).write_bytes(data)
        offsets.append(start + len(body))
        body += header(b"/%d" % names.index(file.name.encode()), len(data))
    table = len(files).to_bytes(4, "big") + b"".join(at.to_bytes(4, "big") for at in offsets)
    head = header(b"/", index_size) + table + strings + b"\n" * (index_size % 2)
    head += header(b"//", len(names)) + names + b"\n" * (len(names) % 2)
    path = folder / "thin.a"
    path.write_bytes(b"!<thin>\n" + head + body)
    return path


def test_members_of_a_thin_archive_are_files_beside_it(tmp_path: Path) -> None:
    path = thin_archive(tmp_path, returns("one", 1), returns("two", 2))
    assert run_image(link_bytes([calls("main", "two"), path], MAIN)) == 2
    assert sorted(read_archive(path.read_bytes(), str(path)).index) == ["one", "two"]
    (tmp_path / "two.o").write_bytes(b"changed")
    with pytest.raises(CallproofError, match=r"two\.o has 7 bytes instead of"):
        link_bytes([calls("main", "two"), path], MAIN)
    (tmp_path / "two.o").unlink()
    with pytest.raises(CallproofError, match=r"cannot read its member .*two\.o"):
        link_bytes([calls("main", "two"), path], MAIN)


def test_a_thin_archive_of_ar(tmp_path: Path) -> None:
    (tmp_path / "five.o").write_bytes(write_elf(returns("five", 5)))
    try:
        subprocess.run(["ar", "rcsT", "thin.a", "five.o"], cwd=tmp_path, check=True)
    except FileNotFoundError:
        pytest.skip("ar is not installed")
    image = link_bytes([calls("main", "five"), tmp_path / "thin.a"], MAIN)
    assert run_image(image) == 5


# --- the command line's words -----------------------------------------------------------------


def test_words_among_the_files_keep_their_place(tmp_path: Path) -> None:
    library = archive(tmp_path / "libone.a", returns("one", 1))
    words = ["a.o", "-L", "x", "-lone", "--start-group", "b.a", "-l", "one", "--end-group"]
    words += ["--whole-archive", "c.a", "--no-whole-archive", "d.o"]
    marked = list(_marked(words))
    assert marked[:4] == ["a.o", "-L", "x", f"{MARK}lone"]
    paths = [Path(word) for word in marked if word not in ("-L", "x")]
    assert read_inputs(paths, [tmp_path]) == [
        Path("a.o"),
        library,
        ArchiveGroup((Path("b.a"), library)),
        WholeArchive(Path("c.a")),
        Path("d.o"),
    ]
    assert list(_marked(["--", "-lone"])) == ["--", "-lone"], "behind -- everything is a file"


def test_what_is_in_musls_libc_needs_no_library() -> None:
    marked = [Path(f"{MARK}lm")]
    assert read_inputs(marked, [], with_libc=True) == []
    with pytest.raises(CallproofError, match=r"there is no libm\.a"):
        read_inputs(marked, [])


def test_the_command_line_links_by_name(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from callproof.cli.app import app

    archive(tmp_path / "libfive.a", returns("five", 5))
    (tmp_path / "main.o").write_bytes(write_elf(calls("main", "five")))
    output = tmp_path / "p"
    words = ["link", str(tmp_path / "main.o"), "--start-group", "-lfive", "--end-group", "-L"]
    words += [str(tmp_path), "-lm", "--ordered", "-o", str(output)]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert printed(output, "aarch64-linux") == (5, "")
    with pytest.raises(CallproofError, match=r"x\.ld: linker scripts are not supported"):
        CliRunner().invoke(app, [*words, "-T", "x.ld"], catch_exceptions=False)


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        ("()", ""),
        ("(", "without --end-group"),
        (")", "without --start-group"),
        ("((", "inside a group"),
    ],
)
def test_groups_are_well_formed(marks: str, message: str) -> None:
    paths = [Path(MARK + mark) for mark in marks]
    if not message:
        assert read_inputs(paths, []) == [ArchiveGroup(())]
        return
    with pytest.raises(CallproofError, match=message):
        read_inputs(paths, [])


def test_libraries_by_name(tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    for folder in (near, far):
        folder.mkdir()
        archive(folder / "libx.a", returns("x", 1))
    assert find_library("x", [near, far]) == near / "libx.a"
    assert find_library(":libx.a", [far]) == far / "libx.a"
    (near / "liby.so").write_bytes(b"")
    with pytest.raises(CallproofError, match=r"liby\.so is a shared library; .* needs liby\.a"):
        find_library("y", [near])
    with pytest.raises(CallproofError, match=r"there is no libz\.a \(looked in .*near"):
        find_library("z", [near])


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"/* GNU ld script\n*/\nOUTPUT_FORMAT(elf64-x86-64)\nGROUP ( /lib/libm-2.a AS_NEEDED "
            b"( /lib/libmvec.a ) )\n",
            "a linker script, which is not supported; give /lib/libm-2.a, /lib/libmvec.a instead",
        ),
        (b"SECTIONS { .text : { *(.text) } }", "a linker script, which is not supported"),
        (b"BC\xc0\xde" + bytes(20), "LLVM bitcode .* compile without -flto"),
        (b"hello", "neither an ELF object nor an archive"),
    ],
)
def test_other_files_are_refused_with_the_reason(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(CallproofError, match=message):
        link_bytes([path], MAIN)


def test_gccs_intermediate_code_is_refused() -> None:
    file = ObjectFile("lto.o", symbols=[Symbol("__gnu_lto_slim", common=1, value=1)])
    with pytest.raises(CallproofError, match="compile without -flto"):
        read_elf(write_elf(file), "lto.o")


def test_a_wish_to_run_the_stack_is_not_granted_silently() -> None:
    main = returns("main", 4)
    flags = elf.SHF_EXECINSTR
    main.sections.append(Section(".note.GNU-stack", "other", flags=flags))
    message = r"main\.o: section \.note\.GNU-stack wants a stack that can be executed"
    with pytest.raises(CallproofError, match=message):
        link_bytes([main], MAIN)
    image = link_bytes([main], LinkOptions(entry="main", exec_stack=True))
    assert run_image(image) == 4


def test_bounds_of_a_section_that_is_not_there_are_missing() -> None:
    symbol = Symbol("__start_nothing")
    code = words(0x90000000, 0xD65F03C0)
    with pytest.raises(CallproofError, match="'__start_nothing' is not defined anywhere"):
        link_bytes([function("main", code, (0, "R_AARCH64_ADR_PREL_PG_HI21", symbol))], MAIN)


def test_both_places_of_a_double_definition_are_told() -> None:
    first, second = returns("value", 1), returns("value", 2)
    first.name, second.name = "first.o", "second.o"
    second.symbols[0].value = 4
    with pytest.raises(CallproofError) as caught:
        link_bytes([calls("main", "value"), first, second], MAIN)
    assert "first.o (.text.value+0x0)" in str(caught.value)
    assert "second.o (.text.value+0x4)" in str(caught.value)


# --- what is kept --------------------------------------------------------------------------------


def test_retained_sections_and_companions_are_kept() -> None:
    main = calls("main", "leaf")
    leaf = returns("leaf", 1)
    kept = Section(".rodata.kept", "rodata", b"retained", flags=elf.SHF_GNU_RETAIN)
    about = Section(".about", "rodata", b"of leaf", linked_to=leaf.sections[0])
    dead = returns("dead", 2)
    about_dead = Section(".about", "rodata", b"of dead", linked_to=dead.sections[0])
    grouped = Section(".rodata.grouped", "rodata", b"in group", group="g")
    leaf.sections[0].group = "g"
    leaf.sections += [kept, about, grouped]
    dead.sections.append(about_dead)
    image = link_bytes([main, leaf, dead], MAIN)
    for text, is_kept in ((b"retained", 1), (b"of leaf", 1), (b"of dead", 0), (b"in group", 1)):
        assert image.count(text) == is_kept


def test_old_constructor_tables_run_backwards_among_the_new_ones(tmp_path: Path) -> None:
    """`.ctors` in reverse, `.ctors.65435` with priority 100: as init_array's words."""
    main = returns("main", 0)
    names = ["a", "b", "c", "d"]
    functions = [returns(name, 1) for name in names]
    symbols = {file.symbols[0].name: Symbol(file.symbols[0].name) for file in functions}

    def table(name: str, kind: str, *members: str) -> Section:
        section = Section(name, kind, bytes(8 * len(members)), alignment=8)
        section.relocations = [
            Relocation(8 * n, "R_AARCH64_ABS64", symbols[m]) for n, m in enumerate(members) if m
        ]
        return section

    main.sections.append(table(".ctors", "data", "", "a", "b"))
    main.sections.append(table(".ctors.65435", "data", "c"))
    main.sections.append(table(".init_array.00050", "init_array", "d"))
    main.symbols += symbols.values()
    from callproof.link import link_layout

    layout = link_layout([main, *functions], MAIN)
    found = next(o for o in layout.outputs() if o.name == ".init_array")
    data = b"".join(bytes(piece.data) for piece in found.pieces)
    places = [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]
    by_place = {layout.address_of(file.symbols[0]): file.symbols[0].name for file in functions}
    assert [by_place[place] for place in places] == ["d", "c", "b", "a"]


def test_code_families_stand_together() -> None:
    main = returns("main", 0)
    for name in ("x", "hot.a", "unlikely.b", "startup.c", "hot.d"):
        main.sections.append(Section(f".text.{name}", "code", words(NO_BITS), alignment=4))
    from callproof.link import link_layout

    layout = link_layout([main], LinkOptions(entry="main", collect_garbage=False))
    (output,) = [o for o in layout.outputs() if o.name == ".text"]
    names = [piece.section.name.removeprefix(".text.") for piece in output.pieces]
    assert names == ["unlikely.b", "startup.c", "hot.a", "hot.d", "main", "x"]


# --- thread-local variables -----------------------------------------------------------------------


THREAD = words(0xD53BD040, 0x91400000, 0x91000000, 0xB9400000, 0xD65F03C0)


def thread_program(symbol: Symbol) -> ObjectFile:
    """mrs x0, tpidr_el0; add, #:tprel_hi12:; add, #:tprel_lo12_nc:; ldr w0, [x0]; ret"""
    return function(
        "main",
        THREAD,
        (4, "R_AARCH64_TLSLE_ADD_TPREL_HI12", symbol),
        (8, "R_AARCH64_TLSLE_ADD_TPREL_LO12_NC", symbol),
    )


def test_a_common_symbol_may_be_thread_local() -> None:
    from callproof.link import link_layout

    small = Symbol("shared", common=4, value=4, kind="tls")
    large = ObjectFile("b.o", symbols=[Symbol("shared", common=64, value=16, kind="tls")])
    again = read_elf(write_elf(large), "b.o")
    assert again.symbols[0].kind == "tls"
    layout = link_layout([thread_program(small), again], MAIN)
    assert layout.tls[1:] == (0, 64, 16)


def test_thread_local_and_ordinary_variables_are_not_mixed_up() -> None:
    """As `ld` refuses it: one file says `extern int x`, the other `_Thread_local int x`."""
    data = Section(".data", "data", bytes(8), alignment=8)
    thread = Section(".tdata", "tdata", bytes(8), alignment=8)
    for section, kind in ((data, "object"), (thread, "tls")):
        other = ObjectFile("other.o", sections=[section])
        other.symbols.append(Symbol("x", section, size=8, kind=kind))
        ordinary = function(
            "main",
            words(0x90000000, 0xD65F03C0),
            (0, "R_AARCH64_ADR_PREL_PG_HI21", Symbol("x")),
        )
        local = thread_program(Symbol("x"))
        good, bad = (ordinary, local) if section is data else (local, ordinary)
        assert link_bytes([good, other], MAIN)
        with pytest.raises(CallproofError, match=r"to .x. of other.o: it is (not )?thread-local, "):
            link_bytes([bad, other], MAIN)


# --- the GOT of AArch64 ---------------------------------------------------------------------------


def got_program(second: int, *, far_apart: bool = False) -> ObjectFile:
    """adrp x0, :got:value; ldr, [x0, :got_lo12:value]; blr of what was loaded."""
    gap = [NO_BITS] if far_apart else []
    code = words(0xA9BF7BFD, 0x90000000, *gap, second, 0xD63F0000 | (second & 31) << 5)
    symbol = Symbol("value")
    file = function(
        "main",
        code + words(0xA8C17BFD, 0xD65F03C0),
        (4, "R_AARCH64_ADR_GOT_PAGE", symbol),
        (12 if far_apart else 8, "R_AARCH64_LD64_GOT_LO12_NC", symbol),
    )
    del file.symbols[-1]
    return file


@pytest.mark.parametrize(
    ("second", "far_apart", "slots"),
    [(0xF9400000, False, 0), (0xF9400000, True, 1), (0xF9400001, False, 1)],
)
def test_a_load_from_the_got_becomes_an_addition_if_it_is_a_pair(
    second: int, far_apart: bool, slots: int
) -> None:
    from callproof.link import link_layout
    from callproof.link.executable import write_executable

    layout = link_layout([got_program(second, far_apart=far_apart), returns("value", 6)], MAIN)
    assert len(layout.got) == slots
    assert run_image(bytes(write_executable(layout))) == 6


def test_an_undefined_weak_name_keeps_its_slot_of_zero() -> None:
    file = got_program(0xF9400000)
    file.symbols[-1].binding = "weak"
    file.sections[0].data = words(0x90000000, 0xF9400000, 0xD65F03C0)
    for relocation in file.sections[0].relocations:
        relocation.offset -= 4
    assert run_image(link_bytes([file], MAIN)) == 0
