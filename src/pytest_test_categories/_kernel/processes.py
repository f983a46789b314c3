"""What the kernel says of processes and threads: by /proc, and by a copy of a descriptor."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from typing import Final

from pytest_test_categories._kernel.filter import libc

_PIDFD_GETFD: Final = 438  # on every machine, from Linux 5.6 on
_LONGEST_COMMAND: Final = 200


def ticks() -> int:
    """Return the time since boot as /proc counts it: in hundredths of a second."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 10_000_000


def process_of(thread: int) -> int:
    """Return the process that a thread belongs to; the thread's own number if it is gone."""
    try:
        with open(f"/proc/{thread}/status", "rb") as lines:
            return next((int(line[5:]) for line in lines if line.startswith(b"Tgid:")), thread)
    except OSError:
        return thread


def start_of(pid: int) -> tuple[int, int]:
    """Return when a process or thread started, in the ticks of ``ticks``, and its parent; now and 0 if gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The second field is a name, which may hold blanks and brackets.
            fields = file.read().rpartition(b")")[2].split()
            return int(fields[19]), int(fields[1])
    except (OSError, IndexError, ValueError):
        return ticks(), 0


def command_of(pid: int) -> str:
    """Return a process's command line, cut short; empty if it is gone."""
    text = "".join(c if c.isprintable() else " " for c in text_of(f"/proc/{pid}/cmdline").rstrip("\0"))
    return text if len(text) <= _LONGEST_COMMAND else text[:_LONGEST_COMMAND] + "..."


def borrowed_socket(pid: int, number: int) -> socket.socket:
    """Return a socket of a process's, by the number that it has there: another descriptor of the same socket.

    Raises:
        OSError: EBADF: it has none of that number; ENOTSOCK: it is something else; ESRCH: the process is gone;
            EPERM: it may not be looked at.
    """
    process = os.pidfd_open(pid)
    try:
        descriptor = libc.syscall(_PIDFD_GETFD, process, ctypes.c_uint(number), ctypes.c_uint(0))
        if descriptor < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        try:
            return socket.socket(fileno=descriptor)
        except OSError:
            os.close(descriptor)
            raise
    finally:
        os.close(process)


def text_of(path: str) -> str:
    """Return what is in a file; nothing if it can't be read."""
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "backslashreplace").strip()
    except OSError:
        return ""
