"""How work that is handed on carries the guard of whoever handed it on: one file for each kind of work."""

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
"""Where work is handed on: what it is given is remembered for it."""
