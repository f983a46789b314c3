"""The supervisor as a parent process: passes signals on, and stops and ends like the test process."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import posix
import select
import signal
import struct
from typing import TYPE_CHECKING, Final, NoReturn

from pytest_test_categories._kernel import wire
from pytest_test_categories._kernel.filter import libc
from pytest_test_categories._kernel.processes import start_of
from pytest_test_categories._rules.address import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_test_categories._kernel.supervisor import Supervisor
    from pytest_test_categories._kernel.wire import Report

FORWARDED: Final = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGWINCH,
    signal.SIGCONT,
)
"""Signals that are meant for the test process, even if they are sent to the supervisor."""
INTERNAL_ERROR: Final = 70
"""The exit status of a process that ends because of a defect of this package."""
HANDLED: Final = frozenset({*FORWARDED, signal.SIGCHLD})

# linux/prctl.h, bits/signalfd.h, bits/siginfo-consts.h
PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
_SIGNALFD_FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC
_SI_KERNEL: Final = 0x80
_SIGINFO: Final = struct.Struct("=IiiI112x")  # signal, errno, code, sender
_SIGINFO_SIZE: Final = 128
_SIGNAL_SET: Final = 128


class Parent:
    """Mediates between the process that started the run and the test process.

    Args:
        supervisor: The supervisor, whose loop reads the signals.
        child: Id of the test process.
        signals: The result of ``signal_descriptor(HANDLED)``.
    """

    def __init__(self, supervisor: Supervisor, child: int, signals: int) -> None:
        self._supervisor = supervisor
        self._child = child
        self.status: int | None = None
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # daemons stay descendants, so that their memory can be read
        self._signals = signals
        supervisor.on(self._signals, self._on_signal)
        self._reap()  # the child may already have ended

    def _on_signal(self) -> None:
        while True:
            try:
                raw = os.read(self._signals, _SIGINFO_SIZE)
            except BlockingIOError:
                return
            number, _, code, sender = _SIGINFO.unpack(raw)
            if number == signal.SIGCHLD:
                self._reap()
            # A terminal signals the whole process group, including the child. A process of the run signals this process
            # together with the child, or means this process. SIGCONT is handled below.
            elif code != _SI_KERNEL and number != signal.SIGCONT and not self._is_of_the_run(sender):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._child, number)

    def _is_of_the_run(self, pid: int) -> bool:
        for _ in range(64):
            if pid in {0, 1, os.getpid()}:
                return False
            if pid == self._child:
                return True
            _since, pid = start_of(pid)
        return False

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                if self.status is None:  # other code has waited for the child
                    self.status = 1 << 8
                return
            if pid == 0:
                return
            if pid != self._child:
                continue
            if os.WIFSTOPPED(status):
                # The shell waits for this process: stop as well, and when the shell continues it, continue the child.
                os.kill(os.getpid(), signal.SIGSTOP)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._child, signal.SIGCONT)
            else:
                self.status = status

    def leave(self, *, failed: bool = False) -> NoReturn:
        """End like the test process; ``failed`` if refusals would otherwise go unseen."""
        assert self.status is not None
        if os.WIFSIGNALED(self.status):
            import resource

            number = os.WTERMSIG(self.status)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the child has left a core file, if one was wanted
            with contextlib.suppress(OSError):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
            os.kill(os.getpid(), number)
        leave(os.WEXITSTATUS(self.status) or int(failed) if os.WIFEXITED(self.status) else 1)


def last_word(unheard: Iterable[Report]) -> str:
    """Return the text about refusals that the test process did not read before it ended."""
    lines: dict[str, None] = {}
    for report in unheard:
        endpoint = Endpoint(report.name or report.host, report.port, report.family)
        mode = "strict" if report.refused else "warn"
        lines[f"    {endpoint} by {report.command or 'a process'} (pid {report.pid}, {mode})"] = None
    title = " test categories (strict) ".center(80, "=")
    said = "network violations that the test run's own process did not live to report:"
    return "\n".join(["", title, said, *lines, ""])


def is_measured() -> bool:
    """Tell whether coverage measures child processes, each into its own file: then it measures this process, too."""
    return "COVERAGE_PROCESS_CONFIG" in os.environ or "COVERAGE_PROCESS_START" in os.environ


def leave(status: int) -> NoReturn:
    """End this process at once: the exit handlers of the test run are for the test process to call."""
    if is_measured():
        os._exit(status)
    # A replacement of os._exit by coverage would overwrite what the test process has measured.
    posix._exit(status)


def signal_descriptor(signals: Iterable[signal.Signals]) -> int:
    """Return a descriptor from which a process reads its own blocked signals.

    Raises:
        OSError: It can't be created.
    """
    bits = sum(1 << (number - 1) for number in signals)
    wanted = ctypes.create_string_buffer(struct.pack("=Q", bits), _SIGNAL_SET)
    descriptor: int = libc.signalfd(-1, wanted, _SIGNALFD_FLAGS)
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return descriptor


def leave_keeper(listeners: Iterable[int]) -> None:
    """Leave a process behind that answers for daemons of the run, as long as there are any.

    Without it each of their connects would fail from now on.
    """
    kept = _alive(listeners)
    if not kept or os.fork():
        return
    try:
        _keep(kept)
    finally:
        leave(0)


def _alive(listeners: Iterable[int]) -> list[int]:
    listeners = list(listeners)
    poll = select.poll()
    for listener in listeners:
        poll.register(listener, select.POLLIN)
    gone = {listener for listener, event in poll.poll(0) if event & (select.POLLHUP | select.POLLERR)}
    return [listener for listener in listeners if listener not in gone]


def detach(keeps: Callable[[int], bool]) -> None:
    """Leave the session, the terminal and the files of the process that started this one, to stay in the background.

    Args:
        keeps: Tells whether a descriptor stays open.
    """
    os.setsid()
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the list itself is closed already
            if int(name) > 2 and not keeps(int(name)):  # noqa: PLR2004 - the standard ones
                os.close(int(name))
    for number in FORWARDED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _keep(listeners: list[int]) -> None:
    detach(listeners.__contains__)
    question = bytearray(wire.QUESTION.size)
    poll = select.poll()
    for listener in listeners:
        poll.register(listener, select.POLLIN)
    while listeners:
        for listener, event in poll.poll():
            if event & select.POLLIN:
                question[:] = bytes(len(question))
                with contextlib.suppress(OSError):
                    fcntl.ioctl(listener, wire.RECEIVE, question, True)
                    number = wire.QUESTION.unpack(question)[0]
                    fcntl.ioctl(listener, wire.SEND, wire.ANSWER.pack(number, 0, 0, wire.GO_ON))
            else:
                poll.unregister(listener)
                os.close(listener)
                listeners.remove(listener)
