"""Annotations: workflow commands as GitHub Actions reads them."""

from __future__ import annotations

import re

from tests.report.samples import big_report, small_report

from pytest_test_categories._report import github
from pytest_test_categories._report.model import Access, Case, Report
from pytest_test_categories._rules.violation import Violation

COMMAND = re.compile(r"::(?P<level>error|warning) (?P<properties>[^:]*)::(?P<message>.*)")


def read(line: str) -> tuple[str, dict[str, str], str]:
    """Return what the runner reads in a command."""
    match = COMMAND.fullmatch(line)
    assert match is not None, line

    def unescaped(text: str) -> str:
        for code, char in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
            text = text.replace(code, char)
        return text

    properties = dict(pair.split("=", 1) for pair in match["properties"].split(","))
    return match["level"], {name: unescaped(value) for name, value in properties.items()}, unescaped(match["message"])


def test_each_breach_is_annotated_on_its_line_errors_first() -> None:
    found = [read(line) for line in github.workflow_commands(small_report())]
    assert [level for level, _, _ in found] == ["error", "error", "warning", "warning", "warning"]
    level, properties, message = next(one for one in found if "api.example.com" in one[2])
    assert (level, properties) == (
        "error",
        {"file": "src/shop/users.py", "line": "12", "title": "TC001 network access violation"},
    )
    assert message.startswith("tests/test_users.py::test_fetch (small) tried to use api.example.com:443: refused.\n")
    assert "use responses or requests-mock" in message


def test_marks_of_the_syntax_in_names_are_escaped() -> None:
    violation = Violation("100%::a,b", "small", "connect", "h:1", location="src/a,b:c%0A.py:3")
    (line,) = github.workflow_commands(Report([], [Access(violation, "refused", "large")]))
    assert "file=src/a%2Cb%3Ac%250A.py,line=3," in line
    _, properties, message = read(line)
    assert properties["file"] == "src/a,b:c%0A.py"
    assert message.startswith("100%::a,b (small)")


def test_no_name_begins_a_command_of_its_own() -> None:
    violation = Violation("a\n::set-env name=X::y\r::error::z", "small", "connect", "h:1")
    (line,) = github.workflow_commands(Report([Case(violation.test)], [Access(violation, "refused", "large")]))
    assert len(line.splitlines()) == 1


def test_what_has_no_place_has_no_file() -> None:
    (line,) = github.workflow_commands(
        Report([], [Access(Violation("the run", "", "connect", "h:1"), "warned", "large")])
    )
    cure = "@pytest.mark.large instead: h is not on this machine"
    assert line == f"::warning title=TC001 network access violation::the run tried to use h:1: warned.%0A{cure}"


def test_a_test_whose_line_is_unknown_is_annotated_on_its_file() -> None:
    (line,) = github.workflow_commands(
        Report([], [Access(Violation("t.py::a", "", "connect", "h:1"), "refused", "large")])
    )
    assert line.startswith("::error file=t.py,title=")


def test_of_many_the_last_says_how_many_more() -> None:
    lines = github.workflow_commands(big_report())
    assert len(lines) == github.LIMIT
    assert "and 12491 more" in lines[-1]


def test_as_many_as_fit_are_all_shown() -> None:
    accesses = [
        Access(Violation(f"t.py::{n}", "small", "connect", "h:1"), "refused", "large") for n in range(github.LIMIT)
    ]
    lines = github.workflow_commands(Report([], accesses))
    assert len(lines) == github.LIMIT
    assert not any("more" in line for line in lines)


def test_no_breach_no_annotation() -> None:
    assert (
        github.workflow_commands(Report([], [Access(Violation("t", "large", "connect", "h:1"), "permitted", "large")]))
        == []
    )


def test_they_tell_no_secret() -> None:
    text = "\n".join(github.workflow_commands(small_report()))
    assert [word for word in ("secret", "bob", "key=1", "/usr/bin") if word in text] == []
