"""What the Linux kernel layer costs: ``python -m tests.benchmarks.kernel``.

Both sides of each figure take turns in one run. Ratios, not times, are what a noisy machine tells.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks.connect import TEST, Runner, compare, server
from tests.benchmarks.figures import INI, STRICT, Figure, environment, pytest_command, report

if TYPE_CHECKING:
    from collections.abc import Iterator

KERNEL: Final = (*STRICT, "--network-kernel-guard=require")
REQUESTS: Final = """

import http.client


def request(address):
    start = perf_counter_ns()
    client = http.client.HTTPConnection(*address)
    client.request("GET", "/")
    client.getresponse().read()
    client.close()
    return perf_counter_ns() - start


kept = []


def keep_alive(address):
    if not kept:
        kept.append(http.client.HTTPConnection(*address))
        request_on(kept[0])
    return request_on(kept[0])


def request_on(client):
    start = perf_counter_ns()
    client.request("GET", "/")
    client.getresponse().read()
    return perf_counter_ns() - start


def child(_address):
    import subprocess

    start = perf_counter_ns()
    subprocess.run(["true"], check=True)
    return perf_counter_ns() - start
"""
SERVER: Final = """
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
EMPTY: Final = "import pytest\n\npytestmark = pytest.mark.small\n\n\n"


@contextlib.contextmanager
def served() -> Iterator[tuple[str, int]]:
    """Run an HTTP server in a process of its own; give its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        yield "127.0.0.1", int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def run_time(work: Path, *options: str) -> float:
    """Return how many milliseconds a run takes."""
    start = time.perf_counter()
    subprocess.run(
        pytest_command(*options), cwd=work, env=environment(work), stdout=subprocess.DEVNULL, check=True, timeout=300
    )
    return 1000 * (time.perf_counter() - start)


def compare_runs(work: Path, file: str, rounds: int) -> tuple[float, float]:
    """Return the medians of runs with the layer and without it, which take turns."""
    sides: tuple[tuple[str, ...], ...] = ((*KERNEL, file), (*STRICT, file))
    for options in sides:
        run_time(work, *options)  # writes .pyc files
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for side in (0, 1) if number % 2 else (1, 0):
            taken[side].append(run_time(work, *sides[side]))
    return statistics.median(taken[0]), statistics.median(taken[1])


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="of 50 calls on each side (%(default)s)")
    parser.add_argument("--runs", type=int, default=21, help="of pytest on each side (%(default)s)")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        server() as accepting,  # an HTTP server's threads would compete with the supervisor for the processors
        served() as address,
        contextlib.ExitStack() as stack,
    ):
        work = Path(name)
        (work / "pytest.ini").write_text(INI, encoding="utf-8")
        (work / "test_connects.py").write_text(TEST.replace("def serve", f"{REQUESTS}\n\ndef serve"), encoding="utf-8")
        (work / "test_one.py").write_text(f"{EMPTY}def test_one():\n    pass\n", encoding="utf-8")
        many = "\n\n\n".join(f"def test_{number}():\n    pass" for number in range(2000))
        (work / "test_many.py").write_text(f"{EMPTY}{many}\n", encoding="utf-8")
        start = compare_runs(work, "test_one.py", given.runs)
        tests = compare_runs(work, "test_many.py", max(3, given.runs // 3))

        def runner(*options: str) -> Runner:
            started = Runner(work, "test_medium", *options)
            stack.callback(started.close)
            for what in ("connect", "request", "keep_alive"):
                started.run(what, 50, address)
            return started

        sides = (runner(*KERNEL), runner())
        calls = {"connect": compare("connect", sides, accepting, given.rounds)}
        for what in ("request", "keep_alive", "child"):
            calls[what] = compare(what, sides, address, given.rounds)
    return report(
        [
            Figure("a run of one test, over strict mode without the layer", *start, 1.06, "ms"),
            Figure("a run of 2,000 empty small tests, same", *tests, 1.05, "ms"),
            Figure("socket.connect on loopback in a medium test, over bare pytest", *calls["connect"], 3.5, "us"),
            Figure("an HTTP request on a new connection, same", *calls["request"], 1.2, "us"),
            Figure("an HTTP request on a connection kept alive, same", *calls["keep_alive"], 1.02, "us"),
            Figure("subprocess.run, same", *calls["child"], 1.2, "us"),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
