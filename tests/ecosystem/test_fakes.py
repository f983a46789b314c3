"""The fakes to paste answer what was refused: each method and each form of a URL, at the releases that are installed."""

from __future__ import annotations

import contextlib
import inspect
import json
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories import network_guard
from pytest_test_categories._rules.fakes import fake

if TYPE_CHECKING:
    from collections.abc import Callable

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "PURGE")
URL: Final = "https://api.example.com/users/7"
URLS: Final = (
    "https://api.example.com",
    "http://api.example.com/",
    "https://api.example.com:8443/users/7",
    "http://198.51.100.7:8080/v1/[x]",
    "https://api.example.com/a%20b/c+d(e)/x.y*z",
    "https://api.example.com/caf%C3%A9/\u00fc",
    "https://api.example.com/users/7/",
    "https://api.example.com/a//b",
    "https://api.example.com/@me/$x;v=1",
)


def _requests(method: str, url: str) -> bytes:
    content: bytes = pytest.importorskip("requests").request(method, url, params={"q": "1"}, timeout=3).content
    return content


def _httpx(method: str, url: str) -> bytes:
    content: bytes = pytest.importorskip("httpx").request(method, url, params={"q": "1"}).content
    return content


def _urllib3(method: str, url: str) -> bytes:
    data: bytes = pytest.importorskip("urllib3").request(method, f"{url}?q=1", retries=False).data
    return data


def _urllib(method: str, url: str) -> bytes:
    quoted = urllib.parse.quote(url, safe="%/:[]@+()$;=*")
    with urllib.request.urlopen(urllib.request.Request(f"{quoted}?q=1", method=method), timeout=3) as answer:
        data: bytes = answer.read()
        return data


@pytest.mark.parametrize(
    ("method", "url"), [*((method, URL) for method in METHODS), *(("GET", url) for url in URLS)], ids=str
)
@pytest.mark.parametrize(
    ("call", "library"),
    [
        pytest.param(_requests, "responses", id="requests"),
        pytest.param(_httpx, "respx", id="httpx"),
        pytest.param(_urllib3, "pook", id="urllib3"),
        pytest.param(_urllib, "pook", id="urllib"),
    ],
)
def test_a_fake_answers_what_was_refused(
    call: Callable[[str, str], bytes], library: str, method: str, url: str
) -> None:
    pytest.importorskip(library)
    with contextlib.suppress(Exception), network_guard("small", "strict") as guard:
        call(method, url)
    text = fake(guard.violations[0]._replace(test="test_users.py::test_it"))
    assert f"import {library}" in text
    names: dict[str, Any] = {}
    exec(f"{text}\ndef test_it(): ...", names)
    fixture = contextlib.contextmanager(inspect.unwrap(names["fake_network_of_test_it"]))
    with network_guard("small", "strict"), fixture():
        content = call(method, url)
    if method != "HEAD":
        assert json.loads(content) == {}
