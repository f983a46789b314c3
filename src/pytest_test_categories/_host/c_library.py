"""What the C library refuses by itself, before it asks a server: such a look-up sends nothing.

====================  ==================================================================================================
GNU C library (2.36)  Sends no query for a name that is not a host name: ``res_hnok`` in ``resolv/nss_dns/dns-host.c``,
                      since 2.34. A host name is what ``ns_name_pton`` can encode (labels of 1 to 63 octets, 255 octets
                      altogether, a backslash quotes) and what contains only letters, digits, ``-`` and ``_``, with no
                      ``-`` at the very beginning. Where only IPv4 is wanted, ``nss/digits_dots.c`` reads digits and
                      dots as an address. One family together with a canonical name uses a third function
                      (``gethostbyname3_r``), which accepts any character. Other sources that ``nsswitch.conf`` lists
                      for hosts (systemd's resolver) are asked before those checks.
musl (1.2.3, 1.2.6)   Sends a query with any characters, but not with a label that is empty or longer than 63 octets,
                      nor with more than 253 octets: ``src/network/res_mkquery.c``, ``lookup_name.c``. It finds a name
                      in the hosts file only if it matches letter by letter.
macOS                 Its resolver process refuses a label that is empty or longer than 63 octets, and more than 254
                      octets, and sends a query with any characters: ``AppendDNSNameString`` in
                      ``mDNSCore/DNSCommon.c`` of mDNSResponder 2600, called first by ``handle_queryrecord_request``
                      in ``mDNSShared/uds_daemon.c``. A name with a backslash counts as sent.
Windows               Microsoft's page of ``getaddrinfo`` lists the arguments that are errors, but not which of them are
                      detected before a server is asked: every call counts as sent.
====================  ==================================================================================================

The first three check family, socket type, protocol and service before the name (macOS: ``si_addrinfo`` in
``lookup.subproj/si_getaddrinfo.c`` and ``mdns_addrinfo`` in ``mdns_module.c`` of Libinfo 600), and the first two also
the flags. For both Linux libraries this was found by counting the packets that reach a name server on loopback, and in
the sources; for macOS in the sources alone.
"""

from __future__ import annotations

import _socket
import functools
import os
import re
import sys
from typing import Final

from pytest_test_categories._host.system import System

KNOWN_SINCE: Final = (2, 34)
"""The first version of glibc whose source was read."""
_MAPPED_SINCE: Final = (2, 38)  # glibc's bug 25457; seen in 2.41 and 2.43, and not in 2.36

_NSSWITCH: Final = "/etc/nsswitch.conf"
_SILENT_SOURCES: Final = frozenset({"files", "dns", "myhostname", "mymachines", "db", "compat"})
_LOCAL_SOURCES: Final = frozenset({"mdns4_minimal", "mdns6_minimal", "mdns_minimal"})  # asked only for names in .local
_ANSWER_FOR_THIS_MACHINE: Final = frozenset({"myhostname", "resolve"})  # systemd's: names of this machine and localhost
_AI_IDN: Final = 0x40
_LONGEST_LABEL: Final = 63
_LONGEST_NAME: Final = 255  # including the length octets of its labels and of the root
_HIGHEST_OCTET: Final = 255
_LABEL_OCTETS: Final = frozenset("-_.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") - {"."}
_DIGITS: Final = frozenset("0123456789")
_PLAIN_FAMILIES: Final = frozenset({0, int(_socket.AF_INET), int(_socket.AF_INET6)})
_PLAIN_TYPES: Final = frozenset({0, int(_socket.SOCK_STREAM), int(_socket.SOCK_DGRAM)})


def refuses_name(name: str, *, ipv4_only: bool = False, any_character: bool = False) -> bool:
    """Return whether glibc's resolver sends no query for a name, since it is not a host name.

    Args:
        name: The name as the library gets it, one character for each octet.
        ipv4_only: Whether only IPv4 addresses are wanted, and no canonical name.
        any_character: Whether one family is wanted together with a canonical name.
    """
    if not name or name == ".":  # the resolver does send a query for the root
        return False
    if ipv4_only and _DIGITS.issuperset(name.replace(".", "")) and name[0] in _DIGITS and name[-1] in _DIGITS:
        return True
    labels = _labels(name)
    if labels is None or sum(len(label) + 1 for label in labels) + 1 > _LONGEST_NAME:
        return True
    if any(not 0 < len(label) <= _LONGEST_LABEL for label in labels):
        return True
    if any_character:
        return False
    return labels[0].startswith("-") or not all(_LABEL_OCTETS.issuperset(label) for label in labels)


def refuses_name_in_musl(name: str) -> bool:
    """Return whether musl's resolver sends no query for a name, given as one character for each octet."""
    return _has_no_labels(name, _LONGEST_NAME - 2)


def refuses_name_on_macos(name: str) -> bool:
    """Return whether macOS' resolver sends no query for a name, given as one character for each octet."""
    return name != "." and "\\" not in name and _has_no_labels(name, _LONGEST_NAME - 1)


def _has_no_labels(name: str, longest: int) -> bool:
    name = name.removesuffix(".")
    return len(name) > longest or any(not 0 < len(label) <= _LONGEST_LABEL for label in name.split("."))


def _labels(name: str) -> list[str] | None:
    """Return a name's labels without the quoting; None if the quoting is invalid."""
    labels, label, at = [], "", 0
    while at < len(name):
        char = name[at]
        if char == "\\":
            octet = name[at + 1 : at + 4]
            if octet[:1] not in _DIGITS:
                octet = octet[:1]
            elif len(octet) == 3 and _DIGITS.issuperset(octet) and int(octet) <= _HIGHEST_OCTET:  # noqa: PLR2004 - "046"
                at += 2
                octet = chr(int(octet))
            else:
                return None
            if not octet:
                return None
            label += octet
            at += 2
            continue
        if char == ".":
            labels.append(label)
            label = ""
        else:
            label += char
        at += 1
    # A dot at the end means the root.
    return [*labels, label] if label or not labels else labels


@functools.lru_cache(maxsize=1)
def library() -> str:
    """Return the C library whose refusals apply: ``glibc``, ``musl``, ``macos``, or ``""`` if they are not known."""
    if sys.platform == "darwin":
        return "macos"
    if str(getattr(sys.implementation, "_multiarch", "")).endswith("-linux-musl"):
        return "musl"
    return "glibc" if glibc_version() >= KNOWN_SINCE else ""


def glibc_version() -> tuple[int, ...]:
    """Return the version of the GNU C library that this process uses; an empty tuple for another library."""
    try:
        family, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
        return tuple(map(int, version.split(".")[:2])) if family == "glibc" else ()
    except (AttributeError, ValueError, OSError):  # another system, or another C library
        return ()


@functools.lru_cache(maxsize=1)
def finds_mapped_addresses() -> bool:
    """Return whether the C library finds an IPv4 address, written inside an IPv6 address, in the hosts file."""
    return glibc_version() >= _MAPPED_SINCE


def host_sources() -> frozenset[str]:
    """Return the sources that ``nsswitch.conf`` lists for hosts; the file is read again when it changes."""
    return _read_sources(System.stamp(_NSSWITCH))


@functools.lru_cache(maxsize=1)
def _read_sources(_stamp: tuple[int, int, int] | None) -> frozenset[str]:
    try:
        text = System.contents(_NSSWITCH).decode(errors="replace")
    except OSError:
        return frozenset({"files", "dns"})  # what glibc does without the file
    for line in text.splitlines():
        database, _, rest = line.partition("#")[0].partition(":")
        if database.strip() == "hosts":
            return frozenset(re.sub(r"\[[^]]*\]", " ", rest).split())
    return frozenset({"files", "dns"})


def refused_by_c_library(name: str | bytes | bytearray, family: object = 0, flags: int = 0) -> bool:
    """Return whether this machine's C library ends the look-up of a name by itself, so that nothing is sent.

    Args:
        name: The name as the caller passes it to a function of the ``socket`` module.
        family: The only address family that is wanted; 0 for both.
        flags: The flags of ``getaddrinfo``.
    """
    here = library()
    if not here:
        return False
    try:
        octets = name.encode("ascii" if name.isascii() else "idna") if isinstance(name, str) else bytes(name)
    except UnicodeError:  # the call itself raises the error
        return False
    if flags & _AI_IDN and not octets.isascii():  # the library may convert this name to another one
        return False
    text = octets.decode("latin-1")
    if here != "glibc":
        return refuses_name_in_musl(text) if here == "musl" else refuses_name_on_macos(text)
    third_way = family != 0 and bool(flags & _socket.AI_CANONNAME)
    if not refuses_name(text, ipv4_only=family == _socket.AF_INET and not third_way, any_character=third_way):
        return False
    others = host_sources() - _SILENT_SOURCES
    return others <= _LOCAL_SOURCES and not (others and text.lower().rstrip(".").endswith(".local"))


def asks_for_local_names() -> bool:
    """Return whether the C library asks a server even for local names that the hosts file does not contain."""
    return library() == "musl" or (library() == "glibc" and _ANSWER_FOR_THIS_MACHINE.isdisjoint(host_sources()))


def refuses_arguments(port: object, family: object, kind: object, proto: object, flags: int) -> bool:
    """Return whether ``getaddrinfo`` refuses its other arguments, before it looks at the host.

    This is tried with a numeric address in place of the host, for which the library sends nothing.
    """
    if (
        (port is None or (type(port) is int and port >= 0) or (type(port) is str and port.isdecimal()))
        and type(family) is not str
        and family in _PLAIN_FAMILIES
        and kind in _PLAIN_TYPES
        and proto == 0
        and flags == 0
    ):
        return False  # the usual arguments
    if not library():
        return False
    number = "::" if family == _socket.AF_INET6 else "0.0.0.0"  # noqa: S104 - it is not bound
    try:
        _socket.getaddrinfo(number, port, family, kind, proto, flags)  # type: ignore[arg-type]
    except (OSError, TypeError, ValueError, OverflowError):
        return True
    return False


def refuses_name_flags(flags: int) -> bool:
    """Return whether ``getnameinfo`` refuses its flags, before it looks at the address."""
    if not library():
        return False
    try:
        _socket.getnameinfo(("127.0.0.1", 0), (flags | _socket.NI_NUMERICHOST) & ~_socket.NI_NAMEREQD)
    except (OSError, TypeError, ValueError, OverflowError):
        return True
    return False
