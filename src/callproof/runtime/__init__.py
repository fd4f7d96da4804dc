"""The runtime that every program is linked with: ours in C, and musl's C library.

Gives the paths of `crt1.o`, `rcrt1.o` (of position-independent programs), `libc.a`,
`libcompiler_rt.a` and one archive of ours per language for a target; and, for programs that
the system's loader loads with its own glibc, of `start.o` and our archives compiled for that;
for macOS of our archives and a list of the names in the system's library.
A wheel brings them along; in an editable install they are built once, with Clang from the
`ziglang` package, into a cache folder.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from callproof.source import CallproofError

FOLDER = Path(__file__).parent
PACKAGED = FOLDER / "lib"
MACOS = "aarch64-macos"
LANGUAGES = ("bcpl", "sox")
ARCHIVES = tuple(f"lib{name}_runtime.a" for name in LANGUAGES)
FILES = ("crt1.o", "rcrt1.o", "libc.a", "libcompiler_rt.a", *ARCHIVES)
GNU_FILES = ("start.o", *ARCHIVES)
MACOS_FILES = ("libSystem.names", *ARCHIVES)

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RuntimeFiles:
    """What a static program is linked with; `libraries` are ours, by language."""

    crt1: Path
    rcrt1: Path
    libc: Path
    compiler_rt: Path
    libraries: dict[str, Path]


@dataclass(frozen=True, slots=True)
class GnuFiles:
    """What a program for glibc is linked with, beside glibc."""

    start: Path
    libraries: dict[str, Path]


@dataclass(frozen=True, slots=True)
class MacosFiles:
    """What a program for macOS is linked with; `system` lists the names that libSystem has."""

    system: Path
    libraries: dict[str, Path]


def _has(folder: Path, names: tuple[str, ...]) -> bool:
    return all((folder / name).is_file() for name in names)


def _files_in(folder: Path) -> RuntimeFiles:
    return RuntimeFiles(
        folder / "crt1.o",
        folder / "rcrt1.o",
        folder / "libc.a",
        folder / "libcompiler_rt.a",
        {name: folder / f"lib{name}_runtime.a" for name in LANGUAGES},
    )


def cache_folder() -> Path:
    """Where what was built is kept: `$XDG_CACHE_HOME/callproof` or `~/.cache/callproof`.

    A relative `XDG_CACHE_HOME` is ignored, as the XDG base directory specification demands.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        try:
            base = Path.home() / ".cache"
        except RuntimeError as error:
            raise CallproofError(
                "there is no home directory to keep the runtime in; set XDG_CACHE_HOME"
            ) from error
    return base / "callproof"


def sources() -> list[Path]:
    """The C sources and headers, and the modules that make archives of them."""
    return [
        *sorted(FOLDER.glob("*/*.[ch]")),
        FOLDER / "build.py",
        FOLDER / "build_macos.py",
        *sorted((FOLDER.parent / "object").glob("*.py")),
    ]


@cache
def _fingerprint(zig_version: str) -> str:
    """Changes with any source, with how they are built, and with the compiler."""
    digest = hashlib.sha256(zig_version.encode())
    for path in sources():
        data = path.read_bytes()
        digest.update(f"{path.name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:16]


def _zig_version() -> str:
    """The version of the `ziglang` package, '' if it is not installed.

    By the name of its folder, which says it since PEP 376: `importlib.metadata` imports a
    parser of mails for it, at every build from an editable install.
    """
    for place in sys.path:
        try:
            names = os.listdir(place or ".")
        except OSError:
            continue
        for name in names:
            if name.startswith("ziglang-") and name.endswith(".dist-info"):
                return name.removeprefix("ziglang-").removesuffix(".dist-info")
    from importlib import metadata

    try:
        return metadata.version("ziglang")
    except metadata.PackageNotFoundError:
        return ""


def runtime_files(target: str, progress: Progress | None = None) -> RuntimeFiles:
    """The files for a target; built on first use where no wheel brought them.

    Raises `CallproofError` with the remedy if they can neither be found nor built.
    """
    return _files_in(_folder(target, "", FILES, progress))


def gnu_files(target: str, progress: Progress | None = None) -> GnuFiles:
    """The files for a target with glibc.  Raises as `runtime_files`."""
    folder = _folder(target, "-gnu", GNU_FILES, progress)
    archives = {name: folder / f"lib{name}_runtime.a" for name in LANGUAGES}
    return GnuFiles(folder / "start.o", archives)


def macos_files(target: str, progress: Progress | None = None) -> MacosFiles:
    """The files for macOS.  Raises as `runtime_files`."""
    folder = _folder(target, "", MACOS_FILES, progress)
    archives = {name: folder / f"lib{name}_runtime.a" for name in LANGUAGES}
    return MacosFiles(folder / "libSystem.names", archives)


def _folder(target: str, flavour: str, names: tuple[str, ...], progress: Progress | None) -> Path:
    packaged = PACKAGED / (target + flavour)
    if _has(packaged, names):
        return packaged
    from callproof.runtime.build import ZIG_TARGETS, build_gnu_runtime, build_runtime
    from callproof.runtime.build_macos import build_macos_runtime

    if target not in (*ZIG_TARGETS, MACOS):
        raise CallproofError(f"there is no runtime for {target}")
    version = _zig_version()
    if not version:
        raise CallproofError(
            f"the runtime for {target} is not in this installation and cannot be built, because "
            "the 'ziglang' package is missing; install it with: pip install ziglang"
        )
    folder = cache_folder() / f"runtime-{_fingerprint(version)}" / (target + flavour)
    if _has(folder, names):
        return folder
    import tempfile

    build = build_gnu_runtime if flavour else build_runtime
    if target == MACOS:
        build = build_macos_runtime
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{target}-") as temporary:
            place = Path(temporary) / folder.name
            place.mkdir()
            build(target, place, progress or (lambda message: None))
            _move(place, folder, names)
    except OSError as error:
        raise CallproofError(f"cannot build the runtime in {folder}: {error}") from error
    if not _has(folder, names):
        raise CallproofError(f"the runtime in {folder} vanished while it was being built")
    return folder


def _move(place: Path, folder: Path, names: tuple[str, ...]) -> None:
    """Give a finished folder its name; another process may be doing the same."""
    try:
        os.rename(place, folder)
    except OSError:
        # Whoever was faster has files as good as ours.  An incomplete folder is nobody's
        # work in progress (that has another name), but damage.
        if not _has(folder, names):
            import shutil

            shutil.rmtree(folder)
            os.rename(place, folder)
