"""What mypyc compiles into the wheel: the list, and (CALLPROOF_COMPILED=1) the code itself."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import compile_modules
import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src"


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(SOURCES).with_suffix("").parts)


def test_what_a_build_runs_is_listed() -> None:
    listed = compile_modules.hot_modules()
    assert len(listed) == len(set(listed)) > 200
    assert [module for module in listed if not (SOURCES / module).is_file()] == []
    for module in ("driver", "bcpl/parser", "sox/lower", "ir/model", "codegen/emit", "link/layout"):
        assert f"callproof/{module}.py" in listed
    assert "callproof/ir/debug.py" not in listed
    assert not [module for module in listed if module.endswith("__init__.py")]


def test_a_pattern_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    listed = tmp_path / "modules.txt"
    listed.write_text("callproof/ir/*.py  # all\n!callproof/ir/debug*.py\n")
    found = compile_modules.hot_modules(listed)
    assert "callproof/ir/model.py" in found and "callproof/ir/debug_builder.py" not in found
    for wrong in ("callproof/ir/no_such.py", "!callproof/sox/lexer.py"):
        listed.write_text(f"callproof/ir/*.py\n{wrong}\n")
        with pytest.raises(ValueError, match="matches nothing"):
            compile_modules.hot_modules(listed)


def interpreted_subclasses(hot: set[str], sources: dict[str, str]) -> list[str]:
    """Classes outside `hot` with a base in it: Python refuses them as they are made."""
    found = []
    for module, text in sources.items():
        if module in hot:
            continue
        tree = ast.parse(text)
        origin = {
            alias.asname or alias.name: node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
                found += [f"{module}.{node.name}" for base in bases if origin.get(base) in hot]
    return found


def test_no_interpreted_class_has_a_compiled_base() -> None:
    hot = {module_name(SOURCES / module) for module in compile_modules.hot_modules()}
    sources = {module_name(p): p.read_text() for p in (SOURCES / "callproof").rglob("*.py")}
    assert interpreted_subclasses(hot, sources) == []


def test_an_interpreted_subclass_is_found() -> None:
    sources = {"a": "class A: pass", "b": "from a import A as C\nclass B(C): pass"}
    assert interpreted_subclasses({"a"}, sources) == ["b.B"]
    assert interpreted_subclasses({"a", "b"}, sources) == []


@pytest.mark.skipif(not os.environ.get("CALLPROOF_COMPILED"), reason="takes minutes")
def test_compiled_and_pure_give_the_same_bytes(tmp_path: Path) -> None:
    """Objects of every program, some of them with debug information too."""
    compiled = tmp_path / "compiled"
    words = [sys.executable, str(ROOT / "compile_modules.py"), str(compiled), "--copy"]
    subprocess.run(words, check=True)
    assert list(compiled.glob("callproof/codegen/emit.*.so"))
    for more in ([], ["--debug", "--share", "3"]):
        hashes = [sys.executable, str(ROOT / "benchmarks/output_hashes.py"), *more]
        made = [
            subprocess.run(
                hashes,
                env={**os.environ, "PYTHONPATH": str(place)},
                check=True,
                capture_output=True,
            ).stdout
            for place in (SOURCES, compiled)
        ]
        assert made[0].count(b"\n") > 100
        assert made[0] == made[1]
