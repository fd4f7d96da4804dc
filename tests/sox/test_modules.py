"""Loading whole programs: where modules are found, which are shared, what fails and how."""

from __future__ import annotations

from pathlib import Path

import pytest

from callproof.source import CallproofError, Diagnostics
from callproof.sox import nodes as ast
from callproof.sox.frontend import CANNOT_OPEN, load, load_source, reference_errors
from callproof.sox.lexer import SoxSource
from callproof.sox.modules import SearchPlaces
from callproof.sox.symbols import ImportFailure, Module, Program


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def loaded(
    folder: Path, files: dict[str, str], script: str = "main.sox"
) -> tuple[Program, list[str]]:
    """The program of a script, with `folder` as the working directory, and its warnings."""
    write(folder, files)
    warnings = Diagnostics()
    program = load(folder / script, SearchPlaces(str(folder)), warnings)
    return program, [one.message for one in warnings.found]


def targets(module: Module) -> list[Module | ImportFailure | None]:
    return [node.target for node in module.imports]


def failure(module: Module) -> ImportFailure:
    (target,) = targets(module)
    assert isinstance(target, ImportFailure)
    return target


def texts(program: Program) -> list[str]:
    return [module.source.text for module in program.modules]


def test_places_in_order(tmp_path: Path) -> None:
    program, _ = loaded(tmp_path, {"main.sox": 'import "m"', "m": "1", "m.sox": "2"})
    assert texts(program) == ['import "m"', "1"]
    (tmp_path / "m").unlink()
    program, _ = loaded(tmp_path, {})
    assert texts(program)[1:] == ["2"]


def test_a_folder_is_no_module(tmp_path: Path) -> None:
    program, warnings = loaded(tmp_path, {"main.sox": 'import "m"', "m/x.sox": "", "m.sox": "2"})
    assert texts(program)[1:] == ["2"]
    assert warnings == []


def test_the_working_directory_comes_before_the_importers_folder(tmp_path: Path) -> None:
    files = {
        "main.sox": 'import "lib/a"',
        "lib/a.sox": 'import "b" import "c"',
        "lib/b.sox": "1",
        "lib/c.sox": "2",
        "b.sox": "3",
    }
    program, _ = loaded(tmp_path, files)
    assert texts(program) == ['import "lib/a"', 'import "b" import "c"', "3", "2"]


def test_module_path_folders_come_last(tmp_path: Path) -> None:
    write(tmp_path, {"work/main.sox": 'import "m" import "n"', "one/m.sox": "1", "two/m.sox": "2"})
    write(tmp_path, {"two/n.sox": "3"})
    folders = (str(tmp_path / "one"), str(tmp_path / "two"))
    places = SearchPlaces(str(tmp_path / "work"), folders)
    assert texts(load(tmp_path / "work/main.sox", places))[1:] == ["1", "3"]


def test_the_working_directory_is_that_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"main.sox": 'import "modules/m.sox"', "modules/m.sox": "1"})
    monkeypatch.chdir(tmp_path)
    assert texts(load("main.sox"))[1:] == ["1"]


def test_a_module_is_read_once_for_each_spelling(tmp_path: Path) -> None:
    text = 'import "m" import n "m" import "./m" { import "m" }'
    program, _ = loaded(tmp_path, {"main.sox": text, "m.sox": "return 1"})
    first, again, other, inner = targets(program.script)
    assert first is again is inner
    assert isinstance(first, Module) and isinstance(other, Module)
    assert other is not first
    assert [module.key for module in program.modules] == ["", "m", "./m"]


def test_the_same_words_beside_another_importer_are_another_module(tmp_path: Path) -> None:
    files = {
        "main.sox": 'import "a/m" import "b/m"',
        "a/m.sox": 'import "n"',
        "b/m.sox": 'import "n"',
        "a/n.sox": "1",
        "b/n.sox": "2",
    }
    program, _ = loaded(tmp_path, files)
    assert texts(program)[3:] == ["1", "2"]


def test_cycles_are_left_to_run_time(tmp_path: Path) -> None:
    files = {"main.sox": 'import "a"', "a.sox": 'import "b"', "b.sox": 'import "a"'}
    program, warnings = loaded(tmp_path, files)
    _, a, b = program.modules
    assert targets(a) == [b] and targets(b) == [a]
    assert warnings == []
    program, _ = loaded(tmp_path, {"main.sox": 'import "main"'})
    script, itself = program.modules
    assert targets(script) == [itself] and targets(itself) == [itself]
    assert script.is_script and not itself.is_script


def test_globals_are_private_and_mains_apart(tmp_path: Path) -> None:
    files = {"main.sox": 'import "m" var a = 1', "m.sox": "var a = 2 len = 3 fn main() {}"}
    program, _ = loaded(tmp_path, files)
    script, module = program.modules
    assert script.globals["a"] is not module.globals["a"]
    assert "len" not in script.globals and module.globals["len"].is_native
    assert program.main is None


def test_what_is_not_found(tmp_path: Path) -> None:
    program, warnings = loaded(tmp_path, {"main.sox": 'import "lib/m.sox"'})
    assert failure(program.script).message == b"Module not found: 'lib/m.sox'"
    assert warnings == ["Module not found: 'lib/m.sox'"]


@pytest.mark.parametrize("path", [b"", b"\xff", b"a" * 5000, b"m/" * 3000])
def test_strange_paths_are_not_found(path: bytes) -> None:
    program = load_source(SoxSource("t", b'import m "%s"' % path))
    assert failure(program.script).message == b"Module not found: '%s'" % path


def test_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> SoxSource:
        raise CallproofError(f"cannot read {path}: Permission denied")

    write(tmp_path, {"main.sox": 'import "m"', "m.sox": ""})
    script = SoxSource.read(tmp_path / "main.sox")
    monkeypatch.setattr(SoxSource, "read", refuse)
    program = load_source(script, None, SearchPlaces(str(tmp_path)))
    assert failure(program.script).message == b"Could not read module: 'm.sox'"


def test_a_module_that_does_not_compile(tmp_path: Path) -> None:
    files = {"main.sox": 'print 1 import "m" import n "m"', "m.sox": "print\n)\nvar 1"}
    program, warnings = loaded(tmp_path, files)
    first, again = targets(program.script)
    assert first is again
    assert isinstance(first, ImportFailure)
    assert first.message == b"Failed to compile module: 'm.sox'"
    assert reference_errors(first.errors) == [
        b"[line 2] Error at ')': Expect expression.",
        b"[line 3] Error at '1': Expect variable name.",
    ]
    assert len(program.modules) == 1
    assert warnings == [
        "Expect expression.",
        "Expect variable name.",
        "Failed to compile module: 'm.sox'",
        "Failed to compile module: 'm.sox'",
    ]


def test_errors_of_the_script_are_raised_together(tmp_path: Path) -> None:
    with pytest.raises(CallproofError) as raised:
        loaded(tmp_path, {"main.sox": "print ); break"})
    assert reference_errors(raised.value.diagnostics) == [
        b"[line 1] Error at ')': Expect expression.",
        b"[line 1] Error at 'break': Can't use break outside of a loop or switch statement.",
    ]


def test_a_script_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CallproofError) as raised:
        load(tmp_path / "none.sox")
    (found,) = raised.value.diagnostics
    assert (found.code, found.message) == (
        CANNOT_OPEN,
        f'Could not open file "{tmp_path / "none.sox"}".',
    )
    assert reference_errors([found]) == []


def test_tests_and_main_of_a_program(tmp_path: Path) -> None:
    program, _ = loaded(tmp_path, {"main.sox": "#[test] fn A(t) {} fn main(argc, argv) {}"})
    assert [one.name for one in program.script.tests] == ["A"]
    assert program.main is not None and program.main.name == "main"
    assert all(isinstance(one, ast.FunctionDeclaration) for one in program.script.function.body)
