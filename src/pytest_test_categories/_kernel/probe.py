"""Tells whether the kernel layer can work here and, if not, why: in one line, for the header."""

from __future__ import annotations

import errno
import os
import re
import sys
from typing import Final

from pytest_test_categories._kernel.processes import text_of

VARIABLE: Final = "_PYTEST_TEST_CATEGORIES_KERNEL"
"""Variable in the environment of what a supervisor watches: where workers register, or ``AROUND``."""
AROUND: Final = "around"

_OLDEST: Final = (5, 6)
_CAP_SYS_PTRACE: Final = 19
_ADMINS_ONLY: Final = 2
_YAMA: Final = "/proc/sys/kernel/yama/ptrace_scope"


class UnavailableError(Exception):
    """The layer can't work here; the message says why, in one line."""


def why_not_installed(number: int) -> str:
    """Return why the kernel does not take the filter, by the error number of the call."""
    if number == errno.EBUSY:
        return "another supervisor watches this process already (a run around this one, or the container's)"
    return f"the kernel does not take the filter ({os.strerror(number)})"


def unavailable(*, forking: bool = True) -> str:
    """Return why the layer can't work here; empty if it can, as far as that is known before trying.

    Args:
        forking: Whether this process is to fork, which it may do only while it has one thread.
    """
    if sys.platform != "linux":
        return f"it needs Linux, and this is {sys.platform}"
    if sys.implementation.name != "cpython":
        return f"it needs CPython, and this is {sys.implementation.name}"
    return (
        _wrong_machine(os.uname().machine, sys.maxsize)
        or _wrong_kernel(os.uname().release)
        or _no_notification()
        or _no_processes()
        or _no_reading(text_of(_YAMA), text_of("/proc/self/status"))
        or (_threads() if forking else "")
    )


def _wrong_machine(machine: str, largest: int) -> str:
    from pytest_test_categories._kernel.filter import MACHINES

    if machine not in MACHINES:
        return f"it knows {' and '.join(MACHINES)}, and this is {machine}"
    return "" if largest > 2**32 else "it needs a 64 bit Python"


def _wrong_kernel(release: str) -> str:
    numbers = re.match(r"(\d+)\.(\d+)", release)
    if numbers is None or (int(numbers[1]), int(numbers[2])) >= _OLDEST:
        return ""
    return f"it needs Linux {_OLDEST[0]}.{_OLDEST[1]}, and this is {release}"


def _no_notification() -> str:
    import ctypes

    from pytest_test_categories._kernel.filter import GET_NOTIF_SIZES, MACHINES, seccomp
    from pytest_test_categories._kernel.wire import ANSWER, QUESTION

    sizes = (ctypes.c_uint16 * 3)()
    try:
        seccomp(MACHINES[os.uname().machine], GET_NOTIF_SIZES, 0, ctypes.byref(sizes))
    except OSError as error:
        return f"this kernel, or the sandbox around it, has no seccomp user notification ({error.strerror})"
    if (sizes[0], sizes[1]) != (QUESTION.size, ANSWER.size):
        return f"this kernel's notifications have another form ({sizes[0]} and {sizes[1]} bytes)"
    return ""


def _no_processes() -> str:
    """Return a reason if /proc does not list this process: it names the caller's process and when that started."""
    return "" if os.access(f"/proc/{os.getpid()}/stat", os.R_OK) else "/proc is not there, or of other processes"


def _no_reading(yama: str, status: str) -> str:
    """Return a reason if a process may not read the memory of its descendants."""
    if not yama.strip().isdecimal() or int(yama) < _ADMINS_ONLY:
        return ""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    if int(yama) == _ADMINS_ONLY and found is not None and int(found[1], 16) >> _CAP_SYS_PTRACE & 1:
        return ""
    return f"{_YAMA} is {yama.strip()}: no process may read another's addresses"


def _threads() -> str:
    try:
        count = len(os.listdir("/proc/self/task"))
    except OSError as error:
        return f"/proc does not tell the threads of this process ({error.strerror})"
    return "" if count == 1 else f"{count} threads run already (a debugger or a tracer?), and only one can fork"
