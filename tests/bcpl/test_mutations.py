"""Programs with words deleted, doubled and exchanged: a refusal with a place, or sound IR."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from callproof.bcpl.frontend import compile_to_ir
from callproof.bcpl.options import FrontEndOptions
from callproof.ir.verify import verify
from callproof.source import CallproofError, Diagnostics, SourceFile

TESTS = Path(__file__).parent.parent
WORDS = re.compile(
    r'"(?:[^"*\\]|\*.|\\.)*"|\s+|[A-Za-z_]\w*|\d+\.\d+|\d+|:=|->|\$\(|\$\)|.', re.DOTALL
)
TEXTS = [
    path.read_text(encoding="utf-8")
    for folder in ("programs/bcpl", "bcpl/errors", "bcpl/warnings")
    for path in sorted((TESTS / folder).glob("*.bcl"))
]


def mutated(words: list[str], pool: list[str], chance: random.Random) -> str:
    words = list(words)
    for _ in range(chance.choice([1, 1, 1, 2, 3, 5])):
        at, other = chance.randrange(len(words)), chance.randrange(len(words))
        kind = chance.randrange(4)
        if kind == 0 and len(words) > 1:
            del words[at]
        elif kind == 1:
            words.insert(at, chance.choice(pool))
        elif kind == 2:
            words[at] = chance.choice(pool)
        else:
            words[at], words[other] = words[other], words[at]
    return "".join(words)


@pytest.mark.parametrize("seed", range(6))
def test_mutations(seed: int) -> None:
    chance = random.Random(seed)
    split = [WORDS.findall(text) for text in TEXTS]
    pool = [word for words in split for word in words if not word.isspace()]
    accepted = 0
    for _ in range(400):
        text = mutated(chance.choice(split), pool, chance)
        options = FrontEndOptions(bounds_check=chance.random() < 0.3)
        try:
            module = compile_to_ir(SourceFile("mutated.bcl", text), Diagnostics(), options)
        except CallproofError as error:
            assert "mutated.bcl:" in str(error), text
            continue
        verify(module)
        accepted += 1
    assert accepted > 5
