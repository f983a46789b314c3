"""Eight threads at once: what one of them is refused, another neither pays for nor hides, and no count is lost.

Where the interpreter has a lock, it is made to change threads all the time; a free-threaded build needs no such help.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import socket
import subprocess
import sys
import threading
import time
import types
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories import NetworkAccessViolationError, expect_network_violation, network_guard, watch_client
from pytest_test_categories._attribution import origin
from pytest_test_categories._processes.spool import Spawned
from pytest_test_categories._runtime import runtime
from pytest_test_categories._watch.clients import state as clients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Address = tuple[str, int]

THREADS: Final = 8
ROUNDS: Final = 12
DIAL: Final = "import socket; socket.socket().connect(('{}', {}))"


@pytest.fixture(autouse=True)
def _outside_of_any_guard() -> Iterator[None]:
    """Another test of the same worker may have left its guard in the context that all of them run in."""
    token = origin.current.set(None)
    yield
    origin.current.reset(token)


@pytest.fixture(autouse=True)
def _eager_to_switch() -> Iterator[None]:
    before = sys.getswitchinterval()
    if threading.gettrace() is None:  # two threads that begin can't install coverage's at once (CPython 3.11)
        sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def side_by_side(*works: Callable[[int], object]) -> None:
    """Run each work in threads of its own, eight altogether, begun at once; what one of them raises, raise."""
    errors: list[BaseException] = []
    begin = threading.Barrier(THREADS)

    def run(number: int) -> None:
        try:
            begin.wait(30)
            works[number % len(works)](number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def a_while() -> Iterator[None]:
    """Go round for some tenths of a second, once at least: on a busy machine the threads may begin late."""
    end = time.monotonic() + 0.4
    yield
    while time.monotonic() < end:
        yield


def dial(address: Address) -> None:
    with socket.socket() as sock:
        sock.settimeout(5)
        sock.connect(address)


def foreign(number: int) -> Address:
    return f"198.51.100.{number + 1}", 9


def assert_nothing_holds() -> None:
    assert runtime.holders == 0
    assert origin.current.get() is None
    assert origin.state.phases == []
    assert {"connect", "sendall"}.isdisjoint(vars(socket.socket))


def test_each_thread_is_charged_with_what_it_does_itself(listener: Address) -> None:
    seen: dict[int, dict[str, int]] = {}

    def work(number: int) -> None:
        host, port = foreign(number)
        counts: dict[str, int] = {}
        for _ in range(ROUNDS):
            with network_guard("medium") as outer:
                for _ in range(3):
                    dial(listener)
                    socket.getaddrinfo("localhost", listener[1])
                with pytest.raises(NetworkAccessViolationError) as refused:
                    dial((host, port))
                assert [one.target for one in refused.value.violations] == [f"{host}:{port}"]
                with network_guard("small") as inner:
                    with pytest.raises(NetworkAccessViolationError):
                        dial(listener)
                    with expect_network_violation() as names:
                        socket.getaddrinfo(f"thread-{number}.example", 443)
                    assert [one.target for one in names] == [f"thread-{number}.example:443"]
                dial(listener)
            wanted = {f"{host}:{port}": 1, f"thread-{number}.example:443": 1}
            assert {one.target: one.count for one in outer.violations} == wanted
            del wanted[f"{host}:{port}"]
            assert {one.target: one.count for one in inner.violations} == {
                **wanted,
                f"{listener[0]}:{listener[1]}": 1,
            }
            for one in (*outer.violations, *inner.violations):
                counts[one.target] = counts.get(one.target, 0) + one.count
                assert not (one.late or one.thread)
        seen[number] = counts

    side_by_side(work)
    assert_nothing_holds()
    for number in range(THREADS):
        host, port = foreign(number)
        assert seen[number] == {
            f"{host}:{port}": ROUNDS,
            f"thread-{number}.example:443": 2 * ROUNDS,
            f"{listener[0]}:{listener[1]}": ROUNDS,
        }


def test_a_childs_refusals_reach_the_guard_of_the_thread_that_started_it() -> None:
    def work(number: int) -> None:
        host, port = foreign(number)
        with network_guard("small"), expect_network_violation() as seen:
            child = subprocess.run([sys.executable, "-c", DIAL.format(host, port)], capture_output=True, text=True)
        assert "NetworkAccessViolationError" in child.stderr
        assert [one.target for one in seen] == [f"{host}:{port}"]

    side_by_side(work)
    assert_nothing_holds()


def test_what_another_thread_has_read_of_a_child_is_on_record_when_a_guard_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receive = Spawned.receive

    def receive_slowly(spawned: Spawned) -> list[Any]:
        found = receive(spawned)
        if found:
            time.sleep(0.2)
        return found

    monkeypatch.setattr(Spawned, "receive", receive_slowly)
    have_ended = threading.Barrier(THREADS)

    def work(number: int) -> None:
        host, port = foreign(number)
        with network_guard("small"), expect_network_violation() as seen:
            if number < 2:
                subprocess.run([sys.executable, "-c", DIAL.format(host, port)], stderr=subprocess.DEVNULL)
            else:
                swallow((host, port), 1)
            have_ended.wait(30)
        assert [one.target for one in seen] == [f"{host}:{port}"]

    side_by_side(work)
    assert_nothing_holds()


def swallow(address: Address, times: int) -> None:
    for _ in range(times):
        with contextlib.suppress(NetworkAccessViolationError):
            dial(address)


def test_no_attempt_is_lost_of_threads_that_one_guard_holds() -> None:
    with pytest.raises(NetworkAccessViolationError) as refused, network_guard("small") as guard:
        side_by_side(lambda _number: swallow(foreign(0), 40))
    assert [(one.target, one.count) for one in refused.value.violations] == [("198.51.100.1:9", 40 * THREADS)]
    assert sum(one.count for one in guard.violations) == 40 * THREADS
    assert_nothing_holds()


def test_no_attempt_is_lost_of_one_guard_that_many_threads_enter() -> None:
    guard = network_guard("small")

    def work(_number: int) -> None:
        for _ in range(ROUNDS):
            with pytest.raises(NetworkAccessViolationError), guard:
                dial(foreign(0))

    side_by_side(work)
    assert sum(one.count for one in guard.violations) == ROUNDS * THREADS
    assert_nothing_holds()


def test_a_block_that_expects_refusals_counts_those_of_all_threads_inside() -> None:
    with network_guard("small"), expect_network_violation() as seen:
        side_by_side(lambda _number: swallow(foreign(0), 40))
    assert sum(one.count for one in seen) == 40 * THREADS
    with network_guard("small"), pytest.raises(NetworkAccessViolationError):
        side_by_side(lambda _number: swallow(foreign(0), 40))
        dial(foreign(0))
    assert_nothing_holds()


def test_warnings_of_all_threads_are_counted(recwarn: pytest.WarningsRecorder, listener: Address) -> None:
    def work(_number: int) -> None:
        for _ in range(40):
            dial(listener)

    with network_guard("small", "warn") as guard:
        side_by_side(work)
    assert sum(one.count for one in guard.violations) == 40 * THREADS
    assert {type(one.message).__name__ for one in recwarn} == {"NetworkAccessWarning"}
    assert_nothing_holds()


def test_code_without_a_guard_is_let_alone_while_others_come_and_go(listener: Address) -> None:
    def guarded(_number: int) -> None:
        for _ in a_while():
            with network_guard("small"), pytest.raises(NetworkAccessViolationError):
                dial(listener)

    def free(_number: int) -> None:
        for _ in a_while():
            dial(listener)
            socket.getaddrinfo("127.0.0.1", 80)
            one, other = socket.socketpair()
            with one, other:
                one.sendall(b"x")
            threading.Thread(target=int).start()

    side_by_side(guarded, free)
    assert_nothing_holds()


def test_a_client_that_is_imported_meanwhile_is_wrapped_once_and_unwrapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    names = [f"client_of_thread_{number}" for number in range(THREADS)]
    for name in names:
        (tmp_path / f"{name}.py").write_text("def call(host):\n    return host\n")
    importlib.invalidate_caches()
    removes = [watch_client(f"{name}:call", lambda _instance, args, _kwargs: (args[0], 9)) for name in names]
    made: list[types.ModuleType] = []

    def imports(number: int) -> None:
        for _ in a_while():
            module = importlib.import_module(names[number])
            made.append(module)
            del sys.modules[names[number]]
            watch_client(f"{names[number]}:other", lambda *_: None)()

    def guards(_number: int) -> None:
        for _ in a_while():
            with network_guard("small"):
                pass

    try:
        side_by_side(imports, guards)
        assert len(made) >= THREADS // 2
        for module in made:
            assert isinstance(module.call, types.FunctionType)
    finally:
        for remove in removes:
            remove()
    assert not any(row.module in names for row in clients.entry_points)
    assert_nothing_holds()


def test_threads_that_are_held_can_be_listed_while_others_start() -> None:
    def start(_number: int) -> None:
        for _ in a_while():
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()

    def look(_number: int) -> None:
        for _ in a_while():
            origin.known_threads()
            origin.threads_left()

    with network_guard("small"):
        side_by_side(start, look)
    assert_nothing_holds()


def test_numbers_of_guards_are_all_different() -> None:
    serials: list[int] = []

    def work(_number: int) -> None:
        mine: list[Any] = [origin.Scope(origin.ScopeKind.BLOCK, None, "") for _ in range(500)]
        serials.extend(scope.serial for scope in mine)

    side_by_side(work)
    assert len(set(serials)) == 500 * THREADS
    assert len(list(itertools.pairwise(sorted(serials)))) == 500 * THREADS - 1
