"""macOS, as far as it can be tried elsewhere: CPython's own Python code for it runs, with settings as macOS has them.

``_scproxy``, which reads those from the system's configuration in C and sends nothing, is not there.
"""

from __future__ import annotations

import socket
import urllib.request
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import pytest
import requests
import responses

from pytest_test_categories import network_guard
from pytest_test_categories._host.wrapping import EntryPoint
from pytest_test_categories._watch.sockets import match_by_name

if TYPE_CHECKING:
    from collections.abc import Iterator

AS_INSTALLED: Final = {"exclude_simple": False, "exceptions": ["*.local", "169.254/16", "*.example.org"]}


def bypasses(host: str) -> object:
    """Ask whether a host is reached without a proxy, as macOS is asked."""
    return urllib.request._proxy_bypass_macosx_sysconf(host, AS_INSTALLED)  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Watch the function, as is done on macOS; yields the names that the system's resolver was asked for."""
    asked: list[str] = []

    def answer(name: str) -> str:
        asked.append(name)
        return name if name[0].isdigit() else "169.254.1.1"

    monkeypatch.setattr(socket, "gethostbyname", answer)
    row = EntryPoint("urllib.request", "_proxy_bypass_macosx_sysconf", match_by_name)
    row.install()
    yield asked
    row.remove()


@pytest.mark.parametrize("size", ["small", "medium"])
def test_rule_9_a_faked_request_asks_for_no_address_because_of_macos_proxies(size: str, asked: list[str]) -> None:
    with mock.patch.object(requests.utils, "proxy_bypass", bypasses), responses.RequestsMock() as fake:
        fake.get("https://api.example.com/", json={})
        with network_guard(size, "strict") as guard:
            assert requests.get("https://api.example.com/", timeout=5).json() == {}
    assert guard.violations == []
    assert asked == []


def test_names_are_compared_as_before() -> None:
    with network_guard("small", "strict"):
        assert not bypasses("api.example.com")
        assert not bypasses("api.example.com:443")
        assert bypasses("api.example.org")
        assert bypasses("169.254.1.1")
        assert not bypasses("192.0.2.1")


@pytest.mark.parametrize(
    "guard", [network_guard("large"), network_guard("small", allow=["api.example.com"]), mock.MagicMock()]
)
def test_a_name_that_may_be_looked_up_is(guard: Any, asked: list[str]) -> None:
    with guard:
        found = bypasses("api.example.com")
    assert bool(found) is (asked == ["api.example.com"])  # newer Pythons look none up


def test_what_others_give_it_is_given_on() -> None:
    with network_guard("small"), pytest.raises(TypeError):
        urllib.request._proxy_bypass_macosx_sysconf("api.example.com")  # type: ignore[attr-defined]
