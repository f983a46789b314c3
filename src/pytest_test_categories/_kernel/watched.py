"""A test process under watch: what it has published, what it has announced, and what it has not read yet."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pytest_test_categories._host.names import LookUps
from pytest_test_categories._host.unix_sockets import Family
from pytest_test_categories._kernel import wire
from pytest_test_categories._kernel.processes import Starts, command_of, process_of, start_of, ticks
from pytest_test_categories._kernel.questions import LONGEST_ADDRESS
from pytest_test_categories._rules.address import parse_allow_entry
from pytest_test_categories._rules.policy import Kind, Policy

if TYPE_CHECKING:
    from pytest_test_categories._kernel.names import Detour
    from pytest_test_categories._kernel.questions import Question
    from pytest_test_categories._rules.address import Endpoint

MOST_HELD: Final = 1024
LOOK_UP_SECONDS: Final = 10.0
NAME_SECONDS: Final = 1.0
"""How long after its connect a look-up may take to send the name before it is reported without a name."""
SETTLED_SECONDS: Final = 0.03
"""The same, when the test has ended."""
_REMEMBERED: Final = 64  # reports to keep, in case the process doesn't read them
_VOUCHED_SECONDS: Final = 5.0
_ABOVE: Final = frozenset({0, 1, os.getpid()})
"""Processes of no test, and the supervisor, which adopts processes whose parents have ended."""
_starts: Final = Starts()
_DEEPEST: Final = 32
_FORK_SERVER: Final = "from multiprocessing.forkserver import main"


class LookUp:
    """A look-up that has made its connect, but has not sent the name yet.

    Attributes:
        refused: Whether to refuse it if no name follows.
        detour: The detour of its socket; None if there is none, or if it has ended.
        sent: The message that was sent on it, until the name server has answered that.
    """

    __slots__ = ("address", "deadline", "detour", "question", "refused", "sent", "since", "told")

    def __init__(self, question: Question, aim: Endpoint, *, refused: bool) -> None:
        self.question = question
        self.address = aim
        self.refused = refused
        self.detour: Detour | None = None
        self.sent = b""
        self.told = False
        self.since = time.monotonic()
        self.deadline = self.since + NAME_SECONDS


class _Jobs(NamedTuple):
    """The jobs of a pool's worker: when the worker started, and the time and word of each job."""

    since: int
    words: deque[tuple[int, int]]


class Watched:
    """One test process: what it has published, and the pipes to and from it.

    Args:
        listener: Descriptor on which the kernel asks.
        page: Descriptor of the shared memory.
        reports: Pipe to the process.
        control: Pipe from the process.
        pid: Id of the process.

    Attributes:
        unjudged: Whether it can't be watched, so that all of its calls pass: its filter can't be removed.
    """

    def __init__(self, listener: int, page: int, reports: int, control: int, pid: int) -> None:
        self.listener = listener
        self.page = wire.Page(page)
        os.close(page)
        self.reports = reports
        os.set_blocking(reports, False)
        self.control = wire.Messages(control)
        self.pid = pid
        self.policies: dict[int, tuple[Policy, ...]] = {0: ()}
        self.vouched: dict[int, tuple[Kind, float]] = {}  # by thread: what was judged, and until when it holds
        self.heard = 0
        self.look_ups = LookUps()
        self.family = Family(pid)
        self.held: dict[tuple[int, int], LookUp] = {}
        self.passed: set[tuple[int, str, bytes]] = set()
        self._memory = -1
        self._origins: dict[int, tuple[int, int, int]] = {}  # by thread: when it and the tests began, and its word
        self._jobs: dict[int, _Jobs] = {}
        self._told: deque[wire.Report] = deque(maxlen=_REMEMBERED)
        self.unjudged = False
        self._complained = False

    def hear(self) -> None:
        """Read the messages of the process, and drop invalid ones."""
        self.heard = self.page.vouched
        for message in self.control.read():
            try:
                self._take(message)
            except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
                self.control.dropped += 1
        if self.control.dropped and not self._complained:
            self._complained = True
            write_message("the kernel layer drops what it can't read on its control pipe: something else writes to it")

    def _take(self, message: list[Any]) -> None:
        what, *rest = message
        if what == "policies":
            index, policies = rest
            self.policies[int(index)] = tuple(map(Policy.from_data, policies))
            self.passed.clear()  # the last index stands for all policies from there on
        elif what == "vouch":
            thread, kind = rest
            if len(self.vouched) > MOST_HELD:  # for calls that the kernel did not ask about
                del self.vouched[next(iter(self.vouched))]
            seconds = LOOK_UP_SECONDS if Kind(kind) in wire.LOOK_UPS else _VOUCHED_SECONDS
            self.vouched[int(thread)] = (Kind(kind), time.monotonic() + seconds)
        elif what == "names":
            thread, name, allow, addresses = rest
            self.vouched.pop(thread, None)
            self.look_ups.remember(name, tuple(map(parse_allow_entry, allow)), addresses, 0)
        elif what == "settle":
            for held in self.held.values():
                held.deadline = min(held.deadline, held.since + SETTLED_SECONDS)
        else:
            self.control.dropped += 1

    def held_to(self, thread: int) -> tuple[int, bool]:
        """Return the word that a caller is held to, and whether it is known; if not, the word is the test process's.

        The test process publishes the word of its main thread and of other threads that Python started. For a native
        thread and for another process, the time of its start decides.
        """
        page = self.page
        if thread == self.pid:
            return page.now, True
        word = page.word_of(thread)
        if word is not None:
            return word, True
        # Thread numbers are reused: it is the same thread if it started at the same time.
        since, first = _starts.of(thread), page.first
        jobs = self._jobs.get(thread)
        if jobs is not None and jobs.since == since:
            return jobs.words[-1][1], True
        found = self._origins.get(thread)
        if found is not None and found[:2] == (since, first):
            return found[2], True
        word = self._word_at(process_of(thread), since, thread)
        if word is None:
            return page.now, False
        if len(self._origins) >= MOST_HELD:
            self._origins.clear()
        self._origins[thread] = (since, first, word)
        return word, True

    def _word_at(self, pid: int, moment: int, number: int, steps: int = 0) -> int | None:
        """Return the word in force in a process when it started a thread or another process; None if it is unknown.

        A child process is held to one word for its whole life, and so is everything that it starts.
        """
        if pid == self.pid or pid in _ABOVE or steps > _DEEPEST:
            return self.page.word_at(moment, number)
        since, parent = start_of(pid)
        jobs = self._jobs.get(pid)
        if jobs is not None and jobs.since == since:
            earlier = [word for at, word in jobs.words if at <= moment]
            if earlier:
                return earlier[-1]
        if _FORK_SERVER in command_of(pid):  # it starts processes for other processes
            return self.page.word_at(moment, number)
        return self._word_at(parent, since, pid, steps + 1)

    def passing(self, thread: int, call: str, address: int, size: int) -> bytes:
        """Return the address of a call of a thread of the test process if it passes for good; else nothing.

        Most questions of medium tests are answered by this alone. Nobody checks whether the caller is still there: if
        not, the kernel takes no answer for it. The descriptor is opened once, and a read with it takes a third of the
        time of ``process_vm_readv``. It belongs to the memory of the program that the process runs, and not to the
        process's number: after an ``execv`` it has nothing.
        """
        word = self.page.now if thread == self.pid else self.page.word_of(thread)
        if word is None or size > LONGEST_ADDRESS or thread in self.vouched:
            return b""
        try:
            raw = os.pread(self._memory, size, address)
        except (OSError, OverflowError):  # it is not open, it may not be read, or the pointer is invalid
            return b""
        return raw if len(raw) == size and (word & wire.LARGEST_INDEX, call, raw) in self.passed else b""

    def read(self, address: int, size: int) -> bytes:
        """Return bytes of the memory of the test process, at most as many as the largest datagram has.

        Raises:
            OSError: They can't be read.
        """
        size = min(size, wire.Memory.LARGEST)
        try:
            found = os.pread(self._memory, size, address)
        except OverflowError:
            found = b""
        if len(found) < size:
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
        return found

    def pass_for_good(self, key: tuple[int, str, bytes]) -> None:
        """Remember a call: the index of the policies in force, its name, and the address."""
        self.passed.add(key)
        if self._memory < 0:
            with contextlib.suppress(OSError):
                self._memory = os.open(f"/proc/{self.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)

    def spend(self, thread: int, kind: Kind | None) -> None:
        """Note that a call passes that a Python layer may have vouched for: its word does not hold for another call."""
        if thread in self.vouched and self.vouched[thread][0] is kind:
            del self.vouched[thread]

    def take_job(self, thread: int, word: int) -> None:
        """Hold a thread that runs jobs for other processes to the word of the job that it takes now."""
        since, _ = start_of(thread)
        jobs = self._jobs.get(thread)
        if jobs is None or jobs.since != since:
            if len(self._jobs) >= MOST_HELD:
                del self._jobs[next(iter(self._jobs))]
            jobs = self._jobs[thread] = _Jobs(since, deque(maxlen=_REMEMBERED))
        jobs.words.append((ticks(), word))

    def tell(self, report: wire.Report) -> None:
        """Write a report into the pipe."""
        try:
            for piece in wire.encode(report):
                os.write(self.reports, piece)
        except OSError:  # it is full, since the process has not read for long, or it has no reader
            self.page.count_report(lost=True)
        else:
            self.page.count_report(lost=False)
        self._told.append(report)

    def unheard(self) -> list[wire.Report]:
        """Return the latest reports that the process has not read."""
        count = self.page.reports + self.page.lost - self.page.taken
        return list(self._told)[-count:] if count else []

    def close(self) -> None:
        """Close the page and the descriptors."""
        self.page.close()
        os.close(self.listener)
        os.close(self.reports)
        os.close(self.control.descriptor)
        if self._memory >= 0:
            os.close(self._memory)


def write_message(text: str) -> None:
    """Write a message to stderr; a closed or full stderr is not an error."""
    with contextlib.suppress(OSError):
        os.write(2, f"\npytest-test-categories: {text}\n".encode(errors="replace"))
