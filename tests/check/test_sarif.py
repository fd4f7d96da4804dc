"""SARIF reports against the schema of the standard."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from callproof.check import Result, check_bytes, check_file
from callproof.check.report_sarif import as_sarif
from tests.check.assembled import assemble_all
from tests.check.cases import CASES
from tests.survey.packages import ar

jsonschema = pytest.importorskip("jsonschema")
SCHEMA = Path(__file__).parent / "schemas" / "sarif-2.1.0-rtm.5.json"
CHOSEN = ("cs1_swapped", "cs1_stack", "cr1_x9", "cs1_full")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    folder = tmp_path_factory.mktemp("a folder with spaces & signs")
    objects = assemble_all({name: CASES[name][0] for name in CHOSEN}, folder)
    archive = ar({"a.o/": objects["cr1_x9"].read_bytes(), "b.o/": b"no object"})
    return [*map(check_file, objects.values()), check_bytes(archive, "lib with problems.a")]


def errors_of(document: object) -> list[str]:
    schema = json.loads(SCHEMA.read_text())
    validator = jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())
    return [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(document)]


def test_reports_are_valid(results: list[Result]) -> None:
    document = json.loads(as_sarif(results))
    assert len(document["runs"][0]["results"]) == 5
    assert document["runs"][0]["invocations"][0]["toolExecutionNotifications"]
    assert errors_of(document) == []
    assert errors_of(json.loads(as_sarif([]))) == []


def test_the_schema_would_tell(results: list[Result]) -> None:
    document = json.loads(as_sarif(results))
    document["runs"][0]["results"][0]["level"] = "fatal"
    document["runs"][0]["tool"]["driver"]["lines"] = 1
    assert len(errors_of(document)) == 2
