"""Calls that the supervisor makes on behalf of their callers, on a copy of the socket's descriptor.

After "go on" the kernel reads the address from the caller's memory again, and another thread may have exchanged it by
then. Here the kernel gets the address that was judged.

The functions never wait, whatever the socket's mode. They return None for a call that the kernel has to make itself:

- on a socket that is neither UDP nor TCP. For example, a unix socket's server learns who connects, and a relative path
  depends on the caller;
- in blocking mode, a call that has to wait. A connection that has begun is finished without its address: the kernel
  waits for it, signals interrupt it, and timeouts hold. A datagram for which there was no space has not been sent;
- with MSG_ZEROCOPY, since the kernel sends from the caller's pages later, and where it is to raise SIGPIPE.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import sys
from typing import Final, NamedTuple

from pytest_test_categories._kernel.filter import libc

_FAMILIES: Final = frozenset({socket.AF_INET, socket.AF_INET6})
_HARMLESS: Final = frozenset(
    family.to_bytes(2, sys.byteorder) for family in (socket.AF_UNSPEC, socket.AF_INET, socket.AF_INET6)
)
"""The families of addresses with which sockets of other families do nothing."""
_UDP: Final = frozenset({socket.IPPROTO_UDP, socket.IPPROTO_UDPLITE})
_TCP: Final = frozenset({socket.IPPROTO_TCP, 262})  # and IPPROTO_MPTCP
_ZERO_COPY: Final = 0x4000000  # MSG_ZEROCOPY
_FAST_OPEN: Final = 0x20000000  # MSG_FASTOPEN
_DO_NOT_WAIT: Final = int(socket.MSG_DONTWAIT)
_NOT_WAITING: Final = int(_DO_NOT_WAIT | socket.MSG_NOSIGNAL)  # a flag of the socket module takes a microsecond
_UNFINISHED: Final = frozenset({errno.EINPROGRESS, errno.EALREADY})
_WAITING: Final = _UNFINISHED | {errno.EAGAIN}
_value, _size = ctypes.c_int(), ctypes.c_uint(4)
# It does not keep the error number, which costs time.
_getsockopt: Final = ctypes.CDLL(None).getsockopt
_RESULT: Final = (ctypes.c_void_p(ctypes.addressof(_value)), ctypes.c_void_p(ctypes.addressof(_size)))


class Done(NamedTuple):
    """What a call came to: its value, and 0 or an error number."""

    value: int
    error: int


def connect(descriptor: int, address: bytes) -> Done | None:
    """Connect a socket to a ``struct sockaddr``.

    Args:
        descriptor: The socket. While a blocking TCP socket connects, it is in non-blocking mode, for its owner, too.
        address: The address.
    """
    protocol = _protocol(descriptor, address)
    if protocol in _UDP:  # it sends nothing
        return _connected(descriptor, address)
    if protocol not in _TCP:
        return None
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    if flags & os.O_NONBLOCK:
        return _connected(descriptor, address)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    try:
        done = _connected(descriptor, address)
        if done.error == errno.EINPROGRESS:  # on loopback it is finished by now
            done = _connected(descriptor, address)
    finally:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)
    return None if done.error in _UNFINISHED else done


def send(descriptor: int, content: bytes, flags: int, address: bytes) -> Done | None:
    """Send a message to a ``struct sockaddr``: a datagram, or data with which a TCP connection opens.

    Args:
        descriptor: The socket.
        content: The message.
        flags: The flags of ``sendto``.
        address: The address.
    """
    protocol = _protocol(descriptor, address)
    opens = flags & _FAST_OPEN and protocol in _TCP
    if flags & _ZERO_COPY or not (opens or protocol in _UDP):
        return None
    sent = libc.sendto(descriptor, content, len(content), flags | _NOT_WAITING, address, len(address))
    if sent >= 0:
        return Done(sent, 0)
    error = ctypes.get_errno()
    waits = not flags & _DO_NOT_WAIT and not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_NONBLOCK
    if (waits and error in _WAITING) or (opens and error == errno.EPIPE):
        return None
    return Done(-1, error)


def _protocol(descriptor: int, address: bytes) -> int:
    """Return the number of an IP socket's protocol; -1 for another socket to which the address might mean something."""
    if address[:2] not in _HARMLESS and _option(descriptor, socket.SO_DOMAIN) not in _FAMILIES:
        return -1
    return _option(descriptor, socket.SO_PROTOCOL)


def _option(descriptor: int, option: int) -> int:
    return _value.value if _getsockopt(descriptor, socket.SOL_SOCKET, option, *_RESULT) == 0 else -1


def _connected(descriptor: int, address: bytes) -> Done:
    return Done(0, 0) if libc.connect(descriptor, address, len(address)) == 0 else Done(-1, ctypes.get_errno())
