#!/usr/bin/env bash
# SO_PEERCRED of a connected unix stream tells who called listen() last, not who bound, accepts or still lives.
#
# Versions: seen on Linux 6.18 (SO_PEERPIDFD: Linux 6.5). No package is needed.
# Behaviour: the kernel writes the credentials down at listen(). A parent that binds and a child that calls listen() give the child's pid,
#   also when that child has long ended and been waited for; another listen() by another process changes what later connections see, and
#   earlier ones keep theirs. Of a socketpair both ends show the process that made it, whichever process holds them after a fork.
#   SO_PEERPIDFD gives a descriptor of the ended process all the same; its fdinfo says "Pid: -1", and pidfd_send_signal fails with ESRCH.
# For who tests: pre-forking servers and socket activation: the client sees the master's (systemd's) pid for every worker. A pid taken so may
#   be another process's by now, so a check that reads /proc/PID of the peer needs the pidfd, and must allow for an ended one.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/look.py" <<'EOF'
import os
import signal
import socket
import struct

PEERPIDFD = 77


def peer(connection):
    return struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


def in_a_child(function):
    child = os.fork()
    if not child:
        function()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    return child


def connect():
    client = socket.socket(socket.AF_UNIX)
    client.connect("\0finding")
    return client


print(os.uname().release)
server = socket.socket(socket.AF_UNIX)
server.bind("\0finding")
child = in_a_child(server.listen)
first = connect()
accepted, _ = server.accept()
print("bound by", os.getpid(), "listen() by", child, "which has ended: the client sees", peer(first), "the server sees", peer(accepted))
assert peer(first) == child and peer(accepted) == os.getpid()

descriptor = struct.unpack("i", first.getsockopt(socket.SOL_SOCKET, PEERPIDFD, 4))[0]
state = [line.split() for line in open(f"/proc/self/fdinfo/{descriptor}") if line.startswith("Pid:")]
print("pidfd of the ended one:", state)
assert state == [["Pid:", "-1"]]
try:
    signal.pidfd_send_signal(descriptor, 0)
    raise AssertionError("the ended process takes a signal")
except ProcessLookupError as error:
    print("signal 0 to it:", error)

server.listen()
second = connect()
print("after another listen() by", os.getpid(), "a new connection sees", peer(second), "the earlier one", peer(first))
assert peer(second) == os.getpid() and peer(first) == child

one, other = socket.socketpair()


def look_at_the_pair():
    one.close()
    assert peer(other) == os.getppid()


in_a_child(look_at_the_pair)
print("a socketpair's end, looked at from a child, shows the parent that made it")
EOF
unshare --map-root-user --net python3 "$work/look.py"
