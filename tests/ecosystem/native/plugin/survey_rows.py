"""A pytest plugin of the survey: takes the table of native clients away, or says which of its rows a run met."""

from __future__ import annotations

import functools
import json
import os
import sys
from typing import Any, Final

from pytest_test_categories._watch import clients
from pytest_test_categories._watch.clients.rows import ROWS, Row

MARK: Final = "rows of the table: "

if os.environ.get("SURVEY_ROWS") == "none":
    clients.MODULES = ()  # type: ignore[assignment, misc]  # before any guard looks at it


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which rows' modules were imported, and which rows name what is not there."""
    met = [(row, module) for row in ROWS for module in (row.module, *row.also) if module in sys.modules]
    modules = sorted({module for _, module in met})
    lacking = sorted({f"{module}:{row.name}" for row, module in met if not _is_there(row, module)})
    terminalreporter.line(MARK + json.dumps({"modules": modules, "lacking": lacking}))


def _is_there(row: Row, module: str) -> bool:
    """Tell whether a row's target is there, and its own: a type has what ``object`` has without doing anything in it."""
    *path, name = row.name.split(".")
    try:
        holder = functools.reduce(getattr, path, sys.modules[module])
        return getattr(holder, name) is not getattr(object, name, None)
    except AttributeError:
        return False
