"""What importing the package costs, and what it holds."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pytest_test_categories


def run(script: str) -> str:
    """Run a script in an interpreter of its own; what it printed."""
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout


# What the interpreter itself brings along (a start-up file may measure coverage) is not ours.
BEFORE = "import sys; before = set(sys.modules)\n"
AFTER = "\nprint(sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"


def test_importing_the_package_imports_nothing_else() -> None:
    loaded = run(f"{BEFORE}import pytest_test_categories{AFTER}")
    assert not {"pytest", "_pytest", "wrapt", "asyncio", "socket", "ipaddress"} & set(eval(loaded))


@pytest.mark.parametrize("name", pytest_test_categories.__all__)
def test_no_public_name_imports_pytest_wrapt_or_asyncio(name: str) -> None:
    loaded = eval(run(f"{BEFORE}from pytest_test_categories import {name}{AFTER}"))
    allowed = {"network_guard": {"wrapt"}}.get(name, set())
    assert not {"pytest", "_pytest", "wrapt", "asyncio"} & set(loaded) - allowed


def test_every_public_name_resolves() -> None:
    for name in pytest_test_categories.__all__:
        assert getattr(pytest_test_categories, name).__name__ == name
    assert pytest_test_categories._HOMES.keys() == set(pytest_test_categories.__all__)


def test_the_public_names_are_these() -> None:
    assert pytest_test_categories.__all__ == [
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


def test_dir_lists_them() -> None:
    assert dir(pytest_test_categories) == pytest_test_categories.__all__


def test_a_star_import_brings_them() -> None:
    names: dict[str, object] = {}
    exec("from pytest_test_categories import *", names)
    assert set(pytest_test_categories.__all__) <= names.keys()


def test_what_is_no_public_name_is_missing_as_usual() -> None:
    with pytest.raises(AttributeError, match="^module 'pytest_test_categories' has no attribute 'tiny'$"):
        _ = pytest_test_categories.tiny
    assert not hasattr(pytest_test_categories, "__path_hooks__")


def test_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = pytest_test_categories.Violation
    monkeypatch.setattr(pytest_test_categories, "_HOMES", {})
    assert pytest_test_categories.Violation is first
