"""Lists of violations: by the line that made them, with the tests that did and how to fix it."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_test_categories import Violation
from pytest_test_categories._rules.wording import function_of, grouped_lines, short_text

BASE = Violation(
    test="",
    size="small",
    kind="connect",
    target="api.example.com:443",
    location="src/users.py:12",
    function="fetch",
    library="requests",
)
FIX = "      to fix: responses or requests-mock, or @pytest.mark.large"


def listed(*violations: Violation) -> list[str]:
    by_test: dict[str, dict[tuple[str, ...], Violation]] = {}
    for violation in violations:
        by_test.setdefault(violation.test, {})[violation.key] = violation
    return grouped_lines(by_test)


def of(test: str, **changes: Any) -> Violation:
    return BASE._replace(test=test, **changes)


def test_what_several_tests_attempt_from_one_line_is_one_entry() -> None:
    assert listed(
        of("t.py::test_b", called_from="t.py:7"),
        of("t.py::test_a", called_from="t.py:3", count=2),
        of("t.py::test_c", called_from="t.py:9", target="other:1"),
    ) == [
        "  t.py::test_a [small]",
        "  t.py::test_b [small]",
        "    api.example.com:443 (x3) at src/users.py:12 in fetch",
        FIX,
        "  t.py::test_c [small]",
        "    other:1 at src/users.py:12 in fetch, called from t.py:9",
        FIX,
    ]


def test_one_test_is_named_once_for_all_that_it_attempts() -> None:
    assert listed(
        of("t.py::test_a"), of("t.py::test_a", location="src/users.py:20"), of("t.py::test_a", size="medium")
    ) == [
        "  t.py::test_a [medium]",
        "    api.example.com:443 at src/users.py:12 in fetch",
        FIX,
        "  t.py::test_a [small]",
        "    api.example.com:443 at src/users.py:12 in fetch",
        "    api.example.com:443 at src/users.py:20 in fetch",
        FIX,
    ]


def test_the_parameter_sets_of_a_test_are_one_test() -> None:
    assert listed(*(of(f"t.py::test_a[{n}::]") for n in range(30)), of("t.py::test_b[0]"))[:2] == [
        "  t.py::test_a (30 parameter sets) [small]",
        "  t.py::test_b[0] [small]",
    ]


def test_many_tests_of_one_line_are_counted() -> None:
    lines = listed(*(of(f"t.py::test_{n:02}") for n in range(12)))
    assert lines[3:5] == ["  t.py::test_03 [small]", "  and 8 more tests [small]"]
    assert len(lines) == 7


def test_tests_that_are_named_elsewhere_are_counted() -> None:
    by_test = {f"t.py::test_{n}": {(): of(f"t.py::test_{n}")} for n in range(12)}
    assert grouped_lines(by_test, named=False) == [
        "  12 tests [small]",
        "    api.example.com:443 (x12) at src/users.py:12 in fetch",
        FIX,
    ]


def test_what_has_no_line_is_each_tests_own() -> None:
    assert listed(of("t.py::test_a", location="", library=""), of("t.py::test_b", location="", library="")) == [
        "  t.py::test_a [small]",
        "    api.example.com:443",
        "      to fix: a fake of fetch, or @pytest.mark.large",
        "  t.py::test_b [small]",
        "    api.example.com:443",
        "      to fix: a fake of fetch, or @pytest.mark.large",
    ]


def test_calls_of_one_line_from_several_places_of_a_test_are_one_fact() -> None:
    assert listed(of("t.py::test_a", called_from="t.py:3"), of("t.py::test_a", called_from="t.py:4"))[1] == (
        "    api.example.com:443 (x2) at src/users.py:12 in fetch"
    )


def test_rule_6_a_medium_test_is_not_listed_as_small_for_its_fixtures_sake() -> None:
    lines = listed(of("t.py::test_m", fixture="db (session)", held_by="t.py::test_s", test_size="medium"))
    assert lines[0] == "  t.py::test_m [medium, its fixture db is small]"
    assert lines[2] == "      to fix: large for t.py::test_s, or test_categories_fixture_sizes = db = large"


@pytest.mark.parametrize(
    ("test", "function"),
    [
        pytest.param("t.py::test_a", "t.py::test_a", id="no-parameters"),
        pytest.param("[x]/t.py::T::test_a[::1]-[b]]", "[x]/t.py::T::test_a", id="brackets-and-colons"),
        pytest.param("t.T.test_a", "t.T.test_a", id="unittest"),
        pytest.param("[x]/t.py", "[x]/t.py", id="module"),
    ],
)
def test_a_function_is_its_test_without_parameters(test: str, function: str) -> None:
    assert function_of(test) == function


def test_the_short_text_begins_with_the_target() -> None:
    assert short_text(of("t")) == "[TC001] api.example.com:443 at src/users.py:12"
    assert short_text(of("t", location="")) == "[TC001] api.example.com:443"
