"""Off mode: the fixture exists for the tests that request it, and does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_test_categories._ledger.runs import runs

if TYPE_CHECKING:
    from pytest_test_categories._guard import NetworkGuard


class Off:
    """The plugin's only part in off mode."""

    def __init__(self, config: pytest.Config) -> None:
        runs.append(None)
        config.add_cleanup(_forget)

    @pytest.fixture
    def network_isolation(self) -> NetworkGuard:
        """Return a guard that watches nothing: enforcement is off."""
        from pytest_test_categories._guard import NetworkGuard

        return NetworkGuard("xlarge", "off")


def _forget() -> None:
    """Remove the latest run in off mode from the list: runs that began inside of it end before it."""
    del runs[len(runs) - 1 - runs[::-1].index(None)]
