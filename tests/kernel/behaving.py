"""Calls on sockets and what they come to, as a program: says it as JSON. The same with the kernel layer and without it."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import socket
import struct
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

libc: Final = ctypes.CDLL(None, use_errno=True)
FAST_OPEN: Final = 0x20000000
CLONE_FILES: Final = 0x400


def sockaddr(name: Any) -> bytes:
    if len(name) > 2:
        return (
            struct.pack("=H", socket.AF_INET6)
            + struct.pack(">HI", name[1], 0)
            + socket.inet_pton(10, name[0])
            + bytes(4)
        )
    return struct.pack("=H", socket.AF_INET) + struct.pack(">H", name[1]) + socket.inet_aton(name[0]) + bytes(8)


def outcome(result: int) -> int | str:
    return result if result >= 0 else errno.errorcode[ctypes.get_errno()]


def connect(sock: int, address: Any, size: int | None = None) -> int | str:
    return outcome(libc.connect(sock, address, len(address) if size is None else size))


def sendto(sock: int, content: Any, flags: int, address: Any, size: int | None = None) -> int | str:
    length = ctypes.c_size_t(len(content) if isinstance(content, bytes) else 5)
    return outcome(libc.sendto(sock, content, length, flags, address, len(address) if size is None else size))


def sendmsg(sock: int, parts: list[bytes], flags: int, address: bytes, control: bytes = b"") -> int | str:
    kept = [ctypes.create_string_buffer(part, len(part)) for part in (*parts, address, control)]
    *found, at, extra = map(ctypes.addressof, kept)
    vectors = b"".join(struct.pack("=QQ", base, len(part)) for base, part in zip(found, parts, strict=True))
    held = ctypes.create_string_buffer(vectors, len(vectors))
    form = struct.pack(
        "=QI4xQQQQQ",
        at,
        len(address),
        ctypes.addressof(held),
        len(parts),
        extra if control else 0,
        len(control),
        0,
    )
    return outcome(libc.sendmsg(sock, form, flags))


def server(kind: int = socket.SOCK_STREAM, family: int = socket.AF_INET) -> socket.socket:
    sock = socket.socket(family, kind)
    sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        sock.listen(5)
    return sock


def tcp(family: int, *, blocking: bool) -> Iterator[Any]:
    with server(family=family) as there, socket.socket(family) as sock:
        sock.setblocking(blocking)
        address = sockaddr(there.getsockname())
        yield connect(sock.fileno(), address)
        with there.accept()[0]:
            yield sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            yield connect(sock.fileno(), address)
            yield connect(sock.fileno(), address)
            yield sock.getpeername() == there.getsockname()
            yield sock.getblocking()
            yield outcome(libc.connect(sock.fileno(), bytes(16), 16))  # AF_UNSPEC: it ends the connection


def tcp_to_nobody(*, blocking: bool) -> Iterator[Any]:
    with server() as there:
        address = sockaddr(there.getsockname())
    with socket.socket() as sock:
        sock.setblocking(blocking)
        yield connect(sock.fileno(), address)
        yield sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == (0 if blocking else errno.ECONNREFUSED)
        yield connect(sock.fileno(), address)
        yield sock.getblocking()


def udp(family: int) -> Iterator[Any]:
    with server(socket.SOCK_DGRAM, family) as there, socket.socket(family, socket.SOCK_DGRAM) as sock:
        address = sockaddr(there.getsockname())
        large = b"x" * 60000
        yield sendto(sock.fileno(), b"one", 0, address)
        yield sendto(sock.fileno(), b"", socket.MSG_DONTWAIT, address)
        yield sendto(sock.fileno(), large, 0, address)
        yield sendto(sock.fileno(), b"two", socket.MSG_MORE, address), sendto(sock.fileno(), b"three", 0, address)
        yield sendmsg(sock.fileno(), [b"fo", b"", b"ur"], 0, address)
        yield sendmsg(sock.fileno(), [b"five"], 0, address, struct.pack("=QiiI4x", 20, 0, socket.IP_TTL, 9))
        yield [sendto(sock.fileno(), b"x" * size, 0, address) for size in (65536, 1 << 20)]
        there.setblocking(False)
        got = []
        while True:
            try:
                got.append(there.recv(65536))
            except BlockingIOError:
                break
        yield [len(one) if one == large else one.decode() for one in got]
        yield connect(sock.fileno(), address)
        yield sock.getpeername() == there.getsockname()
        yield sendto(sock.fileno(), b"x", 0, address)


def udp_to_nobody() -> Iterator[Any]:
    with server(socket.SOCK_DGRAM) as there:
        address = sockaddr(there.getsockname())
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        yield connect(sock.fileno(), address)
        yield [sendto(sock.fileno(), b"x", 0, address) for _ in range(3)]
        sock.shutdown(socket.SHUT_WR)
        yield sendto(sock.fileno(), b"x", 0, address)


def fast_open(*, blocking: bool) -> Iterator[Any]:
    with server() as there:
        there.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
        for _ in range(2):  # without a cookie, and with one
            with socket.socket() as sock:
                sock.setblocking(blocking)
                yield sendto(sock.fileno(), b"hello", FAST_OPEN, sockaddr(there.getsockname()))
                with there.accept()[0] as one:
                    sock.setblocking(True)
                    sock.send(b"!")
                    one.settimeout(60)
                    yield one.recv(1).decode()
    with socket.socket() as sock:
        yield sendto(sock.fileno(), b"hello", socket.MSG_NOSIGNAL, sockaddr(there_is_nobody()))


def there_is_nobody() -> Any:
    with server() as there:
        return there.getsockname()


def bad_arguments() -> Iterator[Any]:
    with server(socket.SOCK_DGRAM) as there, socket.socket(type=socket.SOCK_DGRAM) as sock, open(os.devnull) as file:
        address = sockaddr(there.getsockname())
        bad = ctypes.c_void_p(1)
        for number in (sock.fileno(), file.fileno(), 800, -1):
            yield connect(number, address), sendto(number, b"x", 0, address), sendmsg(number, [b"x"], 0, address)
            yield connect(number, bad, 16), sendto(number, b"x", 0, bad, 16)
        yield sendto(sock.fileno(), bad, 0, address)
        yield [connect(sock.fileno(), address * 10, size) for size in (0, 1, 2, 8, 15, 128, 129, 1 << 31)]
        yield [sendto(sock.fileno(), b"x", 0, address * 10, size) for size in (0, 1, 2, 8, 15, 128, 129)]
        yield sendto(sock.fileno(), b"x", socket.MSG_OOB, address)


def unix() -> Iterator[Any]:
    """The server learns who connects, and a relative path is that of the program."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as there:
        before = os.getcwd()
        os.chdir(directory)
        there.bind("s")
        there.listen()
        with socket.socket(socket.AF_UNIX) as sock:
            yield connect(sock.fileno(), struct.pack("=H", socket.AF_UNIX) + b"s\0")
            with there.accept()[0] as one:
                pid, *_ = struct.unpack("=iII", one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                yield pid == os.getpid()
        os.chdir(before)


def own_descriptors() -> Iterator[Any]:
    """A thread's own descriptor is not that of its process with the same number."""
    with server(socket.SOCK_DGRAM) as there, socket.socket(type=socket.SOCK_DGRAM) as sock:
        other = socket.socket(type=socket.SOCK_DGRAM)
        found: list[Any] = []

        def work() -> None:
            found.append(outcome(libc.unshare(CLONE_FILES)))
            os.dup2(other.fileno(), sock.fileno())
            found.append(connect(sock.fileno(), sockaddr(there.getsockname())))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        yield found
        yield other.getpeername() == there.getsockname()
        yield outcome(libc.getpeername(sock.fileno(), bytes(128), bytes([128, 0, 0, 0])))
        other.close()


ACTS: Final[dict[str, Callable[[], Iterator[Any]]]] = {
    "TCP, blocking": lambda: tcp(socket.AF_INET, blocking=True),
    "TCP, not blocking": lambda: tcp(socket.AF_INET, blocking=False),
    "TCP over IPv6": lambda: tcp(socket.AF_INET6, blocking=True),
    "TCP to nobody, blocking": lambda: tcp_to_nobody(blocking=True),
    "TCP to nobody, not blocking": lambda: tcp_to_nobody(blocking=False),
    "UDP": lambda: udp(socket.AF_INET),
    "UDP over IPv6": lambda: udp(socket.AF_INET6),
    "UDP to nobody": udp_to_nobody,
    "fast open, blocking": lambda: fast_open(blocking=True),
    "fast open, not blocking": lambda: fast_open(blocking=False),
    "bad arguments": bad_arguments,
    "unix": unix,
    "a thread's own descriptors": own_descriptors,
}

if __name__ == "__main__":
    with open(sys.argv[1], "w") as file:
        json.dump({name: list(act()) for name, act in ACTS.items()}, file)
