"""Reads from frames the request that a client was about to send, and the project's function that made the call.

Guarantees:

- No values of a query, user names, passwords, fragments, headers or payloads are kept.
- No code of the project runs: attributes are read from instances' dictionaries, and only for known classes.
- No error is raised, whatever the frames contain: what can't be read is empty.

Assumes that the frames don't change while they are read, and that it is called only for violations.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pytest_test_categories._rules.fakes import API_CALL, request_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

Reader: TypeAlias = "Callable[[FrameType], str]"
Clients: TypeAlias = "dict[str, tuple[Reader, FrameType]]"
"""By client, innermost first: the function that reads its request, and the frame that contains it."""

_COROUTINE: Final = 0x80  # inspect.CO_COROUTINE
_GENERATORS: Final = 0x20 | 0x200  # inspect.CO_GENERATOR, CO_ASYNC_GENERATOR
_CONFTEST: Final = f"{os.sep}conftest.py"


def note(frame: FrameType, clients: Clients) -> None:
    """Note a frame that contains a client's request; for each client, the innermost frame is the refused one."""
    found = _READERS.get(frame.f_code.co_qualname)
    if found is not None:
        client, reader = found
        module = frame.f_globals.get("__name__")
        if isinstance(module, str) and module.startswith(client):
            clients.setdefault(client, (reader, frame))


def request_in(clients: Clients) -> str:
    """Return the request of the outermost client whose request can be read; empty if there is none."""
    for reader, frame in reversed(clients.values()):
        with contextlib.suppress(Exception):  # another release of a client may have anything there
            if text := reader(frame):
                return text
    return ""


def replaced_in(own: Sequence[FrameType], clients: Clients, test_file: str) -> str:
    """Return what a test can replace so that a call isn't made.

    Args:
        own: The project's frames, innermost first, out to the test's.
        clients: The clients' frames.
        test_file: File of the test: its functions are what is tested, or do the testing, and are not replaced.

    Returns:
        A path such as ``shop.rates.fetch``, or ``.fetch`` if the test's module has imported the name. It is preceded
        by ``async`` for a coroutine function, and by ``class`` for a class. Empty if there is nothing to replace.
    """
    with contextlib.suppress(Exception):  # modules may contain anything
        if path := _entry_point(own, clients):
            return path
    for number, frame in enumerate(own):
        filename = frame.f_code.co_filename
        if filename == test_file or filename.endswith(_CONFTEST):
            return ""
        # A wrapper from one of the project's decorators does not call the function by a name in its module.
        callers = (one for one in own[number + 1 :] if "<locals>" not in one.f_code.co_qualname)
        with contextlib.suppress(Exception):
            if path := _path_of(frame, next(callers, None), test_file):
                return path
    return ""


# -- functions ---------------------------------------------------------------------------------------------------------


def _path_of(frame: FrameType, caller: FrameType | None, test_file: str) -> str:
    """Return the path at which a frame's function can be replaced so that its caller uses the replacement."""
    code, names = frame.f_code, frame.f_globals
    module = names["__name__"]
    if code.co_flags & _GENERATORS or module == "__main__" or vars(sys.modules[module]) is not names:
        return ""
    *owners, name = code.co_qualname.split(".")
    prefix = "async " if code.co_flags & _COROUTINE else ""
    if name == "__init__" and owners:
        prefix, name = "class ", owners.pop()
    if name.startswith("__"):
        return ""
    holder: Any = names
    for owner in owners:
        holder = vars(holder[owner])
    value = holder.get(name)
    if prefix == "class ":
        if not isinstance(value, type):
            return ""
    elif not isinstance(value, staticmethod | classmethod) and not callable(value):
        return ""
    if type(value).__module__.startswith("_pytest."):  # a fixture, which pytest has in hand already
        return ""
    if not owners and caller is not None and caller.f_globals is not names:
        for held, other in list(caller.f_globals.items()):
            if other is value and isinstance(held, str):  # `from shop.rates import fetch`: the caller uses this name
                where = "" if caller.f_code.co_filename == test_file else caller.f_globals["__name__"]
                return f"{prefix}{where}.{held}"
    return f"{prefix}{'.'.join((module, *owners, name))}"


def _entry_point(own: Sequence[FrameType], clients: Clients) -> str:
    """Return what to replace in a client itself, if that is better than replacing a function of the project."""
    if "smtplib" in clients:
        kind = type(clients["smtplib"][1].f_locals.get("self"))
        if kind.__module__ != "smtplib":
            return ""
        for held, value in list(own[0].f_globals.items()) if own else ():
            if value is kind:  # `from smtplib import SMTP`
                return f"class {own[0].f_globals['__name__']}.{held}"
        return f"class smtplib.{kind.__name__}"
    if "botocore" in clients and _is_kept(clients["botocore"][1].f_locals.get("self"), own):
        return API_CALL
    return ""


def _is_kept(client: Any, own: Sequence[FrameType]) -> bool:
    """Tell whether a module of the project keeps an AWS client: a mock that starts later does not affect it."""
    for frame in own:
        for value in list(frame.f_globals.values()):
            if value is client or (type(value).__module__ == "boto3.resources.factory" and _client_of(value) is client):
                return True
    return False


def _client_of(resource: Any) -> Any:
    return _held(_held(resource, "meta"), "client")


# -- requests ----------------------------------------------------------------------------------------------------------


def _held(owner: Any, name: str) -> Any:
    """Return an entry of an instance's dictionary, without running a property of a subclass."""
    try:
        return object.__getattribute__(owner, "__dict__").get(name)
    except AttributeError:
        return None


def _text(value: Any) -> str:
    """Return the text of a client's value: a string, bytes, or an instance of the client's URL class."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return bytes.decode(value, "latin-1")
    if type(value).__module__.partition(".")[0] in {"yarl", "httpx"}:
        return str(value)
    return ""


def _from_request(frame: FrameType) -> str:
    request = frame.f_locals.get("request")
    return request_text(_text(_held(request, "method")), _text(_held(request, "url")))


def _from_httpcore(frame: FrameType) -> str:
    request = frame.f_locals.get("request")
    url = _held(request, "url")
    scheme, host, target = (_text(_held(url, part)) for part in ("scheme", "host", "target"))
    return request_text(_text(_held(request, "method")), _url(scheme, host, _held(url, "port"), target))


def _from_aiohttp(frame: FrameType) -> str:
    found = frame.f_locals
    return request_text(_text(found.get("method")), _text(_held(found.get("req"), "url")) or _text(found.get("url")))


def _from_urllib(frame: FrameType) -> str:
    request = frame.f_locals.get("req")
    if type(request).__module__ != "urllib.request":  # a subclass may override get_method
        return ""
    method = _held(request, "method") or ("GET" if _held(request, "_data") is None else "POST")
    return request_text(_text(method), _text(_held(request, "_full_url")))


def _from_urllib3(frame: FrameType) -> str:
    found = frame.f_locals
    pool, url = found.get("self"), _text(found.get("url"))
    if "://" not in url:
        url = _url(_text(_held(pool, "scheme")) or _scheme(pool), _text(_held(pool, "host")), _held(pool, "port"), url)
    return request_text(_text(found.get("method")), url)


def _from_http_client(frame: FrameType) -> str:
    connection, message = frame.f_locals.get("self"), frame.f_locals.get("msg")
    if not isinstance(message, bytes):
        return ""
    method, url, *_ = _text(message.partition(b"\r\n")[0]).split(" ")
    if "://" not in url:
        tunnel = "_tunnel_" if _held(connection, "_tunnel_host") else ""
        host, port = _text(_held(connection, f"{tunnel}host")), _held(connection, f"{tunnel}port")
        url = _url(_scheme(connection), host, port, url)
    return request_text(method, url)


def _from_botocore(frame: FrameType) -> str:
    service, operation = (_text(frame.f_locals.get(name)) for name in ("service_name", "operation_name"))
    return f"{service} {operation}" if service and operation.isidentifier() else ""


def _from_redis(frame: FrameType) -> str:
    args = frame.f_locals.get("args")
    words = _text(args[0]).split() if isinstance(args, tuple) and args else ["EXEC"]
    command = words[0] if words else ""  # what stands behind it may be a key
    client = "redis.asyncio" if frame.f_code.co_flags & _COROUTINE else "redis"
    return f"{client} {command.upper()}" if command.replace(".", "").isalpha() else ""


def _from_nothing(_frame: FrameType) -> str:
    return ""


_PORTS: Final = {"http": 80, "https": 443}


def _url(scheme: str, host: str, port: object, target: str) -> str:
    if not host:
        return ""
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    shown = f":{port}" if isinstance(port, int) and port != _PORTS.get(scheme) else ""
    return f"{scheme}://{host}{shown}{target}"


def _scheme(connection: object) -> str:
    return "https" if any(kind.__name__.startswith("HTTPS") for kind in type(connection).__mro__) else "http"


_READERS: Final[dict[str, tuple[str, Reader]]] = {
    "HTTPAdapter.send": ("requests", _from_request),
    "Session.send": ("requests", _from_request),
    "Client._send_single_request": ("httpx", _from_request),
    "AsyncClient._send_single_request": ("httpx", _from_request),
    "ConnectionPool.handle_request": ("httpcore", _from_httpcore),
    "AsyncConnectionPool.handle_async_request": ("httpcore", _from_httpcore),
    "ClientSession._request": ("aiohttp", _from_aiohttp),
    "AbstractHTTPHandler.do_open": ("urllib", _from_urllib),
    "HTTPConnectionPool.urlopen": ("urllib3", _from_urllib3),
    "HTTPConnection._send_output": ("http.client", _from_http_client),
    "BaseClient._make_api_call": ("botocore", _from_botocore),
    "AioBaseClient._make_api_call": ("aiobotocore", _from_botocore),
    "SMTP.connect": ("smtplib", _from_nothing),
    "Pipeline.execute": ("redis", _from_redis),
    "Redis.execute_command": ("redis", _from_redis),
    "Redis._execute_command": ("redis", _from_redis),
}
"""By the qualified name of a client's function: its module's prefix, and the function that reads its request."""
