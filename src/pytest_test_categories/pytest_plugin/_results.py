"""The results that a run writes at its end, if the settings ask for them: reports, baseline, sizes, annotations."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories._report.baseline import Baseline, Comparison, Entry, compare, updated
from pytest_test_categories._rules.policy import EnforcementMode
from pytest_test_categories.pytest_plugin._options import APPLY, wants_annotations

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from pytest_test_categories._ledger.runs import Run
    from pytest_test_categories._report.baselines import BaselineFiles
    from pytest_test_categories.pytest_plugin._options import Settings
    from pytest_test_categories.pytest_plugin._tracker import Tracker

_SHOWN: Final = 20
_GREEN: Final = frozenset({pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED})
_BREACHES: Final = frozenset({"refused", "warned", "known"})


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
        self._compared: Comparison | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Compare the run with the baseline and write files, after the tracker has gathered its last data."""
        try:
            return (yield)
        finally:
            if self._settings.baseline is not None:
                self._check_baseline(session, self._settings.baseline)
            for path in self._settings.reports:
                self._write(session, path)
            if self._settings.suggest:
                self._suggest(session)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write which files were written, and the result of the baseline."""
        if self._lines:
            terminalreporter.write_sep("=", "test categories: results")
        for line in self._lines:
            terminalreporter.write_line(line)
        if wants_annotations() and self._run.mode is not EnforcementMode.OFF:
            from pytest_test_categories._report.github import workflow_commands

            for line in workflow_commands(self._tracker.report(), _place_in_workspace(self._run.root)):
                terminalreporter.write_line(line)

    def _write(self, session: pytest.Session, path: str) -> None:
        from pytest_test_categories._report import files

        place = os.path.join(str(self._config.invocation_params.dir), path)
        try:
            files.write(self._tracker.report(), place)
        except OSError as error:
            self._lines.append(f"network report: {path} could not be written: {error}")
            if session.exitstatus in _GREEN:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        else:
            self._lines.append(f"network report: {path}")

    # -- the baseline --------------------------------------------------------------------------------------------------

    def _check_baseline(self, session: pytest.Session, baseline: Baseline) -> None:
        tracker = self._tracker
        breaches = [violation for violation in tracker.violations() if violation.verdict in _BREACHES]
        if self._settings.baseline_update:
            # A test that expects a refusal fails in a run that refuses nothing.
            failed = tracker.failed
            left_out = {violation.test for violation in breaches if violation.test in failed}
            breaches = [v for v in breaches if v.test not in failed or Entry.of(v) in baseline.entries]
            if left_out:
                self._lines.append(
                    f"network baseline: {_count(len(left_out), 'test')} failed, and nothing is added for:"
                )
                self._lines += _listed(sorted(left_out))
        seen = [Entry.of(violation) for violation in breaches]
        files = {node.partition("::")[0] for node in tracker.collected}

        def is_gone(entry: Entry) -> bool:
            if entry.test in tracker.collected:
                return False
            if not os.path.exists(os.path.join(str(self._config.rootpath), entry.file)):
                return True
            return entry.file in files and not tracker.deselects and not entry.is_shared

        found = compare(
            baseline,
            seen,
            passed=tracker.passed,
            gone=is_gone,
            whole=not tracker.why_incomplete(),
            shared_ran=lambda entry: tracker.shared_ran(entry.test),
        )
        if self._settings.baseline_update:
            self._update(session, baseline, found)
            return
        self._lines += _baseline_lines(found, self._settings.baseline_files)
        green = session.exitstatus in _GREEN
        if self._settings.baseline_strict and (found.stale or found.renamed):
            self._lines.append("--network-baseline-strict: entries that no longer happen fail the run")
            if green:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _update(self, session: pytest.Session, baseline: Baseline, found: Comparison) -> None:
        after = updated(baseline, found)
        files = self._settings.baseline_files
        assert files is not None
        try:
            saved = files.save(after)
        except OSError as error:
            self._lines.append(f"network baseline: could not be written: {error}")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return
        for file in saved:
            listed = _count(file.entries, "violation")
            name = file.name if len(saved) > 1 else os.path.basename(file.name)
            self._lines.append(f"network baseline: {name} lists {listed} ({file.added} added, {file.removed} removed)")
        if reasons := self._tracker.why_incomplete():
            self._lines.append(f"  what did not run was left as it was: {'; '.join(reasons)}")

    # -- sizes ---------------------------------------------------------------------------------------------------------

    def _suggest(self, session: pytest.Session) -> None:
        from pytest_test_categories._sizing import suggest

        tracker = self._tracker
        found = suggest.suggest(tracker.report(), tracker.uses, tracker.sets)
        self._lines += suggest.lines(found, verbose=getattr(self._config.option, "verbose", 0) > 0)
        if self._settings.suggest != APPLY:
            return
        from pytest_test_categories._sizing import apply

        by_function = {one.function: one for one in found}
        targets = []
        for node, target in tracker.targets.items():
            one = by_function.get(node)
            if one is None:  # it was not run, so no marker on a module or class may cover it
                targets.append(target._replace(observed=False))
            else:
                targets.append(target._replace(size=one.size, current=one.current, observed=one.observed))
        root = self._run.root
        aliases = {name: size.value for name, size in self._settings.marker_sizes}
        try:
            planned = apply.plan(root, targets, aliases)
            omitted = apply.apply(root, planned.changes, force=self._settings.force)
        except apply.ApplyError as error:
            self._lines.append(f"no size marker was written: {error}")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return
        failed = {omission.what for omission in omitted}
        written = [change for change in planned.changes if change.file not in failed]
        self._lines += apply.lines(written, (*planned.omitted, *omitted))


def _baseline_lines(found: Comparison, files: BaselineFiles | None) -> Iterable[str]:
    for (there, nearest), number in ({} if files is None else files.misplaced).items():
        are, them = ("is", "it") if number == 1 else ("are", "them")
        yield (
            f"network baseline: {_count(number, 'violation')} of {there} {are} ignored, since {nearest} is nearer; "
            f"--network-baseline-update moves {them}"
        )
    if found.known:
        yield f"network baseline: {_count(len(found.known), 'known violation')} warned"
    if found.stale:
        yield (
            f"network baseline: {_count(len(found.stale), 'known violation')} no longer "
            f"{'happens' if len(found.stale) == 1 else 'happen'}; --network-baseline-update removes "
            f"{'it' if len(found.stale) == 1 else 'them'}:"
        )
        if files is None or len(files.paths) == 1:
            yield from _listed(map(str, found.stale))
        else:
            for name, entries in files.by_file(found.stale).items():
                yield f"  in {name}:"
                yield from (f"  {line}" for line in _listed(map(str, entries)))
    if found.renamed:
        yield "network baseline: renamed, by file, kind and target; --network-baseline-update takes the new name:"
        yield from _listed(f"{entry} -> {test}" for entry, test in found.renamed)


def _listed(texts: Iterable[str]) -> Iterable[str]:
    every = list(texts)
    yield from (f"  {text}" for text in every[:_SHOWN])
    if len(every) > _SHOWN:
        yield f"  and {len(every) - _SHOWN} more"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def register(config: pytest.Config, settings: Settings, run: Run, tracker: Tracker) -> None:
    """Register the results, except in a worker of xdist, whose controller writes them."""
    manager: Any = config.pluginmanager
    if not hasattr(config, "workerinput"):
        manager.register(Results(config, settings, run, tracker), "test-categories-results")
