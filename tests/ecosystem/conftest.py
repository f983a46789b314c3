"""Inner runs of real libraries: their outcomes are read as those of other plugin tests."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from tests.plugin.conftest import outcomes, workers

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["outcomes", "workers"]


@pytest.fixture
def lacking() -> Callable[[str], None]:
    """Return what skips a test for want of something, and fails it under CI, where nobody reads about skips."""

    def lack(sentence: str) -> None:
        if os.environ.get("CI", "").lower() in {"", "0", "false"}:
            pytest.skip(sentence)
        pytest.fail(sentence, pytrace=False)

    return lack


@pytest.fixture
def require(lacking: Callable[[str], None]) -> Callable[..., None]:
    """Return what makes sure that libraries are installed."""

    def installed(*names: str) -> None:
        if missing := [name for name in names if find_spec(name) is None]:
            lacking(f"not installed: {', '.join(missing)}")

    return installed
