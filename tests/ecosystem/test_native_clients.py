"""The survey of native clients: the page says what the results say, and the results are those of the cells."""

from __future__ import annotations

from typing import Final

import pytest
from tests.ecosystem.native import survey
from tests.ways.ways import project

from pytest_test_categories._watch import clients

CELLS: Final = {cell.id: cell for cell in survey.cells()}
ENTRIES: Final = {entry["id"]: entry for entry in survey.load()["clients"]}
TRIED: Final = {name: entry for name, entry in ENTRIES.items() if "missing" not in entry}


def test_the_page_is_what_the_results_make_of_it() -> None:
    text = survey.PAGE.read_text(encoding="utf-8")
    assert survey.BEGIN in text
    assert survey.page(survey.load(), text) == text, "run `python -m tests.ecosystem.native.survey --page`"


def test_each_cell_names_a_package_that_is_pinned_and_a_remote_host() -> None:
    pinned = survey.pins()
    for cell in CELLS.values():
        assert {cell.package, *cell.beside} <= set(pinned), cell.id
        assert cell.only == "foreign", cell.id
    assert set(pinned) == {name for cell in CELLS.values() for name in (cell.package, *cell.beside)}


def test_the_code_of_each_cell_compiles() -> None:
    for cell in CELLS.values():
        text = project(cell, survey.VARIANT, "/nowhere/server.sock")["test_way.py"]
        compile(text, cell.id, "exec", dont_inherit=True)


def test_kept_results_are_those_of_the_cells() -> None:
    stale = [name for name, cell in CELLS.items() if not survey.is_current(cell, ENTRIES)]
    assert not stale, "run `python -m tests.ecosystem.native.survey --new --write`"
    assert list(ENTRIES) == list(CELLS)


@pytest.mark.parametrize("name", sorted(TRIED))
def test_a_call_leads_out_and_its_rows_name_what_is_there(name: str) -> None:
    assert survey.shortcomings(TRIED[name]) == []


@pytest.mark.parametrize("name", sorted(TRIED))
def test_a_call_is_seen_or_the_page_says_why_not(name: str) -> None:
    entry = TRIED[name]
    assert entry["verdict"] == survey.verdict(entry)
    if entry["verdict"] in {survey.KERNEL, survey.UNSEEN}:
        assert CELLS[name].note


def test_each_module_of_the_table_is_met_by_a_cell_or_named_as_not_tried() -> None:
    met = {module for entry in TRIED.values() for module in entry["modules"]}
    assert set(clients.MODULES) - met == set(survey.NOT_TRIED)
