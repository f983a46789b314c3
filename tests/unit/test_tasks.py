"""asyncio's tasks: which there are, and which of them were there at an earlier moment."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_test_categories._attribution import tasks

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_all_tasks_that_are_not_done_are_listed() -> None:
    async def main() -> None:
        done = asyncio.create_task(asyncio.sleep(0))
        await done
        waiting = asyncio.create_task(asyncio.sleep(10))
        found = tasks.all_tasks()
        assert waiting in found
        assert asyncio.current_task() in found
        assert done not in found
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(main())
    assert tasks.all_tasks() == []


def test_without_asyncio_there_are_no_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.known, "sets", [])
    monkeypatch.delitem(sys.modules, "asyncio.tasks")
    assert tasks.all_tasks() == []


def test_a_task_made_meanwhile_by_another_thread_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    class Task:
        def done(self) -> bool:
            return False

    class Changing:
        """A set that changes while it is read, the first times."""

        def __init__(self, times: int) -> None:
            self.times = times

        def __iter__(self) -> Iterator[Task]:
            self.times -= 1
            if self.times >= 0:
                raise RuntimeError("Set changed size during iteration")
            return iter([Task()])

    monkeypatch.setattr(tasks.known, "sets", [Changing(3)])
    assert len(tasks.all_tasks()) == 1
    monkeypatch.setattr(tasks.known, "sets", [Changing(1000)])
    assert tasks.all_tasks() == []


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


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in 3.12")
def test_a_task_that_runs_eagerly_is_there() -> None:
    found: list[bool] = []

    async def eager() -> None:
        at = tasks.moment()
        found.append(tasks.was_there(asyncio.current_task(), at))
        await asyncio.sleep(0)
        found.append(tasks.was_there(asyncio.current_task(), at))

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        await asyncio.create_task(eager())

    asyncio.run(main())
    assert found == [True, True]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(["make", "drop", "look"]), max_size=40))
def test_tasks_are_told_apart_whatever_comes_and_goes(steps: list[str]) -> None:
    """Also where one gets the place in memory, the number, of one that is gone."""

    async def main() -> None:
        there: list[asyncio.Task[None]] = []
        moments: list[tuple[int, list[asyncio.Task[None]]]] = []
        for step in steps:
            if step == "make":
                there.append(asyncio.create_task(asyncio.sleep(0)))
            elif step == "drop" and there:
                await asyncio.wait([there.pop(0)])
                moments = [(at, [task for task in known if task in there]) for at, known in moments]
            else:
                moments.append((tasks.moment(), list(there)))
        for at, known in moments:
            assert [task for task in there if tasks.was_there(task, at)] == known
        await asyncio.gather(*there)

    asyncio.run(main())


def test_tasks_that_are_gone_are_forgotten() -> None:
    async def main() -> None:
        for _ in range(10):
            await asyncio.gather(*(asyncio.create_task(asyncio.sleep(0)) for _ in range(200)))
            gc.collect()
            tasks.moment()

    asyncio.run(main())
    assert len(tasks.known.births) < 600
    gc.collect()
    tasks.forget()
    assert all(reference() is not None for reference in tasks.known.births)
