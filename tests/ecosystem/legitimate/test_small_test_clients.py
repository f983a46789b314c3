"""Test clients of web frameworks: the application runs in this process."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

pytestmark = pytest.mark.small


def _asgi_application() -> Any:
    pytest.importorskip("httpx")
    starlette = pytest.importorskip("starlette.applications")
    responses = pytest.importorskip("starlette.responses")
    routing = pytest.importorskip("starlette.routing")
    started = []

    @asynccontextmanager
    async def lifespan(_application: Any) -> AsyncIterator[None]:
        started.append(True)
        yield

    async def home(_request: Any) -> Any:
        return responses.PlainTextResponse(f"home {len(started)}")

    def blocking(_request: Any) -> Any:
        return responses.PlainTextResponse("from a thread")

    async def echo(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    routes = [
        routing.Route("/", home),
        routing.Route("/blocking", blocking),
        routing.WebSocketRoute("/echo", echo),
    ]
    return starlette.Starlette(routes=routes, lifespan=lifespan)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_starlette(backend: str) -> None:
    pytest.importorskip(backend)
    application = _asgi_application()
    testclient = pytest.importorskip("starlette.testclient")
    with testclient.TestClient(application, backend=backend) as client:
        assert client.get("/").text == "home 1"
        assert client.get("/blocking").text == "from a thread"
        with client.websocket_connect("/echo") as websocket:
            websocket.send_text("hello")
            assert websocket.receive_text() == "hello"


async def test_httpx_in_front_of_an_asgi_application() -> None:
    application = _asgi_application()
    httpx = pytest.importorskip("httpx")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://app.example") as client:
        assert (await client.get("/")).text == "home 0"


def test_fastapi() -> None:
    fastapi = pytest.importorskip("fastapi")
    testclient = pytest.importorskip("fastapi.testclient")
    application = fastapi.FastAPI()
    opened = []

    def session() -> Iterator[str]:
        opened.append("opened")
        yield "session"
        opened.append("closed")

    @application.get("/thing/{number}")
    def thing(number: int, session: str = fastapi.Depends(session)) -> dict[str, object]:
        return {"number": number, "session": session}

    with testclient.TestClient(application) as client:
        assert client.get("/thing/1").json() == {"number": 1, "session": "session"}
    assert opened == ["opened", "closed"]


def test_flask() -> None:
    flask = pytest.importorskip("flask")
    application = flask.Flask(__name__)

    @application.get("/")
    def home() -> str:
        return "home"

    with application.test_client() as client:
        assert client.get("/").text == "home"


def test_django() -> None:
    django = pytest.importorskip("django")
    from django.conf import settings

    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend",
        ROOT_URLCONF="django_urls",
    )
    django.setup()
    from django.db import connection
    from django.test import Client

    assert Client().get("/").content == b"home"
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    connection.close()


def test_werkzeug() -> None:
    test = pytest.importorskip("werkzeug.test")
    wrappers = pytest.importorskip("werkzeug.wrappers")
    application = wrappers.Request.application(lambda _request: wrappers.Response("home"))
    assert test.Client(application).get("/").text == "home"
