"""The data between the kernel, the supervisor and the test process: questions, memory, the page, the pipes."""

from __future__ import annotations

import ctypes
import errno
import itertools
import json
import mmap
import os
import socket
import struct
import sys
from typing import Any, Final, NamedTuple

from pytest_test_categories._kernel.filter import libc
from pytest_test_categories._kernel.processes import ticks
from pytest_test_categories._rules.address import Endpoint
from pytest_test_categories._rules.policy import Kind

# -- the kernel's side: linux/seccomp.h --------------------------------------------------------------------------------

QUESTION: Final = struct.Struct("=QIIiIQ6Q")
"""struct seccomp_notif: id, pid, flags, number, architecture, instruction pointer, six arguments."""
ANSWER: Final = struct.Struct("=QqiI")
"""struct seccomp_notif_resp: id, value, error, flags."""
INSTEAD: Final = struct.Struct("=QIIII")
"""struct seccomp_notif_addfd: id, flags, the supervisor's descriptor, the caller's, flags of the caller's."""

RECEIVE: Final = 0xC0502100
SEND: Final = 0xC0182101
STILL_THERE: Final = 0x40082102
ADD_DESCRIPTOR: Final = 0x40182103
SET_FLAGS: Final = 0x40082104
GO_ON: Final = 1
AT_NUMBER: Final = 1  # SECCOMP_ADDFD_FLAG_SETFD
SYNC_WAKE_UP: Final = 1
JOB: Final = 0x54430001
"""Flags of the ``sendmsg`` with which a pool's worker announces what it is held to: see ``_processes.jobs``."""


# -- another process's memory ------------------------------------------------------------------------------------------


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Memory:
    """Reads the memory of other processes, up to 64 KiB at a time."""

    LARGEST: Final = 65536

    def __init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(self.LARGEST)
        self._bytes = memoryview(self._buffer).cast("B")
        self._here = _Vector(ctypes.addressof(self._buffer), 0)
        self._there = _Vector(0, 0)
        # Created once, in the form that the call needs: every question makes one.
        count = ctypes.c_ulong(1)
        vectors = (ctypes.addressof(self._here), ctypes.addressof(self._there))
        here, there = map(ctypes.c_void_p, vectors)
        self._arguments = (here, count, there, count, ctypes.c_ulong(0))
        self._read = ctypes.CDLL(None).process_vm_readv
        self._read_telling_why = libc.process_vm_readv  # it also keeps the error number, which costs time
        self._read.restype = self._read_telling_why.restype = ctypes.c_ssize_t

    def read(self, pid: int, address: int, size: int) -> bytes:
        """Return the bytes at an address of a process.

        Raises:
            OSError: EFAULT: the address is invalid; ESRCH: the process no longer exists; EPERM or EACCES: it may not be
                read.
        """
        size = min(size, self.LARGEST)
        self._here.length = self._there.length = size
        self._there.base = address
        got = self._read(pid, *self._arguments)
        if got < 0:
            got = self._read_telling_why(pid, *self._arguments)
        if got >= 0:
            return bytes(self._bytes[:got])
        number = ctypes.get_errno()
        if number in {errno.ENOSYS, errno.EPERM}:  # container profiles from before Linux 4.8 forbid only this call
            return self._from_file(pid, address, size)
        raise OSError(number, os.strerror(number))

    @staticmethod
    def _from_file(pid: int, address: int, size: int) -> bytes:
        file = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(file, size, address)
        finally:
            os.close(file)


GREETING: Final = b"a word that the supervisor reads from memory"


def why_unreadable(pid: int, address: int) -> str:
    """Return why this process can't read another one's memory, with ``GREETING`` at an address; empty if it can."""
    try:
        found = Memory().read(pid, address, len(GREETING))
    except OSError as error:
        return f"the supervisor may not read this process's memory ({error.strerror})"
    return "" if found == GREETING else "the supervisor reads another memory than this process's"


# -- addresses ---------------------------------------------------------------------------------------------------------

AF_VSOCK: Final = 40
AF_PACKET: Final = 17


def read_sockaddr(raw: bytes, *, sending: bool = False) -> Endpoint | None:
    """Return the endpoint in a ``struct sockaddr``; None if it is no address, or of a family that is not judged.

    Args:
        raw: The bytes.
        sending: Whether the call sends something there. Linux then treats AF_UNSPEC as IPv4 (``udp_sendmsg``,
            ``raw_sendmsg``); in a ``connect`` it ends a connection.
    """
    if len(raw) < 2:  # noqa: PLR2004 - the family's own size
        return None
    family = int.from_bytes(raw[:2], sys.byteorder)
    if family == socket.AF_UNSPEC and sending:
        family = socket.AF_INET
    if family == socket.AF_INET and len(raw) >= 8:  # noqa: PLR2004 - with the address
        return Endpoint(socket.inet_ntoa(raw[4:8]), int.from_bytes(raw[2:4], "big"))
    if family == socket.AF_INET6 and len(raw) >= 24:  # noqa: PLR2004 - with the address
        host = socket.inet_ntop(socket.AF_INET6, raw[8:24])
        scope = int.from_bytes(raw[24:28], sys.byteorder)
        return Endpoint(f"{host}%{scope}" if scope else host, int.from_bytes(raw[2:4], "big"))
    if family == socket.AF_UNIX and len(raw) > 2:  # noqa: PLR2004 - with a path
        path = raw[2:]
        path = b"@" + path[1:] if path[:1] == b"\0" else path.partition(b"\0")[0]
        return Endpoint(path.decode("utf-8", "surrogateescape"), family="unix")
    if family == AF_VSOCK and len(raw) >= 12:  # noqa: PLR2004 - with the address
        port, cid = struct.unpack_from("=II", raw, 4)
        return Endpoint(str(cid), str(port), "vsock")
    if family == AF_PACKET and (device := _device(raw)):
        return Endpoint(device, family="packet")
    if family == AF_PACKET and len(raw) >= 8:  # noqa: PLR2004 - with the interface
        index = int.from_bytes(raw[4:8], sys.byteorder)
        return Endpoint(_interface(index), family="packet") if index else None
    return None


def _device(raw: bytes) -> str:
    """Return the device in a ``struct sockaddr_pkt``, which obsolete SOCK_PACKET sockets use; empty if there is none.

    Linux accepts any size from 16 on. A ``sockaddr_ll`` has the protocol there, which is not printable text.
    """
    name = raw[2:16].partition(b"\0")[0]
    return name.decode("ascii") if len(raw) >= 16 and name.isascii() and name.decode().isprintable() else ""  # noqa: PLR2004 - struct sockaddr


def _interface(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:  # it belongs to the caller's network, and not to this process's
        return f"#{index}"


# -- the page ----------------------------------------------------------------------------------------------------------


class _Word:
    """A word of the page, by its number."""

    def __init__(self, at: int) -> None:
        self._at = at

    def __get__(self, page: Page, _owner: type[Page]) -> int:
        return page._words[self._at]

    def __set__(self, page: Page, value: int) -> None:
        page._words[self._at] = value


class Page:
    """Memory that the test process and the supervisor share, in words of eight bytes.

    A *word* says what is in force: the number of the publication, and the index of the policies. Index zero means that
    calls pass.

    Attributes:
        now: The word in force.
        reports: The number of reports written into the pipe.
        lost: The number of reports that could not be written into it.
        taken: How many of both the test process knows about.
        pending: The number of look-ups that are held up until their name is known: their reports may still come.
        first: Processes and threads that started earlier belong to no test; 0 until anything has been watched.
        vouched: The number of calls that the test process has vouched for.
    """

    now, reports, pending, lost, first, taken = map(_Word, range(6))
    vouched = _Word(8)
    _NOW, _MOMENTS, _SPANS = 0, 6, 7

    SIZE: Final = 81920
    _SPAN_AT, _SPAN_COUNT = 16, 256
    _MOMENT_AT = _SPAN_AT + 3 * _SPAN_COUNT
    _THREAD_COUNT = 1024  # two words each: number and word
    _THREAD_AT = SIZE // 8 - 2 * _THREAD_COUNT
    _MOMENT_COUNT = (_THREAD_AT - _MOMENT_AT) // 3

    def __init__(self, descriptor: int) -> None:
        self._map = mmap.mmap(descriptor, self.SIZE)
        self._words = memoryview(self._map).cast("Q")

    def close(self) -> None:
        """Unmap the page."""
        self._words.release()
        self._map.close()

    def publish(self, word: int, last: int = 0) -> None:
        """Put a word in force, and note the time.

        Args:
            word: The word.
            last: Id of the process that started last before the word's test began; 0 if unknown.
        """
        self.note(word, last)
        self._words[self._NOW] = word

    def note(self, word: int, last: int) -> None:
        """Note that a word applies to processes and threads that start from now on, and not to running ones."""
        words = self._words
        count = words[self._MOMENTS]
        at = self._MOMENT_AT + 3 * (count % self._MOMENT_COUNT)
        words[at] = ticks()
        words[at + 1] = word
        words[at + 2] = last
        words[self._MOMENTS] = count + 1

    def begin_tests(self) -> None:
        """Note that processes and threads that exist now belong to no test."""
        self.first = ticks()

    def hold_thread(self, thread: int, word: int) -> None:
        """Put a word in force for one thread, whatever is in force for the process."""
        words = self._words
        free = 0
        for at in self._places(thread):
            if words[at] == thread:
                words[at + 1] = word
                return
            if not words[at]:
                free = free or at
        if free:  # else there are too many threads, and it is held to what was in force at its start
            words[free + 1] = word
            words[free] = thread

    def release_thread(self, thread: int) -> None:
        """Remove the word of a thread that ends: its number may be used again."""
        words = self._words
        for at in self._places(thread):
            if words[at] == thread:
                words[at] = 0

    def word_of(self, thread: int) -> int | None:
        """Return the word in force for a thread; None if none was put in force."""
        words = self._words
        at = self._THREAD_AT + 2 * (thread % self._THREAD_COUNT)
        if words[at] == thread:  # nearly always, if one was
            return words[at + 1]
        return next((words[at + 1] for at in self._places(thread) if words[at] == thread), None)

    def _places(self, thread: int) -> list[int]:
        return [self._THREAD_AT + 2 * ((thread + step) % self._THREAD_COUNT) for step in range(_STEPS)]

    def note_span(self, since: int, word: int) -> None:
        """Keep for long which word was in force from ``since`` until now: in the set-up of a fixture of many tests."""
        words = self._words
        count = words[self._SPANS]
        at = self._SPAN_AT + 3 * (count % self._SPAN_COUNT)
        words[at], words[at + 1], words[at + 2] = since, ticks(), word
        words[self._SPANS] = count + 1

    def word_at(self, moment: int, pid: int) -> int | None:
        """Return the word that was in force when a process or thread started; None if it is no longer known."""
        words = self._words
        if not self.first or moment < self.first:
            return 0
        count = words[self._MOMENTS]
        oldest = max(0, count - self._MOMENT_COUNT)
        for number in range(count - 1, oldest - 1, -1):
            at = self._MOMENT_AT + 3 * (number % self._MOMENT_COUNT)
            if words[at] > moment:
                continue
            if words[at] == moment and number and not _began_before(words[at + 1], words[at + 2], pid):
                continue
            return words[at + 1]
        count = words[self._SPANS]
        for number in range(count - 1, max(-1, count - 1 - self._SPAN_COUNT), -1):
            at = self._SPAN_AT + 3 * (number % self._SPAN_COUNT)
            if words[at] <= moment <= words[at + 1]:
                return words[at + 2]
        return None

    def count_report(self, *, lost: bool) -> None:
        """Count a report that was written into the pipe, or lost."""
        if lost:
            self.lost += 1
        else:
            self.reports += 1


_STEPS: Final = 8
"""The number of places in the table where a thread may be."""
_NEAR: Final = 4096
"""If process ids are further apart, the numbering has restarted in between."""
WORD_BITS: Final = 16
LARGEST_INDEX: Final = (1 << WORD_BITS) - 1


def _began_before(word: int, last: int, pid: int) -> bool:
    """Tell whether a word that was published in the tick in which a process started was in force at its start.

    Args:
        word: The word. If in doubt, the process is charged to a test rather than to none.
        last: Id of the process that started last before the word was published; 0 if unknown.
        pid: Id of the process.
    """
    return not 0 <= last - pid < _NEAR and bool(word if last else word & LARGEST_INDEX)


# -- the pipes ---------------------------------------------------------------------------------------------------------


class Report(NamedTuple):
    """A report of the supervisor: one attempt that the policies in force do not permit.

    Attributes:
        word: The word in force.
        kind: The kind of access, a value of ``Kind``.
        host: The host, path or queried name.
        port: The port.
        family: ``"ip"``, ``"unix"``, ``"vsock"`` or ``"packet"``.
        reach: How far it goes, a value of ``Reach``.
        name: A name for the host, from a remembered look-up.
        refused: Whether the call was refused.
        pid: Id of the process.
        thread: Id of the thread.
        thread_name: The system's name of the thread.
        command: Command line of the process.
        own: Whether it is the test process itself.
        before: Whether the process or thread started before the word was published, for an unknown test.
    """

    word: int
    kind: str
    host: str
    port: int | str | None
    family: str
    reach: str
    name: str
    refused: bool
    pid: int
    thread: int
    thread_name: str
    command: str
    own: bool
    before: bool = False


LOOK_UPS: Final = frozenset({Kind.LOOKUP, Kind.REVERSE_LOOKUP})
"""What a thread's calls are vouched for as long as it lasts, and not only the next call."""
_PIECE: Final = struct.Struct("=4sHHHxxQ")
"""The header of a piece of a message: mark, size, position, number of pieces, and an id of the message."""
_MARK: Final = b"\xf5tc\xf6"
"""No JSON text in ASCII contains it, so that after invalid bytes the next piece can be found."""
_LARGEST_PIECE: Final = 4096 - _PIECE.size  # PIPE_BUF
_MOST_PIECES: Final = 4096
_UNFINISHED: Final = 256
_numbers: Final = itertools.count()


def encode(values: object) -> list[bytes]:
    """Return a message in pieces, each to be written with one call.

    The system writes a piece whole or not at all. Therefore threads, forked children and signal handlers that write to
    one pipe don't mix the bytes of their pieces. They need no lock, which could be locked at a fork or a signal.
    """
    text = json.dumps(values).encode()
    count = max(1, -(-len(text) // _LARGEST_PIECE))
    ident = (os.getpid() & 0xFFFFFFFF) << 32 | next(_numbers) & 0xFFFFFFFF
    pieces = (text[at * _LARGEST_PIECE : (at + 1) * _LARGEST_PIECE] for at in range(count))
    return [_PIECE.pack(_MARK, len(piece), at, count, ident) + piece for at, piece in enumerate(pieces)]


class Messages:
    """The reading end of a pipe with messages of ``encode``.

    Reading raises no error, whatever is written into the pipe: invalid bytes are dropped and counted.

    Attributes:
        ended: Whether the pipe has no writer any more.
        dropped: How often something invalid was dropped.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        os.set_blocking(descriptor, False)
        self.ended = False
        self.dropped = 0
        self._rest = b""
        self._begun: dict[int, list[bytes]] = {}

    def read(self) -> list[list[Any]]:
        """Return the messages that have arrived; none of them is empty."""
        chunks = [self._rest]
        while True:
            try:
                chunk = os.read(self.descriptor, Memory.LARGEST)
            except BlockingIOError:
                break
            if not chunk:
                self.ended = True
                break
            chunks.append(chunk)
        return [] if len(chunks) == 1 else self._messages(b"".join(chunks))

    def _messages(self, data: bytes) -> list[list[Any]]:
        found = []
        at = 0
        while at < len(data):
            end = self._end_of_piece(data, at)
            if end is None:  # the rest has not arrived yet
                break
            if end:
                message = self._message(data, at, end)
                if message is not None:
                    found.append(message)
            else:
                self.dropped += 1
                end = data.find(_MARK, at + 1)
                if end < 0:
                    end = max(at + 1, len(data) - len(_MARK) + 1)  # the end may be the start of a mark
            at = end
        self._rest = data[at:]
        return found

    @staticmethod
    def _end_of_piece(data: bytes, at: int) -> int | None:
        """Return where the piece at a position ends; 0 if there is no piece, None if it is not complete yet."""
        if not data.startswith(_MARK, at):
            return None if _MARK.startswith(data[at : at + len(_MARK)]) else 0
        if len(data) < at + _PIECE.size:
            return None
        _mark, size, place, count, _ident = _PIECE.unpack_from(data, at)
        end = at + _PIECE.size + size
        if (
            size > _LARGEST_PIECE
            or place >= count
            or count > _MOST_PIECES
            or data.find(_MARK, at + 1, end + len(_MARK) - 1) >= 0
        ):
            return 0
        return None if end > len(data) else end

    def _message(self, data: bytes, at: int, end: int) -> list[Any] | None:
        """Return the message that a piece completes; None if it completes none."""
        _mark, _size, place, count, ident = _PIECE.unpack_from(data, at)
        begun = self._begun.pop(ident, [])
        if len(begun) != place:  # its beginning was lost
            self.dropped += 1
            return None
        begun.append(data[at + _PIECE.size : end])
        if len(begun) < count:
            self._begun[ident] = begun
            if len(self._begun) > _UNFINISHED:  # the writer ended before the message was complete
                del self._begun[next(iter(self._begun))]
                self.dropped += 1
            return None
        try:
            message = json.loads(b"".join(begun))
        except (ValueError, RecursionError):
            message = None
        if isinstance(message, list) and message:
            return message
        self.dropped += 1
        return None
