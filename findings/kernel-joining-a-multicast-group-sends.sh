#!/usr/bin/env bash
# setsockopt(IP_ADD_MEMBERSHIP) sends packets by itself, and so does closing the socket or being killed; connect() to the group sends nothing.
#
# Versions: seen on Linux 6.18, IPv4 (IGMPv3). No package is needed; the interface is a bridge without ports in a namespace of its own.
# Behaviour, as captured on the interface:
#   - connect() of a UDP socket to a group: nothing. Joining: a report to 224.0.0.22 at once, repeated within about a second, for link-local
#     groups as mDNS's 224.0.0.251 too. A second socket that joins the same group sends nothing, nor does the first of the two that leaves;
#   - the last one that leaves, by close() or by SIGKILL of its process: a report again, so a test that was killed for its timeout sends;
#   - 224.0.0.1, and any group on the loopback interface: nothing. A TCP socket can't join (EPROTO).
#   No system call that carries an address of the packet is made, so that tracing connect, sendto and sendmsg doesn't show it, and a firewall
#   sees it as the kernel's.
# For who tests: "no network" isn't only "no connect and no send". A listener for mDNS, SSDP or a cluster's discovery tells the segment that it is
#   there before it has sent a byte. Join on 127.0.0.1 in tests.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/look.py" <<'EOF'
import errno
import os
import signal
import socket
import time

ALL_PACKETS = 3
capture = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PACKETS))
capture.bind(("bridge", 0))
capture.setblocking(False)
JOINS, LEAVES = "joins", "leaves"


def sent(seconds):
    """Return what IPv4 packets said, once each."""
    time.sleep(seconds)
    found = []
    while True:
        try:
            packet = capture.recv(2000)
        except BlockingIOError:
            return sorted(set(found))
        if packet[12:14] != b"\x08\x00":
            continue
        report = packet[14 + (packet[14] & 15) * 4 :]
        assert packet[23] == 2 and packet[30:34] == bytes((224, 0, 0, 22)) and report[0] == 0x22, packet
        found.append(f"{ {4: JOINS, 3: LEAVES}[report[8]]} {socket.inet_ntoa(report[12:16])}")


def udp():
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def join(sock, group, interface="198.51.100.1"):
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton(interface))


def expect(title, *reports):
    found = sent(2)
    print(f"{title:42} {found or 'nothing'}")
    assert found == list(reports), found


print(os.uname().release)
sent(2)
connected = udp()
connected.connect(("239.1.2.3", 9))
expect("connect() to 239.1.2.3")
for group in ("239.1.2.3", "224.0.0.251"):
    first, second = udp(), udp()
    join(first, group)
    expect(f"a socket joins {group}", f"{JOINS} {group}")
    join(second, group)
    expect("another one joins it")
    first.close()
    expect("the first is closed")
    second.close()
    expect("the last is closed", f"{LEAVES} {group}")
hosts, local = udp(), udp()
join(hosts, "224.0.0.1")
join(local, "239.1.2.4", "127.0.0.1")
expect("joining 224.0.0.1, and a group on lo")
child = os.fork()
if not child:
    joined = udp()
    join(joined, "239.1.2.5")
    signal.pause()
expect("another process joins 239.1.2.5", f"{JOINS} 239.1.2.5")
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
expect("it is killed", f"{LEAVES} 239.1.2.5")
try:
    join(socket.socket(), "239.1.2.3")
    raise AssertionError("TCP joins")
except OSError as error:
    assert error.errno == errno.EPROTO
EOF
unshare --map-root-user --net bash -euc '
    ip link set lo up
    ip link add bridge type bridge
    ip addr add 198.51.100.1/24 dev bridge
    ip link set bridge up
    ip route add default dev bridge
    exec python3 "$1"' - "$work/look.py"
