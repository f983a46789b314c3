"""The summary: made from records, complete, once each, from the workers too; and what crosses to the controller."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

EVERYTHING: Final = {
    "conftest": """
import socket
server = None

def pytest_sessionstart():
    global server
    server = socket.create_server(("127.0.0.1", 0), backlog=128)
""",
    "test_all": """
import contextlib, socket, threading
import conftest, pytest
from pytest_test_categories import expect_network_violation

def dial():
    socket.create_connection(("198.51.100.1", 9), 1).close()

def swallowed(target=("198.51.100.1", 9)):
    with contextlib.suppress(Exception): socket.create_connection(target, 1).close()

@pytest.fixture(scope="session", autouse=True)
def environment():
    socket.create_connection(conftest.server.getsockname(), 1).close()

@pytest.fixture(scope="module")
def broad():
    swallowed()

@pytest.fixture
def narrow():
    yield
    swallowed()

@pytest.mark.small
def test_raises(): dial()

@pytest.mark.small
def test_two_targets():
    for last in (1, 2, 2):
        swallowed(("198.51.100.1", last))

@pytest.mark.small
@pytest.mark.parametrize("name", ["with space", "ünïcödé", "a::b"])
def test_names(name): swallowed()

@pytest.mark.small
def test_broad(broad): pass

@pytest.mark.small
def test_narrow(narrow): pass

@pytest.mark.medium
def test_medium():
    swallowed()

@pytest.mark.small
def test_expected():
    with expect_network_violation(): dial()

@pytest.mark.small
def test_leaves_a_thread():
    threading.Thread(target=lambda: (gone.wait(10), swallowed(("198.51.100.1", 7)), done.set())).start()

gone, done = threading.Event(), threading.Event()

@pytest.mark.large
def test_zz_large():
    gone.set()
    assert done.wait(10)

def test_unsized(): pass
""",
}


def test_the_summary_is_the_same_whatever_the_verbosity_and_the_workers(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
) -> None:
    pytester.makepyfile(**EVERYTHING)
    plain = [line.partition("reached")[0] for line in summary(run_pytest())]
    text = "\n".join(plain)
    for part in (
        "network violations: 9 in 8 tests",
        "  test_all.py::test_names (3 parameter sets) [small]\n",
        "  test_all.py::test_medium [medium]",
        "  test_all.py::test_two_targets [small]\n    198.51.100.1:1 at test_all.py:9 in swallowed\n",
        "in swallowed\n    198.51.100.1:2 (x2) at",
        "in fixture broad (module), held to small by test_all.py::test_broad",
        "network violations that no running test is charged with: 1 (they fail the run)",
        "  test_all.py::test_leaves_a_thread [small]\n    198.51.100.1:7 at test_all.py:9",
        "autouse fixture environment (session) ",
        "sizes: 9 small, 1 medium, 1 large",
        "1 test has no size and may use any network",
    ):
        assert part in text
    assert "test_expected" not in text
    for arguments, workers in (
        (("-q",), 0),
        (("-qq",), 0),
        (("-v",), 0),
        (("--no-header", "--tb=no"), 0),
        (("-q", "--dist=loadfile"), 2),
    ):
        again = [line.partition("reached")[0] for line in summary(run_pytest(*arguments, workers=workers))]
        assert again == plain, arguments


def test_what_crosses_to_the_controller_is_json(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        **EVERYTHING,
        checks="""
import json
import pytest

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_report_to_serializable(report):
    data = yield
    json.dumps(data["test_categories"]) if "test_categories" in data else None
    return data

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session):
    yield
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        text = json.dumps(output["test_categories"])
        assert json.loads(text) == output["test_categories"]
        (session.config.rootpath / f"{session.config.workerinput['workerid']}.json").write_text(text)
""",
    )
    result = run_pytest("--dist=loadfile", plugins=("checks",), workers=2)
    assert "INTERNALERROR" not in result.stdout.str()
    assert "TypeError" not in result.stdout.str()
    written = [file.read_text() for file in pytester.path.glob("*.json")]
    assert len(written) == 2
    assert any("test_leaves_a_thread" in text for text in written)


def test_a_run_with_nothing_to_say_says_nothing(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(test_none="")
    result = run_pytest()
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "= test categories" not in result.stdout.str()


def test_the_header_says_the_mode_and_what_is_watched(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile("def test_one(): pass")
    for mode in ("strict", "warn"):
        run_pytest(mode=mode).stdout.fnmatch_lines([f"test categories: enforcement {mode}; network layers: Python*"])
        run_pytest("-v", mode=mode).stdout.fnmatch_lines(
            [f"test categories: enforcement {mode}; network layers: *; not watched: *"]
        )


def test_the_run_works_without_a_terminal_reporter(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(**EVERYTHING)
    result = run_pytest("-p", "no:terminal")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "Traceback" not in result.stderr.str()


def test_violations_are_in_junit_xml(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], workers: int
) -> None:
    pytester.makepyfile(**EVERYTHING)
    run_pytest("--junitxml=result.xml", *(["--dist=loadfile"] if workers else []), workers=workers)
    written = (pytester.path / "result.xml").read_text(encoding="utf-8")
    assert written.count("[TC001] Network Access Violation") >= 8


def test_a_worker_that_dies_takes_no_other_workers_part_with_it(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
) -> None:
    pytester.makepyfile(
        test_dies="""
        import os, pytest
        @pytest.mark.small
        def test_dies(): os._exit(1)
        """,
        test_lives="""
        import socket, pytest
        @pytest.mark.small
        def test_dials(): socket.create_connection(("198.51.100.1", 9), 1)
        """,
    )
    result = run_pytest("--max-worker-restart=0", "--dist=loadfile", workers=2)
    assert result.ret != pytest.ExitCode.OK
    assert "INTERNALERROR" not in result.stdout.str()
    listed = summary(result)
    assert "  test_lives.py::test_dials [small]" in listed


def test_a_late_violation_is_a_property_of_the_suite_in_junit_xml(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], workers: int
) -> None:
    pytester.makepyfile(
        test_it="""
        import contextlib, socket, threading
        import pytest
        go, gone = threading.Event(), threading.Event()

        def late():
            go.wait(60)
            with contextlib.suppress(Exception), socket.socket() as s: s.connect(("127.0.0.1", 9))
            gone.set()

        @pytest.mark.small
        def test_leaves(): threading.Thread(target=late).start()

        @pytest.mark.large
        def test_bystander():
            go.set()
            assert gone.wait(60)
        """
    )
    result = run_pytest("--junit-xml=out.xml", *(("--dist=loadfile",) if workers else ()), workers=workers)
    result.assert_outcomes(passed=2)
    assert result.ret == 1
    xml = (pytester.path / "out.xml").read_text()
    properties = re.findall(r'<property name="network_violation" value="([^"]*)"', xml.partition("<testcase")[0])
    assert len(properties) == 1
    assert properties[0].startswith("test_it.py::test_leaves: connect 127.0.0.1:9 at test_it.py:7 in late")
