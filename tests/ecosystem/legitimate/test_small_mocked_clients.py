"""Clients whose network somebody has replaced."""

import inspect
import json
import urllib.request
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

pytestmark = pytest.mark.small

URL = "https://api.example.com/thing"
PLAIN = "http://api.example.com/thing"
THING = {"name": "thing"}
CASSETTE = str(Path(__file__).with_name("cassette.yaml"))


def test_responses() -> None:
    responses = pytest.importorskip("responses")
    requests = pytest.importorskip("requests")
    with responses.RequestsMock() as mocked:
        mocked.get(URL, json=THING)
        assert requests.get(URL, timeout=5).json() == THING


def test_requests_mock() -> None:
    requests_mock = pytest.importorskip("requests_mock")
    requests = pytest.importorskip("requests")
    with requests_mock.Mocker() as mocked:
        mocked.get(URL, json=THING)
        assert requests.get(URL, timeout=5).json() == THING


def test_the_fixture_of_requests_mock(requests_mock: Any) -> None:
    requests = pytest.importorskip("requests")
    requests_mock.get(URL, json=THING)
    assert requests.get(URL, timeout=5).json() == THING


def test_respx(respx_mock: Any) -> None:
    httpx = pytest.importorskip("httpx")
    respx_mock.get(URL).respond(json=THING)
    assert httpx.get(URL).json() == THING


async def test_respx_with_an_async_client(respx_mock: Any) -> None:
    httpx = pytest.importorskip("httpx")
    respx_mock.get(URL).respond(json=THING)
    async with httpx.AsyncClient() as client:
        assert (await client.get(URL)).json() == THING


def test_pytest_httpx(httpx_mock: Any) -> None:
    httpx = pytest.importorskip("httpx")
    httpx_mock.add_response(url=URL, json=THING)
    assert httpx.get(URL).json() == THING


async def test_pytest_httpx_with_an_async_client(httpx_mock: Any) -> None:
    httpx = pytest.importorskip("httpx")
    httpx_mock.add_response(url=URL, json=THING)
    async with httpx.AsyncClient() as client:
        assert (await client.get(URL)).json() == THING


def test_transports_of_httpx() -> None:
    httpx = pytest.importorskip("httpx")
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json=THING))
    with httpx.Client(transport=transport) as client:
        assert client.get(URL).json() == THING


async def test_aioresponses() -> None:
    aioresponses = pytest.importorskip("aioresponses")
    aiohttp = pytest.importorskip("aiohttp")

    class Response(aiohttp.ClientResponse):  # type: ignore[misc, name-defined, unused-ignore]
        """Gives aiohttp 3.14 the argument that aioresponses 0.7.9 knows nothing of."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            parameters = inspect.signature(aiohttp.ClientResponse.__init__).parameters
            super().__init__(
                *args, **kwargs, **({"stream_writer": mock.Mock()} if "stream_writer" in parameters else {})
            )

    with aioresponses.aioresponses() as mocked:
        mocked.get(URL, payload=THING, response_class=Response)
        async with aiohttp.ClientSession() as session, session.get(URL) as answer:
            assert await answer.json() == THING


def test_httpretty() -> None:
    httpretty = pytest.importorskip("httpretty")
    with httpretty.enabled(allow_net_connect=False):
        httpretty.register_uri(httpretty.GET, PLAIN, body=json.dumps(THING))
        with urllib.request.urlopen(PLAIN, timeout=5) as answer:
            assert json.load(answer) == THING


def test_pook() -> None:
    pook = pytest.importorskip("pook")
    requests = pytest.importorskip("requests")
    with pook.use():
        pook.get(URL, reply=200, response_json=THING)
        assert requests.get(URL, timeout=5).json() == THING


def test_pook_under_urllib() -> None:
    pook = pytest.importorskip("pook")
    with pook.use():
        pook.get(PLAIN, reply=200, response_json=THING)
        with urllib.request.urlopen(PLAIN, timeout=5) as answer:
            assert json.load(answer) == THING


def test_replay_of_vcr_under_requests() -> None:
    vcr = pytest.importorskip("vcr")
    requests = pytest.importorskip("requests")
    with vcr.use_cassette(CASSETTE, record_mode="none") as cassette:
        assert requests.get(URL, timeout=5).json() == THING
    assert cassette.play_count == 1


def test_replay_of_vcr_under_httpx() -> None:
    vcr = pytest.importorskip("vcr")
    httpx = pytest.importorskip("httpx")
    with vcr.use_cassette(CASSETTE, record_mode="none"):
        assert httpx.get(URL).json() == THING


def test_replay_of_vcr_under_urllib() -> None:
    vcr = pytest.importorskip("vcr")
    with vcr.use_cassette(CASSETTE, record_mode="none"), urllib.request.urlopen(URL, timeout=5) as answer:
        assert json.load(answer) == THING


async def test_replay_of_vcr_under_aiohttp() -> None:
    vcr = pytest.importorskip("vcr")
    aiohttp = pytest.importorskip("aiohttp")
    with vcr.use_cassette(CASSETTE, record_mode="none"):
        async with aiohttp.ClientSession() as session, session.get(URL) as answer:
            assert await answer.json() == THING


def test_moto() -> None:
    moto = pytest.importorskip("moto")
    boto3 = pytest.importorskip("boto3")
    with moto.mock_aws():
        bucket = boto3.resource("s3").create_bucket(
            Bucket="things", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        bucket.put_object(Key="thing", Body=b"thing")
        assert bucket.Object("thing").get()["Body"].read() == b"thing"
        table = boto3.client("sqs").create_queue(QueueName="things")
        assert table["QueueUrl"].endswith("things")


def test_stubs_of_botocore() -> None:
    stub = pytest.importorskip("botocore.stub")
    boto3 = pytest.importorskip("boto3")
    client = boto3.client("sts")
    with stub.Stubber(client) as stubber:
        stubber.add_response("get_caller_identity", {"Account": "1"})
        assert client.get_caller_identity()["Account"] == "1"


def test_pytest_mock(mocker: Any) -> None:
    mocker.patch("urllib.request.urlopen", return_value=THING)
    assert urllib.request.urlopen(URL) == THING
    connect = mocker.patch("socket.create_connection")
    import http.client

    http.client.HTTPConnection("api.example.com").connect()
    connect.assert_called_once()


def test_a_mocked_redis(mocker: Any) -> None:
    redis = pytest.importorskip("redis")
    mocker.patch("redis.connection.Connection.connect")
    client = redis.Redis(host="cache.example.com")
    mocker.patch.object(client, "execute_command", return_value=b"1")
    assert client.get("key") == b"1"
