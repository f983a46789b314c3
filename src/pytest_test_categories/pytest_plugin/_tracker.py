"""The tracker: gathers each test's outcome and attempts, from all workers; registered only if something needs them.

Reports, the baseline, suggested sizes and annotations are all made from these data at the end of the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories._attribution.stack import relative
from pytest_test_categories._ledger.records import Gathered
from pytest_test_categories._report.baseline import origin, plain_id
from pytest_test_categories._report.findings import Collected, Findings, Use
from pytest_test_categories._report.model import Case
from pytest_test_categories._report.published import published_id, version
from pytest_test_categories._rules.violation import Violation
from pytest_test_categories._runtime import runtime
from pytest_test_categories._sizing.suggest import function_of
from pytest_test_categories.pytest_plugin import _options, _private, _selection, _unwatched
from pytest_test_categories.pytest_plugin._phases import REPORT_KEY, SIZE_KEY, to_tell

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from pytest_test_categories._ledger.runs import Run
    from pytest_test_categories._report.baseline import Baseline
    from pytest_test_categories._report.recording import Writer
    from pytest_test_categories.pytest_plugin._fixtures import FixturePlan
    from pytest_test_categories.pytest_plugin._options import Settings
    from pytest_test_categories.pytest_plugin._phases import Phases
    from pytest_test_categories.pytest_plugin._sizes import Sizes

_OUTPUT: Final = "test_categories_tracker"
_PHASES: Final = frozenset({"setup", "call", "teardown"})


class Tracked:
    """The state of one test since its set-up; for a test that is rerun, since the last one."""

    __slots__ = ("broken", "ended", "finished", "location", "outcome", "seconds", "size")

    def __init__(self, size: str = "") -> None:
        self.size = size
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

    def case(self, node: str) -> Case:
        """Return the test's entry for reports."""
        path, line, _domain = self.location
        at = 0 if line is None else line + 1
        outcome = self.broken or (self.outcome if self.finished else "unfinished")
        seconds = int(self.seconds * 10_000) / 10_000  # cheaper than round(), and there are many tests
        return Case(node, self.size, path.replace("\\", "/"), at, outcome, seconds)

    @property
    def gave_up_as_expected(self) -> bool:
        """Whether its body ended as its ``xfail`` marker says."""
        return self.ended and self.outcome == "xfailed" and self.finished and not self.broken


class Tracker:
    """Gathers the reports of this process, or of all workers."""

    def __init__(self, config: pytest.Config, settings: Settings, run: Run, phases: Phases) -> None:
        self._config = config
        self._settings = settings
        self._run = run
        self._phases = phases
        self._items: Collected | None = None
        self._left_out: dict[str, None] = {}  # deselected by an option, in contrast to what other shards run
        self._to_send: dict[str, Any] | None = None
        self._written: set[str] = set()
        self._tests: dict[str, Tracked] = {}
        self._now: Tracked | None = None  # the latest
        self._violations: list[Violation] = []
        self._unwatched: dict[str, Any] = {}
        self._narrowed: dict[str, None] = {}
        self._deselected = 0
        self._watched: list[bool] = []  # for each worker, whether it had the kernel layer
        self._collected: dict[str, None] = {}
        self._users: dict[str, list[str]] = {}
        self._worker = hasattr(config, "workerinput")
        self._of_blocks = run.of_blocks = Gathered()
        self.recordings: Sequence[Writer] = ()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Begin the recordings, except in a worker of xdist: its controller writes them."""
        paths = self._settings.recordings
        if paths and not self._worker:
            from pytest_test_categories.pytest_plugin import _recording

            self.recordings = _recording.begin(self._config, self._settings, self._run, paths, version())

    def note_items(
        self, everything: Sequence[pytest.Item], items: Iterable[pytest.Item], plan: FixturePlan, sizes: Sizes
    ) -> None:
        """Note the collected tests, the fixtures that they use, and where they are defined."""
        fixtures: dict[Use, int] = {}
        nodes = [self._plain(item.nodeid) for item in everything]
        targets: dict[str, tuple[Any, ...]] = {}
        if self._settings.suggest or self._settings.recordings:
            for item, node in zip(everything, nodes, strict=True):
                known = published_id(function_of(node))
                if known not in targets:
                    targets[known] = _target(item, known)
        found = Collected(
            tuple(nodes),
            tuple("" if size is None else size.value for size in sizes.of_each(everything)),
            uses=tuple(
                tuple(fixtures.setdefault(use, len(fixtures)) for use in plan.uses(item)) for item in everything
            ),
            sets=tuple(number for number, item in enumerate(everything) if sizes.on_parameter_set(item)),
            targets=tuple(targets.values()),
        )._replace(fixtures=tuple(fixtures))
        selected = {self._plain(item.nodeid) for item in items}
        self._take_items(found, [node in selected for node in nodes], [node in self._left_out for node in nodes])

    def _take_items(self, found: Collected, selected: Sequence[bool], left_out: Sequence[bool]) -> None:
        self._items = found
        if self._worker:
            from pytest_test_categories._report.recording import packed

            self._to_send = {"items": packed(found), "selected": selected, "left_out": left_out}
        if self.recordings:
            from pytest_test_categories._report.recording import publishable_collected, runs_of

            shown = publishable_collected(found, lambda path: relative(path, self._run.root))
            for recording in self.recordings:
                recording.collected(shown, runs_of(selected), runs_of(left_out))

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
            now = self._begin(report, self._size(report))
        if now is not None and report.location is now.location:
            now.take(report)
            if self.recordings and report.when == "teardown":
                self._record(self._plain(report.nodeid), now)
        else:
            self._take(report, fields)

    def _hang(self, report: pytest.TestReport, fields: dict[str, Any]) -> None:
        if report.when == "setup" and self._worker:
            carried = fields.setdefault(REPORT_KEY, {})
            carried["size"] = self._size(report)
            if self._to_send is not None:
                carried["items"], self._to_send = self._to_send, None
        seen = [*self._drain(), *to_tell(self._of_blocks.records)]
        self._of_blocks.records.clear()
        if seen:
            fields.setdefault(REPORT_KEY, {})["accesses"] = [violation.to_dict() for violation in seen]

    def _take(self, report: pytest.TestReport, fields: dict[str, Any]) -> None:
        node = self._plain(report.nodeid)
        carried = fields.get(REPORT_KEY)
        if carried and self._items is None and "items" in carried:  # each worker collects the same tests
            from pytest_test_categories._report.recording import unpacked

            sent = carried["items"]
            self._take_items(unpacked(sent["items"]), sent["selected"], sent["left_out"])
        if report.when == "setup":
            if "node" not in fields:
                self._begin(report, self._size(report))
            elif carried:
                self._begin(report, carried["size"])
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
        if self.recordings and report.when == "teardown":
            self._record(node, self._tests[node])

    def _record(self, node: str, test: Tracked) -> None:
        self._written.add(node)
        for recording in self.recordings:
            recording.test(test.case(node), gave_up_as_expected=test.gave_up_as_expected)

    def _begin(self, report: pytest.TestReport, size: str = "") -> Tracked:
        test = self._now = Tracked(size)
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
            for data in carried.get(key, ()):
                violation = Violation.from_dict(data)
                self._violations.append(violation)
                for recording in self.recordings:
                    recording.access(violation)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Add what an import reached for."""
        if report.outcome == "failed":
            self._narrow("not all modules could be collected")
        self._keep(getattr(report, REPORT_KEY, None) or {})

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Count the tests that are not run; note those that an option leaves out and not a plugin for other shards."""
        self._deselected += len(items)
        if _private.deselects_by_option():
            self._left_out.update(dict.fromkeys(self._plain(item.nodeid) for item in items))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note the collected tests."""
        self._collected.update(dict.fromkeys(self._plain(item.nodeid) for item in session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Note the tests that a worker of xdist collected."""
        self._collected.update(dict.fromkeys(map(self._plain, ids)))

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
                }
            else:
                self._keep({"accesses": rest})

    # -- at the end ----------------------------------------------------------------------------------------------------

    def _deselects(self) -> bool:
        """Tell whether tests may exist that were not collected."""
        chosen = any("::" in argument for argument in self._config.args)
        return chosen or bool(self._deselected) or bool(self._narrowed) or bool(_selection.narrowing(self._config))

    def _why_incomplete(self) -> tuple[str, ...]:
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
        unfinished += len(self._collected.keys() - self._tests.keys())
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

    def findings(self) -> Findings:
        """Return what the run found."""
        counts = dict(self._unwatched)
        _unwatched.merge(counts, _unwatched.counts(self._run))
        items = self._items or Collected()
        watched = all(self._watched) if self._watched else self._run.children_watched
        return Findings(
            {node: test.case(node) for node, test in self._tests.items()},
            self.violations(),
            gave_up_as_expected={node for node, test in self._tests.items() if test.gave_up_as_expected},
            unwatched=counts.get("by_test", {}),
            collected=self._collected,
            uses={node: items.uses_of(number) for number, node in enumerate(items.ids) if items.uses[number]},
            users=self._users,
            sets=frozenset(items.ids[number] for number in items.sets),
            targets={target[0]: target for target in items.targets},
            selected=not self._deselects(),
            why_incomplete=self._why_incomplete(),
            mode=self._run.mode.value,
            layers=_options.layers("kernel" if watched else ""),
            tool=version(),
        )

    def end_recordings(self, findings: Findings) -> None:
        """Write what is known only at the end."""
        last = [*(record.snapshot() for record in self._run.late.values()), *self._run.noted]
        for recording in self.recordings:
            for node in self._tests.keys() - self._written:
                recording.test(self._tests[node].case(node))
            for violation in last:
                recording.access(violation)
            recording.end(findings.unwatched, findings.why_incomplete, list(self._narrowed))


def _target(item: pytest.Item, known: str) -> tuple[Any, ...]:
    """Return where a test's function is defined."""
    from pytest_test_categories._sizing.apply import target_of

    parents = [node.obj for node in item.listchain() if isinstance(node, pytest.Class)]
    name = getattr(item, "originalname", None) or item.name.partition("[")[0]
    return target_of(known, str(item.path), getattr(item, "function", None), name, parents)
