"""The results that a run writes at its end, if the settings ask for them: reports, baseline, sizes, annotations."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories._rules.policy import EnforcementMode
from pytest_test_categories.pytest_plugin._options import APPLY, BUILDOZER, wants_annotations

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from pytest_test_categories._ledger.runs import Run
    from pytest_test_categories._report.baseline import Baseline
    from pytest_test_categories._report.findings import Findings
    from pytest_test_categories._sizing.suggest import Suggestion
    from pytest_test_categories.pytest_plugin._options import Settings
    from pytest_test_categories.pytest_plugin._tracker import Tracker

_GREEN: Final = frozenset({pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED})


def _place_in_workspace(root: str) -> str:
    """Return the root directory's path relative to the repository that a workflow checked out."""
    workspace = os.environ.get("GITHUB_WORKSPACE", "")
    try:
        inside = os.path.relpath(root, workspace).replace("\\", "/") if workspace else "."
    except ValueError:  # it is on another drive
        return ""
    return "" if inside == "." or inside.split("/")[0] == ".." else inside


class Results:
    """Writes the results; registered in the process that ends the run, if the settings ask for any."""

    def __init__(self, config: pytest.Config, settings: Settings, run: Run, tracker: Tracker) -> None:
        self._config = config
        self._settings = settings
        self._run = run
        self._tracker = tracker
        self._lines: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Compare the run with the baseline and write files, after the tracker has gathered its last data."""
        try:
            return (yield)
        finally:
            findings = self._tracker.findings()
            if self._settings.baseline is not None:
                self._check_baseline(session, findings, self._settings.baseline)
            self._end_recordings(findings)
            for path in self._settings.reports:
                if path not in self._settings.recordings:
                    self._write(session, findings, path)
            if self._settings.suggest:
                self._suggest(session, findings)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write which files were written, and the result of the baseline."""
        if self._lines:
            terminalreporter.write_sep("=", "test categories: results")
        for line in self._lines:
            terminalreporter.write_line(line)
        if wants_annotations() and self._run.mode is not EnforcementMode.OFF:
            from pytest_test_categories._report.github import workflow_commands

            for line in workflow_commands(self._tracker.findings().report(), _place_in_workspace(self._run.root)):
                terminalreporter.write_line(line)

    def _end_recordings(self, findings: Findings) -> None:
        """End the recordings; one that could not be written fails no run."""
        self._tracker.end_recordings(findings)
        for recording in self._tracker.recordings:
            why = f" could not be written in full: {recording.error}" if recording.error else ""
            self._lines.append(f"network recording: {recording.path}{why}")

    def _write(self, session: pytest.Session, findings: Findings, path: str) -> None:
        from pytest_test_categories._report import files

        place = os.path.join(str(self._config.invocation_params.dir), path)
        try:
            files.write(findings.report(), place)
        except OSError as error:
            self._lines.append(f"network report: {path} could not be written: {error}")
            if session.exitstatus in _GREEN:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        else:
            self._lines.append(f"network report: {path}")

    def _check_baseline(self, session: pytest.Session, findings: Findings, baseline: Baseline) -> None:
        from pytest_test_categories._report import known

        updating, root = self._settings.baseline_update, str(self._config.rootpath)
        found, lines = known.against(findings, baseline, root, updating=updating)
        self._lines += lines
        if updating:
            files = self._settings.baseline_files
            assert files is not None
            try:
                self._lines += known.update(findings, baseline, found, files)
            except OSError as error:
                self._lines.append(f"network baseline: could not be written: {error}")
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return
        self._lines += known.comparison_lines(found, self._settings.baseline_files)
        green = session.exitstatus in _GREEN
        if self._settings.baseline_strict and (found.stale or found.renamed):
            self._lines.append("--network-baseline-strict: entries that no longer happen fail the run")
            if green:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _suggest(self, session: pytest.Session, findings: Findings) -> None:
        from pytest_test_categories._sizing import apply, found

        suggestions, lines = found.suggestions(findings, verbose=getattr(self._config.option, "verbose", 0) > 0)
        if self._settings.suggest == BUILDOZER:
            self._lines += self._commands(suggestions)
            return
        self._lines += lines
        if self._settings.suggest != APPLY:
            return
        aliases = {name: size.value for name, size in self._settings.marker_sizes}
        try:
            self._lines += found.write(findings, suggestions, self._run.root, aliases, force=self._settings.force)
        except apply.ApplyError as error:
            self._lines.append(f"no size marker was written: {error}")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _commands(self, found: tuple[Suggestion, ...]) -> Iterable[str]:
        from pytest_test_categories._sizing import buildozer

        target = self._settings.target
        if target is None:
            return buildozer.commands(found)
        size = "" if target.size is None else target.size.value
        return buildozer.commands(found, target.label, size, target.part)


def register(config: pytest.Config, settings: Settings, run: Run, tracker: Tracker) -> None:
    """Register the results, except in a worker of xdist, whose controller writes them."""
    manager: Any = config.pluginmanager
    if not hasattr(config, "workerinput"):
        manager.register(Results(config, settings, run, tracker), "test-categories-results")
