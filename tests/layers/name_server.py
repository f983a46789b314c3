"""A network of its own whose name server, on loopback, counts what it is asked: what looks names up runs there.

``unshare --net --mount --uts python name_server.py HOSTS SCRIPT ...`` runs a script after that, with files of its own
in the place of ``/etc/hosts``, ``/etc/resolv.conf`` and ``/etc/nsswitch.conf``, on a machine that is called ``box7``.
"""

from __future__ import annotations

import fcntl
import os
import runpy
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1
OWN_NAME: Final = "box7"
FILES: Final = {
    "resolv.conf": "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n",
    "nsswitch.conf": "hosts: files dns\n",
}

queries: list[bytes] = []
"""What the name server was asked."""


def asked() -> list[str]:
    """Return the names that the server was asked for since the last call."""
    found = [_name(query) for query in queries]
    queries.clear()
    return found


def _name(query: bytes) -> str:
    labels, at = [], 12
    while at < len(query) and query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("latin-1"))
        at += query[at] + 1
    return ".".join(labels) or "."


def start(hosts: str) -> None:
    """Change this process's network and files, and serve names: there are none.

    Args:
        hosts: The text of the hosts file.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
    socket.sethostname(OWN_NAME)
    place = tempfile.mkdtemp()
    for name, text in {**FILES, "hosts": hosts}.items():
        path = os.path.join(place, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        subprocess.run(["mount", "--bind", path, f"/etc/{name}"], check=True)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    threading.Thread(target=_serve, args=(server,), daemon=True).start()


def _serve(server: socket.socket) -> None:
    while True:
        query, client = server.recvfrom(4096)
        queries.append(query)
        end = 12
        while query[end]:
            end += query[end] + 1
        # No such name, authoritatively; one question and no records.
        server.sendto(query[:2] + b"\x85\x83\0\1\0\0\0\0\0\0" + query[12 : end + 5], client)


if __name__ == "__main__":
    sys.modules["tests.layers.name_server"] = sys.modules["__main__"]
    sys.path.insert(0, str(Path(__file__).parents[2]))
    start(sys.argv[1])
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")
