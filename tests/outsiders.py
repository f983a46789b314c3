"""Processes that are no relatives of the one that tests: what they serve is foreign to it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SERVER = """
import os, socket, sys
server = socket.socket(socket.AF_UNIX, int(sys.argv[2]))
server.bind(sys.argv[1].replace("@", chr(0)))
if int(sys.argv[2]) == socket.SOCK_STREAM:
    server.listen()
if os.fork():
    os._exit(0)
print("serves", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def unix_server(path: str | Path, kind: int = socket.SOCK_STREAM) -> Iterator[None]:
    """Serve at a path, or at an abstract name that begins with ``@``, in a process whose parent has ended."""
    starter = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _SERVER, str(path), str(int(kind))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert starter.stdin is not None
    assert starter.stdout is not None
    with starter.stdin, starter.stdout:
        assert starter.wait(20) == 0
        assert starter.stdout.readline()
        yield
        starter.stdin.close()
        starter.stdout.read()
