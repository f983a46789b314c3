"""Rule 2: a refused attempt never goes unseen, whatever the code under test does with the error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

DIAL: Final = """
import asyncio, concurrent.futures, contextlib, gc, socket, threading, time, unittest
import pytest

pytestmark = pytest.mark.small
TARGET = ("198.51.100.1", 9)

def dial():
    socket.create_connection(TARGET, 1).close()
"""

FUNCTIONS: Final = (
    DIAL
    + """
def test_except_exception():
    try: dial()
    except Exception: pass

def test_except_base_exception():
    try: dial()
    except BaseException: pass

def test_except_oserror():
    try: dial()
    except OSError: pass

def test_suppress():
    with contextlib.suppress(Exception): dial()

def test_retry_loop():
    for _ in range(3):
        try: dial()
        except Exception: time.sleep(0.01)

def test_finally_return():
    def inner():
        try: dial()
        finally: return 1
    assert inner() == 1

def test_gather():
    async def one(): dial()
    async def main(): await asyncio.gather(one(), one(), return_exceptions=True)
    asyncio.run(main())

def test_unawaited_task():
    async def one(): dial()
    async def main():
        asyncio.create_task(one())
        await asyncio.sleep(0.05)
    asyncio.run(main())

def test_never_ran_callback():
    async def main():
        asyncio.get_running_loop().call_soon(dial)
        await asyncio.sleep(0.05)
    asyncio.run(main())

def test_thread():
    thread = threading.Thread(target=dial)
    thread.start()
    thread.join()

def test_timer():
    timer = threading.Timer(0.01, dial)
    timer.start()
    timer.join()

def test_future_nobody_asks():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(dial)

def test_del():
    class Closing:
        def __del__(self): dial()
    closing = Closing()
    del closing
    gc.collect()

class ClientError(Exception): pass

def test_wrapped_by_client_and_caught():
    def client():
        try: dial()
        except Exception as error: raise ClientError("cannot reach it") from error
    try: client()
    except ClientError: pass

def test_wrapped_by_client_context_cut_and_caught():
    def client():
        try: dial()
        except Exception: raise ClientError("cannot reach it") from None
    with contextlib.suppress(ClientError): client()

def test_skip_in_except():
    try: dial()
    except Exception: pytest.skip("no network")

def test_skip_in_except_from_none():
    try: dial()
    except Exception: raise pytest.skip.Exception("no network") from None

def test_skiptest_in_except():
    try: dial()
    except Exception: raise unittest.SkipTest("no network")

def test_importorskip_after():
    try: dial()
    except Exception: pass
    pytest.importorskip("no_such_module_at_all")

@pytest.mark.xfail
def test_xfail_mark():
    dial()

@pytest.mark.xfail(reason="flaky", strict=True)
def test_xfail_strict():
    dial()

@pytest.mark.xfail(raises=OSError)
def test_xfail_other_class():
    dial()

def test_xfail_call():
    try: dial()
    except Exception: pytest.xfail("no network")

@pytest.mark.xfail
def test_xfail_swallowed():
    try: dial()
    except Exception: pass

@pytest.mark.xfail
def test_xfail_another_failure_after():
    try: dial()
    except Exception: pass
    assert 0

def test_connect_ex():
    with socket.socket() as s, contextlib.suppress(Exception):
        s.connect_ex(TARGET)

def test_raises_something_wider():
    with pytest.raises(Exception): dial()

def test_exit_is_not_replaced_but_counts():
    try: dial()
    except Exception: pass
    with contextlib.suppress(SystemExit): raise SystemExit(0)

def test_clean():
    pass
"""
)


def test_every_way_to_swallow_a_refusal_fails_a_pytest_function(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    workers: int,
) -> None:
    pytester.makepyfile(test_ways=FUNCTIONS)
    result = run_pytest("-v", workers=workers)
    found = outcomes(result)
    passed = {name for name, words in found.items() if "FAILED" not in words}
    assert passed == {"test_clean"}
    assert len(found) == FUNCTIONS.count("def test_")
    result.stdout.fnmatch_lines(["*[[]TC001[]] Network Access Violation"])


TEST_CASES: Final = (
    DIAL
    + """
class Ways(unittest.TestCase):
    def test_except_exception(self):
        try: dial()
        except Exception: pass

    def test_skiptest_method(self):
        try: dial()
        except Exception: self.skipTest("no network")

    def test_skiptest_raised(self):
        try: dial()
        except Exception: raise unittest.SkipTest("no network")

    def test_pytest_skip(self):
        try: dial()
        except Exception: pytest.skip("no network")

    @unittest.expectedFailure
    def test_expected_failure(self):
        dial()

    @unittest.expectedFailure
    def test_expected_failure_swallowed(self):
        try: dial()
        except Exception: pass
        self.fail("for another reason")

    @pytest.mark.xfail
    def test_xfail_mark(self):
        dial()

    def test_assert_raises_wider(self):
        with self.assertRaises(Exception): dial()

    def test_thread(self):
        thread = threading.Thread(target=dial)
        thread.start()
        thread.join()

    def test_clean(self):
        pass

class InSetUp(unittest.TestCase):
    def setUp(self):
        try: dial()
        except Exception: self.skipTest("no network")

    def test_set_up(self):
        pass

class InTearDown(unittest.TestCase):
    def tearDown(self):
        with contextlib.suppress(Exception): dial()

    def test_tear_down(self):
        pass

class InCleanup(unittest.TestCase):
    def setUp(self):
        self.addCleanup(self.swallow)

    def swallow(self):
        with contextlib.suppress(Exception): dial()

    def test_cleanup(self):
        pass

class Coroutines(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        pass

    async def test_coroutine(self):
        with contextlib.suppress(Exception): dial()

    async def test_coroutine_skips(self):
        try: dial()
        except Exception: self.skipTest("no network")

    async def test_task(self):
        async def one(): dial()
        task = asyncio.create_task(one())
        await asyncio.sleep(0.05)

    async def test_open_connection(self):
        with contextlib.suppress(Exception):
            await asyncio.open_connection(*TARGET)

class AsyncSetUp(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        try: dial()
        except Exception: self.skipTest("no network")

    async def test_async_set_up(self):
        pass

class AsyncTearDown(unittest.IsolatedAsyncioTestCase):
    async def asyncTearDown(self):
        with contextlib.suppress(Exception): dial()

    async def test_async_tear_down(self):
        pass
"""
)


def test_every_way_to_swallow_a_refusal_fails_a_unittest_test(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    workers: int,
) -> None:
    pytester.makepyfile(test_ways=TEST_CASES)
    result = run_pytest("-v", workers=workers)
    found = outcomes(result)
    green = {name for name, words in found.items() if not {"FAILED", "ERROR"} & words}
    assert green == {"Ways::test_clean"}
    assert len(found) == TEST_CASES.count("def test_")


SUBTESTS: Final = (
    DIAL
    + """
def test_swallowed(subtests):
    with subtests.test("one"):
        with contextlib.suppress(Exception): dial()

def test_skipped(subtests):
    with subtests.test("one"):
        try: dial()
        except Exception: pytest.skip("no network")

def test_xfailed(subtests):
    with subtests.test("one"):
        try: dial()
        except Exception: pytest.xfail("no network")

def test_raised(subtests):
    with subtests.test("one"):
        dial()

def test_second_of_three(subtests):
    for number in range(3):
        with subtests.test(number=number):
            if number == 1:
                with contextlib.suppress(Exception): dial()

def test_clean(subtests):
    with subtests.test("one"):
        pass

class Cases(unittest.TestCase):
    def test_swallowed(self):
        with self.subTest("one"):
            with contextlib.suppress(Exception): dial()

    def test_skipped(self):
        with self.subTest("one"):
            try: dial()
            except Exception: self.skipTest("no network")

    def test_raised(self):
        with self.subTest("one"):
            dial()

    @unittest.expectedFailure
    def test_expected(self):
        with self.subTest("one"):
            dial()

    def test_clean(self):
        with self.subTest("one"):
            pass
"""
)


@pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="pytest has subtests of its own from 9 on")
def test_a_refusal_swallowed_in_a_subtest_fails_the_subtest_or_the_test(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    workers: int,
) -> None:
    pytester.makepyfile(test_ways=SUBTESTS)
    result = run_pytest("-v", workers=workers)
    found = outcomes(result)
    green = {name for name, words in found.items() if not {"FAILED", "SUBFAILED"} & words}
    assert green == {"test_clean", "Cases::test_clean"}
    assert len(found) == SUBTESTS.count("def test_")
    assert result.ret == pytest.ExitCode.TESTS_FAILED


INNER_GUARDS: Final = (
    DIAL.replace("mark.small", "mark.large")
    + """
from pytest_test_categories import network_guard

def test_swallowed():
    with network_guard("small"), contextlib.suppress(Exception): dial()

def test_raised():
    with network_guard("small"): dial()

def test_skip_inside():
    with network_guard("small"):
        try: dial()
        except Exception: pytest.skip("no network")

def test_skip_outside():
    try:
        with network_guard("small"): dial()
    except Exception: pytest.skip("no network")

@pytest.mark.xfail
def test_xfail():
    with network_guard("small"): dial()

@pytest.mark.xfail
def test_xfail_swallowed():
    with network_guard("small"), contextlib.suppress(Exception): dial()

@network_guard("small")
def test_decorated():
    try: dial()
    except Exception: pytest.skip("no network")

class Cases(unittest.TestCase):
    def test_skip(self):
        with network_guard("small"):
            try: dial()
            except Exception: self.skipTest("no network")
"""
)


def test_what_a_guard_inside_a_larger_test_refused_fails_it_and_is_listed(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    summary: Callable[[pytest.RunResult], list[str]],
) -> None:
    pytester.makepyfile(test_ways=INNER_GUARDS)
    result = run_pytest("-v")
    found = outcomes(result)
    assert {name for name, words in found.items() if words != {"FAILED"}} == set()
    assert len(found) == INNER_GUARDS.count("def test_")
    assert summary(result)[0] == f"network violations: {len(found)} in {len(found)} tests"


@pytest.mark.parametrize(("status", "expected"), [("0", 1), ("3", 3)])
def test_a_test_that_ends_the_runs_own_process_does_not_take_its_refusals_with_it(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], status: str, expected: int
) -> None:
    pytester.makepyfile(
        DIAL
        + f"""
def test_leaves():
    import os
    try: dial()
    except Exception: os._exit({status})
"""
    )
    result = run_pytest()
    assert result.ret == expected
    result.stderr.fnmatch_lines(["*network violations of a test that ended*", "    198.51.100.1:9 in *::test_leaves"])


def test_a_forked_child_may_leave_at_once(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        DIAL
        + """
def test_forks():
    import os
    child = os.fork()
    if not child:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""
    )
    result = run_pytest()
    result.assert_outcomes(passed=1)
    result.stderr.no_fnmatch_line("*ended the run's own process*")
