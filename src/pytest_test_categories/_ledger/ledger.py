"""The ledger: records attempts, describes each once, and keeps track of which ones have been delivered.

Guarantees:

- Each guard that refuses has a record of its own; a record that belongs to another process is sent there.
- An exception delivers its own attempts, a block that expects violations those that were made inside it.
- What can't be charged to an open guard is kept with the run's late violations.

Assumes that attempts have been judged: it uses the rules only to describe them.
"""

from __future__ import annotations

import os
import sys
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._attribution import origin, stack, tasks
from pytest_test_categories._attribution.origin import Charge, Scope, ScopeKind, asked_here, charge, current
from pytest_test_categories._host.names import look_ups, own_names
from pytest_test_categories._ledger.records import NOWHERE, Delivery, Expecting, Place, Record, Refusal, counting
from pytest_test_categories._ledger.runs import Run, innermost, runs
from pytest_test_categories._rules.address import Endpoint, normal_name, parse_ip
from pytest_test_categories._rules.advice import library_of_route
from pytest_test_categories._rules.errors import NetworkAccessViolationError, NetworkAccessWarning
from pytest_test_categories._rules.policy import Attempt, EnforcementMode, Kind, decide, needed_size
from pytest_test_categories._rules.violation import PROGRAM, Violation, of_further_targets
from pytest_test_categories._rules.wording import line_text, warning_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

_UNKNOWN: Final = "<unknown>"
_NOBODYS_VIEW: Final[dict[str, Any]] = {"test": "", "size": ""}
NAMES_RESOLVED = 1024
"""How many look-ups of one name are counted in warn mode that no connect has followed yet."""


if TYPE_CHECKING:  # making a Protocol class takes longer than making another

    class Surroundings(Protocol):
        """The process that a ledger belongs to, and its connections to parent and child processes."""

        def root(self) -> str:
            """Return the directory that paths in reports are relative to."""

        def process_text(self) -> str:
            """Return the name of this process in reports; empty for the process that the run began in."""

        def offers_fakes(self) -> bool:
            """Tell whether a refused client's request is read, along with what a fake can replace."""

        def late_text(self) -> str:
            """Return why attempts of this process are late; empty if they are not."""

        def send(self, scope: Scope, violation: Violation, attempt: Attempt, *, late: bool, expected: bool) -> bool:
            """Report a violation to the process that ``scope`` belongs to; False if that is this process."""

        def take_back(self, scope: Scope, violation: Violation, times: int) -> None:
            """Tell the process that ``scope`` belongs to, if it is another, how many attempts were expected here."""

        def is_own(self, scope: Scope) -> bool:
            """Tell whether a scope was entered in this process."""

        def collect(self) -> None:
            """Record what other processes report."""


class Ledger:
    """The attempts on record in this process.

    Args:
        surroundings: Its connections to other processes.

    Attributes:
        ended: The last run, once it has ended: leftovers of its tests are charged to it.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        self._expecting: weakref.WeakKeyDictionary[object, Scope] = weakref.WeakKeyDictionary()
        self.ended: Run | None = None
        self._of_children: list[Record] = []

    # -- putting on record -----------------------------------------------------------------------------------------

    def refuse(self, refusing: list[Refusal], charged: Charge, attempt: Attempt, route: str) -> bool:
        """Record an attempt that some guards refuse; True if it was recorded and goes on, False if it is exempt.

        Args:
            refusing: The guards that refuse it, innermost first.
            charged: The scopes that it is charged to.
            attempt: The attempt.
            route: The entry point.

        Raises:
            NetworkAccessViolationError: One of the guards is strict.
            NetworkAccessWarning: None is strict, and warnings are errors (``-W error``).
        """
        __tracebackhide__ = True
        inner = refusing[0]
        trace = _read_stack(inner.scope, requests=self._around.offers_fakes())
        if _is_nobodys(trace, attempt):
            return False
        violation = self._describe(inner.scope, charged, attempt, route, trace, _view(inner, attempt))
        strict = None
        for number, refusal in enumerate(refusing):
            if refusal.ends_it:
                strict = number
                break
        # A refused attempt ends here; only one that went on has later steps.
        if strict is None and _is_later_step([refusal.scope for refusal in refusing], attempt, violation):
            return True
        scopes = charged.scopes + origin.asking_here(charged.scopes)
        records, delivery, expected = self._put_on_record(refusing, scopes, attempt, violation)
        if strict is not None:
            error = NetworkAccessViolationError(records[strict].violation)
            error.records, error.delivery = records, delivery
            raise error
        # A test may read the output of a program that it starts, so an inherited guard only records.
        if not expected and inner.scope.kind is not ScopeKind.COLLECT and inner.scope.home is None:
            _warn(records[0], *((_UNKNOWN, 0) if trace.at is None else (trace.at.filename, trace.at.line)))
        return True

    def take_from_outside(
        self, refusing: list[Refusal], scopes: tuple[Scope, ...], attempt: Attempt, violation: Violation
    ) -> None:
        """Record an attempt that another process has seen and judged by the policies of ``scopes``."""
        inner = refusing[0]
        records, _, expected = self._put_on_record(refusing, scopes, attempt, _as_seen_by(inner, violation, attempt))
        if not (expected or inner.scope.kind is ScopeKind.COLLECT or any(refusal.ends_it for refusal in refusing)):
            _warn(records[0], _UNKNOWN, 0)

    def _put_on_record(
        self, refusing: list[Refusal], scopes: tuple[Scope, ...], attempt: Attempt, violation: Violation
    ) -> tuple[list[Record], Delivery, bool]:
        """Record a violation for each refusing guard; return the records, their delivery, and if it was expected.

        Args:
            refusing: The guards that refuse it, innermost first.
            scopes: The scopes that it is charged to, and further blocks that expect violations.
            attempt: The attempt.
            violation: The attempt as the innermost guard describes it.
        """
        # Open blocks that expect violations take this one.
        expecting, seen_by, settled = [], [], False
        for link in scopes:
            if link.kind.expects and link.open:
                expecting.append(link)
                if link.awaits is None:
                    seen_by.append(link)
                    settled = settled or self._around.is_own(link)
        teller = _who_tells(scopes)
        records: list[Record] = []
        late: dict[tuple[str, ...], Record] = {}  # late records: one attempt has only one, however many guards refuse
        for refusal in refusing:
            link = refusal.scope
            mine = violation if refusal is refusing[0] else _as_seen_by(refusal, violation, attempt)
            if mine.late and link.open and not refusing[0].scope.open:  # it is a leftover of the guard inside only
                mine = mine._replace(late="")
            elif not (mine.late or link.open or link.held):  # an open guard in another thread or task outlived it
                mine = mine._replace(late=origin.late_text(link, "a guard"))
            record = late.get(mine.key) if mine.late else None
            if record is None:
                record = self._record(link, mine, attempt, teller, expected=bool(expecting), settled=settled)
                if mine.late:
                    late[mine.key] = record
            records.append(record)
        for record in records:
            if len(record.same_attempt) < len(records):
                record.same_attempt = records
        delivery = Delivery([(record, 1) for record in records])
        for block in expecting:
            if block.awaits is not None:
                for refusal, record in zip(refusing, records, strict=True):
                    block.awaits.add(refusal.scope, record)
        for link in seen_by:
            inside = link.records.setdefault(violation.key, Record(violation, attempt))
            inside.add()
            delivery.deliver(expected=True)
            self._around.send(link, violation, attempt, late=False, expected=True)
        return records, delivery, bool(seen_by)

    def _record(
        self,
        scope: Scope,
        violation: Violation,
        attempt: Attempt,
        teller: Scope | None,
        *,
        expected: bool,
        settled: bool,
    ) -> Record:
        run = innermost() or self.ended
        late = bool(violation.late)
        into = scope.records
        if late and teller is not None and teller in scope.chain:
            into = teller.records
        elif late and run is not None:
            into = run.late
        elif late:
            with counting.lock:
                into = scope.late = scope.late or {}
        key = violation.key
        if len(into) >= origin.RECORDS_PER_SCOPE and key not in into:
            violation = of_further_targets(violation)
            key = violation.key
        new = key not in into
        if new:
            fresh = Record(violation, attempt)
            new = into.setdefault(key, fresh) is fresh  # another thread may have added it meanwhile
        record = into[key]
        record.add()
        if new:
            for one in runs:  # a run inside a guarded test may record something for the test
                if one is not None:
                    one.on_record()
        # What a block in this process expects is not reported to other processes.
        kept_here = settled or not self._around.send(scope, record.violation, attempt, late=late, expected=expected)
        if new and kept_here and run is not None:
            _announce(run, violation, late=late)
        return record

    def note_of_child(self, record: Record) -> None:
        """Note an attempt that a child process let go on, to warn about it later in this process."""
        with counting.lock:
            if record not in self._of_children:
                self._of_children.append(record)

    def warn_of_children(self, *, late: bool = False) -> None:
        """Warn about attempts that child processes let go on; called at the end of a phase or guard, as it may raise.

        Args:
            late: Whether to warn also about late attempts: another test must not fail because of them.

        Raises:
            NetworkAccessWarning: Under ``-W error``.
        """
        __tracebackhide__ = True
        if not self._of_children:
            return
        with counting.lock:
            due = [record for record in self._of_children if late or not record.violation.late]
            self._of_children = [record for record in self._of_children if record not in due]
        for record in due:
            path, _, line = record.violation.location.rpartition(":")
            _warn(record, os.path.join(self._around.root(), path) if path else _UNKNOWN, int(line or 0))

    def keep_unattributed(self, violation: Violation) -> None:
        """Charge the run with a violation that no test is charged with."""
        run = innermost() or self.ended
        if run is not None:
            record = run.late.setdefault(violation.key, Record(violation))
            count = record.add()
            run.on_record()
            if run.decided and count == 1:
                _announce(run, violation, late=True)

    def place_of_start(self) -> Place | None:
        """Return the line that starts a program here and now; None if the test runner starts it."""
        charged = charge()
        if charged is None or not charged.scopes:
            return NOWHERE
        trace = _read_stack(charged.scopes[0])
        if trace.aside:
            return None
        if trace.at is None:
            return NOWHERE
        root = self._around.root()
        at, test = trace.at, trace.test
        return Place(at.text(root), at.function, "" if test is None else test.text(root))

    def keep_unwatched(self, run: Run, scope: Scope | None, test: str, program: str, place: Place) -> None:
        """Record a program that no layer watches as a violation.

        Args:
            run: The run.
            scope: The guard that it was started under; None if the guard has ended, or was that of an import.
            test: The test that it is charged to.
            program: Its name.
            place: The line that started it.
        """
        violation = Violation(test, "", PROGRAM, program, because="no layer watches it", **place._asdict())
        policy = None if scope is None else scope.policy
        if scope is None or policy is None:
            warned = "" if run.mode is EnforcementMode.STRICT else "warned"
            late = "started while no guard of a test was in force"
            self.keep_unattributed(violation._replace(late=late, verdict=warned or violation.verdict))
            return
        verdict = "refused" if policy.mode is EnforcementMode.STRICT else "warned"
        violation = violation._replace(
            size="" if policy.size is None else policy.size._value_,
            fixture=scope.fixture,
            fixture_home=scope.fixture_home,
            held_by=scope.held_by,
            test_size=scope.test_size,
            guard=scope.guard,
            verdict="known" if verdict == "refused" and (PROGRAM, program) in policy.known else verdict,
        )
        if policy.mode is EnforcementMode.OFF:
            return
        record = scope.records.setdefault(violation.key, Record(violation))
        record.add()
        run.on_record()
        if violation.verdict != "refused":
            self.note_of_child(record)

    # -- observing -------------------------------------------------------------------------------------------------

    def observe(self, watching: list[Scope], charged: Charge, attempt: Attempt, route: str) -> None:
        """Record an attempt that goes on, for runs that observe every attempt."""
        breach = any(link.kind.judges for link in watching)
        trace = _read_stack(charged.scopes[0], requests=breach and self._around.offers_fakes())
        if _is_nobodys(trace, attempt):
            return
        part: list[Scope] = []  # the scopes of one run: a run inside a test and the run around it have different ones
        for link in charged.scopes:
            part.append(link)
            if link.kind.observes:
                if link in watching:
                    scope, policy = next((one, one.policy) for one in part if one.policy is not None)
                    seen = self._describe(scope, charged, attempt, route, trace)
                    violation = _as_seen_by(Refusal(scope, policy, decide(policy, attempt)), seen, attempt)
                    if not _is_later_step([link], attempt, violation):
                        self.keep_observed([one for one in part if one in watching], attempt, violation)
                part = []

    def keep_observed(self, watching: list[Scope], attempt: Attempt, violation: Violation) -> None:
        """Record an attempt that a layer has seen and no guard refuses.

        Args:
            watching: Scopes in off mode whose size does not permit it, and scopes of runs that observe.
            attempt: The attempt.
            violation: Its description.
        """
        breach = any(link.kind.judges for link in watching)
        run = innermost()
        seen = violation._replace(verdict="observed" if breach else "permitted")
        for link in watching:
            if link.kind.observes:
                mine = seen
                if not mine.needs:  # the layer outside of this process does not compute it
                    mine = seen._replace(needs=needed_size(attempt, run.allow if run is not None else ()).value)
                if not self._around.send(link, mine, attempt, late=False, expected=False):
                    add_observed(link, mine, attempt, 1)

    # -- describing ------------------------------------------------------------------------------------------------

    def _describe(
        self,
        scope: Scope,
        charged: Charge,
        attempt: Attempt,
        route: str,
        trace: stack.Trace,
        view: dict[str, Any] = _NOBODYS_VIEW,
    ) -> Violation:
        where_from = self._around.root()
        late = charged.late_for(scope) or ("" if scope.home is None else self._around.late_text())
        thread = "" if origin.on_own_thread(scope) else origin.thread_name()
        if charged.unattributed:
            late = late or f"by a {'thread' if thread else 'greenlet'} that no test is known to have started"
        target, address = _target(scope, attempt)
        at, test = trace.at, trace.test
        return Violation(
            **view,
            kind=attempt.kind._value_,
            target=target,
            route=route,
            reach=attempt.reach._value_,
            address=address,
            location="" if at is None else at.text(where_from),
            function="" if at is None else at.function,
            called_from="" if test is None else test.text(where_from),
            library=trace.library or library_of_route(route),
            cassette=trace.cassette,
            importing=trace.importing,
            thread=thread,
            process=self._around.process_text(),
            late=late,
            request=trace.request,
            replace=trace.replace,
        )

    # -- delivering ------------------------------------------------------------------------------------------------

    def deliver(self, error: BaseException | None, *, expected: bool = False, ended: Scope | None = None) -> None:
        """Mark as delivered what an exception, its causes, contexts and group report; ``ended`` is a scope it ended."""
        self.deliver_all(errors_in(error), expected=expected, ended=ended)

    def deliver_all(
        self, errors: Iterable[NetworkAccessViolationError], *, expected: bool = False, ended: Scope | None = None
    ) -> None:
        """Mark as delivered the attempts that the plugin's own errors report."""
        for ours in errors:
            if ours.records:
                if not ours.violations[0].location:
                    self._locate(ours)
            elif ours.delivery is None:  # the error came from another process: find the records by their key
                self._around.collect()
                scopes = [
                    link for scope in (ended, current.get(), *origin.state.phases) if scope for link in scope.chain
                ]
                counts = {violation.key: violation.count for violation in ours.violations}
                found = {record: counts[key] for s in scopes for key, record in s.records.items() if key in counts}
                ours.delivery = Delivery(found.items()) if found else None
            if ours.delivery is not None:
                ours.delivery.deliver(expected=expected)

    def enter_expecting(self, block: object) -> None:
        """Begin a test runner's block that expects the plugin's errors: ``pytest.raises`` or ``assertRaises``."""
        self._around.collect()
        charged = charge()
        if charged is None or not charged.scopes:
            return
        outer = charged.scopes[0]
        scope = Scope(ScopeKind.EXPECT, None, outer.test, parent=outer, file=outer.file)
        scope.awaits = Expecting([record for link in charged.scopes for record in list(link.records.values())])
        self._expecting[block] = scope
        scope.entered().__enter__()

    def leave_expecting(self, block: object, error: BaseException | None) -> None:
        """End such a block: the error that it caught, if any, delivers everything that was refused inside it."""
        scope = self._expecting.pop(block, None)
        if scope is None or scope.awaits is None:
            self.deliver(error, expected=True)
            return
        scope.entered().__exit__()
        self._around.collect()
        scope.close()
        if error is not None:
            for link, record, times in scope.awaits.deliver(lambda: self.deliver(error, expected=True)):
                self._around.take_back(link, record.violation, times)

    def _locate(self, error: NetworkAccessViolationError) -> None:
        """Fill in the line of an attempt that a worker thread made for a task, from the exception's traceback."""
        scope = current.get() or next(reversed(origin.state.phases), None)
        trace = stack.read_exception(error, "" if scope is None else str(scope.file))
        if trace.at is None:
            return
        facts: dict[str, Any] = {
            "location": trace.at.text(self._around.root()),
            "function": trace.at.function,
            "called_from": "" if trace.test is None else trace.test.text(self._around.root()),
        }
        for record in error.records:
            record.violation = record.violation._replace(library=record.violation.library or trace.library, **facts)
        first, *others = error.violations
        error.violations = (
            first._replace(library=first.library or trace.library, **facts),
            *others,
        )


def add_observed(link: Scope, violation: Violation, attempt: Attempt | None, times: int) -> None:
    """Record what a scope observed, with the number of times."""
    key = (violation.verdict, violation.kind, violation.fixture, violation.process, *violation.key)
    link.records.setdefault(key, Record(violation, attempt)).add(times)


def error_of(records: list[Record], *, undelivered: bool = True) -> NetworkAccessViolationError:
    """Return the error that reports all undelivered attempts of records, usually those whose errors the test caught."""
    error = NetworkAccessViolationError([record.snapshot() for record in records], undelivered=undelivered)
    error.delivery = Delivery.of_the_rest(records)
    error.records = records
    return error


def errors_in(error: BaseException | None) -> list[NetworkAccessViolationError]:
    """Return the plugin's own errors among an exception, its causes, contexts and group."""
    found: list[NetworkAccessViolationError] = []
    seen: set[int] = set()
    pending = [error]
    while pending:
        link = pending.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        if isinstance(link, NetworkAccessViolationError):
            found.append(link)
        pending += [link.__cause__, link.__context__]
        if isinstance(link, BaseExceptionGroup):
            pending += link.exceptions
    return found


def unseen() -> list[Violation]:
    """Return what strict guards of the running phases refused and was not delivered."""
    scopes = {link.serial: link for phase in list(origin.state.phases) for link in phase.chain}
    return [
        record.snapshot()
        for scope in scopes.values()
        if scope.policy is not None and scope.policy.mode is EnforcementMode.STRICT
        for record in scope.undelivered()
    ]


def _read_stack(scope: Scope, *, requests: bool = False) -> stack.Trace:
    awaiting = origin.awaiting_task() if stack.other_threads_stand_still() else None
    task = awaiting or tasks.current() or origin.trio_task()
    outside = scope.outside
    if outside is None and scope.kind is ScopeKind.TEST and scope in origin.state.phases:
        outside = scope.outside = stack.Outside()
    return stack.read(sys._getframe(3), str(scope.file), task, origin.made_at, requests=requests, outside=outside)


def _is_nobodys(trace: stack.Trace, attempt: Attempt) -> bool:
    """Tell whether an attempt is the test runner's own, or a self-test that a library runs when it is imported.

    urllib3 binds [::1] on import, to find out whether the machine has IPv6. It sends nothing and starts no server.
    """
    return trace.aside or (trace.self_test and attempt.kind is Kind.BIND)


def _who_tells(scopes: tuple[Scope, ...]) -> Scope | None:
    """Return the open guard that reports a leftover of a closed guard inside it; None if there is no such guard."""
    modes = [(link, link.policy.mode) for link in scopes if link.kind.judges and link.policy is not None]
    around = [(link, mode) for link, mode in modes if link.open]
    if not around or modes[0][0].open or any(link.home is not None for link, _ in around):
        return None
    left, own = modes[0]
    # What a guard in warn mode let go on fails neither a strict guard around it nor the run.
    instead = left if own is EnforcementMode.WARN else around[0][0]
    return next((link for link, mode in around if mode is own), instead)


def _is_later_step(scopes: list[Scope], attempt: Attempt, violation: Violation) -> bool:
    """Tell whether guards that refuse nothing (warn, observe) have already recorded an earlier step of this attempt."""
    with counting.lock:
        return _take_step(scopes, attempt, violation)


def _take_step(scopes: list[Scope], attempt: Attempt, violation: Violation) -> bool:
    if (label := asked_here()) is not None:
        serials = {link.serial for link in scopes}
        if serials <= label.reported:
            return True
        label.reported |= serials
        return False
    scope = scopes[0]
    name = violation.target.rpartition(":")[0] or violation.target
    if attempt.kind is Kind.LOOKUP or attempt.kind is Kind.REVERSE_LOOKUP:
        if scope.resolved is None:
            scope.resolved = {}
        scope.resolved[name] = min(scope.resolved.get(name, 0) + 1, NAMES_RESOLVED)
        return False
    if scope.resolved is not None and scope.resolved.get(name, 0) > 0 and violation.address:
        scope.resolved[name] -= 1
        return True
    return False


def _as_seen_by(refusal: Refusal, violation: Violation, attempt: Attempt) -> Violation:
    """Return a violation as one guard describes it."""
    return violation._replace(**_view(refusal, attempt))


def _view(refusal: Refusal, attempt: Attempt) -> dict[str, Any]:
    """Return what only one guard says of a violation: its test, its verdict, and the size that would permit it."""
    scope, policy, verdict = refusal
    strict = policy.mode is EnforcementMode.STRICT
    return {
        "test": scope.test,
        "size": "" if policy.size is None else policy.size._value_,
        "fixture": scope.fixture,
        "fixture_home": scope.fixture_home,
        "held_by": scope.held_by,
        "test_size": scope.test_size,
        "guard": scope.guard,
        "verdict": "warned" if not strict else "known" if verdict.known else "refused",
        "needs": needed_size(attempt, policy.allow)._value_,
        "because": verdict.because,
    }


def _target(scope: Scope, attempt: Attempt) -> tuple[str, str]:
    """Return what the test asked for, and the numeric address behind it if that differs."""
    endpoint = attempt.endpoint
    label = asked_here()
    if label is not None and endpoint.family == "ip":
        target = Endpoint(label.host, label.port)
        return str(target), "" if str(target) == str(endpoint) or endpoint.host == label.host else str(endpoint)
    ip = parse_ip(endpoint.host) if endpoint.family == "ip" else None
    name = "" if ip is None else look_ups.shown_name(ip, scope.serial)
    # A connect to a numeric loopback address did not ask for this machine's own name.
    mine = ip is not None and ip.is_loopback and normal_name(name) in own_names() if name else False
    if name and not mine and parse_ip(name) is None:
        return str(Endpoint(name, endpoint.port)), str(endpoint)
    return str(endpoint), ""


def _announce(run: Run, violation: Violation, *, late: bool) -> None:
    if run.decided and late:
        run.announce(f"Network access violation after the run: {violation.test} attempted {line_text(violation)}")
    elif violation.thread and violation.verdict == "refused":  # what went on can't hang a test: the summary is enough
        run.announce(f"{warning_text(violation)} (thread {violation.thread})")


def _warn(record: Record, filename: str, line: int) -> None:
    __tracebackhide__ = True
    run = innermost()
    category = NetworkAccessWarning if run is None else run.warning
    warnings.warn_explicit(warning_text(record.violation), category, filename, line, registry=record.registry)
