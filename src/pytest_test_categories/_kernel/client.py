"""The test process's side: publishes what is in force, reads reports, and vouches for calls that Python has judged."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from _thread import get_native_id
from collections import deque
from typing import TYPE_CHECKING, Final

from pytest_test_categories._attribution import origin
from pytest_test_categories._attribution.origin import charge
from pytest_test_categories._attribution.stack import identity
from pytest_test_categories._host.system import System
from pytest_test_categories._kernel import wire
from pytest_test_categories._kernel.processes import ticks
from pytest_test_categories._rules.address import Reach

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_test_categories._attribution.origin import Scope
    from pytest_test_categories._rules.address import AllowEntry
    from pytest_test_categories._rules.policy import Kind, Policy

_PUBLISHED: Final = 512
"""How many publications are kept, to find the scopes of a report; those still in force are kept in addition."""
_POLICIES: Final = 4096
_SETTLE_SECONDS: Final = 1.0


class Client:
    """The test process's side of the kernel layer: an ``Outside``.

    Args:
        page: Descriptor of the shared memory.
        reports: Pipe from the supervisor.
        control: Pipe to the supervisor.
        refusal: Waits for the supervisor's answer, and returns why it can't watch this process; empty if it can.

    Attributes:
        on_report: Called with each report and the scopes that were in force; no scopes if that is too long ago.
        on_loss: Called with the number of lost reports.
    """

    on_report: Callable[[wire.Report, tuple[Scope, ...]], None]
    on_loss: Callable[[int], None]

    def __init__(self, page: int, reports: int, control: int, refusal: Callable[[], str]) -> None:
        self.refusal = refusal
        self._page = wire.Page(page)
        os.close(page)
        self._messages = wire.Messages(reports)
        self._control = control
        os.set_blocking(control, False)
        self._taken = self._lost = 0
        self._main = threading.get_ident()
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._one_start = threading.RLock()
        self._numbers = itertools.count(1)
        self._scopes: tuple[Scope, ...] = ()
        self._published: dict[int, tuple[Scope, ...]] = {}
        self._order: deque[int] = deque()
        self._threads: dict[int, tuple[tuple[Scope, ...], int]] = {}
        self._enclosing: frozenset[Scope] = frozenset()
        self._indices: dict[tuple[Policy, ...], int] = {(): 0}
        self._known: dict[tuple[int, ...], tuple[tuple[Policy, ...], int]] = {}
        self._latest: tuple[tuple[Scope, ...], int] = ((), 0)
        self._last = 0
        self._span = (0, 0)
        self._load = -1
        with contextlib.suppress(OSError):  # some sandboxes have none: there, processes of one tick can't be told apart
            self._load = os.open("/proc/loadavg", os.O_RDONLY | os.O_CLOEXEC)
        self._starting: tuple[int, tuple[Scope, ...]] = (0, ())
        os.register_at_fork(before=self.begin_start, after_in_parent=self.end_start, after_in_child=self._become_child)

    def _become_child(self) -> None:
        scopes = self._starting[1] if self._starting[0] else self._scopes
        self._main = 0  # a forked child neither publishes nor reads; it may vouch
        self._lock = threading.RLock()
        self._one_start = threading.RLock()
        self._threads = {get_native_id(): (scopes, wire.LARGEST_INDEX)}  # what was in force at its start judges it

    # -- what holds ----------------------------------------------------------------------------------------------------

    def begin_tests(self) -> None:
        """Exempt the threads and processes that exist now: they belong to the test runner."""
        self._page.begin_tests()

    def publish(self, scopes: tuple[Scope, ...] | None = None) -> None:
        """Publish the scopes of this thread; those of the main thread hold for the process and its descendants.

        Args:
            scopes: The scopes that judge this thread, if the caller knows them.
        """
        if threading.get_ident() != self._main:
            if self._main and get_native_id() != self._pid:  # else it is a greenlet, or a forked child
                self._publish_thread(scopes)
            return
        if scopes is None:
            if origin.in_event_loop():
                return
            scopes = _held_to()
        before = self._scopes
        if scopes == before:
            return
        self._scopes = scopes
        for scope in before:  # so far the supervisor agreed with what it permits; from now on that must be vouched for
            scope.memo.clear()
        word = 0
        if scopes:
            latest, word = self._latest
            if scopes != latest:  # else it is the next phase of the same test
                word = self._begin(scopes)
                self._latest = (scopes, word)
                self._last = self._last_process()
        with self._lock:
            self._page.publish(word, self._last)
        if before and before[0].kind is origin.ScopeKind.FIXTURE:
            self._page.note_span(self._span[0], self._span[1])
        if scopes and scopes[0].kind is origin.ScopeKind.FIXTURE:
            self._span = (ticks(), word)

    def _publish_thread(self, scopes: tuple[Scope, ...] | None) -> None:
        """Publish the scopes of this thread, if it is known which work started it."""
        known = True
        if scopes is None:
            if origin.in_event_loop():
                return
            charged = charge()
            scopes = () if charged is None else charged.scopes
            known = charged is None or not charged.unattributed
        thread = get_native_id()
        held = self._threads.get(thread)
        if not known:
            if held is not None:
                self.release_thread()
        elif held is None or held[0] != scopes:
            word = self._word_for(scopes)
            with self._lock:
                self._threads[thread] = (scopes, word)
                self._page.hold_thread(thread, word)
                self._note_enclosing(scopes, () if held is None else held[0])

    def release_thread(self) -> None:
        """Note that this thread ends, or that it is no longer known to which test it belongs."""
        thread = get_native_id()
        with self._lock:
            held = self._threads.pop(thread, None)
            if held is not None:
                self._page.release_thread(thread)
                self._note_enclosing((), held[0])

    def _note_enclosing(self, scopes: tuple[Scope, ...], before: tuple[Scope, ...]) -> None:
        """Note the guards that enclose a tighter guard of some thread: what they permit must be vouched for.

        Such a thread may run in a context that has only the outer guard, after that guard has permitted something.
        """
        if len(scopes) > 1 or len(before) > 1:
            enclosing = {link for held, _word in self._threads.values() for link in held[1:]}
            for link in enclosing - self._enclosing:
                link.memo.clear()
            self._enclosing = frozenset(enclosing)

    def begin_start(self) -> None:
        """Hold the process that this thread is about to start to the thread's scopes, if others are in force.

        Until it has started, other threads that start a process wait: a process is charged by the time of its start.
        """
        if not self._main:
            return
        self._one_start.acquire()
        charged = charge()
        scopes = () if charged is None else charged.scopes
        if scopes != self._scopes and (charged is None or not charged.unattributed):
            word = self._word_for(scopes)
            with self._lock:
                self._page.note(word, self._last_process())
                self._starting = (get_native_id(), scopes)

    def end_start(self) -> None:
        """Hold processes that start from now on to the scopes in force."""
        if not self._main:
            return
        if self._starting[0] == get_native_id():
            with self._lock:
                self._page.note(self._page.now, self._last_process())
                self._starting = (0, ())
        self._one_start.release()

    def word_of_work(self) -> int | None:
        """Return the word for the present work of this thread; None in a forked child, which publishes nothing."""
        return self._word_for(_held_to()) if self._main else None

    def _word_for(self, scopes: tuple[Scope, ...]) -> int:
        for known, word in (self._latest, *list(self._threads.values())):
            if known == scopes:
                return word
        return self._begin(scopes) if scopes else 0

    def _begin(self, scopes: tuple[Scope, ...]) -> int:
        """Assign a number to scopes that have not been published before; return their word."""
        if not self._page.first:
            self._page.begin_tests()
        number = next(self._numbers)
        published = self._published
        published[number] = scopes
        self._order.append(number)
        if len(self._order) > _PUBLISHED:
            oldest = self._order.popleft()
            first = published[oldest][0]
            in_force = (first.open or first.held) and not first.kind.observes
            if in_force or any(word >> wire.WORD_BITS == oldest for _scopes, word in list(self._threads.values())):
                self._order.append(oldest)
            else:
                del published[oldest]
        return number << wire.WORD_BITS | self._index(scopes)

    def _last_process(self) -> int:
        """Return the id of the process that started last: times in /proc are only precise to hundredths of a second."""
        try:
            return int(os.pread(self._load, 100, 0).rpartition(b" ")[2])
        except (OSError, ValueError):
            return 0

    def _index(self, scopes: tuple[Scope, ...]) -> int:
        """Return the supervisor's index for the policies of some scopes."""
        key = tuple([identity(scope.policy) for scope in scopes])
        known = self._known.get(key)
        if known is None:
            policies = tuple([scope.policy for scope in scopes if scope.policy is not None])
            restricting = tuple(dict.fromkeys(policy for policy in policies if policy.restricts))
            known = self._known[key] = (policies, self._new_index(restricting))  # they live on: keys are identities
            if len(self._known) > _POLICIES:
                self._known.clear()
        return known[1]

    def _new_index(self, policies: tuple[Policy, ...]) -> int:
        with self._lock:
            index = self._indices.get(policies)
            if index is None:
                index = min(len(self._indices), wire.LARGEST_INDEX)
                self._say("policies", index, [policy.to_data() for policy in policies], urgent=True)
                self._indices[policies] = index
            return index

    # -- what a Python layer knows -------------------------------------------------------------------------------------

    def vouch(self, kind: Kind, scopes: tuple[Scope, ...], reach: Reach) -> None:
        """Note that this thread's next call has been judged and may pass, if the supervisor might decide differently.

        Args:
            kind: The kind of access that was judged.
            scopes: The scopes that permit it; none if it passes for another reason.
            reach: How far it goes.
        """
        if self._held_here()[1] & wire.LARGEST_INDEX and not self.agrees(kind, scopes, reach):
            self._say("vouch", get_native_id(), kind.value)
            self._page.vouched += 1

    def agrees(self, kind: Kind, scopes: tuple[Scope, ...], reach: Reach) -> bool:
        """Tell whether the supervisor judges by ``scopes`` now, and sees the access as the Python layers do."""
        # The supervisor sees only look-ups that send something, and doesn't see that the connect of a datagram socket
        # sends nothing.
        return (
            scopes == self._held_here()[0]
            and (kind in wire.LOOK_UPS) is (reach is Reach.NOWHERE)
            and not (self._enclosing and scopes and scopes[0] in self._enclosing)
        )

    def _held_here(self) -> tuple[tuple[Scope, ...] | None, int]:
        """Return the scopes and the word by which the supervisor judges this thread; None as scopes if unknown here."""
        thread = get_native_id()
        if thread == self._pid:
            return self._scopes, self._page.now
        return self._threads.get(thread, (None, wire.LARGEST_INDEX))

    def remember(self, name: str, allow: tuple[AllowEntry, ...], addresses: list[str]) -> None:
        """Send the result of a permitted look-up to the supervisor."""
        if self._held_here()[1] & wire.LARGEST_INDEX:
            texts = [entry.text for entry in allow]
            self._say("names", get_native_id(), name, texts, addresses)

    def _say(self, *message: object, urgent: bool = False) -> None:
        for piece in wire.encode(message):
            while True:
                try:
                    System.write(self._control, piece)
                except BlockingIOError:  # the supervisor is busy
                    if not urgent:
                        return
                    System.sleep(0.001)
                except OSError:  # it is gone, or a daemon has closed the inherited pipe
                    return
                else:
                    break
            urgent = True  # a message that was begun must be completed

    # -- what the supervisor saw ---------------------------------------------------------------------------------------

    def take(self) -> None:
        """Pass new reports, and the number of lost ones, to the handlers."""
        page = self._page
        if not self._main:
            return
        if page.pending:
            self._settle()
        if page.reports == self._taken and page.lost == self._lost:
            return
        lost, self._lost = page.lost - self._lost, page.lost
        found = [wire.Report(*fields) for fields in self._messages.read() if len(fields) == len(wire.Report._fields)]
        self._taken += len(found)
        page.taken = self._taken + self._lost
        raised = []  # warnings that -W turns into errors: raised after all reports are recorded
        for report in found:
            try:
                self.on_report(report, self._published.get(report.word >> wire.WORD_BITS, ()))
            except Warning as warning:
                raised.append(warning)
        if lost:
            self.on_loss(lost)
        if raised:
            raise raised[0]

    def _settle(self) -> None:
        """Wait until the pending look-ups have sent their names, or are reported without a name."""
        self._say("settle")
        deadline = time.monotonic() + _SETTLE_SECONDS
        while self._page.pending and time.monotonic() < deadline:
            System.sleep(0.001)


def _held_to() -> tuple[Scope, ...]:
    """Return the scopes that judge the present work."""
    charged = charge()
    return () if charged is None else charged.scopes
