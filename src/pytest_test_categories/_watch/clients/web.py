"""Readers for HTTP clients: those of libcurl, and those of Rust libraries."""

from __future__ import annotations

import re
import sys
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._watch.clients.places import bypasses, of_url, of_web, proxies, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_test_categories._watch.clients import Where


_told: Final[weakref.WeakKeyDictionary[Any, dict[str, Any]]] = weakref.WeakKeyDictionary()
"""The options of each libcurl handle that set where it connects, and that can't be read back from it."""
_changed: Final[weakref.WeakKeyDictionary[Any, weakref.WeakSet[Any]]] = weakref.WeakKeyDictionary()
"""For each multi handle of pycurl, the handles whose target was set after they had been added to it."""
_URL: Final = 10002
_LEADING: Final = {
    3: "PORT",
    59: "PROXYPORT",
    10004: "PROXY",
    10177: "NOPROXY",
    10203: "RESOLVE",
    10231: "UNIX_SOCKET_PATH",
    10243: "CONNECT_TO",
    10262: "PRE_PROXY",
    10264: "ABSTRACT_UNIX_SOCKET",
    10279: "DOH_URL",
}
"""The names of these options, by libcurl's numbers, which no release changes (``curl/curl.h``)."""
_HOST: Final = r"(\[[^\]]*\]|[^:]*)"
_CONNECT_TO: Final = re.compile(rf"{_HOST}:(\d*):{_HOST}:(\d*)")
_RESOLVE: Final = re.compile(rf"\+?{_HOST}:(\d+):(.+)")


def curl_option(handle: Any, _result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Note an option that ``setopt`` has set, if it affects where a handle connects."""
    option, value = (*args, *kwargs.values())  # curl_cffi's setopt takes keyword arguments, too
    if name := _LEADING.get(option):
        _told.setdefault(handle, {})[name] = value
    if (name or option == _URL) and (added_to := getattr(handle, "multi", _none)()) is not None:
        _changed.setdefault(added_to, weakref.WeakSet()).add(handle)


def curl_unset(handle: Any, _result: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """Forget an option that was unset."""
    _told.get(handle, {}).pop(_LEADING.get(args[0], ""), None)


def curl_reset(handle: Any, _result: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """Forget all options of a handle that was reset."""
    _told.pop(handle, None)


def curl_duplicate(handle: Any, duplicate: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """Copy the options of a handle to its duplicate; from then on each has its own."""
    if told := _told.get(handle):
        _told[duplicate] = dict(told)


def pycurl(handle: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read where a pycurl handle is about to connect, from its options, or else from its URL."""
    yield from _of_handle(handle, sys.modules["pycurl"].EFFECTIVE_URL)


def _of_handle(handle: Any, effective_url: int) -> Iterator[Where]:
    url = text(handle.getinfo(effective_url))
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
    if url.lower().startswith("file:"):
        return
    url = url if "://" in url else f"http://{url}"
    host, port = of_url(url)
    port = told.get("PORT") or port
    if told.get("DOH_URL"):
        yield of_url(text(told["DOH_URL"]))
    if told.get("PROXY") is None and told.get("PRE_PROXY") is None:  # an empty text disables the environment's proxy
        yield from proxies(url, only_lower=True)
    elif not bypasses(host, text(told.get("NOPROXY"))):
        for name in ("PRE_PROXY", "PROXY"):
            if proxy := text(told.get(name)):
                scheme, _, rest = proxy.rpartition("://")
                default = told.get("PROXYPORT") or (443 if scheme.lower() == "https" else 1080)
                yield of_url(f"proxy://{rest}", default)
    yield from _reached(str(host), port, told)


def _reached(host: str, port: Any, told: dict[str, Any]) -> Iterator[Where]:
    """Yield what replaces a host and port: the target in CONNECT_TO, and the addresses in RESOLVE."""
    for entry in _listed(told.get("CONNECT_TO")):
        found = _CONNECT_TO.fullmatch(entry)
        if found and found[1].strip("[]").lower() in {"", host.lower()} and found[2] in {"", str(port)}:
            host, port = found[3].strip("[]") or host, found[4] or port
            break
    for entry in _listed(told.get("RESOLVE")):
        found = _RESOLVE.fullmatch(entry)
        if found and found[1].strip("[]").lower() in {"*", host.lower()} and found[2] == str(port):
            for address in found[3].split(","):
                yield address.strip("[]"), port
            return
    yield host, port


def pycurl_changed(multi: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the handles whose target was set after they were added: they start when their multi handle performs."""
    for handle in _changed.pop(multi, ()):
        yield from pycurl(handle, (), {})


def _none() -> None:
    """Replace the ``multi`` method of a handle that has none, as if no multi handle contained it."""


def _listed(value: Any) -> Iterator[str]:
    """Yield the entries of a list, or of the C list that curl_cffi takes for options where it converts no list."""
    if value is None or isinstance(value, (list, tuple)):
        yield from map(text, value or ())
        return
    ffi = sys.modules["curl_cffi.curl"].ffi
    entry = ffi.cast("struct curl_slist *", value)
    while entry:
        yield text(ffi.string(entry.data))
        entry = entry.next


def pycurl_multi(_multi: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the handle of ``CurlMulti.add_handle(handle)``: its transfer then starts by itself."""
    if args and hasattr(args[0], "getinfo"):
        yield from pycurl(args[0], (), {})


def curl_cffi(handle: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read where a curl_cffi handle is about to connect."""
    if getattr(handle, "_curl", None) is not None:  # else it is closed, and the call itself raises the error
        yield from _of_handle(handle, sys.modules["curl_cffi.const"].CurlInfo.EFFECTIVE_URL)


def curl_cffi_multi(_multi: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the handle of ``AsyncCurl.add_handle(curl)``."""
    yield from curl_cffi(args[0] if args else kwargs.get("curl"), (), {})


def _of_curl(url: str) -> Iterator[Where]:
    if not url.lower().startswith("file:"):
        yield from of_web(url, only_lower=True)


def url(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``get(url)`` and similar methods."""
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


def ry_websocket(socket: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read where a WebSocket of ry is about to be opened."""
    yield from of_web(text(socket.uri))


def pyqwest(_transport: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the request that a pyqwest transport receives."""
    yield from of_web(text((args[0] if args else kwargs["request"]).url))


def tls_client(_module: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the request that tls_client passes to its Go library as JSON."""
    import json

    order = json.loads(args[0])
    for url in (order.get("proxyUrl"), order["requestUrl"]):
        if url:
            yield from of_web(url)


def pyreqwest(request: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read a request that is about to be sent, unless pyreqwest's own mocks get it first (see ``pyreqwest_next``)."""
    if not _is_mocked():
        yield from of_web(text(request.url))


def pyreqwest_next(_next: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read a request that pyreqwest's own mock passes on to the network."""
    if _is_mocked():
        yield from of_web(text((args[0] if args else kwargs["request"]).url))


def _is_mocked() -> bool:
    builder = sys.modules["pyreqwest._pyreqwest"].request.RequestBuilder
    return bool(getattr(builder.build, "__module__", "") == "pyreqwest.pytest_plugin.mock")
