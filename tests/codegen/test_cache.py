"""Kept code and several processes: the same bytes as without, whatever happens to the files."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks import families

from callproof import driver, kept_code
from callproof.codegen import backend, fingerprint, parallel
from callproof.codegen.cache import CodeCache, make_room, package_hash
from callproof.codegen.fingerprint import Fingerprint, Fingerprints
from callproof.ir import model
from callproof.ir.model import Function, Module
from callproof.ir.parse import parse_module
from callproof.ir.types import I32
from callproof.object import write_elf
from callproof.source import CallproofError
from callproof.target import by_name

TARGETS = ("aarch64-linux", "x86_64-linux")
ARM64 = by_name("aarch64-linux")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The functions that this process compiles; small programs are cached too."""
    found: list[str] = []
    real = backend.compile_function

    def compile_function(
        module: Module, function: Function, *rest: object, **more: object
    ) -> object:
        found.append(function.name)
        return real(module, function, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(backend, "compile_function", compile_function)
    monkeypatch.setattr(kept_code, "ENOUGH", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return found


def built(path: Path, **changed: object) -> bytes:
    """The object file of a source, as `build --emit obj` writes it."""
    options = replace(driver.Options(cache=True, inlining=False), **changed)  # type: ignore[arg-type]
    output, _ = driver.build([path], path.with_suffix(".o"), "obj", options)
    return output.read_bytes()


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "callproof" / "code").iterdir())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("make", "suffix"), [(families.bcpl, ".bcl"), (families.sox, ".sox")])
def test_the_same_object_with_kept_code_and_with_several_processes(
    make: Callable[[int], str], suffix: str, target: str, tmp_path: Path, counted: list[str]
) -> None:
    source = tmp_path / f"program{suffix}"
    source.write_text(make(150))
    plain = built(source, target=target, cache=False)
    number = len(counted)
    assert number > 10
    for jobs in (1, 2, 4):
        assert built(source, target=target, cache=False, jobs=jobs) == plain
    del counted[:]
    assert built(source, target=target) == plain  # nothing is there yet
    assert len(counted) == number
    for jobs in (1, 2):
        assert built(source, target=target, jobs=jobs) == plain
    assert len(counted) == number  # none of them again


@pytest.mark.parametrize(("make", "suffix"), [(families.bcpl, ".bcl"), (families.sox, ".sox")])
def test_after_a_change_only_changed_functions_are_compiled(
    make: Callable[[int], str], suffix: str, tmp_path: Path, counted: list[str]
) -> None:
    """Also if all lines below it and running numbers in names are others then."""
    source = tmp_path / f"program{suffix}"
    text = make(150)
    source.write_text(text)
    built(source)
    number = len(counted)
    del counted[:]
    changed = {
        ".bcl": ("LET work0(", 'LET added(x) = VALOF { WRITES("new text"); RESULTIS x * 77 }\n\n'),
        ".sox": ("fn work0(", 'fn added(x) {\n    print("new text" + x.size)\n}\n\n'),
    }[suffix]
    assert changed[0] in text
    source.write_text(text.replace(changed[0], changed[1] + changed[0]))
    after = built(source)
    assert 0 < len(counted) < number / 3
    assert built(source, cache=False) == after


def test_damaged_files_are_as_if_not_there_and_are_written_again(
    tmp_path: Path, counted: list[str]
) -> None:
    source = tmp_path / "program.bcl"
    source.write_text("LET START() BE { WRITEN(twice(21)) }\nAND twice(x) = x + x")
    plain = built(source)
    (file,) = files(tmp_path)
    good = file.read_bytes()
    middle = len(good) // 2
    for damaged in (
        b"",
        good[:20],
        good[:-1],
        good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :],
        b"x" * len(good),
    ):
        file.write_bytes(damaged)
        del counted[:]
        assert built(source) == plain
        assert counted
        assert file.read_bytes() == good
    del counted[:]
    assert built(source) == plain
    assert not counted


def test_builds_at_the_same_time_leave_a_good_file(tmp_path: Path, counted: list[str]) -> None:
    source = tmp_path / "program.bcl"
    source.write_text("LET START() BE { WRITEN(twice(21)) }\nAND twice(x) = x + x")
    plain = built(source)
    (file,) = files(tmp_path)
    good = file.read_bytes()
    children = []
    for number in range(4):
        child = os.fork()
        if not child:
            status = 1
            try:
                options = driver.Options(cache=True, inlining=False)
                for _ in range(8):
                    file.unlink(missing_ok=True)
                    output, _ = driver.build([source], tmp_path / f"{number}.o", "obj", options)
                    status = 0 if output.read_bytes() == plain else 2
                    if status:
                        break
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert files(tmp_path) == [file]  # no temporary one is left
    assert file.read_bytes() == good


def test_what_cannot_be_kept_is_compiled(tmp_path: Path, counted: list[str]) -> None:
    """A file stands where the cache's folder should be."""
    source = tmp_path / "program.bcl"
    source.write_text("LET START() BE WRITEN(1)")
    (tmp_path / "cache").write_text("")
    assert built(source) == built(source, cache=False)


@pytest.mark.parametrize("how", ["verify", "debug", "asm"])
def test_nothing_is_kept_where_more_than_code_is_wanted(
    how: str, tmp_path: Path, counted: list[str]
) -> None:
    source = tmp_path / "program.bcl"
    source.write_text("LET START() BE WRITEN(1)")
    if how == "asm":
        driver.build([source], tmp_path / "p.s", "asm", driver.Options(cache=True, jobs=2))
    else:
        built(source, jobs=2, **{how: True})
    assert counted
    assert not (tmp_path / "cache").exists()


def test_objects_with_debug_information_need_no_remarks(tmp_path: Path) -> None:
    """Frames are described from the lines, which only listings were thought to need."""
    source = tmp_path / "program.bcl"
    source.write_text("LET START() BE WRITEN(twice(21))\nAND twice(x) = x + x")
    options = driver.Options(debug=True, inlining=False, comments=True)
    wanted = write_elf(driver.compile_file(source, options).object_file())
    assert built(source, debug=True) == wanted


def test_other_options_and_another_compiler_have_other_files(
    tmp_path: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "program.bcl"
    source.write_text("LET START() BE WRITEN(1)")
    ways: list[dict[str, object]] = [{}, {"poison": True}, {"target": TARGETS[1]}]
    for number, changed in enumerate(ways, start=1):
        built(source, **changed)
        assert len(files(tmp_path)) == number
    monkeypatch.setattr("callproof.codegen.cache.package_hash", lambda: b"another compiler")
    del counted[:]
    built(source)
    assert counted
    assert len(files(tmp_path)) == 4


def test_the_packages_hash_is_of_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    file = tmp_path / "inner" / "one.py"
    seen = {package_hash(tmp_path)}
    for text in ("a", "b"):
        file.write_text(text)
        seen.add(package_hash(tmp_path))
    file.rename(tmp_path / "inner" / "two.py")
    seen.add(package_hash(tmp_path))
    assert len(seen) == 4


def test_the_oldest_files_go_first(tmp_path: Path) -> None:
    for age in range(5):
        file = tmp_path / f"{age}.code"
        file.write_bytes(bytes(100))
        os.utime(file, (1000 - age, 1000 - age))
    (tmp_path / "other").write_bytes(bytes(1000))  # not ours
    make_room(tmp_path, 250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.code", "1.code", "other"]


# --- keys ----------------------------------------------------------------------------------

TEXT = """
declare @outside(x: i64) -> i64
data @text.1 align 8 readonly "one"
data @text.2 align 8 readonly "two"
data @text.3 align 2 readonly "two"
data @named align 8 writable zero 8
data @other align 8 writable zero 8
function @f(x: i64) -> i64 {
^entry(%x.0: i64):
  %1 = load i64 @text.1                                 !5
  %2 = load i64 @named                                  !5
  %3 = add i64 %1, %x.0                                 !6
  %4 = call @outside(%3)                                !7
  %5 = slt i64 %4, %2                                   !7
  branch %5, ^then(%4), ^else
^then(%a.6: i64):
  return %a.6
^else:
  return 7
}
"""
SAME = [("@text.1   ", "@text.2   "), ("!5\n", "!15\n"), ("!7\n", "!17\n")]
OTHER = [
    ("load i64 @text.1", "load i64 @text.3"),
    ("load i64 @named", "load i64 @other"),
    ("load i64 @text.1", "load i64 @text.1 + 8"),
    ("load i64 @text.1 ", "load i64 @text.1+8 "),
    ("load i64 @named                                  !5", "load i64 @named"),
    ("add i64", "sub i64"),
    ("%1, %x.0", "%x.0, %1"),
    ("%1, %x.0", "%1, %1"),
    ("^then(%4), ^else", "^then(%3), ^else"),
    ("return 7", "return 8"),
    ("@named align 8", "@named align 4"),
    ("declare @outside(x: i64) -> i64", "declare @outside(x: i32) -> i64"),
    ("declare @outside(x: i64) -> i64", "declare @outside(x: i64, ...) -> i64"),
    ("@f(x", "@g(x"),
    ("!6", "!5"),
]


def print_of(text: str) -> Fingerprint:
    module = parse_module(text)
    (function,) = module.functions.values()
    return Fingerprints(module, ARM64).of(function)


def test_places_and_running_numbers_are_not_in_the_key() -> None:
    before = print_of(TEXT)
    for old, new in SAME:
        head, body = TEXT.split("function", 1)
        assert old in body
        after = print_of(head + "function" + body.replace(old, new))
        assert after.key == before.key
        assert (list(after.symbols), list(after.places)) != (
            list(before.symbols),
            list(before.places),
        )


@pytest.mark.parametrize(("old", "new"), OTHER)
def test_what_the_code_depends_on_is_in_the_key(old: str, new: str) -> None:
    assert old in TEXT
    assert print_of(TEXT.replace(old, new)).key != print_of(TEXT).key


@pytest.mark.parametrize("field", ["tail", "slot_name", "size", "alignment", "object_address"])
def test_rare_fields_are_in_the_key(field: str) -> None:
    module = parse_module(TEXT)
    (function,) = module.functions.values()
    prints = Fingerprints(module, ARM64)
    before = prints.of(function).key
    given = {"tail": True, "slot_name": "s", "object_address": model.Constant(I32, 0)}
    setattr(function.blocks[0].instructions[0], field, given.get(field, 8))
    assert prints.of(function).key != before


def test_no_field_of_the_ir_is_forgotten() -> None:
    for name, fields in fingerprint.READ.items():
        known = set(fields.split()) | set(fingerprint.NOT_READ.get(name, "").split())
        assert set(getattr(model, name).__slots__) == known


# --- processes -------------------------------------------------------------------------------


def test_shares_are_all_functions_and_even() -> None:
    weights = [1000, 1, 1, 500, 400, 1, 90]
    found = parallel.shares(weights, 2)
    assert sorted(found[0] + found[1]) == list(range(7))
    totals = [sum(weights[index] for index in share) for share in found]
    assert max(totals) - min(totals) < 20
    assert found[0] == sorted(found[0])
    assert parallel.shares([5], 3) == [[0], [], []]


def test_a_process_that_dies_is_no_loss(
    tmp_path: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other processes are killed in the middle of their work: this one does all of it."""
    source = tmp_path / "program.sox"
    source.write_text(families.sox(100))
    plain = built(source, cache=False)
    here, number = os.getpid(), len(counted)
    compile_function = backend.compile_function
    forked = []

    def dies(*given: object, **more: object) -> object:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return compile_function(*given, **more)  # type: ignore[arg-type]

    def fork() -> int:
        forked.append(1)
        return real()

    real = os.fork
    monkeypatch.setattr(os, "fork", fork)
    monkeypatch.setattr(backend, "compile_function", dies)
    del counted[:]
    assert built(source, cache=False, jobs=3) == plain
    assert (len(counted), len(forked)) == (number, 2)


def test_errors_are_those_of_one_process(tmp_path: Path) -> None:
    """A frame that is too large, in a function of any process's share."""
    body = "".join(
        f"function @f{n}() -> i64 {{\n^entry:\n  %0 = slot {size} align 8\n"
        "  %1 = call @use(%0)\n  return %1\n}\n"
        for n, size in enumerate((8, 16, 1 << 40, 8))
    )
    source = tmp_path / "large.ir"
    source.write_text(f"declare @use(x: i64) -> i64\n{body}")
    said = []
    for jobs in (1, 2, 4):
        with pytest.raises(CallproofError) as caught:
            built(source, jobs=jobs)
        said.append(str(caught.value))
    assert said[0] == said[1] == said[2]
    with pytest.raises(ChildProcessError):  # no process is left behind
        os.waitpid(-1, os.WNOHANG)


def test_how_many_processes() -> None:
    assert parallel.processes(0, [10] * 100) == 1  # not worth it
    assert parallel.processes(3, [10] * 2) == 2
    assert parallel.processes(3, []) == 1
    wanted = parallel.processes(0, [parallel.ENOUGH] * 100)
    assert wanted == min(len(os.sched_getaffinity(0)), parallel.MOST)


def test_a_cache_finds_by_key(tmp_path: Path) -> None:
    module = parse_module(TEXT)
    cache = CodeCache(tmp_path, "x", module, ARM64, False)
    by = print_of(TEXT)
    (function,) = module.functions.values()
    assert cache.find(function, by) is None
    (emitted,) = backend.compile_module(module, ARM64, comments=False).functions
    cache.add(emitted, by)
    cache.save()
    moved = print_of(TEXT.replace("load i64 @text.1", "load i64 @text.2").replace("!6", "!66"))
    found = CodeCache(tmp_path, "x", module, ARM64, False).find(function, moved)
    assert found is not None
    assert found.code == emitted.code
    names = {"@text.1"[1:]: "text.2"}
    assert [r.symbol for r in found.relocations] == [
        names.get(r.symbol, r.symbol) for r in emitted.relocations
    ]
    assert [p for _, p in found.line_rows] == [
        66 if place == 6 else place for _, place in emitted.line_rows
    ]
