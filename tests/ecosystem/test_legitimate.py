"""Rule 9 on real libraries: what is legitimate at a size works at it, in one strict run of many tests."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

LEGITIMATE: Final = Path(__file__).parent / "legitimate"
PLUGINS: Final = ("pytest_asyncio", "pytest_httpx", "pytest_mock", "respx", "requests_mock")
ENTRY_NAMES: Final = {"requests_mock": "requests_mock.contrib._pytest_plugin", "respx": "respx.plugin"}

# A network of its own, with an address that is not loopback's, and a system log that another process listens to.
NAMESPACE: Final = ("unshare", "--map-root-user", "--mount", "--net", sys.executable)
OWN_ADDRESS: Final = "203.0.113.9"
SYSTEM_LOG: Final = "/var/run/log"
SETTING: Final = f"""
import os, socket, subprocess, sys
for command in ("ip link set lo up", "ip addr add {OWN_ADDRESS}/32 dev lo", "mount -t tmpfs none /run"):
    subprocess.run(command.split(), check=True)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind({SYSTEM_LOG!r})
listener.setblocking(False)
status = subprocess.call(sys.argv[1:])
print("logged:", listener.recv(999) if sys.argv[1:] else b"")
sys.exit(status)
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the project of legitimate tests, in the current directory."""
    if missing := [name for name in PLUGINS if find_spec(name) is None]:
        raise unavailable(f"not installed: {', '.join(missing)}")
    shutil.copytree(LEGITIMATE, pytester.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("OWN_ADDRESS", "SYSTEM_LOG"):
        monkeypatch.delenv(name, raising=False)
    return pytester.path
