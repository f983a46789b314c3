"""The page of what is seen says what the results of the ways say."""

from __future__ import annotations

from tests.ways import table


def test_the_page_is_what_the_results_make_of_it() -> None:
    text = table.PAGE.read_text(encoding="utf-8")
    assert table.BEGIN in text
    assert table.page(table.load(), text) == text, "run `python -m tests.ways.table`"
