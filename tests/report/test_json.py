"""JSON: what the schema in the documentation says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator
from tests.report.samples import big_report, small_report

from pytest_test_categories._report import json as report_json
from pytest_test_categories._report.model import VERDICTS, VERSION, Case, Report

SCHEMA: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "docs" / "reference" / "report.schema.json").read_text(encoding="utf-8")
)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "report",
    [
        pytest.param(small_report(), id="small"),
        pytest.param(big_report(), id="big"),
        pytest.param(Report([], []), id="empty"),
        pytest.param(Report([Case("\udc80\n<")], [], unwatched={"x": 1}), id="hostile"),
    ],
)
def test_what_is_written_is_valid(report: Report) -> None:
    text = report_json.render(report)
    assert text.endswith("}\n")
    Draft202012Validator(SCHEMA).validate(json.loads(text))


def _described(schema: dict[str, Any], value: object, path: str = "") -> list[str]:
    """Return the fields of a value that the schema does not describe."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    missing = []
    if isinstance(value, dict) and "properties" in schema:
        for name, inner in value.items():
            described = schema["properties"].get(name)
            if described is None or not described.get("description"):
                missing.append(f"{path}/{name}")
            else:
                missing += _described(described, inner, f"{path}/{name}")
        missing += [f"{path}/{name} is not required" for name in value if name not in schema["required"]]
    elif isinstance(value, list) and value:
        missing += _described(schema["items"], value[0], path)
    return missing


def test_the_schema_describes_each_field_that_is_written() -> None:
    assert _described(SCHEMA, small_report().to_dict()) == []


def test_the_schema_lists_the_verdicts_and_the_version() -> None:
    assert tuple(SCHEMA["$defs"]["access"]["properties"]["verdict"]["enum"]) == VERDICTS
    assert SCHEMA["properties"]["version"]["const"] == VERSION


def test_readers_are_told_to_expect_further_fields() -> None:
    data = small_report().to_dict() | {"new": 1}
    Draft202012Validator(SCHEMA).validate(data)


@pytest.mark.parametrize("field", ["version", "mode", "tests"])
def test_a_missing_field_is_invalid(field: str) -> None:
    data = small_report().to_dict()
    del data[field]
    assert not Draft202012Validator(SCHEMA).is_valid(data)


def test_the_same_run_gives_the_same_text() -> None:
    report = small_report()
    other = Report(reversed(report.tests), reversed(report.accesses), **_facts(report))
    assert report_json.render(other) == report_json.render(report)


def _facts(report: Report) -> dict[str, Any]:
    return {
        name: getattr(report, name) for name in ("mode", "layers", "complete", "why_incomplete", "unwatched", "tool")
    }
