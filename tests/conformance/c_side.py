"""The C program of a batch: checks, values, and for each case a callee and a caller.

For case i, compiled by Clang or GCC:

    callee_i_c   checks its arguments, calls `caller_{i+1}_ir` in between (a callback into
                 the other side), checks them again, and returns `r_i`
    caller_i_c   calls `callee_i_ir` with the values `a_i_k` and checks the result

`start` gives the address of a table with everything that the harness reads.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from callproof.abi import Prototype, Signature, parse_declarations
from callproof.abi.data_model import DataModel
from callproof.abi.types import Composite, Type
from tests.conformance.cases import HEADER, CaseSpec, Source, source_of
from tests.conformance.values import Value, Values

RESULT = 99  # the "argument number" of a result in the log
MOST_FAILURES = 256

SUPPORT = """\
typedef unsigned char byte;
typedef unsigned long word;
struct expected { const byte *data, *mask; word size; };
extern const struct expected *const expectations[];
struct failure { word case_, index; };
struct report { word checks, failures; struct failure log[256]; };
static struct report report;
static word depth;

void *memcpy(void *to, const void *from, word size) {
    volatile byte *t = to;
    const byte *f = from;
    while (size--) *t++ = *f++;
    return to;
}

void *memset(void *to, int value, word size) {
    volatile byte *t = to;
    while (size--) *t++ = (byte)value;
    return to;
}

void check(int case_, int index, const void *value) {
    const struct expected *e = &expectations[case_][index];
    const byte *v = value;
    byte wrong = 0;
    for (word i = 0; i < e->size; i++) wrong |= (v[i] ^ e->data[i]) & e->mask[i];
    report.checks++;
    if (wrong) {
        if (report.failures < 256)
            report.log[report.failures] = (struct failure){(word)case_, (word)index};
        report.failures++;
    }
}

typedef void (*routine)(void);
extern const routine routines[];

/* From each callee into the next case's caller on the other side, one level deep. */
void call_back(int number) {
    if (depth) return;
    depth++;
    routines[number]();
    depth--;
}
"""


@dataclass
class CaseText:
    """Everything that both sides need of one case on one platform."""

    number: int
    source: Source
    signature: Signature
    values: list[Value]
    result: Value | None
    types: list[Type]
    seed: int


def prepare(case: CaseSpec, number: int, seed: int, model: DataModel) -> CaseText:
    """Lay the case out by our own rules and choose its values."""
    source = source_of(case, f"s{number}_")
    text = HEADER + source.declarations + "\n" + source.prototype("f") + ";"
    arguments = ", ".join(source.anonymous) if source.variadic else None
    declarations = parse_declarations(text, arguments=arguments)
    prototype: Prototype = declarations.functions["f"]
    signature = prototype.signature(model)
    # The same signature has the same values wherever it stands in a batch.
    key = zlib.crc32((source.declarations + text).replace(f"s{number}_", "").encode()) + seed
    values = Values(key)
    return CaseText(
        number,
        source,
        signature,
        [values.of(parameter.type) for parameter in signature.parameters],
        None if signature.result is None else values.of(signature.result),
        [parameter.type for parameter in signature.parameters],
        key,
    )


def layout_rows(case: CaseText, model: DataModel) -> list[tuple[str, int]]:
    """C expressions of sizes, alignments and offsets, with what we say they are."""
    text = HEADER + case.source.declarations + "\nvoid f(void);"
    types = parse_declarations(text).types(model)
    rows = []
    for name, _ in case.source.aggregates:
        type_ = types[name]
        assert isinstance(type_, Composite)
        rows.append((f"sizeof({name})", type_.size))
        rows.append((f"_Alignof({name})", type_.alignment))
        rows += [
            (f"__builtin_offsetof({name}, {field.name})", field.offset)
            for field in type_.fields
            if field.bits is None
        ]
    return rows


def _bytes(data: bytes | bytearray) -> str:
    return "{" + ", ".join(map(str, data or b"\0")) + "}"


def _case_text(case: CaseText, count: int, attribute: str, va: str) -> str:
    i, source = case.number, case.source
    lines = [source.declarations]
    expected = []
    everything = list(enumerate(zip(case.values, case.types, strict=True)))
    types = [*source.parameters, *source.anonymous]
    for k, (value, _) in everything:
        lines.append(f"const {types[k]} a_{i}_{k} = {value.initialiser};")
        lines.append(f"static const byte d_{i}_{k}[] = {_bytes(value.data)};")
        lines.append(f"static const byte m_{i}_{k}[] = {_bytes(value.mask)};")
        expected.append(f"    [{k}] = {{d_{i}_{k}, m_{i}_{k}, {len(value.data)}}},")
    if case.result is not None:
        lines.append(f"const {source.result} r_{i} = {case.result.initialiser};")
        lines.append(f"static const byte d_{i}_r[] = {_bytes(case.result.data)};")
        lines.append(f"static const byte m_{i}_r[] = {_bytes(case.result.mask)};")
        expected.append(f"    [{RESULT}] = {{d_{i}_r, m_{i}_r, {len(case.result.data)}}},")
    lines.append(f"static const struct expected expected_{i}[] = {{")
    lines += [*expected, f"    [{RESULT + 1}] = {{0, 0, 0}},", "};"]

    fixed = len(source.parameters)
    lines.append(f"{attribute}{source.prototype(f'callee_{i}_ir')};")
    lines.append(f"{attribute}{source.prototype(f'callee_{i}_c')} {{")
    checks = [f"    check({i}, {k}, &p{k});" for k in range(fixed)]
    if source.anonymous:
        last = f"p{fixed - 1}"
        lines.append(f"    __builtin_{va}_list list;")
        lines.append(f"    __builtin_{va}_start(list, {last});")
        for k, text in enumerate(source.anonymous, fixed):
            lines.append(f"    {text} p{k} = __builtin_va_arg(list, {text});")
            checks.append(f"    check({i}, {k}, &p{k});")
        lines.append(f"    __builtin_{va}_end(list);")
    lines += checks
    lines.append(f"    call_back({count + (i + 1) % count});")
    lines += reversed(checks)
    if case.result is not None:
        lines.append(f"    return r_{i};")
    lines.append("}")

    arguments = ", ".join(f"a_{i}_{k}" for k in range(len(types)))
    lines.append(f"void caller_{i}_c(void) {{")
    if case.result is None:
        lines.append(f"    callee_{i}_ir({arguments});")
    else:
        lines.append(f"    {source.result} r = callee_{i}_ir({arguments});")
        lines.append(f"    check({i}, {RESULT}, &r);")
    lines.append("}")
    lines.append(f"void caller_{i}_ir(void);")
    return "\n".join(lines)


def c_program(cases: list[CaseText], model: DataModel, attribute: str = "") -> str:
    """The whole file; `attribute` stands before each callee (`__attribute__((ms_abi))`).

    Case numbers must be 0, 1, 2 …
    """
    count = len(cases)
    parts = [HEADER, SUPPORT]
    rows: list[tuple[str, int]] = []
    for case in cases:
        parts.append(_case_text(case, count, attribute, "ms_va" if "ms_abi" in attribute else "va"))
        rows += layout_rows(case, model)
    # At the start of a case's values C's own bytes are compared with ours, padding aside.
    parts.append("void check_values(void) {")
    for case in cases:
        i = case.number
        parts += [f"    check({i}, {k}, &a_{i}_{k});" for k in range(len(case.values))]
        if case.result is not None:
            parts.append(f"    check({i}, {RESULT}, &r_{i});")
    parts.append("}")
    numbers = range(count)
    parts.append("const struct expected *const expectations[] = {")
    parts += [f"    expected_{i}," for i in numbers]
    parts.append("};\nconst routine routines[] = {")
    parts += [f"    caller_{i}_c," for i in numbers]
    parts += [f"    caller_{i}_ir," for i in numbers]
    parts.append("    check_values,\n};")
    expressions = [expression for expression, _ in rows] or ["0"]
    parts.append("const word layouts[] = {" + ",\n    ".join(expressions) + "};")
    parts.append(
        """
struct control {
    struct report *report;
    word *depth;
    const routine *routines;
    const word *layouts;
};
static struct control control;
struct control *start(void) {
    control = (struct control){&report, &depth, routines, layouts};
    return &control;
}
"""
    )
    return "\n".join(parts)
