"""Rule 9: only what was asked for is broken."""

from __future__ import annotations

import asyncio
import email.utils
import http.server
import importlib.metadata
import logging.handlers
import os
import selectors
import smtplib
import socket
import socketserver
import sqlite3
import ssl
import threading
import urllib.request
import xmlrpc.client
import xmlrpc.server
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories import network_guard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def loop() -> None:
    async def main() -> int:
        await asyncio.sleep(0)
        return await asyncio.to_thread(lambda: 1)

    assert asyncio.run(main()) == 1


def fallback_socketpair() -> None:
    pair = getattr(socket, "_fallback_socketpair", None)
    if pair is None:
        pytest.skip("this Python has none of its own")
    one, two = pair()
    with one, two:
        one.sendall(b"x")
        assert two.recv(1) == b"x"


def socketpair() -> None:
    one, two = socket.socketpair()
    with one, two, selectors.DefaultSelector() as selector:
        selector.register(two, selectors.EVENT_READ)
        one.sendall(b"x")
        assert selector.select(1)


def make_and_copy() -> None:
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        try:
            sock = socket.socket(family)
        except OSError:
            continue
        with sock, sock.dup() as copy, socket.fromfd(sock.fileno(), family, socket.SOCK_STREAM) as again:
            assert isinstance(copy, socket.socket)
            assert isinstance(again, socket.SocketType)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def classes() -> None:
    assert issubclass(ssl.SSLSocket, socket.socket)
    with socket.socket() as sock:
        assert type(sock) is socket.socket
    assert socket.SocketType.__name__ == "socket"


def database() -> None:
    connection = sqlite3.connect(":memory:")
    assert connection.execute("select 1").fetchone() == (1,)
    connection.close()


def own_socket_file() -> None:
    path = f"\0test-{os.getpid()}-{threading.get_ident()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            accepted, _ = server.accept()
            with accepted:
                client.sendall(b"x")
                assert accepted.recv(1) == b"x"


def system_log() -> None:
    try:
        handler = logging.handlers.SysLogHandler("/dev/log")
    except OSError:  # no such log here; the guard let the call through
        return
    handler.close()


SMALL: Final[dict[str, Callable[[], object]]] = {
    "event loop": loop,
    "socketpair": socketpair,
    "socketpair in pure Python": fallback_socketpair,
    "sockets of each family": make_and_copy,
    "classes": classes,
    "sqlite": database,
    "unix socket of its own": own_socket_file,
    "system log": system_log,
    "metadata": lambda: importlib.metadata.version("pytest"),
    "getfqdn of localhost": lambda: socket.getfqdn("localhost"),
    "gethostname": socket.gethostname,
    "numeric lookups": lambda: socket.getaddrinfo("198.51.100.1", "http"),
    "passive lookup": lambda: socket.getaddrinfo(None, 0, flags=socket.AI_PASSIVE),
    "services": lambda: (socket.getservbyname("http"), socket.getprotobyname("tcp")),
    "ssl contexts": ssl.create_default_context,
}


@pytest.mark.parametrize("size", ["small", "medium"])
@pytest.mark.parametrize("work", [pytest.param(work, id=name) for name, work in SMALL.items()])
def test_rule_9_works_in_a_small_guard(size: str, work: Callable[[], object]) -> None:
    with network_guard(size, "strict") as guard:
        work()
    assert guard.violations == []


class Quiet(http.server.BaseHTTPRequestHandler):
    """Answers in one word."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", ""])
@pytest.mark.parametrize("server_class", [http.server.HTTPServer, http.server.ThreadingHTTPServer])
def test_rule_9_http_servers_work_in_a_medium_guard(host: str, server_class: type[http.server.HTTPServer]) -> None:
    with network_guard("medium", "strict") as guard, server_class((host, 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{host or '127.0.0.1'}:{server.server_port}/", timeout=5) as answer:
            assert answer.read() == b"hello"
        server.shutdown()
        thread.join()
    assert guard.violations == []


def test_rule_9_a_redirect_from_a_local_server_to_a_foreign_one_does_not_get_through() -> None:
    class Redirecting(Quiet):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", "http://foreign.example/")
            self.end_headers()

    from pytest_test_categories import NetworkAccessViolationError

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with (
        http.server.HTTPServer(("127.0.0.1", 0), Redirecting) as server,
        pytest.raises(NetworkAccessViolationError) as caught,
        network_guard("medium", "strict"),
    ):
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        try:
            opener.open(f"http://127.0.0.1:{server.server_port}/", timeout=5)
        finally:
            thread.join()
    assert caught.value.violation.target.startswith("foreign.example")


def test_rule_9_other_local_servers_work_in_a_medium_guard(tmp_path: Path) -> None:
    with network_guard("medium", "strict") as guard:
        with xmlrpc.server.SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False) as server:
            server.register_function(lambda number: -number, "negative")
            thread = threading.Thread(target=server.handle_request)
            thread.start()
            with xmlrpc.client.ServerProxy(f"http://127.0.0.1:{server.server_address[1]}") as proxy:
                assert proxy.negative(-1) == 1
            thread.join()
        path = str(tmp_path / "unix.sock")
        with (
            socketserver.UnixStreamServer(path, socketserver.BaseRequestHandler),
            socket.socket(socket.AF_UNIX) as client,
        ):
            client.connect(path)
    assert guard.violations == []


def test_rule_9_asyncio_servers_and_datagrams_work_in_a_medium_guard() -> None:
    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.transport.sendto(data, addr)

    async def main() -> bytes:
        running = asyncio.get_running_loop()
        server, _ = await running.create_datagram_endpoint(Echo, ("127.0.0.1", 0))
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            await running.sock_sendto(sock, b"x", server.get_extra_info("sockname"))
            data, _ = await asyncio.wait_for(running.sock_recvfrom(sock, 9), 5)
        server.close()
        return data

    with network_guard("medium", "strict") as guard:
        assert asyncio.run(main()) == b"x"
    assert guard.violations == []


def test_rule_9_this_machines_own_name_in_a_medium_guard() -> None:
    with network_guard("medium", "strict") as guard:
        socket.getfqdn()
    assert guard.violations == []


@pytest.fixture
def unlisted(monkeypatch: pytest.MonkeyPatch) -> str:
    """A name of this machine that is in no hosts file, and that whoever keeps one has not found yet."""
    monkeypatch.setattr("_socket.gethostname", lambda: "ada-laptop")
    monkeypatch.setattr("socket.gethostname", lambda: "ada-laptop")
    monkeypatch.setattr("uuid._node", None)
    monkeypatch.setattr("platform._uname_cache", None)
    utils = pytest.importorskip("django.core.mail.utils")
    monkeypatch.delattr(utils.DNS_NAME, "_fqdn", raising=False)
    return "ada-laptop"


OWN_NAME: Final = {
    "getfqdn": socket.getfqdn,
    "getfqdn of it": lambda: socket.getfqdn(socket.gethostname()),
    "make_msgid": lambda: email.utils.make_msgid().rpartition("@")[2].rstrip(">"),
    "Django's name": lambda: str(importlib.import_module("django.core.mail.utils").DNS_NAME),
    "gethostbyaddr": lambda: socket.gethostbyaddr(socket.gethostname())[0],
    "gethostbyname_ex": lambda: socket.gethostbyname_ex(socket.gethostname())[0],
    "canonical name": lambda: socket.getaddrinfo(socket.gethostname(), None, flags=socket.AI_CANONNAME)[0][3],
    "platform": lambda: importlib.import_module("platform").node() and "ada-laptop",
    "uuid": lambda: importlib.import_module("uuid").getnode() and "ada-laptop",
    "smtplib": lambda: smtplib.SMTP().local_hostname and "ada-laptop",
    "gethostbyname": lambda: {"127.0.0.1": "ada-laptop"}[socket.gethostbyname(socket.gethostname())],
}


@pytest.mark.parametrize("size", ["small", "medium"])
@pytest.mark.parametrize("ask", [pytest.param(ask, id=name) for name, ask in OWN_NAME.items()])
def test_rule_7_this_machines_own_name_is_answered_here_where_no_hosts_file_has_it(
    unlisted: str, ask: Callable[[], str], size: str
) -> None:
    with network_guard(size, "strict") as guard:
        assert ask() == unlisted
    assert guard.violations == []


def test_rule_7_a_log_to_this_machine_by_its_own_name_is_for_medium_tests(unlisted: str) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as log, network_guard("medium", "strict") as guard:
        log.bind(("127.0.0.1", 0))
        log.settimeout(5)
        handler = logging.handlers.SysLogHandler(address=(unlisted, log.getsockname()[1]))
        handler.emit(logging.makeLogRecord({"msg": "hello"}))
        handler.close()
        assert log.recv(99).startswith(b"<12>hello")
    assert guard.violations == []


@pytest.mark.parametrize("host", ["::1", "::", "::ffff:127.0.0.1"])
def test_rule_9_ipv6_loopback_in_a_medium_guard(host: str) -> None:
    try:
        server = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    except (OSError, ValueError):
        pytest.skip("no IPv6 here")
    with server, network_guard("medium", "strict") as guard, socket.socket(socket.AF_INET6) as client:
        client.settimeout(5)
        client.connect((host, server.getsockname()[1]))
    assert guard.violations == []
