# Group: Native clients

# %% uvloop-connection | uvloop's `create_connection` | needs=uvloop
import uvloop


async def main():
    _, writer = await asyncio.open_connection(HOST, PORT)
    writer.close()


def test_way():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())

# %% uvloop-name | uvloop's `create_connection` with a name | needs=uvloop | only=foreign
import uvloop


async def main():
    _, writer = await asyncio.open_connection(NAME, PORT)
    writer.close()


def test_way():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())

# %% uvloop-getaddrinfo | uvloop's `getaddrinfo` | needs=uvloop | only=foreign
import uvloop


async def main():
    await asyncio.get_running_loop().getaddrinfo(NAME, PORT)


def test_way():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())

# %% uvloop-getnameinfo | uvloop's `getnameinfo` | needs=uvloop | only=foreign
import uvloop


async def main():
    await asyncio.get_running_loop().getnameinfo(("198.51.100.1", PORT))


def test_way():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())

# %% uvloop-sock-connect | uvloop's `sock_connect` | needs=uvloop
import uvloop


async def main():
    with socket.socket() as s:
        s.setblocking(False)
        await asyncio.get_running_loop().sock_connect(s, ADDRESS)


def test_way():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())

# %% uvloop-datagram | uvloop's datagrams to a remote address | needs=uvloop
import uvloop


async def main():
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=ADDRESS
    )
    transport.sendto(b"hello")
    await asyncio.sleep(0.05)
    transport.close()


def test_way():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())

# %% uvloop-sendto | uvloop's `DatagramTransport.sendto` | needs=uvloop | shown=0.0.0.0
import uvloop


async def main():
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("0.0.0.0", 0)
    )
    transport.sendto(b"hello", ADDRESS)
    await asyncio.sleep(0.05)
    transport.close()


def test_way():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())

# %% uvloop-unix | uvloop's `create_unix_connection` | needs=uvloop | only=local
import uvloop


async def main():
    _, writer = await asyncio.open_unix_connection(UNIX)
    writer.close()
    await asyncio.sleep(0.05)


def test_way():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())

# %% uvloop-aiohttp | aiohttp on uvloop | needs=uvloop aiohttp
import aiohttp
import uvloop


async def main():
    async with aiohttp.ClientSession() as session, session.get(URL) as response:
        await response.read()


def test_way():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())

# %% uvloop-swallowed | uvloop, swallowed by `gather` | needs=uvloop
import uvloop


async def main():
    await asyncio.gather(asyncio.open_connection(HOST, PORT), return_exceptions=True)


def test_way():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())

# %% psycopg | psycopg 3 | needs=psycopg
import psycopg

with contextlib.suppress(psycopg.Error):
    psycopg.connect(host=HOST, port=PORT, user="u", password="p", dbname="d", connect_timeout=2)

# %% psycopg-url | psycopg 3, by URL | needs=psycopg
import psycopg

with contextlib.suppress(psycopg.Error):
    psycopg.connect(f"postgresql://u:p@{NETLOC}/d?connect_timeout=2")

# %% psycopg-name | psycopg 3, with a name | needs=psycopg | only=foreign
import psycopg

with contextlib.suppress(psycopg.Error):
    psycopg.connect(host=NAME, port=PORT, user="u", password="p", dbname="d", connect_timeout=2)

# %% psycopg-hosts | psycopg 3, several hosts | needs=psycopg | shown=unix:/nowhere
import psycopg

with contextlib.suppress(psycopg.Error):
    psycopg.connect(f"host=/nowhere,{HOST} port=1,{PORT} user=u dbname=d connect_timeout=2")

# %% psycopg-environment | psycopg 3, by the environment | needs=psycopg
import psycopg

os.environ |= {"PGHOST": HOST, "PGPORT": str(PORT), "PGUSER": "u", "PGDATABASE": "d", "PGCONNECT_TIMEOUT": "2"}
with contextlib.suppress(psycopg.Error):
    psycopg.connect("")

# %% psycopg-service | psycopg 3, by a service file | needs=psycopg
import psycopg

open("services", "w").write(f"[far]\nhost={HOST}\nport={PORT}\nuser=u\ndbname=d\nconnect_timeout=2\n")
os.environ["PGSERVICEFILE"] = os.path.abspath("services")
with contextlib.suppress(psycopg.Error):
    psycopg.connect("service=far")

# %% psycopg-hostaddr | psycopg 3, by `hostaddr` | needs=psycopg
import psycopg

with contextlib.suppress(psycopg.Error):
    psycopg.connect(f"host=localhost hostaddr={HOST} port={PORT} user=u dbname=d connect_timeout=2")

# %% psycopg-async | psycopg 3 on asyncio | needs=psycopg
import psycopg


async def main():
    with contextlib.suppress(psycopg.Error):
        await psycopg.AsyncConnection.connect(host=HOST, port=PORT, user="u", password="p", dbname="d", connect_timeout=2)


def test_way():
    asyncio.run(main())

# %% psycopg-pool | psycopg 3's pool, in its threads | needs=psycopg psycopg_pool
import psycopg_pool

conninfo = f"postgresql://u:p@{NETLOC}/d?connect_timeout=2"
with contextlib.suppress(psycopg_pool.PoolTimeout):
    with psycopg_pool.ConnectionPool(conninfo, open=True, min_size=1, timeout=1, reconnect_timeout=0.5) as pool:
        pool.wait(0.7)

# %% psycopg-pq | psycopg 3's `pq.PGconn` | needs=psycopg
import psycopg.pq

psycopg.pq.PGconn.connect(f"host={HOST} port={PORT} user=u dbname=d connect_timeout=2".encode())

# %% psycopg-unix | psycopg 3 on a unix socket | needs=psycopg | only=local | shown=.s.PGSQL.5432
import psycopg

os.symlink(UNIX, ".s.PGSQL.5432")
with contextlib.suppress(psycopg.Error):
    psycopg.connect(host=os.getcwd(), user="u", dbname="d", connect_timeout=2)

# %% psycopg2 | psycopg 2 | needs=psycopg2
import psycopg2

with contextlib.suppress(psycopg2.Error):
    psycopg2.connect(host=HOST, port=PORT, user="u", password="p", dbname="d", connect_timeout=2)

# %% psycopg2-dsn | psycopg 2, by connection string | needs=psycopg2
import psycopg2

with contextlib.suppress(psycopg2.Error):
    psycopg2.connect(f"host={HOST} port={PORT} user=u dbname=d connect_timeout=2")

# %% psycopg2-pool | psycopg 2's pool | needs=psycopg2
import psycopg2
import psycopg2.pool

with contextlib.suppress(psycopg2.Error):
    psycopg2.pool.SimpleConnectionPool(1, 1, host=HOST, port=PORT, user="u", dbname="d", connect_timeout=2)

# %% psycopg2-subclass | a subclass of psycopg 2's connection | needs=psycopg2
import psycopg2
import psycopg2.extensions


class Mine(psycopg2.extensions.connection):
    pass


def test_way():
    with contextlib.suppress(psycopg2.Error):
        Mine(f"host={HOST} port={PORT} user=u dbname=d connect_timeout=2")

# %% django-postgres | Django's ORM on psycopg | needs=django psycopg
import django.conf

django.conf.settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": HOST,
            "PORT": PORT,
            "USER": "u",
            "NAME": "d",
            "OPTIONS": {"connect_timeout": 2},
        }
    }
)
import django.db

with contextlib.suppress(django.db.Error):
    django.db.connection.ensure_connection()

# %% grpc | gRPC, a call | needs=grpc
import grpc

with contextlib.suppress(grpc.RpcError):
    grpc.insecure_channel(NETLOC).unary_unary("/a/b")(b"", timeout=1)

# %% grpc-name | gRPC, with a name | needs=grpc | only=foreign
import grpc

with contextlib.suppress(grpc.RpcError):
    grpc.insecure_channel(f"dns:///{NAME}:{PORT}").unary_unary("/a/b")(b"", timeout=1)

# %% grpc-ready | gRPC, `channel_ready_future` | needs=grpc
import grpc

with contextlib.suppress(grpc.FutureTimeoutError):
    grpc.channel_ready_future(grpc.insecure_channel(NETLOC)).result(0.5)

# %% grpc-secure | gRPC, a secure channel | needs=grpc
import grpc

with contextlib.suppress(grpc.RpcError):
    grpc.secure_channel(NETLOC, grpc.ssl_channel_credentials()).unary_unary("/a/b")(b"", timeout=1)

# %% grpc-ipv4 | gRPC, a target with a scheme | needs=grpc
import grpc

with contextlib.suppress(grpc.RpcError):
    grpc.insecure_channel(f"ipv4:{NETLOC}").unary_unary("/a/b")(b"", timeout=1)

# %% grpc-unix | gRPC on a unix socket | needs=grpc | only=local
import grpc

with contextlib.suppress(grpc.RpcError):
    grpc.insecure_channel(f"unix:{UNIX}").unary_unary("/a/b")(b"", timeout=1)

# %% grpc-aio | gRPC on asyncio | needs=grpc
import grpc
import grpc.aio


async def main():
    async with grpc.aio.insecure_channel(NETLOC) as channel:
        with contextlib.suppress(grpc.RpcError):
            await channel.unary_unary("/a/b")(b"", timeout=1)


def test_way():
    asyncio.run(main())

# %% pycurl | pycurl | needs=pycurl
import pycurl

curl = pycurl.Curl()
curl.setopt(pycurl.URL, URL)
curl.setopt(pycurl.TIMEOUT, 2)
curl.setopt(pycurl.WRITEFUNCTION, lambda data: None)
curl.perform()

# %% pycurl-multi | pycurl's multi interface | needs=pycurl
import pycurl

curl = pycurl.Curl()
curl.setopt(pycurl.URL, URL)
curl.setopt(pycurl.TIMEOUT, 2)
curl.setopt(pycurl.WRITEFUNCTION, lambda data: None)
multi = pycurl.CurlMulti()
multi.add_handle(curl)
while multi.perform()[1]:
    multi.select(0.1)

# %% pycurl-proxy | pycurl through a proxy | needs=pycurl
import pycurl

curl = pycurl.Curl()
curl.setopt(pycurl.URL, "http://elsewhere.example/")
curl.setopt(pycurl.PROXY, URL)
curl.setopt(pycurl.TIMEOUT, 2)
curl.setopt(pycurl.WRITEFUNCTION, lambda data: None)
curl.perform()

# %% pycurl-resolve | pycurl with an address of its own for a local name | needs=pycurl | only=foreign
import pycurl

curl = pycurl.Curl()
curl.setopt(pycurl.URL, f"http://localhost:{PORT}/")
curl.setopt(pycurl.CONNECT_TO, [f"localhost:{PORT}:{HOST}:{PORT}"])
curl.setopt(pycurl.TIMEOUT, 2)
curl.setopt(pycurl.WRITEFUNCTION, lambda data: None)
curl.perform()

# %% curl-cffi | curl_cffi | needs=curl_cffi
import curl_cffi.requests

curl_cffi.requests.get(URL, timeout=2)

# %% curl-cffi-name | curl_cffi, with a name | needs=curl_cffi | only=foreign
import curl_cffi.requests

curl_cffi.requests.get(f"http://{NAME}:{PORT}/", timeout=2)

# %% curl-cffi-session | curl_cffi's session | needs=curl_cffi
import curl_cffi.requests

with curl_cffi.requests.Session() as session:
    session.get(URL, timeout=2)

# %% curl-cffi-async | curl_cffi on asyncio | needs=curl_cffi
import curl_cffi.requests


async def main():
    async with curl_cffi.requests.AsyncSession() as session:
        await session.get(URL, timeout=2)


def test_way():
    asyncio.run(main())

# %% curl-cffi-low | curl_cffi's `Curl` | needs=curl_cffi
import curl_cffi

curl = curl_cffi.Curl()
curl.setopt(curl_cffi.CurlOpt.URL, URL.encode())
curl.setopt(curl_cffi.CurlOpt.TIMEOUT_MS, 2000)
curl.perform()

# %% pyzmq | pyzmq | needs=zmq
import zmq

with zmq.Context() as context, context.socket(zmq.PUSH) as s:
    s.setsockopt(zmq.LINGER, 0)
    s.connect(f"tcp://{NETLOC}")
    time.sleep(0.2)

# %% pyzmq-async | pyzmq on asyncio | needs=zmq
import zmq
import zmq.asyncio


async def main():
    with zmq.asyncio.Context() as context, context.socket(zmq.PUSH) as s:
        s.setsockopt(zmq.LINGER, 0)
        s.connect(f"tcp://{NETLOC}")
        await asyncio.sleep(0.2)


def test_way():
    asyncio.run(main())

# %% pyzmq-ipc | pyzmq on a unix socket | needs=zmq | only=local
import zmq

with zmq.Context() as context, context.socket(zmq.PUSH) as s:
    s.setsockopt(zmq.LINGER, 0)
    s.connect(f"ipc://{UNIX}")
    time.sleep(0.2)

# %% mysqlclient | mysqlclient | needs=MySQLdb
import MySQLdb

with contextlib.suppress(MySQLdb.Error):
    MySQLdb.connect(host=HOST, port=PORT, user="u", password="p", connect_timeout=2)

# %% polars | Polars, a table by URL | needs=polars
import polars

with contextlib.suppress(Exception):
    polars.scan_parquet(
        f"s3://bucket/key.parquet",
        storage_options={
            "aws_endpoint_url": URL,
            "aws_access_key_id": "a",
            "aws_secret_access_key": "b",
            "aws_region": "eu-west-1",
            "aws_allow_http": "true",
            "max_retries": 0,
        },
    ).collect()

# %% polars-http | Polars, a table over http | needs=polars
import polars

with contextlib.suppress(Exception):
    polars.scan_parquet(f"{URL}table.parquet", storage_options={"max_retries": 0}).collect()

# %% pyarrow-s3 | pyarrow's S3 | needs=pyarrow.fs
import pyarrow.fs

with contextlib.suppress(OSError):
    pyarrow.fs.S3FileSystem(
        access_key="a",
        secret_key="b",
        region="eu-west-1",
        endpoint_override=NETLOC,
        scheme="http",
        connect_timeout=1,
        request_timeout=1,
        retry_strategy=pyarrow.fs.AwsStandardS3RetryStrategy(max_attempts=1),
    ).get_file_info("bucket/key")

# %% pyarrow-flight | pyarrow's Flight | needs=pyarrow.flight
import pyarrow.flight

with contextlib.suppress(Exception):
    options = pyarrow.flight.FlightCallOptions(timeout=1)
    pyarrow.flight.connect(f"grpc://{NETLOC}").do_action(("a", b""), options).__next__()

# %% obstore | obstore | needs=obstore
import obstore.store

with contextlib.suppress(Exception):
    store = obstore.store.HTTPStore.from_url(
        URL, client_options={"allow_http": True, "timeout": "1s"}, retry_config={"max_retries": 0}
    )
    obstore.get(store, "key")

# %% obstore-s3 | obstore, S3 | needs=obstore
import obstore.store

with contextlib.suppress(Exception):
    store = obstore.store.S3Store(
        "bucket",
        endpoint=URL,
        access_key_id="a",
        secret_access_key="b",
        region="eu-west-1",
        client_options={"allow_http": True, "timeout": "1s"},
        retry_config={"max_retries": 0},
    )
    obstore.get(store, "key")

# %% confluent-kafka | confluent-kafka | needs=confluent_kafka
import confluent_kafka

producer = confluent_kafka.Producer({"bootstrap.servers": NETLOC, "log_level": 0})
producer.produce("topic", b"hello")
producer.poll(0.3)
producer.purge()

# %% aiodns | aiodns | needs=aiodns | only=foreign
import aiodns


async def main():
    with contextlib.suppress(aiodns.error.DNSError):
        resolver = aiodns.DNSResolver(timeout=1, tries=1)
        await resolver.query_dns(NAME, "A")


def test_way():
    asyncio.run(main())

# %% pycares | pycares | needs=pycares | only=foreign
import pycares

done = threading.Event()
channel = pycares.Channel(timeout=1, tries=1)
channel.query(NAME, pycares.QUERY_TYPE_A, callback=lambda *_: done.set())
done.wait(1)

# %% aiohttp-aiodns | aiohttp with aiodns installed, which it prefers | needs=aiohttp aiodns | only=foreign
import aiohttp


async def main():
    connector = aiohttp.TCPConnector(resolver=aiohttp.AsyncResolver())
    async with aiohttp.ClientSession(connector=connector) as session, session.get(f"http://{NAME}:{PORT}/") as response:
        await response.read()


def test_way():
    asyncio.run(main())

# %% twisted-threaded-resolver | Twisted's threaded resolver | needs=twisted | only=foreign
from twisted.internet import reactor

reactor.resolve(NAME).addBoth(lambda _: reactor.stop())
reactor.callLater(2, lambda: reactor.running and reactor.stop())
reactor.run(installSignalHandlers=False)
