"""The test runners' sessions in this process: apart from the guard, so that a run in off mode imports only this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_test_categories._guard import Run

runs: Final[list[Run | None]] = []
"""The innermost last; None stands for one in off mode, where guards that name no mode watch nothing."""
