"""The kernel's questions: which call a program makes, which addresses it names, and what it sends there.

All of it is in the memory of the caller, whose other threads may change it at any time. So it is read once: what was
read is judged, and is what the supervisor uses if it makes the call itself.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_test_categories._host.multicast import JOINS, group_joined
from pytest_test_categories._kernel import wire
from pytest_test_categories._kernel.names import LONGEST_QUERY
from pytest_test_categories._rules.address import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_test_categories._kernel.processes import Descriptors

LONGEST_ADDRESS: Final = 128
"""The size of ``struct sockaddr_storage``: the kernel takes no longer address."""
_MOST_PARTS: Final = 1024  # UIO_MAXIOV, the most parts of a message, and messages of sendmmsg
# struct msghdr: address, its size, address of the parts and their number, control data and their size; struct iovec.
_MESSAGE, _OLD_MESSAGE = struct.Struct("=QI4xQQQQ"), struct.Struct("=IIIIII")
_PART, _OLD_PART = struct.Struct("=QQ"), struct.Struct("=II")
_SOCKETCALLS: Final = {
    2: ("bind", 3),
    3: ("connect", 3),
    4: ("listen", 2),
    11: ("sendto", 6),
    14: ("setsockopt", 5),
    16: ("sendmsg", 3),
    20: ("sendmmsg", 4),
}
"""The calls that ``socketcall`` makes, and the number of their arguments."""


class Aim(NamedTuple):
    """One address that a call names.

    Attributes:
        endpoint: What it means; None for a family that is not judged.
        address: The ``struct sockaddr``; empty for calls that contain none.
        content: What the call sends there; for ``sendmmsg`` only the beginning.
        control: Whether the message has control data.
    """

    endpoint: Endpoint | None
    address: bytes = b""
    content: bytes = b""
    control: bool = False


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
        aims: The addresses that it names.
    """

    number: int
    thread: int
    call: str
    arguments: tuple[int, ...]
    old: bool
    word: int = 0
    known: bool = True
    aims: tuple[Aim, ...] = ()


class Reader:
    """Reads from the memory of callers, and asks copies of their sockets.

    Args:
        descriptors: Copies their descriptors.
    """

    def __init__(self, descriptors: Descriptors) -> None:
        self._memory = wire.Memory()
        self._descriptors = descriptors

    def read(self, question: Question) -> Question:
        """Return a question with its aims: none for messages on a connected socket.

        Raises:
            OSError: EFAULT: an address is invalid, as the kernel would tell the caller; ESRCH: the caller no longer
                exists; EPERM or EACCES: its memory may not be read.
        """
        if question.call == "socketcall":
            question = self._unfolded(question)
        return question._replace(aims=tuple(self._aims(question)))

    def said(self, thread: int, at: int) -> int:
        """Return the word that a pool's worker announces with ``wire.JOB`` in the message at an address.

        Raises:
            OSError: As ``read``.
        """
        return int.from_bytes(self.content(thread, at, longest=8), sys.byteorder)

    def content(self, thread: int, at: int, *, longest: int, old: bool = False) -> bytes:
        """Return the content of the message at an address, or its beginning.

        Raises:
            OSError: As ``read``.
        """
        form = _OLD_MESSAGE if old else _MESSAGE
        _address, _size, parts, count, *_ = form.unpack(self.bytes_at(thread, at, form.size))
        return self._joined(thread, parts, count, longest, old=old)

    def bytes_at(self, thread: int, at: int, size: int) -> bytes:
        """Return bytes of a caller's memory: at most as many as the largest datagram has.

        Raises:
            OSError: As ``read``.
        """
        size = min(size, wire.Memory.LARGEST)
        found = self._memory.read(thread, at, size) if size else b""
        if len(found) < size:
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
        return found

    def _aims(self, question: Question) -> Iterator[Aim]:
        call, thread, args = question.call, question.thread, question.arguments
        if call in {"connect", "bind"}:
            yield from self._aim(thread, args[1], args[2], sending=False)
        elif call == "sendto":
            for aim in self._aim(thread, args[4], args[5]):
                yield aim._replace(content=self.bytes_at(thread, args[1], args[2]))
        elif call == "sendmsg":
            yield from self._message(question, args[1], wire.Memory.LARGEST)
        elif call == "sendmmsg":
            stride = 32 if question.old else 64
            for index in range(min(args[2] & 0xFFFFFFFF, _MOST_PARTS)):
                yield from self._message(question, args[1] + index * stride, LONGEST_QUERY)
        elif call == "listen":
            yield from self._listening(question)
        elif call == "setsockopt":
            yield from self._joining(question)

    def _listening(self, question: Question) -> Iterator[Aim]:
        """Yield the endpoint of a socket that listens without a bind: all addresses, on a port that the kernel picks.

        If the socket may not be examined, the call passes: most sockets were bound, and the bind was judged. Docker's
        profile permits ``pidfd_getfd`` only with CAP_SYS_PTRACE (``profiles/seccomp/default_linux.go`` of moby).
        """
        try:
            sock = self._descriptors.socket(question.thread, question.arguments[0])
        except PermissionError:
            return
        with sock:
            if sock.family in {socket.AF_INET, socket.AF_INET6} and not sock.getsockname()[1]:
                yield Aim(Endpoint("::" if sock.family == socket.AF_INET6 else "0.0.0.0", 0))  # noqa: S104 - as it is

    def _joining(self, question: Question) -> Iterator[Aim]:
        """Yield the multicast group that a socket joins."""
        _number, level, option, _at, size, *_ = (argument & 0xFFFFFFFF for argument in question.arguments)
        if (level, option) in JOINS:
            raw = self._memory.read(question.thread, question.arguments[3], min(size, LONGEST_ADDRESS * 3))
            if group := group_joined((level, option), raw, word=4 if question.old else 8):
                yield Aim(Endpoint(group))

    def _aim(self, thread: int, at: int, size: int, *, sending: bool = True) -> Iterator[Aim]:
        size &= 0xFFFFFFFF
        if at and 0 < size <= LONGEST_ADDRESS:  # with anything else the kernel has no address
            raw = self.bytes_at(thread, at, size)
            yield Aim(wire.read_sockaddr(raw, sending=sending), raw)

    def _message(self, question: Question, at: int, longest: int) -> Iterator[Aim]:
        thread, old = question.thread, question.old
        form = _OLD_MESSAGE if old else _MESSAGE
        address, size, parts, count, _control, control_size = form.unpack(self.bytes_at(thread, at, form.size))
        for aim in self._aim(thread, address, min(size, LONGEST_ADDRESS)):  # as the kernel shortens it
            content = self._joined(thread, parts, count, longest, old=old)
            yield aim._replace(content=content, control=bool(control_size))

    def _joined(self, thread: int, parts: int, count: int, longest: int, *, old: bool) -> bytes:
        form = _OLD_PART if old else _PART
        joined = b""
        for base, size in form.iter_unpack(self.bytes_at(thread, parts, min(count, _MOST_PARTS) * form.size)):
            joined += self.bytes_at(thread, base, min(size, longest - len(joined)))
        return joined

    def _unfolded(self, question: Question) -> Question:
        """Return the call that a 32-bit program makes through ``socketcall``."""
        call, count = _SOCKETCALLS.get(question.arguments[0] & 0xFFFFFFFF, ("", 0))
        raw = self.bytes_at(question.thread, question.arguments[1] & 0xFFFFFFFF, 4 * count)
        return question._replace(call=call, arguments=struct.unpack(f"={count}I", raw))
