"""`test_categories_unwatched = error`: a program that no layer watches is a violation of the test that started it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]

SUITE = """
import os, subprocess, sys
import pytest
from pytest_test_categories import network_guard

def start(*command):
    subprocess.run(command or ["true"], check=False)

class TestSizes:
    @pytest.mark.small
    def test_small(self): start()
    @pytest.mark.medium
    def test_medium(self): start("sh", "-c", "true")
    @pytest.mark.large
    def test_large(self): start()
    @pytest.mark.large
    @pytest.mark.network_only("127.0.0.1")
    def test_narrowed(self): start()
    def test_unsized(self): start()


@pytest.mark.small
class TestSmall:
    def test_none(self): pass
    def test_python(self): start(sys.executable, "-c", "pass")
    def test_python_in_a_shell(self): start("sh", "-c", sys.executable + " -c pass; true")
    def test_isolated_python(self): start(sys.executable, "-I", "-c", "pass")
    def test_missing(self):
        with pytest.raises(OSError):
            start("/no/such/program")
    def test_forked(self):
        if (pid := os.fork()) == 0:
            try:
                start()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
    def test_fails_anyway(self):
        start()
        assert 0
    def test_skips(self):
        start()
        pytest.skip("it")
    def test_fixture(self, starting): pass
    def test_left_running(self):
        running = subprocess.Popen(["sleep", "30"])
        running.kill()
        running.wait()

@pytest.fixture
def starting(): start()

@pytest.fixture(scope="module")
def shared(): start()

@pytest.mark.small
def test_shared(shared): pass

@pytest.mark.large
def test_block():
    with network_guard("small"):
        start()
"""


def test_a_program_that_no_layer_watches_fails_the_test_that_started_it(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Any, workers: int
) -> None:
    pytester.makeini("[pytest]\ntest_categories_unwatched = error\n")
    pytester.makepyfile(test_suite=SUITE)
    result = run_pytest("-v", workers=workers)
    assert outcomes(result) == {
        "TestSizes::test_small": {"FAILED"},
        "TestSizes::test_medium": {"FAILED"},
        "TestSizes::test_large": {"PASSED"},
        "TestSizes::test_narrowed": {"FAILED"},
        "TestSizes::test_unsized": {"PASSED"},
        "TestSmall::test_none": {"PASSED"},
        "TestSmall::test_python": {"PASSED"},
        "TestSmall::test_python_in_a_shell": {"PASSED"},
        "TestSmall::test_isolated_python": {"FAILED"},
        "TestSmall::test_missing": {"PASSED"},
        "TestSmall::test_forked": {"FAILED"},
        "TestSmall::test_fails_anyway": {"FAILED"},
        "TestSmall::test_skips": {"FAILED"},
        "TestSmall::test_fixture": {"FAILED"},
        "TestSmall::test_left_running": {"FAILED"},
        "test_shared": {"ERROR"},
        "test_block": {"FAILED"},
    }
    output = result.stdout.str()
    assert "  Started true, which no layer watches: it may have used the network\n" in output
    assert "true at test_suite.py:6 in start; a program that no layer watches" in output
    assert "--network-kernel-guard=auto" in output
    first = output.partition("Started true, ")[2].partition("Documentation:")[0]
    assert "a program that no layer watches" not in first
    assert "respx\n    true is a program: patch the call that starts it\n  2. " in first
    assert "unwatched child processes" not in output
    assert "caught on the way" not in output.partition("test_fails_anyway")[0]


def test_without_it_they_are_counted(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makeini("[pytest]\ntest_categories_unwatched = error\n")
    pytester.makepyfile(SUITE)
    result = run_pytest("--test-categories-unwatched=count", "-k", "test_small")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["unwatched child processes: 1 in 1 test: true"])


def test_in_warn_mode_the_test_warns(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile(test_suite=SUITE)
    options = (
        "--test-categories-enforcement=warn",
        "--test-categories-unwatched=error",
        "-k",
        "test_small or test_fixture",
    )
    result = run_pytest(*options)
    result.assert_outcomes(passed=2, warnings=2)
    result.stdout.fnmatch_lines(["*Network access violation in test_small: started true, which no layer watches"])
    run_pytest(*options, "-W", "error").assert_outcomes(failed=2)


def test_in_off_mode_nothing_is_a_violation(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile(test_suite=SUITE)
    options = ("--test-categories-enforcement=off", "--test-categories-unwatched=error", "-k", "test_small")
    run_pytest(*options, "--network-report=out.json").assert_outcomes(passed=1)
    pytester.makepyfile(test_suite="import subprocess\nsubprocess.run(['true'])\ndef test_small(): pass\n")
    result = run_pytest(*options, "--network-report=out.json")
    assert result.ret == pytest.ExitCode.OK
    assert "no running test is charged with" not in result.stdout.str()


def test_what_no_test_started_fails_the_run(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile(
        test_suite="""
        import subprocess
        import pytest
        subprocess.run(["true"], check=True)
        @pytest.mark.small
        def test_it(): pass
        """
    )
    result = run_pytest("--test-categories-unwatched=error")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["network violations that no running test is charged with: 1*", "*test_suite.py*", "*true at*"]
    )


def test_the_baseline_takes_such_violations(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makeini("[pytest]\ntest_categories_network_baseline = known.json\n")
    pytester.makepyfile(test_suite=SUITE)
    options = ("--test-categories-unwatched=error", "-k", "test_small or test_medium")
    run_pytest(*options, "--network-baseline-update").assert_outcomes(passed=2)
    run_pytest(*options, "--network-baseline-strict").assert_outcomes(passed=2)
    run_pytest("--test-categories-unwatched=error", "-k", "test_fixture").assert_outcomes(failed=1)


@pytest.mark.parametrize("mode", ["strict", "off"])
def test_another_word_stops_the_run(pytester: pytest.Pytester, run_pytest: Run, mode: str) -> None:
    pytester.makepyfile("def test_it(): pass")
    result = run_pytest(f"--test-categories-enforcement={mode}", "--test-categories-unwatched=fail")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--test-categories-unwatched: 'fail' is not one of count, error" in result.stderr.str()
