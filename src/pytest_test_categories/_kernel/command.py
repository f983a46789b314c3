"""A command under a supervisor: starts it, answers for it and for all that it starts, and ends as it does.

There are three processes. The one that the user started waits; its child is the supervisor, whose child is the command.
So the supervisor is an ancestor of everything that the command starts, and may read the addresses of its calls. And it
can stay when the command has ended, for daemons that go on.
"""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import errno
import json
import os
import queue
import signal
import socket
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from pytest_test_categories._host.programs import execute
from pytest_test_categories._host.unix_sockets import Family
from pytest_test_categories._kernel import wire
from pytest_test_categories._kernel.filter import MACHINES, NO_DESCRIPTOR, install, libc
from pytest_test_categories._kernel.parent import (
    HANDLED,
    INTERNAL_ERROR,
    PR_SET_PDEATHSIG,
    Parent,
    detach,
    leave,
    signal_descriptor,
)
from pytest_test_categories._kernel.probe import AROUND, VARIABLE, UnavailableError, why_not_installed
from pytest_test_categories._kernel.supervisor import Supervisor
from pytest_test_categories._kernel.watched import Watched, write_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_test_categories._kernel.wire import Report
    from pytest_test_categories._rules.policy import Policy

_LONGEST: Final = 65536
_IN_FORCE: Final = 1


class End(NamedTuple):
    """How a command ended.

    Attributes:
        status: Its exit status; for a signal the negative number, as in ``subprocess``.
        held: Whether it was held to the policy; not if a supervisor around this one holds it already.
    """

    status: int
    held: bool


def supervise(
    words: list[str], policy: Policy, *, on_report: Callable[[Report], None], on_end: Callable[[End], bool]
) -> int:
    """Run a command that a policy holds, and end this process as the command ends.

    Args:
        words: The command and its arguments.
        policy: What holds for it and for everything that it starts.
        on_report: Called in the supervisor with each attempt that the policy does not permit.
        on_end: Called there when the command has ended; returns whether a status 0 is to become 1.

    Returns:
        The error number, if the command can't be started: there is no such command, or it can't be executed.

    Raises:
        UnavailableError: The layer can't work here; the command was not started.
    """
    try:
        _fill_standard()
        signals = signal_descriptor(HANDLED)
        mine, theirs = socket.socketpair()
    except OSError as error:
        raise UnavailableError(f"it can't have descriptors ({error.strerror})") from None
    # Between the fork and the loop no signal may be lost.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a process that ignores it doesn't learn how a child ended
    child = _fork()
    if not child:
        mine.close()
        _supervise(theirs, mask, words, policy, on_report, on_end)
    theirs.close()
    loop = Supervisor(os.uname().machine)  # for its loop alone
    parent = Parent(loop, child, signals)
    messages: list[dict[str, Any]] = []
    loop.on(mine.fileno(), lambda: _receive(loop, mine, messages.append))
    loop.run(lambda: bool(messages) or parent.status is not None)
    mine.close()
    message = messages[0] if messages else {}
    if "unavailable" in message:
        raise UnavailableError(message["unavailable"])
    if "not_started" not in message:
        if message:
            parent.status = message["status"]
        else:
            write_message("the supervisor is gone; the command ends here")
        parent.leave(failed=message.get("failed", True))
    number: int = message["not_started"]
    return number


def _fill_standard() -> None:
    """Keep the numbers of closed standard descriptors from others; for the command they are closed again."""
    while os.open(os.devnull, os.O_RDWR) <= 2:  # noqa: PLR2004 - the last of them
        pass


def _fork() -> int:
    """Fork; the child gets SIGTERM when this process ends, whatever the reason.

    Raises:
        UnavailableError: This process can't fork.
    """
    here = os.getpid()
    try:
        child = os.fork()
    except OSError as error:
        raise UnavailableError(f"this process can't fork ({error.strerror})") from None
    if not child:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != here:
            leave(INTERNAL_ERROR)
    return child


def _send(line: socket.socket, **message: object) -> None:
    with contextlib.suppress(OSError):  # the other process has ended
        line.send(json.dumps(message).encode())


def _receive(loop: Supervisor, line: socket.socket, receiver: Callable[[dict[str, Any]], object]) -> None:
    """Pass the next message on, with the descriptors that came with it; at the end of messages, leave the loop."""
    data, descriptors, *_ = socket.recv_fds(line, _LONGEST, 1)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)  # in CPython 3.11 to 3.13, recv_fds ignores its flags
    if not data:
        loop.off(line.fileno())
        line.close()
        return
    receiver(json.loads(data) | {"descriptors": descriptors})


# -- the supervisor ----------------------------------------------------------------------------------------------------


class _Command(Watched):
    """A command, with all that it starts: one policy holds for all of its calls, whoever makes them and when.

    Args:
        listener: Descriptor on which the kernel asks.
        pid: Id of the command's process.
        policy: The policy.
        on_report: Called with each report.
    """

    def __init__(self, listener: int, pid: int, policy: Policy, on_report: Callable[[Report], None]) -> None:
        page = os.memfd_create("pytest-test-categories", os.MFD_CLOEXEC)
        os.ftruncate(page, wire.Page.SIZE)
        control, reports = os.pipe()  # nothing is ever written: a command knows of no supervisor
        super().__init__(listener, page, reports, control, pid)
        self.family = Family(os.getpid())  # a daemon of the command becomes the supervisor's child
        self.policies[_IN_FORCE] = (policy,)
        self._word = _IN_FORCE if policy.restricts else 0
        self.page.publish(self._word)
        self._on_report = on_report

    def held_to(self, thread: int) -> tuple[int, bool]:  # noqa: ARG002 - the same for all
        """Return the word of the policy."""
        return self._word, True

    def tell(self, report: wire.Report) -> None:
        """Pass a report on."""
        self._on_report(report)


class _Start:
    """What the process that becomes the command says before that.

    Args:
        line: The socket to the process.
        watch: Watches the process; called with the descriptor on which the kernel asks.
        pid: Id of the process.

    Attributes:
        held: Whether the process is watched; not if a supervisor around this one does that already.
        failure: Why it does not become the command, as a message; empty if it does.
    """

    def __init__(self, line: socket.socket, watch: Callable[[int], None], pid: int) -> None:
        self._line = line
        self._watch = watch
        self._pid = pid
        self.held = False
        self.failure: dict[str, object] = {
            "unavailable": "the process for the command ended before the supervisor could watch it"
        }

    def take(self, message: dict[str, Any]) -> None:
        """Take a message, and answer it."""
        reason = ""
        if "not_started" in message:
            self.failure = {"not_started": message["not_started"]}
            return
        if "error" in message:
            reason = "" if _is_around(message["error"]) else why_not_installed(message["error"])
        else:
            reason = wire.why_unreadable(self._pid, message["installed"])
            self.held = not reason
            if self.held:
                self._watch(message["descriptors"][0])
        if reason:
            self.failure = {"unavailable": reason}
            self._line.shutdown(socket.SHUT_RDWR)
        else:
            self.failure = {}
            _send(self._line, start=True)


def _supervise(
    line: socket.socket,
    mask: set[signal.Signals] | set[int],
    words: list[str],
    policy: Policy,
    on_report: Callable[[Report], None],
    on_end: Callable[[End], bool],
) -> NoReturn:
    """Start the command, answer for it, and send how it ended; stay as long as anything of it is there."""
    try:
        ours, theirs = socket.socketpair()
        child = _fork()
        if not child:
            ours.close()
            _become(theirs, mask, words)
        theirs.close()
        supervisor = Supervisor(os.uname().machine)
        parent = Parent(supervisor, child, signal_descriptor(HANDLED))
        start = _Start(ours, lambda asks: supervisor.watch(_Command(asks, child, policy, on_report)), child)
        supervisor.on(ours.fileno(), lambda: _receive(supervisor, ours, start.take))
        supervisor.run(lambda: parent.status is not None)
        assert parent.status is not None
        supervisor.unheard()  # look-ups that have not sent their name yet are reported without one
        libc.prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0)
        if start.failure:
            _send(line, **start.failure)
        else:
            failed = on_end(End(os.waitstatus_to_exitcode(parent.status), held=start.held))
            _send(line, status=parent.status, failed=failed)
        line.close()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # what ends from now on needs nobody who waits for it
        detach(lambda descriptor: not os.get_inheritable(descriptor))
        supervisor.run(lambda: not supervisor.watched)
        leave(0)
    except BaseException:  # noqa: BLE001 - nothing of the process that the user started may run here
        import traceback

        traceback.print_exc()
    finally:
        leave(INTERNAL_ERROR)


def _is_around(number: int) -> bool:
    """Tell whether the kernel does not take the filter because a supervisor of this project watches the process."""
    return number == errno.EBUSY and VARIABLE in os.environ


# -- the command -------------------------------------------------------------------------------------------------------


def _become(line: socket.socket, mask: set[signal.Signals] | set[int], words: list[str]) -> NoReturn:
    """Put this process under the supervisor, and replace it by the command."""
    listeners: queue.SimpleQueue[int] = queue.SimpleQueue()
    greeting = ctypes.create_string_buffer(wire.GREETING)

    def hand_over() -> None:
        hello = json.dumps({"installed": ctypes.addressof(greeting)}).encode()
        try:
            socket.send_fds(line, [hello], [listeners.get()])
        except OSError as error:
            _send(line, error=error.errno)

    try:
        # The filter asks about each sendmsg, and nobody answers yet. This thread is not under it, so that no descriptor
        # has to be exempt. It ends when the command replaces the program.
        _thread.start_new_thread(hand_over, ())
        try:
            listener = install(MACHINES[os.uname().machine], NO_DESCRIPTOR, all_threads=False)
        except OSError as error:
            _send(line, error=error.errno)
        else:
            listeners.put(listener)
        if line.recv(_LONGEST):
            os.environ[VARIABLE] = AROUND
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            _send(line, not_started=execute(words))
    finally:
        leave(INTERNAL_ERROR)
