"""Guards the collection: judges what test modules and conftests reach for while they are imported."""

from __future__ import annotations

import contextlib
import functools
import warnings
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories._attribution import origin
from pytest_test_categories._attribution.origin import Scope, ScopeKind, current
from pytest_test_categories._ledger.records import Record
from pytest_test_categories._rules.errors import NetworkAccessViolationError
from pytest_test_categories._rules.policy import (
    EnforcementMode,
    Policy,
    TestSize,
    decide,
    parse_only,
    parse_own_allow,
    refuses,
)
from pytest_test_categories._rules.violation import Violation
from pytest_test_categories._rules.wording import report_text, short_text, warning_text
from pytest_test_categories._runtime import runtime
from pytest_test_categories.pytest_plugin._phases import REPORT_KEY, SECTION
from pytest_test_categories.pytest_plugin._sizes import SizeConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from pytest_test_categories._ledger.runs import Run
    from pytest_test_categories.pytest_plugin._options import Settings
    from pytest_test_categories.pytest_plugin._sizes import Sizes


CONFTEST: Final = "conftest.py"


class Collecting:
    """Watches imports, and judges their attempts at the end of the collection if the size was unknown before."""

    def __init__(self, settings: Settings, run: Run) -> None:
        assert settings.mode is not None
        self._mode = settings.mode
        self._allow = settings.allow
        self._deny = settings.deny
        self._run = run
        self._modules: dict[str, list[tuple[Scope, TestSize | None]]] = {}
        self._conftests: list[Scope] = []

    @contextlib.contextmanager
    def importing(
        self, name: str, size: TestSize | Callable[[], TestSize | None] | None, file: str = ""
    ) -> Iterator[tuple[Scope, Scope]]:
        """Watch an import: record its attempts and, if its size is known, enforce the size.

        Yields the scope that enforces and the one that records; without a size they are the same.

        Args:
            name: The module or conftest that attempts are charged to.
            size: The size; a function is called for it at the first attempt of the import.
            file: The file that is imported.
        """
        record = Policy(TestSize.SMALL, EnforcementMode.WARN, self._allow, deny=self._deny)
        holds = keeps = Scope(ScopeKind.COLLECT, record, name, parent=self._run.base, file=file)
        if callable(size):
            holds = _Asking(size, lambda known: self._policy(known, name), name, parent=keeps, file=file)
        elif size is not None or (self._deny and self._mode is not EnforcementMode.OFF):
            holds = Scope(ScopeKind.COLLECT, self._policy(size, name), name, parent=keeps, file=file)
        outer = current.get()
        try:
            with holds.entered(phase=True):
                yield holds, keeps
        finally:
            if current.get() is not outer:  # the module entered a guard and did not leave it
                current.set(outer)
                origin.changed()
            runtime.collect()
            holds.close()
            keeps.close()

    def _policy(self, size: TestSize | None, name: str) -> Policy:
        """Return the policy of a module or conftest for one size of its tests."""
        known = frozenset() if self._run.baseline is None else self._run.baseline.of(name)
        return Policy(size, self._mode, self._allow, known, deny=self._deny)

    @contextlib.contextmanager
    def conftest(self, name: str) -> Iterator[None]:
        """Watch the import of a conftest."""
        with self.importing(name, None) as (_, keeps):
            yield
        if keeps.records:
            self._conftests.append(keeps)

    def collect_report(self, collector: pytest.Collector, sizes: Sizes) -> Generator[None, Any, Any]:
        """Watch one collector's work."""
        in_module = isinstance(collector, (pytest.File, pytest.Class))
        path = str(collector.path)
        size = sizes.of_path(path) if in_module else None
        asks = self._mode is EnforcementMode.STRICT and isinstance(collector, (pytest.Module, pytest.Class))
        known = functools.partial(sizes.of_source, path, collector.config) if asks else size
        with self.importing(collector.nodeid, known, path) as (holds, keeps):
            report = yield
        if asks and keeps.records:
            size = sizes.of_source(path, collector.config)
        if report.outcome == "passed" and self._mode is not EnforcementMode.OFF:
            self._check_sizes(collector, report, sizes)
        fails = any(record.fails for record in holds.records.values())
        if holds is not keeps and fails and self._mode is EnforcementMode.STRICT:
            _refuse(holds, report)
        elif keeps.records and in_module:
            self._modules.setdefault(collector.nodeid.partition("::")[0], []).append((keeps, size))
        elif keeps.records:
            self._conftests.append(keeps)
        return report

    def _check_sizes(self, collector: pytest.Collector, report: pytest.CollectReport, sizes: Sizes) -> None:
        try:
            sizes.check(collector)
            for node in report.result:
                if node.own_markers:
                    sizes.check(node)
        except SizeConflictError as conflict:
            _fail(report, str(conflict))
        if isinstance(collector, pytest.Class):
            try:
                EnforcementMode.parse(getattr(collector.obj, "network_mode", None) or self._mode)
                parse_own_allow(getattr(collector.obj, "network_allow", ()))
                if parse_only(getattr(collector.obj, "network_only", None)):
                    sizes.have_lists = True
            except ValueError as error:
                _fail(report, f"{collector.nodeid}: {error}")

    def settle(
        self, session: pytest.Session, items: list[pytest.Item], everything: Iterable[pytest.Item], sizes: Sizes
    ) -> None:
        """Judge the attempts of imports by the sizes of the tests, which are now known."""
        if not self._modules and not self._conftests:
            return
        by_module: dict[str, list[pytest.Item]] = {}
        everything = list(everything)
        for item in everything:
            by_module.setdefault(item.nodeid.partition("::")[0], []).append(item)
        for name, watched in self._modules.items():
            sizes_here = set(sizes.of_each(by_module.get(name, [])))
            broken = [one for scope, known in watched for one in self._broken(scope, sizes_here | {known})]
            if broken and self._mode is not EnforcementMode.OFF:
                self._module_error(session, items, name, broken)
        sizes_here = set(sizes.of_each(everything))
        for scope in self._conftests:
            for violation in self._broken(scope, sizes_here):
                if self._mode is EnforcementMode.OFF:
                    continue
                record = self._run.late.setdefault(violation.key, Record(violation))
                record.count = max(record.count, violation.count)
        self._modules.clear()
        self._conftests.clear()

    def check_items(
        self, session: pytest.Session, items: list[pytest.Item], everything: list[pytest.Item], sizes: Sizes
    ) -> None:
        """Report an error for each module with an item that has two sizes, or is larger than its Bazel target."""
        for found in (sizes.settle(everything), sizes.too_large_for_target(items)):
            conflicts: dict[str, str] = {}
            for item, conflict in found:
                conflicts.setdefault(item.nodeid.partition("::")[0], str(conflict))
            for name, text in conflicts.items():
                _report_error(session, items, name, text)
                everything[:] = [item for item in everything if item.nodeid.partition("::")[0] != name]

    def _broken(self, scope: Scope, sizes: Iterable[TestSize | None]) -> list[Violation]:
        known_sizes = (size for size in (*TestSize, None) if size in sizes)
        restricted = [size for size in known_sizes if Policy(size, deny=self._deny).restricts]
        found = []
        for record in scope.records.values():
            policies = [self._policy(size, _name_of(scope, record.violation)) for size in restricted]
            attempt = record.attempt
            if attempt is None:
                continue
            refusing = next((policy for policy in policies if not decide(policy, attempt).permitted), None)
            if refusing is not None:
                found.append(_imported(record, scope, refusing))
            observing = self._run.observing
            if observing is not None and (refusing is None or self._mode is EnforcementMode.OFF):
                watching = [observing] if refusing is None else [scope, observing]
                runtime.ledger.keep_observed(watching, attempt, record.snapshot()._replace(size=""))
        return found

    def _module_error(
        self, session: pytest.Session, items: list[pytest.Item], name: str, broken: list[Violation]
    ) -> None:
        known = [violation for violation in broken if violation.verdict != "refused"]
        broken = [violation for violation in broken if violation.verdict == "refused"]
        if self._mode is not EnforcementMode.OFF:
            for violation in known:
                path, _, line = (violation.location or f"{name}:1").rpartition(":")
                warnings.warn_explicit(warning_text(violation), self._run.warning, path, int(line))
                self._run.noted.append(violation)
        if broken:
            _report_error(session, items, name, _text_of_module(tuple(broken)), broken)


class _Asking(Scope):
    """Holds an import to a size that is determined only at its first attempt: most imports make none."""

    def __init__(
        self,
        size: Callable[[], TestSize | None],
        policy_of: Callable[[TestSize | None], Policy],
        name: str,
        *,
        parent: Scope,
        file: str,
    ) -> None:
        self._find: Callable[[], Policy] = functools.cache(lambda: policy_of(size()))
        super().__init__(ScopeKind.COLLECT, None, name, parent=parent, file=file)

    @property
    def policy(self) -> Policy | None:  # a plain attribute in other scopes
        return self._find()

    @policy.setter
    def policy(self, policy: Policy | None) -> None:
        """Ignore an assignment: the source decides the policy."""


def _imported(record: Record, scope: Scope, policy: Policy) -> Violation:
    size = "" if policy.size is None else policy.size.value
    verdict = "warned" if policy.mode is not EnforcementMode.STRICT else "refused"
    test = _name_of(scope, record.violation)
    fields = record.snapshot().to_dict() | {"size": size, "test": test}
    if record.attempt is not None:
        judged = decide(policy, record.attempt)
        fields["because"] = judged.because
        verdict = "known" if verdict == "refused" and not refuses(policy, judged) else verdict
    fields["verdict"] = verdict
    return Violation.from_dict(fields | {"importing": fields["importing"] or test})


def _name_of(scope: Scope, violation: Violation) -> str:
    """Return the module or conftest that an import is charged to, the same in every run.

    A conftest's own path is used, and not the name of the collector that happened to import it first.
    """
    if scope.test.endswith(".py") and scope.test != CONFTEST:
        return scope.test
    for place in (violation.location, violation.called_from):
        path = place.rpartition(":")[0]
        if path.endswith(CONFTEST):
            return path
    return CONFTEST if "::" not in scope.test else scope.test


def _refuse(scope: Scope, report: pytest.CollectReport) -> None:
    """Turn a collected module's report into an error; if it failed for another reason, keep that and add a section."""
    assert scope.policy is not None
    policy = scope.policy
    records = [record for record in scope.records.values() if record.count > record.expected and record.fails]
    if not records:
        return
    violations = tuple(_imported(record, scope, policy) for record in records)
    call = report.__dict__.get("call")
    error = None if call is None or call.excinfo is None else call.excinfo.value
    if report.outcome == "failed" and not isinstance(error, NetworkAccessViolationError):
        report.sections.append((SECTION, report_text(violations)))
    else:
        _fail(report, _text_of_module(violations, undelivered=report.outcome != "failed"))
    report.__dict__[REPORT_KEY] = {"violations": [violation.to_dict() for violation in violations]}


def _text_of_module(violations: tuple[Violation, ...], *, undelivered: bool = False) -> str:
    """Return the error of a module, whose first line is all that the short summary has room for.

    It is a string: pytest-xdist compares the errors of its workers, and shows the same one once.
    """
    return f"{short_text(violations[0])}\n\n{report_text(violations, undelivered=undelivered)}"


def _report_error(
    session: pytest.Session, items: list[pytest.Item], name: str, text: str, broken: Iterable[Violation] = ()
) -> None:
    """Report an error for a module that is already collected, and remove its items."""
    report = pytest.CollectReport(name, "failed", text, [])
    report.__dict__[REPORT_KEY] = {"violations": [violation.to_dict() for violation in broken]}
    session.config.hook.pytest_collectreport(report=report)
    items[:] = [item for item in items if item.nodeid.partition("::")[0] != name]


def _fail(report: pytest.CollectReport, text: str) -> None:
    report.outcome = "failed"
    report.longrepr = text
    report.result = []
