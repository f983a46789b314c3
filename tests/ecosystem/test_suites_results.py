"""What is kept of other projects' suites: nothing in it is unexplained, and the page is made of it."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any, Final

import pytest

SUITES: Final = Path(__file__).with_name("suites")


@pytest.fixture
def results() -> dict[str, Any]:
    return runpy.run_path(str(SUITES / "results.py"))


def test_no_suite_breaks_by_the_plugin(results: dict[str, Any]) -> None:
    assert [name for name, entry in results["load"]().items() if entry["BREAK"]] == []


def test_each_difference_is_told_apart(results: dict[str, Any]) -> None:
    for entry in results["load"]().values():
        assert entry["differ"] == entry["explained"] + entry["flaky"] + entry["in company"], entry["suite"]
        assert entry["explained"] == sum(entry["reasons"].values()), entry["suite"]


def test_the_page_is_made_of_what_is_kept(results: dict[str, Any]) -> None:
    assert (SUITES / "results.md").read_text(encoding="utf-8") == results["render"]()
