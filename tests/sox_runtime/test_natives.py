"""Every native: results, and each of its messages (section 10 and 20 of the reference)."""

from __future__ import annotations

from pathlib import Path

import pytest

from callproof.runtime.sox_entries import NATIVES
from tests.sox_runtime.build import Output, emulated, natively

# Native, arguments, what is printed of the result ("" for nothing).
RESULTS = """
Table | <table>{}
Table n:1 s:x | <table>{}
len s:abc | 3
len a:n:1|n:2 | 2
len t:a|b | 2 <table>{{"a":"1"},{"b":"1"}}
push a:n:1 nil | [1,nil]
pop a:n:1|n:2 | 2
type nil | <nil>
type true | <bool>
type n:1 | <number>
type s:x | String
type f | Closure
type a: | Array
type range | Range
usleep n:1 | 0
usleep n:-5 | 0
usleep s:x | -1
usleep | -1
stringUpper s:aZ{z | AZ{Z
stringLower s:AzZ[@ | azz[@
stringTrim s:x | x
stringIndexOf s:hello s:l | 2
stringIndexOf s:hello s:lo | 3
stringIndexOf s:hello s:x | -1
stringIndexOf s:hello s: | 0
stringIndexOf s:aab s:ab | 1
stringSubstring s:hello n:1 n:3 | el
stringSubstring s:hello n:2 | llo
stringSubstring s:hello n:-3 n:2 | he
stringSubstring s:hello n:1.9 n:3.9 | el
stringSubstring s:hello n:4 n:2 | ""
stringSubstring s:hello n:9 | ""
stringReplace s:a-b-c s:- s:+++ | a+++b-c
stringReplace s:abc s: s:x | abc
stringReplace s:abc s:z s:x | abc
stringStartsWith s:abc s:ab | true
stringStartsWith s:ab s:abc | false
stringEndsWith s:abc s:bc | true
stringEndsWith s:abc s: | true
stringEndsWith s:abc s:b | false
stringSplit s:a,b, s:, | [a,b]
stringSplit s:,a,,b s:, | [,a,,b]
stringSplit s:abc s: | [abc]
stringSplit s: s:, | []
stringSplit s:one--two s:-- | [one,two]
stringEscape s:a\\tb\\x41\\\\\\q\\" | a\tbA\\\\q"
stringEscape s:\\x4\\ | \\x4\\
stringToNumber s:12 | 12
stringToNumber s:-3.5 | -3.5
stringToNumber s:2e3 | 2000
stringToNumber s:12x | nil
stringToNumber s:1. | nil
stringToNumber s:.5 | nil
stringToNumber s: | nil
stringToNumber s:1e | nil
stringToNumber s:-inf | -inf
numberToString n:12 | 12
numberToString n:0.1 | 0.1
numberToString n:0.30000000000000004 | 0.30000000000000004
numberToString n:123456789 | 123456789
numberToString n:1000000 | 1000000
numberToString n:1e300 | 1e+300
numberToString n:nan | nan
numberToString n:-inf | -inf
numberToString n:-0 | -0
mathSqrt n:9 | 3
mathPow n:2 n:10 | 1024
mathFloor n:-2.5 | -3
mathCeil n:-2.5 | -2
mathRound n:-2.5 | -3
mathSin n:0 | 0
mathCos n:0 | 1
mathTan n:0 | 0
mathRandomInt n:5 n:5.9 | 5
mathSrand n:1 | nil
arraySlice a:n:1|n:2|n:3|n:4|n:5 n:1 n:3 | [2,3,4]
arraySlice a:n:1|n:2|n:3 n:1 | [2,3]
arraySlice a:n:1|n:2|n:3 n:-4 n:1 | [1,2]
arraySlice a:n:1|n:2|n:3 n:2 n:2 | []
arraySlice a:n:1|n:2|n:3 n:0 n:99 | [1,2,3]
arrayReverse a:n:1|s:x | [x,1]
arrayIndexOf a:n:1|s:x|nil s:x | 1
arrayIndexOf a:n:1 n:2 | -1
arrayContains a:n:1|nil nil | true
arrayContains a: nil | false
arrayJoin a:n:0.333333333333333333|s:x|nil|true|f s:-- | 0.33333333333333--x--nil--true--<object>
arrayJoin a: s:, | ""
arrayJoin a:n:1234567890 s:, | 1234567890
sysGetenv s:CALLPROOF_NO_SUCH_NAME | nil
sysPlatform | linux
sysSleep n:0 | nil
sysOnExit f | nil
range n:3 | range(0, 3, 1)
range n:1 n:4 | range(1, 4, 1)
range n:10 n:0 n:-2.5 | range(10, 0, -2.5)
tableKeys t:x|y | [y,x] <table>{{"y":"1"},{"x":"1"}}
tableHas t:x s:x | true <table>{{"x":"1"}}
tableHas t:x s:y | false <table>{{"x":"1"}}
tableDelete t:x|y s:x | true <table>{{"y":"1"}}
tableDelete t:y s:x | false <table>{{"y":"1"}}
fileRead s:/no/such/file | nil
fileWrite s:/no/such/file s:x | false
"""

# Native, arguments, the message behind its name and "(): ".
ERRORS = """
len | invalid parameter count
len s:a s:b | invalid parameter count
len n:1 | invalid parameter type
push a: | invalid parameter count
push s:a n:1 | invalid parameter type
pop | invalid parameter count
pop t: | invalid parameter type
pop a: | array is empty
type | invalid argument(s)
type nil nil | invalid argument(s)
stringUpper | invalid parameter count
stringUpper n:1 | parameter must be a string
stringLower s:a s:b | invalid parameter count
stringLower nil | parameter must be a string
stringTrim | invalid parameter count
stringTrim a: | parameter must be a string
stringIndexOf s:a | invalid parameter count
stringIndexOf s:a n:1 | both parameters must be strings
stringSubstring s:a | requires 2 or 3 parameters
stringSubstring n:1 n:1 | invalid parameter types
stringSubstring s:a s:b | invalid parameter types
stringSubstring s:a n:1 s:b | end parameter must be a number
stringReplace s:a s:b | requires 3 parameters
stringReplace s:a s:b n:1 | all parameters must be strings
stringStartsWith s:a | requires 2 parameters
stringStartsWith s:a n:1 | both parameters must be strings
stringEndsWith s:a | requires 2 parameters
stringEndsWith n:1 s:a | both parameters must be strings
stringSplit s:a | requires 2 parameters
stringSplit s:a nil | both parameters must be strings
stringEscape | requires 1 parameter
stringEscape n:1 | parameter must be a string
stringToNumber | requires 1 parameter
stringToNumber n:1 | parameter must be a string
numberToString | requires 1 parameter
numberToString s:1 | parameter must be a number
mathSqrt | invalid parameter count
mathSqrt s:1 | parameter must be a number
mathSqrt n:-1 | cannot take square root of negative number
mathPow n:1 | requires 2 parameters
mathPow n:1 s:2 | both parameters must be numbers
mathFloor | invalid parameter count
mathFloor s:1 | parameter must be a number
mathCeil nil | parameter must be a number
mathRound | invalid parameter count
mathSin nil | parameter must be a number
mathCos n:1 n:2 | invalid parameter count
mathTan true | parameter must be a number
mathRandom n:1 | takes no parameters
mathRandomInt n:1 | requires 2 parameters
mathRandomInt n:1 s:2 | both parameters must be numbers
mathRandomInt n:2 n:1 | min must be <= max
mathSrand | requires 1 parameter
mathSrand s:1 | seed must be a number
arraySlice a: | requires 2 or 3 parameters
arraySlice s:a n:1 | first parameter must be an array
arraySlice a: nil | start index must be a number
arraySlice a: n:1 nil | end index must be a number
arrayReverse | requires 1 parameter
arrayReverse s:a | parameter must be an array
arrayIndexOf a: | requires 2 parameters
arrayIndexOf t: n:1 | first parameter must be an array
arrayContains a: | requires 2 parameters
arrayJoin a: | requires 2 parameters
arrayJoin s:a s:b | first parameter must be an array
arrayJoin a: n:1 | separator must be a string
sysArgs n:1 | takes no parameters
sysGetenv | requires 1 parameter
sysGetenv n:1 | parameter must be a string
sysOnExit | requires 1 parameter (function)
sysOnExit n:1 | parameter must be a function
sysExit s:1 | exit code must be a number
sysExit n:1 n:2 | takes 0 or 1 parameters
sysPlatform nil | takes no parameters
sysSleep | requires 1 parameter
sysSleep s:1 | parameter must be a number
sysSleep n:-1 | sleep time cannot be negative
range | requires 1 to 3 parameters
range s:a | parameters must be numbers
range n:1 n:2 n:0 | step cannot be zero
tableKeys | requires 1 parameter
tableKeys a: | parameter must be a table
tableHas t: | requires 2 parameters
tableHas a: s:x | first parameter must be a table
tableHas t: n:1 | key must be a string
tableDelete t: | requires 2 parameters
tableDelete a: s:x | first parameter must be a table
tableDelete t: n:1 | key must be a string
fileRead | requires 1 parameter
fileRead n:1 | parameter must be a string
fileWrite s:x | requires 2 parameters
fileWrite s:x n:1 | both parameters must be strings
"""


def rows(text: str) -> list[tuple[list[str], str]]:
    found = []
    for line in text.strip("\n").splitlines():
        words, _, expected = line.partition(" | ")
        found.append((words.split(" "), expected))
    return found


def batch() -> tuple[list[str], str]:
    """All results in one call of the program, and what it prints."""
    arguments, printed = [], []
    for words, expected in rows(RESULTS):
        arguments += [*words, ","]
        result, _, table = expected.partition(" <table>{{")
        printed.append("" if result == '""' else result)
        if len(words) > 1 and words[1].startswith("t:"):
            printed.append("<table>{{" + table)
    return arguments, "\n".join([*printed, "bye", ""])  # the handler that is registered


def test_results() -> None:
    arguments, printed = batch()
    for run in (natively, emulated):
        done = run("native", *arguments)
        assert done.out.splitlines() == printed.splitlines()
        assert (done.status, done.err) == (0, "")


@pytest.mark.parametrize(("words", "message"), rows(ERRORS))
def test_errors(words: list[str], message: str) -> None:
    expected = f"{words[0]}(): {message}\n"
    assert natively("native", *words) == Output(70, "", expected)


def test_trim() -> None:
    for text in ("", " ", " a b\t", "\r\n\v\fx", "x\n\n"):
        done = natively("native", "stringTrim", f"s:{text}")
        assert done.out == text.strip(" \t\n\v\f\r") + "\n"


def test_array_contains_has_the_message_of_array_index_of() -> None:
    done = natively("native", "arrayContains", "n:1", "n:1")
    assert done.err == "arrayIndexOf(): first parameter must be an array\n"


def test_the_tables_leave_out_no_native() -> None:
    tried = {words[0] for words, _ in rows(RESULTS) + rows(ERRORS)}
    assert tried | {"clock"} == set(NATIVES)


@pytest.mark.parametrize(
    ("code", "status"), [("n:3", 3), ("n:256", 0), ("n:-1", 255), ("n:7.9", 7), ("n:nan", 0)]
)
def test_exit(code: str, status: int) -> None:
    arguments = ["sysOnExit", "f", ",", "sysExit", code, ",", "len", "s:not reached"]
    assert natively("native", *arguments) == Output(status, "nil\nbye\n", "")


def test_random_numbers() -> None:
    draw = ["mathRandom", ",", "mathRandomInt", "n:-2", "n:3", ","] * 20
    first = natively("native", *draw).out
    assert first == natively("native", *draw).out  # unseeded: the same sequence each run
    numbers = list(map(float, first.split()))
    assert all(0 <= x <= 1 for x in numbers[::2])
    assert set(numbers[1::2]) <= {-2, -1, 0, 1, 2, 3}
    assert len(set(numbers)) > 15
    seeded = natively("native", "mathSrand", "n:5", ",", *draw).out
    assert seeded.split()[1:] != first.split()


def test_clock_environment_and_arguments() -> None:
    done = natively("native", "clock", ",", "clock", "n:1", ",", "sysGetenv", "s:WORD", WORD="x y")
    first, second, word = done.out.splitlines()
    assert 0 <= float(first) <= float(second) < 60
    assert word == "x y"
    assert natively("native", "sysArgs").out.rstrip().endswith("native,sysArgs]")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    content = "text " * 5000
    words = [
        "fileWrite",
        f"s:{path}",
        f"s:{content}",
        ",",
        "fileRead",
        f"s:{path}",
        ",",
        "fileRead",
    ]
    assert natively("native", *words, f"s:{tmp_path}").out == f"true\n{content}\nnil\n"
    assert path.read_text() == content
    assert emulated("native", "fileRead", f"s:{path}").out == f"{content}\n"
