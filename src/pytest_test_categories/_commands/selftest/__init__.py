"""``selftest``: what is stopped on this machine, found out by trying.

Each way out is tried without a guard, which proves that it leads out, and then at the sizes small and medium. That
happens in a private network where this machine permits one, else against loopback. In both nothing leaves the machine.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from pytest_test_categories._commands import CommandError
from pytest_test_categories._commands.selftest.findings import Findings, cells
from pytest_test_categories._commands.selftest.ways import WAYS

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"ways to try, all without any: {', '.join(WAYS)}")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")


def run(arguments: argparse.Namespace) -> int:
    """Try the ways, and print what came of them.

    Returns:
        1 if there is a gap, a way that should be stopped and is not, or if nothing could be tried; else 0.

    Raises:
        CommandError: There is no such way, or the ways could not be tried.
    """
    if unknown := [way for way in arguments.ways if way not in WAYS]:
        raise CommandError(f"no such way: {unknown[0]}; choose from {', '.join(WAYS)}")
    chosen = [way for way in WAYS if not arguments.ways or way in arguments.ways]
    examined, loopback = _examine("private", chosen), ""
    if "error" in examined:
        loopback = examined["error"]
        examined = _examine("loopback", chosen)
    if "error" in examined:
        raise CommandError(f"the ways could not be tried: {examined['error']}")
    system = f"Python {platform.python_version()}, {platform.system()} {platform.release()} ({platform.machine()})"
    findings = Findings(system, loopback, examined["unavailable"], examined["broken"], list(cells(chosen, examined)))
    if arguments.json:
        print(json.dumps(findings.to_dict(), indent=2))
    else:
        print("\n".join(findings.lines()))
    return 1 if findings.gaps or not findings.tries else 0


def _examine(network: str, chosen: list[str]) -> dict[str, Any]:
    """Return what the lab, a process of its own, has found; ``error`` if it could not work."""
    if network == "private" and sys.platform != "linux":
        return {"error": f"it needs Linux, and this is {sys.platform}"}
    with tempfile.TemporaryDirectory(prefix="selftest-", ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-m", "pytest_test_categories._commands.selftest.lab", network, folder, *chosen]
        done = subprocess.run(  # noqa: S603 - this Python
            command, check=False, capture_output=True, stdin=subprocess.DEVNULL, text=True
        )
    if done.returncode:
        return {"error": (done.stderr.strip() or f"the lab ended with status {done.returncode}").splitlines()[-1]}
    found: dict[str, Any] = json.loads(done.stdout)
    return found
