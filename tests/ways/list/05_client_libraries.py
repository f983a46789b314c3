# Group: Client libraries in Python

# %% requests | requests | needs=requests
import requests

requests.get(URL, timeout=2)

# %% requests-name | requests, with a name | needs=requests | only=foreign
import requests

requests.get(f"http://{NAME}:{PORT}/", timeout=2)

# %% requests-https | requests, https | needs=requests
import warnings

import requests

warnings.simplefilter("ignore")
requests.get(HTTPS, timeout=2, verify=False)

# %% requests-redirect | requests, a redirect that a fake answers | needs=requests responses | only=foreign
import requests
import responses

with responses.RequestsMock() as fake:
    fake.get("http://here.example/", status=302, headers={"Location": URL})
    fake.add_passthru(URL)
    requests.get("http://here.example/", timeout=2)

# %% requests-proxy | requests, through a proxy | needs=requests
import requests

requests.get("http://elsewhere.example/", timeout=2, proxies={"http": URL})

# %% responses-passthru | `responses` with a passthrough | needs=requests responses
import requests
import responses

with responses.RequestsMock() as fake:
    fake.add_passthru("http://")
    requests.get(URL, timeout=2)

# %% vcr-record | a VCR cassette that records | needs=vcr requests
import requests
import vcr

with vcr.use_cassette("cassette.yaml", record_mode="all"):
    requests.get(URL, timeout=2)

# %% httpretty-passthrough | httpretty with real connections allowed | needs=httpretty requests
import httpretty
import requests

with httpretty.enabled(allow_net_connect=True):
    requests.get(URL, timeout=2)

# %% httpretty-socket | a socket while httpretty is on | needs=httpretty
import httpretty

with httpretty.enabled(allow_net_connect=True):
    s = socket.socket()
    s.connect(ADDRESS)
    s.sendall(b"hello")

# %% urllib3 | urllib3 | needs=urllib3
import urllib3

urllib3.PoolManager().request("GET", URL, timeout=2)

# %% urllib3-retry | urllib3, with retries | needs=urllib3
import urllib3

with contextlib.suppress(urllib3.exceptions.HTTPError):
    urllib3.PoolManager().request("GET", URL, timeout=2, retries=urllib3.Retry(3, backoff_factor=0.01))

# %% httpx | httpx | needs=httpx
import httpx

httpx.get(URL, timeout=2)

# %% httpx-https | httpx, https | needs=httpx
import httpx

httpx.get(HTTPS, timeout=2, verify=False)

# %% httpx-async | httpx's asynchronous client | needs=httpx
import httpx


async def main():
    async with httpx.AsyncClient(timeout=2) as client:
        await client.get(URL)


def test_way():
    asyncio.run(main())

# %% httpx-trio | httpx on trio | needs=httpx trio
import httpx
import trio


async def main():
    async with httpx.AsyncClient(timeout=2) as client:
        await client.get(URL)


def test_way():
    trio.run(main)

# %% httpcore | httpcore | needs=httpcore
import httpcore

httpcore.request("GET", URL)

# %% httpx-unix | httpx on a unix socket | needs=httpx | only=local
import httpx

httpx.Client(transport=httpx.HTTPTransport(uds=UNIX), timeout=2).get("http://here.example/")

# %% respx-passthrough | respx with a route that passes through | needs=httpx respx
import httpx
import respx

with respx.mock:
    respx.route().pass_through()
    httpx.get(URL, timeout=2)

# %% aiohttp | aiohttp | needs=aiohttp
import aiohttp


async def main():
    async with aiohttp.ClientSession() as session, session.get(URL) as response:
        await response.read()


def test_way():
    asyncio.run(main())

# %% aiohttp-name | aiohttp, with a name | needs=aiohttp | only=foreign
import aiohttp


async def main():
    async with aiohttp.ClientSession() as session, session.get(f"http://{NAME}:{PORT}/") as response:
        await response.read()


def test_way():
    asyncio.run(main())

# %% aiohttp-websocket | aiohttp's web sockets | needs=aiohttp
import aiohttp


async def main():
    async with aiohttp.ClientSession() as session, session.ws_connect(URL):
        pass


def test_way():
    with contextlib.suppress(aiohttp.ClientError):
        asyncio.run(main())

# %% aiohttp-threaded-resolver | aiohttp's threaded resolver | needs=aiohttp | only=foreign
import aiohttp


async def main():
    connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())
    async with aiohttp.ClientSession(connector=connector) as session, session.get(f"http://{NAME}:{PORT}/") as response:
        await response.read()


def test_way():
    asyncio.run(main())

# %% httplib2 | httplib2 | needs=httplib2
import httplib2

httplib2.Http(timeout=2).request(URL)

# %% websockets | websockets | needs=websockets
import websockets


async def main():
    async with websockets.connect(f"ws://{NETLOC}/", open_timeout=2):
        pass


def test_way():
    with contextlib.suppress(websockets.WebSocketException):
        asyncio.run(main())

# %% websockets-sync | websockets, synchronous | needs=websockets
import websockets.sync.client

with contextlib.suppress(websockets.WebSocketException):
    websockets.sync.client.connect(f"ws://{NETLOC}/", open_timeout=2)

# %% websocket-client | websocket-client | needs=websocket
import websocket

with contextlib.suppress(websocket.WebSocketException):
    websocket.create_connection(f"ws://{NETLOC}/", timeout=2)

# %% redis | redis | needs=redis
import redis

with contextlib.suppress(redis.RedisError):
    redis.Redis(HOST, PORT, socket_timeout=1).ping()

# %% redis-retry | redis, with its retries | needs=redis
import redis
import redis.backoff
import redis.retry

with contextlib.suppress(redis.RedisError):
    redis.Redis(HOST, PORT, socket_timeout=1, retry=redis.retry.Retry(redis.backoff.NoBackoff(), 3)).ping()

# %% redis-async | redis on asyncio | needs=redis
import redis
import redis.asyncio


async def main():
    with contextlib.suppress(redis.RedisError):
        await redis.asyncio.Redis(host=HOST, port=PORT, socket_timeout=1).ping()


def test_way():
    asyncio.run(main())

# %% redis-unix | redis on a unix socket | needs=redis | only=local
import redis

with contextlib.suppress(redis.RedisError):
    redis.Redis(unix_socket_path=UNIX, socket_timeout=1).ping()

# %% redis-pubsub-thread | redis' subscriber thread | needs=redis
import redis


def test_way():
    pubsub = redis.Redis(HOST, PORT, socket_timeout=1).pubsub()

    def run():
        with contextlib.suppress(redis.RedisError):
            pubsub.subscribe("news")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

# %% pymongo | PyMongo, whose monitors are threads | needs=pymongo
import pymongo

client = pymongo.MongoClient(HOST, PORT, serverSelectionTimeoutMS=500, connectTimeoutMS=500)


def test_way():
    with contextlib.suppress(pymongo.errors.PyMongoError):
        client.admin.command("ping")
    client.close()

# %% pymongo-in-test | PyMongo, made in the test | needs=pymongo
import pymongo

with contextlib.suppress(pymongo.errors.PyMongoError):
    pymongo.MongoClient(HOST, PORT, serverSelectionTimeoutMS=500, connectTimeoutMS=500).admin.command("ping")

# %% pymongo-lazy | PyMongo, made in the test and never asked | needs=pymongo
import pymongo

client = pymongo.MongoClient(HOST, PORT, serverSelectionTimeoutMS=500, connectTimeoutMS=500)
time.sleep(0.3)
client.close()

# %% pymongo-async | PyMongo on asyncio | needs=pymongo
import pymongo


async def main():
    async with pymongo.AsyncMongoClient(HOST, PORT, serverSelectionTimeoutMS=500, connectTimeoutMS=500) as client:
        with contextlib.suppress(pymongo.errors.PyMongoError):
            await client.admin.command("ping")


def test_way():
    asyncio.run(main())

# %% pymongo-srv | PyMongo with a service record | needs=pymongo dns | only=foreign
import pymongo

with contextlib.suppress(Exception):
    pymongo.MongoClient(f"mongodb+srv://{NAME}/", serverSelectionTimeoutMS=500, connectTimeoutMS=500)

# %% boto3 | boto3 | needs=boto3
import boto3
import botocore.config
import botocore.exceptions

config = botocore.config.Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1})
with contextlib.suppress(botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
    boto3.client("s3", endpoint_url=URL, config=config).list_buckets()

# %% boto3-retries | boto3, with its retries | needs=boto3
import boto3
import botocore.config
import botocore.exceptions

config = botocore.config.Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 3, "mode": "standard"})
with contextlib.suppress(botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
    boto3.client("dynamodb", endpoint_url=URL, config=config).list_tables()

# %% boto3-transfer | boto3's upload, in threads of s3transfer's | needs=boto3
import io

import boto3
import boto3.exceptions
import botocore.config
import botocore.exceptions

config = botocore.config.Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1})
with contextlib.suppress(botocore.exceptions.BotoCoreError, boto3.exceptions.Boto3Error):
    boto3.client("s3", endpoint_url=URL, config=config).upload_fileobj(io.BytesIO(b"x" * 10), "bucket", "key")

# %% elasticsearch | Elasticsearch | needs=elasticsearch
import elasticsearch

with contextlib.suppress(elasticsearch.ApiError, elasticsearch.TransportError):
    elasticsearch.Elasticsearch(URL, request_timeout=1, max_retries=0).info()

# %% asyncpg | asyncpg | needs=asyncpg
import asyncpg


async def main():
    with contextlib.suppress(asyncpg.PostgresError, OSError, TimeoutError, asyncpg.InterfaceError):
        await asyncpg.connect(host=HOST, port=PORT, user="u", password="p", database="d", timeout=1)


def test_way():
    asyncio.run(main())

# %% asyncpg-pool | asyncpg's pool | needs=asyncpg
import asyncpg


async def main():
    with contextlib.suppress(asyncpg.PostgresError, OSError, TimeoutError, asyncpg.InterfaceError):
        await asyncpg.create_pool(host=HOST, port=PORT, user="u", password="p", database="d", timeout=1, min_size=2)


def test_way():
    asyncio.run(main())

# %% pg8000 | pg8000 | needs=pg8000
import pg8000.dbapi

with contextlib.suppress(Exception):
    pg8000.dbapi.connect("u", host=HOST, port=PORT, password="p", timeout=1)

# %% pymysql | PyMySQL | needs=pymysql
import pymysql

with contextlib.suppress(pymysql.Error):
    pymysql.connect(host=HOST, port=PORT, user="u", password="p", connect_timeout=1, read_timeout=1)

# %% aiomysql | aiomysql | needs=aiomysql
import aiomysql


async def main():
    with contextlib.suppress(Exception):
        await aiomysql.connect(host=HOST, port=PORT, user="u", password="p", connect_timeout=1)


def test_way():
    asyncio.run(main())

# %% paramiko | Paramiko | needs=paramiko
import paramiko

with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
    paramiko.SSHClient().connect(HOST, PORT, "u", "p", timeout=1, banner_timeout=1, look_for_keys=False, allow_agent=False)

# %% paramiko-transport | Paramiko's transport | needs=paramiko
import paramiko

with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
    transport = paramiko.Transport(ADDRESS)
    transport.banner_timeout = 1
    transport.start_client(timeout=1)

# %% asyncssh | AsyncSSH | needs=asyncssh
import asyncssh


async def main():
    with contextlib.suppress(asyncssh.Error, OSError, TimeoutError):
        await asyncssh.connect(HOST, PORT, connect_timeout=1, config=None, known_hosts=None)


def test_way():
    asyncio.run(main())

# %% kafka-producer | kafka-python's producer, whose sender is a thread | needs=kafka
import kafka
import kafka.errors

with contextlib.suppress(kafka.errors.KafkaError):
    kafka.KafkaProducer(bootstrap_servers=NETLOC, request_timeout_ms=900, bootstrap_timeout_ms=500, max_block_ms=500)

# %% kafka-consumer | kafka-python's consumer | needs=kafka
import kafka
import kafka.errors

with contextlib.suppress(kafka.errors.KafkaError):
    kafka.KafkaConsumer("topic", bootstrap_servers=NETLOC, request_timeout_ms=900, bootstrap_timeout_ms=500)

# %% pika | Pika | needs=pika | shown=127.0.0.1
import pika

with contextlib.suppress(pika.exceptions.AMQPError):
    pika.BlockingConnection(
        pika.ConnectionParameters(HOST, PORT, socket_timeout=1, stack_timeout=1, blocked_connection_timeout=1)
    )

# %% paho-mqtt | Paho's MQTT client | needs=paho.mqtt | shown=0.0.0.0
import paho.mqtt.client as mqtt

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.connect_timeout = 1
client.connect(HOST, PORT)

# %% paho-mqtt-loop | Paho's MQTT client, in its thread | needs=paho.mqtt | shown=127.0.0.1
import paho.mqtt.client as mqtt

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.connect_timeout = 1
client.connect_async(HOST, PORT)
client.loop_start()
time.sleep(0.3)
client.loop_stop()

# %% pymemcache | pymemcache | needs=pymemcache
from pymemcache.client.base import Client

with contextlib.suppress(Exception):
    Client(ADDRESS, connect_timeout=1, timeout=1).get("key")

# %% nats | NATS | needs=nats
import nats


async def main():
    with contextlib.suppress(nats.errors.Error, OSError):
        await nats.connect(f"nats://{NETLOC}", connect_timeout=1, max_reconnect_attempts=1, allow_reconnect=False)


def test_way():
    asyncio.run(main())

# %% aiosmtplib | aiosmtplib | needs=aiosmtplib
import aiosmtplib


async def main():
    with contextlib.suppress(aiosmtplib.SMTPException):
        await aiosmtplib.SMTP(hostname=HOST, port=PORT, timeout=1, local_hostname="here").connect()


def test_way():
    asyncio.run(main())

# %% ldap3 | ldap3 | needs=ldap3 | shown=0.0.0.0
import ldap3
import ldap3.core.exceptions

with contextlib.suppress(ldap3.core.exceptions.LDAPException):
    ldap3.Connection(ldap3.Server(HOST, PORT, connect_timeout=1), receive_timeout=1).bind()

# %% django-mail | Django's mail | needs=django
import django.conf
import django.core.mail

django.conf.settings.configure(EMAIL_HOST=HOST, EMAIL_PORT=PORT, EMAIL_TIMEOUT=1)
with contextlib.suppress(OSError):
    django.core.mail.get_connection("django.core.mail.backends.smtp.EmailBackend").open()

# %% django-mail-silent | Django's mail, with `fail_silently` | needs=django
import django.conf
import django.core.mail

django.conf.settings.configure(
    EMAIL_HOST=HOST, EMAIL_PORT=PORT, EMAIL_TIMEOUT=1, EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend"
)
django.core.mail.send_mail("hello", "hello", "a@b.example", ["c@d.example"], fail_silently=True)

# %% starlette-client | an application under Starlette's test client, that dials | needs=starlette httpx
import httpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient


async def home(request):
    async with httpx.AsyncClient(timeout=2) as client:
        await client.get(URL)
    return PlainTextResponse("hello")


def test_way():
    TestClient(Starlette(routes=[Route("/", home)])).get("/")

# %% starlette-sync-endpoint | an endpoint that Starlette runs in a thread | needs=starlette httpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient


def home(request):
    socket.create_connection(ADDRESS).close()
    return PlainTextResponse("hello")


def test_way():
    TestClient(Starlette(routes=[Route("/", home)]), raise_server_exceptions=False).get("/")

# %% starlette-background | a background task of a response | needs=starlette httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient


async def home(request):
    return PlainTextResponse("hello", background=BackgroundTask(socket.create_connection, ADDRESS))


def test_way():
    TestClient(Starlette(routes=[Route("/", home)]), raise_server_exceptions=False).get("/")

# %% flask-client | an application under Flask's test client, that dials | needs=flask
import flask

app = flask.Flask("app")


@app.route("/")
def home():
    socket.create_connection(ADDRESS).close()
    return "hello"


def test_way():
    assert app.test_client().get("/").status_code in {200, 500}

# %% fastapi-lifespan | an application's start, under a test client | needs=fastapi httpx
import fastapi
from fastapi.testclient import TestClient


@contextlib.asynccontextmanager
async def lifespan(app):
    _, writer = await asyncio.open_connection(HOST, PORT)
    writer.close()
    yield


def test_way():
    with TestClient(fastapi.FastAPI(lifespan=lifespan)):
        pass

# %% mock-wraps | a patch of `connect` that goes on to it
from unittest import mock

real = socket.socket.connect
with mock.patch.object(socket.socket, "connect", lambda self, address: real(self, address)):
    with socket.socket() as s:
        s.connect(ADDRESS)

# %% mock-create-connection | `create_connection` patched by one that goes on
from unittest import mock

with mock.patch("socket.create_connection", wraps=socket.create_connection) as fake:
    fake(ADDRESS).close()

# %% mock-getaddrinfo | a faked look-up that answers with the target | shown=localhost
from unittest import mock

answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ADDRESS)]
with mock.patch("socket.getaddrinfo", return_value=answer):
    socket.create_connection(("localhost", PORT)).close()

# %% mock-socket-class | `socket.socket` patched by a class of one's own
from unittest import mock


class Mine(socket.socket):
    pass


def test_way():
    with mock.patch("socket.socket", Mine):
        socket.create_connection(ADDRESS).close()
