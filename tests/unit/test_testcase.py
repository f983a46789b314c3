"""unittest base classes under ``python -m unittest`` and Django's runner: set-up to cleanups, and what hides errors."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import unittest
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories import SmallTest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAD: Final = """
import asyncio, contextlib, contextvars, socket, threading, unittest
from unittest import mock
from pytest_test_categories import (
    LargeTest, MediumTest, NetworkAccessViolationError, SmallTest, XLargeTest, expect_network_violation, network_guard)

FOREIGN = ("198.51.100.1", 9)

def dial(address=FOREIGN):
    with socket.socket() as sock:
        sock.settimeout(2)
        sock.connect(address)

def swallow(address=FOREIGN):
    try: dial(address)
    except Exception: pass

def bind():
    with socket.socket() as sock: sock.bind(("127.0.0.1", 0))
"""


@pytest.fixture
def run_unittest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Run test classes in a child process; give what became of each test, and the output."""
    monkeypatch.delenv("TEST_CATEGORIES_ENFORCEMENT", raising=False)

    def run(source: str, *options: str, **environment: str) -> dict[str, Any]:
        (tmp_path / "test_it.py").write_text(HEAD + textwrap.dedent(source), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, *options, "-m", "unittest", "-v", "test_it"],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "OSError" not in done.stderr, done.stderr
        found: dict[str, Any] = {"code": done.returncode, "output": done.stdout + done.stderr}
        for name, word in re.findall(
            r"^(\w+) \(test_it\S*\) \.\.\. .*?(ok|ERROR|FAIL|skipped|expected failure)", found["output"], re.MULTILINE
        ):
            found[name] = word if found.get(name) in {None, "skipped"} else found[name]
        for name in re.findall(r"^(?:ERROR|FAIL): (\w+) ", found["output"], re.MULTILINE):
            found[name] = "ERROR"
        return found

    return run


def results(found: dict[str, Any]) -> dict[str, str]:
    return {name: word for name, word in found.items() if name.startswith(("test_", "setUp", "tearDown"))}


HIDING: Final = """
class T(SmallTest, unittest.TestCase):
    def test_raises(self): dial()
    def test_except(self): swallow()
    def test_base_exception(self):
        try: dial()
        except BaseException: pass
    def test_skip_in_except(self):
        try: dial()
        except Exception: self.skipTest("no network")
    def test_skiptest_from_none(self):
        try: dial()
        except Exception: raise unittest.SkipTest("no network") from None
    @unittest.expectedFailure
    def test_expected_failure(self): dial()
    @unittest.expectedFailure
    def test_expected_failure_swallowed(self):
        swallow()
        self.fail()
    def test_subtest(self):
        with self.subTest(): swallow()
    def test_skip_in_subtest(self):
        with self.subTest(one=1):
            try: dial()
            except Exception: self.skipTest("no network")
    def test_thread(self):
        thread = threading.Thread(target=swallow)
        thread.start()
        thread.join()
    def test_cleanup(self): self.addCleanup(swallow)
    def test_cleanup_before(self):
        self.doCleanups()
        swallow()
    def test_context(self): contextvars.Context().run(swallow)
    def test_assert_raises_another(self):
        with self.assertRaises(Exception): dial()
    def test_gather(self):
        async def one(): dial()
        async def main(): await asyncio.gather(one(), return_exceptions=True)
        asyncio.run(main())
"""


def test_rule_2_nothing_hides_a_refusal(run_unittest: Callable[..., dict[str, Any]]) -> None:
    found = run_unittest(HIDING)
    names = re.findall(r"def (test_\w+)", HIDING)
    assert results(found) == dict.fromkeys(names, "ERROR"), found["output"]
    assert found["code"] == 1
    assert "Test: test_it.T.test_except" in found["output"]
    # The error that is in the report already is not told again.
    assert found["output"].count("ERROR: test_raises ") == 1


def test_the_same_in_a_class_decorated_with_the_guard_but_for_what_unittest_turns_into_success(
    run_unittest: Callable[..., dict[str, Any]],
) -> None:
    source = HIDING.replace(
        "class T(SmallTest, unittest.TestCase)", '@network_guard("small")\nclass T(unittest.TestCase)'
    )
    found = results(run_unittest(source))
    kept = {"test_expected_failure", "test_expected_failure_swallowed"}  # only a base class sees what becomes of it
    kept |= {"test_cleanup"}  # cleanups are no method of the class
    assert {name for name, word in found.items() if word == "ERROR"} >= set(
        re.findall(r"def (test_\w+)", HIDING)
    ) - kept


def test_rule_2_delivery(run_unittest: Callable[..., dict[str, Any]]) -> None:
    found = run_unittest("""
        class T(SmallTest, unittest.TestCase):
            def test_assert_raises(self):
                with self.assertRaises(NetworkAccessViolationError): dial()
            def test_expected(self):
                with expect_network_violation() as seen: swallow()
                self.assertEqual(len(seen), 1)
            def test_expected_then_skipped(self):
                with expect_network_violation(): dial()
                self.skipTest("later")
            @unittest.expectedFailure
            def test_fails_as_expected(self): self.fail()
            def test_sound(self): asyncio.run(asyncio.sleep(0))
    """)
    assert results(found) == {
        "test_assert_raises": "ok",
        "test_expected": "ok",
        "test_expected_then_skipped": "skipped",
        "test_fails_as_expected": "expected failure",
        "test_sound": "ok",
    }, found["output"]
    assert found["code"] == 0


def test_set_up_tear_down_and_cleanups_are_guarded(run_unittest: Callable[..., dict[str, Any]]) -> None:
    for method in ("setUp", "tearDown"):
        found = run_unittest(f"""
            class T(SmallTest, unittest.TestCase):
                def {method}(self): swallow()
                def test_one(self): pass
            class Large(LargeTest, unittest.TestCase):
                def {method}(self): bind()
                def test_two(self): bind()
            class XLarge(XLargeTest, unittest.TestCase):
                def test_three(self): bind()
        """)
        assert results(found) == {"test_one": "ERROR", "test_two": "ok", "test_three": "ok"}, found["output"]
    found = run_unittest("""
        class T(SmallTest, unittest.TestCase):
            def setUp(self): self.addCleanup(dial)
            def test_one(self): pass
    """)
    assert results(found) == {"test_one": "ERROR"}


def test_a_guard_that_the_set_up_enters_holds_until_the_cleanups(run_unittest: Callable[..., dict[str, Any]]) -> None:
    found = run_unittest("""
        class T(MediumTest, unittest.TestCase):
            def setUp(self):
                self.guard = network_guard("small")
                self.guard.__enter__()
                self.addCleanup(self.guard.__exit__, None, None, None)
            def test_held(self):
                with self.assertRaises(NetworkAccessViolationError): bind()
        class U(MediumTest, unittest.TestCase):
            def test_free(self): bind()
    """)
    assert results(found) == {"test_held": "ok", "test_free": "ok"}, found["output"]


def test_a_guard_that_a_test_leaves_open_goes_on(run_unittest: Callable[..., dict[str, Any]]) -> None:
    found = run_unittest("""
        class T(MediumTest, unittest.TestCase):
            def test_forgets(self): network_guard("small").__enter__()
        class U(MediumTest, unittest.TestCase):
            def test_held(self):
                with self.assertRaises(NetworkAccessViolationError): bind()
    """)
    assert results(found) == {"test_forgets": "ok", "test_held": "ok"}, found["output"]


@pytest.mark.parametrize("how", ["own", "of a base", "cleanup"])
def test_the_classs_set_up_and_tear_down_are_guarded(run_unittest: Callable[..., dict[str, Any]], how: str) -> None:
    for method in ("setUpClass",) if how == "cleanup" else ("setUpClass", "tearDownClass"):
        body = "cls.addClassCleanup(swallow)" if how == "cleanup" else "swallow()"
        head = "class Base(unittest.TestCase):" if how == "of a base" else "class T(SmallTest, unittest.TestCase):"
        source = f"{head}\n    @classmethod\n    def {method}(cls): {body}\n"
        source += "class T(SmallTest, Base):\n" if how == "of a base" else ""
        found = run_unittest(source + "    def test_one(self): pass\n")
        assert found["code"] != 0, found["output"]  # 1, or 5 where no test has run
        assert "[TC001]" in found["output"]


def test_isolated_asyncio_test_cases(run_unittest: Callable[..., dict[str, Any]]) -> None:
    found = run_unittest("""
        async def soon():
            await asyncio.sleep(0)
            dial()

        class T(SmallTest, unittest.IsolatedAsyncioTestCase):
            async def test_raises(self): await soon()
            async def test_gather(self): await asyncio.gather(soon(), soon(), return_exceptions=True)
            async def test_task(self):
                task = asyncio.create_task(soon())
                await asyncio.sleep(0.01)
                task.exception()
            async def test_to_thread(self): await asyncio.to_thread(swallow)
            async def test_executor(self):
                await asyncio.get_running_loop().run_in_executor(None, swallow)
            async def test_cleanup(self):
                async def clean(): swallow()
                self.addAsyncCleanup(clean)
            @unittest.expectedFailure
            async def test_expected_failure(self): await soon()
            async def test_skip(self):
                try: await soon()
                except Exception: self.skipTest("no network")

        class SetUp(SmallTest, unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self): swallow()
            async def test_set_up(self): pass

        class TearDown(SmallTest, unittest.IsolatedAsyncioTestCase):
            async def asyncTearDown(self): swallow()
            async def test_tear_down(self): pass

        class Fine(SmallTest, unittest.IsolatedAsyncioTestCase):
            async def test_expects(self):
                with self.assertRaises(NetworkAccessViolationError): await soon()
                with expect_network_violation(): await asyncio.to_thread(dial)
            async def test_sound(self): await asyncio.sleep(0)

        class Medium(MediumTest, unittest.IsolatedAsyncioTestCase):
            async def test_server(self):
                server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
                async with server:
                    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                    await reader.read()
                    writer.close()
    """)
    fine = ("test_expects", "test_sound", "test_server")
    assert {name: word for name, word in results(found).items() if name in fine} == dict.fromkeys(fine, "ok"), found[
        "output"
    ]
    rest = {name: word for name, word in results(found).items() if name not in fine}
    assert len(rest) == 10
    assert set(rest.values()) == {"ERROR"}, found["output"]


def test_network_mode_network_allow_and_the_environment(run_unittest: Callable[..., dict[str, Any]]) -> None:
    source = """
        class Warns(SmallTest, unittest.TestCase):
            network_mode = "warn"
            def test_warns(self):
                with self.assertWarnsRegex(UserWarning, "Network access violation in test_it.Warns.test_warns"): bind()
        class Off(SmallTest, unittest.TestCase):
            network_mode = "off"
            def test_off(self): bind()
        class Allows(SmallTest, unittest.TestCase):
            network_mode = "strict"
            network_allow = ["small: 127.0.0.1"]
            def test_allows(self): bind()
        class Plain(SmallTest, unittest.TestCase):
            def test_plain(self): bind()
    """
    strict = {"test_warns": "ok", "test_off": "ok", "test_allows": "ok", "test_plain": "ERROR"}
    assert results(run_unittest(source)) == strict
    for mode in ("warn", "off"):
        found = run_unittest(source, TEST_CATEGORIES_ENFORCEMENT=mode)
        assert found["code"] == 0
        assert ("Network access violation in test_it.Plain.test_plain" in found["output"]) == (mode == "warn")
    found = run_unittest(source, TEST_CATEGORIES_NETWORK_ALLOW="small: 127.0.0.1")
    assert found["test_plain"] == "ok"


def test_network_only_and_deny_entries_narrow_a_class_of_any_size(run_unittest: Callable[..., dict[str, Any]]) -> None:
    source = """
        def reach(host):
            with socket.socket() as sock: sock.connect_ex((host, 9))
        class T(LargeTest, unittest.TestCase):
            network_only = ["127.0.0.7", "127.0.0.9"]
            def test_listed(self): reach("127.0.0.7")
            def test_other(self): reach("127.0.0.8")
            def test_denied(self): reach("127.0.0.9")
    """
    found = run_unittest(source, TEST_CATEGORIES_NETWORK_DENY="127.0.0.9:9, api.example.com")
    assert results(found) == {"test_listed": "ok", "test_other": "ERROR", "test_denied": "ERROR"}
    found = run_unittest(source, TEST_CATEGORIES_NETWORK_DENY="")
    assert results(found) == {"test_listed": "ok", "test_other": "ERROR", "test_denied": "ok"}


def test_rule_3_a_class_inside_a_test_opens_nothing(run_unittest: Callable[..., dict[str, Any]]) -> None:
    found = run_unittest("""
        class T(SmallTest, unittest.TestCase):
            def test_inner(self):
                with network_guard("large", "strict"): swallow()
            @network_guard("large", "off")
            def test_decorated(self): swallow()
    """)
    assert set(results(found).values()) == {"ERROR"}


def test_debug_lets_the_error_out(run_unittest: Callable[..., dict[str, Any]]) -> None:
    found = run_unittest("""
        class Inner(SmallTest, unittest.TestCase):
            def runTest(self): swallow()
        class T(unittest.TestCase):
            def test_it(self):
                with self.assertRaises(NetworkAccessViolationError): Inner().debug()
                result = unittest.TestResult()
                Inner().run(result)
                self.assertEqual(len(result.errors), 1)
                self.assertNotIn("connect", vars(socket.socket))
    """)
    assert results(found) == {"test_it": "ok"}, found["output"]


@pytest.mark.parametrize(
    "parallel", [pytest.param((), id="one process"), pytest.param(("--parallel", "2"), id="parallel")]
)
def test_djangos_runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parallel: tuple[str, ...]) -> None:
    pytest.importorskip("django")
    if parallel:
        pytest.importorskip("tblib")  # Django's runner wants it to bring a traceback from a worker
    monkeypatch.delenv("TEST_CATEGORIES_ENFORCEMENT", raising=False)
    (tmp_path / "settings_it.py").write_text(
        "SECRET_KEY = 'x'\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}}\n"
        "USE_TZ = True\n"
        "ROOT_URLCONF = 'test_django_it'\n"
        "STATIC_URL = '/static/'\n",
        encoding="utf-8",
    )
    (tmp_path / "test_django_it.py").write_text(
        HEAD
        + textwrap.dedent("""
            import django.http, django.test, django.urls
            urlpatterns = [django.urls.path("", lambda request: django.http.HttpResponse("hello"))]

            class Small(SmallTest, django.test.TestCase):
                def test_raises(self): dial()
                def test_swallows(self): swallow()
                @unittest.expectedFailure
                def test_expected_failure(self): dial()
                def test_client(self): self.assertEqual(self.client.get("/").content, b"hello")

            class Simple(SmallTest, django.test.SimpleTestCase):
                def test_skips(self):
                    try: dial()
                    except Exception: self.skipTest("no network")
                async def test_async(self): swallow()
                async def test_async_client(self): await self.async_client.get("/")

            class Live(MediumTest, django.test.LiveServerTestCase):
                def test_live(self):
                    import urllib.request
                    self.assertEqual(urllib.request.urlopen(self.live_server_url).read(), b"hello")
        """),
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "django", "test", "--settings", "settings_it", "-v", "2", *parallel, "test_django_it"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    errors = set(re.findall(r"^ERROR: (\w+) ", done.stderr, re.MULTILINE))
    assert errors == {"test_raises", "test_swallows", "test_expected_failure", "test_skips", "test_async"}, done.stderr
    assert "Ran 8 tests" in done.stderr
    assert "[TC001]" in done.stderr


def test_reports_of_a_test_are_json_safe() -> None:
    from pytest_test_categories import Violation

    violation = Violation(test="t", size="small", kind="connect", target="x:1")
    assert Violation.from_dict(json.loads(json.dumps(violation.to_dict()))) == violation


def test_a_class_that_names_its_size_last_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"the size comes first: class T\(SmallTest, unittest.TestCase\)"):
        type("T", (unittest.TestCase, SmallTest), {})
