#!/usr/bin/env bash
# CPython: with socket.setdefaulttimeout(), to wrap a copy of somebody else's socket makes that socket non-blocking, in the other process, too.
#
# Versions: CPython 3.11.7, 3.12.1 and 3.13.0 on Linux; PYTHON names one of them, else python3 is asked.
# Behaviour: socket.socket(fileno=...) applies the default timeout to the descriptor that it is given, and a timeout is O_NONBLOCK, a flag of the open file,
#   which all copies of a descriptor share (dup, fork, SCM_RIGHTS, pidfd_getfd). Who merely looks at a copy, to ask for its family or its address, so
#   changes how the owner's accept() and recv() behave: a blocking listener raises EAGAIN at once. To close the copy changes nothing back.
# For who wraps descriptors of others: reset the default timeout first, or note os.get_blocking() before and put it back.
set -euo pipefail
"${PYTHON:-python3}" - <<'EOF'
import os
import platform
import socket

print("CPython", platform.python_version())
listener = socket.create_server(("127.0.0.1", 0))
assert os.get_blocking(listener.fileno()) and listener.gettimeout() is None

reading, writing = os.pipe()
if not (child := os.fork()):
    socket.setdefaulttimeout(30)
    with socket.socket(fileno=os.dup(listener.fileno())) as copy:
        os.write(writing, copy.family.name.encode())
    os._exit(0)
os.waitpid(child, 0)

print("a child process has looked at a copy:", os.read(reading, 20).decode())
blocking, timeout = os.get_blocking(listener.fileno()), listener.gettimeout()
print("the parent's listener: blocking", blocking, "| its timeout, as Python has it:", timeout)
assert not blocking and timeout is None
try:
    listener.accept()
except BlockingIOError as error:
    print("accept() on it:", error.strerror)
else:
    raise AssertionError("accept() waited")
EOF
