"""The line that made a task, a thread or a job stands in where none of its own is the project's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from pytest_test_categories import NetworkAccessViolationError, network_guard
from pytest_test_categories._attribution import stack

if TYPE_CHECKING:
    from collections.abc import Callable

SITE = os.sep.join(("", "opt", "venv", "lib", "site-packages"))
LIBRARY = """
import asyncio, contextlib, socket, threading

def dial():
    with contextlib.suppress(Exception), socket.socket() as client:
        client.connect(("198.51.100.1", 9))

async def dial_in_time():
    await asyncio.sleep(0)
    dial()

async def in_a_task_of_a_task():
    task = asyncio.create_task(asyncio.sleep(0))
    task.add_done_callback(lambda _: left.append(asyncio.create_task(dial_in_time())))
    left.append(asyncio.create_task(dial_in_time()))

def start_thread():
    thread = threading.Thread(target=dial)
    thread.start()
    return thread

def start_thread_of_a_thread():
    thread = threading.Thread(target=lambda: start_thread().join())
    thread.start()
    return thread

def start(function, *args):
    return function(*args)

left = []
"""


@pytest.fixture
def client() -> dict[str, Any]:
    """An installed client library that dials in tasks and threads of its own, and that nobody waits for."""
    made: dict[str, Any] = {"__name__": "client"}
    exec(compile(LIBRARY, os.path.join(SITE, "client.py"), "exec"), made)
    return made


def places(act: Callable[[], object]) -> set[tuple[str, str]]:
    """Return the lines that a guard names."""
    with contextlib.suppress(NetworkAccessViolationError), network_guard("small", "strict") as guard:
        act()
    return {(os.path.basename(one.location.rpartition(":")[0]), one.function) for one in guard.violations}


HERE = os.path.basename(__file__)


@pytest.mark.parametrize("how", ["create_task", "by_the_library", "of_a_task", "group", "eager"])
def test_a_task_that_nobody_waits_for_names_the_line_that_made_it(client: dict[str, Any], how: str) -> None:
    if how == "eager" and sys.version_info < (3, 12):
        pytest.skip("eager tasks are new in 3.12")

    def make() -> object:
        if how == "by_the_library":
            return client["start"](asyncio.create_task, client["dial_in_time"]())
        if how == "of_a_task":
            return asyncio.create_task(client["in_a_task_of_a_task"]())
        return asyncio.create_task(client["dial_in_time"]())

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            client["start"](tasks.create_task, client["dial_in_time"]())
            await asyncio.sleep(0.01)

    async def main() -> None:
        if how == "eager":
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        if how == "group":
            await group()
            return
        task = make()
        await asyncio.sleep(0.01)
        del task

    assert places(lambda: asyncio.run(main())) == {(HERE, "group" if how == "group" else "make")}


@pytest.mark.parametrize("start", ["start_thread", "start_thread_of_a_thread"])
def test_a_thread_names_the_line_that_started_it(client: dict[str, Any], start: str) -> None:
    def begin() -> None:
        client[start]().join()

    assert places(begin) == {(HERE, "begin")}


def test_a_job_names_the_line_that_submitted_it(client: dict[str, Any]) -> None:
    def submit(pool: ThreadPoolExecutor) -> None:
        pool.submit(client["dial"]).result()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        assert places(lambda: submit(pool)) == {(HERE, "submit")}


def test_without_the_interpreters_lock_frames_of_other_threads_are_left_alone(
    client: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    monkeypatch.setattr(sys, "_current_frames", lambda: pytest.fail("they run on while they are read"))

    async def main() -> None:
        waiting = asyncio.get_running_loop().run_in_executor(None, client["dial"])
        time.sleep(0.1)  # the job dials while its task runs
        await waiting

    assert places(lambda: asyncio.run(main())) == {(HERE, "main")}


def test_a_task_of_uvloop_names_the_line_that_made_it(client: dict[str, Any]) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        task = client["start"](asyncio.create_task, client["dial_in_time"]())
        await asyncio.sleep(0.01)
        del task

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

    assert places(run) == {(HERE, "main")}


def test_a_line_of_its_own_comes_first(client: dict[str, Any]) -> None:
    async def work() -> None:
        client["dial"]()

    async def main() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0.01)
        del task

    assert places(lambda: asyncio.run(main())) == {(HERE, "work")}


def test_a_command_is_nobodys_line() -> None:
    for name in (os.path.join(os.path.dirname(sys.executable), "tool"), "/home/me/.local/bin/pytest"):
        assert not stack.is_project_file(name)
    assert stack.is_project_file("/home/me/project/bin/tool")


def test_asyncios_debug_mode_says_who_made_a_task() -> None:
    async def main() -> str:
        task = asyncio.create_task(asyncio.sleep(0))
        await task
        return str(task._source_traceback[-1].filename)  # type: ignore[attr-defined]

    with network_guard("small"):
        assert asyncio.run(main(), debug=True) == asyncio.run(main(), debug=True)
        plain = asyncio.run(main(), debug=True)
    assert plain == asyncio.run(main(), debug=True)
    assert "carriers" not in plain


INHERITING = ["-X", "thread_inherit_context=1"] if sys.version_info >= (3, 14) else []
"""As free-threaded builds do without being asked: a new thread begins in a copy of the context that starts it."""


def test_what_a_thread_carries_counts_and_not_the_context_that_it_inherits() -> None:
    code = """
import contextvars, socket, threading
from concurrent.futures import ThreadPoolExecutor
from pytest_test_categories import network_guard
from pytest_test_categories._attribution.origin import charge

def who():
    found = charge()
    return [] if found is None else [found.rule, *(scope.policy.size.value for scope in found.scopes)]

def later():
    ended.wait()
    print(who())

ended = threading.Event()
with network_guard("medium"):
    with network_guard("small"):
        thread = threading.Thread(target=later)
        thread.start()
    ended.set()
    thread.join()

def other():
    has_thread.wait()
    with network_guard("medium"):
        print(pool.submit(who).result())
    print(pool.submit(who).result())

has_thread = threading.Event()
thread = threading.Thread(target=other)
thread.start()
with network_guard("small"), ThreadPoolExecutor(1) as pool:
    pool.submit(int).result()
    has_thread.set()
    thread.join()
    mine = threading.Thread(target=lambda: print(who()), **given)
    mine.start()
    mine.join()
"""
    for given in ["", "context=contextvars.copy_context()"] if INHERITING else [""]:
        command = [
            sys.executable,
            *INHERITING,
            "-c",
            f"given = lambda: dict({given})\n" + code.replace("**given", "**given()"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (done.stdout.splitlines(), done.stderr) == (
            [
                "['leftover', 'small', 'medium']",
                "['an open guard that the job carries', 'medium']",
                "[]",
                f"['an open guard {'of the context' if given else 'that the thread or greenlet carries'}', 'small']",
            ],
            "",
        )
