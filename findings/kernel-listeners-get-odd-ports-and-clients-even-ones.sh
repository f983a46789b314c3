#!/usr/bin/env bash
# On Linux bind() to port 0 gives a TCP socket an odd port and connect() an even one, until one of the halves is used up; UDP gets both.
#
# Versions: seen with Linux 6.18 and CPython 3.11.7. No package is needed.
# Behaviour: the kernel keeps the two kinds of search out of each other's way. Of 200 sockets bound to port 0 of 127.0.0.1, 0.0.0.0 or ::1, or
#   that listen without a bind(), each port has the parity that the first port of net.ipv4.ip_local_port_range (32768) hasn't; of 200 that connect
#   without a bind(), each has that parity. A client that binds before it connects counts as bound, unless it has set IP_BIND_ADDRESS_NO_PORT. In a
#   range of ten ports the first five binds get the five odd ones, the next five the even ones, the eleventh EADDRINUSE. With a range that starts
#   at an odd port it's the other way round.
# For who tests: "the free port that bind() found, plus one" is never a port that another bind() to 0 gets, and is what clients
#   get: it's free in a test that has connected to nothing and taken now and then in one that has. And a pool of random ports has 14116 of
#   them for a start, not 28232.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/look.py" <<'EOP'
import os
import socket
from pathlib import Path

IP_BIND_ADDRESS_NO_PORT = 24
RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
IPV4, IPV6, TCP, UDP = socket.AF_INET, socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM


def bound(family, kind, host):
    made = socket.socket(family, kind)
    made.bind((host, 0))
    return made


def listening(*_):
    made = socket.socket()
    made.listen()
    return made


def clients(family=IPV4, host="127.0.0.1", *, first=None, option=False):
    server = socket.create_server((host, 0), family=family, backlog=500)

    def make():
        made = socket.socket(family)
        if option:
            made.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        if first:
            made.bind(first)
        made.connect(server.getsockname())
        return made

    return parities(make)


def parities(make, count=200):
    made = [make() for _ in range(count)]
    ports = {one.getsockname()[1] for one in made}
    for one in made:
        one.close()
    return {"odd" if port % 2 else "even" for port in ports}


def all_ways():
    return {
        "bind to 127.0.0.1": parities(lambda: bound(IPV4, TCP, "127.0.0.1")),
        "bind to 0.0.0.0": parities(lambda: bound(IPV4, TCP, "0.0.0.0")),
        "bind to ::1": parities(lambda: bound(IPV6, TCP, "::1")),
        "listen without bind": parities(listening),
        "bind, then connect": clients(first=("127.0.0.1", 0)),
        "connect": clients(),
        "connect to ::1": clients(IPV6, "::1"),
        "bind with the option, then connect": clients(first=("127.0.0.1", 0), option=True),
        "bind of UDP": parities(lambda: bound(IPV4, UDP, "127.0.0.1")),
    }


print("Linux", os.uname().release)
for ports in ((32768, 60999), (32769, 60998)):
    RANGE.write_text("{} {}".format(*ports))
    found = all_ways()
    of_binds, of_connects = ({"odd"}, {"even"}) if ports[0] % 2 == 0 else ({"even"}, {"odd"})
    print(f"range {ports[0]} to {ports[1]}:")
    for way, seen in found.items():
        print(f"  {way:36} {' and '.join(sorted(seen))}")
    values = list(found.values())
    assert values == [of_binds] * 5 + [of_connects] * 3 + [{"odd", "even"}], found

RANGE.write_text("40000 40009")
kept, ports = [], []
try:
    for _ in range(11):
        kept.append(bound(IPV4, TCP, "127.0.0.1"))
        ports.append(kept[-1].getsockname()[1] % 10)
except OSError as error:
    outcome = error.strerror
print("range 40000 to 40009, last digits in turn: the odd ones first:", sorted(ports[:5]), "then", sorted(ports[5:]), "then", outcome)
assert (sorted(ports[:5]), sorted(ports[5:]), outcome) == ([1, 3, 5, 7, 9], [0, 2, 4, 6, 8], "Address already in use")
EOP
# A network of its own, in which the range may be set and nobody else takes ports.
unshare --map-root-user --net bash -euc 'ip link set lo up; exec python3 "$1/look.py"' - "$work"
