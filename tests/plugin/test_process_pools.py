"""Process pools that outlive a test: a job is held to its submitter's size and charged to it, whoever made the worker."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]
    Outcomes = Callable[[pytest.RunResult], dict[str, set[str]]]
    Lines = Callable[[pytest.RunResult], list[str]]

WORKER: Final = """
import socket, threading

def dial(_=None, port=9):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except Exception as error:
        return type(error).__name__
    return "connected"

def dial_in_thread(_=None):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(dial()))
    thread.start()
    thread.join()
    return answers[0]

def dial_often(times):
    return {dial() for _ in range(times)}

def fail(_=None):
    raise ValueError("as it is")
"""

POOLS: Final = {
    "executor": """
import concurrent.futures, multiprocessing
pool = concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context({method!r}))
def run(function, argument): return pool.submit(function, argument).result()
def run_all(function, arguments): return list(pool.map(function, arguments, chunksize=2))
def end(): pool.shutdown()
""",
    "pool": """
import multiprocessing
pools = []
def made():
    if not pools: pools.append(multiprocessing.get_context({method!r}).Pool(1))
    return pools[0]
def run(function, argument): return made().apply_async(function, (argument,)).get()
def run_all(function, arguments):
    answers = made().map(function, arguments, chunksize=2)
    assert list(made().imap(function, arguments)) == list(made().imap_unordered(function, arguments)) == answers
    return answers
def end(): pools.pop().terminate()
""",
    "process": """
import multiprocessing
def run(function, argument):
    process = multiprocessing.get_context({method!r}).Process(target=function, args=(argument,))
    process.start()
    process.join()
    return "done" if process.exitcode == 0 else process.exitcode
def end(): pass
""",
    "joblib": """
import joblib
def run(function, argument): return joblib.Parallel(n_jobs=2)([joblib.delayed(function)(argument)])[0]
def run_all(function, arguments): return joblib.Parallel(n_jobs=2)(joblib.delayed(function)(a) for a in arguments)
def end(): joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
""",
}

METHODS: Final = ["spawn"] if sys.platform == "win32" else ["fork", "spawn", "forkserver"]
KINDS: Final = [
    *(pytest.param("executor", method, id=f"executor-{method}") for method in METHODS),
    *(pytest.param("pool", method, id=f"pool-{method}") for method in METHODS),
    pytest.param("joblib", "", id="joblib"),
]

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


def write(pytester: pytest.Pytester, kind: str, method: str, code: str) -> None:
    if kind == "joblib":
        pytest.importorskip("joblib")
    pytester.makepyfile(
        worker=WORKER,
        test_it=f"""
import pytest, worker
{POOLS[kind].format(method=method)}
{code}
@pytest.mark.large
def test_z_end():
    end()
""",
    )


@pytest.mark.parametrize(("kind", "method"), KINDS)
def test_a_job_is_held_to_its_submitter_whoever_started_the_worker(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes, summary: Lines, kind: str, method: str
) -> None:
    write(
        pytester,
        kind,
        method,
        """
@pytest.mark.large
def test_a_starts():
    assert run(abs, -1) == 1

@pytest.mark.small
def test_b_small():
    assert run(worker.dial, None) == "NetworkAccessViolationError"
    assert run(worker.dial_in_thread, None) == "NetworkAccessViolationError"

@pytest.mark.large
def test_c_large():
    assert run(worker.dial, None) == run(worker.dial_in_thread, None) == "ConnectionRefusedError"
    assert set(run_all(worker.dial, range(5))) == {"ConnectionRefusedError"}

@pytest.mark.small
def test_d_innocent():
    assert run_all(abs, [-1, -2, -3]) == [1, 2, 3]

@pytest.mark.small
def test_e_small():
    assert set(run_all(worker.dial, range(5))) == {"NetworkAccessViolationError"}
""",
    )
    result = run_pytest("-v")
    assert outcomes(result) == {
        "test_a_starts": {"PASSED"},
        "test_b_small": {"FAILED"},
        "test_c_large": {"PASSED"},
        "test_d_innocent": {"PASSED"},
        "test_e_small": {"FAILED"},
        "test_z_end": {"PASSED"},
    }
    text = "\n".join(summary(result))
    assert "::test_b_small [small]" in text
    assert "::test_e_small [small]" in text
    assert "outlived" not in text


@pytest.mark.parametrize(("kind", "method"), KINDS)
def test_a_worker_that_a_small_test_started_is_as_free_as_who_submits(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes, kind: str, method: str
) -> None:
    write(
        pytester,
        kind,
        method,
        """
@pytest.mark.small
def test_a_starts():
    assert run(abs, -1) == 1

@pytest.mark.medium
def test_b_medium():
    assert run(worker.dial, None) == "ConnectionRefusedError"

@pytest.mark.large
def test_c_large():
    assert run(worker.dial, None) == run(worker.dial_in_thread, None) == "ConnectionRefusedError"
""",
    )
    result = run_pytest()
    result.assert_outcomes(passed=4)
    assert result.ret == 0


@pytest.mark.parametrize(("kind", "method"), KINDS)
def test_each_refusal_of_a_job_is_counted_when_the_job_has_run(
    pytester: pytest.Pytester, run_pytest: Run, summary: Lines, kind: str, method: str
) -> None:
    write(
        pytester,
        kind,
        method,
        """
@pytest.mark.small
def test_often():
    run(worker.dial_often, 45)
    run(worker.dial_often, 5)
""",
    )
    assert "127.0.0.1:9 (x50)" in "\n".join(summary(run_pytest()))


@pytest.mark.parametrize(("kind", "method"), KINDS)
def test_a_job_lets_off_in_warn_mode_is_recorded_for_its_submitter(
    pytester: pytest.Pytester, run_pytest: Run, summary: Lines, kind: str, method: str
) -> None:
    write(
        pytester,
        kind,
        method,
        """
@pytest.mark.small
def test_a_innocent():
    assert run(abs, -1) == 1

@pytest.mark.small
def test_b_small():
    assert run(worker.dial, None) == "ConnectionRefusedError"
""",
    )
    result = run_pytest("--test-categories-enforcement=warn")
    result.assert_outcomes(passed=3, warnings=None)
    output = result.stdout.str()
    assert "Network access violation in test_b_small: " in output
    assert "violation in test_a_innocent" not in output
    assert "network violations: 1 in 1 test, each a warning above" in summary(result)


@pytest.mark.parametrize(("kind", "method"), [param for param in KINDS if param.values[0] != "joblib"])
def test_a_job_that_raises_raises_what_it_does_without_the_plugin(
    pytester: pytest.Pytester, run_pytest: Run, kind: str, method: str
) -> None:
    write(
        pytester,
        kind,
        method,
        """
@pytest.mark.small
def test_raises():
    with pytest.raises(ValueError, match="as it is") as caught:
        run(worker.fail, None)
    text = str(caught.value.__cause__)
    assert "in fail" in text
    assert "pytest_test_categories" not in text

@pytest.mark.small
def test_cannot_be_pickled():
    with pytest.raises(Exception, match="lambda"):
        run(lambda _: None, None)
""",
    )
    run_pytest().assert_outcomes(passed=3)


@pytest.mark.skipif(sys.platform == "win32", reason="the platform has no fork")
def test_a_leftover_of_a_job_is_its_submitters_whatever_job_runs(pytester: pytest.Pytester, run_pytest: Run) -> None:
    write(
        pytester,
        "executor",
        "fork",
        """
import threading, time

def leave(_):
    threading.Thread(target=lambda: (time.sleep(0.3), worker.dial()), daemon=True).start()

@pytest.mark.large
def test_a_leaves():
    run(leave, None)

@pytest.mark.small
def test_b_innocent():
    run(time.sleep, 0.6)
""",
    )
    result = run_pytest()
    result.assert_outcomes(passed=3)
    assert result.ret == 0


@pytest.mark.skipif(sys.platform == "win32", reason="the platform has no fork")
def test_a_pools_initializer_is_held_to_who_started_the_worker(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes
) -> None:
    pytester.makepyfile(
        worker=WORKER,
        test_it="""
import multiprocessing, pytest, worker

@pytest.mark.small
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_small(method):
    with multiprocessing.get_context(method).Pool(1, worker.dial) as pool:
        assert pool.map(abs, [-1]) == [1]
""",
    )
    assert outcomes(run_pytest("-v")) == {"test_small[fork]": {"FAILED"}, "test_small[spawn]": {"FAILED"}}


def test_a_pool_of_threads_is_left_to_its_own_row(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes
) -> None:
    pytester.makepyfile(
        worker=WORKER,
        test_it="""
import multiprocessing.pool, pytest, worker

pool = multiprocessing.pool.ThreadPool(1)

@pytest.mark.large
def test_a_large():
    assert pool.map(worker.dial, [1]) == ["ConnectionRefusedError"]

@pytest.mark.small
def test_b_small():
    assert pool.map(worker.dial, [1]) == ["NetworkAccessViolationError"]
""",
    )
    assert outcomes(run_pytest("-v")) == {"test_a_large": {"PASSED"}, "test_b_small": {"FAILED"}}


EXPECTING: Final = """
import unittest
import pytest, worker
from pytest_test_categories import NetworkAccessViolationError

def dial(swallowed):
    for _ in range(swallowed):
        worker.dial()
    worker.socket.create_connection(("127.0.0.1", 9), timeout=5)

def by_raises(swallowed=0):
    with pytest.raises(NetworkAccessViolationError):
        dial(swallowed)
    return "done"

def by_raises_of_a_group(swallowed=0):
    with pytest.RaisesGroup(NetworkAccessViolationError):
        try:
            dial(swallowed)
        except Exception as error:
            raise ExceptionGroup("one", [error])
    return "done"

def by_unittest(swallowed=0):
    with unittest.TestCase().assertRaises(NetworkAccessViolationError):
        dial(swallowed)
    return "done"

def by_our_block(swallowed=0):
    from pytest_test_categories import expect_network_violation
    with expect_network_violation():
        dial(swallowed)
    return "done"

def after_one_that_nobody_expects(_):
    worker.dial()
    return by_raises()

WAYS = [by_raises, by_raises_of_a_group, by_unittest, by_our_block]
"""


@pytest.mark.parametrize(
    ("kind", "method"), [*KINDS, *(pytest.param("process", method, id=f"process-{method}") for method in METHODS)]
)
def test_what_a_block_in_a_worker_expects_fails_nothing(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes, kind: str, method: str
) -> None:
    write(
        pytester,
        kind,
        method,
        """
import expecting

@pytest.mark.small
@pytest.mark.parametrize("swallowed", [0, 3])
@pytest.mark.parametrize("way", expecting.WAYS)
def test_small(way, swallowed):
    assert run(way, swallowed) == "done"

@pytest.mark.small
def test_swallows():
    run(expecting.after_one_that_nobody_expects, None)
""",
    )
    pytester.makepyfile(expecting=EXPECTING)
    found = outcomes(run_pytest("-v"))
    assert found.pop("test_swallows") == {"FAILED"}
    assert set.union(*found.values()) == {"PASSED"}, found


LIBRARIES: Final = {
    "billiard": """
import billiard
pool = billiard.Pool(1)
end = pool.terminate
OF_A_POOL = True
""",
    "multiprocess": """
import multiprocess
pool = multiprocess.Pool(1)
end = pool.terminate
OF_A_POOL = True
""",
    "mpire": """
import mpire
pool = mpire.WorkerPool(1, keep_alive=True)
end = pool.terminate
WAYS = {
    "map": lambda: pool.map(worker.dial, [1, 2]),
    "map by keyword": lambda: pool.map(func=worker.dial, iterable_of_args=[1, 2]),
    "imap": lambda: list(pool.imap(worker.dial, [1, 2])),
    "map_unordered": lambda: pool.map_unordered(worker.dial, [1, 2]),
    "apply": lambda: [pool.apply(worker.dial)],
    "callback": lambda: called_back(pool),
}
""",
    "pebble": """
import pebble
pool = pebble.ProcessPool(1)
def end(): pool.stop(); pool.join()
WAYS = {
    "schedule": lambda: [pool.schedule(worker.dial).result()],
    "by keyword": lambda: [pool.schedule(function=worker.dial, timeout=60).result()],
    "submit": lambda: [pool.submit(worker.dial, None).result()],
    "map": lambda: list(pool.map(worker.dial, [1, 2]).result()),
}
""",
    "loky": """
import loky
pool = loky.get_reusable_executor(1)
end = pool.shutdown
WAYS = {
    "submit": lambda: [pool.submit(worker.dial).result()],
    "map": lambda: list(pool.map(worker.dial, [1, 2])),
    "in a thread": lambda: in_thread(lambda: [pool.submit(worker.dial).result()]),
    "asyncio": lambda: [asyncio.run(in_loop(pool))],
}
""",
}


@pytest.mark.parametrize("mode", ["strict", "warn"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_job_of_any_librarys_pool_is_its_submitters(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes, library: str, mode: str
) -> None:
    pytest.importorskip(library)
    pytester.makepyfile(
        worker=WORKER,
        test_it="""
import asyncio, threading
import pytest, worker

def called_back(pool):
    answers, done = [], threading.Event()
    pool.apply_async(worker.dial, callback=lambda answer: (answers.append(answer), done.set()))
    assert done.wait(60)
    return answers

def in_thread(run):
    answers = []
    thread = threading.Thread(target=lambda: answers.extend(run()))
    thread.start()
    thread.join()
    return answers

async def in_loop(pool):
    return await asyncio.get_running_loop().run_in_executor(pool, worker.dial)

"""
        + LIBRARIES[library]
        + """
if "OF_A_POOL" in globals():
    WAYS = {
        "apply": lambda: [pool.apply(worker.dial)],
        "by keyword": lambda: [pool.apply_async(func=worker.dial, args=(1,)).get()],
        "map": lambda: pool.map(worker.dial, [1, 2]),
        "imap": lambda: list(pool.imap(worker.dial, [1, 2, 3], 2)),
        "imap_unordered": lambda: list(pool.imap_unordered(worker.dial, [1, 2])),
        "starmap": lambda: pool.starmap(worker.dial, [(1, 9), (2, 9)]),
        "callback": lambda: called_back(pool),
        "in a thread": lambda: in_thread(lambda: pool.map(worker.dial, [1])),
    }

SIZES = ["small", "large", "small", "large"]
ORDER = [pytest.param(way, id=f"{at}-{size}-{way}", marks=getattr(pytest.mark, size))
         for way in WAYS for at, size in enumerate(SIZES)]

@pytest.mark.parametrize("way", ORDER)
def test_dials(way):
    answers = WAYS[way]()
    assert answers and set(answers) <= {"NetworkAccessViolationError", "ConnectionRefusedError"}

@pytest.mark.large
def test_end():
    end()
""",
    )
    found = outcomes(run_pytest("-v", "--network-report=report.json", f"--test-categories-enforcement={mode}"))
    assert len(found) > 4 * 3
    wrong = {
        test
        for test, words in found.items()
        if words != {"FAILED" if "small" in test and mode == "strict" else "PASSED"}
    }
    assert not wrong
    accesses = json.loads((pytester.path / "report.json").read_text(encoding="utf-8"))["accesses"]
    listed = {access["test"].partition("::")[2] for access in accesses if access["verdict"] in {"refused", "warned"}}
    assert listed == {test for test in found if "small" in test}
