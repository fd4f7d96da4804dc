"""`callproof abi` as its users call it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from callproof.cli.app import app
from callproof.source import CallproofError

DECLARATION = "struct v { float x, y, z; }; double f(int a, struct v p, ...);"


def shown(*words: str) -> str:
    result = CliRunner().invoke(app, ["abi", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_table_and_the_picture() -> None:
    text = shown(DECLARATION, "--args", "int, double", "--convention", "aapcs64,darwin64,sysv64")
    assert text == EXPECTED


EXPECTED = """\
f

   parameter       type      size  align  aapcs64     darwin64    sysv64
   a               int       4     4      w0          w0          edi
   p               struct v  12    4      s0, s1, s2  s0, s1, s2  xmm0, xmm1
*  ... anonymous1  int       4     4      w1          [sp+0]      esi
*  ... anonymous2  double    8     8      d3          [sp+8]      xmm2
   (result)        double    8     8      d0          d0          xmm0

* travels differently

AAPCS64 (Linux)

  x0  a
  x1  anonymous1
  v0  p[0..4)
  v1  p[4..8)
  v2  p[8..12)
  v3  anonymous2

  0 bytes of stack, SP a multiple of 16

Darwin ARM64

  x0  a
  v0  p[0..4)
  v1  p[4..8)
  v2  p[8..12)

          +------------+
  sp+8    | anonymous2 | 8 bytes
          +------------+
  sp+4    | (padding)  | 4 bytes
          +------------+
  sp+0    | anonymous1 | 4 bytes
          +------------+

  16 bytes of stack, SP a multiple of 16
  x18 belongs to the platform
  128 bytes below SP survive signals (red zone)

System V x86-64

  rdi   a
  rsi   anonymous1
  xmm0  p[0..8)
  xmm1  p[8..12)
  xmm2  anonymous2

  0 bytes of stack, SP a multiple of 16
  al = 3, the number of vector registers used
  128 bytes below SP survive signals (red zone)

struct v: 12 bytes, alignment 4
  0  4  x  float
  4  4  y  float
  8  4  z  float
"""


def test_explain_names_the_clauses() -> None:
    text = shown("void f(int n, __int128 x);", "--explain")
    assert "C.10  AAPCS64 6.8.2  an alignment of 16: the next X register's number" in text


def test_the_call_site() -> None:
    text = shown(DECLARATION, "--args", "int", "--asm", "--convention", "darwin64")
    (call,) = [line.split() for line in text.splitlines() if " bl f " in line]
    assert call[:2] == ["bl", "f"]
    assert "anonymous1: [sp, #0])" in " ".join(call)


def test_the_call_site_on_x86_64() -> None:
    text = shown("int f(int, double, ...);", "--args", "double", "--asm", "--convention", "sysv64")
    (call,) = [line.split() for line in text.splitlines() if " callq " in line]
    assert call[:2] == ["callq", "f"]
    assert "movl    $2, %eax" in text  # two vector registers


def test_a_long_double_comes_back_by_the_x87_stack() -> None:
    text = shown("long double f(long double);", "--asm", "--convention", "sysv64")
    lines = [" ".join(line.split("#")[0].split()) for line in text.splitlines()]
    call = lines.index("callq f")
    assert lines[call + 1 : call + 3] == ["leaq result(%rip), %rax", "fstpt (%rax)"]


def test_json_has_everything() -> None:
    words = ["--args", "int, double", "--convention", "aapcs64,darwin64", "--format", "json"]
    data = json.loads(shown(DECLARATION, *words, "--asm"))
    assert data["function"] == "f"
    assert data["differs"] is True
    linux, darwin = data["conventions"]
    assert [p["where"] for p in linux["parameters"]] == ["w0", "s0, s1, s2", "w1", "d3"]
    assert darwin["parameters"][2]["parts"] == [{"offset": 0, "size": 4, "stack": 0}]
    assert darwin["stack_bytes"] == 16
    assert linux["result"]["rules"][0]["id"] == "6.9"
    assert linux["layouts"][0]["members"][2] == {
        "offset": 8,
        "size": 4,
        "name": "z",
        "type": "float",
    }
    assert "bl f" in linux["assembly"]


def test_svg_is_well_formed_and_complete() -> None:
    text = shown("void f(int first, long double second, struct { char c[40]; } third);",
                 "--format", "svg", "--convention", "aapcs64,sysv64")  # fmt: skip
    tree = ElementTree.fromstring(text)
    texts = [one.text for one in tree.iter("{http://www.w3.org/2000/svg}text")]
    for wanted in ("first", "second", "address of third", "third", "x0", "v0", "rdi", "sp+16"):
        assert wanted in texts


class Balanced(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_balanced_and_escapes() -> None:
    text = shown("struct v { int x; }; void f(struct v a[3 < 4], int b);", "--format", "html",
                 "--explain", "--asm")  # fmt: skip
    parser = Balanced()
    parser.feed(text)
    assert not parser.open
    assert "a[3 &lt; 4]" in text
    assert "AAPCS64 6.8.2 C.9" in text
    assert "bl f" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["int f(int);", "--format", "pdf"], "'pdf' is none of text"),
        (["int f(int);", "--convention", "vax"], "'vax' is none of aapcs64"),
        (["int f(int);", "--convention", ","], "no convention is named"),
    ],
)
def test_wrong_use(words: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["abi", *words])
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["void f(foo x);"], "<declaration>:1:12"),
        (["nowhere.h"], "cannot read nowhere.h"),
        (["int f(int);", "--args", "int"], "'f' is not variadic"),
        (["int f(int);", "--function", "g"], "no function 'g'"),
    ],
)
def test_wrong_input(words: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["abi", *words])
    assert isinstance(result.exception, CallproofError)
    assert message in result.exception.diagnostics[0].render()
