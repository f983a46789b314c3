"""Under debugpy, which IDEs run tests by: the children of small tests attach, and what tests do is judged all the same."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

CHILDREN: Final = """
import concurrent.futures, contextlib, multiprocessing, os, socket, subprocess, sys
import pytest

pytestmark = pytest.mark.small
PYTHON = sys.executable
DIALS = "import contextlib, socket\\nwith contextlib.suppress(Exception): socket.create_connection(('127.0.0.1', 9), 1)"

def seven():
    return 7

@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_process(how):
    child = multiprocessing.get_context(how).Process(target=seven)
    child.start()
    child.join(60)
    assert child.exitcode == 0

@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_pool(how):
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(how)) as pool:
        assert pool.submit(seven).result(60) == 7

def test_program():
    assert subprocess.run([PYTHON, "-c", "print(7)"], capture_output=True, timeout=60).stdout == b"7\\n"

def test_module():
    assert subprocess.run([PYTHON, "-m", "this"], capture_output=True, timeout=60).returncode == 0

def test_posix_spawn():
    assert os.waitpid(os.posix_spawn(PYTHON, [PYTHON, "-c", "pass"], os.environ), 0)[1] == 0

def test_fork_and_exec():
    child = os.fork()
    if not child: os.execv(PYTHON, [PYTHON, "-c", "pass"])
    assert os.waitpid(child, 0)[1] == 0

def test_child_that_dials():
    subprocess.run([PYTHON, "-c", DIALS], timeout=60)

def test_dials():
    with contextlib.suppress(Exception): socket.create_connection(("127.0.0.1", 9), 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_rule_5_children_of_small_tests_attach_to_a_real_debugger(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
) -> None:
    pytest.importorskip("debugpy")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    pytester.makepyfile(test_children=CHILDREN)
    result = pytester.run(
        *(sys.executable, "-m", "debugpy", "--listen", "127.0.0.1:0", "-m", "pytest", "-v", "-Wignore"),
        *("-p", "pytest_test_categories.pytest_plugin", "-p", "no:cacheprovider"),
        "--test-categories-enforcement=strict",
        timeout=240,
    )
    found = outcomes(result)
    assert len(found) == 11
    assert {name for name, words in found.items() if words != {"PASSED"}} == {"test_child_that_dials", "test_dials"}
    assert found["test_dials"] == found["test_child_that_dials"] == {"FAILED"}
