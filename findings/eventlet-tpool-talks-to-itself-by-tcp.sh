#!/usr/bin/env bash
# eventlet's tpool wakes its hub through a TCP connection to itself on 127.0.0.1, made at the first execute().
#
# Versions: eventlet 0.41.3.
# Behaviour: neither a pipe nor socketpair() is used: the first tpool.execute() binds a listener to a port of 127.0.0.1, connects to it, and
#   keeps both ends for the life of the process. Importing tpool does nothing yet. Where the loopback interface is down, as in a fresh network
#   namespace, execute() of a function that touches no network raises OSError 101, "Network is unreachable".
# For who tests: a test of a file read or a bcrypt call that goes through tpool opens a TCP connection, and only the first of a process does:
#   tools that forbid or count connections blame whichever test comes first. Sandboxes without loopback break it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check eventlet==0.41.3

cat >"$work/look.py" <<'EOF'
import errno
import os
import sys
import warnings

warnings.simplefilter("ignore")
events = []


def watch(event, arguments):
    if event in ("socket.bind", "socket.connect"):
        events.append((event.removeprefix("socket."), arguments[1][0]))


sys.addaudithook(watch)

from eventlet import tpool


def connections():
    """Established TCP connections of this namespace."""
    return sum(line.split()[3] == "01" for line in open("/proc/net/tcp").readlines()[1:])


assert not events
if sys.argv[1] == "up":
    for turn in ("first", "second"):
        events.clear()
        assert tpool.execute(os.getpid) == os.getpid()
        print(f"loopback up, {turn} execute(): {events}, ends of TCP connections: {connections()}")
        assert events == ([("bind", "127.0.0.1"), ("connect", "127.0.0.1")] if turn == "first" else [])
        assert connections() == 2
else:
    try:
        tpool.execute(os.getpid)
        raise AssertionError("it works")
    except OSError as error:
        print("loopback down:", error)
        assert error.errno == errno.ENETUNREACH
EOF
unshare --map-root-user --net bash -euc 'ip link set lo up; exec "$1/venv/bin/python" "$1/look.py" up' - "$work"
unshare --map-root-user --net "$work/venv/bin/python" "$work/look.py" down
