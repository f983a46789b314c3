#!/usr/bin/env bash
# A look-up of a name that is cancelled goes on; asyncio's run waits for it, trio's doesn't, and its retries are sent after the run.
#
# Versions: anyio 4.16.0, trio 0.35.0, uvloop 0.23.0, CPython 3.11 or newer, glibc.
# Behaviour, with a name server that never answers (2 attempts of 1 s each) and a cancel scope of 0.2 s: the awaiting code gets its timeout
#   after 0.2 s everywhere. Then
#   - asyncio.run, uvloop.run and anyio.run on asyncio return only when the C library has given up, 2 s after the start: the thread belongs to
#     the loop's default executor, which the end of the run joins;
#   - trio.run and anyio.run on trio return at once. The look-up's thread is a daemon that stays behind and sends the second attempt's queries
#     a second later, in the middle of whatever runs then.
# For who tests: under asyncio a short timeout around a connect to a name doesn't make a test short. Under trio the queries of one test
#   arrive during the next one: who counts packets or watches threads blames the wrong test. Code on anyio meets both.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check anyio==4.16.0 trio==0.35.0 uvloop==0.23.0

printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:2\n' >"$work/resolv.conf"
printf '127.0.0.1 localhost\n' >"$work/hosts"
printf 'hosts: files dns\n' >"$work/nsswitch.conf"
cat >"$work/look.py" <<'EOF'
import asyncio
import socket
import sys
import threading
import time

import anyio
import trio
import uvloop

way = sys.argv[1]
packets = []
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))


def never_answer():
    while True:
        server.recv(1024)
        packets.append(time.monotonic())


threading.Thread(target=never_answer, daemon=True).start()


async def asyncio_main():
    try:
        await asyncio.wait_for(asyncio.get_running_loop().getaddrinfo("slow.example", 80), 0.2)
    except TimeoutError:
        cancelled.append(time.monotonic())


async def trio_main():
    with trio.move_on_after(0.2):
        await trio.socket.getaddrinfo("slow.example", 80)
    cancelled.append(time.monotonic())


async def anyio_main():
    with anyio.move_on_after(0.2):
        await anyio.getaddrinfo("slow.example", 80)
    cancelled.append(time.monotonic())


cancelled = []
start = time.monotonic()
match way:
    case "asyncio":
        asyncio.run(asyncio_main())
    case "uvloop":
        uvloop.run(asyncio_main())
    case "trio":
        trio.run(trio_main)
    case _:
        anyio.run(anyio_main, backend=way.removeprefix("anyio on "))
end = time.monotonic()
left = [thread.name for thread in threading.enumerate() if "getaddrinfo" in thread.name]
time.sleep(2.5)
late = sum(1 for packet in packets if packet > end)
print(f"{way:16} cancelled at {cancelled[0] - start:.1f} s, run returned at {end - start:.1f} s, queries: {len(packets)}, {late} after that; left: {left}")
assert 0.15 < cancelled[0] - start < 0.9
assert len(packets) == 4
if "trio" in way:
    assert end - start < 0.9 and late == 2 and len(left) == 1
else:
    assert end - start > 1.8 and late == 0 and not left
EOF
# A namespace of its own: nothing leads out, and its name server is the one above.
unshare --map-root-user --net --mount bash -euc '
    ip link set lo up
    for file in resolv.conf hosts nsswitch.conf; do mount --bind "$1/$file" "/etc/$file"; done
    for way in asyncio uvloop trio "anyio on asyncio" "anyio on trio"; do "$1/venv/bin/python" "$1/look.py" "$way"; done' - "$work"
