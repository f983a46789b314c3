"""The lab: a process of its own that tries each way without a guard and under each set of layers.

Its arguments are ``private``, for a private network, or ``loopback``; an empty directory; and the ids of the ways. It
writes what it found as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pytest_test_categories._commands.selftest import network, ways
from pytest_test_categories._commands.selftest.far import FarSide
from pytest_test_categories._commands.selftest.findings import SETUPS, SIZES
from pytest_test_categories._commands.selftest.ways import WAYS

if TYPE_CHECKING:
    from pytest_test_categories._commands.selftest.ways import Target

_LIMIT: Final = 60.0
"""How many seconds a trial may take."""
_USAGE_ERROR: Final = 4
_OF_PYTEST: Final = ("PYTEST_", "TEST_CATEGORIES_ENFORCEMENT", "TEST_CATEGORIES_NETWORK_", "PYTHONSAFEPATH")
_OF_PROXIES: Final = ("_proxy", "_PROXY")
_PYTEST: Final = (
    *("-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider"),
    *("-p", "pytest_test_categories.pytest_plugin", "--test-categories-enforcement=strict"),
    *("--network-kernel-guard=require", "--network-report=report.json"),
)
_KERNEL_TESTS: Final = """\
import json
import pytest
import ways

with open("order.json") as file:
    TARGETS = json.load(file)


@pytest.mark.parametrize("way", TARGETS["small"])
@pytest.mark.small
def test_small(way):
    ways.WAYS[way].attempt(ways.Target(*TARGETS["small"][way]))


@pytest.mark.parametrize("way", TARGETS["medium"])
@pytest.mark.medium
def test_medium(way):
    ways.WAYS[way].attempt(ways.Target(*TARGETS["medium"][way]))
"""


class Trial(NamedTuple):
    """One try of one way.

    Attributes:
        setup: ``none`` for no guard, ``python`` for the layers of ``network_guard``, ``kernel`` for those and the
            kernel layer.
        size: The size that it is held to.
        way: The way's id.
    """

    setup: str
    size: str
    way: str

    @property
    def label(self) -> str:
        """A text that no other trial has, fit for a host name."""
        return "-".join(self)


def examine(chosen: list[str], folder: str, *, private: bool) -> dict[str, Any]:
    """Try each way without a guard, and with each set of layers.

    Args:
        chosen: The ids of the ways.
        folder: An empty directory.
        private: Whether in a private network; else against loopback, without what would leave this machine there.

    Returns:
        ``unavailable``, why there is no kernel layer, empty if there is one; ``broken``, the last words of processes
        that did not try all their ways; and ``trials``, a list of setup, size and way, whether it arrived, and whether
        a violation is on record, None if the way was not tried.

    Raises:
        OSError: This machine does not permit a private network.
    """
    if private:
        network.enter(folder)
    trials = [
        Trial(setup, size, key)
        for setup, size in (("none", "none"), *((setup, size) for setup in SETUPS for size in SIZES))
        for key in chosen
        if not WAYS[key].missing() and _may_be_tried(WAYS[key].kind, size, private=private)
    ]
    far = FarSide({trial.label: WAYS[trial.way].kind for trial in trials}, folder, private=private)
    far.open()
    try:
        unavailable, broken, reported = _try_all(far.targets, trials, folder)
    finally:
        far.close()
    arrived = [
        (*trial, trial.label in far.seen, reported.get(trial, None if trial.label in far.targets else False))
        for trial in trials
    ]
    return {"unavailable": unavailable, "broken": broken, "trials": arrived}


def _may_be_tried(kind: str, size: str, *, private: bool) -> bool:
    if kind == "unix" or not private:  # a medium test may reach what is on this machine
        return size != "medium" and (private or kind not in {"name", "group"})  # those would leave it
    return True


def _try_all(
    found: dict[str, Target], trials: list[Trial], folder: str
) -> tuple[str, dict[str, str], dict[Trial, bool]]:
    """Run all trials at the same time.

    Returns:
        Why there is no kernel layer, which processes broke, and what is on record of each trial.
    """

    def targets(setup: str, size: str) -> dict[str, Target]:
        return {t.way: found[t.label] for t in trials if t[:2] == (setup, size) and t.label in found}

    with contextlib.ExitStack() as ending:

        def start(name: str, order: object, *words: str, **files: str) -> _Process:
            texts = {"order.json": json.dumps(order)} | files
            process = _Process(os.path.join(folder, name), texts, [sys.executable, *words])
            ending.callback(process.end)
            return process

        guarded = {
            (setup, size): start(f"{setup}-{size}", {"size": under, "targets": targets(setup, size)}, "ways.py")
            for setup, size, under in (("none", "none", ""), *(("python", size, size) for size in SIZES))
        }
        order = {size: targets("kernel", size) for size in SIZES}
        kernel = start("kernel", order, *_PYTEST, **{"test_ways.py": _KERNEL_TESTS, "pytest.ini": "[pytest]\n"})
        reported: dict[Trial, bool] = {}
        broken = {}
        for (setup, size), process in guarded.items():
            status = process.wait()
            lines = process.read("results").splitlines()
            reported |= {Trial(setup, size, way): on_record for way, on_record in map(json.loads, lines)}
            if status != 0:
                broken[f"{setup}-{size}"] = process.last_word()
        if find_spec("pytest") is None:
            return "pytest is not installed", broken, reported
        if kernel.wait() == _USAGE_ERROR:
            return kernel.last_word().rpartition(", but ")[2], broken, reported
        if report := kernel.read("report.json"):
            reported |= _reported(json.loads(report))
        else:
            broken["kernel"] = kernel.last_word()
    return "", broken, reported


class _Process:
    """A process of the lab, in a directory of its own with the file of the ways."""

    def __init__(self, folder: str, files: dict[str, str], command: list[str]) -> None:
        self._folder = folder
        os.mkdir(folder)
        shutil.copy(ways.__file__, os.path.join(folder, "ways.py"))
        for name, text in files.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_OF_PYTEST) and not name.endswith(_OF_PROXIES)
        } | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        if path := environment.get("PYTHONPATH"):  # it may be relative to the directory of the user
            environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, path.split(os.pathsep)))
        with open(os.path.join(folder, "output"), "wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - this Python
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> int | None:
        """Return the exit status; None if it has not ended in time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(_LIMIT)
        return None

    def read(self, name: str) -> str:
        """Return the text of a file that it has written; empty if there is none."""
        with (
            contextlib.suppress(FileNotFoundError),
            open(os.path.join(self._folder, name), encoding="utf-8", errors="replace") as file,
        ):
            return file.read()
        return ""

    def last_word(self) -> str:
        """Return the last line that it has written."""
        lines = [line.strip() for line in self.read("output").splitlines() if line.strip()]
        return lines[-1] if lines else "it ended without a word"

    def end(self) -> None:
        """End it, and what it has started, if it still runs."""
        if self._process.poll() is None:
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()


def _reported(report: dict[str, Any]) -> dict[Trial, bool]:
    """Return which ways the tests of a report have tried, each with whether a violation is on record."""
    refused = {access["test"] for access in report["accesses"] if access["verdict"] == "refused"}
    found = {}
    for test in report["tests"]:
        name = re.fullmatch(r"test_ways\.py::test_(\w+)\[(.+)\]", test["id"])
        if name is not None:
            found[Trial("kernel", name[1], name[2])] = test["id"] in refused
    return found


def main(network_kind: str, folder: str, *chosen: str) -> None:
    """Examine, and write the findings, or the reason why there are none, to stdout."""
    try:
        found = examine(list(chosen), folder, private=network_kind == "private")
    except OSError as error:
        found = {"error": ": ".join(str(part) for part in (error.filename, error.strerror) if part)}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
