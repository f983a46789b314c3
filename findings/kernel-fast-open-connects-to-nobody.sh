#!/usr/bin/env bash
# With TCP_FASTOPEN_CONNECT, connect() succeeds without a packet, also where nobody listens, once any port of the host has given a cookie.
#
# Versions: seen with Linux 6.18 and CPython 3.11.7. No package is needed.
# Behaviour: the option is set on a client's socket, to spare a round trip. The first connection to a host is an ordinary one, in which a server that has
#   Fast Open on gives a cookie. The kernel keeps it by address and not by port. From then on connect() to that address, with this option, returns
#   success at once and sends nothing: the state is SYN_SENT, there is a local port, and getpeername() raises ENOTCONN. The handshake comes with the first
#   send(): that is where ECONNREFUSED is raised, also for a port that never had a listener. If nothing is sent, the server's accept()
#   never sees the client. An address that gave no cookie refuses in connect(), as usual.
# For who tests: "is the port open?" and "wait until the server is up" are answered yes by such a socket, and code that reads the peer after connect()
#   fails on the second connection and not on the first. Where the server speaks first (SMTP, SSH, MySQL), both wait.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/look.py" <<'EOP'
import errno
import os
import socket
from pathlib import Path

TCP_FASTOPEN_CONNECT = 30
Path("/proc/sys/net/ipv4/tcp_fastopen").write_text("3")  # both sides
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
server.listen()
server.settimeout(0.3)
address = server.getsockname()
kept = []


def outcome(call, *args):
    try:
        result = call(*args)
    except TimeoutError:
        return "nobody"
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done" if result is None or isinstance(result, int) else "known"


def packets():
    names, values = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Tcp:"))
    return int(values[names.index("OutSegs")])


def dial(title, to, *, is_sending=True, with_option=True):
    client = socket.socket()
    kept.append(client)
    if with_option:
        client.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
    before = packets()
    connected = outcome(client.connect, to)
    sent = packets() - before
    found = (connected, sent, outcome(client.getpeername), outcome(client.send, b"hello") if is_sending else "not tried")
    print(f"{title:44} connect: {found[0]} with {sent} packets, getpeername: {found[2]}, send: {found[3]}")
    return found


def accepted():
    try:
        peer, _ = server.accept()
    except TimeoutError:
        return "nobody"
    kept.append(peer)
    return peer.recv(9)


print("Linux", os.uname().release)
assert dial("first connection", address) == ("done", 3, "known", "done")
assert accepted() == b"hello"
assert dial("second", address) == ("done", 0, "ENOTCONN", "done")
assert accepted() == b"hello"
assert dial("third, that sends nothing", address, is_sending=False) == ("done", 0, "ENOTCONN", "not tried")
seen = accepted()
print("the server accepts for it:", seen)
assert seen == "nobody"
kept[-1].settimeout(0.3)
assert outcome(kept[-1].recv, 9) == "nobody"  # it waits for what it takes a handshake to get
assert dial("without the option", address, with_option=False, is_sending=False) == ("done", 3, "known", "not tried")
server.close()
assert dial("the server is closed", address) == ("done", 0, "ENOTCONN", "ECONNREFUSED")
assert dial("a port that never had a listener", ("127.0.0.1", 2)) == ("done", 0, "ENOTCONN", "ECONNREFUSED")
assert dial("the same, without the option", ("127.0.0.1", 2), with_option=False, is_sending=False)[0] == "ECONNREFUSED"
assert dial("the same port of an address with no cookie", ("127.0.0.9", 2), is_sending=False)[0] == "ECONNREFUSED"
EOP
# A network of its own: Fast Open is set in it alone, and the packets are all ours.
unshare --map-root-user --net bash -euc 'ip link set lo up; exec python3 "$1/look.py"' - "$work"
