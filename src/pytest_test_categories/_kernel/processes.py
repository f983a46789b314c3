"""Facts about processes and threads, from /proc and from duplicates of their descriptors."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import time
from typing import TYPE_CHECKING, Final

from pytest_test_categories._kernel.filter import libc

if TYPE_CHECKING:
    from collections.abc import Callable

_PIDFD_GETFD: Final = 438  # the same on every architecture, since Linux 5.6
_syscall: Final = ctypes.CDLL(None).syscall  # unlike libc.syscall it does not keep the error number, which costs time
_PIDFD_THREAD: Final = os.O_EXCL  # since Linux 6.9
_LONGEST_COMMAND: Final = 200


def ticks() -> int:
    """Return the time since boot in the unit of /proc: hundredths of a second."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 10_000_000


def process_of(thread: int) -> int:
    """Return the process id of a thread; the thread's own id if it no longer exists."""
    try:
        with open(f"/proc/{thread}/status", "rb") as lines:
            return next((int(line[5:]) for line in lines if line.startswith(b"Tgid:")), thread)
    except OSError:
        return thread


def start_of(pid: int) -> tuple[int, int]:
    """Return the start of a process or thread, in ``ticks()``, and its parent; now and 0 if it no longer exists."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The second field is a name, which may contain spaces and parentheses.
            fields = file.read().rpartition(b")")[2].split()
            return int(fields[19]), int(fields[1])
    except (OSError, IndexError, ValueError):
        return ticks(), 0


class Starts:
    """The starts of the threads and processes that have asked lately, each remembered for as long as it lives.

    Numbers are used again. But an open file of /proc belongs to a thread or process, and not to its number: it can be
    read until that one has ended and its parent knows, and until then nobody else gets the number.
    """

    _MOST: Final = 8

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}  # by number: the descriptor of the open file, and the start

    def of(self, pid: int) -> int:
        """Return the start of a process or thread, in ``ticks()``; now if it no longer exists."""
        if pid in self._known:
            descriptor, since = self._known[pid]
            if _lives(descriptor):
                return since
            self._forget(pid)
        try:
            descriptor = os.open(f"/proc/{pid}/comm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # it has ended, or no descriptor is free
            return start_of(pid)[0]
        since, _parent = start_of(pid)
        self._known[pid] = (descriptor, since)
        if len(self._known) > self._MOST:
            self._forget(next(iter(self._known)))
        if not _lives(descriptor):  # the start may be that of the number's next owner
            self._forget(pid)
        return since

    def _forget(self, pid: int) -> None:
        os.close(self._known.pop(pid)[0])


def _lives(descriptor: int) -> bool:
    try:
        return bool(os.pread(descriptor, 64, 0))
    except OSError:
        return False


def command_of(pid: int) -> str:
    """Return the command line of a process, shortened; empty if the process no longer exists."""
    text = "".join(c if c.isprintable() else " " for c in text_of(f"/proc/{pid}/cmdline").rstrip("\0"))
    return text if len(text) <= _LONGEST_COMMAND else text[:_LONGEST_COMMAND] + "..."


class Descriptors:
    """Copies descriptors of other processes: this process gets one of the same file or socket."""

    _MOST: Final = 8

    def __init__(self) -> None:
        # A descriptor of a thread belongs to the thread, and not to its number. After its end it copies nothing.
        self._known: dict[int, int] = {}

    def copy(self, thread: int, number: int, is_there: Callable[[], bool] = lambda: True) -> int:
        """Return a copy of a thread's descriptor, to be closed by the caller.

        Args:
            thread: The thread.
            number: The thread's descriptor.
            is_there: Tells whether the thread still has its number, if it has not been asked before.

        Raises:
            OSError: EBADF: there is no such descriptor; ESRCH: the thread no longer exists; EPERM: access is not
                permitted; EMFILE: this process has no free descriptor.
        """
        known = self._known.get(thread)
        copied = -1 if known is None else _copy(known, number)
        if known is None or (copied < 0 and ctypes.get_errno() == errno.ESRCH):
            if known is not None:
                os.close(self._known.pop(thread))
            elif len(self._known) >= self._MOST:
                os.close(self._known.pop(next(iter(self._known))))
            opened = self._known[thread] = _open(thread)
            if not is_there():
                raise ProcessLookupError
            copied = _copy(opened, number)
        if copied < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return copied

    def socket(self, thread: int, number: int) -> socket.socket:
        """Return a copy of a thread's socket.

        Raises:
            OSError: As ``copy``; ENOTSOCK: it is not a socket.
        """
        copied = self.copy(thread, number)
        try:
            return socket.socket(fileno=copied)
        except OSError:
            os.close(copied)
            raise


def _open(thread: int) -> int:
    try:
        return os.pidfd_open(thread, _PIDFD_THREAD)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return os.pidfd_open(
        process_of(thread)
    )  # before Linux 6.9: nearly all threads share the descriptors of their process


def _copy(process: int, number: int) -> int:
    number &= 0xFFFFFFFF
    copied: int = _syscall(_PIDFD_GETFD, process, number, 0)
    return copied if copied >= 0 else libc.syscall(_PIDFD_GETFD, process, number, 0)


def text_of(path: str) -> str:
    """Return the text of a file; empty if the file can't be read."""
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "backslashreplace").strip()
    except OSError:
        return ""
