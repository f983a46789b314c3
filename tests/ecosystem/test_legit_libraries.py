"""Rule 9, with the libraries that people have: fakes and test clients, with every plugin there is, and with none."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]
    Outcomes = Callable[[pytest.RunResult], dict[str, set[str]]]

CASSETTE: Final = """
interactions:
- request: {body: null, headers: {}, method: GET, uri: 'https://api.example.com/users'}
  response:
    body: {string: '{"name": "ann"}'}
    headers: {Content-Type: [application/json], Content-Length: ['15']}
    status: {code: 200, message: OK}
version: 1
"""

# Every library is imported inside its test, so that what it does while it is imported is judged as well.
FAKES: Final = """
import asyncio, json, os, sys
import pytest

pytestmark = pytest.mark.small
URL = "https://api.example.com/users"
ANN = {"name": "ann"}
lib = pytest.importorskip


def read_urllib():
    import urllib.request
    with urllib.request.urlopen(URL, timeout=5) as answer:
        return json.loads(answer.read())


def read_urllib3():
    with lib("urllib3").PoolManager() as pool:
        return json.loads(pool.request("GET", URL, timeout=5).data)


def read_requests():
    return lib("requests").get(URL, timeout=5).json()


def read_httpx():
    return lib("httpx").get(URL, timeout=5).json()


def read_httpx_async():
    async def main():
        async with lib("httpx").AsyncClient() as client:
            return (await client.get(URL)).json()
    return asyncio.run(main())


def read_aiohttp():
    async def main():
        async with lib("aiohttp").ClientSession() as session, session.get(URL) as answer:
            return await answer.json()
    return asyncio.run(main())


CLIENTS = {f.__name__: f for f in (read_urllib, read_urllib3, read_requests, read_httpx, read_httpx_async, read_aiohttp)}


def by(*names):
    return pytest.mark.parametrize("read", [pytest.param(CLIENTS[name], id=name) for name in names])


def test_responses():
    responses = lib("responses")
    with responses.RequestsMock() as mock:
        mock.get(URL, json=ANN)
        assert read_requests() == ANN


def test_responses_that_do_not_answer():
    responses, requests = lib("responses"), lib("requests")
    with responses.RequestsMock(assert_all_requests_are_fired=False), pytest.raises(requests.ConnectionError):
        requests.get("https://other.example/", timeout=5)


def test_requests_mock():
    lib("requests")
    with lib("requests_mock").Mocker() as mock:
        mock.get(URL, json=ANN)
        assert read_requests() == ANN


@by("read_httpx", "read_httpx_async")
def test_respx(read):
    with lib("respx").mock as mock:
        mock.get(URL).respond(json=ANN)
        assert read() == ANN


def test_aioresponses():
    import inspect
    from unittest.mock import Mock
    aiohttp = lib("aiohttp")

    class Response(aiohttp.ClientResponse):
        def __init__(self, *args, **kwargs):
            if "stream_writer" in inspect.signature(aiohttp.ClientResponse).parameters:
                kwargs.setdefault("stream_writer", Mock())  # aiohttp 3.14 wants it, aioresponses 0.7.9 has none
            super().__init__(*args, **kwargs)

    with lib("aioresponses").aioresponses() as mock:
        mock.get(URL, payload=ANN, response_class=Response)
        assert read_aiohttp() == ANN


@by(*(["read_urllib"] if sys.version_info < (3, 14) else []), "read_urllib3", "read_requests")
def test_httpretty(read, monkeypatch):
    httpretty = lib("httpretty")
    # httpretty 1.1.4 answers https of http.client no more from CPython 3.14 on (findings has it).
    # urllib3 2.3 and later shut a socket down; httpretty 1.1.4 has that only for real ones.
    monkeypatch.setattr(httpretty.core.fakesock.socket, "shutdown", lambda self, how: None, raising=False)
    with httpretty.enabled(allow_net_connect=False, verbose=False):
        httpretty.register_uri(httpretty.GET, URL, body=json.dumps(ANN), content_type="application/json")
        assert read() == ANN
        assert httpretty.last_request().path == "/users"


@by("read_urllib", "read_urllib3", "read_requests", "read_httpx")  # pook 2.1.6 does not know aiohttp 3.14
def test_pook(read):
    pook = lib("pook")
    with pook.use():
        pook.get(URL).reply(200).json(ANN)
        assert read() == ANN
        assert pook.isdone()


@by(*CLIENTS)
def test_vcr(read):
    vcr = lib("vcr")
    with vcr.use_cassette("users.yaml", record_mode="none") as cassette:
        assert read() == ANN
        assert cassette.play_count == 1


@pytest.fixture
def credentials(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


def test_moto(credentials):
    boto3, moto = lib("boto3"), lib("moto")
    with moto.mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="books", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        s3.put_object(Bucket="books", Key="k", Body=b"x")
        assert s3.get_object(Bucket="books", Key="k")["Body"].read() == b"x"
        sqs = boto3.resource("sqs")
        queue = sqs.create_queue(QueueName="q")
        queue.send_message(MessageBody="hello")
        assert [message.body for message in queue.receive_messages()] == ["hello"]


def test_botocore_stub(credentials):
    session, stub = lib("botocore.session"), lib("botocore.stub")
    client = session.get_session().create_client("s3")
    with stub.Stubber(client) as stubber:
        stubber.add_response("list_buckets", {"Buckets": [{"Name": "books"}]})
        assert client.list_buckets()["Buckets"][0]["Name"] == "books"


def test_starlette_client():
    lib("httpx")
    applications, routing = lib("starlette.applications"), lib("starlette.routing")
    responses, testclient = lib("starlette.responses"), lib("starlette.testclient")

    async def users(request):
        await asyncio.sleep(0)
        return responses.JSONResponse(ANN)

    async def echo(websocket):
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    app = applications.Starlette(routes=[routing.Route("/users", users), routing.WebSocketRoute("/echo", echo)])
    with testclient.TestClient(app) as client:
        assert client.get("/users").json() == ANN
        with client.websocket_connect("/echo") as websocket:
            websocket.send_text("hello")
            assert websocket.receive_text() == "hello"


def test_fastapi_client():
    lib("httpx")
    fastapi, testclient = lib("fastapi"), lib("fastapi.testclient")
    app = fastapi.FastAPI()

    @app.get("/users")
    def users() -> dict[str, str]:  # run in a thread, since it is no coroutine
        return ANN

    @app.get("/later")
    async def later(tasks: fastapi.BackgroundTasks) -> dict[str, str]:
        tasks.add_task(seen.append, 1)
        return ANN

    seen = []
    with testclient.TestClient(app) as client:
        assert client.get("/users").json() == ANN
        assert client.get("/later").json() == ANN
    assert seen == [1]


def test_asgi_transport():
    httpx, applications, routing = lib("httpx"), lib("starlette.applications"), lib("starlette.routing")
    responses = lib("starlette.responses")

    async def users(request):
        return responses.JSONResponse(ANN)

    async def main():
        app = applications.Starlette(routes=[routing.Route("/users", users)])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return (await client.get("/users")).json()

    assert asyncio.run(main()) == ANN


def test_flask_client():
    flask = lib("flask")
    app = flask.Flask("app")
    app.get("/users")(lambda: flask.jsonify(ANN))
    with app.test_client() as client:
        assert client.get("/users").get_json() == ANN


def test_django_clients():
    django, conf = lib("django"), lib("django.conf")
    if not conf.settings.configured:
        conf.settings.configure(
            ALLOWED_HOSTS=["testserver"],
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
            EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend",
            ROOT_URLCONF=__name__,
        )
        django.setup()
    from django.core import mail
    from django.http import JsonResponse
    from django.test import AsyncClient, Client
    from django.urls import path

    def users(request):
        mail.send_mail("s", "b", "a@example.com", ["b@example.com"])
        return JsonResponse(ANN)

    mail.outbox = []
    globals()["urlpatterns"] = [path("users", users)]
    assert Client().get("/users").json() == ANN

    async def main():
        return (await AsyncClient().get("/users")).json()

    assert asyncio.run(main()) == ANN
"""

FIXTURES: Final = """
import asyncio
import pytest

pytestmark = pytest.mark.small
URL = "https://api.example.com/users"
ANN = {"name": "ann"}


def test_pytest_httpx(httpx_mock):
    httpx = pytest.importorskip("httpx")
    httpx_mock.add_response(url=URL, json=ANN, is_reusable=True)
    assert httpx.get(URL).json() == ANN

    async def main():
        async with httpx.AsyncClient() as client:
            return (await client.get(URL)).json()

    assert asyncio.run(main()) == ANN


def test_pytest_mock(mocker):
    import socket
    connect = mocker.patch("socket.socket.connect")
    lookup = mocker.patch("socket.getaddrinfo", return_value=[(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("198.51.100.1", 80))])
    socket.create_connection(("api.example.com", 80)).close()
    connect.assert_called_once_with(("198.51.100.1", 80))
    lookup.assert_called_once()


def test_requests_mock_fixture(requests_mock):
    import requests
    requests_mock.get(URL, json=ANN)
    assert requests.get(URL).json() == ANN


def test_respx_fixture(respx_mock):
    import httpx
    respx_mock.get(URL).respond(json=ANN)
    assert httpx.get(URL).json() == ANN
"""


# What a test's own fakes of the system stand in for is not what the guard itself asks the system for.
SYSTEMS: Final = """
import asyncio, os, socket, subprocess, sys
import pytest

lib = pytest.importorskip


@pytest.fixture
def nothing_blocks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with lib("blockbuster").blockbuster_ctx() as found:
        yield found


async def talk(server, connect):
    reader, writer = await connect
    writer.write(b"ping")
    await writer.drain()
    writer.close()
    server.close()


@pytest.mark.small
def test_blockbuster_small(nothing_blocks):
    async def main():
        await asyncio.get_running_loop().getaddrinfo("localhost", 80)
        server = await asyncio.start_unix_server(lambda r, w: w.close(), "a.sock")
        await talk(server, asyncio.open_unix_connection("a.sock"))
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
        assert await child.wait() == 0
    asyncio.run(main())


@pytest.mark.medium
def test_blockbuster_medium(nothing_blocks):
    async def main():
        server = await asyncio.start_server(lambda r, w: w.close(), "localhost", 0)
        await talk(server, asyncio.open_connection("localhost", server.sockets[0].getsockname()[1]))
    asyncio.run(main())


@pytest.mark.small
def test_blockbuster_first_task_that_a_file_makes(nothing_blocks):
    for name in ("shop.py", "/srv/app/shop.py"):
        made = {"asyncio": asyncio}
        exec(compile("async def main(): await asyncio.create_task(asyncio.sleep(0))", name, "exec"), made)
        asyncio.run(made["main"]())


@pytest.mark.small
def test_blockbuster_still_forbids(nothing_blocks):
    async def main():
        os.stat(".")
    with pytest.raises(lib("blockbuster").BlockingError):
        asyncio.run(main())


@pytest.mark.small
def test_pyfakefs_small(request):
    lib("pyfakefs")
    fs = request.getfixturevalue("fs")
    fs.create_file("/only/here", contents="ann")
    assert os.listdir("/only") == ["here"]
    assert socket.getaddrinfo("localhost", 80)
    here, there = socket.socketpair()
    here.sendall(b"ping")
    assert there.recv(4) == b"ping"
    here.close(), there.close()
    assert subprocess.run([sys.executable, "-c", "pass"]).returncode == 0
    assert open("/only/here").read() == "ann"


@pytest.mark.medium
def test_pyfakefs_medium(request):
    lib("pyfakefs")
    request.getfixturevalue("fs")
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1])).close()
"""


@pytest.fixture
def run_installed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest in strict mode with every plugin that is installed, ours among them."""

    def run(*args: str, workers: int = 0) -> pytest.RunResult:
        monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)
        if not any(entry.name == "test_categories" for entry in importlib.metadata.entry_points(group="pytest11")):
            pytest.skip("the plugin is not installed: it can't be loaded of itself")
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly"]
        command += ["-p", "no:asyncio-cooperative"]  # 0.40.0 tells xdist of tests in the order in which they end
        command += ["--test-categories-enforcement=strict", *(["-n", str(workers)] if workers else [])]
        return pytester.run(*command, *args, timeout=180)

    return run


def _all_work(result: pytest.RunResult, outcomes: dict[str, set[str]], *sources: str) -> None:
    """Check that every test of the sources passed, or was skipped for want of its library."""
    written = {name for source in sources for name in re.findall(r"^def (test_\w+)", source, re.MULTILINE)}
    assert {name.partition("[")[0] for name in outcomes} == written
    assert {name for name, words in outcomes.items() if not words <= {"PASSED", "SKIPPED"}} == set()
    skipped = [line for line in result.outlines if line.startswith("SKIPPED [")]
    assert [line for line in skipped if "could not import" not in line and "here" not in line] == []
    assert "violation" not in result.stdout.str().lower()
    assert result.ret == 0


@pytest.fixture
def cassette(pytester: pytest.Pytester) -> None:
    """Put a VCR.py recording where the inner tests look for it."""
    pytester.path.joinpath("users.yaml").write_text(CASSETTE, encoding="utf-8")


@pytest.mark.usefixtures("cassette")
def test_fakes_and_test_clients_work_in_small_tests_with_every_plugin_loaded(
    pytester: pytest.Pytester, run_installed: Run, outcomes: Outcomes
) -> None:
    sources = {"test_fakes": FAKES}
    if all(map(importlib.util.find_spec, ("pytest_httpx", "pytest_mock", "requests_mock", "respx"))):
        sources["test_fixtures"] = FIXTURES
    pytester.makepyfile(**sources)
    result = run_installed("-v", "-rs", workers=2)
    _all_work(result, outcomes(result), *sources.values())


@pytest.mark.usefixtures("cassette")
def test_fakes_and_test_clients_work_in_small_tests_that_import_them_first(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes
) -> None:
    pytester.makepyfile(test_fakes=FAKES)
    result = run_pytest("-v", "-rs", timeout=180)
    _all_work(result, outcomes(result), FAKES)


@pytest.mark.parametrize("options", [(), ("--network-report=report.json",)], ids=["", "report"])
def test_fakes_of_the_system_do_not_meet_what_the_guard_asks_it_for(
    pytester: pytest.Pytester, run_installed: Run, outcomes: Outcomes, options: tuple[str, ...]
) -> None:
    pytester.makepyfile(test_systems=SYSTEMS)
    result = run_installed("-v", "-rs", *options)
    _all_work(result, outcomes(result), SYSTEMS)
