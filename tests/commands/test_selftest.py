"""The selftest: its table on this machine, what it says of a layer that is broken, and what it does without namespaces."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

import pytest_test_categories
from pytest_test_categories._commands import main
from pytest_test_categories._commands.selftest import findings, lab
from pytest_test_categories._commands.selftest.findings import Findings, cells
from pytest_test_categories._commands.selftest.ways import LIMITS, WAYS

COMMAND: Final = (sys.executable, "-m", "pytest_test_categories", "selftest")
PACKAGE: Final = Path(pytest_test_categories.__file__).parent
MIXED: Final = ("connect", "internal", "sendto", "python", "fork", "ctypes-connect", "python-isolated")
"""Ways of each layer that need no private network."""


def selftest(*arguments: str, before: tuple[str, ...] = (), path: Path | None = None) -> tuple[int, dict[str, Any]]:
    """Run the command; return its status and what it prints as JSON."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    command = [*before, *COMMAND, *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def outcomes(printed: dict[str, Any], setup: str) -> dict[str, dict[str, str]]:
    return {way["id"]: way["outcomes"][setup] for way in printed["ways"]}


@pytest.fixture(scope="session")
def _why_not_private(tmp_path_factory: pytest.TempPathFactory) -> str:
    code = f"from pytest_test_categories._commands.selftest import network; network.enter({str(tmp_path_factory.mktemp('n'))!r})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return found.stderr.strip()[-200:]


@pytest.fixture
def private(_why_not_private: str) -> None:
    """Skip where no private network is permitted."""
    if _why_not_private:
        pytest.skip(f"no private network here: {_why_not_private}")


@pytest.mark.usefixtures("private")
def test_each_way_is_stopped_by_the_layers_that_claim_it() -> None:
    status, printed = selftest()
    assert (status, printed["gaps"]) == (0, [])
    assert printed["network"] == "private"
    python = outcomes(printed, "python")
    assert set(python) == set(WAYS)
    for key, way in WAYS.items():
        if way.missing():
            assert set(python[key].values()) == {"not available"}
            continue
        wanted = "not stopped" if way.limit else "stopped"
        assert python[key] == {"small": wanted, "medium": "permitted" if key == "unix" else wanted}, key
    kernel = {outcome for sizes in outcomes(printed, "kernel").values() for outcome in sizes.values()}
    if printed["kernel_layer"]:
        assert kernel <= {"stopped", "permitted", "not available"}
    else:
        assert printed["why_no_kernel_layer"]
        assert kernel <= {"not available"}


def test_the_table_says_what_the_json_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selftest", "connect", "python-isolated"]) == 0
    text = capsys.readouterr().out
    rows = {line.split("  ")[1]: line.split()[1:] for line in text.splitlines() if line.startswith("  ")}
    assert "stopped" in rows["socket.connect"]
    assert "not stopped" in next(line for line in text.splitlines() if line.startswith("  python -I"))
    assert "known limitation: python -I\n  programs that do not load the plugin" in text
    assert LIMITS["programs"][1] in text
    assert text.endswith("gaps: 0\n")


@pytest.mark.parametrize(
    ("file", "whole", "broken", "setup", "ways"),
    [
        pytest.param(
            "_watch/audit.py",
            'if event != "builtins.id" and event in EVENTS:',
            "if False:",
            "python",
            {"internal"},
            id="audit hook",
        ),
        pytest.param(
            "_processes/child/sitecustomize.py",
            "pytest_test_categories_child.begin()",
            "pass",
            "python",
            {"python"},
            id="child processes",
        ),
        pytest.param(
            "_kernel/supervisor.py",
            "refusing = self._refusing(watched, question.word, attempt)",
            "refusing = []",
            "kernel",
            {"ctypes-connect", "python-isolated"},
            id="kernel layer",
        ),
        pytest.param(
            "pytest_plugin/__init__.py",
            "from __future__ import annotations",
            "raise SystemExit(2)",
            "kernel",
            set(MIXED),
            id="plugin",
        ),
    ],
)
def test_a_broken_layer_is_a_gap(
    tmp_path: Path, file: str, whole: str, broken: str, setup: str, ways: set[str]
) -> None:
    copy = tmp_path / PACKAGE.name
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    source = (copy / file).read_text(encoding="utf-8")
    assert source.count(whole) == 1
    (copy / file).write_text(source.replace(whole, broken), encoding="utf-8")
    status, printed = selftest(*MIXED, path=tmp_path)
    if setup == "kernel" and not printed["kernel_layer"]:
        pytest.skip(f"no kernel layer here: {printed['why_no_kernel_layer']}")
    assert status == 1
    assert {gap["way"] for gap in printed["gaps"]} == ways
    why = "not run" if file.startswith("pytest_plugin") else "not stopped"
    assert {(gap["layers"], gap["why"]) for gap in printed["gaps"]} == {(setup, why)}
    assert set(printed["broken"]) == ({"kernel"} if why == "not run" else set())


@pytest.mark.usefixtures("private")
def test_without_namespaces_loopback_is_the_target() -> None:
    no_more = ("unshare", "--user", "--map-root-user", "sh", "-c")
    limit = 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"'
    tried = subprocess.run([*no_more, limit, "sh", "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"this machine permits no limit of namespaces: {tried.stderr}")
    status, printed = selftest(before=(*no_more, limit, "sh"))
    assert (status, printed["gaps"], printed["network"]) == (0, [], "loopback")
    assert printed["why_loopback"].startswith("unshare: ")
    python = outcomes(printed, "python")
    assert {python[way]["small"] for way in ("connect", "sendto", "unix", "python", "fork")} == {"stopped"}
    assert python["python-isolated"]["small"] == "not stopped"
    assert {python[way]["small"] for way in ("getaddrinfo", "multicast", "internal-name")} == {"not tried"}
    assert {python[way]["medium"] for way in python} <= {"not tried", "permitted", "not available"}


def test_without_the_kernel_layer_its_column_says_so_and_nothing_is_a_gap() -> None:
    few = ("sh", "-c", 'ulimit -n 600 && exec "$@"', "sh")  # the layer needs the descriptor 900
    status, printed = selftest(*MIXED, before=few)
    assert (status, printed["gaps"], printed["kernel_layer"]) == (0, [], False)
    assert printed["why_no_kernel_layer"].startswith("it can't have descriptors")
    assert {outcome for sizes in outcomes(printed, "kernel").values() for outcome in sizes.values()} == {
        "not available"
    }
    assert outcomes(printed, "python")["connect"]["small"] == "stopped"


def test_the_pages_of_the_limitations_have_their_headings() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/what-it-sees.md").read_text(encoding="utf-8")
    headings = [line.lstrip("# ").lower() for line in page.splitlines() if line.startswith("#")]
    anchors = {
        "".join(char for char in heading if char.isalnum() or char == " ").replace(" ", "-") for heading in headings
    }
    assert {address.partition("#")[2] for _, address in LIMITS.values()} <= anchors


def test_a_program_that_is_not_there_is_not_available(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    status, printed = selftest("connect", "curl")
    assert status == 0
    assert outcomes(printed, "python")["curl"] == {"small": "not available", "medium": "not available"}
    assert outcomes(printed, "python")["connect"]["small"] == "stopped"


def test_a_program_that_does_not_work_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "curl"
    broken.write_text("#!/bin/sh\nexit 7\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    status, printed = selftest("connect", "curl")
    assert status == 0
    assert outcomes(printed, "python")["curl"]["small"] == "unproven"


def found(*trials: tuple[str, str, str, bool, bool | None], unavailable: str = "") -> Findings:
    chosen = list(dict.fromkeys(way for _, _, way, _, _ in trials))
    examined = {"unavailable": unavailable, "trials": trials}
    return Findings("a system", "", unavailable, {}, list(cells(chosen, examined)))


def test_without_a_control_nothing_is_stopped() -> None:
    guarded = [(setup, size, "connect", False, True) for setup in findings.SETUPS for size in findings.SIZES]
    unproven = found(("none", "none", "connect", False, False), *guarded)
    assert {cell.outcome for cell in unproven.cells} == {"unproven"}
    assert not unproven.tries
    assert list(unproven.lines())[-1] == "nothing could be tried here: this proves nothing"
    broken = found(("none", "none", "connect", False, None), *guarded)
    assert len(broken.gaps) == 4


def test_what_is_stopped_without_a_report_is_a_gap() -> None:
    control = ("none", "none", "connect", True, False)
    result = found(control, ("python", "small", "connect", False, False), ("python", "medium", "connect", False, None))
    assert [(gap.size, gap.outcome) for gap in result.gaps] == [("small", "not reported"), ("medium", "not run")]
    lines = [line for line in result.lines() if line.startswith("GAP")]
    assert lines == [
        "GAP: small, without the kernel layer: did not lead out, but no violation is on record: socket.connect",
        "GAP: medium, without the kernel layer: not tried, since the process broke or did not end: socket.connect",
    ]


def test_a_limitation_of_the_python_layers_is_a_gap_of_the_kernel_layer() -> None:
    control = ("none", "none", "ctypes-connect", True, False)
    led_out = [(setup, "small", "ctypes-connect", True, False) for setup in findings.SETUPS]
    assert [gap.setup for gap in found(control, *led_out).gaps] == ["kernel"]
    assert found(control, *led_out, unavailable="no Linux").gaps == []


def test_an_unknown_way_is_told_with_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selftest", "telnet"]) == 4
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(
        "python -m pytest_test_categories selftest: no such way: telnet; choose from connect, "
    )


def test_ways_have_labels_that_a_name_server_takes() -> None:
    labels = [lab.Trial(setup, size, way).label for setup in findings.SETUPS for size in findings.SIZES for way in WAYS]
    assert len(set(labels)) == len(labels)
    assert max(map(len, labels)) <= 63
