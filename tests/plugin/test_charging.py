"""Rule 4: an attempt is charged to the code that caused it, whoever runs meanwhile."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

DIAL: Final = """
import asyncio, concurrent.futures, contextlib, contextvars, multiprocessing, multiprocessing.pool, os, queue, socket, sys
import threading, time, unittest
import pytest
from pytest_test_categories import network_guard

TARGET = ("198.51.100.1", 9)

def dial():
    with contextlib.suppress(Exception):
        socket.create_connection(TARGET, 1).close()

def local(listener=[]):
    if not listener:
        listener.append(socket.create_server(("127.0.0.1", 0)))
    socket.create_connection(listener[0].getsockname(), 1).close()
"""

POOLS: Final = (
    DIAL
    + """
pool = concurrent.futures.ThreadPoolExecutor(1)
threads = []

@pytest.mark.large
def test_a_large_starts_the_workers():
    pool.submit(int).result()
    threads.append(multiprocessing.pool.ThreadPool(1))
    threads[0].apply(int)

@pytest.mark.small
def test_b_small_submits():
    pool.submit(dial).result()

@pytest.mark.small
def test_c_small_applies():
    threads[0].apply(dial)

@pytest.mark.small
def test_d_small_maps():
    threads[0].map(lambda _: dial(), [1])

@pytest.mark.small
def test_e_small_imap():
    list(threads[0].imap(lambda _: dial(), [1]))

@pytest.mark.small
def test_f_small_maps_in_executor():
    list(pool.map(lambda _: dial(), [1]))

@pytest.mark.medium
def test_g_medium_may_stay_here():
    pool.submit(local).result()
    threads[0].apply(local)

@pytest.mark.small
def test_h_small_starts_a_worker():
    pool.shutdown()
    threads[0].terminate()
    threads[:] = [concurrent.futures.ThreadPoolExecutor(1)]
    threads[0].submit(int).result()

@pytest.mark.medium
def test_i_medium_uses_the_worker_of_a_small_test():
    threads[0].submit(local).result()
    threads[0].shutdown()

@pytest.mark.small
def test_j_to_thread():
    asyncio.run(asyncio.to_thread(dial))

@pytest.mark.small
def test_k_thread_of_a_thread():
    def outer():
        inner = threading.Thread(target=dial)
        inner.start()
        inner.join()
    thread = threading.Thread(target=outer)
    thread.start()
    thread.join()

@pytest.mark.small
def test_l_callback_of_a_future():
    with concurrent.futures.ThreadPoolExecutor(1) as own:
        own.submit(time.sleep, 0.02).add_done_callback(lambda _: dial())

@pytest.mark.small
def test_m_initializer():
    with concurrent.futures.ThreadPoolExecutor(1, initializer=dial) as own:
        own.submit(int).result()

@pytest.mark.medium
def test_n_guard_of_the_submitter():
    with concurrent.futures.ThreadPoolExecutor(1) as own:
        with network_guard("small"), contextlib.suppress(Exception):
            own.submit(local).result()

@pytest.mark.small
def test_o_run_in_executor():
    async def main():
        await asyncio.get_running_loop().run_in_executor(None, dial)
    asyncio.run(main())

@pytest.mark.small
def test_p_low_level_thread():
    import _thread
    done = threading.Event()
    def body():
        dial()
        done.set()
    _thread.start_new_thread(body, ())
    done.wait(5)
    time.sleep(0.02)

@pytest.mark.small
def test_z_clean():
    pass
"""
)


def test_jobs_and_threads_are_charged_to_who_gave_them(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    summary: Callable[[pytest.RunResult], list[str]],
    workers: int,
) -> None:
    pytester.makepyfile(test_pools=POOLS)
    result = run_pytest("-v", "--dist=loadfile" if workers else "-v", workers=workers)
    found = outcomes(result)
    green = {name for name, words in found.items() if words == {"PASSED"}}
    assert green == {
        "test_a_large_starts_the_workers",
        "test_g_medium_may_stay_here",
        "test_h_small_starts_a_worker",
        "test_i_medium_uses_the_worker_of_a_small_test",
        "test_z_clean",
    }
    assert len(found) == POOLS.count("def test_")
    assert not [line for line in summary(result) if "no running test" in line]


LEFTOVERS: Final = (
    DIAL
    + """
go, done = threading.Event(), threading.Event()

def later(go, done):
    go.wait(10)
    dial()
    done.set()

@pytest.mark.small
def test_a_leaves_a_thread():
    threading.Thread(target=later, args=(go, done), daemon=True).start()

@pytest.mark.large
def test_b_runs_meanwhile():
    go.set()
    assert done.wait(10)

@pytest.mark.small
def test_c_runs_after():
    pass
"""
)


def test_a_leftover_is_charged_to_its_test_and_not_to_the_bystander(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    workers: int,
) -> None:
    pytester.makepyfile(test_left=LEFTOVERS)
    result = run_pytest("-q", *(["--dist=loadfile"] if workers else []), workers=workers)
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert summary(result)[:3] == [
        "network violations that no running test is charged with: 1 (they fail the run)",
        "  test_left.py::test_a_leaves_a_thread [small]",
        (
            "    198.51.100.1:9 at test_left.py:10 in dial; in thread Thread-1 (later); "
            "by a thread that test_left.py::test_a_leaves_a_thread started and that outlived it"
        ),
    ]
    assert (
        "Network access violation in test_a_leaves_a_thread: attempted connection to 198.51.100.1:9"
        in result.stderr.str()
    )


BETWEEN: Final = (
    DIAL
    + """
@pytest.mark.small
def test_leaves_a_thread():
    import conftest
    def body():
        conftest.go.wait(10)
        dial()
    conftest.left.append(threading.Thread(target=body, daemon=True))
    conftest.left[0].start()
"""
)


@pytest.mark.parametrize("hook", ["pytest_runtest_logfinish(nodeid)", "pytest_sessionfinish()"])
def test_a_leftover_between_tests_or_after_the_last_fails_the_run(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    hook: str,
    workers: int,
) -> None:
    name, _, rest = hook.partition("(")
    pytester.makeconftest(
        f"""
import pytest, threading
go, left = threading.Event(), []

@pytest.hookimpl(tryfirst=True)
def {name}({rest}:
    go.set()
    for thread in left: thread.join(5)
"""
    )
    pytester.makepyfile(test_left=BETWEEN)
    result = run_pytest(workers=workers)
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "  test_left.py::test_leaves_a_thread [small]" in summary(result)


def test_a_leftover_once_the_exit_status_is_decided_is_told_on_the_terminal(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest(
        """
import threading
go, left = threading.Event(), []

def pytest_terminal_summary():
    go.set()
    for thread in left: thread.join(5)
"""
    )
    pytester.makepyfile(test_left=BETWEEN)
    result = run_pytest()
    assert result.ret == pytest.ExitCode.OK
    result.stderr.fnmatch_lines(
        ["Network access violation after the run: test_left.py::test_leaves_a_thread attempted 198.51.100.1:9 *"]
    )


OUTLIVES: Final = """
import os, pytest, socket, threading, time

def dial():
    with open("dialled", "a") as file:
        try:
            socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("198.51.100.1", 9))
            file.write("went out ")
        except BaseException as error:
            file.write(type(error).__name__ + " ")

@pytest.mark.small
def test_leaves_a_timer():
    threading.Timer(1, dial).start()

@pytest.mark.small
def test_leaves_a_child():
    if hasattr(os, "fork") and not os.fork():
        while os.getppid() == PARENT:
            time.sleep(0.01)
        dial()
        os._exit(0)

PARENT = os.getpid()
"""


def test_leftovers_are_refused_when_the_run_is_over_too(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(test_left=OUTLIVES)
    result = run_pytest("-p", "no:randomly", "-W", "ignore")
    result.assert_outcomes(passed=2)
    dialled = pytester.path / "dialled"
    deadline = time.monotonic() + 10
    while dialled.read_text().count(" ") < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert dialled.read_text() == "NetworkAccessViolationError NetworkAccessViolationError "
    result.stderr.fnmatch_lines(
        ["Network access violation after the run: test_left.py::test_leaves_a_timer attempted 198.51.100.1:9 *"]
    )


AT_EXIT: Final = """
import atexit, pytest, sys, threading
import imported
from imported import dial

@pytest.mark.small
def test_registers():
    assert atexit.register(dial, "in a test") is dial

@pytest.mark.small
def test_registers_for_the_end_of_threads():
    threading._register_atexit(dial, "for the end of threads")

@pytest.mark.small
def test_takes_it_back():
    atexit.register(test_takes_it_back)
    atexit.unregister(test_takes_it_back)
"""
IMPORTED: Final = """
import atexit, queue, socket, sys, threading

def dial(where):
    try:
        socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))
    except Exception as error:
        print(where, type(error).__name__, file=sys.stderr)
    else:
        print(where, "went out", file=sys.stderr)

jobs = queue.Queue()
worker = threading.Thread(target=lambda: dial(jobs.get()), daemon=True)
worker.start()

def close():
    jobs.put("by a worker")
    worker.join()

atexit.register(close)
atexit.register(dial, "at import")
"""
WAYS_TO_EXIT: Final = ("in a test", "for the end of threads", "by a worker", "at import")


@pytest.mark.parametrize("options", [{}, {"workers": 1}, {"mode": "warn"}])
@pytest.mark.parametrize("larger", [False, True])
def test_rule_4_the_exit_is_held_to_the_largest_size_that_ran(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], larger: bool, options: dict[str, Any]
) -> None:
    more = "\n@pytest.mark.medium\ndef test_medium():\n    pass\n" if larger else ""
    pytester.makepyfile(test_exit=AT_EXIT + more, imported=IMPORTED)
    pytester.makeconftest(
        """
        import atexit, socket, sys

        def runners():
            socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))
            print("the runner's went out", file=sys.stderr)

        atexit.register(runners)
        """
    )
    plugins = ("xdist",) if options.get("workers") else ()
    result = run_pytest("-p", "no:randomly", plugins=plugins, **options)
    result.assert_outcomes(passed=4 if larger else 3)
    assert result.ret == 0
    said = result.stderr.str()
    permitted = larger or options.get("mode") == "warn"
    for way in WAYS_TO_EXIT:
        assert f"{way} {'went out' if permitted else 'NetworkAccessViolationError'}" in said
    assert "the runner's went out" in said
    told = "Network access violation after the run: the end of the process attempted 127.0.0.1:9"
    assert (told in said) == (not larger)


def test_exit_functions_leave_nothing_wrapped_behind_the_run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        test_exit=AT_EXIT,
        imported=IMPORTED,
        runs="""
        import socket, pytest
        args = ["-p", "pytest_test_categories.pytest_plugin", "--test-categories-enforcement=strict", "-q"]
        assert pytest.main([*args, "test_exit.py"]) == 0
        assert "connect" not in vars(socket.socket)
        """,
    )
    done = pytester.runpython(pytester.path / "runs.py")
    assert done.ret == 0, done.stderr.str()
    assert done.stderr.str().count("NetworkAccessViolationError") == len(WAYS_TO_EXIT)


def test_rule_9_what_the_interpreter_registers_once_more_for_all_is_no_tests_own(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        """
        import multiprocessing, pytest

        @pytest.mark.large
        def test_manager():
            global manager
            manager = multiprocessing.get_context("fork").Manager()

        @pytest.mark.small
        def test_logger():
            multiprocessing.get_logger()  # has multiprocessing register its clean-up again, to be called last
        """
    )
    result = run_pytest("--test-categories-enforcement=strict", "-W", "ignore")
    result.assert_outcomes(passed=2)
    assert "violation" not in result.stdout.str() + result.stderr.str()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors")
def test_later_runs_keep_nothing_for_an_earlier_ones_exit_function(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        test_exits="""
        import atexit, pytest

        @pytest.mark.small
        def test_registers():
            atexit.register(id, 1)
        """,
        test_other="def test_other(): pass",
        runs="""
        import os, pytest
        args = ["-p", "pytest_test_categories.pytest_plugin", "--test-categories-enforcement=strict", "-p", "no:faulthandler"]
        counts = []
        for file in ("test_exits.py", *["test_other.py"] * 4):
            assert pytest.main([*args, file]) == 0
            counts.append(len(os.listdir("/proc/self/fd")))
        assert counts[1:] == counts[:1] * 4, counts
        """,
    )
    done = pytester.runpython(pytester.path / "runs.py")
    assert done.ret == 0, done.stderr.str()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors")
def test_runs_inside_a_test_keep_nothing_for_its_exit_function(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest("pytest_plugins = ['pytester']")
    pytester.makepyfile(
        """
        import atexit, os, pytest

        def leave():
            pass

        @pytest.mark.small
        def test_runs(pytester):
            atexit.register(leave)
            pytester.makepyfile("def test_one(): pass")
            args = ["-p", "pytest_test_categories.pytest_plugin", "--test-categories-enforcement=strict"]
            counts = []
            for _ in range(4):
                assert pytester.runpytest_inprocess(*args).ret == 0
                counts.append(len(os.listdir("/proc/self/fd")))
            assert counts[1:] == counts[:1] * 3
        """
    )
    run_pytest("--test-categories-enforcement=strict").assert_outcomes(passed=1)


def test_what_a_run_left_wrapped_for_its_threads_goes_with_the_next_one(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        test_left="""
        import threading, pytest
        left = []

        @pytest.mark.small
        def test_leaves_a_thread():
            left.append(threading.Event())
            threading.Thread(target=left[0].wait, args=(10,)).start()
        """,
        runs="""
        import socket, sys, pytest
        args = ["-p", "pytest_test_categories.pytest_plugin", "--test-categories-enforcement=strict", "-q", "test_left.py"]
        assert pytest.main(args) == 0
        assert "connect" in vars(socket.socket)
        thread = sys.modules["test_left"].left[0]
        thread.set()
        sys.modules["test_left"].threading.enumerate()[-1].join()
        assert pytest.main([*args, "-k", "none"]) == 5
        assert "connect" not in vars(socket.socket)
        """,
    )
    done = pytester.runpython(pytester.path / "runs.py")
    assert done.ret == 0, done.stderr.str()


HEARTBEAT: Final = (
    DIAL
    + """
class Heart(threading.Thread):
    def __init__(self, beat):
        super().__init__(daemon=True)
        self.beat, self.stop, self.beats = beat, threading.Event(), 0
    def run(self):
        while not self.stop.wait(0.01):
            self.beat()
            self.beats += 1
    def wait(self):
        before, end = self.beats, time.monotonic() + 5
        while self.beats < before + 2 and time.monotonic() < end:
            time.sleep(0.01)

@pytest.fixture(scope="session")
def local_heart():
    heart = Heart(local)
    heart.start()
    yield heart
    heart.stop.set()
    heart.join()

@pytest.fixture(scope="module")
def far_heart():
    heart = Heart(dial)
    heart.start()
    yield heart
    heart.stop.set()
    heart.join()

@pytest.mark.medium
def test_a_medium(local_heart):
    local_heart.wait()

@pytest.mark.small
def test_b_bystander():
    time.sleep(0.05)

@pytest.mark.medium
def test_c_medium(local_heart):
    local_heart.wait()
"""
)


def test_a_fixtures_thread_is_held_to_its_fixtures_size(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
) -> None:
    pytester.makepyfile(
        test_beats=HEARTBEAT,
        test_far=HEARTBEAT
        + """
@pytest.mark.medium
def test_d_far(far_heart):
    far_heart.wait()
""",
    )
    result = run_pytest("-q", "test_beats.py")
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.OK
    result = run_pytest("-q", "test_far.py")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    listed = "\n".join(summary(result))
    assert "in fixture far_heart (module), held to medium by test_far.py::test_d_far" in listed
    assert "outlived" not in listed


def test_threads_older_than_the_collection_are_free_and_so_are_those_they_start(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], workers: int
) -> None:
    pytester.makepyfile(
        old_threads="""
import queue, socket, threading

asked, answered = queue.Queue(), queue.Queue()
server = socket.create_server(("127.0.0.1", 0))

def connect():
    try:
        socket.create_connection(server.getsockname(), 1).close()
        answered.put("through")
    except BaseException as error:
        answered.put(repr(error))

def old():
    while True:
        if asked.get() == "thread":
            threading.Thread(target=connect).start()
        else:
            connect()

def pytest_configure():
    threading.Thread(target=old, daemon=True).start()
""",
        test_old="""
import pytest, old_threads

@pytest.mark.small
@pytest.mark.parametrize("what", ["self", "thread"])
def test_small(what):
    old_threads.asked.put(what)
    assert old_threads.answered.get(timeout=5) == "through"
""",
    )
    result = run_pytest(plugins=("old_threads",), workers=workers)
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK


def test_threads_started_at_import_are_unattributed_and_fail_the_run(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    workers: int,
) -> None:
    pytester.makepyfile(
        test_import=DIAL
        + """
go, done = threading.Event(), threading.Event()

def body():
    go.wait(10)
    dial()
    done.set()

threading.Thread(target=body, daemon=True, name="poller").start()

@pytest.mark.small
def test_bystander():
    go.set()
    assert done.wait(5)
"""
    )
    # Each worker imports the module; the thread of one of them is let go.
    result = run_pytest(workers=workers)
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    listed = "\n".join(summary(result))
    assert "in thread poller; by a thread that no test is known to have started" in listed
    assert "network violations that no running test is charged with: 1 (they fail the run)" in listed


ASYNC: Final = (
    DIAL
    + """
state = {}

@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.small
async def test_a_leaves_a_task():
    async def body():
        await state["go"].wait()
        dial()
        state["done"].set()
    state["go"], state["done"] = asyncio.Event(), asyncio.Event()
    state["task"] = asyncio.create_task(body())
    await asyncio.sleep(0)

@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.large
async def test_b_large_meanwhile():
    state["go"].set()
    await asyncio.wait_for(state["done"].wait(), 5)

@pytest.mark.small
@pytest.mark.parametrize("scope", ["function", "class", "module", "package", "session"])
def test_c_scopes(scope):
    pass

for scope in ("function", "class", "module", "package", "session"):
    @pytest.mark.asyncio(loop_scope=scope)
    @pytest.mark.small
    async def dials():
        dial()

    @pytest.mark.asyncio(loop_scope=scope)
    @pytest.mark.medium
    async def stays():
        local()
        await asyncio.to_thread(local)

    @pytest.mark.asyncio(loop_scope=scope)
    @pytest.mark.small
    async def threads():
        await asyncio.to_thread(dial)

    globals()[f"test_{scope}_dials"] = dials
    globals()[f"test_{scope}_stays"] = stays
    globals()[f"test_{scope}_threads"] = threads
    del dials, stays, threads
"""
)


def test_tasks_are_charged_at_every_loop_scope_of_pytest_asyncio(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    summary: Callable[[pytest.RunResult], list[str]],
    workers: int,
) -> None:
    pytester.makepyfile(**{"package/__init__": "", "package/test_loops": ASYNC})
    result = run_pytest("-v", *(["--dist=loadfile"] if workers else []), plugins=("asyncio",), workers=workers)
    found = outcomes(result)
    failed = {name for name, words in found.items() if "FAILED" in words}
    scopes = ("function", "class", "module", "package", "session")
    assert failed == {f"test_{scope}_{what}" for scope in scopes for what in ("dials", "threads")}
    assert len(found) == 2 + 5 + 15
    listed = "\n".join(summary(result))
    assert "network violations that no running test is charged with: 1 (they fail the run)" in listed
    assert "by a task that package/test_loops.py::test_a_leaves_a_task started and that outlived it" in listed


ANYIO: Final = (
    DIAL
    + """
import anyio

pytestmark = pytest.mark.anyio

@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param

@pytest.fixture(scope="module")
async def resource(anyio_backend):
    async with anyio.create_task_group() as group:
        yield group
        group.cancel_scope.cancel()

@pytest.fixture
async def dialling():
    dial()

@pytest.mark.medium
async def test_a_medium(resource):
    local()
    await anyio.to_thread.run_sync(local)

@pytest.mark.small
async def test_b_small_dials(resource):
    dial()

@pytest.mark.small
async def test_c_small_threads(resource):
    await anyio.to_thread.run_sync(dial)

@pytest.mark.medium
async def test_d_medium_after_small(resource):
    local()
    await anyio.to_thread.run_sync(local)

@pytest.mark.small
async def test_e_small_fixture(dialling):
    pass

@pytest.mark.large
async def test_f_large(resource):
    await anyio.to_thread.run_sync(local)
    local()

@pytest.mark.small
async def test_g_task_of_a_group():
    async with anyio.create_task_group() as group:
        async def one(): dial()
        group.start_soon(one)

@pytest.mark.small
async def test_h_client_swallows():
    with contextlib.suppress(Exception):
        await anyio.connect_tcp(*TARGET)

@pytest.mark.small
async def test_i_clean(resource):
    pass
"""
)


def test_anyios_runner_task_charges_the_running_test(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    summary: Callable[[pytest.RunResult], list[str]],
    workers: int,
) -> None:
    pytester.makepyfile(test_anyio=ANYIO)
    result = run_pytest("-v", *(["--dist=loadfile"] if workers else []), plugins=("anyio",), workers=workers)
    found = outcomes(result)
    letters: dict[str, set[str]] = {name[5]: set() for name in found}
    for name, words in found.items():
        letters[name[5]] |= words
    bad = {letter for letter, words in letters.items() if {"FAILED", "ERROR"} & words}
    good = {letter for letter, words in letters.items() if words == {"PASSED"}}
    assert (bad, good) == ({*"bcegh"}, {*"adfi"})
    assert len(found) == 18
    assert not [line for line in summary(result) if "no running test" in line]


INHERITED: Final = (
    DIAL
    + """
import anyio

pytestmark = pytest.mark.anyio
said = contextvars.ContextVar("said", default="nothing")

@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param

@pytest.fixture(scope="module")
async def broad(anyio_backend):
    yield

@pytest.mark.medium
async def test_a_guards_and_says(broad):
    said.set("a")
    async with network_guard("small"):
        await anyio.sleep(0)
    local()

@pytest.mark.medium
async def test_b_in_the_context_of_a(broad):
    assert said.get() == "a"
    local()
    await anyio.to_thread.run_sync(local)

@pytest.mark.small
async def test_c_dials(broad):
    assert said.get() == "a"
    with contextlib.suppress(Exception): dial()

@pytest.mark.large
async def test_e_large(broad):
    local()

@pytest.mark.small
async def test_f_dials_in_a_task(broad):
    async def one():
        with contextlib.suppress(Exception): dial()
    async with anyio.create_task_group() as group:
        group.start_soon(one)

@pytest.mark.small
async def test_g_clean(broad): pass

@pytest.mark.medium
def test_h_plain():
    local()
"""
)


def test_rule_4_coroutine_tests_in_the_context_of_the_test_before_are_charged_each_by_itself(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    summary: Callable[[pytest.RunResult], list[str]],
) -> None:
    # anyio's plugin (4.16): once there is an asynchronous fixture of a module, its tests' ContextVars go on.
    pytester.makepyfile(test_anyio=INHERITED)
    result = run_pytest("-v", "--tb=short", plugins=("anyio",))
    found = outcomes(result)
    failed = {name.partition("[")[0] for name, words in found.items() if words != {"PASSED"}}
    assert failed == {"test_c_dials", "test_f_dials_in_a_task"}
    told = [line.strip().partition("::")[2] for line in summary(result) if "::" in line]
    assert sorted(told) == [f"{name} (2 parameter sets) [small]" for name in sorted(failed)]


ISOLATED: Final = (
    DIAL
    + """
@pytest.mark.small
class Small(unittest.IsolatedAsyncioTestCase):
    async def test_a_dials(self):
        dial()
    async def test_b_threads(self):
        await asyncio.to_thread(dial)
    async def test_c_clean(self):
        pass

@pytest.mark.medium
class Medium(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        local()
        await asyncio.to_thread(local)
    async def asyncTearDown(self):
        local()
    async def test_d_stays(self):
        local()
        await asyncio.to_thread(local)

@pytest.mark.medium
class SizedByMethod(unittest.IsolatedAsyncioTestCase):
    @pytest.mark.small
    async def test_e_dials(self):
        local()
    async def test_f_stays(self):
        local()
"""
)


def test_isolated_asyncio_test_cases_charge_their_own_test(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
) -> None:
    pytester.makepyfile(test_cases=ISOLATED)
    found = outcomes(run_pytest("-v"))
    failed = {name.rpartition("::")[2] for name, words in found.items() if "FAILED" in words}
    assert failed == {"test_a_dials", "test_b_threads", "test_e_dials"}
    assert len(found) == 6


FORKS: Final = (
    DIAL
    + """
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")

def forked(body):
    child = os.fork()
    if child == 0:
        try: body()
        finally: os._exit(0)
    os.waitpid(child, 0)

@pytest.mark.small
def test_a_fork():
    forked(dial)

@pytest.mark.small
def test_b_process():
    process = multiprocessing.get_context("fork").Process(target=dial)
    process.start()
    process.join()

@pytest.mark.medium
def test_c_medium_stays():
    forked(local)

@pytest.mark.small
def test_d_process_pool():
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        pool.submit(dial).result()

@pytest.mark.small
def test_e_clean():
    forked(lambda: None)
"""
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_tells_its_parent_what_it_was_refused(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    workers: int,
) -> None:
    pytester.makepyfile(test_forks=FORKS)
    result = run_pytest("-v", workers=workers)
    found = outcomes(result)
    assert {name for name, words in found.items() if "FAILED" in words} == {
        "test_a_fork",
        "test_b_process",
        "test_d_process_pool",
    }
    assert {name for name, words in found.items() if words == {"PASSED"}} == {"test_c_medium_stays", "test_e_clean"}
    result.stdout.fnmatch_lines(["*in child process *"])


def test_a_run_that_hangs_on_a_refused_thread_names_it_at_once(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        test_hang=DIAL
        + """
@pytest.mark.small
def test_waits_for_ever():
    answer = queue.Queue()
    def body():
        socket.create_connection(TARGET, 1)
        answer.put(1)
    threading.Thread(target=body, daemon=True, name="fetcher").start()
    answer.get()
"""
    )
    with pytest.raises(pytester.TimeoutExpired):
        run_pytest(timeout=4)
    told = (pytester.path / "stderr").read_text()
    assert (
        "Network access violation in test_waits_for_ever: attempted connection to 198.51.100.1:9 (thread fetcher)"
        in told
    )


GREENLETS: Final = """
import pytest, socket
import {library} as library
made = []

def dial():
    try:
        socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))
    except Exception:
        pass

@pytest.fixture(scope="module")
def server():
    {start}
    yield

@pytest.mark.small
def test_a_leaves():
    {start}

@pytest.mark.large
def test_b_large():
    library.sleep(0.2)

@pytest.mark.large
def test_c_leaves():
    {start}

@pytest.mark.small
def test_d_small():
    library.sleep(0.2)

@pytest.mark.medium
def test_e_server(server):
    pass

@pytest.mark.large
def test_f_large():
    library.sleep(0.2)
"""


@pytest.mark.parametrize(
    ("library", "start"),
    [
        ("gevent", "library.spawn(dial)"),
        ("gevent", "library.spawn_later(0.05, dial)"),
        ("gevent", "library.spawn_raw(dial)"),
        ("gevent", "made.append(library.Greenlet(dial)); made[-1].start_later(0.01)"),
        ("gevent", "import gevent.pool; gevent.pool.Pool(2).apply_async(dial)"),
        ("gevent", "import gevent.pool; gevent.pool.Group().spawn(library.spawn, dial)"),
        ("gevent", "library.spawn(library.sleep, 0.05).link(lambda _: dial())"),
        ("gevent", "library.spawn(library.sleep, 0.05).link_value(lambda _: dial())"),
        ("eventlet", "library.spawn(dial)"),
        ("eventlet", "library.spawn_n(dial)"),
        ("eventlet", "library.spawn_after(0.05, dial)"),
        ("eventlet", "library.GreenPool(2).spawn_n(dial)"),
    ],
)
def test_rule_4_a_greenlet_that_outlives_its_test_is_a_leftover_of_whoever_spawned_it(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], library: str, start: str
) -> None:
    if importlib.util.find_spec(library) is None:  # not imported here: eventlet warns of forks from then on
        pytest.skip(f"{library} is not there")
    pytester.makepyfile(test_greenlets=GREENLETS.format(library=library, start=start))
    result = run_pytest("-p", "no:randomly", "--test-categories-enforcement=strict")
    result.assert_outcomes(passed=6)
    assert result.ret == 1
    said = result.stdout.str()
    assert "test_greenlets.py::test_a_leaves [small]" in said
    assert "by a greenlet that test_greenlets.py::test_a_leaves started and that outlived it" in said
    for bystander in ("test_b", "test_c", "test_d", "test_e", "test_f"):
        assert f"::{bystander}" not in said


def test_rule_4_a_job_of_eventlets_threads_is_a_leftover_of_whoever_submitted_it(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    if importlib.util.find_spec("eventlet") is None:
        pytest.skip("eventlet is not there")
    start = "from eventlet import tpool; import time; library.spawn(tpool.execute, lambda: (time.sleep(0.05), dial()))"
    start += "; library.sleep(0)"  # else it is submitted later
    pytester.makepyfile(test_greenlets=GREENLETS.format(library="eventlet", start=start))
    result = run_pytest("-p", "no:randomly", "--test-categories-enforcement=strict")
    result.assert_outcomes(passed=6)
    assert result.ret == 1
    said = result.stdout.str()
    assert "by a job that test_greenlets.py::test_a_leaves started and that outlived it" in said
    for bystander in ("test_b", "test_c", "test_d", "test_e", "test_f"):
        assert f"::{bystander}" not in said


def test_rule_4_a_greenlet_is_of_whoever_starts_it_whoever_made_it(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    if importlib.util.find_spec("gevent") is None:
        pytest.skip("gevent is not there")
    pytester.makepyfile(
        test_greenlets="""
        import gevent, pytest, socket
        made = []

        def dial():
            socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))

        @pytest.mark.small
        def test_a_makes():
            made.append(gevent.Greenlet(dial))

        @pytest.mark.large
        def test_b_starts():
            made[0].start()
            made[0].get()
        """
    )
    run_pytest("-p", "no:randomly").assert_outcomes(passed=2)


def test_a_link_of_a_greenlet_is_taken_back_by_what_was_given(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    if importlib.util.find_spec("gevent") is None:
        pytest.skip("gevent is not there")
    pytester.makepyfile(
        """
        import gevent, pytest

        @pytest.mark.small
        def test_unlinks():
            called = []
            greenlet = gevent.spawn(gevent.sleep, 0)
            greenlet.link(called.append)
            greenlet.unlink(called.append)
            greenlet.join()
            gevent.sleep(0.01)
            assert not called
        """
    )
    run_pytest().assert_outcomes(passed=1)


def test_rule_4_what_a_hub_calls_by_itself_is_the_runs(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    if importlib.util.find_spec("gevent") is None:
        pytest.skip("gevent is not there")
    pytester.makepyfile(
        """
        import gevent, pytest, socket
        kept = []

        def dial():
            try:
                socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("198.51.100.1", 9))
            except Exception:
                pass

        @pytest.mark.small
        def test_a_leaves():
            kept.append(gevent.get_hub().loop.timer(0.05))
            kept[0].start(dial)

        @pytest.mark.small
        def test_b_bystander():
            gevent.sleep(0.2)
        """
    )
    result = run_pytest("-p", "no:randomly", "--test-categories-enforcement=strict")
    result.assert_outcomes(passed=2)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*by a greenlet that no test is known to have started*"])


@pytest.mark.skipif(sys.platform == "win32", reason="has no signals of one's own")
def test_rule_4_a_handlers_refusal_does_not_end_the_test_that_it_interrupts(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        test_signals="""
        import os, pytest, signal, socket

        def dial(*_):
            socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))

        @pytest.mark.small
        def test_a_installs():
            signal.signal(signal.SIGUSR1, dial)

        @pytest.mark.large
        def test_b_bystander():
            os.kill(os.getpid(), signal.SIGUSR1)
        """
    )
    result = run_pytest("-p", "no:randomly")
    result.assert_outcomes(passed=2)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*test_signals.py::test_a_installs [[]small]",
            "*127.0.0.1:9 *by a signal handler that test_signals.py::test_a_installs installed*",
        ]
    )


def test_an_attempt_of_a_leftover_is_one_however_many_guards_refuse_it(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        test_left="""
        import pytest, socket, threading
        from pytest_test_categories import network_guard
        go = threading.Event()

        def dial():
            go.wait()
            socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))

        @pytest.mark.small
        def test_a_leaves():
            with network_guard("small"):
                threading.Thread(target=dial).start()

        @pytest.mark.large
        def test_b_bystander():
            go.set()
            for thread in threading.enumerate():
                if thread is not threading.current_thread(): thread.join(5)
        """,
        test_imported="""
        import pytest, socket, threading
        pytestmark = pytest.mark.small

        def dial():
            socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 7))

        thread = threading.Thread(target=dial)
        thread.start()
        thread.join()

        def test_c(): pass
        """,
    )
    result = run_pytest("-p", "no:randomly", "test_left.py", "test_imported.py")
    result.assert_outcomes(passed=3)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*127.0.0.1:7 at test_imported.py*", "*127.0.0.1:9 at test_left.py*"])
    result.stdout.no_fnmatch_line("*(x2)*")


LEFT_BY_A_BLOCK: Final = (
    DIAL
    + """
pytestmark = pytest.mark.large
local()  # it listens from now on

def loopback():
    with contextlib.suppress(OSError):
        local()

def test_thread():
    ended = threading.Event()
    with network_guard("small"):
        thread = threading.Thread(target=lambda: (ended.wait(), loopback()))
        thread.start()
    ended.set()
    thread.join()

def test_job():
    ended = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with network_guard("small"):
            pool.submit(lambda: (ended.wait(), loopback()))
        ended.set()

def test_task():
    async def late(ended):
        await ended.wait()
        loopback()

    async def body():
        ended = asyncio.Event()
        with network_guard("small"):
            task = asyncio.create_task(late(ended))
        ended.set()
        await asyncio.wait([task])

    asyncio.run(body())

def test_callback():
    async def body():
        with network_guard("small"):
            asyncio.get_running_loop().call_later(0.01, loopback)
        await asyncio.sleep(0.1)

    asyncio.run(body())

def test_job_of_a_task():
    async def body():
        ended = threading.Event()
        with network_guard("small"):
            task = asyncio.create_task(asyncio.to_thread(lambda: (ended.wait(), loopback())))
            await asyncio.sleep(0.01)
        ended.set()
        await asyncio.wait([task])

    asyncio.run(body())

def test_greenlet():
    gevent = pytest.importorskip("gevent")
    with network_guard("small"):
        greenlet = gevent.spawn_later(0.01, loopback)
    greenlet.join()
"""
)


@pytest.mark.parametrize("mode", ["strict", "warn"])
def test_rule_4_what_a_block_has_left_over_is_held_to_it_and_charged_to_the_test_around_it(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], workers: int, mode: str
) -> None:
    pytester.makepyfile(test_blocks=LEFT_BY_A_BLOCK)
    result = run_pytest("-rf", mode=mode, workers=workers)
    greenlets = importlib.util.find_spec("gevent") is not None
    count = 5 + greenlets
    if mode == "strict":
        result.assert_outcomes(failed=count, skipped=not greenlets)
    else:
        result.assert_outcomes(passed=count, skipped=not greenlets, warnings=count)
    said = result.stdout.str()
    assert f"network violations: {count} in {count} tests" in said
    for what, test in (
        ("thread", "thread"),
        ("job", "job"),
        ("task", "task"),
        ("callback", "callback"),
        ("job", "job_of_a_task"),
        *([("greenlet", "greenlet")] if greenlets else ()),
    ):
        assert f"by a {what} that test_blocks.py::test_{test} started inside a guard that has ended" in said
    assert "no running test" not in said


def test_rule_4_what_is_begun_after_a_block_is_not_left_over_from_it(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], workers: int
) -> None:
    pytester.makepyfile(
        DIAL
        + """
import pytest_test_categories
pytestmark = pytest.mark.medium

def test_the_same_thread_goes_on():
    with network_guard("small"):
        kept = contextvars.copy_context()
    local()
    kept.run(local)

def test_the_same_task_goes_on():
    async def body():
        with network_guard("small"):
            pass
        local()
        await asyncio.create_task(asyncio.to_thread(local))
        asyncio.get_running_loop().call_soon(local)
        await asyncio.sleep(0.01)

    asyncio.run(body())

def test_a_kept_runner():
    async def body():
        local()

    async def nothing():
        pass

    with network_guard("small"):
        runner = asyncio.Runner()
        runner.run(nothing())
    with runner:
        runner.run(body())

def test_a_kept_worker():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with network_guard("small"):
            pool.submit(int).result()
        pool.submit(local).result()

def test_who_expects_it_is_told():
    ended = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with network_guard("small"):
            job = pool.submit(lambda: (ended.wait(), local()))
        ended.set()
        with pytest.raises(pytest_test_categories.NetworkAccessViolationError, match="started inside a guard that has ended"):
            job.result()
"""
    )
    run_pytest(workers=workers).assert_outcomes(passed=5)


NEWER_THAN_A_CONTEXT: Final = (
    DIAL
    + """
async def nothing():
    pass

async def later(call, *, context=None):
    done = asyncio.get_running_loop().create_future()

    def callback(*_):
        try:
            done.set_result(call())
        except BaseException as error:
            done.set_exception(error)

    asyncio.get_running_loop().call_soon(callback, context=context)
    await done

async def body():
    await later(local)
    await asyncio.create_task(later(local))
    await asyncio.create_task(later(local), context=contextvars.copy_context())
    context = contextvars.copy_context()
    await context.run(asyncio.create_task, later(local), context=context)
"""
)


def test_rule_4_what_a_task_schedules_that_is_newer_than_a_block_is_not_left_over_from_it(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], workers: int
) -> None:
    pytester.makepyfile(
        NEWER_THAN_A_CONTEXT
        + """
@pytest.mark.medium
def test_block():
    with network_guard("small"):
        runner = asyncio.Runner()
        runner.run(nothing())
    with runner:
        runner.run(body())

kept = asyncio.Runner()

@pytest.mark.small
def test_it_is_kept():
    kept.run(nothing())

@pytest.mark.medium
def test_it_is_used():
    with kept:
        kept.run(body())
"""
    )
    run_pytest(workers=workers).assert_outcomes(passed=3)


MAKES_TASKS: Final = {
    "gather": "await asyncio.gather(dial(), return_exceptions=True)",
    "group": """async with asyncio.TaskGroup() as group:
        group.create_task(dial())""",
    "of a task of its own": "await asyncio.create_task(asyncio.wait([asyncio.create_task(dial())]))",
}


@pytest.mark.parametrize("makes", MAKES_TASKS.values(), ids=MAKES_TASKS)
def test_rule_4_a_task_that_a_leftover_makes_is_left_over_with_it(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], makes: str
) -> None:
    pytester.makepyfile(
        test_tasks=DIAL
        + f"""
loop = asyncio.new_event_loop()

async def dial():
    with contextlib.suppress(OSError):
        local()

async def late(ended):
    await ended.wait()
    {makes}

async def begin(ended):
    return asyncio.create_task(late(ended))

async def end(ended, task):
    ended.set()
    await asyncio.wait([task])

@pytest.mark.large
def test_block():
    local()  # it listens from now on

    async def body():
        ended = asyncio.Event()
        with network_guard("small"):
            task = await begin(ended)
        await end(ended, task)

    asyncio.run(body())

@pytest.mark.small
def test_leaves():
    global left
    ended = asyncio.Event()
    left = ended, loop.run_until_complete(begin(ended))

@pytest.mark.medium
def test_bystander():
    loop.run_until_complete(end(*left))
    loop.close()
"""
    )
    result = run_pytest("-rfp")
    assert result.ret == 1
    result.assert_outcomes(failed=1, passed=2)
    result.stdout.fnmatch_lines(["*test_tasks.py::test_block started inside a guard that has ended"])
    result.stdout.fnmatch_lines(["*no running test is charged with: 1 *", "*test_tasks.py::test_leaves started and*"])
    result.stdout.fnmatch_lines(["FAILED *::test_block*"])


def test_rule_4_a_task_of_trios_that_a_block_has_left_over_is_held_to_it(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytest.importorskip("trio")
    pytester.makepyfile(
        test_trio=DIAL
        + """
import trio
pytestmark = pytest.mark.large
local()

async def now():
    with contextlib.suppress(OSError):
        local()

async def late():
    await trio.sleep(0.01)
    await now()

async def makes_a_task():
    await trio.sleep(0.01)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(now)

@pytest.mark.parametrize("left", [late, makes_a_task])
def test_left(left):
    async def body():
        async with trio.open_nursery() as nursery:
            with network_guard("small"):
                nursery.start_soon(left)

    trio.run(body)

def test_after():
    @network_guard("small")
    async def guarded():
        await trio.sleep(0)

    async def body():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(guarded)
            await guarded()
            nursery.start_soon(late)
            await late()

    trio.run(body)

def test_a_kept_context():
    with network_guard("small"):
        kept = contextvars.copy_context()
    kept.run(trio.run, late)
"""
    )
    result = run_pytest("-rfp")
    result.assert_outcomes(failed=2, passed=2)
    result.stdout.fnmatch_lines(["FAILED *test_left*", "FAILED *test_left*"])
    result.stdout.fnmatch_lines(["*by a task that test_trio.py::test_left?late? started inside a guard that has ended"])


LEFT_IN_MODES: Final = (
    DIAL
    + """
from pytest_test_categories import expect_network_violation

pytestmark = pytest.mark.large
local()

def left(mode):
    ended = threading.Event()

    def late():
        ended.wait()
        with contextlib.suppress(Exception):
            local()

    with network_guard("small", mode):
        thread = threading.Thread(target=late)
        thread.start()
    ended.set()
    thread.join()

def test_warn():
    left("warn")

def test_strict():
    left("strict")

def test_strict_inside_of_warn():
    with network_guard("medium", "warn"):
        left("strict")

def test_expected():
    with expect_network_violation() as seen:
        left("strict")
    assert len(seen) == 1
"""
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", ["strict", "warn"])
def test_rule_4_what_a_block_has_left_over_is_told_as_its_mode_says(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], mode: str
) -> None:
    pytester.makepyfile(LEFT_IN_MODES)
    result = run_pytest("-rfp", "-W", "ignore", mode=mode)
    result.stdout.no_fnmatch_line("*no running test is charged with*")
    result.stdout.no_fnmatch_line("*::test_expected [[]large]*")
    if mode == "warn":
        result.assert_outcomes(passed=4)
    else:
        result.assert_outcomes(passed=2, failed=2)
        result.stdout.fnmatch_lines(["PASSED *::test_warn", "PASSED *::test_expected"])
