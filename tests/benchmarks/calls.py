"""What single calls cost: pytest processes with the plugin, with a peer and bare take turns, each making blocks of calls.

The least of many short blocks is what other work on the machine changes least; the medians stand beside it. The same
calls are counted by callgrind, which counts what runs in the process itself and not what the kernel does for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks.inner import KERNEL, MEDIUM, SMALL, Machine, UnmeasuredError, valgrind
from tests.benchmarks.table import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.table import Side

Address = tuple[str, int]

_ACCEPTING: Final = """\
import socket

with socket.create_server(("127.0.0.1", 0), backlog=4096) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        server.accept()[0].close()
"""

_HTTP: Final = """
import http.server


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.connection.setsockopt(6, 1, 1)

    def do_GET(self):
        self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello")

    def log_message(self, *_):
        pass


with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
"""

_WARM: Final = 10
"""Blocks before those that count."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls that are timed and counted.

    Args:
        block: The name of a function of ``blocks``.
        test: The test that makes them.
        base: Another block, which ours is compared with in place of the same one on the bare side.
        kernel: Whether ours has the kernel layer. What the supervisor does is not counted then.
        sides: Who takes part, if not all.
        times: Calls in a block.
        blocks: Blocks of a side in one round.
        http: Whether the calls are HTTP requests.
    """

    block: str
    test: str = "test_medium"
    base: str = ""
    kernel: bool = False
    sides: tuple[Side, ...] = ("bare", "socket", "ours")
    times: int = 20
    blocks: int = 25
    http: bool = False

    def __call__(self, machine: Machine) -> Figure:
        """Time the calls on all sides, then count them."""
        rounds = 8 if machine.quick else 40
        with contextlib.ExitStack() as stack:
            address = stack.enter_context(_server(_HTTP if self.http else _ACCEPTING))
            tests = {side: stack.enter_context(self._start(machine, side)) for side in self.sides}
            jobs: dict[Side, tuple[_Test, str]] = {side: (test, self.block) for side, test in tests.items()}
            if self.base:
                jobs["bare"] = (tests["ours"], self.base)
            taken: dict[Side, list[float]] = {side: [] for side in jobs}
            for test, block in jobs.values():
                test.run(block, _WARM, self.times, address)
            for number in range(rounds):
                order = list(jobs) if number % 2 else list(reversed(jobs))
                for side in order:
                    test, block = jobs[side]
                    taken[side].extend(test.run(block, self.blocks, self.times, address))
        return Figure(
            {side: min(found) for side, found in taken.items()},
            {side: statistics.median(found) for side, found in taken.items()},
            {} if self.kernel or not shutil.which("valgrind") else self._count(machine),
        )

    def _count(self, machine: Machine) -> dict[Side, float]:
        """Return thousands of instructions for each call, beyond those of a block without calls."""
        counted: dict[Side, float] = {}
        with _server(_HTTP if self.http else _ACCEPTING) as address:
            for side in self.sides:
                with self._start(machine, side, counting=True) as test:
                    if self.base and side == "ours":
                        counted["bare"] = test.count(self.base, self.times, address)
                    counted[side] = test.count(self.block, self.times, address)
        return counted

    @contextlib.contextmanager
    def _start(self, machine: Machine, side: Side, *, counting: bool = False) -> Iterator[_Test]:
        options = (SMALL if self.test == "test_small" else MEDIUM)[side]
        started = _Test(machine, self.test, KERNEL if self.kernel and side == "ours" else options, counting=counting)
        try:
            yield started
        finally:
            started.close()


class _Test:
    """A test in a pytest process of its own, which makes blocks of calls when told to."""

    def __init__(self, machine: Machine, test: str, options: tuple[str, ...], *, counting: bool) -> None:
        work = machine.directory("calls")
        shutil.copy(Path(__file__).with_name("blocks.py"), work / "test_blocks.py")
        command = machine.pytest(*options, f"test_blocks.py::{test}")
        self._vgdb = work / "vgdb"
        self._counts = work / "counts"
        if counting:
            command = [
                *(valgrind(), "-q", "--tool=callgrind", "--instr-atstart=no", f"--vgdb-prefix={self._vgdb}"),
                *(f"--callgrind-out-file={self._counts}", *command),
            ]
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        self._said = tempfile.TemporaryFile("w+")  # closed with the process
        self._command = command
        self._process = subprocess.Popen(
            command,
            cwd=work,
            env=machine.environment() | {"ORDERS": str(orders), "ANSWERS": str(answers)},
            pass_fds=(orders, answers),
            stdout=self._said,
            stderr=subprocess.STDOUT,
        )
        os.close(orders)
        os.close(answers)
        self._write = os.fdopen(self._orders, "w", encoding="utf-8")
        self._read = os.fdopen(self._answers, encoding="utf-8")

    def run(self, block: str, blocks: int, times: int, address: Address) -> list[float]:
        """Return how many microseconds a call took, by block.

        Raises:
            UnmeasuredError: The test ended.
        """
        try:
            print(json.dumps([block, blocks, times, address]), file=self._write, flush=True)
            answer = self._read.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self._process.wait(60)
            self._said.seek(0)
            raise UnmeasuredError(f"{self._command} ended:\n{self._said.read()[-3000:]}")
        return [taken / 1000 / max(times, 1) for taken in json.loads(answer)]

    def count(self, block: str, times: int, address: Address) -> float:
        """Return how many thousands of instructions a call takes."""
        self.run(block, 1, times, address)
        self._ask("instrumentation", "on")
        self.run(block, 2, times, address)
        few, many = (self._collected(block, calls, address) for calls in (times, 3 * times))
        self._ask("instrumentation", "off")
        return (many - few) / (2 * times) / 1000

    def _collected(self, block: str, times: int, address: Address) -> int:
        self._ask("zero")
        self.run(block, 1, times, address)
        self._ask("dump")
        newest = max(self._counts.parent.glob("counts.*"), key=lambda file: int(file.suffix[1:]))
        found = re.search(r"^summary: (\d+)", newest.read_text(encoding="utf-8"), re.MULTILINE)
        assert found is not None
        return int(found[1])

    def _ask(self, *words: str) -> None:
        subprocess.run(
            ["vgdb", f"--vgdb-prefix={self._vgdb}", f"--pid={self._process.pid}", *words],
            check=True,
            capture_output=True,
        )

    def close(self) -> None:
        """Let the test end, and wait for its process."""
        self._write.close()
        self._read.close()
        self._process.wait(60)
        self._said.close()


@contextlib.contextmanager
def _server(program: str) -> Iterator[Address]:
    """Run a server in a process of its own; give its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        yield "127.0.0.1", int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()
