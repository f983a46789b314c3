"""Other plugins, other sorts of items, and pytest's own options."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD: Final = """
import contextlib, pathlib, socket, sys, time, unittest
import pytest
from pytest_test_categories import NetworkAccessViolationError, network_guard

TARGET = ("198.51.100.1", 9)

def dial():
    socket.create_connection(TARGET, 1).close()

def swallowed():
    with contextlib.suppress(Exception): dial()
"""


def test_doctests_are_held_to_the_default_size(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    workers: int,
) -> None:
    pytester.makeini("[pytest]\ntest_categories_default_size = small\n")
    pytester.makepyfile(
        documented='''
        def dial():
            """
            >>> import socket
            >>> socket.create_connection(("198.51.100.1", 9), 1)
            """

        def swallow():
            """
            >>> import contextlib, socket
            >>> with contextlib.suppress(Exception):
            ...     _ = socket.create_connection(("198.51.100.1", 9), 1)
            """

        def expect():
            """
            >>> import socket
            >>> socket.create_connection(("198.51.100.1", 9), 1)
            Traceback (most recent call last):
            pytest_test_categories.NetworkAccessViolationError: ...
            """

        def clean():
            """
            >>> 1 + 1
            2
            """
        '''
    )
    found = outcomes(run_pytest("-v", "--doctest-modules", workers=workers))
    # A doctest that prints the error has shown it, but to nobody who asked for it by class: it fails like the others.
    assert {name for name, words in found.items() if words == {"PASSED"}} == {"documented.clean"}
    assert len(found) == 4


def test_items_of_custom_collectors_are_guarded_without_fixtures(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    workers: int,
) -> None:
    pytester.makeconftest(
        """
        import contextlib, socket
        import pytest

        def pytest_collect_file(parent, file_path):
            if file_path.suffix == ".case":
                return CaseFile.from_parent(parent, path=file_path)

        class CaseFile(pytest.File):
            def collect(self):
                for name in self.path.read_text().split():
                    item = Case.from_parent(self, name=name)
                    item.add_marker(name.partition("_")[0])
                    yield item

        class Case(pytest.Item):
            def runtest(self):
                if "clean" not in self.name:
                    with contextlib.suppress(Exception), socket.socket() as s:
                        s.bind(("127.0.0.1", 0))
        """
    )
    pytester.makefile(".case", some="small_dials small_clean medium_binds")
    found = outcomes(run_pytest("-v", workers=workers))
    assert found == {"small_dials": {"FAILED"}, "small_clean": {"PASSED"}, "medium_binds": {"PASSED"}}


def test_hypothesis_examples_are_guarded(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
) -> None:
    pytester.makepyfile(
        test_given=HEAD
        + """
from hypothesis import given, settings, strategies as st

@pytest.mark.small
@settings(max_examples=20, database=None, deadline=None)
@given(st.integers())
def test_swallows(n):
    if n > 10: swallowed()

@pytest.mark.small
@settings(max_examples=20, database=None, deadline=None)
@given(st.integers())
def test_raises(n):
    if n > 10: dial()

@pytest.mark.small
@settings(max_examples=20, database=None, deadline=None)
@given(st.integers())
def test_clean(n): pass

@pytest.mark.small
@settings(max_examples=5, database=None, deadline=None)
@given(st.integers())
def test_always(n):
    with pytest.raises(NetworkAccessViolationError): dial()

@settings(max_examples=5, database=None, deadline=None)
@given(st.integers())
@network_guard("small")
def test_decorated(n): swallowed()
"""
    )
    found = outcomes(run_pytest("-v", plugins=("hypothesispytest",)))
    failed = {name for name, words in found.items() if "FAILED" in words}
    assert failed == {"test_swallows", "test_raises", "test_decorated"}
    assert found["test_clean"] == found["test_always"] == {"PASSED"}


def test_a_rerun_is_judged_anew_and_counted_once(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    workers: int,
) -> None:
    pytester.makepyfile(
        test_reruns=HEAD
        + """
tries = []

@pytest.mark.small
def test_second_try_is_clean():
    tries.append(1)
    if len(tries) == 1: dial()

@pytest.mark.small
def test_never():
    swallowed()

@pytest.mark.small
def test_clean(): pass
"""
    )
    result = run_pytest(
        "--reruns", "1", *(["--dist=loadfile"] if workers else []), plugins=("rerunfailures",), workers=workers
    )
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["failed"], outcomes["rerun"]) == (2, 1, 2)
    assert "sizes: 3 small" in summary(result)


@pytest.mark.skipif(not hasattr(__import__("signal"), "SIGALRM"), reason="pytest-timeout's signal method")
@pytest.mark.parametrize("method", ["signal", "thread"])
def test_a_timeout_tells_what_was_refused(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], method: str
) -> None:
    pytester.makepyfile(
        test_slow=HEAD
        + """
@pytest.mark.small
def test_waits():
    swallowed()
    time.sleep(30)
"""
    )
    result = run_pytest("--timeout=1", f"--timeout-method={method}", plugins=("timeout",))
    assert result.ret != pytest.ExitCode.OK
    if method == "signal":
        result.stdout.fnmatch_lines(
            ["*Timeout (>1.0s) from pytest-timeout*", "*TC001 network access*", "*[[]TC001[]]*"]
        )
    else:
        assert "Timeout" in result.stdout.str() + result.stderr.str()


def test_a_random_order_changes_no_verdict(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        test_order=HEAD
        + """
@pytest.fixture(scope="module")
def broad(): swallowed()

@pytest.mark.large
def test_one(broad): pass
@pytest.mark.small
def test_two(broad): pass
@pytest.mark.small
def test_three(): swallowed()
@pytest.mark.small
def test_four(): pass
"""
    )
    for seed in range(4):
        result = run_pytest(f"--randomly-seed={seed}", plugins=("randomly",))
        result.assert_outcomes(passed=1, failed=1, errors=2)


def test_pytest_mock_patches_and_guards_do_not_lose_each_other(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    workers: int,
) -> None:
    pytester.makepyfile(
        test_mocks=HEAD
        + """
pytestmark = pytest.mark.small

def test_mocked_connect(mocker):
    mocked = mocker.patch("socket.socket.connect")
    with socket.socket() as s: s.connect(TARGET)
    mocked.assert_called_once_with(TARGET)

def test_after_mocked_connect(): swallowed()

def test_mocked_create_connection(mocker):
    mocked = mocker.patch("socket.create_connection")
    dial()
    mocked.assert_called_once()

def test_after_mocked_create_connection(): swallowed()

def test_spy(mocker):
    spy = mocker.spy(socket, "getaddrinfo")
    socket.getaddrinfo("127.0.0.1", 9)
    spy.assert_called_once_with("127.0.0.1", 9)

def test_monkeypatched(monkeypatch):
    class Fake:
        def __init__(self, *args): pass
        def connect(self, address): self.address = address
    monkeypatch.setattr(socket, "socket", Fake)
    fake = socket.socket()
    fake.connect(TARGET)
    assert fake.address == TARGET

def test_after_monkeypatched(): swallowed()

def test_session_mock(session_mocker):
    session_mocker.patch("socket.gethostbyname", return_value="198.51.100.7")
    assert socket.gethostbyname("example.com") == "198.51.100.7"

def test_session_mock_lasts():
    assert socket.gethostbyname("example.com") == "198.51.100.7"
"""
    )
    found = outcomes(
        run_pytest("-v", *(["--dist=loadfile"] if workers else []), plugins=("pytest_mock",), workers=workers)
    )
    assert {name for name, words in found.items() if "FAILED" in words} == {
        "test_after_mocked_connect",
        "test_after_mocked_create_connection",
        "test_after_monkeypatched",
    }
    assert len(found) == 9
    assert not [name for name, words in found.items() if "ERROR" in words]


DJANGO: Final = {
    "settings": """
SECRET_KEY = "not one"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
ROOT_URLCONF = "urls"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
STATIC_URL = "static/"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
""",
    "urls": """
import socket
from django.http import HttpResponse
from django.urls import path

def far(request):
    try: socket.create_connection(("198.51.100.1", 9), 1)
    except Exception: pass
    return HttpResponse("far")

urlpatterns = [path("near", lambda request: HttpResponse("near")), path("far", far)]
""",
    "test_django": """
import urllib.request
import pytest
from django.contrib.auth.models import User
from django.test import LiveServerTestCase, SimpleTestCase, TestCase
from pytest_test_categories import SmallTest

@pytest.mark.small
def test_client(client): assert client.get("/near").content == b"near"

@pytest.mark.small
def test_client_far(client): assert client.get("/far").content == b"far"

@pytest.mark.small
@pytest.mark.django_db
def test_database(): assert User.objects.count() == 0

@pytest.mark.medium
def test_live_server(live_server):
    assert urllib.request.urlopen(live_server.url + "/near").read() == b"near"

@pytest.mark.medium
def test_live_server_far(live_server):
    assert urllib.request.urlopen(live_server.url + "/far").read() == b"far"

@pytest.mark.small
class Marked(TestCase):
    def test_near(self): assert self.client.get("/near").content == b"near"
    def test_far(self): self.client.get("/far")

class Based(SmallTest, SimpleTestCase):
    def test_near(self): assert self.client.get("/near").content == b"near"
    def test_far(self): self.client.get("/far")
    async def test_async(self): assert (await self.async_client.get("/near")).content == b"near"

@pytest.mark.medium
class Live(LiveServerTestCase):
    def test_near(self): assert urllib.request.urlopen(self.live_server_url + "/near").read() == b"near"
""",
}


def test_django_tests_of_every_kind(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    workers: int,
) -> None:
    pytester.makepyfile(**DJANGO)
    pytester.syspathinsert()
    # One worker's tests stay in order: a live server of one test is what the next one uses.
    result = run_pytest(
        "-v", "--ds=settings", *(["--dist=loadfile"] if workers else []), plugins=("django",), workers=workers
    )
    found = outcomes(result)
    failed = {name for name, words in found.items() if "FAILED" in words}
    assert failed <= {"test_client_far", "test_live_server_far", "Marked::test_far", "Based::test_far"}
    assert {"test_client_far", "Marked::test_far", "Based::test_far"} <= failed
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    # The server's thread is its fixture's: what it is refused is told, by the test or by the run.
    assert "live_server" in result.stdout.str()


ORDINARY: Final = (
    HEAD
    + """
@pytest.mark.small
def test_a_clean(): pass
@pytest.mark.small
def test_b_swallows(): swallowed()
@pytest.mark.small
def test_c_clean(): pass
"""
)


def test_x_stops_after_a_violation(pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]) -> None:
    pytester.makepyfile(ORDINARY)
    result = run_pytest("-x")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*stopping after 1 failures*"])


def test_lf_runs_what_failed_by_a_violation(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(test_cached=ORDINARY)
    run_pytest("-p", "cacheprovider").assert_outcomes(passed=2, failed=1)
    result = run_pytest("-p", "cacheprovider", "--lf")
    result.assert_outcomes(failed=1)


def test_the_markers_are_registered(pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]) -> None:
    pytester.makepyfile(
        "\n".join(
            f"import pytest\n@pytest.mark.{n}\ndef test_{n}(): pass" for n in ("small", "medium", "large", "xlarge")
        )
    )
    for mode in ("strict", "warn", "off"):
        run_pytest("--strict-markers", "-W", "error", mode=mode).assert_outcomes(passed=4)
    result = run_pytest("--markers", mode="off")
    result.stdout.fnmatch_lines(
        ["@pytest.mark.small: *", "@pytest.mark.medium: *", "@pytest.mark.large: *", "@pytest.mark.xlarge: *"]
    )


def test_collect_only_runs_nothing_and_says_nothing(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], workers: int
) -> None:
    pytester.makepyfile(ORDINARY)
    result = run_pytest("--collect-only", "-q", workers=workers)
    assert result.ret == pytest.ExitCode.OK
    assert "violation" not in result.stdout.str()


def test_fixtures_lists_network_isolation(run_pytest: Callable[..., pytest.RunResult]) -> None:
    for mode in ("strict", "off"):
        run_pytest("--fixtures", mode=mode).stdout.fnmatch_lines(["*network_isolation*", "*guard*"])


def test_the_debugger_opens_at_the_refused_call_and_quitting_it_is_no_violation(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    if not sys.platform.startswith("linux"):
        pytest.skip("needs a terminal")
    pexpect = pytest.importorskip("pexpect")
    pytester.makepyfile(HEAD + "\n@pytest.mark.small\ndef test_dials(): dial()\n")
    child = pexpect.spawn(
        sys.executable,  # apart from its arguments: its path may hold spaces
        "-m pytest -p pytest_test_categories.pytest_plugin --test-categories-enforcement=strict --pdb".split(),
        cwd=str(pytester.path),
        timeout=30,
    )
    child.expect("TC001")
    child.expect("Pdb")
    child.sendline("import socket; print('ANSWER', 6 * 7)")
    child.expect("ANSWER 42")
    child.sendline("q")
    child.expect("1 failed")
    child.wait()


@pytest.mark.skipif(sys.version_info < (3, 14), reason="attaching is new in 3.14")
def test_a_debugger_that_attaches_to_a_test_is_no_violation(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tested process connects to the debugger, in whatever test it is just then."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        """
        import os, time
        import pytest

        @pytest.mark.small
        def test_waits():
            answer = None
            with open("ready.tmp", "w") as file:
                file.write(str(os.getpid()))
            os.rename("ready.tmp", "ready")
            end = time.monotonic() + 30
            while answer is None and time.monotonic() < end:
                time.sleep(0.02)
            assert answer == 42
        """
    )
    command = [sys.executable, "-m", "pytest", "-p", "pytest_test_categories.pytest_plugin", "-q"]
    with subprocess.Popen(
        [*command, "--test-categories-enforcement=strict"], stdout=subprocess.PIPE, text=True, cwd=pytester.path
    ) as run:
        ready = pytester.path / "ready"
        while not ready.exists() and run.poll() is None:
            time.sleep(0.02)
        pexpect = pytest.importorskip("pexpect")
        child = pexpect.spawn(
            sys.executable, ["-m", "pdb", "-p", ready.read_text()], cwd=str(pytester.path), timeout=30
        )
        seen = child.expect([r"\(Pdb\) ", "PermissionError|not permitted|not supported"])
        if seen:
            run.kill()
            pytest.skip("this system lets nobody attach")
        # The loop's frame is the one that was interrupted.
        child.sendline("answer = 6 * 7")
        child.expect(r"\(Pdb\) ")
        child.sendline("c")
        assert run.stdout is not None
        text = run.stdout.read()
        child.close(force=True)
    assert "1 passed" in text, text
    assert "violation" not in text


def test_pdb_on_a_pipe_shows_the_refusal(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        HEAD
        + """
@pytest.mark.small
def test_dials(): dial()

@pytest.mark.small
def test_swallows(): swallowed()

@pytest.mark.small
def test_breakpoint():
    breakpoint()
"""
    )
    # A debugger's own prompt: no socket is needed for it, and what is typed there is judged like the test.
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "pytest_test_categories.pytest_plugin",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
    ]
    result = pytester.run(
        *command,
        "--test-categories-enforcement=strict",
        "--pdb",
        stdin=b"c\nc\nprint('ANSWER', 6 * 7)\nq\n",
        timeout=60,
    )
    text = result.stdout.str()
    assert text.count("[TC001] Network Access Violation") >= 2
    assert "ANSWER 42" in text
    assert "Quitting debugger" in text


def test_a_pytest_run_inside_a_guarded_test_is_a_run_of_its_own(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    workers: int,
) -> None:
    pytester.makepyfile(
        test_outer='''
import socket
import pytest

PLUGIN = ("-p", "pytest_test_categories.pytest_plugin", "-p", "no:xdist")
INNER = """
import contextlib, socket
import pytest

@pytest.mark.small
def test_dials():
    socket.create_connection(("198.51.100.1", 9), 1)

@pytest.mark.small
def test_swallows():
    with contextlib.suppress(Exception):
        socket.create_connection(("198.51.100.1", 9), 1)

@pytest.mark.large
def test_binds():
    with socket.socket() as s: s.bind(("127.0.0.1", 0))
"""

@pytest.mark.parametrize("mode, counts", [
    ("strict", {"passed": 1, "failed": 2}), ("warn", {"failed": 0}), ("off", {"failed": 0}),
])
@pytest.mark.medium
def test_medium(pytester, mode, counts):
    if mode != "strict":
        pytester.makepyfile("import pytest, socket\\n@pytest.mark.small\\ndef test_binds():\\n"
                            "    with socket.socket() as s: s.bind((\\"127.0.0.1\\", 0))")
    else:
        pytester.makepyfile(INNER)
    result = pytester.runpytest_inprocess(*PLUGIN, f"--test-categories-enforcement={mode}")
    assert result.parseoutcomes().get("failed", 0) == counts["failed"]

@pytest.mark.small
def test_small_narrows_what_runs_inside(pytester):
    pytester.makepyfile("""
        import pytest, socket
        @pytest.mark.large
        def test_binds():
            with pytest.raises(Exception, match="TC001"):
                with socket.socket() as s: s.bind(("127.0.0.1", 0))
    """)
    pytester.runpytest_inprocess(*PLUGIN, "--test-categories-enforcement=off")

@pytest.mark.small
def test_after():
    with pytest.raises(Exception, match="TC001"):
        socket.create_connection(("198.51.100.1", 9), 1)

@pytest.mark.medium
def test_after_medium():
    with socket.socket() as s: s.bind(("127.0.0.1", 0))
'''
    )
    result = run_pytest("-v", "-p", "pytester", *(["--dist=loadfile"] if workers else []), workers=workers)
    found = outcomes(result)
    failed = {name for name, words in found.items() if "FAILED" in words}
    # What fails an inner strict run's test has been told. The small test was refused what the inner run's large test
    # tried, and nobody asked for our class by name.
    assert failed == {"test_small_narrows_what_runs_inside", "test_after"}
    assert not [name for name, words in found.items() if "ERROR" in words]


ALL_AT_ONCE: Final = """
import threading
import pytest

def pytest_runtest_call(item):
    item.runtest()

def pytest_runtestloop(session):
    manager = session.config.pluginmanager
    others = [manager.get_plugin("runner")]

    def phase(item, when):
        call = manager.subset_hook_caller("pytest_runtest_" + when, others)
        arguments = {"nextitem": None} if when == "teardown" else {}
        return item, pytest.CallInfo.from_call(lambda: call(item=item, **arguments), when=when)

    def tell(item, info):
        item.ihook.pytest_runtest_logreport(report=item.ihook.pytest_runtest_makereport(item=item, call=info))

    for item in session.items:
        tell(*phase(item, "setup"))
    infos = []
    threads = [threading.Thread(target=lambda item=item: infos.append(phase(item, "call"))) for item in session.items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for item, info in infos:
        tell(item, info)
    for item in ORDER(session.items):
        tell(*phase(item, "teardown"))
    return True
"""


@pytest.mark.parametrize("order", ["list", "reversed"])
def test_rule_9_tests_that_a_runner_has_under_way_at_once_are_judged_and_charged_one_by_one(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    summary: Callable[[pytest.RunResult], list[str]],
    order: str,
) -> None:
    pytester.makeconftest(ALL_AT_ONCE.replace("ORDER", order))
    pytester.makepyfile(
        HEAD
        + """
import threading
everybody = threading.Barrier(4)

@pytest.mark.small
def test_clean(): everybody.wait(); everybody.wait()

@pytest.mark.small
def test_swallows(): everybody.wait(); swallowed(); everybody.wait()

@pytest.mark.medium
def test_serves():
    everybody.wait()
    socket.create_server(("127.0.0.1", 0)).close()
    everybody.wait()

@pytest.mark.medium
def test_guard(network_isolation):
    everybody.wait(); swallowed(); everybody.wait()
    assert [violation.size for violation in network_isolation.violations] == ["medium"]
"""
    )
    result = run_pytest("-v", "--tb=short")
    assert outcomes(result) == {
        "test_clean": {"PASSED"},
        "test_serves": {"PASSED"},
        "test_swallows": {"FAILED"},
        "test_guard": {"FAILED"},
    }
    lines = summary(result)
    assert [line.strip().partition("::")[2] for line in lines if "::" in line] == [
        "test_guard [medium]",
        "test_swallows [small]",
    ]
    assert lines[-1] == "sizes: 2 small, 2 medium"


COROUTINES: Final = """
import asyncio
import pytest

@pytest.fixture
async def dials():
    try: await asyncio.open_connection("127.0.0.1", 9)
    except Exception: pass
    yield

@pytest.mark.MARK
async def test_a_clean(network_isolation):
    for _ in range(8): await asyncio.sleep(0.02)
    assert not network_isolation.violations

@pytest.mark.MARK
async def test_b_swallows():
    await asyncio.sleep(0.05)
    try: await asyncio.open_connection("127.0.0.1", 9)
    except Exception: pass

@pytest.mark.MARK
async def test_c_raises():
    await asyncio.sleep(0.03)
    await asyncio.open_connection("127.0.0.1", 9)

@pytest.mark.MARK
async def test_e_fixture(DIALS): await asyncio.sleep(0.05)

@pytest.mark.medium
@pytest.mark.MARK
async def test_f_serves():
    server = await asyncio.start_server(print, "127.0.0.1", 0)
    await asyncio.sleep(0.05)
    server.close()
"""


@pytest.mark.parametrize("mode", ["strict", "warn", "off"])
@pytest.mark.parametrize(
    ("plugin", "mark", "fixture"),
    [
        ("pytest_asyncio_cooperative", "asyncio_cooperative", "dials"),
        ("pytest_asyncio_concurrent", "asyncio_concurrent(group='g')", "network_isolation"),
    ],
)
def test_rule_9_coroutine_tests_that_run_at_once_are_judged_and_charged_one_by_one(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    summary: Callable[[pytest.RunResult], list[str]],
    plugin: str,
    mark: str,
    fixture: str,
    mode: str,
) -> None:
    pytest.importorskip(plugin)
    pytester.makeini("[pytest]\ntest_categories_default_size = small\n")
    pytester.makepyfile(COROUTINES.replace("MARK", mark).replace("DIALS", fixture))
    report = ("--network-report=report.json",) if mode == "off" else ()
    result = run_pytest("-v", "-p", f"{plugin}.plugin", "-Wignore", *report, mode=mode)
    found = outcomes(result)
    failed = {name for name, words in found.items() if words != {"PASSED"}}
    result.stdout.no_fnmatch_line("*AttributeError*")
    if mode != "strict":  # nobody serves there: what raises fails by itself
        assert failed == {"test_c_raises"}
        return
    swallowed = {"test_b_swallows"} | ({"test_e_fixture"} if fixture == "dials" else set())
    assert {name: found[name] for name in failed} == {name: {"FAILED"} for name in swallowed | {"test_c_raises"}}
    told = [line.strip().partition("::")[2] for line in summary(result) if "::" in line]
    assert told == [f"{name} [small]" for name in sorted(failed)]
    assert summary(result)[-1] == "sizes: 4 small, 1 medium"


FORKS: Final = """
import marshal, os
import pytest
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    read, write = os.pipe()
    if not os.fork():
        reports = runtestprotocol(item, log=False)
        told = [hook.pytest_report_to_serializable(config=item.config, report=report) for report in reports]
        os.write(write, marshal.dumps(told))
        os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        told = marshal.loads(pipe.read())
    os.wait()
    for data in told:
        report = hook.pytest_report_from_serializable(config=item.config, data=data)
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_tests_that_run_in_forked_processes_are_counted(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    summary: Callable[[pytest.RunResult], list[str]],
    workers: int,
) -> None:
    pytester.makeconftest(FORKS)
    pytester.makepyfile(
        HEAD
        + """
@pytest.mark.small
def test_clean(): pass

@pytest.mark.small
def test_swallows(): swallowed()

@pytest.mark.medium
def test_skips(): pytest.skip("not now")

@pytest.mark.large
def test_fails(): assert False

def test_unsized(): pass
"""
    )
    result = run_pytest("-v", "-Wignore", "--network-report=report.json", workers=workers)
    assert outcomes(result) == {
        "test_clean": {"PASSED"},
        "test_swallows": {"FAILED"},
        "test_skips": {"SKIPPED"},
        "test_fails": {"FAILED"},
        "test_unsized": {"PASSED"},
    }
    assert summary(result)[-2:] == [
        "sizes: 2 small, 1 medium, 1 large",
        "1 test has no size and may use any network (test_categories_default_size gives it a size)",
    ]
    report = json.loads((pytester.path / "report.json").read_text())
    assert {test["id"].partition("::test_")[2]: test["size"] for test in report["tests"]} == {
        "clean": "small",
        "swallows": "small",
        "skips": "medium",
        "fails": "large",
        "unsized": "",
    }
