"""What the benchmarks have in common: figures with a limit, inner pytest runs, and instruction counts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PLUGIN: Final = "pytest_test_categories.pytest_plugin"
STRICT: Final = ("-p", PLUGIN, "--test-categories-enforcement=strict")
INI: Final = "[pytest]\nmarkers =\n  small: no network\n  medium: this machine only\n  large: every network\n"


@dataclass(frozen=True, slots=True)
class Figure:
    """A measurement, what it is compared with, and the most that it may be.

    Args:
        what: What was measured.
        measured: With the plugin.
        base: What it is a multiple of; ``None`` if the limit is a value of its own.
        limit: The highest ratio, or the highest value where there is no base.
        unit: What ``measured`` and ``base`` count.
    """

    what: str
    measured: float
    base: float | None
    limit: float
    unit: str

    @property
    def reached(self) -> bool:
        """Whether the limit is kept."""
        return (self.measured if self.base is None else self.measured / self.base) <= self.limit

    def __str__(self) -> str:
        """One row of the table."""
        if self.base is None:
            ratio, limit = "", f"{self.limit:,.0f} {self.unit}"
        else:
            ratio, limit = f"{self.measured / self.base:.3f} x {self.base:,.1f}", f"{self.limit:g} x"
        verdict = "PASS" if self.reached else "FAIL"
        return f"{self.what:<66} {self.measured:>14,.1f} {self.unit:<12} {ratio:>24} {limit:>24}  {verdict}"


def report(figures: Iterable[Figure]) -> int:
    """Print the table; return the exit status, which is 1 if a limit is exceeded."""
    print(f"{'what':<66} {'measured':>14} {'unit':<12} {'ratio':>24} {'reach':>24}")
    status = 0
    for figure in figures:
        print(figure)
        status |= not figure.reached
    return int(status)


def pytest_command(*options: str) -> list[str]:
    """Return the command of an inner run."""
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]


def environment(work: Path) -> dict[str, str]:
    """Return an environment in which two runs differ by what their commands say, and .pyc files are kept in `work`."""
    dropped = ("PYTEST_", "PYTHON", "TEST_CATEGORIES_", "COVERAGE_", "COV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(work),
        "PYTHONPYCACHEPREFIX": str(work / "pycache"),
    }


def count_instructions(command: list[str], directory: Path, work: Path) -> int:
    """Run a command under callgrind; return how many instructions it took. Run it before, so that .pyc files exist.

    Raises:
        SystemExit: valgrind is missing, or the command fails under it.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise SystemExit("valgrind is not installed: instructions can't be counted")
    done = subprocess.run(
        [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", *command],
        check=False,
        capture_output=True,
        cwd=directory,
        env=environment(work),
        text=True,
    )
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or collected is None:
        raise SystemExit(f"{command} failed under valgrind:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return int(collected[1])
