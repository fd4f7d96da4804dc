"""`sox --test` in the evaluator (SOX.md section 14): every test in a fresh program."""

from __future__ import annotations

from pathlib import Path

from callproof.sox.frontend import load
from callproof.sox.symbols import Program
from tests.support.sox_evaluator import MANY, Evaluator, Result, in_deep_thread
from tests.support.sox_natives import Exit
from tests.support.sox_values import Closure, Native, SoxError, Table, Value

OK, FAIL, ERROR = "[ OK   ]", "[ FAIL ]", "[ ERROR]"
WIDTH = 37  # columns of a test's name


class Stopped(Exception):
    """t.Fatal was called."""


class TestEvaluator(Evaluator):
    """Runs the top level and one test; `status` is then one of the three above."""

    def __init__(self, program: Program, name: str) -> None:
        super().__init__(program, [b"callproof"], MANY)
        self.name_of_test = name
        self.status = OK

    def message(self, arguments: list[Value]) -> None:
        if len(arguments) > 1 or not all(isinstance(one, bytes) for one in arguments):
            raise SoxError("Test helpers expect a single string message.")
        self.errors += b"Error: %s\n" % (arguments[0] if arguments else b"test failure")
        self.status = FAIL

    def fatal(self, arguments: list[Value]) -> None:
        self.message(arguments)
        raise Stopped

    def script(self) -> None:
        """Instead of main, the test."""
        module = self.program.script

        def test() -> None:
            context = Table()
            context.set(b"Error", Native("Error", self.message))
            context.set(b"Fatal", Native("Fatal", self.fatal))
            function = self.globals[module][self.name_of_test]
            assert isinstance(function, Closure)
            self.call(function, [context])

        self.top_level(module, "script", test)

    def run(self) -> Result:
        try:
            self.script()
        except (Stopped, Exit):
            pass  # both end the test and leave its status
        except SoxError as error:
            if error.message.startswith("Assertion failed"):
                self.errors += f"Error: {error.message}\n".encode()
                self.status = FAIL
            else:
                self.report(error)
                self.status = ERROR
        return Result(bytes(self.output), bytes(self.errors), 0 if self.status == OK else 1)


def run_tests(folder: Path) -> Result:
    """All tests of the files in a folder whose names end in `_test.sox`."""
    output = bytearray(b"Running test suite with seed 0x00000000...\n")
    errors = bytearray()
    statuses: list[str] = []
    for path in sorted(folder.glob("*_test.sox")):
        for test in load(path).script.tests:
            evaluator = TestEvaluator(load(path), test.name)
            result = in_deep_thread(evaluator.run)
            name = f"sox/{path.name.removesuffix('_test.sox')}/{test.name}"
            output += result.output + f"{name:<{WIDTH}}{evaluator.status}\n".encode()
            errors += result.errors
            statuses.append(evaluator.status)
    good = statuses.count(OK)
    share = 100 * good // len(statuses)
    output += f"{good} of {len(statuses)} ({share}%) tests successful, ".encode()
    output += b"0 (0%) test skipped.\n"
    return Result(bytes(output), bytes(errors), int(good < len(statuses)))
