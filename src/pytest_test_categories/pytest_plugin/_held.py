"""What broad fixtures are held to where a run collects a part of the suite: the file of ``--network-fixtures``.

An entry counts only while nothing that the run collects contradicts it: a test that is gone, has another size or does
not use the fixture any more holds it to nothing. Whoever runs the part with the change is not stopped by an old entry,
and each run that can tell says that the file is out of date.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories._rules.advice import SAYS
from pytest_test_categories._rules.wording import counted
from pytest_test_categories._sizing.held import LARGEST, UPDATE, Entry, Held
from pytest_test_categories.pytest_plugin import _fixtures, _selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_test_categories.pytest_plugin._fixtures import FixturePlan
    from pytest_test_categories.pytest_plugin._options import Settings
    from pytest_test_categories.pytest_plugin._sizes import Sizes

_OUTPUT: Final = "test_categories_held"
_SHOWN: Final = 10


class HeldFixtures:
    """Has the plan start from the file, says where the file is out of date, and writes it."""

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        label: Callable[[pytest.Item], str],
        plan: FixturePlan,
        sizes: Sizes,
    ) -> None:
        self._config = config
        self._file = settings.fixtures_file
        self._listed = settings.fixtures
        self._updating = settings.fixtures_update
        self._label = label
        self._plan = plan
        self._sizes = sizes
        self._now: Held | None = None
        self._outdated: list[str] = []
        self._open: list[str] = []
        self._whole = False
        self._lines: list[str] = []

    def before(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Compare the file with the collected tests, and have the plan start from what is not contradicted."""
        if self._listed is None:
            return
        self._whole = _selection.is_whole(self._config) and not session.testsfailed
        tests = {
            self._label(item): ("" if size is None else size.value, self._plan.held_uses(item))
            for item, size in zip(items, self._sizes.of_each(items), strict=True)
        }
        contradicted = self._listed.contradicted(tests, lambda test: self._is_gone(test, tests))
        valid = [entry for entry in self._listed.entries if entry not in contradicted]
        known = () if self._whole else valid
        self._now = Held.of(((test, *what) for test, what in tests.items()), known)
        self._outdated = self._listed.differences(self._now, contradicted)
        name = os.path.basename(self._file)
        self._plan.start_from(
            {
                (entry.fixture, entry.parameter): _fixtures.Held(
                    entry.rank,
                    entry.test if entry.test in tests else f"{entry.test} (as {name}{SAYS}",
                    {} if entry.rule == LARGEST else None,
                )
                for entry in valid
            }
        )

    def after(self) -> None:
        """Note the fixtures whose size depends on what was collected, if there is no file."""
        if self._listed is None:
            self._open = self._plan.open_ended(in_files=any("::" in argument for argument in self._config.args))

    def _is_gone(self, test: str, collected: Iterable[str]) -> bool:
        if self._whole:
            return True
        file = test.partition("::")[0]
        if not os.path.exists(os.path.join(str(self._config.rootpath), file)):
            return True
        whole_files = not any("::" in argument for argument in self._config.args)
        return whole_files and any(other.startswith(f"{file}::") for other in collected)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker of xdist found: each collects the same tests."""
        output = (getattr(node, "workeroutput", None) or {}).get(_OUTPUT)
        if output:
            entries, self._outdated, self._open, self._whole = output
            self._now = None if entries is None else Held(Entry(*entry) for entry in entries)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Any:
        """Write the file, or send what a worker found to the controller: before xdist sends the worker's output."""
        try:
            return (yield)
        finally:
            output = getattr(self._config, "workeroutput", None)
            if output is not None:
                entries = None if self._now is None else [list(entry) for entry in self._now.entries]
                output[_OUTPUT] = [entries, self._outdated, self._open, self._whole]
            elif self._updating:
                self._write(session)
            else:
                self._say()

    def _write(self, session: pytest.Session) -> None:
        name = os.path.basename(self._file)
        if self._now is None:
            self._lines.append(f"network fixtures: {name} was not written: no test was collected")
            return
        try:
            self._now.save(self._file)
        except OSError as error:
            self._lines.append(f"network fixtures: {name} could not be written: {error}")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return
        listed, changed = counted(len(self._now.entries), "fixture"), len(self._outdated)
        self._lines.append(f"network fixtures: {name} lists {listed} ({changed} changed)")
        if not self._whole:
            self._lines.append("  only a part of the tests was collected: what is known of the others stays in it")

    def _say(self) -> None:
        if self._outdated:
            name, what = os.path.basename(self._file), counted(len(self._outdated), "fixture")
            self._lines.append(f"network fixtures: {name} is out of date for {what}; {UPDATE} rewrites it:")
            self._lines += [f"  {line}" for line in self._outdated[:_SHOWN]]
            if len(self._outdated) > _SHOWN:
                self._lines.append(f"  and {len(self._outdated) - _SHOWN} more")
        if self._open:
            more = f" and {len(self._open) - 1} more" if len(self._open) > 1 else ""
            self._lines.append(
                f"network fixtures: of the collected part of the tests, {self._open[0]}{more}; "
                "--network-fixtures=FILE holds them alike in every part"
            )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write what was written, or what is out of date."""
        if self._lines:
            terminalreporter.write_sep("=", "test categories: fixtures")
        for line in self._lines:
            terminalreporter.write_line(line)
