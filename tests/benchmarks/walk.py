"""The way of one refusal through the code: ``python -m tests.benchmarks.walk``.

A small test in strict mode dials by ``sock.connect`` and swallows the refusal. From that call to the writing of the
summary's line every call of a function of the project's is noted by cProfile; the walk is printed by file and line, and
below it how many calls there were, and of how many files. The counts repeat exactly.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.benchmarks.figures import INI, PLUGIN, STRICT, Figure, environment, pytest_command, report

_CALLS: Final = 180
_FILES: Final = 11

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


def walk(work: Path) -> list[tuple[str, int, str, int]]:
    """Return the functions of the project's that were called: file, first line, qualified name, calls.

    Raises:
        SystemExit: The run did not end as it should: with one test that passes and a violation in the summary.
    """
    (work / "pytest.ini").write_text(INI, encoding="utf-8")
    (work / "conftest.py").write_text(_CONFTEST, encoding="utf-8")
    (work / "test_walk.py").write_text(_TEST, encoding="utf-8")
    done = subprocess.run(
        pytest_command(*STRICT, "test_walk.py"),
        cwd=work,
        env=environment(work),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 1 or "198.51.100.1:9" not in done.stdout:
        raise SystemExit(f"the run with {PLUGIN} did not go as expected:\n{done.stdout}\n{done.stderr}")
    rows = json.loads((work / "walk.json").read_text(encoding="utf-8"))
    return [(str(file), int(line), str(name), int(calls)) for file, line, name, calls in rows]


def main() -> int:
    """Print the walk and its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--by-file", action="store_true", help="print how many calls each file takes instead of functions"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        rows = walk(Path(name))
    files: dict[str, int] = {}
    for file, _line, _name, calls in rows:
        short = file.rpartition("pytest_test_categories/")[2]
        files[short] = files.get(short, 0) + calls
    if given.by_file:
        for file, calls in sorted(files.items(), key=lambda item: -item[1]):
            print(f"{calls:>5}  {file}")
    else:
        for file, line, name, calls in sorted(rows):
            print(f"{calls:>5}  {file.rpartition('pytest_test_categories/')[2]}:{line} {name}")
    return report(
        [
            Figure(
                "calls of ours from a swallowed refused connect to the summary",
                sum(files.values()),
                None,
                _CALLS,
                "calls",
            ),
            Figure("files that they are in", len(files), None, _FILES, "files"),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
