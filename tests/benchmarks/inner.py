"""Inner pytest runs: their environment, their commands, and what they take in time, memory and instructions."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.benchmarks.table import Side

TOP: Final = Path(__file__).resolve().parents[2]
PINNED: Final = ("pytest==9.2.0", "wrapt==2.5.2", "pytest-socket==0.8.1")
PLUGIN: Final = "pytest_test_categories.pytest_plugin"
STRICT: Final = ("-p", PLUGIN, "--test-categories-enforcement=strict")
OFF: Final = ("-p", PLUGIN, "--test-categories-enforcement=off")
KERNEL: Final = (*STRICT, "--network-kernel-guard=require")
INI: Final = "[pytest]\nmarkers =\n  small: no network\n  medium: this machine only\n  large: every network\n"

# What each side of a comparison loads. pytest-socket permits what a medium test may; a small test may nothing.
MEDIUM: Final[dict[Side, tuple[str, ...]]] = {
    "bare": (),
    "socket": ("-p", "pytest_socket", "--allow-hosts=127.0.0.1,::1"),
    "ours": STRICT,
}
SMALL: Final[dict[Side, tuple[str, ...]]] = {
    "bare": (),
    "fixture": ("-p", "empty_fixture"),
    "socket": ("-p", "pytest_socket", "--disable-socket"),
    "ours": STRICT,
}

_EMPTY_FIXTURE: Final = """\
import pytest


@pytest.fixture(autouse=True)
def empty():
    yield
"""


class UnmeasuredError(Exception):
    """A row can't be measured here."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process took.

    Args:
        seconds: Processor time, of user and system.
        peak: The most memory that was resident, in KiB.
    """

    seconds: float
    peak: int


class Machine:
    """A directory to work in, the Python that inner runs use, and the state of the plugin that they load.

    Args:
        work: An empty directory.
        python: An executable whose environment has what ``PINNED`` names; ``None`` to make one.
        source: The directory that ``pytest_test_categories`` is imported from.
        quick: Whether fewer samples of smaller suites do.
    """

    def __init__(self, work: Path, python: str | None, source: Path, *, quick: bool) -> None:
        self.work = work
        self.source = source
        self.quick = quick
        (work / "empty_fixture.py").write_text(_EMPTY_FIXTURE, encoding="utf-8")
        self.python = python or _make_environment(work / "environment")
        self._warm: set[tuple[object, ...]] = set()

    def say(self, text: str) -> None:
        """Tell how far the measurement is."""
        print(f"  {text}", file=sys.stderr, flush=True)

    def directory(self, name: str) -> Path:
        """Return a new directory with the markers registered."""
        made = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.work))
        (made / "pytest.ini").write_text(INI, encoding="utf-8")
        return made

    def pytest(self, *options: str) -> list[str]:
        """Return the command of an inner run."""
        return [self.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]

    def environment(self) -> dict[str, str]:
        """Return an environment in which runs differ only by what their commands say, and .pyc files are kept apart."""
        dropped = ("PYTEST_", "PYTHON", "TEST_CATEGORIES_", "COVERAGE_", "COV_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        return kept | {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": f"{self.source}{os.pathsep}{self.work}",
            "PYTHONPYCACHEPREFIX": str(self.work / "pycache"),
        }

    def usage(self, command: list[str], directory: Path) -> Usage:
        """Run a command, and return what it took.

        Raises:
            UnmeasuredError: The command failed.
        """
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command, cwd=directory, env=self.environment(), stdout=output, stderr=subprocess.STDOUT
            )
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                output.seek(0)
                raise UnmeasuredError(f"{command} failed:\n{output.read().decode(errors='replace')[-2000:]}")
        return Usage(used.ru_utime + used.ru_stime, used.ru_maxrss)

    def warm(self, command: list[str], directory: Path) -> None:
        """Run a command once, so that its .pyc files exist."""
        if (key := (*command, directory)) not in self._warm:
            self.usage(command, directory)
            self._warm.add(key)

    def instructions(self, command: list[str], directory: Path) -> int:
        """Return how many instructions a command takes, by callgrind.

        Raises:
            UnmeasuredError: valgrind is missing, or the command fails under it.
        """
        self.warm(command, directory)
        done = subprocess.run(
            [valgrind(), "--tool=callgrind", "--callgrind-out-file=/dev/null", *command],
            check=False,
            capture_output=True,
            cwd=directory,
            env=self.environment(),
            text=True,
        )
        collected = re.search(r"Collected : (\d+)", done.stderr)
        if done.returncode != 0 or collected is None:
            raise UnmeasuredError(f"{command} failed under valgrind:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return int(collected[1])


def valgrind() -> str:
    """Return where valgrind is.

    Raises:
        UnmeasuredError: It is not installed.
    """
    found = shutil.which("valgrind")
    if found is None:
        raise UnmeasuredError("valgrind is not installed: instructions can't be counted")
    return found


def _make_environment(directory: Path) -> str:
    """Make an environment with pytest, wrapt and the peers only; return its Python."""
    venv.create(directory, with_pip=True)
    python = str(directory / "bin" / "python")
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PINNED], check=True, stdout=sys.stderr
    )
    return python
