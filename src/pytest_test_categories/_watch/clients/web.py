"""Readers for HTTP clients: libcurl's, and those that Rust libraries bring."""

from __future__ import annotations

import re
import sys
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._watch.clients.places import of_url, of_web, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_test_categories._watch.clients import Where


_told: Final[weakref.WeakKeyDictionary[Any, dict[str, Any]]] = weakref.WeakKeyDictionary()
"""Of pycurl's handles: the options that say where they connect to, which can't be read from them."""
_LEADING: Final = ("PROXY", "PRE_PROXY", "CONNECT_TO", "RESOLVE", "UNIX_SOCKET_PATH", "ABSTRACT_UNIX_SOCKET")
_HOST: Final = r"(\[[^\]]*\]|[^:]*)"
_CONNECT_TO: Final = re.compile(rf"{_HOST}:(\d*):{_HOST}:(\d*)")
_RESOLVE: Final = re.compile(rf"\+?{_HOST}:(\d+):(.+)")


def _option(number: Any) -> str:
    return next((name for name in _LEADING if getattr(sys.modules["pycurl"], name, -1) == number), "")


def pycurl_option(handle: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """Note an option of ``setopt`` that says where a handle connects to; the call itself reaches nothing."""
    if len(args) == 2 and (name := _option(args[0])):  # noqa: PLR2004 - (option, value)
        _told.setdefault(handle, {})[name] = args[1]


def pycurl_unset(handle: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """Forget one."""
    if args:
        _told.get(handle, {}).pop(_option(args[0]), None)


def pycurl_reset(handle: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """Forget them all."""
    _told.pop(handle, None)


def pycurl_duplicate(handle: Any, duplicate: Any) -> None:
    """Note that a copy of a handle keeps its options; from then on each has its own."""
    if told := _told.get(handle):
        _told[duplicate] = dict(told)


def pycurl(handle: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read where a handle of pycurl's is about to connect to: what it was told, else what its URL says."""
    url = text(handle.getinfo(sys.modules["pycurl"].EFFECTIVE_URL))
    told = _told.get(handle)
    if url and told:
        yield from _as_told(url, told)
    elif url:
        yield from _of_curl(url)


def _as_told(url: str, told: dict[str, Any]) -> Iterator[Where]:
    for name, mark in (("UNIX_SOCKET_PATH", ""), ("ABSTRACT_UNIX_SOCKET", "@")):
        if told.get(name):
            yield f"unix:{mark}{text(told[name])}"
            return
    for name in ("PRE_PROXY", "PROXY"):
        if proxy := text(told.get(name)):
            scheme, _, rest = proxy.rpartition("://")
            yield of_url(f"{'https' if scheme.lower() == 'https' else 'socks5'}://{rest}")  # for their ports
    host, port = of_url(url if "://" in url else f"http://{url}")
    for entry in map(text, told.get("CONNECT_TO") or ()):
        found = _CONNECT_TO.fullmatch(entry)
        if found and found[1].strip("[]") in {"", host} and found[2] in {"", str(port)}:
            yield found[3].strip("[]") or host, found[4] or port
            return
    for entry in map(text, told.get("RESOLVE") or ()):
        found = _RESOLVE.fullmatch(entry)
        if found and found[1].strip("[]") in {"*", host} and found[2] == str(port):
            for address in found[3].split(","):
                yield address.strip("[]"), port
            return
    yield from _of_curl(url)


def pycurl_multi(_multi: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read what ``CurlMulti.add_handle(handle)`` adds: the transfers start by themselves then."""
    if args and hasattr(args[0], "getinfo"):
        yield from pycurl(args[0], (), {})


def curl_cffi(handle: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the URL that a handle of curl_cffi's is about to fetch."""
    if getattr(handle, "_curl", None) is not None:  # else it is closed, and says so
        url = text(handle.getinfo(sys.modules["curl_cffi.const"].CurlInfo.EFFECTIVE_URL))
        if url:
            yield from _of_curl(url)


def curl_cffi_multi(_multi: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read what ``AsyncCurl.add_handle(curl)`` adds."""
    yield from curl_cffi(args[0] if args else kwargs.get("curl"), (), {})


def _of_curl(url: str) -> Iterator[Where]:
    if not url.lower().startswith("file:"):
        yield from of_web(url, only_lower=True)


def url(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``get(url)`` and its like."""
    yield from _of_request(client, args[0] if args else kwargs.get("url"), kwargs)


def url_of_request(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``request(method, url)``."""
    yield from _of_request(client, args[1] if len(args) > 1 else kwargs.get("url"), kwargs)


def _of_request(client: Any, target: Any, kwargs: dict[str, Any]) -> Iterator[Where]:
    if target is None:
        return
    base = text(getattr(client, "base_url", None))
    target = text(target)
    yield from of_web(target if "://" in target or not base else base)
    proxy = kwargs.get("proxy") or getattr(client, "proxy", None)
    if isinstance(proxy, str):
        yield from of_web(proxy)


def pyreqwest(request: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read a request that is about to be sent; one that pyreqwest's own mocks get first is read if they pass it on."""
    if not _is_mocked():
        yield from of_web(text(request.url))


def pyreqwest_next(_next: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the request that a mock of pyreqwest's own passes on."""
    if _is_mocked():
        yield from of_web(text((args[0] if args else kwargs["request"]).url))


def _is_mocked() -> bool:
    builder = sys.modules["pyreqwest._pyreqwest"].request.RequestBuilder
    return bool(getattr(builder.build, "__module__", "") == "pyreqwest.pytest_plugin.mock")
