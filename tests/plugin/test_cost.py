"""What the plugin does for a test that makes no attempt: counted, not timed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STRICT: Final = ("-p", "pytest_test_categories.pytest_plugin", "--test-categories-enforcement=strict")

COUNTING: Final = """\
import collections, json, pytest, sys

EVENTS = collections.Counter()
sys.addaudithook(lambda event, args: EVENTS.update([event]))

def pytest_configure(config):
    config.addinivalue_line("markers", "small: no network")
    config.addinivalue_line("markers", "medium: this machine only")

def pytest_collection():
    EVENTS.clear()

@pytest.fixture(scope="module")
def broad():
    return 1

def pytest_sessionfinish():
    counted = dict(EVENTS)  # before the summary, whose cost does not grow with the tests
    with open("events.json", "w") as file:
        json.dump(counted, file)
"""

MODULES: Final = {
    "module": ("pytestmark = pytest.mark.small", "def test_{n}(): pass"),
    "own": ("", "@pytest.mark.small\ndef test_{n}(): pass"),
    "other": ("pytestmark = pytest.mark.small", "@pytest.mark.usefixtures('broad')\ndef test_{n}(): pass"),
    "method": ("class TestIt:\n    pytestmark = pytest.mark.small", "    def test_{n}(self): pass"),
    "parameters": (
        "ONE = [pytest.param(1, marks=pytest.mark.medium)]",
        "@pytest.mark.parametrize('parameter', ONE)\ndef test_{n}(parameter): pass",
    ),
    "unsized": ("", "def test_{n}(broad): pass"),
}
"""Tests whose sizes come from different places: what stands once in a module, and what stands there for each test."""


def _write_tests(directory: Path, count: int) -> None:
    for name, (once, each) in MODULES.items():
        lines = ["import pytest", once, *(each.replace("{n}", str(number)) for number in range(count)), ""]
        (directory / f"test_{name}.py").write_text("\n".join(lines), encoding="utf-8")


def test_a_test_raises_no_audit_event_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (tmp_path / "conftest.py").write_text(COUNTING, encoding="utf-8")

    def events(count: int, *options: str) -> dict[str, int]:
        _write_tests(tmp_path, count)
        command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--assert=plain", *options]
        done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
        assert f"{count * len(MODULES)} passed" in done.stdout, done.stdout + done.stderr
        found: dict[str, int] = json.loads((tmp_path / "events.json").read_text(encoding="utf-8"))
        return found

    def growth(*options: str) -> dict[str, int]:
        few, many = events(5, *options), events(25, *options)
        return {event: count - few.get(event, 0) for event, count in many.items()}

    bare, guarded = growth(), growth(*STRICT)
    assert {event: count for event, count in guarded.items() if count > bare.get(event, 0)} == {}


EDGES: Final = """\
import json, os, pytest, socket, subprocess, sys

EVENTS = []
sys.addaudithook(lambda event, args: EVENTS.append(event))

def raised(act):
    EVENTS.clear()
    act()
    return list(EVENTS)

def dial():
    with SOCKETS.pop() as sock:
        try:
            sock.connect(("198.51.100.1", 9))
        except Exception:
            pass

SOCKETS = [socket.socket() for _ in range(5)]

@pytest.mark.small
def test_edges(tmp_path):
    left, right = os.pipe()
    file = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    writes = [raised(lambda: os.write(descriptor, b"x")) for descriptor in (right, file, right, file)]
    starts = [raised(lambda: subprocess.run(["true"])) for _ in range(3)]
    refusals = [raised(dial) for _ in range(5)]
    with open("events.json", "w") as out:
        json.dump([writes, starts, refusals], out)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="starts a program of POSIX")
def test_what_costs_most_at_the_edges_is_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = small: no network\n", encoding="utf-8")
    (tmp_path / "test_edges.py").write_text(EDGES, encoding="utf-8")
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--assert=plain", *STRICT]
    subprocess.run([*command, "test_edges.py"], check=False, cwd=tmp_path, capture_output=True, text=True)
    with open("events.json", encoding="utf-8") as file:
        writes, starts, refusals = json.load(file)
    assert writes == [[]] * 4
    how = {"os.posix_spawn", "_posixsubprocess.fork_exec"}  # the second is raised from 3.15 on
    assert {*starts[1], *starts[2]} <= {"subprocess.Popen", "sys._getframe", *how}
    assert len(starts[2]) <= 2 + len(how & {*starts[2]})
    # Most frames of a test's stack are pytest's: reading the code of one is an event.
    assert len(refusals[1]) < len(refusals[0])
    assert len(refusals[1]) == len(refusals[4]) <= 12


WATCHED: Final = """\
import pytest, sys

class Watched(dict):
    def values(self):
        if sys._getframe(1).f_globals["__name__"].startswith("pytest_test_categories"):
            print("all reports were visited")
        return super().values()

@pytest.hookimpl(tryfirst=True)
def pytest_terminal_summary(terminalreporter):
    terminalreporter.stats = Watched(terminalreporter.stats)
"""

CONNECTS: Final = """\
import contextlib, os, pytest, socket

def connect():
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", 9))

def in_a_child():
    if not (child := os.fork()):
        with contextlib.suppress(BaseException):
            connect()
        os._exit(0)
    os.waitpid(child, 0)

@pytest.mark.small
@pytest.mark.parametrize("act", [{act}])
def test_one(act): act()
"""


@pytest.mark.parametrize(
    ("act", "visited"),
    [
        pytest.param("int", False, id="nothing refused"),
        pytest.param("connect", True, id="refused here"),
        pytest.param(
            "in_a_child",
            True,
            id="refused in a fork",
            marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
        ),
    ],
)
def test_the_summary_visits_reports_only_if_one_may_hold_a_violation(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    workers: int,
    act: str,
    visited: bool,
) -> None:
    pytester.makeconftest(WATCHED)
    pytester.makepyfile(CONNECTS.replace("{act}", act))
    result = run_pytest("-s", workers=workers)
    assert ("all reports were visited" in result.outlines) == visited
    listed = any(line.startswith("network violations: 1 in 1 test") for line in result.outlines)
    assert listed == visited
