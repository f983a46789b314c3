"""Endpoints, local addresses and allow entries: pure values, no look-ups.

Everything here works on the arguments of a call (text, bytes or a number) and never calls a resolver. Names stay
names: ``127.evil.example`` is a name, whatever it looks like.
"""

from __future__ import annotations

import enum
import fnmatch
import functools
import ipaddress
import re
import socket
from typing import Final, TypeAlias

from pytest_test_categories._rules.named_tuples import NamedTuple

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

ALLOW_FORMS: Final = (
    "postgres, redis:6379, 10.0.0.0/8, [fd00::]/8, *.svc.cluster.local:443, unix:/path, small: 127.0.0.1:8126"
)
"""The forms of an allow entry, for error messages."""


class Reach(enum.Enum):
    """How far traffic to an endpoint goes, judged from the endpoint alone."""

    NOWHERE = "nowhere"  # the call sends nothing, or stays inside this process
    MACHINE = "machine"  # loopback, this machine's own addresses and names, unix sockets
    BEYOND = "beyond"  # anything else


class Endpoint(NamedTuple):
    """The endpoint of an attempt.

    Attributes:
        host: The host as the caller passed it; for a unix socket its path.
        port: The port or service name; None if the call has none.
        family: ``"ip"``, ``"unix"``, ``"vsock"``, ``"packet"`` (the host is an interface) or ``"pipe"``: a named pipe
            of Windows (the host is the pipe's name on this machine, or the whole path on another machine).
    """

    host: str
    port: int | str | None = None
    family: str = "ip"

    def __str__(self) -> str:
        """Return the endpoint as reports show it: ``host:port``, ``[v6]:port``, ``unix:/path``."""
        host = self.host if self.host.isprintable() else printable(self.host)  # one line that any terminal can show
        if self.family != "ip":
            return f"{self.family}:{host}" + ("" if self.port is None else f":{self.port}")
        if self.port is None or self.port == "":
            return host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def printable(text: str) -> str:
    """Return a text with line breaks, control characters and undecodable bytes escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def plain_host(host: str | bytes | bytearray) -> str | bytes:
    """Return a host as C code reads it: for a subclass the underlying value, whatever methods it overrides."""
    if isinstance(host, str):
        return str.__str__(host)
    whole = slice(None)
    return bytes.__getitem__(host, whole) if isinstance(host, bytes) else bytes(bytearray.__getitem__(host, whole))


def host_text(host: str | bytes | bytearray) -> str:
    """Return a host as text, whatever type the caller passed it in."""
    # A resolver uses bytes unchanged: they must not become letters that IDNA maps to another name.
    plain = plain_host(host)
    return plain if isinstance(plain, str) else plain.decode("ascii", "backslashreplace")


@functools.lru_cache(maxsize=4096)
def normal_name(name: str) -> str:
    """Return a host name normalized for comparison: lower case, no trailing dot, IDNA."""
    return _ascii(name).lower().removesuffix(".")


def _ascii(host: str) -> str:
    """Return a host as CPython passes it to the C library; unchanged if CPython would reject it."""
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


@functools.lru_cache(maxsize=4096)
def parse_ip(host: str) -> IPAddress | None:
    """Return the address that ``host`` stands for; None if it is a name.

    Accepts what the C library accepts: short, hexadecimal and octal IPv4 forms, scope ids, and IPv4 inside IPv6
    (returned as IPv4); also digits of any script, which IDNA maps to ASCII digits.
    """
    host = _ascii(host)
    if ":" in host:
        try:
            six = ipaddress.IPv6Address(host)
        except ValueError:
            # Scope ids of interfaces may contain characters that ipaddress rejects.
            head, percent, _scope = host.partition("%")
            if not percent:
                return None
            try:
                six = ipaddress.IPv6Address(head)
            except ValueError:
                return None
        return six.ipv4_mapped or six
    # inet_aton is the C library's own parser and does no look-up; it would ignore text after a space.
    if not host or host[0] not in "0123456789" or "\0" in host or host.split() != [host]:
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def pipe_of(path: str) -> tuple[str, str] | None:
    r"""Return the machine and the name of a Windows named pipe from its path; the machine is empty for this one.

    Such a path is ``\\.\pipe\name`` or ``\\machine\pipe\name``; None for other paths.
    """
    match = re.fullmatch(_PIPE, path.replace("/", "\\")) if path[:1] in {"\\", "/"} else None
    return None if match is None else (match[1] or match[2] or "", match[3])


_PIPE: Final = r"(?is)\\\\(?:[.?]\\(?:UNC\\([^\\]+)\\|GLOBALROOT\\Device\\Named)?|([^\\]+)\\)pipe\\(.+)"


def pipe_endpoint(path: str) -> Endpoint:
    """Return the endpoint for the path or the plain name of a named pipe."""
    machine, name = pipe_of(path) or ("", path)
    return Endpoint(rf"\\{machine}\pipe\{name}" if machine else name, family="pipe")


def is_local_ip(ip: IPAddress) -> bool:
    """Tell whether an address is loopback or unspecified (a connection to that reaches this machine)."""
    number = int(ip)  # the properties of ipaddress take four times as long
    return number == 0 or (number >> 24 == 127 if ip.version == 4 else number == 1)  # noqa: PLR2004 - IPv4


def is_localhost(name: str) -> bool:
    """Tell whether a name is ``localhost`` or ends in ``.localhost`` (RFC 6761), ignoring case and a trailing dot."""
    name = normal_name(name)
    return name == "localhost" or name.endswith(".localhost")


class AllowEntry(NamedTuple):
    """One parsed entry of an allow list.

    Attributes:
        text: The entry as written, for messages.
        size: ``"small"`` or ``"medium"``: the smallest size that the entry widens.
        name: A host name, or a pattern starting with ``*.``; empty if the entry has another form.
        network: The addresses it covers, for numeric entries.
        path: The path (or pattern) of a unix socket; for a named pipe ``pipe:`` and its name in lower case.
        port: The only port it covers; None for all.
    """

    text: str
    size: str = "medium"
    name: str = ""
    network: IPNetwork | None = None
    path: str = ""
    port: int | None = None

    def of_any_size(self) -> AllowEntry:
        """Return the entry in the form that applies to every size, for an entry of one guard, class or test."""
        if self.size == "small":
            return self
        match = re.fullmatch(_PREFIX, self.text)
        # In the text, too, which is what other processes receive.
        return self._replace(text=f"small: {self.text if match is None else match[2]}", size="small")

    @property
    def has_size(self) -> bool:
        """Whether the entry starts with a size."""
        return re.fullmatch(_PREFIX, self.text) is not None

    def admits_name(self, name: str, port: int | str | None) -> bool:
        """Tell whether the entry covers a name (port None: a look-up, which an entry for any port permits)."""
        if not self.name or not self._admits_port(port):
            return False
        name = normal_name(name)
        if self.name.startswith("*."):
            return name.endswith(self.name[1:]) and len(name) >= len(self.name)
        return name == self.name

    def admits_ip(self, ip: IPAddress, port: int | str | None) -> bool:
        """Tell whether the entry covers an address."""
        return self.network is not None and self._admits_port(port) and ip in self.network

    def admits_path(self, path: str) -> bool:
        """Tell whether the entry covers a unix socket, or a named pipe."""
        return bool(self.path) and (path == self.path or fnmatch.fnmatchcase(path, self.path))

    def _admits_port(self, port: int | str | None) -> bool:
        if self.port is None or port is None:
            return True
        return str(port) == str(self.port)


# Uncompiled: few runs use them, and compiling takes time at import. ``re`` caches compiled patterns.
_PREFIX: Final = r"(?s:(small|medium)\s*:\s*(.*))"
_NAME: Final = r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*"

# Not a name: the C library parses such a host as an address, and no registry has a numeric top-level domain.
_NUMERIC: Final = r"(?:\*\.)?(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*"


def parse_allow_entry(text: str) -> AllowEntry:
    """Parse one allow entry.

    Raises:
        ValueError: The text has none of the forms; the message lists them.
    """
    size, rest = "medium", text.strip()
    if match := re.fullmatch(_PREFIX, rest):
        size, rest = match[1], match[2].strip()
    if rest.startswith("unix:") and len(rest) > len("unix:"):
        path = rest.removeprefix("unix:")
        if "\0" in path[1:] and path[0] != "\0":  # only names in Linux' abstract namespace may contain NUL
            raise _not_an_entry(text)
        return AllowEntry(text.strip(), size, path=path)
    if rest.startswith("pipe:") and not rest.removeprefix("pipe:").isdecimal():  # otherwise a host named "pipe"
        return AllowEntry(text.strip(), size, path=str(pipe_endpoint(rest.removeprefix("pipe:"))).lower())
    host, port = _split_port(rest, text)
    if "/" in host:
        try:
            network = _unmapped(ipaddress.ip_network(host, strict=False))
        except ValueError:
            raise _not_an_entry(text) from None
        return AllowEntry(text.strip(), size, network=network, port=port)
    if host.isdecimal():  # "5432": a port on its own, not the address 0.0.21.56
        raise _not_an_entry(text)
    if (ip := parse_ip(host)) is not None:
        return AllowEntry(text.strip(), size, network=ipaddress.ip_network(ip), port=port)
    if re.fullmatch(_NUMERIC, normal_name(host)):
        raise ValueError(f"{text!r} is not a network allow entry: {host} looks like an IPv4 address and is none")
    if re.fullmatch(_NAME, normal_name(host)):
        return AllowEntry(text.strip(), size, name=normal_name(host), port=port)
    raise _not_an_entry(text)


def _unmapped(network: IPNetwork) -> IPNetwork:
    """Return a network inside ``::ffff:0:0/96`` as the IPv4 network that it maps, as ``parse_ip`` does."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is None or network.prefixlen < 96:  # noqa: PLR2004 - where the IPv4 address begins
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - 96))


def _split_port(rest: str, text: str) -> tuple[str, int | None]:
    if match := re.fullmatch(r"\[([^\]]+)\](/\d+)?(?::(\d+))?", rest):
        host, port = match[1] + (match[2] or ""), match[3]
    elif rest.count(":") == 1:
        host, _, port = rest.partition(":")
    else:  # no port, or a bare IPv6 address, which can't have one
        return rest, None
    if port is None:
        return host, None
    if not port.isdecimal() or len(port) > 5 or not 0 < int(port) <= 65535:  # noqa: PLR2004 - the highest port there is
        raise _not_an_entry(text)
    return host, int(port)


def _not_an_entry(text: str) -> ValueError:
    return ValueError(f"{text!r} is not a network allow entry; write one like {ALLOW_FORMS}")


def split_target(target: str) -> tuple[str, str]:
    """Return the host and the port of a target in the form of reports; the port is empty if there is none."""
    head, colon, port = target.rpartition(":")
    whole = target.startswith(("unix:", "vsock:", "pipe:"))
    if whole or not colon or "]" in port or (":" in head and "]" not in head):
        return target, ""
    return head, port


def stable_target(target: str) -> str:
    """Return a target in a form that is stable across runs: no system-chosen port, no temporary directory."""
    if target.startswith("unix:"):
        target = re.sub(_PYTESTS_OWN, "unix:.../", target)
        return re.sub(_RANDOM, r"\1*", target) if re.match(_TEMPORARY, target) else target
    host, port = split_target(target)
    if port.isdecimal() and int(port) >= _LOWEST_CHOSEN_PORT:
        ip = parse_ip(host.strip("[]"))
        if is_local_ip(ip) if ip is not None else is_localhost(host):
            return f"{host}:*"
    return target


_LOWEST_CHOSEN_PORT: Final = 32768  # Linux' choice; elsewhere it is 49152
_PYTESTS_OWN: Final = r"^unix:.*/pytest-of-[^/]+/pytest-[^/]+/(?:popen-gw\d+/)?"
_TEMPORARY: Final = r"(?i:^unix:(?:\.\.\.|(?:/.*)?/(?:te?mp|T))/)"
_RANDOM: Final = r"(?<=/)(tmp|[^/]*[-_.])[a-z0-9_]{8}(?=/|$)"  # the names that the tempfile module generates
