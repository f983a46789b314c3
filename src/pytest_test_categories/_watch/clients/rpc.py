"""Readers for gRPC, whose channels connect at their first call, and for AWS's common runtime."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from pytest_test_categories._watch.clients.places import host_and_port, proxies, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_test_categories._watch.clients import Where

PORT: Final = 443
"""The port of a target that names none."""


def call(channel: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the target of a channel when a call is made on it."""
    target = channel.target
    yield from of_target(text(target() if callable(target) else target))


def check(channel: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``check_connectivity_state(try_to_connect)``: asking only for the state does not connect."""
    if args[0] if args else kwargs.get("try_to_connect"):
        yield from call(channel, (), {})


def subscribe(channel: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``subscribe(callback, try_to_connect)``: a gRPC thread would connect later, and discard the refusal."""
    if args[1] if len(args) > 1 else kwargs.get("try_to_connect"):
        yield from call(channel._channel, (), {})


def port(_server: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the address on which a server will listen."""
    yield from of_target(text(args[0] if args else kwargs.get("address")))


def flight(_client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the location of an Arrow Flight client: ``grpc+tcp://host:port``, ``grpc+unix:///path``."""
    location = args[0] if args else kwargs.get("location")
    if isinstance(location, tuple) and len(location) == 2:  # noqa: PLR2004 - (host, port)
        yield text(location[0]), location[1]
        return
    uri = text(getattr(location, "uri", location))
    scheme, _, rest = uri.partition("://")
    yield f"unix:/{rest.lstrip('/')}" if scheme == "grpc+unix" else host_and_port(rest.partition("/")[0], PORT)


def of_target(target: str) -> Iterator[Where]:
    """Yield where a gRPC target leads (https://github.com/grpc/grpc/blob/master/doc/naming.md)."""
    scheme, colon, rest = target.partition(":")
    if colon and scheme == "unix":
        yield f"unix:{'/' + rest.lstrip('/') if rest.startswith('//') else rest}"
    elif colon and scheme == "unix-abstract":
        yield f"unix:@{rest}"
    elif colon and scheme in {"ipv4", "ipv6"}:
        for address in rest.lstrip("/").split(","):
            yield host_and_port(unquote(address), PORT)
    elif colon and scheme == "dns":
        authority, slash, name = rest.removeprefix("//").partition("/") if rest.startswith("//") else ("", "/", rest)
        if not slash:
            authority, name = "", authority
        if authority:  # the name server to ask
            yield host_and_port(authority, 53)
        yield from _by_name(unquote(name))
    elif "://" in target:  # xds and other schemes: the target counts as a remote host
        yield host_and_port(target.partition("://")[2].strip("/").rpartition("/")[2], PORT)
    else:
        yield from _by_name(target)


def _by_name(name: str) -> Iterator[Where]:
    host, port = host_and_port(name.strip("/"), PORT)
    yield host, port
    yield from proxies(f"https://{host}", "grpc_proxy", "https_proxy", "http_proxy")


# -- AWS's common runtime: each function takes host and port at different positions ------------------------------------

_mqtt: Final[weakref.WeakKeyDictionary[Any, tuple[str, Any]]] = weakref.WeakKeyDictionary()
"""The host and port of each MQTT 5 client, which are set when it is created."""


def crt_http(_module: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``http_client_connection_new(bootstrap, host, port, socket, tls, proxy, ...)``."""
    yield from _of_crt(args[1], args[2], args[3], args[5])


def crt_websocket(_module: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``websocket_client_connect(host, port, request, bootstrap, socket, tls, proxy, ...)``."""
    yield from _of_crt(args[0], args[1], args[4], args[6])


def crt_events(_module: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``event_stream_rpc_client_connection_connect(host, port, bootstrap, socket, ...)``."""
    yield from _of_crt(args[0], args[1], args[3], None)


def crt_mqtt(_module: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``mqtt_client_connection_connect(connection, id, host, port, socket, ...)``."""
    yield from _of_crt(args[2], args[3], args[4], next((arg for arg in args if hasattr(arg, "auth_type")), None))


def crt_mqtt5_made(_module: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """Note the arguments of ``mqtt5_client_new(client, host, port, ...)``, which reaches nothing yet."""
    _mqtt[args[0]] = args[1], args[2]


def crt_mqtt5(client: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Where | None:
    """Read where an MQTT 5 client starts to connect."""
    return _mqtt.get(client)


def crt_s3(_module: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``s3_client_make_meta_request(core, client, request, ...)``: the request's Host header names the host."""
    yield host_and_port(text(args[2].headers.get("Host")), PORT)


def _of_crt(host: Any, port: Any, socket_options: Any, proxy: Any) -> Iterator[Where]:
    if getattr(getattr(socket_options, "domain", None), "name", "") == "Local":
        yield f"unix:{text(host)}"
        return
    yield text(host), port
    if proxy is not None:
        yield text(proxy.host_name), proxy.port
