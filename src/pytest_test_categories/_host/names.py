"""What this machine knows about names and addresses, without using the network.

Remembered look-ups, the hosts file, and this machine's own name and addresses. Nothing here sends a packet.
"""

from __future__ import annotations

import _socket
import ipaddress
import os
import sys
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from pytest_test_categories._host.c_library import finds_mapped_addresses, library
from pytest_test_categories._host.system import System
from pytest_test_categories._rules.address import IPAddress, Reach, is_local_ip, is_localhost, normal_name, parse_ip
from pytest_test_categories._rules.policy import LookedUp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from pytest_test_categories._rules.address import AllowEntry

HOSTS_FILE: Final = (
    os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "drivers", "etc", "hosts")
    if sys.platform == "win32"
    else "/etc/hosts"
)

ANSWERS_FOR_LOCALHOST: Final = sys.platform == "win32"
"""Whether the system itself knows all addresses of ``localhost``: Windows' ``getaddrinfo`` does, in this spelling only.

Windows' hosts file has the name only in comments. Those of macOS and of most Linux systems hold both addresses.
"""

SYSTEM_LOG_SOCKETS: Final = frozenset(
    {
        "/dev/log",
        "/var/run/log",
        "/var/run/syslog",
        "/run/systemd/journal/dev-log",
        "/run/systemd/journal/socket",
        "/run/systemd/journal/stdout",
    }
)
"""Unix sockets of the system's log (syslog, journald), to which a SysLogHandler connects."""

_VSOCK_LOCAL: Final = 1  # VMADDR_CID_LOCAL, in linux/vm_sockets.h
OWN_ADDRESS_SECONDS: Final = 5.0
REMEMBERED_ADDRESSES: Final = 4096
REMEMBERED_NAMES: Final = 16


class _State:
    """What is known about this machine's addresses: the mutable state of this module, beside the tables.

    Attributes:
        own: For each address, when it was checked, and whether it is this machine's.
    """

    def __init__(self) -> None:
        self.own: dict[IPAddress, tuple[float, bool]] = {}


state: Final = _State()


class HostsFile:
    """The names in the hosts file, which is read again when it changes."""

    def __init__(self, path: str = HOSTS_FILE) -> None:
        self._path = path
        self._held: tuple[tuple[int, int, int] | None, dict[str, set[str]]] = (None, {})

    def addresses(self, name: str) -> set[str]:
        """Return the addresses of a name in the file; an empty set if it does not contain the name."""
        return self.names().get(normal_name(name), set())

    def stamp(self) -> tuple[int, int, int] | None:
        """Return a value that changes whenever the file changes."""
        try:
            found = System.stat(self._path)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def names(self) -> dict[str, set[str]]:
        """Return all names in the file, each with its addresses."""
        stamp = self.stamp()
        known, names = self._held
        if stamp != known:
            names = self._read()
            self._held = stamp, names  # in one assignment: another thread may read it at the same time
        return names

    def holds_address(self, ip: IPAddress) -> bool:
        """Return whether the file contains an address, so that looking up its name sends nothing."""
        return any(parse_ip(address) == ip for found in self.names().values() for address in found)

    def _read(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        try:
            lines = System.contents(self._path).splitlines()
        except OSError:
            return {}
        for line in lines:
            address, *names = line.decode(errors="replace").partition("#")[0].split() or [""]
            for name in names:
                found.setdefault(normal_name(name), set()).add(address)
        return found

    def maps_to_loopback(self, name: str) -> bool:
        """Return whether the file maps a name to loopback addresses only."""
        addresses = [parse_ip(address) for address in self.addresses(name)]
        return bool(addresses) and all(ip is not None and ip.is_loopback for ip in addresses)


hosts_file = HostsFile()


def own_names() -> set[str]:
    """Return the names of this machine: the result of ``gethostname``, and its full form in the hosts file."""
    name = normal_name(_socket.gethostname())
    return {name} | ({normal_name(own) for own in _fqdns(name)} if "." not in name else set())


def is_own_name(name: str) -> bool:
    """Return whether a name is one of this machine's own."""
    return normal_name(name) in own_names()


def _fqdns(name: str) -> list[str]:
    # hosts: "10.0.0.7 web1.example.com web1"; getfqdn() of web1 is then web1.example.com.
    mine = hosts_file.addresses(name)
    return [other for other, found in hosts_file.names().items() if other.startswith(f"{name}.") and found & mine]


def is_own_address(ip: IPAddress) -> bool:
    """Return whether an address belongs to one of this machine's interfaces. Sends nothing."""
    now = time.monotonic()
    known = state.own.get(ip)
    if known is not None and now - known[0] < OWN_ADDRESS_SECONDS:
        return known[1]
    if len(state.own) >= REMEMBERED_ADDRESSES:
        state.own.clear()
    try:
        own = any(_binds(ip, scope) and _routes_to_itself(ip, scope) for scope in _scopes(ip))
    except (OSError, ValueError):  # no socket of that family, no free descriptor, a scope that is not a number
        return False
    state.own[ip] = (now, own)
    return own


def _scopes(ip: IPAddress) -> list[int]:
    """Return the scopes in which to try an address: all interfaces for a link-local address without a scope."""
    if isinstance(ip, ipaddress.IPv4Address) or not ip.is_link_local:
        return [0]
    if ip.scope_id is None:
        return [index for index, _name in _socket.if_nameindex()]
    if ip.scope_id.isdecimal():
        return [int(ip.scope_id)]
    try:
        return [_socket.if_nametoindex(ip.scope_id)]
    except OSError:
        return []


def _sockaddr(ip: IPAddress, port: int, scope: int) -> tuple[str | int, ...]:
    # CPython reads the scope only from this tuple, and ignores one in the text.
    text = str(ip).partition("%")[0]
    return (text, port) if isinstance(ip, ipaddress.IPv4Address) else (text, port, 0, scope)


def _binds(ip: IPAddress, scope: int) -> bool:
    if ip.is_multicast:
        return False
    with _socket_of(ip) as probe:
        try:
            probe.bind(_sockaddr(ip, 0, scope))
        except OSError:
            return False
    return True


def _routes_to_itself(ip: IPAddress, scope: int) -> bool:
    # With net.ipv4.ip_nonlocal_bind every address can be bound. This machine reaches an address of its own from that
    # same address. The connect of a datagram socket chooses a route and sends nothing.
    with _socket_of(ip) as probe:
        try:
            probe.connect(_sockaddr(ip, 9, scope))
            mine = parse_ip(probe.getsockname()[0])
            return mine is not None and int(mine) == int(ip)  # without its scope
        except OSError:
            return False


class Probe(_socket.socket):
    """A socket that tests an address; the audit hook ignores its calls."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def _socket_of(ip: IPAddress) -> Probe:
    return Probe(_socket.AF_INET6 if ip.version == 6 else _socket.AF_INET, _socket.SOCK_DGRAM)  # noqa: PLR2004 - IPv6


def reach_of_address(ip: IPAddress) -> Reach:
    """Return how far traffic to an address goes."""
    return Reach.MACHINE if is_local_ip(ip) or is_own_address(ip) else Reach.BEYOND


def reach_of_name(name: str) -> Reach:
    """Return how far the look-up of a name goes: ``NOWHERE`` if it needs no server."""
    if is_localhost(name) or name == "" or hosts_file.maps_to_loopback(name):
        return Reach.NOWHERE
    if is_own_name(name):
        return Reach.NOWHERE if hosts_file.addresses(name) else Reach.MACHINE
    return Reach.BEYOND


def reach_of_reverse(ip: IPAddress, *, mapped: bool = False) -> Reach:
    """Return how far the look-up of an address's name goes.

    Args:
        ip: The address.
        mapped: Whether it was written inside an IPv6 address (``::ffff:127.0.0.1``): not every C library finds such an
            address in the hosts file.
    """
    if hosts_file.holds_address(ip) and (not mapped or finds_mapped_addresses()):
        return Reach.NOWHERE
    return reach_of_address(ip)


def name_here(ip: IPAddress, *, mapped: bool = False) -> str | None:
    """Return the name of one of this machine's own addresses, if only a DNS server would give it; else None.

    RFC 6761 wants no server to be asked about loopback. The names of its other addresses this machine knows itself.
    """
    if reach_of_reverse(ip, mapped=mapped) is not Reach.MACHINE:
        return None
    return "localhost" if is_local_ip(ip) and not ip.is_unspecified else _socket.gethostname()


def is_loopback(interface: str) -> bool:
    """Return whether an interface is a loopback interface: ``lo``, macOS' ``lo0``, Windows' ``loopback_0``."""
    return interface in {"lo", "lo0"} or interface.startswith("loopback_")


def reach_of_vsock(context: int) -> Reach:
    """Return how far traffic to a context of vsock(7) goes: a virtual machine, its host, or this machine itself."""
    return Reach.MACHINE if context in (_VSOCK_LOCAL, _own_vsock()) else Reach.BEYOND


def _own_vsock() -> int:
    """Return this machine's own context: 2 on a host, 3 or more in a virtual machine, -1 if it is not known."""
    ask = getattr(_socket, "IOCTL_VM_SOCKETS_GET_LOCAL_CID", None)
    if ask is None:
        return -1
    import fcntl

    try:
        device = System.open("/dev/vsock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        return int.from_bytes(fcntl.ioctl(device, ask, bytes(4)), sys.byteorder)
    except OSError:
        return -1
    finally:
        System.close(device)


def reach_of_interface(name: str) -> Reach:
    """Return how far a frame that is sent on an interface goes."""
    return Reach.MACHINE if is_loopback(name) else Reach.BEYOND


def spelled_here(name: str, family: object = 0) -> str | None:
    """Return what to look up instead of a local name for which a DNS server would be asked; None for other names.

    RFC 6761 says that no server is asked for the names of localhost. The GNU C library does ask for those that the
    hosts file does not contain letter by letter, such as ``localhost.`` and ``app.localhost``; and, where one family is
    wanted, for those that it contains only with addresses of the other. This machine's own name may be missing from
    the hosts file.

    Args:
        name: The name as the caller wrote it.
        family: The only address family that is wanted; 0 for both.
    """
    held = hosts_file.addresses(name)
    local, number = is_localhost(name), "::1" if family == _socket.AF_INET6 else "127.0.0.1"
    if not held and not local:
        return number if is_own_name(name) else None
    if not held:
        held = hosts_file.addresses("localhost")
        if ANSWERS_FOR_LOCALHOST or (held and _has_family(held, family)):
            return None if name == "localhost" else "localhost"
        return number
    if not local and not hosts_file.maps_to_loopback(name) and not is_own_name(name):
        return None
    if not _has_family(held, family):
        # No address of that family: the C library says so for a numeric address, and would ask a server for a name.
        return number if local else min(held)
    here = normal_name(name) if library() == "musl" else name.removesuffix(".")  # the spelling in the file
    return None if here == name else here


def _has_family(addresses: set[str], family: object) -> bool:
    """Return whether the C library finds an address of a family among those of the hosts file."""
    if family == _socket.AF_INET6:
        return any(":" in address for address in addresses)
    if family == _socket.AF_INET:  # here the C library reads ::1 as 127.0.0.1
        ips = [parse_ip(address) for address in addresses]
        return any(ip is not None and (ip.version == 4 or ip.is_loopback) for ip in ips)  # noqa: PLR2004 - IPv4
    return True


class LookUps:
    """A bounded table of names and the addresses they resolved to.

    Attributes:
        latest: Another object after each change.
    """

    def __init__(self, size: int = REMEMBERED_ADDRESSES) -> None:
        self._size = size
        self._by_address: OrderedDict[IPAddress, OrderedDict[tuple[str, int], LookedUp]] = OrderedDict()
        self._nothing = True  # not the same as an empty table: an entry is removed while it is being replaced
        self.lock = threading.RLock()  # a forked child needs a new one
        self.latest = object()

    def remember(self, name: str, allow: tuple[AllowEntry, ...], addresses: Iterable[str], context: int) -> None:
        """Remember the answer of a look-up made under ``allow``; ``context`` identifies the guard it was made for."""
        for address in addresses:
            ip = parse_ip(address)
            if ip is None:
                continue
            with self.lock:
                self._nothing = False
                self.latest = object()
                names = self._by_address.pop(ip, None) or OrderedDict()
                names.pop((name, context), None)
                names[name, context] = LookedUp(name, allow)
                while len(names) > REMEMBERED_NAMES:
                    names.popitem(last=False)
                self._by_address[ip] = names
                while len(self._by_address) > self._size:
                    self._by_address.popitem(last=False)

    def names_of(self, ip: IPAddress) -> tuple[LookedUp, ...]:
        """Return the names that resolved to an address, oldest first."""
        if self._nothing:
            return ()
        with self.lock:
            return tuple((self._by_address.get(ip) or {}).values())

    def shown_name(self, ip: IPAddress, context: int) -> str:
        """Return the name to show for an address: the latest of this context, else the latest; empty if none.

        For a loopback address only the context's own names count: other tests' names for it say nothing, and reports
        must not depend on which tests ran before.
        """
        latest = ""
        if self._nothing:
            return latest
        own = ip.is_loopback
        with self.lock:
            names = list(self._by_address.get(ip) or ())
        for name, made_for in reversed(names):
            if made_for == context:
                return name
            latest = latest or ("" if own else name)
        return latest

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self._by_address.clear()
            self._nothing = True
            self.latest = object()


look_ups = LookUps()
