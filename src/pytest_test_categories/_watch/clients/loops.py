"""Readers for event loops and resolvers that don't use Python's sockets: uvloop, c-ares, Qt."""

from __future__ import annotations

import _socket
import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._host.names import reach_of_address, reach_of_name
from pytest_test_categories._host.unix_sockets import name_of
from pytest_test_categories._rules.address import Reach, parse_ip
from pytest_test_categories._watch.clients.places import of_url, text
from pytest_test_categories._watch.endpoints import AF_UNIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_test_categories._watch.clients import Where


def _argument(args: tuple[Any, ...], kwargs: dict[str, Any], index: int, name: str) -> Any:
    return args[index] if index < len(args) else kwargs.get(name)


def _pair(address: Any) -> Iterator[Where]:
    if isinstance(address, (tuple, list)) and len(address) >= 2:  # noqa: PLR2004 - (host, port[, flow, scope])
        yield text(address[0]), address[1]


def connection(_loop: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``create_connection(factory, host, port)``; a socket passed instead is already connected."""
    host = _argument(args, kwargs, 1, "host")
    if host is not None:
        yield text(host), _argument(args, kwargs, 2, "port")


def unix(_loop: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``create_unix_connection(factory, path)``."""
    path = _argument(args, kwargs, 1, "path")
    if path is not None:
        yield f"unix:{name_of(path) if isinstance(path, (str, bytes)) else path}"


def sock_connect(_loop: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``sock_connect(sock, address)`` if it resolves a name.

    The connect that follows, or the only one for a numeric address, calls the socket's own method.
    """
    sock, address = _argument(args, kwargs, 0, "sock"), _argument(args, kwargs, 1, "address")
    if getattr(sock, "family", None) == AF_UNIX:
        return
    if isinstance(address, tuple) and address and parse_ip(text(address[0])) is None:
        yield from _pair(address)


def datagram_remote(_loop: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the remote address of ``create_datagram_endpoint(factory, local_addr, remote_addr)``."""
    yield from _datagram(_argument(args, kwargs, 2, "remote_addr"), kwargs)


def datagram_local(_loop: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the local address of ``create_datagram_endpoint``."""
    yield from _datagram(_argument(args, kwargs, 1, "local_addr"), kwargs)


def _datagram(address: Any, kwargs: dict[str, Any]) -> Iterator[Where]:
    if kwargs.get("family") == AF_UNIX and isinstance(address, (str, bytes)):
        yield f"unix:{name_of(address)}"
    else:
        yield from _pair(address)


def sendto(transport: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``sendto(data, addr)`` of a datagram transport; without an address it sends to its connected peer."""
    address = _argument(args, kwargs, 1, "addr")
    if isinstance(address, str):
        yield f"unix:{name_of(address)}"
    elif address is None:
        yield from _pair(transport.get_extra_info("peername"))
    else:
        yield from _pair(address)


def server(_loop: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``create_server(factory, host, port)``, which takes several hosts, too; a socket passed instead is bound."""
    if kwargs.get("sock") is not None:
        return
    host, port = _argument(args, kwargs, 1, "host"), _argument(args, kwargs, 2, "port")
    for one in host if isinstance(host, (list, tuple, set, frozenset)) else [host]:
        yield text(one), port


def lookup(_loop: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``getaddrinfo(host, port)``."""
    host = _argument(args, kwargs, 0, "host")
    if host is not None and not kwargs.get("flags", 0) & _socket.AI_NUMERICHOST:
        yield text(host), _argument(args, kwargs, 1, "port")


def reverse(_loop: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``getnameinfo(sockaddr, flags)``."""
    if not (_argument(args, kwargs, 1, "flags") or 0) & _socket.NI_NUMERICHOST:
        yield from _pair(_argument(args, kwargs, 0, "sockaddr"))


def cares_addresses(_channel: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read c-ares' ``getaddrinfo(host, port)``."""
    host = _argument(args, kwargs, 0, "host")
    if isinstance(host, (str, bytes)):
        yield text(host), _argument(args, kwargs, 1, "port")


def cares(_channel: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the name or address that c-ares is to look up."""
    name = args[0] if args else next((kwargs[key] for key in ("host", "name", "addr") if key in kwargs), None)
    if isinstance(name, (str, bytes)):
        yield text(name), None


def cares_reverse(_channel: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``getnameinfo(address, flags)``."""
    yield from _pair(_argument(args, kwargs, 0, "address"))


def dnspython(resolver: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Where | None:
    """Read the name that a ``Resolver`` looks up, unless its name server is judged instead."""
    name = text(str(_argument(args, kwargs, 0, "qname"))).rstrip(".")
    return (name, None) if _counts_by_name(resolver, name) and _sends(resolver) else None


def dnspython_server(resolver: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Where | None:
    """Read the name server that a ``Resolver`` asks, if it is judged instead of the name."""
    name = text(str(_argument(args, kwargs, 0, "qname"))).rstrip(".")
    if _counts_by_name(resolver, name) or not resolver.nameservers or not _sends(resolver):
        return None
    server = resolver.nameservers[0]
    address, port = _server(resolver, server)
    return getattr(server, "url", "") or (address if "://" in address else (address, port))


def _counts_by_name(resolver: Any, name: str) -> bool:
    """Return whether the name is judged, and not the name server.

    A name server that a test runs itself may answer for any name, and dnspython asks a server even for this machine's
    names.
    """
    return reach_of_name(name) is Reach.BEYOND and not all(_is_own(resolver, one) for one in resolver.nameservers)


def _sends(resolver: Any) -> bool:
    """Return whether a resolver sends with functions of dnspython or eventlet: a fake sends nothing."""
    package = type(resolver).resolve.__globals__.get("dns")  # eventlet has its own copy of the package
    return all(
        getattr(getattr(module, function), "__module__", "") in _SENDING
        for module in (getattr(package, "query", None), getattr(package, "asyncquery", None))
        if module is not None
        for function in ("udp", "tcp", "tls", "https", "udp_with_fallback")
    )


def _server(resolver: Any, server: Any) -> tuple[str, Any]:
    address = server if isinstance(server, str) else getattr(server, "address", "")
    return address, getattr(server, "port", None) or resolver.nameserver_ports.get(address, resolver.port)


def _is_own(resolver: Any, server: Any) -> bool:
    """Return whether a name server on this machine is not one that the system itself asks: those have port 53."""
    address, port = _server(resolver, server)
    ip = parse_ip(address)
    return ip is not None and port != _DNS and reach_of_address(ip) is not Reach.BEYOND


_DNS: Final = 53
_SENDING: Final = ("dns.query", "dns.asyncquery", "eventlet.support.greendns")


QT: Final = ("PySide6.QtNetwork", "PyQt5.QtNetwork")


def qt_request(_manager: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read the request of ``QNetworkAccessManager.get(request)`` and similar methods."""
    url = args[0].url().toString()
    if url.partition(":")[0] in {"http", "https", "ftp"}:
        yield of_url(url)


def qt_host(_socket: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``connectToHost(host, port)``."""
    yield _of_qt(_argument(args, kwargs, 0, "hostName")), _argument(args, kwargs, 1, "port")


def qt_datagram(_socket: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Iterator[Where]:
    """Read ``writeDatagram(data, address, port)``, or the destination in a datagram object."""
    if len(args) > 2:  # noqa: PLR2004 - (data, address, port)
        yield _of_qt(args[1]), args[2]
    elif hasattr(args[0], "destinationAddress"):
        yield _of_qt(args[0].destinationAddress()), args[0].destinationPort()


def qt_name(_info: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Where:
    """Read the name of ``QHostInfo.fromName(name)``."""
    return _of_qt(_argument(args, kwargs, 0, "name")), None


def qt_listen(_server: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Where:
    """Read ``listen(address, port)`` and ``bind(address, port)``; without an address, all local ones are used."""
    address = _argument(args, kwargs, 0, "address")
    if type(address) is int:  # only a port; special addresses have their own type
        return "", address
    return _of_qt(address) if address is not None else "", _argument(args, kwargs, 1, "port")


def _of_qt(address: Any) -> str:
    """Return a host as text, from text, an address object or a special address."""
    if isinstance(address, str):
        return address
    if not hasattr(address, "toString"):
        network = sys.modules[next(name for name in QT if name in sys.modules)]
        address = network.QHostAddress(address)
    return text(address.toString())


def rloop_transport(_loop: Any, result: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """Watch the type of rloop's datagram transports, which its module does not expose."""
    from pytest_test_categories._watch.clients import watch_type
    from pytest_test_categories._watch.clients.rows import Row

    watch_type(type(result[0]), Row("rloop._rloop", "sendto", "loops:sendto", "send"))
