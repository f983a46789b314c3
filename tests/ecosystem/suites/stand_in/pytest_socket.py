"""Takes the place of pytest-socket while its own tests run: its options, markers and functions, refused by our plugin.

What it asks for is said in our words (sizes, allow entries, guards), as somebody who migrates would write it. What our
plugin refuses is told again in pytest-socket's words, since its tests look for those. With ``STAND_IN_USES_SOCKETS``
set, the inner tests bind each socket that they make: making one is free here, using it is not.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from pytest_test_categories import NetworkAccessViolationError, Violation, network_guard

if TYPE_CHECKING:
    from collections.abc import Generator

_INNER = "STAND_IN_INNER"
_MADE = re.compile(r"^(\s*(?:socket\.socket|MySocket)\((?!socket\.AF_UNIX)[^()]*\))$", re.MULTILINE)
_guards = contextlib.ExitStack()


class _Ours(type):
    """What the plugin raises is an instance of the classes made of this, and calling one makes such an error."""

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, NetworkAccessViolationError)

    def __instancecheck__(cls, other: object) -> bool:
        return isinstance(other, NetworkAccessViolationError)

    def __call__(cls, *_: object) -> NetworkAccessViolationError:  # type: ignore[override]
        return NetworkAccessViolationError(Violation("test", "small", "connect", "192.0.2.1:80"))


class SocketBlockedError(NetworkAccessViolationError, metaclass=_Ours):
    """A refusal, by pytest-socket's name."""


class SocketConnectBlockedError(NetworkAccessViolationError, metaclass=_Ours):
    """A refused connect, by pytest-socket's name."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add pytest-socket's options."""
    group = parser.getgroup("socket")
    group.addoption(
        "--disable-socket", action="store_true", help="Disable socket.socket by default to block network calls."
    )
    group.addoption("--force-enable-socket", action="store_true", help="Force enable socket.socket network calls")
    group.addoption(
        "--allow-hosts",
        metavar="ALLOWED_HOSTS_CSV",
        help="Only allow specified hosts through socket.socket.connect((host, port)).",
    )
    group.addoption(
        "--allow-unix-socket", action="store_true", help="Allow calls if they are to Unix domain sockets"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Add pytest-socket's markers."""
    for line in (
        "disable_socket(): Disable socket connections for a specific test",
        "enable_socket(): Enable socket connections for a specific test",
        "allow_hosts([hosts]): Restrict socket connection to defined list of hosts",
    ):
        config.addinivalue_line("markers", line)


def pytest_runtest_setup(item: object) -> None:
    """Do nothing: sizes are given when a test is collected."""


def pytest_runtest_teardown() -> None:
    """Leave what a test has entered."""
    _guards.close()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give a test the size, and the allow entries, that pytest-socket's rules of precedence come to."""
    if _INNER not in os.environ or not isinstance(item, pytest.Function):
        return
    option, names = item.config.option, item.fixturenames
    marker = item.get_closest_marker("allow_hosts")
    hosts = marker.args[0] if marker else option.allow_hosts
    if "socket_enabled" in names or item.get_closest_marker("enable_socket") or option.force_enable_socket:
        item.add_marker(pytest.mark.large)
    elif "socket_disabled" in names or item.get_closest_marker("disable_socket"):
        item.add_marker(pytest.mark.small)
    elif hosts:
        item.add_marker(pytest.mark.small)
        item.add_marker(pytest.mark.network_allow(*_listed(hosts)))
    else:
        item.add_marker(pytest.mark.small if option.disable_socket else pytest.mark.large)


def _listed(hosts: str | list[str]) -> list[str]:
    return [host.strip() for host in (hosts.split(",") if isinstance(hosts, str) else hosts)]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell what was refused in pytest-socket's words, too."""
    report = yield
    guard = getattr(item, "funcargs", {}).get("network_isolation")
    error = call.excinfo.value if call.excinfo else None
    refused = error.violations if isinstance(error, NetworkAccessViolationError) else getattr(guard, "violations", ())
    if report.failed and refused:
        marker = item.get_closest_marker("allow_hosts")
        allowed = ",".join(_listed((marker.args[0] if marker else item.config.option.allow_hosts) or []))
        for each in refused:
            host = (each.target.rpartition(":")[0] or each.target).strip("[]")
            said = {"connect": f'socket.socket.connect() with host "{host}" (allowed: "{allowed}")'}
            what = said.get(each.kind, each.route if each.kind == "lookup" else "socket.socket")
            name = "SocketConnectBlockedError" if allowed and each.kind == "connect" else "SocketBlockedError"
            report.sections.append(("in pytest-socket's words", f"{name}: A test tried to use {what}."))
    return report


@pytest.fixture
def socket_disabled() -> None:
    """Mark a test as one without sockets."""


@pytest.fixture
def socket_enabled() -> None:
    """Mark a test as one with sockets."""


def disable_socket(*, allow_unix_socket: bool = False) -> None:
    """Enter a small guard."""
    _guards.enter_context(network_guard("small", "strict"))


def enable_socket() -> None:
    """Leave the guards that were entered here: one that somebody else has entered can't be widened."""
    _guards.close()


_remove_restrictions = enable_socket


def socket_allow_hosts(allowed: str | list[str] | None = None, **_: object) -> None:
    """Enter a small guard that lets some hosts pass."""
    _guards.enter_context(network_guard("small", "strict", allow=_listed(allowed or [])))


def normalize_allowed_hosts(*_: object) -> Any:
    """Say that there is nothing like it: nothing is looked up ahead."""
    raise NotImplementedError("names are not looked up ahead")


def host_from_address(*_: object) -> Any:
    """Say that there is nothing like it."""
    raise NotImplementedError("a function inside of pytest-socket")


@pytest.fixture(autouse=True)
def _inner_runs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the runs inside of a test strict, and have their tests bind each socket that they make, if that is wanted."""
    if "pytester" not in request.fixturenames:
        return
    pytester = request.getfixturevalue("pytester")
    monkeypatch.setenv(_INNER, "1")
    run, make = pytester.runpytest_subprocess, pytester.makepyfile
    strict = "--test-categories-enforcement=strict"
    monkeypatch.setattr(pytester, "runpytest_subprocess", lambda *args, **kwargs: run(strict, *args, **kwargs))
    if "STAND_IN_USES_SOCKETS" in os.environ:
        used = r'\1.bind(("127.0.0.1", 0))'
        monkeypatch.setattr(pytester, "makepyfile", lambda source: make(_MADE.sub(used, source)))
