"""The supervisor: reads the target of a call, judges it, and answers the kernel."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import queue
import select
import socket
import struct
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pytest_test_categories._host.multicast import JOINS, group_joined
from pytest_test_categories._host.names import (
    SYSTEM_LOG_SOCKETS,
    LookUps,
    reach_of_address,
    reach_of_interface,
    reach_of_name,
    reach_of_vsock,
)
from pytest_test_categories._host.unix_sockets import Family, can_ask, names_denied
from pytest_test_categories._kernel import wire
from pytest_test_categories._kernel.filter import MACHINES
from pytest_test_categories._kernel.names import (
    LONGEST_QUERY,
    PORTS,
    RESOLVER_SOCKETS,
    SYSTEM_SOCKETS,
    Detour,
    NameServers,
    queried_name,
)
from pytest_test_categories._kernel.processes import (
    Starts,
    borrowed_socket,
    command_of,
    process_of,
    start_of,
    text_of,
    ticks,
)
from pytest_test_categories._rules.address import Endpoint, Reach, is_local_ip, parse_allow_entry, parse_ip
from pytest_test_categories._rules.policy import Attempt, EnforcementMode, Kind, LookedUp, Policy, decide, refuses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LONGEST_ADDRESS: Final = 128
_MOST_MESSAGES: Final = 1024  # UIO_MAXIOV, the most that sendmmsg takes
_HELD: Final = 1024
_REMEMBERED: Final = 64  # reports to keep, in case the process doesn't read them
_VOUCHED_SECONDS: Final = 5.0
_LOOK_UP_SECONDS: Final = 10.0
NAME_SECONDS: Final = 1.0
"""How long after its connect a look-up may take to send the name before it is reported without a name."""
SETTLED_SECONDS: Final = 0.03
"""The same, when the test has ended."""
_COMPLAINTS: Final = 10
_PERMITTED, _PRETENDED = 0, -1
# struct msghdr: address, its size, address of the parts and their number; struct iovec: address and size.
_MESSAGE, _OLD_MESSAGE = struct.Struct("=QI4xQQ"), struct.Struct("=IIII")
_PART, _OLD_PART = struct.Struct("=QQ"), struct.Struct("=II")
_ABOVE: Final = frozenset({0, 1, os.getpid()})
"""Processes of no test, and the supervisor, which adopts processes whose parents have ended."""
_starts: Final = Starts()
_DEEPEST: Final = 32
_FORK_SERVER: Final = "from multiprocessing.forkserver import main"
_SOCKETCALLS: Final = {
    2: "bind",
    3: "connect",
    4: "listen",
    11: "sendto",
    14: "setsockopt",
    16: "sendmsg",
    20: "sendmmsg",
}
_ADDRESS_AT: Final = {"connect": 1, "sendto": 4}
"""The argument that points to the address, for calls that medium tests repeat and that are permitted for good."""
_CALL_KINDS: Final = {
    "connect": Kind.CONNECT,
    "bind": Kind.BIND,
    "listen": Kind.BIND,
    "setsockopt": Kind.SEND,
    "sendto": Kind.SEND,
    "sendmsg": Kind.SEND,
    "sendmmsg": Kind.SEND,
}


class Question(NamedTuple):
    """One call that the kernel asks about.

    Attributes:
        number: The number to answer it by.
        thread: The caller's thread.
        call: The name of the system call.
        arguments: Its arguments.
        old: Whether a 32-bit program makes the call.
        word: The word that the caller is held to.
        known: Whether the caller's word is known; otherwise ``word`` is that of the test process.
    """

    number: int
    thread: int
    call: str
    arguments: tuple[int, ...]
    old: bool
    word: int
    known: bool


class Aim(NamedTuple):
    """One address that a call names, and for a message the address and size of its content."""

    endpoint: Endpoint
    payload: tuple[int, int] = (0, 0)


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
            if len(self.vouched) > _HELD:  # for calls that the kernel did not ask about
                del self.vouched[next(iter(self.vouched))]
            seconds = _LOOK_UP_SECONDS if Kind(kind) in wire.LOOK_UPS else _VOUCHED_SECONDS
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
        if len(self._origins) >= _HELD:
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

    def has_passed(self, thread: int, call: str, address: int, size: int) -> bool:
        """Tell whether this call of a thread of the test process, with the address in its memory, passes for good.

        Most questions of medium tests are answered by this alone. Nobody checks whether the caller is still there: if
        not, the kernel takes no answer for it. The descriptor is opened once, and a read with it takes a third of the
        time of ``process_vm_readv``. It belongs to the memory of the program that the process runs, and not to the
        process's number: after an ``execv`` it has nothing.
        """
        word = self.page.now if thread == self.pid else self.page.word_of(thread)
        if word is None or size > _LONGEST_ADDRESS or thread in self.vouched:
            return False
        try:
            raw = os.pread(self._memory, size, address)
        except (OSError, OverflowError):  # it is not open, it may not be read, or the pointer is invalid
            return False
        return (word & wire.LARGEST_INDEX, call, raw) in self.passed

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
            if len(self._jobs) >= _HELD:
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


class Supervisor:
    """Answers the kernel's questions about the processes that have registered.

    Args:
        machine: Name of the architecture.
    """

    def __init__(self, machine: str) -> None:
        numbers = MACHINES[machine]
        self._calls = {(numbers.arch, number): name for name, number in numbers.calls.items()}
        self._calls |= {(numbers.old_arch, number): name for name, number in numbers.old_calls.items()}
        self._arch = numbers.arch
        self._polled = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self.watched: dict[int, Watched] = {}
        self._memory = wire.Memory()
        # Kept, since ioctl takes longer for bytes than for a buffer that may be changed.
        self._question = bytearray(wire.QUESTION.size)
        self._nothing = bytes(wire.QUESTION.size)
        self._answer = bytearray(wire.ANSWER.size)
        self._servers = NameServers()
        self._complaints = 0
        self._unheard: list[wire.Report] = []
        self._holding = False  # whether any look-up is held up
        self._resolved: queue.SimpleQueue[Callable[[], None]] | None = None
        self._wake = -1

    # -- the loop ------------------------------------------------------------------------------------------------------

    def on(self, descriptor: int, handler: Callable[[], None]) -> None:
        """Call a handler whenever a descriptor is readable."""
        self._handlers[descriptor] = handler
        self._polled.register(descriptor, select.EPOLLIN)

    def off(self, descriptor: int) -> None:
        """Remove the handler of a descriptor."""
        del self._handlers[descriptor]
        self._polled.unregister(descriptor)

    def watch(self, watched: Watched) -> None:
        """Watch one more test process."""
        self.watched[watched.listener] = watched
        with contextlib.suppress(OSError):
            # From Linux 6.6 on, the two processes then take turns on one processor, which is faster.
            fcntl.ioctl(watched.listener, wire.SET_FLAGS, wire.SYNC_WAKE_UP)
        self._polled.register(watched.listener, select.EPOLLIN)
        self.on(watched.control.descriptor, lambda: self._hear(watched))

    def run(self, until: Callable[[], bool]) -> None:
        """Answer questions until a condition holds."""
        while not until():
            for descriptor, event in self._polled.poll(self._timeout() if self._holding else -1):
                watched = self.watched.get(descriptor)
                if watched is None:
                    handler = self._handlers.get(descriptor)
                    if handler is not None:
                        handler()
                elif event & select.EPOLLIN:
                    self.answer(watched)
                else:  # no process with that filter is left
                    self._forget(watched)
            if self._holding:
                self._tell_nameless()

    def unheard(self) -> list[wire.Report]:
        """Return the reports to processes that have not read them: they became other programs, or have ended."""
        for watched in self.watched.values():
            for held in watched.held.values():
                held.deadline = 0.0
        self._tell_nameless()
        return [*self._unheard, *(report for watched in self.watched.values() for report in watched.unheard())]

    def _timeout(self) -> float:
        deadlines = [held.deadline for w in self.watched.values() for held in w.held.values() if not held.told]
        return max(0.0, min(deadlines) - time.monotonic()) + 0.001 if deadlines else -1

    def _hear(self, watched: Watched) -> None:
        watched.hear()
        if watched.control.ended and watched.control.descriptor in self._handlers:
            self.off(watched.control.descriptor)

    def _forget(self, watched: Watched) -> None:
        self._polled.unregister(watched.listener)
        if watched.control.descriptor in self._handlers:
            self.off(watched.control.descriptor)
        del self.watched[watched.listener]
        for held in watched.held.values():
            self._end_detour(held)
        self._unheard += watched.unheard()
        watched.close()

    # -- one question --------------------------------------------------------------------------------------------------

    def answer(self, watched: Watched) -> None:
        """Answer the next question of a listener."""
        raw = self._question
        raw[:] = self._nothing  # the kernel accepts only a zeroed buffer
        try:
            fcntl.ioctl(watched.listener, wire.RECEIVE, raw, True)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.EINTR}:  # the caller was killed, or interrupted by a signal
                write_message(f"the kernel layer can't watch process {watched.pid} any more: {error.strerror}")
                self._forget(watched)
            return
        number, thread, _flags, call, arch, _pointer, *arguments = wire.QUESTION.unpack(raw)
        name = self._calls.get((arch, call), "")
        verdict: int | None = _PERMITTED
        try:
            if name == "sendmsg" and arguments[2] & 0xFFFFFFFF == wire.JOB:
                watched.take_job(thread, self._said(thread, arguments[1]))
                self._send(watched, number, _PRETENDED)
                return
            at = _ADDRESS_AT.get(name)
            if watched.page.vouched != watched.heard:
                watched.hear()
            if at is not None and watched.has_passed(thread, name, arguments[at], arguments[at + 1]):
                self._send(watched, number, _PERMITTED)
                return
            word, known = watched.held_to(thread)
            if not watched.unjudged and (word & wire.LARGEST_INDEX or name == "bind"):
                key = None if at is None else self._key(thread, name, arguments[at], arguments[at + 1], word)
                if key is None or key not in watched.passed:
                    old = arch != self._arch
                    question = Question(number, thread, name, tuple(arguments), old, word, known)
                    verdict = self._judge(watched, question)
                    if key is not None and verdict == _PERMITTED and self._always_passes(watched, *key):
                        watched.pass_for_good(key)
                if verdict == _PERMITTED:
                    watched.spend(thread, _CALL_KINDS.get(name))
        except Exception as error:  # noqa: BLE001 - whatever it is: nobody may wait for ever
            self._complain(error)
            verdict = _PERMITTED
        if verdict is not None:
            self._send(watched, number, verdict)

    def _send(self, watched: Watched, number: int, verdict: int) -> None:
        error = 0 if verdict == _PRETENDED else -verdict
        wire.ANSWER.pack_into(self._answer, 0, number, 0, error, wire.GO_ON if verdict == _PERMITTED else 0)
        try:
            fcntl.ioctl(watched.listener, wire.SEND, self._answer, True)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.EINPROGRESS}:  # the caller is gone, or already has its answer
                raise

    def _complain(self, error: Exception) -> None:
        self._complaints += 1
        if self._complaints <= _COMPLAINTS:
            write_message(f"the kernel layer let a call pass unjudged: {error!r}")

    def _there(self, watched: Watched, question: Question) -> bool:
        """Tell whether the data were read from the caller: its id may belong to another process by now."""
        try:
            fcntl.ioctl(watched.listener, wire.STILL_THERE, struct.pack("=Q", question.number))
        except OSError:
            return False
        return True

    # -- reading -------------------------------------------------------------------------------------------------------

    def _aims(self, question: Question) -> Iterator[Aim]:
        """Yield the targets of a call: none for messages on a connected socket, or for families that are not judged."""
        call, args = question.call, question.arguments
        if call in {"connect", "bind"}:
            yield from self._aim(question.thread, args[1], args[2], (0, 0), sending=False)
        elif call == "sendto":
            yield from self._aim(question.thread, args[4], args[5], (args[1], args[2]))
        elif call == "sendmsg":
            yield from self._message(question, args[1])
        elif call == "sendmmsg":
            stride = 32 if question.old else 64
            for index in range(min(args[2] & 0xFFFFFFFF, _MOST_MESSAGES)):
                yield from self._message(question, args[1] + index * stride)
        elif call == "listen":
            yield from self._listening(question)
        elif call == "setsockopt":
            yield from self._joining(question)

    @staticmethod
    def _listening(question: Question) -> Iterator[Aim]:
        """Yield the endpoint of a socket that listens without a bind: all addresses, on a port that the kernel picks.

        If the socket may not be examined, the call passes: most sockets were bound, and the bind was judged. Docker's
        profile permits ``pidfd_getfd`` only with CAP_SYS_PTRACE (``profiles/seccomp/default_linux.go`` of moby).
        """
        try:
            sock = borrowed_socket(process_of(question.thread), question.arguments[0] & 0xFFFFFFFF)
        except PermissionError:
            return
        with sock:
            if sock.family in {socket.AF_INET, socket.AF_INET6} and not sock.getsockname()[1]:
                yield Aim(Endpoint("::" if sock.family == socket.AF_INET6 else "0.0.0.0", 0))  # noqa: S104 - as it is

    def _joining(self, question: Question) -> Iterator[Aim]:
        """Yield the multicast group that a socket joins."""
        _number, level, option, _at, size, *_ = (argument & 0xFFFFFFFF for argument in question.arguments)
        if (level, option) in JOINS:
            raw = self._memory.read(question.thread, question.arguments[3], min(size, _LONGEST_ADDRESS * 3))
            if group := group_joined((level, option), raw, word=4 if question.old else 8):
                yield Aim(Endpoint(group))

    def _aim(
        self, thread: int, address: int, size: int, payload: tuple[int, int], *, sending: bool = True
    ) -> Iterator[Aim]:
        size &= 0xFFFFFFFF
        if address and size:
            raw = self._memory.read(thread, address, min(size, _LONGEST_ADDRESS))
            endpoint = wire.read_sockaddr(raw, sending=sending)
            if endpoint is not None:
                yield Aim(endpoint, payload)

    def _message(self, question: Question, at: int) -> Iterator[Aim]:
        address, payload = self._read_message(question.thread, at, old=question.old)
        yield from self._aim(question.thread, *address, payload)

    def _read_message(self, thread: int, at: int, *, old: bool = False) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the position and size of a message's address, and those of the first part of its content."""
        form, part = (_OLD_MESSAGE, _OLD_PART) if old else (_MESSAGE, _PART)
        address, size, parts, count = form.unpack(self._memory.read(thread, at, form.size))
        if not count or not parts:
            return (address, size), (0, 0)
        base, length = part.unpack(self._memory.read(thread, parts, part.size))
        return (address, size), (base, length)

    def _said(self, thread: int, at: int) -> int:
        """Return the word that a worker announces with ``wire.JOB``."""
        _address, (base, size) = self._read_message(thread, at)
        return int.from_bytes(self._memory.read(thread, base, min(size, 8)), sys.byteorder)

    def _unfolded(self, question: Question) -> Question:
        """Return the call that a 32-bit program makes through ``socketcall``."""
        if question.call != "socketcall":
            return question
        call = _SOCKETCALLS.get(question.arguments[0] & 0xFF, "")
        if not call:
            return question._replace(call="")
        raw = self._memory.read(question.thread, question.arguments[1] & 0xFFFFFFFF, 24)
        return question._replace(call=call, arguments=struct.unpack("=6I", raw))

    # -- judging -------------------------------------------------------------------------------------------------------

    def _judge(self, watched: Watched, question: Question) -> int | None:
        """Return the answer: an error number, ``_PERMITTED`` or ``_PRETENDED``; None if it comes later."""
        try:
            question = self._unfolded(question)
            if question.call == "sendmmsg" and not question.old:
                held = watched.held.get((process_of(question.thread), question.arguments[0]))
                if held is not None:
                    return self._named(watched, question, held)
            aims = list(self._aims(question)) if question.call else []
        except OSError as error:
            if error.errno not in {errno.EPERM, errno.EACCES}:  # gone, or a bad pointer: the kernel reports that
                return _PERMITTED
            return self._unreadable(watched, question)
        if not self._there(watched, question):
            return _PERMITTED
        for aim in aims:
            verdict = self._judge_aim(watched, question, aim)
            if verdict != _PERMITTED:
                return verdict
        return _PERMITTED

    def _key(self, thread: int, call: str, address: int, size: int, word: int) -> tuple[int, str, bytes] | None:
        """Return the key to recognize a call that was permitted before; None if its address can't be read."""
        try:
            raw = self._memory.read(thread, address, min(size & 0xFFFFFFFF, _LONGEST_ADDRESS))
        except OSError:
            return None
        return (word & wire.LARGEST_INDEX, call, raw)

    def _always_passes(self, watched: Watched, index: int, call: str, raw: bytes) -> bool:
        """Tell whether policies permit a call for good: nothing that may change later has a part in the verdict."""
        if len(watched.passed) >= _HELD:
            return False
        endpoint = wire.read_sockaddr(raw, sending=call == "sendto")
        ip = None if endpoint is None or endpoint.family != "ip" else parse_ip(endpoint.host)
        if endpoint is None or ip is None or not is_local_ip(ip) or endpoint.port in PORTS:
            return False
        if any(policy.denies_names for policy in self._policies(watched, index)):
            return False  # a later look-up may give the address a denied name
        return not self._refusing(watched, index, Attempt(_CALL_KINDS[call], endpoint, Reach.MACHINE))

    def _judge_aim(self, watched: Watched, question: Question, aim: Aim) -> int | None:
        endpoint = aim.endpoint
        kind = _CALL_KINDS[question.call]
        if endpoint.family == "unix":
            return self._judge_path(watched, question, endpoint)
        if endpoint.family == "packet":  # its bind decides where frames are sent
            packet = Attempt(Kind.CONNECT, endpoint, reach_of_interface(endpoint.host))
            return self._refuse(watched, question, packet)
        if kind is not Kind.BIND and self._servers.asks(endpoint):
            return self._judge_look_up(watched, question, aim)
        ip = parse_ip(endpoint.host) if endpoint.family == "ip" else None
        if endpoint.family == "vsock":
            reach = reach_of_vsock(int(endpoint.host))
        else:
            reach = Reach.BEYOND if ip is None else reach_of_address(ip)
        names = () if ip is None else watched.look_ups.names_of(ip)
        attempt = Attempt(kind, endpoint, reach, names)
        if not self._refusing(watched, question.word, attempt):
            return _PERMITTED
        datagram = kind is not Kind.SEND and self._is_datagram(question)
        # getaddrinfo makes such connects to sort its answers, and our own check of an address makes such binds.
        if datagram and (endpoint.port == 0 if kind is Kind.BIND else reach is Reach.MACHINE):
            return _PERMITTED  # nothing is sent, and no peer can be waiting
        return self._refuse(watched, question, attempt, look_up=datagram)

    def _judge_path(self, watched: Watched, question: Question, endpoint: Endpoint) -> int:
        path = endpoint.host
        if not path.startswith(("/", "@")):
            path = _absolute(question.thread, path)
        if question.call == "bind":
            watched.family.note_path(path)
            return _PERMITTED
        if path.startswith(RESOLVER_SOCKETS):
            watched.hear()
            if self._is_vouched(watched, question, look_up=True):
                return _PERMITTED
            return errno.ENOENT if self._policies(watched, question.word) else _PERMITTED
        inside = path in SYSTEM_LOG_SOCKETS or path.startswith(SYSTEM_SOCKETS)
        attempt = Attempt(Kind.CONNECT, Endpoint(path, family="unix"), Reach.NOWHERE if inside else Reach.MACHINE)
        here = _as_seen_by(question.thread, path)
        deny = [entry for policy in self._policies(watched, question.word) for entry in policy.deny]
        if deny:
            attempt = attempt._replace(names=names_denied(here, deny))
        if not self._refusing(watched, question.word, attempt):
            return _PERMITTED
        if watched.family.knows(here) or watched.family.holds(here):
            return _PERMITTED
        return self._refuse(watched, question, attempt)

    def _policies(self, watched: Watched, word: int) -> tuple[Policy, ...]:
        index = word & wire.LARGEST_INDEX
        if index not in watched.policies:
            watched.hear()
        return watched.policies[index]

    def _refusing(self, watched: Watched, word: int, attempt: Attempt) -> list[Policy]:
        return [policy for policy in self._policies(watched, word) if not decide(policy, attempt).permitted]

    def _refuse(self, watched: Watched, question: Question, attempt: Attempt, *, look_up: bool = False) -> int:
        """Refuse and report what the policies in force don't permit, unless a Python layer has vouched for it."""
        refusing = self._refusing(watched, question.word, attempt)
        if not refusing:
            return _PERMITTED
        watched.hear()
        if self._is_vouched(watched, question, look_up=look_up):
            return _PERMITTED
        strict = any(refuses(policy, decide(policy, attempt)) for policy in refusing)
        self._report(watched, question, attempt, refused=strict)
        return errno.EACCES if strict else _PERMITTED

    def _is_vouched(self, watched: Watched, question: Question, *, look_up: bool) -> bool:
        """Tell whether a Python layer has judged the thread's present call and lets it pass."""
        found = watched.vouched.get(question.thread)
        if found is None:
            return False
        kind, deadline = found
        if time.monotonic() > deadline:
            del watched.vouched[question.thread]
            return False
        if kind in wire.LOOK_UPS:  # it makes several calls
            return look_up
        if not look_up and (kind is Kind.REUSE or (kind is Kind.BIND) is not (_CALL_KINDS[question.call] is Kind.BIND)):
            return False
        del watched.vouched[question.thread]
        return True

    def _unreadable(self, watched: Watched, question: Question) -> int:
        kind = _CALL_KINDS[question.call]
        attempt = Attempt(kind, Endpoint("an address that may not be read"), Reach.BEYOND)
        return self._refuse(watched, question, attempt)

    # -- look-ups ------------------------------------------------------------------------------------------------------

    def _judge_look_up(self, watched: Watched, question: Question, aim: Aim) -> int | None:
        nameless = Attempt(Kind.LOOKUP, aim.endpoint, Reach.BEYOND)
        by_address = nameless._replace(kind=Kind.CONNECT)  # an allow entry may name the server and its port
        refusing = self._refusing(watched, question.word, by_address)
        if not refusing and not any(policy.denies_names for policy in self._policies(watched, question.word)):
            return _PERMITTED
        watched.hear()
        if self._is_vouched(watched, question, look_up=True):
            return _PERMITTED
        if name := self._queried(question.thread, aim.payload):
            return self._judge_name(watched, question, name, None)
        if question.call != "connect" or not self._is_datagram(question):
            return self._refuse(watched, question, nameless, look_up=True)
        # The connect of a datagram socket sends nothing. The message that follows contains the name.
        self._tell_nameless(question.thread)
        key = process_of(question.thread), question.arguments[0]
        if key not in watched.held and len(watched.held) >= _HELD:
            self._end_detour(watched.held.pop(next(iter(watched.held))))
        if key in watched.held:
            self._end_detour(watched.held.pop(key))
        strict = any(policy.mode is EnforcementMode.STRICT for policy in refusing)
        held = LookUp(question, aim.endpoint, refused=strict)
        held.told = not refusing  # without a name there is nothing to report
        if not self._begin_detour(watched, held):
            return self._refuse(watched, question, nameless, look_up=True)
        watched.held[key] = held
        self._holding = True
        self._count_pending(watched)
        return _PRETENDED

    def _begin_detour(self, watched: Watched, held: LookUp) -> bool:
        """Replace the caller's socket by one that is connected to this process; return whether that was possible."""
        thread, number = held.question.thread, held.question.arguments[0]
        try:
            flags = int(text_of(f"/proc/{thread}/fdinfo/{number}").partition("flags:")[2].split()[0], 8)
            detour = Detour(held.address, blocking=not flags & os.O_NONBLOCK)
        except (OSError, IndexError, ValueError):
            return False
        try:
            request = wire.INSTEAD.pack(
                held.question.number, wire.AT_NUMBER, detour.caller.fileno(), number, flags & os.O_CLOEXEC
            )
            fcntl.ioctl(watched.listener, wire.ADD_DESCRIPTOR, request)
        except OSError:
            detour.close()
            return False
        held.detour = detour
        self._handlers[detour.caller.fileno()] = lambda: self._on_answer(watched, held)
        self._polled.register(detour.caller.fileno(), select.EPOLLIN | select.EPOLLET)
        self.on(detour.here.fileno(), lambda: self._on_message(watched, held))
        return True

    def _end_detour(self, held: LookUp) -> None:
        if held.detour is None:
            return
        for end in (held.detour.here, held.detour.caller):
            if end.fileno() in self._handlers:
                self.off(end.fileno())
        with contextlib.suppress(OSError):
            if held.sent:
                held.detour.lead_here()  # where nothing reads from now on
        held.detour.close()
        held.detour = None

    def _on_message(self, watched: Watched, held: LookUp) -> None:
        """Judge a look-up by a message that the filter did not see."""
        assert held.detour is not None
        try:
            held.sent = held.detour.receive()
        except OSError:
            return
        if not held.sent:
            return
        self.off(held.detour.here.fileno())  # one message at a time
        try:
            verdict = self._judge_message(watched, held)
        except Exception as error:  # noqa: BLE001 - as in answer()
            self._complain(error)
            verdict = self._lead_on(held)
        if verdict is not None:
            self._settle(watched, held.question, held, verdict)

    def _judge_message(self, watched: Watched, held: LookUp) -> int | None:
        if name := queried_name(held.sent):
            held.told = True
            self._count_pending(watched)
            return self._judge_name(watched, held.question, name, held)
        held.deadline = 0.0  # it is another protocol on that port
        self._tell_nameless()
        return errno.EACCES if held.refused else self._lead_on(held)

    def _on_answer(self, watched: Watched, held: LookUp) -> None:
        """After the server's answer, let the caller's next message arrive here, too."""
        if not held.sent or held.detour is None:
            return
        held.sent = b""
        try:
            held.detour.lead_here()
        except OSError:
            self._end_detour(held)
        else:
            self.on(held.detour.here.fileno(), lambda: self._on_message(watched, held))

    def _lead_on(self, held: LookUp) -> int:
        """Let a look-up reach the name server; return the answer for the caller."""
        if held.detour is not None:
            try:
                held.detour.lead_to_server(held.sent)
            except OSError:
                return errno.EACCES
            if not held.sent:  # the caller itself sends the message with the name, next
                self._end_detour(held)
        return _PERMITTED

    def _settle(self, watched: Watched, question: Question, held: LookUp | None, verdict: int) -> None:
        """Answer a call that the kernel asked about, or refuse a message for which there was no question."""
        if held is None or not held.sent:
            self._send(watched, question.number, verdict)
        elif verdict != _PERMITTED and held.detour is not None:
            held.detour.refuse(held.sent)
            held.sent = b""
            self._end_detour(held)

    def _named(self, watched: Watched, question: Question, held: LookUp) -> int | None:
        """Judge a look-up by the name in its message."""
        _address, payload = self._read_message(question.thread, question.arguments[1])
        name = self._queried(question.thread, payload)
        if not self._there(watched, question):
            return _PERMITTED
        if not name:
            return _PERMITTED  # it arrives through the detour, like that of another protocol
        held.told = True
        held.sent = b""
        self._count_pending(watched)
        word, known = held.question.word, held.question.known
        verdict = self._judge_name(watched, question._replace(word=word, known=known), name, held)
        if verdict not in {None, _PERMITTED}:
            self._end_detour(held)
        return verdict

    def _queried(self, thread: int, payload: tuple[int, int]) -> str:
        """Return the name in a message to a name server; empty if the message is not a query."""
        at, size = payload
        return queried_name(self._memory.read(thread, at, min(size, LONGEST_QUERY))) if at else ""

    def _judge_name(self, watched: Watched, question: Question, name: str, held: LookUp | None) -> int | None:
        meant = self._servers.meant(name)
        full = tuple(map(LookedUp, self._servers.in_full(name)))  # which may be denied
        attempt = Attempt(Kind.LOOKUP, Endpoint(meant), reach_of_name(meant), full)
        if meant != name and self._refusing(watched, question.word, attempt):  # an entry may name it in full
            in_full = attempt._replace(endpoint=Endpoint(name))
            attempt = attempt if self._refusing(watched, question.word, in_full) else in_full
        if self._refusing(watched, question.word, attempt):
            verdict = self._refuse(watched, question, attempt, look_up=True)
            return verdict if verdict != _PERMITTED or held is None else self._lead_on(held)
        self._resolve(watched, question, name, held)
        return None

    def _resolve(self, watched: Watched, question: Question, name: str, held: LookUp | None) -> None:
        """Look a permitted name up, so that its addresses are permitted, too, and then let the caller's query pass.

        A query contains a full name. The dot at its end says so here: no search domain is tried.
        """
        import threading

        entries = tuple(entry for policy in self._policies(watched, question.word) for entry in policy.allow)
        finished = self._finished()

        def look_up() -> None:
            try:
                found = [str(answer[4][0]) for answer in socket.getaddrinfo(f"{name}.", None, type=socket.SOCK_STREAM)]
            except OSError:
                found = []
            finished.put(lambda: self._let_go(watched, question, held, name, entries, found))
            os.eventfd_write(self._wake, 1)

        threading.Thread(target=look_up, daemon=True).start()

    def _let_go(
        self,
        watched: Watched,
        question: Question,
        held: LookUp | None,
        name: str,
        entries: tuple[Any, ...],
        addresses: list[str],
    ) -> None:
        if watched.listener not in self.watched:
            return
        watched.look_ups.remember(self._servers.meant(name), entries, addresses, 0)
        watched.look_ups.remember(name, entries, addresses, 0)
        self._settle(watched, question, held, _PERMITTED if held is None else self._lead_on(held))

    def _finished(self) -> queue.SimpleQueue[Callable[[], None]]:
        if self._resolved is None:
            done = self._resolved = queue.SimpleQueue()
            self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

            def take() -> None:
                os.eventfd_read(self._wake)
                while not done.empty():
                    done.get()()

            self.on(self._wake, take)
        return self._resolved

    def _tell_nameless(self, thread: int = 0) -> None:
        """Report look-ups that sent no name in time; those of one thread at once, since it does something else now."""
        now = time.monotonic()
        for watched in self.watched.values():
            if not watched.held:
                continue
            for key, held in list(watched.held.items()):
                if now > held.since + _LOOK_UP_SECONDS:
                    del watched.held[key]
                    self._end_detour(held)
                if not held.told and (now >= held.deadline or held.question.thread == thread):
                    held.told = True
                    attempt = Attempt(Kind.LOOKUP, held.address, Reach.BEYOND)
                    self._report(watched, held.question, attempt, refused=held.refused)
            self._count_pending(watched)
        self._holding = any(watched.held for watched in self.watched.values())

    def _count_pending(self, watched: Watched) -> None:
        watched.page.pending = sum(not held.told for held in watched.held.values())

    # -- reporting -----------------------------------------------------------------------------------------------------

    @staticmethod
    def _is_datagram(question: Question) -> bool:
        try:
            name = os.getxattr(f"/proc/{question.thread}/fd/{question.arguments[0]}", "system.sockprotoname")
        except OSError:
            return False
        return name.startswith(b"UDP")

    def _report(self, watched: Watched, question: Question, attempt: Attempt, *, refused: bool) -> None:
        endpoint = attempt.endpoint
        ip = parse_ip(endpoint.host) if endpoint.family == "ip" else None
        pid = process_of(question.thread)
        report = wire.Report(
            word=question.word,
            kind=attempt.kind.value,
            host=endpoint.host,
            port=endpoint.port,
            family=endpoint.family,
            reach=attempt.reach.value,
            name="" if ip is None else watched.look_ups.shown_name(ip, 0),
            refused=refused,
            pid=pid,
            thread=question.thread,
            thread_name=text_of(f"/proc/{question.thread}/comm"),
            command=command_of(pid),
            own=pid == watched.pid,
            before=not question.known,
        )
        watched.tell(report)


def write_message(text: str) -> None:
    """Write a message to stderr; a closed or full stderr is not an error."""
    with contextlib.suppress(OSError):
        os.write(2, f"\npytest-test-categories: {text}\n".encode(errors="replace"))


def _as_seen_by(thread: int, path: str) -> str:
    """Return the path under which this process finds a thread's path: the thread may have another root directory."""
    if path.startswith("@") or not can_ask():
        return path
    for own in ("/proc/self/", "/proc/thread-self/"):
        if path.startswith(own):
            path = f"/proc/{thread}/{path.removeprefix(own)}"
    return f"/proc/{thread}/root{path}"


def _absolute(thread: int, path: str) -> str:
    try:
        return os.path.normpath(os.path.join(os.readlink(f"/proc/{thread}/cwd"), path))
    except OSError:
        return path
