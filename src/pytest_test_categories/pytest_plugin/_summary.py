"""The summary at the end of the run, for all workers; made from records, never from warnings."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories._ledger.records import Record
from pytest_test_categories._rules.policy import EnforcementMode, TestSize
from pytest_test_categories._rules.violation import Violation
from pytest_test_categories._rules.wording import counted, grouped_lines, line_text, warning_text
from pytest_test_categories._runtime import runtime
from pytest_test_categories.pytest_plugin import _other_guards, _private, _unwatched
from pytest_test_categories.pytest_plugin._phases import REPORT_KEY, SIZE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_test_categories._ledger.runs import Run
    from pytest_test_categories.pytest_plugin._fixtures import FixtureGuard
    from pytest_test_categories.pytest_plugin._other_guards import OtherGuards
    from pytest_test_categories.pytest_plugin._phases import Phases
    from pytest_test_categories.pytest_plugin._sizes import Sizes

_OUTPUT: Final = "test_categories"
REPORTS: Final = "test-categories-reports"
"""Name of the plugin that handles reports with violations, registered at the first violation."""

_WARNING: Final = ": NetworkAccessWarning: "
_SHOWN: Final = 10
KNOWN: Final = "known"
"""The verdict on violations in the baseline, which the baseline's own lines report."""


class Summary:
    """Gathers what no test report carries, sets the exit status, and writes the section of the summary."""

    def __init__(
        self,
        run: Run,
        phases: Phases,
        fixtures: FixtureGuard,
        sizes: Sizes,
        others: OtherGuards,
        config: pytest.Config,
    ) -> None:
        self._run = run
        self._phases = phases
        self._fixtures = fixtures
        self._sizes = sizes
        self._others = others
        self._config = config
        self._counts: Counter[str] = Counter()
        self._notes: dict[str, dict[str, Any]] = {}
        self._unwatched: dict[str, Any] = {}
        self._unused: dict[str, None] = {}
        self._added_late: dict[str, None] = {}
        self._worker_tells = False
        self._unguarded: list[str] = []

    def _unused_lines(self) -> list[str]:
        if not self._unused:  # most projects have no rules
            return []
        from pytest_test_categories.pytest_plugin import _selection

        return _selection.to_say(self._unused, self._config)

    def note_unused(self, texts: Iterable[str]) -> None:
        """Note the lines about settings that matched nothing, for a run that collects the whole project."""
        self._unused.update(dict.fromkeys(texts))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Add what a worker of xdist sends."""
        ended = getattr(node, "workeroutput", None)  # None if it crashed
        output = (ended or {}).get(_OUTPUT)
        if not output:
            self._worker_tells = True
            if ended is not None:
                self._unguarded.append(f"{node.gateway.id} ({node.gateway.spec})")
            return
        self._worker_tells = self._worker_tells or output["reports_tell"]
        self._counts.update(output["counts"])
        _merge(self._notes, output["notes"])
        _unwatched.merge(self._unwatched, output["unwatched"])
        self._others.tests.update(output["other_guards"])
        self.note_unused(output["unused"])
        self._added_late.update(dict.fromkeys(output["added_late"]))
        for data in output["late"]:
            violation = Violation.from_dict(data)
            record = self._run.late.setdefault(violation.key, Record(violation))
            record.count = max(record.count, violation.count)
        self._run.noted += [Violation.from_dict(data) for data in output["noted"]]

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Any:
        """Fail the run for violations that no test is charged with, and send a worker's part to the controller."""
        # As late as possible: after the hooks of plugins, before the terminal's summary and what xdist sends.
        runtime.collect()
        runtime.note_unwatched(None)
        with contextlib.suppress(self._run.warning):  # there is no test left to fail
            runtime.ledger.warn_of_children(late=True)
        self._note_properties()
        try:
            return (yield)
        finally:
            runtime.collect()
            output = getattr(self._config, "workeroutput", None)
            if output is not None:
                output[_OUTPUT] = {
                    "reports_tell": self._reports_tell(),
                    "counts": dict(self._phases.counts),
                    "notes": self._fixtures.notes,
                    "unwatched": _unwatched.counts(self._run),
                    "other_guards": dict(self._others.tests),
                    "unused": list(self._unused),
                    "added_late": list(self._sizes.added_late()),
                    "late": [record.snapshot().to_dict() for record in self._run.late.values()],
                    "noted": [violation.to_dict() for violation in self._run.noted],
                }
            green = session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
            told = (*(record.violation for record in self._run.late.values()), *self._run.noted)
            fails = self._run.mode is EnforcementMode.STRICT and any(one.verdict != KNOWN for one in told)
            if green and (fails or (self._unguarded and self._run.mode is EnforcementMode.STRICT)):
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            self._run.decided = True

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the section: violations by line of code, late violations, notes, sizes."""
        self._counts.update(self._phases.counts)
        self._added_late.update(dict.fromkeys(self._sizes.added_late()))
        _merge(self._notes, self._fixtures.notes)
        by_test = self._by_test(terminalreporter.stats if self._reports_tell() else {})
        _unwatched.merge(self._unwatched, _unwatched.counts(self._run))
        lines = [
            *_violation_lines(by_test, _warnings_listed(terminalreporter) if by_test else set()),
            *self._late_lines(),
            *(f"unguarded: {worker} ran its tests without this plugin" for worker in self._unguarded),
            *_note_lines(self._notes),
            *(() if self._run.unwatched_fails else _unwatched.lines(self._unwatched)),  # violations above
            *_other_guards.lines(self._others.tests),
            *_added_late_lines(list(self._added_late)),
            *self._unused_lines(),
            *_size_lines(self._counts, denying=bool(self._run.deny)),
        ]
        if not lines:
            return
        terminalreporter.write_sep("=", f"test categories ({self._run.mode.value})")
        for line in lines:
            terminalreporter.write_line(line)

    def _note_properties(self) -> None:
        """Add a property to the suite in JUnit XML for each violation that no test's report carries."""
        if not self._run.late or not getattr(self._config.option, "xmlpath", None):
            return
        from pytest_test_categories._report.published import published_id
        from pytest_test_categories.pytest_plugin._reports import told_as_property

        for record in self._run.late.values():
            violation = record.snapshot()
            name, text = told_as_property(violation)
            _private.add_to_junit(self._config, name, f"{published_id(violation.test)}: {text}")

    def _reports_tell(self) -> bool:
        """Tell whether any report may hold violations, or the size of a test that ran in a forked process."""
        return self._config.pluginmanager.has_plugin(REPORTS) or runtime.has_forked or self._worker_tells

    def _by_test(self, stats: Mapping[str, Iterable[Any]]) -> dict[str, dict[tuple[str, ...], Violation]]:
        found: dict[str, dict[tuple[str, ...], Violation]] = {}
        violations = list(self._run.noted)
        for reports in stats.values():
            for report in reports:
                fields = getattr(report, "__dict__", ())
                if REPORT_KEY in fields:
                    violations += map(Violation.from_dict, report.__dict__[REPORT_KEY].get("violations", ()))
                if SIZE_KEY in fields:  # the test ran in its own process
                    self._counts[report.__dict__[SIZE_KEY]] += 1
        for violation in violations:
            if violation.verdict != KNOWN:
                known = found.setdefault(violation.test, {})
                before = known.setdefault(violation.key, violation)
                if violation.count > before.count:
                    known[violation.key] = violation
        return found

    def _late_lines(self) -> list[str]:
        if not self._run.late:
            return []
        late = [record.snapshot() for record in self._run.late.values()]
        listed = [violation for violation in late if violation.verdict != KNOWN]
        if not listed:
            return []
        what = "they fail the run" if self._run.mode is EnforcementMode.STRICT else "in strict mode they fail the run"
        lines = [f"network violations that no running test is charged with: {len(listed)} ({what})"]
        for violation in listed:
            lines += [f"  {violation.test} [{violation.size or 'no size'}]", f"    {line_text(violation)}"]
        return lines


def _violation_lines(by_test: dict[str, dict[tuple[str, ...], Violation]], said: set[str]) -> list[str]:
    """Return the violations by line of code; those that a listed warning shows in full only with a count of tests.

    Args:
        by_test: The violations.
        said: The texts of our warnings that pytest lists.
    """
    if not by_test:
        return []
    total = sum(map(len, by_test.values()))
    lines = [f"network violations: {total} in {_counted_tests(by_test)}"]
    told: dict[str, dict[tuple[str, ...], Violation]] = {}
    rest: dict[str, dict[tuple[str, ...], Violation]] = {}
    for test, found in by_test.items():
        for key, violation in found.items():
            into = told if warning_text(violation) in said else rest
            into.setdefault(test, {})[key] = violation
    if told:
        lines[0] += ", each a warning above" if not rest else f", {sum(map(len, told.values()))} of them warnings above"
    return [*lines, *grouped_lines(told, named=False), *grouped_lines(rest)]


def _warnings_listed(terminalreporter: pytest.TerminalReporter) -> set[str]:
    """Return the texts of our warnings that pytest lists."""
    if not terminalreporter.hasopt("w"):
        return set()
    texts = (warning.message.partition(_WARNING)[2] for warning in terminalreporter.stats.get("warnings", ()))
    return {text.partition("\n")[0] for text in texts}


def _counted_tests(names: Iterable[str]) -> str:
    """Return how many of the names are tests, and how many are other places: modules whose import is the violation."""
    of_tests = Counter("::" in name for name in names)
    parts = [counted(of_tests[True], "test")] if of_tests[True] else []
    if of_tests[False]:
        parts.append(counted(of_tests[False], "other place" if parts else "place"))
    return " and ".join(parts)


def _note_lines(notes: dict[str, dict[str, Any]]) -> list[str]:
    return [
        f"autouse fixture {fixture} reached {', '.join(note['targets'])}; "
        f"{note['tests']} smaller {'test stands' if note['tests'] == 1 else 'tests stand'} on it"
        for fixture, note in sorted(notes.items())
    ]


def _added_late_lines(added: list[str]) -> list[str]:
    what = "(sizes are settled when tests are collected)"
    lines = [f"added too late, and ignored: {text} {what}" for text in added[:_SHOWN]]
    return [*lines, f"  and {len(added) - _SHOWN} more"] if len(added) > _SHOWN else lines


def _size_lines(counts: dict[str, int], *, denying: bool) -> list[str]:
    sized = [f"{counts[size.value]} {size.value}" for size in TestSize if counts.get(size.value)]
    lines = [f"sizes: {', '.join(sized)}"] if sized else []
    if unsized := counts.get(""):
        denied = " but what test_categories_network_deny lists" if denying else ""
        one = unsized == 1
        lines.append(
            f"{unsized} {'test has' if one else 'tests have'} no size and may use any network{denied} "
            f"(test_categories_default_size gives {'it' if one else 'them'} a size)"
        )
    return lines


def _merge(into: dict[str, dict[str, Any]], notes: dict[str, dict[str, Any]]) -> None:
    for fixture, note in notes.items():
        mine = into.setdefault(fixture, {"targets": [], "tests": 0})
        mine["targets"] += [target for target in note["targets"] if target not in mine["targets"]]
        mine["tests"] = max(mine["tests"], note["tests"])
