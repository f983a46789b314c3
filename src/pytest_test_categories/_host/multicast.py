"""Multicast groups: the options of ``setsockopt`` that join one, and where their values name it."""

from __future__ import annotations

import _socket
import ipaddress
import struct
import sys
from typing import Any, Final

from pytest_test_categories._host.names import is_loopback


def group_joined(option: tuple[Any, Any], value: Any, *, word: int = struct.calcsize("@L")) -> str | None:
    """Return the multicast group that an option of ``setsockopt`` joins on an interface other than loopback, if any.

    The kernel reports a membership by IGMP or MLD, except that of the all-hosts group (RFC 3376, 5; RFC 3810, 6).

    Args:
        option: The option's level and number.
        value: The option's value.
        word: The size of a C long in the calling program.
    """
    form = JOINS.get(option)
    if form is None or not isinstance(value, (bytes, bytearray, memoryview)):
        return None
    try:
        group, interface = _read_membership(form, bytes(value), word)
    except (ValueError, struct.error):  # too short: the call itself raises the error
        return None
    if not group.is_multicast or str(group) in _ALL_HOSTS or is_loopback(interface):
        return None
    return str(group)


def _read_membership(form: str, data: bytes, word: int) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, str]:
    if form == "ip_mreq":
        ours, index = ipaddress.IPv4Address(data[4:8]), 0
        if len(data) >= 12:  # noqa: PLR2004 - Linux' ip_mreqn, or the address of a source
            (index,) = struct.unpack_from("=i", data, 8)
        return ipaddress.IPv4Address(data[:4]), "lo" if ours.is_loopback else _interface(index)
    if form == "ip_mreq_source":
        return ipaddress.IPv4Address(data[:4]), "lo" if ipaddress.IPv4Address(data[_OURS_OF_SOURCE]).is_loopback else ""
    if form == "ipv6_mreq":
        return ipaddress.IPv6Address(data[:16]), _interface(struct.unpack_from("=I", data, 16)[0])
    # group_req, group_source_req: an index, and a sockaddr_storage at the alignment of a long.
    (index,) = struct.unpack_from("=I", data)
    (family,) = struct.unpack_from("=H", data, word)
    if family == _socket.AF_INET6:
        return ipaddress.IPv6Address(data[word + 8 : word + 24]), _interface(index)
    return ipaddress.IPv4Address(data[word + 4 : word + 8]), _interface(index)


def _interface(index: int) -> str:
    try:
        return _socket.if_indextoname(index) if index > 0 else ""
    except OSError:  # no such interface: the call itself raises the error
        return ""


_OURS_OF_SOURCE: Final = slice(4, 8) if sys.platform == "linux" else slice(8, 12)
"""The position of the interface's address in an ``ip_mreq_source``: before the source's address, or after it."""


def _joins() -> dict[tuple[Any, Any], str]:
    """Return the options that join a multicast group, each with the form of its value."""
    four, six = _socket.IPPROTO_IP, getattr(_socket, "IPPROTO_IPV6", 41)
    found: dict[tuple[Any, Any], str] = {}
    for level, name, form in (
        (four, "IP_ADD_MEMBERSHIP", "ip_mreq"),
        (four, "IP_ADD_SOURCE_MEMBERSHIP", "ip_mreq_source"),
        (six, "IPV6_JOIN_GROUP", "ipv6_mreq"),
    ):
        if hasattr(_socket, name):
            found[level, getattr(_socket, name)] = form
    if sys.platform == "linux":  # numbers from linux/in.h: the socket module names few of them
        found[four, 39] = "ip_mreq_source"
        for level in (four, six):
            found[level, 42] = found[level, 46] = "group_req"
    return found


JOINS: Final = _joins()
_ALL_HOSTS: Final = frozenset({"224.0.0.1", "ff02::1"})
