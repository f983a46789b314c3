"""Look-ups as system calls: datagrams to the port of a name server, and sockets of local resolvers."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Final

from pytest_test_categories._host.system import System
from pytest_test_categories._kernel.filter import libc
from pytest_test_categories._rules.address import parse_ip

if TYPE_CHECKING:
    from pytest_test_categories._rules.address import Endpoint, IPAddress

PORTS: Final = frozenset({53, 853, 5353})
"""DNS, DNS over TLS, multicast DNS."""
RESOLVER_SOCKETS: Final = ("/run/systemd/resolve/", "/run/nscd/", "/var/run/nscd/", "/run/avahi-daemon/")
"""Where local resolvers listen. Without one, the C library queries a name server itself, and that can be read."""
SYSTEM_SOCKETS: Final = (
    "/run/uuidd/",
    "/var/run/uuidd/",
    "/run/systemd/userdb/",
    "/var/lib/sss/pipes/",
    "/run/samba/winbindd/",
    "/var/run/samba/winbindd/",
)
"""Where the C library asks services of this machine for users, groups and identifiers."""
RESOLV_CONF: Final = "/etc/resolv.conf"
_STUBS: Final = ("127.0.0.53", "127.0.0.54")  # systemd-resolved's
_HEADER: Final = 12
_LONGEST_LABEL: Final = 63
LONGEST_QUERY: Final = 512
"""How many bytes of a message are read to find the name."""
_REFUSED: Final = b"\x81\x85" + b"\0\1" + bytes(6)  # a response with the code REFUSED, which repeats the one question


class NameServers:
    """The name servers of this machine, read again when the file that lists them changes."""

    def __init__(self, path: str = RESOLV_CONF) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._addresses: set[IPAddress | None] = set(map(parse_ip, _STUBS))
        self._domains: list[str] = []

    def asks(self, endpoint: Endpoint) -> bool:
        """Tell whether a datagram or a connection to an endpoint is a look-up."""
        if endpoint.port not in PORTS or endpoint.family != "ip":
            return False
        ip = parse_ip(endpoint.host)
        # On loopback it is one if this machine has its name server there; otherwise it is a local service like others.
        if ip is not None and ip.is_loopback:
            self._refresh()
            return ip in self._addresses
        return True

    def meant(self, name: str) -> str:
        """Return a queried name without the domain that the C library appends to short names."""
        self._refresh()
        for domain in self._domains:
            if name.lower().endswith(f".{domain}"):
                return name[: -len(domain) - 1]
        return name

    def in_full(self, name: str) -> tuple[str, ...]:
        """Return the full names that a queried name stands for, if the C library completes short names.

        After the full names it asks for a name without a dot as it is, and that is the same look-up.
        """
        if "." in name:
            return (name,) if self.meant(name) != name else ()
        self._refresh()
        return tuple(f"{name}.{domain}" for domain in self._domains)

    def _refresh(self) -> None:
        stamp = System.stamp(self._path)
        if stamp == self._stamp:
            return
        try:
            with open(self._path, encoding="utf-8", errors="replace") as file:
                lines = [line.split() for line in file]
        except OSError:
            return
        self._stamp = stamp
        named = [line[1] for line in lines if len(line) > 1 and line[0] == "nameserver"]
        self._addresses = set(map(parse_ip, (*named, *_STUBS)))
        domains = {
            word.strip(".").lower() for line in lines if line[:1] in (["search"], ["domain"]) for word in line[1:]
        }
        self._domains = sorted(domains - {""}, key=len, reverse=True)


def queried_name(query: bytes) -> str:
    """Return the name that a DNS query asks for; empty if the message is not a query."""
    if len(query) <= _HEADER or query[2] & 0x80 or query[4:6] != b"\0\1":
        return ""
    labels = []
    at = _HEADER
    while at < len(query) and 0 < query[at] <= _LONGEST_LABEL:
        label = query[at + 1 : at + 1 + query[at]]
        if len(label) < query[at]:
            return ""
        labels.append(label.decode("ascii", "backslashreplace"))
        at += 1 + query[at]
    return ".".join(labels)


def refusal_of(query: bytes) -> bytes:
    """Return the response of a name server that refuses a query; empty if the message is not a query."""
    if not queried_name(query):
        return b""
    return query[:2] + _REFUSED + query[_HEADER : query.find(b"\0", _HEADER) + 5]


class Detour:
    """A socket that replaces one to a name server, so that messages on it arrive at the supervisor first.

    A look-up for addresses of one family sends the name with ``send``, which the filter does not see. The caller's
    descriptor and ``caller`` are the same socket: the supervisor changes where it is connected to, and the answer comes
    from the name server itself.

    Args:
        server: The name server.
        blocking: Whether the caller's socket is blocking.

    Raises:
        OSError: The sockets can't be created, for example without a loopback interface.
    """

    def __init__(self, server: Endpoint, *, blocking: bool) -> None:
        self._server = (server.host, int(server.port or 0))
        family, loopback = (socket.AF_INET6, "::1") if ":" in server.host else (socket.AF_INET, "127.0.0.1")
        self.caller = socket.socket(family, socket.SOCK_DGRAM)
        self.caller.setblocking(blocking)
        self.here = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self.here.bind((loopback, 0))
            self.caller.connect(self.here.getsockname())
        except OSError:
            self.close()
            raise

    def receive(self) -> bytes:
        """Return a message of the caller; empty if the message has another sender.

        Raises:
            OSError: There is no message.
        """
        message, sender = self.here.recvfrom(LONGEST_QUERY)
        return message if sender == self.caller.getsockname() else b""

    def refuse(self, query: bytes) -> None:
        """Answer a query like a name server that refuses it."""
        with contextlib.suppress(OSError):
            if answer := refusal_of(query):
                self.here.sendto(answer, self.caller.getsockname())

    def lead_to_server(self, message: bytes = b"") -> None:
        """Connect the caller's socket to the name server, and forward the message that the caller sent.

        Raises:
            OSError: The name server can't be reached.
        """
        self._lead_to(self._server)
        if message:
            self.caller.send(message)

    def lead_here(self) -> None:
        """Connect the caller's socket to this process again."""
        self._lead_to(self.here.getsockname())

    def _lead_to(self, address: tuple[str, int]) -> None:
        libc.connect(self.caller.fileno(), bytes(16), 16)  # AF_UNSPEC: the socket loses its local address
        self.caller.connect(address)

    def close(self) -> None:
        """Close the supervisor's descriptors; the caller's socket stays as it is."""
        self.caller.close()
        self.here.close()
