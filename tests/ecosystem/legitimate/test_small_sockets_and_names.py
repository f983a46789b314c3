"""Sockets that reach nobody, and names that nobody is asked for."""

import asyncio
import contextlib
import importlib.metadata
import logging
import logging.handlers
import os
import platform
import selectors
import socket
import sqlite3
import ssl
import threading
import unittest.mock
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.small


def test_asyncio() -> None:
    async def main() -> int:
        await asyncio.sleep(0)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            task = group.create_task(asyncio.to_thread(lambda: 1))
        return task.result()

    assert asyncio.run(main()) == 1


async def test_asyncio_over_a_socketpair() -> None:
    mine, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=mine)
    other_reader, other_writer = await asyncio.open_connection(sock=theirs)
    writer.write(b"hello\n")
    assert await other_reader.readline() == b"hello\n"
    other_writer.write(b"and you\n")
    assert await reader.readline() == b"and you\n"
    for end in (writer, other_writer):
        end.close()
        await end.wait_closed()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_anyio(backend: str) -> None:
    anyio = pytest.importorskip("anyio")
    pytest.importorskip(backend)

    async def main() -> int:
        await anyio.sleep(0)
        number: int = await anyio.to_thread.run_sync(lambda: 1)
        return number

    assert anyio.run(main, backend=backend) == 1


def test_thread_pools() -> None:
    with ThreadPool(2) as pool, ThreadPoolExecutor(2) as executor:
        assert pool.map(str, [1, 2]) == list(executor.map(str, [1, 2]))


@pytest.mark.parametrize("name", ["socketpair", "_fallback_socketpair"])
def test_socketpair(name: str) -> None:
    make = getattr(socket, name, None)
    if make is None:
        assert name == "_fallback_socketpair"  # from 3.12 on under another condition
        return
    one, two = make()
    with one, two, selectors.DefaultSelector() as selector:
        selector.register(two, selectors.EVENT_READ)
        one.sendall(b"x")
        assert selector.select(5)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, getattr(socket, "AF_UNIX", socket.AF_INET)])
def test_sockets_that_stay_where_they_are(family: int) -> None:
    with socket.socket(family) as sock, sock.dup() as copy, socket.fromfd(sock.fileno(), family, sock.type) as again:
        assert isinstance(sock, socket.SocketType)
        assert copy.family == again.family == family
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.settimeout(1)
        with socket.socket(fileno=sock.detach()) as taken:
            assert taken.family == family


def test_classes() -> None:
    assert issubclass(ssl.SSLSocket, socket.socket)
    with socket.socket() as sock:
        assert type(sock) is socket.socket
        assert isinstance(sock, socket.socket)


def test_ssl_without_a_network() -> None:
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="api.example.com").do_handshake()
    assert outgoing.read()


@pytest.mark.parametrize("where", [":memory:", "file"])
def test_sqlite(where: str, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(where if where == ":memory:" else tmp_path / where)) as database:
        assert database.execute("SELECT 1").fetchone() == (1,)


def test_metadata_and_identifiers() -> None:
    assert importlib.metadata.version("pytest") == pytest.__version__
    assert uuid.uuid1() != uuid.uuid4()
    assert platform.node() == socket.gethostname()


def test_the_systems_log() -> None:
    logger = logging.getLogger("ecosystem")
    # Where no such socket is, that is all that is wrong.
    for path in (os.environ.get("SYSTEM_LOG", "/dev/log"), "/var/run/log"):
        try:
            handler = logging.handlers.SysLogHandler(path)
        except OSError:
            assert "SYSTEM_LOG" not in os.environ or path != os.environ["SYSTEM_LOG"]
            continue
        handler.handle(logging.LogRecord("ecosystem", logging.INFO, __file__, 1, "hello", (), None))
        handler.close()
    assert logger.handlers == []


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this platform has no unix sockets")
async def test_unix_sockets_of_ones_own(socket_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async with await asyncio.start_unix_server(answer, socket_path):
        reader, writer = await asyncio.open_unix_connection(socket_path)
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()


LOOK_UPS: dict[str, Callable[[], object]] = {
    "a number": lambda: socket.getaddrinfo("198.51.100.1", 80),
    "a number and a service": lambda: socket.getaddrinfo("2001:db8::1", "http"),
    "a number as bytes": lambda: socket.getaddrinfo(b"198.51.100.1", 80),
    "no host": lambda: socket.getaddrinfo(None, 80),
    "no host, passive": lambda: socket.getaddrinfo(None, 0, flags=socket.AI_PASSIVE, type=socket.SOCK_STREAM),
    "localhost": lambda: socket.getaddrinfo("localhost", 80),
    "localhost as bytes": lambda: socket.getaddrinfo(b"localhost", 80),
    "localhost by gethostbyname": lambda: socket.gethostbyname("localhost"),
    "a number by gethostbyname": lambda: socket.gethostbyname("198.51.100.1"),
    "localhost by gethostbyname_ex": lambda: socket.gethostbyname_ex("localhost"),
    "the name of localhost": lambda: socket.getfqdn("localhost"),
    "an address as a number": lambda: socket.getnameinfo(
        ("198.51.100.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    ),
    "services": lambda: (socket.getservbyname("http"), socket.getservbyport(80), socket.getprotobyname("tcp")),
    "interfaces": lambda: socket.if_nameindex() if hasattr(socket, "if_nameindex") else None,
}


@pytest.mark.parametrize("look_up", [pytest.param(work, id=name) for name, work in LOOK_UPS.items()])
def test_look_ups_that_ask_nobody(look_up: Callable[[], object]) -> None:
    look_up()


async def test_look_ups_of_a_loop() -> None:
    loop = asyncio.get_running_loop()
    assert await loop.getaddrinfo("localhost", 80)
    assert await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)


@pytest.mark.parametrize("host", ["api.example.com", b"api.example.com"])
def test_a_probe_for_a_numeric_host(host: str | bytes) -> None:
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo(host, 80, flags=socket.AI_NUMERICHOST)


def test_the_name_of_this_machine_where_the_hosts_file_has_it() -> None:
    lines = Path("/etc/hosts").read_text(encoding="utf-8").splitlines() if Path("/etc/hosts").exists() else []
    if any(socket.gethostname() in line.partition("#")[0].split()[1:] for line in lines):
        assert socket.getfqdn()


def test_a_faked_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.113.7", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: answer)
    assert socket.getaddrinfo("api.example.com", 443) == answer


async def test_a_faked_look_up_under_a_loop(mocker: Any) -> None:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.113.7", 443))]
    mocker.patch("socket.getaddrinfo", return_value=answer)
    assert await asyncio.get_running_loop().getaddrinfo("api.example.com", 443) == answer


def test_a_faked_connection() -> None:
    with unittest.mock.patch("socket.socket") as fake, socket.create_connection(("198.51.100.1", 443)):
        fake.return_value.connect.assert_called_once_with(("198.51.100.1", 443))


WRONG: dict[str, Callable[[socket.socket], object]] = {
    "no address": lambda sock: sock.connect(None),
    "no port": lambda sock: sock.connect(("198.51.100.1",)),
    "a list": lambda sock: sock.connect(["198.51.100.1", 80]),
    "a host that is a number": lambda sock: sock.connect((1, 80)),
    "a port that is text": lambda sock: sock.connect(("198.51.100.1", "80")),
    "no arguments": lambda sock: sock.connect(),
    "a bind to text": lambda sock: sock.bind("127.0.0.1"),
    "text to send": lambda sock: sock.sendto("text", ("198.51.100.1", 80)),
    "a look-up without port": lambda _sock: socket.getaddrinfo("api.example.com"),
}


@pytest.mark.parametrize("call", [pytest.param(work, id=name) for name, work in WRONG.items()])
def test_bad_arguments(call: Callable[[socket.socket], object]) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises(TypeError):
        call(sock)


def test_threads_and_timers() -> None:
    done = threading.Event()
    timer = threading.Timer(0.01, done.set)
    timer.start()
    assert done.wait(5)
    timer.join()
