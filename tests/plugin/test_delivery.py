"""Rule 2: who counts as having been told of a refusal, and what stays the failure of a test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

DIAL: Final = """
import contextlib, socket, sys, threading, unittest
import pytest
from pytest_test_categories import (
    HermeticityViolationError, NetworkAccessViolationError, expect_network_violation, network_guard,
)

pytestmark = pytest.mark.small
TARGET = ("198.51.100.1", 9)

def dial():
    socket.create_connection(TARGET, 1).close()
"""

DELIVERED: Final = (
    DIAL
    + """
class ClientError(Exception): pass

def client():
    try: dial()
    except Exception as error: raise ClientError from error

def test_raises():
    with pytest.raises(NetworkAccessViolationError): dial()

def test_raises_base():
    with pytest.raises(HermeticityViolationError): dial()

def test_raises_one_of_several():
    with pytest.raises((ValueError, NetworkAccessViolationError)): dial()

def test_raises_as_function():
    pytest.raises(NetworkAccessViolationError, dial)

def test_raises_match():
    with pytest.raises(NetworkAccessViolationError, match="198.51.100.1:9"): dial()

def test_raises_group():
    def grouped():
        try: dial()
        except Exception as error: raise ExceptionGroup("several", [error]) from None
    with pytest.RaisesGroup(NetworkAccessViolationError): grouped()

def test_raises_group_of_raises_exc():
    def grouped():
        try: dial()
        except Exception as error: raise ExceptionGroup("several", [error, ValueError()]) from None
    with pytest.RaisesGroup(pytest.RaisesExc(NetworkAccessViolationError), ValueError): grouped()

def test_raises_in_subtest(subtests):
    with subtests.test("one"):
        with pytest.raises(NetworkAccessViolationError): dial()

def test_expect():
    with expect_network_violation() as seen:
        with contextlib.suppress(Exception): dial()
    assert [violation.target for violation in seen] == ["198.51.100.1:9"]

def test_expect_client_error():
    with pytest.raises(ClientError), expect_network_violation(): client()

def test_inner_guard():
    with pytest.raises(NetworkAccessViolationError), network_guard("small"): dial()

@pytest.mark.xfail(raises=NetworkAccessViolationError)
def test_xfail_raises():
    dial()

@pytest.mark.xfail(raises=HermeticityViolationError, strict=True)
def test_xfail_raises_base():
    dial()

class Cases(unittest.TestCase):
    def test_assert_raises(self):
        with self.assertRaises(NetworkAccessViolationError): dial()

    def test_assert_raises_as_function(self):
        self.assertRaises(HermeticityViolationError, dial)

    def test_assert_raises_regex(self):
        with self.assertRaisesRegex(NetworkAccessViolationError, "TC001"): dial()

    @pytest.mark.xfail(raises=NetworkAccessViolationError)
    def test_xfail_raises(self):
        dial()
"""
)


@pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="pytest has subtests of its own from 9 on")
def test_refusals_that_were_asked_for_pass_and_are_not_listed(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    summary: Callable[[pytest.RunResult], list[str]],
    workers: int,
) -> None:
    pytester.makepyfile(test_told=DELIVERED)
    result = run_pytest("-v", workers=workers)
    found = outcomes(result)
    assert {name for name, words in found.items() if words - {"PASSED", "SUBPASSED"}} == {
        "test_xfail_raises",
        "test_xfail_raises_base",
        "Cases::test_xfail_raises",
    }
    assert all(
        "XFAIL" in found[name] for name in ("test_xfail_raises", "test_xfail_raises_base", "Cases::test_xfail_raises")
    )
    assert len(found) == DELIVERED.count("def test_")
    assert result.ret == pytest.ExitCode.OK
    assert summary(result) == [f"sizes: {len(found)} small"]


OTHER_REASON: Final = (
    DIAL
    + """
def test_assertion_after():
    with contextlib.suppress(Exception): dial()
    assert [] == ["the answer"]

def test_error_from_none():
    try: dial()
    except Exception: raise LookupError("not in the cache") from None

class Cases(unittest.TestCase):
    def test_assertion_after(self):
        with contextlib.suppress(Exception): dial()
        self.assertEqual("got", "wanted")

@pytest.fixture
def broken():
    with contextlib.suppress(Exception): dial()
    raise LookupError("the fixture itself")

def test_set_up(broken):
    pass

@pytest.fixture
def broken_later():
    yield
    with contextlib.suppress(Exception): dial()
    raise LookupError("the tear-down itself")

def test_tear_down(broken_later):
    pass
"""
)


def test_a_failure_for_another_reason_stays_the_failure_and_tc001_is_a_section(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], workers: int
) -> None:
    pytester.makepyfile(test_both=OTHER_REASON)
    result = run_pytest("-v", workers=workers)
    text = result.stdout.str()
    result.assert_outcomes(failed=3, errors=2, passed=1)
    for line in (
        "E       assert [] == ['the answer']",
        "E           LookupError: not in the cache",
        "E       AssertionError: 'got' != 'wanted'",
        "E       LookupError: the fixture itself",
        "E       LookupError: the tear-down itself",
    ):
        assert line.partition("E ")[2].strip() in text
    sections = [line for line in result.outlines if "- TC001 network access -" in line]
    assert len(sections) == 5
    assert text.count("[TC001] Network Access Violation") == 5
    for line in result.outlines:
        if line.startswith(("FAILED", "ERROR")):
            assert "TC001" not in line


CONTROL_FLOW: Final = (
    DIAL
    + """
import asyncio

def test_cancelled():
    async def main():
        async def one():
            with contextlib.suppress(Exception): dial()
            await asyncio.sleep(60)
        task = asyncio.create_task(one())
        await asyncio.sleep(0.05)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError): await task
    asyncio.run(main())

def test_generator_exit():
    def steps():
        try: yield
        except GeneratorExit:
            with contextlib.suppress(Exception): dial()
            raise
    running = steps()
    next(running)
    running.close()

def test_pytest_exit():
    with contextlib.suppress(Exception): dial()
    pytest.exit("enough", returncode=0)
"""
)


def test_control_flow_is_not_replaced_and_the_record_counts(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
) -> None:
    pytester.makepyfile(test_flow=CONTROL_FLOW)
    result = run_pytest("-v")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*Exit: enough*"])
    listed = "\n".join(summary(result))
    assert "test_flow.py::test_pytest_exit [small]" in listed
    assert result.ret != pytest.ExitCode.OK


def test_keyboard_interrupt_stays_one(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
) -> None:
    pytester.makepyfile(
        test_stop=DIAL
        + """
def test_interrupted():
    with contextlib.suppress(Exception): dial()
    raise KeyboardInterrupt
"""
    )
    result = run_pytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])
    assert "test_stop.py::test_interrupted [small]" in "\n".join(summary(result))


def test_the_message_of_an_undelivered_violation_says_what_to_write(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        test_lost=DIAL
        + """
def test_swallowed():
    with contextlib.suppress(Exception): dial()

def test_nothing_refused():
    with expect_network_violation():
        pass
"""
    )
    result = run_pytest()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*the refusal did not reach the test: it was caught on the way, or lost in a thread or task",
            "*a test whose subject is being refused says `with expect_network_violation():`",
            "*AssertionError: expect_network_violation: nothing was refused in this block",
        ]
    )


def test_a_refusal_that_fails_a_test_is_told_once(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    workers: int,
) -> None:
    pytester.makepyfile(
        test_once=DIAL
        + """
def test_raised():
    dial()

def test_swallowed_often():
    for _ in range(5):
        with contextlib.suppress(Exception): dial()
"""
    )
    result = run_pytest(workers=workers)
    result.assert_outcomes(failed=2)
    assert result.stdout.str().count("[TC001] Network Access Violation") == 2
    assert summary(result) == [
        "network violations: 2 in 2 tests",
        "  test_once.py::test_raised [small]",
        "  test_once.py::test_swallowed_often [small]",
        "    198.51.100.1:9 (x6) at test_once.py:11 in dial",
        "      to fix: a fake of dial, or @pytest.mark.large",
        "sizes: 2 small",
    ]


@pytest.mark.parametrize("order", ["swallowed first", "expected first"])
@pytest.mark.parametrize(
    "block",
    [
        "with expect_network_violation(): dial()",
        "with pytest.raises(NetworkAccessViolationError): dial()",
        "pytest.raises(NetworkAccessViolationError, dial)",
        "with pytest.RaisesGroup(NetworkAccessViolationError): in_group()",
        "unittest.TestCase().assertRaises(NetworkAccessViolationError, dial)",
    ],
)
def test_rule_2_a_swallowed_attempt_fails_its_test_whatever_is_expected_at_the_same_line(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], block: str, order: str
) -> None:
    steps = ["    swallow()\n", f"    {block}\n"]
    both = "".join(steps if order == "swallowed first" else steps[::-1])
    pytester.makepyfile(
        f"""
import socket, unittest
import pytest
from pytest_test_categories import NetworkAccessViolationError, expect_network_violation
pytestmark = pytest.mark.small

def dial():
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", 9))

def in_group():
    try:
        dial()
    except NetworkAccessViolationError as error:
        raise ExceptionGroup("group", [error]) from None

def swallow():
    try:
        dial()
    except Exception:
        pass

def test_alone():
    {block}

def test_both():
{both}
"""
    )
    result = run_pytest()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*did not reach the test*", "*::test_both*"])


def test_rule_2_retries_inside_of_a_raises_block_are_delivered_by_it(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        """
        import socket
        import pytest
        from pytest_test_categories import NetworkAccessViolationError

        @pytest.mark.small
        def test_retries():
            with pytest.raises(NetworkAccessViolationError):
                for last in (False, False, True):
                    try:
                        socket.create_connection(("127.0.0.1", 9))
                    except NetworkAccessViolationError:
                        if last:
                            raise
        """
    )
    run_pytest().assert_outcomes(passed=1)


def test_rule_2_a_refused_connect_is_no_step_of_a_refused_look_up(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        """
        import socket
        import pytest
        from pytest_test_categories import expect_network_violation, network_guard

        @pytest.mark.small
        def test_connects():
            with expect_network_violation():
                socket.getaddrinfo("api.example.com", 80)
            for _ in range(2):
                try:
                    socket.create_connection(("127.0.0.1", 80))
                except Exception:
                    pass
        """
    )
    result = run_pytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*127.0.0.1:80 (x2)*"])


def test_rule_2_a_client_that_tries_again_fails_its_test_once(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        """
        import socket
        import pytest

        def dial():
            for number in range(3):
                try:
                    socket.create_connection(("198.51.100.1", 9))
                except Exception:
                    if number == 2:
                        raise

        @pytest.mark.small
        def test_tries_again():
            dial()

        @pytest.mark.small
        def test_tries_again_and_swallows():
            with pytest.raises(Exception):
                dial()
            try:
                dial()
            except Exception:
                pass
        """
    )
    result = run_pytest()
    result.assert_outcomes(failed=2)  # and no error at the tear-down beside
    result.stdout.fnmatch_lines(["*198.51.100.1:9 (x9)*"])


MEANWHILE: Final = (
    DIAL
    + """
import asyncio, concurrent.futures, threading

def swallow():
    with contextlib.suppress(Exception): dial()

def gathered(other):
    async def expects():
        with pytest.raises(NetworkAccessViolationError):
            await asyncio.sleep(0.05)
            dial()
    async def meanwhile():
        await asyncio.sleep(0.01)
        other()
    async def main(): await asyncio.gather(expects(), meanwhile(), expects())
    asyncio.run(main())

def test_fails_task(): gathered(swallow)

def test_fails_job():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        expected, other = pool.submit(dial), pool.submit(swallow)
        with pytest.raises(NetworkAccessViolationError): expected.result()

def test_fails_thread():
    go, done = threading.Event(), threading.Event()
    def other():
        go.wait()
        swallow()
        done.set()
    thread = threading.Thread(target=other)
    thread.start()
    with pytest.raises(NetworkAccessViolationError):
        go.set()
        done.wait()
        dial()
    thread.join()

def test_passes_a_block_that_failed():
    for _ in range(2):
        with pytest.raises(pytest.fail.Exception), pytest.raises(NetworkAccessViolationError): pass

def test_fails_after_a_block_that_failed():
    with pytest.raises(pytest.fail.Exception), pytest.raises(NetworkAccessViolationError): pass
    swallow()
    with pytest.raises(NetworkAccessViolationError): dial()

class TestCase(unittest.TestCase):
    def test_fails_assert_raises_that_failed(self):
        with self.assertRaises(self.failureException), self.assertRaises(NetworkAccessViolationError): pass
        swallow()
        with self.assertRaises(NetworkAccessViolationError): dial()

    def test_fails_assert_raises(self):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            expected, other = pool.submit(dial), pool.submit(swallow)
            with self.assertRaises(NetworkAccessViolationError): expected.result()

def test_passes_task(): gathered(lambda: None)

def test_passes_thread_of_the_block():
    with pytest.raises(NetworkAccessViolationError):
        thread = threading.Thread(target=swallow)
        thread.start()
        thread.join()
        dial()

def test_passes_kept_runner():
    with asyncio.Runner() as runner:
        runner.run(asyncio.sleep(0))
        async def retries():
            swallow()
            dial()
        with pytest.raises(NetworkAccessViolationError): runner.run(retries())
"""
)


def test_rule_2_a_block_delivers_what_is_made_inside_of_it_and_not_what_others_make_meanwhile(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
) -> None:
    pytester.makepyfile(MEANWHILE)
    result = run_pytest("-rA")
    result.assert_outcomes(passed=4, failed=6)
    result.stdout.no_re_match_line("PASSED .*fails|FAILED .*passes")


CHILDREN: Final = (
    DIAL
    + """
import concurrent.futures, multiprocessing, os

def expects(n=1):
    for _ in range(n):
        with expect_network_violation(): dial()

def raises(n=1):
    for _ in range(n):
        with pytest.raises(NetworkAccessViolationError): dial()

def asserts(n=1):
    for _ in range(n):
        with unittest.TestCase().assertRaises(NetworkAccessViolationError): dial()

def swallows(n=1):
    with contextlib.suppress(Exception): dial()

def forked(*functions):
    child = os.fork()
    if not child:
        for function in functions: function(3)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

def pooled(method, *functions):
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        for function in functions: pool.submit(function, 3).result()

def test_passes_fork(): forked(expects, raises, asserts)
def test_passes_pool(): pooled("fork", expects, raises, asserts)
def test_passes_spawned_pool(): pooled("spawn", expects, asserts)
def test_fails_fork(): forked(expects, swallows, raises, asserts)
def test_fails_pool(): pooled("fork", raises, swallows, asserts)
def test_fails_spawned_pool(): pooled("spawn", expects, swallows, asserts)
"""
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
def test_rule_2_what_a_block_in_a_child_expects_is_delivered_by_it(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
) -> None:
    pytester.makepyfile(test_children=CHILDREN)
    result = run_pytest("-rA", "-p", "no:randomly")
    result.assert_outcomes(passed=3, failed=3)
    result.stdout.no_re_match_line("PASSED .*fails|FAILED .*passes")


def test_an_expected_failure_that_was_refused_is_not_called_caught(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        """
        import socket
        import pytest

        @pytest.mark.small
        @pytest.mark.xfail
        def test_dials():
            socket.create_connection(("198.51.100.1", 9))
        """
    )
    result = run_pytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Attempted network connection to 198.51.100.1:9*"])
    result.stdout.no_fnmatch_line("*did not reach the test*")
