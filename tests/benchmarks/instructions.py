"""What the plugin costs a test and a run, in instructions: ``python -m tests.benchmarks.instructions``.

The cost of a test is the slope between runs of few and of many empty tests, the cost of the start-up is the intercept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks.figures import (
    INI,
    PLUGIN,
    STRICT,
    Figure,
    count_instructions,
    environment,
    pytest_command,
    report,
)

MODULE: Final = 100
"""How many tests stand in one file."""

EMPTY_FIXTURE: Final = """\
import pytest


@pytest.fixture(autouse=True)
def empty():
    yield
"""

PROBE: Final = """\
import json
import sys


def pytest_unconfigure():
    print(json.dumps([name for name in ("wrapt", "asyncio") if name in sys.modules]))
"""

OFF: Final = ("-p", PLUGIN, "--test-categories-enforcement=off")


@dataclass(frozen=True, slots=True)
class Variant:
    """A way of running empty tests."""

    size: str
    options: tuple[str, ...] = ()


VARIANTS: Final = {
    "bare": Variant("small"),
    "bare, unmarked": Variant(""),
    "empty fixture": Variant("small", ("-p", "empty_fixture")),
    "strict, small": Variant("small", STRICT),
    "strict, large": Variant("large", STRICT),
    "strict, unsized": Variant("", STRICT),
    "off": Variant("small", OFF),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Instructions for each test, and for all that is done once."""

    test: float
    start: float


def write_suite(work: Path, size: str, count: int) -> Path:
    """Write a project of empty tests; return its directory."""
    directory = work / f"{size or 'unmarked'}-{count}"
    directory.mkdir()
    (directory / "pytest.ini").write_text(INI, encoding="utf-8")
    mark = f"pytestmark = pytest.mark.{size}\n" if size else ""
    tests = "".join(f"\n\ndef test_{number}():\n    pass\n" for number in range(MODULE))
    for number in range(count // MODULE):
        (directory / f"test_m{number}.py").write_text(f"import pytest\n\n{mark}{tests}", encoding="utf-8")
    return directory


def measure(work: Path, few: int, many: int) -> dict[str, Cost]:
    """Count the instructions of every variant, two runs at a time."""
    counts = (few, many)
    suites = {(size, count): write_suite(work, size, count) for size in ("small", "large", "") for count in counts}
    wanted = [(name, count) for name in VARIANTS for count in counts]

    def run(job: tuple[str, int]) -> int:
        name, count = job
        variant = VARIANTS[name]
        suite = suites[variant.size, count]
        command = pytest_command(*variant.options)
        # A run that doesn't count writes the bytecode.
        subprocess.run(command, check=True, cwd=suite, env=environment(work), stdout=subprocess.DEVNULL)
        counted = count_instructions(command, suite, work)
        print(f"  {name}: {count} tests took {counted:,} instructions", file=sys.stderr, flush=True)
        return counted

    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(wanted, pool.map(run, wanted), strict=True))
    costs = {}
    for name in VARIANTS:
        slope = (found[name, many] - found[name, few]) / (many - few)
        costs[name] = Cost(slope, found[name, few] - slope * few)
    return costs


def imported_in_off_mode(work: Path) -> list[str]:
    """Return which of the expensive modules are there at the end of a run in off mode, and not of a bare one."""
    suite = write_suite(work, "small", MODULE * 2)
    there = []
    for options in ((), OFF):
        done = subprocess.run(
            pytest_command("-p", "probe", *options),
            check=True,
            capture_output=True,
            cwd=suite,
            env=environment(work),
            text=True,
        )
        there.append(set(json.loads(done.stdout.splitlines()[-1])))
    return sorted(there[1] - there[0])


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", nargs=2, type=int, default=(300, 1300), metavar=("FEW", "MANY"))
    few, many = parser.parse_args().tests
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "empty_fixture.py").write_text(EMPTY_FIXTURE, encoding="utf-8")
        (work / "probe.py").write_text(PROBE, encoding="utf-8")
        imported = imported_in_off_mode(work)
        costs = measure(work, few, many)
    bare, unmarked = costs["bare"], costs["bare, unmarked"]
    fixture = (costs["empty fixture"].test - bare.test) / 1e3
    small, large = costs["strict, small"], costs["strict, large"]
    print(f"a bare test: {bare.test / 1e3:,.1f} k instructions; bare start-up: {bare.start / 1e6:,.1f} M")
    return report(
        [
            Figure(
                "small test in strict mode, over bare",
                (small.test - bare.test) / 1e3,
                fixture,
                1.7,
                "k instr.",
            ),
            Figure(
                "large test in strict mode, over bare",
                (large.test - bare.test) / 1e3,
                fixture,
                1.5,
                "k instr.",
            ),
            Figure(
                "unsized test in strict mode, over bare",
                (costs["strict, unsized"].test - unmarked.test) / 1e3,
                fixture,
                1.5,
                "k instr.",
            ),
            Figure("test in off mode, over bare", costs["off"].test - bare.test, None, 3000, "instr."),
            Figure(
                "start-up in off mode, over bare",
                (costs["off"].start - bare.start) / 1e6,
                None,
                25,
                "M instr.",
            ),
            Figure(
                "start-up in strict mode, over bare",
                (small.start - bare.start) / 1e6,
                None,
                200,
                "M instr.",
            ),
            Figure(
                f"wrapt, asyncio imported in off mode ({', '.join(imported) or 'none'})",
                len(imported),
                None,
                0,
                "modules",
            ),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
