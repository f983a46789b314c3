"""Checks the gates at the end of a run; registered only where a project has any, in the process that ends the run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from pytest_test_categories._report import gates

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_test_categories.pytest_plugin._options import Settings
    from pytest_test_categories.pytest_plugin._tracker import Tracker

_GREEN: Final = frozenset({pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED})


class Gates:
    """Fails a run that has more of something than a gate permits.

    Raises:
        pytest.UsageError: The report to compare with can't be used.
    """

    def __init__(self, config: pytest.Config, settings: Settings, tracker: Tracker) -> None:
        self._settings = settings
        self._tracker = tracker
        self._lines: list[str] = []
        self._since = None
        if settings.since:
            try:
                self._since = gates.load_report(os.path.join(str(config.invocation_params.dir), settings.since))
            except gates.SinceError as error:
                raise pytest.UsageError(f"{gates.SINCE}: {settings.since} {error}") from None

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Check the gates, after the tracker has gathered its last data."""
        try:
            return (yield)
        finally:
            found = list(
                gates.check(
                    self._settings.gates,
                    self._tracker.findings().report(),
                    since=self._since,
                    baseline=self._settings.baseline,
                )
            )
            self._lines = [finding.text for finding in found]
            if any(finding.fails for finding in found) and session.exitstatus in _GREEN:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write what the gates say."""
        if self._lines:
            terminalreporter.write_sep("=", "test categories: gates")
        for line in self._lines:
            terminalreporter.write_line(line)
