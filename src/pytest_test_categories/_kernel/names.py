"""Look-ups as the kernel sees them: datagrams to a name server's port, and sockets of local resolvers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_test_categories._host.system import System
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
