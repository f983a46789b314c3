"""Readers of endpoints: where a call leads, as the C library and the kernel interpret its arguments.

Readers know nothing about guards. They return a ``Sight``, or None for a call that sends nothing or will fail anyway.
"""

from __future__ import annotations

import _socket
import functools
import operator
import re
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._host.c_library import (
    asks_for_local_names,
    refused_by_c_library,
    refuses_arguments,
)
from pytest_test_categories._host.names import (
    SYSTEM_LOG_SOCKETS,
    hosts_file,
    is_own_name,
    name_here,
    reach_of_address,
    reach_of_interface,
    reach_of_name,
    reach_of_reverse,
    reach_of_vsock,
    spelled_here,
)
from pytest_test_categories._host.unix_sockets import name_of, our_family
from pytest_test_categories._rules.address import (
    Endpoint,
    Reach,
    host_text,
    parse_ip,
    pipe_endpoint,
    pipe_of,
    plain_host,
)
from pytest_test_categories._rules.policy import Kind
from pytest_test_categories._watch import Sight

if TYPE_CHECKING:
    from collections.abc import Callable

family_of: Final = _socket.socket.family.__get__
"""Returns the family of a socket as a plain number; ``socket.socket.family`` would create an enum each time."""

type_of: Final = _socket.socket.type.__get__
"""Returns the type of a socket as a plain number."""

IP_FAMILIES: Final = (_socket.AF_INET, _socket.AF_INET6)
AF_UNIX: Final = getattr(_socket, "AF_UNIX", -1)
AF_VSOCK: Final = getattr(_socket, "AF_VSOCK", -1)
AF_PACKET: Final = getattr(_socket, "AF_PACKET", -1)
AF_PIPE: Final = -2
"""Used as the family of Windows' named pipes, which are not sockets. Their address is a tuple that holds the path."""
HIGHEST_PORT: Final = 65535
_LONGEST_LABEL: Final = 64
_C_INT: Final = 2**31


def read_address(kind: Kind, family: int, address: Any) -> Sight | None:
    """Read a socket address; None for a family that is not judged, or an address that the call will refuse."""
    if family in IP_FAMILIES:
        return _read_ip(family, address)
    if family == AF_UNIX:
        path = name_of(address)
        if path is None or kind is Kind.BIND:
            return None
        if path in SYSTEM_LOG_SOCKETS or our_family.knows(path):
            return Sight(Endpoint(path, family="unix"), Reach.NOWHERE)
        return Sight(Endpoint(path, family="unix"), Reach.MACHINE, functools.partial(our_family.holds, path))
    if family == AF_VSOCK and isinstance(address, tuple) and len(address) == 2:  # noqa: PLR2004 - (cid, port)
        return Sight(Endpoint(str(address[0]), str(address[1]), "vsock"), reach_of_vsock(address[0]))
    if family == AF_PACKET and isinstance(address, tuple) and address and isinstance(address[0], str):
        return Sight(Endpoint(address[0], family="packet"), reach_of_interface(address[0]))
    return None


def read_pipe(_kind: Kind, _family: int, address: tuple[str]) -> Sight | None:
    """Read the address of a named pipe of Windows; None if the path is not a pipe's."""
    found = pipe_of(address[0])
    if found is None:
        return None
    machine, name = found
    endpoint = pipe_endpoint(address[0])
    if not machine:
        if re.match(_STANDARD_LIBRARYS, name):
            return Sight(endpoint, Reach.NOWHERE)
        return Sight(endpoint, Reach.MACHINE, functools.partial(our_family.has_pipe, name))
    ip = parse_ip(machine)
    reach = reach_of_name(machine) if ip is None else reach_of_address(ip)
    return Sight(endpoint, Reach.BEYOND if reach is Reach.BEYOND else Reach.MACHINE)


_STANDARD_LIBRARYS: Final = r"(?i:pyc|python-pipe)-\d+-\d+-"
"""Names that multiprocessing and asyncio give to pipes between a process and its children, known to these alone."""


def kind_of_bind(kind: Kind, family: int) -> Kind:
    """Return the kind of a ``bind``: on a packet socket it sets where the frames go, as a connect does."""
    return Kind.CONNECT if kind is Kind.BIND and family == AF_PACKET else kind


def _read_ip(family: int, address: Any) -> Sight | None:
    if not isinstance(address, tuple):
        return None
    address = tuple.__add__((), address)  # the items that C code reads, even of a subclass of tuple
    if not address or not isinstance(address[0], (str, bytes, bytearray)):
        return None
    if not 2 <= len(address) <= (2 if family == _socket.AF_INET else 4):  # noqa: PLR2004 - (host, port[, flow, scope])
        return None
    host = host_text(address[0])
    try:
        port = operator.index(address[1])
    except TypeError:
        return None
    # CPython passes the root name (".") on unchanged here.
    if (not _is_sound(address[0]) and host != ".") or not -_C_INT <= port < _C_INT:
        return None
    if host == "":
        return Sight(Endpoint("0.0.0.0", port), Reach.MACHINE)  # noqa: S104 - what an empty host means
    if parse_ip(host) is not None:
        return Sight(Endpoint(host, port)) if 0 <= port <= HIGHEST_PORT else None
    reach = Reach.BEYOND if host == "<broadcast>" else reach_of_name(host)
    if reach is Reach.NOWHERE and not 0 <= port <= HIGHEST_PORT:  # resolved without sending a packet, then refused
        return None
    if reach is Reach.BEYOND and host != "<broadcast>" and ends_here(address[0], family):
        return None
    return Sight(Endpoint(host, port), Reach.BEYOND if reach is Reach.BEYOND else Reach.MACHINE)


def read_datagram_connect(kind: Kind, family: int, address: Any) -> Sight | None:
    """Read the connect of a datagram socket: to a numeric address it sends nothing; later sends are judged then."""
    sight = read_address(kind, family, address)
    if sight is None or parse_ip(sight.endpoint.host) is None:
        return sight
    return Sight(sight.endpoint, Reach.NOWHERE)


def reader_of_connect(kind: Kind, family: int, sock: Any) -> Callable[[Kind, int, Any], Sight | None]:
    """Return the reader for the address of a call on a socket.

    The connect of a datagram socket is free only where a wrapper judges its ``send`` later; the interpreter's own class
    has no wrapper.
    """
    if (
        kind is Kind.CONNECT
        and family in IP_FAMILIES
        and type_of(sock) == _socket.SOCK_DGRAM
        and type(sock) is not _socket.socket
    ):
        return read_datagram_connect
    return read_address


def read_group(_kind: Kind, _family: int, address: Any) -> Sight:
    """Read the multicast group that a socket joins."""
    return Sight(Endpoint(address[0]), Reach.BEYOND)


def read_bound_name(_kind: Kind, family: int, address: Any) -> Sight | None:
    """Read the name that a bind looks up; None if its address is numeric."""
    sight = _read_ip(family, address) if family in IP_FAMILIES else None
    if sight is None or sight.reach is not Reach.BEYOND or sight.endpoint.host == "<broadcast>":
        return None
    return Sight(Endpoint(sight.endpoint.host), Reach.BEYOND)


def _is_sound(host: str | bytes | bytearray) -> bool:
    """Return whether CPython passes a host to the C library: none with a NUL, and none that IDNA can't encode."""
    if isinstance(host, str):
        if host.isascii() and len(host) < _LONGEST_LABEL:
            return "\0" not in host and ".." not in host and not host.startswith(".")
        try:
            return "\0" not in host and bool(host.encode("idna"))
        except UnicodeError:
            return False
    return b"\0" not in host


def _up_to_a_nul(host: str | bytes | bytearray) -> str | bytes:
    """Return the part of a host that getaddrinfo looks up."""
    plain = plain_host(host)
    return plain.partition("\0")[0] if isinstance(plain, str) else plain.partition(b"\0")[0]


_OTHER_RESOLVERS: Final = ("gevent.resolver.ares", "gevent.resolver.cares", "gevent.resolver.dnspython")
"""Modules that ask name servers instead of the C library, once they are loaded."""


def ends_here(host: str | bytes | bytearray, family: object = 0, flags: int = 0) -> bool:
    """Return whether the C library ends the look-up of a name by itself, so that nothing is sent."""
    return (
        refused_by_c_library(host, family, flags)
        and not hosts_file.addresses(host_text(host))  # the hosts file is read first
        and not _others_resolve()
    )


def _others_resolve() -> bool:
    return not sys.modules.keys().isdisjoint(_OTHER_RESOLVERS)


def read_lookup(_kind: Kind, _family: int, address: tuple[Any, ...]) -> Sight | None:
    """Read a look-up's ``(host, port, flags)``; None if it sends nothing with any resolver."""
    host, port, flags = address[:3]
    if not isinstance(host, (str, bytes, bytearray)) or flags & socket.AI_NUMERICHOST:
        return None
    asked_for = _up_to_a_nul(host)
    if asked_for and not _is_sound(asked_for):
        return None
    host = host_text(asked_for)
    if parse_ip(host) is not None:
        return None
    shown = port if isinstance(port, (int, str)) and not isinstance(port, bool) and port != 0 else None
    return Sight(Endpoint(host, shown), reach_of_name(host))


def read_reverse(kind: Kind, family: int, address: tuple[Any, ...]) -> Sight | None:
    """Read the look-up of an address's name (or, as ``gethostbyaddr`` takes both, of a name)."""
    host = address[0]
    if not isinstance(host, (str, bytes, bytearray)):
        return None
    text = host_text(host)
    if text == "<broadcast>":  # CPython's name for this address
        text = "255.255.255.255"
    ip = parse_ip(text)
    if ip is None:
        return read_lookup(kind, family, address)
    return Sight(Endpoint(text), reach_of_reverse(ip, mapped=_is_mapped(text)))


def _is_mapped(host: str) -> bool:
    """Return whether a host is an IPv4 address written inside an IPv6 one."""
    return ":" in host and "." in str(parse_ip(host))


def read_c_lookup(kind: Kind, family: int, address: tuple[Any, ...]) -> Sight | None:
    """Read a look-up's ``(host, port, flags, family, type, protocol)``; None if the C library sends nothing."""
    return _unless_it_ends_here(read_lookup(kind, family, address), address)


def read_c_reverse(kind: Kind, family: int, address: tuple[Any, ...]) -> Sight | None:
    """Read the same tuple of a reverse look-up, whose host is an address or a name."""
    return _unless_it_ends_here(read_reverse(kind, family, address), address)


def read_c_name(kind: Kind, family: int, address: tuple[Any, ...]) -> Sight | None:
    """Read the same tuple of a function that refuses a NUL in the host."""
    if isinstance(address[0], (str, bytes, bytearray)):
        host = plain_host(address[0])
        if _up_to_a_nul(host) != host:
            return None
    return (read_c_lookup if kind is Kind.LOOKUP else read_c_reverse)(kind, family, address)


def _unless_it_ends_here(sight: Sight | None, address: tuple[Any, ...]) -> Sight | None:
    if sight is None or sight.reach is not Reach.BEYOND or parse_ip(sight.endpoint.host) is not None:
        return sight
    host, port, flags, wanted, kind_of_socket, proto = address
    if ends_here(_up_to_a_nul(host), wanted, flags) or refuses_arguments(port, wanted, kind_of_socket, proto, flags):
        return None
    return sight


def answered(read: Callable[[Kind, int, Any], Sight | None]) -> Callable[[Kind, int, Any], Sight | None]:
    """Return a reader for wrappers, which answer for this machine's own name instead of letting a server be asked."""

    def reader(kind: Kind, family: int, address: tuple[Any, ...]) -> Sight | None:
        sight = read(kind, family, address)
        if sight is None or sight.reach is not Reach.MACHINE or not is_own_name(sight.endpoint.host):
            return sight
        return Sight(sight.endpoint, Reach.NOWHERE)

    return reader


def unanswered(
    read: Callable[[Kind, int, Any], Sight | None], wanted: object = 0
) -> Callable[[Kind, int, Any], Sight | None]:
    """Return a reader for layers that can't answer instead of the C library.

    For them a local name is foreign if the C library would ask a server for it.

    Args:
        read: The reader of the call.
        wanted: The only address family that is wanted; 0 for both.
    """

    def reader(kind: Kind, family: int, address: tuple[Any, ...]) -> Sight | None:
        sight = read(kind, family, address)
        if sight is None or sight.reach is Reach.BEYOND or not asks_for_local_names():
            return sight
        if parse_ip(sight.endpoint.host) is None:
            asks = spelled_here(sight.endpoint.host, wanted) is not None
        else:
            asks = kind is Kind.REVERSE_LOOKUP and sight.reach is Reach.MACHINE  # the hosts file does not name it
        return Sight(sight.endpoint, Reach.BEYOND) if asks else sight

    return reader


def numeric_host(address: Any) -> Any:
    """Return the host of ``getnameinfo``'s address; None for one that it refuses: the C library refuses every name."""
    if not isinstance(address, tuple) or not 2 <= len(address) <= 4:  # noqa: PLR2004 - (host, port[, flow, scope])
        return None
    host = tuple.__getitem__(address, 0)  # the item that C code reads, even of a subclass of tuple
    if not isinstance(host, str) or (parse_ip(host_text(host)) is None and not _others_resolve()):
        return None
    return host


def named_here(host: Any) -> str | None:
    """Return the name of one of this machine's own addresses, where the C library would ask a server for it."""
    text = host_text(host) if isinstance(host, (str, bytes, bytearray)) else ""
    ip = parse_ip(text)
    return None if ip is None else name_here(ip, mapped=_is_mapped(text))


def addresses_in(answer: Any) -> list[str]:
    """Return the addresses in the answer of getaddrinfo, gethostbyname or gethostbyname_ex."""
    if isinstance(answer, str):
        return [answer]
    if isinstance(answer, tuple) and len(answer) == 3 and isinstance(answer[2], list):  # noqa: PLR2004 - (name, aliases, addresses)
        return [str(address) for address in answer[2]]
    if isinstance(answer, list):
        return [str(info[4][0]) for info in answer if isinstance(info, tuple) and len(info) == 5 and info[4]]  # noqa: PLR2004 - getaddrinfo's tuple
    return []
