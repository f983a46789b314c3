"""What native clients are made to do: each act goes to one address, and returns something if a real server answered.

As a program, in a network namespace whose only way out leads to nobody: says for each act which address its
packets went to (``python native_clients.py``), or which refusals it met under a guard (``... small``).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import importlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    Act = Callable[[str, int], object]


class Client(NamedTuple):
    """One way that a native client reaches for a server.

    Attributes:
        needs: Modules that have to be there.
        server: What answers it: ``web``, ``grpc``, ``postgres``, ``zmq``; or ``listener``, which counts and hangs up.
        library: What the report's hint names.
    """

    name: str
    needs: str
    server: str
    act: Act
    library: str = ""


def load(name: str) -> Any:
    """Import a library: without its types, which few of these have."""
    return importlib.import_module(name)


# -- event loops -------------------------------------------------------------------------------------------------------


def in_uvloop(coroutine: Callable[[], Any]) -> object:
    loop = load("uvloop").new_event_loop()
    try:
        return loop.run_until_complete(asyncio.wait_for(coroutine(), 10))
    finally:
        loop.close()


def uvloop_stream(host: str, port: int) -> object:
    async def act() -> bytes:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    return in_uvloop(act)


def uvloop_sock_connect(host: str, port: int) -> object:
    async def act() -> object:
        with socket.socket() as sock:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
            return sock.getpeername()

    return in_uvloop(act)


def uvloop_connected_datagrams(host: str, port: int) -> object:
    async def act() -> object:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(host, port))
        transport.sendto(b"x")
        await asyncio.sleep(0.05)
        transport.close()
        return "sent"

    return in_uvloop(act)


def uvloop_sendto(host: str, port: int) -> object:
    async def act() -> object:
        loop = asyncio.get_running_loop()
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=sock)
            try:
                transport.sendto(b"x", (host, port))
                await asyncio.sleep(0.05)
            finally:
                transport.close()
                await asyncio.sleep(0)
        return "sent"

    return in_uvloop(act)


# -- databases ---------------------------------------------------------------------------------------------------------

POSTGRES: Final = {"user": "postgres", "dbname": "postgres", "connect_timeout": 3}


def psycopg2_connect(host: str, port: int) -> object:
    with contextlib.closing(load("psycopg2").connect(host=host, port=port, **POSTGRES)) as connection:
        cursor = connection.cursor()
        cursor.execute("select 42")
        return cursor.fetchone()


def psycopg2_url(host: str, port: int) -> object:
    with contextlib.closing(
        load("psycopg2").connect(f"postgresql://postgres@{host}:{port}/postgres?connect_timeout=3")
    ):
        return "connected"


def psycopg_connect(host: str, port: int) -> object:
    with load("psycopg").connect(host=host, port=port, **POSTGRES) as connection:
        return connection.execute("select 42").fetchone()


def psycopg_async(host: str, port: int) -> object:
    async def act() -> object:
        connection = await load("psycopg").AsyncConnection.connect(host=host, port=port, **POSTGRES)
        async with connection:
            return await (await connection.execute("select 42")).fetchone()

    return asyncio.run(act())


def mysqlclient_connect(host: str, port: int) -> object:
    mysql = load("MySQLdb")
    with contextlib.suppress(mysql.OperationalError):
        mysql.connect(host=host, port=port, user="nobody", connect_timeout=2)
    return "tried"


def pymssql_connect(host: str, port: int) -> object:
    mssql = load("pymssql")
    with contextlib.suppress(mssql.OperationalError):
        mssql.connect(host, "user", "password", port=str(port), login_timeout=2)
    return "tried"


def pylibmc_get(host: str, port: int) -> object:
    memcached = load("pylibmc")
    with contextlib.suppress(memcached.Error):
        memcached.Client([f"{host}:{port}"]).get("key")
    return "tried"


def pyodbc_connect(host: str, port: int) -> object:
    database = load("pyodbc")
    text = f"DRIVER={{PostgreSQL Unicode}};SERVER={host};PORT={port};UID=postgres;DATABASE=postgres;CONNECT_TIMEOUT=3"
    with contextlib.closing(database.connect(text, timeout=3)) as connection:
        return list(connection.execute("select 42").fetchone())


def adbc_connect(host: str, port: int) -> object:
    uri = f"postgresql://postgres@{host}:{port}/postgres?connect_timeout=3"
    with load("adbc_driver_postgresql.dbapi").connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute("select 42")
        return cursor.fetchone()


def connectorx_read(host: str, port: int) -> object:
    return load("connectorx").read_sql(
        f"postgresql://postgres@{host}:{port}/postgres", "select 42", return_type="arrow"
    )


def deltalake_table(host: str, port: int) -> object:
    lake = load("deltalake")
    options = {
        "endpoint": f"http://{host}:{port}",
        "region": "us-east-1",
        "skip_signature": "true",
        "allow_http": "true",
    }
    with contextlib.suppress(lake.exceptions.DeltaError, OSError):
        lake.DeltaTable("s3://bucket/table", storage_options={**options, "max_retries": "0"})
    return "tried"


def temporal_connect(host: str, port: int) -> object:
    async def act() -> object:
        with contextlib.suppress(RuntimeError):
            await asyncio.wait_for(load("temporalio.client").Client.connect(f"{host}:{port}"), 3)
        return "tried"

    return asyncio.run(act())


# -- gRPC, queues ------------------------------------------------------------------------------------------------------


def grpc_unary(host: str, port: int) -> object:
    with load("grpc").insecure_channel(f"{host}:{port}") as channel:
        return channel.unary_unary("/test/Echo")(b"hello", timeout=3)


def grpc_future(host: str, port: int) -> object:
    with load("grpc").insecure_channel(f"{host}:{port}") as channel:
        return channel.unary_unary("/test/Echo").future(b"hello", timeout=3).result()


def grpc_stream(host: str, port: int) -> object:
    with load("grpc").insecure_channel(f"{host}:{port}") as channel:
        return list(channel.unary_stream("/test/Stream")(b"hello", timeout=3))


def grpc_ready(host: str, port: int) -> object:
    grpc = load("grpc")
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        grpc.channel_ready_future(channel).result(3)
        return "ready"


def grpc_aio_unary(host: str, port: int) -> object:
    async def act() -> object:
        async with load("grpc.aio").insecure_channel(f"{host}:{port}") as channel:
            return await channel.unary_unary("/test/Echo")(b"hello", timeout=3)

    return asyncio.run(act())


def grpc_aio_ready(host: str, port: int) -> object:
    async def act() -> object:
        async with load("grpc.aio").insecure_channel(f"{host}:{port}") as channel:
            await asyncio.wait_for(channel.channel_ready(), 3)
            return "ready"

    return asyncio.run(act())


def zmq_request(host: str, port: int) -> object:
    zmq = load("zmq")
    with zmq.Context() as context, context.socket(zmq.REQ) as sock:
        sock.setsockopt(zmq.LINGER, 0)
        sock.setsockopt(zmq.RCVTIMEO, 3000)
        sock.connect(f"tcp://{host}:{port}")
        sock.send(b"hello")
        return sock.recv()


def zmq_async(host: str, port: int) -> object:
    async def act() -> object:
        zmq = load("zmq.asyncio")
        with zmq.Context() as context, context.socket(load("zmq").REQ) as sock:
            sock.setsockopt(load("zmq").LINGER, 0)
            sock.connect(f"tcp://{host}:{port}")
            await sock.send(b"hello")
            return await asyncio.wait_for(sock.recv(), 3)

    return asyncio.run(act())


def kafka_topics(host: str, port: int) -> object:
    kafka = load("confluent_kafka")
    producer = kafka.Producer({"bootstrap.servers": f"{host}:{port}", "log_level": 0})
    with contextlib.suppress(kafka.KafkaException):
        producer.list_topics(timeout=2)
    return "tried"


def kafka_admin(host: str, port: int) -> object:
    kafka = load("confluent_kafka")
    admin = load("confluent_kafka.admin").AdminClient({"bootstrap.servers": f"{host}:{port}", "log_level": 0})
    with contextlib.suppress(kafka.KafkaException):
        admin.list_topics(timeout=2)
    return "tried"


# -- HTTP --------------------------------------------------------------------------------------------------------------


def pycurl_get(host: str, port: int) -> object:
    pycurl = load("pycurl")
    handle = pycurl.Curl()
    try:
        handle.setopt(pycurl.URL, f"http://{host}:{port}/")
        handle.setopt(pycurl.TIMEOUT, 3)
        return handle.perform_rb()
    finally:
        handle.close()


def pycurl_multi(host: str, port: int) -> object:
    pycurl = load("pycurl")
    body: list[bytes] = []
    handle, multi = pycurl.Curl(), pycurl.CurlMulti()
    handle.setopt(pycurl.URL, f"http://{host}:{port}/")
    handle.setopt(pycurl.TIMEOUT, 3)
    handle.setopt(pycurl.WRITEFUNCTION, body.append)
    try:
        multi.add_handle(handle)
        left = 1
        while left:
            _, left = multi.perform()
            multi.select(0.1)
        multi.remove_handle(handle)
    finally:
        multi.close()
        handle.close()
    return body


def curl_cffi_get(host: str, port: int) -> object:
    return load("curl_cffi.requests").get(f"http://{host}:{port}/", timeout=3).content


def curl_cffi_async(host: str, port: int) -> object:
    async def act() -> object:
        async with load("curl_cffi.requests").AsyncSession() as session:
            return (await session.get(f"http://{host}:{port}/", timeout=3)).content

    return asyncio.run(act())


def primp_get(host: str, port: int) -> object:
    return load("primp").get(f"http://{host}:{port}/", timeout=3).content


def primp_client(host: str, port: int) -> object:
    return load("primp").Client(timeout=3).request("GET", f"http://{host}:{port}/").content


def httpr_get(host: str, port: int) -> object:
    return load("httpr").get(f"http://{host}:{port}/", timeout=3).content


def rnet_get(host: str, port: int) -> object:
    async def act() -> object:
        return await (await load("rnet").get(f"http://{host}:{port}/", timeout=3)).bytes()

    return asyncio.run(act())


def rnet_blocking(host: str, port: int) -> object:
    return load("rnet").BlockingClient().get(f"http://{host}:{port}/", timeout=3).bytes()


def wreq_blocking(host: str, port: int) -> object:
    return load("wreq.blocking").Client().get(f"http://{host}:{port}/", timeout=dt.timedelta(seconds=3)).bytes()


def wreq_async(host: str, port: int) -> object:
    async def act() -> object:
        answer = await load("wreq").Client().get(f"http://{host}:{port}/", timeout=dt.timedelta(seconds=3))
        return await answer.bytes()

    return asyncio.run(act())


def impit_get(host: str, port: int) -> object:
    return load("impit").Client(timeout=3).get(f"http://{host}:{port}/").content


def impit_async(host: str, port: int) -> object:
    async def act() -> object:
        return (await load("impit").AsyncClient(timeout=3).get(f"http://{host}:{port}/")).content

    return asyncio.run(act())


def pyreqwest_sync(host: str, port: int) -> object:
    client = load("pyreqwest.client").SyncClientBuilder().timeout(dt.timedelta(seconds=3)).build()
    return bytes(client.get(f"http://{host}:{port}/").build().send().bytes())


def pyreqwest_async(host: str, port: int) -> object:
    async def act() -> object:
        client = load("pyreqwest.client").ClientBuilder().timeout(dt.timedelta(seconds=3)).build()
        return bytes(await (await client.get(f"http://{host}:{port}/").build().send()).bytes())

    return asyncio.run(act())


def pycurl_duplicate(host: str, port: int) -> object:
    pycurl = load("pycurl")
    handle = pycurl.Curl()
    handle.setopt(pycurl.URL, "http://127.0.0.1:9/")
    handle.setopt(pycurl.CONNECT_TO, [f"::{host}:{port}"])
    handle.setopt(pycurl.TIMEOUT, 3)
    duplicate = handle.duphandle()
    handle.close()
    try:
        return duplicate.perform_rb()
    finally:
        duplicate.close()


def pygit2_clone(host: str, port: int) -> object:
    git = load("pygit2")
    with tempfile.TemporaryDirectory() as directory, contextlib.suppress(git.GitError):
        git.clone_repository(f"http://{host}:{port}/r.git", f"{directory}/r")
    return "tried"


def duckdb_install(host: str, port: int) -> object:
    database = load("duckdb")
    with tempfile.TemporaryDirectory() as directory, contextlib.suppress(database.Error):
        connection = database.connect(config={"extension_directory": directory})
        connection.execute(f"install httpfs from 'http://{host}:{port}/extensions'")
    return "tried"


def glide_create(host: str, port: int) -> object:
    glide = load("glide")

    async def act() -> object:
        settings = glide.GlideClientConfiguration([glide.NodeAddress(host, port)], request_timeout=500)
        with contextlib.suppress(glide.GlideError, TimeoutError):
            await asyncio.wait_for(glide.GlideClient.create(settings), 3)
        return "tried"

    return asyncio.run(act())


def pulsar_producer(host: str, port: int) -> object:
    pulsar = load("pulsar")
    quiet = pulsar.FileLogger(pulsar.LoggerLevel.Error, os.devnull)
    client = pulsar.Client(f"pulsar://{host}:{port}", operation_timeout_seconds=1, logger=quiet)
    try:
        with contextlib.suppress(pulsar.PulsarException):
            client.create_producer("t")
    finally:
        client.close()
    return "tried"


# -- stores ------------------------------------------------------------------------------------------------------------


def obstore_get(host: str, port: int) -> object:
    store = load("obstore.store").HTTPStore(
        f"http://{host}:{port}/", client_options={"allow_http": True}, retry_config={"max_retries": 0}
    )
    return bytes(load("obstore").get(store, "file").bytes())


def obstore_s3(host: str, port: int) -> object:
    store = load("obstore.store").S3Store(
        "bucket",
        endpoint=f"http://{host}:{port}",
        region="us-east-1",
        skip_signature=True,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    return bytes(store.get("file").bytes())


def pyarrow_s3(host: str, port: int) -> object:
    files = load("pyarrow.fs").S3FileSystem(
        endpoint_override=f"{host}:{port}", scheme="http", region="us-east-1", anonymous=True, connect_timeout=2
    )
    return files.get_file_info("bucket/file")


def pyarrow_dataset(host: str, port: int) -> object:
    files = load("pyarrow.fs").S3FileSystem(
        endpoint_override=f"{host}:{port}", scheme="http", region="us-east-1", anonymous=True, connect_timeout=2
    )
    with contextlib.suppress(OSError, ValueError):  # what the server sends is no Parquet
        load("pyarrow.dataset").dataset(["bucket/file"], filesystem=files)
    return "tried"


def polars_scan(host: str, port: int) -> object:
    polars = load("polars")
    with contextlib.suppress(OSError, polars.exceptions.PolarsError):  # as above
        polars.scan_parquet(f"http://{host}:{port}/file.parquet").collect()
    return "tried"


def polars_s3(host: str, port: int) -> object:
    polars = load("polars")
    options = {
        "endpoint": f"http://{host}:{port}",
        "region": "us-east-1",
        "skip_signature": "true",
        "allow_http": "true",
    }
    with contextlib.suppress(OSError, polars.exceptions.PolarsError):
        polars.read_parquet("s3://bucket/file.parquet", storage_options={**options, "max_retries": 0})
    return "tried"


CLIENTS: Final = (
    Client("uvloop-stream", "uvloop", "web", uvloop_stream),
    Client("uvloop-sock_connect", "uvloop", "listener", uvloop_sock_connect),
    Client("uvloop-datagrams", "uvloop", "datagrams", uvloop_connected_datagrams),
    Client("uvloop-sendto", "uvloop", "datagrams", uvloop_sendto),
    Client("psycopg2", "psycopg2", "postgres", psycopg2_connect, "psycopg2"),
    Client("psycopg2-url", "psycopg2", "postgres", psycopg2_url, "psycopg2"),
    Client("psycopg", "psycopg psycopg_binary", "postgres", psycopg_connect, "psycopg"),
    Client("psycopg-async", "psycopg psycopg_binary", "postgres", psycopg_async, "psycopg"),
    Client("mysqlclient", "MySQLdb", "listener", mysqlclient_connect, "MySQLdb"),
    Client("pymssql", "pymssql", "listener", pymssql_connect, "pymssql"),
    Client("pylibmc", "pylibmc", "listener", pylibmc_get, "pylibmc"),
    Client("pyodbc", "pyodbc", "postgres", pyodbc_connect, "pyodbc"),
    Client("adbc", "adbc_driver_postgresql.dbapi", "postgres", adbc_connect, "adbc_driver_manager"),
    Client("connectorx", "connectorx pyarrow", "postgres", connectorx_read, "connectorx"),
    Client("deltalake", "deltalake", "web", deltalake_table, "deltalake"),
    Client("temporalio", "temporalio.client", "listener", temporal_connect, "temporalio"),
    Client("grpc-unary", "grpc", "grpc", grpc_unary, "grpc"),
    Client("grpc-future", "grpc", "grpc", grpc_future, "grpc"),
    Client("grpc-stream", "grpc", "grpc", grpc_stream, "grpc"),
    Client("grpc-ready", "grpc", "grpc", grpc_ready, "grpc"),
    Client("grpc.aio-unary", "grpc", "grpc", grpc_aio_unary, "grpc"),
    Client("grpc.aio-ready", "grpc", "grpc", grpc_aio_ready, "grpc"),
    Client("zmq", "zmq", "zmq", zmq_request, "zmq"),
    Client("zmq-asyncio", "zmq", "zmq", zmq_async, "zmq"),
    Client("kafka-producer", "confluent_kafka", "listener", kafka_topics, "confluent_kafka"),
    Client("kafka-admin", "confluent_kafka", "listener", kafka_admin, "confluent_kafka"),
    Client("pycurl", "pycurl", "web", pycurl_get, "pycurl"),
    Client("pycurl-multi", "pycurl", "web", pycurl_multi, "pycurl"),
    Client("curl_cffi", "curl_cffi", "web", curl_cffi_get, "curl_cffi"),
    Client("curl_cffi-async", "curl_cffi", "web", curl_cffi_async, "curl_cffi"),
    Client("primp", "primp", "web", primp_get, "primp"),
    Client("primp-client", "primp", "web", primp_client, "primp"),
    Client("httpr", "httpr", "web", httpr_get, "httpr"),
    Client("rnet", "rnet", "web", rnet_get, "rnet"),
    Client("rnet-blocking", "rnet", "web", rnet_blocking, "rnet"),
    Client("obstore-http", "obstore", "web", obstore_get, "obstore"),
    Client("obstore-s3", "obstore", "web", obstore_s3, "obstore"),
    Client("pyarrow-s3", "pyarrow.fs", "web", pyarrow_s3, "pyarrow"),
    Client("pyarrow-dataset", "pyarrow.dataset", "web", pyarrow_dataset, "pyarrow"),
    Client("polars-http", "polars", "web", polars_scan, "polars"),
    Client("polars-s3", "polars", "web", polars_s3, "polars"),
    Client("wreq-blocking", "wreq.blocking", "web", wreq_blocking, "wreq"),
    Client("wreq", "wreq", "web", wreq_async, "wreq"),
    Client("impit", "impit", "web", impit_get, "impit"),
    Client("impit-async", "impit", "web", impit_async, "impit"),
    Client("pyreqwest", "pyreqwest.client", "web", pyreqwest_sync, "pyreqwest"),
    Client("pyreqwest-async", "pyreqwest.client", "web", pyreqwest_async, "pyreqwest"),
    Client("pygit2", "pygit2", "web", pygit2_clone, "pygit2"),
    Client("duckdb", "duckdb", "web", duckdb_install, "duckdb"),
    Client("valkey-glide", "glide", "listener", glide_create, "glide"),
    Client("pulsar", "pulsar", "listener", pulsar_producer, "pulsar"),
    Client("pycurl-duplicate", "pycurl", "web", pycurl_duplicate, "pycurl"),
)


def missing(client: Client) -> str:
    """Return the first of the modules that a client needs and that can't be imported."""
    for name in client.needs.split():
        try:
            importlib.import_module(name)
        except ImportError:
            return name
    return ""


def address_of(index: int) -> tuple[str, int]:
    """Return a foreign address that only the client at this place of the table goes to."""
    return f"198.51.100.{index + 1}", 9


# -- as a program ------------------------------------------------------------------------------------------------------

SECONDS: Final = 20


def sniff(seen: set[str]) -> None:
    """Note where every IPv4 packet that leaves goes."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003)) as tap:
        tap.bind(("sink0", 0))
        while True:
            frame = tap.recv(2048)
            if frame[12:14] == b"\x08\x00":
                seen.add(socket.inet_ntoa(frame[30:34]))


def quietly(act: Act, address: tuple[str, int]) -> None:
    with contextlib.suppress(Exception):
        act(*address)


def main(size: str) -> None:
    """Run every act against its own foreign address."""
    for command in (
        "link add sink0 type veth peer name sink1",  # a pair works where the kernel has no dummy driver
        "link set lo up",
        "link set sink1 up",
        "link set sink0 up arp off",
        "addr add 10.9.8.7/24 dev sink0",
        "route add default dev sink0",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    seen: set[str] = set()
    threading.Thread(target=sniff, args=(seen,), daemon=True).start()
    time.sleep(0.2)
    here = {index: client for index, client in enumerate(CLIENTS) if not missing(client)}
    refused: dict[str, list[str]] = {}
    if size:
        from pytest_test_categories import NetworkAccessViolationError, network_guard

        for index, client in here.items():
            try:
                with network_guard(size):
                    client.act(*address_of(index))
            except NetworkAccessViolationError as error:
                refused[client.name] = [f"{violation.library} {violation.target}" for violation in error.violations]
            except Exception as error:
                refused[client.name] = [repr(error)]
        time.sleep(0.5)
    else:
        acts = [
            threading.Thread(target=quietly, args=(client.act, address_of(index)), daemon=True)
            for index, client in here.items()
        ]
        for act in acts:
            act.start()
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and not {address_of(index)[0] for index in here} <= seen:
            time.sleep(0.05)
    sent = [client.name for index, client in here.items() if address_of(index)[0] in seen]
    print(json.dumps({"sent": sent, "packets": sorted(seen), "refused": refused}), flush=True)
    os._exit(0)  # clients' threads go on


if __name__ == "__main__":
    main(*sys.argv[1:] or [""])
