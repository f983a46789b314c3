"""The judge's memory: what is remembered of permitted attempts, of look-ups, and of children that outlive a guard."""

from __future__ import annotations

import _socket
import asyncio
import contextlib
import importlib
import ipaddress
import os
import pickle
import socket
import subprocess
import sys
import unittest
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import pytest

from pytest_test_categories import (
    EnforcementMode,
    NetworkAccessViolationError,
    NetworkAccessWarning,
    expect_network_violation,
    network_guard,
)
from pytest_test_categories._attribution.origin import current
from pytest_test_categories._host.names import look_ups
from pytest_test_categories._judge import MEMO_ENTRIES
from pytest_test_categories._ledger.runs import Run, runs
from pytest_test_categories._processes.spool import Spawned
from pytest_test_categories._runtime import runtime
from pytest_test_categories._watch import sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Address = tuple[str, int]

FOREIGN: Final = ("198.51.100.1", 9)


@pytest.fixture(autouse=True)
def _no_runner(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("TEST_CATEGORIES_NETWORK_ALLOW", raising=False)
    outer, runs[:] = list(runs), []  # as outside pytest, whatever plugin this run has
    yield
    runs[:] = outer


def dial(address: Address = FOREIGN) -> None:
    with socket.socket() as sock:
        sock.settimeout(2)
        sock.connect(address)


def answering(address: str) -> Any:
    """Return a patch of what the interpreter asks the resolver: every name has this address."""
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))]
    return mock.patch.object(_socket, "getaddrinfo", lambda *_args, **_kwargs: answer)


def test_what_was_permitted_is_remembered_up_to_a_bound() -> None:
    with network_guard("medium", "strict"), socket.socket(type=socket.SOCK_DGRAM) as sock:
        for port in range(1, MEMO_ENTRIES + 100):
            sock.sendto(b"", ("127.0.0.1", port))
        scope = current.get()
        assert scope is not None
        assert len(scope.memo) == MEMO_ENTRIES


def test_a_guard_entered_after_a_reload_of_the_socket_module_wraps_the_new_class(
    listener: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    with network_guard("small", "strict"):
        pass
    monkeypatch.setattr(runtime, "_entry_points", list(runtime._entry_points))
    monkeypatch.setattr(sockets, "_known_classes", list(sockets._known_classes))
    before = dict(vars(socket))
    try:
        importlib.reload(socket)
        with network_guard("small", "strict"), expect_network_violation() as seen:
            dial(listener)
    finally:
        vars(socket).update(before)
    assert [violation.route for violation in seen] == ["socket.connect"]  # and not only by the audit hook


def run_again() -> Any:
    return importlib.reload(socket)


def import_again() -> Any:
    del sys.modules["socket"]
    return importlib.import_module("socket")


MEANWHILE: Final[dict[str, tuple[str, Callable[[Any, Address], object]]]] = {
    "connect": ("socket.connect", lambda again, to: again.socket().connect(to)),
    "connect to a name": ("socket.connect", lambda again, to: again.socket().connect(("api.example", to[1]))),
    "listen": ("socket.listen", lambda again, _to: again.socket().listen()),
    "getaddrinfo": ("socket.getaddrinfo", lambda again, _to: again.getaddrinfo("api.example", 80)),
    "create_connection": ("socket.connect", lambda again, to: again.create_connection(to)),
}


@pytest.mark.parametrize("again", [run_again, import_again])
@pytest.mark.parametrize(("route", "attack"), MEANWHILE.values(), ids=MEANWHILE)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_socket_module_that_is_executed_again_inside_of_a_guard_is_wrapped_at_once(
    listener: Address,
    monkeypatch: pytest.MonkeyPatch,
    route: str,
    attack: Callable[[Any, Address], object],
    again: Callable[[], Any],
) -> None:
    monkeypatch.setattr(runtime, "_entry_points", list(runtime._entry_points))
    monkeypatch.setattr(sockets, "_known_classes", list(sockets._known_classes))
    before = dict(vars(socket))
    try:
        with network_guard("small", "strict"):
            module = again()
            with expect_network_violation() as seen:
                attack(module, listener)
    finally:
        sys.modules["socket"] = socket
        vars(socket).update(before)
    assert [violation.route for violation in seen] == [route]  # by its wrapper: the audit hook comes too late


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_modules_are_awaited_again_where_the_finders_were_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """As pytester does after a run in its own process."""
    with network_guard("small", "strict"):
        pass
    monkeypatch.setattr(sys, "meta_path", [finder for finder in sys.meta_path if type(finder).__name__ != "_Finder"])
    monkeypatch.setattr(runtime, "_entry_points", list(runtime._entry_points))
    monkeypatch.setattr(sockets, "_known_classes", list(sockets._known_classes))
    try:
        with network_guard("small", "strict"), expect_network_violation() as seen:
            import_again().socket().connect(("api.example", 80))
    finally:
        sys.modules["socket"] = socket
    assert [violation.route for violation in seen] == ["socket.connect"]  # the audit hook comes after the look-up


def test_a_program_is_handed_the_guard_once_by_what_was_imported_under_it(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    monkeypatch.setattr(Spawned, "hand_down", lambda _self, argv, *_rest, **_given: started.append(argv))
    monkeypatch.setattr(runtime, "_entry_points", [])
    monkeypatch.delitem(sys.modules, "subprocess")
    with network_guard("small", "strict"):
        importlib.import_module("subprocess").run([sys.executable, "-c", ""], check=True)
    assert len(started) == 1


def test_an_attempt_is_named_after_the_name_that_was_looked_up_for_it(listener: Address) -> None:
    with network_guard("small", "strict", allow=["small: api.example:1"]) as guard:
        with answering(listener[0]):
            socket.getaddrinfo("api.example", 80)
        with expect_network_violation():
            dial(listener)
    (violation,) = guard.violations
    assert (violation.target, violation.address) == (f"api.example:{listener[1]}", f"127.0.0.1:{listener[1]}")


def test_a_look_up_that_was_warned_of_and_the_connect_after_it_are_one_warning(listener: Address) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        with network_guard("small", "warn"):
            with answering(listener[0]):
                socket.getaddrinfo("api.example", 80)
            dial(listener)
            assert len([w for w in caught if w.category is NetworkAccessWarning]) == 1
            dial(listener)  # this one has no look-up of its own
    assert len([w for w in caught if w.category is NetworkAccessWarning]) == 2


NAMED: Final[dict[str, tuple[int, Callable[[socket.socket, Any], object]]]] = {
    "connect": (socket.SOCK_STREAM, lambda opened, to: opened.connect(to)),
    "connect_ex": (socket.SOCK_STREAM, lambda opened, to: opened.connect_ex(to)),
    "sendto": (socket.SOCK_DGRAM, lambda opened, to: opened.sendto(b"", to)),
    "bind": (socket.SOCK_STREAM, lambda opened, to: opened.bind((to[0], 0))),
}


@pytest.mark.parametrize("host", ["localhost", b"localhost", "127.0.0.1"])
@pytest.mark.parametrize(("kind", "call"), NAMED.values(), ids=NAMED)
@pytest.mark.filterwarnings("ignore::pytest_test_categories.NetworkAccessWarning")
def test_a_call_with_a_name_that_was_warned_of_is_one_attempt(
    listener: Address, kind: int, call: Callable[[socket.socket, Any], object], host: Any
) -> None:
    with network_guard("small", "warn") as guard, socket.socket(socket.AF_INET, kind) as opened:
        call(opened, (host, listener[1]))
    (violation,) = guard.violations
    assert violation.count == 1
    assert violation.target.rpartition(":")[0] == (host if isinstance(host, str) else host.decode())


def test_a_look_up_that_nobody_is_charged_with_is_not_remembered() -> None:
    runtime.hold()
    try:
        with answering("198.51.100.77"):
            socket.getaddrinfo("api.example", 80)
        assert look_ups.names_of(ipaddress.ip_address("198.51.100.77")) == ()
    finally:
        runtime.release()


def test_an_error_that_has_crossed_processes_is_delivery_of_what_it_names_and_of_nothing_else() -> None:
    case = unittest.TestCase()
    with pytest.raises(NetworkAccessViolationError) as told, network_guard("small", "strict"):
        for number in (1, 2, 3):
            with contextlib.suppress(NetworkAccessViolationError):
                dial((f"198.51.100.{number}", 9))
        scope = current.get()
        assert scope is not None
        _, second, _ = scope.records.values()
        with case.assertRaises(NetworkAccessViolationError):
            raise pickle.loads(pickle.dumps(NetworkAccessViolationError(second.violation)))
    assert [violation.target for violation in told.value.violations] == ["198.51.100.1:9", "198.51.100.3:9"]


def test_an_error_that_has_crossed_processes_and_ends_its_guard_has_told_of_it() -> None:
    with pytest.raises(NetworkAccessViolationError) as caught, network_guard("small", "strict"):
        with contextlib.suppress(NetworkAccessViolationError):
            dial()
        scope = current.get()
        assert scope is not None
        (record,) = scope.records.values()
        raise pickle.loads(pickle.dumps(NetworkAccessViolationError(record.violation)))
    assert getattr(caught.value, "__notes__", []) == []


def test_a_refusal_in_a_worker_thread_is_located_by_the_lines_that_its_error_passes() -> None:
    def fetch(pool: ThreadPoolExecutor) -> object:
        return pool.submit(socket.getaddrinfo, "api.example.com", 443).result()

    outer, inner = network_guard("small", "strict"), network_guard("medium", "strict")
    with pytest.raises(NetworkAccessViolationError) as caught, outer, inner, ThreadPoolExecutor(1) as pool:
        fetch(pool)
    line = fetch.__code__.co_firstlineno + 1
    for violation in (caught.value.violation, *outer.violations, *inner.violations):
        assert violation.location == f"tests/unit/test_runtime.py:{line}"
        assert violation.function == "fetch"


def test_a_job_that_begins_before_its_task_waits_for_it_names_the_line_of_the_task() -> None:
    async def resolve() -> None:
        with ThreadPoolExecutor(1) as pool:
            # Runs while this coroutine does, as the look-up of asyncio's loop may before the coroutine is suspended.
            refused = pool.submit(socket.getaddrinfo, "api.example.com", 443)
            refused.exception(10)

    async def main() -> None:
        await resolve()

    with network_guard("small", "strict"), expect_network_violation() as seen:
        asyncio.run(main())
    assert [(violation.target, violation.function) for violation in seen] == [("api.example.com:443", "resolve")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_fork_outside_all_guards_costs_no_pipe() -> None:
    assert runtime.holders == 0
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    assert runtime._children is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
class TestChildrenThatOutliveTheirGuard:
    """What they are refused by then has no guard to go to: it is the run's, or nobody's."""

    @staticmethod
    def outlive(bystander: AbstractContextManager[object]) -> None:
        """Fork in a guard, leave it, let the child dial while somebody else is guarded, and take in what it tells."""
        start, go = os.pipe()
        with network_guard("small", "strict"):
            child = os.fork()
            if not child:
                try:
                    os.read(start, 1)
                    with contextlib.suppress(Exception):
                        dial()
                finally:
                    os._exit(0)
        with bystander:
            os.write(go, b"x")
            os.waitpid(child, 0)
            runtime.collect()
        os.close(start)
        os.close(go)

    def test_in_a_run_it_is_late(self) -> None:
        run = Run(EnforcementMode.STRICT, (), os.getcwd(), lambda _: None, NetworkAccessWarning)
        runs.append(run)
        told: list[int] = []
        run.on_record = lambda: told.append(1)
        runtime.hold()  # as a run does
        try:
            self.outlive(contextlib.nullcontext())
        finally:
            runtime.release()
        (record,) = run.late.values()
        assert record.violation.target == "198.51.100.1:9"
        assert record.violation.late.startswith("by a child process of ")
        assert record.count == 1
        assert told

    def test_without_a_run_nobody_is_told(self) -> None:
        bystander = network_guard("small", "strict")
        runtime.hold()
        try:
            self.outlive(bystander)
        finally:
            runtime.release()
        assert bystander.violations == []


def test_where_nothing_forks_there_is_a_guard_all_the_same() -> None:
    script = """
import os
del os.fork, os.register_at_fork
import socket
from pytest_test_categories import NetworkAccessViolationError, network_guard
try:
    with network_guard("small", "strict"), socket.socket() as sock:
        sock.connect(("198.51.100.1", 9))
except NetworkAccessViolationError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


def test_with_the_debug_variable_each_attempt_is_told_with_who_is_charged_by_which_rule_and_why() -> None:
    code = """
import socket, threading
from pytest_test_categories import NetworkAccessViolationError, network_guard

def dial():
    with socket.socket() as sock:
        try:
            sock.connect(("198.51.100.1", 9))
        except NetworkAccessViolationError:
            pass

with network_guard("medium", "warn"), socket.socket() as sock:
    try:
        sock.connect(("127.0.0.1", 9))
    except OSError:
        pass
try:
    with network_guard("small", "strict"):
        dial()
        thread = threading.Thread(target=dial)
        thread.start()
        thread.join()
except NetworkAccessViolationError:
    pass
"""
    told = {}
    for value in ("", "1"):
        environment = {**os.environ, "TEST_CATEGORIES_DEBUG": value}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        told[value] = [line.strip() for line in done.stderr.splitlines()]
    assert told[""] == []
    small = "test categories debug: connect 198.51.100.1:9 by socket.connect, reaches beyond; charged: "
    assert [line for line in told["1"] if line.startswith("test categories debug: ")] == [
        "test categories debug: connect 127.0.0.1:9 by socket.connect, reaches machine; charged: an open guard of the context",
        f"{small}an open guard of the context",
        f"{small}an open guard that the thread or greenlet carries",
    ]
    reasons = [line.partition(" (")[2] for line in told["1"] if line.startswith("block ")]
    refused = "small, strict): not permitted, small reaches no network"
    assert reasons == ["medium, warn): permitted, it stays on this machine", refused, refused]
