"""The session: what it puts in place and takes away, and where its own words go."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = """
import pytest, socket, threading

def run(target):
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()

def fail(): raise ZeroDivisionError("of its own")
def dial(): socket.create_connection(("198.51.100.1", 9), 1)

@pytest.mark.small
def test_fails(): run(fail)

@pytest.mark.small
def test_dials(): run(dial)
"""


def test_pytest_hears_of_a_threads_own_errors_and_not_of_a_refusal_that_is_on_record(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(test_threads=THREADS)
    result = run_pytest()
    result.assert_outcomes(passed=1, failed=1, warnings=1)
    result.stdout.fnmatch_lines(["*test_threads.py::test_fails", "*PytestUnhandledThreadExceptionWarning*"])


def test_a_run_without_pytests_own_hook_for_threads_leaves_the_interpreters_in_place(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(test_threads=THREADS)
    pytester.makepyfile(
        script="""
        import sys, threading, pytest
        before = threading.excepthook
        status = pytest.main([*sys.argv[1:], "-p", "no:threadexception"])
        assert status == 1
        assert threading.excepthook is before
        """
    )
    options = ("-p", "pytest_test_categories.pytest_plugin", "--test-categories-enforcement=strict")
    result = pytester.run(
        sys.executable, "script.py", "-s", "--disable-plugin-autoload", *options, "-p", "no:cacheprovider"
    )
    assert result.ret == 0
    result.assert_outcomes(passed=1, failed=1)
    result.stderr.fnmatch_lines(["*ZeroDivisionError: of its own"])


@pytest.mark.skipif(sys.platform == "win32", reason="the shell closes a descriptor")
def test_a_run_whose_errors_go_nowhere_is_judged_as_any_other(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_threads=THREADS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--disable-plugin-autoload",
        "-p",
        "pytest_test_categories.pytest_plugin",
    ]
    command += [
        "--test-categories-enforcement=strict",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:faulthandler",
        "-p",
        "no:threadexception",
    ]
    command += ["--capture=no", "--log-file=log"]  # capturing would open what is closed

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        closed = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command, *options]
        return subprocess.run(closed, capture_output=True, text=True, timeout=60, check=False)

    done = run("-k", "fails")
    assert (done.returncode, "1 passed, 1 deselected" in done.stdout) == (0, True)
    done = run("-k", "dials")
    assert (done.returncode, "1 failed, 1 deselected" in done.stdout) == (1, True)
    assert "[TC001] Network Access Violation" in done.stdout
    assert pytester.path.joinpath("log").read_text(encoding="utf-8") == ""  # which has got the number of the terminal


def test_threads_that_are_refused_at_once_for_the_first_time_hear_of_nothing_else(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        """
        import pytest, socket, sys, threading
        from pytest_test_categories import NetworkAccessViolationError

        @pytest.mark.small
        def test_dials():
            sys.setswitchinterval(1e-6)
            start, heard = threading.Barrier(16), []

            def dial(port):
                start.wait()
                try:
                    socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port))
                except Exception as error:
                    heard.append(type(error))

            threads = [threading.Thread(target=dial, args=[9 + n]) for n in range(16)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            print(f"heard {len(heard)}, of {set(heard) == {NetworkAccessViolationError}}")
        """
    )
    result = run_pytest("-s")
    assert "heard 16, of True" in result.stdout.str()
