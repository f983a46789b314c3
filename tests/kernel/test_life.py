"""Nobody notices the supervisor: exit codes, signals, terminals, measurements, daemons, and its own death."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pexpect
import pytest
from tests.kernel.conftest import left_over
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kernel.conftest import Outcome

pytestmark = pytest.mark.usefixtures("kernel")

TESTS: Final = """
import ctypes, os, resource, signal, socket, subprocess, sys, threading, time
import pytest

def test_ok():
    pass

def test_fail():
    assert 0

def test_exit():
    pytest.exit("bye", returncode=42)

def test_os_exit():
    os._exit(7)

def test_segv():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.string_at(0)

def test_sleep(tmp_path):
    print("sleeping", os.getpid(), flush=True)
    time.sleep(30)

def test_pdb():
    x = 41
    breakpoint()
    assert x == 42

def test_group():
    got = []
    signal.signal(signal.SIGUSR1, lambda *_: got.append(1))
    os.killpg(0, signal.SIGUSR1)
    subprocess.run([sys.executable, "-S", "-c", "import os, signal; signal.signal(signal.SIGUSR1, signal.SIG_IGN); os.killpg(0, signal.SIGUSR1)"])
    end = time.monotonic() + 10
    while len(got) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    assert len(got) == 2

def test_no_zombies():
    subprocess.run(["sh", "-c", "sleep 0.1 & sleep 0.1 & exit 0"])
    end = time.monotonic() + 10
    while True:
        with open("/proc/%d/task/%d/children" % (os.getppid(), os.getppid())) as children:
            found = children.read().split()
        if found == [str(os.getpid())] or time.monotonic() > end:
            break
        time.sleep(0.01)
    assert found == [str(os.getpid())]
"""


@pytest.fixture(autouse=True)
def tests_of_life(pytester: pytest.Pytester, environment: None) -> None:
    pytester.makepyfile(test_life=TESTS)


@pytest.fixture
def outcome_of(command: Callable[..., list[str]]) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*args: str, guard: str = "require") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command("-q", "test_life.py", *args, guard=guard), capture_output=True, text=True, check=False, timeout=60
        )

    return run


@pytest.mark.parametrize(
    ("args", "status"),
    [
        pytest.param(("-k", "test_ok"), 0, id="passed"),
        pytest.param(("-k", "test_fail"), 1, id="failed"),
        pytest.param(("-k", "test_fail or test_ok or test_sleep", "-x", "-p", "no:randomly"), 1, id="-x"),
        pytest.param(("-k", "test_exit"), 42, id="pytest.exit"),
        pytest.param(("-k", "test_os_exit"), 7, id="os._exit"),
        pytest.param(("-k", "nothing"), 5, id="nothing collected"),
        pytest.param(("--no-such-option",), 4, id="usage"),
        pytest.param(("-k", "test_segv"), -signal.SIGSEGV, id="SIGSEGV"),
    ],
)
def test_the_exit_status_is_the_runs(
    outcome_of: Callable[..., subprocess.CompletedProcess[str]], args: tuple[str, ...], status: int
) -> None:
    assert outcome_of(*args, guard="off").returncode == status
    assert outcome_of(*args).returncode == status


def test_whoever_ignores_the_end_of_children_is_told_of_this_one(command: Callable[..., list[str]]) -> None:
    line = ["sh", "-c", 'trap "" CHLD; exec "$0" "$@"', *command("-q", "-k", "test_fail or test_ok")]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout


@contextlib.contextmanager
def sleeping(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start a run whose test sleeps; yield its process and the one that the test is in."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := re.search(r"sleeping (\d+)", line):
                yield process, int(found[1])
                break
        else:
            pytest.fail("the test never began")
    finally:
        process.kill()
        process.communicate()


def is_alive(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int, seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_alive(pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("guard", ["off", "require"])
def test_a_signal_to_the_process_that_was_started_reaches_the_test(
    command: Callable[..., list[str]], number: signal.Signals, guard: str
) -> None:
    with sleeping(command("-s", "-k", "test_sleep", guard=guard)) as (process, pid):
        assert (pid == process.pid) is (guard == "off")
        process.send_signal(number)
        text, _ = process.communicate(timeout=10)
        assert gone(pid)
    assert process.returncode == (2 if number == signal.SIGINT else -number)
    assert text.count("! KeyboardInterrupt !") == (1 if number == signal.SIGINT else 0)


def test_a_killed_test_process_ends_the_run(command: Callable[..., list[str]]) -> None:
    with sleeping(command("-s", "-k", "test_sleep")) as (process, pid):
        os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=10)
    assert process.returncode == -signal.SIGKILL


def test_a_killed_supervisor_ends_the_run_and_says_so(command: Callable[..., list[str]]) -> None:
    with sleeping(command("-s", "-k", "test_sleep")) as (process, pid):
        process.kill()
        text, _ = process.communicate(timeout=10)
        assert gone(pid)
    assert "the kernel layer's supervisor is gone; the run ends here" in text


def test_a_killed_supervisor_is_a_failure_of_the_infrastructure_for_bazel(
    command: Callable[..., list[str]], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = pytester.path / "failures"
    monkeypatch.setenv("BAZEL_TEST", "1")
    monkeypatch.setenv("TEST_INFRASTRUCTURE_FAILURE_FILE", str(failures))
    with sleeping(command("-s", "-k", "test_sleep")) as (process, pid):
        assert not failures.exists()
        process.kill()
        process.communicate(timeout=10)
        assert gone(pid)
    assert failures.read_text("utf-8").splitlines() == [
        "pytest-test-categories",
        "the kernel layer's supervisor is gone; the run ends here",
    ]


def test_without_its_supervisor_nothing_connects(
    command: Callable[..., list[str]], pytester: pytest.Pytester, listener: tuple[str, int]
) -> None:
    pytester.makepyfile(
        test_orphan=f"""
        import ctypes, os, signal, socket, subprocess, time
        import pytest

        @pytest.mark.medium
        def test_orphan():
            socket.create_connection({listener!r}, 2).close()
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN + 9])
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(0.2)
            with pytest.raises(OSError, match="not implemented"):
                socket.create_connection({listener!r}, 2)
            child = subprocess.run(["curl", "-sS", "-m", "2", "http://127.0.0.1:{listener[1]}/"], capture_output=True)
            print("curl:", child.returncode, flush=True)
        """
    )
    process = subprocess.run(command("-s", "test_orphan.py"), capture_output=True, text=True, check=False, timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert until(lambda: not left_over("test_orphan.py"))
    assert "curl: 7" in process.stdout or "curl:" not in process.stdout


def test_signals_to_the_group_come_once(command: Callable[..., list[str]]) -> None:
    done = subprocess.run(
        command("-q", "test_life.py", "-k", "test_group"),
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    assert done.returncode == 0, done.stdout


def test_no_zombies_stay(outcome_of: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = outcome_of("-k", "test_no_zombies")
    assert done.returncode == 0, done.stdout


# -- at a terminal -----------------------------------------------------------------------------------------------------


def terminal(command: list[str]) -> pexpect.spawn[str]:
    return pexpect.spawn(command[0], command[1:], timeout=20, encoding="utf-8", env={**os.environ, "TERM": "dumb"})


@pytest.mark.parametrize("guard", ["off", "require"])
def test_control_c(command: Callable[..., list[str]], guard: str) -> None:
    child = terminal(command("-s", "-k", "test_sleep", guard=guard))
    child.expect(r"sleeping \d+")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 2
    assert child.before.count("! KeyboardInterrupt !") == 1


@pytest.mark.parametrize("guard", ["off", "require"])
def test_the_debugger(command: Callable[..., list[str]], guard: str) -> None:
    child = terminal(command("-k", "test_pdb", guard=guard))
    child.expect_exact("(Pdb)")
    child.sendline("p x + 1000")
    child.expect_exact("1041")
    child.expect_exact("(Pdb)")
    time.sleep(0.2)  # the prompt is there a moment before pdb waits at it: an interrupt in between is the test's
    child.sendintr()
    child.expect_exact("(Pdb)")
    child.sendline("x = 42")
    child.sendline("c")
    child.expect(r"1 passed")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 0


def state_of(pid: int) -> str:
    """Return the letter of the state of a process: S if it sleeps, T if it is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("guard", ["off", "require"])
def test_control_z_and_fg(command: Callable[..., list[str]], guard: str) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash here")
    line = " ".join(f"'{part}'" for part in command("-s", "-k", "test_sleep", guard=guard))
    shell = pexpect.spawn(bash, ["--norc", "-i"], timeout=20, encoding="utf-8", env={**os.environ, "PS1": "$ "})
    shell.sendline(line)
    shell.expect(r"sleeping (\d+)")
    pid = int(shell.match[1])
    shell.sendcontrol("z")
    shell.expect("Stopped")
    assert state_of(pid) == "T"
    shell.sendline("fg")
    assert until(lambda: state_of(pid) == "S")
    shell.sendintr()
    shell.expect("! KeyboardInterrupt !")
    shell.sendline("echo status $?")
    shell.expect(r"status \d")
    assert shell.after == "status 2"
    shell.sendline("exit")
    shell.expect(pexpect.EOF)
    shell.close()


def test_a_stopped_test_process_stops_the_run(command: Callable[..., list[str]]) -> None:
    with sleeping(command("-s", "-k", "test_sleep")) as (process, pid):
        os.kill(pid, signal.SIGSTOP)
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        os.kill(process.pid, signal.SIGCONT)
        assert until(lambda: state_of(pid) == "S")


# -- what outlives and what measures -----------------------------------------------------------------------------------

DAEMON: Final = """
import os, socket, sys, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
nothing = os.open("/dev/null", 2)
for standard in range(3):
    os.dup2(nothing, standard)
with open(sys.argv[2], "a", buffering=1) as log:
    for _ in range(40):
        try:
            socket.create_connection(("127.0.0.1", int(sys.argv[1]))).close()
            log.write("ok\\n")
        except OSError as error:
            log.write(f"{error}\\n")
        time.sleep(0.2)
"""


def test_a_daemon_goes_on_when_the_run_has_ended(
    command: Callable[..., list[str]], pytester: pytest.Pytester, listener: tuple[str, int]
) -> None:
    log = pytester.path / "log"
    pytester.makepyfile(
        test_daemon=f"""
        import subprocess, sys, time
        import pytest

        @pytest.mark.large
        def test_daemon():
            subprocess.run([sys.executable, "-S", "-c", {DAEMON!r}, "{listener[1]}", {str(log)!r}], check=True)
            time.sleep(0.5)
        """
    )
    done = subprocess.run(command("test_daemon.py"), capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, done.stdout
    then = len(log.read_text().splitlines())
    assert then < 40  # the run, and those who read its output, did not wait
    assert until(lambda: not left_over("test_daemon.py"))  # nor does the keeper stay when it has gone
    assert log.read_text().splitlines() == ["ok"] * 40


@pytest.mark.parametrize("by", ["coverage", "pytest-cov"])
def test_coverage_is_measured(
    command: Callable[..., list[str]], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    pytest.importorskip("coverage")
    for name in [name for name in os.environ if name.startswith(("COV_", "COVERAGE"))]:
        monkeypatch.delenv(name)
    pytester.makepyfile(shop="def price():\n    return 3\n\n\ndef other():\n    return 4\n")
    pytester.makepyfile(test_shop="from shop import price\n\n\ndef test_price():\n    assert price() == 3\n")
    if by == "coverage":
        python, _, *rest = command("test_shop.py")
        done = subprocess.run(
            [python, "-m", "coverage", "run", "-m", *rest], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        report = [python, "-m", "coverage", "report", "--include=shop.py"]
        text = subprocess.run(report, capture_output=True, text=True, check=True).stdout
    else:
        pytest.importorskip("pytest_cov")
        call = command("test_shop.py", "--cov=shop", plugins=("pytest_cov.plugin",))
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        text = done.stdout
    assert re.search(r"^shop\.py +4 +1 +75%", text, re.MULTILINE), text
    assert [path.name for path in pytester.path.glob(".coverage*")] == [".coverage"]


def test_what_a_program_in_the_place_of_the_tests_is_refused_fails_the_run(
    run: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile("""
        import os, sys
        import pytest

        CODE = "import socket; print(socket.socket().connect_ex(('198.51.100.1', 80)))"

        @pytest.mark.small
        def test_replaced():
            os.execv(sys.executable, [sys.executable, "-S", "-c", CODE])
    """)
    outcome = run("-q", "-s", "-k", "test_replaced")
    assert outcome.packets == 0
    assert outcome.result.ret == 1
    assert "13" in outcome.result.outlines  # EACCES
    assert (
        "network violations that the test run's own process did not live to report:\n    198.51.100.1:80 by "
        in outcome.text
    )


def test_a_program_in_the_place_of_the_tests_ends_as_it_likes(
    run: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile("""
        import os, sys
        import pytest

        @pytest.mark.small
        def test_replaced():
            os.execv(sys.executable, [sys.executable, "-S", "-c", "print('replaced')"])
    """)
    outcome = run("-q", "-s", "-k", "test_replaced")
    assert outcome.result.ret == 0
    assert "replaced" in outcome.text
    assert "violation" not in outcome.text


def test_a_fork_server_that_was_there_before_is_started_anew(
    run: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        early="""
        import multiprocessing.forkserver, os

        if "EARLY" not in os.environ:  # the server imports it too
            os.environ["EARLY"] = "1"
            multiprocessing.forkserver.ensure_running()
        """,
        test_server="""
        import multiprocessing, socket
        import pytest

        def dial():
            raise SystemExit(socket.socket().connect_ex(("198.51.100.1", 80)))

        @pytest.mark.large
        def test_replaced():
            context = multiprocessing.get_context("forkserver")
            process = context.Process(target=len, args=("",))
            process.start()
            process.join()
            assert process.exitcode == 0

        @pytest.mark.medium
        def test_replaced_dials():
            process = multiprocessing.get_context("forkserver").Process(target=dial)
            process.start()
            process.join()
        """,
    )
    outcome = run("-q", "test_server.py", plugins=("early",))
    assert outcome.counts == {"passed": 1, "failed": 1}
    assert "Attempted network connection to 198.51.100.1:80" in outcome.text


DENIED: Final = """
import errno, os, resource
from pytest_test_categories._kernel import parent, probe

def fails(*_args, **_kwargs):
    raise OSError(errno.EPERM, "Operation not permitted")

what = os.environ["DENIED"]
if what == "descriptors":
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
elif what == "signalfd":
    parent.libc.signalfd = lambda *_args: -1
elif what == "fork":
    os.fork = fails
elif what == "proc":
    listdir = os.listdir
    os.listdir = lambda path=".": fails() if str(path).startswith("/proc/") else listdir(path)
elif what == "read":
    probe.os.access = lambda *_args: False
else:
    setattr(os, what, fails)
"""


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "denied", ["descriptors", "memfd_create", "ftruncate", "signalfd", "fork", "pipe", "proc", "read"]
)
def test_what_can_not_be_had_at_the_start_is_one_line_of_the_header(
    command: Callable[..., list[str]],
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    denied: str,
    workers: int,
) -> None:
    if workers and denied in {"memfd_create", "ftruncate", "pipe"}:
        pytest.skip("the controller needs none")
    monkeypatch.setenv("DENIED", denied)
    monkeypatch.syspath_prepend(pytester.path)
    pytester.makepyfile(denied=DENIED)
    args = (("-n", str(workers)) if workers else ()) + ("-k", "test_ok", "test_life.py")
    plugins = ("denied", "xdist") if workers else ("denied",)
    result = pytester.run(*command(*args, guard="auto", plugins=plugins), timeout=60)
    text = result.stdout.str() + result.stderr.str()
    assert result.ret == 0, text
    assert len(re.findall(r"^test categories: no kernel layer: \S.*$", text, re.MULTILINE)) == 1
    assert "Traceback" not in text
    assert left_over(str(pytester.path)) == []
    result = pytester.run(*command(*args, plugins=plugins), timeout=60)
    text = result.stdout.str() + result.stderr.str()
    assert result.ret == 4, text
    assert len(re.findall("the kernel layer is required", text)) == 1
    assert "Traceback" not in text


def test_threads_of_before_make_it_unavailable(command: Callable[..., list[str]], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        early="import threading, time\nthreading.Thread(target=time.sleep, args=(5,), daemon=True).start()"
    )
    call = command("-v", "-k", "test_ok", guard="auto", plugins=("early",))
    environment = {**os.environ, "PYTHONPATH": str(pytester.path)}
    done = subprocess.run(call, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0
    assert "test categories: no kernel layer: 2 threads run already" in done.stdout
    assert "Python child processes; not watched: native clients" in done.stdout
    for workers in ((), ("-n", "2")):
        call = command("-k", "test_ok", *workers, guard="require", plugins=("early", "xdist"))
        done = subprocess.run(call, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 4
        [line] = [line for line in done.stderr.splitlines() if line]
        assert line.startswith(
            "ERROR: the kernel layer is required (--network-kernel-guard=require), but 2 threads run "
        )


def test_a_plugin_that_a_conftest_loads_comes_too_late(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("pytest_plugins = ['pytest_test_categories.pytest_plugin']")
    for guard, status in (("auto", 0), ("require", 4)):
        options = ["-o", "test_categories_enforcement=strict", "-o", f"test_categories_network_kernel_guard={guard}"]
        call = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", "test_ok", *options]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        assert "the plugin was loaded by a conftest, when it was too late to start it" in done.stdout + done.stderr


def test_nothing_is_left_behind(command: Callable[..., list[str]], tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    for workers in ((), ("-n", "2")):
        call = command("-k", "test_ok", *workers, plugins=("xdist",))
        done = subprocess.run(call, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stdout
        assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("pytest-of-")] == []
