#!/usr/bin/env bash
# A connected UDP socket whose peer is down fails each second send(), and what a failed send() was given isn't sent, even if the peer is up by then.
#
# Versions: seen with Linux 6.18 and CPython 3.11.7. No package is needed.
# Behaviour: the refusal of a packet (ICMP, port unreachable) is kept in the socket, and the next send() raises it instead of sending: of six, the second,
#   fourth and sixth raise ECONNREFUSED and three packets leave. If the peer has started in between, the first send() raises all the same
#   and the peer gets only what comes after it. Reading SO_ERROR takes the error away, and so does a recv() that raises it;
#   a second connect() doesn't. A socket that uses sendto() and isn't connected hears of nothing: six of six leave.
#   connect() to port 0 succeeds, and packets leave for it as for any port with nobody; but getpeername() raises ENOTCONN, and sendto() to the same
#   address raises EINVAL and sends nothing.
# For who tests: a client of StatsD or syslog loses every second message and not all, when nobody listens, and the first after a restart of the
#   server; "retry once" makes a lost peer look well. A port that was never set (0) passes where the client connects.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/look.py" <<'EOP'
import errno
import os
import socket
from pathlib import Path


def packets():
    names, values = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Udp:"))
    return int(values[names.index("OutDatagrams")])


def outcome(call, *args):
    try:
        call(*args)
    except BlockingIOError:
        return "nothing there"
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"


def udp(connected_to=None):
    made = socket.socket(type=socket.SOCK_DGRAM)
    made.setblocking(False)
    if connected_to:
        made.connect(connected_to)
    return made


def six(send, *args):
    before = packets()
    found = [outcome(send, *args) for _ in range(6)]
    return found, packets() - before


def peer(address=("127.0.0.1", 0)):
    made = udp()
    made.bind(address)
    return made


print("Linux", os.uname().release)
passing = peer()
nobody = passing.getsockname()
passing.close()

connected = six(udp(nobody).send, b"x")
print("connected, nobody there: ", *connected)
assert connected == (["done", "ECONNREFUSED"] * 3, 3)
unconnected = six(udp().sendto, b"x", nobody)
print("sendto, nobody there:    ", *unconnected)
assert unconnected == (["done"] * 6, 6)

cures = {
    "nothing": (lambda client: None, "ECONNREFUSED", ["second"]),
    "SO_ERROR": (lambda client: client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "done", ["first", "second"]),
    "recv": (lambda client: outcome(client.recv, 9), "done", ["first", "second"]),
    "connect": (lambda client: client.connect(nobody), "ECONNREFUSED", ["second"]),
}
for title, (cure, expected, arriving) in cures.items():
    client = udp(nobody)
    client.send(b"before")
    server = peer(nobody)
    cure(client)
    found = outcome(client.send, b"first")
    assert outcome(client.send, b"second") == "done"
    got = []
    while len(got) < 9:
        try:
            got.append(server.recv(9).decode())
        except BlockingIOError:
            break
    server.close()
    print(f"the peer starts, then {title:10} the first send: {found:14} the peer gets: {', '.join(got)}")
    assert (found, got) == (expected, arriving)

zero = ("127.0.0.1", 0)
client = udp()
found = outcome(client.connect, zero), outcome(client.getpeername), six(client.send, b"x"), outcome(udp().sendto, b"x", zero)
print("port 0: connect, getpeername, six sends, sendto:", *found)
assert found[:2] == ("done", "ENOTCONN")
assert found[3] == "EINVAL"
assert found[2] == connected
EOP
unshare --map-root-user --net bash -euc 'ip link set lo up; exec python3 "$1/look.py"' - "$work"
