"""The report as JSON, for programs: docs/reference/report.schema.json describes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_test_categories._report.model import Report


def render(report: Report) -> str:
    """Return the report as JSON, the same text for the same report."""
    data = report.to_dict()
    # A line for each test and access: short to compare, and quicker to write than json's own indentation.
    listed = ",\n".join(f"{json.dumps(key)}: {_value(value)}" for key, value in data.items())
    return f"{{\n{listed}\n}}\n"


def _value(value: object) -> str:
    if not isinstance(value, list) or not value:
        return json.dumps(value)
    items = ",\n".join(map(json.dumps, value))
    return f"[\n{items}\n]"
