"""Rule 9 on real libraries: what is legitimate at a size works at it, in one strict run of many tests."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services import PostgresServer, RedisServer

LEGITIMATE: Final = Path(__file__).parent / "legitimate"
LIBRARIES: Final = ("pytest_asyncio", "pytest_httpx", "pytest_mock", "respx", "requests_mock")
PLUGINS: Final = ("asyncio", "pytest_httpx", "pytest_mock", "respx", "requests_mock")

OWN_ADDRESS: Final = "203.0.113.9"
SYSTEM_LOG: Final = "/var/run/log"
NAMESPACE: Final = ("unshare", "--map-root-user", "--mount", "--net")
"""Gives a command a network and mounts of its own, root or not, where the system lets it."""
SETTING: Final = f"""
import os, socket, subprocess, sys

for command in ("ip link set lo up", "ip addr add {OWN_ADDRESS}/32 dev lo", "mount -t tmpfs none /run"):
    subprocess.run(command.split(), check=True)
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind("{SYSTEM_LOG}")
log.settimeout(5)
os.environ.update(OWN_ADDRESS="{OWN_ADDRESS}", SYSTEM_LOG="{SYSTEM_LOG}")
status = subprocess.call(sys.argv[1:])
if sys.argv[1] == sys.executable:
    print("logged:", log.recv(999))
sys.exit(status)
"""
"""Runs a command where this machine has an address that is not loopback's, and a log that another process reads."""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, require: Callable[..., None]) -> Path:
    """Return a copy of the legitimate tests, in the current directory."""
    require(*LIBRARIES)
    shutil.copytree(LEGITIMATE, pytester.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("OWN_ADDRESS", "SYSTEM_LOG"):
        monkeypatch.delenv(name, raising=False)
    return pytester.path


def _skips_are_told(result: pytest.RunResult, lacking: Callable[[str], None]) -> None:
    """Pass on why inner tests were skipped: for want of a library, or of a feature of this platform."""
    if skips := [line for line in result.outlines if line.startswith("SKIPPED [") and "this platform" not in line]:
        lacking("\n".join(skips))


@pytest.mark.usefixtures("project")
def test_what_is_legitimate_works_in_small_tests(
    run_pytest: Callable[..., pytest.RunResult], lacking: Callable[[str], None], workers: int
) -> None:
    result = run_pytest("-m", "small", mode=None, plugins=PLUGINS, workers=workers, timeout=200)
    outcomes = result.parseoutcomes()
    assert outcomes.keys() <= {"passed", "skipped", "deselected", "warnings", "warning"}, result.outlines
    assert result.ret == 0
    _skips_are_told(result, lacking)


@pytest.mark.usefixtures("project")
def test_what_is_legitimate_works_in_medium_tests(
    run_pytest: Callable[..., pytest.RunResult],
    lacking: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    postgres: PostgresServer,
    redis: RedisServer,
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres.dsn)
    monkeypatch.setenv("DATABASE_DIR", postgres.socket_dir)
    monkeypatch.setenv("REDIS_ADDRESS", f"{redis.host}:{redis.port}")
    if own := _own_address():
        monkeypatch.setenv("OWN_ADDRESS", own)
    # The test of the machine's own address that is skipped for want of one has a setting made for it below.
    result = run_pytest("-m", "medium", mode=None, plugins=PLUGINS, workers=2, timeout=200)
    outcomes = result.parseoutcomes()
    assert outcomes.keys() <= {"passed", "skipped", "deselected", "warnings", "warning"}, result.outlines
    assert result.ret == 0
    if outcomes.get("skipped", 0) != (0 if own else 1):
        _skips_are_told(result, lacking)


def _own_address() -> str:
    """Return an address of this machine that is not loopback's; nothing if it has none."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # picks a route and sends nothing
        except OSError:
            return ""
        own: str = probe.getsockname()[0]
        return own if not own.startswith("127.") else ""


@pytest.mark.usefixtures("project")
def test_this_machines_own_address_and_the_systems_log_are_where_tests_expect_them(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = [*NAMESPACE, sys.executable, "-c", SETTING]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*setting, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("this system lets nobody make a network of his own (unshare)")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    plugins = [part for name in ("pytest_test_categories.pytest_plugin", *PLUGINS) for part in ("-p", name)]
    result = pytester.run(
        *setting,
        sys.executable,
        "-m",
        "pytest",
        *plugins,
        "-p",
        "no:cacheprovider",
        "-k",
        "own_address or log",
        timeout=60,
    )
    result.assert_outcomes(passed=2, deselected=result.parseoutcomes()["deselected"])
    result.stdout.fnmatch_lines(["logged: b'*hello*"])
