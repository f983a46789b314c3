"""Tests held to the network that their size may touch: small none, medium this machine, large and xlarge all.

PYTEST_DONT_REWRITE: a child process has imported this before pytest, which would warn of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_test_categories._decorate import network_guard
    from pytest_test_categories._guard import NetworkGuard, expect_network_violation
    from pytest_test_categories._rules.errors import (
        HermeticityViolationError,
        NetworkAccessViolationError,
        NetworkAccessWarning,
    )
    from pytest_test_categories._rules.policy import EnforcementMode, TestSize
    from pytest_test_categories._rules.violation import Violation
    from pytest_test_categories._watch.clients import watch_client
    from pytest_test_categories.testcase import LargeTest, MediumTest, SmallTest, XLargeTest

__all__ = [
    "EnforcementMode",
    "HermeticityViolationError",
    "LargeTest",
    "MediumTest",
    "NetworkAccessViolationError",
    "NetworkAccessWarning",
    "NetworkGuard",
    "SmallTest",
    "TestSize",
    "Violation",
    "XLargeTest",
    "expect_network_violation",
    "network_guard",
    "watch_client",
]

_HOMES = {
    "EnforcementMode": "_rules.policy",
    "HermeticityViolationError": "_rules.errors",
    "LargeTest": "testcase",
    "MediumTest": "testcase",
    "NetworkAccessViolationError": "_rules.errors",
    "NetworkAccessWarning": "_rules.errors",
    "NetworkGuard": "_guard",
    "SmallTest": "testcase",
    "TestSize": "_rules.policy",
    "Violation": "_rules.violation",
    "XLargeTest": "testcase",
    "expect_network_violation": "_guard",
    "network_guard": "_decorate",
    "watch_client": "_watch.clients",
}


def __getattr__(name: str) -> object:
    # Lazy: a run in off mode imports none of it.
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
