"""Compiled functions as Python callables, in this process.

    program = callproof.compile(Path("kernels.bcl"))
    fib = program.function("fib")
    fib(30)

A source file (or IR text) is compiled for the host, linked at an address that the system
gives, and called through `ctypes` by its signature.  Memory is writable or executable,
never both.  Names that the module only declares are looked up in the process (its C
library); the languages' runtimes are not there, so a program that prints is to be run
as a program.  Only on x86-64 Linux hosts so far.
"""

from __future__ import annotations

import ctypes
import platform
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from callproof.abi.signature import Signature
from callproof.abi.types import Floating, Integer, Pointer, Type
from callproof.driver import Options
from callproof.ir.model import Module
from callproof.object import elf_format as elf
from callproof.object.model import ObjectFile, Relocation, Section, Symbol
from callproof.source import CallproofError

PAGE = 4096
PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC = 0, 1, 2, 4
MAP_PRIVATE, MAP_ANONYMOUS = 2, 0x20
TARGET = "x86_64-linux"
STUB = b"\xff\x25\x00\x00\x00\x00"  # jmp *0(%rip): through the eight bytes behind it
INTEGERS: dict[tuple[int, bool], Any] = {
    (8, True): ctypes.c_int8,
    (8, False): ctypes.c_uint8,
    (16, True): ctypes.c_int16,
    (16, False): ctypes.c_uint16,
    (32, True): ctypes.c_int32,
    (32, False): ctypes.c_uint32,
    (64, True): ctypes.c_int64,
    (64, False): ctypes.c_uint64,
}
FLOATS: dict[int, Any] = {32: ctypes.c_float, 64: ctypes.c_double}


def _ctype(type_: Type, what: str) -> Any:
    found: Any = None
    if isinstance(type_, Pointer):
        found = ctypes.c_void_p
    elif isinstance(type_, Integer):
        found = ctypes.c_bool if type_.boolean else INTEGERS.get((type_.bits, type_.signed))
    elif isinstance(type_, Floating) and not type_.brain:
        found = FLOATS.get(type_.bits)
    if found is None:
        raise CallproofError(f"{what}: no Python value stands for a {type_}")
    return found


def _library() -> Any:
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = (
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int),
        *(ctypes.c_int, ctypes.c_int, ctypes.c_long),
    )
    library.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    library.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    return library


def _stubs(module: Module, library: Any) -> ObjectFile:
    """A jump for each declared function to where the process has it, and each datum's address."""
    file = ObjectFile("this process", "x86_64")
    missing = []
    for name in [*module.declarations, *module.external_data]:
        try:
            address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
        except AttributeError:
            missing.append(name)
            continue
        if name in module.external_data:
            raise CallproofError(f"'{name}' is data of another library, which is out of reach")
        code = STUB + address.to_bytes(8, "little")
        section = Section(f".text.{name}", "code", code, alignment=16)
        file.sections.append(section)
        file.symbols.append(Symbol(name, section, size=len(code), kind="function"))
    if missing:
        raise CallproofError(f"this process has no {', '.join(missing[:8])}")
    return file


def _roots(module: Module) -> ObjectFile:
    """An entry that reaches every function, so that none is left out."""
    names = list(module.functions)
    table = Section(".rodata.functions", "rodata", bytes(8 * len(names)), alignment=8)
    symbols = [Symbol(name) for name in names]
    for index, symbol in enumerate(symbols):
        table.relocations.append(Relocation(8 * index, "R_X86_64_64", symbol))
    entry = Symbol("callproof.functions", table, size=len(table.data), kind="object")
    return ObjectFile("functions", "x86_64", [table], [entry, *symbols])


class Program:
    """Code of a module in this process's memory; it stays as long as something refers to it."""

    def __init__(self, module: Module, options: Options) -> None:
        from callproof.codegen.backend import compile_module
        from callproof.codegen.objects import build_object
        from callproof.target import by_name

        self.signatures = {name: f.signature for name, f in module.functions.items()}
        library = _library()
        stubs = _stubs(module, library)
        target = by_name(TARGET)
        compiled = compile_module(module, target, verify=options.verify)
        code = build_object(module, compiled.functions, compiled.pool, target, "jit")
        self._addresses = self._load([code, stubs, _roots(module)], library)

    def _load(self, objects: list[ObjectFile], library: Any) -> dict[str, int]:
        from callproof.link import LinkOptions, link_bytes

        def image(base: int) -> bytes:
            options = LinkOptions(entry="callproof.functions", base=base, page=PAGE)
            return link_bytes(objects, options)

        size = max(end for _, end, _, _ in _segments(image(PAGE))) - PAGE
        size = -(-size // PAGE) * PAGE
        base = library.mmap(None, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if base is None or base == ctypes.c_void_p(-1).value:
            raise CallproofError(f"no memory for {size} bytes of code")
        weakref.finalize(self, library.munmap, base, size)
        data = image(base)
        segments = _segments(data)
        for start, _, _, content in segments:
            ctypes.memmove(start, content, len(content))
        for start, end, flags, _ in segments:
            page = start & -PAGE
            if library.mprotect(page, end - page, flags):
                raise CallproofError("the system does not let memory become executable")
        return _symbols(data)

    def function(self, name: str) -> Callable[..., Any]:
        """The function as a callable.  Raises `CallproofError` for one that is not there, or
        whose signature has types that Python has no values for."""
        signature = self.signatures.get(name)
        if signature is None:
            from difflib import get_close_matches

            close = get_close_matches(name, self.signatures, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            raise CallproofError(f"there is no function '{name}'{hint}")
        result, parameters = _types(name, signature)
        made: Any = ctypes.CFUNCTYPE(result, *parameters)(self._addresses[name])
        made.program = self  # the code must live as long as what calls it
        return made  # type: ignore[no-any-return]


def _types(name: str, signature: Signature) -> tuple[Any, list[Any]]:
    if signature.variadic_from is not None:
        raise CallproofError(f"{name} takes any number of arguments, which Python cannot pass")
    result = None
    if signature.result is not None:
        result = _ctype(signature.result, f"the result of {name}")
    parameters = [
        _ctype(parameter.type, f"parameter {parameter.name or index + 1} of {name}")
        for index, parameter in enumerate(signature.parameters)
    ]
    return result, parameters


def _segments(image: bytes) -> list[tuple[int, int, int, bytes]]:
    """Start, end, protection and bytes of each part of memory."""
    header = elf.HEADER.unpack_from(image)
    found = []
    for index in range(header[10]):
        kind, flags, offset, address, _, file_size, size, _ = elf.PROGRAM.unpack_from(
            image, header[5] + index * elf.PROGRAM.size
        )
        if kind == elf.PT_LOAD:
            protection = (PROT_READ if flags & elf.PF_R else PROT_NONE) | (
                PROT_WRITE if flags & elf.PF_W else 0
            )
            protection |= PROT_EXEC if flags & elf.PF_X else 0
            found.append((address, address + size, protection, image[offset : offset + file_size]))
    return found


def _symbols(image: bytes) -> dict[str, int]:
    from callproof.run.loader import FILE_HEADER, SECTION_HEADER, SHT_SYMTAB, SYMBOL

    header = FILE_HEADER.unpack_from(image)
    rows = [
        SECTION_HEADER.unpack_from(image, header[6] + index * SECTION_HEADER.size)
        for index in range(header[12])
    ]
    found: dict[str, int] = {}
    for row in rows:
        if row[1] != SHT_SYMTAB:
            continue
        names = rows[row[6]][4]
        for symbol in SYMBOL.iter_unpack(image[row[4] : row[4] + row[5]]):
            end = image.index(b"\0", names + symbol[0])
            found[image[names + symbol[0] : end].decode()] = symbol[4]
    return found


def compile(source: Path | str, *, level: int = 1, verify: bool = False) -> Program:
    """Compile a NewBCPL or IR file, or IR text, for this process.

    Raises `CallproofError` with everything that is wrong with it, and where the host is
    no x86-64 Linux.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise CallproofError(
            f"compiling into a process needs Linux on x86-64, this is {sys.platform} on "
            f"{platform.machine()}"
        )
    from callproof import driver

    options = Options(level=level, target=TARGET, verify=verify)
    if isinstance(source, Path):
        _, module, _ = driver.front_end(source, options)
    else:
        from callproof.ir.parse import parse_module

        module = parse_module(source)
        driver.verify_module(module, options)
    for function in module.functions.values():
        function.exported = True  # each can be asked for by its name
    driver.optimise(module, options)
    return Program(module, options)


__all__ = ["Program", "compile"]
