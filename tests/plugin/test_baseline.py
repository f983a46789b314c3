"""Baseline: known violations warn, new ones fail; partial runs neither add nor call stale what did not run."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

import pytest

from pytest_test_categories._report.baseline import Baseline, Entry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., pytest.RunResult]

INI: Final = """
[pytest]
test_categories_network_baseline = network-baseline.json
"""
HEAD: Final = """
import contextlib, os, socket, subprocess, sys, threading
import pytest
pytestmark = pytest.mark.small
server = None

def dial(target):
    with contextlib.suppress(OSError):
        socket.create_connection(target, 1).close()

@pytest.fixture(scope="session")
def port():
    return int(os.environ["PORT"])

"""
ONE: Final = """
def test_one(port): dial(("127.0.0.1", port))
"""
TWO: Final = """
def test_two(port): dial(("localhost", port))
"""
WORKERS: Final = pytest.mark.parametrize("workers", [0, 2])


@pytest.fixture
def project(pytester: pytest.Pytester, listener: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a baseline in its ini file, and a server to dial."""
    monkeypatch.setenv("PORT", str(listener[1]))
    # A file that is written anew within a second, as long as before, would be taken from its .pyc file.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    pytester.makeini(INI)
    return pytester.path


def write(project: Path, name: str, *tests: str) -> None:
    (project / name).write_text(HEAD + "\n".join(tests), encoding="utf-8")


def listed(project: Path) -> set[str]:
    baseline = Baseline.load(str(project / "network-baseline.json"))
    return {f"{entry.test} {entry.kind} {entry.target.rpartition(':')[0]}" for entry in baseline.entries}


@WORKERS
def test_known_violations_warn_and_new_ones_fail(project: Path, run_pytest: Run, workers: int) -> None:
    write(project, "test_a.py", ONE)
    update = run_pytest("--network-baseline-update", workers=workers)
    update.assert_outcomes(passed=1, warnings=1)
    update.stdout.fnmatch_lines(["network baseline: network-baseline.json lists 1 violation (1 added, 0 removed)"])
    assert listed(project) == {"test_a.py::test_one connect 127.0.0.1"}
    write(project, "test_a.py", ONE, TWO)
    result = run_pytest(workers=workers)
    result.assert_outcomes(passed=1, failed=1, warnings=1)
    result.stdout.fnmatch_lines(["*FAILED test_a.py::test_two*"])
    result.stdout.fnmatch_lines(["network baseline: 1 known violation warned"])
    assert "network violations: 1 in 1 test" in result.stdout.str()


def test_a_known_violation_goes_on(project: Path, run_pytest: Run) -> None:
    write(
        project,
        "test_a.py",
        "def test_one(port):\n    with socket.create_connection(('127.0.0.1', port)) as s: assert s.recv(1) == b''\n",
    )
    run_pytest("--network-baseline-update").assert_outcomes(passed=1, warnings=1)
    result = run_pytest()
    result.assert_outcomes(passed=1, warnings=1)
    assert result.ret == 0


def test_line_and_count_do_not_matter(project: Path, run_pytest: Run) -> None:
    write(project, "test_a.py", ONE)
    run_pytest("--network-baseline-update")
    write(project, "test_a.py", "\n\n\n", ONE.replace("dial(", "[dial(").rstrip() + ", dial(('127.0.0.1', port))]\n")
    run_pytest().assert_outcomes(passed=1, warnings=1)


def test_another_kind_or_target_is_new(project: Path, run_pytest: Run) -> None:
    write(project, "test_a.py", ONE)
    run_pytest("--network-baseline-update")
    write(project, "test_a.py", ONE.rstrip() + "; dial(('127.0.0.2', port))\n")
    run_pytest().assert_outcomes(failed=1, warnings=1)
    write(project, "test_a.py", "def test_one(port): socket.create_server(('127.0.0.1', 0)).close()\n")
    run_pytest().assert_outcomes(failed=1)


@WORKERS
def test_what_no_longer_happens_is_stale(project: Path, run_pytest: Run, workers: int) -> None:
    write(project, "test_a.py", ONE, TWO)
    run_pytest("--network-baseline-update", workers=workers)
    write(project, "test_a.py", "def test_one(): pass", TWO)
    result = run_pytest(workers=workers)
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines(
        ["network baseline: 1 known violation no longer happens; --network-baseline-update removes it:"]
    )
    result.stdout.fnmatch_lines(["  test_a.py::test_one: connect 127.0.0.1:*"])
    assert result.ret == 0
    strict = run_pytest("--network-baseline-strict", workers=workers)
    assert strict.ret == 1
    strict.stdout.fnmatch_lines(["--network-baseline-strict: entries that no longer happen fail the run"])
    run_pytest("--network-baseline-update", workers=workers)
    assert listed(project) == {"test_a.py::test_two connect localhost"}
    assert run_pytest("--network-baseline-strict", workers=workers).ret == 0


@pytest.mark.parametrize(
    "narrow",
    [
        pytest.param(("-k", "two"), id="keyword"),
        pytest.param(("-m", "not medium and two"), id="marker"),
        pytest.param(("test_b.py",), id="path"),
        pytest.param(("test_a.py::test_two",), id="node"),
        pytest.param(("--deselect", "test_a.py::test_one"), id="deselect"),
    ],
)
def test_a_partial_run_leaves_alone_what_did_not_run(project: Path, run_pytest: Run, narrow: tuple[str, ...]) -> None:
    (project / "pytest.ini").write_text(f"{INI}markers = two\n", encoding="utf-8")
    write(project, "test_a.py", ONE, f"@pytest.mark.two{TWO}")
    write(project, "test_b.py", ONE)
    run_pytest("--network-baseline-update")
    before = (project / "network-baseline.json").read_text()
    write(project, "test_a.py", ONE.replace("dial(", "print("), f"@pytest.mark.two{TWO}")
    result = run_pytest("--network-baseline-strict", *narrow)
    assert result.ret == 0
    assert "no longer" not in result.stdout.str()
    run_pytest("--network-baseline-update", *narrow)
    assert (project / "network-baseline.json").read_text() == before
    assert run_pytest("--network-baseline-strict").ret == 1


def test_an_early_end_leaves_alone_what_did_not_run(project: Path, run_pytest: Run) -> None:
    write(project, "test_a.py", "def test_fails(): assert 0\n", ONE)
    run_pytest("--network-baseline-update")
    before = (project / "network-baseline.json").read_text()
    result = run_pytest("--network-baseline-update", "-x")
    result.stdout.fnmatch_lines(["*what did not run was left as it was: *"])
    assert (project / "network-baseline.json").read_text() == before


def test_a_test_that_fails_or_skips_says_nothing_about_its_entries(project: Path, run_pytest: Run) -> None:
    write(project, "test_a.py", ONE, TWO)
    run_pytest("--network-baseline-update")
    before = (project / "network-baseline.json").read_text()
    write(project, "test_a.py", "def test_one(): assert 0", "def test_two(): pytest.skip()")
    run_pytest("--network-baseline-update")
    assert (project / "network-baseline.json").read_text() == before


XFAIL: Final = "@pytest.mark.xfail(reason='not done')\n"


@WORKERS
@pytest.mark.parametrize(
    ("before", "after", "stale"),
    [
        pytest.param("assert 0", "assert 0", True, id="fails as expected"),
        pytest.param("pass", "pass", True, id="passes all the same"),
        pytest.param("assert 0", "pytest.skip()", False, id="is skipped"),
        pytest.param("assert 0", "pytest.xfail('no server')", False, id="gives up"),
    ],
)
def test_an_entry_of_a_test_that_is_expected_to_fail_goes_stale(
    project: Path, run_pytest: Run, before: str, after: str, workers: int, *, stale: bool
) -> None:
    dials = f"{XFAIL}def test_one(port):\n    dial(('127.0.0.1', port))\n    {before}\n"
    write(project, "test_a.py", dials)
    run_pytest("--network-baseline-update")
    assert listed(project) == {"test_a.py::test_one connect 127.0.0.1"}
    assert run_pytest("--network-baseline-strict", workers=workers).ret == 0
    write(project, "test_a.py", f"{XFAIL}def test_one(port):\n    {after}\n")
    assert run_pytest("--network-baseline-strict", workers=workers).ret == int(stale)
    write(project, "test_a.py", "@pytest.mark.xfail(run=False)\ndef test_one(port): pass\n")
    assert run_pytest("--network-baseline-strict", workers=workers).ret == 0


@pytest.mark.skipif(sys.platform == "win32", reason="kills its own process")
def test_a_crashed_worker_leaves_alone_what_it_did_not_run(project: Path, run_pytest: Run) -> None:
    write(project, "test_a.py", ONE, TWO)
    run_pytest("--network-baseline-update")
    before = (project / "network-baseline.json").read_text()
    write(project, "test_a.py", "def test_one(): os._exit(3)", "def test_two(): os._exit(3)")
    run_pytest("--network-baseline-update", "--max-worker-restart=0", workers=1)
    assert (project / "network-baseline.json").read_text() == before


@WORKERS
def test_a_renamed_test_is_named(project: Path, run_pytest: Run, workers: int) -> None:
    write(project, "test_a.py", ONE)
    run_pytest("--network-baseline-update", workers=workers)
    write(project, "test_a.py", ONE.replace("test_one", "test_uno"))
    result = run_pytest(workers=workers)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["network baseline: renamed, *", "  test_a.py::test_one: connect 127.0.0.1:* -> test_a.py::test_uno"]
    )
    run_pytest("--network-baseline-update", workers=workers)
    assert listed(project) == {"test_a.py::test_uno connect 127.0.0.1"}


def test_tests_that_share_a_connection_may_come_in_any_order(project: Path, run_pytest: Run) -> None:
    pool = """
pool = []
def ask(port):
    if not pool:
        pool.append(socket.create_connection(("127.0.0.1", port)))
    else:
        pool[0].send(b"x")
def test_first(port): ask(port)
def test_second(port): ask(port)
"""
    write(project, "test_a.py", pool)
    run_pytest("--network-baseline-update")
    assert listed(project) == {f"test_a.py::test_{name} connect 127.0.0.1" for name in ("first", "second")}
    for chosen in ("first", "second", "first or second"):
        assert run_pytest("--network-baseline-strict", "-k", chosen).ret == 0


def test_groups_of_workers_do_not_matter(project: Path, run_pytest: Run) -> None:
    write(project, "test_a.py", f"@pytest.mark.xdist_group('db'){ONE}", TWO)
    (project / "pytest.ini").write_text(f"{INI}markers = xdist_group\n", encoding="utf-8")
    run_pytest("--network-baseline-update", "--dist=loadgroup", workers=2)
    assert listed(project) == {"test_a.py::test_one connect 127.0.0.1", "test_a.py::test_two connect localhost"}
    assert run_pytest("--network-baseline-strict").ret == 0
    assert run_pytest("--network-baseline-strict", "--dist=loadgroup", workers=2).ret == 0


def test_a_broad_fixture_is_listed_by_itself(project: Path, run_pytest: Run) -> None:
    fixture = "@pytest.fixture(scope='session')\ndef db(port): dial(('127.0.0.1', port))\n"
    write(project, "test_a.py", fixture, "def test_first(db): pass", "def test_second(db): pass")
    run_pytest("--network-baseline-update")
    assert listed(project) == {"fixture test_a.py::db (session) connect 127.0.0.1"}
    for chosen in ("first", "second"):
        assert run_pytest("-k", chosen).ret == 0


def test_fixtures_of_one_name_in_two_directories_are_two(project: Path, run_pytest: Run) -> None:
    for name, does in (("a", "dial(('127.0.0.1', int(os.environ['PORT'])))"), ("b", "pass")):
        (project / name).mkdir()
        write(project, f"{name}/conftest.py", f"@pytest.fixture(scope='session')\ndef server(): {does}\n")
        write(project, f"{name}/test_{name}.py", "def test_it(server): pass")
    run_pytest("--network-baseline-update")
    assert listed(project) == {"fixture a::server (session) connect 127.0.0.1"}
    assert run_pytest().ret == 0
    write(project, "b/conftest.py", "@pytest.fixture(scope='session')\ndef server(): dial(('127.0.0.1', 1))\n")
    assert run_pytest().ret == 1


def test_conftests_are_listed_under_their_paths(project: Path, run_pytest: Run) -> None:
    write(project, "flags.py", "def load(): dial(('127.0.0.1', int(os.environ['PORT'])))")
    for name, does in (("a", "import flags; flags.load()"), ("b", "pass")):
        (project / name).mkdir()
        (project / name / "conftest.py").write_text(does + "\n", encoding="utf-8")
        write(project, f"{name}/test_{name}.py", "def test_it(): pass")
    run_pytest("-p", "flags", "--network-baseline-update")
    assert listed(project) == {"a/conftest.py connect 127.0.0.1"}
    assert run_pytest("-p", "flags").ret == 0
    (project / "b" / "conftest.py").write_text("import flags; flags.load()\n", encoding="utf-8")
    assert run_pytest("-p", "flags").ret == 1


def test_an_import_is_listed_under_its_module(project: Path, run_pytest: Run) -> None:
    write(project, "test_a.py", "dial(('127.0.0.1', int(os.environ['PORT'])))", "def test_one(): pass")
    run_pytest("--network-baseline-update")
    assert listed(project) == {"test_a.py connect 127.0.0.1"}
    assert run_pytest().ret == 0
    assert run_pytest("--test-categories-default-size=small").ret == 0
    write(project, "test_a.py", "dial(('127.0.0.2', int(os.environ['PORT'])))", "def test_one(): pass")
    assert run_pytest().ret != 0


def test_threads_and_child_processes_know_the_baseline(project: Path, run_pytest: Run) -> None:
    code = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])))"
    write(
        project,
        "test_a.py",
        f"def test_child(port): assert subprocess.run([sys.executable, '-c', {code!r}, str(port)]).returncode == 0\n",
        "def test_thread(port):\n    t = threading.Thread(target=dial, args=[('127.0.0.1', port)]); t.start(); t.join()\n",
        "def test_fork(port):\n    pid = os.fork()\n    if not pid: dial(('127.0.0.1', port)); os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
        if hasattr(__import__("os"), "fork")
        else "",
    )
    run_pytest("--network-baseline-update").assert_outcomes(passed=3)
    assert len(listed(project)) == 3
    result = run_pytest()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["network baseline: 3 known violations warned"])


def test_a_name_that_is_listed_may_have_other_addresses(project: Path, run_pytest: Run) -> None:
    fake = """
@pytest.fixture(autouse=True)
def resolver(monkeypatch, port):
    import _socket
    def answer(host, *_, **__):
        last = os.environ["LAST"]
        return [(2, 1, 6, "", (f"127.0.0.{last}", port))]
    monkeypatch.setattr(_socket, "getaddrinfo", answer)
"""
    write(project, "test_a.py", fake, "def test_name(port): dial(('db.example.com', port))")
    monkeypatch = pytest.MonkeyPatch()
    with monkeypatch.context() as patch:
        patch.setenv("LAST", "1")
        run_pytest("--network-baseline-update").assert_outcomes(passed=1)
        assert listed(project) == {"test_a.py::test_name lookup db.example.com"}
        patch.setenv("LAST", "77")
        assert run_pytest("--network-baseline-strict").ret == 0


def test_a_known_violation_does_not_change_the_status_of_a_test_that_ends_the_process(
    project: Path, run_pytest: Run
) -> None:
    write(project, "test_a.py", ONE)
    run_pytest("--network-baseline-update")
    write(project, "test_a.py", ONE.rstrip() + "; os._exit(0)\n")
    assert run_pytest().ret == 0
    write(project, "test_a.py", ONE.rstrip() + "; dial(('127.0.0.2', port)); os._exit(0)\n")
    assert run_pytest().ret == 1


def test_another_kind_at_the_same_line_and_target_is_new(project: Path, run_pytest: Run) -> None:
    attempt = """
def attempt(how):
    with socket.socket() as sock, contextlib.suppress(Exception): getattr(sock, how)(("127.0.0.1", 9))
"""
    write(project, "test_a.py", attempt, "def test_one(): attempt('connect')")
    run_pytest("--network-baseline-update")
    write(project, "test_a.py", attempt, "def test_one(): attempt('connect'); attempt('bind')")
    run_pytest().assert_outcomes(failed=1, warnings=1)
    run_pytest("--network-baseline-update")
    assert listed(project) == {"test_a.py::test_one bind 127.0.0.1", "test_a.py::test_one connect 127.0.0.1"}
    assert run_pytest().ret == 0


def test_fixtures_of_one_name_in_two_modules_are_two(project: Path, run_pytest: Run) -> None:
    text = "@pytest.fixture(scope='module')\ndef client(): dial(('127.0.0.1', 9))\ndef test_one(client): pass\n"
    write(project, "test_a.py", text)
    run_pytest("--network-baseline-update")
    assert listed(project) == {"fixture test_a.py::client (module) connect 127.0.0.1"}
    write(project, "test_b.py", text)
    assert run_pytest("test_a.py").ret == 0
    assert run_pytest("test_b.py").ret == 1


def test_a_conftest_has_one_name_however_it_is_found(project: Path, run_pytest: Run) -> None:
    below = project / "sub"
    below.mkdir()
    (below / "conftest.py").write_text(f"{HEAD}dial(('127.0.0.1', 9))\n", encoding="utf-8")
    write(below, "test_a.py", "def test_one(): pass")
    run_pytest("--network-baseline-update")
    assert listed(project) == {"sub/conftest.py connect 127.0.0.1"}
    assert run_pytest().ret == 0
    assert run_pytest("sub").ret == 0
    (project / "other").mkdir()
    (project / "other" / "conftest.py").write_text(f"{HEAD}dial(('127.0.0.1', 9))\n", encoding="utf-8")
    write(project / "other", "test_b.py", "def test_one(): pass")
    assert run_pytest("other").ret == 1


def test_an_import_of_a_module_of_known_size_stays_known(project: Path, run_pytest: Run) -> None:
    (project / "pytest.ini").write_text(f"{INI}test_categories_default_size = small\n", encoding="utf-8")
    write(project, "test_a.py", "dial(('127.0.0.1', 9))", "def test_one(): pass")
    run_pytest("--network-baseline-update")
    assert listed(project) == {"test_a.py connect 127.0.0.1"}
    assert run_pytest("--network-baseline-strict").ret == 0


def test_guards_inside_a_test_know_the_baseline(project: Path, run_pytest: Run) -> None:
    write(
        project,
        "test_a.py",
        "from pytest_test_categories import network_guard",
        "def test_block(port):\n    with network_guard('small'): dial(('127.0.0.1', port))\n",
        "@network_guard('small')\ndef test_decorated(port): dial(('127.0.0.1', port))\n",
        "@pytest.mark.large\nclass TestLarge:\n    def test_inner(self, port):\n"
        "        with network_guard('small'): dial(('127.0.0.1', port))\n",
    )
    text = (project / "test_a.py").read_text("utf-8").replace("pytestmark = pytest.mark.small", "")
    (project / "test_a.py").write_text(text, encoding="utf-8")
    run_pytest("--network-baseline-update").assert_outcomes(passed=3, warnings=3)
    assert len(listed(project)) == 3
    assert run_pytest("--network-baseline-strict").ret == 0


def test_what_was_asked_for_is_known_whatever_a_fake_answers(project: Path, run_pytest: Run) -> None:
    fake = "monkeypatch.setattr(socket, 'getaddrinfo', lambda *_, **__: [(2, 1, 6, '', ('127.0.0.1', port))])"
    write(project, "test_a.py", f"def test_one(monkeypatch, port):\n    {fake}\n    dial(('db', 5432))\n")
    run_pytest("--network-baseline-update")
    assert listed(project) == {"test_a.py::test_one connect db"}
    assert run_pytest().ret == 0


def test_a_test_that_asserts_its_refusal_is_not_listed(project: Path, run_pytest: Run) -> None:
    call = "socket.create_connection(('127.0.0.1', port))"
    write(project, "test_a.py", f"def test_one(port):\n    with pytest.raises(NetworkAccessViolationError): {call}\n")
    text = (project / "test_a.py").read_text("utf-8")
    text = f"from pytest_test_categories import NetworkAccessViolationError\n{text}"
    (project / "test_a.py").write_text(text, encoding="utf-8")
    result = run_pytest("--network-baseline-update")
    result.stdout.fnmatch_lines(["network baseline: 1 test failed, and nothing is added for:"])
    assert listed(project) == set()
    assert run_pytest().ret == 0


@pytest.mark.parametrize(
    "option",
    ["--lf", "--co", "--setup-plan", "--setup-only", "--fixtures", "--cache-show", "--ignore=test_b.py"],
)
def test_a_run_of_less_than_everything_calls_nothing_stale(project: Path, run_pytest: Run, option: str) -> None:
    fixture = "@pytest.fixture(scope='session')\ndef db(port): dial(('127.0.0.1', port))\n"
    write(project, "test_a.py", ONE, "def test_fails(): assert 0")
    write(project, "test_b.py", fixture, "def test_b(db): pass")
    cache = ("-p", "cacheprovider")
    run_pytest("--network-baseline-update", *cache)
    before = (project / "network-baseline.json").read_text()
    write(project, "test_b.py", "def test_b(): pass")
    run_pytest(*cache)
    result = run_pytest("--network-baseline-strict", option, *cache)
    assert "no longer" not in result.stdout.str()
    run_pytest("--network-baseline-update", option, *cache)
    assert (project / "network-baseline.json").read_text() == before


def test_items_that_a_plugin_takes_away_are_not_gone(project: Path, run_pytest: Run) -> None:
    write(project, "test_a.py", ONE, TWO)
    run_pytest("--network-baseline-update")
    (project / "conftest.py").write_text("def pytest_collection_modifyitems(items): del items[1:]\n", encoding="utf-8")
    assert run_pytest("--network-baseline-strict").ret == 0


def test_a_fixtures_entry_stays_while_its_tests_are_skipped(project: Path, run_pytest: Run) -> None:
    fixture = "@pytest.fixture(scope='session')\ndef db(port): dial(('127.0.0.1', port))\n"
    write(project, "test_a.py", fixture, "def test_one(db): pass", "def test_other(): pass")
    run_pytest("--network-baseline-update")
    write(project, "test_a.py", fixture, "@pytest.mark.skip\ndef test_one(db): pass", "def test_other(): pass")
    assert run_pytest("--network-baseline-strict").ret == 0
    write(project, "test_a.py", "@pytest.fixture(scope='session')\ndef db(): pass", "def test_one(db): pass")
    assert run_pytest("--network-baseline-strict").ret == 1


def test_runs_that_enforce_nothing_ask_nothing_of_the_baseline(project: Path, run_pytest: Run) -> None:
    write(project, "test_a.py", ONE)
    assert run_pytest("--network-suggest-sizes").ret == 0
    assert run_pytest("--network-report=r.json", mode="OFF").ret == 0


def test_errors_in_the_ini_file_still_let_known_violations_warn(project: Path, run_pytest: Run) -> None:
    (project / "pytest.ini").write_text(f"{INI}filterwarnings = error\n", encoding="utf-8")
    write(project, "test_a.py", ONE)
    run_pytest("--network-baseline-update").assert_outcomes(passed=1, warnings=1)
    run_pytest().assert_outcomes(passed=1, warnings=1)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_baseline_that_cannot_be_used_stops_the_run(project: Path, run_pytest: Run, workers: int) -> None:
    write(project, "test_a.py", ONE)
    missing = run_pytest(workers=workers)
    assert missing.ret == pytest.ExitCode.USAGE_ERROR
    missing.stderr.fnmatch_lines(
        ["*test_categories_network_baseline: *network-baseline.json does not exist: make it *"]
    )
    for text in ("{", json.dumps({"version": 99})):
        (project / "network-baseline.json").write_text(text, encoding="utf-8")
        assert run_pytest(workers=workers).ret == pytest.ExitCode.USAGE_ERROR
        assert run_pytest("--network-baseline-update", workers=workers).ret == pytest.ExitCode.USAGE_ERROR
        assert (project / "network-baseline.json").read_text() == text
    assert run_pytest(mode="off").ret == 0  # nothing is enforced: nothing is asked of the file


@pytest.mark.parametrize("option", ["--network-baseline-update", "--network-baseline-strict"])
def test_options_without_a_file_say_what_to_set(pytester: pytest.Pytester, run_pytest: Run, option: str) -> None:
    pytester.makepyfile("def test_one(): pass")
    result = run_pytest(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{option} needs a file: add --network-baseline=FILE"])


def test_the_kernel_layer_knows_the_baseline(project: Path, run_pytest: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_test_categories._kernel import probe

    if probe.unavailable(forking=False):
        pytest.skip("no kernel layer here")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    call = """
def test_native(port):
    import ctypes, struct
    address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton("127.0.0.1") + bytes(8)
    with socket.socket() as sock:
        assert ctypes.CDLL(None).connect(sock.fileno(), address, len(address)) == 0
"""
    write(project, "test_a.py", call)
    run_pytest("--network-baseline-update", "--network-kernel-guard=require").assert_outcomes(passed=1)
    assert listed(project) == {"test_a.py::test_native connect 127.0.0.1"}
    run_pytest("--network-kernel-guard=require").assert_outcomes(passed=1)
    Baseline([Entry("test_a.py::test_native", "connect", "127.0.0.2:1")]).save(str(project / "network-baseline.json"))
    run_pytest("--network-kernel-guard=require").assert_outcomes(failed=1)


@WORKERS
def test_each_directory_may_have_its_own_baseline(project: Path, run_pytest: Run, workers: int) -> None:
    names = ("network-baseline.json", "team/network-baseline.json")
    ini = f"[pytest]\ntest_categories_network_baseline =\n    {names[0]}\n    {names[1]}\n"
    (project / "pytest.ini").write_text(ini, encoding="utf-8")
    (project / "team").mkdir()
    write(project, "test_a.py", ONE)
    write(project, "team/test_b.py", ONE)
    update = run_pytest("--network-baseline-update", workers=workers)
    update.stdout.fnmatch_lines(
        [f"network baseline: {name} lists 1 violation (1 added, 0 removed)" for name in names], consecutive=True
    )
    for name, test in zip(names, ("test_a.py", "team/test_b.py"), strict=True):
        assert [entry.test for entry in Baseline.load(str(project / name)).entries] == [f"{test}::test_one"]
    run_pytest("--network-baseline-strict", workers=workers).assert_outcomes(passed=2, warnings=2)
    write(project, "test_a.py", "def test_one(): pass")
    write(project, "team/test_b.py", "def test_one(): pass")
    stale = run_pytest("--network-baseline-strict", workers=workers)
    assert stale.ret == 1
    stale.stdout.fnmatch_lines(
        [f"  in {names[0]}:", "    test_a.py::test_one: *", f"  in {names[1]}:", "    team/test_b.py::test_one: *"],
        consecutive=True,
    )


def test_an_entry_in_a_file_that_is_not_the_nearest_does_not_hold(project: Path, run_pytest: Run) -> None:
    (project / "team").mkdir()
    write(project, "team/test_b.py", ONE)
    run_pytest("--network-baseline-update")
    inner = "--network-baseline=team/known.json"
    both = ("--network-baseline=network-baseline.json", inner)
    Baseline().save(str(project / "team/known.json"))
    result = run_pytest(*both)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "network baseline: 1 violation of network-baseline.json is ignored, since team/known.json is nearer; *",
        ]
    )
    run_pytest(*both, "--network-baseline-update")
    run_pytest(inner).assert_outcomes(passed=1, warnings=1)
