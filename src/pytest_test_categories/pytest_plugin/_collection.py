"""Collection counts: what test modules and conftests reach for while they are imported."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from pytest_test_categories import _origin
from pytest_test_categories._errors import NetworkAccessViolationError, report_text, warning_text
from pytest_test_categories._guard import finish
from pytest_test_categories._origin import Phase, Record, Scope, current
from pytest_test_categories._policy import EnforcementMode, Policy, TestSize, decide
from pytest_test_categories._violation import Violation
from pytest_test_categories.pytest_plugin._sizes import SizeConflictError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from pytest_test_categories._guard import Run
    from pytest_test_categories.pytest_plugin._options import Settings
    from pytest_test_categories.pytest_plugin._sizes import Sizes


class Collecting:
    """Watches imports, and settles at the end of the collection what they may have reached."""

    def __init__(self, settings: Settings, run: Run) -> None:
        assert settings.mode is not None
        self._mode = settings.mode
        self._allow = settings.allow
        self._run = run
        self._modules: dict[str, Scope] = {}
        self._conftests: list[Scope] = []

    @contextlib.contextmanager
    def importing(self, name: str, size: TestSize | None, file: str = "") -> Iterator[Scope]:
        """Watch an import. With a known size it is held to that; without, what it reaches is put on record."""
        known = size is not None
        mode = self._mode if known else EnforcementMode.WARN
        scope = Scope("collect", Policy(size or TestSize.SMALL, mode, self._allow), name, parent=self._run.base, file=file)
        scope.fixture = ""
        outer = current.get()
        current.set(scope)
        _origin.phases.append(Phase(scope, scope.thread))
        try:
            yield scope
        finally:
            _origin.phases.pop()
            current.set(outer)
            scope.close()

    @contextlib.contextmanager
    def conftest(self, name: str) -> Iterator[None]:
        """Watch the import of a conftest."""
        with self.importing(name, None) as scope:
            yield
        if scope.records:
            self._conftests.append(scope)

    def collect_report(self, collector: pytest.Collector, sizes: Sizes) -> Generator[None, Any, Any]:
        """Watch one collector's work."""
        is_module = isinstance(collector, pytest.File)
        size = sizes.of_path(str(collector.path)) if is_module else None
        with self.importing(collector.nodeid, size, str(collector.path)) as scope:
            report = yield
        if report.outcome == "passed":
            self._check_sizes(collector, report, sizes)
        if scope.records:
            if size is not None:
                self._refused(scope, report)
            elif is_module or isinstance(collector, pytest.Class):
                self._modules[collector.nodeid.partition("::")[0]] = scope
            else:
                self._conftests.append(scope)
        return report

    def _check_sizes(self, collector: pytest.Collector, report: pytest.CollectReport, sizes: Sizes) -> None:
        try:
            sizes.check(collector)
            for node in report.result:
                if isinstance(node, pytest.Item):
                    sizes.check(node)
        except SizeConflictError as conflict:
            _fail(report, str(conflict))

    def _refused(self, scope: Scope, report: pytest.CollectReport) -> None:
        if report.outcome == "failed":
            return
        try:
            finish(scope, None)
            for record in scope.records.values():
                if scope.policy is not None and scope.policy.mode is EnforcementMode.STRICT:
                    record.deliver()
        except NetworkAccessViolationError as error:
            _fail(report, str(error))

    def settle(self, session: pytest.Session, items: list[pytest.Item], everything: Iterable[pytest.Item], sizes: Sizes) -> None:
        """Judge what imports reached by the sizes of the tests, now that those are known."""
        if not self._modules and not self._conftests:
            return
        by_module: dict[str, list[pytest.Item]] = {}
        everything = list(everything)
        for item in everything:
            by_module.setdefault(item.nodeid.partition("::")[0], []).append(item)
        for name, scope in self._modules.items():
            broken = self._broken(scope, by_module.get(name, []), sizes)
            if broken:
                self._module_error(session, name, broken)
                if self._mode is EnforcementMode.STRICT:
                    items[:] = [item for item in items if item.nodeid.partition("::")[0] != name]
        for scope in self._conftests:
            for violation in self._broken(scope, everything, sizes):
                record = self._run.late.setdefault(violation.key, Record(violation))
                record.count = max(record.count, violation.count)
        self._modules.clear()
        self._conftests.clear()

    def _broken(self, scope: Scope, items: list[pytest.Item], sizes: Sizes) -> list[Violation]:
        restricted = {size for size in map(sizes.of, items) if size is not None and size.rank < TestSize.LARGE.rank}
        found = []
        for record in scope.records.values():
            for size in sorted(restricted, key=lambda one: one.rank):
                if record.attempt is not None and not decide(Policy(size, allow=self._allow), record.attempt).permitted:
                    fields = record.snapshot().to_dict() | {"size": size.value, "test": scope.test}
                    if not fields["importing"]:
                        fields["importing"] = scope.test
                    found.append(Violation.from_dict(fields))
                    break
        return found

    def _module_error(self, session: pytest.Session, name: str, broken: list[Violation]) -> None:
        if self._mode is EnforcementMode.WARN:
            for violation in broken:
                warnings.warn(warning_text(violation), self._run.warning, stacklevel=1)
                self._run.noted.append(violation)
            return
        report = pytest.CollectReport(name, "failed", report_text(tuple(broken)), [])
        report.__dict__["test_categories"] = {"violations": [violation.to_dict() for violation in broken]}
        session.config.hook.pytest_collectreport(report=report)


def _fail(report: pytest.CollectReport, text: str) -> None:
    report.outcome = "failed"
    report.longrepr = text  # type: ignore[assignment]  # text is what it may be, says BaseReport
    report.result = []


