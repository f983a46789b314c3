"""Inner runs of real libraries: their outcomes are read as those of other plugin tests."""

from __future__ import annotations

from tests.plugin.conftest import outcomes, workers

__all__ = ["outcomes", "workers"]
