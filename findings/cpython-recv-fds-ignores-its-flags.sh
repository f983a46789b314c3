#!/usr/bin/env bash
# CPython: socket.recv_fds() takes flags and ignores them, so that descriptors arrive inheritable, MSG_CMSG_CLOEXEC or not, and MSG_PEEK takes the message.
#
# Versions: CPython 3.11.7, 3.12.1 and 3.13.0 on Linux; PYTHON names one of them, else python3 is asked.
# Behaviour: recv_fds(sock, bufsize, maxfds, flags) calls recvmsg() without the flags. Descriptors that a program makes itself are not inherited since
#   PEP 446; those that it receives this way are, and each program that it starts afterwards gets them. recvmsg() itself obeys both flags.
# For who receives descriptors: call recvmsg() with MSG_CMSG_CLOEXEC, or os.set_inheritable(descriptor, False) at once.
set -euo pipefail
"${PYTHON:-python3}" - <<'EOF'
import array
import os
import platform
import socket
import subprocess
import sys

print("CPython", platform.python_version())


def sent():
    here, there = socket.socketpair()
    reading, writing = os.pipe()
    socket.send_fds(here, [b"x"], [reading])
    os.close(reading)
    os.close(writing)
    return here, there


def reaches_a_child(descriptor):
    code = f"import os; os.fstat({descriptor})"
    done = subprocess.run([sys.executable, "-c", code], close_fds=False, stderr=subprocess.DEVNULL)
    return done.returncode == 0


here, there = sent()
_, (received,), _, _ = socket.recv_fds(there, 1, 1, socket.MSG_CMSG_CLOEXEC)
inherited = os.get_inheritable(received), reaches_a_child(received)
print("recv_fds with MSG_CMSG_CLOEXEC: inheritable", inherited[0], "| a child has it:", inherited[1])
assert inherited == (True, True)

here, there = sent()
_, ((_, _, data),), _, _ = there.recvmsg(1, socket.CMSG_LEN(4), socket.MSG_CMSG_CLOEXEC)
(received,) = array.array("i", data)
inherited = os.get_inheritable(received), reaches_a_child(received)
print("recvmsg with MSG_CMSG_CLOEXEC: inheritable", inherited[0], "| a child has it:", inherited[1])
assert inherited == (False, False)

here, there = sent()
socket.recv_fds(there, 1, 1, socket.MSG_PEEK)
there.setblocking(False)
try:
    there.recv(1)
    left = True
except BlockingIOError:
    left = False
print("after recv_fds with MSG_PEEK the message is still there:", left)
assert not left
EOF
