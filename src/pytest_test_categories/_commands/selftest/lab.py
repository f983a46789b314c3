"""The lab: a process of its own that goes each way without a guard and under each set of layers.

It is started with the word ``private`` for a private network, or ``loopback``, and writes what it found as JSON.
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
import tempfile
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pytest_test_categories._commands.selftest import network, ways
from pytest_test_categories._commands.selftest.far import FarSide
from pytest_test_categories._commands.selftest.ways import WAYS

if TYPE_CHECKING:
    from pytest_test_categories._commands.selftest.ways import Target

SIZES: Final = ("small", "medium")
SETUPS: Final = ("python", "kernel")
_LIMIT: Final = 60.0
"""How many seconds a trial may take."""
_USAGE_ERROR: Final = 4
_OF_PYTEST: Final = ("PYTEST_", "TEST_CATEGORIES_ENFORCEMENT", "TEST_CATEGORIES_NETWORK_", "PYTHONSAFEPATH")
_OF_PROXIES: Final = ("_proxy", "_PROXY")
_KERNEL_TESTS: Final = """\
import json
import pytest
import ways

with open("order.json") as file:
    TARGETS = json.load(file)


@pytest.mark.parametrize("way", TARGETS["small"])
@pytest.mark.small
def test_small(way):
    ways.WAYS[way].go(ways.Target(*TARGETS["small"][way]))


@pytest.mark.parametrize("way", TARGETS["medium"])
@pytest.mark.medium
def test_medium(way):
    ways.WAYS[way].go(ways.Target(*TARGETS["medium"][way]))
"""


class Trial(NamedTuple):
    """One way, gone once.

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


def examine(chosen: list[str], *, private: bool) -> dict[str, Any]:
    """Go each way without a guard, and with each set of layers.

    Args:
        chosen: The ids of the ways.
        private: Whether in a private network; else against loopback, without what would leave this machine there.

    Returns:
        ``unavailable``, why there is no kernel layer, empty if there is one; and ``trials``, a list of setup, size and
        way, whether it arrived, and whether a violation is on record, None if the way was not gone.

    Raises:
        OSError: This machine does not permit a private network.
    """
    with tempfile.TemporaryDirectory(prefix="selftest-") as folder:
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
            unavailable, reported = _try_all([trial for trial in trials if trial.label in far.targets], far, folder)
        finally:
            far.close()
        found = [(*trial, trial.label in far.seen, reported.get(trial)) for trial in trials]
        return {"unavailable": unavailable, "trials": found}


def _may_be_tried(kind: str, size: str, *, private: bool) -> bool:
    if kind == "unix" or not private:  # a medium test may reach what is on this machine
        return size != "medium" and (private or kind not in {"name", "group"})  # those would leave it
    return True


def _try_all(trials: list[Trial], far: FarSide, folder: str) -> tuple[str, dict[Trial, bool]]:
    """Run all trials, a process for each setup and size; return the kernel layer's reason, and what is on record."""

    def targets(setup: str, size: str) -> dict[str, Target]:
        return {trial.way: far.targets[trial.label] for trial in trials if trial[:2] == (setup, size)}

    started = []
    try:
        for setup, size in (("none", "none"), *(("python", size) for size in SIZES)):
            process, results = _start_trial(os.path.join(folder, f"{setup}-{size}"), size, targets(setup, size))
            started.append((setup, size, process, results))
        unavailable, reported = _kernel_trial(
            os.path.join(folder, "kernel"), {size: targets("kernel", size) for size in SIZES}
        )
        for setup, size, process, results in started:
            reported |= {Trial(setup, size, way): on_record for way, on_record in _wait_for_trial(process, results)}
    finally:
        for _, _, process, _ in started:
            _end(process)
    return unavailable, reported


def _prepare(folder: str) -> dict[str, str]:
    """Make the directory of a trial; return its environment."""
    os.mkdir(folder)
    shutil.copy(ways.__file__, os.path.join(folder, "ways.py"))
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OF_PYTEST) and not name.endswith(_OF_PROXIES)
    }


def _start_trial(folder: str, size: str, targets: dict[str, Target]) -> tuple[subprocess.Popen[bytes], str]:
    environment = _prepare(folder)
    order, results = os.path.join(folder, "order.json"), os.path.join(folder, "results")
    with open(order, "w", encoding="utf-8") as file:
        json.dump({"size": "" if size == "none" else size, "targets": targets, "results": results}, file)
    return _start([sys.executable, "ways.py", order], folder, environment), results


def _start(command: list[str], folder: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with open(os.path.join(folder, "output"), "wb") as output:
        return subprocess.Popen(  # noqa: S603 - this Python
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_for_trial(process: subprocess.Popen[bytes], results: str) -> list[tuple[str, bool]]:
    """Return which ways a trial has gone, each with whether the guard has refused anything."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_LIMIT)
    with contextlib.suppress(FileNotFoundError), open(results, encoding="utf-8") as file:
        return [tuple(json.loads(line)) for line in file]
    return []


def _kernel_trial(folder: str, targets: dict[str, dict[str, Target]]) -> tuple[str, dict[Trial, bool]]:
    """Go the ways in tests of a pytest run under the kernel layer.

    Returns:
        Why there is no kernel layer, empty if there is one; and whether the test of each trial has a violation.
    """
    if find_spec("pytest") is None:
        return "pytest is not installed", {}
    environment = _prepare(folder) | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for name, text in (
        ("test_ways.py", _KERNEL_TESTS),
        ("order.json", json.dumps(targets)),
        ("pytest.ini", "[pytest]\n"),
    ):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    command = [
        *(sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider"),
        *("-p", "pytest_test_categories.pytest_plugin", "--test-categories-enforcement=strict"),
        *("--network-kernel-guard=require", "--network-report=report.json"),
    ]
    process = _start(command, folder, environment)
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LIMIT)
    finally:
        _end(process)
    if process.returncode == _USAGE_ERROR:
        with open(os.path.join(folder, "output"), encoding="utf-8", errors="replace") as file:
            return [line.strip() for line in file if line.strip()][-1].removeprefix("ERROR: "), {}
    with contextlib.suppress(FileNotFoundError), open(os.path.join(folder, "report.json"), encoding="utf-8") as file:
        return "", _reported(json.load(file))
    return "", {}


def _reported(report: dict[str, Any]) -> dict[Trial, bool]:
    """Return which ways the tests of a report have gone, each with whether a violation is on record."""
    refused = {access["test"] for access in report["accesses"] if access["verdict"] == "refused"}
    found = {}
    for test in report["tests"]:
        name = re.fullmatch(r"test_ways\.py::test_(\w+)\[(.+)\]", test["id"])
        if name is not None:
            found[Trial("kernel", name[1], name[2])] = test["id"] in refused
    return found


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a trial, and what it has started, if it goes on."""
    if process.poll() is None:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()


def main(network_kind: str, *chosen: str) -> None:
    """Examine, and write the findings, or the reason why there are none, to stdout."""
    try:
        found = examine(list(chosen), private=network_kind == "private")
    except OSError as error:
        found = {"error": error.strerror or str(error)}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
