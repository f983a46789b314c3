#!/usr/bin/env bash
# valkey-glide's closed client leaves two native threads and a socket pair in the process, and a server must say that it is a master before it is used.
#
# Versions: valkey-glide 2.6.0 (async client), against a small server on loopback.
# Behaviour: importing starts nothing. The first GlideClient.create() starts three threads that Python doesn't list: the client's own
#   ("Valkey-GLIDE th"), a timer and a reader of the pipe by which answers come back. close() ends the first; the other two and a pair of
#   connected unix sockets stay after the event loop is gone, too. A second client, on another loop, uses them again: they don't add up.
#   On its one connection it sends HELLO 3, CLIENT SETINFO twice (as version 0.1.0, whatever is installed) and INFO REPLICATION; where that
#   doesn't answer role:master, create() fails with "No primary node found", though every command before was answered.
# For who tests: leak checks of threads and descriptors blame the first test that makes a client. A fake server needs those four
#   answers, INFO's above all. Fork before the first client: the threads don't exist in the child.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check valkey-glide==2.6.0

cat >"$work/look.py" <<'EOF'
import asyncio
import os
import socket
import threading
import time

import glide

commands = []
role = b"role:master\r\n"


def answer(client):
    stream = client.makefile("rb")
    while header := stream.readline():
        words = []
        for _ in range(int(header[1:])):
            words.append(stream.read(int(stream.readline()[1:]) + 2)[:-2].decode())
        commands.append(" ".join(words))
        match words[0]:
            case "HELLO":
                client.sendall(b"%1\r\n$5\r\nproto\r\n:3\r\n")
            case "INFO":
                client.sendall(b"$%d\r\n%s\r\n" % (len(role), role))
            case "PING":
                client.sendall(b"+PONG\r\n")
            case _:
                client.sendall(b"+OK\r\n")


def serve(listener):
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()


listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=(listener,), daemon=True).start()
ours = {"python", "python3", open("/proc/self/comm").read().strip()}


def native_threads():
    names = (open(f"/proc/self/task/{task}/comm").read().strip() for task in os.listdir("/proc/self/task"))
    return sorted(name for name in names if name not in ours and not name.startswith("Thread-"))


def unix_pairs():
    """How many descriptors are connected unix sockets."""
    inodes = {line.split()[6] for line in open("/proc/net/unix").readlines()[1:]}
    links = [os.readlink(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{number}")]
    return sum(link.removeprefix("socket:[").rstrip("]") in inodes for link in links)


def show(when):
    time.sleep(0.3)
    print(f"{when:22} native threads: {native_threads()}, ends of unix sockets: {unix_pairs()}")
    return native_threads()


async def use():
    client = await glide.GlideClient.create(glide.GlideClientConfiguration([glide.NodeAddress("127.0.0.1", listener.getsockname()[1])]))
    assert await client.ping() == b"PONG"
    opened = show("a client is open")
    await client.close()
    return opened


assert show("after the import") == [] and unix_pairs() == 0
left = []
for _ in range(2):
    assert "Valkey-GLIDE th" in asyncio.run(use())
    left.append((show("closed, loop gone"), unix_pairs()))
assert left == [(["glide-async-pip", "glide-timeout-w"], 2)] * 2, left
print("sent:", commands[: len(commands) // 2])
assert commands == ["HELLO 3", "CLIENT SETINFO LIB-NAME GlidePy", "CLIENT SETINFO LIB-VER 0.1.0", "INFO REPLICATION", "PING"] * 2

role = b"redis_version:8\r\n"
try:
    asyncio.run(use())
    raise AssertionError("it takes a server without a role")
except glide.ClosingError as error:
    print("without a role:", str(error).splitlines()[0])
    assert "No primary node found" in str(error)
EOF
unshare --map-root-user --net bash -euc 'ip link set lo up; exec "$1/venv/bin/python" -u "$1/look.py"' - "$work"
