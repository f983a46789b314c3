"""Child processes in real runs: who is charged, what the summary says, under xdist too."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[..., pytest.RunResult]
    Outcomes = Callable[[pytest.RunResult], dict[str, set[str]]]
    Lines = Callable[[pytest.RunResult], list[str]]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="programs of POSIX")

WORKER: Final = """
import socket, sys, time

def dial(host="198.51.100.1", port=9):
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except Exception as error:
        return type(error).__name__
    return "connected"

if __name__ == "__main__":
    dial(*sys.argv[1:3])
"""

HEAD: Final = """
import multiprocessing, os, subprocess, sys, time
import pytest
import worker

WORKER = [sys.executable, worker.__file__]
"""


@pytest.fixture(autouse=True)
def _spools(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give inner runs a directory for temporary files, and check that none is left in it."""
    where = pytester.path / "temporary"
    where.mkdir()
    monkeypatch.setenv("TMPDIR", str(where))
    monkeypatch.setattr(tempfile, "tempdir", None)
    pytester.makepyfile(worker=WORKER)
    yield
    assert list(where.glob("pytest-test-categories-*")) == []


def write(pytester: pytest.Pytester, code: str) -> None:
    pytester.makepyfile(test_it=HEAD + code)


def test_a_child_that_swallows_its_refusal_fails_its_test(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes, summary: Lines, workers: int
) -> None:
    write(
        pytester,
        """
@pytest.mark.small
def test_run():
    subprocess.run(WORKER)

@pytest.mark.medium
def test_spawn():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(worker.dial, ["198.51.100.1"]) == ["NetworkAccessViolationError"]

@pytest.mark.small
@pytest.mark.xfail
def test_xfail():
    subprocess.run(WORKER)
    assert False

@pytest.mark.small
def test_skip():
    subprocess.run(WORKER)
    pytest.skip()

@pytest.mark.small
def test_other_failure():
    subprocess.run(WORKER)
    assert 1 == 2

@pytest.mark.large
def test_large():
    assert subprocess.run([sys.executable, "-c", "import sys; sys.exit('wrapt' in sys.modules)"]).returncode == 0

@pytest.mark.small
def test_innocent():
    subprocess.run([sys.executable, "-c", ""], check=True)
""",
    )
    result = run_pytest("-v", workers=workers)
    assert outcomes(result) == {
        "test_run": {"FAILED"},
        "test_spawn": {"FAILED"},
        "test_xfail": {"FAILED"},
        "test_skip": {"FAILED"},
        "test_other_failure": {"FAILED"},
        "test_large": {"PASSED"},
        "test_innocent": {"PASSED"},
    }
    text = "\n".join(summary(result))
    assert text.startswith("network violations: 5 in 5 tests")
    assert "198.51.100.1:9 at worker.py:5 in dial; in child process " in text
    assert "unwatched" not in text
    assert re.search(r"in child process \d+: python\S* .*worker\.py", result.stdout.str())
    result.stdout.fnmatch_lines(["*assert 1 == 2*"])


def test_in_warn_mode_a_child_goes_on_and_is_listed(
    pytester: pytest.Pytester, run_pytest: Run, summary: Lines, listener: tuple[str, int], workers: int
) -> None:
    write(
        pytester,
        f"""
@pytest.mark.small
def test_run():
    code = "import worker; print(worker.dial('127.0.0.1', {listener[1]}))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("connected\\n", "")
""",
    )
    result = run_pytest("-v", mode="warn", workers=workers)
    assert result.ret == 0
    assert summary(result)[0] == "network violations: 1 in 1 test, each a warning above"


STARTS: Final = {
    "program": "subprocess.run([*WORKER, *map(str, HERE)])",
    "python -c": "subprocess.run([sys.executable, '-c', f'import worker; [worker.dial(*{HERE}) for _ in range(3)]'])",
    **{
        method: f"""
    child = multiprocessing.get_context("{method}").Process(target=worker.dial, args=HERE)
    child.start()
    child.join()
"""
        for method in ("fork", "spawn")
    },
    "pool": "POOL.submit(worker.dial, *HERE).result()",
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_in_warn_mode_what_a_child_does_is_a_warning_of_the_test(
    pytester: pytest.Pytester, run_pytest: Run, listener: tuple[str, int], workers: int, start: str
) -> None:
    write(
        pytester,
        f"""
import concurrent.futures
HERE = {listener}
POOL = concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))

@pytest.mark.large
def test_a_starts_the_pool():
    POOL.submit(worker.dial, *HERE).result()

@pytest.mark.small
def test_b_dials():
    {start}

@pytest.mark.small
def test_c_innocent():
    assert POOL.submit(abs, -1).result() == 1
    POOL.shutdown()
""",
    )
    result = run_pytest("-v", "-p", "no:randomly", mode="warn", workers=workers)
    assert result.ret == 0
    warned = "\n".join(result.outlines).partition("warnings summary")[2].partition("test categories (warn)")[0]
    line = f"Network access violation in test_b_dials: attempted connection to {listener[0]}:{listener[1]}"
    assert warned.count(line) == 1, warned
    assert re.search(rf"test_it\.py::test_b_dials\n.*worker\.py:5: .*{re.escape(line)}", warned)
    assert "test_a" not in warned
    assert "test_c" not in warned


def test_in_warn_mode_a_child_that_outlives_its_test_is_a_warning_too(
    pytester: pytest.Pytester, run_pytest: Run, listener: tuple[str, int], workers: int
) -> None:
    write(
        pytester,
        f"""
@pytest.mark.small
def test_a_leaves():
    code = "import os, time, worker; time.sleep(0.5); worker.dial('127.0.0.1', {listener[1]}); os.mkdir('done')"
    subprocess.Popen([sys.executable, "-c", code])

@pytest.mark.large
def test_b_bystander():
    end = time.monotonic() + 30
    while not os.path.exists("done") and time.monotonic() < end:
        time.sleep(0.05)
""",
    )
    result = run_pytest(*(["--dist=loadfile"] if workers else []), mode="warn", workers=workers)
    assert result.ret == 0
    assert result.stdout.str().count("Network access violation in test_a_leaves: attempted connection to 127.0") == 1


def test_in_warn_mode_what_a_child_expects_or_an_inner_guard_refuses_is_no_warning(
    pytester: pytest.Pytester, run_pytest: Run, listener: tuple[str, int]
) -> None:
    write(
        pytester,
        f"""
from pytest_test_categories import expect_network_violation, network_guard

@pytest.mark.small
def test_expected():
    with expect_network_violation():
        subprocess.run([*WORKER, "127.0.0.1", "{listener[1]}"])

@pytest.mark.small
def test_refused_too():
    with expect_network_violation(), network_guard("small", "strict"):
        subprocess.run([*WORKER, "127.0.0.1", "{listener[1]}"])

@pytest.mark.medium
def test_refused_by_one_of_two():
    with pytest.raises(Exception), network_guard("small", "strict"):
        subprocess.run([*WORKER, "127.0.0.1", "{listener[1]}"])
""",
    )
    result = run_pytest(mode="warn")
    result.assert_outcomes(passed=3, warnings=0)


def test_an_error_filter_on_the_command_line_fails_the_test_whose_child_dials(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes, listener: tuple[str, int]
) -> None:
    write(
        pytester,
        f"""
@pytest.mark.small
def test_dials():
    subprocess.run([*WORKER, "127.0.0.1", "{listener[1]}"])

@pytest.mark.small
def test_innocent():
    pass
""",
    )
    result = run_pytest("-v", "-W", "error", mode="warn")
    assert outcomes(result) == {"test_dials": {"FAILED"}, "test_innocent": {"PASSED"}}
    assert "NetworkAccessWarning: Network access violation in test_dials" in result.stdout.str()


def test_in_off_mode_nothing_is_handed_down(pytester: pytest.Pytester, run_pytest: Run) -> None:
    write(
        pytester,
        """
@pytest.mark.small
def test_run():
    code = "import os, sys; sys.exit('TEST_CATEGORIES_CHILD' in os.environ or 'pytest_test_categories_child' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert not any(name.startswith("pytest_test_categories._watch") for name in sys.modules)
""",
    )
    assert run_pytest(mode=None).ret == 0


def test_rule_11_unwatched_programs_are_counted(
    pytester: pytest.Pytester, run_pytest: Run, summary: Lines, workers: int
) -> None:
    write(
        pytester,
        """
@pytest.mark.small
def test_one():
    subprocess.run(["true", "--password=secret"])
    subprocess.run([sys.executable, "-I", "-c", "secret = 1"])
    subprocess.run([sys.executable, "-c", ""])

@pytest.mark.medium
def test_two():
    subprocess.run(["true"])
    os.system(f"{sys.executable} -c 1")
    with pytest.raises(FileNotFoundError):
        subprocess.run(["no-such-program-anywhere"])

@pytest.mark.large
def test_large():
    subprocess.run(["true"])

def test_unsized():
    subprocess.run(["true"])
""",
    )
    result = run_pytest("-v", workers=workers)
    assert result.ret == 0
    name = os.path.basename(sys.executable)
    assert f"unwatched child processes: 3 in 2 tests: true (x2), {name} -I" in summary(result)
    assert "secret" not in "\n".join(summary(result))


@pytest.mark.parametrize("options", ["[]", "['-u']", "['-X', 'utf8']"])
def test_a_python_that_was_killed_before_it_began_is_not_unwatched(
    pytester: pytest.Pytester, run_pytest: Run, options: str
) -> None:
    write(
        pytester,
        f"""
@pytest.mark.small
def test_killed():
    child = subprocess.Popen([sys.executable, *{options}, "-c", "import time; time.sleep(9)"])
    child.kill()
    child.wait()
""",
    )
    result = run_pytest()
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("unwatched child*")


def test_rule_11_a_python_that_lacks_the_package_is_unwatched(
    pytester: pytest.Pytester, run_pytest: Run, summary: Lines
) -> None:
    write(
        pytester,
        """
from pytest_test_categories._processes.child import pytest_test_categories_child as ours
from pytest_test_categories._runtime import runtime

@pytest.mark.small
def test_blind():
    # What the program's start finds, without the packages of this environment.
    code = (
        "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p and not p.endswith('src')];"
        "sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f)];"
        "sys.path.insert(0, sys.argv[1]);"
        "import pytest_test_categories_child as c; c.begin()"
    )
    # -S and a copy of the variable: the site is left out, and the start is made by hand.
    script = "import os; os.environ[%r] = os.environ['COPY'];" % ours.VARIABLE + code
    value = runtime.hand_down([sys.executable, "-c", code], [sys.executable], True)
    subprocess.run([sys.executable, "-I", "-S", "-c", script, ours.DIRECTORY], env={"COPY": value}, check=True)
""",
    )
    name = os.path.basename(sys.executable)
    (line,) = (line for line in summary(run_pytest()) if line.startswith("unwatched"))
    assert re.search(rf"unwatched child processes: 2 in 1 test: .*{re.escape(name)}", line)


def test_unwatched_programs_of_children_count_too(pytester: pytest.Pytester, run_pytest: Run, summary: Lines) -> None:
    write(
        pytester,
        """
@pytest.mark.small
def test_child():
    subprocess.run([sys.executable, "-c", "import subprocess; subprocess.run(['true']); subprocess.run(['true'], env={})"])
    if (pid := os.fork()) == 0:
        os.execlp("true", "true")
    os.waitpid(pid, 0)
    os.spawnlp(os.P_WAIT, "true", "true")
""",
    )
    result = run_pytest("-v")
    assert "unwatched child processes: 4 in 1 test: true (x4)" in summary(result)


def test_a_layer_that_watches_every_program_switches_the_line_off(
    pytester: pytest.Pytester, run_pytest: Run, summary: Lines, workers: int
) -> None:
    pytester.makeconftest(
        """
def pytest_sessionstart():
    from pytest_test_categories._ledger.runs import innermost
    innermost().children_watched = True
"""
    )
    write(
        pytester,
        """
@pytest.mark.small
def test_one():
    subprocess.run(["true"])
""",
    )
    assert summary(run_pytest("-v", workers=workers)) == ["sizes: 1 small"]


def test_many_names_are_cut_short(pytester: pytest.Pytester, run_pytest: Run, summary: Lines) -> None:
    write(
        pytester,
        """
@pytest.mark.small
def test_many(tmp_path):
    for n in range(60):
        program = tmp_path / f"program{n:02}"
        program.write_text("#!/bin/sh")
        program.chmod(0o755)
        subprocess.run([program])
""",
    )
    (line,) = (line for line in summary(run_pytest("-v")) if line.startswith("unwatched"))
    assert line.startswith("unwatched child processes: 60 in 1 test: other programs (x10), program00, program01,")
    assert line.endswith("45 more")


def test_rule_4_a_child_that_outlives_its_test_is_late(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes, summary: Lines, workers: int
) -> None:
    write(
        pytester,
        """
CODE = "import os, sys, time, worker\\nwhile not os.path.exists('go'): time.sleep(0.02)\\nworker.dial(); open('done', 'w')"

@pytest.mark.small
def test_starter():
    subprocess.Popen([sys.executable, "-c", CODE], start_new_session=True)

@pytest.mark.small
def test_bystander():
    open("go", "w").close()
    while not os.path.exists("done"):
        time.sleep(0.02)
""",
    )
    result = run_pytest("-v", workers=min(workers, 1))  # both in one
    assert outcomes(result) == {"test_starter": {"PASSED"}, "test_bystander": {"PASSED"}}
    assert result.ret == 1
    lines = summary(result)
    assert lines[0].startswith("network violations that no running test is charged with: 1 ")
    assert "by a child process of test_it.py::test_starter" in lines[2]


def test_one_that_dials_after_the_last_test_is_late(pytester: pytest.Pytester, run_pytest: Run, summary: Lines) -> None:
    pytester.makeconftest(
        """
import os, time

def pytest_sessionfinish():
    open("go", "w").close()
    while not os.path.exists("done"):
        time.sleep(0.02)
"""
    )
    write(
        pytester,
        """
CODE = "import os, sys, time, worker\\nwhile not os.path.exists('go'): time.sleep(0.02)\\nworker.dial(); open('done', 'w')"

@pytest.mark.small
def test_starter():
    subprocess.Popen([sys.executable, "-c", CODE], start_new_session=True)
""",
    )
    result = run_pytest("-v")
    assert result.ret == 1
    assert "that outlived it" in "\n".join(summary(result))


def test_a_child_of_nobodys_thread_fails_the_run_and_no_test(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes, summary: Lines
) -> None:
    write(
        pytester,
        """
import _thread, threading
go, gone = threading.Event(), threading.Event()

def work():
    go.wait()
    subprocess.run(WORKER)
    gone.set()

@pytest.fixture(scope="session", autouse=True)
def _old_thread():
    start = _thread.start_new_thread
    getattr(start, "__wrapped__", start)(work, ())  # nobody sees it start

@pytest.mark.small
def test_bystander():
    go.set()
    gone.wait()
""",
    )
    result = run_pytest("-v")
    assert outcomes(result) == {"test_bystander": {"PASSED"}}
    assert result.ret == 1
    assert "a thread that no test is known to have started" in "\n".join(summary(result))


def test_a_daemon_that_outlives_the_run_is_refused(pytester: pytest.Pytester, run_pytest: Run) -> None:
    write(
        pytester,
        """
CODE = "import os, sys, time, worker\\nwhile not os.path.exists('go'): time.sleep(0.02)\\nopen('said', 'w').write(worker.dial()); os.rename('said', 'done')"

@pytest.mark.small
def test_starter():
    null = subprocess.DEVNULL
    subprocess.Popen([sys.executable, "-c", CODE], start_new_session=True, stdin=null, stdout=null, stderr=null)
""",
    )
    assert run_pytest("-v").ret == 0
    (pytester.path / "go").touch()
    done = pytester.path / "done"
    end = time.monotonic() + 30
    while not done.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert done.read_text() == "NetworkAccessViolationError"


def test_a_fixtures_child_is_held_to_the_fixture(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes, summary: Lines
) -> None:
    write(
        pytester,
        """
CODE = "import sys, worker\\nfor _ in sys.stdin: print(worker.dial(), flush=True)"

@pytest.fixture(scope="session")
def server():
    with subprocess.Popen([sys.executable, "-c", CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        yield child

@pytest.mark.medium
def test_uses_it(server):
    print("go", file=server.stdin, flush=True)
    assert server.stdout.readline() == "NetworkAccessViolationError\\n"

@pytest.mark.large
def test_uses_it_too(server):
    pass
""",
    )
    result = run_pytest("-v")
    assert result.ret == 1
    text = result.stdout.str()
    assert "in fixture server (session), held to medium by test_it.py::test_uses_it" in text
    assert "198.51.100.1:9 at worker.py:5 in dial" in text


def test_rule_13_a_child_of_an_import(pytester: pytest.Pytester, run_pytest: Run, summary: Lines) -> None:
    write(
        pytester,
        """
subprocess.run(WORKER)

@pytest.mark.small
def test_one():
    pass
""",
    )
    result = run_pytest("-v", "--test-categories-default-size=small")
    assert result.ret != 0
    assert "198.51.100.1:9" in "\n".join(summary(result))


def test_a_run_inside_a_guarded_test_is_held_to_both(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes
) -> None:
    pytester.makepyfile(
        inner="""
import socket, pytest

@pytest.mark.large
def test_dials():
    try:
        socket.create_connection(("198.51.100.1", 9), timeout=5)
    except Exception:
        pass

@pytest.mark.small
def test_passes():
    pass
"""
    )
    write(
        pytester,
        """
RUN = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "pytest_test_categories.pytest_plugin", "inner.py"]

@pytest.mark.medium
@pytest.mark.parametrize("mode", ["strict", "off"])
def test_outer(mode):
    done = subprocess.run([*RUN, f"--test-categories-enforcement={mode}"], capture_output=True, text=True)
    assert "2 passed" in done.stdout, done.stdout
""",
    )
    result = run_pytest("-v")
    assert outcomes(result) == {"test_outer[strict]": {"FAILED"}, "test_outer[off]": {"FAILED"}}
    assert "198.51.100.1:9 at inner.py:6 in test_dials; in child process" in result.stdout.str()
    assert "AssertionError" not in result.stdout.str()


def test_a_run_with_workers_inside_a_guarded_test(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes
) -> None:
    pytester.makepyfile(
        inner="""
import socket

def test_dials():
    try:
        socket.create_connection(("198.51.100.1", 9), timeout=5)
    except Exception:
        pass
"""
    )
    write(
        pytester,
        """
@pytest.mark.medium
def test_outer():
    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "xdist", "-n1", "-p", "no:cacheprovider", "inner.py"])
    assert done.returncode == 0
""",
    )
    assert outcomes(run_pytest("-v")) == {"test_outer": {"FAILED"}}


def test_coverage_of_children_keeps_working(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytest.importorskip("coverage")
    (pytester.path / ".coveragerc").write_text("[run]\nparallel = true\npatch = subprocess\nsource = .\n")
    write(
        pytester,
        """
@pytest.mark.small
def test_child():
    subprocess.run([sys.executable, "-c", "import measured; measured.work()"], check=True)
""",
    )
    pytester.makepyfile(measured="def work():\n    return 1\n")
    for mode in ("off", "strict"):
        done = pytester.run(
            sys.executable,
            *("-m", "coverage", "run", "-m", "pytest", "-p", "pytest_test_categories.pytest_plugin", "-q"),
            *(f"--test-categories-enforcement={mode}", "--disable-plugin-autoload"),
        )
        assert done.ret == 0
        pytester.run(sys.executable, "-m", "coverage", "combine", "-q")
        report = pytester.run(sys.executable, "-m", "coverage", "report", "--include=measured.py")
        if mode == "off" and "100%" not in report.stdout.str():
            pytest.skip("coverage's .pth file is not read here")
        report.stdout.fnmatch_lines(["measured.py*100%"])


def test_rule_9_a_pytest_that_a_test_starts_with_errors_for_warnings_starts(
    pytester: pytest.Pytester, run_pytest: Run
) -> None:
    """It finds our package imported already, and would warn: it marks the modules of installed plugins like this."""
    inner = pytester.path / "inner"
    inner.mkdir()
    (inner / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    marking = """
import socket, sys
import pytest
socket.getaddrinfo("localhost", 80)
assert "pytest_test_categories" in sys.modules
pytest.register_assert_rewrite("pytest_test_categories")
"""
    (inner / "conftest.py").write_text(marking, encoding="utf-8")
    (inner / "test_inner.py").write_text("def test_one():\n    pass\n", encoding="utf-8")
    write(
        pytester,
        f"""
@pytest.mark.small
def test_starts_one():
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd={str(inner)!r}, capture_output=True, text=True)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
""",
    )
    result = run_pytest("test_it.py", "--test-categories-enforcement=strict")
    result.assert_outcomes(passed=1)
