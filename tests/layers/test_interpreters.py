"""Subinterpreters: jobs cross into them bare, for their submitter, and those of guarded tests are counted."""

from __future__ import annotations

import math
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pytest_test_categories import network_guard
from pytest_test_categories._attribution.origin import charge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(sys.version_info < (3, 14), reason="concurrent.interpreters is new in 3.14")

pytest_plugins = ("pytester",)


@pytest.fixture
def pool() -> Iterator[Any]:
    from concurrent.futures import InterpreterPoolExecutor  # type: ignore[attr-defined,unused-ignore]

    with InterpreterPoolExecutor(1) as pool:
        yield pool


def test_a_job_crosses_into_another_interpreter_whatever_the_size(pool: Any) -> None:
    for size in ("small", "medium", "large"):
        with network_guard(size, "strict"):
            assert pool.submit(math.sqrt, 4).result(30) == 2
            assert list(pool.map(math.sqrt, [4, 9])) == [2, 3]
            with pytest.raises(ValueError, match="base"):
                pool.submit(int, "1", 99).result(30)


def test_an_initializer_crosses_too() -> None:
    from concurrent.futures import InterpreterPoolExecutor  # type: ignore[attr-defined,unused-ignore]

    with network_guard("small", "strict"), InterpreterPoolExecutor(1, initializer=math.sqrt, initargs=(4,)) as pool:
        assert pool.submit(math.sqrt, 4).result(30) == 2


def test_the_thread_works_for_the_jobs_submitter(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is what a layer outside of the process judges the interpreter's calls by."""
    from concurrent.futures import interpreter  # type: ignore[attr-defined,unused-ignore]

    found: list[Any] = []
    run: Callable[..., Any] = interpreter.WorkerContext.run

    def note(self: Any, task: Any) -> Any:
        found.append((charge(), task[0]))
        return run(self, task)

    monkeypatch.setattr(interpreter.WorkerContext, "run", note)
    for size in ("small", "medium"):
        with network_guard(size, "strict"):  # the first one starts the pool's thread
            expected = charge()
            assert pool.submit(math.sqrt, 4).result(30) == 2
        assert expected is not None
        charged, function = found.pop()
        assert charged.scopes == expected.scopes
        assert function is math.sqrt


def test_an_interpreter_can_be_called_with_what_a_guarded_thread_carries() -> None:
    from concurrent import interpreters  # type: ignore[attr-defined,unused-ignore]

    found: list[Any] = []
    with network_guard("small", "strict"):
        other = interpreters.create()
        try:
            thread = threading.Thread(target=lambda: found.append(other.call(math.sqrt, 4)))
            thread.start()
            thread.join()
        finally:
            other.close()
    assert found == [2]


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one process", "two workers"])
def test_the_summary_counts_interpreters_of_restricted_tests(pytester: pytest.Pytester, workers: list[str]) -> None:
    pytester.makepyfile(
        """
        import math, subprocess
        from concurrent import interpreters
        from concurrent.futures import InterpreterPoolExecutor
        import pytest

        @pytest.mark.small
        def test_one():
            other = interpreters.create()
            other.close()

        @pytest.mark.medium
        def test_pool():
            with InterpreterPoolExecutor(1) as pool:
                assert pool.submit(math.sqrt, 4).result() == 2

        @pytest.mark.large
        def test_free():
            interpreters.create().close()
        """
    )
    result = pytester.runpytest_subprocess(
        *("-p", "pytest_test_categories.pytest_plugin", "-p", "xdist", "--disable-plugin-autoload"),
        *("--test-categories-enforcement=strict", "-q", *workers),
    )
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["unwatched child processes and interpreters: 2 in 2 tests: subinterpreter (x2)"])
