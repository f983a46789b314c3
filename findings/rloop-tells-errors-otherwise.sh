#!/usr/bin/env bash
# On rloop 0.5 a failed datagram closes the endpoint, one for another address goes to the wrong peer, and a broken pipe is a RuntimeError, not an OSError.
#
# Versions: rloop 0.5.0 against asyncio of CPython 3.11 or newer and uvloop 0.23.0, the same program on each.
# Behaviour, asyncio's first, rloop's after the arrow:
#   - a datagram that is too long: error_received(), and the endpoint goes on -> connection_lost() with a plain OSError whose errno is None;
#     nothing can be sent any more. One to a closed port alike, though that is told only when the next one is sent;
#   - sendto(data, other) on a connected endpoint: ValueError -> the data goes to the connected peer, and nothing is said;
#   - datagram_received() raises: the loop's exception handler is called -> it isn't;
#   - write() after close(): dropped -> sent;
#   - a stream's writes to a peer that is gone: an OSError -> RuntimeError("Broken pipe"), which `except OSError` doesn't catch. uvloop has its own: a
#     write after the loss is a RuntimeError.
#   Seen besides: an abort of the process by a panic in rloop's UDP code, and a reader that is never told of its connection's end. What leads
#   to them isn't given here.
# For who tests: code for retries and reconnections that is green on asyncio says nothing about rloop. Where clients' errors are
#   recognised by class or errno, run the tests on the loop that production has.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rloop==0.5.0 uvloop==0.23.0

cat >"$work/look.py" <<'EOF'
import asyncio
import importlib
import socket
import sys


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self):
        self.events = []

    def error_received(self, error):
        self.events.append(f"error_received {type(error).__name__} {error.errno}")

    def datagram_received(self, data, address):
        raise LookupError(data)

    def connection_lost(self, error):
        self.events.append(f"lost {type(error).__name__} {getattr(error, 'errno', '-')}" if error else "lost")


def peer():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(0.3)
    return sock


def received(sock):
    try:
        return sock.recv(20).decode() or "end"
    except TimeoutError:
        return "nothing"


async def look():
    loop = asyncio.get_running_loop()
    seen = {}

    dead = peer()
    closed_port = dead.getsockname()
    dead.close()
    for title, address, data in (("closed port", closed_port, b"x"), ("too long", peer().getsockname(), bytes(70_000))):
        transport, protocol = await loop.create_datagram_endpoint(Datagrams, remote_addr=address)
        transport.sendto(data)
        await asyncio.sleep(0.3)
        seen[title] = protocol.events[:]
        if title == "closed port":
            transport.sendto(data)
            await asyncio.sleep(0.3)
            seen["closed port, twice"] = protocol.events[:]
        transport.close()

    one, other = peer(), peer()
    transport, _ = await loop.create_datagram_endpoint(Datagrams, remote_addr=one.getsockname())
    try:
        transport.sendto(b"for the other", other.getsockname())
        outcome = "sent"
    except ValueError:
        outcome = "ValueError"
    await asyncio.sleep(0.1)
    seen["other address"] = [outcome, received(one), received(other)]
    transport.close()

    told = []
    loop.set_exception_handler(lambda _, context: told.append(type(context["exception"]).__name__))
    transport, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0))
    one.sendto(b"x", transport.get_extra_info("sockname"))
    await asyncio.sleep(0.2)
    seen["receiver raises"] = told
    transport.close()
    await asyncio.sleep(0.1)

    server = socket.create_server(("127.0.0.1", 0))
    transport, _ = await loop.create_connection(asyncio.Protocol, *server.getsockname())
    accepted, _ = server.accept()
    transport.close()
    transport.write(b"late")
    await asyncio.sleep(0.1)
    seen["write after close"] = [received(accepted)]

    _, writer = await asyncio.open_connection(*server.getsockname())
    accepted, _ = server.accept()
    accepted.close()
    errors = seen["writes to nobody"] = []
    for _ in range(4):
        try:
            writer.write(bytes(100))
            await writer.drain()
        except Exception as error:
            errors.append("an OSError" if isinstance(error, OSError) else type(error).__name__)
        await asyncio.sleep(0.05)
    return seen


name = sys.argv[1]
with asyncio.Runner(loop_factory=importlib.import_module(name).new_event_loop) as runner:
    seen = runner.run(look())
for title, events in seen.items():
    print(f"{name:8} {title:18} {events}")
as_asyncio = {
    "closed port": ["error_received ConnectionRefusedError 111"],
    "closed port, twice": ["error_received ConnectionRefusedError 111"] * 2,
    "too long": ["error_received OSError 90"],
    "other address": ["ValueError", "nothing", "nothing"],
    "receiver raises": ["LookupError"],
    "write after close": ["end"],
}
as_rloop = {
    "closed port": [],
    "closed port, twice": ["lost OSError None"],
    "too long": ["lost OSError None"],
    "other address": ["sent", "for the other", "nothing"],
    "receiver raises": [],
    "write after close": ["late"],
}
errors = seen.pop("writes to nobody")
assert seen == (as_rloop if name == "rloop" else as_asyncio), seen
assert set(errors) == {"asyncio": {"an OSError"}, "uvloop": {"an OSError", "RuntimeError"}, "rloop": {"RuntimeError"}}[name], errors
EOF
unshare --map-root-user --net bash -euc '
    ip link set lo up
    for name in asyncio uvloop rloop; do "$1/venv/bin/python" "$1/look.py" "$name"; done' - "$work"
