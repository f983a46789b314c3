"""The tracker: gathers each test's outcome and attempts, from all workers; registered only if something needs them.

Reports, the baseline, suggested sizes and annotations are all made from these data at the end of the run.
"""

from __future__ import annotations

import json
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories._ledger.records import Gathered
from pytest_test_categories._report.baseline import origin, plain_id
from pytest_test_categories._report.model import Access, Case, Report
from pytest_test_categories._report.published import published_id
from pytest_test_categories._rules.violation import Violation
from pytest_test_categories._runtime import runtime
from pytest_test_categories._sizing.suggest import function_of
from pytest_test_categories.pytest_plugin import _options, _private, _selection, _unwatched
from pytest_test_categories.pytest_plugin._phases import REPORT_KEY, SIZE_KEY, to_tell

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from pytest_test_categories._ledger.runs import Run
    from pytest_test_categories._report.baseline import Baseline
    from pytest_test_categories._sizing.apply import Target
    from pytest_test_categories.pytest_plugin._fixtures import FixturePlan
    from pytest_test_categories.pytest_plugin._options import Settings
    from pytest_test_categories.pytest_plugin._phases import Phases
    from pytest_test_categories.pytest_plugin._sizes import Sizes

_OUTPUT: Final = "test_categories_tracker"
_PHASES: Final = frozenset({"setup", "call", "teardown"})


class Tracked:
    """The state of one test since its set-up; for a test that is rerun, since the last one."""

    __slots__ = ("broken", "ended", "finished", "location", "outcome", "seconds", "size", "uses")

    def __init__(self, size: str = "", uses: Iterable[str] = ()) -> None:
        self.size = size
        self.uses = uses
        self.location: tuple[str, int | None, str] = ("", None, "")
        self.outcome = "unfinished"
        self.seconds = 0.0
        self.finished = False
        self.broken = ""
        self.ended = False  # whether its body ended as expected: by passing, or as its xfail marker says

    def take(self, report: pytest.TestReport) -> None:
        """Add the report of a phase."""
        when = report.when
        self.seconds += report.duration
        self.finished = self.finished or when == "teardown"
        if report.outcome == "passed" and when != "call":  # most reports
            return
        if report.outcome == "failed":
            self.broken = self.broken or ("failed" if when == "call" else "error")
        elif report.outcome == "skipped":
            self.outcome = "xfailed" if hasattr(report, "wasxfail") else "skipped"
            self.ended = when == "call" and self.outcome == "xfailed" and not _private.gives_up(report)
        elif self.outcome != "skipped":  # otherwise a subtest was skipped
            self.outcome = "xpassed" if hasattr(report, "wasxfail") else "passed"
            self.ended = True

    @property
    def result(self) -> str:
        """The outcome of the test."""
        return self.case("", 0).outcome

    def case(self, node: str, unwatched: int) -> Case:
        """Return the test's entry for reports."""
        path, line, _domain = self.location
        at = 0 if line is None else line + 1
        outcome = self.broken or (self.outcome if self.finished else "unfinished")
        seconds = int(self.seconds * 10_000) / 10_000  # cheaper than round(), and there are many tests
        return Case(node, self.size, path.replace("\\", "/"), at, outcome, seconds, unwatched)


class Tracker:
    """Gathers the reports of this process, or of all workers."""

    def __init__(self, config: pytest.Config, settings: Settings, run: Run, phases: Phases) -> None:
        self._config = config
        self._settings = settings
        self._run = run
        self._phases = phases
        self._uses: dict[str, tuple[str, ...]] = {}
        self._sets: set[str] = set()
        self._targets: dict[str, Target] = {}
        self._tests: dict[str, Tracked] = {}
        self._now: Tracked | None = None  # the latest
        self._violations: list[Violation] = []
        self._unwatched: dict[str, Any] = {}
        self._narrowed: dict[str, None] = {}
        self._deselected = 0
        self._watched: list[bool] = []  # for each worker, whether it had the kernel layer
        self._collected: set[str] = set()
        self._users: dict[str, list[str]] = {}
        self._worker = hasattr(config, "workerinput")
        self._of_blocks = run.of_blocks = Gathered()

    def note_items(self, items: Iterable[pytest.Item], plan: FixturePlan, sizes: Sizes) -> None:
        """Note what suggested sizes need beside the run: the fixtures that tests use, and where tests are defined."""
        for item in items:
            node = self._plain(item.nodeid)
            if names := plan.narrowed_names(item):
                self._uses[node] = names
            if sizes.on_parameter_set(item):
                self._sets.add(node)
            target = _target(item, node)
            self._targets.setdefault(target.id, target)

    def _plain(self, node: str) -> str:
        return plain_id(node) if self._run.groups else node

    def note_selection(self, everything: list[pytest.Item], items: list[pytest.Item]) -> None:
        """Note how many collected tests were removed: not every plugin that removes tests reports it."""
        self._deselected = max(self._deselected, len(everything) - len(items))

    def note_users(self, items: Iterable[pytest.Item], plan: FixturePlan, baseline: Baseline) -> None:
        """Note which tests use the fixtures that the baseline lists."""
        listed = {entry.test for entry in baseline.entries if entry.is_shared}
        if not listed:
            return
        for item in items:
            node = self._phases.label(item)
            for fixture, home in plan.broad_labels(item):
                known = origin(node, fixture, home)
                if known in listed:
                    self._users.setdefault(known, []).append(node)

    # -- while tests run -----------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a phase's attempts to its report; outside of workers, also add the report to the results."""
        fields = report.__dict__
        observing = self._run.observing
        told = (observing is not None and observing.records) or self._of_blocks.records or REPORT_KEY in fields
        if told or self._worker or "node" in fields:
            if "node" not in fields:  # under xdist's controller, the worker has added them
                self._hang(report, fields)
            if not self._worker:
                self._take(report, fields)
            return
        # The fast path for most reports: tests without an attempt.
        now = self._now
        if report.when == "setup":
            now = self._begin(report, self._size(report), self._uses.get(self._plain(report.nodeid), ()))
        if now is not None and report.location is now.location:
            now.take(report)
        else:
            self._take(report, fields)

    def _hang(self, report: pytest.TestReport, fields: dict[str, Any]) -> None:
        if report.when == "setup" and self._worker:
            uses = self._uses.get(self._plain(report.nodeid), ())
            fields.setdefault(REPORT_KEY, {}).update(size=self._size(report), uses=uses)
        seen = [*self._drain(), *to_tell(self._of_blocks.records)]
        self._of_blocks.records.clear()
        if seen:
            fields.setdefault(REPORT_KEY, {})["accesses"] = [violation.to_dict() for violation in seen]

    def _take(self, report: pytest.TestReport, fields: dict[str, Any]) -> None:
        node = self._plain(report.nodeid)
        carried = fields.get(REPORT_KEY)
        if report.when == "setup":
            if "node" not in fields:
                self._begin(report, self._size(report), self._uses.get(node, ()))
            elif carried:
                self._begin(report, carried["size"], carried["uses"])
            else:
                self._begin(report)
        known = self._tests.get(node)
        if known is None or report.when not in _PHASES:  # the test that crashed a worker
            self._tests[node] = known or Tracked()
            self._narrow("a worker crashed")
        else:
            known.take(report)
        if carried is not None:
            self._keep(carried)

    def _begin(self, report: pytest.TestReport, size: str = "", uses: Iterable[str] = ()) -> Tracked:
        test = self._now = Tracked(size, uses)
        test.location = report.location
        self._tests[self._plain(report.nodeid)] = test
        return test

    def _size(self, report: pytest.TestReport) -> str:
        known: str | None = report.__dict__.get(SIZE_KEY)
        if known is not None:
            return known
        scope = self._phases.scope
        policy = None if scope is None else scope.policy
        return "" if policy is None or policy.size is None else policy.size._value_

    def _drain(self) -> list[Violation]:
        observing = self._run.observing
        if observing is None or not observing.records:
            return []
        records, observing.records = observing.records, {}
        observing.resolved = None
        return [record.snapshot() for record in records.values()]

    def _keep(self, carried: dict[str, Any]) -> None:
        for key in ("violations", "accesses"):
            self._violations += [Violation.from_dict(data) for data in carried.get(key, ())]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Add what an import reached for."""
        if report.outcome == "failed":
            self._narrow("not all modules could be collected")
        self._keep(getattr(report, REPORT_KEY, None) or {})

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Count the tests that are not run."""
        self._deselected += len(items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note the collected tests."""
        self._collected.update(self._plain(item.nodeid) for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Note the tests that a worker of xdist collected."""
        self._collected.update(map(self._plain, ids))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Add what a worker of xdist sends at its end."""
        if error:
            self._narrow("a worker crashed")
        output = (getattr(node, "workeroutput", None) or {}).get(_OUTPUT)
        if output:
            self._keep(output)
            self._deselected = max(self._deselected, output["deselected"])
            self._users = self._users or output["users"]
            self._watched.append(output["watched"])
            self._sets.update(output["sets"])
            if not self._targets:  # each worker collects the same tests
                self._targets = {target.id: target for target in map(_read_target, output["targets"])}
            for reason in output["narrowed"]:
                self._narrow(reason)
            _unwatched.merge(self._unwatched, output["unwatched"])

    def _narrow(self, reason: str) -> None:
        self._narrowed.setdefault(reason)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None]:
        """Send what a worker has left to the controller."""
        try:
            return (yield)
        finally:
            runtime.collect()
            rest = [violation.to_dict() for violation in (*self._drain(), *to_tell(self._of_blocks.records))]
            if session.shouldfail or session.shouldstop:
                self._narrow(f"the run stopped early: {session.shouldfail or session.shouldstop}")
            if exitstatus == pytest.ExitCode.INTERRUPTED:
                self._narrow("the run was interrupted")
            output = getattr(self._config, "workeroutput", None)
            if output is not None:
                output[_OUTPUT] = {
                    "accesses": rest,
                    "deselected": self._deselected,
                    "narrowed": list(self._narrowed),
                    "unwatched": _unwatched.counts(self._run),
                    "users": self._users,
                    "watched": self._run.children_watched,
                    "sets": sorted(self._sets),
                    "targets": [json.dumps(target) for target in self._targets.values()],
                }
            else:
                self._keep({"accesses": rest})

    # -- at the end ----------------------------------------------------------------------------------------------------

    @property
    def uses(self) -> dict[str, tuple[str, ...]]:
        """The broad fixtures that each test uses."""
        return {node: tuple(test.uses) for node, test in self._tests.items() if test.uses}

    @property
    def sets(self) -> set[str]:
        """Node ids of the tests that get their size from a marker on their parameter set."""
        return self._sets

    @property
    def targets(self) -> dict[str, Target]:
        """Where each test function is defined, by its node id in reports."""
        return self._targets

    @property
    def passed(self) -> set[str]:
        """Node ids of the tests that ran to their end with the outcome expected of them."""
        return {node for node, test in self._tests.items() if test.ended and test.finished and not test.broken}

    @property
    def failed(self) -> set[str]:
        """Node ids of the tests that failed in any phase."""
        return {node for node, test in self._tests.items() if test.broken}

    @property
    def collected(self) -> set[str]:
        """Node ids of the collected tests, without deselected ones."""
        return self._collected

    def shared_ran(self, shared: str) -> bool:
        """Tell whether a fixture or an import of the baseline ran to its end: a test that depends on it passed."""
        passed = self.passed
        if shared in self._users:
            return any(node in passed for node in self._users[shared])
        files = {node.partition("::")[0] for node in passed}
        return shared in files or not shared.endswith(".py") or shared not in self._files()

    def _files(self) -> set[str]:
        return {node.partition("::")[0] for node in self._collected}

    @property
    def deselects(self) -> bool:
        """Whether tests may exist that were not collected."""
        chosen = any("::" in argument for argument in self._config.args)
        return chosen or bool(self._deselected) or bool(self._narrowed) or bool(_selection.narrowing(self._config))

    def why_incomplete(self) -> tuple[str, ...]:
        """Return the reasons why not every test of the project ran to its end, one line each."""
        reasons = list(self._narrowed)
        target = self._settings.target
        if target is not None and target.part:
            reasons.append(f"{target.part} of {target.name}")
        if self._deselected:
            reasons.append(f"{self._deselected} {'test was' if self._deselected == 1 else 'tests were'} deselected")
        if paths := _selection.chosen(self._config):
            reasons.append(f"only {', '.join(paths)}")
        reasons += _selection.narrowing(self._config)
        unfinished = sum(not test.finished for test in self._tests.values())
        unfinished += len(self._collected.difference(self._tests))
        if unfinished:
            reasons.append(f"{unfinished} {'test' if unfinished == 1 else 'tests'} did not run to the end")
        return tuple(reasons)

    def violations(self) -> list[Violation]:
        """Return all attempts, violations and permitted ones, in no particular order."""
        late = [record.snapshot() for record in self._run.late.values()]
        found: dict[tuple[str, ...], Violation] = {}
        seen = []
        for violation in (*self._violations, *late, *self._run.noted):
            if violation.verdict in {"permitted", "observed"}:
                seen.append(violation)
                continue
            # If several reports of a test have a record, the later one counts all attempts so far.
            key = (violation.kind, violation.verdict, violation.fixture, violation.process, *violation.key)
            before = found.get(key)
            if before is None or violation.count > before.count:
                found[key] = violation
        return [*found.values(), *seen]

    def report(self) -> Report:
        """Return the data of the run's report."""
        counts = dict(self._unwatched)
        _unwatched.merge(counts, _unwatched.counts(self._run))
        by_test = counts.get("by_test", {})
        watched = all(self._watched) if self._watched else self._run.children_watched
        kernel = "kernel" if watched else ""
        why = self.why_incomplete()
        # An attempt of a refused import is listed with that verdict, and not as a permitted one, too.
        seen = self.violations()
        broken = {(v.test, v.target, v.location) for v in seen if v.verdict not in {"permitted", "observed"}}
        return Report(
            [test.case(node, by_test.get(node, 0)) for node, test in self._tests.items()],
            [
                Access.of(violation)
                for violation in seen
                if violation.verdict != "permitted"
                or (violation.test, violation.target, violation.location) not in broken
            ],
            mode=self._run.mode.value,
            layers=_options.layers(kernel),
            complete=not why,
            why_incomplete=why,
            unwatched=counts.get("programs", {}),
            tool=_version(),
        )


def _version() -> str:
    try:
        return metadata.version("pytest-test-categories")
    except metadata.PackageNotFoundError:  # a source tree that is not installed
        return "unknown"


def _target(item: pytest.Item, node: str) -> Target:
    """Return where a test's function is defined."""
    from pytest_test_categories._sizing.apply import target_of

    parents = [node.obj for node in item.listchain() if isinstance(node, pytest.Class)]
    name = getattr(item, "originalname", None) or item.name.partition("[")[0]
    function = getattr(item, "function", None)
    known = published_id(function_of(node))
    return target_of(known, str(item.path), function, name, parents)


def _read_target(text: str) -> Target:
    from pytest_test_categories._sizing.apply import Place, Target

    node, size, current, module, function, classes, observed = json.loads(text)
    return Target(
        node,
        size,
        current,
        module,
        tuple(Place(*place) for place in function),
        tuple(tuple(Place(*place) for place in level) for level in classes),
        observed,
    )
