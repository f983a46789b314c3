"""The supervisor under load, stopped, and with callers that vanish."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.kernel.conftest import FOREIGN, left_over
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.conftest import Outcome

pytestmark = pytest.mark.usefixtures("kernel")

HELP = f"""
import ctypes, errno, os, resource, signal, socket, struct, subprocess, sys, threading, time
import pytest

libc = ctypes.CDLL(None, use_errno=True)

def dial(host="{FOREIGN}", port=80):
    address = struct.pack("=H", 2) + struct.pack(">H", port) + socket.inet_aton(host) + bytes(8)
    sock = libc.socket(2, 1 | 0o4000, 0)
    result = libc.connect(sock, address, 16)
    number = ctypes.get_errno()
    os.close(sock)
    return 0 if result == 0 else number
"""


def test_a_thousand_children_at_once(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_many=HELP
        + """
@pytest.mark.parametrize("size", [pytest.param("small", marks=pytest.mark.small), pytest.param("medium", marks=pytest.mark.medium)])
def test_many(size, capsys):
    server = socket.create_server(("127.0.0.1", 0), backlog=2048) if size == "medium" else None
    target = server.getsockname() if server else ("198.51.100.1", 80)
    wait, go = os.pipe()
    children = []
    for _ in range(1000):
        child = os.fork()
        if not child:
            os.close(go)
            os.read(wait, 1)
            os._exit(dial(*target))
        children.append(child)
    os.close(go)
    found = {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children}
    os.close(wait)
    if server:
        server.close()
    assert found == ({errno.EACCES} if size == "small" else {errno.EINPROGRESS})
"""
    )
    outcome = run("-v", "-W", "ignore::DeprecationWarning", timeout=300)
    assert outcome.counts == {"failed": 1, "passed": 1}, outcome.text
    assert outcome.packets == 0
    assert "seen 1000 times" in outcome.text
    assert f"    {FOREIGN}:80 (x1000); in " in outcome.text


def test_a_storm_of_signals(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    """Calls are interrupted as they are without the layer, and each comes to an end."""
    pytester.makepyfile(
        test_storm=HELP
        + """
@pytest.mark.parametrize("size", [pytest.param(s, marks=getattr(pytest.mark, s)) for s in ("small", "medium")])
def test_storm(size):
    got = []
    signal.signal(signal.SIGALRM, lambda *_: got.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        found = {dial("127.0.0.1", 9) for _ in range(300)}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    print("signals", len(got), "results", sorted(errno.errorcode[one] for one in found))
    assert len(got) > 30
    answer = errno.EACCES if size == "small" else errno.EINPROGRESS
    assert found - {answer, errno.ECONNREFUSED, errno.EINTR} == set()
"""
    )
    outcome = run("-v", "-s")
    assert outcome.counts == {"failed": 1, "passed": 1}, outcome.text
    assert "Attempted network connection to 127.0.0.1:9" in outcome.text


def test_a_supervisor_that_is_stopped_and_continued(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_stopped=HELP
        + """
@pytest.mark.medium
def test_stopped():
    continued = []

    def go_on():
        continued.append(True)
        os.kill(os.getppid(), signal.SIGCONT)

    os.kill(os.getppid(), signal.SIGSTOP)
    threading.Timer(0.7, go_on).start()
    assert dial("127.0.0.1", 9) in (errno.ECONNREFUSED, errno.EINPROGRESS)
    assert continued  # the call waited for its answer
"""
    )
    assert run().counts == {"passed": 1}


def test_a_caller_that_is_killed_while_it_waits(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_killed=HELP
        + """
@pytest.mark.small
def test_killed():
    os.kill(os.getppid(), signal.SIGSTOP)
    try:
        child = subprocess.Popen(["curl", "-sS", "http://198.51.100.1/"])
        time.sleep(0.3)
        child.kill()
        assert child.wait(5) == -signal.SIGKILL
    finally:
        os.kill(os.getppid(), signal.SIGCONT)

@pytest.mark.medium
def test_after():
    assert dial("127.0.0.1", 9) in (errno.ECONNREFUSED, errno.EINPROGRESS)
"""
    )
    outcome = run("-p", "no:randomly")
    assert outcome.counts == {"passed": 2}, outcome.text
    assert outcome.packets == 0


def test_more_reports_than_the_pipe_holds(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_flood=HELP
        + """
@pytest.mark.small
def test_flood():
    assert {dial("198.51.100.%d" % (number % 250), 1 + number // 250) for number in range(8000)} == {errno.EACCES}
"""
    )
    outcome = run()
    assert outcome.counts == {"failed": 1}
    assert outcome.packets == 0
    assert "further targets" in outcome.text
    assert "further refusals by the kernel layer were not kept" in outcome.text


def test_threads_that_connect_at_once(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_threads=HELP
        + """
@pytest.mark.medium
def test_threads():
    found = []
    threads = [threading.Thread(target=lambda: found.extend(dial("127.0.0.1", 9) for _ in range(50))) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2000
    assert set(found) <= {errno.ECONNREFUSED, errno.EINPROGRESS}
"""
    )
    assert run().counts == {"passed": 1}


def test_nobody_is_left_after_a_run_that_is_killed_with_children(
    command: Callable[..., list[str]], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(test_slow=HELP + "\n\ndef test_slow():\n    dial('127.0.0.1', 9)\n    time.sleep(60)\n")
    process = subprocess.Popen(command("test_slow.py", "--basetemp=marked-slow"), stdout=subprocess.DEVNULL)
    try:
        assert until(lambda: len(left_over("marked-slow")) == 2)
    finally:
        process.kill()
        process.wait(10)
    assert until(lambda: not left_over("marked-slow"))
