"""pytest's private names: one file reads them, and each test here says what a new pytest has taken away."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories.pytest_plugin import _private

if TYPE_CHECKING:
    from collections.abc import Callable

HERE: Final = Path(_private.__file__)
PRIVATE: Final = re.compile(
    r"\b(_arg2fixturedefs|_autouse|_excinfo|_fixtureinfo|_fixturemanager|_multicall|_pyfuncitem|_setupstate|"
    r"cached_result|callspec|funcargs|initialnames|name2fixturedefs|_pytest\.raises)\b|import _pytest|from _pytest"
)


def test_no_other_file_of_the_plugin_reads_private_names() -> None:
    found = {
        path.name: PRIVATE.findall(path.read_text(encoding="utf-8"))
        for path in HERE.parent.glob("*.py")
        if path != HERE
    }
    assert {name: names for name, names in found.items() if names} == {}
    assert PRIVATE.search(HERE.read_text(encoding="utf-8"))


@pytest.fixture
def asked() -> int:
    return 1


@pytest.fixture(autouse=True)
def always() -> None:
    return


@pytest.fixture(scope="module", params=["a", "b"])
def broad(request: pytest.FixtureRequest) -> pytest.Item:
    return _private.item_of(request)


def test_the_fixtures_of_a_test_are_known_with_their_names(request: pytest.FixtureRequest, asked: int) -> None:
    found = _private.fixtures_of(request.node)
    assert [one.argname for one in found["asked"]] == ["asked"]
    assert "always" in found
    initial, arguments = _private.names_of(request.node)
    assert {"always", "asked"} <= set(initial)
    assert "asked" in arguments
    assert "always" not in arguments


def test_a_fixture_knows_whether_every_test_gets_it(request: pytest.FixtureRequest, asked: int) -> None:
    found = _private.fixtures_of(request.node)
    assert _private.is_autouse(found["always"][-1])
    assert not _private.is_autouse(found["asked"][-1])


def test_it_is_known_whether_any_file_defines_a_fixture(request: pytest.FixtureRequest) -> None:
    assert _private.is_defined(request.session, "tmp_path")
    assert _private.is_defined(request.session, "broad")
    assert not _private.is_defined(request.session, "no_such_fixture")


def test_the_projects_own_fixtures_are_found_and_no_plugins(request: pytest.FixtureRequest) -> None:
    names = {definition.argname for definition in _private.own_definitions(request.session)}
    assert {"broad", "always"} <= names
    assert "tmp_path" not in names


def test_values_of_a_fixture_can_be_put_among_a_tests_own(request: pytest.FixtureRequest) -> None:
    values = _private.values_to_fill(request.node, "always")
    assert values is not None
    assert "always" in values
    assert _private.values_to_fill(request.node, "no_such_fixture") is None


def test_a_broad_fixture_knows_the_test_that_it_is_set_up_for(
    request: pytest.FixtureRequest, broad: pytest.Item
) -> None:
    assert broad is request.node


@pytest.mark.parametrize("index", [pytest.param(0, marks=pytest.mark.filterwarnings("default")), 1])
def test_a_parameter_set_has_its_markers_and_its_index(request: pytest.FixtureRequest, index: int) -> None:
    assert [mark.name for mark in _private.parameter_marks(request.node)] == ["filterwarnings"][index:]
    indices = _private.parameter_indices(request.node)
    assert indices is not None
    assert indices["index"] == index


def test_an_error_that_a_fixture_keeps_is_told_to_every_test(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest(
        """
        import pytest
        from pytest_test_categories.pytest_plugin import _private

        @pytest.hookimpl(wrapper=True)
        def pytest_fixture_setup(fixturedef):
            try:
                return (yield)
            finally:
                if fixturedef.argname == "broken":
                    _private.keep_error(fixturedef, ValueError("kept"))
        """
    )
    pytester.makepyfile(
        """
        import pytest
        @pytest.fixture(scope="module")
        def broken(): return 1
        def test_one(broken): pass
        def test_two(broken): pass
        """
    )
    result = run_pytest()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ValueError: kept*"])


def test_errors_that_unittest_has_reported_are_known(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest(
        """
        import pytest
        from pytest_test_categories.pytest_plugin import _private

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_runtest_call(item):
            yield
            print("told", *map(str, _private.caught_by_unittest(item)))
        """
    )
    pytester.makepyfile(
        """
        import unittest
        class TestIt(unittest.TestCase):
            def test_one(self): raise ValueError("mine")
        """
    )
    run_pytest("-s").stdout.fnmatch_lines(["*told mine"])


def test_a_hooks_frame_says_which_hook_it_calls(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest(
        """
        import sys
        from pytest_test_categories.pytest_plugin import _private

        def pytest_runtest_logstart():
            frame = sys._getframe().f_back
            print("called by", frame.f_code.co_name == _private.CALLS_HOOKS, _private.hook_of(frame))
        """
    )
    pytester.makepyfile("def test_one(): pass")
    run_pytest("-s").stdout.fnmatch_lines(["*called by True pytest_runtest_logstart*"])


def test_items_of_another_kind_have_none_of_it() -> None:
    item: Any = object()
    assert not _private.fixtures_of(item)
    assert _private.names_of(item) == ((), ())
    assert not _private.is_autouse(item)
    assert _private.is_defined(item, "tmp_path")  # nothing is called unknown where nobody knows
    assert _private.values_to_fill(item, "always") is None
    assert not _private.parameter_marks(item)
    assert _private.parameter_indices(item) is None
    assert _private.caught_by_unittest(item) == []


def test_without_pytests_own_function_names_in_an_expression_stay_markers(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from _pytest import mark

    monkeypatch.delattr(mark, "deselect_by_mark")
    with _private.deselecting_by(request.config, lambda _item, _name: True):
        assert not hasattr(mark, "deselect_by_mark")


def test_a_later_patch_of_deselection_is_left_in_place(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from _pytest import mark

    monkeypatch.setattr(mark, "deselect_by_mark", mark.deselect_by_mark)  # puts pytest's own back

    def theirs(items: list[pytest.Item], config: pytest.Config) -> None:
        """Stand in for another plugin's."""

    with _private.deselecting_by(request.config, lambda _item, _name: True):
        mark.deselect_by_mark = theirs
    assert mark.deselect_by_mark is theirs


def test_a_table_is_read_where_pytest_keeps_one(request: pytest.FixtureRequest) -> None:
    assert _private.toml_value(request.config, "no such key") is None
