"""The phases of a test: entered under its guard, and left with what it refused told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories import _origin
from pytest_test_categories._errors import NetworkAccessViolationError, report_text
from pytest_test_categories._guard import NetworkGuard, is_control_flow, is_skip, names_our_class, registry
from pytest_test_categories._origin import Phase, Scope, current
from pytest_test_categories._policy import EnforcementMode, Policy, parse_allow

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_test_categories._guard import Run
    from pytest_test_categories._origin import Record
    from pytest_test_categories._policy import TestSize
    from pytest_test_categories._violation import Violation
    from pytest_test_categories.pytest_plugin._options import Settings
    from pytest_test_categories.pytest_plugin._sizes import Sizes

REPORT_KEY: Final = "test_categories"
"""Attribute of reports that carries violations; it crosses to xdist's controller by itself."""

_SECTION: Final = "TC001 network access"


class Phases:
    """Guards each item, from its first fixture to its last finalizer."""

    def __init__(self, settings: Settings, run: Run, sizes: Sizes) -> None:
        self._run = run
        self._sizes = sizes
        assert settings.mode is not None
        self._mode = settings.mode
        self._strict = settings.mode is EnforcementMode.STRICT
        self._policies: dict[TestSize | None, Policy] = {
            None: Policy(None, self._mode, settings.allow),
        }
        self._allow = settings.allow
        self._scope: Scope | None = None
        self._inner: Scope | None = None
        self._outer: Scope | None = None
        self._last = ""
        self.counts: dict[str, int] = {}
        self.fixture_scopes: list[Scope] = []

    # -- the guard of a test -----------------------------------------------------------------------------------------

    def policy(self, size: TestSize | None, node: Any = None) -> Policy:  # noqa: ANN401 - pytest's node has no public base class
        """Return the policy of a size, widened by what the node's test class allows."""
        policy = self._policies.get(size)
        if policy is None:
            policy = self._policies[size] = Policy(size, self._mode, self._allow)
        cls = getattr(node, "cls", None)
        if cls is None:
            return policy
        mode = getattr(cls, "network_mode", None)
        allow = getattr(cls, "network_allow", ())
        if mode is None and not allow:
            return policy
        return Policy(
            size,
            policy.mode if mode is None else EnforcementMode.parse(mode),
            policy.allow + parse_allow(allow),
        )

    def _open(self, item: pytest.Item) -> Scope:
        self._end()  # for a runner that never tore the last one down
        size = self._sizes.of(item)
        nodeid = item.nodeid
        if nodeid != self._last:  # not a rerun
            self._last = nodeid
            name = "" if size is None else size.value
            self.counts[name] = self.counts.get(name, 0) + 1
        policy = self.policy(size, item)
        if policy.mode is EnforcementMode.OFF:
            policy = self._policies[None]
        self._scope = self._inner = Scope("test", policy, nodeid, parent=self._run.base, file=str(item.path))
        return self._scope

    @pytest.fixture(autouse=True)
    def network_isolation(self) -> NetworkGuard:
        """The guard of the running test. Name it in a fixture that is to run under it."""
        return NetworkGuard.of(self._scope)

    # -- phases --------------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        """Guard the set-up of a test."""
        __tracebackhide__ = True
        self._enter(self._open(item))
        error: BaseException | None = None
        try:
            return (yield)
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._leave(item, error)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        """Guard the body of a test."""
        __tracebackhide__ = True
        self._enter(self._scope if self._scope is not None and self._scope.open else self._open(item))
        error: BaseException | None = None
        try:
            return (yield)
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._leave(item, error)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        """Guard the tear-down of a test, and end its guard."""
        __tracebackhide__ = True
        self._enter(self._scope if self._scope is not None and self._scope.open else self._open(item))
        error: BaseException | None = None
        try:
            return (yield)
        except BaseException as raised:
            error = raised
            raise
        finally:
            try:
                self._leave(item, error)
            finally:
                self._end()

    def _enter(self, scope: Scope) -> None:
        if self._run.standing:
            standing = tuple(s for s in self._run.standing if s.open)
            self._run.standing[:] = standing
            scope.chain = (scope, *standing, *(() if scope.parent is None else scope.parent.chain))
            scope.memo.clear()
        self._outer = current.get()
        # Fixtures may have entered a guard for the test: it holds in the phases that follow.
        current.set(self._inner if self._inner is not None and self._inner.open else scope)
        _origin.phases.append(Phase(scope, scope.thread))

    def _leave(self, item: pytest.Item, error: BaseException | None) -> None:
        __tracebackhide__ = True
        scope = _origin.phases.pop().scope
        self._inner = current.get()
        current.set(self._outer)
        registry.collect_children([scope])
        if not scope.records and not self.fixture_scopes:
            return
        self._tell(item, scope, error)

    def _tell(self, item: pytest.Item, scope: Scope, error: BaseException | None) -> None:
        """Raise what was refused in a phase and nobody was told of."""
        __tracebackhide__ = True
        for told in (error, *(info.value for info in getattr(item, "_excinfo", None) or ())):
            if told is not None and not is_skip(told):
                registry.deliver(told)
        if isinstance(error, (KeyboardInterrupt, pytest.exit.Exception)):  # no report will be made of it
            self._run.noted += self._violations([scope, *self.fixture_scopes])
        if not self._strict_of(scope) or (error is not None and not is_skip(error)):
            return
        left = scope.undelivered()
        if left:
            raise _end_of_phase(left) from error

    def _strict_of(self, scope: Scope) -> bool:
        return scope.policy is not None and scope.policy.mode is EnforcementMode.STRICT

    def _end(self) -> None:
        if self._scope is not None and self._scope.open:
            self._scope.close()
        self._inner = None

    # -- reports ---------------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Fail a report that pytest or unittest made of a violation and did not fail, and hang violations on it."""
        report = yield
        scope = self._scope
        if scope is not None and (scope.records or self.fixture_scopes):
            self._report(item, call, report, scope)
        return report

    def _report(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, scope: Scope) -> None:
        error = None if call.excinfo is None else call.excinfo.value
        if report.outcome == "failed":
            registry.deliver(error)
            if isinstance(error, NetworkAccessViolationError) and error.undelivered and call.excinfo is not None:
                report.longrepr = call.excinfo.getrepr(style="value", chain=False)
        elif self._strict_of(scope):
            self._fail(item, error, report, scope)
        scopes = [scope, *self.fixture_scopes]
        self.fixture_scopes.clear()
        untold = [record for s in scopes for record in s.undelivered() if record.delivered == 0]
        untold += [record for ours in registry.errors_in(error) if ours not in _shown(error) for record in ours.records]
        if untold and report.outcome == "failed" and self._strict_of(scope):
            report.sections.append((_SECTION, report_text(tuple(record.snapshot() for record in untold))))
            for record in untold:
                record.deliver()
        if violations := self._violations(scopes):
            report.__dict__[REPORT_KEY] = {"violations": [violation.to_dict() for violation in violations]}

    @staticmethod
    def _violations(scopes: list[Scope]) -> list[Violation]:
        return [record.snapshot() for s in scopes for record in s.records.values() if record.count > record.expected]

    def _fail(self, item: pytest.Item, error: BaseException | None, report: pytest.TestReport, scope: Scope) -> None:
        """Fail a report that is skipped, xfailed or passed although something was refused."""
        ours = registry.errors_in(error)
        if ours and isinstance(error, NetworkAccessViolationError) and _expects_ours(item):
            registry.deliver(error, expected=True)
            return
        left = {id(record): record for record in scope.undelivered()}
        for one in ours:
            left |= {id(record): record for record in one.records if record in scope.records.values()}
        if not left:
            return
        try:
            raise _end_of_phase(list(left.values())) from None
        except NetworkAccessViolationError as raised:
            report.longrepr = pytest.ExceptionInfo.from_exception(raised).getrepr(
                style="value", chain=False
            )
        report.outcome = "failed"
        if hasattr(report, "wasxfail"):
            del report.wasxfail
        for record in left.values():
            record.deliver()


def _shown(error: BaseException | None) -> list[BaseException]:
    """Return the exceptions that a traceback of ``error`` shows: ``from None`` hides what went before."""
    shown: list[BaseException] = []
    while error is not None and error not in shown:
        shown.append(error)
        if isinstance(error, BaseExceptionGroup):
            shown += [link for one in error.exceptions for link in _shown(one)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return shown


def _expects_ours(item: pytest.Item) -> bool:
    return any(names_our_class(mark.kwargs.get("raises")) for mark in item.iter_markers("xfail"))


def _end_of_phase(records: list[Record]) -> NetworkAccessViolationError:
    error = NetworkAccessViolationError([record.snapshot() for record in records], undelivered=True)
    error.records = records
    return error
