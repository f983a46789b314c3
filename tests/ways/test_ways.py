"""A part of the list of ways, small enough for each run of the tests, and the list's own form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.ways import table, world
from tests.ways.run_ways import RESULTS, Outcome, escapes, judge, merge, shortcomings, try_all, why_not_here
from tests.ways.ways import all_ways, project

WAYS = {way.id: way for way in all_ways()}

REPRESENTATIVE = (
    "connect",
    "connect-name",
    "udp-sendmsg",
    "getaddrinfo",
    "asyncio-open-connection",
    "urllib",
    "internal-socket",
    "executor-lost",
    "except-base-exception",
    "fixture-session-teardown",
    "fork-swallowed",
)
"""One way of each kind that Python's own layers see, without third-party libraries."""


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, Any]]:
    if reason := why_not_here():
        pytest.skip(reason)
    ways = [WAYS[name] for name in REPRESENTATIVE]
    return {entry["id"]: entry for entry in try_all(ways, ("python",), jobs=2, proofs={})}


@pytest.mark.parametrize("name", REPRESENTATIVE)
def test_a_way_leads_out_and_is_stopped_reported_and_named(name: str, results: dict[str, dict[str, Any]]) -> None:
    entry = results[name]
    assert all(entry["out"].values())
    assert shortcomings(entry) == []
    assert set(entry["python"]) == set(WAYS[name].variants)


def test_a_run_that_lets_it_out_is_not_called_stopped() -> None:
    answer = {"status": 0, "output": "1 passed", "seen": [f"abroad tcp {world.ABROAD}:{world.PORT}"]}
    assert judge(WAYS["connect"], "small-foreign", answer) == Outcome(stopped=False, failed=False, named=False)


def test_a_failure_of_another_kind_is_not_called_ours() -> None:
    answer = {"status": 1, "output": "=== test categories (strict) ===\nsizes: 1 small", "seen": []}
    assert judge(WAYS["connect"], "small-foreign", answer) == Outcome(stopped=True, failed=False, named=False)


def test_what_goes_elsewhere_is_no_escape_of_a_variant() -> None:
    seen = ["local tcp 127.0.0.1:4321", "abroad udp 198.51.100.1:4321"]
    assert escapes(WAYS["connect"], "small-local", seen) == seen[:1]
    assert escapes(WAYS["connect"], "medium-foreign", seen) == seen[1:]
    assert escapes(WAYS["open-send"], "medium-foreign", seen) == []
    assert escapes(WAYS["open-send"], "medium-foreign", ["abroad token"]) == ["abroad token"]


def test_the_list_is_as_long_as_it_claims() -> None:
    assert len(WAYS) >= 600
    assert len({way.group for way in WAYS.values()}) == 14


@pytest.mark.filterwarnings("ignore::SyntaxWarning")  # the subject of some, from CPython 3.14 on
def test_the_code_of_each_way_compiles() -> None:
    for way in WAYS.values():
        for name, text in project(way, way.variants[0], "/nowhere/server.sock").items():
            if name.endswith(".py"):
                compile(text, f"{way.id}/{name}", "exec", dont_inherit=True)


def test_kept_results_are_those_of_the_list() -> None:
    kept = json.loads(RESULTS.read_text(encoding="utf-8"))["ways"]
    assert [entry["id"] for entry in kept] == list(WAYS)
    assert merge([]) == kept


def test_a_verdict_that_differs_by_size_says_so() -> None:
    good, bad = {"stopped": True, "failed": True, "named": True}, {"stopped": False, "failed": False, "named": False}
    assert table.cell({"small-foreign": good, "small-local": good, "medium-foreign": good}) == "stopped"
    assert table.cell({"small-foreign": good, "medium-foreign": bad}) == "stopped (small); not seen (medium)"
