"""Ways out that no Python layer sees: each takes an address, and comes back when it has tried. Runs inside inner tests."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import multiprocessing
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS: Final = 1.0
CHILD: Final = """
import socket, sys
sock = socket.socket()
sock.settimeout(float(sys.argv[3]))
sock.connect((sys.argv[1], int(sys.argv[2])))
"""


def _sockaddr(host: str, port: int) -> bytes:
    return struct.pack("=H", socket.AF_INET) + struct.pack(">H", port) + socket.inet_aton(host) + bytes(8)


def _python(host: str, port: int) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", CHILD, host, str(port), str(SECONDS)]


def connect_by_ctypes(host: str, port: int) -> None:
    libc = ctypes.CDLL(None)
    sock = libc.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, 0)
    libc.connect(sock, _sockaddr(host, port), 16)
    time.sleep(0.05)
    os.close(sock)


def connect_by_ctypes_in_a_thread(host: str, port: int) -> None:
    thread = threading.Thread(target=connect_by_ctypes, args=(host, port), name="dialler")
    thread.start()
    thread.join()


def sendto_by_ctypes(host: str, port: int) -> None:
    libc = ctypes.CDLL(None)
    sock = libc.socket(socket.AF_INET, socket.SOCK_DGRAM, 0)
    libc.sendto(sock, b"x", 1, 0, _sockaddr(host, port), 16)
    os.close(sock)


def sendmmsg_by_ctypes(host: str, port: int) -> None:
    libc = ctypes.CDLL(None)
    sock = libc.socket(socket.AF_INET, socket.SOCK_DGRAM, 0)
    address = ctypes.create_string_buffer(_sockaddr(host, port))
    data = ctypes.create_string_buffer(b"hello")
    part = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(data), 5))
    message = struct.pack("=QIIQQQQiIII", ctypes.addressof(address), 16, 0, ctypes.addressof(part), 1, 0, 0, 0, 0, 0, 0)
    libc.sendmmsg(sock, ctypes.create_string_buffer(message), 1, 0)
    os.close(sock)


def fast_open(host: str, port: int) -> None:
    libc = ctypes.CDLL(None)
    sock = libc.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, 0)
    libc.sendto(sock, b"x", 1, 0x20000000, _sockaddr(host, port), 16)
    time.sleep(0.05)
    os.close(sock)


def curl(host: str, port: int) -> None:
    subprocess.run(["curl", "-sS", "-m", str(SECONDS), f"http://{host}:{port}/"], check=False)


def python_child(host: str, port: int) -> None:
    subprocess.run(_python(host, port), stderr=subprocess.DEVNULL, check=False)


def grandchild(host: str, port: int) -> None:
    line = f'sh -c \'{sys.executable} -I -S -c "$0" {host} {port} {SECONDS}; true\' "$0"; true'
    subprocess.run(["sh", "-c", line, CHILD], stderr=subprocess.DEVNULL, check=False)


def spawned(host: str, port: int) -> None:
    command = _python(host, port)
    os.waitpid(os.posix_spawn(command[0], command, os.environ), 0)


def by_multiprocessing(host: str, port: int) -> None:
    process = multiprocessing.get_context("spawn").Process(target=python_child, args=(host, port))
    process.start()
    process.join()


def daemon(host: str, port: int) -> None:
    """Leave the session and the parent behind first."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(0.1)
            os.close(read)
            with contextlib.suppress(BaseException):
                connect_by_ctypes(host, port)
        os._exit(0)
    os.close(write)
    os.wait()
    os.read(read, 1)
    os.close(read)


def by_uvloop(host: str, port: int) -> None:
    import uvloop

    async def go() -> None:
        await asyncio.wait_for(asyncio.open_connection(host, port), SECONDS)

    with contextlib.suppress(OSError, TimeoutError), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(go())


def by_psycopg(host: str, port: int) -> None:
    import psycopg

    with contextlib.suppress(psycopg.OperationalError):
        psycopg.connect(host=host, port=port, user="u", dbname="d", connect_timeout=2, gssencmode="disable")


def by_pycurl(host: str, port: int) -> None:
    import pycurl

    handle = pycurl.Curl()
    handle.setopt(pycurl.URL, f"http://{host}:{port}/")
    handle.setopt(pycurl.TIMEOUT_MS, int(SECONDS * 1000))
    with contextlib.suppress(pycurl.error):
        handle.perform()


def by_curl_cffi(host: str, port: int) -> None:
    import curl_cffi.requests

    with contextlib.suppress(Exception):
        curl_cffi.requests.get(f"http://{host}:{port}/", timeout=SECONDS)


def by_grpc(host: str, port: int) -> None:
    import grpc

    channel = grpc.insecure_channel(f"{host}:{port}", options=[("grpc.enable_http_proxy", 0)])
    with contextlib.suppress(grpc.RpcError):
        channel.unary_unary("/a/b")(b"", timeout=SECONDS)
    channel.close()


def by_zmq(host: str, port: int) -> None:
    import zmq

    with zmq.Context() as context, context.socket(zmq.PUSH) as sock:
        sock.setsockopt(zmq.LINGER, 0)
        sock.connect(f"tcp://{host}:{port}")
        time.sleep(0.3)


WAYS: Final[dict[str, Callable[[str, int], Any]]] = {
    way.__name__: way
    for way in (
        connect_by_ctypes,
        connect_by_ctypes_in_a_thread,
        sendto_by_ctypes,
        sendmmsg_by_ctypes,
        fast_open,
        curl,
        python_child,
        grandchild,
        spawned,
        by_multiprocessing,
        daemon,
        by_uvloop,
        by_psycopg,
        by_pycurl,
        by_curl_cffi,
        by_grpc,
        by_zmq,
    )
}
NEEDS: Final = {"by_uvloop": "uvloop", "by_psycopg": "psycopg", "by_pycurl": "pycurl", "by_curl_cffi": "curl_cffi"} | {
    "by_grpc": "grpc",
    "by_zmq": "zmq",
}
