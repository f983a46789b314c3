"""Readers for HTTP clients: libcurl's, and those that Rust libraries bring."""

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
"""Of libcurl's handles: the options that say where they connect to, which can't be read from them."""
_changed: Final[weakref.WeakKeyDictionary[Any, weakref.WeakSet[Any]]] = weakref.WeakKeyDictionary()
"""By pycurl's multi handle: those that were told where to connect to after they had been added to it."""
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
"""These options, by libcurl's numbers: no release of it changes one (``curl/curl.h``)."""
_HOST: Final = r"(\[[^\]]*\]|[^:]*)"
_CONNECT_TO: Final = re.compile(rf"{_HOST}:(\d*):{_HOST}:(\d*)")
_RESOLVE: Final = re.compile(rf"\+?{_HOST}:(\d+):(.+)")


def curl_option(handle: Any, _result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Note an option that ``setopt`` has taken, if it says where a handle connects to."""
    option, value = (*args, *kwargs.values())  # curl_cffi's takes them by name, too
    if name := _LEADING.get(option):
        _told.setdefault(handle, {})[name] = value
    if (name or option == _URL) and (added_to := getattr(handle, "multi", _none)()) is not None:
        _changed.setdefault(added_to, weakref.WeakSet()).add(handle)


def curl_unset(handle: Any, _result: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """Forget one."""
    _told.get(handle, {}).pop(_LEADING.get(args[0], ""), None)


def curl_reset(handle: Any, _result: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """Forget them all."""
    _told.pop(handle, None)


def curl_duplicate(handle: Any, duplicate: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """Note that a copy of a handle keeps its options; from then on each has its own."""
    if told := _told.get(handle):
        _told[duplicate] = dict(told)


def pycurl(handle: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read where a handle of pycurl's is about to connect to: what it was told, else what its URL says."""
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
    if told.get("PROXY") is None and told.get("PRE_PROXY") is None:  # an empty one says: none of the environment's
        yield from proxies(url, only_lower=True)
    elif not bypasses(host, text(told.get("NOPROXY"))):
        for name in ("PRE_PROXY", "PROXY"):
            if proxy := text(told.get(name)):
                scheme, _, rest = proxy.rpartition("://")
                default = told.get("PROXYPORT") or (443 if scheme.lower() == "https" else 1080)
                yield of_url(f"proxy://{rest}", default)
    yield from _reached(str(host), port, told)


def _reached(host: str, port: Any, told: dict[str, Any]) -> Iterator[Where]:
    """Yield what stands for a host and port: where CONNECT_TO leads, the addresses that RESOLVE gives."""
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
    """Read where handles lead that were told so after they were added: they start when their multi handle performs."""
    for handle in _changed.pop(multi, ()):
        yield from pycurl(handle, (), {})


def _none() -> None:
    """Stand in for a method that says whether there is something."""


def _listed(value: Any) -> Iterator[str]:
    """Yield the entries of a list, or of the C list that curl_cffi is given for options that it knows no lists of."""
    if value is None or isinstance(value, (list, tuple)):
        yield from map(text, value or ())
        return
    ffi = sys.modules["curl_cffi.curl"].ffi
    entry = ffi.cast("struct curl_slist *", value)
    while entry:
        yield text(ffi.string(entry.data))
        entry = entry.next


def pycurl_multi(_multi: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read what ``CurlMulti.add_handle(handle)`` adds: the transfers start by themselves then."""
    if args and hasattr(args[0], "getinfo"):
        yield from pycurl(args[0], (), {})


def curl_cffi(handle: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read where a handle of curl_cffi's is about to connect to."""
    if getattr(handle, "_curl", None) is not None:  # else it is closed, and says so
        yield from _of_handle(handle, sys.modules["curl_cffi.const"].CurlInfo.EFFECTIVE_URL)


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


def ry_websocket(socket: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read where a web socket of ry's is about to be opened."""
    yield from of_web(text(socket.uri))


def pyqwest(_transport: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the request that a transport of pyqwest's is given."""
    yield from of_web(text((args[0] if args else kwargs["request"]).url))


def tls_client(_module: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the request that tls_client hands to its library, as JSON."""
    import json

    order = json.loads(args[0])
    for url in (order.get("proxyUrl"), order["requestUrl"]):
        if url:
            yield from of_web(url)


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
