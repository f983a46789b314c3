"""Readers for HTTP clients: libcurl's, and those that Rust libraries bring."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pytest_test_categories._layers.clients.places import of_web, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_test_categories._layers.clients import Where


def pycurl(handle: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the URL that a handle of pycurl's is about to fetch."""
    url = text(handle.getinfo(sys.modules["pycurl"].EFFECTIVE_URL))
    if url:
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
