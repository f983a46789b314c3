"""Open connections: what a guarded test may send on a connection that it did not open itself."""

from __future__ import annotations

import _socket
import asyncio
import contextlib
import http.client
import io
import multiprocessing.connection
import os
import shlex
import socket
import ssl
import subprocess
import sys
import tempfile
import textwrap
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import pytest
import requests
import trio
import trustme
from tests.outsiders import unix_server

from pytest_test_categories import (
    NetworkAccessViolationError,
    NetworkAccessWarning,
    expect_network_violation,
    network_guard,
)
from pytest_test_categories._rules.wording import report_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Address = tuple[str, int]

BOUND_SENDALL: Final = socket.socket.sendall


class Sink:
    """A TCP server on loopback that keeps all it is sent, over TLS if it is given a context."""

    def __init__(
        self, tls: ssl.SSLContext | None = None, family: int = socket.AF_INET, at: Any = ("127.0.0.1", 0)
    ) -> None:
        self._tls = tls
        self._server = socket.socket(family)
        self._server.bind(at)
        self._server.listen()
        self.address: Any = self._server.getsockname()
        self.received = bytearray()
        self._changed = threading.Condition()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._take, args=self._server.accept()[:1], daemon=True).start()

    def _take(self, conn: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._tls is not None:
                conn = self._tls.wrap_socket(conn, server_side=True)
            with conn:
                while chunk := conn.recv(4096):
                    with self._changed:
                        self.received += chunk
                        self._changed.notify_all()

    def got(self, data: bytes) -> bool:
        """Wait until something has arrived; whether it did within a second."""
        with self._changed:
            return self._changed.wait_for(lambda: data in self.received, 1)

    def close(self) -> None:
        """Stop accepting."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    server = Sink()
    yield server
    server.close()


@pytest.fixture
def opened(sink: Sink) -> Iterator[socket.socket]:
    """A connection that was open before any guard."""
    with socket.create_connection(sink.address, timeout=5) as sock:
        yield sock


def as_file(sock: socket.socket) -> None:
    with sock.makefile("wb", buffering=0) as file:
        file.write(b"ping")


def dup_sendall(sock: socket.socket) -> None:
    with sock.dup() as copy:
        copy.sendall(b"ping")


def bound_sendall(sock: socket.socket) -> None:
    socket.socket.sendall(sock, b"ping")


class Subclass(socket.socket):
    def sendall(self, data: Any, *flags: int) -> None:
        super().sendall(data, *flags)


SPELLINGS: Final = [
    pytest.param(lambda sock: sock.send(b"ping"), id="send"),
    pytest.param(lambda sock: sock.sendall(b"ping"), id="sendall"),
    pytest.param(lambda sock: sock.sendall(b"ping", 0), id="sendall-flags"),
    pytest.param(lambda sock: sock.sendmsg([b"ping"]), id="sendmsg"),
    pytest.param(lambda sock: sock.sendmsg([b"pi", b"ng"], [], 0, None), id="sendmsg-none"),
    pytest.param(dup_sendall, id="dup"),
    pytest.param(as_file, id="makefile"),
    pytest.param(bound_sendall, id="unbound"),
]


@pytest.mark.parametrize("act", SPELLINGS)
def test_a_small_test_sends_nothing_on_a_connection_that_was_open(
    act: Callable[[socket.socket], object], sink: Sink, opened: socket.socket
) -> None:
    with pytest.raises(NetworkAccessViolationError) as caught, network_guard("small", "strict") as guard:
        act(opened)
    act(opened)  # the same without a guard, on the same connection: the refusal has not closed it
    opened.sendall(b"last")
    assert sink.got(b"last")
    assert sink.received == b"pinglast"
    violation = guard.violations[0]
    assert violation.kind == "reuse"
    assert violation.target == f"127.0.0.1:{sink.address[1]}"
    assert "by sending on a connection that was already open (socket.send" in report_text(caught.value.violations)


@pytest.mark.parametrize("act", SPELLINGS)
def test_a_medium_test_sends_to_this_machine(
    act: Callable[[socket.socket], object], sink: Sink, opened: socket.socket
) -> None:
    with network_guard("medium", "strict") as guard:
        act(opened)
    assert sink.got(b"ping")
    assert guard.violations == []


def test_sendfile_is_sending(sink: Sink, opened: socket.socket, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"ping")
    with (tmp_path / "file").open("rb") as file:
        with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
            opened.sendfile(file)
        assert opened.sendfile(file) == 4
    opened.sendall(b"last")
    assert sink.got(b"last")
    assert sink.received == b"pinglast"


def through_a_pipe(descriptor: int) -> None:
    left, right = os.pipe()
    try:
        os.write(right, b"ping")
        os.splice(left, descriptor, 4)
    finally:
        os.close(left)
        os.close(right)


def from_a_file(descriptor: int) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"ping")
        file.flush()
        os.sendfile(descriptor, file.fileno(), 0, 4)


def from_a_program(descriptor: int) -> None:
    subprocess.run([sys.executable, "-Ic", f"import os; os.write({descriptor}, b'ping')"], pass_fds=[descriptor])


def from_a_programs_output(descriptor: int) -> None:
    subprocess.run([sys.executable, "-Ic", "print('ping', end='')"], stdout=descriptor)


def spawned(descriptor: int) -> None:
    command = [sys.executable, "-Ic", "print('ping', end='')"]
    actions: Any = iter([(os.POSIX_SPAWN_DUP2, descriptor, 1)])
    os.waitpid(os.posix_spawn(command[0], command, os.environ, file_actions=actions), 0)


def started_by_libuv(descriptor: int) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def start() -> None:
        command = [sys.executable, "-Ic", "print('ping', end='')"]
        await (await asyncio.create_subprocess_exec(*command, stdout=descriptor)).wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(start())


def as_a_file(descriptor: int) -> None:
    with os.fdopen(descriptor, "wb", buffering=0, closefd=False) as file:
        file.write(b"ping")


class Descriptor:
    """What C takes for a descriptor: it need not be an int."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __index__(self) -> int:
        return self.number


class Number(int):
    """An int that says of itself that it is another one."""

    def __index__(self) -> int:
        return 1


class Action(tuple[Any, ...]):
    """A tuple that says of itself that it is another one."""

    __slots__ = ()

    def __getitem__(self, _index: Any) -> Any:
        return 0

    def __iter__(self) -> Iterator[Any]:
        return iter((0, 0, 0))


def spawned_by_a_lie(descriptor: int) -> None:
    command = [sys.executable, "-Ic", "print('ping', end='')"]
    actions: Any = [Action((os.POSIX_SPAWN_DUP2, descriptor, 1))]
    os.waitpid(os.posix_spawn(command[0], command, os.environ, file_actions=actions), 0)


@contextlib.contextmanager
def inheritable(descriptor: int) -> Iterator[list[str]]:
    """Mark a descriptor as one that programs inherit; yields the command of one that writes to it."""
    os.set_inheritable(descriptor, True)
    try:
        yield [sys.executable, "-Ic", f"import os; os.write({descriptor}, b'ping')"]
    finally:
        os.set_inheritable(descriptor, False)


def left_open(descriptor: int) -> None:
    with inheritable(descriptor) as command:
        subprocess.run(command, close_fds=False)


def spawned_with_what_is_inheritable(descriptor: int) -> None:
    with inheritable(descriptor) as command:
        os.waitpid(os.posix_spawn(command[0], command, os.environ), 0)


def put_in_the_place_of_a_fork(descriptor: int) -> None:
    with inheritable(descriptor) as command:
        child = os.fork()
        if not child:
            try:
                os.execv(command[0], command)
            finally:
                os._exit(1)
        os.waitpid(child, 0)


def kept_by_libuv(descriptor: int) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def start() -> None:
        command = [sys.executable, "-Ic", f"import os; os.write({descriptor}, b'ping')"]
        await (await asyncio.create_subprocess_exec(*command, pass_fds=[descriptor])).wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(start())


@contextlib.contextmanager
def at(standard: int, descriptor: int) -> Iterator[None]:
    """Put a connection in the place of the program's own input, output or errors."""
    kept = os.dup(standard)
    os.dup2(descriptor, standard)
    try:
        yield
    finally:
        os.dup2(kept, standard)
        os.close(kept)


def as_input(descriptor: int) -> None:
    with at(0, descriptor):
        os.write(0, b"ping")


def as_inherited_input(descriptor: int) -> None:
    with at(0, descriptor):
        subprocess.run([sys.executable, "-Ic", "import os; os.write(0, b'ping')"])


def as_output_of_a_fork(descriptor: int) -> None:
    command = [sys.executable, "-Ic", "print('ping', end='')"]
    child = os.fork()
    if not child:
        try:
            os.dup2(descriptor, 1)
            os.execv(command[0], command)
        finally:
            os._exit(1)
    os.waitpid(child, 0)


def in_preexec_fn(descriptor: int) -> None:
    command = [sys.executable, "-Ic", "print('ping', end='')"]
    with contextlib.suppress(subprocess.SubprocessError):  # says no more than that preexec_fn has raised
        subprocess.run(command, preexec_fn=lambda: os.dup2(descriptor, 1))


def by_the_shell(descriptor: int) -> None:
    with inheritable(descriptor) as command:
        os.system(shlex.join(command))


def closed_further_up(descriptor: int) -> None:
    with inheritable(descriptor) as command:
        actions: Any = [(getattr(os, "POSIX_SPAWN_CLOSEFROM", 2), 1000)][: hasattr(os, "POSIX_SPAWN_CLOSEFROM")]
        os.waitpid(os.posix_spawn(command[0], command, os.environ, file_actions=actions), 0)


def as_a_file_by_index(descriptor: int) -> None:
    with io.FileIO(Descriptor(descriptor), "wb", closefd=False) as file:  # type: ignore[arg-type]
        file.write(b"ping")


def as_a_file_of_a_derived_number(descriptor: int) -> None:
    with open(Number(descriptor), "wb", buffering=0, closefd=False) as file:
        file.write(b"ping")


BY_DESCRIPTOR: Final = [
    pytest.param(lambda descriptor: os.write(descriptor, b"ping"), id="write"),
    pytest.param(lambda descriptor: os.writev(descriptor, [b"pi", b"ng"]), id="writev"),
    pytest.param(from_a_file, id="sendfile", marks=pytest.mark.skipif(sys.platform != "linux", reason="other forms")),
    pytest.param(through_a_pipe, id="splice", marks=pytest.mark.skipif(not hasattr(os, "splice"), reason="Linux's")),
    pytest.param(from_a_program, id="inherited"),
    pytest.param(from_a_programs_output, id="output"),
    pytest.param(spawned, id="posix_spawn"),
    pytest.param(started_by_libuv, id="uvloop"),
    pytest.param(kept_by_libuv, id="uvloop-pass_fds"),
    pytest.param(as_a_file, id="fdopen"),
    pytest.param(lambda descriptor: os.write(Descriptor(descriptor), b"ping"), id="index"),  # type: ignore[arg-type]
    pytest.param(lambda descriptor: os.write(Number(descriptor), b"ping"), id="derived"),
    pytest.param(spawned_by_a_lie, id="posix_spawn-derived"),
    pytest.param(left_open, id="inheritable"),
    pytest.param(spawned_with_what_is_inheritable, id="posix_spawn-inheritable"),
    pytest.param(put_in_the_place_of_a_fork, id="exec"),
    pytest.param(as_input, id="standard-input"),
    pytest.param(as_inherited_input, id="inherited-input"),
    pytest.param(as_output_of_a_fork, id="exec-output"),
    pytest.param(in_preexec_fn, id="preexec_fn"),
    pytest.param(by_the_shell, id="system"),
    pytest.param(closed_further_up, id="posix_spawn-closefrom"),
    pytest.param(as_a_file_by_index, id="FileIO-index"),
    pytest.param(as_a_file_of_a_derived_number, id="open-derived"),
]


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no descriptors there")
@pytest.mark.parametrize("act", BY_DESCRIPTOR)
def test_bytes_written_to_the_descriptor_of_a_connection_are_held(
    act: Callable[[int], object], sink: Sink, opened: socket.socket
) -> None:
    with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict") as guard:
        act(opened.fileno())
    assert [(violation.kind, violation.target) for violation in guard.violations] == [
        ("reuse", f"127.0.0.1:{sink.address[1]}")
    ]
    with network_guard("medium", "strict"):
        act(opened.fileno())
    opened.sendall(b"last")
    assert sink.got(b"last")
    assert sink.received == b"pinglast"


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no descriptors there")
def test_what_is_written_to_copies_of_the_programs_own_output_is_nobodys(sink: Sink) -> None:
    code = """
import os, socket, sys
from pytest_test_categories import network_guard
with network_guard("small", "strict"):
    copy = os.dup(1)
    os.write(copy, b"pi")
    with open(copy, "w") as file:
        file.write("ng")
"""
    with socket.create_connection(sink.address) as output:  # as a service manager has it
        subprocess.run([sys.executable, "-c", code], stdout=output.fileno(), check=True)
    assert sink.got(b"ping")


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no descriptors there")
def test_a_file_that_reads_from_a_connection_sends_nothing(opened: socket.socket) -> None:
    with network_guard("small", "strict"), os.fdopen(opened.fileno(), "rb", closefd=False) as file:
        assert file.readable()


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no descriptors there")
def test_descriptors_of_pairs_pipes_and_accepted_sockets_are_written_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    left, right = socket.socketpair()
    with left, right, network_guard("small", "strict", allow=[f"small: 127.0.0.1:{port}"]):
        with (
            socket.create_server(("127.0.0.1", port)) as server,
            socket.create_connection(("127.0.0.1", port)) as client,
        ):
            accepted, _ = server.accept()
            with accepted:
                assert os.write(accepted.fileno(), b"pong") == 4
                assert os.write(client.fileno(), b"ping") == 4
                subprocess.run([sys.executable, "-Ic", "pass"], check=True, pass_fds=[accepted.fileno()])
        assert os.write(left.fileno(), b"ping") == 4
        subprocess.run([sys.executable, "-Ic", "print('ping')"], check=True, stdout=right.fileno())
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(1 << 20, b"ping")


@contextlib.contextmanager
def something_to_write_to(what: str, tmp_path: Path) -> Iterator[int]:
    """Yield a descriptor that is no socket."""
    other = None
    if what == "pipe":
        other, descriptor = os.pipe()
    elif what == "named pipe":
        os.mkfifo(tmp_path / "pipe")
        other = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        descriptor = os.open(tmp_path / "pipe", os.O_WRONLY)
    elif what == "terminal":
        other, descriptor = os.openpty()
    else:
        descriptor = os.open(tmp_path / "file" if what == "file" else os.devnull, os.O_WRONLY | os.O_CREAT)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
        if other is not None:
            os.close(other)


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no descriptors there")
@pytest.mark.parametrize("then", ["pipe", "named pipe", "terminal", "file", "device"])
@pytest.mark.parametrize("first", ["pipe", "named pipe", "terminal", "file", "device"])
def test_a_number_that_was_written_to_is_looked_at_again(
    first: str, then: str, tmp_path: Path, sink: Sink, opened: socket.socket
) -> None:
    """Nobody is told when a number gets another meaning: native code may do that, too."""
    (tmp_path / "first").mkdir()
    (tmp_path / "then").mkdir()
    with (
        something_to_write_to(first, tmp_path / "first") as descriptor,
        something_to_write_to(then, tmp_path / "then") as other,
        pytest.raises(NetworkAccessViolationError),
        network_guard("small", "strict") as guard,
    ):
        for meaning in (descriptor, other):
            os.dup2(meaning, descriptor)
            assert [os.write(descriptor, b"ping") for _ in range(3)] == [4, 4, 4]
            assert guard.violations == []
        os.dup2(opened.fileno(), descriptor)
        os.write(descriptor, b"ping")
    assert [violation.kind for violation in guard.violations] == ["reuse"]
    opened.sendall(b"last")
    assert sink.got(b"last")
    assert sink.received == b"last"


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no descriptors there")
@pytest.mark.parametrize("what", ["pipe", "terminal", "file"])
@pytest.mark.parametrize("tell", [Descriptor, Number], ids=["index", "derived"])
def test_a_descriptor_that_says_it_is_what_was_written_to_is_read_as_c_code_does(
    what: str, tell: Callable[[int], Any], tmp_path: Path, opened: socket.socket
) -> None:
    class Same(Number):
        def __eq__(self, other: object) -> bool:
            return other == written

        def __hash__(self) -> int:
            return hash(written)

    with something_to_write_to(what, tmp_path) as written, network_guard("small", "strict") as guard:
        os.write(written, b"ping")
        assert os.write(tell(written), b"ping") == 4
        with pytest.raises(NetworkAccessViolationError):
            os.write(Same(opened.fileno()), b"ping")
    assert [violation.kind for violation in guard.violations] == ["reuse"]


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no descriptors there")
@pytest.mark.parametrize("what", ["pipe", "terminal", "file", "device"])
def test_what_a_write_refuses_is_its_own_error(what: str, tmp_path: Path) -> None:
    with network_guard("small", "strict"):
        with something_to_write_to(what, tmp_path) as descriptor:
            os.write(descriptor, b"ping")
            bad: list[tuple[Any, ...]] = [(), (descriptor,), (descriptor, "text"), (f"{descriptor}", b""), ([], b"")]
            for arguments in (*bad, (float(descriptor), b"")):
                with pytest.raises(TypeError):
                    os.write(*arguments)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(descriptor, b"ping")


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no descriptors there")
def test_warn_mode_says_once_what_was_connected_and_written_to(sink: Sink) -> None:
    with pytest.warns(NetworkAccessWarning), network_guard("small", "warn") as guard:
        with socket.create_connection(sink.address) as sock:
            os.write(sock.fileno(), b"ping")
    assert [violation.kind for violation in guard.violations] == ["connect"]
    assert sink.got(b"ping")


def test_a_swallowed_refusal_is_raised_at_the_end(opened: socket.socket) -> None:
    with pytest.raises(NetworkAccessViolationError, match="did not reach the test"), network_guard("small", "strict"):
        with contextlib.suppress(Exception):
            opened.sendall(b"ping")


def test_a_connected_datagram_socket_is_a_connection() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        client.connect(server.getsockname())
        with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
            client.send(b"ping")
        client.send(b"pong")
        assert server.recv(10) == b"pong"


def test_unix_sockets_are_judged_by_path(tmp_path: Path) -> None:
    path = str(tmp_path / "server")
    with unix_server(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict") as guard:
            client.send(b"ping")
        assert guard.violations[0].target == f"unix:{path}"
        with network_guard("small", "strict", allow=[f"small: unix:{path}"]), network_guard("medium", "strict"):
            client.send(b"pong")


def test_a_unix_socket_of_this_process_is_its_own(tmp_path: Path) -> None:
    path = str(tmp_path / "server")
    with (
        network_guard("large", "strict"),
        socket.socket(socket.AF_UNIX) as server,
        socket.socket(socket.AF_UNIX) as client,
    ):
        server.bind(path)
        server.listen()
        client.connect(path)
        with network_guard("small", "strict"):
            client.send(b"ping")


def test_what_the_guarded_code_opened_itself_is_judged_once(sink: Sink) -> None:
    with network_guard("medium", "strict") as guard, socket.create_connection(sink.address) as sock:
        for _ in range(3):
            sock.sendall(b"ping")
    assert guard.violations == []
    with pytest.warns(match="attempted connection") as caught, network_guard("small", "warn") as guard:
        with socket.create_connection(sink.address) as sock:
            sock.sendall(b"pong")
    assert sink.got(b"pong")
    assert [violation.kind for violation in guard.violations] == ["connect"]
    assert guard.violations[0].count == 1
    assert len(caught) == 1


def test_warn_mode_says_it_and_sends(sink: Sink, opened: socket.socket) -> None:
    with pytest.warns(match="attempted connection to 127.0.0.1"), network_guard("small", "warn") as guard:
        opened.sendall(b"ping")
    assert sink.got(b"ping")
    assert [violation.kind for violation in guard.violations] == ["reuse"]


def test_warn_mode_lets_the_interpreters_own_sockets_connect(sink: Sink) -> None:
    raw = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    with pytest.warns(match="attempted connection"), network_guard("small", "warn") as guard:
        raw.connect(sink.address)
    raw.sendall(b"ping")
    raw.close()
    assert sink.got(b"ping")
    assert [violation.kind for violation in guard.violations] == ["connect"]


def test_an_inner_guard_holds_connections_of_the_outer_one(sink: Sink) -> None:
    with network_guard("medium", "strict"), socket.create_connection(sink.address) as sock:
        sock.sendall(b"ping")
        with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
            sock.sendall(b"pong")
        sock.sendall(b"pang")
    assert sink.got(b"pang")
    assert b"pong" not in sink.received


def test_an_allowed_peer_is_allowed(sink: Sink, opened: socket.socket) -> None:
    with network_guard("small", "strict", allow=[f"small: 127.0.0.1:{sink.address[1]}"]):
        opened.sendall(b"ping")
    assert sink.got(b"ping")


def test_what_a_server_of_the_test_accepted_is_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with network_guard("small", "strict", allow=[f"small: 127.0.0.1:{port}"]):
        with (
            socket.create_server(("127.0.0.1", port)) as server,
            socket.create_connection(("127.0.0.1", port)) as client,
        ):
            accepted, _ = server.accept()
            with accepted:
                accepted.sendall(b"pong")
                assert client.recv(9) == b"pong"


@pytest.mark.parametrize("pair", [socket.socketpair, getattr(socket, "_fallback_socketpair", socket.socketpair)])
def test_socket_pairs_of_any_age_are_nobodys_network(pair: Callable[[], tuple[socket.socket, socket.socket]]) -> None:
    before = socket.socketpair()
    with network_guard("large", "strict"):
        outer = getattr(socket, pair.__name__)()
        with network_guard("small", "strict"):
            inner = getattr(socket, pair.__name__)()
            for one, other in (before, outer, inner):
                one.sendall(b"ping")
                assert other.recv(9) == b"ping"
    for end in (*before, *outer, *inner):
        end.close()


def test_an_event_loop_made_before_is_woken_from_a_thread() -> None:
    async def main() -> str:
        return await asyncio.to_thread(lambda: "done")

    loop = asyncio.new_event_loop()
    with network_guard("small", "strict"):
        assert loop.run_until_complete(main()) == "done"
    loop.close()


def test_pipes_and_queues_of_multiprocessing_are_no_network() -> None:
    here, there = multiprocessing.Pipe()
    with network_guard("small", "strict"):
        here.send("ping")
        assert there.recv() == "ping"
    here.close()
    there.close()


def test_bad_arguments_raise_what_they_raise_without_a_guard(opened: socket.socket) -> None:
    with network_guard("medium", "strict"), socket.socket() as fresh:
        with pytest.raises(TypeError):
            opened.send()  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            opened.sendall("text")  # type: ignore[arg-type]
        with pytest.raises(OSError, match=r"pipe|connected"):
            fresh.sendall(b"ping")
    with network_guard("small", "strict"), socket.socket() as fresh, pytest.raises(OSError, match=r"pipe|connected"):
        fresh.sendall(b"ping")


def test_threads_that_are_not_the_tests_send_as_they_like(sink: Sink, opened: socket.socket) -> None:
    go, done = threading.Event(), threading.Event()

    def report() -> None:
        go.wait(5)
        opened.sendall(b"ping")
        done.set()

    reporter = threading.Thread(target=report)
    reporter.start()
    with network_guard("small", "strict"):
        go.set()
        assert done.wait(5)
    reporter.join()
    assert sink.got(b"ping")


def test_the_tests_own_threads_are_held(sink: Sink, opened: socket.socket) -> None:
    errors: list[BaseException] = []

    def send() -> None:
        try:
            opened.sendall(b"ping")
        except NetworkAccessViolationError as error:
            errors.append(error)

    with network_guard("small", "strict") as guard, expect_network_violation():
        thread = threading.Thread(target=send, name="worker")
        thread.start()
        thread.join()
    assert len(errors) == 1
    assert guard.violations[0].thread == "worker"
    assert not sink.got(b"ping")


def test_a_socket_is_forgotten_with_its_end(sink: Sink) -> None:
    from pytest_test_categories._watch import connections

    with network_guard("medium", "strict"):
        for _ in range(2 * connections.KEPT):
            with socket.create_connection(sink.address) as sock:
                sock.sendall(b"ping")
            del sock
        assert len(connections.seen.cleared) <= connections.KEPT
    # What another thread sends at this very moment may be noted once more; no socket lives on by that.
    assert not [known() for known in connections.seen.cleared.values() if known() is not None]


def test_many_sockets_at_once_are_not_sought_each_time(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_test_categories._watch import connections

    sweeps: list[int] = []
    sweep = connections._sweep

    def counted() -> None:
        sweeps.append(len(connections.seen.cleared))
        sweep()

    monkeypatch.setattr(connections, "_sweep", counted)
    with contextlib.ExitStack() as stack:
        with network_guard("medium", "strict"):
            for _ in range(connections.KEPT + 50):
                stack.enter_context(socket.create_connection(sink.address)).sendall(b"ping")
        assert 1 <= len(sweeps) <= 3


def test_what_a_thread_learns_while_another_forgets_stays(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number may be a new socket's by the time that its old one is found to be gone."""
    from pytest_test_categories._watch import connections

    fresh: Any = lambda: sink  # noqa: E731 - it stands for a reference

    class Late(dict[int, Any]):
        def pop(self, number: int, *default: Any) -> Any:
            gone = super().pop(number, *default)
            assert gone() is None
            return fresh

    known: Any = Late({1: lambda: None})
    monkeypatch.setattr(connections.seen, "cleared", known)
    connections._sweep()
    assert known == {1: fresh}


def test_another_connection_to_a_peer_that_was_warned_about_is_warned_about(sink: Sink) -> None:
    with socket.create_connection(sink.address) as older:
        guard = network_guard("small", "warn")
        with warnings.catch_warnings(record=True), guard:
            warnings.simplefilter("always")
            with socket.create_connection(sink.address) as sock:
                sock.sendall(b"ping")
            older.sendall(b"pong")
        assert [violation.kind for violation in guard.violations] == ["connect", "reuse"]


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no descriptors there")
@pytest.mark.parametrize("mode", ["r", "rb"])
def test_a_file_that_only_reads_sends_nothing(sink: Sink, opened: socket.socket, mode: str) -> None:
    with network_guard("small", "strict") as guard:
        io.FileIO(opened.fileno(), mode, closefd=False).close()
    assert guard.violations == []
    with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
        io.FileIO(opened.fileno(), "r+", closefd=False).close()


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no descriptors there")
def test_looking_at_a_connection_does_not_change_it(sink: Sink, opened: socket.socket) -> None:
    """An object for a descriptor sets it to the default timeout, for all who share it."""
    opened.settimeout(None)
    socket.setdefaulttimeout(5)
    try:
        with network_guard("medium", "strict"):
            os.write(opened.fileno(), b"ping")
            with inheritable(opened.fileno()):
                subprocess.run(["true"], close_fds=False)
    finally:
        socket.setdefaulttimeout(None)
    assert os.get_blocking(opened.fileno())


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no descriptors there")
def test_a_connection_that_a_program_does_not_get_is_not_judged(sink: Sink, opened: socket.socket) -> None:
    command = [sys.executable, "-Ic", "pass"]
    with network_guard("small", "strict") as guard, inheritable(opened.fileno()):
        closing: list[Any] = [[(os.POSIX_SPAWN_CLOSE, opened.fileno())]]
        if hasattr(os, "POSIX_SPAWN_CLOSEFROM"):
            closing.append([(os.POSIX_SPAWN_CLOSEFROM, 3)])
        for actions in closing:
            os.waitpid(os.posix_spawn(command[0], command, os.environ, file_actions=actions), 0)
        with pytest.raises(FileNotFoundError):
            os.execvp("no-such-program", ["no-such-program"])
    assert guard.violations == []


def test_rule_9_audit_events_of_others_pass() -> None:
    with network_guard("small", "strict"):
        sys.audit("open", "of another form")
        sys.audit("open")


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no descriptors there")
def test_a_connection_that_the_program_was_started_with_is_inherited_further(sink: Sink) -> None:
    """Nobody in this process made it, as an agent of a CI service may have done."""
    code = """
import subprocess, sys
from pytest_test_categories import network_guard
with network_guard("small", "strict") as guard:
    subprocess.run([sys.executable, "-Ic", "pass"], close_fds=False)
    assert guard.violations == []
"""
    with socket.create_connection(sink.address) as given:
        subprocess.run([sys.executable, "-c", code], pass_fds=[given.fileno()], check=True)


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no descriptors there")
def test_a_connection_of_multiprocessings_is_held() -> None:
    """As a remote manager's: it sends by the ``os.write`` that it took hold of when it was imported."""
    with multiprocessing.connection.Listener(("127.0.0.1", 0)) as listener:
        with multiprocessing.connection.Client(listener.address) as client, listener.accept() as server:
            with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict") as guard:
                client.send_bytes(b"ping")
            assert [violation.kind for violation in guard.violations] == ["reuse"]
            assert not server.poll(0)
            with network_guard("medium", "strict"):
                client.send_bytes(b"pong")
            assert server.recv_bytes() == b"pong"


@pytest.mark.parametrize("duplex", [True, False])
def test_rule_9_pipes_of_multiprocessings_work_in_a_small_guard(duplex: bool) -> None:
    here, there = multiprocessing.Pipe(duplex)
    with network_guard("small", "strict") as guard, here, there:
        there.send("ping")
        assert here.recv() == "ping"
    assert guard.violations == []


# -- clients -----------------------------------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.seen.append(self.path)  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def web() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen = []  # type: ignore[attr-defined]
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_keep_alive_of_http_client(web: ThreadingHTTPServer) -> None:
    connection = http.client.HTTPConnection(*web.server_address[:2], timeout=5)  # type: ignore[arg-type]
    connection.request("GET", "/before")
    connection.getresponse().read()
    with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
        connection.request("GET", "/inside")
    connection.close()
    assert web.seen == ["/before"]  # type: ignore[attr-defined]


def test_keep_alive_of_requests(web: ThreadingHTTPServer) -> None:
    with requests.Session() as session:
        url = f"http://127.0.0.1:{web.server_address[1]}"
        session.get(f"{url}/before", timeout=5)
        with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict") as guard:
            session.get(f"{url}/inside", timeout=5)
        with network_guard("medium", "strict"):
            assert session.get(f"{url}/after", timeout=5).text == "ok"
    assert web.seen == ["/before", "/after"]  # type: ignore[attr-defined]
    assert guard.violations[0].kind == "reuse"
    assert guard.violations[0].library == "requests"


@pytest.fixture(scope="module")
def certificates() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server and of its client."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


@pytest.fixture
def tls_sink(certificates: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[Sink]:
    server = Sink(certificates[0])
    yield server
    server.close()


@pytest.mark.parametrize("name", ["send", "sendall", "write"])
def test_tls_is_held(name: str, tls_sink: Sink, certificates: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    raw = socket.create_connection(tls_sink.address, timeout=5)
    with certificates[1].wrap_socket(raw, server_hostname="localhost") as sock:
        sock.sendall(b"first")
        with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
            getattr(sock, name)(b"ping")
        with network_guard("medium", "strict"):
            getattr(sock, name)(b"pong")
    assert tls_sink.got(b"pong")
    assert b"ping" not in tls_sink.received


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_asyncio_streams_are_held(
    tls: bool, sink: Sink, tls_sink: Sink, certificates: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server = tls_sink if tls else sink

    async def main() -> None:
        extra: dict[str, Any] = {"ssl": certificates[1], "server_hostname": "localhost"} if tls else {}
        _, writer = await asyncio.open_connection(*server.address, **extra)
        writer.write(b"before")
        await writer.drain()
        with network_guard("medium", "strict"):
            writer.write(b"pong")
            await writer.drain()
        with network_guard("small", "strict") as guard, expect_network_violation():
            writer.write(b"ping")
            with contextlib.suppress(Exception):
                await writer.drain()
        assert [violation.kind for violation in guard.violations] == ["reuse"]
        writer.transport.abort()
        await asyncio.sleep(0)

    asyncio.run(main())
    assert server.got(b"pong")
    assert not server.got(b"ping")


def test_asyncio_sock_sendall_and_sendfile_are_held(sink: Sink, opened: socket.socket, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"pang")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        opened.setblocking(False)
        with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
            await loop.sock_sendall(opened, b"ping")
        with (tmp_path / "file").open("rb") as file:
            with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
                await loop.sock_sendfile(opened, file)
        with network_guard("medium", "strict"):
            await loop.sock_sendall(opened, b"pong")

    asyncio.run(main())
    assert sink.got(b"pong")
    assert b"ping" not in sink.received
    assert b"pang" not in sink.received


def test_trio_is_held(sink: Sink) -> None:
    async def main() -> None:
        stream = await trio.open_tcp_stream(*sink.address)
        async with stream:
            await stream.send_all(b"before")
            with network_guard("medium", "strict"):
                await stream.send_all(b"pong")
            with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
                await stream.send_all(b"ping")
            with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
                await stream.socket.sendmsg([b"ping"])

    trio.run(main)
    assert sink.got(b"pong")
    assert not sink.got(b"ping")


GEVENT: Final = """
    import socket as plain, threading, sys
    import gevent.socket
    from pytest_test_categories import NetworkAccessViolationError, network_guard

    server = plain.create_server(("127.0.0.1", 0))
    sock = gevent.socket.create_connection(server.getsockname())
    got, _ = server.accept()
    for act in (lambda: sock.send(b"ping"), lambda: sock.sendall(b"ping"), lambda: sock.sendmsg([b"ping"])):
        try:
            with network_guard("small", "strict"):
                act()
        except NetworkAccessViolationError as error:
            print(error.violation.kind, error.violation.route)
        with network_guard("medium", "strict"):
            act()
        print(got.recv(100))
"""


def test_gevent_is_held() -> None:
    pytest.importorskip("gevent")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(GEVENT)], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.splitlines() == [
        "reuse gevent.send",
        "b'ping'",
        "reuse gevent.sendall",
        "b'ping'",
        "reuse gevent.sendmsg",
        "b'ping'",
    ]


# -- in a test run -----------------------------------------------------------------------------------------------------

RUN: Final = """
    import socket
    import pytest

    pool = []

    def get():
        if not pool:
            pool.append(socket.create_connection(("127.0.0.1", PORT), timeout=5))
        pool[0].sendall(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
        return pool[0].recv(4096)

    @pytest.mark.medium
    def test_medium_before(): get()

    @pytest.mark.small
    def test_small(): get()

    @pytest.mark.small
    def test_small_swallows():
        try: get()
        except Exception: pass

    @pytest.mark.medium
    def test_medium_after(): get()

    @pytest.mark.large
    def test_large(): get()
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_the_order_of_tests_decides_nothing(
    workers: int,
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    web: ThreadingHTTPServer,
) -> None:
    pytester.makepyfile(RUN.replace("PORT", str(web.server_address[1])))
    result = run_pytest("-v", *(["--dist=loadfile"] if workers else []), workers=workers)
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines(["*Attempted network connection to 127.0.0.1:*"])
    if not workers:
        result.stdout.fnmatch_lines(["*by sending on a connection that was already open (socket.sendall)*"])


def test_a_plain_buffer_is_no_socket() -> None:
    from pytest_test_categories._watch import connections

    with network_guard("small", "strict"):
        connections.Sends(lambda *_: pytest.fail("asked")).check("socket.send", io.BytesIO())
