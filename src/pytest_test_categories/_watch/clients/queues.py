"""Readers for message queues and key-value stores: ZeroMQ, librdkafka, Valkey, etcd."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._watch.clients.places import host_and_port, of_url, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_test_categories._watch.clients import Where

_KAFKA_PORT: Final = 9092
_ZENOH: Final = ("connect/endpoints", "scouting/multicast/enabled", "mode")


def zmq(_socket: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read an endpoint of ZeroMQ or nng: ``tcp://[source;]host:port`` or ``ipc://path``; ``inproc`` sends nothing."""
    endpoint = text(args[0] if args else kwargs.get("addr") or kwargs.get("address"))
    scheme, found, where = endpoint.partition("://")
    if not found or scheme in {"inproc", "socket"}:
        return
    if scheme in {"abstract", "ipc", "unix"}:
        yield f"unix:{'@' if scheme == 'abstract' else ''}{where}"
        return
    host, port = host_and_port(where.rpartition(";")[2].partition("/")[0])
    yield "" if host == "*" else host, 0 if port == "*" else port


def kafka(_client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the brokers in the configuration of a librdkafka client, from which it fetches its metadata."""
    settings = {**(args[0] if args and isinstance(args[0], dict) else kwargs.get("conf") or {}), **kwargs}
    if settings.get("test.mock.num.brokers"):  # the library's own mock brokers, on loopback
        yield "127.0.0.1", _KAFKA_PORT
        return
    servers = settings.get("bootstrap.servers") or settings.get("metadata.broker.list")
    for server in text(servers).split(","):
        if server.strip():
            yield host_and_port(server.rpartition("://")[2], _KAFKA_PORT)


def glide(_client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the addresses in the configuration of a Valkey GLIDE client."""
    config: Any = args[0] if args else kwargs.get("config")
    for address in config.addresses if config is not None else ():
        path = getattr(address, "unix_socket_path", None)
        yield f"unix:{text(path)}" if path else (address.host, address.port)


def pulsar(client: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the service URL of a Pulsar client: ``pulsar://host:6650,host:6650``."""
    scheme, _, hosts = text(client.get_service_info().service_url).partition("://")
    for host in hosts.partition("/")[0].split(","):
        yield of_url(f"{scheme}://{host}", 8080)


def etcd(client: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the endpoints of an etcd client, which shows them only in its ``repr``."""
    for endpoint in re.findall(r'"([^"]+)"', repr(client).partition("endpoints=[")[2].partition("]")[0]):
        yield of_url(endpoint) if "://" in endpoint else host_and_port(endpoint, 2379)


def nats(client: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the servers of a natsrpy client."""
    for server in client.addr:
        yield of_url(server if "://" in server else f"nats://{server}", 4222)


def solace(session: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the hosts of a Solace session."""
    for host in text(session._host).split(","):
        yield of_url(host, 55555) if "://" in host else host_and_port(host, 55555)


def zenoh(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the configuration of a Zenoh session or scout: its endpoints, or the multicast group to find others in."""
    import json

    config = next((one for one in (*args, *kwargs.values()) if hasattr(one, "get_json")), None)
    told = {name: json.loads(config.get_json(name)) if config is not None else None for name in _ZENOH}
    endpoints, multicast, mode = told.values()
    if isinstance(endpoints, dict):  # one list for each mode
        endpoints = endpoints.get(mode or "peer")
    for endpoint in endpoints or ():
        protocol, _, where = text(endpoint).partition("/")
        where = re.split("[?#]", where)[0]
        yield f"unix:{where}" if protocol.startswith("unix") else host_and_port(where)
    if multicast is not False and not (mode == "client" and endpoints):
        yield "224.0.0.224", 7446
