"""C functions called from NewBCPL: a C file of our own, the IR of calls, the linker's words."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from callproof import driver
from callproof.bcpl.frontend import compile_to_ir
from callproof.ir.interpret import Interpreter, Number
from callproof.ir.model import Module
from callproof.ir.parse import parse_module
from callproof.ir.text import print_module
from callproof.ir.verify import verify
from callproof.object.archive import write_archive
from callproof.passes.pipeline import optimise
from callproof.source import CallproofError, Diagnostics, SourceFile
from tests.support.bcpl_externals import Runtime
from tests.support.clang import ZIG_CC
from tests.test_programs import output_of

HERE = Path(__file__).parent
PROGRAM = HERE / "external.bcl"
FLOATS = ("SINGLE", "DOUBLE")
HELLO = HERE.parent.parent / "examples" / "hello.bcl"


@pytest.fixture(scope="session")
def extra(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """`external.c` by Clang, as an object and in an archive."""
    folder = tmp_path_factory.mktemp("extra")
    item = folder / "extra.o"
    # UBSan's traps want a runtime; unused parameters of naked functions are no concern.
    flags = ["-O2", "-fno-sanitize=all", "-c"]
    subprocess.run([*ZIG_CC, *flags, str(HERE / "external.c"), "-o", str(item)], check=True)
    archive = folder / "libextra.a"
    archive.write_bytes(write_archive([("extra.o", item.read_bytes())]))
    return {"object": item, "archive": archive}


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("kind", ["object", "archive"])
def test_calls_into_c_and_back(
    level: int, kind: str, extra: dict[str, Path], tmp_path: Path
) -> None:
    executable = tmp_path / "program"
    options = driver.Options(level=level, verify=True)
    driver.build([PROGRAM, extra[kind]], executable, "exe", options)
    expected = (HERE / "external.out").read_bytes()
    assert output_of(executable, poison=False) == expected
    assert output_of(executable, poison=True) == expected


def test_calls_into_c_with_poison_inside(extra: dict[str, Path], tmp_path: Path) -> None:
    executable = tmp_path / "program"
    options = driver.Options(verify=True, poison=True)
    driver.build([PROGRAM, extra["object"]], executable, "exe", options)
    assert output_of(executable, poison=False) == (HERE / "external.out").read_bytes()


def callproof(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from callproof.cli import main; main()", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_run_and_build_take_objects_and_archives(extra: dict[str, Path], tmp_path: Path) -> None:
    expected = (HERE / "external.out").read_text()
    done = callproof("run", PROGRAM, extra["archive"], "--", "passed.o")
    assert (done.stdout, done.stderr, done.returncode) == (expected, "", 0)
    output = tmp_path / "program"
    assert callproof("build", PROGRAM, extra["object"], "-o", output).returncode == 0
    assert callproof("run", output, "passed.o").stdout == expected


def test_what_follows_the_program_on_the_command_line() -> None:
    split = driver.split_run_arguments
    source, executable = Path("a.bcl"), Path("a")
    assert split(source, ["b.o", "c.a", "x", "d.o"]) == ([Path("b.o"), Path("c.a")], ["x", "d.o"])
    assert split(source, ["b.o", "--", "d.o"]) == ([Path("b.o")], ["d.o"])
    assert split(source, ["x", "--", "d.o"]) == ([], ["x", "--", "d.o"])
    assert split(executable, ["b.o", "--"]) == ([], ["b.o", "--"])


def module_of(text: str) -> Module:
    module = compile_to_ir(SourceFile("test.bcl", text), Diagnostics())
    verify(module)
    return module


@pytest.mark.parametrize("level", [0, 2])
def test_values_get_the_width_of_their_types(level: int) -> None:
    """What a C function is given, and what a program makes of results with all bits set."""
    kinds = "CHAR BYTE SHORT USHORT INT UINT LONG ULONG SIZE BOOL SINGLE DOUBLE".split()
    lines = ["EXTERNAL {", *(f"FUNCTION f{kind}(x: {kind}) : {kind}" for kind in kinds), "}"]
    lines.append("LET try(x, y) BE {")
    for kind in kinds:
        letter = "f" if kind in FLOATS else "d"
        lines.append(f'WRITEF("%{letter} ", f{kind}(x)) f{kind}(y)')
    lines += ["}", "LET START() BE try(#xF1F2F3F4F5F6F7F8, 2.75)"]
    module = module_of("\n".join(lines))
    optimise(module, level, verify_each=True)
    given: dict[str, list[Number]] = {kind: [] for kind in kinds}
    runtime = Runtime()

    def c_function(kind: str) -> None:
        def called(interpreter: Interpreter, arguments: list[Number]) -> tuple[Number, ...]:
            del interpreter
            given[kind].append(arguments[0])
            return (-1.0,) if kind in FLOATS else (-1 if kind != "BOOL" else 1,)

        runtime.externals[f"f{kind}"] = called

    for kind in kinds:
        c_function(kind)
    Interpreter(module, runtime.externals).call("bcpl_start")
    word = 0xF1F2F3F4F5F6F7F8 - (1 << 64)
    (single,) = struct.unpack("<f", struct.pack("<f", word))
    assert given == {
        "CHAR": [-8, 2],
        "BYTE": [-8, 2],  # the bits 0xF8: in the IR integers have no sign
        "SHORT": [-0x0808, 2],
        "USHORT": [-0x0808, 2],
        "INT": [-0x0A090808, 2],
        "UINT": [-0x0A090808, 2],
        "LONG": [word, 2],
        "ULONG": [word, 2],
        "SIZE": [word, 2],
        "BOOL": [1, 1],
        "SINGLE": [single, 2.75],
        "DOUBLE": [float(word), 2.75],
    }
    assert bytes(runtime.output).split() == (
        b"-1 255 -1 65535 -1 4294967295 -1 -1 -1 1 -1.000000 -1.000000".split()
    )


def test_a_variadic_call_says_what_it_passes() -> None:
    module = module_of(
        """EXTERNAL FUNCTION printf(format: CSTRING, ...) : INT
        LET START() BE printf("x", 1, 2.0, "s", NEW C(), START)
        CLASS C $( DECL x $)"""
    )
    (call,) = [
        one
        for block in module.functions["START"].blocks
        for one in block.instructions
        if one.callee == "printf"
    ]
    assert call.signature is not None
    assert [str(one.type) for one in call.signature.parameters] == "ptr i64 f64 ptr i64 i64".split()
    assert call.signature.variadic_from == 1
    assert str(call.signature.result) == "i32"
    text = print_module(module)
    assert print_module(parse_module(text, "test.bcl")) == text


def symbols_of(path: Path) -> set[str]:
    with path.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        return {symbol.name for symbol in table.iter_symbols()}


def test_only_programs_that_call_c_have_its_buffers(tmp_path: Path) -> None:
    hello, declared, called = tmp_path / "hello", tmp_path / "declared", tmp_path / "called"
    driver.build([HELLO], hello, "exe", driver.Options())
    declaration = "EXTERNAL FUNCTION abs(n: INT) : INT\n"
    source = tmp_path / "hello.bcl"
    source.write_text(declaration + HELLO.read_text())
    driver.build([source], declared, "exe", driver.Options())
    source.write_text(declaration + 'LET START() BE WRITES(abs(-1) = 1 -> "yes", "no")')
    driver.build([source], called, "exe", driver.Options())
    assert hello.stat().st_size < 10_000
    assert not symbols_of(hello) & {"bcpl_share_stdio", "fflush", "malloc"}
    assert symbols_of(declared) == symbols_of(hello)
    assert symbols_of(called) >= {"bcpl_share_stdio", "fflush", "abs"}
    assert output_of(called, poison=True) == b"yes"


@pytest.mark.parametrize(
    ("library", "advice"),
    [
        ("c", "musl's libc has no such function"),
        ("m2", 'the program is not linked with library "m2"'),
    ],
)
def test_a_function_that_nobody_defines(library: str, advice: str, tmp_path: Path) -> None:
    source = tmp_path / "program.bcl"
    source.write_text(
        f'EXTERNAL "{library}" $(\n    FUNCTION f(x: INT) : INT AS "nowhere"\n$)\n'
        "LET START() BE WRITEN(f(1))\n"
    )
    with pytest.raises(CallproofError) as raised:
        driver.build([source], tmp_path / "program", "exe", driver.Options())
    (found,) = raised.value.diagnostics
    assert found.message == "'nowhere' is not defined anywhere"
    text = found.render()
    assert f"it is declared EXTERNAL here; {advice}: name the .o or .a file" in text
    assert "2 |     FUNCTION f(x: INT)" in text


def test_output_that_cannot_be_written_ends_the_program(tmp_path: Path) -> None:
    source = tmp_path / "program.bcl"
    source.write_text(
        "EXTERNAL FUNCTION putchar(c: INT) : INT\n"
        "LET START() BE $( putchar('a') WRITES(\"b*N\") $)\n"
    )
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-c", "from callproof.cli import main; main()"]
        done = subprocess.run(
            [*command, "run", source], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 74
    assert done.stderr == b"callproof: cannot write to standard output: no space is left\n"


def test_both_languages_read_one_input(tmp_path: Path) -> None:
    source = tmp_path / "program.bcl"
    source.write_text(
        "EXTERNAL FUNCTION getchar() : INT\n"
        "LET START() BE FOR i = 1 TO 3 DO $( WRITEC(RDCH()) WRITEN(getchar()) $)\n"
    )
    command = [sys.executable, "-c", "from callproof.cli import main; main()", "run", str(source)]
    done = subprocess.run(command, input=b"aAbBc", capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"a65b66c-1", b"")
