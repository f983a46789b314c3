"""A project with settings of 1.x: one clear line for each, and none of them is a riddle."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from pytest_test_categories.pytest_plugin import _from_1x, _options

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]

TEST: Final = "import pytest\n@pytest.mark.small\ndef test(): pass"
ROWS: Final = [pytest.param(row, id="=".join(filter(None, row[:2]))) for row in _from_1x.TABLE]
MODES: Final = [pytest.param("strict", id="strict"), pytest.param(None, id="off")]


def _give(pytester: pytest.Pytester, row: _from_1x.Row) -> list[str]:
    """Give a run what a row is for: in the ini file, or as an argument."""
    value = row.value or {"_target": "80.0", "tolerance": "5.0", "enforcement": "warn"}.get(
        next((end for end in ("_target", "tolerance", "enforcement") if row.name.replace("-", "_").endswith(end)), ""),
        "out.json" if row.name.endswith(("file", "output")) else "",
    )
    if row.name.startswith("--"):
        return [f"{row.name}={value}" if value else row.name]
    pytester.makeini(f"[pytest]\n{row.name} = {value}")
    return []


def test_the_table_has_what_the_plugin_registers() -> None:
    assert {row.name for row in _from_1x.TABLE} == {
        *_options._FROM_1X_INI,
        *_options._FROM_1X_VALUED,
        *_options._FROM_1X_BARE,
    }


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", ROWS)
def test_a_setting_of_1x_is_told_in_one_line(
    pytester: pytest.Pytester, run_pytest: Run, row: _from_1x.Row, mode: str | None
) -> None:
    pytester.makepyfile(TEST)
    result = run_pytest("--strict-config", "-Werror", *_give(pytester, row), mode=mode)
    said = [line for line in (*result.outlines, *result.errlines) if row.name in line]
    if row.fate == _from_1x.REFUSED:
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        given = f"{row.name}={row.value}" if row.value else row.name
        assert said == [f"ERROR: {given} is a setting of version 1: {row.line}"]
    else:
        assert result.ret == pytest.ExitCode.OK
        assert said == [f"{row.name} is ignored: {row.line}"]
        assert f"coming from version 1: {_from_1x.PAGE}" in result.outlines


def test_all_that_is_refused_is_told_at_once(pytester: pytest.Pytester, run_pytest: Run, workers: int) -> None:
    pytester.makepyfile(TEST)
    result = run_pytest("--test-size-report=json", "--test-size-report-file=a.json", workers=workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    errors = [line for line in result.errlines if line.startswith("ERROR: --test-size-report")]
    assert len(errors) == 2


def test_what_is_ignored_is_told_once_under_workers(pytester: pytest.Pytester, run_pytest: Run, workers: int) -> None:
    pytester.makepyfile(TEST)
    pytester.makeini("[pytest]\ntest_categories_tolerance = 5.0\ntest_categories_small_target = 80")
    result = run_pytest(workers=workers)
    assert [line.split()[0] for line in result.outlines if " is ignored: " in line] == [
        "test_categories_small_target",
        "test_categories_tolerance",
    ]


def test_the_command_line_beats_the_file(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile(TEST)
    pytester.makeini("[pytest]\ntest_categories_distribution_enforcement = strict")
    result = run_pytest("--test-categories-distribution-enforcement=off")
    assert result.ret == pytest.ExitCode.OK
    assert [line.split()[0] for line in result.outlines if " is ignored: " in line] == [
        "--test-categories-distribution-enforcement"
    ]


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest 9 has the native table")
def test_a_number_in_a_native_table_is_ignored_too(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile(TEST)
    pytester.makepyprojecttoml("[tool.pytest]\ntest_categories_small_target = 80.0")
    result = run_pytest()
    assert result.ret == pytest.ExitCode.OK
    assert any(line.startswith("test_categories_small_target is ignored") for line in result.outlines)


@pytest.mark.parametrize("name", _from_1x.MARKER_ARGUMENTS)
def test_an_argument_of_a_size_marker_of_1x_is_told_what_to_do(
    pytester: pytest.Pytester, run_pytest: Run, name: str
) -> None:
    pytester.makepyfile(f"import pytest\n@pytest.mark.small({name}=1)\ndef test(): pass")
    result = run_pytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    line = f"@pytest.mark.small takes no arguments; {name}: {_from_1x.MARKER_ARGUMENTS[name]}"
    assert any(said.endswith(line) for said in result.outlines)


def test_a_class_that_is_no_test_case_has_the_size_of_its_base_as_in_1x(
    pytester: pytest.Pytester, run_pytest: Run
) -> None:
    pytester.makepyfile(
        """
        import socket, pytest
        from pytest_test_categories import SmallTest, MediumTest, NetworkAccessViolationError

        class TestUsers(SmallTest):
            def test_is_small(self):
                with pytest.raises(NetworkAccessViolationError):
                    socket.create_connection(("127.0.0.1", 9))

        class TestStore(MediumTest):
            def test_is_medium(self):
                with socket.create_server(("127.0.0.1", 0)) as server:
                    socket.create_connection(server.getsockname()).close()
        """
    )
    result = run_pytest()
    assert result.parseoutcomes() == {"passed": 2}
    assert "sizes: 1 small, 1 medium" in result.outlines


def test_a_project_without_such_settings_does_not_import_the_table(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)
    code = (
        "import sys, pytest; "
        "pytest.main(['-q', '-p', 'pytest_test_categories.pytest_plugin', '-p', 'no:cacheprovider']); "
        "print([name for name in sys.modules if name.endswith('_from_1x')])"
    )
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "1 passed" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_options_are_told_by_the_names_they_were_given_by(pytester: pytest.Pytester, run_pytest: Run) -> None:
    """Also where a value is an argument of its own, and where two of them are given."""
    pytester.makepyfile(TEST)
    result = run_pytest("--test-categories-small-target", "80", "--test-categories-tolerance=5", "-Werror")
    assert result.ret == pytest.ExitCode.OK
    assert [line.split()[0] for line in result.outlines if " is ignored: " in line] == [
        "--test-categories-small-target",
        "--test-categories-tolerance",
    ]
