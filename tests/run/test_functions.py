"""Function records: from call plans to bytes and back, through any linker's concatenation."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callproof.abi import AAPCS64, Parameter, Signature, plan
from callproof.abi.types import F64, I32, I64, POINTER, VALUE, Type, structure
from callproof.run.functions import (
    FunctionRecord,
    Place,
    ValueRecord,
    decode_records,
    encode_records,
    record_of,
)
from callproof.source import CallproofError


def record(*types: Type, result: Type | None = None, variadic: int | None = None) -> FunctionRecord:
    parameters = tuple(Parameter(type_, f"p{index}") for index, type_ in enumerate(types))
    return record_of("f", "F::f", plan(Signature(parameters, result, variadic), AAPCS64))


def test_a_record_names_where_each_part_travels() -> None:
    made = record(I64, F64, VALUE, I32, result=F64)
    assert [value.where for value in made.parameters] == [
        (Place("x", 0, 8),),
        (Place("v", 0, 8),),
        (Place("x", 1, 8), Place("x", 2, 8)),
        (Place("x", 3, 4),),
    ]
    assert made.parameters[2].type == "{u64, u64}"
    assert made.result == ValueRecord("", "f64", (Place("v", 0, 8),))


def test_stack_arguments_have_their_offset_at_the_call() -> None:
    made = record(*[I64] * 10)
    assert made.parameters[8].where == (Place("stack", 0, 8),)
    assert made.parameters[9].where == (Place("stack", 8, 8),)


def test_a_large_result_is_indirect() -> None:
    made = record(result=structure(I64, I64, I64))
    assert made.result is not None
    assert made.result.indirect
    assert made.result.where == (Place("x", 8, 8),)


def test_each_function_is_one_line_of_json() -> None:
    lines = encode_records([record(POINTER), record()]).decode().splitlines()
    assert json.loads(lines[0]) == {
        "name": "f",
        "display": "F::f",
        "parameters": [{"name": "p0", "type": "ptr", "where": [["x", 0, 8]]}],
        "result": None,
    }
    assert len(lines) == 2


TYPES = st.sampled_from([I32, I64, F64, POINTER, VALUE, structure(F64, F64), structure(*[I64] * 3)])
RECORDS = st.builds(
    lambda types, result, name: record_of(
        name,
        name.upper(),
        plan(Signature(tuple(map(Parameter, types)), result), AAPCS64),
    ),
    st.lists(TYPES, max_size=12),
    st.none() | TYPES,
    st.text(min_size=1),
)


@given(st.lists(RECORDS, max_size=4), st.lists(RECORDS, max_size=4), st.integers(0, 15))
def test_concatenated_and_padded_sections_read_back(
    first: list[FunctionRecord], second: list[FunctionRecord], padding: int
) -> None:
    data = encode_records(first) + bytes(padding) + encode_records(second)
    assert decode_records(data) == first + second


def test_sizes_may_be_left_out() -> None:
    line = b'{"name":"f","parameters":[{"type":"f64","where":[["v",1]]}]}'
    assert decode_records(line) == [
        FunctionRecord("f", "f", (ValueRecord("", "f64", (Place("v", 1, 16),)),))
    ]


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "{}",
        '{"name":1}',
        '{"name":"f","parameters":3}',
        '{"name":"f","parameters":[{"type":"i64","where":[["x",99]]}]}',
        '{"name":"f","parameters":[{"type":"i64","where":[["q",1]]}]}',
        '{"name":"f","parameters":[{"type":"i64","where":[["x",1,9]]}]}',
        '{"name":"f","parameters":[{"type":"i64","where":[["x",true]]}]}',
        '{"name":"f","result":{"where":[]}}',
        '{"name":"f"',
        "\x7f",
        "[" * 100_000,
    ],
)
def test_malformed_lines_are_refused_with_their_number(line: str) -> None:
    with pytest.raises(CallproofError, match="line 2: not a function record"):
        decode_records(b"\0\n" + line.encode())


@given(st.binary(max_size=200))
def test_any_bytes_give_records_or_a_refusal(data: bytes) -> None:
    try:
        decode_records(data)
    except CallproofError as error:
        assert "not a function record" in str(error)
