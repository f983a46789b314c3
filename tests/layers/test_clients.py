"""Native clients, each the real library: stopped by name where a size forbids it, free where it permits it."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
import wrapt
from tests.layers import native_clients
from tests.layers.native_clients import CLIENTS, Client, address_of, load, missing

from pytest_test_categories import NetworkAccessViolationError, NetworkAccessWarning, network_guard
from pytest_test_categories._host import unix_sockets
from pytest_test_categories._watch.clients.rows import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services import PostgresServer

FOREIGN = "198.51.100.1"


class Server(NamedTuple):
    """A real server on loopback, and how many clients have reached it so far."""

    host: str
    port: int
    reached: Callable[[], int]


@contextlib.contextmanager
def counting(accept: Callable[[socket.socket], object], kind: int = socket.SOCK_STREAM) -> Iterator[Server]:
    """Run a socket of which ``accept`` takes what comes, and count it."""
    count = 0
    with socket.socket(type=kind) as listening:
        listening.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            listening.listen(64)
        listening.settimeout(0.1)
        over = threading.Event()

        def serve() -> None:
            nonlocal count
            while not over.is_set():
                with contextlib.suppress(OSError):
                    accept(listening)
                    count += 1

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            host, port = listening.getsockname()
            yield Server(host, port, lambda: count)
        finally:
            over.set()
            thread.join(5)


@pytest.fixture(scope="session")
def listener_server() -> Iterator[Server]:
    with counting(lambda listening: listening.accept()[0].close()) as server:
        yield server


@pytest.fixture(scope="session")
def datagrams_server() -> Iterator[Server]:
    with counting(lambda bound: bound.recvfrom(64), socket.SOCK_DGRAM) as server:
        yield server


@pytest.fixture(scope="session")
def web_server() -> Iterator[Server]:
    requests: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.send_header("Last-Modified", "Tue, 01 Sep 2020 10:00:00 GMT")
            self.send_header("ETag", '"x"')
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(b"hello")

        do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, *_args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield Server("127.0.0.1", server.server_address[1], lambda: len(requests))
        server.shutdown()
        thread.join(5)


@pytest.fixture(scope="session")
def grpc_server() -> Iterator[Server]:
    grpc: Any = pytest.importorskip("grpc")
    futures = importlib.import_module("concurrent.futures")
    calls: list[bytes] = []

    def echo(request: bytes, _context: object) -> bytes:
        calls.append(request)
        return request

    def service(_handler: object, details: Any) -> Any:
        if details.method == "/test/Stream":
            return grpc.unary_stream_rpc_method_handler(lambda request, context: iter([echo(request, context)] * 2))
        return grpc.unary_unary_rpc_method_handler(echo)

    handler = type("Handler", (grpc.GenericRpcHandler,), {"service": service})

    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield Server("127.0.0.1", port, lambda: len(calls))
    server.stop(None).wait()


@pytest.fixture(scope="session")
def zmq_server() -> Iterator[Server]:
    zmq = pytest.importorskip("zmq")
    count = 0
    with zmq.Context() as context, context.socket(zmq.ROUTER) as sock:
        port = sock.bind_to_random_port("tcp://127.0.0.1")
        over = threading.Event()

        def serve() -> None:
            nonlocal count
            while not over.is_set():
                if sock.poll(50):
                    request = sock.recv_multipart()
                    count += 1
                    sock.send_multipart(request)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Server("127.0.0.1", port, lambda: count)
        over.set()
        thread.join(5)


@pytest.fixture(scope="session")
def postgres_server(postgres: PostgresServer) -> Server:
    return Server(postgres.host, postgres.port, lambda: 0)


@pytest.fixture(params=[pytest.param(client, id=client.name) for client in CLIENTS])
def client(request: pytest.FixtureRequest) -> Client:
    found: Client = request.param
    if lacking := missing(found):
        pytest.skip(f"{lacking} is not installed here")
    return found


@pytest.fixture
def server(client: Client, request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(f"{client.server}_server")
    return found


# -- each client -------------------------------------------------------------------------------------------------------

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


def arrives(client: Client, server: Server) -> bool:
    """Let a client act; return whether it got its answer, or where nobody answers, whether it got there."""
    before = server.reached()
    answer = client.act(server.host, server.port)
    if client.server in {"listener", "datagrams"} or answer == "tried":
        deadline = time.monotonic() + 10
        while server.reached() == before and time.monotonic() < deadline:
            time.sleep(0.01)
        return server.reached() > before
    return bool(answer)


def settled(server: Server) -> int:
    """Return how many have reached a server, once it has counted those that were on their way."""
    count, since = server.reached(), time.monotonic()
    while time.monotonic() < since + 0.1:
        time.sleep(0.01)
        if server.reached() != count:
            count, since = server.reached(), time.monotonic()
    return count


def test_small_stops_it_at_loopback_and_medium_does_not(client: Client, server: Server) -> None:
    assert arrives(client, server)  # without a guard
    before = settled(server)
    with pytest.raises(NetworkAccessViolationError) as caught, network_guard("small") as guard:
        client.act(server.host, server.port)
    assert settled(server) == before
    assert [violation.target for violation in guard.violations] == [f"{server.host}:{server.port}"]
    assert caught.value.violation.reach == "machine"
    assert "test_clients.py" in caught.value.violation.called_from or "native_clients.py" in (
        caught.value.violation.location
    )
    with network_guard("medium") as guard:
        assert arrives(client, server)
    assert guard.violations == []
    assert arrives(client, server)  # nothing stays behind


def test_a_refusal_that_is_caught_fails_the_test_all_the_same(client: Client, server: Server) -> None:
    with pytest.raises(NetworkAccessViolationError, match="did not reach the test"), network_guard("small"):
        with contextlib.suppress(Exception):
            client.act(server.host, server.port)


def test_warn_mode_goes_on(client: Client, server: Server) -> None:
    with pytest.warns(Warning, match="Network access violation"), network_guard("small", "warn") as guard:
        assert arrives(client, server)
    assert {violation.target for violation in guard.violations} == {f"{server.host}:{server.port}"}


# -- what leaves the machine -------------------------------------------------------------------------------------------
# Foreign addresses are tried where there is no way out, whether or not the guard does its work.


def in_a_namespace(size: str) -> dict[str, Any]:
    """Run every client against a foreign address in a network namespace of its own, and return what it tells."""
    command = ["unshare", "-n", sys.executable, str(native_clients.__file__), *([size] if size else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.fixture(scope="module")
def unguarded() -> dict[str, Any]:
    """What leaves without a guard."""
    able = sys.platform == "linux" and hasattr(os, "geteuid") and os.geteuid() == 0
    tried = able and subprocess.run(
        ["unshare", "-n", "ip", "link", "add", "sink0", "type", "veth", "peer", "name", "sink1"],
        capture_output=True,
        check=False,
    )
    if not tried or tried.returncode:
        pytest.skip("no network namespace with a way out can be made here")
    return in_a_namespace("")


def test_without_a_guard_each_sends_packets(unguarded: dict[str, Any]) -> None:
    assert unguarded["sent"] == [client.name for client in CLIENTS if not missing(client)]


@pytest.mark.parametrize("size", ["small", "medium"])
def test_with_one_none_sends_a_packet(size: str, unguarded: dict[str, Any]) -> None:
    told = in_a_namespace(size)
    assert told["packets"] == []
    assert told["refused"] == {
        client.name: [f"{client.library} {host}:{port}"]
        for index, client in enumerate(CLIENTS)
        if not missing(client)
        for host, port in [address_of(index)]
    }
    assert set(told["refused"]) == set(unguarded["sent"])


# -- the wrappers ------------------------------------------------------------------------------------------------------


def held(row: Any, module: str) -> tuple[bool, object, int]:
    """Return what a row's attribute is now, and whether its type is one that can't be changed."""
    holder, name, _ = wrapt.resolve_path(sys.modules[module], row.name)
    return name in vars(holder), vars(holder).get(name), getattr(holder, "__flags__", 0) & 1 << 8


def test_every_row_is_wrapped_while_guarded_and_as_it_was_afterwards() -> None:
    for client in CLIENTS:
        missing(client)  # imports it
    for module in ("grpc._channel", "pycares"):
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    rows = [(row, module) for row in ROWS for module in (row.module, *row.also) if module in sys.modules]
    there = []
    for row, module in rows:
        with contextlib.suppress(AttributeError):
            there.append((row, module, held(row, module)))
    assert there
    with network_guard("small"):
        for row, module, _ in there:
            assert isinstance(held(row, module)[1], wrapt.FunctionWrapper), row
    assert [(row, module, held(row, module)) for row, module, _ in there] == there


def test_a_library_that_is_imported_under_the_guard_is_watched(tmp_path: Any) -> None:
    script = """
import sys
from pytest_test_categories import NetworkAccessViolationError, NetworkAccessWarning, network_guard
with network_guard("large"):
    assert not {"psycopg2", "zmq", "pytest_test_categories._watch.clients.databases"} & set(sys.modules)
    import psycopg2, zmq
    from psycopg2 import connect
    context = zmq.Context()
    for act in (lambda: connect("host=198.51.100.1"), lambda: context.socket(zmq.REQ).connect("tcp://198.51.100.1:9")):
        try:
            with network_guard("small"):
                act()
        except NetworkAccessViolationError as error:
            print(error.violation.target)
import wrapt
print(isinstance(vars(psycopg2.extensions.connection)["__init__"], wrapt.FunctionWrapper))
"""
    pytest.importorskip("psycopg2")
    pytest.importorskip("zmq")
    path = tmp_path / "script.py"
    path.write_text(script)
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == ["198.51.100.1:5432", "198.51.100.1:9", "False"], done.stderr


# -- what is particular ------------------------------------------------------------------------------------------------


def refused(size: str, act: Callable[[], object], **options: Any) -> list[tuple[str, str]]:
    """Return what a guard refuses."""
    with contextlib.suppress(NetworkAccessViolationError), network_guard(size, **options) as guard:
        act()
    return [(violation.kind, violation.target) for violation in guard.violations]


def refused_once(size: str, act: Callable[[], object]) -> list[tuple[str, str]]:
    """Return what a guard refuses, for something that doesn't try again: that would count twice, or sleep in between."""
    slept: list[float] = []
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.suppress(NetworkAccessViolationError),
        network_guard(size) as guard,
    ):
        for module in (time, asyncio):
            patch.setattr(module, "sleep", slept.append)
        act()
    assert [violation.count for violation in guard.violations] == [1] * len(guard.violations)
    assert slept == []
    return [(violation.kind, violation.target) for violation in guard.violations]


def test_psycopg_reads_several_hosts_sockets_and_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    psycopg2 = pytest.importorskip("psycopg2")

    def tried(dsn: str) -> list[str]:
        return [target for _kind, target in refused("small", lambda: psycopg2.connect(dsn))]

    assert tried("host=/nowhere port=5499") == ["unix:/nowhere/.s.PGSQL.5499"]
    assert tried("host=@abstract") == ["unix:@abstract/.s.PGSQL.5432"]
    assert tried("postgresql://db.example:6543/x") == ["db.example:6543"]
    assert tried("host=db.example hostaddr=198.51.100.7") == ["198.51.100.7:5432"]
    monkeypatch.setenv("PGHOST", "env.example")
    monkeypatch.setenv("PGPORT", "7777")
    assert tried("dbname=x") == ["env.example:7777"]
    services = tmp_path / "services"
    services.write_text("# comment\n[mine]\nhost=service.example\nport=8888\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    assert tried("service=mine") == ["service.example:8888"]
    monkeypatch.setenv("PGSERVICE", "mine")
    assert tried("port=9999") == ["service.example:9999"]


def test_one_foreign_host_of_several_is_enough(postgres_server: Server) -> None:
    psycopg2 = pytest.importorskip("psycopg2")
    dsn = f"host=127.0.0.1,198.51.100.8 port={postgres_server.port},5433 user=postgres dbname=postgres"
    with contextlib.closing(psycopg2.connect(dsn)):
        pass  # the first answers
    assert refused("medium", lambda: psycopg2.connect(dsn)) == [("connect", "198.51.100.8:5433")]


def test_an_allow_entry_lets_a_service_through_by_name_and_by_socket(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unix_sockets.our_family, "holds", lambda _path: False)  # as a service of the system's
    psycopg2 = pytest.importorskip("psycopg2")
    path = f"{postgres.socket_dir}/.s.PGSQL.{postgres.port}"
    dsn = f"host={postgres.socket_dir} port={postgres.port} user=postgres dbname=postgres"
    assert refused("small", lambda: psycopg2.connect(dsn)) == [("connect", f"unix:{path}")]
    assert refused("small", lambda: psycopg2.connect(dsn).close(), allow=[f"small: unix:{path}"]) == []
    assert refused("medium", lambda: psycopg2.connect(dsn).close()) == []
    by_name = f"host=localhost port={postgres.port} user=postgres dbname=postgres"
    entry = f"small: localhost:{postgres.port}"
    assert refused("small", lambda: psycopg2.connect(by_name)) == [("connect", f"localhost:{postgres.port}")]
    assert refused("small", lambda: psycopg2.connect(by_name).close(), allow=[entry]) == []


def test_psycopgs_own_python_is_watched_too(postgres_server: Server) -> None:
    try:
        pq = load("psycopg.pq.pq_ctypes")
    except ImportError:
        pytest.skip("no libpq for psycopg's own Python here")
    conninfo = f"host=127.0.0.1 port={postgres_server.port} user=postgres dbname=postgres".encode()
    connection = pq.PGconn.connect(conninfo)
    assert connection.status == 0
    connection.finish()
    target = f"127.0.0.1:{postgres_server.port}"
    assert refused("small", lambda: pq.PGconn.connect(conninfo)) == [("connect", target)]
    assert refused("small", lambda: pq.PGconn.connect_start(conninfo)) == [("connect", target)]


def test_a_pools_worker_threads_are_held_to_the_test(postgres_server: Server) -> None:
    pools = pytest.importorskip("psycopg_pool")
    dsn = f"host=127.0.0.1 port={postgres_server.port} user=postgres dbname=postgres"

    def act() -> None:
        with pools.ConnectionPool(dsn, min_size=1, open=False, reconnect_timeout=0.1) as pool:
            pool.wait(1)

    act()
    with pytest.raises((pools.PoolTimeout, NetworkAccessViolationError)), network_guard("small") as guard:
        act()
    assert {violation.target for violation in guard.violations} == {f"127.0.0.1:{postgres_server.port}"}
    with network_guard("medium"):
        act()


def test_an_asynchronous_pool_is_held_to_the_test(postgres_server: Server) -> None:
    pools = pytest.importorskip("psycopg_pool")
    dsn = f"host=127.0.0.1 port={postgres_server.port} user=postgres dbname=postgres"

    async def act() -> None:
        async with pools.AsyncConnectionPool(dsn, min_size=1, open=False, reconnect_timeout=0.1) as pool:
            await pool.wait(1)

    asyncio.run(act())
    with pytest.raises((pools.PoolTimeout, NetworkAccessViolationError)), network_guard("small") as guard:
        asyncio.run(act())
    assert {violation.target for violation in guard.violations} == {f"127.0.0.1:{postgres_server.port}"}


def test_a_channel_that_is_never_called_dials_nothing() -> None:
    grpc = pytest.importorskip("grpc")
    states: list[object] = []
    with network_guard("small") as guard, grpc.insecure_channel(f"{FOREIGN}:9") as channel:
        channel.unary_unary("/test/Echo")
        channel.subscribe(states.append)

        async def act() -> None:
            async with grpc.aio.insecure_channel(f"{FOREIGN}:9") as channel:
                channel.get_state()

        asyncio.run(act())
    assert guard.violations == []


@pytest.mark.parametrize(
    "target, expected",
    [
        ("db.example", ["db.example:443"]),
        ("dns:///db.example:50051", ["db.example:50051"]),
        ("dns://198.51.100.53/db.example:50051", ["198.51.100.53:53"]),
        ("ipv4:198.51.100.1:50051,198.51.100.2:50052", ["198.51.100.1:50051"]),
        ("ipv6:%5B2001:db8::1%5D:50051", ["[2001:db8::1]:50051"]),
        ("unix:/tmp/grpc.sock", ["unix:/tmp/grpc.sock"]),
        ("unix:///tmp/grpc.sock", ["unix:/tmp/grpc.sock"]),
        ("unix-abstract:name", ["unix:@name"]),
    ],
)
def test_targets_of_grpcs_naming_are_read(target: str, expected: list[str]) -> None:
    grpc = pytest.importorskip("grpc")
    with grpc.insecure_channel(target) as channel:
        assert [shown for _, shown in refused("small", lambda: channel.unary_unary("/a/b")(b"", timeout=1))] == expected


def test_servers_of_native_clients_bind_in_medium_only() -> None:
    grpc, zmq = pytest.importorskip("grpc"), pytest.importorskip("zmq")
    futures = importlib.import_module("concurrent.futures")

    def serve_grpc() -> None:
        server = grpc.server(futures.ThreadPoolExecutor(1))
        try:
            server.add_insecure_port("127.0.0.1:0")
        finally:
            server.stop(None)

    def serve_zmq() -> None:
        with zmq.Context() as context, context.socket(zmq.REP) as sock:
            sock.bind("tcp://127.0.0.1:*")

    for act in (serve_grpc, serve_zmq):
        act()
        assert refused("small", act) == [("bind", "127.0.0.1:0")]
        assert refused("medium", act) == []


def test_zmq_stays_inside_the_process_and_reaches_its_own_sockets(tmp_path: Any) -> None:
    zmq = pytest.importorskip("zmq")

    def talk(endpoint: str) -> None:
        with zmq.Context() as context, context.socket(zmq.REP) as server, context.socket(zmq.REQ) as client:
            server.bind(endpoint)
            client.connect(endpoint)
            client.send(b"hello")
            assert server.recv() == b"hello"

    for endpoint in ("inproc://here", f"ipc://{tmp_path}/own"):
        assert refused("small", lambda endpoint=endpoint: talk(endpoint)) == []  # type: ignore[misc]

    def connect() -> None:
        with zmq.Context() as context, context.socket(zmq.REQ) as sock:
            sock.setsockopt(zmq.LINGER, 0)
            sock.connect("ipc:///var/run/other.sock")

    connect()
    assert refused("small", connect) == [("connect", "unix:/var/run/other.sock")]


def test_uvloop_looks_names_up_and_serves_by_the_rules() -> None:
    pytest.importorskip("uvloop")

    def run(act: Callable[[Any], Any]) -> Callable[[], object]:
        async def main() -> None:
            await act(asyncio.get_running_loop())

        return lambda: native_clients.in_uvloop(main)

    async def serve(loop: Any) -> None:
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        server.close()
        await server.wait_closed()

    look_up = run(lambda loop: loop.getaddrinfo("db.example", 5432))
    reverse = run(lambda loop: loop.getnameinfo((FOREIGN, 9)))
    by_name = run(lambda loop: loop.create_connection(asyncio.Protocol, "db.example", 5432))
    assert refused("medium", look_up) == [("lookup", "db.example:5432")]
    assert refused("medium", reverse) == [("reverse-lookup", FOREIGN)]
    assert refused("medium", by_name) == [("connect", "db.example:5432")]
    assert refused("small", run(serve)) == [("bind", "127.0.0.1:0")]
    assert refused("medium", run(serve)) == []
    assert refused("small", run(lambda loop: loop.getaddrinfo("localhost", 80))) == []
    assert refused("small", run(lambda loop: loop.getaddrinfo("127.0.0.1", 80))) == []


def test_uvloop_reaches_unix_sockets_by_the_rules(tmp_path: Any) -> None:
    pytest.importorskip("uvloop")
    path = f"{tmp_path}/server"

    async def both() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(asyncio.Protocol, path)
        transport, _ = await loop.create_unix_connection(asyncio.Protocol, path)
        transport.close()
        server.close()
        await server.wait_closed()

    assert refused("small", lambda: native_clients.in_uvloop(both)) == []  # its own

    async def connect(where: str) -> None:
        transport, _ = await asyncio.get_running_loop().create_unix_connection(asyncio.Protocol, where)
        transport.close()

    other = "/var/run/other.sock"
    assert refused("small", lambda: native_clients.in_uvloop(lambda: connect(other))) == [("connect", f"unix:{other}")]
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{tmp_path}/served")
        server.listen()
        assert refused("medium", lambda: native_clients.in_uvloop(lambda: connect(f"{tmp_path}/served"))) == []


def test_a_local_name_that_resolves_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    psycopg2 = pytest.importorskip("psycopg2")
    monkeypatch.setattr(
        "_socket.getaddrinfo", lambda *_args: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (FOREIGN, 0))]
    )
    found = refused("medium", lambda: psycopg2.connect("host=localhost port=1 connect_timeout=2"))
    assert found == [("connect", "localhost:1")]


def test_clients_that_a_test_replaces_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    psycopg2 = pytest.importorskip("psycopg2")
    monkeypatch.setattr(psycopg2, "connect", lambda *_args, **_kwargs: "fake")
    with network_guard("small") as guard:
        assert psycopg2.connect("host=db.example") == "fake"
    assert guard.violations == []


def test_stores_of_memory_and_files_are_no_network(tmp_path: Any) -> None:
    pytest.importorskip("obstore")
    pytest.importorskip("pyarrow.fs")
    polars = pytest.importorskip("polars")
    with network_guard("small") as guard:
        store = load("obstore.store").MemoryStore()
        store.put("key", b"value")
        assert bytes(store.get("key").bytes()) == b"value"
        load("pyarrow.fs").LocalFileSystem().get_file_info(str(tmp_path))
        path = str(tmp_path / "file.parquet")
        polars.DataFrame({"a": [1]}).write_parquet(path)
        assert polars.scan_parquet(path).collect().shape == (1, 1)
    assert guard.violations == []


def test_stores_without_an_endpoint_lead_to_their_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    stores, polars = pytest.importorskip("obstore.store"), pytest.importorskip("polars")
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)

    def targets(act: Callable[[], object]) -> list[str]:
        return [target for _kind, target in refused("medium", act)]

    assert targets(lambda: stores.S3Store("bucket", region="eu-west-1").get("key")) == [
        "bucket.s3.eu-west-1.amazonaws.com:443"
    ]
    assert targets(lambda: stores.GCSStore("bucket", skip_signature=True).get("key")) == ["storage.googleapis.com:443"]
    assert targets(lambda: polars.scan_csv("s3://bucket/x.csv")) == ["bucket.s3.amazonaws.com:443"]
    assert targets(lambda: polars.scan_parquet("hf://datasets/a/b/x.parquet")) == ["huggingface.co:443"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{FOREIGN}:9000")
    assert targets(lambda: polars.scan_ndjson("s3://bucket/x.json")) == [f"{FOREIGN}:9000"]


def test_a_proxy_of_the_environment_is_judged_too(monkeypatch: pytest.MonkeyPatch, web_server: Server) -> None:
    pytest.importorskip("pycurl")
    monkeypatch.setenv("http_proxy", f"http://{FOREIGN}:3128")
    assert refused("medium", lambda: native_clients.pycurl_get("127.0.0.1", web_server.port)) == [
        ("connect", f"{FOREIGN}:3128")
    ]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert refused("medium", lambda: native_clients.pycurl_get("127.0.0.1", web_server.port)) == []


def test_a_subclass_of_psycopgs_connection_is_watched() -> None:
    extensions = pytest.importorskip("psycopg2.extensions")

    class Mine(extensions.connection):  # type: ignore[name-defined, misc]
        pass

    assert refused("medium", lambda: Mine(f"host={FOREIGN} connect_timeout=1")) == [("connect", f"{FOREIGN}:5432")]
    assert refused("medium", lambda: Mine(f"host={FOREIGN} connect_timeout=1", async_=True)) == [
        ("connect", f"{FOREIGN}:5432")
    ]


def test_a_client_of_arrow_flight_is_watched() -> None:
    flight = pytest.importorskip("pyarrow.flight")

    def tried(location: object, size: str = "small") -> list[str]:
        return [target for _kind, target in refused(size, lambda: flight.FlightClient(location).close())]

    assert tried(f"grpc://{FOREIGN}:8815", "medium") == [f"{FOREIGN}:8815"]
    assert tried(flight.Location.for_grpc_tls(FOREIGN, 8815), "medium") == [f"{FOREIGN}:8815"]
    assert tried((FOREIGN, 8815), "medium") == [f"{FOREIGN}:8815"]
    assert tried(flight.Location.for_grpc_unix("/nowhere/socket")) == ["unix:/nowhere/socket"]
    assert tried("grpc://127.0.0.1:9", "medium") == []


def test_what_a_handle_of_curl_is_told_of_proxies_and_addresses_is_read(web_server: Server) -> None:
    pycurl = pytest.importorskip("pycurl")
    here, there = f"http://127.0.0.1:{web_server.port}/", f"http://{FOREIGN}:80/"

    def tried(url: str, *options: tuple[int, object]) -> list[str]:
        def act() -> None:
            handle = pycurl.Curl()
            handle.setopt(pycurl.URL, url)
            handle.setopt(pycurl.TIMEOUT, 3)
            for option, value in options:
                handle.setopt(option, value)
            with contextlib.suppress(pycurl.error):
                handle.perform_rb()

        return [target for _kind, target in refused("medium", act)]

    assert tried(here, (pycurl.PROXY, f"{FOREIGN}:3128")) == [f"{FOREIGN}:3128"]
    assert tried(here, (pycurl.PRE_PROXY, f"socks5://{FOREIGN}")) == [f"{FOREIGN}:1080"]
    assert tried(here, (pycurl.CONNECT_TO, [f"::{FOREIGN}:"])) == [f"{FOREIGN}:{web_server.port}"]
    assert tried(here, (pycurl.CONNECT_TO, [f"other:80:{FOREIGN}:80"])) == []
    assert tried("http://localhost:1/", (pycurl.RESOLVE, [f"+localhost:1:{FOREIGN},[::1]"])) == [f"{FOREIGN}:1"]
    # What a foreign name is sent to here stays here.
    assert tried(there, (pycurl.CONNECT_TO, [f"{FOREIGN}:80:127.0.0.1:{web_server.port}"])) == []
    assert tried("http://way-out.example:1/", (pycurl.RESOLVE, ["way-out.example:1:127.0.0.1"])) == []
    assert tried(there, (pycurl.UNIX_SOCKET_PATH, "/nowhere/socket")) == []


def test_curl_forgets_what_a_handle_is_told_no_more(web_server: Server) -> None:
    pycurl = pytest.importorskip("pycurl")
    handle = pycurl.Curl()
    with network_guard("medium") as guard:
        for forget in (lambda: handle.unsetopt(pycurl.PROXY), handle.reset):
            handle.setopt(pycurl.PROXY, f"{FOREIGN}:3128")
            forget()
            handle.setopt(pycurl.URL, f"http://127.0.0.1:{web_server.port}/")
            handle.perform_rb()
    assert guard.violations == []


@pytest.fixture(params=["pycurl", "curl_cffi"])
def curl(request: pytest.FixtureRequest) -> Any:
    """One of libcurl's bindings, as its options, what makes a handle, and an error."""
    module = pytest.importorskip(request.param)
    if request.param == "pycurl":
        return SimpleNamespace(opt=module, Curl=module.Curl, error=module.error, name=request.param)
    return SimpleNamespace(opt=module.CurlOpt, Curl=module.Curl, error=module.CurlError, name=request.param)


def _copies(handle: Any, count: int) -> Any:
    for _ in range(count):
        handle = handle.duphandle()
    return handle


@pytest.mark.parametrize("copies", [0, 1, 3])
def test_what_a_handle_is_told_goes_for_its_copies_and_for_each_by_itself(
    curl: Any, web_server: Server, copies: int
) -> None:
    opt, here = curl.opt, f"http://127.0.0.1:{web_server.port}/"

    def tried(url: str, *options: tuple[int, object], then: tuple[int, object] | str = "") -> list[str]:
        def act() -> None:
            first = curl.Curl()
            for option, value in ((opt.URL, url), (opt.TIMEOUT, 3), (opt.NOBODY, 1), *options):
                first.setopt(option, value)
            handle = _copies(first, copies)
            if then == "reset":
                handle.reset()
                handle.setopt(opt.URL, url)
                handle.setopt(opt.NOBODY, 1)
            elif then:
                handle.setopt(*then)
            with contextlib.suppress(curl.error):
                handle.perform()

        return [target for _kind, target in refused("medium", act)]

    foreign = (opt.PROXY, f"http://{FOREIGN}:3128")
    assert tried(here, foreign) == [f"{FOREIGN}:3128"]
    assert tried(here, foreign, then="reset") == []
    assert tried(here, foreign, then=(opt.PROXY, f"http://127.0.0.1:{web_server.port}")) == []
    assert tried(here, foreign, then=(opt.PROXY, "")) == []
    assert tried(here, foreign, (opt.NOPROXY, "127.0.0.1")) == []
    assert tried(here, (opt.PROXY, FOREIGN), (opt.PROXYPORT, 3129)) == [f"{FOREIGN}:3129"]
    assert tried(here, (opt.PRE_PROXY, f"socks5://{FOREIGN}")) == [f"{FOREIGN}:1080"]
    assert tried(here, (opt.DOH_URL, f"https://{FOREIGN}/dns-query")) == [f"{FOREIGN}:443"]
    assert tried(f"http://{FOREIGN}/", (opt.PORT, 81)) == [f"{FOREIGN}:81"]
    assert tried("http://localhost:1/", (opt.RESOLVE, [f"+LOCALHOST:1:{FOREIGN},[::1]"])) == [f"{FOREIGN}:1"]
    assert tried("http://way-out.example:1/", (opt.RESOLVE, ["way-out.example:1:127.0.0.1"])) == []
    assert tried(f"http://{FOREIGN}/", (opt.UNIX_SOCKET_PATH, "/nowhere/socket")) == []
    connects_here, connects_there = f"{FOREIGN}:80:127.0.0.1:{web_server.port}", f"::{FOREIGN}:"
    if curl.name == "curl_cffi":  # 0.17 makes no C list of this one by itself
        with pytest.raises(TypeError):
            curl.Curl().setopt(opt.CONNECT_TO, [connects_here])
        native = sys.modules["curl_cffi.curl"]
        connects_here, connects_there = (
            native.lib.curl_slist_append(native.ffi.NULL, entry.encode()) for entry in (connects_here, connects_there)
        )
        assert tried(f"http://{FOREIGN}/", (opt.CONNECT_TO, connects_here)) == []
        assert tried(here, (opt.CONNECT_TO, connects_there)) == [f"{FOREIGN}:{web_server.port}"]
        return
    assert tried(f"http://{FOREIGN}/", (opt.CONNECT_TO, [connects_here])) == []
    assert tried(here, (opt.CONNECT_TO, [connects_there])) == [f"{FOREIGN}:{web_server.port}"]


def test_an_option_that_a_handle_does_not_take_is_not_gone_by(curl: Any, web_server: Server) -> None:
    handle = curl.Curl()
    with network_guard("medium") as guard:
        handle.setopt(curl.opt.URL, f"http://127.0.0.1:{web_server.port}/")
        handle.setopt(curl.opt.NOBODY, 1)
        with pytest.raises(TypeError):
            handle.setopt(curl.opt.CONNECT_TO, [7] if curl.name == "pycurl" else [f"::{FOREIGN}:"])
        handle.perform()
    assert guard.violations == []


def test_curl_reads_an_option_that_is_set_as_text(web_server: Server) -> None:
    pycurl = pytest.importorskip("pycurl")
    handle = pycurl.Curl()

    def act() -> None:
        handle.setopt_string(pycurl.URL, f"http://127.0.0.1:{web_server.port}/")
        handle.setopt_string(pycurl.PROXY, f"http://{FOREIGN}:3128")
        handle.perform()

    assert refused("medium", act) == [("connect", f"{FOREIGN}:3128")]


def test_copies_of_curls_handles_are_read_when_they_are_added_to_many(web_server: Server) -> None:
    pycurl = pytest.importorskip("pycurl")
    first, multi = pycurl.Curl(), pycurl.CurlMulti()
    first.setopt(pycurl.URL, f"http://127.0.0.1:{web_server.port}/")

    def act() -> None:
        first.setopt(pycurl.PROXY, f"http://{FOREIGN}:3128")
        multi.add_handle(first.duphandle())

    assert refused("medium", act) == [("connect", f"{FOREIGN}:3128")]


@pytest.mark.parametrize("option", ["URL", "PROXY", "CONNECT_TO"])
@pytest.mark.parametrize("drive", ["perform", "socket_action"])
def test_what_a_handle_is_told_after_it_was_added_to_many_is_read_before_they_perform(
    web_server: Server, option: str, drive: str
) -> None:
    pycurl = pytest.importorskip("pycurl")
    here = f"http://127.0.0.1:{web_server.port}/"
    told = {"URL": f"http://{FOREIGN}:3128/", "PROXY": f"http://{FOREIGN}:3128", "CONNECT_TO": [f"::{FOREIGN}:3128"]}
    first, multi = pycurl.Curl(), pycurl.CurlMulti()
    first.setopt(pycurl.TIMEOUT, 3)
    first.setopt(pycurl.URL, here)

    def performs() -> None:
        if drive == "perform":
            multi.perform()
        else:
            multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def act() -> None:
        multi.add_handle(first)
        first.setopt(getattr(pycurl, option), told[option])
        performs()

    assert refused("medium", act) == [("connect", f"{FOREIGN}:3128")]
    multi.remove_handle(first)
    with network_guard("medium") as guard:
        first.reset()
        multi.add_handle(first)
        first.setopt(pycurl.URL, here)
        first.setopt(pycurl.NOBODY, 1)
        performs()
        multi.remove_handle(first)
    assert guard.violations == []


@pytest.mark.parametrize("how", ["proxy", "proxies", "session", "async", "async session"])
def test_the_proxy_that_curl_cffis_requests_are_given_is_judged(how: str, web_server: Server) -> None:
    pytest.importorskip("curl_cffi")
    requests, url = importlib.import_module("curl_cffi.requests"), f"http://127.0.0.1:{web_server.port}/"
    proxies = {"http": f"http://{FOREIGN}:3128"}

    async def asked(**options: Any) -> None:
        async with requests.AsyncSession(**options) as session:
            await session.get(url, timeout=3, **({} if options else {"proxies": proxies}))

    acts = {
        "proxy": lambda: requests.get(url, proxy=proxies["http"], timeout=3),
        "proxies": lambda: requests.get(url, proxies=proxies, timeout=3),
        "session": lambda: requests.Session(proxies=proxies).get(url, timeout=3),
        "async": lambda: asyncio.run(asked()),
        "async session": lambda: asyncio.run(asked(proxies=proxies)),
    }
    assert ("connect", f"{FOREIGN}:3128") in refused("medium", acts[how])
    with network_guard("medium") as guard:
        assert requests.get(url, timeout=3).status_code == 200
    assert guard.violations == []


def test_files_and_missing_urls_of_curl_are_no_network(tmp_path: Any) -> None:
    pycurl = pytest.importorskip("pycurl")
    (tmp_path / "file").write_bytes(b"text")
    handle = pycurl.Curl()
    with network_guard("small") as guard:
        with pytest.raises(pycurl.error, match="No URL"):
            handle.perform()
        handle.setopt(pycurl.URL, f"file://{tmp_path}/file")
        assert handle.perform_rb() == b"text"
    handle.close()
    assert guard.violations == []


def test_cares_asks_for_names_by_the_rules() -> None:
    pycares = pytest.importorskip("pycares")
    channel = pycares.Channel(servers=[FOREIGN], timeout=0.2, tries=1)

    def ask(name: str) -> object:
        return channel.getaddrinfo(name, 80, callback=lambda *_args: None)

    try:
        assert refused("medium", lambda: ask("db.example")) == [("lookup", "db.example:80")]
        query = load("pycares").QUERY_TYPE_MX
        assert refused("medium", lambda: channel.query("db.example", query, callback=lambda *_args: None)) == [
            ("lookup", "db.example")
        ]
        assert refused("small", lambda: ask("localhost")) == []
    finally:
        channel.close()


@pytest.fixture
def resolver() -> Any:
    made = pytest.importorskip("dns.resolver").Resolver(configure=False)
    made.nameservers, made.lifetime = ["198.51.100.53"], 5
    return made


@pytest.mark.parametrize("size", ["small", "medium"])
@pytest.mark.parametrize("name", ["api.example.com", "_dmarc.example.com."], ids=["relative", "absolute"])
def test_rule_7_dnspython_is_refused_once_and_by_name(resolver: Any, size: str, name: str) -> None:
    assert refused_once(size, lambda: resolver.resolve(name, "MX")) == [("lookup", name.rstrip("."))]


def test_rule_7_dnspythons_asynchronous_resolver_is_refused_when_it_is_awaited() -> None:
    resolver = pytest.importorskip("dns.asyncresolver").Resolver(configure=False)
    resolver.nameservers = ["198.51.100.53"]

    async def main() -> None:
        step = resolver.resolve("api.example.com")
        await asyncio.sleep(0)
        await step

    assert refused("small", lambda: asyncio.run(main())) == [("lookup", "api.example.com")]


DNSPYTHON: Final = {
    "resolve": lambda dns, resolver: resolver.resolve("api.example.com", "SRV"),
    "query": lambda dns, resolver: resolver.query("api.example.com"),
    "resolve_name": lambda dns, resolver: resolver.resolve_name("api.example.com"),
    "canonical_name": lambda dns, resolver: resolver.canonical_name("api.example.com"),
    "zone_for_name": lambda dns, resolver: dns.resolver.zone_for_name("api.example.com", resolver=resolver),
    "resolve_at": lambda dns, resolver: dns.resolver.resolve_at("198.51.100.53", "api.example.com"),
    "resolve_at a name": lambda dns, resolver: dns.resolver.resolve_at("api.example.com", "www.example.com"),
    "the default one": lambda dns, resolver: dns.resolver.resolve("api.example.com"),
    "await resolve_name": lambda dns, resolver: asyncio.run(_twin(dns).resolve_name("api.example.com")),
    "await canonical_name": lambda dns, resolver: asyncio.run(_twin(dns).canonical_name("api.example.com")),
    "await zone_for_name": lambda dns, resolver: asyncio.run(
        dns.asyncresolver.zone_for_name("api.example.com", resolver=_twin(dns))
    ),
    "await resolve_at": lambda dns, resolver: asyncio.run(
        dns.asyncresolver.resolve_at("198.51.100.53", "api.example.com")
    ),
}


def _twin(dns: Any) -> Any:
    made = dns.asyncresolver.Resolver(configure=False)
    made.nameservers = ["198.51.100.53"]
    return made


@pytest.fixture
def dns(resolver: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """dnspython, with a resolver that asks a foreign server as the one of the system."""
    for name in ("dns.asyncresolver", "dns.asyncquery"):
        importlib.import_module(name)
    found = importlib.import_module("dns")
    monkeypatch.setattr(found.resolver, "default_resolver", resolver)
    return found


@pytest.mark.filterwarnings("ignore:please use dns.resolver:DeprecationWarning")
@pytest.mark.parametrize("size", ["small", "medium"])
@pytest.mark.parametrize("way", DNSPYTHON)
def test_rule_7_dnspython_is_refused_at_once_by_whatever_is_called(
    dns: Any, resolver: Any, way: str, size: str
) -> None:
    assert refused_once(size, lambda: DNSPYTHON[way](dns, resolver)) == [("lookup", "api.example.com")]


@pytest.mark.parametrize("size", ["small", "medium"])
def test_rule_7_dnspython_asks_for_an_addresss_name_and_is_refused_by_that(resolver: Any, size: str) -> None:
    assert refused(size, lambda: resolver.resolve_address("198.51.100.7")) == [("lookup", "7.100.51.198.in-addr.arpa")]


@pytest.mark.parametrize("size", ["small", "medium"])
def test_who_calls_dnspythons_queries_is_judged_by_the_server(dns: Any, size: str) -> None:
    asked = importlib.import_module("dns.message").make_query("api.example.com", "A")
    for kind, port, ask in (
        ("send", 53, lambda: dns.query.udp(asked, "198.51.100.53", timeout=2)),
        ("send", 53, lambda: dns.query.udp_with_fallback(asked, "198.51.100.53", timeout=2)),
        ("connect", 53, lambda: dns.query.tcp(asked, "198.51.100.53", timeout=2)),
        ("connect", 853, lambda: dns.query.tls(asked, "198.51.100.53", timeout=2)),
        ("connect", 53, lambda: asyncio.run(dns.asyncquery.tcp(asked, "198.51.100.53", timeout=2))),
    ):
        assert refused(size, ask) == [(kind, f"198.51.100.53:{port}")]


@pytest.mark.parametrize(
    ("name", "server", "port"),
    [
        ("api.example.com", "127.0.0.1", 5353),
        ("localhost", "127.0.0.1", 5353),
        ("localhost", "198.51.100.53", 53),
    ],
    ids=["own server", "own server, own name", "own name"],
)
def test_rule_7_dnspython_is_refused_at_once_where_its_server_says_more_than_the_name(
    resolver: Any, name: str, server: str, port: int
) -> None:
    resolver.nameservers, resolver.port = [server], port
    assert refused_once("small", lambda: resolver.resolve(name)) == [("send", f"{server}:{port}")]


def test_rule_7_dnspython_in_the_place_of_the_systems_resolver_is_a_step_of_who_asks(dns: Any, resolver: Any) -> None:
    def act() -> None:
        with contextlib.suppress(OSError):  # dnspython makes one of whatever went wrong
            socket.create_connection(("api.example.com", 80), 1)

    dns.resolver.override_system_resolver(resolver)
    try:
        found = refused_once("medium", act)
    finally:
        dns.resolver.restore_system_resolver()
    assert found == [("lookup", "api.example.com:80")]


@pytest.mark.parametrize("size", ["small", "medium"])
def test_rule_7_clients_that_stand_on_dnspython_are_refused_at_once_and_by_name(
    dns: Any, resolver: Any, size: str
) -> None:
    pymongo, email_validator = pytest.importorskip("pymongo"), pytest.importorskip("email_validator")

    def by_mongo() -> None:
        with contextlib.suppress(pymongo.errors.ConfigurationError):
            pymongo.MongoClient("mongodb+srv://db.example.com/")

    def by_mail() -> None:
        with contextlib.suppress(email_validator.EmailUndeliverableError):
            email_validator.validate_email("ada@mail.some-company.com")

    assert refused_once(size, by_mongo) == [("lookup", "_mongodb._tcp.db.example.com")]
    assert refused_once(size, by_mail) == [("lookup", "mail.some-company.com")]


GREENDNS: Final = """
import contextlib, socket
import eventlet, pytest
from eventlet.green import socket as green
from eventlet.support import greendns
from pytest_test_categories import NetworkAccessViolationError, network_guard

for act in (
    lambda: greendns.getaddrinfo("api.example.com", 80),
    lambda: greendns.gethostbyname("api.example.com"),
    lambda: greendns.resolve_cname("api.example.com"),
    lambda: green.getaddrinfo("api.example.com", 80),
    lambda: green.create_connection(("api.example.com", 80), 1),
):
    for size in ("small", "medium"):
        with contextlib.suppress(NetworkAccessViolationError), network_guard(size) as guard:
            act()
        assert [(one.kind, one.target, one.count) for one in guard.violations] == [("lookup", "api.example.com", 1)]
        with network_guard(size) as guard:
            greendns.getaddrinfo("localhost", 80), greendns.getaddrinfo("127.0.0.1", 80)
"""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("patched", ["", "eventlet.monkey_patch()"], ids=["plain", "patched"])
def test_rule_7_eventlets_own_dnspython_is_refused_at_once_and_by_name(patched: str) -> None:
    if importlib.util.find_spec("eventlet") is None:  # its import replaces dnspython's modules
        pytest.skip("eventlet is not installed here")
    source = f"import eventlet\n{patched}\n{GREENDNS}"
    done = subprocess.run([sys.executable, "-Wignore", "-c", source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_dnspython_sends_after_a_warning_is_the_same_attempt(resolver: Any) -> None:
    resolver.lifetime = 0.2
    resolver.nameservers = ["127.0.0.1"]
    with network_guard("small", "warn") as guard, pytest.warns(NetworkAccessWarning), contextlib.suppress(Exception):
        resolver.resolve("api.example.com")
    assert [(one.target, one.count) for one in guard.violations] == [("api.example.com", 1)]


def test_a_name_server_of_the_tests_own_may_answer_for_any_name(resolver: Any) -> None:
    message, rrset = pytest.importorskip("dns.message"), pytest.importorskip("dns.rrset")

    def serve() -> None:
        wire, address = serving.recvfrom(512)
        answer = message.make_response(message.from_wire(wire))
        answer.answer.append(rrset.from_text("api.example.com.", 60, "IN", "A", "192.0.2.1"))
        serving.sendto(answer.to_wire(), address)

    with socket.socket(type=socket.SOCK_DGRAM) as serving, network_guard("medium") as guard:
        serving.bind(("127.0.0.1", 0))
        serving.settimeout(5)
        resolver.nameservers, resolver.port = ["127.0.0.1"], serving.getsockname()[1]
        thread = threading.Thread(target=serve)
        thread.start()
        assert [str(record) for record in resolver.resolve("api.example.com")] == ["192.0.2.1"]
        thread.join()
    assert guard.violations == []


NAME_SERVER: Final = """
import asyncio, contextlib, socket, sys, threading
import dns.asyncresolver, dns.message, dns.resolver, dns.rrset
from pytest_test_categories import NetworkAccessViolationError, network_guard

# At the system's port: it is judged as what asks others.
serving = socket.socket(type=socket.SOCK_DGRAM)
serving.bind(("127.0.0.1", 53))

def serve():
    while True:
        wire, address = serving.recvfrom(512)
        asked = dns.message.from_wire(wire)
        answer = dns.message.make_response(asked)
        answer.answer.append(dns.rrset.from_text(asked.question[0].name, 60, "IN", "A", "198.51.100.7"))
        serving.sendto(answer.to_wire(), address)

threading.Thread(target=serve, daemon=True).start()
resolver, twin = dns.resolver.Resolver(configure=False), dns.asyncresolver.Resolver(configure=False)
resolver.nameservers = twin.nameservers = ["127.0.0.1"]

def tried(act, size, **options):
    with contextlib.suppress(NetworkAccessViolationError), network_guard(size, **options) as guard:
        act()
    return [(one.kind, one.target) for one in guard.violations]

def connects():
    resolver.resolve("api.example.com")
    with socket.socket() as client, contextlib.suppress(OSError):
        client.settimeout(0.2)
        client.connect(("198.51.100.7", 443))

for size in ("small", "medium"):
    for ask in (
        lambda: resolver.resolve("api.example.com"),
        lambda: asyncio.run(twin.resolve("api.example.com")),
        connects,
    ):
        assert tried(ask, size, allow=["api.example.com"]) == [], size
    assert tried(lambda: resolver.resolve("www.example.com"), size, allow=["api.example.com"]) == [
        ("lookup", "www.example.com")
    ]
    assert tried(lambda: socket.socket().connect(("198.51.100.8", 443)), size, allow=["api.example.com"]) == [
        ("connect", "198.51.100.8:443")
    ]
    assert tried(lambda: dns.query.udp(dns.message.make_query("a.example", "A"), "198.51.100.53"), size) == [
        ("send", "198.51.100.53:53")
    ]
"""


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux'")
def test_a_name_that_is_allowed_may_be_asked_for_by_dnspython_and_reached() -> None:
    pytest.importorskip("dns.resolver")
    network = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if subprocess.run([*network, "true"], capture_output=True).returncode:
        pytest.skip("network namespaces can't be made here")
    done = subprocess.run([*network, sys.executable, "-Wignore", "-c", NAME_SERVER], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_rule_9_dnspython_works_where_what_sends_is_faked(resolver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    message, rrset = pytest.importorskip("dns.message"), pytest.importorskip("dns.rrset")

    def udp(asked: Any, *_args: Any, **_kwargs: Any) -> Any:
        answer = message.make_response(asked)
        answer.answer.append(rrset.from_text("api.example.com.", 60, "IN", "A", "192.0.2.1"))
        return message.from_wire(answer.to_wire())

    monkeypatch.setattr("dns.query.udp", udp)
    with network_guard("small") as guard:
        assert [str(record) for record in resolver.resolve("api.example.com")] == ["192.0.2.1"]
    assert guard.violations == []


def test_a_call_that_cannot_be_read_is_refused_where_it_could_lead_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    pycurl = pytest.importorskip("pycurl")
    from pytest_test_categories._watch.clients import web

    def fails(_url: str) -> None:
        raise LookupError

    monkeypatch.setattr(web, "_of_curl", fails)
    handle = pycurl.Curl()
    handle.setopt(pycurl.URL, f"file://{__file__}")
    handle.setopt(pycurl.WRITEFUNCTION, lambda _data: None)
    for size in ("small", "medium"):
        assert refused(size, lambda: handle.perform()) == [("connect", "an address that could not be read")]
    assert refused("large", lambda: handle.perform()) == []
    handle.close()


def test_bad_arguments_raise_what_they_raise_without_the_guard() -> None:
    psycopg2, zmq = pytest.importorskip("psycopg2"), pytest.importorskip("zmq")
    with zmq.Context() as context, context.socket(zmq.REQ) as sock:
        acts: tuple[Callable[[], object], ...] = (
            lambda: psycopg2.connect("nonsense"),
            lambda: psycopg2._connect(5),
            lambda: sock.connect("nonsense"),
            lambda: sock.connect(),
            lambda: load("pycurl").CurlMulti().add_handle(5),
        )
        for act in acts:
            with pytest.raises(Exception) as without:
                act()
            with pytest.raises(type(without.value)) as under, network_guard("small"):
                act()
            assert str(under.value) == str(without.value)


def test_a_run_reports_it_like_any_other(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], postgres_server: Server
) -> None:
    pytest.importorskip("psycopg2")
    pytest.importorskip("uvloop")
    pytester.makepyfile(
        test_one=f"""
        import asyncio
        import psycopg2
        import pytest
        import uvloop

        def connect():
            psycopg2.connect("host=127.0.0.1 port={postgres_server.port} user=postgres dbname=postgres").close()

        @pytest.mark.small
        def test_small():
            connect()

        @pytest.mark.small
        def test_swallowed():
            try:
                connect()
            except Exception:
                pass

        @pytest.mark.small
        def test_task():
            async def act():
                await asyncio.open_connection("127.0.0.1", {postgres_server.port})
            uvloop.run(act())

        @pytest.mark.medium
        def test_medium():
            connect()
        """
    )
    for workers in (0, 2):
        result = run_pytest(workers=workers)
        result.assert_outcomes(passed=1, failed=3)
        result.stdout.fnmatch_lines(
            [
                f"*Attempted network connection to 127.0.0.1:{postgres_server.port}",
                "*with psycopg2, use a fake repository, or a local server and @pytest.mark.medium instead",
                "network violations: 3 in 3 tests",
            ]
        )


def test_mysqls_extension_is_judged_in_a_process_of_its_own() -> None:
    """It can't be loaded beside some of the other clients' libraries."""
    script = """
import mysql.connector
from pytest_test_categories import NetworkAccessViolationError, NetworkAccessWarning, network_guard
try:
    with network_guard("small"):
        mysql.connector.connect(host="127.0.0.1", port=9, connection_timeout=1, use_pure=False)
except NetworkAccessViolationError as error:
    print(error.violation.target, error.violation.route)
"""
    pytest.importorskip("mysql.connector")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    if "C Extension not available" in done.stderr:
        pytest.skip("the extension can't be loaded here")
    assert done.stdout.split() == ["127.0.0.1:9", "_mysql_connector.MySQL.connect"], done.stdout + done.stderr
