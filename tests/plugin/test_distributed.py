"""Runs whose tests are on other machines, or in parts: gateways of pytest-xdist, pytest-split, pytest-shard.

The other machine is this one: an SSH server, execnet's socket server, or a worker in another directory.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Final

import pytest
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., pytest.RunResult]
    Summary = Callable[[pytest.RunResult], list[str]]

VERSION: Final = metadata.version("pytest-test-categories")
SSHD: Final = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
TESTS: Final = """
import contextlib
import socket

def connect(host):
    with contextlib.suppress(OSError):
        socket.create_connection((host, 9)).close()

def test_new(): connect("198.51.100.1")

def test_known(): connect("127.0.0.2")

def test_nothing(): pass
"""
LOCAL: Final = """
import socket

def test_local():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
"""
INI: Final = """
[pytest]
test_categories_default_size = small
test_categories_path_sizes = tests/local = medium
test_categories_network_baseline = known.json
"""
KNOWN: Final = {"version": 1, "violations": [["tests/test_net.py::test_known", "connect", "127.0.0.2:9"]]}


def is_listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def serving(command: list[str], port: int, **environment: str) -> Iterator[None]:
    """Run a server until the end of the block; what it starts has no variable but these."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            assert until(lambda: is_listening(port)), command
            yield
        finally:
            server.terminate()


@contextlib.contextmanager
def by_ssh(directory: Path, port: int) -> Iterator[str]:
    if SSHD is None or shutil.which("ssh-keygen") is None:
        pytest.skip("openssh-server and openssh-client are needed")
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)  # sshd insists on it
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)], check=True)
    server, client = directory / "sshd_config", directory / "ssh_config"
    server.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nAuthorizedKeysFile {directory}/user.pub\n"
        f"StrictModes no\nPasswordAuthentication no\nPidFile none\n"
    )
    client.write_text(
        f"Host remote\n HostName 127.0.0.1\n Port {port}\n IdentityFile {directory}/user\n LogLevel ERROR\n"
        f" UserKnownHostsFile {directory}/known\n StrictHostKeyChecking no\n"
    )
    with serving([SSHD, "-D", "-f", str(server)], port):
        yield f"ssh=-F {client} remote"


@contextlib.contextmanager
def by_socket(_directory: Path, port: int) -> Iterator[str]:
    with serving([sys.executable, "-m", "execnet.script.socketserver", f"127.0.0.1:{port}"], port):
        yield f"socket=127.0.0.1:{port}"


@contextlib.contextmanager
def in_another_directory(_directory: Path, _port: int) -> Iterator[str]:
    yield "popen"


@pytest.fixture(
    params=[
        pytest.param(by_ssh, id="ssh"),
        pytest.param(by_socket, id="socket"),
        pytest.param(in_another_directory, id="popen"),
    ]
)
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return what ``--tx`` takes for a worker in a directory of its own, in the Python of this process."""
    place = tmp_path / "remote"
    place.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with request.param(tmp_path, port) as spec:
        python = "" if spec.startswith("socket") else f"//python={sys.executable}"
        yield f"{spec}{python}//chdir={place}"


@pytest.fixture
def project(pytester: pytest.Pytester) -> list[str]:
    """Make a project, and return the arguments with which workers get its tests, but not its ini file."""
    pytester.makefile(".ini", pytest=INI)
    (pytester.path / "known.json").write_text(json.dumps(KNOWN))
    (pytester.path / "tests" / "local").mkdir(parents=True)
    (pytester.path / "tests" / "test_net.py").write_text(TESTS)
    (pytester.path / "tests" / "local" / "test_local.py").write_text(LOCAL)
    tests = str(pytester.path / "tests")
    return ["--disable-plugin-autoload", "--dist=load", f"--rsyncdir={tests}", tests]


def test_a_worker_elsewhere_holds_tests_to_the_settings_of_the_run(
    pytester: pytest.Pytester,
    run_pytest: Run,
    monkeypatch: pytest.MonkeyPatch,
    gateway: str,
    project: list[str],
    summary: Summary,
) -> None:
    """The mode is in the environment here, sizes and baseline in an ini file here; the worker has none of them."""
    monkeypatch.setenv("TEST_CATEGORIES_ENFORCEMENT", "strict")
    result = run_pytest(f"--tx={gateway}", "--network-report=report.json", *project, mode=None, plugins=("xdist",))
    counts = result.parseoutcomes()
    assert (counts["passed"], counts["failed"]) == (3, 1), result.stdout.str()
    assert summary(result) == [
        "network violations: 1 in 1 test",
        "  tests/test_net.py::test_new [small]",
        "    198.51.100.1:9 at tests/test_net.py:7 in connect",
        "      to fix: a fake of connect, or @pytest.mark.large",
        "sizes: 3 small, 1 medium",
    ]
    assert "network baseline: 1 known violation warned" in result.outlines
    report = json.loads((pytester.path / "report.json").read_text("utf-8"))
    assert {test["id"]: test["size"] for test in report["tests"]} == {
        "tests/local/test_local.py::test_local": "medium",
        **{f"tests/test_net.py::test_{name}": "small" for name in ("known", "new", "nothing")},
    }
    verdicts = {
        (access["test"].rpartition("::")[2], access["location"], access["verdict"]) for access in report["accesses"]
    }
    assert {one for one in verdicts if one[0] != "test_local"} == {
        ("test_new", "tests/test_net.py:7", "refused"),
        ("test_known", "tests/test_net.py:7", "known"),
    }
    assert {one[2] for one in verdicts if one[0] == "test_local"} == {"permitted"}


def test_a_worker_elsewhere_has_the_size_of_the_bazel_target(
    run_pytest: Run, monkeypatch: pytest.MonkeyPatch, gateway: str, project: list[str]
) -> None:
    monkeypatch.setenv("BAZEL_TEST", "1")
    monkeypatch.setenv("TEST_SIZE", "large")
    result = run_pytest(f"--tx={gateway}", "--network-explain", *project[-1:], plugins=("xdist",))  # in this process
    result.stdout.fnmatch_lines(["  size: large, from TEST_SIZE of the Bazel target"])
    result = run_pytest(f"--tx={gateway}", "--test-categories-enforcement=warn", *project, plugins=("xdist",))
    result.stdout.fnmatch_lines(["sizes: 1 medium, 3 large"])


def test_off_here_is_off_there(
    run_pytest: Run, monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester, gateway: str, project: list[str]
) -> None:
    (pytester.path / "tests" / "pytest.ini").write_text("[pytest]\ntest_categories_enforcement = strict\n")
    monkeypatch.setenv("TEST_CATEGORIES_ENFORCEMENT", "off")
    (pytester.path / "tests" / "test_net.py").write_text(LOCAL)
    result = run_pytest(f"--tx={gateway}", *project, mode=None, plugins=("xdist",))
    assert result.parseoutcomes()["passed"] == 2


@pytest.mark.parametrize("version", ["", "1.0"], ids=["no version", "another version"])
@pytest.mark.parametrize("gateway", [by_ssh], indirect=True, ids=["ssh"])
def test_a_worker_without_the_plugin_ends_the_run_with_one_line(
    run_pytest: Run, tmp_path: Path, gateway: str, project: list[str], version: str
) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    has = "does not have it"
    if version:
        [packages] = bare.glob("lib/python*/site-packages")
        (packages / "pytest_test_categories").mkdir()
        (packages / "pytest_test_categories" / "__init__.py").touch()
        (packages / "pytest_test_categories-1.0.dist-info").mkdir()
        described = f"Metadata-Version: 2.1\nName: pytest-test-categories\nVersion: {version}\n"
        (packages / "pytest_test_categories-1.0.dist-info" / "METADATA").write_text(described)
        has = f"has pytest-test-categories 1.0, and this run {VERSION}"
    gateway = gateway.replace(f"python={sys.executable}", f"python={bare}/bin/python")
    result = run_pytest(f"--tx={gateway}", *project, plugins=("xdist",))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    [line] = [line for line in result.errlines if line.startswith("ERROR")]
    assert line == (
        "ERROR: pytest-test-categories is needed in the Python of each worker, "
        f"and {bare}/bin/python of --tx {gateway} {has}"
    )


def test_a_worker_that_did_not_load_the_plugin_fails_the_run(
    pytester: pytest.Pytester, run_pytest: Run, summary: Summary
) -> None:
    """Such as one whose conftest unregisters it."""
    pytester.makeconftest(
        """
        import pytest

        @pytest.hookimpl(trylast=True)
        def pytest_configure(config):
            if hasattr(config, "workerinput"):
                config.pluginmanager.unregister(name="test-categories-summary")
        """
    )
    pytester.makepyfile("def test_it(): pass")
    result = run_pytest(workers=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "unguarded: gw0 (execmodel=main_thread_only//popen) ran its tests without this plugin" in summary(result)


@pytest.mark.parametrize(
    ("plugin", "options"),
    [
        pytest.param("pytest_split.plugin", ("--splits=2", "--group={}"), id="pytest-split"),
        pytest.param("pytest_shard.pytest_shard", ("--num-shards=2", "--shard-id={}"), id="pytest-shard"),
    ],
)
def test_parts_of_a_run_add_up_to_the_whole(
    pytester: pytest.Pytester, run_pytest: Run, workers: int, plugin: str, options: tuple[str, ...]
) -> None:
    """A session fixture is held to the size that its smallest user has, in whichever part that is."""
    pytest.importorskip(plugin.partition(".")[0])
    pytester.makepyfile(
        test_parts="""
        import contextlib, socket
        import pytest

        @pytest.fixture(scope="session")
        def server():
            with socket.create_server(("127.0.0.1", 0)) as server: yield server

        @pytest.mark.small
        @pytest.mark.parametrize("number", range(4))
        def test_small(number):
            with contextlib.suppress(OSError): socket.create_connection(("198.51.100.1", 9))

        @pytest.mark.medium
        @pytest.mark.parametrize("number", range(4))
        def test_medium(number, server): pass

        @pytest.mark.small
        def test_uses(server): pass
        """
    )

    def read(*arguments: str) -> tuple[dict[str, str], set[tuple[str, str]], dict[str, object]]:
        result = run_pytest("--network-report=report.json", *arguments, workers=workers, plugins=(plugin,))
        assert result.ret == pytest.ExitCode.TESTS_FAILED, result.stdout.str()
        report = json.loads((pytester.path / "report.json").read_text("utf-8"))
        refused = {
            (one["fixture"] or one["test"], one["target"]) for one in report["accesses"] if one["verdict"] == "refused"
        }
        return {test["id"]: test["outcome"] for test in report["tests"]}, refused, report

    whole, refused, report = read()
    assert report["complete"]
    assert ("server (session)", "127.0.0.1:0") in refused
    first = 1 if "split" in plugin else 0
    parts = [read(*(option.format(first + part) for option in options)) for part in range(2)]
    assert set(parts[0][0]).isdisjoint(parts[1][0])
    assert {**parts[0][0], **parts[1][0]} == whole
    assert parts[0][1] | parts[1][1] == refused
    for tests, _, part in parts:
        assert not part["complete"]
        assert part["why_incomplete"] == [f"{9 - len(tests)} tests were deselected"]
