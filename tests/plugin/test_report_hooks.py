"""Rule 5: the runner's own traffic is nobody's violation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

# What IDE adapters and dashboards do: tell a local server about each report, from every hook that is a report.
ADAPTER: Final = """
import os, pathlib, socket

server = None
told = pathlib.Path(__file__).with_name(f"told-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}.txt")

def tell(what):
    try:
        socket.create_connection(server.getsockname(), 1).close()
    except BaseException as error:
        what += f" refused: {type(error).__name__}"
        raise
    finally:
        with told.open("a") as file:
            file.write(what + "\\n")

def pytest_runtest_logreport(report): tell(f"logreport {report.when}")
def pytest_runtest_logstart(nodeid): tell("logstart")
def pytest_runtest_logfinish(nodeid): tell("logfinish")
def pytest_exception_interact(node): tell("exception_interact")
def pytest_collectreport(report): tell("collectreport")
def pytest_itemcollected(item): tell("itemcollected")
def pytest_collection_finish(session): tell("collection_finish")
def pytest_warning_recorded(when): tell("warning_recorded")
def pytest_terminal_summary(): tell("terminal_summary")
def pytest_sessionstart():
    global server
    server = socket.create_server(("127.0.0.1", 0), backlog=128)
    tell("sessionstart")
def pytest_sessionfinish(): tell("sessionfinish")
"""

SMALL_ONLY: Final = """
import unittest, warnings
import pytest

pytestmark = pytest.mark.small

@pytest.fixture(scope="session", autouse=True)
def alive():
    yield

def test_passes():
    warnings.warn("recorded")

def test_fails():
    assert 0

def test_subtests(subtests):
    for number in range(2):
        with subtests.test(number=number):
            assert number

@pytest.fixture
def broken():
    raise LookupError

def test_broken_set_up(broken):
    pass

class Cases(unittest.TestCase):
    def test_subtests(self):
        for number in range(2):
            with self.subTest(number=number):
                self.assertTrue(number)
"""


def test_report_hooks_that_dial_are_left_alone_in_a_small_only_run(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    workers: int,
) -> None:
    pytester.makeconftest(ADAPTER)
    pytester.makepyfile(test_small=SMALL_ONLY)
    result = run_pytest(workers=workers)
    told = [line for file in pytester.path.glob("told-*.txt") for line in file.read_text().splitlines()]
    assert not [line for line in told if "refused" in line]
    assert {line.partition(" ")[0] for line in told} >= {
        "logreport",
        "exception_interact",
        "itemcollected",
        "warning_recorded",
    }
    assert "INTERNALERROR" not in result.stdout.str()
    # A subtest of unittest makes no test fail in pytest 9; its report does.
    assert not [line for line in summary(result) if "violation" in line]
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_test_that_dials_from_a_hook_look_alike_is_not_left_alone(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        test_small="""
import socket, pytest

def _multicall(hook_name):
    return socket.create_connection(("198.51.100.1", 9), 1)

@pytest.mark.small
def test_own_function():
    _multicall("something_else")
"""
    )
    run_pytest().assert_outcomes(failed=1)


def test_report_hooks_fired_while_a_fixture_is_set_up_are_left_alone(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest(
        """
import socket
def pytest_sessionstart():
    global server
    server = socket.create_server(("127.0.0.1", 0))
def pytest_warning_recorded(when):
    socket.create_connection(server.getsockname(), 1).close()
"""
    )
    pytester.makepyfile(
        test_small="""
import warnings, pytest

@pytest.fixture(scope="module")
def warned():
    warnings.warn("in set-up")
    yield
    warnings.warn("in tear-down")

@pytest.mark.small
def test_small(warned): pass
"""
    )
    result = run_pytest()
    result.assert_outcomes(passed=1, warnings=2)
    assert result.ret == pytest.ExitCode.OK
