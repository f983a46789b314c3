"""The runtime: installs and removes the layers, and connects the other parts.

``runtime`` holds the state that the whole process shares: the judge that layers ask, the ledger that the judge writes
to, and the connections to parent and child processes.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._attribution import carriers, origin
from pytest_test_categories._attribution.carriers import signals
from pytest_test_categories._attribution.carriers.exits import Exit
from pytest_test_categories._attribution.origin import charge
from pytest_test_categories._host.imports import on_import
from pytest_test_categories._host.names import look_ups
from pytest_test_categories._host.system import System
from pytest_test_categories._host.wrapping import EntryPoint, install_all, remove_all, writing
from pytest_test_categories._judge import Judge
from pytest_test_categories._ledger import expecting
from pytest_test_categories._ledger.ledger import Ledger, add_observed, unseen
from pytest_test_categories._ledger.records import NOWHERE, Delivery, Record, counting
from pytest_test_categories._ledger.runs import Run, innermost, runs
from pytest_test_categories._processes import jobs, pools, programs
from pytest_test_categories._processes.forked import ChildReports
from pytest_test_categories._processes.spool import Spawned
from pytest_test_categories._watch import audit, clients, connections, sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from pytest_test_categories._attribution.origin import Scope
    from pytest_test_categories._processes.inherited import Inherited
    from pytest_test_categories._rules.policy import Attempt, Policy
    from pytest_test_categories._rules.violation import Violation


class Runtime:
    """The shared state of one process.

    Attributes:
        ledger: The attempts on record.
        judge: Decides about attempts that layers report.
        holders: How many guards and runs need the layers in place.
        process: What this process received from its parent, if a guarded process started it.
        exit: Enforces a size at the end of the process.
    """

    def __init__(self) -> None:
        self.ledger = Ledger(self)
        self.judge = Judge(self.ledger)
        self.holders = 0
        self._kept = 0  # holds of runs that ended before all threads of their tests did
        self._lock = threading.RLock()
        self._collecting = threading.RLock()
        self._entry_points: list[EntryPoint] = []
        self._children: ChildReports | None = None
        self._loads: tuple[object, str] = (None, "")  # what children wait for, and what it was made from
        self._spawned = Spawned(self._companions)
        self._spawned.offers_fakes = self.offers_fakes
        self.process: Inherited | None = None
        self.exit = Exit(self.hold, self.collect, self.release)

    def hold(self) -> None:
        """Put the layers in place, or count one more holder."""
        with self._lock:
            while self._kept and not origin.threads_left():
                self._kept -= 1
                self.release()
            self.holders += 1
            if not self._entry_points:  # made once: each recognizes its own wrapper if a late undo brings it back
                self._entry_points = [
                    *sockets.entry_points(self.judge.ask, self.remember),
                    *programs.entry_points(
                        self.hand_down, self.hand_over, self._companions, self.start, self.note_interpreter
                    ),
                    *pools.entry_points(self.hand_to_job),
                    *connections.rows_around_programs(self.judge.ask),
                    *carriers.ENTRY_POINTS,
                    *expecting.entry_points(self.ledger),
                    EntryPoint("os", "_exit", _exit_at_once),
                ]
                on_import("socket", lambda _module: self._watch_again())
            if sockets.replaced():
                self._watch_again()
            if self.holders == 1:
                install_all(self._entry_points)
                audit.hook.start(self.judge.ask, connections.Sends(self.judge.ask).check_file)
                clients.start(self.judge.ask, self.remember)
                sockets.set_aside()

    def _watch_again(self) -> None:
        """Watch the new classes of a socket module that was executed again, if there are any."""
        rows = sockets.entry_points_of_replacement(self.judge.ask, self.remember)
        self._entry_points += rows
        if self.holders:
            install_all(rows)
        if not self.holders:  # the last guard has ended meanwhile, in another thread
            remove_all(rows)

    def leave(self, run: Run, largest: Policy | None = None) -> bool:
        """Remove the layers of a run that ends; False if threads of its tests are still alive and stay guarded.

        Args:
            run: The run that ends.
            largest: The policy of its largest test, which then holds for the end of the process.
        """
        runs.remove(run)
        if largest is not None and not runs:
            self.ledger.ended = run
            self.exit.narrow(largest)
        threads = origin.threads_left()
        if threads:
            self.ledger.ended = run
            with self._lock:
                self._kept += 1
        else:
            self.release()
        return not threads

    def release(self) -> None:
        """Count one holder less, and remove the layers with the last one."""
        with self._lock:
            self.holders -= 1
            if self.holders == 0:
                audit.hook.stop()
                clients.stop()
                sockets.unset_aside()
                remove_all(self._entry_points)
                look_ups.clear()
                connections.forget()
                origin.forget()
                signals.forget()
                self._spawned.close()
                if self._children is not None:
                    self._children.close()
                    self._children = None

    # -- what layers and guards ask ---------------------------------------------------------------------------------

    def remember(self, name: str, addresses: list[str]) -> None:
        """Keep the answer of a permitted look-up for the guards that it is charged to."""
        charged = charge()
        if charged is None or not charged.scopes:
            return
        # Every guard around permitted it, each by its own allow entry: the addresses satisfy those entries only.
        allow = tuple(entry for scope in charged.scopes if scope.policy is not None for entry in scope.policy.allow)
        look_ups.remember(name, allow, addresses, charged.scopes[0].serial)
        if (outside := self.judge.outside) is not None:
            outside.remember(name, allow, addresses)

    def unseen(self) -> list[Violation]:
        """Return what strict guards of this process refused and was not delivered; nothing in child processes."""
        return unseen() if self.process is None and not self._is_child() else []

    # -- the processes around, as the ledger asks ------------------------------------------------------------------

    def root(self) -> str:
        """Return the directory that paths in reports are relative to."""
        if (run := innermost()) is not None:
            return run.root
        return System.getcwd() if self.process is None else self.process.root

    def process_text(self) -> str:
        """Return the name of this process in reports; empty for the process that the run began in."""
        if self.process is not None:
            return f"child process {os.getpid()}: {self.process.command()}"
        return f"child process {os.getpid()}" if self._is_child() else ""

    def offers_fakes(self) -> bool:
        """Tell whether a refused client's request is read, along with what a fake can replace."""
        if (run := innermost()) is not None:
            return run.fakes
        return self.process is None or self.process.fakes

    def late_text(self) -> str:
        """Return why attempts of this process are late; empty if they are not."""
        return "" if self.process is None else self.process.late

    def send(self, scope: Scope, violation: Violation, attempt: Attempt, *, late: bool, expected: bool) -> bool:
        """Report a violation to the process that ``scope`` belongs to; False if that is this process."""
        if scope.home is not None:
            self._spawned.send(scope.home, violation, attempt, late=late, expected=expected)
            return True
        if self._children is not None and self._children.is_child:
            self._children.send(scope.serial, violation, late=late, expected=expected)
            return True
        return False

    def take_back(self, scope: Scope, violation: Violation, times: int) -> None:
        """Report to the process that ``scope`` belongs to, if it is another, how many attempts were expected here."""
        if scope.home is not None:
            self._spawned.take_back(scope.home, violation, times)
        elif self._children is not None and self._children.is_child:
            self._children.take_back(scope.serial, violation, times)

    def is_own(self, scope: Scope) -> bool:
        """Tell whether a scope was entered in this process."""
        return scope.home is None and (not self._is_child() or scope.serial // origin.OWN_SERIALS == os.getpid())

    def collect(self) -> None:
        """Record the refusals of child processes, and what the layer outside of this process has seen."""
        outside = self.judge.outside
        if self._children is None and outside is None and not self._spawned.started:
            return  # the usual case, and this is called at the end of each phase
        with self._collecting:  # whatever another thread has read by now is on record when this returns
            if self._children is not None or self._spawned.started:
                self._collect_started()
            if outside is not None:
                outside.take()

    @property
    def has_forked(self) -> bool:
        """Whether this process was forked, or has forked, since the layers are in place."""
        return self._children is not None

    def _is_child(self) -> bool:
        return self._children is not None and self._children.is_child

    # -- child processes -------------------------------------------------------------------------------------------

    def hand_down(self, argv: Sequence[Any], files: Sequence[Any], count: bool) -> str | None:
        """Return the guards for a program that is started here and now, as text; None if no guard applies to it."""
        if not self.holders:
            return None
        run = innermost()
        place = self.ledger.place_of_start() if count and run is not None and run.unwatched_fails else NOWHERE
        return self._spawned.hand_down(argv, files, self.root(), run, count=count, place=place)

    def start(self, start: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function that starts a process, and let the layer outside know which guards the start belongs to."""
        __tracebackhide__ = True
        outside = self.judge.outside
        if outside is None:
            return start(*args, **kwargs)
        outside.begin_start()
        try:
            return start(*args, **kwargs)
        finally:
            outside.end_start()

    def note_interpreter(self) -> None:
        """Count a subinterpreter that is created here and now."""
        if self.holders:
            run = innermost()
            place = self.ledger.place_of_start() if run is not None and run.unwatched_fails else NOWHERE
            self._spawned.note_interpreter(self.root(), run, place)

    def hand_to_job(self) -> tuple[str, int | None]:
        """Return the guards for a job submitted to a process pool here and now, and the outer layer's word for them."""
        outside = self.judge.outside
        word = None if outside is None else outside.word_of_work()
        handed = self._spawned.hand_to_job(self.root()) if self.holders else ""
        return handed, jobs.word_here() if word is None else word

    def take_job(self, handed: Any) -> None:
        """Enforce the guards of a job in this process, a pool's worker; None between jobs."""
        from pytest_test_categories._processes.inherited import Inherited

        if self.process is None:
            self.process = Inherited()
        if handed is not None and not self.holders:
            self.hold()
        self._spawned.tell_rest()
        self.process.take_job(handed)

    def hand_over(self, argv: Sequence[Any], files: Sequence[Any], count: bool) -> str | None:
        """Return the guards for a program that replaces this process; None if the layer outside watches it.

        No Python of this process is left then to receive its reports. The layer outside stays, and reports by itself.
        """
        forked = self._children is not None and self._children.is_child
        if self.judge.outside is not None and self.process is None and not forked:
            return None
        return self.hand_down(argv, files, count)

    def _companions(self) -> tuple[str, str]:
        # Children load the layers when they import a module with entry points, apart from those that the child's
        # module handles itself, or our own package: code that imports it may be about to expect our errors.
        key = (len(self._entry_points), clients.modules())
        if self._loads[0] != key:
            waiting = {entry.module for entry in self._entry_points}.union(key[1])
            self._loads = (key, ",".join(sorted({*(waiting - _KNOWN_TO_CHILDREN), _PACKAGE})))
        wrapt = getattr(sys.modules.get("wrapt"), "__file__", None) or ""
        return os.path.dirname(os.path.dirname(wrapt)), self._loads[1]

    def inherit(self, child: ModuleType) -> None:
        """Set up a child process of a guarded one: enforce the guards that it received for as long as it lives."""
        from pytest_test_categories._processes.inherited import Inherited

        child.take_down()
        self.process = Inherited()
        self.process.adopt(child.state.handed)
        self.hold()
        child.attached(self, {entry.name: entry.wrapper for entry in self._entry_points if entry.module == "socket"})

    def note_unwatched(self, scope: Scope | None) -> None:
        """Record the programs that no layer watches, if the run counts them as violations.

        Args:
            scope: The guard that they were started under, which is about to end; None for all that are left.
        """
        run = innermost()
        if run is None or not run.unwatched_fails or not self._spawned.started:
            return
        self.collect()
        for test, program, place in self._spawned.take_unwatched(run, None if scope is None else scope.serial):
            self.ledger.keep_unwatched(run, scope, test, program, place)

    def unwatched(self, run: Run) -> dict[str, Any]:
        """Return how many programs a run's tests started that no layer watches, as JSON-safe counts."""
        self.collect()
        return self._spawned.unwatched(run, self.collect)

    def before_fork(self) -> None:
        """Make sure that a forked child process can report its refusals."""
        if not self.holders:
            return
        with contextlib.suppress(OSError, ImportError):  # no descriptor is left: the fork must work all the same
            self._spawned.expect_fork()
        with self._lock:  # other threads may fork, too
            children = self._children = self._children or ChildReports(self._spawned.keep)
        found = charge()
        around = () if found is None else found.scopes
        for scope in (*around, *(link for phase in list(origin.state.phases) for link in phase.chain)):
            children.scopes[scope.serial] = self._spawned.scopes[scope.serial] = scope

    def after_fork_in_child(self) -> None:
        """Turn this process into a child: records go to the parent from now on."""
        self._lock = threading.RLock()
        self._collecting = threading.RLock()
        look_ups.lock = threading.RLock()
        counting.lock = threading.RLock()
        writing.lock = threading.RLock()
        origin.renumber(os.getpid())
        self._spawned.after_fork_in_child()
        if self._children is not None:  # the parent may have been a forked child itself
            self._children.become_child()

    def _collect_started(self) -> None:
        """Record the refusals of child processes; those that belong to no open scope are late."""
        started = self._spawned.scopes
        told = [(report, started) for report in self._spawned.receive()]
        children = self._children
        if children is not None and not children.is_child:
            told += [(report, children.scopes) for report in children.receive()]
        run = innermost()
        found: dict[tuple[str, ...], list[Record]] = {}
        for report, scopes in told:
            violation = report.violation
            scope = scopes.get(report.serial)
            if report.serial in self._spawned.expecting and (scope is None or not scope.open):
                continue  # the child outlived the block that expected its refusal: the guards around report it
            if scope is not None and scope.kind.observes:
                add_observed(scope, violation, report.attempt, report.times)
                continue
            others = [other() for other in scopes.valuerefs()] if report.expected else []
            asking = [other for other in others if other is not None and other.kind.expects and other.open]
            if scope is not None and (scope.open or scope.held) and not report.late:
                into = scope.records
            elif run is not None and not (scope is None and report.serial > origin.OWN_SERIALS):
                into = run.late
                reason = violation.late or f"by a child process of {violation.test} that outlived it"
                violation = violation._replace(late=reason)
            else:
                continue
            if report.times < 0:  # a block in the child expected some of the attempts that the child has reported
                if (known := into.get(violation.key)) is not None:
                    Delivery([(known, -report.times)]).deliver(expected=True)
                continue
            record = into.setdefault(violation.key, Record(violation, report.attempt))
            record.add(report.times)
            waiting = [other.awaits for other in asking if other.awaits is not None]
            if len(waiting) < len(asking):
                Delivery([(record, report.times)]).deliver(expected=True)
            elif scope is not None:
                for awaits in waiting:
                    awaits.add(scope, record, report.times)
            if not report.expected and (run is not None or scopes is started):  # without a run, a forked child warns
                found.setdefault(violation.key[_PLACE], []).append(record)
            for one in list(runs):
                if one is not None:
                    one.on_record()
        for records in found.values():  # each guard has its own record of the same attempt
            if all(record.violation.verdict in _GOES_ON for record in records):
                self.ledger.note_of_child(records[0])


def _exit_at_once(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Print the undelivered refusals of a test that ends the run's own process by ``os._exit``: no report follows."""
    status = args[0] if args else kwargs.get("status")
    unseen = runtime.unseen() if isinstance(status, int) else []
    run = innermost()
    if not unseen or run is None:
        return wrapped(*args, **kwargs)
    lines = [f"    {violation.target} in {violation.test}" for violation in unseen]
    title = " test categories (strict) ".center(80, "=")
    run.announce("\n".join([title, "network violations of a test that ended the run's own process:", *lines]))
    return wrapped(status or 1)


_PACKAGE: Final = __name__.partition(".")[0]
_PLACE: Final = slice(2, 6)  # the part of a violation's key that is the same for every guard that sees the attempt
_GOES_ON: Final = frozenset({"warned", "known"})

# Modules whose import does not load the layers in a child. The entry points of ``_attribution`` and of delivery are
# needed only once there is an attempt to charge or deliver, and those of ``connections`` once there is a connection.
_KNOWN_TO_CHILDREN: Final = frozenset(
    {
        *pools.MODULES,
        *(module for module, _ in expecting.BLOCKS),
        "_interpreters",  # imported by concurrent.futures: children don't count subinterpreters before the layers load
        "_posixsubprocess",
        "_thread",
        "_winapi",
        "anyio._backends._asyncio",
        "asyncio.base_events",
        "asyncio.unix_events",
        "concurrent.futures.interpreter",
        "concurrent.futures.thread",
        "eventlet.tpool",
        "gevent._gevent_cgreenlet",
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
    }
)

runtime: Final = Runtime()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=runtime.before_fork, after_in_child=runtime.after_fork_in_child)

# This module is loaded only in a process that a guarded one has started.
if (_child := sys.modules.get("pytest_test_categories_child")) is not None:
    runtime.inherit(_child)
