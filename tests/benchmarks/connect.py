"""What the guard costs a connect, in microseconds: ``python -m tests.benchmarks.connect``.

Tests in pytest processes with the plugin and without it take turns; each connects as often as it is told to.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks.figures import INI, STRICT, Figure, environment, pytest_command, report

if TYPE_CHECKING:
    from collections.abc import Iterator

FOREIGN: Final = ("198.51.100.1", 9)
"""An address of TEST-NET-2, which a small test is refused."""

SERVER: Final = """\
import socket

with socket.create_server(("127.0.0.1", 0), backlog=4096) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        server.accept()[0].close()
"""

TEST: Final = """\
import json
import os
import socket
import struct
from time import perf_counter_ns

import pytest

RESET = struct.pack("ii", 1, 0)


def connect(address):
    with socket.socket() as client:
        # Closing sends a reset, so that no ports are used up.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        start = perf_counter_ns()
        client.connect(address)
        return perf_counter_ns() - start


def create_connection(address):
    start = perf_counter_ns()
    client = socket.create_connection(address)
    taken = perf_counter_ns() - start
    with client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    return taken


def refused(address):
    with socket.socket() as client:
        start = perf_counter_ns()
        try:
            client.connect(address)
        except Exception:
            pass
        return perf_counter_ns() - start


def serve():
    with os.fdopen(int(os.environ["ORDERS"])) as orders, os.fdopen(int(os.environ["ANSWERS"]), "w") as answers:
        for line in orders:
            what, times, address = json.loads(line)
            action = globals()[what]
            address = tuple(address)
            print(json.dumps([action(address) for _ in range(times)]), file=answers, flush=True)


@pytest.mark.small
def test_small():
    serve()


@pytest.mark.medium
def test_medium():
    serve()
"""


class Runner:
    """A test in a pytest process of its own, which connects when told to."""

    def __init__(self, work: Path, test: str, *options: str) -> None:
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        self._process = subprocess.Popen(
            pytest_command(*options, f"test_connects.py::{test}"),
            cwd=work,
            env=environment(work) | {"ORDERS": str(orders), "ANSWERS": str(answers)},
            pass_fds=(orders, answers),
            stdout=subprocess.DEVNULL,
        )
        os.close(orders)
        os.close(answers)
        self._write = os.fdopen(self._orders, "w", encoding="utf-8")
        self._read = os.fdopen(self._answers, encoding="utf-8")

    def run(self, what: str, times: int, address: tuple[str, int]) -> list[float]:
        """Return how many microseconds each of some calls took."""
        print(json.dumps([what, times, address]), file=self._write, flush=True)
        return [taken / 1000 for taken in json.loads(self._read.readline())]

    def close(self) -> None:
        """Let the test end, and wait for its process."""
        self._write.close()
        self._read.close()
        self._process.wait(60)


@contextlib.contextmanager
def server() -> Iterator[tuple[str, int]]:
    """Run a process that accepts and closes; give its address."""
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield "127.0.0.1", int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def compare(what: str, sides: tuple[Runner, Runner], address: tuple[str, int], rounds: int) -> tuple[float, float]:
    """Return both sides' medians; they take turns, each going first in half of the rounds."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for side in (0, 1) if number % 2 else (1, 0):
            taken[side].extend(sides[side].run(what, 50, address))
    return statistics.median(taken[0]), statistics.median(taken[1])


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="of 50 calls on each side (%(default)s)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name, server() as address, contextlib.ExitStack() as stack:
        work = Path(name)
        (work / "pytest.ini").write_text(INI, encoding="utf-8")
        (work / "test_connects.py").write_text(TEST, encoding="utf-8")

        def runner(test: str, *options: str) -> Runner:
            started = Runner(work, test, *options)
            stack.callback(started.close)
            started.run("connect" if test == "test_medium" else "refused", 200, address)
            return started

        medium = (runner("test_medium", *STRICT), runner("test_medium"))
        connect = compare("connect", medium, address, rounds)
        create = compare("create_connection", medium, address, rounds)
        small = runner("test_small", *STRICT)
        small.run("refused", 1, FOREIGN)
        refused = statistics.median(small.run("refused", 50 * rounds, FOREIGN))
    return report(
        [
            Figure("permitted socket.connect on loopback in a medium test", *connect, 1.15, "us"),
            Figure("permitted socket.create_connection, same", *create, 1.25, "us"),
            Figure("refused and swallowed connect, from the second on", refused, None, 30, "us"),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
