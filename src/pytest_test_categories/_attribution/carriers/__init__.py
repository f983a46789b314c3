"""How submitted work carries the guard of the code that submitted it: one file for each kind of work."""

from __future__ import annotations

from typing import Final

from pytest_test_categories._attribution.carriers import executors, greenlets, loops, signals, threads

ENTRY_POINTS: Final = (
    *threads.ENTRY_POINTS,
    *executors.ENTRY_POINTS,
    *greenlets.ENTRY_POINTS,
    *loops.ENTRY_POINTS,
    *signals.ENTRY_POINTS,
)
"""The entry points that submit work; the wrappers remember the guard that the work carries."""
