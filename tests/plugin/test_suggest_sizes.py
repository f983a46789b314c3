"""`--network-suggest-sizes`: a run in which nothing is refused says, and writes, the size that each test needs."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., pytest.RunResult]

WORKERS: Final = pytest.mark.parametrize("workers", [0, 2])
APPLY: Final = "--network-suggest-sizes=apply"

MIXED: Final = """
import os
import socket
import unittest

import pytest

PORT = int(os.environ["PORT"])


def dial():
    socket.create_connection(("127.0.0.1", PORT)).close()


@pytest.fixture(scope="session")
def db():
    with socket.create_connection(("localhost", PORT)) as connection:
        yield connection


def test_quiet():
    pass


def test_dials():
    dial()


def test_first(db):
    pass


def test_second(db):
    pass


@pytest.mark.parametrize("far", [False, True])
def test_sets(far):
    if far:
        dial()


class TestStore:
    def test_saves(self):
        dial()

    def test_loads(self):
        dial()


class Case(unittest.TestCase):
    def test_case(self):
        pass
"""
QUIET: Final = "def test_one():\n    pass\n\n\ndef test_two():\n    pass\n"


@pytest.fixture
def project(pytester: pytest.Pytester, listener: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two modules in a git repository, with everything committed."""
    monkeypatch.setenv("PORT", str(listener[1]))
    # A file that is written anew within a second, as long as before, would be taken from its .pyc file.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    pytester.makeini("[pytest]\n")
    for name, text in (("test_mixed.py", MIXED), ("test_quiet.py", QUIET)):
        (pytester.path / name).write_text(text, encoding="utf-8")
    (pytester.path / ".gitignore").write_text("__pycache__\nstdout\nstderr\n", encoding="utf-8")
    git(pytester.path, "init", "-q")
    commit(pytester.path)
    return pytester.path


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "as it is")


@WORKERS
def test_nothing_is_refused_and_each_size_is_printed_with_its_evidence(
    project: Path, run_pytest: Run, workers: int
) -> None:
    result = run_pytest("--network-suggest-sizes", "-v", workers=workers)
    result.assert_outcomes(passed=11)
    text = result.stdout.str()
    assert "test_quiet.py: small (2 tests)" in text
    assert "medium: localhost:" in text
    assert "in fixture db (session)" in text
    assert git(project, "status", "--porcelain") == ""


@WORKERS
def test_markers_are_written_and_a_strict_run_passes(project: Path, run_pytest: Run, workers: int) -> None:
    result = run_pytest(APPLY, workers=workers)
    result.assert_outcomes(passed=11)
    result.stdout.fnmatch_lines(["size markers written into 2 files"])
    assert (project / "test_quiet.py").read_text("utf-8") == (
        f"import pytest\n\npytestmark = pytest.mark.small\n\n\n{QUIET}"
    )
    mixed = (project / "test_mixed.py").read_text("utf-8")
    assert "@pytest.mark.medium\nclass TestStore:" in mixed
    assert "@pytest.mark.small\nclass Case(" in mixed
    assert '@pytest.mark.medium\n@pytest.mark.parametrize("far"' in mixed
    assert mixed.count("@pytest.mark.medium\ndef test_") == 3
    strict = run_pytest(workers=workers)
    strict.assert_outcomes(passed=11)
    assert "no size" not in strict.stdout.str()
    commit(project)
    again = run_pytest(APPLY, workers=workers)
    again.stdout.fnmatch_lines(["no size marker to write"])
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.parametrize("chosen", ["first", "second"])
def test_every_test_of_a_broad_fixture_gets_what_the_fixture_needs(project: Path, run_pytest: Run, chosen: str) -> None:
    run_pytest(APPLY)
    assert run_pytest("-k", chosen).ret == 0


def test_a_test_that_has_its_size_from_elsewhere_gets_no_marker(project: Path, run_pytest: Run) -> None:
    (project / "pytest.ini").write_text(
        "[pytest]\ntest_categories_path_sizes = test_quiet.py = small\ntest_categories_default_size = medium\n"
    )
    run_pytest(APPLY, "test_quiet.py")
    assert (project / "test_quiet.py").read_text("utf-8") == QUIET


def test_what_is_larger_than_needed_is_told_and_made_smaller(project: Path, run_pytest: Run) -> None:
    (project / "test_quiet.py").write_text(
        f"import pytest\npytestmark = pytest.mark.large\n\n\n{QUIET}", encoding="utf-8"
    )
    commit(project)
    run_pytest("--network-suggest-sizes=print", "test_quiet.py").stdout.fnmatch_lines(["larger than needed:"])
    run_pytest(APPLY, "test_quiet.py")
    assert "pytestmark = pytest.mark.small" in (project / "test_quiet.py").read_text("utf-8")


def test_what_was_not_observed_in_full_gets_no_smaller_size(project: Path, run_pytest: Run) -> None:
    text = (
        "import subprocess\nimport pytest\n\n\n@pytest.mark.large\ndef test_skipped():\n    pytest.skip()\n\n\n"
        "@pytest.mark.large\ndef test_fails():\n    assert 0\n\n\n"
        "@pytest.mark.large\ndef test_starts():\n    subprocess.run(['true'], check=True)\n"
    )
    (project / "test_quiet.py").write_text(text, encoding="utf-8")
    commit(project)
    result = run_pytest(APPLY, "test_quiet.py")
    result.stdout.fnmatch_lines(["not observed in full:"])
    assert (project / "test_quiet.py").read_text("utf-8") == text


def test_uncommitted_work_is_not_touched_unless_forced(project: Path, run_pytest: Run) -> None:
    with (project / "test_quiet.py").open("a", encoding="utf-8") as file:
        file.write("\n\n# my work\n")
    result = run_pytest(APPLY)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["no size marker was written: uncommitted changes in test_quiet.py: *--network-suggest-sizes-force"]
    )
    assert git(project, "status", "--porcelain") == " M test_quiet.py\n"
    run_pytest(APPLY, "--network-suggest-sizes-force").stdout.fnmatch_lines(["size markers written into 2 files"])
    assert (project / "test_quiet.py").read_text("utf-8").endswith("# my work\n")


def test_a_missing_libcst_stops_the_run_with_the_way_to_get_it(
    project: Path, run_pytest: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    hides = (
        "import importlib.util as u\nf = u.find_spec\nu.find_spec = lambda n, *a: None if n == 'libcst' else f(n, *a)\n"
    )
    (project / "hides_libcst.py").write_text(hides, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(project))
    result = run_pytest("-p", "hides_libcst", APPLY)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*needs libcst: pip install 'pytest-test-categories?apply?'"])
    assert run_pytest("-p", "hides_libcst", "--network-suggest-sizes").ret == 0


def test_a_path_after_the_option_is_told_apart_from_its_value(project: Path, run_pytest: Run) -> None:
    result = run_pytest("--network-suggest-sizes", "test_quiet.py", "-x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*'test_quiet.py' is not one of print, apply, buildozer; before a path write *=print"])
    assert run_pytest("--network-suggest-sizes=print", "test_quiet.py").ret == 0


def test_updating_the_baseline_is_another_run(project: Path, run_pytest: Run) -> None:
    (project / "pytest.ini").write_text("[pytest]\ntest_categories_network_baseline = b.json\n")
    result = run_pytest("--network-suggest-sizes", "--network-baseline-update")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*choose one of them"])


def test_doctests_are_left_out(project: Path, run_pytest: Run) -> None:
    (project / "test_quiet.py").write_text('"""\n>>> 1 + 1\n2\n"""\n', encoding="utf-8")
    commit(project)
    result = run_pytest(APPLY, "--doctest-modules", "test_quiet.py")
    assert result.ret == 0
    assert "left out:" in result.stdout.str()
    assert git(project, "status", "--porcelain") == ""


@WORKERS
def test_fixtures_of_one_name_in_two_directories_are_two(
    pytester: pytest.Pytester, listener: tuple[str, int], run_pytest: Run, workers: int
) -> None:
    for name, does in (("a", f"socket.create_connection({listener!r}).close()"), ("b", "pass")):
        below = pytester.mkpydir(name)
        fixture = f"import socket\nimport pytest\n\n@pytest.fixture(scope='session')\ndef server(): {does}\n"
        (below / "conftest.py").write_text(fixture, encoding="utf-8")
        (below / f"test_{name}.py").write_text("def test_it(server):\n    pass\n", encoding="utf-8")
    result = run_pytest("--network-suggest-sizes", "-v", workers=workers)
    result.stdout.fnmatch_lines(["*a/test_a.py: medium*", "*b/test_b.py: small*"])
