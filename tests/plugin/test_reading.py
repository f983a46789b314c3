"""What a reader sees of a violation: the short summary, the traceback, each fact once, and a test that hangs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]

FETCHES: Final = {
    "users": """
import urllib.request

def fetch():
    return urllib.request.urlopen("http://api.example.com/users/7", timeout=1).read()
""",
    "test_users": """
import pytest, users

pytestmark = pytest.mark.small

def test_raises():
    users.fetch()

def test_swallows():
    with pytest.raises(RuntimeError):
        try: users.fetch()
        except Exception: raise RuntimeError

@pytest.fixture
def made():
    users.fetch()

def test_fixture(made): pass

@pytest.mark.xfail
def test_xfails():
    users.fetch()
""",
}
SHORT: Final = r"\[TC001\] api\.example\.com:80 at users\.py:4"


@pytest.mark.parametrize("workers", [0, 2])
def test_the_short_summary_begins_with_the_target_and_its_line(
    pytester: pytest.Pytester, run_pytest: Run, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    pytester.makepyfile(**FETCHES)
    text = run_pytest(workers=workers).stdout.str()
    for test, outcome in (
        ("raises", "FAILED"),
        ("swallows", "ERROR|FAILED"),
        ("fixture", "ERROR"),
        ("xfails", "FAILED"),
    ):
        assert re.search(rf"^({outcome}) test_users\.py::test_{test} - {SHORT}", text, re.MULTILINE), (test, text)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_short_summary_of_a_module_that_an_import_fails_begins_with_the_target(
    pytester: pytest.Pytester, run_pytest: Run, workers: int
) -> None:
    pytester.makeini("[pytest]\ntest_categories_default_size = small\n")
    pytester.makepyfile(users=FETCHES["users"] + "\nfetch()\n", test_imports="import users\ndef test_one(): pass\n")
    text = run_pytest(workers=workers).stdout.str()
    said = re.search(r"^ERROR test_imports\.py(?: - (.*))?$", text, re.MULTILINE)
    assert said is not None, text
    if said[1] is not None or pytest.version_tuple >= (9, 2):  # pytest 8.4 says nothing of an error that is a text
        assert re.fullmatch(SHORT, said[1]), text
    assert text.count("[TC001] Network Access Violation") == 1


def test_tb_line_names_the_projects_line(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile(**FETCHES)
    text = run_pytest("--tb=line").stdout.str()
    assert re.search(rf"^{re.escape(str(pytester.path))}/users\.py:4: {SHORT}", text, re.MULTILINE), text


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("style", ["auto", "long", "short"])
def test_frames_of_libraries_below_the_projects_line_are_one_line(
    pytester: pytest.Pytester, run_pytest: Run, style: str, workers: int
) -> None:
    pytester.makepyfile(**FETCHES)
    text = run_pytest(f"--tb={style}", "-k", "raises", workers=workers).stdout.str()
    assert re.search(r"^\d+ frames in urllib, http and socket \(-vv shows them\)$", text, re.MULTILINE), text
    assert "users.py:4: " in text
    assert "urlopen(" in text
    assert not re.search(r"(request|client|socket)\.py:\d+: ", text)
    assert text.index("urlopen(") < text.index("[TC001]") < text.index("frames in urllib")


WRAPS: Final = """
import urllib.request

class ClientError(Exception): pass

def send():
    return urllib.request.urlopen("http://api.example.com/users/7", timeout=1).read()

def ask():
    try: return send()
    except Exception as error: %s
"""
ASKS: Final = """
import unittest, pytest, wraps

pytestmark = pytest.mark.small

def test_asks():
    wraps.ask()

class Cases(unittest.TestCase):
    def test_asks(self):
        wraps.ask()
"""


@pytest.fixture
def wraps(pytester: pytest.Pytester) -> Callable[[str], None]:
    """Install a client that meets a refusal with a statement of its own, and a test that uses it."""

    def install(statement: str) -> None:
        pytester.makeini("[pytest]\npythonpath = site-packages\n")
        pytester.mkdir("site-packages").joinpath("wraps.py").write_text(WRAPS % statement, encoding="utf-8")
        pytester.makepyfile(test_asks=ASKS)

    return install


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("raise ClientError('it failed') from error", id="cause"),
        pytest.param("raise ClientError('it failed')", id="context"),
    ],
)
def test_a_refusal_that_a_client_wraps_is_as_short_as_a_bare_one(
    run_pytest: Run, wraps: Callable[[str], None], statement: str, workers: int
) -> None:
    wraps(statement)
    text = run_pytest(workers=workers).stdout.str()
    said = r"^FAILED test_asks\.py::(?:Cases::)?test_asks - \[TC001\] api\.example\.com:80 at "
    assert len(re.findall(said, text, re.MULTILINE)) == 2, text
    frames = r"^(?:\d+ frames in wraps, urllib, http and socket \(-vv shows them\)|1 frame in wraps \(-vv shows it\))$"
    assert len(re.findall(frames, text, re.MULTILINE)) == 4, text
    assert "ClientError: it failed" in text
    assert text.count("wraps.ask()") == 2
    assert not re.search(r"(wraps|request|client|socket)\.py:\d+: ", text)
    whole = run_pytest("-vv", workers=workers).stdout.str()
    assert "frames in" not in whole
    assert re.search(r"^site-packages.wraps\.py:\d+: ", whole, re.MULTILINE), whole


def test_a_refusal_in_a_group_is_named_in_the_short_summary(run_pytest: Run, wraps: Callable[[str], None]) -> None:
    wraps("raise ExceptionGroup('several', [ValueError(), error]) from None")
    text = run_pytest().stdout.str()
    assert re.search(r"^FAILED test_asks\.py::test_asks - \[TC001\] api\.example\.com:80", text, re.MULTILINE), text
    assert "frames in" not in text


def test_a_refusal_that_the_failure_hides_is_a_section_and_the_failure_keeps_its_line(
    run_pytest: Run, wraps: Callable[[str], None]
) -> None:
    wraps("raise ClientError('it failed') from None")
    text = run_pytest().stdout.str()
    assert re.search(r"^FAILED test_asks\.py::test_asks - wraps\.ClientError: it failed$", text, re.MULTILINE), text
    assert "frames in" not in text
    assert text.count("[TC001] Network Access Violation") == 2


def test_frames_of_libraries_between_lines_of_the_project_are_hidden_too(
    pytester: pytest.Pytester, run_pytest: Run
) -> None:
    pytester.makepyfile(
        test_tasks="""
        import asyncio, pytest

        async def fetch():
            await asyncio.open_connection("api.example.com", 80)

        @pytest.mark.small
        def test_fetch():
            asyncio.run(fetch())
        """
    )
    text = run_pytest().stdout.str()
    assert re.search(r"^\d+ frames in asyncio", text, re.MULTILINE), text
    assert "asyncio.run(fetch())" in text
    assert "asyncio.open_connection(" in text
    assert not re.search(r"(runners|base_events|streams)\.py:\d+: ", text), text


@pytest.mark.parametrize("arguments", [("-vv",), ("--full-trace",), ("--tb=native",)])
def test_all_frames_are_shown_where_they_are_asked_for(
    pytester: pytest.Pytester, run_pytest: Run, arguments: tuple[str, ...]
) -> None:
    pytester.makepyfile(**FETCHES)
    text = run_pytest(*arguments, "-k", "raises").stdout.str()
    assert "frames in urllib" not in text
    assert re.search(r"socket\.py", text)


def test_the_traceback_of_a_failure_that_is_not_the_guards_is_whole(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile(
        test_json="""
        import json, pytest

        @pytest.mark.small
        def test_parses():
            json.loads("{")
        """
    )
    text = run_pytest("--tb=short").stdout.str()
    assert "decoder.py" in text
    assert "frames in" not in text


def test_a_breakpoint_after_the_failure_sees_the_whole_traceback(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile(
        **FETCHES,
        conftest="""
        def pytest_exception_interact(call):
            print("deepest:", call.excinfo.traceback[-1].frame.code.name, "of", len(call.excinfo.traceback) > 5)
        """,
    )
    run_pytest("-s", "-k", "raises").stdout.fnmatch_lines(["*deepest: * of True"])


def test_in_warn_mode_a_fact_is_printed_once(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile(
        test_serves="""
        import socket, threading, warnings, pytest

        def serve():
            socket.create_server(("127.0.0.1", 0)).close()

        @pytest.mark.small
        @pytest.mark.parametrize("n", range(20))
        def test_serves(n):
            serve()

        @pytest.mark.small
        def test_in_a_thread():
            thread = threading.Thread(target=serve)
            thread.start()
            thread.join()

        def test_warns():
            warnings.warn("of the test's own")
        """
    )
    result = run_pytest(mode="warn")
    text = result.stdout.str() + result.stderr.str()
    result.assert_outcomes(passed=22, warnings=22)
    assert "network violations: 21 in 21 tests, each a warning above" in result.outlines
    assert all(text.count(f"test_serves[{n}]") == 2 for n in range(20))  # pytest's own line of the test, and its text
    assert text.count("violation in test_in_a_thread") == 1
    section = text.partition("network violations: ")[2]
    assert "  20 tests [small]\n    listen on 127.0.0.1 (any port) (x20) at test_serves.py:4 in serve\n" in section
    assert "test_serves.py::" not in section


def test_where_warnings_are_not_listed_the_summary_names_the_tests(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile(
        test_serves="""
        import socket, pytest

        @pytest.mark.small
        def test_serves():
            socket.create_server(("127.0.0.1", 0)).close()
        """
    )
    for arguments in (("--disable-warnings",), ("-W", "ignore"), ("-p", "no:warnings")):
        said = run_pytest(*arguments, mode="warn").stdout.str()
        assert "network violations: 1 in 1 test\n  test_serves.py::test_serves [small]\n    listen on" in said, (
            arguments
        )


HANGS: Final = """
import queue, threading, time, pytest
import socket

@pytest.mark.small
def test_waits():
    jobs = queue.Queue()
    jobs.put(1)

    def work():
        jobs.get()
        socket.create_connection(("198.51.100.1", 9), 1)
        jobs.task_done()

    threading.Thread(target=work, name="worker", daemon=True).start()
    %s
"""


@pytest.fixture
def impatient(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("import pytest_test_categories.pytest_plugin._waiting as waiting\nwaiting.SECONDS = 0.5\n")


@pytest.mark.usefixtures("impatient")
def test_a_test_that_waits_for_a_thread_which_a_refusal_ended_is_named(
    pytester: pytest.Pytester, run_pytest: Run
) -> None:
    pytester.makepyfile(test_waits=HANGS % "jobs.join()")
    result = run_pytest("--timeout=3", plugins=("pytest_timeout",))
    said = [line for line in result.errlines if "still waits" in line]
    assert len(said) == 1, result.stderr.str()
    assert "test_waits.py::test_waits still waits" in said[0]
    assert "thread worker: [TC001] 198.51.100.1:9 at test_waits.py:11" in said[0]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "goes_on",
    [
        pytest.param("time.sleep(0.05)", id="ends"),
        pytest.param("end = time.monotonic() + 1.5\n    while time.monotonic() < end: sum(range(99))", id="works"),
    ],
)
def test_a_test_that_goes_on_is_not_said_to_wait(pytester: pytest.Pytester, run_pytest: Run, goes_on: str) -> None:
    pytester.makepyfile(test_waits=HANGS % goes_on)
    result = run_pytest()
    assert "still waits" not in result.stderr.str()
    assert "1 failed" in result.stdout.str() or "1 error" in result.stdout.str()
