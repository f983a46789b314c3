"""asyncio's tasks: when each was made, by its mark, and whose leftover it is then."""

from __future__ import annotations

import asyncio
import contextvars
import socket
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_test_categories import network_guard
from pytest_test_categories._attribution import tasks
from pytest_test_categories._attribution.origin import Scope, ScopeKind, charge, current
from pytest_test_categories._runtime import runtime

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _tasks_are_marked() -> Iterator[None]:
    runtime.hold()
    yield
    runtime.release()


def test_a_moment_tells_what_was_there_from_what_came_later() -> None:
    async def main() -> None:
        before = asyncio.create_task(asyncio.sleep(0))
        first = tasks.moment()
        between = asyncio.create_task(asyncio.sleep(0))
        second = tasks.moment()
        after = asyncio.create_task(asyncio.sleep(0))
        assert [tasks.was_there(task, first) for task in (before, between, after)] == [True, False, False]
        assert [tasks.was_there(task, second) for task in (before, between, after)] == [True, True, False]
        await asyncio.gather(before, between, after)
        assert [tasks.was_there(task, second) for task in (before, between, after)] == [True, True, False]

    asyncio.run(main())


def ways_to_run_eagerly() -> list[str]:
    return [
        *(["factory"] if sys.version_info >= (3, 12) else []),
        *(["argument"] if sys.version_info >= (3, 14) else []),
    ]


async def eagerly(way: str, coroutine: Any) -> Any:
    loop = asyncio.get_running_loop()
    if way == "factory":
        loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        return await asyncio.create_task(coroutine)
    return await loop.create_task(coroutine, eager_start=True)  # type: ignore[call-arg,unused-ignore]


@pytest.mark.parametrize("way", ways_to_run_eagerly())
def test_a_task_that_runs_eagerly_is_there(way: str) -> None:
    found: list[bool] = []

    async def eager() -> None:
        at = tasks.moment()
        found.append(tasks.was_there(asyncio.current_task(), at))
        await asyncio.sleep(0)
        found.append(tasks.was_there(asyncio.current_task(), at))

    asyncio.run(eagerly(way, eager()))
    assert found == [True, True]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["make", "drop", "look", "claim"]), max_size=40))
def test_tasks_are_told_apart_whatever_comes_and_goes(steps: list[str]) -> None:
    async def main() -> None:
        there: list[asyncio.Task[None]] = []
        moments: list[tuple[int, list[asyncio.Task[None]]]] = []
        owners: dict[asyncio.Task[None], Scope] = {}
        for step in steps:
            if step == "make":
                there.append(asyncio.create_task(asyncio.sleep(0)))
            elif step == "drop" and there:
                await asyncio.wait([there.pop(0)])
                moments = [(at, [task for task in known if task in there]) for at, known in moments]
            elif step == "claim":
                owner = Scope(ScopeKind.TEST, None, "a test")
                moments.append((tasks.claim(owner), list(there)))
                for task in there:
                    owners.setdefault(task, owner)
            else:
                moments.append((tasks.moment(), list(there)))
        for at, known in moments:
            assert [task for task in there if tasks.was_there(task, at)] == known
        marks = {task: tasks.born(task) for task in there}
        assert {task: mark.era.owner for task, mark in marks.items() if mark and mark.era.claimed} == {
            task: owner for task, owner in owners.items() if task in there
        }
        await asyncio.gather(*there)

    asyncio.run(main())


def test_the_task_that_claims_is_none_of_its_own_leftovers() -> None:
    async def main() -> None:
        mine, other = asyncio.current_task(), asyncio.create_task(asyncio.sleep(0))
        owner = Scope(ScopeKind.TEST, None, "a test")
        tasks.claim(owner)
        found = [tasks.born(task) for task in (mine, other)]
        assert [born and born.era.owner for born in found] == [None, owner]
        await other

    asyncio.run(main())


def test_a_task_that_was_made_while_nothing_was_guarded_is_nobodys_leftover() -> None:
    async def main() -> list[bool]:
        with network_guard("large", "strict"):
            marked = asyncio.create_task(asyncio.sleep(0))
        at = tasks.moment()
        runtime.release()
        try:
            unmarked = asyncio.create_task(asyncio.sleep(0))
        finally:
            runtime.hold()
        found = [tasks.born(task) is not None for task in (marked, unmarked)]
        found += [tasks.was_there(task, at) for task in (marked, unmarked)]
        await asyncio.gather(marked, unmarked)
        return found

    assert asyncio.run(main()) == [True, False, True, False]


async def look(go: asyncio.Event, found: list[Any]) -> None:
    """Note who is charged once it may go."""
    await go.wait()
    found.append(charge())


def test_a_leftover_is_known_after_nothing_was_guarded_for_a_while() -> None:
    found: list[Any] = []

    async def main() -> None:
        go = asyncio.Event()
        with network_guard("small", "strict"):
            scope = current.get()
            task = asyncio.create_task(look(go, found))
            await asyncio.sleep(0)
        assert runtime.holders == 1
        runtime.release()
        runtime.hold()
        with network_guard("large", "strict"):
            go.set()
            await task
        assert scope is not None
        assert found[0].scopes == scope.chain

    asyncio.run(main())


def test_a_task_that_takes_no_mark_is_known_by_its_context() -> None:
    """A task made without its loop is marked by nobody."""
    found: list[Any] = []

    async def main() -> None:
        go = asyncio.Event()
        with network_guard("large", "strict"):
            scope = current.get()
            assert scope is not None
            unmarked = asyncio.Task(look(go, found), loop=asyncio.get_running_loop())
        assert tasks.born(unmarked) is None
        go.set()
        await unmarked
        assert found[0].scopes == scope.chain
        assert "by a task" in found[0].late

    asyncio.run(main())


def test_a_task_whose_creation_outlasts_a_guard_is_the_guards_leftover() -> None:
    """As when a task runs eagerly: it gets its mark only when the guard, under which it was created, has closed."""
    owner = Scope(ScopeKind.TEST, None, "a test")

    def create(loop: asyncio.AbstractEventLoop, coroutine: Any, **rest: Any) -> asyncio.Task[Any]:
        tasks.claim(owner)
        return asyncio.Task(coroutine, loop=loop, **rest)

    async def main() -> list[Scope | None]:
        asyncio.get_running_loop().set_task_factory(create)
        made = asyncio.create_task(asyncio.sleep(0))
        asyncio.get_running_loop().set_task_factory(None)
        later = asyncio.create_task(asyncio.sleep(0))
        tasks.claim(None)
        await asyncio.gather(made, later)
        return [None if mark is None else mark.era.owner for mark in map(tasks.born, (made, later))]

    tasks.claim(None)  # the era that begins here has no task
    assert asyncio.run(main()) == [owner, None]


def test_what_takes_no_attributes_stays_without_a_mark() -> None:
    class Slotted:
        __slots__ = ()

    task = Slotted()
    tasks.mark(task, tasks.of_now())
    assert tasks.born(task) is None


@pytest.mark.parametrize("way", ways_to_run_eagerly())
def test_what_a_leftover_runs_eagerly_is_left_over_with_it(way: str) -> None:
    """From its first step on, in which it has no mark yet; also where no context tells whose it is."""
    found: list[Any] = []

    async def child() -> None:
        found.append(charge())
        await asyncio.sleep(0)
        found.append(charge())

    async def parent(go: asyncio.Event) -> None:
        await go.wait()
        await eagerly(way, child())

    async def main() -> None:
        go = asyncio.Event()
        task = asyncio.create_task(parent(go))
        owner = Scope(ScopeKind.TEST, None, "a test")
        owner.close()
        go.set()
        await task
        assert [charged and charged.scopes for charged in found] == [owner.chain] * 2

    asyncio.run(main())


@pytest.mark.parametrize("way", ways_to_run_eagerly())
def test_what_runs_eagerly_in_a_kept_context_is_new(way: str) -> None:
    found: list[Any] = []

    async def child() -> None:
        found.append(charge())
        await asyncio.sleep(0)
        found.append(charge())

    async def main() -> None:

        with network_guard("large", "strict"):
            kept = contextvars.copy_context()
        await kept.run(asyncio.create_task, eagerly(way, child()))

    asyncio.run(main())
    assert found == [None, None]


def test_a_module_that_another_thread_is_importing_has_no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncio.events", types.ModuleType("asyncio.events"))
    assert tasks.running_loop() is None
    with network_guard("small"):
        socket.socket().close()
