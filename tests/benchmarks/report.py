"""What `--network-report` costs a suite of empty tests: ``python -m tests.benchmarks.report``.

Runs with the report and without it take turns. Processor time of the pytest process is compared, since other programs
on the machine change it less than wall-clock time; ``--instructions`` counts instructions, which nothing changes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.benchmarks.figures import INI, STRICT, Figure, count_instructions, environment, pytest_command, report

PER_MODULE: Final = 100
REPORT: Final = "--network-report=report.json"


def write_suite(work: Path, tests: int) -> None:
    """Write that many empty small tests, in modules of a hundred."""
    (work / "pytest.ini").write_text(INI, encoding="utf-8")
    body = "\n\n\n".join(f"def test_{number}():\n    pass" for number in range(PER_MODULE))
    for module in range(tests // PER_MODULE):
        text = f"import pytest\n\npytestmark = pytest.mark.small\n\n\n{body}\n"
        (work / f"test_{module:03}.py").write_text(text, encoding="utf-8")


def processor_seconds(work: Path, *options: str) -> float:
    """Return the processor time of a run."""
    before = os.times()
    subprocess.run(pytest_command(*options), cwd=work, env=environment(work), stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=int, default=10_000, help="of the suite (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="of each side (%(default)s)")
    parser.add_argument("--instructions", action="store_true", help="count instructions instead (needs valgrind)")
    given = parser.parse_args()
    sides = ((*STRICT, REPORT), STRICT)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        write_suite(work, given.tests)
        for options in sides:
            processor_seconds(work, *options)  # writes .pyc files
        if given.instructions:
            on, off = (count_instructions(pytest_command(*options), work, work) / 1e6 for options in sides)
            return report([Figure(f"{given.tests:,} empty small tests, with a report", on, off, 1.03, "M instr")])
        taken: tuple[list[float], list[float]] = ([], [])
        for number in range(given.rounds):
            for side in (0, 1) if number % 2 else (1, 0):
                taken[side].append(processor_seconds(work, *sides[side]))
        on, off = (statistics.median(side) for side in taken)
        return report([Figure(f"{given.tests:,} empty small tests, with a report", on, off, 1.03, "s")])


if __name__ == "__main__":
    sys.exit(main())
