"""Rule 4: an attempt is charged to the code that caused it."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import ctypes
import functools
import inspect
import os
import pickle
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import TYPE_CHECKING

import pytest

from pytest_test_categories import NetworkAccessViolationError, network_guard
from pytest_test_categories._attribution import origin, stack, tasks
from pytest_test_categories._attribution.carriers.executors import Job
from pytest_test_categories._attribution.origin import FREE, Scope, ScopeKind, charge, current, free_threads
from pytest_test_categories._rules.policy import EnforcementMode, Policy, TestSize
from pytest_test_categories._runtime import runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def _layers() -> Iterator[None]:
    runtime.hold()
    phases = list(origin.state.phases)
    origin.state.phases.clear()
    token = current.set(None)
    yield
    current.reset(token)
    origin.state.phases[:] = phases
    runtime.release()


def scope(kind: str = "test", *, size: TestSize = TestSize.SMALL, parent: Scope | None = None) -> Scope:
    return Scope(ScopeKind(kind), Policy(size, EnforcementMode.STRICT), "a test", parent=parent)


def in_thread(call: object) -> object:
    with ThreadPoolExecutor(1) as pool:
        # The executor carries the guard by itself; what a bare thread finds is wanted here.
        found: list[object] = []

        def run() -> None:
            found.append(call())  # type: ignore[operator]

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        pool.shutdown()
    return found[0]


def test_nobody_is_charged_where_nobody_guards() -> None:
    assert charge() is None


def test_first_an_open_guard_of_the_context() -> None:
    outer = scope()
    inner = scope("block", parent=outer)
    current.set(inner)
    origin.state.phases.append(scope())
    found = charge()
    assert found is not None
    assert found.scopes == (inner, outer)
    inner.close()
    found = charge()
    assert found is not None
    assert found.scopes == (outer,)
    assert not found.late


def test_then_one_of_the_thread_or_job() -> None:
    mine = scope()
    current.set(mine)
    found = in_thread(charge)
    assert isinstance(found, origin.Charge)
    assert found.scopes == (mine,)
    job = Job(charge, mine)
    current.set(None)
    found = job()
    assert found.scopes == (mine,)
    assert charge() is None


def test_a_job_that_outlived_its_guard_is_a_leftover() -> None:
    mine = scope()
    job = Job(charge, mine)
    mine.close()
    found = job()
    assert found.scopes == (mine,)
    assert "by a job that a test started" in found.late


def test_jobs_nest_and_carry_no_other_context() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    outer, inner = scope(), scope()
    seen: list[object] = []

    def innermost() -> None:
        seen.append((charge().scopes, variable.get()))  # type: ignore[union-attr]

    def outermost() -> None:
        Job(innermost, inner)()
        seen.append((charge().scopes, variable.get()))  # type: ignore[union-attr]

    variable.set(1)
    thread = threading.Thread(target=lambda: contextvars.Context().run(Job(outermost, outer)))
    thread.start()
    thread.join()
    assert seen == [((inner,), 0), ((outer,), 0)]


def test_a_job_looks_like_its_function() -> None:
    assert Job(in_thread, None).__name__ == "in_thread"
    with pytest.raises(AttributeError):
        _ = Job(in_thread, None).no_such_thing


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda job: pickle.loads(pickle.dumps(job))])
def test_a_job_is_of_its_functions_kind(again: Callable[[object], object]) -> None:
    given = functools.partial(int, "7")
    job = Job(given, scope())
    assert isinstance(job, functools.partial)
    assert inspect.isfunction(Job(in_thread, None))
    assert job() == 7
    copied = again(job)
    assert type(copied) is functools.partial
    assert copied() == 7


def test_a_stale_context_leaves_it_to_the_running_phase() -> None:
    old, new = scope(), scope()
    old.close()
    current.set(old)
    origin.state.phases.append(new)
    found = charge()
    assert found is not None
    assert found.scopes == (new,)
    assert not found.late


def test_a_task_that_was_alive_when_its_guard_closed_is_a_leftover() -> None:
    mine = scope()
    found: list[object] = []

    async def lingering(go: asyncio.Event) -> None:
        await go.wait()
        found.append(charge())

    async def main() -> None:
        go = asyncio.Event()
        token = current.set(mine)
        task = asyncio.create_task(lingering(go))
        current.reset(token)
        await asyncio.sleep(0)
        mine.close()
        go.set()
        await task

    asyncio.run(main())
    (late,) = found
    assert isinstance(late, origin.Charge)
    assert late.scopes == (mine,)
    assert "by a task" in late.late


def test_a_task_that_was_made_after_its_guard_closed_is_the_running_phases() -> None:
    """A kept runner's context says nothing about now: also beside a leftover of the same context."""
    found: list[object] = []
    phase = scope()

    async def main() -> None:
        go = asyncio.Event()

        async def look() -> None:
            await go.wait()
            found.append(charge())

        with network_guard("large", "strict"):
            mine = current.get()
            assert mine is not None
            kept = contextvars.copy_context()
            leftover = asyncio.create_task(look(), name="a leftover")
        origin.state.phases.append(phase)
        new = kept.run(asyncio.create_task, look())
        go.set()
        await leftover
        await new
        assert [charged.scopes for charged in found if isinstance(charged, origin.Charge)] == [mine.chain, (phase,)]

    asyncio.run(main())


def test_a_guard_looks_at_no_task_when_no_context_of_its_own_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    moment = tasks.moment

    def look() -> int:
        looks.append(moment())
        return looks[-1]

    monkeypatch.setattr(tasks, "moment", look)

    async def work() -> None:
        with network_guard("small", "strict"):
            await asyncio.sleep(0)

    async def leave() -> asyncio.Task[None]:
        with network_guard("small", "strict"):
            return asyncio.create_task(asyncio.sleep(0))

    async def main() -> None:
        await asyncio.gather(*(work() for _ in range(20)))
        assert not looks
        left = await asyncio.gather(*(leave() for _ in range(3)))
        assert len(looks) == 3
        await asyncio.gather(*left)

    asyncio.run(main())


def test_threads_of_the_runner_are_free_and_so_are_those_they_start() -> None:
    go = threading.Event()
    found: list[object] = []

    def runner() -> None:
        go.wait(5)
        found.append(charge())
        found.append(in_thread(charge))
        found.append(origin.spawner())

    thread = threading.Thread(target=runner)
    thread.start()
    free_threads([thread])
    origin.state.phases.append(scope())
    go.set()
    thread.join()
    assert found == [None, None, FREE]


def test_an_unknown_thread_is_judged_by_the_running_phase_and_charged_to_nobody() -> None:
    go = threading.Event()
    found: list[object] = []

    def older() -> None:
        go.wait(5)
        found.append(charge())

    thread = threading.Thread(target=older)
    thread.start()
    phase = scope()
    origin.state.phases.append(phase)
    go.set()
    thread.join()
    (charged,) = found
    assert isinstance(charged, origin.Charge)
    assert charged.scopes == (phase,)
    assert charged.unattributed


def test_a_fixtures_thread_is_held_to_it_until_it_is_torn_down() -> None:
    fixture = scope("fixture")
    current.set(fixture)
    go = threading.Event()
    found: list[object] = []

    def heartbeat() -> None:
        go.wait(5)
        found.append(charge())

    threads = [threading.Thread(target=heartbeat) for _ in range(2)]
    threads[0].start()
    fixture.open, fixture.held = False, True
    go.set()
    threads[0].join()
    assert isinstance(found[0], origin.Charge)
    assert (found[0].scopes, found[0].late) == ((fixture,), "")


def test_a_block_judges_with_the_phase_that_it_does_not_know() -> None:
    """A session fixture's block is open while a test runs: a context that knows of neither is held to both."""
    guard = network_guard("medium", "strict")
    guard.__enter__()
    try:
        block = current.get()
        phase = scope()
        origin.state.phases.append(phase)
        found = contextvars.Context().run(charge)
        assert found is not None
        assert found.scopes == (phase, block)
        assert not found.unattributed
    finally:
        origin.state.phases.clear()
        guard.__exit__(None, None, None)
    assert contextvars.Context().run(charge) is None


def test_a_finished_threads_number_may_be_used_again() -> None:
    def abandon() -> None:
        network_guard("small", "strict").__enter__()

    before = runtime.holders
    for _ in range(3):
        thread = threading.Thread(target=abandon)
        thread.start()
        thread.join()

    def later() -> object:
        return socket.gethostbyname("127.0.0.1"), contextvars.Context().run(charge)

    assert in_thread(later) == ("127.0.0.1", None)
    for _ in range(runtime.holders - before):
        runtime.release()


def test_a_block_inside_the_running_phase_comes_first_where_the_context_knows_of_neither() -> None:
    phase = scope()
    origin.state.phases.append(phase)
    block = scope("block", parent=phase)
    origin._stand(block)
    found = contextvars.Context().run(charge)
    origin._stand_down(block)
    assert found is not None
    assert found.scopes == (block, phase)


def test_a_callback_is_a_leftover_of_the_guard_that_it_was_scheduled_under() -> None:
    mine = scope()
    loop = asyncio.new_event_loop()
    found: list[object] = []
    current.set(mine)
    loop.call_soon(lambda: found.append(charge()))
    mine.close()
    current.set(None)
    origin.state.phases.append(scope())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    (charged,) = found
    assert isinstance(charged, origin.Charge)
    assert charged.scopes == (mine,)
    assert charged.late == "by a task that a test started and that outlived it"


def test_a_job_in_a_kept_runners_context_is_the_running_phases() -> None:
    """The worker is older than the work: whoever made it says nothing about what it is given now."""
    fixture, older = scope("fixture"), scope()
    current.set(fixture)
    kept = contextvars.copy_context()
    current.set(None)
    fixture.close()
    older.close()
    phase = scope()
    origin.state.phases.append(phase)
    found = Job(lambda: kept.run(charge), older)()
    assert (found.scopes, found.late) == ((phase,), "")


def test_threads_that_somebody_is_charged_for_are_not_the_runners() -> None:
    mine = scope()
    current.set(mine)
    go = threading.Event()
    found: list[object] = []

    def run() -> None:
        go.wait(5)
        found.append(charge())

    thread = threading.Thread(target=run)
    thread.start()
    free_threads([thread])
    go.set()
    thread.join()
    (charged,) = found
    assert isinstance(charged, origin.Charge)
    assert charged.scopes == (mine,)


@pytest.mark.parametrize("arguments", [pytest.param([], id="none"), pytest.param([1], id="no function")])
def test_rule_9_what_is_no_job_is_refused_as_ever(arguments: list[object]) -> None:
    current.set(scope())
    with ThreadPoolExecutor(1) as executor, ThreadPool(1) as pool:
        if arguments:
            with pytest.raises(TypeError, match="'int' object is not callable"):
                executor.submit(*arguments).result(5)  # type: ignore[arg-type]
        else:
            with pytest.raises(TypeError, match="missing 1 required positional argument: 'fn'"):
                executor.submit(*arguments)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="missing 1 required positional argument: 'func'"):
                pool.apply_async(*arguments)  # type: ignore[arg-type]


def test_a_thread_stands_for_itself_also_where_its_number_is_used_again() -> None:
    seen: list[tuple[int, object]] = []
    for _ in range(20):
        thread = threading.Thread(target=lambda: seen.append((threading.get_ident(), origin.this_thread())))
        thread.start()
        thread.join()
    assert len({number for number, _ in seen}) < len(seen), "no number was used again"
    assert len({id(token) for _, token in seen}) == len(seen)
    assert origin.this_thread() is origin.MAIN_THREAD


def test_a_closed_outer_guard_stays_in_the_chain_for_a_thread_with_its_closers_number() -> None:
    outer = scope()
    inner = scope("block", size=TestSize.LARGE, parent=outer)
    numbers: list[int] = []

    def close() -> None:
        numbers.append(threading.get_ident())
        outer.close()

    closing = threading.Thread(target=close)
    closing.start()
    closing.join()
    found: list[tuple[Scope, ...]] = []

    def look() -> None:
        if threading.get_ident() in numbers:
            current.set(inner)
            charged = charge()
            found.append(() if charged is None else charged.scopes)

    for _ in range(50):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert found, "the number was not used again"
    assert set(found) == {(inner, outer)}


def test_a_closed_outer_guard_stays_in_the_chain_for_other_tasks_of_the_thread() -> None:
    outer = scope()
    inner = scope("block", size=TestSize.LARGE, parent=outer)

    async def close() -> None:
        outer.close()

    async def look() -> tuple[Scope, ...]:
        current.set(inner)
        charged = charge()
        return () if charged is None else charged.scopes

    async def both() -> list[tuple[Scope, ...]]:
        await asyncio.create_task(close())
        return [await asyncio.create_task(look()) for _ in range(20)]

    assert set(asyncio.run(both())) == {(inner, outer)}


def looks_in(inner: Scope) -> tuple[Scope, ...]:
    current.set(inner)
    charged = charge()
    return () if charged is None else charged.scopes


@pytest.mark.parametrize("closed", ["before", "after"])
def test_a_closed_outer_guard_stays_in_the_chain_for_other_greenlets_of_the_thread(closed: str) -> None:
    """Whether it was closed before or after the greenlet that looks was made, and whoever has its place in memory."""
    greenlet = pytest.importorskip("greenlet").greenlet
    outer = scope()
    inner = scope("block", size=TestSize.LARGE, parent=outer)
    looking = [greenlet(looks_in) for _ in range(20)] if closed == "after" else []
    greenlet(outer.close).switch()
    looking = looking or [greenlet(looks_in) for _ in range(20)]
    assert {each.switch(inner) for each in looking} == {(inner, outer)}


def test_a_greenlet_that_closes_an_outer_guard_itself_goes_on_without_it() -> None:
    greenlet = pytest.importorskip("greenlet").greenlet
    outer = scope()
    inner = scope("block", size=TestSize.LARGE, parent=outer)

    def work() -> tuple[Scope, ...]:
        outer.close()
        return looks_in(inner)

    assert greenlet(work).switch() == (inner,)


def test_a_phase_that_ends_leaves_those_of_other_threads() -> None:
    first, second = scope(), scope()
    origin.state.phases[:] = [first, second]
    origin.end_phase(first)
    assert origin.state.phases == [second]
    origin.end_phase(first)
    assert origin.state.phases == [second]


def test_the_phase_of_a_thread_comes_before_a_later_one_of_another() -> None:
    mine = scope()
    theirs = in_thread(scope)
    assert isinstance(theirs, Scope)
    origin.state.phases[:] = [mine, theirs]
    assert origin.running_phase() is mine
    found = charge()
    assert found is not None
    assert (found.scopes, found.unattributed) == ((mine,), False)
    assert in_thread(origin.running_phase) is theirs


@pytest.mark.skipif(os.name != "posix", reason="makes a thread by pthread_create")
def test_looking_who_is_charged_registers_no_thread_that_python_did_not_start() -> None:
    libc = ctypes.CDLL(None)
    found: list[object] = []

    def work(_: object) -> int:
        before = threading.active_count()
        found.extend((charge(), origin.thread_name(), threading.active_count() - before))
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(work)
    thread = ctypes.c_ulong()
    libc.pthread_create(ctypes.byref(thread), None, callback, None)
    libc.pthread_join(thread, None)
    assert found[0] is None
    assert str(found[1]).startswith("native ")
    assert found[2] == 0


@pytest.mark.parametrize("kind", ["test", "block"])
def test_a_refusal_holds_the_runners_frame_only_while_the_phase_runs(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frame keeps what a failed test has left."""
    monkeypatch.setitem(stack.state.aside, "_multicall", [lambda _frame, _called: False])
    phase = scope(kind)
    phase.file = __file__
    with phase.entered(phase=kind == "test"):
        with pytest.raises(NetworkAccessViolationError):
            socket.create_connection(("198.51.100.1", 9))
        if kind == "block":
            assert phase.outside is None
        elif "greenlet" not in sys.modules:
            assert phase.outside is not None
            assert phase.outside.frame is not None
    assert phase.outside is None
