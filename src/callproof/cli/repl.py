"""`callproof repl`: Sox, entry by entry."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callproof.cli import options as shared
from callproof.cli import sox_errors
from callproof.cli.output import print_error
from callproof.source import CallproofError, Diagnostics

if TYPE_CHECKING:
    from callproof.driver import Options
    from callproof.sox.session import Entry, Session

FIRST, FURTHER = "> ", ". "
INTERRUPTED = 130  # as a shell has it
HISTORY_LENGTH = 1000


def repl(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="What the session's `argv` has.")
    ] = None,
    o0: shared.Level0 = False,
    o1: shared.Level1 = False,
    o2: shared.Level2 = False,
    target: shared.Target = "aarch64-linux",
    verify: shared.Verify = False,
    gc_stress: shared.GcStress = False,
    gc_stats: shared.GcStats = False,
    module_path: shared.ModulePath = None,
) -> None:
    """Sox, entry by entry: each is compiled and runs at once, in the emulator.

    What an entry defines stays; the value of an expression is printed; an error ends only
    its entry. An entry goes on while brackets are open (an empty line gives it up).

    Example: `echo 'print 6 * 7' | callproof repl`
    """
    if target != "aarch64-linux":
        raise CallproofError(f"a session runs in the emulator, for aarch64-linux, not {target}")
    options = shared.make((o0, o1, o2), target, verify, False)
    options.module_path = tuple(module_path or ())
    shared.collector(gc_stress, gc_stats)
    raise typer.Exit(interact(options, arguments or []))


def interact(options: Options, arguments: Sequence[str]) -> int:
    """A session on standard input; the exit status."""
    from callproof.sox.session import Session, run

    session = Session(options)
    reader = Reader(session)
    with history(reader.on_terminal):
        try:
            outcome = run(session, reader.next_entry, arguments)
        except KeyboardInterrupt:
            print("\ncallproof: interrupted; the session has ended", file=sys.stderr)
            return INTERRUPTED
    return outcome.exit_status


class Reader:
    """Reads entries from standard input, with prompts if that is a terminal."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.on_terminal = sys.stdin.isatty()
        self.count = 0

    def next_entry(self, _status: int) -> Entry | None:
        """The next entry that compiles; what is wrong with others is told.  None at the end."""
        while True:
            try:
                with ordinary_interrupts():
                    return self.compiled()
            except KeyboardInterrupt:
                print()  # what was typed is given up
            except CallproofError as error:
                if sox_errors.print_reference_errors(error) is None:
                    print_error(error)

    def compiled(self) -> Entry | None:
        text, diagnostics = self.text()
        if text is None:
            return None
        self.count += 1
        script = self.session.parse(text, f"entry {self.count}", diagnostics)
        diagnostics.raise_if_errors()
        return self.session.entry(script)

    def text(self) -> tuple[bytes | None, Diagnostics]:
        """Lines until they are an entry, and a place for what is wrong with it."""
        from callproof.sox.frontend import is_unfinished

        text = b""
        while True:
            line = self.line(FURTHER if text else FIRST)
            if line is None:
                return text if text.strip() else None, Diagnostics()
            if not text and not line.strip():
                continue
            text += line
            diagnostics = Diagnostics()
            self.session.parse(text, "entry", diagnostics)
            if not line.strip() or not is_unfinished(diagnostics.errors):
                return text, Diagnostics()

    def line(self, prompt: str) -> bytes | None:
        """With its end; None at the end of the input."""
        if not self.on_terminal:
            return sys.stdin.buffer.readline() or None
        try:
            return os.fsencode(input(prompt)) + b"\n"
        except EOFError:
            print()
            return None


@contextmanager
def ordinary_interrupts() -> Iterator[None]:
    """Let Ctrl-C be raised at the prompt; while the program runs, the emulator looks at it."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    wakeup = signal.set_wakeup_fd(-1)
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, handler)


def history_file() -> Path:
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():
        state = Path("~/.local/state").expanduser()
    return state / "callproof" / "sox_history"


@contextmanager
def history(wanted: bool) -> Iterator[None]:
    """Lines can be edited, and those of earlier sessions found, where there is readline."""
    if not wanted:
        yield
        return
    try:
        import readline
    except ImportError:  # not in every Python; input() does without
        yield
        return
    path = history_file()
    with suppress(OSError):  # there is none yet
        readline.read_history_file(path)
    readline.set_history_length(HISTORY_LENGTH)
    try:
        yield
    finally:
        with suppress(OSError):  # a session must not fail for want of a place for its history
            path.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(path)
