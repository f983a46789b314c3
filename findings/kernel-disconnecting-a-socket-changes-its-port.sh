#!/usr/bin/env bash
# connect() to AF_UNSPEC takes the port away from a UDP socket that was bound to port 0, and turns a TCP listener into an unconnected socket.
#
# Versions: seen on Linux 6.18. No package is needed (the call is made through ctypes: Python's connect can't name that family).
# Behaviour:
#   - UDP: after "disconnecting" the local address is 0.0.0.0 and the port 0, if the kernel had chosen it: by connect(), by a first sendto()
#     and by bind() to port 0 alike, though bind()'s caller has seen that number in getsockname(). The next packet leaves from another port.
#     A port that bind() named stays, and so does an address that it named (127.0.0.1), with port 0 too;
#   - TCP: a listener stops listening and may connect() afterwards. getsockname() still tells its port, but if the kernel had chosen that, it has
#     been given up, and the connection comes from another one. A connected socket sends a reset, and may connect() again;
#   - unix datagrams: one end of a socketpair is cut off, while the other can still send to it; unix streams: EINVAL.
# For who tests: glibc's getaddrinfo sorts addresses with one UDP socket this way, and datagram libraries change peers so. A test that remembers a
#   socket's port by getsockname(), from before, waits for packets that arrive elsewhere.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/look.py" <<'EOF'
import ctypes
import errno
import os
import socket

library = ctypes.CDLL(None, use_errno=True)


def disconnect(sock):
    """Return the error number, or 0."""
    return ctypes.get_errno() if library.connect(sock.fileno(), bytes(16), 16) else 0


def udp(address=None):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if address:
        sock.bind(address)
    return sock


print(os.uname().release)
peer = udp(("127.0.0.1", 0))
for title, address, sends, stays in (
    ("never bound", None, False, ""),
    ("first sendto() chose the port", None, True, ""),
    ("bound to 0.0.0.0 port 0", ("0.0.0.0", 0), False, ""),
    ("bound to 127.0.0.1 port 0", ("127.0.0.1", 0), False, "address"),
    ("bound to 0.0.0.0 port 4567", ("0.0.0.0", 4567), False, "port"),
):
    sock = udp(address)
    if sends:
        sock.sendto(b"", peer.getsockname())
    sock.connect(peer.getsockname())
    before = sock.getsockname()
    assert disconnect(sock) == 0
    after = sock.getsockname()
    print(f"UDP, {title}: connected as {before}, disconnected as {after}")
    assert (after[0] == "127.0.0.1") == (stays == "address")
    assert after[1] == (before[1] if stays == "port" else 0)

other = socket.create_server(("127.0.0.1", 0))
for asked in (0, 4568):
    listener = socket.create_server(("127.0.0.1", asked))
    port = listener.getsockname()[1]
    assert disconnect(listener) == 0
    assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 0 and listener.getsockname()[1] == port
    taken = socket.socket().connect_ex(("127.0.0.1", port))
    listener.connect(other.getsockname())
    accepted, address = other.accept()
    print(f"TCP: listened on {port} ({asked} was asked for), disconnected as that; connect() to it: {errno.errorcode[taken]}; has connected from {address[1]}")
    assert taken == errno.ECONNREFUSED
    assert (address[1] == port) == (asked != 0)

client = socket.create_connection(other.getsockname())
served, _ = other.accept()
assert disconnect(client) == 0
try:
    served.recv(1)
    raise AssertionError("no reset")
except ConnectionResetError as error:
    print("TCP: the peer of a disconnected socket gets", error)
client.connect(other.getsockname())
assert client.getpeername() == other.getsockname()

one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
assert disconnect(one) == 0
two.send(b"still there")
assert one.recv(20) == b"still there"
try:
    one.send(b"x")
    raise AssertionError("it can send")
except OSError as error:
    assert error.errno == errno.ENOTCONN
print("unix datagrams: the end that was disconnected receives, and can't send")
assert disconnect(socket.socketpair()[0]) == errno.EINVAL
EOF
unshare --map-root-user --net bash -euc 'ip link set lo up; exec python3 "$1"' - "$work/look.py"
