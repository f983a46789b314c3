"""What the plugin costs the collection of 10,000 tests: ``python -m tests.benchmarks.collection``.

Each test uses 5 of 100 module and session fixtures, so that the plugin has a size to work out for each of those.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.benchmarks.figures import INI, STRICT, Figure, count_instructions, environment, pytest_command, report

MODULES: Final = 100
FIXTURES: Final = 100
USED: Final = 5
SIZES: Final = ("small", "medium", "large")
LIMIT: Final = 1.03


def write_suite(directory: Path, count: int) -> None:
    """Write a project of tests that use fixtures of broad scopes."""
    (directory / "pytest.ini").write_text(INI, encoding="utf-8")
    fixtures = "".join(
        f'\n\n@pytest.fixture(scope="{"session" if number % 2 else "module"}")\ndef f{number}():\n    return {number}\n'
        for number in range(FIXTURES)
    )
    (directory / "conftest.py").write_text(f"import pytest\n{fixtures}", encoding="utf-8")
    for module in range(MODULES):
        tests = ""
        for number in range(count // MODULES):
            first = module * 7 + number * USED
            used = ", ".join(f"f{(first + step) % FIXTURES}" for step in range(USED))
            tests += f"\n\ndef test_{number}({used}):\n    pass\n"
        mark = f"pytestmark = pytest.mark.{SIZES[module % len(SIZES)]}\n"
        (directory / f"test_m{module}.py").write_text(f"import pytest\n\n{mark}{tests}", encoding="utf-8")


def seconds(command: list[str], directory: Path, work: Path) -> float:
    """Return the processor time of a run: other programs on the machine count least in it."""
    before = os.times()
    subprocess.run(command, check=True, cwd=directory, env=environment(work), stdout=subprocess.DEVNULL)
    after = os.times()
    return (after.children_user + after.children_system) - (before.children_user + before.children_system)


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=11, help="timed runs of each side (%(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        suite = work / "suite"
        suite.mkdir()
        write_suite(suite, arguments.tests)
        sides = (pytest_command("--collect-only", *STRICT), pytest_command("--collect-only"))
        taken: tuple[list[float], list[float]] = ([], [])
        for side in (0, 1):
            seconds(sides[side], suite, work)  # writes the bytecode
        for number in range(arguments.rounds):
            for side in (0, 1) if number % 2 else (1, 0):
                taken[side].append(seconds(sides[side], suite, work))
        with ThreadPoolExecutor(2) as pool:
            counted = list(pool.map(lambda command: count_instructions(command, suite, work) / 1e6, sides))
    with_plugin, without = (statistics.median(times) for times in taken)
    what = f"collecting {arguments.tests:,} tests with fixtures"
    return report(
        [
            Figure(f"{what}, median processor time", with_plugin, without, LIMIT, "s"),
            Figure(f"{what}, instructions", counted[0], counted[1], LIMIT, "M instr."),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
