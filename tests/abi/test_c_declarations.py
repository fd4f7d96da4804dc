"""C declarations: what they mean, and what is said about those that mean nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callproof.abi import CONVENTIONS, parse, parse_declarations
from callproof.abi.data_model import DARWIN_ARM64, LINUX_ARM64, WINDOWS_ARM64
from callproof.source import CallproofError


def types(text: str, arguments: str | None = None) -> str:
    signature = parse(text, arguments=arguments).signature()
    shown = ", ".join(str(parameter.type) for parameter in signature.parameters)
    return f"({shown}) -> {signature.result}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("void f(void);", "() -> None"),
        ("int f()", "() -> i32"),
        ("char f(signed char, unsigned char, char);", "(i8, u8, u8) -> u8"),
        ("_Bool f(short int, long unsigned, long long int);", "(i16, u64, i64) -> bool"),
        ("__int128 f(unsigned __int128);", "(u128) -> i128"),
        ("__bf16 f(_Float16, float, double, long double);", "(f16, f32, f64, f128) -> bf16"),
        ("void f(int a[3], int g(int), int (*h)(void), const char *restrict s);",
         "(ptr, ptr, ptr, ptr) -> None"),
        ("typedef struct p p; struct p { int x; p *next; }; p *f(p x);",
         "({i32, ptr}) -> ptr"),
        ("enum e { A = 1, B = A << 3 }; enum e f(enum e x, int a[B]);", "(u32, ptr) -> u32"),
        ("enum e { A = -1 }; enum e f(void);", "() -> i32"),
        ("struct { int a[2][3]; } f(void);", "() -> {i32 * 6}"),
        ("struct s { int n; struct { int x; union { int y; float z; }; }; }; void f(struct s *p);",
         "(ptr) -> None"),
        ("typedef float v4 __attribute__((vector_size(16))); v4 f(v4 x);", "(v4f32) -> v4f32"),
        ("uint8_t f(int64_t x, size_t n, va_list *l);", "(i64, u64, ptr) -> u8"),
        ("float32x4_t f(int8x8_t x);", "(v8i8) -> v4f32"),
        ("_Complex double f(float _Complex z);", "({f32, f32}) -> {f64, f64}"),
        ("void f(int (*table[4])(void), char **names);", "(ptr, ptr) -> None"),
    ],
)  # fmt: skip
def test_types(text: str, expected: str) -> None:
    assert types(text) == expected


def test_anonymous_arguments_are_promoted() -> None:
    declared = "struct s { char c; }; void f(int n, ...);"
    assert types(declared, "char, float, struct s, _Bool, int *, unsigned") == (
        "(i32, i32, f64, {u8}, i32, ptr, u32) -> None"
    )


def test_types_follow_the_platform() -> None:
    prototype = parse("struct s { long double x; long y; }; char f(struct s p);")

    def shown(model: object) -> str:
        signature = prototype.signature(model)  # type: ignore[arg-type]
        return f"{signature.parameters[0].type} {signature.result}"

    assert shown(LINUX_ARM64) == "{f128, i64} u8"
    assert shown(DARWIN_ARM64) == "{f64, i64} i8"
    assert shown(WINDOWS_ARM64) == "{f64, i32} i8"


def test_the_last_function_or_a_named_one() -> None:
    text = "int f(int a); double g(double b);"
    assert parse(text).name == "g"
    assert parse(text, function="f").signature().parameters[0].name == "a"
    with pytest.raises(CallproofError, match="no function 'h' is declared"):
        parse(text, function="h")


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("", "no function is declared here", "1:1"),
        ("int x;", "no function is declared here", "1:1"),
        ("void f(int a", r"this '\(' is never closed", "1:7"),
        ("#include <stdint.h>\nint f(void);", "must be preprocessed first", "1:1"),
        ("void f(foo a);", "unexpected 'a'", "1:12"),
        ("struct s; void f(struct s x);", "'x' is of the incomplete type 'struct s'", "1:"),
        ("struct s { struct s x; }; void f(struct s p);", "which is not complete yet", "1:21"),
        ("struct s { int n; int a[]; }; void f(struct s x);", "flexible", "1:"),
        ("void f(void x);", "void", "1:"),
        ("struct s { int a : 40; }; void f(struct s x);", "wider than its type", "1:"),
        ("void f(int a[1/0]);", "zero", "1:"),
        ("struct s { char a[1ull << 60]; }; void f(struct s x);", "elements is not possible", "1:"),
        ("int f(void) { return 1 }", "this is not C", "1:"),
        ("void f(int ...);", "this is not C", "1:"),
        ("typedef float v __attribute__((vector_size(24))); void f(v x);", "vector", "1:"),
        ("struct s { int x; } __attribute__((aligned(3))); void f(struct s x);", "power of", "1:"),
        ("void f(int a, int b)) ;", r"'\)' closes nothing", "1:21"),
        ("/* never closed", "comment", "1:"),
        ('char *s = "never closed', "this is not C", "1:"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_a_place(text: str, message: str, place: str) -> None:
    with pytest.raises(CallproofError, match=message) as raised:
        parse(text)
    assert f"<declaration>:{place}" in raised.value.diagnostics[0].render()


def test_a_place_in_the_anonymous_arguments() -> None:
    with pytest.raises(CallproofError) as raised:
        parse("void f(int n, ...);", arguments="int, nonsense x")
    assert "<arguments>:1:" in raised.value.diagnostics[0].render()
    with pytest.raises(CallproofError, match="'f' is not variadic"):
        parse("void f(int n);", arguments="int").signature()


@pytest.mark.parametrize(
    "text",
    [
        "void f(" + "(" * 100_000 + ");",
        "struct s {" * 20_000,
        "int a[" * 5000,
        "x" * 10_000_000,
        "struct s { int x; }; " * 200_000 + "(",
    ],
    ids=["brackets", "structs", "arrays", "10 MB of a name", "many and an error"],
)
def test_monstrous_declarations_are_refused(text: str) -> None:
    with pytest.raises(CallproofError) as raised:
        parse_declarations(text)
    assert len(raised.value.diagnostics[0].render()) < 2000


def test_ten_megabytes_of_declarations_are_understood_or_refused() -> None:
    text = "int f(int a, double b);\n" * 420_000
    try:
        assert parse_declarations(text).functions["f"]
    except CallproofError as error:
        assert "more than 1048576 characters" in error.diagnostics[0].render()


WORDS = st.sampled_from(
    "int char long double float void struct union enum s t f x ( ) { } [ ] * , ; : 3 0 = ... "
    "typedef const __attribute__ (( )) packed aligned _Alignas unsigned _Bool # pragma pack".split()
)


@settings(max_examples=400, deadline=None)
@given(st.lists(WORDS, max_size=30), st.sampled_from(sorted(CONVENTIONS)))
def test_soup_never_raises_anything_else(words: list[str], convention: str) -> None:
    from callproof.abi import plan

    try:
        plan(parse(" ".join(words)), CONVENTIONS[convention])
    except CallproofError:
        return
