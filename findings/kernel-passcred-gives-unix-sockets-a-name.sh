#!/usr/bin/env bash
# Setting SO_PASSCRED on a unix socket makes the kernel bind it to an abstract name at its first connect or send, a socketpair's end too.
#
# Versions: seen on Linux 6.18; SO_PASSPIDFD (option 76, Linux 6.5) does the same. No package is needed.
# Behaviour: without the option a client's socket has no name, and getsockname() is ''. With it, connect() (stream and datagram), sendto() and
#   send() on one end of a datagram socketpair bind the socket by themselves: NUL and five hexadecimal digits. The receiver sees the name as
#   the sender's address, and /proc/net/unix lists it as @xxxxx. Names are drawn at random, not counted up.
#   Setting the option gives no name yet, and a stream's socketpair gets none.
# For who tests: "who bound this socket" can't be answered by watching bind(): those of clients that pass credentials get a name without
#   it. A test that compares a unix peer's address with '' fails as soon as a library asks for credentials, and names must not be expected in order.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/look.py" <<'EOF'
import os
import re
import socket

PASSPIDFD = 76
AUTOBOUND = re.compile(rb"\0[0-9a-f]{5}")


def made(kind, option):
    made = socket.socket(socket.AF_UNIX, kind)
    if option is not None:
        made.setsockopt(socket.SOL_SOCKET, option, 1)
    assert made.getsockname() == ""
    return made


stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
stream.bind("\0finding-stream")
stream.listen()
datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
datagrams.bind("\0finding-datagrams")

print(os.uname().release)
names = []
for title, option in (("no option", None), ("SO_PASSCRED", socket.SO_PASSCRED), ("SO_PASSPIDFD", PASSPIDFD)):
    expected = (lambda name: name in ("", None)) if option is None else (lambda name: bool(AUTOBOUND.fullmatch(name)))
    connected = made(socket.SOCK_STREAM, option)
    connected.connect("\0finding-stream")
    seen_by_the_server = stream.accept()[1]
    sender = made(socket.SOCK_DGRAM, option)
    sender.sendto(b"x", "\0finding-datagrams")
    seen_by_the_receiver = datagrams.recvfrom(1)[1]
    dialled = made(socket.SOCK_DGRAM, option)
    dialled.connect("\0finding-datagrams")
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    streams = socket.socketpair()
    if option is not None:
        pair[0].setsockopt(socket.SOL_SOCKET, option, 1)
        streams[0].setsockopt(socket.SOL_SOCKET, option, 1)
    pair[0].send(b"x")
    streams[0].send(b"x")
    found = {
        "stream connect": connected.getsockname(),
        "its server sees": seen_by_the_server,
        "sendto": sender.getsockname(),
        "its receiver sees": seen_by_the_receiver,
        "datagram connect": dialled.getsockname(),
        "datagram pair": pair[0].getsockname(),
    }
    print(f"{title}: {found}")
    assert all(map(expected, found.values())), found
    assert streams[0].getsockname() == "" and pair[1].getsockname() == ""
    if option is not None:
        assert seen_by_the_server == connected.getsockname() and seen_by_the_receiver == sender.getsockname()
        listed = open("/proc/net/unix").read()
        assert "@" + connected.getsockname()[1:].decode() + "\n" in listed
        names += [connected.getsockname(), sender.getsockname(), dialled.getsockname(), pair[0].getsockname()]
numbers = [int(name[1:], 16) for name in names]
assert len(set(numbers)) == len(numbers)
assert any(b - a != 1 for a, b in zip(numbers, numbers[1:])), "the names are counted up"
EOF
# Abstract names belong to a network namespace: this one holds no others.
unshare --map-root-user --net python3 "$work/look.py"
