"""Rule 4 and 9 across processes: forked children keep their guard and report to it; others are left to work."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
import unittest
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories import NetworkAccessViolationError, expect_network_violation, network_guard

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]

FOREIGN: Final = ("198.51.100.1", 9)


def dial(_: object = None, address: tuple[str, int] = FOREIGN) -> None:
    with socket.socket() as sock:
        sock.connect(address)


def swallow(_: object = None, address: tuple[str, int] = FOREIGN) -> None:
    with contextlib.suppress(Exception):
        dial(None, address)


def in_child(function: Callable[[], object]) -> None:
    """Fork, do something in the child, and wait for it."""
    child = os.fork()
    if child == 0:
        try:
            function()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def fork_pool(function: Callable[[Any], object]) -> None:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(function, range(4))


def grandchild() -> None:
    in_child(lambda: in_child(swallow))


def in_childs_thread() -> None:
    thread = threading.Thread(target=swallow)
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(lambda: in_child(swallow), id="fork"),
        pytest.param(grandchild, id="fork in a fork"),
        pytest.param(lambda: in_child(in_childs_thread), id="thread in a fork"),
        pytest.param(lambda: fork_pool(swallow), id="Pool"),
    ],
)
def test_rule_4_a_forked_child_keeps_its_guard_and_its_record_comes_back(attack: Callable[[], object]) -> None:
    guard = network_guard("small", "strict")
    with pytest.raises(NetworkAccessViolationError) as caught, guard:
        attack()
    assert caught.value.undelivered
    (violation,) = guard.violations
    assert violation.target == "198.51.100.1:9"
    assert violation.process.startswith("child process ")
    with network_guard("small", "strict"):
        pass  # nothing is left over for the next one


def test_a_child_inherits_no_more_than_its_guard() -> None:
    with network_guard("medium", "strict") as guard, socket.create_server(("127.0.0.1", 0)) as server:
        in_child(lambda: dial(None, server.getsockname()))
        server.settimeout(5)
        server.accept()[0].close()
    assert guard.violations == []


def test_every_guard_around_hears_of_it() -> None:
    outer, inner = network_guard("small", "strict"), network_guard("medium", "strict")
    with pytest.raises(NetworkAccessViolationError), outer, inner:
        in_child(swallow)
    assert [len(guard.violations) for guard in (outer, inner)] == [1, 1]


def test_another_threads_guard_does_not_take_the_record() -> None:
    go, left = threading.Event(), threading.Event()

    def other() -> None:
        with network_guard("medium", "strict"):
            go.wait(5)
        left.set()

    thread = threading.Thread(target=other)
    thread.start()
    with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
        in_child(swallow)
        go.set()
        assert left.wait(5)
    thread.join()


def test_a_refusal_in_a_child_can_be_expected() -> None:
    case = unittest.TestCase()
    with network_guard("small", "strict"), multiprocessing.get_context("fork").Pool(1) as pool:
        with expect_network_violation() as seen:
            in_child(swallow)
        assert [violation.target for violation in seen] == ["198.51.100.1:9"]
        with expect_network_violation() as seen:
            pool.map(dial, [1])
        assert [violation.target for violation in seen] == ["198.51.100.1:9"]
        with case.assertRaises(NetworkAccessViolationError):
            pool.map(dial, [1])


def test_a_loop_in_a_child_does_not_drown_what_comes_after_it() -> None:
    def flood() -> None:
        for _ in range(2000):
            swallow()
        swallow(None, ("198.51.100.2", 9))

    guard = network_guard("small", "strict")
    with pytest.raises(NetworkAccessViolationError), guard:
        in_child(flood)
    counts = {violation.target: violation.count for violation in guard.violations}
    assert counts["198.51.100.2:9"] == 1
    assert 1000 <= counts["198.51.100.1:9"] <= 2000


def test_a_long_record_fits_the_pipe() -> None:
    def far() -> None:
        with contextlib.suppress(Exception):
            socket.getaddrinfo("api.example.com", 80)

    far.__code__ = far.__code__.replace(co_name="f" * 12_000)
    guard = network_guard("small", "strict")
    with pytest.raises(NetworkAccessViolationError), guard:
        in_child(far)
    assert len(guard.violations) == 1


def test_a_daemon_that_closed_everything_writes_into_nobodys_file(tmp_path: Any) -> None:
    victim = tmp_path / "victim"

    def daemon() -> None:
        os.closerange(3, 4096)
        kept = [os.open(victim, os.O_WRONLY | os.O_CREAT) for _ in range(20)]
        swallow()
        assert kept

    with pytest.raises(NetworkAccessViolationError, match="in child process"), network_guard("small", "strict"):
        in_child(daemon)
    assert victim.read_bytes() == b""


def test_no_descriptor_is_left_behind() -> None:
    before = sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []
    for _ in range(5):
        with network_guard("small", "strict"):
            in_child(lambda: None)
    after = sorted(os.listdir("/proc/self/fd")) if before else []
    assert len(after) == len(before)


# -- what works in a small guard -------------------------------------------------------------------------------------


def receive(queue: Any, answer: Any) -> None:
    with queue.get() as sock:
        answer.put(sock.family.name)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_rule_9_pools_work_in_a_small_guard(method: str) -> None:
    with network_guard("small", "strict") as guard, multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(abs, [-1, -2, -3]) == [1, 2, 3]
    assert guard.violations == []


@pytest.mark.parametrize("acknowledged", [False, True], ids=["", "acknowledged"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_rule_9_a_socket_can_be_sent_to_a_child(
    method: str, acknowledged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child acknowledges it by a send on macOS, and from CPython 3.14 on everywhere."""
    if acknowledged:  # forked children only: others import the module again
        monkeypatch.setattr("multiprocessing.reduction.ACKNOWLEDGE", method == "fork", raising=False)
    context: Any = multiprocessing.get_context(method)
    with network_guard("small", "strict") as guard, socket.socket() as sock:
        queue, answer = context.Queue(), context.Queue()
        child = context.Process(target=receive, args=(queue, answer))
        child.start()
        queue.put(sock)
        assert answer.get(timeout=30) == "AF_INET"
        child.join(30)
        assert child.exitcode == 0
    assert guard.violations == []
    from multiprocessing import resource_sharer

    resource_sharer.stop()


def test_rule_9_a_manager_works_in_a_medium_guard() -> None:
    with network_guard("medium", "strict") as guard, multiprocessing.get_context("fork").Manager() as manager:
        shared = manager.dict()
        shared["key"] = "value"
        assert dict(shared) == {"key": "value"}
    assert guard.violations == []


def test_rule_9_subprocesses_run_in_a_small_guard() -> None:
    with network_guard("small", "strict") as guard:
        assert subprocess.run(["true"], check=True).returncode == 0
        done = subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, check=True)
        assert done.stdout.strip() == b"1"
    assert guard.violations == []


def test_forking_while_threads_come_and_go() -> None:
    stop = threading.Event()

    def guards() -> None:
        while not stop.is_set():
            with network_guard("medium", "strict"):
                time.sleep(0)

    threads = [threading.Thread(target=guards) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
                in_child(swallow)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
