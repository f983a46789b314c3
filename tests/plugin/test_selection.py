"""Which tests run: ``-m`` goes by the size that holds, and what the environment has no network for is skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from pytest_test_categories._rules.address import parse_allow_entry
from pytest_test_categories.pytest_plugin import _private, _selected

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS: Final = """
[pytest]
markers =
    unit
    slow
    device
test_categories_default_size = medium
test_categories_marker_sizes = unit = small
test_categories_path_sizes = far = large
"""
FILES: Final = {
    "far/test_far": """
        import unittest
        import pytest

        def test_by_path():
            pass

        @pytest.mark.unit
        def test_by_rule():
            pass

        @pytest.mark.small
        class TestSmall:
            def test_by_class(self):
                pass

            @pytest.mark.large
            @pytest.mark.slow
            def test_closest(self):
                pass

        class Case(unittest.TestCase):
            def test_case(self):
                pass
        """,
    "test_top": """
        import pytest

        def test_default():
            '''
            >>> 1
            1
            '''

        @pytest.mark.parametrize("size", [
            pytest.param("small", marks=[pytest.mark.small, pytest.mark.device(serial="x")]),
            pytest.param("xlarge", marks=pytest.mark.xlarge),
        ])
        def test_set(size):
            pass
        """,
}
SMALL: Final = {"test_by_rule", "TestSmall::test_by_class", "test_set[small]"}
MEDIUM: Final = {"test_default", "test_top.test_default"}
LARGE: Final = {"test_by_path", "TestSmall::test_closest", "Case::test_case"}
XLARGE: Final = {"test_set[xlarge]"}

EXPRESSIONS: Final = [
    pytest.param("small", SMALL, id="small"),
    pytest.param("not large", SMALL | MEDIUM | XLARGE, id="not large"),
    pytest.param("large and not slow", LARGE - {"TestSmall::test_closest"}, id="with another marker"),
    pytest.param("medium or (small and device(serial='x'))", MEDIUM | {"test_set[small]"}, id="with arguments"),
    pytest.param("unit", {"test_by_rule"}, id="no size"),
    pytest.param("small and unit or xlarge", {"test_by_rule"} | XLARGE, id="both"),
]


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """Write a project whose tests have their sizes from everywhere."""
    pytester.makeini(SETTINGS)
    pytester.makepyfile(**FILES)
    return pytester


@pytest.mark.parametrize(("expression", "selected"), EXPRESSIONS)
@pytest.mark.parametrize("mode", ["strict", "off"])
@pytest.mark.usefixtures("project")
def test_a_size_in_an_expression_of_markers_is_the_one_that_holds(
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    expression: str,
    selected: set[str],
    mode: str,
) -> None:
    result = run_pytest("-v", "--doctest-modules", "-m", expression, mode=mode)
    assert outcomes(result) == {name: {"PASSED"} for name in selected}
    result.assert_outcomes(passed=len(selected), deselected=9 - len(selected))


@pytest.mark.parametrize("mode", ["strict", "off"])
@pytest.mark.usefixtures("project")
def test_workers_select_by_the_size_that_holds(
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    mode: str,
) -> None:
    result = run_pytest("-v", "-m", "not large", "-k", "not default", mode=mode, workers=2)
    assert outcomes(result) == {name: {"PASSED"} for name in SMALL | XLARGE}


@pytest.mark.usefixtures("project")
def test_what_is_collected_only_is_selected_by_the_size_that_holds(run_pytest: Callable[..., pytest.RunResult]) -> None:
    result = run_pytest("--collect-only", "-q", "-m", "small", mode=None)
    assert {line.partition("::")[2] for line in result.outlines if "::" in line} == SMALL


@pytest.mark.usefixtures("project")
def test_markers_that_a_conftest_adds_count_in_an_expression(
    project: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
) -> None:
    project.makeconftest(
        """
        import pytest

        @pytest.hookimpl(trylast=True)
        def pytest_itemcollected(item):
            item.user_properties.append(("seen", True))

        def pytest_collection_modifyitems(items):
            for item in items:
                if item.name == "test_default":
                    item.add_marker("small")
        """
    )
    found = outcomes(run_pytest("-v", "-m", "small", mode="off"))
    assert found == {name: {"PASSED"} for name in SMALL | {"test_default"}}


def test_without_a_setting_of_ours_pytest_selects_by_markers(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
) -> None:
    pytester.makepyfile(**FILES)
    found = outcomes(run_pytest("-v", "-m", "small", mode=None))
    assert set(found) == {"TestSmall::test_by_class", "TestSmall::test_closest", "test_set[small]"}


@pytest.mark.parametrize("expression", ["small and", "small or )", "small(1)"])
@pytest.mark.usefixtures("project")
def test_a_wrong_expression_is_refused_in_pytests_words(
    run_pytest: Callable[..., pytest.RunResult], expression: str
) -> None:
    ours = run_pytest("-m", expression)
    plain = run_pytest("-m", expression, "-o", "test_categories_default_size=", *_WITHOUT, mode=None)
    assert ours.ret == plain.ret == pytest.ExitCode.USAGE_ERROR
    said = [line for line in ours.errlines if line.startswith("ERROR")]
    assert said == [line for line in plain.errlines if line.startswith("ERROR")]
    assert len(said) == 1


_WITHOUT: Final = ("-o", "test_categories_marker_sizes=", "-o", "test_categories_path_sizes=")


@pytest.mark.parametrize("mode", ["strict", "off"])
def test_a_mode_alone_lets_the_closest_marker_select(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    mode: str,
) -> None:
    pytester.makepyfile(**FILES)
    found = outcomes(run_pytest("-v", "-m", "small", mode=mode))
    assert set(found) == {"TestSmall::test_by_class", "test_set[small]"}


@pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="pytest looks at the names in an expression from 9 on")
@pytest.mark.usefixtures("project")
def test_an_unknown_marker_in_an_expression_is_refused_as_before(run_pytest: Callable[..., pytest.RunResult]) -> None:
    result = run_pytest("--strict-markers", "-m", "small and nothing")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*Unknown marker(s) in '-m' expression: nothing.*"])


def test_a_test_of_two_sizes_stops_the_run_whatever_is_selected_and_not_in_off_mode(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest(
        """
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker("small")
                item.add_marker("large")
        """
    )
    pytester.makepyfile("def test_one(): pass")
    result = run_pytest("-m", "small")
    result.stdout.fnmatch_lines(["*test_one has two sizes: *"])
    assert "INTERNALERROR" not in result.stdout.str()
    run_pytest("--network-available=none").stdout.fnmatch_lines(["*test_one has two sizes: *"])
    run_pytest("-m", "large", mode="off").assert_outcomes(passed=1)
    run_pytest("-m", "small", mode="off").assert_outcomes(deselected=1)


def test_another_sessions_expression_is_left_alone(
    request: pytest.FixtureRequest, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile("import pytest\n@pytest.mark.small\ndef test_one(): pass\ndef test_two(): pass\n")
    from _pytest import mark

    before = mark.deselect_by_mark
    with _private.deselecting_by(request.config, lambda _item, _name: False):
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        inner = pytester.runpytest_inprocess("-m", "small", "-W", "ignore")
        inner.assert_outcomes(passed=1, deselected=1)
        assert mark.deselect_by_mark is not before
    assert mark.deselect_by_mark is before


def test_an_expression_that_selects_nothing_says_how_many_tests_have_no_size(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], workers: int
) -> None:
    pytester.makepyfile(
        "import pytest\ndef test_one(): pass\ndef test_two(): pass\n@pytest.mark.large\ndef test_l(): pass"
    )
    result = run_pytest("-m", "medium or small", workers=workers)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["test categories: tests without a size: 2 (-m 'medium or small' asks for sizes)"])
    assert "without a size: " not in run_pytest("-m", "large").stdout.str()


@pytest.mark.parametrize("hook", ["pytest_configure(config)", "pytest_cmdline_main(config)"])
def test_an_expression_that_a_conftest_sets_goes_by_sizes_too(
    project: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    hook: str,
) -> None:
    project.makeconftest(f"def {hook}:\n    config.option.markexpr = 'small'\n")
    assert set(outcomes(run_pytest("-v"))) == SMALL


def test_what_failed_last_is_selected_by_the_size_that_holds(
    project: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
) -> None:
    project.makeconftest("def pytest_runtest_call(item): assert item.name not in ('test_by_rule', 'test_default')\n")
    first = run_pytest("-v", "-p", "cacheprovider", mode="off")
    first.assert_outcomes(failed=2, passed=6)
    found = outcomes(run_pytest("-v", "-p", "cacheprovider", "--lf", "-m", "small", mode="off"))
    assert set(found) == {"test_by_rule"}


# -- what the environment has --------------------------------------------------------------------------------------

NEEDS: Final = """
import pytest

@pytest.fixture(scope="session", autouse=True)
def server():
    print("SERVER STARTS")

@pytest.mark.small
def test_small(): pass

@pytest.mark.medium
def test_medium(server): pass

@pytest.mark.large
def test_large(server): pass

@pytest.mark.xlarge
def test_xlarge(server): pass

def test_unsized(): pass

@pytest.mark.small
@pytest.mark.network_allow("127.0.0.1:8126", "unix:/run/some.sock")
def test_small_local(): pass

@pytest.mark.medium
@pytest.mark.network_allow("localhost:1")
@pytest.mark.network_allow("postgres:5432")
def test_medium_service(): pass

@pytest.mark.small
class TestAllows:
    network_allow = ("10.0.0.0/8",)
    def test_service(self): pass
"""
LARGER: Final = {"test_large", "test_xlarge", "test_medium_service", "TestAllows::test_service"}
SKIPPED: Final = {"all": set(), "machine": LARGER, "none": LARGER | {"test_medium", "test_small_local"}}


@pytest.mark.parametrize("available", list(SKIPPED))
@pytest.mark.parametrize("mode", ["strict", None])
def test_tests_are_skipped_that_need_more_network_than_the_environment_has(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    available: str,
    mode: str | None,
    workers: int,
) -> None:
    pytester.makepyfile(NEEDS)
    result = run_pytest("-v", "--strict-markers", f"--network-available={available}", mode=mode, workers=workers)
    found = outcomes(result)
    assert {name for name, words in found.items() if words == {"SKIPPED"}} == SKIPPED[available]
    assert {name for name, words in found.items() if words == {"PASSED"}} == set(found) - SKIPPED[available]
    assert len(found) == 8


LISTS: Final = """
import pytest

@pytest.mark.large
@pytest.mark.network_only("localhost:5432", "unix:/run/x")
def test_large_local(): pass

@pytest.mark.large
@pytest.mark.network_only("localhost:5432", "staging.example.com:443")
def test_large_staging(): pass

@pytest.mark.network_only("127.0.0.1:1")
class TestListed:
    @pytest.mark.network_only("127.0.0.1:1", "staging.example.com")
    def test_unsized_local(self): pass

@pytest.mark.network_only("staging.example.com")
def test_unsized_staging(): pass

@pytest.mark.small
@pytest.mark.network_only("staging.example.com")
def test_small(): pass

@pytest.mark.allow_hosts(["10.0.0.1"])
def test_hosts(): pass

@pytest.mark.allow_hosts(["127.0.0.1"])
def test_local_hosts(): pass
"""
STAGING: Final = {"test_large_staging", "test_unsized_staging", "test_hosts"}


@pytest.mark.parametrize(
    ("available", "skipped"),
    [
        ("machine", STAGING),
        ("none", STAGING | {"test_large_local", "TestListed::test_unsized_local", "test_local_hosts"}),
    ],
)
@pytest.mark.parametrize("mode", ["strict", "off"])
def test_lists_of_all_that_a_test_may_reach_say_what_it_needs(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    available: str,
    skipped: set[str],
    mode: str,
) -> None:
    pytester.makeini("[pytest]\nmarkers = allow_hosts\ntest_categories_marker_sizes = allow_hosts = small\n")
    pytester.makepyfile(LISTS)
    result = run_pytest("-v", "-rs", f"--network-available={available}", mode=mode)
    found = outcomes(result)
    assert {name for name, words in found.items() if words == {"SKIPPED"}} == skipped
    assert len(found) == 7
    result.stdout.fnmatch_lines(["SKIPPED *: the test needs staging.example.com: --network-available=*"])
    assert "without a size" not in result.stdout.str()


def test_a_skipped_test_says_why_and_where_and_sets_nothing_up(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    file = pytester.makepyfile(NEEDS)
    result = run_pytest("-rs", "-s", "-k", "not small and not unsized", "--network-available=none", mode=None)
    assert "SERVER STARTS" not in result.stdout.str()
    for reason in (
        "medium tests need this machine's network: --network-available=none",
        "large tests need remote hosts: --network-available=none",
        "xlarge tests need remote hosts: --network-available=none",
    ):
        result.stdout.fnmatch_lines([f"SKIPPED * {file.name}*: {reason}"])
    result = run_pytest("-rs", "-o", "test_categories_network_available=machine")
    result.stdout.fnmatch_lines(
        [f"SKIPPED * {file.name}:*: the test needs postgres:5432: test_categories_network_available = machine"]
    )


@pytest.mark.parametrize("mode", ["strict", "off"])
def test_the_run_says_once_how_many_tests_it_knows_nothing_of(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], mode: str, workers: int
) -> None:
    pytester.makepyfile(NEEDS)
    result = run_pytest("--network-available=none", mode=mode, workers=workers)
    line = "test categories: tests without a size, which run: 1 (--network-available=none)"
    assert result.outlines.count(line) == 1
    result = run_pytest("-k", "large", "--network-available=none", mode=mode, workers=workers)
    assert "which run" not in result.stdout.str()


def test_markers_that_come_late_and_wrong_entries_are_no_error_in_off_mode(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.hookimpl(trylast=True)
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker("large")
        """
    )
    pytester.makepyfile("import pytest\n@pytest.mark.network_allow('1.2.3.999')\ndef test_one(): pass")
    run_pytest("-m", "not small", "--network-available=machine", mode="off").assert_outcomes(skipped=1)
    run_pytest("--network-available=all", mode="off").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("entry", "local"),
    [
        ("127.0.0.1:8126", True),
        ("small: [::1]:80", True),
        ("127.0.0.0/8", True),
        ("0.0.0.0", True),
        ("localhost", True),
        ("*.localhost:80", True),
        ("unix:/var/run/docker.sock", True),
        ("10.0.0.0/8", False),
        ("0.0.0.0/0", False),
        ("[::]/0", False),
        ("postgres:5432", False),
        ("*.example.com", False),
        ("127.evil.example", False),
    ],
)
def test_an_entry_leads_to_this_machine_by_its_text_alone(entry: str, *, local: bool) -> None:
    assert _selected._is_local(parse_allow_entry(entry)) is local
