"""What mypyc compiles is not the sources as they stand: does it say the same?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import compile_modules
import pytest
from native_sources import native_sources

ROOT = Path(__file__).resolve().parent.parent

SOURCE = """
from __future__ import annotations
from dataclasses import InitVar, dataclass, field
from dataclasses import field as told
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from elsewhere import Other

ALIAS = int | str
PAIR = tuple[int, int]
LIMIT = 10
ONE, TWO = 1, "zwei"
A, B, C = range(3)
X, Y = (number * LIMIT for number in (1, 2))
MORE: list[int] = [
    LIMIT,
]
TWICE = 1
TWICE = 2
lower = 1
COUNTER = 0


def count() -> int:
    global COUNTER
    COUNTER += 1
    return COUNTER


@dataclass(slots=True)
class Point:
    x: int
    é: int = 1; other: Other | None = None
    many: list[int] = field(default_factory=list)
    made: set[int] = field(default_factory=lambda: {LIMIT}, repr=False, compare=False)
    kind: ClassVar[str] = "point"

    def __post_init__(self) -> None:
        self.x += 1


@dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    number: float = 0.0


@dataclass(frozen=True, slots=True)
class Deeper(Frozen):
    more: int = 7
    last: str = field(default="z", kw_only=True)


@dataclass(slots=True, eq=False)
class Same:
    value: int = told(default=3, compare=False)


@dataclass(slots=True)
class Strange:
    start: InitVar[int]
    value: int = 0

    def __post_init__(self, start: int) -> None:
        self.value = start
"""


def module_of(text: str, name: str) -> Any:
    made = ModuleType(name)
    sys.modules[name] = made
    try:
        exec(compile(text, name, "exec"), made.__dict__)
    finally:
        del sys.modules[name]
    return made


def both() -> tuple[Any, Any]:
    return module_of(SOURCE, "sample"), module_of(
        native_sources({"a.py": SOURCE})["a.py"], "sample"
    )


def test_constants_become_final_if_they_are() -> None:
    text = native_sources({"a.py": SOURCE})["a.py"]
    plain, native = both()
    for name in "ALIAS PAIR LIMIT ONE TWO A B C X Y MORE TWICE lower COUNTER".split():
        assert getattr(plain, name) == getattr(native, name)
    assert plain.count() == native.count() == 1
    final = {
        line.split(":")[0] for line in text.replace("; ", "\n").splitlines() if "_Final" in line
    }
    assert final - {"from typing import Final as _Final, Any as _Any"} == {
        *("LIMIT", "ONE", "TWO", "A", "B", "C", "X", "Y", "MORE", "_constants_10")
    }


@pytest.mark.parametrize(
    "text",
    [
        "Point(1)",
        "Point(1, 2, many=[3])",
        "Point(x=1, é=5, other=None)",
        "Point()",
        "Point(1).made",
        "Point(1) == Point(1)",
        "Point(1) == Point(1, made={5})",
        "Point(1) == Point(2)",
        "Point(1) == 5",
        "Point(1).many is Point(1).many",
        "hash(Point(1))",
        "Point.kind",
        "Frozen('a') == Frozen('a', 0.0)",
        "Frozen('a') == Deeper('a')",
        "hash(Frozen('a', 2.0)) == hash(('a', 2.0))",
        "Deeper('n')",
        "Deeper('n', 1.0, 2, 'last')",
        "Deeper('n', last='l')",
        "hash(Deeper('n')) == hash(('n', 0.0, 7, 'z'))",
        "Same(1) == Same(1)",
        "Same()",
        "Strange(4)",
        "[one.name for one in __import__('dataclasses').fields(Deeper('n'))]",
        "__import__('dataclasses').replace(Frozen('a'), number=3.0)",
    ],
)
def test_dataclasses_do_the_same(text: str) -> None:
    def said(module: Any) -> str:
        try:
            return repr(eval(text, module.__dict__))
        except TypeError as error:
            return f"TypeError: {error}".replace("Point.__init__", "__init__")

    plain, native = both()
    assert said(plain) == said(native)


def test_methods_are_written_out_where_all_is_understood() -> None:
    text = native_sources({"a.py": SOURCE})["a.py"]
    assert text.count("def __init__(self, ") == 4  # not Strange's
    assert 'é: "int" = 1; other: "Other | None" = None' in text
    assert "@dataclass(slots=True)\nclass Strange" in text


def test_what_a_decorator_would_look_for_too_early_is_not_named() -> None:
    text = SOURCE.replace("other: Other | None = None", "other: Other = None")
    assert 'other: "_Any" = None' in native_sources({"a.py": text})["a.py"]


def test_the_rewritten_modules_compile_programs_to_the_same_bytes(tmp_path: Path) -> None:
    """Run by Python, as it is Python."""
    compile_modules.copy_sources(compile_modules.hot_modules(), tmp_path)
    programs = ["examples/colorpoint.bcl", "examples/shapes.sox"]
    assert all((ROOT / program).is_file() for program in programs)
    script = f"""
import hashlib
from pathlib import Path
from callproof import driver
from callproof.object import write_elf
for name in {programs}:
    made = driver.compile_file(Path(name), driver.Options()).object_file()
    print(hashlib.sha256(write_elf(made)).hexdigest())
"""
    found = []
    for place in (ROOT / "src", tmp_path):
        environment = {**os.environ, "PYTHONPATH": str(place)}
        words = [sys.executable, "-c", script]
        found.append(
            subprocess.run(words, cwd=ROOT, env=environment, check=True, capture_output=True).stdout
        )
    assert found[0].count(b"\n") == len(programs)
    assert found[0] == found[1]
