"""The instruction table against Clang's assembler, Capstone and itself."""

from __future__ import annotations

import random
import re
import struct

import capstone
import pytest
from tests.support.arm64_words import random_word, unpredictable
from tests.support.clang import assemble

from callproof.target.arm64.instructions import FORMS, ROWS, decode
from callproof.target.arm64.table import Row

PER_ROW = 25
FEATURES = "generic+fullfp16+pauth+bti"


@pytest.fixture(scope="module")
def words() -> list[tuple[Row, int]]:
    source = random.Random(20261121)
    return [(row, random_word(row, source)) for row in ROWS for _ in range(PER_ROW)]


def test_every_row_round_trips_through_decode_and_encode(words: list[tuple[Row, int]]) -> None:
    for row, word in words:
        decoded = decode(word)
        assert decoded is not None
        form, arguments = decoded
        assert form is row.form
        assert form.encode(arguments) == word, form.text(arguments)


def test_clang_assembles_the_printed_text_to_the_same_word(words: list[tuple[Row, int]]) -> None:
    wanted, lines = [], []
    for _, word in words:
        decoded = decode(word)
        assert decoded is not None
        form, arguments = decoded
        text = form.text(arguments)
        if form.name == "adrp":
            continue  # its distance counts pages from the linker's address, not from here
        wanted.append((text, word))
        lines.append(text)
    code = assemble("\n".join(lines) + "\n", features=FEATURES)
    assert len(code) == 4 * len(wanted)
    for (text, word), (assembled,) in zip(wanted, struct.iter_unpack("<I", code), strict=True):
        assert assembled == word, f"{text}: ours {word:#010x}, Clang's {assembled:#010x}"


def normal(text: str) -> str:
    """Text without the differences of taste: spaces, number bases."""
    words = text.replace(",", " ").replace("[", " [ ").replace("]", " ] ").split()
    numbers = []
    for word in words:
        if word.startswith("#"):
            try:
                word = f"#{int(word[1:], 0) & 0xFFFFFFFFFFFFFFFF}"
            except ValueError:
                word = f"#{float(word[1:])}"
        numbers.append(word)
    return " ".join(numbers)


def test_capstone_prints_the_same_instruction(words: list[tuple[Row, int]]) -> None:
    engine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)
    differing = []
    for _, word in words:
        decoded = decode(word)
        assert decoded is not None
        form, arguments = decoded
        if any(spec.kind.startswith(("label", "adr")) for spec in form.operands):
            continue  # Capstone prints absolute targets there; Clang's test covers them
        found = list(engine.disasm(struct.pack("<I", word), 0))
        theirs = f"{found[0].mnemonic} {found[0].op_str}" if found else "nothing"
        ours = form.text(arguments)
        if normal(ours) != normal(theirs):
            differing.append(f"{word:#010x} {form.name}: ours '{ours}', Capstone's '{theirs}'")
    # Where the texts differ Clang has the word: these are other spellings, not other meanings.
    # A jump in their number says that an alias went wrong.
    assert len(differing) <= len(words) // 20, "\n".join(differing[:60])


def test_rows_that_share_words_say_which_of_them_is_meant() -> None:
    """Of two rows that some word fits, one fixes all the bits that the other fixes (and more:
    it decodes first); or an operand tells them apart."""
    by_kind = {("mov_v16b", "orr_v16b")}  # mov takes the words with equal sources
    for index, one in enumerate(ROWS):
        for other in ROWS[index + 1 :]:
            common = one.mask & other.mask
            if (one.fixed ^ other.fixed) & common or (one.form.name, other.form.name) in by_kind:
                continue
            assert common in (one.mask, other.mask), f"{one.form.name} and {other.form.name}"
            assert one.mask != other.mask, f"{one.form.name} and {other.form.name}"


def test_capstone_knows_every_word_that_we_decode() -> None:
    """Reserved encodings are not instructions, for the decoder neither."""
    source = random.Random(3)
    engine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)
    decoded = 0
    for _ in range(60_000):
        row = source.choice(ROWS)
        # Some of the fixed bits too, so that the neighbours of our rows are visited.
        word = row.fixed | source.getrandbits(32) & ~row.mask
        word ^= 1 << source.randrange(32) if source.random() < 0.5 else 0
        found = decode(word)
        if found is None:
            continue
        decoded += 1
        theirs = list(engine.disasm(struct.pack("<I", word), 0))
        assert theirs or unpredictable(*found), f"{word:#010x} {found[0].text(found[1])}"
    assert decoded > 20_000


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("mov_x", (0, 1), "mov x0, x1"),
        ("subs_x_shift", (64, 3, 4, 0, 0), "cmp x3, x4"),
        ("subs_x_imm", (64, 3, 10, 0), "cmp x3, #10"),
        ("add_x_imm", (29, 31, 0, 0), "mov x29, sp"),
        ("sub_x_imm", (31, 31, 32, 0), "sub sp, sp, #32"),
        ("ubfm_x", (0, 1, 61, 60), "lsl x0, x1, #3"),
        ("csinc_x", (0, 64, 64, 1), "cset x0, eq"),
        ("madd_x", (0, 1, 2, 64), "mul x0, x1, x2"),
        ("ldr_x_reg", (0, 1, 2, 3, 1), "ldr x0, [x1, x2, lsl #3]"),
        ("stp_x_pre", (29, 30, 31, -32), "stp x29, x30, [sp, #-32]!"),
        ("ldp_x_post", (29, 30, 31, 32), "ldp x29, x30, [sp], #32"),
        ("movn_x", (0, 4, 0), "mov x0, #-5"),
        ("orn_x_shift", (0, 64, 1, 0, 0), "mvn x0, x1"),
        ("ret", (30,), "ret"),
        ("str_x_uimm", (64, 31, 8), "str xzr, [sp, #8]"),
    ],
)
def test_listings_show_what_people_write(name: str, arguments: tuple[int, ...], text: str) -> None:
    assert FORMS[name].text(arguments) == text


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("add_x_imm", (0, 1, 4096, 0), "4096 is not in 0..4095"),
        ("add_x_imm", (64, 1, 1, 0), "register 64 cannot stand for a 'xsp' operand"),
        ("mov_x", (31, 1), "register 31 cannot stand for a 'x' operand"),
        ("ldr_x_uimm", (0, 1, 12), "12 is not in 0..32760 in steps of 8"),
        ("ldp_x_off", (0, 1, 2, 512), "512 is not in -512..504 in steps of 8"),
        ("and_x_imm", (0, 1, 5), "0x5 is not a logical immediate of 64 bits"),
        ("bl", (1 << 28,), "is not in -134217728..134217724 in steps of 4"),
        ("fadd_d", (0, 33, 34), "register 0 cannot stand for a 'd' operand"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(
    name: str, arguments: tuple[int, ...], reason: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        FORMS[name].encode(arguments)
