"""Suggestions of sizes: from a report, with evidence, and never smaller on half an observation."""

from __future__ import annotations

import random

import pytest

from pytest_test_categories._report.model import Access, Case, Report
from pytest_test_categories._rules.violation import Violation
from pytest_test_categories._sizing.suggest import Suggestion, function_of, lines, suggest

FILE = "tests/test_a.py"


def case(name: str, size: str = "", outcome: str = "passed", unwatched: int = 0, line: int = 1) -> Case:
    return Case(f"{FILE}::{name}", size, FILE, line, outcome, unwatched=unwatched)


def access(name: str, needs: str = "medium", **facts: str) -> Access:
    target = facts.pop("target", "localhost:5432" if needs != "large" else "api.example.com:443")
    test = f"{FILE}::{name}" if name else FILE
    return Access(Violation(test=test, size="", kind="connect", target=target, **facts), "observed", needs)  # type: ignore[arg-type]


def only(*parts: Case | Access, **more: object) -> Suggestion:
    (found,) = suggest(report(*parts), **more)  # type: ignore[arg-type]
    return found


def report(*parts: Case | Access) -> Report:
    cases = [part for part in parts if isinstance(part, Case)]
    return Report(cases, [part for part in parts if isinstance(part, Access)], mode="off")


@pytest.mark.parametrize(
    ("test", "function"),
    [
        pytest.param("tests/test_a.py::test_x", "tests/test_a.py::test_x", id="plain"),
        pytest.param("tests/test_a.py::test_x[1-a]", "tests/test_a.py::test_x", id="parameters"),
        pytest.param("tests/test_a.py::A::B::test_x[::1]", "tests/test_a.py::A::B::test_x", id="colons"),
        pytest.param("tests/test_a.py::test_x[[a]-b[0]]", "tests/test_a.py::test_x", id="brackets"),
        pytest.param("tests/test_a.py::test_x[a::test_y[1]]", "tests/test_a.py::test_x", id="another test"),
        pytest.param("tests/[odd]/test_a.py::test_x[1]", "tests/[odd]/test_a.py::test_x", id="directory"),
        pytest.param("README.md", "README.md", id="no function"),
    ],
)
def test_the_function_of_a_test_is_its_id_without_parameters(test: str, function: str) -> None:
    assert function_of(test) == function


@pytest.mark.parametrize("needs", ["small", "medium", "large"])
def test_a_test_gets_the_smallest_size_that_permits_what_it_did(needs: str) -> None:
    found = only(case("test_x"), access("test_x", "small", target="unix:/dev/log"), access("test_x", needs))
    assert (found.needs, found.size) == (needs, needs)
    assert not found.larger_than_needed


def test_evidence_names_target_and_line_and_the_most_demanding_comes_first() -> None:
    found = only(
        case("test_x"),
        access("test_x", location="tests/conftest.py:31", fixture="db (session)"),
        access("test_x", "large", called_from="tests/test_a.py:9"),
        access("test_x", "small", target="unix:/dev/log"),
    )
    assert [item.line for item in found.evidence] == [
        "large: api.example.com:443 from tests/test_a.py:9",
        "medium: localhost:5432 from tests/conftest.py:31 in fixture db (session)",
    ]


@pytest.mark.parametrize(
    ("has", "needs", "larger", "size"),
    [
        pytest.param("medium", "small", True, "small", id="medium for nothing"),
        pytest.param("large", "medium", True, "medium", id="large for this machine"),
        pytest.param("xlarge", "medium", True, "medium", id="xlarge for this machine"),
        pytest.param("xlarge", "large", False, "xlarge", id="xlarge is large to the network"),
        pytest.param("small", "small", False, "small", id="as it is"),
        pytest.param("small", "large", False, "large", id="too small"),
        pytest.param("", "small", False, "small", id="no size"),
    ],
)
def test_a_size_is_larger_than_needed_if_a_smaller_one_permits_all(
    has: str, needs: str, larger: bool, size: str
) -> None:
    found = only(case("test_x", has), access("test_x", needs))
    assert (found.larger_than_needed, found.size) == (larger, size)


HALF = [
    pytest.param({"outcome": "failed"}, "failed", id="failed"),
    pytest.param({"outcome": "error"}, "error", id="error"),
    pytest.param({"outcome": "skipped"}, "skipped", id="skipped"),
    pytest.param({"outcome": "xfailed"}, "xfailed", id="xfailed"),
    pytest.param({"outcome": "unfinished"}, "unfinished", id="unfinished"),
    pytest.param({"unwatched": 2}, "unwatched child processes", id="unwatched"),
]


@pytest.mark.parametrize(("how", "reason"), HALF)
def test_half_an_observation_neither_shrinks_nor_sizes_a_test(how: dict[str, object], reason: str) -> None:
    for has in ("", "small", "large"):
        found = only(case("test_x", has, **how))  # type: ignore[arg-type]
        assert found.unobserved == (reason,)
        assert (found.size, found.larger_than_needed) == ("", False)


@pytest.mark.parametrize(("how", "reason"), HALF)
def test_half_an_observation_is_enough_to_know_what_it_needs_at_least(how: dict[str, object], reason: str) -> None:
    for has in ("", "small"):
        found = only(case("test_x", has, **how), access("test_x"))  # type: ignore[arg-type]
        assert found.size == "medium"
        assert f"  {FILE}: {reason}, at least medium (test_x)" in lines([found])
    assert only(case("test_x", "medium", **how), access("test_x")).size == ""  # type: ignore[arg-type]


def test_a_test_that_unexpectedly_passes_ran_to_its_end() -> None:
    assert only(case("test_x", outcome="xpassed")).size == "small"


def test_a_parametrized_test_is_sized_by_its_largest() -> None:
    found = only(case("test_x[a]"), case("test_x[::1]"), case("test_x[c[0]]"), access("test_x[::1]"))
    assert (found.function, found.tests, found.size) == (f"{FILE}::test_x", 3, "medium")


def test_one_skipped_set_leaves_its_function_half_observed() -> None:
    found = only(case("test_x[a]", "medium"), case("test_x[b]", "medium", "skipped"))
    assert found.unobserved == ("skipped",)
    assert found.size == ""


def test_a_set_with_a_size_of_its_own_says_nothing_about_its_function() -> None:
    found = only(
        case("test_x[a]"),
        case("test_x[b]", "medium", "failed"),
        access("test_x[b]", "large"),
        sets=[f"{FILE}::test_x[b]"],
    )
    assert (found.size, found.unobserved) == ("small", ())
    assert list(lines([found]))[-2:] == [
        "decided by a parameter set, which is left to you:",
        f"  {FILE}::test_x[b]: medium, needs large",
    ]


def test_sets_that_all_have_sizes_of_their_own_leave_nothing_to_write() -> None:
    found = only(case("test_x[a]", "small"), case("test_x[b]", "medium"), sets=[f"{FILE}::test_x[{n}]" for n in "ab"])
    assert (found.sizes, found.size, found.larger_than_needed) == ((), "", False)
    assert list(lines([found])) == [f"{FILE}: sized by parameter sets (2 tests)"]


def test_tests_of_one_function_with_the_sizes_that_each_needs_stay_as_they_are() -> None:
    found = only(case("test_x[a]", "small"), case("test_x[b]", "medium"), access("test_x[b]"))
    assert (found.size, found.larger_than_needed) == ("", False)


def test_tests_of_one_function_with_sizes_that_do_not_fit_get_the_largest_need() -> None:
    found = only(
        case("test_x[a]", "small"), case("test_x[b]", "small"), case("test_x[c]", "large"), access("test_x[b]")
    )
    assert (found.current, found.size) == ("", "medium")


def test_what_a_fixture_reached_is_needed_by_every_test_that_uses_it() -> None:
    found = suggest(
        report(
            case("test_first"),
            case("test_second", line=5),
            case("test_other", line=9),
            access("test_first", fixture="db (session)", location="tests/conftest.py:31"),
        ),
        {f"{FILE}::test_first": ["db"], f"{FILE}::test_second": ["db", "tmp"], f"{FILE}::test_other": ["tmp"]},
    )
    assert [s.size for s in found] == ["medium", "medium", "small"]
    assert found[0].evidence == found[1].evidence
    assert found[1].evidence[0].line == "medium: localhost:5432 from tests/conftest.py:31 in fixture db (session)"


def test_a_fixture_of_one_tests_life_tells_nothing_about_another_of_its_name() -> None:
    # Two files may have each a fixture of a name, of which one is broad.
    found = suggest(
        report(case("test_x"), case("test_y"), access("test_x", fixture="db (function)")), {f"{FILE}::test_y": ["db"]}
    )
    assert [s.size for s in found] == ["medium", "small"]


def test_a_use_is_found_under_the_published_id() -> None:
    # A report takes secrets out of the ids of tests.
    name = "test_x[https://bob:secret@example.com/?key=1]"
    found = suggest(
        report(case("test_first"), case(name), access("test_first", fixture="db (module)")), {f"{FILE}::{name}": {"db"}}
    )
    assert [s.size for s in found] == ["medium", "medium"]


def test_what_the_import_of_a_module_reached_is_needed_by_all_of_its_tests() -> None:
    found = suggest(report(case("test_x"), case("test_y"), access("", "large", importing="tests.test_a")))
    assert [s.size for s in found] == ["large", "large"]
    assert found[0].evidence[0].line.endswith("while importing tests.test_a")


def test_a_late_attempt_counts_for_the_test_that_is_charged() -> None:
    found = suggest(report(case("test_x"), case("test_y"), access("test_x", late="by a thread that outlived it")))
    assert [s.size for s in found] == ["medium", "small"]


def test_suggestions_come_by_file_and_line_whatever_the_order_of_the_run() -> None:
    parts = [
        Case(f"{file}::test_{n}", "", file, 9 - n, "passed") for file in ("tests/b.py", "tests/a.py") for n in range(4)
    ]
    expected = suggest(report(*parts))
    assert [(s.file, s.line) for s in expected] == sorted((s.file, s.line) for s in expected)
    random.Random(7).shuffle(parts)
    assert suggest(report(*parts)) == expected
    assert list(lines(reversed(expected))) != []


def test_the_terminal_gets_a_line_for_a_file_that_agrees() -> None:
    found = suggest(report(*(case(f"test_{n}") for n in range(12))))
    assert list(lines(found)) == [f"{FILE}: small (12 tests)"]


def test_the_terminal_gets_evidence_and_what_deserves_a_look() -> None:
    found = suggest(
        report(
            case("test_a"),
            case("test_b", line=2),
            case("TestC::test_c", "large", line=3),
            case("test_d", "medium", "skipped", line=4),
            access("test_a", location="tests/conftest.py:31"),
            access("test_b", location="tests/conftest.py:31"),
        )
    )
    assert list(lines(found)) == [
        f"{FILE}: small (1 test), medium (2 tests), undecided (1 test)",
        "  medium: localhost:5432 from tests/conftest.py:31 (test_a, test_b)",
        "larger than needed:",
        f"  {FILE}: large, needs small (TestC::test_c)",
        "not observed in full:",
        f"  {FILE}: skipped (test_d)",
    ]


def test_the_terminal_gets_the_first_few_of_many_and_verbose_all() -> None:
    cases = [case(f"test_{n}", line=n) for n in range(6)]
    seen = [access(f"test_{n}", target=f"localhost:{port}") for n in range(6) for port in range(5)]
    found = suggest(report(*cases, *seen))
    short = list(lines(found))
    assert short[1] == "  medium: localhost:0 (test_0, test_1, test_2 and 3 more)"
    assert short[-1] == "  and 2 more"
    full = list(lines(found, verbose=True))
    assert len(full) == 6
    assert "more" not in " ".join(full)
