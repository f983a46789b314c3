"""Which line did it: the user's frame, the client library, the import, the tasks that wait."""

from __future__ import annotations

import asyncio
import collections
import contextvars
import functools
import importlib
import os
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

import pytest

from pytest_test_categories._attribution import stack
from pytest_test_categories._attribution.stack import Place, Trace, is_project_file, read_exception, relative
from pytest_test_categories._rules.advice import CURES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator
    from pathlib import Path
    from types import FrameType

SITE = os.sep.join(("", "opt", "venv", "lib", "site-packages"))
PROJECT = os.sep.join(("", "home", "me", "project"))
USERS = os.path.join(PROJECT, "users.py")
TEST = os.path.join(PROJECT, "tests", "test_users.py")

OTHER = os.path.join(PROJECT, "other.py")

Namespace = dict[str, Any]


def module(source: str, filename: str, name: object = "", **names: object) -> Namespace:
    """Run source as a module that stands in a file."""
    made: Namespace = {"__name__": name, **names}
    exec(compile(source, filename, "exec"), made)
    return made


def library(name: str, source: str = "def call(then):\n    return then()\n", **names: object) -> Namespace:
    """Run source as an installed module."""
    return module(source, os.path.join(SITE, *name.split(".")) + ".py", name, **names)


def project(source: str, filename: str = USERS, **names: object) -> Namespace:
    return module(source, filename, "users", **names)


def here(test_file: str = "", task: Any = None) -> Trace:
    """Read the stack from the caller on."""
    return stack.read(sys._getframe(1), test_file, task)


GRAB = library("grabbed", "def grab():\n    return here()\n", here=here)["grab"]
"""Reads the stack from an installed library that nobody knows."""


@pytest.fixture(autouse=True)
def _no_exemptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack.state, "aside", stack._State().aside)
    monkeypatch.delitem(sys.modules, "greenlet", raising=False)


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filename", "own"),
    [
        pytest.param(USERS, True, id="project"),
        pytest.param(__file__, True, id="this-test"),
        pytest.param("users.py", True, id="relative"),
        pytest.param(os.path.join(SITE, "requests", "api.py"), False, id="site-packages"),
        pytest.param(os.path.join(PROJECT, ".venv", "lib", "site-packages", "x.py"), False, id="environment-inside"),
        pytest.param("/usr/lib/python3/dist-packages/apt/cache.py", False, id="dist-packages"),
        pytest.param(os.path.join(PROJECT, "site-packages-tools", "x.py"), True, id="only-looks-installed"),
        pytest.param(os.__file__, False, id="stdlib"),
        pytest.param(asyncio.__file__, False, id="stdlib-package"),
        pytest.param(os.path.realpath(collections.__file__), False, id="stdlib-without-links"),
        pytest.param(stack.__file__, False, id="ours"),
        pytest.param("<frozen importlib._bootstrap>", False, id="frozen"),
        pytest.param("<string>", False, id="string"),
        pytest.param("<doctest users.fetch[0]>", True, id="doctest"),
    ],
)
def test_a_file_is_the_projects_own_or_not(filename: str, own: bool) -> None:
    assert is_project_file(filename) is own
    assert is_project_file(filename) is own  # and so it is remembered


def test_generated_sources_do_not_grow_the_memory_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {f"<generated {number}>": False for number in range(20_001)}
    monkeypatch.setattr(stack.state, "files", known)
    assert is_project_file(USERS)
    assert len(known) == 1


@pytest.mark.parametrize(
    ("filename", "root", "shown"),
    [
        pytest.param(USERS, PROJECT, "users.py", id="below"),
        pytest.param(TEST, PROJECT, "tests/test_users.py", id="two-below"),
        pytest.param(USERS, PROJECT[:-1], USERS.replace(os.sep, "/"), id="only-the-same-start"),
        pytest.param(USERS, "", USERS.replace(os.sep, "/"), id="no-root"),
    ],
)
def test_paths_below_the_root_are_shown_from_there(filename: str, root: str, shown: str) -> None:
    assert relative(filename, root) == shown
    assert Place(filename, 7, "fetch").text(root) == f"{shown}:7"


# -- the stack ---------------------------------------------------------------------------------------------------------


def test_the_line_is_the_innermost_of_the_projects_own() -> None:
    fetch = project("def fetch(then):\n\n    return then()\n\ndef outer(then):\n    return fetch(then)\n")["outer"]
    assert fetch(GRAB).at == Place(USERS, 3, "fetch")


def test_libraries_and_the_interpreter_are_passed_over() -> None:
    requests = library("requests.api")["call"]
    fetch = project("def fetch(then):\n    return call(lambda: then())\n", call=functools.partial(requests))["fetch"]
    through_stdlib = functools.reduce  # written in C; a frame of the interpreter's own follows
    assert fetch(lambda: None) is None
    found = project("def fetch(then):\n    return run(then)\n", run=contextvars.copy_context().run)["fetch"](GRAB)
    assert found.at == Place(USERS, 2, "fetch")
    assert through_stdlib(lambda one, _two: one, [1, 2]) == 1


def test_without_a_line_of_the_project_there_is_none() -> None:
    found: list[Trace] = []
    worker = library("worker", "def run():\n    keep(grab())\n", keep=found.append, grab=GRAB)["run"]
    thread = threading.Thread(target=worker)
    thread.start()
    thread.join()
    assert found == [Trace()]


def test_no_frame_tells_nothing() -> None:
    assert stack.read(None) == Trace()


def test_the_test_line_that_led_there_is_told_besides() -> None:
    fetch = project("def fetch(then):\n    return then()\n")["fetch"]
    test = project("def test_fetch(then):\n    x = 1\n    return fetch(then)\n", TEST, fetch=fetch)["test_fetch"]
    grab = library("grabbed", "def grab():\n    return here(test)\n", here=here, test=TEST)["grab"]
    found = test(grab)
    assert found.at == Place(USERS, 2, "fetch")
    assert found.test == Place(TEST, 3, "test_fetch")


def test_a_test_that_does_it_itself_is_not_told_twice() -> None:
    test = project("def test_fetch(then):\n    return then()\n", TEST)["test_fetch"]
    grab = library("grabbed", "def grab():\n    return here(test)\n", here=here, test=TEST)["grab"]
    found = test(grab)
    assert found.at == Place(TEST, 2, "test_fetch")
    assert found.test is None


def test_a_test_that_lies_among_installed_packages_is_the_users_own() -> None:
    # pytest --pyargs package
    file = os.path.join(SITE, "package", "tests", "test_it.py")
    test = module("def test_it(then):\n    return then()\n", file, "package.tests.test_it")["test_it"]
    grab = library("grabbed", "def grab():\n    return here(test)\n", here=here, test=file)["grab"]
    assert test(grab).at == Place(file, 2, "test_it")


@pytest.mark.parametrize("name", sorted(CURES))
def test_each_library_with_a_cure_is_known(name: str) -> None:
    inner = name if name == "http.client" else f"{name}.inner"
    call = library(inner)["call"]
    fetch = project("def fetch(call, then):\n    return call(then)\n")["fetch"]
    assert fetch(call, GRAB).library == name


def test_the_outermost_library_below_the_project_is_the_one_to_mock() -> None:
    source = "def get(then):\n    return below(then)\n"
    stack = library("http.client")["call"]
    stack = library("urllib3.connection", source, below=stack)["get"]
    stack = library("requests.sessions", source, below=stack)["get"]
    around = library("aiohttp.web")["call"]  # a server that calls the project
    fetch = project("def fetch(get, then):\n    return get(then)\n")["fetch"]
    found = around(functools.partial(fetch, stack, GRAB))
    assert found.library == "requests"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("requestsmock", id="only-the-same-start"),
        pytest.param("http.server", id="other-half-of-a-package"),
        pytest.param("", id="no-name"),
        pytest.param(None, id="none-for-a-name"),
    ],
)
def test_other_modules_are_no_client_library(name: str | None) -> None:
    source = "def call(then):\n    return then()\n"
    call = module(source, os.path.join(SITE, "some.py"), name)["call"]
    fetch = project("def fetch(call, then):\n    return call(then)\n")["fetch"]
    assert fetch(call, GRAB).library == ""


def test_a_cassette_on_the_stack_is_told_beside_the_library() -> None:
    source = "def get(then):\n    return below(then)\n"
    stack = library("vcr.stubs")["call"]
    stack = library("requests.sessions", source, below=stack)["get"]
    fetch = project("def fetch(get, then):\n    return get(then)\n")["fetch"]
    found = fetch(stack, GRAB)
    assert (found.cassette, found.library) == (True, "requests")
    assert not fetch(library("requests")["call"], GRAB).cassette


class Runner:
    """Calls phases of tests, as pytest does: each by one frame, further out of which nothing changes meanwhile."""

    def __init__(self) -> None:
        self.outside = stack.Outside()
        self.asked: list[str] = []
        self.aside = False
        stack.set_aside("phase", self._note)
        stack.set_aside("session", self._note)

    def _note(self, frame: FrameType, _called: FrameType | None) -> bool:
        self.asked.append(frame.f_code.co_name)
        return self.aside and frame.f_code.co_name == "session"

    def read(self) -> Trace:
        return stack.read(sys._getframe(1), TEST, outside=self.outside)

    def run(self, test: Callable[[Callable[[], Trace]], object]) -> object:
        session = library("pytest", "def session(then):\n    return then()\n")["session"]
        call = library("pluggy", "def phase(then):\n    return then()\n")["phase"]
        grab = library("grabbed", "def grab():\n    return read()\n", read=self.read)["grab"]
        return session(functools.partial(call, functools.partial(test, grab)))


TWICE = project("def test_it(then):\n    return then(), then()\n", TEST)["test_it"]


def test_what_is_outside_of_a_phase_is_read_once() -> None:
    runner = Runner()
    expected = Trace(Place(TEST, 2, "test_it"))
    assert runner.run(TWICE) == (expected, expected)
    assert runner.asked == ["phase", "session", "phase"]
    assert runner.run(TWICE) == (expected, expected)  # the same functions, called again
    assert runner.asked[3:] == ["phase", "session", "phase"]


def test_where_greenlets_may_switch_what_is_outside_is_read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner()
    monkeypatch.setitem(sys.modules, "greenlet", types.ModuleType("greenlet"))
    assert runner.run(TWICE) == (Trace(Place(TEST, 2, "test_it")),) * 2
    assert runner.asked == ["phase", "session"] * 2


def test_what_is_outside_is_read_again_if_it_may_stand_aside_by_now() -> None:
    runner = Runner()
    stack.unset_aside("session", runner._note)
    runner.aside = True

    def test(then: Callable[[], Trace]) -> list[bool]:
        found = [then().aside]
        stack.set_aside("session", runner._note)
        return [*found, then().aside, then().aside]

    body = project("def test_it(then):\n    return test(then)\n", TEST, test=test)["test_it"]
    assert runner.run(body) == [False, True, True]


def test_what_is_outside_of_one_thread_is_not_taken_for_that_of_another() -> None:
    runner = Runner()
    found: list[object] = []

    def test(then: Callable[[], Trace]) -> list[bool]:
        before = then().aside
        runner.aside = True
        thread = threading.Thread(target=lambda: found.append(runner.run(TWICE)))
        thread.start()
        thread.join()
        runner.aside = False
        return [before, then().aside]

    body = project("def test_it(then):\n    return test(then)\n", TEST, test=test)["test_it"]
    assert runner.run(body) == [False, False]
    assert found == [(Trace(aside=True), Trace(aside=True))]


def test_an_import_outside_of_a_phase_is_told_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a module that runs tests when it is imported."""
    runner = Runner()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setitem(sys.modules, "runner_of_this", types.SimpleNamespace(found=lambda: runner.run(TWICE)))
    (tmp_path / "that_runs.py").write_text("import runner_of_this\nfound = runner_of_this.found()\n")
    found = importlib.import_module("that_runs").found
    monkeypatch.delitem(sys.modules, "that_runs")
    assert [trace.importing for trace in found] == ["that_runs", "that_runs"]
    assert [trace.importing for trace in runner.run(TWICE)] == ["", ""]  # type: ignore[attr-defined]


def test_an_import_inside_of_a_phase_is_told_and_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Runner()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "that_dials.py").write_text("import it_grabs\nfound = it_grabs.then()\n")

    def test(then: Callable[[], Trace]) -> list[str]:
        monkeypatch.setitem(sys.modules, "it_grabs", types.SimpleNamespace(then=then))
        before = then().importing
        during = importlib.import_module("that_dials").found.importing
        monkeypatch.delitem(sys.modules, "that_dials")
        return [before, during, then().importing]

    body = project("def test_it(then):\n    return test(then)\n", TEST, test=test)["test_it"]
    assert runner.run(body) == ["", "that_dials", ""]


def test_traffic_that_stands_aside_is_nobodys() -> None:
    def aside(frame: FrameType, _called: FrameType | None) -> bool:
        return bool(frame.f_globals["__name__"] == "adapter")

    report = library("adapter", "def _multicall(then):\n    return then()\n")["_multicall"]
    stack.set_aside("_multicall", lambda _frame, _called: False)
    stack.set_aside("_multicall", aside)
    stack.set_aside("grab", lambda _frame, called: called is not None and called.f_code.co_name == "nobody")
    assert report(GRAB).aside
    assert not GRAB().aside
    stack.unset_aside("_multicall", aside)
    assert not report(GRAB).aside


def test_who_is_set_aside_twice_stays_so_until_both_have_ended() -> None:
    def aside(_frame: FrameType, _called: FrameType | None) -> bool:
        return True

    report = library("adapter", "def call(then):\n    return then()\n")["call"]
    for _ in range(2):  # a run, and one inside a test of it
        stack.set_aside("call", aside)
    stack.unset_aside("call", aside)
    assert report(GRAB).aside
    stack.unset_aside("call", aside)
    assert not report(GRAB).aside


def test_generated_code_does_not_grow_the_memory_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    known = dict.fromkeys(map(str, range(20_001)), stack._OTHER)
    monkeypatch.setattr(stack.state, "owners", known)
    assert GRAB().at is not None
    assert len(known) < 1000


# -- imports -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def dialling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Trace]]:
    """Import modules of which the last one reads the stack."""
    directories = (tmp_path, tmp_path / "site-packages")
    written: list[str] = []

    def dial(*names: str, installed: bool = False, call: str = "GRAB()") -> Trace:
        for name, below in zip(names, (*names[1:], ""), strict=True):
            directory = directories[installed]
            directory.mkdir(exist_ok=True)
            text = (
                f"import {below}\nfound = {below}.found\n"
                if below
                else f"from {__name__} import GRAB\nfound = {call}\n"
            )
            (directory / f"{name}.py").write_text(text, encoding="utf-8")
            written.append(name)
        importlib.invalidate_caches()
        found = importlib.import_module(names[0]).found
        assert isinstance(found, Trace)
        return found

    for directory in directories:
        monkeypatch.syspath_prepend(directory)
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or types.ModuleType(__name__))
    monkeypatch.setattr(sys.modules[__name__], "GRAB", GRAB, raising=False)
    yield dial
    for name in written:
        sys.modules.pop(name, None)


def test_the_module_whose_import_did_it_is_named(dialling: Callable[..., Trace], tmp_path: Path) -> None:
    found = dialling("dialling_outer", "dialling_inner")
    assert found.importing == "dialling_inner"
    assert found.at == Place(str(tmp_path / "dialling_inner.py"), 2, "<module>")
    assert not found.self_test


def test_a_library_that_does_it_while_it_is_imported_tests_itself(dialling: Callable[..., Trace]) -> None:
    found = dialling("dialling_library", installed=True)
    assert found.importing == "dialling_library"
    assert found.self_test
    assert found.at is not None  # whoever imports it


def test_a_call_that_ends_an_import_is_not_made_by_it() -> None:
    assert GRAB().importing == ""


# -- tasks -------------------------------------------------------------------------------------------------------------

CLIENT = """
import asyncio, sys
async def connect():
    await asyncio.sleep(0)
    return here(TEST, asyncio.current_task())
async def in_task():
    return await asyncio.create_task(connect())
async def in_thread():
    job = asyncio.get_running_loop().run_in_executor
    return await job(None, work, asyncio.current_task())
def work(task):
    return here(TEST, task)
async def thread_in_task():
    return await asyncio.create_task(in_thread())
"""


@pytest.fixture(scope="module")
def client() -> Namespace:
    """An installed client library, known as httpx, that dials in tasks and threads of its own."""
    return library("httpx.client", CLIENT, here=here, TEST=TEST)


BODIES = {
    "await": (3, "return await call()"),
    "wait_for": (3, "return await asyncio.wait_for(call(), 5)"),
    "shield": (3, "return await asyncio.shield(call())"),
    "gather": (3, "return (await asyncio.gather(call(), asyncio.sleep(0.01)))[0]"),
    "create_task": (4, "task = asyncio.create_task(call())\n    return await task"),
    "wait": (4, "task = asyncio.create_task(call())\n    await asyncio.wait([task])\n    return task.result()"),
    "as_completed": (4, "for step in asyncio.as_completed([call()]):\n        return await step"),
    "timeout": (4, "async with asyncio.timeout(5):\n        return await asyncio.ensure_future(call())"),
    "nested": (3, "return (await asyncio.wait_for(asyncio.shield(asyncio.gather(call())), 5))[0]"),
    "task_group": (
        3,
        "async with asyncio.TaskGroup() as group:\n        task = group.create_task(call())\n    return task.result()",
    ),
}
"""Ways to wait for a library's coroutine, with the line that waits."""


def run(waiting: str, dial: Callable[[], Awaitable[Trace]], test: str = "return await fetch(call)") -> Trace:
    """Run a project's coroutine that waits for a library's, from a test that waits for the project's."""
    source = f"import asyncio\nasync def fetch(call):\n    {BODIES[waiting][1]}\n"
    fetch = project(source)["fetch"]
    test_fetch = project(f"async def test_fetch(call):\n    {test}\n", TEST, fetch=fetch, asyncio=asyncio)["test_fetch"]
    found = asyncio.run(test_fetch(dial))
    assert isinstance(found, Trace)
    return found


@pytest.mark.parametrize("dialled", ["connect", "in_task", "in_thread", "thread_in_task"])
@pytest.mark.parametrize("waiting", BODIES)
def test_a_coroutines_line_is_found_through_the_tasks_that_wait(client: Namespace, waiting: str, dialled: str) -> None:
    found = run(waiting, client[dialled])
    assert found.at == Place(USERS, BODIES[waiting][0], "fetch")
    assert found.test == Place(TEST, 2, "test_fetch")
    assert found.library == "httpx"


@pytest.mark.parametrize(
    "test",
    [
        pytest.param("return await asyncio.create_task(fetch(call))", id="task"),
        pytest.param("return (await asyncio.gather(asyncio.wait_for(fetch(call), 5)))[0]", id="two-tasks"),
    ],
)
@pytest.mark.parametrize("dialled", ["connect", "in_thread"])
def test_the_test_line_is_found_in_a_task_further_out(client: Namespace, dialled: str, test: str) -> None:
    found = run("await", client[dialled], test)
    assert found.at == Place(USERS, 3, "fetch")
    assert found.test == Place(TEST, 2, "test_fetch")


def test_the_nearest_of_several_waiting_tasks_counts(client: Namespace) -> None:
    source = "import asyncio\nasync def {0}(call):\n    return await asyncio.create_task(call())\n"
    call = client["connect"]
    for name in ("near", "middle", "far", "farthest"):
        call = functools.partial(project(source.format(name))[name], call)
    assert asyncio.run(call()).at == Place(USERS, 3, "near")


def test_a_task_that_nobody_waits_for_shows_its_loop(client: Namespace) -> None:
    found: list[Trace] = []

    async def main() -> None:
        asyncio.create_task(client["connect"]()).add_done_callback(lambda task: found.append(task.result()))
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert found[0].at is not None
    assert found[0].at.function == "test_a_task_that_nobody_waits_for_shows_its_loop"


def test_a_task_that_waits_for_nothing_yet_is_no_obstacle() -> None:
    async def main() -> Trace:
        task = asyncio.create_task(asyncio.sleep(0))
        found = library("x", "def work(task):\n    return here('', task)\n", here=here)["work"](task)
        assert isinstance(found, Trace)
        return found

    assert asyncio.run(main()).at is not None


def test_the_library_is_the_one_below_the_projects_innermost_line(client: Namespace) -> None:
    around = library("aiohttp.web", "async def serve(call):\n    return await call()\n")["serve"]
    call = functools.partial(project("async def fetch(call):\n    return await call()\n")["fetch"], client["in_thread"])
    assert asyncio.run(around(call)).library == "httpx"


@pytest.mark.parametrize("dialled", ["connect", "in_thread"])
def test_a_cassette_in_a_waiting_task_is_told(client: Namespace, dialled: str) -> None:
    cassette = library("vcr.stubs", "import asyncio\nasync def play(c):\n    return await asyncio.create_task(c())\n")
    found = run("await", functools.partial(cassette["play"], client[dialled]))
    assert (found.cassette, found.library) == (True, "httpx")


def test_generators_and_asynchronous_generators_are_read(client: Namespace) -> None:
    source = """
import types
@types.coroutine
def old(call):
    return (yield from call().__await__())
async def steps(call):
    yield await old(call)
"""
    steps = project(source)["steps"]

    async def main() -> Trace:
        async for found in steps(client["connect"]):
            assert isinstance(found, Trace)
            return found
        raise AssertionError

    assert asyncio.run(main()).at == Place(USERS, 5, "old")


def test_a_suspended_generator_based_coroutine_is_read() -> None:
    source = """
import types
@types.coroutine
def old(future):
    return (yield from future)
async def fetch(future):
    return await old(future)
"""

    async def main() -> Trace:
        future = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(project(source)["fetch"](future))
        await asyncio.sleep(0)
        found = library("x", "def work(task):\n    return here('', task)\n", here=here)["work"]
        trace = await asyncio.get_running_loop().run_in_executor(None, found, task)
        future.set_result(None)
        await task
        assert isinstance(trace, Trace)
        return trace

    assert asyncio.run(main()).at == Place(USERS, 5, "old")


QUICK = """
import asyncio, threading
async def connect():
    found = []
    task = asyncio.current_task()
    thread = threading.Thread(target=lambda: found.append(work(task)))
    thread.start()
    thread.join()
    return found[0]
def work(task):
    return here(TEST, task)
"""


def test_a_job_that_is_quicker_than_its_task_finds_the_line_that_is_about_to_wait() -> None:
    found = run("await", library("redis.asyncio", QUICK, here=here, TEST=TEST)["connect"])
    assert found.at == Place(USERS, 3, "fetch")
    assert found.test == Place(TEST, 2, "test_fetch")
    assert found.library == "redis"


@pytest.mark.parametrize("dialled", ["connect", "in_thread"])
def test_an_object_that_waits_by_a_coroutine_of_its_own_is_read_through(client: Namespace, dialled: str) -> None:
    source = """
class Request:
    def __init__(self, call):
        self.call = call
    def __await__(self):
        return self.call().__await__()
async def fetch(call):
    return await Request(call)
"""
    fetch = project(source)["fetch"]
    inner = project("async def inner(call):\n    return await call()\n", OTHER)["inner"]
    found = asyncio.run(fetch(functools.partial(inner, client[dialled])))
    assert found.at == Place(OTHER, 2, "inner")


ANYIO = """
import anyio, asyncio
async def connect():
    found = []
    async def dial(done):
        await anyio.sleep(0)
        found.append(here(TEST, asyncio.current_task()))
        done.set()
    async def outer(done):
        async with anyio.create_task_group() as group:
            group.start_soon(dial, done)
    async with anyio.create_task_group() as group:
        done = anyio.Event()
        group.start_soon(%s, done)
        await done.wait()
    return found[0]
"""


@pytest.mark.parametrize("started", ["dial", "outer"])
@pytest.mark.parametrize("waiting", ["await", "gather", "create_task", "task_group"])
def test_a_task_of_an_anyio_group_is_its_parents_before_that_waits_for_the_group(waiting: str, started: str) -> None:
    pytest.importorskip("anyio")
    connect = library("httpx.client", ANYIO % started, here=here, TEST=TEST)["connect"]
    found = run(waiting, connect)
    assert found.at == Place(USERS, BODIES[waiting][0], "fetch")
    assert found.test == Place(TEST, 2, "test_fetch")
    assert found.library == "httpx"


def test_a_trio_task_is_read_and_the_one_whose_nursery_it_is_in() -> None:
    trio = pytest.importorskip("trio")
    source = """
import trio
async def fetch(call):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
"""
    dial = """
import trio
async def connect():
    found.append(here(TEST, trio.lowlevel.current_task()))
    found.append(await trio.to_thread.run_sync(work, trio.lowlevel.current_task()))
def work(task):
    return here(TEST, task)
"""
    found: list[Trace] = []
    connect = library("httpx.client", dial, here=here, TEST=TEST, found=found)["connect"]
    trio.run(project(source)["fetch"], connect)
    assert [trace.library for trace in found] == ["httpx", "httpx"]
    assert [trace.at and trace.at.function for trace in found] == ["fetch", "fetch"]
    assert [trace.at and trace.at.filename for trace in found] == [USERS, USERS]


class _Proxy:
    """Answers no question, as a proxy outside its context does."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"asked for {name}")

    def __call__(self, _future: object) -> None:
        pass


def test_callbacks_that_hold_on_to_odd_things_are_no_obstacle(client: Namespace) -> None:
    proxy = _Proxy()
    kinds = (asyncio.Future, proxy, [1])

    def holds(_future: object) -> None:
        assert kinds
        if False:
            assert never

    async def main() -> Trace:
        task = asyncio.create_task(client["connect"]())
        task.add_done_callback(holds)
        task.add_done_callback(functools.partial(holds))
        task.add_done_callback(functools.partial(lambda _one, _two, _three: None, proxy, asyncio.Future))
        trace = await task
        assert isinstance(trace, Trace)
        return trace

    found = asyncio.run(main())
    assert found.at is not None
    assert found.at.function == "main"
    if found.at is None:
        never = 1


def test_tasks_that_wait_for_one_another_are_read_only_so_far(client: Namespace) -> None:
    async def wait(call: Callable[[], Awaitable[Trace]], deep: int) -> Trace:
        return await asyncio.create_task(wait_(call, deep - 1)) if deep else await call()

    wait_ = library(
        "deep",
        "import asyncio\nasync def wait(call, deep):\n"
        "    return await (asyncio.create_task(wait(call, deep - 1)) if deep else call())\n",
    )["wait"]
    near, far = (asyncio.run(wait(client["connect"], deep)).at for deep in (20, 200))
    assert near is not None
    assert near.function == "wait"
    assert far is not None
    assert far.function == "<genexpr>"  # the line that runs the loop


def suspended(start: Callable[[asyncio.Future[None]], Coroutine[Any, Any, None]]) -> Trace:
    """What a task tells, to a thread of its executor, that surely waits by then."""

    async def main() -> Trace:
        future = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(start(future))
        await asyncio.sleep(0)
        found = stack.read(None, TEST, task)
        future.set_result(None)
        await task
        return found

    return asyncio.run(main())


def test_what_stands_behind_an_await_method_is_read() -> None:
    get = library("httpx.client", "async def get(future):\n    await future\n")["get"]
    source = """
class Call:
    def __init__(self, step):
        self.step = step
    def __await__(self):
        return self.step.__await__()
async def fetch(get, future):
    await Call(get(future))
"""
    found = suspended(functools.partial(project(source)["fetch"], get))
    assert (found.at, found.library) == (Place(USERS, 8, "fetch"), "httpx")


def test_coroutines_that_wait_for_one_another_are_read_only_so_far() -> None:
    deep = library("deep", "async def wait(deep, future):\n    await (wait(deep - 1, future) if deep else future)\n")
    fetch = project("async def fetch(wait, deep, future):\n    await wait(deep, future)\n")["fetch"]
    for levels in (20, 300):
        assert suspended(functools.partial(fetch, deep["wait"], levels)).at == Place(USERS, 2, "fetch")


def test_a_task_that_begins_to_wait_while_it_is_read_is_no_obstacle() -> None:
    step: Any = (number for number in (1, 2))  # its frame is on no thread's stack
    coroutine = types.SimpleNamespace(cr_running=True, cr_frame=step.gi_frame)
    task = types.SimpleNamespace(get_coro=lambda: coroutine, get_loop=object)
    assert stack._frames_of(task) == [step.gi_frame]


# -- exceptions --------------------------------------------------------------------------------------------------------


def _raised(call: Callable[..., object], *args: object) -> BaseException:
    try:
        call(*args)
    except ZeroDivisionError as error:
        return error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)  # without this very line
    raise AssertionError


FAIL = library("redis.client", "def fail():\n    return 1 / 0\n")["fail"]


def test_an_exception_tells_the_line_the_tests_line_and_the_library() -> None:
    fetch = project("def fetch(then):\n    return then()\n")["fetch"]
    test = project("def test_fetch(then):\n    return fetch(then)\n", TEST, fetch=fetch)["test_fetch"]
    error = _raised(test, FAIL)
    at = Place(USERS, 2, "fetch")
    assert read_exception(error, TEST) == Trace(at, Place(TEST, 2, "test_fetch"), "redis")
    assert read_exception(error) == Trace(at, None, "redis")


def test_an_exception_of_a_test_that_did_it_itself_tells_its_line_once() -> None:
    test = project("def test_it(then):\n    return then()\n", TEST)["test_it"]
    assert read_exception(_raised(test, FAIL), TEST) == Trace(Place(TEST, 2, "test_it"), None, "redis")


def test_an_exception_tells_the_line_it_came_through_and_not_where_the_frame_has_got_to() -> None:
    source = (
        "def fetch(then):\n    try:\n        then()\n    except ZeroDivisionError as error:\n        return error\n"
    )
    error = project(source)["fetch"](FAIL)
    assert read_exception(error).at == Place(USERS, 3, "fetch")


def test_an_exception_that_came_through_a_cassette_tells_it() -> None:
    play = library("vcr.stubs")["call"]
    fetch = project("def fetch(play, then):\n    return play(then)\n")["fetch"]
    found = read_exception(_raised(fetch, play, FAIL))
    assert (found.cassette, found.library) == (True, "redis")


def test_an_exception_that_was_never_raised_tells_nothing() -> None:
    assert read_exception(ValueError()) == Trace()
