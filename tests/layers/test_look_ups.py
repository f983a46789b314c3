"""Look-ups that send nothing are no network access, and those that send are: a name server on loopback counts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).parent
PREFIX: Final = ("unshare", "--net", "--mount", "--uts")
HOSTS: Final = "127.0.0.1 localhost\n127.0.0.1 mine.example\n::1 six.example\n10.0.0.7 far.example\n"


@pytest.fixture(scope="module")
def namespace() -> tuple[str, ...]:
    """Return the prefix of a command that is to run in a network with files of its own; skip where none can be made."""
    if shutil.which("unshare") is None or not (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc"):
        pytest.skip("unshare and the GNU C library are needed")
    prefix = PREFIX if os.geteuid() == 0 else (*PREFIX, "--map-root-user")
    tried = subprocess.run(
        [*prefix, sys.executable, str(HERE / "name_server.py"), HOSTS, os.devnull], capture_output=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"no network namespace can be made here: {tried.stderr.decode()[-200:]}")
    return prefix


def run(namespace: tuple[str, ...], hosts: str, part: str) -> None:
    """Run a part of ``look_ups.py`` there."""
    command = [*namespace, sys.executable, str(HERE / "name_server.py"), hosts, str(HERE / "look_ups.py"), part]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("part", ["foreign", "arguments", "random"])
def test_rule_7_a_look_up_is_refused_if_and_only_if_the_c_library_sends_it(
    namespace: tuple[str, ...], part: str
) -> None:
    run(namespace, HOSTS, part)


@pytest.mark.parametrize(
    "hosts",
    [
        pytest.param("", id="own-name-in-no-file"),
        pytest.param("127.0.1.1 box7\n", id="own-name-on-loopback"),
        pytest.param("10.0.0.7 box7.example box7\n", id="own-name-at-an-ipv4-address"),
        pytest.param("fd00::5 box7\n", id="own-name-at-an-ipv6-address"),
    ],
)
def test_rule_7_names_of_this_machine_are_answered_here(namespace: tuple[str, ...], hosts: str) -> None:
    run(namespace, HOSTS + hosts, "local")


def test_rule_7_they_are_where_there_is_no_hosts_file(namespace: tuple[str, ...]) -> None:
    run(namespace, "", "local")
