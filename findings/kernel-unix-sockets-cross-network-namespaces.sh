#!/usr/bin/env bash
# A unix socket in the file system is reached from any network namespace, and what the server accepts then belongs to the client's.
#
# Versions: seen on Linux 6.18. No package is needed.
# Behaviour: a server listens at a path and at an abstract name, in a network namespace of its own. From outside of that
#   - the abstract name is refused, the path is not: paths know no network namespaces;
#   - the listening socket stands in the server's /proc/net/unix alone. Before the connect the client's has no line with the path: by what
#     the client can see, nobody serves it;
#   - after the connect the client's /proc/net/unix has the path, state 03 (connected), by a socket that is a descriptor of the server's: what
#     accept() returns is made by connect(), in the namespace of the process that connects. The server's list does not have it.
#   - SO_PEERCRED names the server's process all the same.
# For who tests: "is somebody listening at this path" can't be answered from /proc/net/unix, ss or sock_diag where the server may be in a container
#   of its own that shares a directory; a listener's absence there is no proof. And a container's list may show sockets that it never accepted.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/server.py" <<'EOF'
import os
import socket
import sys


def inode(sock):
    return os.fstat(sock.fileno()).st_ino


path, abstract = (socket.socket(socket.AF_UNIX) for _ in range(2))
path.bind(sys.argv[1])
abstract.bind("\0of-a-finding")
path.listen()
abstract.listen()
print("listens", inode(path), flush=True)
accepted = path.accept()[0]
here = {int(line.split()[6]) for line in open("/proc/self/net/unix").readlines()[1:]}
print(inode(accepted), inode(path) in here, inode(accepted) in here, flush=True)
sys.stdin.read()
EOF
cat >"$work/client.py" <<'EOF'
import os
import socket
import struct
import subprocess
import sys

work = sys.argv[1]
place = f"{work}/server"


def listed():
    """Return the sockets of this network namespace that have the path: inode and state."""
    rows = [line.split() for line in open("/proc/self/net/unix").readlines()[1:]]
    return {int(row[6]): row[5] for row in rows if row[7:] == [place]}


print(os.uname().release)
server = subprocess.Popen(
    ["unshare", "--net", sys.executable, f"{work}/server.py", place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
)
word, listening = server.stdout.readline().split()
before = listed()
print("before the connect, this namespace lists", before)
client = socket.socket(socket.AF_UNIX)
client.connect(place)
accepted, listens_there, accepted_there = server.stdout.readline().split()
after = listed()
pid, _uid, _gid = struct.unpack("=3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
print(f"after it, {after}; the server listens by {listening} and has accepted {accepted}")
print(f"the server's own list: listening {listens_there}, accepted {accepted_there}; the peer is the server: {pid == server.pid}")
try:
    socket.socket(socket.AF_UNIX).connect("\0of-a-finding")
except ConnectionRefusedError as error:
    refused = error
    print("the abstract name:", error)
assert before == {}
assert after == {int(accepted): "03"}
assert (listens_there, accepted_there) == ("True", "False")
assert pid == server.pid
assert refused
server.communicate("")
EOF
unshare --map-root-user --net python3 "$work/client.py" "$work"
