"""Bazel's test contract: what the run of a test target learns from its environment, and where it leaves results.

Source: https://bazel.build/reference/test-encyclopedia, "Initial conditions". A run inside of a test of that run
inherits the environment, and is not the target's: ``_options`` reads the contract for the outermost run only.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from pytest_test_categories._rules.errors import NetworkAccessWarning
from pytest_test_categories._rules.policy import TestSize

if TYPE_CHECKING:
    import warnings
    from collections.abc import Mapping

SIZES: Final = {
    "small": TestSize.SMALL,
    "medium": TestSize.MEDIUM,
    "large": TestSize.LARGE,
    "enormous": TestSize.XLARGE,
}
"""Bazel's sizes, and ours."""

_NAMES: Final = {size: name for name, size in SIZES.items()}

VARIABLES: Final = (
    "BAZEL_TEST",
    "TEST_SIZE",
    "TEST_TARGET",
    "TEST_UNDECLARED_OUTPUTS_DIR",
    "TEST_WARNINGS_OUTPUT_FILE",
    "TEST_INFRASTRUCTURE_FAILURE_FILE",
    "TEST_SHARD_INDEX",
    "TEST_TOTAL_SHARDS",
)
"""The variables of the contract that this plugin reads."""


class Target(NamedTuple):
    """The Bazel test target that a run is.

    Attributes:
        label: Its label, such as ``//pkg:api_test``; empty if Bazel does not name it.
        size: Its size; None if Bazel does not state it.
        outputs: The directory for files that are no declared output; empty if there is none.
        warnings: The file for warnings of the target; empty if there is none.
        failures: The file for failures of the test infrastructure; empty if there is none.
        shard: The number of this shard, from 0.
        shards: How many shards the target has; 0 if it has none.
    """

    label: str = ""
    size: TestSize | None = None
    outputs: str = ""
    warnings: str = ""
    failures: str = ""
    shard: int = 0
    shards: int = 0

    @property
    def name(self) -> str:
        """The target in a sentence."""
        return f"the Bazel target {self.label}" if self.label else "the Bazel target"

    @property
    def part(self) -> str:
        """Which part of the target's tests the run has, such as ``shard 1 of 4``; empty for all of them."""
        return f"shard {self.shard + 1} of {self.shards}" if self.shards else ""

    def too_small_for(self, size: TestSize, where: str) -> str:
        """Return why a test of a size can't be in the target, and what to change; empty if it can.

        Args:
            size: The size of the test.
            where: What gives the test its size.
        """
        if self.size is None or size.rank <= self.size.rank:
            return ""
        return (
            f"is {size.value} ({where}), and {self.name} is {_NAMES[self.size]}: "
            f'set size = "{_NAMES[size]}" in the target, or give the test a smaller size'
        )


def read(environment: Mapping[str, str]) -> Target:
    """Return the target that an environment of Bazel's describes.

    Raises:
        pytest.UsageError: ``TEST_SIZE`` is not a size of Bazel's.
    """
    size = environment.get("TEST_SIZE", "")
    if size and size not in SIZES:
        raise pytest.UsageError(
            f"TEST_SIZE: {size!r} is not the size of a Bazel test; choose one of {', '.join(SIZES)}"
        )
    label, outputs, told, failures = (environment.get(name, "") for name in VARIABLES[2:6])
    shard, shards = (environment.get(name, "") for name in VARIABLES[6:])
    if not (shard.isdecimal() and shards.isdecimal() and int(shards) > 1):
        shard = shards = "0"  # it is not sharded
    return Target(label, SIZES.get(size), outputs, told, failures, int(shard), int(shards))


class Warnings:
    """Writes the run's warnings about network access into Bazel's file for them."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._written: set[str] = set()

    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage, nodeid: str) -> None:
        """Write a warning of ours; the same text once."""
        text = str(warning_message.message).partition("\n")[0]
        line = f"{nodeid}: {text}\n" if nodeid and nodeid not in text else f"{text}\n"
        if issubclass(warning_message.category, NetworkAccessWarning) and line not in self._written:
            self._written.add(line)
            with contextlib.suppress(OSError), open(self._path, "a", encoding="utf-8") as file:
                file.write(line)


def register(config: pytest.Config, target: Target) -> None:
    """Register what writes warnings, except in a worker of pytest-xdist, whose controller has all of them."""
    if target.warnings and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Warnings(target.warnings), "test-categories-bazel")


def relative_to_outputs(target: Target, paths: tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths of reports: relative ones are below Bazel's directory for outputs, if there is one."""
    return tuple(os.path.join(target.outputs, path) for path in paths) if target.outputs else paths
