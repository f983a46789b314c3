"""What broad fixtures are held to: computed from all tests, and read from and written to a file."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_test_categories._report.lists import ListError
from pytest_test_categories._sizing.held import LARGEST, SMALLEST, Entry, Held, Use

if TYPE_CHECKING:
    from random import Random

DB = Use("tests::db (session)")
AUTO = Use("env (session)", relaxed=True)
NAMED = Use("env (session)")
SMALL_DB = Entry("tests::db (session)", 0, SMALLEST, "small", "tests/test_a.py::test_one")

SIZES = ("small", "medium", "large", "")
USES = (DB, Use("tests::db (session)", 1), AUTO, NAMED)
TESTS = st.lists(
    st.tuples(st.sampled_from(SIZES), st.sets(st.sampled_from(USES)).filter(lambda uses: not {AUTO, NAMED} <= uses))
)

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy


def numbered(tests: list[tuple[str, set[Use]]]) -> list[tuple[str, str, set[Use]]]:
    return [(f"test_a.py::test_{number:03}", *test) for number, test in enumerate(tests)]


def test_a_fixture_is_held_to_the_smallest_size_of_its_tests() -> None:
    held = Held.of([("b", "medium", [DB]), ("c", "small", [DB]), ("a", "small", [DB])])
    assert held.entries == (Entry(DB.fixture, 0, SMALLEST, "small", "a"),)


def test_an_autouse_fixture_is_held_to_the_largest_unless_a_test_requests_it() -> None:
    held = Held.of([("a", "small", [AUTO]), ("b", "", [AUTO]), ("c", "large", [AUTO])])
    assert held.entries == (Entry(AUTO.fixture, 0, LARGEST, "unsized", "b"),)
    held = Held.of([("a", "small", [AUTO]), ("b", "large", [AUTO]), ("c", "medium", [NAMED])])
    assert held.entries == (Entry(AUTO.fixture, 0, SMALLEST, "medium", "c"),)


def test_a_fixture_whose_tests_have_one_size_is_not_listed() -> None:
    assert Held.of([("a", "small", [DB, AUTO]), ("b", "small", [DB, NAMED]), ("c", "large", [])]).entries == ()


def test_parameters_are_held_apart() -> None:
    other = DB._replace(parameter=1)
    held = Held.of([("a", "small", [DB]), ("b", "medium", [DB, other]), ("c", "large", [other])])
    assert [(entry.parameter, entry.size) for entry in held.entries] == [(0, "small"), (1, "medium")]
    assert str(held.entries[1]) == "tests::db (session)[1]: medium because of b"


@UNHURRIED
@given(TESTS, st.randoms(use_true_random=False))
def test_the_order_of_the_tests_changes_nothing(tests: list[tuple[str, set[Use]]], random: Random) -> None:
    every = numbered(tests)
    shuffled = random.sample(every, len(every))
    assert Held.of(shuffled).text() == Held.of(every).text()


@UNHURRIED
@given(TESTS, TESTS)
def test_a_part_that_knows_the_rest_from_the_file_finds_what_the_whole_finds(
    part: list[tuple[str, set[Use]]], rest: list[tuple[str, set[Use]]]
) -> None:
    every = numbered([*part, *rest])
    whole = Held.of(every)
    assert Held.of(every[: len(part)], whole.entries).entries == whole.entries


@UNHURRIED
@given(TESTS)
def test_a_file_is_read_as_it_was_written(tests: list[tuple[str, set[Use]]]) -> None:
    held = Held.of(numbered(tests))
    assert Held.parse(held.text()).entries == held.entries


def test_a_merge_conflict_is_resolved_by_taking_both_sides() -> None:
    larger = SMALL_DB._replace(size="medium", test="tests/test_b.py::test_two")
    ours, theirs = Held([SMALL_DB]).text().splitlines(), Held([larger]).text().splitlines()
    for first, second in itertools.permutations([ours, theirs]):
        assert Held.parse("\n".join([*first[:-2], *second[1:]])).entries == (SMALL_DB,)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param('{"version": 1, "violations": []}', "is no list of network fixtures", id="baseline"),
        pytest.param('{"version": 1, "fixtures": [["db", "0", "smallest", "small", "a"]]}', "is damaged", id="type"),
        pytest.param('{"version": 1, "fixtures": [["db", true, "smallest", "small", "a"]]}', "is damaged", id="bool"),
        pytest.param(
            '{"version": 1, "fixtures": [["db", 0, "smallest", "tiny", "a"]]}', "one of small, medium", id="size"
        ),
        pytest.param(
            '{"version": 1, "fixtures": [["db", 0, "least", "small", "a"]]}', "smallest or largest", id="rule"
        ),
        pytest.param("<<<<<<< HEAD\n" + Held([SMALL_DB]).text(), "merge conflict", id="conflict"),
    ],
)
def test_a_file_that_cannot_be_used_says_what_to_do(text: str, says: str) -> None:
    with pytest.raises(ListError, match=says):
        Held.parse(text)


@pytest.mark.parametrize(
    ("tests", "gone", "why"),
    [
        pytest.param({SMALL_DB.test: ("small", [DB])}, False, None, id="holds"),
        pytest.param({}, False, None, id="not collected"),
        pytest.param({}, True, "is gone", id="gone"),
        pytest.param({SMALL_DB.test: ("small", [AUTO])}, False, "does not use it", id="not used"),
        pytest.param({SMALL_DB.test: ("", [DB])}, False, "is unsized", id="another size"),
        pytest.param({SMALL_DB.test: ("small", [DB._replace(relaxed=True)])}, False, "as autouse", id="autouse"),
    ],
)
def test_an_entry_is_contradicted_by_what_its_test_does_now(
    tests: dict[str, tuple[str, list[Use]]], gone: bool, why: str | None
) -> None:
    found = Held([SMALL_DB]).contradicted(tests, lambda _: gone)
    if why is None:
        assert found == {}
    else:
        assert why in found[SMALL_DB]


def test_each_difference_is_said_once() -> None:
    file = Held([SMALL_DB, Entry("gone (session)", 0, SMALLEST, "small", "x")])
    now = Held([SMALL_DB._replace(size="medium", test="b"), Entry("new (session)", 0, LARGEST, "large", "c")])
    assert file.differences(now, {}) == [
        "gone (session): small because of x in the file, but all tests that use it have one size",
        "new (session): large because of c (not in the file)",
        "tests::db (session): small because of tests/test_a.py::test_one in the file, medium because of b in the tests",
    ]
    assert file.differences(file, {}) == []
