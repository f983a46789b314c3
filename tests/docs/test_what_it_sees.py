"""The pages of what is seen say what the results of the ways say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.ways import table

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("path", table.PAGES, ids=lambda path: path.stem)
def test_the_page_is_what_the_results_make_of_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert table.BEGIN in text
    assert table.page(table.PAGES[path](table.load()), text) == text, "run `python -m tests.ways.table`"
