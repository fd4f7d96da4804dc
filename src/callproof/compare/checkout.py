"""The two compilers that are compared: a checkout as it stands, and a commit beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from callproof.source import CallproofError

# `-m callproof` is not everywhere there; this is what the installed script does.
START = "from callproof.cli import main; main()"
WHERE = "import callproof; print(callproof.__file__)"
PACKAGE = Path("src/callproof/__init__.py")


@dataclass(slots=True, frozen=True)
class Ran:
    """How a command of a side ended: status, what it said, its CPU seconds (user and system)."""

    status: int
    text: str
    seconds: float


@dataclass(slots=True, frozen=True)
class Side:
    """One compiler: `name` is 'base' or 'work', `commit` how git abbreviates it, `root` the
    folder of its checkout; `changed` says that files differ from the commit."""

    name: str
    commit: str
    root: Path
    changed: bool = False

    @property
    def title(self) -> str:
        """With what a reader of compile times must know: modules that are machine code."""
        native = any((self.root / "src").rglob("*.so"))
        return self.commit + "+changes" * self.changed + "+native" * native

    def python(self, words: Sequence[str], cache: Path | None = None) -> Ran:
        """Run this side's Python with words; `cache` is where it finds and keeps caches.

        Modules that Python compiles are kept, as for everybody who uses it.
        """
        environment = dict(os.environ)
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPATH"] = str(self.root / "src")
        if cache is not None:
            environment["XDG_CACHE_HOME"] = str(cache)
        with (
            tempfile.TemporaryFile() as output,
            subprocess.Popen(
                [sys.executable, *words],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            ) as process,
        ):
            # `wait` alone would not tell this child's time from that of others.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            text = output.read().decode(errors="replace").strip()
        return Ran(process.returncode, text, usage.ru_utime + usage.ru_stime)

    def callproof(self, words: Sequence[str], cache: Path | None = None) -> Ran:
        return self.python(["-c", START, *words], cache)

    def check(self) -> None:
        """Raises `CallproofError` unless Python takes the package from this side's folder."""
        ran = self.python(["-c", WHERE])
        if ran.status or Path(ran.text).resolve() != (self.root / PACKAGE).resolve():
            raise CallproofError(f"{self.title}: cannot be run from {self.root}: {ran.text}")


def _git(folder: Path, *words: str) -> str:
    """What git prints, without the last line's end; `CallproofError` with what it says."""
    command = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CallproofError(f"--compare needs git: {error.strerror or error}") from error
    if done.returncode:
        said = done.stderr.strip().removeprefix("fatal: ") or f"status {done.returncode}"
        raise CallproofError(f"git {words[0]}: {said}")
    return done.stdout.rstrip("\n")


def toplevel(place: Path) -> Path:
    """The checkout of Callproof that a file or folder is in.  Raises `CallproofError`."""
    if not place.exists():
        raise CallproofError(f"{place}: there is no such file or folder")
    folder = place if place.is_dir() else place.parent
    top = Path(_git(folder, "rev-parse", "--show-toplevel"))
    if not (top / PACKAGE).is_file():
        raise CallproofError(f"{top}: no checkout of Callproof ({PACKAGE} is not there)")
    return top


@contextmanager
def two_sides(top: Path, base: str) -> Iterator[tuple[Side, Side]]:
    """The commit `base` in a worktree of its own, which is removed at the end, and `top`.

    Raises `CallproofError` for what is no commit, or one that had no Callproof yet.
    """
    commit = _git(top, "rev-parse", "--verify", "--short", "--end-of-options", f"{base}^{{commit}}")
    here = _git(top, "rev-parse", "--short", "HEAD")
    changed = bool(_git(top, "status", "--porcelain", "--untracked-files=no"))
    with tempfile.TemporaryDirectory(prefix="callproof-compare-") as place:
        root = Path(place) / "base"
        _git(top, "worktree", "add", "--quiet", "--detach", str(root), commit)
        try:
            if not (root / PACKAGE).is_file():
                raise CallproofError(f"{base}: this commit has no {PACKAGE}")
            sides = Side("base", commit, root), Side("work", here, top, changed)
            for side in sides:
                side.check()
            yield sides
        finally:
            _git(top, "worktree", "remove", "--force", str(root))
