"""The report as JSON, for programs: docs/reference/report.schema.json describes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_test_categories._report.model import Report


def render(report: Report) -> str:
    """Return the report as JSON, the same text for the same report."""
    # One value per line is easy to compare, and json's C encoder writes it; ``indent`` would use the Python encoder.
    return json.dumps(report.to_dict(), separators=(",\n", ": ")) + "\n"
