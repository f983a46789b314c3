"""Under pytest-xdist each worker is watched by the one supervisor; a run inside a run stays under what is around it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.kernel.conftest import FOREIGN, left_over
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kernel.conftest import Outcome

pytestmark = pytest.mark.usefixtures("kernel")

TESTS = f"""
import subprocess
import pytest

def fetch(port):
    return subprocess.run(["curl", "-sS", "-m", "1", f"http://{FOREIGN}:{{port}}/"]).returncode

@pytest.mark.parametrize("number", range(6))
@pytest.mark.small
def test_small(number):
    fetch(1000 + number)

@pytest.mark.parametrize("number", range(6))
@pytest.mark.medium
def test_medium(number):
    fetch(2000 + number)

@pytest.mark.parametrize("number", range(4))
@pytest.mark.large
def test_large(number):
    assert fetch(3000 + number) == 28
"""


def test_workers_are_watched_each_by_its_own_tests_size(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_sizes=TESTS)
    outcome = run("-n", "2", plugins=("xdist",))
    assert outcome.counts == {"failed": 12, "passed": 4}, outcome.text
    assert outcome.packets >= 4  # a SYN may be sent again
    assert "network layers: Python, kernel" in outcome.text
    assert "network violations: 12 in 12 tests" in outcome.text
    assert f"  Attempted network connection to {FOREIGN}:1003" in outcome.text
    assert f"in curl -sS -m 1 http://{FOREIGN}:2003/ (pid " in outcome.text


def test_a_worker_that_dies_is_replaced(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_crash=f"""
        import os, subprocess, pytest

        def test_crash():
            os._exit(3)

        @pytest.mark.parametrize("number", range(4))
        @pytest.mark.small
        def test_after(number):
            subprocess.run(["curl", "-sS", "-m", "1", "http://{FOREIGN}/"])
        """
    )
    outcome = run("-n", "1", plugins=("xdist",))
    assert outcome.packets == 0
    assert outcome.counts == {"failed": 5}, outcome.text


def test_without_distribution_the_run_itself_is_watched(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_sizes=TESTS)
    outcome = run("-n", "0", "-k", "small", plugins=("xdist",))
    assert outcome.counts == {"failed": 6}
    assert outcome.packets == 0


def test_late_violations_come_from_workers_too(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_late=f"""
        import subprocess, time, pytest

        @pytest.mark.small
        def test_leaves_a_process():
            subprocess.Popen(["sh", "-c", "sleep 0.5; exec curl -sS -m 1 http://{FOREIGN}/"], start_new_session=True)

        @pytest.mark.medium
        def test_bystander():
            time.sleep(1.5)
        """
    )
    for workers in ((), ("-n", "1")):
        outcome = run(*workers, "-p", "no:randomly", plugins=("xdist",))
        assert outcome.counts == {"passed": 2}, outcome.text
        assert outcome.result.ret == 1
        assert outcome.packets == 0
        assert "network violations that no running test is charged with: 1 (they fail the run)" in outcome.text
        assert "  test_late.py::test_leaves_a_process [small]" in outcome.text


def test_when_the_supervisor_is_killed_the_workers_end(
    command: Callable[..., list[str]], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_long="import time\n\n\ndef test_long():\n    open('running', 'w').close()\n    time.sleep(30)\n"
    )
    call = command("-n", "2", "test_long.py", "--basetemp=marked-run", plugins=("xdist",))
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 20
    while not Path("running").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None
    process.kill()
    text, _ = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGKILL
    assert "the kernel layer's supervisor is gone; the run ends here" in text
    assert left_over("marked-run") == []


def test_a_run_inside_a_run_stays_under_it(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makeconftest("pytest_plugins = ['pytester']")
    pytester.makepyfile(
        test_outer=f"""
        import pytest
        from pytest_test_categories import expect_network_violation

        INNER = '''
        import subprocess, pytest

        @pytest.mark.%s
        def test_inner():
            assert subprocess.run(["curl", "-sS", "-m", "1", "http://{FOREIGN}/"]).returncode == %d
        '''
        ARGS = ["-p", "pytest_test_categories.pytest_plugin", "--test-categories-enforcement=strict"]

        @pytest.mark.parametrize("inside", [True, False])
        @pytest.mark.parametrize("guard", ["require", "auto"])
        @pytest.mark.large
        def test_passes(pytester, inside, guard):
            pytester.makepyfile(INNER % ("large", 28))
            run = pytester.runpytest_inprocess if inside else pytester.runpytest_subprocess
            result = run(*ARGS, "--network-kernel-guard=" + guard)
            result.assert_outcomes(passed=1)
            result.stdout.fnmatch_lines(["*network layers: Python, kernel*"])

        @pytest.mark.large
        def test_judges_by_itself(pytester):
            pytester.makepyfile(INNER % ("small", 7))
            result = pytester.runpytest_inprocess(*ARGS, "--network-kernel-guard=require")
            result.assert_outcomes(failed=1)
            result.stdout.fnmatch_lines(["*in curl * (pid *"])

        @pytest.mark.parametrize("inside", [True, False])
        @pytest.mark.small
        def test_is_held_to_the_outer_size(pytester, inside):
            pytester.makepyfile(INNER % ("large", 7))
            run = pytester.runpytest_inprocess if inside else pytester.runpytest_subprocess
            with expect_network_violation():
                result = run(*ARGS, "--network-kernel-guard=auto")
        """
    )
    outcome = run("-v", timeout=100)
    assert outcome.counts == {"passed": 7}, outcome.text
    assert outcome.packets >= 4  # a SYN may be sent again


def test_a_process_in_a_user_namespace_is_watched(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    if subprocess.run(["unshare", "--user", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody make a user namespace")
    pytester.makepyfile(
        f"""
        import subprocess, pytest

        @pytest.mark.small
        def test_namespace():
            done = subprocess.run(["unshare", "--user", "curl", "-sS", "-m", "1", "http://{FOREIGN}/"])
            assert done.returncode == 7
        """
    )
    outcome = run()
    assert outcome.counts == {"failed": 1}
    assert outcome.packets == 0
    assert f"  Attempted network connection to {FOREIGN}:80" in outcome.text


def test_a_run_in_a_user_namespace_without_capabilities(
    command: Callable[..., list[str]], pytester: pytest.Pytester
) -> None:
    # Nobody there is root, who would have capabilities: what is started has none. Bounds, too, only root could set.
    prefix = ["unshare", "--user", "--net", "setpriv", "--inh-caps=-all", "--no-new-privs"]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody make a user namespace")
    pytester.makepyfile(
        f"""
        import subprocess, pytest

        @pytest.mark.small
        def test_curl():
            assert "CapEff:\\t0000000000000000" in open("/proc/self/status").read()
            subprocess.run(["curl", "-sS", "-m", "1", "http://{FOREIGN}/"])
        """
    )
    done = subprocess.run([*prefix, *command()], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"  Attempted network connection to {FOREIGN}:80" in done.stdout
    assert "in curl -sS" in done.stdout


def test_a_process_that_may_not_be_read_is_refused(
    run: Callable[..., Outcome], pytester: pytest.Pytester, unprivileged: tuple[str, ...]
) -> None:
    pytester.makepyfile(
        f"""
        import ctypes, os, socket, struct, pytest

        @pytest.mark.medium
        def test_unreadable():
            address = struct.pack("=H", 2) + struct.pack(">H", 80) + socket.inet_aton("{FOREIGN}") + bytes(8)
            assert ctypes.CDLL(None).prctl(4, 0) == 0  # PR_SET_DUMPABLE
            libc = ctypes.CDLL(None)
            libc.connect(libc.socket(2, 1 | 0o4000, 0), address, 16)
        """
    )
    outcome = run(prefix=unprivileged)
    assert outcome.counts == {"failed": 1}, outcome.text
    assert outcome.packets == 0
    assert "Attempted network connection to an address that may not be read" in outcome.text


def test_sixteen_workers_are_watched(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_sizes=TESTS.replace("range(6)", "range(40)"))
    outcome = run("-n", "16", "--network-report=report.json", plugins=("xdist",))
    assert outcome.counts == {"failed": 80, "passed": 4}, outcome.text
    assert "network violations: 80 in 80 tests" in outcome.text
    report = json.loads((pytester.path / "report.json").read_text("utf-8"))
    assert "kernel" in report["layers"]
    refused = {(access["test"], access["target"]) for access in report["accesses"] if access["verdict"] == "refused"}
    assert refused == {
        (f"test_sizes.py::test_{size}[{number}]", f"{FOREIGN}:{base + number}")
        for size, base in (("small", 1000), ("medium", 2000))
        for number in range(40)
    }


def is_listening(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def elsewhere(pytester: pytest.Pytester) -> Iterator[str]:
    """Return what ``--tx`` takes for a worker that is no descendant of the run."""
    (pytester.path / "remote").mkdir()
    (pytester.path / "tests").mkdir()
    (pytester.path / "tests" / "test_it.py").write_text("def test_it(): pass\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = [sys.executable, "-m", "execnet.script.socketserver", f"127.0.0.1:{port}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with subprocess.Popen(server, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            assert until(lambda: is_listening(port))
            yield f"socket=127.0.0.1:{port}//chdir={pytester.path / 'remote'}"
        finally:
            process.terminate()


def test_a_worker_on_another_machine_has_no_layer_and_the_run_says_so(
    command: Callable[..., list[str]], pytester: pytest.Pytester, elsewhere: str
) -> None:
    tests = str(pytester.path / "tests")
    arguments = ("--dist=load", "--disable-plugin-autoload", f"--rsyncdir={tests}", tests, "--network-report=r.json")
    for specs, what in (
        ((elsewhere,), "no kernel layer: another process"),
        ((elsewhere, "popen"), "no kernel layer in some workers: another process"),
    ):
        given = [f"--tx={spec}" for spec in specs]
        result = pytester.run(*command(*given, *arguments, guard="auto", plugins=("xdist",)))
        assert result.ret == 0
        assert f"test categories: {what} than this one starts the workers of --tx {elsewhere}" in result.outlines
        assert "kernel" not in json.loads((pytester.path / "r.json").read_text("utf-8"))["layers"]
        result = pytester.run(*command(*given, *arguments, guard="require", plugins=("xdist",)))
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert result.errlines[0] == (
            "ERROR: the kernel layer is required (--network-kernel-guard=require), "
            f"but another process than this one starts the workers of --tx {elsewhere}"
        )
