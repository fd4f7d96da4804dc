"""One batch: both programs compiled, linked by our linker, and run; what differed."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from callproof.abi.data_model import DARWIN_ARM64, LINUX_ARM64, LINUX_X64, DataModel
from callproof.codegen.backend import compile_module
from callproof.codegen.objects import build_object
from callproof.ir.parse import parse_module
from callproof.ir.verify import verify
from callproof.link import LinkOptions, link_bytes
from callproof.object import read_object
from callproof.object.model import ObjectFile, Section, Symbol
from callproof.passes.pipeline import optimise
from callproof.target import by_name
from tests.conformance import native
from tests.conformance.c_side import (
    MOST_FAILURES,
    RESULT,
    CaseText,
    c_program,
    layout_rows,
    prepare,
)
from tests.conformance.cases import (
    ALIGNED_BITS,
    MIXED_HALVES,
    PACKED_QUADS,
    SPLIT,
    STRICT_ANONYMOUS,
    UNNAMED_BITS,
    VECTORS,
    CaseSpec,
)
from tests.conformance.compilers import CLANG, COMMON, STATIC, ZIG, Difference
from tests.conformance.ir_side import ir_program
from tests.conformance.machine import KINDS, Fault, Machine
from tests.conformance.x64 import run_x64_batch

ASSIGNMENTS = "x86_64-linux-assignments"


@dataclass(frozen=True)
class Platform:
    """`command` compiles C, but for what `without` leaves out (see `cases.Generator`);
    `attribute` selects another convention in it, and then `target` is ours and the types
    are still those of `model`.  `natively` runs on this host instead of in an emulator."""

    name: str
    convention: str
    command: tuple[str, ...]
    without: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    attribute: str = ""
    target: str = "aarch64-linux"
    model: DataModel = LINUX_ARM64
    natively: bool = False


PLATFORMS = {
    platform.name: platform
    for platform in (
        Platform(
            "aarch64-linux",
            "aapcs64",
            (*ZIG, "aarch64-linux-musl", *COMMON, *CLANG, *STATIC),
            # An HFA's members are of one type by AAPCS64 and for GCC; to Clang their size is
            # enough.  GCC first goes
            # to a bit-field's own alignment, then looks whether it crosses a unit; Clang
            # the other way round.  Packed HFAs of quads are aligned to 16 bytes on the stack
            # by Clang's -O0, to 8 by AAPCS64, GCC and Clang's other levels.
            without=(MIXED_HALVES, PACKED_QUADS, ALIGNED_BITS),
        ),
        Platform(
            "aarch64-macos",
            "darwin64",
            (*ZIG, "aarch64-macos", "-mcpu=generic", *COMMON, *CLANG),
            # Clang's callers put an anonymous HFA or HVA at a multiple of its member's alignment
            # or of 8 (that depends on -O), its va_arg looks at a multiple of the type's alignment.
            without=(STRICT_ANONYMOUS, PACKED_QUADS),
            target="aarch64-macos",
            model=DARWIN_ARM64,
        ),
        # Windows' calls in a Linux object, whose format we read; the types are Linux's.
        Platform(
            "aarch64-windows",
            "windows64",
            (*ZIG, "aarch64-linux-musl", *COMMON, *CLANG, *STATIC),
            # In variadic functions of this kind Clang cannot compile halves, passes vectors and
            # quads in V registers but looks for them in X registers, and does not agree with
            # itself about the alignment of 128-bit integers.
            without=(
                ALIGNED_BITS,
                PACKED_QUADS,
                SPLIT,  # Microsoft's rule, but Clang's callers leave X7 empty
                *("_Float16", "__bf16", "long double", "__int128", "unsigned __int128"),
                *VECTORS,
            ),
            attribute="__attribute__((ms_abi)) ",
            target="aarch64-windows",
        ),
        Platform(
            "aarch64-linux-gcc",
            "aapcs64",
            ("aarch64-linux-gnu-gcc", *COMMON, *STATIC),
            without=("__bf16",),
        ),
        # Assignments only: no code of ours, but all types.
        Platform(ASSIGNMENTS, "sysv64", ZIG, (ALIGNED_BITS,), extra=("_Complex long double",)),
        Platform(
            "x86_64-linux",
            "sysv64",
            (*ZIG, "x86_64-linux-musl", "-mcpu=x86_64", *COMMON, *CLANG, *STATIC),
            without=(ALIGNED_BITS,),  # and IR text has no `_Complex`, only a structure of two
            target="x86_64-linux",
            model=LINUX_X64,
            natively=native.available(),
        ),
        Platform(
            "x86_64-linux-gcc",
            "sysv64",
            ("gcc", *COMMON, *STATIC, "-mno-avx"),
            # GCC's C has an eightbyte with nothing but an unnamed bit-field in a register;
            # for Clang (and G++) it is padding.
            without=("__bf16", UNNAMED_BITS),
            target="x86_64-linux",
            model=LINUX_X64,
            natively=native.available(),
        ),
    )
}


def compile_c(text: str, platform: Platform, level: str, folder: Path) -> bytes:
    """The object file of a C program."""
    source, output = folder / "batch.c", folder / "batch.o"
    source.write_text(text)
    done = subprocess.run(
        [*platform.command, level, "-c", str(source), "-o", str(output)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"the C compiler refuses the batch:\n{done.stderr[:4000]}")
    return output.read_bytes()


def run_batch(
    specs: list[CaseSpec],
    platform: Platform,
    seed: int,
    *,
    c_level: str = "-O1",
    ir_level: int = 1,
    keep: Path | None = None,
) -> list[Difference]:
    """Run cases in all four directions; [] if both sides agree about everything.

    `keep` is a folder for the two programs and the linked image.
    """
    if platform.name == ASSIGNMENTS:
        return run_x64_batch(specs, seed, c_level)
    cases = [prepare(spec, number, seed, platform.model) for number, spec in enumerate(specs)]
    c_text = c_program(cases, platform.model, platform.attribute)
    ir_text = ir_program(cases)
    if keep is not None:
        (keep / "batch.c").write_text(c_text)
        (keep / "batch.ir").write_text(ir_text)
    with tempfile.TemporaryDirectory() as folder:
        theirs = compile_c(c_text, platform, c_level, Path(folder))
    module = parse_module(ir_text, "batch")
    verify(module)
    optimise(module, ir_level)
    target = by_name(platform.target)
    compiled = compile_module(module, target, verify=True)
    ours = build_object(module, compiled.functions, compiled.pool, target, "batch")
    objects = [ours, read_object(theirs, "batch.o")]
    if target.machine == "x86_64":
        objects.append(support_object())
    if platform.natively:
        objects.append(native.probe_object())
        options = LinkOptions(entry="start", base=native.BASE, collect_garbage=False)
    else:
        options = LinkOptions(entry="start")
    image = link_bytes(objects, options)
    if keep is not None:
        (keep / "batch.o").write_bytes(theirs)
        (keep / "batch.elf").write_bytes(image)
    machine = (
        native.NativeMachine(image) if platform.natively else Machine(image, KINDS[target.machine])
    )
    return _run(machine, cases, layouts(cases, platform))


def support_object() -> ObjectFile:
    """Clang moves a `__bf16` through float by a function; our values are exact in both."""
    # movd %xmm0, %eax; shr $16, %eax; movd %eax, %xmm0; ret
    code = bytes.fromhex("660f7ec0 c1e810 660f6ec0 c3")
    section = Section(".text.truncate", "code", code)
    symbol = Symbol("__truncsfbf2", section, size=len(code), kind="function")
    return ObjectFile("support.o", "x86_64", [section], [symbol])


def layouts(cases: list[CaseText], platform: Platform) -> list[tuple[int, str, int]]:
    return [
        (c.number, text, value) for c in cases for text, value in layout_rows(c, platform.model)
    ]


def _run(
    machine: Machine | native.NativeMachine, cases: list[CaseText], rows: list[tuple[int, str, int]]
) -> list[Difference]:
    control = machine.call(machine.entry)
    report, depth, routines, table = (machine.word(control + 8 * index) for index in range(4))
    found: list[Difference] = []
    for index, (number, expression, value) in enumerate(rows):
        actual = machine.word(table + 8 * index)
        if actual != value:
            found.append(Difference(number, "layout", f"{expression} is {actual}, not {value}"))
    count = len(cases)

    def run(routine: int, number: int, where: str, checks: int) -> None:
        for offset in (0, 8):
            machine.write_word(report + offset, 0)
        machine.write_word(depth, 0)
        try:
            machine.call(machine.word(routines + 8 * routine))
        except Fault as fault:
            # Without the callback: if that goes well, it was the other case's fault.
            machine.write_word(depth, 1)
            try:
                machine.call(machine.word(routines + 8 * routine))
            except Fault:
                found.append(Difference(number, where, str(fault)))
            else:
                found.append(Difference((number + 1) % count, where, f"called back: {fault}"))
            return
        done, failures = machine.word(report), machine.word(report + 8)
        for entry in range(min(failures, MOST_FAILURES)):
            case, index = (machine.word(report + 16 + 16 * entry + 8 * n) for n in range(2))
            what = "the result" if index == RESULT else f"argument {index + 1}"
            found.append(Difference(case, where, f"{what} arrives wrong"))
        if done < checks:
            found.append(Difference(number, where, f"{done} checks were made, not {checks}"))

    total = sum(len(c.values) + (c.result is not None) for c in cases)
    run(2 * count, 0, "values", total)
    if any(difference.where == "layout" for difference in found):
        return list(dict.fromkeys(found))
    for case in cases:
        least = len(case.values) + (case.result is not None)
        run(case.number, case.number, "their caller", least)
        run(count + case.number, case.number, "our caller", least)
    return list(dict.fromkeys(found))
