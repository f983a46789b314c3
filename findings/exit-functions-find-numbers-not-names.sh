#!/usr/bin/env bash
# In an exit function asyncio and anyio connect to 127.0.0.1 and not to localhost; uvloop does both, and Python 3.12 stands alone with trio and gevent.
#
# Versions: anyio 4.16.0, trio 0.35.0, uvloop 0.23.0, gevent 26.9.0; seen on CPython 3.11.7, 3.12.1 and 3.13.0.
# Behaviour: when functions of atexit are called, executors are closed already. asyncio looks names up in its default executor, and numbers
#   without: so the same connection works by number and raises RuntimeError ("cannot schedule new futures after interpreter shutdown") by name.
#   anyio on asyncio has the same fault, though its own to_thread works. trio and gevent start threads of their own, which 3.11 and
#   3.13 permit and 3.12 refuses ("can't create new thread at interpreter shutdown"): to_thread, trio's look-ups and gevent's fail there only. libuv's
#   threads aren't Python's, so uvloop isn't touched.
# For who tests: a client that says goodbye at the exit (telemetry, leases, sessions) passes its test against 127.0.0.1 and loses its last
#   message in production, with a traceback on stderr and status 0. Test it in a process that ends, by name, and on 3.12.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check anyio==4.16.0 trio==0.35.0 uvloop==0.23.0 gevent==26.9.0

printf '127.0.0.1 localhost\n' >"$work/hosts"
printf 'hosts: files\n' >"$work/nsswitch.conf"
cat >"$work/look.py" <<'EOF'
import asyncio
import atexit
import os
import socket
import sys
import traceback

import anyio
import gevent.socket
import trio
import uvloop

server = socket.create_server(("127.0.0.1", 0))
port = server.getsockname()[1]


async def by_asyncio(host):
    _, writer = await asyncio.open_connection(host, port)
    writer.close()


async def by_anyio(host):
    await (await anyio.connect_tcp(host, port)).aclose()


async def a_thread():
    await anyio.to_thread.run_sync(int)


def outcomes():
    ways = {
        "asyncio, 127.0.0.1": lambda: asyncio.run(by_asyncio("127.0.0.1")),
        "asyncio, localhost": lambda: asyncio.run(by_asyncio("localhost")),
        "uvloop, localhost": lambda: uvloop.run(by_asyncio("localhost")),
        "anyio on asyncio, 127.0.0.1": lambda: anyio.run(by_anyio, "127.0.0.1"),
        "anyio on asyncio, localhost": lambda: anyio.run(by_anyio, "localhost"),
        "anyio on asyncio, to_thread": lambda: anyio.run(a_thread),
        "anyio on trio, 127.0.0.1": lambda: anyio.run(by_anyio, "127.0.0.1", backend="trio"),
        "anyio on trio, localhost": lambda: anyio.run(by_anyio, "localhost", backend="trio"),
        "gevent, localhost": lambda: gevent.socket.create_connection(("localhost", port)).close(),
    }
    found = {}
    for title, connect in ways.items():
        try:
            connect()
            found[title] = "ok"
        except RuntimeError as error:
            found[title] = str(error)
    return found


def at_the_exit():
    try:
        found = outcomes()
        print("CPython", sys.version.split()[0])
        for title, outcome in found.items():
            print(f"  {title:28} {outcome}")
        failed = {title for title, outcome in found.items() if outcome != "ok"}
        expected = {"asyncio, localhost", "anyio on asyncio, localhost"}
        if sys.version_info[:2] == (3, 12):
            expected |= {"anyio on asyncio, to_thread", "anyio on trio, localhost", "gevent, localhost"}
        assert failed == expected, failed
    except BaseException:  # An error of an exit function alone doesn't change the status.
        traceback.print_exc()
        sys.stdout.flush()
        os._exit(1)


atexit.register(at_the_exit)
if len(sys.argv) > 1:
    assert set(outcomes().values()) == {"ok"}, "something fails before the exit, too"
    atexit.unregister(at_the_exit)
EOF
# A namespace of its own, whose hosts file is the one above.
unshare --map-root-user --net --mount bash -euc '
    ip link set lo up
    for file in hosts nsswitch.conf; do mount --bind "$1/$file" "/etc/$file"; done
    "$1/venv/bin/python" "$1/look.py" before
    exec "$1/venv/bin/python" "$1/look.py"' - "$work"
