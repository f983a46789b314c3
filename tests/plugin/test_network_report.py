"""`--network-report`: everything that tests reach for, permitted or not, from all workers and processes."""

from __future__ import annotations

import json
import os
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pytest

from pytest_test_categories._kernel import probe

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]

SCHEMA: Final = json.loads((Path(__file__).parents[2] / "docs/reference/report.schema.json").read_text("utf-8"))
WORKERS: Final = pytest.mark.parametrize("workers", [0, 2])

SUITE: Final = """
import contextlib, os, socket, subprocess, sys, threading
import pytest
PORT = int(os.environ["PORT"])

def dial(target=("127.0.0.1", PORT)):
    with contextlib.suppress(Exception):
        socket.create_connection(target, 1).close()

@pytest.fixture(scope="session")
def db():
    with socket.create_connection(("localhost", PORT)) as connection:
        yield connection

@pytest.mark.small
def test_small(): dial()

@pytest.mark.medium
def test_medium(db): dial(); dial()

def test_unsized(): dial()

@pytest.mark.large
def test_thread():
    thread = threading.Thread(target=dial, name="pool-7"); thread.start(); thread.join()

@pytest.mark.xlarge
def test_child():
    code = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])))"
    subprocess.run([sys.executable, "-c", code, str(PORT), "--password=hunter2"], check=True)

@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forked():
    pid = os.fork()
    if not pid:
        dial()
        os._exit(0)
    os.waitpid(pid, 0)

def test_quiet(): pass

@pytest.mark.parametrize("url", ["https://bob:hunter2@example.com/?key=hunter2"])
@pytest.mark.small
def test_secret(url): dial()

def test_skipped(): pytest.skip()

@pytest.mark.xfail(strict=True)
def test_xfails(): assert 0

def test_fails(): assert 0
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, listener: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> int:
    """The suite above, in a file, and the port that it dials."""
    monkeypatch.setenv("PORT", str(listener[1]))
    pytester.makepyfile(test_suite=SUITE)
    return listener[1]


def read(pytester: pytest.Pytester, name: str = "report.json") -> dict[str, Any]:
    data: dict[str, Any] = json.loads((pytester.path / name).read_text("utf-8"))
    jsonschema.validate(data, SCHEMA)
    return data


def told(report: dict[str, Any]) -> set[tuple[str, ...]]:
    """Return test, target, verdict and needed size of each access."""
    return {
        (a["test"].rpartition("::")[2], a["target"].rpartition(":")[0], a["verdict"], a["needs"])
        for a in report["accesses"]
    }


def outcomes(report: dict[str, Any]) -> dict[str, str]:
    return {test["id"].rpartition("::")[2]: test["outcome"] for test in report["tests"]}


@WORKERS
def test_a_run_that_enforces_nothing_is_seen_whole(
    suite: int, pytester: pytest.Pytester, run_pytest: Run, workers: int
) -> None:
    result = run_pytest("--network-report=report.json", mode=None, workers=workers)
    result.stdout.fnmatch_lines(["network report: report.json"])
    report = read(pytester)
    assert report["mode"] == "off"
    forked = {("test_forked", "127.0.0.1", "permitted", "medium")} if hasattr(os, "fork") else set()
    assert told(report) == forked | {
        ("test_small", "127.0.0.1", "observed", "medium"),
        ("test_medium", "localhost", "permitted", "medium"),
        ("test_medium", "127.0.0.1", "permitted", "medium"),
        ("test_unsized", "127.0.0.1", "permitted", "medium"),
        ("test_thread", "127.0.0.1", "permitted", "medium"),
        ("test_child", "127.0.0.1", "permitted", "medium"),
        ("test_secret[https://...@example.com/?...]", "127.0.0.1", "observed", "medium"),
    }
    by_test = {access["test"].rpartition("::")[2]: access for access in report["accesses"] if not access["fixture"]}
    assert by_test["test_medium"]["count"] == 2
    assert by_test["test_thread"]["thread"] == "pool-7"
    assert by_test["test_child"]["process"] in {"python", Path(sys.executable).name}
    assert {access["fixture"] for access in report["accesses"]} == {"", "db (session)"}
    assert {name: outcomes(report)[name] for name in ("test_quiet", "test_skipped", "test_xfails", "test_fails")} == {
        "test_quiet": "passed",
        "test_skipped": "skipped",
        "test_xfails": "xfailed",
        "test_fails": "failed",
    }
    assert report["totals"]["unsized"] == 6 + (hasattr(os, "fork") is False) * 0
    assert report["complete"]


@WORKERS
def test_a_strict_run_tells_what_was_refused(
    suite: int, pytester: pytest.Pytester, run_pytest: Run, workers: int
) -> None:
    run_pytest("--network-report=report.json", workers=workers)
    report = read(pytester)
    assert ("test_small", "127.0.0.1", "refused", "medium") in told(report)
    assert ("test_medium", "127.0.0.1", "permitted", "medium") in told(report)
    assert outcomes(report)["test_small"] == "failed"
    assert report["totals"]["refused"] == 2


def test_a_warn_run_tells_what_was_warned_about(suite: int, pytester: pytest.Pytester, run_pytest: Run) -> None:
    run_pytest("--network-report=report.json", mode="warn")
    assert ("test_small", "127.0.0.1", "warned", "medium") in told(read(pytester))


@WORKERS
def test_no_secret_and_no_absolute_path_is_written(
    suite: int, pytester: pytest.Pytester, run_pytest: Run, workers: int
) -> None:
    names = [f"report.{suffix}" for suffix in ("json", "html", "sarif", "md")]
    run_pytest(*(f"--network-report={name}" for name in names), workers=workers)
    for name in names:
        text = (pytester.path / name).read_text("utf-8")
        assert "hunter2" not in text
        assert str(pytester.path) not in text


@WORKERS
def test_the_same_run_gives_the_same_report(
    suite: int, pytester: pytest.Pytester, run_pytest: Run, workers: int
) -> None:
    reports = []
    for number in (1, 2):
        run_pytest(f"--network-report={number}.json", workers=workers)
        report = read(pytester, f"{number}.json")
        for test in report["tests"]:
            test["seconds"] = 0
        reports.append(report)
    assert reports[0] == reports[1]


def test_workers_tell_the_same_as_one_process(suite: int, pytester: pytest.Pytester, run_pytest: Run) -> None:
    reports = []
    for workers in (0, 2):
        run_pytest(f"--network-report={workers}.json", workers=workers)
        report = read(pytester, f"{workers}.json")
        for test in report["tests"]:
            test["seconds"] = 0
        for access in report["accesses"]:  # which test sets a session fixture up depends on the worker
            if access["fixture"]:
                access["test"] = ""
        reports.append(report)
    assert reports[0]["tests"] == reports[1]["tests"]
    assert [a for a in reports[0]["accesses"] if not a["fixture"]] == [
        a for a in reports[1]["accesses"] if not a["fixture"]
    ]


@WORKERS
def test_imports_count_once_however_many_workers_import(
    pytester: pytest.Pytester, run_pytest: Run, listener: tuple[str, int], workers: int
) -> None:
    pytester.makepyfile(
        test_one=f"import socket\nsocket.create_connection({listener!r}).close()\ndef test_one(): pass\n"
    )
    run_pytest("--network-report=report.json", mode=None, workers=workers)
    [access] = read(pytester)["accesses"]
    assert (access["test"], access["count"], access["verdict"]) == ("test_one.py", 1, "permitted")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        pytest.param(("-k", "small"), "deselected", id="keyword"),
        pytest.param(("test_suite.py::test_quiet",), "only test_suite.py::test_quiet", id="node"),
        pytest.param(("-x",), "stopped early", id="first-failure"),
    ],
)
def test_a_partial_run_says_so(
    suite: int, pytester: pytest.Pytester, run_pytest: Run, options: tuple[str, ...], why: str
) -> None:
    run_pytest("--network-report=report.json", *options, mode=None)
    report = read(pytester)
    assert not report["complete"]
    assert any(why in reason for reason in report["why_incomplete"])


@WORKERS
def test_programs_that_nobody_watches_are_told(pytester: pytest.Pytester, run_pytest: Run, workers: int) -> None:
    pytester.makepyfile("import subprocess\ndef test_one():\n    for _ in range(2): subprocess.run(['true'])\n")
    run_pytest("--network-report=report.json", mode=None, workers=workers)
    report = read(pytester)
    assert report["unwatched"] == {"true": 2}
    assert report["tests"][0]["unwatched"] == 2


def test_late_violations_are_told(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile(
        """
        import contextlib, socket, threading
        import pytest
        ended = threading.Event(); done = threading.Event()
        def work():
            ended.wait(20)
            with contextlib.suppress(Exception): socket.create_connection(("198.51.100.1", 9), 1)
            done.set()
        @pytest.mark.small
        def test_starts(): threading.Thread(target=work, daemon=True).start()
        @pytest.mark.small
        def test_other(): ended.set(); done.wait(20)
        """
    )
    run_pytest("--network-report=report.json", "-p", "no:randomly")
    [access] = read(pytester)["accesses"]
    assert access["late"]
    assert access["verdict"] == "refused"


def test_what_was_expected_is_no_breach(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile(
        """
        import socket, pytest
        from pytest_test_categories import expect_network_violation
        @pytest.mark.small
        def test_refused():
            with expect_network_violation(): socket.create_connection(("198.51.100.1", 9), 1)
        """
    )
    assert run_pytest("--network-report=report.json").ret == 0
    assert read(pytester)["accesses"] == []


def test_a_guard_of_ones_own_is_enforced_all_the_same(
    pytester: pytest.Pytester, run_pytest: Run, listener: tuple[str, int]
) -> None:
    pytester.makepyfile(
        f"""
        import socket, pytest
        from pytest_test_categories import NetworkAccessViolationError, network_guard
        def test_guard():
            with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
                socket.create_connection({listener!r})
            with network_guard("small"): socket.create_connection({listener!r}).close()
        """
    )
    assert run_pytest("--network-report=report.json", mode=None).ret == 0
    [access] = read(pytester)["accesses"]
    assert (access["verdict"], access["count"]) == ("permitted", 1)


@pytest.mark.parametrize(
    ("options", "kept"), [((), 0), (("--network-report=report.json",), 1)], ids=["plain", "report"]
)
def test_records_of_guards_inside_tests_are_kept_for_the_report_only(
    pytester: pytest.Pytester, run_pytest: Run, options: tuple[str, ...], kept: int
) -> None:
    pytester.makepyfile(
        f"""
        import gc, socket, pytest
        from pytest_test_categories import network_guard
        from pytest_test_categories._ledger.records import Record
        def record(): return {{o for o in gc.get_objects() if type(o) is Record}}
        def test_guards():
            before = record()
            for _ in range(50):
                with pytest.raises(AssertionError), network_guard("small", "warn"), pytest.warns(Warning):
                    with socket.socket(type=socket.SOCK_DGRAM) as sock: sock.sendto(b"", ("127.0.0.1", 9))
                    raise AssertionError
            gc.collect()
            assert len(record() - before) == {kept} * 50
        """
    )
    assert run_pytest(*options, mode=None).ret == 0
    if options:
        assert [access["target"] for access in read(pytester)["accesses"]] == ["127.0.0.1:9"]


@pytest.mark.parametrize("option", ["--network-report=report.json", "--network-suggest-sizes=print"])
def test_no_outcome_changes_where_nothing_is_enforced(
    pytester: pytest.Pytester, run_pytest: Run, listener: tuple[str, int], option: str
) -> None:
    pytester.makepyfile(
        f"""
        import socket, pytest
        from pytest_test_categories import SmallTest, expect_network_violation
        def dial(): socket.create_connection({listener!r}).close()
        @pytest.mark.small
        class TestStrict:
            network_mode = "strict"
            def test_class(self): dial()
        @pytest.mark.small
        def test_expects():
            with expect_network_violation(): dial()
        @pytest.mark.small
        @pytest.mark.medium
        def test_two_sizes(): pass
        """
    )
    run_pytest(mode=None).assert_outcomes(passed=3)
    run_pytest(option, mode=None).assert_outcomes(passed=3)


def test_what_a_block_refuses_is_told(pytester: pytest.Pytester, run_pytest: Run, listener: tuple[str, int]) -> None:
    pytester.makepyfile(
        f"""
        import contextlib, socket, pytest
        from pytest_test_categories import NetworkAccessViolationError, network_guard
        @pytest.mark.large
        def test_block():
            with contextlib.suppress(NetworkAccessViolationError), network_guard("small"):
                socket.create_connection({listener!r}).close()
        """
    )
    for mode, verdict in (("strict", "refused"), ("warn", "warned")):
        run_pytest("--network-report=report.json", mode=mode)
        assert [access["verdict"] for access in read(pytester)["accesses"] if access["guard"]] == [verdict]


def test_allow_entries_of_a_class_count_for_what_it_needs(
    pytester: pytest.Pytester, run_pytest: Run, listener: tuple[str, int]
) -> None:
    pytester.makepyfile(
        f"""
        import socket, pytest
        @pytest.mark.small
        class TestAllowed:
            network_allow = ["small: 127.0.0.1"]
            def test_one(self): socket.create_connection({listener!r}).close()
        """
    )
    run_pytest("--network-report=report.json", mode=None)
    assert [access["needs"] for access in read(pytester)["accesses"]] == ["small"]


def test_a_run_inside_a_test_is_no_part_of_the_report(
    pytester: pytest.Pytester, run_pytest: Run, listener: tuple[str, int]
) -> None:
    inner = (
        f"import socket, pytest\n@pytest.mark.small\ndef test_inner(): socket.create_connection({listener!r}).close()\n"
    )
    pytester.makepyfile(
        f"""
        import pytest
        @pytest.mark.large
        def test_outer(pytester):
            pytester.makepyfile({inner!r})
            plugin = ("-p", "pytest_test_categories.pytest_plugin")
            assert pytester.runpytest_inprocess(*plugin, "--network-report=inner.json").ret == 0
        """
    )
    run_pytest("-p", "pytester", "--network-report=report.json", mode="strict").assert_outcomes(passed=1)
    assert [(a["test"].rpartition("::")[2], a["verdict"]) for a in read(pytester)["accesses"]] == [
        ("test_outer", "permitted")
    ]


INNER: Final = """
import contextlib, socket, pytest
@pytest.mark.small
def test_inner():
    with contextlib.suppress(Exception): socket.create_connection(("198.51.100.1", 9), 1)
"""


def test_runs_inside_a_run_that_is_off_are_strict_each_time(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile(
        f"""
        def test_outer(pytester):
            pytester.makepyfile({INNER!r})
            strict = "--test-categories-enforcement=strict"
            runs = [pytester.runpytest_inprocess("-p", "pytest_test_categories.pytest_plugin", strict) for _ in range(3)]
            assert [int(run.ret) for run in runs] == [1, 1, 1]
        """
    )
    run_pytest("-p", "pytester", mode=None).assert_outcomes(passed=1)


def test_the_kernel_layer_tells_too(
    pytester: pytest.Pytester, run_pytest: Run, listener: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if probe.unavailable(forking=False):
        pytest.skip("no kernel layer here")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    pytester.makepyfile(
        f"""
        import ctypes, socket, struct
        def test_native():
            address = struct.pack("=H", 2) + struct.pack("!H", {listener[1]}) + bytes([127, 0, 0, 1]) + bytes(8)
            with socket.socket() as sock:
                assert ctypes.CDLL(None).connect(sock.fileno(), address, len(address)) == 0
        def test_python():
            socket.create_connection({listener!r}).close()
        """
    )
    run_pytest("--network-report=report.json", "--network-kernel-guard=require", mode=None).assert_outcomes(passed=2)
    report = read(pytester)
    assert {(a["test"].rpartition("::")[2], a["layer"], a["count"]) for a in report["accesses"]} == {
        ("test_native", "kernel", 1),
        ("test_python", "python", 1),
    }


# -- where it is written -----------------------------------------------------------------------------------------------


def test_an_unknown_format_stops_the_run(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile("def test_one(): pass")
    result = run_pytest("--network-report=report.pdf")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--network-report: *report.pdf*.json*.html*.sarif*.md*"])


def test_a_file_that_cannot_be_written_loses_nothing_else(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile("def test_one(): pass")
    (pytester.path / "taken").write_text("", encoding="utf-8")
    result = run_pytest("--network-report=taken/report.json", "--network-report=good.json")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["network report: taken/report.json could not be written: *", "network report: good.json"]
    )
    assert read(pytester, "good.json")["totals"]["tests"] == 1


def test_the_path_is_relative_to_where_pytest_was_started(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makeini("[pytest]")
    below = pytester.mkdir("below")
    (below / "test_one.py").write_text("def test_one(): pass", encoding="utf-8")
    os.chdir(below)
    run_pytest("--network-report=out/report.json")
    assert (below / "out" / "report.json").exists()


@WORKERS
def test_junit_xml_has_a_property_for_each_violation(pytester: pytest.Pytester, run_pytest: Run, workers: int) -> None:
    pytester.makepyfile(
        """
        import contextlib, socket, pytest
        pytestmark = pytest.mark.small
        def dial(last):
            with contextlib.suppress(Exception): socket.create_connection(("198.51.100.1", last), 1)
        @pytest.fixture
        def late():
            yield
            dial(3)
        def test_one(late): dial(1); dial(2)
        def test_quiet(): pass
        """
    )
    run_pytest("--junit-xml=junit.xml", workers=workers)
    found: dict[str, list[str]] = {}
    for case in ET.parse(pytester.path / "junit.xml").iter("testcase"):
        for prop in case.iter("property"):
            assert prop.get("name") == "network_violation"
            found.setdefault(str(case.get("name")), []).append(str(prop.get("value")))
    assert set(found) == {"test_one"}
    # A test that fails in its body and in its tear-down is written twice.
    assert sorted({value.split()[1] for value in found["test_one"]}) == [f"198.51.100.1:{last}" for last in (1, 2, 3)]
    assert all("(refused)" in value for value in found["test_one"])


@WORKERS
def test_a_github_workflow_gets_an_annotation_on_the_line(
    pytester: pytest.Pytester, run_pytest: Run, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    pytester.makepyfile(
        test_one="""
        import socket, pytest
        @pytest.mark.small
        def test_one():
            socket.create_connection(("198.51.100.1", 9), 1)
        """
    )
    run_pytest(workers=workers).stdout.fnmatch_lines(["::error file=test_one.py,line=4,*198.51.100.1*"])
    monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.path.parent))
    run_pytest(workers=workers).stdout.fnmatch_lines([f"::error file={pytester.path.name}/test_one.py,line=4,*"])
    monkeypatch.setenv("GITHUB_ACTIONS", "false")
    assert "::error" not in run_pytest(workers=workers).stdout.str()


def test_a_workflow_whose_workspace_is_on_another_drive_gets_its_annotations(
    pytester: pytest.Pytester, run_pytest: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", "D:/a")
    pytester.makeconftest(
        """
        import os

        relpath = os.path.relpath

        def as_on_windows(path, start=os.curdir):
            if start == "D:/a":
                raise ValueError("path is on mount 'C:', start on mount 'D:'")
            return relpath(path, start)

        os.path.relpath = as_on_windows
        """
    )
    pytester.makepyfile(
        test_one="""
        import socket, pytest
        @pytest.mark.small
        def test_one():
            socket.create_connection(("198.51.100.1", 9), 1)
        """
    )
    run_pytest().stdout.fnmatch_lines(["::error file=test_one.py,line=4,*198.51.100.1*"])


def test_a_report_is_written_from_a_source_tree_without_metadata(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest(
        """
        from importlib import metadata

        found = metadata.version

        def version(name):
            if name == "pytest-test-categories":
                raise metadata.PackageNotFoundError(name)
            return found(name)

        metadata.version = version
        """
    )
    pytester.makepyfile("def test_one(): pass")
    run_pytest("--network-report=report.json").assert_outcomes(passed=1)
    written = json.loads((pytester.path / "report.json").read_text())
    assert written["tool"]["version"] == "unknown"
