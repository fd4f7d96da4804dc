"""Linking many objects: our linker against LLVM's, in one run; time and memory.

    .venv/bin/python benchmarks/link.py [--megabytes 100] [--debug] [--target x86_64-linux]

Each object has functions that call each other and those of other objects, read-only data, and
tables of addresses: one relocation for 64 bytes or so, as in compiled code without debug
information.  With `--debug` half of each object is debug information, of which every eighth byte
or so is relocated.  Both linkers run as processes of their own, in turn (a start of Python is part
of both times); the least time of each counts, and of memory the most that was resident.  The
objects are ours, and every one is needed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from callproof.object import ObjectFile, Relocation, Section, Symbol, write_elf

RUN = "from callproof.cli import main; main()"
FUNCTION = 1024  # bytes
# A call, an instruction that does nothing, a return.
SHAPES = {
    "aarch64": (bytes.fromhex("00000094"), bytes.fromhex("1f2003d5"), bytes.fromhex("c0035fd6")),
    "x86_64": (bytes.fromhex("e800000000"), b"\x90", b"\xc3"),
}


def make(folder: Path, machine: str, count: int, size: int, *, debug: bool = False) -> list[str]:
    """Write `count` objects of about `size` bytes of contents; their names."""
    call, nop, ret = SHAPES[machine]
    names = []
    functions = max(size * 3 // 4 // FUNCTION, 1)
    for number in range(count):
        file = ObjectFile(f"o{number}.o", machine)
        made = []
        for index in range(functions):
            code = bytearray(nop * (FUNCTION // len(nop)))
            code[-len(ret) :] = ret
            section = Section(f".text.f{number}_{index}", "code", code, alignment=16)
            made.append(Symbol(f"f{number}_{index}", section, size=FUNCTION, kind="function"))
        table = Section(f".data.rel.ro.t{number}", "data", bytes(8 * functions), alignment=8)
        texts = Section(f".rodata.r{number}", "rodata", bytes(size // 8), alignment=8)
        file.sections = [*(s.section for s in made if s.section), table, texts]
        tables = Symbol(f"t{number}", table, binding="local", kind="object")
        strings = Symbol(f"r{number}", texts, binding="local", kind="object")
        next_one = Symbol(f"f{(number + 1) % count}_0")
        file.symbols = [tables, strings, *made, next_one]
        for index, symbol in enumerate(made):
            own = symbol.section
            assert own is not None and isinstance(own.data, bytearray)
            for at in range(0, FUNCTION - 64, 64):
                target = next_one if at % 512 == 0 else made[(index * 7 + at // 64) % functions]
                own.data[at : at + len(call)] = call
                if machine == "aarch64":
                    own.relocations.append(Relocation(at, "R_AARCH64_CALL26", target))
                    if at % 256 == 0:
                        pair = bytes.fromhex("0000009000000091")
                        own.data[at + 8 : at + 16] = pair
                        own.relocations += [
                            Relocation(at + 8, "R_AARCH64_ADR_PREL_PG_HI21", strings, at),
                            Relocation(at + 12, "R_AARCH64_ADD_ABS_LO12_NC", tables, 0),
                        ]
                else:
                    own.relocations.append(Relocation(at + 1, "R_X86_64_PLT32", target, -4))
                    if at % 256 == 0:
                        own.data[at + 8 : at + 15] = bytes.fromhex("488d0500000000")
                        own.relocations += [
                            Relocation(at + 11, "R_X86_64_PC32", strings, at - 4),
                        ]
            kind = "R_AARCH64_ABS64" if machine == "aarch64" else "R_X86_64_64"
            table.relocations.append(Relocation(8 * index, kind, symbol))
        table_user = made[0].section
        assert table_user is not None
        for other in made:  # all of it is reached
            table_user.relocations.append(
                Relocation(0, "R_AARCH64_NONE" if machine == "aarch64" else "R_X86_64_NONE", other)
            )
        if debug:
            describe(file, made, size)
        (folder / file.name).write_bytes(write_elf(file))
        names.append(file.name)
    return names


def describe(file: ObjectFile, functions: list[Symbol], size: int) -> None:
    """Debug information: entries of an address, a name and something not relocated."""
    prefix, address, offset = {
        "aarch64": ("R_AARCH64_", "ABS64", "ABS32"),
        "x86_64": ("R_X86_64_", "64", "32"),
    }[file.machine]
    texts = Section(".debug_str", "debug", b"a name of something\0" * (size // 40))
    symbol = Symbol(".debug_str", texts, binding="local", kind="section")
    info = Section(".debug_info", "debug", bytes(size // 24 * 24))
    for entry in range(0, len(info.data), 24):
        function = functions[entry % len(functions)]
        info.relocations += [
            Relocation(entry, prefix + address, function, entry % FUNCTION),
            Relocation(entry + 8, prefix + offset, symbol, entry // 24 * 20 % len(texts.data)),
        ]
    file.sections += [info, texts]
    file.symbols.insert(0, symbol)


def measured(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds and the largest resident memory in MB."""
    start = time.perf_counter()
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed, Python's modules are compiled
    process = subprocess.Popen(command, cwd=folder, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed with {process.returncode}")
    return seconds, usage.ru_maxrss / 1024


def hello() -> float:
    """Milliseconds to link a small program with the runtime, modules imported; best of 5."""
    from callproof import driver

    example = Path(__file__).parent.parent / "examples" / "colorpoint.bcl"
    compilation = driver.compile_file(example, driver.Options())
    best = 1e9
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(5):
            start = time.perf_counter()
            inputs = [compilation.object_file()]
            driver.link_inputs(inputs, Path(folder) / "hello", driver.Options())
            best = min(best, time.perf_counter() - start)
    return best * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=100, help="of objects, about")
    parser.add_argument("--size", type=int, default=100_000, help="about so many bytes each")
    parser.add_argument("--debug", action="store_true", help="with debug information")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--target", choices=["aarch64-linux", "x86_64-linux"])
    parser.add_argument("--profile", action="store_true", help="where our time goes, instead")
    arguments = parser.parse_args()
    for target in [arguments.target] if arguments.target else ["aarch64-linux", "x86_64-linux"]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            machine = target.partition("-")[0]
            (one,) = make(folder, machine, 1, arguments.size, debug=arguments.debug)
            count = max((arguments.megabytes << 20) // (folder / one).stat().st_size, 1)
            objects = make(folder, machine, count, arguments.size, debug=arguments.debug)
            total = sum((folder / one).stat().st_size for one in objects) / (1 << 20)
            prefix = [sys.executable, *(["-m", "cProfile", "-s", "tottime"] * arguments.profile)]
            script = folder / "run.py"
            script.write_text(RUN + "\n")
            ours = [*prefix, str(script), "link", "--no-runtime", "--entry", "f0_0"]
            ours += ["--target", target, "-o", "ours", *objects]
            if arguments.profile:
                subprocess.run(ours, cwd=folder, check=True)
                continue
            lld = [sys.executable, "-m", "ziglang", "ld.lld", "--gc-sections", "-static"]
            lld += ["-e", "f0_0", "-o", "theirs", *objects]
            seconds = theirs_seconds = 1e9
            memory = theirs_memory = 0.0
            for _ in range(arguments.repeat):
                took, used = measured(lld, folder)
                theirs_seconds, theirs_memory = min(theirs_seconds, took), max(theirs_memory, used)
                took, used = measured(ours, folder)
                seconds, memory = min(seconds, took), max(memory, used)
            print(
                f"{target}: {len(objects)} objects, {total:.0f} MB: ours {seconds:.2f} s, "
                f"{memory:.0f} MB ({memory / total:.1f} x input); ld.lld {theirs_seconds:.2f} s, "
                f"{theirs_memory:.0f} MB; time {seconds / theirs_seconds:.1f} x"
            )
    if not arguments.profile:
        print(f"hello: {hello():.0f} ms after import")
    return 0


if __name__ == "__main__":
    sys.exit(main())
