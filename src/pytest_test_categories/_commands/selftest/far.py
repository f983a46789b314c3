"""The far side of the selftest: a thread that notes what arrives from each way, in a network of its own if it may."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING, Final

from pytest_test_categories._commands.selftest import network
from pytest_test_categories._commands.selftest.ways import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_QUIET: Final = 0.2
"""After how many seconds without an arrival the far side ends, once it is told to."""
_DNS: Final = 53
_ALL_FRAMES: Final = 3
_HEADER: Final = 12
_REFUSED: Final = b"\x81\x85" + b"\0\1" + bytes(6)  # an answer with the code REFUSED and one question
_REPORTS: Final = socket.inet_aton("224.0.0.22")
"""Where hosts send their multicast memberships."""


class FarSide:
    """Listens for each of some ways at a port, a name, a path or a group that no other way has.

    Args:
        wanted: The kind of target by key; a key is part of a host name.
        folder: Where unix sockets are made.
        private: Whether to listen in a second network, joined to that of the thread that calls ``open``; else on
            loopback.

    Attributes:
        targets: Where each way is to lead; what this machine can't listen to is left out.
        seen: The keys whose ways led here.
    """

    def __init__(self, wanted: Mapping[str, str], folder: str, *, private: bool) -> None:
        self.targets: dict[str, Target] = {}
        self.seen: set[str] = set()
        self._wanted = wanted
        self._folder = folder
        self._private = private
        self._error: OSError | None = None
        self._away, self._joined, self._ready, self._ending = (threading.Event() for _ in range(4))
        self._groups: dict[bytes, str] = {}
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def open(self) -> None:
        """Start to listen.

        Raises:
            OSError: This machine does not permit a second network.
        """
        self._thread.start()
        self._away.wait()
        if self._private and self._error is None:
            try:
                assert self._thread.native_id is not None
                network.join(self._thread.native_id)
            except OSError as error:
                self._error = error
        self._joined.set()
        self._ready.wait()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Note what is still on its way, and end."""
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._set_up()
        except OSError as error:
            self._error = error
            return
        finally:
            self._away.set()
            self._ready.set()
        while True:
            ready = self._selector.select(_QUIET)
            for key, _ in ready:
                with contextlib.suppress(OSError):
                    key.data(key.fileobj)
            if not ready and self._ending.is_set():
                break
        for listening in list(self._selector.get_map().values()):
            assert isinstance(listening.fileobj, socket.socket)
            listening.fileobj.close()
        self._selector.close()

    def _set_up(self) -> None:
        if self._private:
            network.leave_for_second()
        self._away.set()
        self._joined.wait()
        if self._error is not None:
            return
        if self._private:
            network.start_second()
            self._listen(self._bound(socket.AF_INET, socket.SOCK_DGRAM, (network.NAME_SERVER, _DNS)), self._answer)
            frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_FRAMES))
            frames.bind((network.INTERFACE, 0))
            self._listen(frames, self._inspect)
        for number, (key, kind) in enumerate(self._wanted.items()):
            with contextlib.suppress(OSError):
                self.targets[key] = self._target(key, kind, number)

    def _target(self, key: str, kind: str, number: int) -> Target:
        host, host6 = (network.FAR, network.FAR6) if self._private else ("127.0.0.1", "::1")
        if kind == "name":
            return Target(host, 0, name=f"{key}.test")
        if kind == "group":
            group = f"239.77.{number >> 8}.{number & 255}"
            self._groups[socket.inet_aton(group)] = key
            return Target(host, 0, group=group, interface=network.HERE)
        accept: Callable[[socket.socket], None] = partial(self._accept, key)
        if kind == "unix":
            path = os.path.join(self._folder, f"{number}.sock")
            self._listen(self._bound(socket.AF_UNIX, socket.SOCK_STREAM, path), accept)
            return Target(host, 0, path=path)
        if kind == "udp":
            server = self._bound(socket.AF_INET, socket.SOCK_DGRAM, (host, 0))
            self._listen(server, partial(self._receive, key))
            return Target(host, server.getsockname()[1])
        if kind == "tcp6":
            server = self._bound(socket.AF_INET6, socket.SOCK_STREAM, (host6, 0))
            self._listen(server, accept)
            return Target(host6, server.getsockname()[1])
        server = self._bound(socket.AF_INET, socket.SOCK_STREAM, (host, 0))
        self._listen(server, accept)
        return Target(host, server.getsockname()[1])

    @staticmethod
    def _bound(family: int, kind: int, address: object) -> socket.socket:
        server = socket.socket(family, kind)
        try:
            server.bind(address)  # type: ignore[arg-type]  # as its family has them
            if kind == socket.SOCK_STREAM:
                server.listen()
        except OSError:
            server.close()
            raise
        return server

    def _listen(self, server: socket.socket, then: Callable[[socket.socket], None]) -> None:
        server.setblocking(False)
        self._selector.register(server, selectors.EVENT_READ, then)

    def _accept(self, key: str, server: socket.socket) -> None:
        server.accept()[0].close()
        self.seen.add(key)

    def _receive(self, key: str, server: socket.socket) -> None:
        server.recv(65535)
        self.seen.add(key)

    def _answer(self, server: socket.socket) -> None:
        """Note the names of a query, and refuse it, so that nothing waits."""
        query, sender = server.recvfrom(65535)
        question = query[_HEADER : query.find(b"\0", _HEADER) + 5]
        self.seen |= {key for key in self._wanted if question.startswith(bytes([len(key)]) + key.encode())}
        server.sendto(query[:2] + _REFUSED + question, sender)

    def _inspect(self, frames: socket.socket) -> None:
        """Note the groups in a frame, a membership report."""
        frame = frames.recv(65535)
        if _REPORTS in frame:
            self.seen |= {key for group, key in self._groups.items() if group in frame}
