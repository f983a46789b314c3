#!/usr/bin/env bash
# asyncio and trio report a Unix socket as connected when the server's backlog is full: nothing is connected, and the error comes with the first byte.
#
# Versions: CPython 3.11.7, 3.12.1 and 3.13.0 (each Python of this machine is tried, from 3.11 to 3.13), trio 0.35.0, uvloop 0.23.0, Linux 6.18.
# Behaviour: a non-blocking connect() of a Unix socket isn't "in progress" when the backlog is full, as with TCP: the kernel gives EAGAIN and forgets it. asyncio
#   takes EAGAIN for "in progress", waits until the socket can be written to, which an unconnected one can at once, and finds no error in SO_ERROR. So
#   loop.sock_connect() and open_unix_connection() succeed; `peername` is None, and the first read or write raises OSError. trio does the same and raises
#   BrokenResourceError in send_all(). uvloop raises OSError in opening. A plain socket with settimeout(5) doesn't wait: BlockingIOError at once,
#   no TimeoutError; only a socket without a timeout waits. TCP waits in all of these.
# For who tests: clients of Docker, PostgreSQL or a gateway by its Unix socket under load fail behind the code that retries the connecting. A server
#   with a small backlog that doesn't accept shows it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/look.py" <<'EOP'
import asyncio
import errno
import socket
import sys

try:
    import trio
    import uvloop
except ImportError:
    trio = uvloop = None

path = sys.argv[1]
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen(0)
first = socket.socket(socket.AF_UNIX)
first.connect(path)  # fits; nobody accepts it

tcp_server = socket.socket()
tcp_server.bind(("127.0.0.1", 0))
tcp_server.listen(0)
tcp_first = socket.create_connection(tcp_server.getsockname())


def of_error(error):
    return type(error).__name__


def plain(family, address):
    client = socket.socket(family)
    client.settimeout(0.5)
    try:
        client.connect(address)
    except OSError as error:
        return of_error(error)
    return "connected"


async def sock_connect(family, address):
    client = socket.socket(family)
    client.setblocking(False)
    try:
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(client, address), 0.5)
        opened = "connected"
    except (OSError, asyncio.TimeoutError) as error:
        opened = "TimeoutError" if isinstance(error, (TimeoutError, asyncio.TimeoutError)) else of_error(error)
    try:
        client.getpeername()
        peer = "a peer"
    except OSError as error:
        peer = errno.errorcode[error.errno]
    client.close()
    return opened, peer


async def streams():
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return "OSError", None, None
    peername = writer.get_extra_info("peername")
    try:
        await reader.read(5)
        outcome = "read"
    except OSError:
        outcome = "OSError"
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:
        pass
    return "connected", peername, outcome


async def by_trio():
    stream = await trio.open_unix_socket(path)
    try:
        await stream.send_all(b"hello")
    except trio.BrokenResourceError as error:
        return "connected", of_error(error)
    return "connected", "sent"


print(sys.version.split()[0])
found = {
    "plain, with a timeout": plain(socket.AF_UNIX, path),
    "asyncio sock_connect": asyncio.run(sock_connect(socket.AF_UNIX, path)),
    "asyncio streams": asyncio.run(streams()),
}
expected = {
    "plain, with a timeout": "BlockingIOError",
    "asyncio sock_connect": ("connected", "ENOTCONN"),
    "asyncio streams": ("connected", None, "OSError"),
}
if trio:
    found["trio"] = trio.run(by_trio)
    expected["trio"] = ("connected", "BrokenResourceError")
    found["uvloop streams"] = uvloop.run(streams())
    expected["uvloop streams"] = ("OSError", None, None)
found["TCP, plain"] = plain(socket.AF_INET, tcp_server.getsockname())
expected["TCP, plain"] = "TimeoutError"
found["TCP, asyncio sock_connect"] = asyncio.run(sock_connect(socket.AF_INET, tcp_server.getsockname()))
expected["TCP, asyncio sock_connect"] = ("TimeoutError", "ENOTCONN")
for title, outcome in found.items():
    print(f"  {title:26} {outcome}")
assert found == expected
EOP
"$here/../tests/platforms/suite" --list | while read -r version python; do
    case $version in 3.11 | 3.12 | 3.13) "$python" -I -S "$work/look.py" "$work/$version" ;; esac
done
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check trio==0.35.0 uvloop==0.23.0
"$work/venv/bin/python" "$work/look.py" "$work/here"
