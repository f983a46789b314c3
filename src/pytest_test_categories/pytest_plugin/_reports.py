"""Test reports: carry their violations, and fail even if pytest or unittest turned a violation into something else.

A refusal's traceback has the project's own lines, and its line in the short summary begins with the target, also if a
client has wrapped the refusal in an exception of its own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from pytest_test_categories._ledger.expecting import names_our_class
from pytest_test_categories._ledger.ledger import error_of, errors_in
from pytest_test_categories._ledger.records import Delivery
from pytest_test_categories._rules.errors import NetworkAccessViolationError
from pytest_test_categories._rules.fakes import fake
from pytest_test_categories._rules.wording import line_text, report_text, short_text
from pytest_test_categories._runtime import runtime
from pytest_test_categories.pytest_plugin import _private
from pytest_test_categories.pytest_plugin._phases import (
    REPORT_KEY,
    SECTION,
    strict_of,
    to_tell,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_test_categories._attribution.origin import Scope
    from pytest_test_categories._rules.violation import Violation
    from pytest_test_categories.pytest_plugin._phases import Phases

PROPERTY: Final = "network_violation"
"""Name of the property in JUnit XML that holds a violation."""

FAKE: Final = "Fake to paste"
"""Title of the fake's section: in a traceback each line begins with a mark, so the fake could not be copied."""


class Reports:
    """Handles reports with violations. Registered at the first one: a run without violations doesn't pay for it."""

    def __init__(self, phases: Phases) -> None:
        self._phases = phases

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add violations to a report, and fail it if pytest or unittest turned a violation into another outcome."""
        errors = [*_private.caught_by_unittest(item), *([] if call.excinfo is None else [call.excinfo.value])]
        chain = _shown(errors[0] if errors else None)
        refused = next((one for one in chain if isinstance(one, NetworkAccessViolationError)), None)
        if refused is None:
            report = yield
        else:
            with _private.Folding(item, chain) as folding:
                report = yield
            folding.tell(report)
        failed = report.outcome == "failed"
        scope = self._phases.scope_of(item)
        if scope is not None and (scope.records or self._phases.fixture_scopes or call.excinfo is not None):
            self._report(item, call, report, scope)
        if failed and refused is not None:
            _shorten(report, refused.violations, str(item.config.rootpath))
        return report

    def _report(
        self,
        item: pytest.Item,
        call: pytest.CallInfo[None],
        report: pytest.TestReport,
        scope: Scope,
    ) -> None:
        error = None if call.excinfo is None else call.excinfo.value
        carried = errors_in(error)
        if report.outcome == "failed":
            runtime.ledger.deliver_all(carried)
            if isinstance(error, NetworkAccessViolationError) and error.undelivered and call.excinfo is not None:
                report.longrepr = call.excinfo.getrepr(style="value", chain=False)
        elif strict_of(scope) or carried:
            self._fail(item, error, carried, report, scope)
        fixtures = list(self._phases.fixture_scopes)
        self._phases.fixture_scopes.clear()
        if report.outcome == "failed" and strict_of(scope):
            self._add_section(report, error, carried, [scope, *fixtures])
        own = list(scope.records.values())
        records = [record for record in own if record.count > record.reported]  # else an earlier phase's report has it
        for fixture in fixtures:
            records += fixture.records.values()
        # Records of other guards: of a block in the test, or of a guard that a fixture entered.
        for ours in carried:
            records += [one for one in ours.records if {*own, *records}.isdisjoint(one.same_attempt)]
        for record in own:
            record.reported = record.count
        if records and (violations := to_tell(records)):
            report.__dict__[REPORT_KEY] = {"violations": [violation.to_dict() for violation in violations]}
            self._note_properties(item, report, violations)
            if report.outcome == "failed":
                self._add_fake(report, [one for ours in carried for one in ours.violations], violations)

    @staticmethod
    def _add_section(
        report: pytest.TestReport,
        error: BaseException | None,
        carried: list[NetworkAccessViolationError],
        scopes: list[Scope],
    ) -> None:
        """Add a section to a failure's report with the violations that its traceback does not show."""
        seen = _shown(error)
        shown = [one for ours in carried if ours in seen for one in ours.records]
        untold = [record for scope in scopes for record in scope.undelivered() if record not in shown]
        untold += [record for ours in carried if ours not in seen for record in ours.records]
        if untold:
            report.sections.append((SECTION, report_text(tuple(record.snapshot() for record in untold))))
        # A client that retries has swallowed the first errors; the error of its last attempt shows the same place.
        Delivery.of_the_rest([*untold, *shown]).deliver()

    @staticmethod
    def _add_fake(report: pytest.TestReport, shown: list[Violation], violations: list[Violation]) -> None:
        """Add a section with a fake to paste: for the first violation that can be faked, shown ones first."""
        fakes = (fake(violation, *violations) for violation in (*shown, *violations))
        if text := next(filter(None, fakes), ""):
            report.sections.append((FAKE, text))

    def _note_properties(self, item: pytest.Item, report: pytest.TestReport, violations: list[Violation]) -> None:
        """Add a property for each violation to the test: JUnit XML takes them from the tear-down's report."""
        for violation in violations:
            told = told_as_property(violation)
            if told not in item.user_properties:
                item.user_properties.append(told)
                report.user_properties.append(told)

    def _fail(
        self,
        item: pytest.Item,
        error: BaseException | None,
        ours: list[NetworkAccessViolationError],
        report: pytest.TestReport,
        scope: Scope,
    ) -> None:
        """Fail a report that is skipped, xfailed or passed although an attempt was refused."""
        if ours and isinstance(error, NetworkAccessViolationError) and _expects_ours(item):
            runtime.ledger.deliver_all(ours, expected=True)
            return
        left = scope.undelivered()
        for one in ours:
            left += [record for record in one.records if record not in left]
        if not left:
            return
        _describe_alone(report, error_of(left, undelivered=not ours), str(item.config.rootpath))
        report.outcome = "failed"
        if hasattr(report, "wasxfail"):
            del report.wasxfail
        Delivery.of_the_rest(left).deliver()


def _describe_alone(report: pytest.TestReport, error: NetworkAccessViolationError, root: str) -> None:
    """Describe a failed report by the text of an error alone: no traceback leads to what a guard raises at its end."""
    try:
        raise error from None
    except NetworkAccessViolationError as raised:
        report.longrepr = pytest.ExceptionInfo.from_exception(raised).getrepr(style="value", chain=False)
    _shorten(report, error.violations, root)


def _shorten(report: pytest.TestReport, violations: tuple[Violation, ...], root: str) -> None:
    """Have the report's line in the short summary begin with the target: pytest cuts it at the terminal's width."""
    if violations:
        file, _, line = violations[0].location.rpartition(":")
        path = os.path.join(root, file) if file else ""
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        _private.set_crash(report, short_text(violations[0]) + more, path, int(line or 0))


def told_as_property(violation: Violation) -> tuple[str, str]:
    """Return a violation as a property of JUnit XML: name and value."""
    from pytest_test_categories._report.published import published

    return PROPERTY, f"{violation.kind} {line_text(published(violation))} ({violation.verdict})"


def _shown(error: BaseException | None) -> list[BaseException]:
    """Return the exceptions that a traceback of ``error`` shows: ``from None`` hides earlier ones."""
    shown: list[BaseException] = []
    while error is not None and error not in shown:
        shown.append(error)
        if isinstance(error, BaseExceptionGroup):
            shown += [link for one in error.exceptions for link in _shown(one)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return shown


def _expects_ours(item: pytest.Item) -> bool:
    return any(names_our_class(mark.kwargs.get("raises")) for mark in item.iter_markers("xfail"))
