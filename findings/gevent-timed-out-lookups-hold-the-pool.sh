#!/usr/bin/env bash
# Ten look-ups that timed out under gevent make an eleventh wait for seconds: `localhost`, names in the hosts file, and numbers, too.
#
# Versions: gevent 26.9.0 (its default resolver, threads), glibc.
# Behaviour: gevent looks names up in a pool of ten threads. gevent.Timeout ends the waiting greenlet and not its thread, which the C library
#   keeps until it gives up (here: 2 attempts of 1 s). With ten such threads the next look-up stands in the queue, whatever its name; the time
#   is what is left of the ten. A numeric address stands there as well, though asyncio, for one, answers that without a thread. Nine do no harm.
# For who tests: a test that gives up on ten unreachable names leaves the process unable to find localhost for a while: the following test
#   times out connecting to its own server. Wait for the pool (gevent.get_hub().threadpool.join()) at a test's end.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check gevent==26.9.0

printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:2\n' >"$work/resolv.conf"
printf '127.0.0.1 localhost here.example\n' >"$work/hosts"
printf 'hosts: files dns\n' >"$work/nsswitch.conf"
cat >"$work/look.py" <<'EOF'
import socket
import time

import gevent
import gevent.socket

silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
silent.bind(("127.0.0.1", 53))


def seconds(name):
    start = time.monotonic()
    gevent.socket.getaddrinfo(name, 80)
    return time.monotonic() - start


def give_up(name):
    with gevent.Timeout(0.2, False):
        gevent.socket.getaddrinfo(name, 80)


def after(number, name):
    """Give up on so many names that nobody answers for, then time another name."""
    start = time.monotonic()
    gevent.joinall([gevent.spawn(give_up, f"slow{i}.example") for i in range(number)])
    assert time.monotonic() - start < 0.9
    took = seconds(name)
    print(f"after {number:2} that timed out, {name:12} takes {took:.1f} s")
    gevent.get_hub().threadpool.join()
    return took


print("gevent", gevent.__version__, type(gevent.get_hub().resolver))
assert after(0, "localhost") < 0.5
assert after(9, "localhost") < 0.5
assert after(10, "localhost") > 1
assert after(10, "here.example") > 1
assert after(10, "127.0.0.1") > 1
EOF
# A namespace of its own: nothing leads out, and its name server is the one above.
unshare --map-root-user --net --mount bash -euc '
    ip link set lo up
    for file in resolv.conf hosts nsswitch.conf; do mount --bind "$1/$file" "/etc/$file"; done
    exec "$1/venv/bin/python" "$1/look.py"' - "$work"
