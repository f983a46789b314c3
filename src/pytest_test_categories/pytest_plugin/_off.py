"""Off mode: the fixture is there for those that name it, and does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_test_categories._ledger.runs import runs

if TYPE_CHECKING:
    from pytest_test_categories._guard import NetworkGuard


class Off:
    """What is registered in off mode."""

    def __init__(self, config: pytest.Config) -> None:
        runs.append(None)
        config.add_cleanup(_forget)

    @pytest.fixture
    def network_isolation(self) -> NetworkGuard:
        """Return a guard that watches nothing: enforcement is off."""
        from pytest_test_categories._guard import NetworkGuard

        return NetworkGuard("xlarge", "off")


def _forget() -> None:
    """Take the last run in off mode off the list; others are in its place only if they are inside it."""
    del runs[len(runs) - 1 - runs[::-1].index(None)]
