"""What a refused client was about to ask for: each client the real library, refused before anything is sent."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.client
import importlib
import os
import smtplib
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from pytest_test_categories import network_guard
from pytest_test_categories._attribution import client_requests, origin, stack
from pytest_test_categories._rules.fakes import API_CALL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType, ModuleType

URL = "https://me:s3cr3t@198.51.100.1/users/7?page=s3cr3t#s3cr3t"
SHOWN = "https://198.51.100.1/users/7?page=..."


def lib(name: str) -> Any:
    """Return a library; the tests of the network's layers do not need it."""
    return pytest.importorskip(name)


def refused(call: Callable[[], object]) -> str:
    """Return the request of what a small guard refuses."""
    with contextlib.suppress(Exception), network_guard("small", "strict") as guard:
        call()
    assert guard.violations
    return guard.violations[0].request


async def _aiohttp() -> None:
    async with lib("aiohttp").ClientSession() as session:
        await session.put("https://198.51.100.1/users/7", params={"page": "s3cr3t"})


async def _aiohttp_by_name() -> None:
    async with lib("aiohttp").ClientSession() as session:
        await session.get("https://api.example.com/users/7?page=s3cr3t")


async def _httpx() -> None:
    async with lib("httpx").AsyncClient() as client:
        await client.patch(URL)


async def _httpcore() -> None:
    async with lib("httpcore").AsyncConnectionPool() as pool:
        await pool.request("GET", URL)


class Choosing(urllib.request.Request):
    """A request of the project's own, which chooses its method by a function."""

    def get_method(self) -> str:
        return "PURGE"


def _by_hand() -> None:
    connection = http.client.HTTPSConnection("198.51.100.1")
    connection.putrequest("PROPFIND", "/users/7?page=s3cr3t")
    connection.endheaders()


def _through_a_proxy() -> None:
    connection = http.client.HTTPSConnection("198.51.100.9", 3128)
    connection.set_tunnel("198.51.100.1")
    connection.request("GET", "/users/7?page=s3cr3t")


def _boto(service: str, operation: str, **arguments: object) -> None:
    client = lib("boto3").client(
        service, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="s3cr3t"
    )
    getattr(client, operation)(**arguments)


def _aiobotocore() -> None:
    async def ask() -> None:
        session = lib("aiobotocore.session").get_session()
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "s3cr3t"}
        async with session.create_client("sqs", region_name="eu-west-1", **keys) as client:
            await client.list_queues()

    asyncio.run(ask())


def _pipeline() -> None:
    pipeline = lib("redis").Redis("198.51.100.1").pipeline()
    pipeline.get("s3cr3t")
    pipeline.execute()


@pytest.mark.parametrize(
    ("call", "request_"),
    [
        pytest.param(lambda: lib("requests").get(URL), f"GET {SHOWN}", id="requests"),
        pytest.param(
            lambda: lib("requests").Session().post("http://198.51.100.1", params={"q": "s3cr3t"}),
            "POST http://198.51.100.1/?q=...",
            id="requests-session",
        ),
        pytest.param(lambda: lib("httpx").delete(URL), f"DELETE {SHOWN}", id="httpx"),
        pytest.param(lambda: asyncio.run(_httpx()), f"PATCH {SHOWN}", id="httpx-async"),
        pytest.param(lambda: lib("httpcore").request("GET", URL), f"GET {SHOWN}", id="httpcore"),
        pytest.param(lambda: asyncio.run(_httpcore()), f"GET {SHOWN}", id="httpcore-async"),
        pytest.param(lambda: asyncio.run(_aiohttp()), f"PUT {SHOWN}", id="aiohttp"),
        pytest.param(
            lambda: asyncio.run(_aiohttp_by_name()),
            "GET https://api.example.com/users/7?page=...",
            id="aiohttp-in-a-task-of-its-own",
        ),
        pytest.param(lambda: urllib.request.urlopen(SHOWN.replace("...", "s3cr3t")), f"GET {SHOWN}", id="urllib"),
        pytest.param(
            lambda: urllib.request.urlopen(urllib.request.Request(SHOWN, b"s3cr3t")), f"POST {SHOWN}", id="urllib-data"
        ),
        pytest.param(
            lambda: urllib.request.urlopen(urllib.request.Request(SHOWN, method="PUT")), f"PUT {SHOWN}", id="urllib-put"
        ),
        pytest.param(lambda: urllib.request.urlopen(Choosing(SHOWN)), f"PURGE {SHOWN}", id="urllib-own-class"),
        pytest.param(lambda: lib("urllib3").request("GET", URL, retries=False), f"GET {SHOWN}", id="urllib3"),
        pytest.param(
            lambda: lib("urllib3").HTTPConnectionPool("198.51.100.1", 8080).urlopen("HEAD", "/users/7?page=s3cr3t"),
            "HEAD http://198.51.100.1:8080/users/7?page=...",
            id="urllib3-pool",
        ),
        pytest.param(_by_hand, f"PROPFIND {SHOWN}", id="http.client-by-hand"),
        pytest.param(_through_a_proxy, f"GET {SHOWN}", id="http.client-tunnel"),
        pytest.param(lambda: http.client.HTTPConnection("198.51.100.1").connect(), "", id="http.client-no-request"),
        pytest.param(lambda: _boto("s3", "get_object", Bucket="b", Key="s3cr3t"), "s3 GetObject", id="boto3"),
        pytest.param(lambda: _boto("sqs", "list_queues"), "sqs ListQueues", id="boto3-sqs"),
        pytest.param(_aiobotocore, "sqs ListQueues", id="aiobotocore"),
        pytest.param(lambda: lib("redis").Redis("198.51.100.1").get("s3cr3t"), "redis GET", id="redis"),
        pytest.param(
            lambda: lib("redis").Redis("198.51.100.1").execute_command("get secret"), "redis GET", id="redis-by-hand"
        ),
        pytest.param(_pipeline, "redis EXEC", id="redis-pipeline"),
        pytest.param(
            lambda: asyncio.run(lib("redis.asyncio").Redis(host="198.51.100.1").set("s3cr3t", "s3cr3t")),
            "redis.asyncio SET",
            id="redis-async",
        ),
        pytest.param(lambda: smtplib.SMTP("198.51.100.1"), "", id="smtplib"),
    ],
)
def test_a_refused_client_tells_what_it_was_about_to_ask_for(call: Callable[[], object], request_: str) -> None:
    text = refused(call)
    assert "s3cr3t" not in text
    assert text == request_


def test_whatever_stands_where_a_request_should_no_error_leaves_the_reader() -> None:
    class Hostile:
        def __getattr__(self, name: str) -> object:
            raise RuntimeError(name)

        def __str__(self) -> str:
            raise RuntimeError

    for _client, reader in client_requests._READERS.values():
        for value in (None, Hostile(), b"x", "\ud800", (), 7):
            frame = _frame_with(request=value, req=value, method=value, url=value, self=value, msg=value, args=value)
            assert client_requests.request_in({"x": (reader, frame)}) in {"", "redis EXEC"}


def _frame_with(**held: object) -> FrameType:
    found: dict[str, FrameType] = {}
    names = ", ".join(held)
    made: dict[str, Any] = {"keep": lambda frame: found.update(f=frame), "sys": sys}
    exec(f"def f({names}): keep(sys._getframe())", made)
    made["f"](**held)
    return found["f"]


# -- what a fake can replace -------------------------------------------------------------------------------------------

RATES = """
import functools
import pytest
from contextlib import contextmanager

def decorated(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper

def fetch(then): return then()
def fetch_too(then): return then()
async def fetch_async(then): return then()
@decorated
def fetch_decorated(then): return then()
def rows(then): yield then()
def total(then): return next(rows(then))
def inner(then):
    def ask(): return then()
    return ask()

@pytest.fixture
def fixed(then): return then()

class Rates:
    def fetch(self, then): return then()
    @staticmethod
    def of_today(then): return then()
    @classmethod
    def latest(cls, then): return then()
    @property
    def value(self): return self.then()

class Opened:
    def __init__(self, then): self.made = then()

class Lazy:
    def __call__(self, then): return then()

lazy = Lazy()

class Holder:
    def open(self, then): return Opened(then).made
"""

TEST = """
import inspect
import rates_of_tests as rates
from rates_of_tests import fetch, fetch_decorated as fetched

def named(then): return fetch(then)
def named_decorated(then): return fetched(then)
def by_module(then): return rates.fetch_too(then)
def coroutine(then):
    try:
        rates.fetch_async(then).send(None)
    except StopIteration as end:
        return end.value
def generator(then): return rates.total(then)
def inner(then): return rates.inner(then)
def method(then): return rates.Rates().fetch(then)
def static(then): return rates.Rates.of_today(then)
def of_class(then): return rates.Rates.latest(then)
def makes(then): return rates.Holder().open(then)
def calls(then): return rates.lazy(then)
def directly(then): return then()
def by_fixture(then): return inspect.unwrap(rates.fixed)(then)
def property_(then):
    made = rates.Rates()
    made.then = then
    return made.value
"""


@pytest.fixture
def tests_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Import a module of tests and the one that it tests, as files of a project."""
    (tmp_path / "rates_of_tests.py").write_text(RATES, encoding="utf-8")
    (tmp_path / "test_of_rates.py").write_text(TEST, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("test_of_rates")
    for name in ("rates_of_tests", "test_of_rates"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("way", "path"),
    [
        pytest.param("named", ".fetch", id="a name of the test's module"),
        pytest.param("named_decorated", ".fetched", id="a decorated name of the test's module"),
        pytest.param("by_module", "rates_of_tests.fetch_too", id="a name of its own module"),
        pytest.param("coroutine", "async rates_of_tests.fetch_async", id="a coroutine function"),
        pytest.param("generator", "rates_of_tests.total", id="what asks a generator"),
        pytest.param("inner", "rates_of_tests.inner", id="what holds a function"),
        pytest.param("method", "rates_of_tests.Rates.fetch", id="a method"),
        pytest.param("static", "rates_of_tests.Rates.of_today", id="a static method"),
        pytest.param("of_class", "rates_of_tests.Rates.latest", id="a class method"),
        pytest.param("makes", "class rates_of_tests.Opened", id="what connects when it is made"),
        pytest.param("calls", "", id="an object that is called"),
        pytest.param("property_", "", id="a property"),
        pytest.param("by_fixture", "", id="a fixture"),
        pytest.param("directly", "", id="the test itself"),
    ],
)
def test_the_function_to_replace_is_named_where_its_caller_finds_it(
    tests_module: ModuleType, way: str, path: str
) -> None:
    file = str(tests_module.__file__)
    trace = getattr(tests_module, way)(grabbing(file))
    assert trace.replace == path


def grabbing(file: str) -> Callable[[], stack.Trace]:
    """Return what reads the stack from an installed library, as a client that is refused does."""
    made: dict[str, Any] = {"__name__": "grabbed", "read": lambda f: stack.read(f, file, requests=True), "sys": sys}
    where = os.path.join(os.sep, "opt", "lib", "site-packages", "grabbed.py")
    exec(compile("def grab(): return read(sys._getframe())", where, "exec"), made)
    return made["grab"]  # type: ignore[no-any-return]


def test_of_mail_the_class_is_replaced_where_the_project_holds_it(
    tests_module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = sys.modules["rates_of_tests"]
    assert _replaced(tests_module, functools.partial(smtplib.SMTP, "198.51.100.1")) == "class smtplib.SMTP"
    monkeypatch.setattr(rates, "Mail", smtplib.SMTP, raising=False)
    assert _replaced(tests_module, functools.partial(smtplib.SMTP, "198.51.100.1")) == "class rates_of_tests.Mail"
    assert (
        _replaced(tests_module, functools.partial(type("Own", (smtplib.SMTP,), {}), "198.51.100.1"))
        == "rates_of_tests.fetch_too"
    )


def test_a_kept_aws_client_is_replaced_by_its_call(tests_module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3 = lib("boto3")
    keys = {"region_name": "eu-west-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    client, resource = boto3.client("s3", **keys), boto3.resource("s3", **keys)
    rates = sys.modules["rates_of_tests"]
    assert _replaced(tests_module, client.list_buckets) == "rates_of_tests.fetch_too"
    monkeypatch.setattr(rates, "s3", client, raising=False)
    assert _replaced(tests_module, client.list_buckets) == API_CALL
    monkeypatch.setattr(rates, "s3", resource, raising=False)
    assert _replaced(tests_module, functools.partial(list, resource.buckets.all())) == API_CALL


def _replaced(tests_module: ModuleType, call: Callable[[], object]) -> str:
    """Return what is to be replaced where the project calls a client, in the module that is tested."""
    file = str(tests_module.__file__)
    with contextlib.suppress(Exception), network_guard("small", "strict") as guard:
        scope = origin.current.get()
        assert scope is not None
        scope.file = file
        tests_module.by_module(call)
    return guard.violations[0].replace
