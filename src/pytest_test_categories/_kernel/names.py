"""Look-ups as the kernel sees them: datagrams to a name server's port, and sockets of local resolvers."""

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
"""Where local resolvers listen. Where they aren't, the C library asks a name server itself, and that can be read."""
SYSTEM_SOCKETS: Final = (
    "/run/uuidd/",
    "/var/run/uuidd/",
    "/run/systemd/userdb/",
    "/var/lib/sss/pipes/",
    "/run/samba/winbindd/",
    "/var/run/samba/winbindd/",
)
"""Where the C library asks this machine for users, groups and identifiers."""
RESOLV_CONF: Final = "/etc/resolv.conf"
_STUBS: Final = ("127.0.0.53", "127.0.0.54")  # systemd-resolved's
_HEADER: Final = 12
_LONGEST_LABEL: Final = 63
LONGEST_QUERY: Final = 512
"""How much of a message is read for its name."""
_REFUSED: Final = b"\x81\x85" + b"\0\1" + bytes(6)  # a response, REFUSED, which repeats the one question


class NameServers:
    """The name servers of this machine, read again when their file changes."""

    def __init__(self, path: str = RESOLV_CONF) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._addresses: set[IPAddress | None] = set(map(parse_ip, _STUBS))
        self._domains: list[str] = []

    def asks(self, endpoint: Endpoint) -> bool:
        """Tell whether a datagram to an endpoint, or a connection, is there to look a name up."""
        if endpoint.port not in PORTS or endpoint.family != "ip":
            return False
        ip = parse_ip(endpoint.host)
        # On loopback it is one if this machine asks there: else somebody's own server, which is a service like others.
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
    """Return the name that a DNS query asks for; empty if it is none."""
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
    """Return what a name server answers that refuses a query; nothing if it is none."""
    if not queried_name(query):
        return b""
    return query[:2] + _REFUSED + query[_HEADER : query.find(b"\0", _HEADER) + 5]


class Detour:
    """A socket to put in the place of one that asks a name server, so that what is sent on it arrives here first.

    A look-up for addresses of one family says the name by ``send``, which no filter sees. The caller's copy and
    ``caller`` are one socket: where it leads is changed from here, and an answer comes from the name server itself.

    Args:
        server: The name server.
        blocking: Whether the caller's socket waits.

    Raises:
        OSError: There can be none, as without a loopback interface.
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
        """Return what the caller has sent; nothing if it was someone else.

        Raises:
            OSError: There is nothing.
        """
        message, sender = self.here.recvfrom(LONGEST_QUERY)
        return message if sender == self.caller.getsockname() else b""

    def refuse(self, query: bytes) -> None:
        """Answer a query as a server does that refuses it."""
        with contextlib.suppress(OSError):
            if answer := refusal_of(query):
                self.here.sendto(answer, self.caller.getsockname())

    def lead_to_server(self, message: bytes = b"") -> None:
        """Connect the caller's socket to the name server, and send there what it has sent here.

        Raises:
            OSError: There is no way.
        """
        self._lead_to(self._server)
        if message:
            self.caller.send(message)

    def lead_here(self) -> None:
        """Connect the caller's socket to this process again."""
        self._lead_to(self.here.getsockname())

    def _lead_to(self, address: tuple[str, int]) -> None:
        libc.connect(self.caller.fileno(), bytes(16), 16)  # AF_UNSPEC: the socket forgets which address it has here
        self.caller.connect(address)

    def close(self) -> None:
        """Leave the caller's socket as it is."""
        self.caller.close()
        self.here.close()
