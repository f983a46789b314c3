"""The start: the fork, and how a test process puts itself under the supervisor."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import functools
import gc
import json
import os
import select
import shutil
import signal
import socket
import struct
import tempfile
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from pytest_test_categories._kernel import wire
from pytest_test_categories._kernel.client import Client
from pytest_test_categories._kernel.filter import MACHINES, install, libc
from pytest_test_categories._kernel.parent import (
    HANDLED,
    INTERNAL_ERROR,
    PR_SET_PDEATHSIG,
    Parent,
    is_measured,
    last_word,
    leave,
    leave_keeper,
    signal_descriptor,
)
from pytest_test_categories._kernel.probe import UnavailableError, why_not_installed

if TYPE_CHECKING:
    from types import FrameType

    from pytest_test_categories._kernel.supervisor import Supervisor

_PATIENCE: Final = 30.0
"""How many seconds a test process waits for the supervisor to accept it."""
_HIGH_DESCRIPTOR: Final = 900
"""The filter exempts the control socket's number, so that it is one that programs don't get by chance."""
_PIPE_SIZE: Final = 1 << 20
_PARENT_GONE: Final = signal.SIGRTMIN + 9 if hasattr(signal, "SIGRTMIN") else 0
_SPARE: Final = 24
"""How many descriptors must be free at the start, for both processes together; half of them are for look-ups."""


def fork(*, workers: bool, failures: str = "") -> tuple[Client | None, str]:
    """Fork: this process becomes the supervisor, and the function returns in the child.

    Args:
        workers: Whether the child only starts workers, each of which puts itself under the supervisor.
        failures: A file in which the child says that the supervisor has ended, before it ends, too; its first line
            names this layer, as Bazel's ``TEST_INFRASTRUCTURE_FAILURE_FILE`` wants it.

    Returns:
        The client, and the path at which workers register; either None and a path, or a client and an empty path.

    Raises:
        UnavailableError: A resource is missing, or the kernel rejects the filter; then the supervisor stays, and does
            nothing.
    """
    ready = _prepare(workers=workers)
    # Between the fork and the loop no signal may be lost, or reach a handler of the run.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    reaping = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a process that ignores it doesn't learn how a child ended
    parent = os.getpid()
    gc.freeze()  # a garbage collection would write to shared memory pages, which must then be copied
    try:
        child = os.fork()
    except OSError as error:
        gc.unfreeze()
        signal.signal(signal.SIGCHLD, reaping)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        ready.undo.close()
        raise UnavailableError(f"this process can't fork ({error.strerror})") from None
    if child:
        ready.mine.close()
        _supervise(child, ready)
    ready.theirs.close()
    os.close(ready.signals)
    if ready.server is not None:
        ready.server.close()
    signal.signal(signal.SIGCHLD, reaping)
    _forget_fork_server()
    _end_with(parent, ready.terminal, failures)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if ready.channel is None:
        ready.mine.close()
        return None, os.path.join(ready.directory, "s")
    return _register(ready.mine, ready.channel), ""


class _Channel(NamedTuple):
    """The shared memory and the pipes between a test process and its supervisor."""

    page: int
    reports: tuple[int, int]
    control: tuple[int, int]

    def close(self) -> None:
        for descriptor in (self.page, *self.reports, *self.control):
            os.close(descriptor)


class _Ready(NamedTuple):
    """Everything that the two processes need, created before the fork: if anything fails, the layer is unavailable.

    Attributes:
        mine: The test process's end of the socket pair between the two.
        theirs: The supervisor's end.
        signals: Descriptor from which the supervisor reads signals.
        terminal: Where the test process writes that the supervisor is gone.
        channel: The channel of the test process; None if only workers are watched.
        directory: Where workers register; empty without workers.
        server: The socket at which they register.
        undo: Closes and removes all of these.
    """

    mine: socket.socket
    theirs: socket.socket
    signals: int
    terminal: int
    channel: _Channel | None
    directory: str
    server: socket.socket | None
    undo: contextlib.ExitStack


def _prepare(*, workers: bool) -> _Ready:
    """Create everything whose creation can fail.

    Raises:
        UnavailableError: Something failed; nothing of the rest is left.
    """
    with contextlib.ExitStack() as undo:
        what = "descriptors"
        try:
            _try_descriptors()
            what = "a socket pair"
            mine, theirs = map(undo.enter_context, socket.socketpair())
            what = "a descriptor for signals"
            signals = _later_closed(undo, signal_descriptor(HANDLED))
            what = "stderr"
            terminal = _later_closed(undo, _error_output())
            what = "shared memory"
            channel = None if workers else _make_channel(undo)
            what = "a socket for workers"
            directory, server = _make_server(undo) if workers else ("", None)
        except OSError as error:
            raise UnavailableError(f"it can't have {what} ({error.strerror})") from None
        return _Ready(mine, theirs, signals, terminal, channel, directory, server, undo.pop_all())


def _later_closed(undo: contextlib.ExitStack, descriptor: int) -> int:
    undo.callback(os.close, descriptor)
    return descriptor


def _try_descriptors() -> None:
    """Check that both processes can get the descriptors that they need, including the one with the high number.

    Raises:
        OSError: They can't.
    """
    with contextlib.ExitStack() as undo:
        epoll = undo.enter_context(select.epoll())
        for lowest in (_HIGH_DESCRIPTOR, *[0] * _SPARE):
            undo.callback(os.close, fcntl.fcntl(epoll.fileno(), fcntl.F_DUPFD_CLOEXEC, lowest))


def _error_output() -> int:
    try:
        return os.dup(2)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
    return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)  # stderr was closed before the run started


def _make_channel(undo: contextlib.ExitStack) -> _Channel:
    """Create the shared memory and the pipes.

    Raises:
        OSError: One of them can't be created.
    """
    page = _later_closed(undo, os.memfd_create("pytest-test-categories", os.MFD_CLOEXEC))
    os.ftruncate(page, wire.Page.SIZE)
    wire.Page(page).close()
    pipes = []
    for _ in ("reports", "control"):
        read, write = os.pipe()
        pipes.append((_later_closed(undo, read), _later_closed(undo, write)))
    reports, control = pipes
    with contextlib.suppress(OSError):  # the user's limit for pipes is reached: a small one works, too
        fcntl.fcntl(reports[0], fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    return _Channel(page, reports, control)


def _forget_fork_server() -> None:
    """Let multiprocessing start a new fork server: an existing one is a child of the supervisor."""
    import sys

    module = sys.modules.get("multiprocessing.forkserver")
    if module is not None:
        module._forkserver._forkserver_pid = None


def join(path: str) -> Client:
    """Put this process, a worker of a run, under the run's supervisor.

    Raises:
        UnavailableError: The supervisor can't be reached, or the kernel rejects the filter.
    """
    with contextlib.ExitStack() as undo:
        try:
            _try_descriptors()
            channel = _make_channel(undo)
        except OSError as error:
            raise UnavailableError(f"it can't have descriptors or shared memory ({error.strerror})") from None
        try:
            sock = undo.enter_context(socket.socket(socket.AF_UNIX))
            sock.connect(path)
        except OSError as error:
            raise UnavailableError(f"the run's supervisor can't be reached: {error.strerror}") from None
        undo.pop_all()
    return _register(sock, channel)


def _make_server(undo: contextlib.ExitStack) -> tuple[str, socket.socket]:
    directory = tempfile.mkdtemp(prefix="pytest-test-categories-")  # no other user may enter it
    undo.callback(shutil.rmtree, directory, ignore_errors=True)
    server = undo.enter_context(socket.socket(socket.AF_UNIX))
    server.bind(os.path.join(directory, "s"))
    server.listen(64)
    return directory, server


def _end_with(parent: int, terminal: int, failures: str) -> None:
    """Make this process end when the supervisor ends: nothing would be watched any more."""

    def on_end(_number: int, _frame: FrameType | None) -> None:
        if os.getppid() != parent:
            what = "the kernel layer's supervisor is gone; the run ends here\n"
            os.write(terminal, f"\npytest-test-categories: {what}".encode())
            if failures:
                with contextlib.suppress(OSError), open(failures, "w", encoding="utf-8") as file:
                    file.write(f"pytest-test-categories\n{what}")
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(_PARENT_GONE, on_end)
    libc.prctl(PR_SET_PDEATHSIG, _PARENT_GONE, 0, 0, 0)
    if os.getppid() != parent:
        leave(INTERNAL_ERROR)


def _refusal(line: socket.socket, _greeting: object) -> str:
    """Return why the supervisor has not accepted this process; empty if it has.

    Args:
        line: The socket to the supervisor; it is read late, when both processes are ready.
        _greeting: The memory that the supervisor reads as a check, which must exist until then.
    """
    line.settimeout(_PATIENCE)
    try:
        answer = line.recv(1024).decode()
    except OSError as error:
        answer = f"the supervisor does not answer ({error})"
    line.detach()  # it stays open, so that no other socket gets its number
    return "" if answer == "ok" else answer or "the supervisor has ended"


# -- the test process's side -------------------------------------------------------------------------------------------


def _register(sock: socket.socket, channel: _Channel) -> Client:
    """Install the filter and send the supervisor the descriptors that it needs."""
    page, (reports, their_reports), (their_control, my_control) = channel
    try:
        control = fcntl.fcntl(sock, fcntl.F_DUPFD_CLOEXEC, _HIGH_DESCRIPTOR)
    except OSError as error:
        channel.close()
        raise UnavailableError(f"it can't have descriptors ({error.strerror})") from None
    finally:
        sock.close()
    line = socket.socket(fileno=control)
    try:
        listener = install(MACHINES[os.uname().machine], control)
    except OSError as error:
        channel.close()
        line.close()
        raise UnavailableError(why_not_installed(error.errno or 0)) from None
    greeting = ctypes.create_string_buffer(wire.GREETING)
    hello = json.dumps({"greeting": ctypes.addressof(greeting)}).encode()
    socket.send_fds(line, [hello], [listener, page, their_reports, their_control])
    # Only the supervisor may have these: otherwise, if it ends, callers would wait forever.
    for descriptor in (listener, their_reports, their_control):
        os.close(descriptor)
    return Client(page, reports, my_control, functools.partial(_refusal, line, greeting))


# -- the supervisor's side ---------------------------------------------------------------------------------------------


def _supervise(child: int, ready: _Ready) -> NoReturn:
    """Run as the supervisor until the child ends, and then end with the same status."""
    try:
        import sys
        import threading

        if not is_measured():
            sys.settrace(None)
            threading.settrace(None)
        sys.setprofile(None)
        gc.disable()  # finalizers of the run's objects are for the child to run
        socket.setdefaulttimeout(
            None
        )  # with another one, a copy of a test's socket would make that socket non-blocking
        from pytest_test_categories._kernel.supervisor import Supervisor

        line, server, directory = ready.theirs, ready.server, ready.directory
        os.close(ready.terminal)
        if ready.channel is not None:
            ready.channel.close()  # the test process sends it again, with the listener
        supervisor = Supervisor(os.uname().machine)
        parent = Parent(supervisor, child, ready.signals)
        _take_on(supervisor, line, child)
        if server is not None:
            server.setblocking(False)
            supervisor.on(server.fileno(), lambda: _accept(supervisor, server))
        supervisor.run(lambda: parent.status is not None)
        if directory:
            shutil.rmtree(directory, ignore_errors=True)
        unheard = supervisor.unheard()
        if unheard:
            os.write(2, last_word(unheard).encode(errors="replace"))
        leave_keeper(supervisor.watched)
        parent.leave(failed=any(report.refused for report in unheard))
    except BaseException:  # noqa: BLE001 - nothing of the run may run here
        import traceback

        traceback.print_exc()
    finally:
        leave(INTERNAL_ERROR)


def _accept(supervisor: Supervisor, server: socket.socket) -> None:
    try:
        line, _ = server.accept()
    except OSError:
        return
    _take_on(supervisor, line, 0)


def _take_on(supervisor: Supervisor, line: socket.socket, pid: int) -> None:
    """Watch one test process as soon as its first message arrives, without blocking until then.

    Args:
        supervisor: The supervisor.
        line: The socket to the process.
        pid: Id of the process; 0 for the process at the other end of the socket.
    """
    from pytest_test_categories._kernel.watched import Watched

    def on_hello() -> None:
        supervisor.off(line.fileno())
        with line:
            try:
                data, descriptors, *_ = socket.recv_fds(line, 1024, 4)
            except OSError:
                return
            peer, user = struct.unpack("=ii4x", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            if len(descriptors) != 4 or user != os.geteuid():  # noqa: PLR2004 - those that _register sends
                for descriptor in descriptors:
                    os.close(descriptor)
                return
            try:
                listener, page, reports, control = descriptors
                watched = Watched(listener, page, reports, control, pid or peer)
                reason = wire.why_unreadable(watched.pid, int(json.loads(data)["greeting"]))
            except (OSError, ValueError, TypeError, KeyError, RecursionError):  # it is not one of our test processes
                for descriptor in descriptors:
                    with contextlib.suppress(OSError):
                        os.close(descriptor)
                return
            watched.unjudged = bool(reason)
            supervisor.watch(watched)
            with contextlib.suppress(OSError):  # it has ended in the meantime
                line.send((reason or "ok").encode())

    line.setblocking(False)
    supervisor.on(line.fileno(), on_hello)
