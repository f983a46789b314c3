"""The way of one refusal through the code.

A small test in strict mode dials by ``sock.connect`` and swallows the refusal. From that call to the writing of the
summary's line every call of a function of the project's is noted by cProfile. The counts repeat exactly.
"""

from __future__ import annotations

import json
import subprocess
from typing import Final

from tests.benchmarks.inner import STRICT, Machine, UnmeasuredError
from tests.benchmarks.table import Figure

_CONFTEST: Final = """
import cProfile
import json
import sys

import pytest

profile = cProfile.Profile(builtins=False)
order = []


@pytest.hookimpl(tryfirst=True)
def pytest_terminal_summary(terminalreporter):
    def write_line(line, **markup):
        if "198.51.100.1:9" in line:
            profile.disable()
        write(line, **markup)

    write, terminalreporter.write_line = terminalreporter.write_line, write_line


def pytest_unconfigure():
    rows = []
    for entry in profile.getstats():
        code = entry.code
        if not isinstance(code, str) and "pytest_test_categories" in code.co_filename:
            rows.append([code.co_filename, code.co_firstlineno, code.co_qualname, entry.callcount])
    with open("walk.json", "w") as file:
        json.dump(rows, file)
"""

_TEST: Final = """
import socket

import pytest

from conftest import profile

pytestmark = pytest.mark.small


def dial():
    sock = socket.socket()
    try:
        sock.connect(("198.51.100.1", 9))
    except Exception:
        pass


def test_dials_and_swallows():
    profile.enable()
    dial()
"""


def walk(machine: Machine) -> list[tuple[str, int, str, int]]:
    """Return the functions of the project's that were called: file, first line, qualified name, calls.

    Raises:
        UnmeasuredError: The run did not end as it should: with one test that passes and a violation in the summary.
    """
    work = machine.directory("walk")
    (work / "conftest.py").write_text(_CONFTEST, encoding="utf-8")
    (work / "test_walk.py").write_text(_TEST, encoding="utf-8")
    done = subprocess.run(
        machine.pytest(*STRICT, "test_walk.py"),
        cwd=work,
        env=machine.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 1 or "198.51.100.1:9" not in done.stdout:
        raise UnmeasuredError(f"the run did not go as expected:\n{done.stdout}\n{done.stderr}")
    rows = json.loads((work / "walk.json").read_text(encoding="utf-8"))
    return [
        (str(file).rpartition("pytest_test_categories/")[2], int(line), str(name), int(calls))
        for file, line, name, calls in rows
    ]


def calls(machine: Machine) -> Figure:
    """Count the calls; name each function."""
    rows = walk(machine)
    notes = "".join(f"\n{times:>5}  {file}:{line} {name}" for file, line, name, times in sorted(rows))
    return Figure({"ours": sum(times for *_, times in rows)}, notes=notes)


def files(machine: Machine) -> Figure:
    """Count the files; name each with its calls."""
    found: dict[str, int] = {}
    for file, _line, _name, times in walk(machine):
        found[file] = found.get(file, 0) + times
    notes = "".join(f"\n{times:>5}  {file}" for file, times in sorted(found.items(), key=lambda item: -item[1]))
    return Figure({"ours": len(found)}, notes=notes)
