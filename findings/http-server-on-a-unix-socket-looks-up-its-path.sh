#!/usr/bin/env bash
# http.server.HTTPServer on a unix socket takes the first character of the path for its host, and looks that up.
#
# Versions: CPython 3.11 (3.12 and 3.13 alike). No package is needed.
# Behaviour: with address_family = AF_UNIX, server_bind() binds the socket and then takes the first two items of its own address, which is text:
#   the host is "/", the port the second character of the path. socket.getfqdn("/") then calls gethostbyaddr("/"), a look-up of a host in a
#   server that has none; server_name and server_port are "/" and, for a path in /run, "r". It goes well for absolute paths alone. Two others are
#   refused after the bind has happened: an abstract name (its address is bytes, the host a number: AttributeError), and a relative path of
#   one character (ValueError, and the socket's file stays).
# For who tests: a test server on a unix socket isn't free of look-ups: tools that block or count them meet "/". Override server_bind()
#   with socketserver.TCPServer.server_bind and set server_name and server_port, as WSGI and XML-RPC servers built on it need those two.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/look.py" <<'EOF'
import http.server
import os
import platform
import socket
import sys

events = []


def watch(event, arguments):
    if event in ("socket.bind", "socket.gethostbyaddr"):
        events.append((event.removeprefix("socket."), arguments[-1]))


sys.addaudithook(watch)


class Server(http.server.HTTPServer):
    address_family = socket.AF_UNIX


def serve(address):
    events.clear()
    try:
        with Server(address, http.server.BaseHTTPRequestHandler) as server:
            outcome = server.server_name, server.server_port
    except (AttributeError, ValueError) as error:
        outcome = type(error)
    print(f"{address!r:22} {outcome} events: {events}")
    return outcome


print("CPython", platform.python_version())
path = os.path.abspath("socket")
assert serve(path) == ("/", path[1])
assert events == [("bind", path), ("gethostbyaddr", "/")]
assert serve("\0finding") is AttributeError
assert events == [("bind", "\0finding")]
assert serve("s") is ValueError
assert events == [("bind", "s")] and os.path.exists("s")
EOF
cd "$work"
unshare --map-root-user --net python3 look.py
