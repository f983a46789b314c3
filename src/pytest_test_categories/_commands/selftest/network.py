"""A private network on Linux: namespaces, and the few netlink messages that set up a pair of interfaces.

The process that calls ``enter`` gets network and mount namespaces of its own, in a user namespace if it may make one.
``join`` then connects it to a second network, that of one of its threads. Nothing outside of the two can be reached.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import ipaddress
import os
import socket
import struct
from typing import Final

HERE: Final = "198.51.100.2"
HERE6: Final = "2001:db8::2"
FAR: Final = "198.51.100.1"
FAR6: Final = "2001:db8::1"
NAME_SERVER: Final = "198.51.100.53"
INTERFACE: Final = "far"
"""The name of the second network's interface."""

_NEWNS: Final = 0x00020000
_NEWUSER: Final = 0x10000000
_NEWNET: Final = 0x40000000
_MS_BIND: Final = 4096
_MS_PRIVATE: Final = 1 << 14 | 1 << 18  # with all that is mounted below
_NEW_LINK: Final = 16
_NEW_ADDRESS: Final = 20
_REQUEST_ACK: Final = 0x5
_CREATE: Final = 0x600
_IFLA_IFNAME, _IFLA_LINKINFO, _IFLA_NET_NS_PID = 3, 18, 19
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_NO_DAD: Final = 0x02
_UP: Final = 1
_RESOLVER_SOCKETS: Final = ("/run/nscd/socket", "/var/run/nscd/socket")


def enter(folder: str) -> None:
    """Give this process, which has one thread, a private network, and make its look-ups ask ``NAME_SERVER``.

    Args:
        folder: An empty directory, for the files that say how names are looked up.

    Raises:
        OSError: This machine does not permit it.
    """
    uid, gid = os.geteuid(), os.getegid()
    try:
        _call("unshare", _NEWUSER | _NEWNET | _NEWNS)
    except OSError:
        _call("unshare", _NEWNET | _NEWNS)  # root, where there are no user namespaces
    else:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    _call("mount", None, b"/", None, _MS_PRIVATE, None)
    resolver = f"nameserver {NAME_SERVER}\noptions timeout:1 attempts:1\n"
    for path, text in (("/etc/resolv.conf", resolver), ("/etc/nsswitch.conf", "hosts: files dns\n")):
        own = os.path.join(folder, os.path.basename(path))
        with open(own, "w", encoding="ascii") as file:
            file.write(text)
        _hide(path, own)
    for path in _RESOLVER_SOCKETS:
        _hide(path, "/dev/null")


def _hide(path: str, by: str) -> None:
    if os.path.exists(path):
        _call("mount", by.encode(), os.path.realpath(path).encode(), None, _MS_BIND, None)


def leave_for_second() -> None:
    """Give this thread a second network.

    Raises:
        OSError: This machine does not permit it.
    """
    _call("unshare", _NEWNET)


def join(thread: int) -> None:
    """Connect this thread's network to that of the thread with a native id.

    Raises:
        OSError: This machine does not permit it.
    """
    peer = bytes(16) + _attribute(_IFLA_IFNAME, b"far\0") + _attribute(_IFLA_NET_NS_PID, struct.pack("=I", thread))
    data = _attribute(_INFO_DATA, _attribute(_VETH_PEER, peer))
    link = _attribute(_IFLA_LINKINFO, _attribute(_INFO_KIND, b"veth") + data)
    _request(_NEW_LINK, _CREATE, bytes(16) + _attribute(_IFLA_IFNAME, b"here\0") + link)
    _start("lo")
    _start("here", HERE, HERE6)


def start_second() -> None:
    """Set up the second network: call it in its thread, after ``join``.

    Raises:
        OSError: This machine does not permit it.
    """
    _start(INTERFACE, FAR, NAME_SERVER, FAR6)


def _start(interface: str, *addresses: str) -> None:
    index = socket.if_nametoindex(interface)
    for text in addresses:
        ip = ipaddress.ip_address(text)
        family, prefix = (socket.AF_INET, 24) if ip.version == 4 else (socket.AF_INET6, 64)  # noqa: PLR2004 - IPv4
        head = struct.pack("=BBBBi", family, prefix, _NO_DAD, 0, index)
        body = head + _attribute(_IFA_LOCAL, ip.packed) + _attribute(_IFA_ADDRESS, ip.packed)
        with contextlib.nullcontext() if ip.version == 4 else contextlib.suppress(OSError):  # noqa: PLR2004 - IPv4
            _request(_NEW_ADDRESS, _CREATE, body)
    _request(_NEW_LINK, 0, struct.pack("=BxHiII", 0, 0, index, _UP, _UP))


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _request(kind: int, flags: int, body: bytes) -> None:
    """Send a netlink message to the network of this thread, and wait for the answer.

    Raises:
        OSError: The kernel refuses it.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.send(struct.pack("=IHHII", 16 + len(body), kind, _REQUEST_ACK | flags, 1, 0) + body)
        (code,) = struct.unpack_from("=i", sock.recv(65536), 16)
    if code:
        raise OSError(-code, os.strerror(-code))


def _call(function: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, function):
        raise OSError(errno.ENOSYS, f"the C library has no {function}")
    if getattr(libc, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")
