"""`--network-explain`: what gives a test its size and what holds for it, without running anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]

SCHEMA: Final = json.loads((Path(__file__).parents[2] / "docs/reference/explain.schema.json").read_text("utf-8"))
INI: Final = """
[pytest]
markers = unit
test_categories_default_size = large
test_categories_path_sizes = unit = small
test_categories_marker_sizes = unit = small
test_categories_network_allow =
    postgres:5432
    small: 127.0.0.1:8126
test_categories_network_baseline = network-baseline.json
"""
SUITE: Final = """
import pytest

@pytest.fixture(scope="session")
def db(): raise AssertionError("nothing is run")

@pytest.fixture(scope="module", autouse=True)
def environment(): raise AssertionError("nothing is run")

def test_by_default(db): pass

@pytest.mark.medium
def test_by_marker(db): pass

@pytest.mark.medium
class TestOuter:
    network_allow = ["redis"]

    def test_by_class(self): pass

    @pytest.mark.unit
    def test_by_function(self): pass

@pytest.mark.medium
@pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.xlarge), 2])
def test_by_set(n): pass
"""


@pytest.fixture
def explained(pytester: pytest.Pytester, run_pytest: Run) -> Callable[..., tuple[str, dict[str, Any]]]:
    """Run the suite above under `--network-explain`; return what is printed, and the JSON by test."""
    pytester.makeini(INI)
    pytester.makepyfile(test_suite=SUITE)
    (pytester.mkdir("unit") / "test_low.py").write_text("def test_by_path(): pass", encoding="utf-8")
    known = '{"version": 1, "violations": [\n["unit/test_low.py::test_by_path", "connect", "h:1"],\n"end of list"\n]}\n'
    (pytester.path / "network-baseline.json").write_text(known, encoding="utf-8")

    def explain(*options: str, **more: Any) -> tuple[str, dict[str, Any]]:
        result = run_pytest("--network-explain", "--network-report=out.json", *options, **more)
        assert result.ret == 0, result.stderr.str()
        data = json.loads((pytester.path / "out.json").read_text("utf-8"))
        jsonschema.validate(data, SCHEMA)
        return result.stdout.str(), {test["id"].rpartition("::")[2]: test for test in data["tests"]}

    return explain


def test_what_the_environment_has_no_network_for_is_told(explained: Any) -> None:
    text, tests = explained("--network-available=machine")
    skipped = {name: test["skipped"] for name, test in tests.items() if test["skipped"]}
    assert skipped == {
        "test_by_default": "large tests need remote hosts: --network-available=machine",
        "test_by_set[1]": "xlarge tests need remote hosts: --network-available=machine",
        "test_by_class": "the test needs redis: --network-available=machine",
        "test_by_function": "the test needs redis: --network-available=machine",
    }
    assert "  skipped: large tests need remote hosts: --network-available=machine" in text
    assert "skipped: " not in explained()[0]


WRONG: Final = """
import pytest

@pytest.mark.network_allow("1.2.3.999")
def test_allow(): pass

@pytest.mark.network_only("1.2.3.999")
def test_only(): pass

@pytest.mark.hosts(["1.2.3.999"])
def test_hosts(): pass

class TestClass:
    network_allow = ["1.2.3.999"]
    network_only = 5
    network_mode = "warm"
    def test_class(self): pass
"""


@pytest.mark.parametrize("option", ["--network-explain", "--network-report=out.json", "--network-suggest-sizes"])
def test_where_nothing_is_enforced_wrong_entries_stop_nothing(
    pytester: pytest.Pytester, run_pytest: Run, option: str
) -> None:
    pytester.makeini("[pytest]\nmarkers = hosts\ntest_categories_marker_sizes = hosts = small\n")
    pytester.makepyfile(WRONG)
    result = run_pytest(option, mode="off")
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    if option == "--network-explain":
        result.stdout.fnmatch_lines(["4 tests explained, none run; *"])
        assert "enforcement warm" not in result.stdout.str()
    else:
        result.assert_outcomes(passed=4)
    if option != "--network-suggest-sizes":  # which refuses nothing in any mode
        assert run_pytest(option, mode="strict").ret != 0


@pytest.mark.parametrize("workers", [0, 2])
def test_each_test_is_told_what_gives_it_its_size(explained: Any, workers: int) -> None:
    text, tests = explained(workers=workers)
    assert {name: (test["size"], test["sources"][0]["from"]) for name, test in tests.items()} == {
        "test_by_default": ("large", "the default size"),
        "test_by_marker": ("medium", "@pytest.mark.medium on the test"),
        "test_by_class": ("medium", "@pytest.mark.medium on class TestOuter"),
        "test_by_function": ("small", "@pytest.mark.unit on the test"),
        "test_by_set[1]": ("xlarge", "@pytest.mark.xlarge on the parameter set"),
        "test_by_set[2]": ("medium", "@pytest.mark.medium on the test"),
        "test_by_path": ("small", "the path rule unit = small"),
    }
    assert "7 tests explained, none run" in text
    assert "size: small, from the path rule unit = small" in text
    assert "nothing is run" not in text


def test_what_comes_after_the_deciding_place_is_told_when_asked(explained: Any) -> None:
    text, tests = explained()
    assert [source["size"] for source in tests["test_by_function"]["sources"]] == ["small", "medium", "large"]
    assert "not from" not in text
    text, _ = explained("-v")
    assert "not from @pytest.mark.medium on class TestOuter (medium), which comes after it" in text


def test_allow_entries_are_told_with_where_they_were_set(explained: Any) -> None:
    text, tests = explained("--network-allow=mailhog:1025")
    allow = {entry["entry"]: (entry["from"], entry["applies"]) for entry in tests["test_by_class"]["allow"]}
    assert allow == {
        "postgres:5432": ("test_categories_network_allow", True),
        "small: 127.0.0.1:8126": ("test_categories_network_allow", True),
        "mailhog:1025": ("--network-allow", True),
        "redis": ("network_allow of TestOuter", True),
    }
    low = {entry["entry"]: entry["applies"] for entry in tests["test_by_path"]["allow"]}
    assert low == {"postgres:5432": False, "small: 127.0.0.1:8126": True, "mailhog:1025": False}
    assert "allowed: redis, from network_allow of TestOuter" in text


def test_an_entry_of_the_ini_file_is_told_as_it_holds(explained: Any) -> None:
    _, tests = explained("-o", "test_categories_network_allow=unix:/run/a,b.sock")
    [entry] = tests["test_by_marker"]["allow"]
    assert entry == {"entry": "unix:/run/a,b.sock", "from": "test_categories_network_allow", "applies": True}


def test_what_narrows_is_told_with_where_it_was_set(explained: Any, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_only="""
        import pytest
        pytestmark = pytest.mark.network_only("staging:443", "db")
        class TestIt:
            network_only = []
            @pytest.mark.network_only("db")
            def test_narrowed(self): pass
    """
    )
    text, tests = explained("--network-deny=api.example.com", "-o", "test_categories_network_deny=10.0.0.0/8")
    assert tests["test_narrowed"]["only"] == [
        {"entries": [], "from": "network_only of TestIt"},
        {"entries": ["db"], "from": "@pytest.mark.network_only"},
        {"entries": ["staging:443", "db"], "from": "@pytest.mark.network_only"},
    ]
    assert tests["test_narrowed"]["deny"] == tests["test_by_default"]["deny"]
    assert tests["test_by_default"]["deny"] == [
        {"entry": "10.0.0.0/8", "from": "test_categories_network_deny"},
        {"entry": "api.example.com", "from": "--network-deny"},
    ]
    assert "  only: staging:443, db, from @pytest.mark.network_only" in text
    assert "  only: nothing, from network_only of TestIt" in text
    assert "  denied: api.example.com, from --network-deny" in text


def test_fixtures_are_told_with_the_test_that_narrows_them(explained: Any) -> None:
    text, tests = explained()
    [db] = [fixture for fixture in tests["test_by_default"]["fixtures"] if fixture["name"] == "db"]
    assert (db["scope"], db["size"], db["because"]) == ("session", "medium", "test_suite.py::test_by_marker")
    assert db["defined"] == "test_suite.py:3"
    [auto] = [fixture for fixture in tests["test_by_marker"]["fixtures"] if fixture["name"] == "environment"]
    assert (auto["autouse"], auto["size"]) == (True, "xlarge")
    assert "fixture db (session): held to medium, because of test_suite.py::test_by_marker" in text
    assert "fixture environment (module): held to xlarge, the largest size" in text


def test_known_violations_are_told(explained: Any) -> None:
    _, tests = explained()
    assert tests["test_by_path"]["known"] == ["connect h:1"]


def test_what_is_selected_is_explained(explained: Any) -> None:
    _, tests = explained("-k", "by_marker")
    assert set(tests) == {"test_by_marker"}


def test_a_project_that_enforces_nothing_is_explained_too(explained: Any) -> None:
    text, tests = explained(mode=None)
    assert tests["test_by_marker"]["mode"] == "off"
    assert "(enforcement off)" in text


def test_another_format_than_json_is_refused(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile("def test_one(): pass")
    result = run_pytest("--network-explain", "--network-report=out.html")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*with --network-explain a .json file only, not out.html"])


def test_a_file_that_cannot_be_written_is_a_usage_error(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile("def test_one(): pass")
    (pytester.path / "taken").write_text("", encoding="utf-8")
    result = run_pytest("--network-explain", "--network-report=taken/out.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


def test_a_run_without_a_terminal_is_no_crash(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile("def test_one(): pass")
    for option in ("--network-explain", "--network-suggest-sizes=print", "--network-report=out.json"):
        assert run_pytest(option, "-p", "no:terminal").ret == 0


def test_the_case_of_a_report_s_suffix_does_not_count(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile("def test_one(): pass")
    assert run_pytest("--network-explain", "--network-report=OUT.JSON").ret == pytest.ExitCode.OK
    assert '"test_the_case' in (pytester.path / "OUT.JSON").read_text(encoding="utf-8")
