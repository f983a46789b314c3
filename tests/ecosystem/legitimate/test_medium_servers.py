"""Servers of the standard library and others, and clients on the same machine."""

import asyncio
import contextlib
import email.utils
import functools
import http.client
import http.server
import multiprocessing
import os
import smtplib
import socket
import socketserver
import threading
import urllib.request
import wsgiref.simple_server
import xmlrpc.client
import xmlrpc.server
from collections.abc import Iterator
from multiprocessing.managers import BaseManager
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.medium,
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


class Hello(http.server.BaseHTTPRequestHandler):
    """Says hello."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


@contextlib.contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)) as number:
        yield number


def fetch(url: str) -> bytes:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
        body: bytes = answer.read()
        return body


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "LOCALHOST", "0.0.0.0", "127.1", "0x7f000001"])
def test_a_server_on_every_address(host: str) -> None:
    with serving(http.server.ThreadingHTTPServer(("0.0.0.0", 0), Hello)) as number:
        with contextlib.closing(http.client.HTTPConnection(host, number, timeout=10)) as client:
            client.request("GET", "/")
            assert client.getresponse().read() == b"hello"


@pytest.mark.parametrize("host", ["::1", "::", "::ffff:127.0.0.1"])
def test_a_server_on_every_address_of_ipv6(host: str) -> None:
    if not socket.has_dualstack_ipv6():
        with pytest.raises(OSError, match=r".*"), socket.create_server(("::", 0), family=socket.AF_INET6, backlog=-1):
            raise OSError("bound, yet not to both")
        return
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server,
        socket.create_connection((host, server.getsockname()[1]), 10),
    ):
        pass


def test_bytes_as_host(port: int) -> None:
    for host in (b"localhost", b"127.0.0.1"):
        socket.create_connection((host, port), 10).close()


def test_connect_ex_and_ports_where_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with socket.socket() as client:
            assert client.connect_ex(unused.getsockname()) != 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(unused.getsockname(), 10)


def test_this_machines_own_name() -> None:
    assert socket.getfqdn()
    assert email.utils.make_msgid()


def test_this_machines_own_address() -> None:
    own = os.environ.get("OWN_ADDRESS")
    if own is None:
        pytest.skip("this machine has no address but those of loopback")
    with serving(http.server.ThreadingHTTPServer(("0.0.0.0", 0), Hello)) as number:
        assert fetch(f"http://{own}:{number}/") == b"hello"
    with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
        server.bind((own, 0))
        server.settimeout(10)
        client.sendto(b"hello", server.getsockname())
        assert server.recv(9) == b"hello"


def test_a_faked_look_up_leads_here(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: answer)
    with contextlib.closing(http.client.HTTPConnection("api.example.com", port, timeout=10)) as client:
        client.request("GET", "/")
        assert client.getresponse().read() == b"hello"


def test_clients_of_every_sort(port: int) -> None:
    url = f"http://localhost:{port}/"
    requests = pytest.importorskip("requests")
    httpx = pytest.importorskip("httpx")
    urllib3 = pytest.importorskip("urllib3")
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(url, timeout=10).content == b"hello"
    with httpx.Client(trust_env=False) as client:
        assert client.get(url).content == b"hello"
    with urllib3.PoolManager() as pool:
        assert pool.request("GET", url).data == b"hello"


async def test_async_clients_of_every_sort(port: int) -> None:
    url = f"http://localhost:{port}/"
    httpx = pytest.importorskip("httpx")
    aiohttp = pytest.importorskip("aiohttp")
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(url)).content == b"hello"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert await answer.read() == b"hello"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_anyio(backend: str, port: int) -> None:
    anyio = pytest.importorskip("anyio")
    pytest.importorskip(backend)

    async def main() -> None:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        async with listener, await anyio.connect_tcp("localhost", port):
            pass

    anyio.run(main, backend=backend)


async def test_a_server_of_aiohttp() -> None:
    web = pytest.importorskip("aiohttp.web")
    utils = pytest.importorskip("aiohttp.test_utils")

    async def hello(_request: Any) -> Any:
        return web.Response(text="hello")

    application = web.Application()
    application.router.add_get("/", hello)
    async with utils.TestClient(utils.TestServer(application)) as client:
        assert await (await client.get("/")).text() == "hello"


def test_other_servers() -> None:
    def application(_environ: object, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Length", "5")])
        return [b"hello"]

    class Quiet(wsgiref.simple_server.WSGIRequestHandler, Hello):
        pass

    wsgi = wsgiref.simple_server.make_server("127.0.0.1", 0, application, handler_class=Quiet)
    with serving(wsgi) as number:
        assert fetch(f"http://127.0.0.1:{number}/") == b"hello"
    calls = xmlrpc.server.SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False)
    calls.register_function(abs)
    with serving(calls) as number, xmlrpc.client.ServerProxy(f"http://127.0.0.1:{number}") as proxy:
        assert proxy.abs(-1) == 1


def test_a_server_of_werkzeug() -> None:
    serving_module = pytest.importorskip("werkzeug.serving")
    flask = pytest.importorskip("flask")
    application = flask.Flask(__name__)
    application.add_url_rule("/", view_func=lambda: "hello")
    server = serving_module.make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    assert fetch(f"http://127.0.0.1:{server.server_port}/") == b"hello"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_for_files(tmp_path: Path) -> None:
    (tmp_path / "thing").write_bytes(b"thing")

    class Files(Hello, http.server.SimpleHTTPRequestHandler):
        do_GET = http.server.SimpleHTTPRequestHandler.do_GET

    handler = functools.partial(Files, directory=str(tmp_path))
    with serving(http.server.HTTPServer(("localhost", 0), handler)) as number:
        assert fetch(f"http://localhost:{number}/thing") == b"thing"


def test_mail() -> None:
    class Post(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 post\r\n")
            while (line := self.rfile.readline()) and not line.lower().startswith(b"quit"):
                self.wfile.write(b"250 post\r\n")
            self.wfile.write(b"221 bye\r\n")

    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Post)) as number:
        with smtplib.SMTP("localhost", number, timeout=10) as client:
            assert client.noop()[0] == 250


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this platform has no unix sockets")
def test_unix_sockets(socket_path: Path) -> None:
    class Echo(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(self.rfile.readline())

    path = str(socket_path)
    server = socketserver.UnixStreamServer(path, Echo)
    with server, socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(b"hello\n")
        server.handle_request()
        assert client.recv(9) == b"hello\n"


async def test_servers_of_asyncio() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    for host in ("127.0.0.1", "localhost", "0.0.0.0", None):
        async with await asyncio.start_server(echo, host, 0) as server:
            taken = server.sockets[0]
            to = "::1" if taken.family == socket.AF_INET6 else "127.0.0.1"
            reader, writer = await asyncio.open_connection(to, taken.getsockname()[1])
            writer.write(b"hello\n")
            assert await reader.readline() == b"hello\n"
            writer.close()
            await writer.wait_closed()


async def test_datagrams_of_asyncio() -> None:
    answered = asyncio.get_running_loop().create_future()

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.transport.sendto(data, addr)

    class Client(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            answered.set_result(data)

    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(Server, ("127.0.0.1", 0))
    client, _ = await loop.create_datagram_endpoint(Client, remote_addr=server.get_extra_info("sockname"))
    client.sendto(b"hello")
    assert await asyncio.wait_for(answered, 10) == b"hello"
    client.close()
    server.close()


async def test_websockets_under_asyncio() -> None:
    server_module = pytest.importorskip("websockets.asyncio.server")
    client_module = pytest.importorskip("websockets.asyncio.client")

    async def echo(connection: Any) -> None:
        await connection.send(await connection.recv())

    async with server_module.serve(echo, "localhost", 0) as server:
        number = server.sockets[0].getsockname()[1]
        async with client_module.connect(f"ws://localhost:{number}", proxy=None) as client:
            await client.send("hello")
            assert await client.recv() == "hello"


def test_websockets_under_threads() -> None:
    server_module = pytest.importorskip("websockets.sync.server")
    client_module = pytest.importorskip("websockets.sync.client")

    with server_module.serve(lambda connection: connection.send(connection.recv()), "localhost", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        number = server.socket.getsockname()[1]
        with client_module.connect(f"ws://localhost:{number}", proxy=None) as client:
            client.send("hello")
            assert client.recv() == "hello"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_manager(method: str) -> None:
    with multiprocessing.get_context(method).Manager() as manager:
        shared = manager.dict(one=1)
        assert shared["one"] == 1


class Shelf(BaseManager):
    """A manager that listens at an IP address."""


Shelf.register("Things", list)


def test_manager_at_an_address() -> None:
    with Shelf(("127.0.0.1", 0), authkey=b"key", ctx=multiprocessing.get_context("spawn")) as manager:
        things = manager.Things([1])  # type: ignore[attr-defined]
        things.append(2)
        assert things.pop() == 2


def test_thread_pool(port: int) -> None:
    with ThreadPool(2) as pool:
        assert pool.map(fetch, [f"http://127.0.0.1:{port}/"] * 4) == [b"hello"] * 4
