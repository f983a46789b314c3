"""The registry: who holds the layers in place, and the judge that they ask; what is on record, and who was told.

``registry`` is the process's one piece of shared state.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._attribution import carriers, origin, stack
from pytest_test_categories._attribution.carriers import signals
from pytest_test_categories._attribution.carriers.exits import Exit
from pytest_test_categories._attribution.origin import Asked, Charge, Scope, ScopeKind, asked, charge, current
from pytest_test_categories._host.names import look_ups, own_names, reach_of_address
from pytest_test_categories._host.system import System
from pytest_test_categories._host.wrapping import EntryPoint, install_all, remove_all
from pytest_test_categories._ledger.records import Delivery, Expecting, Record
from pytest_test_categories._ledger.runs import Run, runs
from pytest_test_categories._processes import pools, programs
from pytest_test_categories._processes.forked import ChildReports
from pytest_test_categories._processes.spool import Spawned
from pytest_test_categories._rules.address import Endpoint, Reach, is_local_ip, normal_name, parse_ip
from pytest_test_categories._rules.errors import (
    HermeticityViolationError,
    NetworkAccessViolationError,
    NetworkAccessWarning,
    library_of_route,
    line_text,
    warning_text,
)
from pytest_test_categories._rules.policy import (
    Attempt,
    EnforcementMode,
    Kind,
    Policy,
    TestSize,
    decide,
    needed_size,
    refuses,
)
from pytest_test_categories._rules.violation import Violation
from pytest_test_categories._watch import audit, clients, connections, sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

    from pytest_test_categories._processes.inherited import Inherited
    from pytest_test_categories._watch import Outside, Sight

MEMO_ENTRIES: Final = 1024


class Registry:
    """The guards of this process, and the judge."""

    def __init__(self) -> None:
        self.runs: list[Run | None] = runs
        self.holders = 0
        self._kept = 0  # holds of runs that have ended before threads of their tests
        self._ended: Run | None = None
        self._lock = threading.RLock()
        self._entry_points: list[EntryPoint] = []
        self._children: ChildReports | None = None
        self._spawned = Spawned(self._companions)
        self._expecting: weakref.WeakKeyDictionary[object, Expecting] = weakref.WeakKeyDictionary()
        self.process: Inherited | None = None
        self.outside: Outside | None = None
        self.exit = Exit(self.hold, self.release)

    @property
    def run(self) -> Run | None:
        """The innermost test runner's session that watches, if there is one."""
        return next((run for run in reversed(self.runs) if run is not None), None)

    def _on_record(self) -> None:
        for run in self.runs:  # a run inside a guarded test may put something on record for the test
            if run is not None:
                run.on_record()

    def hold(self) -> None:
        """Put the layers in place, or note that one more wants them there."""
        with self._lock:
            while self._kept and not origin.threads_left():
                self._kept -= 1
                self.release()
            self.holders += 1
            if not self._entry_points:  # made once: each knows its own wrapper again when a late undo brings it back
                self._entry_points = [
                    *sockets.entry_points(self.judge, self.remember),
                    *programs.entry_points(self.hand_down, self.hand_over),
                    *pools.entry_points(self.hand_to_job),
                    *sockets.rows_around_programs(self.judge),
                    *carriers.ENTRY_POINTS,
                    *_delivery_points(),
                ]
            replaced = sockets.replaced()
            if replaced:
                self._entry_points += sockets.entry_points_of_replacement(self.judge, self.remember)
            if self.holders == 1 or replaced:
                install_all(self._entry_points)
            if self.holders == 1:
                audit.activate(self.judge, sockets.opened(self.judge))
                clients.activate(self.judge, self.remember)
                stack.exempt_codes.update(sockets.exempt_codes())
                if sockets.is_exempt not in stack.stands_aside:
                    stack.stands_aside.append(sockets.is_exempt)

    def leave(self, run: Run, largest: Policy | None = None) -> bool:
        """Take away what a run held; False if threads of its tests live on, to be refused for as long as they do.

        Args:
            run: The run that ends.
            largest: What its tests were held to at most: the end of the process will be.
        """
        self.runs.remove(run)
        if largest is not None and not self.runs:
            self._ended = run
            self.exit.narrow(largest)
        threads = origin.threads_left()
        if threads:
            self._ended = run
            self._kept += 1
        else:
            self.release()
        return not threads

    def release(self) -> None:
        """Take the layers away with the last one who wanted them."""
        with self._lock:
            self.holders -= 1
            if self.holders == 0:
                audit.deactivate()
                clients.deactivate()
                remove_all(self._entry_points)
                look_ups.clear()
                connections.forget()
                origin.forget()
                signals.forget()
                self._spawned.close()
                if self._children is not None:
                    self._children.close()
                    self._children = None

    # -- judging ---------------------------------------------------------------------------------------------------

    def judge(
        self,
        kind: Kind,
        route: str,
        family: int,
        address: Any,
        sock: Any,
        read: Callable[[Kind, int, Any], Sight | None],
    ) -> bool:
        """Judge one attempt; returns if it may go on: True if some guard restricts what it leads to.

        Args:
            kind: What sort of access it is.
            route: The entry point, for reports.
            family: Address family, as the socket module numbers them.
            address: The address as the call has it.
            sock: The socket, closed when a connect or bind is refused.
            read: Makes an endpoint of family and address; None if such calls are not judged.

        Raises:
            NetworkAccessViolationError: A strict guard refuses it.
        """
        __tracebackhide__ = True
        key = (kind, family, address)
        scope = current.get()
        plain = type(address) is tuple and bool(address) and type(address[0]) is str
        if plain and scope is not None and scope.open:
            try:
                if key in scope.memo:
                    return False
            except TypeError:  # an unhashable address: the call itself will say what is wrong with it
                pass
        charged = charge()
        if charged is None or not charged.scopes:
            self._vouch(kind, (), Reach.BEYOND)
            return False
        sight = read(kind, family, address)
        if sight is None:
            return False
        ip = parse_ip(sight.endpoint.host) if sight.endpoint.family == "ip" else None
        reach = sight.reach if sight.reach is not None or ip is None else reach_of_address(ip)
        attempt = Attempt(kind, sight.endpoint, reach or Reach.BEYOND, () if ip is None else look_ups.names_of(ip))
        refusing = []
        watching: list[Scope] = []
        unrestricted, on_record = True, False
        for link in charged.scopes:
            policy = link.policy
            if policy is None:
                unrestricted = False
                continue
            if link.observe is not None:
                unrestricted = False
                link.observe(attempt)
            if not decide(policy, attempt).permitted:
                if policy.mode is EnforcementMode.OFF:  # nothing is enforced, but somebody wants to know
                    unrestricted = False
                    watching.append(link)
                elif kind is Kind.REUSE and connections.is_reported(sock, link.serial):
                    on_record = True  # as this socket's connect: another socket there is news
                else:
                    refusing.append(link)
            elif policy.size is None or policy.size.rank < TestSize.LARGE.rank:
                unrestricted = False
        if not refusing and watching and watching[-1].kind.observes:
            self._observe(watching, charged, attempt, route)
            self._vouch(kind, (), attempt.reach)
            return True
        if not refusing:
            # A datagram socket's connect sends nothing; its key is that of a stream's, which does: never remembered.
            sends = kind is not Kind.CONNECT or attempt.reach is not Reach.NOWHERE
            if plain and sends and not on_record and (unrestricted or (ip is not None and is_local_ip(ip))):
                self._memoize(scope, charged, key, attempt)
            self._vouch(kind, charged.scopes, attempt.reach)
            return not unrestricted
        self._refuse(refusing, charged, attempt, route, sock)
        self._vouch(kind, (), attempt.reach)  # warned about, or nobody's: it goes on
        return True

    def _vouch(self, kind: Kind, scopes: tuple[Scope, ...], reach: Reach) -> None:
        if self.outside is not None:
            self.outside.vouch(kind, scopes, reach)

    def _memoize(self, scope: Scope | None, charged: Charge, key: object, attempt: Attempt) -> None:
        if scope is None or charged.scopes[0] is not scope:
            return
        if any(link.observe is not None for link in charged.scopes):
            return
        with contextlib.suppress(TypeError):
            if len(scope.memo) < MEMO_ENTRIES:
                scope.memo.add(key)
            # One that wants to hear of each call empties the memos when it says so: it may just have done that.
            if self.outside is not None and not self.outside.agrees(attempt.kind, charged.scopes, attempt.reach):
                scope.memo.discard(key)

    def _refuse(self, refusing: list[Scope], charged: Charge, attempt: Attempt, route: str, sock: Any) -> None:
        __tracebackhide__ = True
        label = asked.get()
        if label is not None and any(link.policy is not None and link.policy.known for link in refusing):
            # The baseline knows it by what was asked for, whatever the look-up answered.
            attempt = attempt._replace(asked=str(Endpoint(label.host, label.port)))
        strict = next((s for s in refusing if s.policy is not None and refuses(s.policy, attempt)), None)
        trace = stack.read(
            sys._getframe(2), str(refusing[0].file), origin.awaiting_task() or origin.current_task(), origin.made_at()
        )
        # urllib3 binds [::1] when it is imported, to see whether there is IPv6. Nothing is sent, and nobody serves.
        if trace.aside or (trace.self_test and attempt.kind is Kind.BIND):
            return
        violation = self._describe(refusing[0], charged, attempt, route, trace)
        # What is refused ends there; only what went on has later steps.
        counted = strict is not None or not self._same_attempt(label, refusing, attempt, violation)
        records, delivery, expected = self._put_on_record(refusing, charged.scopes, attempt, violation, counted=counted)
        if strict is None:
            if attempt.kind is Kind.CONNECT:
                connections.note_reported(sock, {link.serial for link in refusing})
            # A program's output may be read by the test: where the guard was handed down, it only records.
            if counted and not expected and refusing[0].kind is not ScopeKind.COLLECT and refusing[0].home is None:
                try:
                    self._warn(records[0], trace)
                except Warning:  # under -W error the call ends here, as a strict one does
                    _close_refused(attempt, sock)
                    raise
            return
        record = records[refusing.index(strict)]
        _close_refused(attempt, sock)
        error = NetworkAccessViolationError(record.violation)
        error.records, error.delivery = records, delivery
        raise error

    def _put_on_record(
        self,
        refusing: list[Scope],
        scopes: tuple[Scope, ...],
        attempt: Attempt,
        violation: Violation,
        *,
        counted: bool = True,
    ) -> tuple[list[Record], Delivery, bool]:
        """Record a violation for each scope that refuses; return the records, their delivery, if it was expected."""
        # Whoever said that refusals are expected here takes this one.
        seen_by = [link for link in scopes if link.kind.expects and link.open]
        records = []
        for link in refusing:
            mine = violation
            if link is not refusing[0] or not violation.needs:  # the layer outside of this process leaves that to us
                mine = _of(violation, link, attempt)
            if not (mine.late or link.open or link.held):  # an open guard of another thread or task outlived it
                mine = _replace(mine, late=origin.late_text(link, "a guard"))
            records.append(self._record(link, mine, attempt, counted=counted, expected=bool(seen_by)))
        for record in records:
            if len(record.same_attempt) < len(records):
                record.same_attempt = records
        delivery = Delivery([(record, 1) for record in records] if counted else ())
        for link in seen_by:
            inside = link.records.setdefault(violation.key, Record(violation, attempt))
            inside.count += counted
            delivery.deliver(expected=True)
            if link.home is not None:
                self._spawned.send(link.home, violation, attempt, late=False, expected=True)
            elif self._children is not None and self._children.is_child:
                self._children.send(link.serial, violation, late=False, expected=True)
        return records, delivery, bool(seen_by)

    def take_from_outside(
        self, refusing: list[Scope], scopes: tuple[Scope, ...], attempt: Attempt, violation: Violation
    ) -> None:
        """Put on record what another process has seen, and judged by what held for ``scopes``."""
        records, _, expected = self._put_on_record(refusing, scopes, attempt, violation)
        strict = any(s.policy is not None and refuses(s.policy, attempt) for s in refusing)
        if not strict and not expected and refusing[0].kind is not ScopeKind.COLLECT:
            self._warn(records[0], stack.Trace())

    # -- observing -------------------------------------------------------------------------------------------------

    def _observe(self, watching: list[Scope], charged: Charge, attempt: Attempt, route: str) -> None:
        """Note an attempt that goes on, for those who want to know of all."""
        file = str(charged.scopes[0].file)
        trace = stack.read(sys._getframe(2), file, origin.awaiting_task() or origin.current_task(), origin.made_at())
        if trace.aside or (trace.self_test and attempt.kind is Kind.BIND):
            return
        label = asked.get()
        part: list[Scope] = []  # of one run: a run inside a test has scopes of its own, and so has the one around it
        for link in charged.scopes:
            part.append(link)
            if link.kind.observes and link in watching:
                scope = next(one for one in part if one.policy is not None)
                violation = self._describe(scope, charged, attempt, route, trace)
                if not self._same_attempt(label, [link], attempt, violation):
                    self.observe([one for one in part if one in watching], attempt, violation)
            if link.kind.observes:
                part = []

    def observe(self, watching: list[Scope], attempt: Attempt, violation: Violation) -> None:
        """Note what a layer has seen, and nobody refuses.

        Args:
            watching: Scopes in off mode whose size does not permit it, and those of runs that observe.
            attempt: What was seen.
            violation: The same, described.
        """
        breach = any(link.kind.judges for link in watching)
        seen = violation._replace(verdict="observed" if breach else "permitted")
        for link in watching:
            if not link.kind.observes:
                continue
            mine = seen
            if not mine.needs:  # the layer outside of this process leaves that to us
                mine = seen._replace(needs=needed_size(attempt, self.run.allow if self.run is not None else ()).value)
            if link.home is not None:
                self._spawned.send(link.home, mine, attempt, late=False, expected=False)
            elif self._children is not None and self._children.is_child:
                self._children.send(link.serial, mine, late=False, expected=False)
            else:
                self._keep_observed(link, mine, attempt, 1)

    @staticmethod
    def _keep_observed(link: Scope, violation: Violation, attempt: Attempt | None, times: int) -> None:
        key = (violation.verdict, violation.kind, violation.fixture, violation.process, *violation.key)
        link.records.setdefault(key, Record(violation, attempt)).count += times

    def _same_attempt(self, label: Asked | None, refusing: list[Scope], attempt: Attempt, violation: Violation) -> bool:
        """Tell whether a warn guard has this attempt on record already, from an earlier step of it."""
        if label is not None:
            serials = {link.serial for link in refusing}
            if serials <= label.reported:
                return True
            label.reported |= serials
            return False
        scope = refusing[0]
        name = violation.target.rpartition(":")[0] or violation.target
        if attempt.kind is Kind.LOOKUP or attempt.kind is Kind.REVERSE_LOOKUP:
            if scope.resolved is None:
                scope.resolved = {}
            scope.resolved[name] = min(scope.resolved.get(name, 0) + 1, MEMO_ENTRIES)
            return False
        if scope.resolved is not None and scope.resolved.get(name, 0) > 0 and violation.address:
            scope.resolved[name] -= 1
            return True
        return False

    def _record(self, scope: Scope, violation: Violation, attempt: Attempt, *, counted: bool, expected: bool) -> Record:
        run = self.run or self._ended
        late = bool(violation.late)
        into = scope.records
        if late and run is not None:
            into = run.late
        elif late:
            into = scope.late = scope.late or {}
        record = into.get(violation.key)
        if record is None and not counted:  # a further step of an attempt that is on record, of another kind
            record = next((one for one in list(into.values()) if _is_step_of(violation, one.violation)), None)
        new = record is None
        if record is None:
            if len(into) >= origin.RECORDS_PER_SCOPE:
                violation = _replace(violation, target="further targets", location="", function="")
                record = into.get(violation.key)
            if record is None:
                fresh = Record(violation, attempt)
                record = into.setdefault(violation.key, fresh)  # another thread may have been quicker
                new = record is fresh
        if counted or new:
            record.count += 1
        if new:
            self._on_record()
        if scope.home is not None:
            if counted or new:
                self._spawned.send(scope.home, record.violation, attempt, late=late, expected=expected)
        elif self._children is not None and self._children.is_child:
            self._children.send(scope.serial, record.violation, late=late, expected=expected)
        elif new and run is not None:
            self._announce(run, violation, late=late)
        return record

    def _announce(self, run: Run, violation: Violation, *, late: bool) -> None:
        if run.decided and late:
            run.announce(f"Network access violation after the run: {violation.test} attempted {line_text(violation)}")
        elif violation.thread:
            run.announce(f"{warning_text(violation)} (thread {violation.thread})")

    def _warn(self, record: Record, trace: stack.Trace) -> None:
        run = self.run
        category = NetworkAccessWarning if run is None else run.warning
        filename, line = (trace.at.filename, trace.at.line) if trace.at is not None else ("<unknown>", 0)
        warnings.warn_explicit(warning_text(record.violation), category, filename, line, registry=record.registry)

    def _describe(self, scope: Scope, charged: Charge, attempt: Attempt, route: str, trace: stack.Trace) -> Violation:
        where_from = root()
        late = charged.late or ("" if self.process is None or scope.home is None else self.process.late)
        thread = ""
        if not origin.on_own_thread(scope):
            thread = origin.thread_name()
        if charged.unattributed:
            late = late or f"by a {'thread' if thread else 'greenlet'} that no test is known to have started"
        target, address = self._target(scope, attempt)
        size = scope.policy.size if scope.policy is not None else None
        where = (trace.at.text(where_from), trace.at.function) if trace.at is not None else ("", "")
        return Violation(
            test=scope.test,
            size="" if size is None else size._value_,
            kind=attempt.kind._value_,
            target=target,
            route=route,
            reach=attempt.reach._value_,
            address=address,
            location=where[0],
            function=where[1],
            called_from="" if trace.test is None else trace.test.text(where_from),
            library=trace.library or library_of_route(route),
            cassette=trace.cassette,
            importing=trace.importing,
            thread=thread,
            process=self._process_text(),
            fixture=scope.fixture,
            held_by=scope.held_by,
            guard=scope.guard,
            late=late,
            verdict=_verdict(scope, attempt),
            needs=needed_size(attempt, scope.policy.allow if scope.policy is not None else ()).value,
        )

    def _process_text(self) -> str:
        if self.process is not None:
            return f"child process {os.getpid()}: {self.process.command()}"
        return f"child process {os.getpid()}" if self._children is not None and self._children.is_child else ""

    def _target(self, scope: Scope, attempt: Attempt) -> tuple[str, str]:
        """Return what the test asked for, and the numeric address behind it if that differs."""
        endpoint = attempt.endpoint
        label = asked.get()
        if label is not None and endpoint.family == "ip":
            target = Endpoint(label.host, label.port)
            return str(target), "" if str(target) == str(endpoint) or endpoint.host == label.host else str(endpoint)
        ip = parse_ip(endpoint.host) if endpoint.family == "ip" else None
        name = "" if ip is None else look_ups.shown_name(ip, scope.serial)
        # This machine's own name is not what somebody asked for who connects to loopback by number.
        mine = ip is not None and ip.is_loopback and normal_name(name) in own_names() if name else False
        if name and not mine and parse_ip(name) is None:
            return str(Endpoint(name, endpoint.port)), str(endpoint)
        return str(endpoint), ""

    # -- remembering and delivering --------------------------------------------------------------------------------

    def remember(self, name: str, addresses: list[str]) -> None:
        """Keep what a permitted look-up answered, for those who are charged with it here and now."""
        charged = charge()
        if charged is None or not charged.scopes:
            return
        # Every guard around permitted it, each by an entry of its own: the addresses satisfy those entries, no others.
        allow = tuple(entry for scope in charged.scopes if scope.policy is not None for entry in scope.policy.allow)
        look_ups.remember(name, allow, addresses, charged.scopes[0].serial)
        if self.outside is not None:
            self.outside.remember(name, allow, addresses)

    def deliver(self, error: BaseException | None, *, expected: bool = False, ended: Scope | None = None) -> None:
        """Mark as delivered what an exception, which may end a scope, is or carries in causes, context and group."""
        for ours in _our_errors(error):
            self._deliver_error(ours, expected=expected, ended=ended)

    def enter_expecting(self, block: object) -> None:
        """Note that a block of a test runner's begins that expects our errors: ``pytest.raises``, ``assertRaises``."""
        self.collect_children()
        self._expecting[block] = Expecting(self._records_here())

    def leave_expecting(self, block: object, error: BaseException | None) -> None:
        """End such a block: the error that it has caught, if any, tells of all that was refused inside of it."""
        expecting = self._expecting.pop(block, None)
        if error is None:
            return
        self.collect_children()
        self.deliver(error, expected=True)
        if expecting is not None:
            expecting.deliver(self._records_here())

    @staticmethod
    def _records_here() -> list[Record]:
        charged = charge()
        scopes = () if charged is None else charged.scopes
        return [record for scope in scopes for record in list(scope.records.values())]

    def unseen(self) -> list[Violation]:
        """Return what strict guards have refused in this process, and nobody was told of; nothing in its children."""
        if self.process is not None or (self._children is not None and self._children.is_child):
            return []
        scopes = {link.serial: link for phase in origin.phases for link in phase.chain}
        return [
            record.snapshot()
            for scope in scopes.values()
            if scope.policy is not None and scope.policy.mode is EnforcementMode.STRICT
            for record in scope.undelivered()
        ]

    def errors_in(self, error: BaseException | None) -> list[NetworkAccessViolationError]:
        """Return those of our errors that an exception is or carries."""
        return list(_our_errors(error))

    def _deliver_error(self, error: NetworkAccessViolationError, *, expected: bool, ended: Scope | None) -> None:
        if error.records:
            if not error.violations[0].location:
                self._locate(error)
            error.delivery.deliver(expected=expected)
            return
        # One that came back from another process: find the records by what they say.
        self.collect_children()
        scopes = [link for scope in (ended, current.get(), *origin.phases) if scope for link in scope.chain]
        if error.delivery is None:
            counts = {violation.key: violation.count for violation in error.violations}
            found = {record: counts[key] for s in scopes for key, record in s.records.items() if key in counts}
            error.delivery = Delivery(found.items()) if found else None
        if error.delivery is not None:
            error.delivery.deliver(expected=expected)

    def _locate(self, error: NetworkAccessViolationError) -> None:
        """Fill in the line of an attempt that a worker thread made for a task: the exception has passed it since."""
        scope = current.get() or (origin.phases[-1] if origin.phases else None)
        trace = stack.read_exception(error, "" if scope is None else str(scope.file))
        if trace.at is None:
            return
        facts: dict[str, Any] = {
            "location": trace.at.text(root()),
            "function": trace.at.function,
            "called_from": "" if trace.test is None else trace.test.text(root()),
        }
        for record in error.records:
            record.violation = record.violation._replace(library=record.violation.library or trace.library, **facts)
        first, *others = error.violations
        error.violations = (
            first._replace(library=first.library or trace.library, **facts),
            *others,
        )

    # -- child processes -------------------------------------------------------------------------------------------

    def hand_down(self, argv: Sequence[Any], files: Sequence[Any], count: bool) -> str | None:
        """Return what a program that is started here and now is handed; None if nothing holds it to anything."""
        if not self.holders:
            return None
        return self._spawned.hand_down(argv, files, root(), self.run, count=count)

    def hand_to_job(self) -> str:
        """Return what a job is handed that is submitted to a process pool here and now."""
        return self._spawned.hand_to_job(root()) if self.holders else ""

    def take_job(self, handed: Any) -> None:
        """Hold this process, a pool's worker, to a job; None between jobs."""
        from pytest_test_categories._processes.inherited import Inherited

        if self.process is None:
            self.process = Inherited()
        if handed is not None and not self.holders:
            self.hold()
        self._spawned.tell_rest()
        self.process.take_job(handed)

    def hand_over(self, argv: Sequence[Any], files: Sequence[Any], count: bool) -> str | None:
        """Return what a program is handed that takes this process's place.

        Nobody is left here to be told of what it is refused: a layer outside of this process is, and says it itself.
        """
        forked = self._children is not None and self._children.is_child
        if self.outside is not None and self.process is None and not forked:
            return None
        return self.hand_down(argv, files, count)

    def _companions(self) -> tuple[str, str]:
        # Children wait for the modules that have entry points of layers, but for those that they know themselves.
        waiting = {entry.module for entry in self._entry_points}.union(clients.modules())
        loads = sorted(waiting - _KNOWN_TO_CHILDREN)
        wrapt = getattr(sys.modules.get("wrapt"), "__file__", None) or ""
        return os.path.dirname(os.path.dirname(wrapt)), ",".join(loads)

    def inherit(self, child: ModuleType) -> None:
        """Be a process that a guarded one has started: hold it to what it was handed, for as long as it lives."""
        from pytest_test_categories._processes.inherited import Inherited

        child.take_down()
        self.process = Inherited()
        self.process.adopt(child.handed)
        self.hold()
        child.attached(self, {entry.name: entry.wrapper for entry in self._entry_points if entry.module == "socket"})

    def unwatched(self, run: Run) -> dict[str, Any]:
        """Return what a run's tests have started that nobody watches, as JSON-safe counts."""
        self.collect_children()
        return self._spawned.unwatched(run, self.collect_children)

    def before_fork(self) -> None:
        """Make sure that a forked child can tell us what it was refused."""
        if not self.holders:
            return
        with contextlib.suppress(OSError, ImportError):  # no descriptor is left: a fork is to work all the same
            self._spawned.expect_fork()
        if self._children is None:
            self._children = ChildReports(self._spawned.keep)
        found = charge()
        around = () if found is None else found.scopes
        for scope in (*around, *(link for phase in origin.phases for link in phase.chain)):
            self._children.scopes[scope.serial] = self._spawned.scopes[scope.serial] = scope

    def after_fork_in_child(self) -> None:
        """Become a child: records go to the parent from now on."""
        self._lock = threading.RLock()
        look_ups.lock = threading.RLock()
        origin.renumber(os.getpid())
        self._spawned.after_fork_in_child()
        if self._children is not None:  # it may be a grandchild's, whose parent was a child already
            self._children.become_child()

    def collect_children(self) -> None:
        """Take in what child processes were refused, and what the layer outside of this process has seen."""
        if self._children is not None or self._spawned.started:  # asked at the end of each phase: nothing, as a rule
            self._collect_started()
        if self.outside is not None:
            self.outside.take()

    def _collect_started(self) -> None:
        """Take in what child processes were refused; what no live scope claims is late."""
        told = [(report, self._spawned.scopes) for report in self._spawned.receive()]
        if self._children is not None and not self._children.is_child:
            told += [(report, self._children.scopes) for report in self._children.receive()]
        run = self.run
        for report, scopes in told:
            violation = report.violation
            scope = scopes.get(report.serial)
            if report.serial in self._spawned.expecting and (scope is None or not scope.open):
                continue  # a child outlived who expected its refusal: the guards around tell of it
            if scope is not None and scope.kind.observes:
                self._keep_observed(scope, violation, report.attempt, report.times)
                continue
            others = [other() for other in scopes.valuerefs()] if report.expected else []
            expected = any(other is not None and other.kind.expects and other.open for other in others)
            if scope is not None and (scope.open or scope.held) and not report.late:
                into = scope.records
            elif run is not None and not (scope is None and report.serial > origin.OWN_SERIALS):
                into = run.late
                reason = violation.late or f"by a child process of {violation.test} that outlived it"
                violation = _replace(violation, late=reason)
            else:
                continue
            record = into.setdefault(violation.key, Record(violation, report.attempt))
            record.count += report.times
            if expected:
                Delivery([(record, report.times)]).deliver(expected=True)
            self._on_record()


def _close_refused(attempt: Attempt, sock: Any) -> None:
    """Close what a refused call leaves in its caller's hands: the error is none that callers clean up after."""
    if (attempt.kind is Kind.CONNECT or attempt.kind is Kind.BIND) and sock is not None:
        sock.close()


def _our_errors(error: BaseException | None) -> Iterator[NetworkAccessViolationError]:
    seen: set[int] = set()
    pending = [error]
    while pending:
        link = pending.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        if isinstance(link, NetworkAccessViolationError):
            yield link
        pending += [link.__cause__, link.__context__]
        if isinstance(link, BaseExceptionGroup):
            pending += link.exceptions


def _is_step_of(violation: Violation, other: Violation) -> bool:
    return violation._replace(kind=other.kind, verdict=other.verdict).key == other.key


def _replace(violation: Violation, **changes: Any) -> Violation:
    return violation._replace(**changes)


def _verdict(scope: Scope, attempt: Attempt) -> str:
    if scope.policy is None or scope.policy.mode is not EnforcementMode.STRICT:
        return "warned"
    return "refused" if refuses(scope.policy, attempt) else "known"


def _of(violation: Violation, scope: Scope, attempt: Attempt) -> Violation:
    """Return a violation as another guard, further out, sees it."""
    size = scope.policy.size if scope.policy is not None else None
    return _replace(
        violation,
        test=scope.test,
        size="" if size is None else size.value,
        fixture=scope.fixture,
        held_by=scope.held_by,
        guard=scope.guard,
        verdict=_verdict(scope, attempt),
        needs=needed_size(attempt, scope.policy.allow if scope.policy is not None else ()).value,
    )


def root() -> str:
    """Return the directory that paths in reports are relative to."""
    if registry.run is not None:
        return registry.run.root
    return System.getcwd() if registry.process is None else registry.process.root


def names_our_class(expected: object) -> bool:
    """Tell whether what a ``raises`` or ``assertRaises`` expects names one of our exceptions."""
    if isinstance(expected, tuple):
        return any(names_our_class(one) for one in expected)
    return isinstance(expected, type) and issubclass(expected, HermeticityViolationError)


def _assert_raises_exit(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    caught = wrapped(*args, **kwargs)
    if names_our_class(instance.expected):
        registry.leave_expecting(instance, args[1] if caught and len(args) > 1 else None)
    return caught


def _assert_raises_enter(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    if names_our_class(instance.expected):
        registry.enter_expecting(instance)
    return wrapped(*args, **kwargs)


def _exit_at_once(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Say what a test was refused that ends the run's own process by ``os._exit``: nobody will ask any more."""
    status = args[0] if args else kwargs.get("status")
    unseen = registry.unseen() if isinstance(status, int) else []
    run = registry.run
    if not unseen or run is None:
        return wrapped(*args, **kwargs)
    lines = [f"    {violation.target} in {violation.test}" for violation in unseen]
    title = " test categories (strict) ".center(80, "=")
    run.announce("\n".join([title, "network violations of a test that ended the run's own process:", *lines]))
    return wrapped(status or 1)


def _delivery_points() -> list[EntryPoint]:
    return [
        EntryPoint("unittest.case", "_AssertRaisesContext.__enter__", _assert_raises_enter),
        EntryPoint("unittest.case", "_AssertRaisesContext.__exit__", _assert_raises_exit),
        EntryPoint("os", "_exit", _exit_at_once),
    ]


# Those of ``_attribution`` and of delivery matter once there is something to charge or deliver, and those of
# ``connections`` once something has connected.
_KNOWN_TO_CHILDREN: Final = frozenset(
    {
        *pools.MODULES,
        "_posixsubprocess",
        "_thread",
        "_winapi",
        "anyio._backends._asyncio",
        "asyncio.base_events",
        "asyncio.unix_events",
        "concurrent.futures.thread",
        "gevent.greenlet",
        "gevent.threadpool",
        "greenlet",
        "multiprocessing.connection",
        "multiprocessing.spawn",
        "os",
        "signal",
        "socket",
        "ssl",
        "subprocess",
        "threading",
        "trio._core._thread_cache",
        "trio._socket",
        "unittest.case",
    }
)

registry: Final = Registry()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=registry.before_fork, after_in_child=registry.after_fork_in_child)

# In a process that a guarded one has started, this is what it began with.
if (_child := sys.modules.get("pytest_test_categories_child")) is not None:
    registry.inherit(_child)
