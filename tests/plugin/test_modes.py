"""Rule 14: modes: explicit argument, the run's, the environment's; what warn mode says and where."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD: Final = """
import contextlib, socket, threading, unittest
import pytest
from pytest_test_categories import EnforcementMode, NetworkAccessViolationError, network_guard

def bind():
    with socket.socket() as s: s.bind(("127.0.0.1", 0))
"""

EXPLICIT: Final = (
    HEAD
    + """
@pytest.mark.small
def test_size(): bind()

@pytest.mark.large
def test_guard_strict():
    with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"): bind()

@pytest.mark.large
def test_guard_warn():
    with pytest.warns(match="Network access violation"), network_guard("small", "warn") as guard: bind()
    assert len(guard.violations) == 1

@pytest.mark.large
def test_guard_off():
    with network_guard("small", "off") as guard: bind()
    assert guard.violations == []

@pytest.mark.large
def test_guard_of_the_run():
    with network_guard("small") as guard:
        assert guard.mode.value == MODE
        bind()
"""
)


def test_an_explicit_mode_beats_the_runs_and_the_runs_beats_the_environments(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEST_CATEGORIES_ENFORCEMENT", "strict")
    always = {f"test_guard_{mode}": {"PASSED"} for mode in ("strict", "warn", "off")}
    for mode, outcome in (("strict", "FAILED"), ("warn", "PASSED"), ("off", "PASSED")):
        pytester.makepyfile(test_modes=EXPLICIT.replace("MODE", repr(mode)))
        found = outcomes(run_pytest("-v", mode=mode))
        assert found == always | {"test_size": {outcome}, "test_guard_of_the_run": {outcome}}


def test_without_any_setting_enforcement_is_off(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_CATEGORIES_ENFORCEMENT", raising=False)
    pytester.makepyfile(HEAD + "\n@pytest.mark.small\ndef test_size(): bind()\n")
    result = run_pytest(mode=None)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["test categories: enforcement off"])


def test_the_environments_mode_holds_under_pytest_unless_the_command_line_has_one(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
) -> None:
    pytester.makeini("[pytest]\ntest_categories_enforcement = warn\n")
    pytester.makepyfile(HEAD + "\n@pytest.mark.small\ndef test_size(): bind()\n")
    monkeypatch.setenv("TEST_CATEGORIES_ENFORCEMENT", "strict")
    result = run_pytest("-v", mode=None, workers=workers)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["test categories: the enforcement mode is from TEST_CATEGORIES_ENFORCEMENT"])
    run_pytest(mode="off", workers=workers).assert_outcomes(passed=1)
    monkeypatch.setenv("TEST_CATEGORIES_NETWORK_ALLOW", "small: 127.0.0.1")
    run_pytest(mode=None, workers=workers).assert_outcomes(passed=1)
    monkeypatch.setenv("TEST_CATEGORIES_ENFORCEMENT", "strickt")
    result = run_pytest(mode=None, workers=workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: TEST_CATEGORIES_ENFORCEMENT: 'strickt' is not an enforcement mode; *"])


def test_off_mode_runs_no_hook_for_a_test_and_imports_neither_wrapt_nor_asyncio(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest(
        """
        import sys

        def pytest_runtest_teardown(item):
            manager = item.config.pluginmanager
            mine = [p for p in manager.get_plugins() if type(p).__module__.startswith("pytest_test_categories")
                    or getattr(p, "__name__", "").startswith("pytest_test_categories")]
            hooks = [caller.name for p in mine for caller in manager.get_hookcallers(p) or ()]
            print("HOOKS", sorted(hooks))
            print("IMPORTED", sorted({"wrapt", "asyncio", "socket"} & set(sys.modules)))
            print("FIXTURES", [name for name in item.fixturenames if name == "network_isolation"])
        """
    )
    pytester.makepyfile("import pytest\n@pytest.mark.small\ndef test_one(): pass\n")
    for arguments in ((), ("--test-categories-default-size=small", "--network-allow=postgres:5432")):
        # From CPython 3.14 on pdb imports asyncio, and pytest imports pdb.
        result = run_pytest("-s", "-p", "no:unraisableexception", "-p", "no:debugging", *arguments, mode="off")
        result.assert_outcomes(passed=1)
        text = result.stdout.str()
        hooks = text.partition("HOOKS ")[2].partition("\n")[0]
        assert "runtest" not in hooks
        assert "fixture_setup" not in hooks
        assert "FIXTURES []" in text
        imported = text.partition("IMPORTED ")[2].partition("\n")[0]
        assert "wrapt" not in imported
        assert "asyncio" not in imported


WARNS: Final = (
    HEAD
    + """
@pytest.mark.small
def test_bind(): bind()

@pytest.mark.small
def test_lookup_and_connect():
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", 9), 1)

@pytest.mark.small
def test_twice():
    for _ in range(2): bind()

@pytest.mark.small
def test_thread():
    thread = threading.Thread(target=bind)
    thread.start()
    thread.join()

@pytest.mark.small
class Cases(unittest.TestCase):
    def test_case(self): bind()

@pytest.mark.small
def test_again(): bind()
"""
)


@pytest.mark.parametrize(
    "filters",
    [
        pytest.param("", id="no filters"),
        pytest.param("filterwarnings = error", id="error"),
        pytest.param("filterwarnings =\n    error\n    ignore::DeprecationWarning", id="error and more"),
        pytest.param("addopts = -p no:warnings", id="no warnings plugin"),
    ],
)
def test_warn_mode_lets_the_call_go_on_and_says_one_greppable_line_for_each_test(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    filters: str,
    workers: int,
) -> None:
    pytester.makeini(f"[pytest]\n{filters}\n")
    pytester.makepyfile(test_warns=WARNS)
    result = run_pytest(mode="warn", workers=workers)
    result.assert_outcomes(passed=6, warnings=0 if "no:warnings" in filters else 6)
    assert result.ret == pytest.ExitCode.OK
    listed = summary(result)
    assert listed[0].startswith("network violations: 6 in 6 tests")
    if "no:warnings" in filters:
        assert "  test_warns.py::test_twice [small]" in listed
        return
    assert listed[1:3] == ["  4 tests [small]", "    listen on 127.0.0.1 (any port) (x5) at test_warns.py:6 in bind"]
    lines = {
        line[line.index("Network access violation") :]
        for line in (*result.outlines, *result.errlines)
        if "NetworkAccessWarning: Network access violation" in line
    }
    assert lines == {
        "Network access violation in test_lookup_and_connect: attempted connection to 127.0.0.1:9",
        *(
            f"Network access violation in {name}: attempted connection to 127.0.0.1:0: listen on 127.0.0.1 (any port)"
            for name in ("test_bind", "test_twice", "test_thread", "test_case", "test_again")
        ),
    }


def test_the_warn_line_can_be_found_with_grep(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(test_warns=WARNS)
    for arguments in ((), ("-q",), ("-v",)):
        result = run_pytest(*arguments, mode="warn")
        found = [line for line in (*result.outlines, *result.errlines) if "Network access violation" in line]
        assert [line for line in found if "in test_bind: attempted connection to 127.0.0.1:0" in line], arguments


def test_the_summary_of_warn_mode_is_complete_where_warnings_are_silenced(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
) -> None:
    pytester.makepyfile(test_warns=WARNS)
    for arguments in (("-p", "no:warnings"), ("-q", "-W", "ignore"), ("--disable-warnings",)):
        result = run_pytest(*arguments, mode="warn")
        assert result.ret == pytest.ExitCode.OK
        assert summary(result)[0] == "network violations: 6 in 6 tests"


def test_an_error_filter_on_the_command_line_raises_at_the_call(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
) -> None:
    pytester.makepyfile(
        test_warns=HEAD
        + """
@pytest.mark.small
def test_bind(): bind()

@pytest.mark.small
def test_raises():
    with pytest.raises(UserWarning, match="Network access violation in test_raises"): bind()
"""
    )
    assert outcomes(run_pytest("-v", "-W", "error", mode="warn")) == {
        "test_bind": {"FAILED"},
        "test_raises": {"PASSED"},
    }


def test_a_filter_that_names_our_category_is_the_projects(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeini("[pytest]\nfilterwarnings =\n    error::pytest_test_categories.NetworkAccessWarning\n")
    pytester.makepyfile(HEAD + "\n@pytest.mark.small\ndef test_bind(): bind()\n")
    run_pytest(mode="warn").assert_outcomes(failed=1)
    pytester.makeini("[pytest]\nfilterwarnings =\n    ignore::pytest_test_categories.NetworkAccessWarning\n")
    result = run_pytest(mode="warn")
    result.assert_outcomes(passed=1, warnings=0)
    assert "network violations: 1 in 1 test" in result.stdout.str()


def test_the_environment_serves_where_no_run_does(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    script = pytester.makepyfile(
        script="""
import socket
from pytest_test_categories import network_guard
with network_guard("small") as guard:
    print(guard.mode.value)
"""
    )
    for mode in ("strict", "warn", "off"):
        monkeypatch.setenv("TEST_CATEGORIES_ENFORCEMENT", mode)
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == mode
    monkeypatch.setenv("TEST_CATEGORIES_ENFORCEMENT", "strickt")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "choose one of strict, warn, off" in done.stderr
