"""Blocks of calls, timed: copied into a project of its own and run by pytest, as ``calls`` orders.

A block makes what its calls need, makes so many calls one after the other, and returns how many nanoseconds they took.
"""

from __future__ import annotations

import copy
import http.client
import json
import os
import socket
import struct
import subprocess
import threading
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

Address = tuple[str, int]

_RESET = struct.pack("ii", 1, 0)
_FOREIGN = ("198.51.100.1", 9)
"""An address of TEST-NET-2, which a small test is refused."""


def _reset(client: socket.socket) -> None:
    """Close a connection with a reset, so that no ports are used up."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    client.close()


def connect(times: int, address: Address) -> int:
    clients = [socket.socket() for _ in range(times)]
    start = perf_counter_ns()
    for client in clients:
        client.connect(address)
    taken = perf_counter_ns() - start
    for client in clients:
        _reset(client)
    return taken


def thread_connect(times: int, address: Address) -> int:
    taken: list[int] = []

    def work() -> None:
        connect(10, address)  # what the thread remembers, it knows by now
        taken.append(connect(times, address))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return taken[0]


def create_connection(times: int, address: Address) -> int:
    start = perf_counter_ns()
    clients = [socket.create_connection(address) for _ in range(times)]
    taken = perf_counter_ns() - start
    for client in clients:
        _reset(client)
    return taken


def create_connection_localhost(times: int, address: Address) -> int:
    return create_connection(times, ("localhost", address[1]))


def send(times: int, _address: Address) -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client, server.accept()[0] as peer:
            # The kernel keeps the bytes for a moment, so that no block has to wait for its packets.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            client.send(b"x")
            start = perf_counter_ns()
            for _ in range(times):
                client.send(b"x")
            taken = perf_counter_ns() - start
            _reset(client)
            _reset(peer)
    return taken


def sendto(times: int, _address: Address) -> int:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        address = receiver.getsockname()
        sender.sendto(b"x", address)
        start = perf_counter_ns()
        for _ in range(times):
            sender.sendto(b"x", address)
        return perf_counter_ns() - start


def _write(times: int, descriptor: int) -> int:
    os.write(descriptor, b"x")
    start = perf_counter_ns()
    for _ in range(times):
        os.write(descriptor, b"x")
    return perf_counter_ns() - start


def write_file(times: int, _address: Address) -> int:
    descriptor = os.open("written", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    taken = _write(times, descriptor)
    os.close(descriptor)
    return taken


def write_pipe(times: int, _address: Address) -> int:
    reading, writing = os.pipe()
    taken = _write(times, writing)
    os.close(reading)
    os.close(writing)
    return taken


def getaddrinfo(times: int, _address: Address) -> int:
    start = perf_counter_ns()
    for _ in range(times):
        socket.getaddrinfo("127.0.0.1", 80)
    return perf_counter_ns() - start


def refused(times: int, _address: Address) -> int:
    clients = [socket.socket() for _ in range(times)]
    start = perf_counter_ns()
    for client in clients:
        try:
            client.connect(_FOREIGN)
        except Exception:
            pass
    taken = perf_counter_ns() - start
    for client in clients:
        client.close()
    return taken


@dataclass
class _Record:
    """Copying it calls ``id()`` twelve times, and each call raises an audit event."""

    size: int = 1
    name: str = ""


def deepcopy(times: int, _address: Address) -> int:
    record = _Record()
    start = perf_counter_ns()
    for _ in range(times):
        copy.deepcopy(record)
    return perf_counter_ns() - start


def child(times: int, _address: Address) -> int:
    start = perf_counter_ns()
    for _ in range(times):
        subprocess.run(["true"], check=True)
    return perf_counter_ns() - start


def request(times: int, address: Address) -> int:
    start = perf_counter_ns()
    for _ in range(times):
        client = http.client.HTTPConnection(*address)
        client.request("GET", "/")
        client.getresponse().read()
        client.close()
    return perf_counter_ns() - start


_kept: list[http.client.HTTPConnection] = []


def keep_alive(times: int, address: Address) -> int:
    if not _kept:
        _kept.append(http.client.HTTPConnection(*address))
    start = perf_counter_ns()
    for _ in range(times):
        _kept[0].request("GET", "/")
        _kept[0].getresponse().read()
    return perf_counter_ns() - start


def _serve() -> None:
    with os.fdopen(int(os.environ["ORDERS"])) as orders, os.fdopen(int(os.environ["ANSWERS"]), "w") as answers:
        for line in orders:
            name, blocks, times, (host, port) = json.loads(line)
            block: Callable[[int, Address], Any] = globals()[name]
            taken = [block(times, (host, port)) for _ in range(blocks)]
            print(json.dumps(taken), file=answers, flush=True)


@pytest.mark.small
def test_small() -> None:
    _serve()


@pytest.mark.medium
def test_medium() -> None:
    _serve()
