"""Readers for message queues: ZeroMQ, librdkafka."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._watch.clients.places import host_and_port, of_url, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_test_categories._watch.clients import Where

_KAFKA_PORT: Final = 9092


def zmq(_socket: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read an endpoint of ZeroMQ's: ``tcp://[source;]host:port``, ``ipc://path``; ``inproc`` stays inside."""
    endpoint = text(args[0] if args else kwargs.get("addr"))
    scheme, found, where = endpoint.partition("://")
    if not found or scheme == "inproc":
        return
    if scheme == "ipc":
        yield f"unix:{where}"
        return
    host, port = host_and_port(where.rpartition(";")[2].partition("/")[0])
    yield "" if host == "*" else host, 0 if port == "*" else port


def kafka(_client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the brokers that a client of librdkafka is told of, and its metadata comes from."""
    settings = {**(args[0] if args and isinstance(args[0], dict) else kwargs.get("conf") or {}), **kwargs}
    if settings.get("test.mock.num.brokers"):  # brokers of its own, on loopback
        yield "127.0.0.1", _KAFKA_PORT
        return
    servers = settings.get("bootstrap.servers") or settings.get("metadata.broker.list")
    for server in text(servers).split(","):
        if server.strip():
            yield host_and_port(server.rpartition("://")[2], _KAFKA_PORT)


def glide(_client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the addresses of the configuration that a client of Valkey GLIDE's is created with."""
    config: Any = args[0] if args else kwargs.get("config")
    for address in config.addresses if config is not None else ():
        path = getattr(address, "unix_socket_path", None)
        yield f"unix:{text(path)}" if path else (address.host, address.port)


def pulsar(client: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the service URL of a client of Pulsar's: ``pulsar://host:6650,host:6650``."""
    scheme, _, hosts = text(client.get_service_info().service_url).partition("://")
    for host in hosts.partition("/")[0].split(","):
        yield of_url(f"{scheme}://{host}", 8080)
