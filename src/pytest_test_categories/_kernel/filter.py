"""The seccomp filter: the system calls that the kernel asks the supervisor about, and how to install the filter."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from pytest_test_categories._host.multicast import JOINS

if TYPE_CHECKING:
    from collections.abc import Iterator

Row: TypeAlias = "str | tuple[int, int] | tuple[int, int, str | None, str | None]"
"""A label, an instruction with its operand, or a jump with the labels for true and false (None: the next row)."""


class Machine(NamedTuple):
    """The numbers of one architecture, and of the older architecture whose programs it also runs.

    Attributes:
        arch: Its AUDIT_ARCH.
        calls: The numbers of its system calls, by name.
        old_arch: AUDIT_ARCH of 32-bit programs.
        old_calls: The numbers of their system calls, by name.
        x32: Whether calls with numbers from ``X32`` on belong to a third interface.
    """

    arch: int
    calls: dict[str, int]
    old_arch: int
    old_calls: dict[str, int]
    x32: bool = False


MACHINES: Final = {
    "x86_64": Machine(
        0xC000003E,
        {
            "connect": 42,
            "sendto": 44,
            "sendmsg": 46,
            "bind": 49,
            "listen": 50,
            "setsockopt": 54,
            "sendmmsg": 307,
            "seccomp": 317,
            "io_uring_setup": 425,
        },
        0x40000003,
        {
            "socketcall": 102,
            "sendmmsg": 345,
            "bind": 361,
            "connect": 362,
            "listen": 363,
            "setsockopt": 366,
            "sendto": 369,
            "sendmsg": 370,
            "io_uring_setup": 425,
        },
        x32=True,
    ),
    "aarch64": Machine(
        0xC00000B7,
        {
            "bind": 200,
            "listen": 201,
            "connect": 203,
            "sendto": 206,
            "setsockopt": 208,
            "sendmsg": 211,
            "sendmmsg": 269,
            "seccomp": 277,
            "io_uring_setup": 425,
        },
        0x40000028,
        {
            "bind": 282,
            "connect": 283,
            "listen": 284,
            "sendto": 290,
            "setsockopt": 294,
            "sendmsg": 296,
            "sendmmsg": 374,
            "io_uring_setup": 425,
        },
    ),
}
"""The architectures that the layer supports, by the name that ``platform.machine()`` returns."""

X32: Final = 0x40000000

# linux/seccomp.h
_SET_MODE_FILTER: Final = 1
GET_NOTIF_SIZES: Final = 3
_TSYNC, _SPEC_ALLOW, _NEW_LISTENER, _TSYNC_ESRCH, _WAIT_KILLABLE = 1, 4, 8, 16, 32
_ALLOW, _NOTIFY, _ERRNO = 0x7FFF0000, 0x7FC00000, 0x00050000
PR_SET_NO_NEW_PRIVS: Final = 38

# linux/bpf_common.h: load a word, jump if equal, jump if not less, return.
_LOAD, _EQUAL, _NOT_LESS, _RETURN = 0x20, 0x15, 0x35, 0x06
# Offsets in struct seccomp_data.
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16

libc: Final = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def assemble(rows: list[Row]) -> bytes:
    """Return the instructions of a program, with its labels resolved."""
    places: dict[str, int] = {}
    steps: list[tuple[int, int, str | None, str | None]] = []
    for row in rows:
        if isinstance(row, str):
            places[row] = len(steps)
        else:
            steps.append((row[0], row[1], None, None) if len(row) == 2 else row)  # noqa: PLR2004 - no jump
    return b"".join(
        struct.pack("=HBBI", code, *(0 if to is None else places[to] - at - 1 for to in (yes, no)), operand)
        for at, (code, operand, yes, no) in enumerate(steps)
    )


def _joins() -> Iterator[Row]:
    """Yield the rows that ask about a ``setsockopt`` that joins a multicast group, and allow any other."""
    level, option = _ARGUMENTS + 8, _ARGUMENTS + 2 * 8  # its second and third argument
    levels = sorted({level for level, _option in JOINS})
    yield from ("setsockopt", (_LOAD, level))
    yield from ((_EQUAL, number, f"level {number}", None) for number in levels)
    yield _RETURN, _ALLOW
    for number in levels:
        yield from (f"level {number}", (_LOAD, option))
        yield from ((_EQUAL, joins, "ask", None) for known, joins in JOINS if known == number)
        yield _RETURN, _ALLOW


def program(machine: Machine, control: int) -> bytes:
    """Return the filter for a machine. It allows ``sendmsg`` on the descriptor ``control`` without asking."""
    calls = machine.calls
    address = _ARGUMENTS + 4 * 8  # sendto's fifth argument
    rows: list[Row] = [
        (_LOAD, _ARCH),
        (_EQUAL, machine.arch, "native", None),
        (_EQUAL, machine.old_arch, "old", "missing"),
        "native",
        (_LOAD, _NUMBER),
        *([(_NOT_LESS, X32, "missing", None)] if machine.x32 else []),
        (_EQUAL, calls["connect"], "ask", None),
        (_EQUAL, calls["bind"], "ask", None),
        (_EQUAL, calls["listen"], "ask", None),
        (_EQUAL, calls["sendmmsg"], "ask", None),
        (_EQUAL, calls["sendto"], "sendto", None),
        (_EQUAL, calls["sendmsg"], "sendmsg", None),
        (_EQUAL, calls["setsockopt"], "setsockopt", None),
        # A filter doesn't see the operations that a program submits through a ring. Programs that use rings also work
        # without them.
        (_EQUAL, calls["io_uring_setup"], "missing", "allow"),
        # send() is sendto() without an address: the kernel allows it without asking.
        "sendto",
        (_LOAD, address),
        (_EQUAL, 0, None, "ask"),
        (_LOAD, address + 4),
        (_EQUAL, 0, "allow", "ask"),
        "sendmsg",
        (_LOAD, _ARGUMENTS),
        (_EQUAL, control, "allow", "ask"),
        *_joins(),
        "old",
        (_LOAD, _NUMBER),
        *(
            (_EQUAL, number, "missing" if name == "io_uring_setup" else "ask", None)
            for name, number in machine.old_calls.items()
        ),
        "allow",
        (_RETURN, _ALLOW),
        "ask",
        (_RETURN, _NOTIFY),
        "missing",
        (_RETURN, _ERRNO | errno.ENOSYS),
    ]
    return assemble(rows)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


NO_DESCRIPTOR: Final = 0xFFFFFFFF
"""In place of a number of a descriptor that the filter exempts: none has it."""


def install(machine: Machine, control: int, *, all_threads: bool = True) -> int:
    """Install the filter for this process; return the descriptor on which the kernel asks.

    Args:
        machine: The machine.
        control: The descriptor on which ``sendmsg`` is allowed without asking, or ``NO_DESCRIPTOR``.
        all_threads: Whether it is for all threads of the process, or for this one and what it starts.

    Raises:
        OSError: The kernel rejects it. EBUSY: a supervisor already watches this process.
    """
    code = program(machine, control)
    held = ctypes.create_string_buffer(code, len(code))
    argument = _Program(len(code) // 8, ctypes.addressof(held))
    # Before Linux 5.16 a filter makes all code slower: a mitigation for programs that run hostile code.
    flags = _NEW_LISTENER | _SPEC_ALLOW | (_TSYNC | _TSYNC_ESRCH if all_threads else 0)
    try:
        return _install(machine, flags, argument)
    except OSError as error:
        # Without CAP_SYS_ADMIN the kernel requires no_new_privs. With it, sudo and other setuid programs don't work in
        # tests.
        if error.errno != errno.EACCES or libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise
    return _install(machine, flags, argument)


def _install(machine: Machine, flags: int, argument: _Program) -> int:
    try:
        return seccomp(machine, _SET_MODE_FILTER, flags | _WAIT_KILLABLE, ctypes.byref(argument))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return seccomp(machine, _SET_MODE_FILTER, flags, ctypes.byref(argument))  # before Linux 5.19


def waits_for_answers(machine: Machine) -> bool:
    """Tell whether a caller waits for the answer to a question that was received, whatever signals arrive."""
    try:
        seccomp(machine, _SET_MODE_FILTER, _NEW_LISTENER | _WAIT_KILLABLE, None)
    except OSError as error:
        return error.errno == errno.EFAULT  # the flags are known; before Linux 5.19 they are invalid
    return False


def seccomp(machine: Machine, operation: int, flags: int, argument: object) -> int:
    """Make the system call ``seccomp``.

    Raises:
        OSError: The call fails.
    """
    result: int = libc.syscall(machine.calls["seccomp"], ctypes.c_uint(operation), ctypes.c_uint(flags), argument)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
