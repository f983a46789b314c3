"""Runs a command in a network of its own, which has nothing but loopback, and ports there that lead to Unix sockets.

``unshare --net python private_network.py PORT=PATH ... -- COMMAND``: what the command dials abroad ends at once, and no
packet leaves the machine; the servers that it needs are reached through their sockets in the file system.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
from typing import Final

_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1
PREFIX: Final = ("unshare", "--net", *(("--map-root-user",) if os.name == "posix" and os.geteuid() != 0 else ()))
"""What makes the network."""


def bring_up_loopback() -> None:
    """Switch loopback on; its addresses come by themselves."""
    import fcntl  # Windows has none, and imports this all the same

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))


def lead(port: int, path: str) -> None:
    """Pass on what connects to a port of loopback to a Unix socket."""
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with contextlib.suppress(OSError):  # a machine may have no IPv6
            server = socket.create_server((host, port), family=family)
            threading.Thread(target=_accept, args=(server, path), daemon=True).start()


def _accept(server: socket.socket, path: str) -> None:
    while True:
        near, _ = server.accept()
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(path)
        except OSError:  # to the client it is a server that hangs up
            near.close()
            continue
        for pair in ((near, far), (far, near)):
            threading.Thread(target=_pass_on, args=pair, daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def main(arguments: list[str]) -> int:
    """Run the command; return its status."""
    at = arguments.index("--")
    bring_up_loopback()
    for pair in arguments[:at]:
        port, _, path = pair.partition("=")
        lead(int(port), path)
    return subprocess.run(arguments[at + 1 :], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
