"""What it costs to combine a hundred recordings of a thousand tests: seconds, memory, bytes a test."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from pytest_test_categories._host.checkout import Shard
from pytest_test_categories._report.findings import Collected
from pytest_test_categories._report.model import Case
from pytest_test_categories._report.recording import Header, Writer, runs_of
from pytest_test_categories._rules.violation import Violation

_MEASURED = (
    "import resource, sys; from pytest_test_categories._commands import main; status = main(sys.argv[1:]);"
    "used = resource.getrusage(resource.RUSAGE_SELF);"
    "print('USED', used.ru_maxrss, used.ru_utime + used.ru_stime, file=sys.stderr); sys.exit(status)"
)


class Cost(NamedTuple):
    """What combining costs.

    Attributes:
        seconds: Of the whole command, as the clock has it.
        processor: Of the whole command, as the processor has it: the figure that other work on the machine leaves alone.
        megabytes: The most memory that it takes.
        bytes_per_test: Of a recording, for a test that reaches for nothing.
        page: Bytes of the HTML page.
    """

    seconds: float
    processor: float
    megabytes: float
    bytes_per_test: float
    page: int


def record(folder: Path, shards: int, tests: int, *, split: bool) -> float:
    """Write recordings; return the bytes of one for each quiet test.

    Args:
        folder: Where to write them.
        shards: How many.
        tests: How many tests each has.
        split: Whether each shard collects all tests, as with pytest-split, or its own, as when cut by path.
    """
    nodes = [
        f"tests/unit/test_module_{n // 40:05}.py::test_that_something_holds_{n % 40}" for n in range(shards * tests)
    ]
    everything = Collected(tuple(nodes), ("small",) * len(nodes), uses=((),) * len(nodes))
    size = 0.0
    for shard in range(1, shards + 1):
        path = folder / f"{shard}.jsonl"
        writer = Writer(path.name, str(path))
        start = (shard - 1) * tests
        own = nodes[start : start + tests]
        writer.begin(Header(shard=Shard(shard, shards)))
        if split:
            flags = [False] * len(nodes)
            flags[start : start + tests] = [True] * tests
            writer.collected(everything, runs_of(flags), [])
        else:
            mine = Collected(tuple(own), ("small",) * tests, uses=((),) * tests)
            writer.collected(mine, runs_of([True] * tests), [])
        for number, node in enumerate(own):
            writer.test(Case(node, "small", node.partition("::")[0], number % 40 * 7 + 3, "passed", 0.0123))
        size = path.stat().st_size / tests
        for node in own[::100]:
            writer.access(Violation(node, "small", "connect", "api.example:443", location="src/shop/api.py:12"))
        writer.end({}, [], [])
    return size


def measure(shards: int = 100, tests: int = 1000, *, split: bool = False) -> Cost:
    """Record and combine, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bytes_per_test = record(folder, shards, tests, split=split)
        files = [f"--network-report={folder / f'report.{suffix}'}" for suffix in ("html", "json", "md", "sarif")]
        command = [sys.executable, "-c", _MEASURED, "combine", name, *files]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
        seconds = time.perf_counter() - began
        peak, processor = done.stderr.rpartition("USED ")[2].split()
        return Cost(
            seconds, float(processor), int(peak) / 1024, bytes_per_test, (folder / "report.html").stat().st_size
        )


if __name__ == "__main__":
    for split in (False, True):
        print("split by a plugin:" if split else "cut by path:", measure(split=split))
