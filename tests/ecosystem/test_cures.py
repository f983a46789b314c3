"""Each cure that the report names is tried with the client that it is named for, at the release that is installed."""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING, Final

from pytest_test_categories._rules.advice import CURES

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    Run = Callable[..., pytest.RunResult]
    Outcomes = Callable[[pytest.RunResult], dict[str, set[str]]]

BY_HAND: Final = (
    "a fake client",
    "a fake producer or consumer",
    "a fake repository",
    "a fake stub",
    "a local HTTP server",
    "a local server",
    "a server in this process",
    "a stubbed client",
    "manual patching",
)
"""Cures that name no library: what a test does itself, or what medium is for."""

# A test for each cure and client: test_CLIENT__CURE, with what else a name holds as underscores.
TRIED: Final = """
import asyncio, json, os, sys
import pytest

URL = "https://api.example.com/users"
ANN = {"name": "ann"}
lib = pytest.importorskip


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    (tmp_path / "users.yaml").write_text('''
interactions:
- request: {body: null, headers: {}, method: GET, uri: 'https://api.example.com/users'}
  response:
    body: {string: '{"name": "ann"}'}
    headers: {Content-Type: [application/json], Content-Length: ['15']}
    status: {code: 200, message: OK}
version: 1
''')
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


async def ask_aiohttp():
    async with lib("aiohttp").ClientSession() as session, session.get(URL) as answer:
        return await answer.json()


def pooked(read):
    pook = lib("pook")
    with pook.use():
        pook.get(URL).reply(200).json(ANN)
        assert read() == ANN


def replayed(read):
    with lib("vcr").use_cassette("users.yaml", record_mode="none"):
        assert read() == ANN


@pytest.mark.small
def test_aiohttp__vcrpy():
    replayed(lambda: asyncio.run(ask_aiohttp()))


@pytest.mark.medium
def test_aiohttp__aiointercept():
    intercept = lib("aiointercept")
    async def main():
        async with intercept.aiointercept(mock_external_urls=True) as mock:
            mock.get(URL, payload=ANN)
            return await ask_aiohttp()
    assert asyncio.run(main()) == ANN


@pytest.mark.medium
def test_aiobotocore__moto_s_server():
    session, server = lib("aiobotocore.session"), lib("moto.server").ThreadedMotoServer(port=0)
    server.start()
    try:
        async def main():
            where = "http://%s:%s" % server.get_host_and_port()
            async with session.get_session().create_client("s3", endpoint_url=where) as s3:
                return await s3.list_buckets()
        assert asyncio.run(main())["Buckets"] == []
    finally:
        server.stop()


def bucket(boto):
    with lib("moto").mock_aws():
        s3 = boto("s3")
        s3.create_bucket(Bucket="books", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        assert [found["Name"] for found in s3.list_buckets()["Buckets"]] == ["books"]


@pytest.mark.small
def test_boto3__moto():
    bucket(lib("boto3").client)


@pytest.mark.small
def test_botocore__moto():
    bucket(lib("botocore.session").get_session().create_client)


@pytest.mark.small
def test_http_client__pook():
    import http.client
    def read():
        connection = http.client.HTTPSConnection("api.example.com", timeout=5)
        connection.request("GET", "/users")
        return json.loads(connection.getresponse().read())
    pooked(read)


@pytest.mark.small
def test_urllib__pook():
    import urllib.request
    pooked(lambda: json.loads(urllib.request.urlopen(URL, timeout=5).read()))


@pytest.mark.small
def test_urllib3__pook():
    pooked(lambda: json.loads(lib("urllib3").PoolManager().request("GET", URL, timeout=5, retries=False).data))


@pytest.mark.small
def test_httpcore__respx():
    httpcore = lib("httpcore")
    with lib("respx").mock as mock:
        mock.get(URL).respond(json=ANN)
        assert json.loads(httpcore.request("GET", URL).content) == ANN


@pytest.mark.small
def test_httpx__respx():
    httpx = lib("httpx")
    async def main():
        async with httpx.AsyncClient() as client:
            return (await client.get(URL)).json()
    with lib("respx").mock as mock:
        mock.get(URL).respond(json=ANN)
        assert httpx.get(URL).json() == asyncio.run(main()) == ANN


@pytest.mark.small
def test_httpx__pytest_httpx(request):
    lib("pytest_httpx")
    httpx, mock = lib("httpx"), request.getfixturevalue("httpx_mock")
    mock.add_response(url=URL, json=ANN)
    assert httpx.get(URL).json() == ANN


@pytest.mark.small
def test_requests__responses():
    requests = lib("requests")
    with lib("responses").RequestsMock() as mock:
        mock.get(URL, json=ANN)
        assert requests.get(URL, timeout=5).json() == ANN


@pytest.mark.small
def test_requests__requests_mock():
    requests = lib("requests")
    with lib("requests_mock").Mocker() as mock:
        mock.get(URL, json=ANN)
        assert requests.get(URL, timeout=5).json() == ANN


@pytest.mark.small
def test_tornado__vcrpy():
    client = lib("tornado.httpclient")
    async def main():
        return json.loads((await client.AsyncHTTPClient().fetch(URL)).body)
    replayed(lambda: asyncio.run(main()))


async def through_aiosmtpd(send):
    seen = []
    class Handler:
        async def handle_DATA(self, server, session, envelope):
            seen.append(envelope.rcpt_tos)
            return "250 OK"
    smtp = lib("aiosmtpd.smtp")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: smtp.SMTP(Handler(), loop=loop), "127.0.0.1", 0)
    async with server:
        await send(server.sockets[0].getsockname()[1])
    assert seen == [["ada@example.com"]]


@pytest.mark.medium
def test_smtplib__a_local_aiosmtpd():
    import smtplib
    def send(port):
        with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
            client.sendmail("shop@example.com", ["ada@example.com"], "Subject: hello")
    asyncio.run(through_aiosmtpd(lambda port: asyncio.to_thread(send, port)))


@pytest.mark.medium
def test_aiosmtplib__a_local_aiosmtpd():
    client = lib("aiosmtplib")
    def send(port):
        return client.send(
            "Subject: hello", sender="shop@example.com", recipients=["ada@example.com"], hostname="127.0.0.1", port=port
        )
    asyncio.run(through_aiosmtpd(send))


@pytest.mark.medium
def test_confluent_kafka__test_mock_num_brokers():
    kafka = lib("confluent_kafka")
    producer = kafka.Producer({"bootstrap.servers": "127.0.0.1:9", "test.mock.num.brokers": 1})
    told = []
    producer.produce("things", b"one", callback=lambda error, message: told.append(error))
    producer.flush(20)
    assert told == [None]


@pytest.mark.small
def test_deltalake__a_table_in_tmp_path(tmp_path):
    deltalake, pyarrow = lib("deltalake"), lib("pyarrow")
    deltalake.write_deltalake(str(tmp_path / "t"), pyarrow.table({"x": [1, 2]}))
    assert deltalake.DeltaTable(str(tmp_path / "t")).version() == 0


@pytest.mark.small
def test_duckdb__files_of_tmp_path(tmp_path):
    duckdb = lib("duckdb")
    (tmp_path / "t.csv").write_text("x\\n1\\n2\\n")
    assert duckdb.connect().execute(f"select sum(x) from '{tmp_path}/t.csv'").fetchone() == (3,)


@pytest.mark.small
def test_grpc__grpc_testing():
    lib("grpc")
    testing = lib("grpc_testing")
    channel = testing.channel([], testing.strict_real_time())
    call = channel.unary_unary("/things.Things/Get")
    assert call is not None


@pytest.mark.small
def test_obstore__obstore_store_MemoryStore():
    obstore = lib("obstore")
    store = lib("obstore.store").MemoryStore()
    obstore.put(store, "a", b"one")
    assert bytes(obstore.get(store, "a").bytes()) == b"one"


@pytest.mark.small
def test_polars__files_of_tmp_path(tmp_path):
    polars = lib("polars")
    (tmp_path / "t.csv").write_text("x\\n1\\n2\\n")
    assert polars.scan_csv(tmp_path / "t.csv").collect()["x"].sum() == 3


@pytest.mark.small
def test_pyarrow__pyarrow_fs_LocalFileSystem_and_tmp_path(tmp_path):
    files = lib("pyarrow.fs").LocalFileSystem()
    with files.open_output_stream(str(tmp_path / "t")) as stream:
        stream.write(b"one")
    assert files.get_file_info(str(tmp_path / "t")).size == 3


@pytest.mark.small
def test_pygit2__a_repository_in_tmp_path(tmp_path):
    pygit2 = lib("pygit2")
    pygit2.init_repository(tmp_path / "one")
    copy = pygit2.clone_repository(str(tmp_path / "one"), str(tmp_path / "two"))
    assert copy.remotes["origin"].fetch().received_objects == 0


@pytest.mark.small
def test_redis__fakeredis():
    lib("redis")
    client = lib("fakeredis").FakeStrictRedis()
    client.set("a", "one")
    assert client.get("a") == b"one"


@pytest.mark.small
def test_temporalio__temporalio_testing():
    lib("temporalio")
    activity = lib("temporalio.activity")
    @activity.defn
    def greet(name: str) -> str:
        return "hello " + name
    assert lib("temporalio.testing").ActivityEnvironment().run(greet, "ann") == "hello ann"


@pytest.mark.small
def test_zmq__inproc_endpoints():
    zmq = lib("zmq")
    with zmq.Context() as context, context.socket(zmq.PAIR) as here, context.socket(zmq.PAIR) as there:
        here.bind("inproc://things")
        there.connect("inproc://things")
        here.send(b"one")
        assert there.recv() == b"one"
"""


def _named() -> set[str]:
    """Return each cure that names a library, with its client, as the test of it is called."""
    found = set()
    for client, cure in CURES.items():
        for part in re.split(r", or |, | or ", cure.replace(" and @pytest.mark.medium", "")):
            if not any(part in known for known in BY_HAND):
                found.add("test_" + "__".join(re.sub(r"\W+", "_", name).strip("_") for name in (client, part)))
    return found


def test_every_cure_is_tried() -> None:
    assert set(re.findall(r"^def (test_\w+)", TRIED, re.MULTILINE)) == _named()


def test_each_cure_works_at_the_current_release(pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes) -> None:
    pytester.makepyfile(test_tried=TRIED)
    plugins = ("pytest_httpx",) if importlib.util.find_spec("pytest_httpx") else ()
    result = run_pytest("-v", "-rs", "-Wignore", plugins=plugins)
    found = outcomes(result)
    assert {name: words for name, words in found.items() if not words <= {"PASSED", "SKIPPED"}} == {}
    assert set(found) == _named()
    assert [line for line in result.outlines if line.startswith("SKIPPED [") and "could not import" not in line] == []
    result.stdout.no_fnmatch_line("*network violations*")
