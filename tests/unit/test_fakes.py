"""The fake to paste, as a pure function of a violation."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_test_categories import Violation
from pytest_test_categories._report.model import Access
from pytest_test_categories._rules.fakes import API_CALL, fake, request_text
from pytest_test_categories._rules.wording import report_text

URL = "https://api.example.com/users/7"
HTTP = Violation(
    test="tests/test_users.py::test_fetch",
    size="small",
    kind="lookup",
    target="api.example.com:443",
    library="requests",
    request=f"GET {URL}?page=...",
    replace="shop.users.fetch",
)
AWS = HTTP._replace(library="botocore", request="s3 GetObject")
REDIS = HTTP._replace(library="redis", request="redis GET")
OWN = HTTP._replace(library="psycopg", request="")


# -- requests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "url", "text"),
    [
        pytest.param("GET", URL, f"GET {URL}", id="plain"),
        pytest.param(
            "post", "HTTPS://API.Example.com:8443/Users", "POST https://api.example.com:8443/Users", id="case"
        ),
        pytest.param("GET", "http://h", "GET http://h", id="no-path"),
        pytest.param("GET", f"{URL}?page=3&token=abc", f"GET {URL}?page=...&token=...", id="query"),
        pytest.param("GET", f"{URL}?a=1&a=2;b=3", f"GET {URL}?a=...&b=...", id="repeated"),
        pytest.param("GET", f"{URL}?c2VjcmV0", f"GET {URL}?...", id="no-name"),
        pytest.param("GET", f"{URL}?c2VjcmV0==", f"GET {URL}?...", id="base64"),
        pytest.param("GET", f"{URL}?", f"GET {URL}", id="empty-query"),
        pytest.param("GET", f"{URL}#token", f"GET {URL}", id="fragment"),
        pytest.param("GET", "https://me:p@ss@h/x?u=1#@", "GET https://h/x?u=...", id="userinfo"),
        pytest.param("GET", "https://me:pass@h?u=1", "GET https://h?u=...", id="userinfo-no-path"),
        pytest.param("GET", "http://[2001:db8::7]:80/x", "GET http://[2001:db8::7]:80/x", id="v6"),
        pytest.param("GET", f"http://h/{'x' * 400}", "GET http://h/...", id="long"),
        pytest.param("GET", "http://h/a b", "GET http://h/...", id="space"),
        pytest.param("GET", "ftp://h/x", "", id="ftp"),
        pytest.param("GET", "h/x", "", id="no-scheme"),
        pytest.param("GET", "http:///x", "", id="no-host"),
        pytest.param("GET", "http://h\n/x", "", id="line-break"),
        pytest.param("GET X", URL, "", id="method"),
        pytest.param("", URL, "", id="no-method"),
    ],
)
def test_a_request_is_shown_without_its_secrets(method: str, url: str, text: str) -> None:
    assert request_text(method, url) == text


SECRET = st.text("abcXYZ019-._~!$'()*,:%@/+=\"\\ \u00e9\n", min_size=1).map(lambda text: f"s3cr3t{text}s3cr3t")
"""Passwords and values as people write them: quoted or not."""


@given(SECRET.map(lambda text: re.sub(r"[/\s]", "", text)), SECRET, SECRET, st.sampled_from(["/", "/users", ""]))
def test_no_secret_is_in_a_request_or_a_fake(password: str, value: str, fragment: str, path: str) -> None:
    url = f"https://me:{password}@api.example.com{path}?token={value}&x={value}#{fragment}"
    text = request_text("GET", url)
    seen = Access.of(HTTP._replace(request=text)).published()
    for shown in (text, fake(HTTP._replace(request=text)), seen.fake, seen.violation.request):
        assert "s3cr3t" not in shown
        assert "me:" not in shown


# -- fakes -------------------------------------------------------------------------------------------------------------


def changed(violation: Violation = HTTP, **facts: Any) -> str:
    return fake(violation._replace(**facts))


@pytest.mark.parametrize(
    ("violation", "line"),
    [
        pytest.param(HTTP, f'        fake.add("GET", "{URL}", json={{}})', id="requests"),
        pytest.param(
            HTTP._replace(request=f"HEAD {URL}"), f'fake.add("HEAD", "{URL}", status=200)', id="requests-head"
        ),
        pytest.param(HTTP._replace(library="httpx"), f'fake.request("GET", "{URL}").respond(json={{}})', id="httpx"),
        pytest.param(HTTP._replace(library="httpcore"), f'fake.request("GET", "{URL}").respond', id="httpcore"),
        pytest.param(HTTP._replace(library="aiohttp"), "ClientSession._request", id="aiohttp"),
        pytest.param(HTTP._replace(library="urllib"), f'pook.mock("{URL}", method="GET").persist()', id="urllib"),
        pytest.param(HTTP._replace(library="urllib3"), f'pook.mock("{URL}", method="GET").persist()', id="urllib3"),
        pytest.param(HTTP._replace(library="http.client"), f'pook.mock("{URL}", method="GET")', id="http.client"),
        pytest.param(AWS, "from moto import mock_aws  # pip install 'moto[s3]'", id="aws"),
        pytest.param(AWS._replace(request="bedrock InvokeModel"), f'@patch("{API_CALL}", Mock(return', id="aws-other"),
        pytest.param(AWS._replace(replace=API_CALL), f'@patch("{API_CALL}", Mock(return_value={{}}))', id="aws-kept"),
        pytest.param(REDIS, "fakeredis.FakeRedisConnection(", id="redis"),
        pytest.param(
            REDIS._replace(request="redis.asyncio GET"), "fakeredis.FakeAsyncRedisConnection(", id="redis-async"
        ),
        pytest.param(REDIS._replace(reach="machine"), "fakeredis.FakeRedisConnection(", id="redis-here"),
        pytest.param(OWN, '@patch("shop.users.fetch", Mock(return_value=None))', id="function"),
        pytest.param(OWN._replace(replace="async a.b"), '@patch("a.b", AsyncMock(return_value=None))', id="coroutine"),
        pytest.param(OWN._replace(replace="class smtplib.SMTP"), '@patch("smtplib.SMTP", MagicMock())', id="class"),
        pytest.param(
            OWN._replace(replace=".fetch"), '@patch(__name__ + ".fetch", Mock(', id="name-of-the-test's-module"
        ),
        pytest.param(HTTP._replace(request=""), '@patch("shop.users.fetch"', id="request-unknown"),
        pytest.param(HTTP._replace(request="GET http://h/..."), '@patch("shop.users.fetch"', id="request-too-long"),
        pytest.param(HTTP._replace(reach="machine"), '@patch("shop.users.fetch"', id="on-this-machine"),
        pytest.param(HTTP._replace(library="curl_cffi"), '@patch("shop.users.fetch"', id="no-library-fakes-it"),
        pytest.param(HTTP._replace(fixture="db (function)"), "fake.add(", id="fixture-of-the-test"),
        pytest.param(HTTP._replace(thread="Thread-1"), "fake.add(", id="thread"),
        pytest.param(HTTP._replace(test="checks.py::check_users"), "fake.add(", id="other-names-of-tests"),
        pytest.param(HTTP._replace(test="test_users.py::test_users"), "fake.add(", id="the-name-of-its-file"),
    ],
)
def test_each_client_has_its_fake(violation: Violation, line: str) -> None:
    text = fake(violation)
    assert line in text
    ast.parse(f"{text}\ndef test_fetch(): ...")


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({"request": "", "replace": ""}, id="nothing-known"),
        pytest.param({"replace": "", "library": "curl_cffi"}, id="no-library-fakes-it"),
        pytest.param({"replace": "", "reach": "machine"}, id="on-this-machine"),
        pytest.param({"replace": "", "library": "aiobotocore", "request": "s3 GetObject"}, id="aiobotocore"),
        pytest.param({"kind": "bind"}, id="server"),
        pytest.param({"target": "169.254.169.254:80"}, id="probe-of-a-cloud-sdk"),
        pytest.param({"kind": "program"}, id="unwatched-program"),
        pytest.param({"process": "child process 7: python"}, id="child-process"),
        pytest.param({"late": "after its end"}, id="late"),
        pytest.param({"importing": "shop"}, id="import"),
        pytest.param({"cassette": True}, id="cassette"),
        pytest.param({"fixture": "db (session)"}, id="fixture-of-many-tests"),
        pytest.param({"test": "shop.users.fetch"}, id="guard"),
        pytest.param({"test": "shop.py::shop.users"}, id="doctest"),
        pytest.param({"test": "src/shop.py::shop"}, id="doctest-of-a-module"),
        pytest.param({"test": "test_api.yaml::test_it"}, id="no-python"),
        pytest.param({"test": "tests/test_x.py::my tests::test_it"}, id="no-class"),
        pytest.param({"test": ""}, id="no-test"),
    ],
)
def test_where_no_fake_fits_there_is_none(facts: dict[str, Any]) -> None:
    assert changed(**facts) == ""


def test_a_fake_answers_all_requests_of_one_client() -> None:
    others = (
        HTTP._replace(request="POST https://other.example.com/events"),
        HTTP._replace(request=f"GET {URL}?page=..."),
        HTTP._replace(request="GET https://late.example.com/", late="after its end"),
        HTTP._replace(library="httpx", request="GET https://httpx.example.com/"),
    )
    for library, some in (("requests", "assert_all_requests_are_fired=False"), ("httpx", "assert_all_called=False")):
        text = fake(HTTP._replace(library=library), *(one._replace(library=library) for one in others[:2]))
        assert text.count("# the answer that test_fetch expects") == 2
        assert some in text
        assert some not in fake(HTTP._replace(library=library))
    assert fake(HTTP, *others).count("https://") == 2
    pook = HTTP._replace(library="urllib")
    assert fake(pook, *(one._replace(library="urllib") for one in others)).count("persist()") == 3
    ast.parse(fake(pook, *others) + "\ndef test_fetch(): ...")
    assert fake(HTTP._replace(library="aiohttp"), *(one._replace(library="aiohttp") for one in others)).count("# ") > 3


def test_a_fake_stands_in_the_class_of_its_test() -> None:
    text = changed(test="tests/test_users.py::TestUsers::TestMore::test_fetch[a::b]")
    assert "        def fake_network_of_test_fetch(self):" in text.splitlines()
    ast.parse(f"class TestUsers:\n    class TestMore:\n{text}\n        def test_fetch(self): ...")
    assert "(self, monkeypatch):" in changed(REDIS, test="tests/test_users.py::TestUsers::test_fetch")


@given(st.text("ab/\"'\\{}é%~", min_size=1))
def test_any_path_is_quoted(path: str) -> None:
    text = fake(HTTP._replace(request=request_text("GET", f"https://h/{path}")))
    strings = {node.value for node in ast.walk(ast.parse(f"{text}\ndef f(): ...")) if isinstance(node, ast.Constant)}
    assert f"https://h/{path}" in strings


def test_the_report_shows_the_request_first_and_says_where_the_fake_is() -> None:
    text = report_text((HTTP._replace(location="shop/users.py:3"),))
    assert f"to api.example.com:443\n    at shop/users.py:3\n    GET {URL}?page=...\n" in text
    assert "    or paste the fake in the section below" in text
    assert "section below" not in report_text((HTTP._replace(kind="bind"),))


def test_every_report_is_free_of_secrets_that_a_record_holds_all_the_same() -> None:
    seen = Access.of(HTTP._replace(request="GET https://me:pw@h/x?token=abc")).published()
    assert seen.violation.request == "GET https://...@h/x?..."
    assert "abc" not in seen.fake
