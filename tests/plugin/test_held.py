"""Fixtures that are narrowed the same however a suite is cut: the file of ``--network-fixtures``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., pytest.RunResult]
    Outcomes = Callable[[pytest.RunResult], dict[str, set[str]]]

FILE: Final = "network-fixtures.json"
CONFTEST: Final = """
import socket
import pytest

def local():
    with socket.socket() as s: s.bind(("127.0.0.1", 0))

@pytest.fixture(scope="session")
def server(): local()

@pytest.fixture(scope="module")
def table(): local()

@pytest.fixture(scope="session", params=["local", "memory"])
def database(request):
    if request.param == "local": local()
"""
AUTOUSE: Final = """
@pytest.fixture(scope="session", autouse=True)
def environment(server): pass
"""
MEDIUM: Final = """
import pytest
pytestmark = pytest.mark.medium
def test_server(server): pass
def test_table(table): pass
@pytest.mark.parametrize("database", ["local"], indirect=True)
def test_database(database): pass
"""
SMALL: Final = MEDIUM.replace("medium", "small")
UPDATE: Final = ("--network-fixtures-update", "--collect-only", "-q")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite whose directory ``a`` passes alone and fails beside ``b``."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    pytester.makeini(f"[pytest]\ntest_categories_network_fixtures = {FILE}\n")
    pytester.makeconftest(CONFTEST)
    for name, text in (("a", MEDIUM), ("b", SMALL)):
        (pytester.path / name).mkdir()
        (pytester.path / name / f"test_{name}.py").write_text(text, encoding="utf-8")
    return pytester.path


def entries(project: Path) -> list[Any]:
    listed: list[Any] = json.loads((project / FILE).read_text(encoding="utf-8"))["fixtures"]
    return listed[:-1]


WHOLE: Final = [
    ["database (session)", 0, "smallest", "small", "b/test_b.py::test_database[local]"],
    ["server (session)", 0, "smallest", "small", "b/test_b.py::test_server"],
    ["table (module)", 0, "smallest", "small", "b/test_b.py::test_table"],
]


def test_a_whole_run_writes_the_file_and_a_part_obeys_it(project: Path, run_pytest: Run, workers: int) -> None:
    run_pytest("-o", "test_categories_network_fixtures=", "a", workers=workers).assert_outcomes(passed=3)
    result = run_pytest("--network-fixtures-update", workers=workers)
    result.assert_outcomes(errors=6)
    result.stdout.fnmatch_lines([f"network fixtures: {FILE} lists 3 fixtures (3 changed)"])
    assert entries(project) == WHOLE
    for part in (["a"], ["a/test_a.py"], ["a/test_a.py::test_server", "a/test_a.py::test_table"]):
        result = run_pytest(*part, workers=workers)
        assert result.parseoutcomes()["errors"] == (3 if len(part) == 1 else 2)
        assert "passed" not in result.parseoutcomes()
        result.stdout.fnmatch_lines(
            [f"*in fixture server (session), held to small by b/test_b.py::test_server (as {FILE} says)"]
        )
        assert "out of date" not in result.stdout.str()
    result.stdout.fnmatch_lines(["*then write the file anew, with all tests: --network-fixtures-update"])


def test_a_whole_run_names_the_test_itself(project: Path, run_pytest: Run) -> None:
    run_pytest(*UPDATE)
    result = run_pytest()
    result.stdout.fnmatch_lines(["*in fixture server (session), held to small by b/test_b.py::test_server"])
    assert FILE not in result.stdout.str()
    assert entries(project) == WHOLE


def test_the_tests_of_a_part_narrow_further(project: Path, run_pytest: Run) -> None:
    (project / "b/test_b.py").write_text(MEDIUM.replace("medium", "large"), encoding="utf-8")
    (project / "a/test_a.py").write_text(MEDIUM, encoding="utf-8")
    run_pytest(*UPDATE)
    assert {entry[3] for entry in entries(project)} == {"medium"}
    (project / "b/test_b.py").write_text(SMALL, encoding="utf-8")
    result = run_pytest("b")
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        [
            f"network fixtures: {FILE} is out of date for 3 fixtures; --network-fixtures-update rewrites it:",
            "  server (session): medium because of a/test_a.py::test_server in the file, small because of b/*",
        ]
    )


def test_a_broad_autouse_fixture_is_held_to_the_largest_of_the_whole_suite(
    project: Path, run_pytest: Run, outcomes: Outcomes
) -> None:
    (project / "conftest.py").write_text(CONFTEST + AUTOUSE, encoding="utf-8")
    for name, size in (("a", "medium"), ("b", "small")):
        text = f"import pytest\n@pytest.mark.{size}\ndef test_{name}(): pass\n"
        (project / name / f"test_{name}.py").write_text(text, encoding="utf-8")
    run_pytest("-o", "test_categories_network_fixtures=").assert_outcomes(passed=2)
    run_pytest("-o", "test_categories_network_fixtures=", "b").assert_outcomes(errors=1)
    run_pytest(*UPDATE)
    largest = [
        [f"{name} (session)", 0, "largest", "medium", "a/test_a.py::test_a"] for name in ("environment", "server")
    ]
    assert entries(project) == largest
    result = run_pytest("b")
    result.assert_outcomes(passed=1)
    assert "out of date" not in result.stdout.str()
    # A test that requests by name what the autouse fixture stands on narrows that, in a part and in the whole.
    (project / "b/test_b.py").write_text(
        "import pytest\n@pytest.mark.small\ndef test_b(server): pass\n", encoding="utf-8"
    )
    run_pytest("b").assert_outcomes(errors=1)
    run_pytest(*UPDATE)
    assert entries(project) == [largest[0], ["server (session)", 0, "smallest", "small", "b/test_b.py::test_b"]]
    run_pytest("a").assert_outcomes(errors=1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("def test_other(): pass", "b/test_b.py::test_server is gone", id="test"),
        pytest.param(None, "b/test_b.py::test_server is gone", id="file"),
        pytest.param("def test_server(): pass", "b/test_b.py::test_server does not use it", id="use"),
        pytest.param(MEDIUM, "b/test_b.py::test_server is medium", id="size"),
    ],
)
@pytest.mark.parametrize("part", [True, False], ids=["part", "whole"])
def test_an_entry_that_no_longer_holds_is_told_and_not_obeyed(
    project: Path, run_pytest: Run, text: str | None, why: str, *, part: bool, workers: int
) -> None:
    run_pytest(*UPDATE)
    file = project / "b/test_b.py"
    if text is None:
        file.unlink()
    else:
        file.write_text(text, encoding="utf-8")
    result = run_pytest(*(["a/test_a.py", *([] if text is None else ["b/test_b.py"])] if part else []), workers=workers)
    assert "errors" not in result.parseoutcomes()
    result.stdout.fnmatch_lines(
        [
            f"network fixtures: {FILE} is out of date for 3 fixtures; --network-fixtures-update rewrites it:",
            f"  server (session): small because of b/test_b.py::test_server in the file, but {why}",
        ]
    )
    assert result.ret == 0
    run_pytest(*UPDATE, workers=workers)
    assert entries(project) == []


def test_an_update_of_a_part_keeps_what_is_known_of_the_rest(project: Path, run_pytest: Run) -> None:
    run_pytest(*UPDATE)
    result = run_pytest(*UPDATE, "a")
    result.stdout.fnmatch_lines(
        [
            f"network fixtures: {FILE} lists 3 fixtures (0 changed)",
            "  only a part of the tests was collected: what is known of the others stays in it",
        ]
    )
    assert entries(project) == WHOLE


def test_a_module_that_cannot_be_imported_takes_nothing_out_of_the_file(project: Path, run_pytest: Run) -> None:
    run_pytest(*UPDATE)
    (project / "b/test_b.py").write_text("raise ImportError", encoding="utf-8")
    run_pytest(*UPDATE)
    assert entries(project) == WHOLE


def test_a_declared_size_beats_the_file_and_is_not_listed(project: Path, run_pytest: Run) -> None:
    declared = "--test-categories-fixture-sizes=server = medium"
    run_pytest(*UPDATE)
    run_pytest("a/test_a.py::test_server", declared).assert_outcomes(passed=1)
    run_pytest(*UPDATE, declared)
    assert [entry[0] for entry in entries(project)] == ["database (session)", "table (module)"]


def test_without_a_file_only_a_verbose_run_says_that_sizes_come_from_a_part(
    pytester: pytest.Pytester, project: Path, run_pytest: Run, workers: int
) -> None:
    pytester.makeini("[pytest]\n")
    said = (
        "network fixtures: of the collected part of the tests, database (session) is medium and 2 more; "
        "--network-fixtures=FILE holds them alike in every part"
    )
    run_pytest("-v", "a", workers=workers).stdout.fnmatch_lines([said])
    for silent in (["a"], ["-v"], ["-v", "b"]):
        assert "network fixtures" not in run_pytest(*silent, workers=workers).stdout.str()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param([], f"test_categories_network_fixtures: {FILE} does not exist: make it with", id="missing"),
        pytest.param(["--network-fixtures=", "--network-fixtures-update"], "needs a file", id="no file"),
        pytest.param(["--network-fixtures-update", "--test-categories-enforcement=off"], "in off mode", id="off"),
    ],
)
def test_a_setting_that_cannot_work_stops_the_run(project: Path, run_pytest: Run, args: list[str], says: str) -> None:
    result = run_pytest(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{says}*"])
