"""The scope of a test, which sets by itself what the constructor of all scopes sets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pytest_test_categories._attribution.origin import Scope, ScopeKind
from pytest_test_categories._rules.policy import EnforcementMode, Policy, TestSize
from pytest_test_categories.pytest_plugin import _phases


def test_a_tests_scope_has_what_every_scope_has() -> None:
    policy = Policy(TestSize.SMALL, EnforcementMode.STRICT)
    run = Scope(ScopeKind.OBSERVE, policy, "")
    item: Any = SimpleNamespace(nodeid="test_x.py::test_x", path="test_x.py")
    test = _phases._Test(item, policy, run)
    any_scope = Scope(ScopeKind.TEST, policy, item.nodeid, parent=run, file=item.path)
    for name, value in vars(any_scope).items():
        if name != "serial":
            assert getattr(test, name) == value, name
    assert test.serial == any_scope.serial - 1
