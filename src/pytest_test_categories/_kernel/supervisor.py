"""The supervisor: reads the target of a call, judges it, and answers the kernel."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import queue
import select
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._host.names import (
    SYSTEM_LOG_SOCKETS,
    reach_of_address,
    reach_of_interface,
    reach_of_name,
    reach_of_vsock,
)
from pytest_test_categories._host.unix_sockets import can_ask, names_denied
from pytest_test_categories._kernel import behalf, wire
from pytest_test_categories._kernel.behalf import Done
from pytest_test_categories._kernel.filter import MACHINES, waits_for_answers
from pytest_test_categories._kernel.names import (
    LONGEST_QUERY,
    PORTS,
    RESOLVER_SOCKETS,
    SYSTEM_SOCKETS,
    Detour,
    NameServers,
    queried_name,
)
from pytest_test_categories._kernel.processes import Descriptors, command_of, process_of, text_of
from pytest_test_categories._kernel.questions import Aim, Question, Reader
from pytest_test_categories._kernel.watched import LOOK_UP_SECONDS, MOST_HELD, LookUp, write_message
from pytest_test_categories._rules.address import Endpoint, Reach, is_local_ip, parse_ip
from pytest_test_categories._rules.policy import Attempt, EnforcementMode, Kind, LookedUp, Policy, decide, refuses

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_test_categories._kernel.watched import Watched

_COMPLAINTS: Final = 10
_PERMITTED, _PRETENDED = 0, -1
_ADDRESS_AT: Final = {"connect": 1, "sendto": 4}
"""The argument that points to the address, for calls that medium tests repeat and that are permitted for good."""
_FLAGS_AT: Final = {"sendto": 3, "sendmsg": 2}
_MADE: Final = frozenset({"connect", "sendto", "sendmsg"})
"""The calls that the supervisor makes on behalf of their callers."""
_CALL_KINDS: Final = {
    "connect": Kind.CONNECT,
    "bind": Kind.BIND,
    "listen": Kind.BIND,
    "setsockopt": Kind.SEND,
    "sendto": Kind.SEND,
    "sendmsg": Kind.SEND,
    "sendmmsg": Kind.SEND,
}


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
        self._descriptors = Descriptors()
        self._reader = Reader(self._descriptors)
        # A caller that a signal interrupts would make the call a second time.
        self._makes_calls = waits_for_answers(numbers)
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
        question = Question(number, thread, self._calls.get((arch, call), ""), tuple(arguments), arch != self._arch)
        verdict: int | Done | None = _PERMITTED
        try:
            verdict = self._verdict(watched, question)
        except Exception as error:  # noqa: BLE001 - whatever it is: nobody may wait for ever
            self._complain(error)
        if verdict is not None:
            self._send(watched, number, verdict)

    def _verdict(self, watched: Watched, question: Question) -> int | Done | None:
        """Return the answer, after making a permitted call; None if it comes later."""
        thread, call, arguments = question.thread, question.call, question.arguments
        if call == "sendmsg" and arguments[2] & 0xFFFFFFFF == wire.JOB:
            watched.take_job(thread, self._reader.said(thread, arguments[1]))
            return _PRETENDED
        at = _ADDRESS_AT.get(call)
        if watched.page.vouched != watched.heard:
            watched.hear()
        if at is not None and (address := watched.passing(thread, call, arguments[at], arguments[at + 1])):
            try:
                content = watched.read(arguments[1], arguments[2]) if call == "sendto" else b""
            except OSError as error:
                return self._unreadable(watched, question, error)
            return self._make(watched, question, address, content)
        word, known = watched.held_to(thread)
        if watched.unjudged or not (word & wire.LARGEST_INDEX or call == "bind"):
            return _PERMITTED
        question = question._replace(word=word, known=known)
        verdict: int | None
        try:
            question = self._reader.read(question)
        except OSError as error:
            verdict = self._unreadable(watched, question, error)
        else:
            verdict = self._judge(watched, question)
        if verdict != _PERMITTED:
            return verdict
        watched.spend(thread, _CALL_KINDS.get(question.call))
        return self._make_read(watched, question)

    def _make(self, watched: Watched, question: Question, address: bytes, content: bytes) -> int | Done:
        """Make a permitted call on behalf of its caller; return ``_PERMITTED`` if the kernel has to make it."""
        if not self._makes_calls:
            return _PERMITTED
        try:
            copied = self._copy(watched, question)
        except OSError:  # a container's profile forbids it, or the kernel tells what is wrong with the descriptor
            return _PERMITTED
        try:
            if question.call == "connect":
                return behalf.connect(copied, address) or _PERMITTED
            flags = question.arguments[_FLAGS_AT[question.call]] & 0xFFFFFFFF
            return behalf.send(copied, content, flags, address) or _PERMITTED
        finally:
            os.close(copied)

    def _make_read(self, watched: Watched, question: Question) -> int | Done:
        """As ``_make``, for a call that was read."""
        if question.call not in _MADE or len(question.aims) != 1 or question.aims[0].control:
            return _PERMITTED
        return self._make(watched, question, question.aims[0].address, question.aims[0].content)

    def _copy(self, watched: Watched, question: Question) -> int:
        """Return a copy of the caller's descriptor.

        Raises:
            OSError: As ``Descriptors.copy``.
        """
        return self._descriptors.copy(question.thread, question.arguments[0], lambda: self._there(watched, question))

    def _send(self, watched: Watched, number: int, verdict: int | Done) -> None:
        value, error = verdict if isinstance(verdict, Done) else (0, max(verdict, 0))
        wire.ANSWER.pack_into(self._answer, 0, number, value, -error, wire.GO_ON if verdict == _PERMITTED else 0)
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
            fcntl.ioctl(watched.listener, wire.STILL_THERE, question.number.to_bytes(8, sys.byteorder))
        except OSError:
            return False
        return True

    # -- judging -------------------------------------------------------------------------------------------------------

    def _judge(self, watched: Watched, question: Question) -> int | None:
        """Return the answer: an error number, ``_PERMITTED`` or ``_PRETENDED``; None if it comes later."""
        if not self._there(watched, question):
            return _PERMITTED
        if question.call == "sendmmsg" and not question.old:
            held = watched.held.get((process_of(question.thread), question.arguments[0]))
            if held is not None:
                return self._named(watched, question, held)
        key = None
        if question.call in _ADDRESS_AT and question.aims:
            key = (question.word & wire.LARGEST_INDEX, question.call, question.aims[0].address)
            if key in watched.passed:
                return _PERMITTED
        for aim in question.aims:
            verdict = _PERMITTED if aim.endpoint is None else self._judge_aim(watched, question, aim, aim.endpoint)
            if verdict != _PERMITTED:
                return verdict
        if key is not None and self._always_passes(watched, *key):
            watched.pass_for_good(key)
        return _PERMITTED

    def _always_passes(self, watched: Watched, index: int, call: str, raw: bytes) -> bool:
        """Tell whether policies permit a call for good: nothing that may change later has a part in the verdict."""
        if len(watched.passed) >= MOST_HELD:
            return False
        endpoint = wire.read_sockaddr(raw, sending=call == "sendto")
        ip = None if endpoint is None or endpoint.family != "ip" else parse_ip(endpoint.host)
        if endpoint is None or ip is None or not is_local_ip(ip) or endpoint.port in PORTS:
            return False
        if any(policy.denies_names for policy in self._policies(watched, index)):
            return False  # a later look-up may give the address a denied name
        return not self._refusing(watched, index, Attempt(_CALL_KINDS[call], endpoint, Reach.MACHINE))

    def _judge_aim(self, watched: Watched, question: Question, aim: Aim, endpoint: Endpoint) -> int | None:
        kind = _CALL_KINDS[question.call]
        if endpoint.family == "unix":
            return self._judge_path(watched, question, endpoint)
        if endpoint.family == "packet":  # its bind decides where frames are sent
            packet = Attempt(Kind.CONNECT, endpoint, reach_of_interface(endpoint.host))
            return self._refuse(watched, question, packet)
        if kind is not Kind.BIND and self._servers.asks(endpoint):
            return self._judge_look_up(watched, question, endpoint, aim.content)
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

    def _unreadable(self, watched: Watched, question: Question, error: OSError) -> int:
        if error.errno in {errno.EFAULT, errno.EIO}:  # after "go on" it might be an address
            with contextlib.suppress(OSError):  # the kernel tells what is wrong with the descriptor
                self._descriptors.socket(question.thread, question.arguments[0]).close()
                return errno.EFAULT
        if error.errno not in {errno.EPERM, errno.EACCES}:  # the caller is gone
            return _PERMITTED
        kind = _CALL_KINDS[question.call]
        attempt = Attempt(kind, Endpoint("an address that may not be read"), Reach.BEYOND)
        return self._refuse(watched, question, attempt)

    # -- look-ups ------------------------------------------------------------------------------------------------------

    def _judge_look_up(self, watched: Watched, question: Question, server: Endpoint, message: bytes) -> int | None:
        nameless = Attempt(Kind.LOOKUP, server, Reach.BEYOND)
        by_address = nameless._replace(kind=Kind.CONNECT)  # an allow entry may name the server and its port
        refusing = self._refusing(watched, question.word, by_address)
        if not refusing and not any(policy.denies_names for policy in self._policies(watched, question.word)):
            return _PERMITTED
        watched.hear()
        if self._is_vouched(watched, question, look_up=True):
            return _PERMITTED
        if name := queried_name(message):
            return self._judge_name(watched, question, name, None)
        if question.call != "connect" or not self._is_datagram(question):
            return self._refuse(watched, question, nameless, look_up=True)
        # The connect of a datagram socket sends nothing. The message that follows contains the name.
        self._tell_nameless(question.thread)
        key = process_of(question.thread), question.arguments[0]
        if key not in watched.held and len(watched.held) >= MOST_HELD:
            self._end_detour(watched.held.pop(next(iter(watched.held))))
        if key in watched.held:
            self._end_detour(watched.held.pop(key))
        strict = any(policy.mode is EnforcementMode.STRICT for policy in refusing)
        held = LookUp(question, server, refused=strict)
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
            permitted = verdict == _PERMITTED and self._there(watched, question)
            self._send(watched, question.number, self._make_read(watched, question) if permitted else verdict)
        elif verdict != _PERMITTED and held.detour is not None:
            held.detour.refuse(held.sent)
            held.sent = b""
            self._end_detour(held)

    def _named(self, watched: Watched, question: Question, held: LookUp) -> int | None:
        """Judge a look-up by the name in its message."""
        try:
            name = queried_name(self._reader.content(question.thread, question.arguments[1], longest=LONGEST_QUERY))
        except OSError:  # the kernel reports that
            return _PERMITTED
        if not self._there(watched, question) or not name:
            return _PERMITTED  # it arrives through the detour, like that of another protocol
        held.told = True
        held.sent = b""
        self._count_pending(watched)
        word, known = held.question.word, held.question.known
        verdict = self._judge_name(watched, question._replace(word=word, known=known), name, held)
        if verdict not in {None, _PERMITTED}:
            self._end_detour(held)
        return verdict

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
                if now > held.since + LOOK_UP_SECONDS:
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
