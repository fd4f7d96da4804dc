"""The columns of many words against the effect of each."""

from __future__ import annotations

import random

import numpy as np

from callproof.target.arm64.columns import FIELDS, VECTORISED, columns_of, row_of
from callproof.target.arm64.groups import GROUPS

SEED, PER_GROUP = 9, 60


def words_of_all_groups() -> list[int]:
    """Random words of each group; in half of them registers coincide or are number 31."""
    source = random.Random(SEED)
    words = []
    for group in GROUPS:
        for _ in range(PER_GROUP):
            word = source.getrandbits(32)
            for shift in (0, 5, 10, 16):
                if source.random() < 0.25:
                    word = word & ~(31 << shift) | source.choice((31, word & 31)) << shift
            words.append(group.value | word & ~group.mask)
    return words


def test_the_columns_say_what_each_effect_says() -> None:
    words = [*words_of_all_groups(), 0xFFFFFFFF, 0]
    columns = columns_of(np.array(words, np.uint32))
    for field_number, field in enumerate(FIELDS):
        expected = [row_of(word)[field_number] for word in words]
        found = getattr(columns, field).tolist()
        wrong = [(hex(w), e, f) for w, e, f in zip(words, expected, found, strict=True) if e != f]
        assert not wrong, (field, wrong[:5])


def test_no_words_have_no_columns() -> None:
    assert len(columns_of(np.zeros(0, np.uint32)).kind) == 0


def test_most_groups_have_an_array_form() -> None:
    assert sum(VECTORISED) > 0.8 * len(GROUPS)
