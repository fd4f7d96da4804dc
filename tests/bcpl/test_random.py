"""Random programs against Python: in the IR interpreter, and compiled, at each level, with
rubbish in the registers that calls may change or with a collection at every allocation.

CALLPROOF_BCPL_RANDOM says how many are compiled (60 in a test run).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from callproof import driver
from callproof.bcpl.frontend import compile_to_ir
from callproof.ir.interpret import Interpreter
from callproof.ir.verify import verify
from callproof.passes.pipeline import optimise
from callproof.source import Diagnostics, SourceFile
from tests.bcpl.random_programs import make
from tests.support.bcpl_externals import Runtime
from tests.support.bcpl_programs import run_program, write

BATCH = 50
COMPILED = int(os.environ.get("CALLPROOF_BCPL_RANDOM", "60"))


@pytest.mark.parametrize("first", range(0, 500, BATCH))
def test_interpreted(first: int) -> None:
    for seed in range(first, first + BATCH):
        text, expected = make(seed)
        module = compile_to_ir(SourceFile(f"random{seed}.bcl", text), Diagnostics())
        verify(module)
        optimise(module, (0, 2)[seed % 2], verify_each=seed % 5 == 0)
        runtime = Runtime()
        Interpreter(module, runtime.externals).call("bcpl_start")
        assert runtime.output.decode() == expected, f"seed {seed}"


@pytest.mark.parametrize("seed", range(1000, 1000 + COMPILED))
def test_compiled(seed: int, tmp_path: Path) -> None:
    text, expected = make(seed)
    sources = write(tmp_path, {"random.bcl": text})
    options = driver.Options(level=seed % 3, verify=seed % 4 == 0)
    stress = seed % 2 == 1
    environment = {**os.environ, "CALLPROOF_GC_STRESS": str(int(stress))}
    ran = run_program(sources, options, poison=not stress, environment=environment)
    assert ran.output == expected


def test_the_programs_do_something() -> None:
    """Long outputs that differ, and all that the generator knows is used."""
    made = [make(seed) for seed in range(40)]
    assert len({expected for _, expected in made}) == 40
    texts = "\n".join(text for text, _ in made)
    words = "SUPER. SWITCHON EXTENDS FPAIR QUAD REM %% -# vector! OCT( FOCT( FQUAD( PAIRWISE_"
    for word in words.split():
        assert word in texts
    for word in ("SUPER.CREATE(", "VEC[", "FVEC[", "floats!", "MIN(", "AS FVEC"):
        assert word in texts
    assert max(text.count(" AS ") for text in texts.splitlines() if text.startswith("LET f")) > 20
