"""Rule 12: bad configuration stops the run; two sizes in one place are a collection error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = "small, medium, large, xlarge"
MODES = "strict, warn, off"

BAD_INI = [
    pytest.param(
        "test_categories_enforcement = strickt",
        f"'strickt' is not an enforcement mode; choose one of {MODES}",
        id="mode",
    ),
    pytest.param(
        "test_categories_default_size = tiny", f"'tiny' is not a test size; choose one of {SIZES}", id="default size"
    ),
    pytest.param(
        "test_categories_marker_sizes = unit = tiny",
        f"'tiny' is not a test size; choose one of {SIZES}",
        id="marker size",
    ),
    pytest.param(
        "test_categories_marker_sizes = unit",
        "'unit' is not a rule; write NAME = SIZE, such as 'unit = small'",
        id="marker rule",
    ),
    pytest.param(
        "test_categories_path_sizes = tests/unit = tiny",
        f"'tiny' is not a test size; choose one of {SIZES}",
        id="path size",
    ),
    pytest.param("test_categories_path_sizes = = small", "is not a rule; write NAME = SIZE", id="path rule"),
    pytest.param(
        "test_categories_fixture_sizes = db = tiny",
        f"'tiny' is not a test size; choose one of {SIZES}",
        id="fixture size",
    ),
    pytest.param(
        "test_categories_fixture_sizes = db: small", "'db: small' is not a rule; write NAME = SIZE", id="fixture rule"
    ),
    pytest.param("test_categories_network_allow = postgres:port", "postgres:port", id="allow entry"),
    pytest.param("test_categories_network_allow = 10.0.0.256", "10.0.0.256 looks like an IPv4", id="no address"),
    pytest.param("test_categories_network_allow = small: 300.1.1.1:5432", "300.1.1.1 looks", id="no address, port"),
    pytest.param("test_categories_marker_sizes = large = small", "'large = small' can't be", id="marker of a size"),
]
BAD_OPTIONS = [
    pytest.param(
        "--test-categories-enforcement=strickt",
        f"'strickt' is not an enforcement mode; choose one of {MODES}",
        id="mode",
    ),
    pytest.param(
        "--test-categories-default-size=tiny", f"'tiny' is not a test size; choose one of {SIZES}", id="default size"
    ),
    pytest.param("--network-allow=10.0.0.0/99", "10.0.0.0/99", id="allow entry"),
    pytest.param("--network-allow=1.2.3.4.5", "1.2.3.4.5 looks like an IPv4 address", id="no address"),
]
NULS = [
    pytest.param("test_categories_network_baseline = a\0b.json", "test_categories_network_baseline", id="baseline"),
    pytest.param("test_categories_path_sizes = tests/a\0b = small", "test_categories_path_sizes", id="path rule"),
    pytest.param("test_categories_marker_sizes = a\0b = small", "test_categories_marker_sizes", id="marker"),
    pytest.param("test_categories_fixture_sizes = a\0b = small", "test_categories_fixture_sizes", id="fixture"),
    pytest.param("test_categories_network_allow = unix:/a\0b", "test_categories_network_allow", id="unix socket"),
    pytest.param("test_categories_enforcement = warn\0", "test_categories_enforcement", id="mode"),
    pytest.param("addopts = --network-report=a\0b.json", "--network-report", id="report"),
]


def _check(result: pytest.RunResult, setting: str, message: str) -> None:
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = [line for line in (*result.errlines, *result.outlines) if line.strip()]
    errors = [line for line in said if line.startswith("ERROR: ")]
    assert len(errors) == 1
    assert errors[0].startswith(f"ERROR: {setting}: ")
    assert message in errors[0]
    assert not [line for line in said if "Traceback" in line or "INTERNALERROR" in line]


@pytest.mark.parametrize(("line", "message"), BAD_INI)
@pytest.mark.parametrize("file", ["pytest.ini", "pyproject.toml"] if pytest.version_tuple >= (9, 0) else ["pytest.ini"])
def test_a_bad_ini_value_is_a_usage_error_of_one_line(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], line: str, message: str, file: str
) -> None:
    key, _, value = line.partition(" = ")
    if file == "pytest.ini":
        pytester.makeini(f"[pytest]\n{line}\n")
        workers = 0
    else:
        # pytest 9's native table, and under xdist: two things at once, to keep the number of runs down.
        written = f'"{value}"' if key.endswith(("enforcement", "default_size")) else f'["{value}"]'
        pytester.makepyprojecttoml(f"[tool.pytest]\n{key} = {written}\n")
        workers = 2
    pytester.makepyfile("def test_nothing(): pass")
    _check(run_pytest(mode=None, workers=workers), key, message)


@pytest.mark.parametrize(("line", "setting"), NULS)
def test_a_nul_in_a_name_is_a_usage_error_of_one_line(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], line: str, setting: str
) -> None:
    pytester.makeini(f"[pytest]\n{line}\n")
    pytester.makepyfile("def test_nothing(): pass")
    _check(run_pytest(mode=None if "enforcement" in line else "strict"), setting, "\\x00")


@pytest.mark.parametrize(
    ("key", "rules"),
    [
        ("marker_sizes", ("unit = small", "unit = medium")),
        ("path_sizes", ("tests/unit = small", "./tests/unit/ = medium")),
        ("fixture_sizes", ("db = medium", "db = large")),
    ],
)
def test_rules_that_contradict_each_other_are_a_usage_error_and_one_said_twice_is_none(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], key: str, rules: tuple[str, str]
) -> None:
    key = f"test_categories_{key}"
    pytester.makepyfile("def test_nothing(): pass")
    pytester.makeini("\n    ".join([f"[pytest]\n{key} =", *rules]))
    _check(run_pytest(), key, "choose another name, or one size")
    pytester.makeini("\n    ".join([f"[pytest]\n{key} =", rules[0], rules[0]]))
    run_pytest().assert_outcomes(passed=1)


def test_a_size_may_be_given_to_its_own_marker(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeini("[pytest]\ntest_categories_marker_sizes = large = large\n")
    pytester.makepyfile("def test_nothing(): pass")
    run_pytest().assert_outcomes(passed=1)


@pytest.mark.parametrize(("option", "message"), BAD_OPTIONS)
def test_a_bad_option_is_a_usage_error_of_one_line(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], option: str, message: str, workers: int
) -> None:
    pytester.makepyfile("def test_nothing(): pass")
    _check(run_pytest(option, mode=None, workers=workers), option.partition("=")[0], message)


def test_the_command_line_beats_the_ini_file(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeini("[pytest]\ntest_categories_enforcement = strict\ntest_categories_default_size = small\n")
    pytester.makepyfile(
        """
        import socket
        def test_dials():
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
        """
    )
    run_pytest(mode=None).assert_outcomes(failed=1)
    run_pytest("--test-categories-default-size=medium", mode=None).assert_outcomes(passed=1)
    run_pytest(mode="off").assert_outcomes(passed=1)
    result = run_pytest(mode="warn")
    result.assert_outcomes(passed=1, warnings=1)


@pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="pytest has its own TOML table from 9 on")
def test_every_setting_works_in_the_native_toml_table(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    workers: int,
) -> None:
    pytester.makepyprojecttoml(
        """
        [tool.pytest]
        test_categories_enforcement = "strict"
        test_categories_default_size = "small"
        test_categories_marker_sizes = ["local = medium"]
        test_categories_path_sizes = ["here = medium"]
        test_categories_fixture_sizes = ["server = medium"]
        test_categories_network_allow = ["small: 127.0.0.2:9"]
        test_categories_network_baseline = "network-baseline.json"
        markers = ["local: on this machine"]
        """
    )
    bind = """
import contextlib, socket, pytest
from pytest_test_categories import network_guard

def bind():
    with socket.socket() as s: s.bind(("127.0.0.1", 0))

@pytest.fixture(scope="module")
def server(): bind()
"""
    pytester.makepyfile(
        test_there=bind
        + """
def test_default(): bind()
@pytest.mark.local
def test_marker(): bind()
def test_fixture(server): pass
def test_allowed():
    with contextlib.suppress(OSError), socket.socket() as s: s.connect(("127.0.0.2", 9))
""",
        **{"here/test_here": bind + "\ndef test_path(): bind()\n"},
    )
    (pytester.path / "network-baseline.json").write_text('{"version": 1, "violations": []}', encoding="utf-8")
    result = run_pytest("-v", "--strict-config", "--strict-markers", mode=None, workers=workers)
    assert outcomes(result) == {
        "test_default": {"FAILED"},
        "test_marker": {"PASSED"},
        "test_fixture": {"PASSED"},
        "test_allowed": {"PASSED"},
        "test_path": {"PASSED"},
    }


@pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="pytest has its own TOML table from 9 on")
@pytest.mark.parametrize("inline", [False, True], ids=["table", "inline table"])
def test_rules_may_stand_in_toml_tables(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], workers: int, *, inline: bool
) -> None:
    tables = {
        "marker_sizes": {"local": "medium"},
        "path_sizes": {"here/it=1": "large", "here": "xlarge"},
        "fixture_sizes": {"server": "medium"},
    }
    lines = ["[tool.pytest]", 'test_categories_enforcement = "strict"', 'markers = ["local"]']
    for name, rules in tables.items():
        pairs = [f'"{key}" = "{size}"' for key, size in rules.items()]
        table = f"test_categories_{name}"
        lines += [f"{table} = {{ {', '.join(pairs)} }}"] if inline else [f"[tool.pytest.{table}]", *pairs]
    pytester.makepyprojecttoml("\n".join(lines))
    pytester.makepyfile(
        test_there="import pytest\n@pytest.fixture\ndef server(): pass\n@pytest.mark.local\ndef test_one(): pass\n",
        **{"here/test_here": "def test_two(): pass\n", "here/it=1/test_it": "def test_three(): pass\n"},
    )
    result = run_pytest("--strict-config", mode=None, workers=workers)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["sizes: 1 medium, 1 large, 1 xlarge"])


BAD_TABLES = [
    pytest.param(
        'test_categories_path_sizes = { "tests/unit" = "tiny" }',
        f"test_categories_path_sizes: 'tiny' is not a test size; choose one of {SIZES}",
        id="no size",
    ),
    pytest.param(
        "test_categories_path_sizes = { tests = 1 }",
        f"test_categories_path_sizes: '1' is not a test size; choose one of {SIZES}",
        id="number",
    ),
    pytest.param(
        'test_categories_network_allow = { postgres = "5432" }', "test_categories_network_allow", id="no rules"
    ),
]


@pytest.mark.skipif(pytest.version_tuple < (9, 1), reason="before 9.1 pytest tells of a wrong type with a traceback")
@pytest.mark.parametrize(("line", "message"), BAD_TABLES)
def test_a_wrong_value_in_a_toml_table_is_a_usage_error(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], line: str, message: str
) -> None:
    pytester.makepyprojecttoml(f"[tool.pytest]\n{line}\n")
    result = run_pytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{message}*"])


CONFLICTS = [
    pytest.param(
        "@pytest.mark.small\n@pytest.mark.large\ndef test_one(): pass\n", "test_bad.py::test_one", id="function"
    ),
    pytest.param(
        "@pytest.mark.unit\n@pytest.mark.large\ndef test_one(): pass\n",
        "test_bad.py::test_one",
        id="marker that stands for a size",
    ),
    pytest.param(
        "@pytest.mark.small\n@pytest.mark.large\nclass TestIt:\n    def test_one(self): pass\n",
        "test_bad.py::TestIt",
        id="class",
    ),
    pytest.param(
        "@pytest.mark.small\n@pytest.mark.large\nclass TestIt(unittest.TestCase):\n    def test_one(self): pass\n",
        "test_bad.py::TestIt",
        id="unittest class",
    ),
    pytest.param(
        "class TestIt:\n    @pytest.mark.small\n    @pytest.mark.large\n    def test_one(self): pass\n",
        "test_bad.py::TestIt::test_one",
        id="method",
    ),
    pytest.param(
        "pytestmark = [pytest.mark.small, pytest.mark.large]\ndef test_one(): pass\n", "test_bad.py", id="module"
    ),
    pytest.param(
        "@pytest.mark.parametrize('n', [pytest.param(1, marks=[pytest.mark.small, pytest.mark.large])])\n"
        "def test_one(n): pass\n",
        "test_bad.py::test_one*",
        id="parameter set",
    ),
]


@pytest.mark.parametrize(("text", "node"), CONFLICTS)
def test_two_sizes_in_one_place_are_a_collection_error(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], text: str, node: str
) -> None:
    pytester.makeini("[pytest]\nmarkers = unit\ntest_categories_marker_sizes = unit = small\n")
    pytester.makepyfile(test_bad=f"import pytest, unittest\n{text}", test_good="def test_good(): pass")
    result = run_pytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    marks = "@pytest.mark.large, @pytest.mark.unit" if "mark.unit" in text else "@pytest.mark.large, @pytest.mark.small"
    result.stdout.fnmatch_lines([f"{node} has two sizes: {marks}. Keep one of them", "*ERROR test_bad.py*"])
    assert "Traceback" not in result.stdout.str()


def test_two_sizes_are_a_collection_error_under_xdist_too(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(test_bad="import pytest\n@pytest.mark.small\n@pytest.mark.large\ndef test_one(): pass\n")
    result = run_pytest(workers=2)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["test_bad.py::test_one has two sizes: *"])


MARKER_FAULTS = [
    pytest.param("@pytest.mark.small(allow=['a'])\ndef test_one(): pass\n", "small takes no arguments", id="function"),
    pytest.param(
        "@pytest.mark.large(3)\nclass TestIt:\n    def test_one(self): pass\n", "large takes no arguments", id="class"
    ),
    pytest.param("pytestmark = pytest.mark.medium(1)\ndef test_one(): pass\n", "medium takes no", id="module"),
    pytest.param(
        "@pytest.mark.parametrize('n', [pytest.param(1, marks=pytest.mark.xlarge(1))])\ndef test_one(n): pass\n",
        "xlarge takes no arguments",
        id="parameter set",
    ),
    pytest.param("@pytest.mark.network_allow\ndef test_one(): pass\n", "network_allow: it takes entries", id="empty"),
    pytest.param("@pytest.mark.network_allow('1.2.3.999')\ndef test_one(): pass\n", "1.2.3.999", id="no entry"),
    pytest.param("@pytest.mark.network_allow(a='b')\ndef test_one(): pass\n", "it takes entries", id="keyword"),
]


@pytest.mark.parametrize(("text", "message"), MARKER_FAULTS)
def test_rule_12_arguments_that_a_marker_does_not_take_are_a_collection_error_of_the_module(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], text: str, message: str
) -> None:
    pytester.makepyfile(test_bad=f"import pytest\n{text}", test_good="def test_good(): pass")
    result = run_pytest("--strict-markers")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([f"*{message}*", "ERROR test_bad.py*"])
    assert "INTERNALERROR" not in result.stdout.str()


def test_a_marker_that_stands_for_a_size_may_have_arguments(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeini("[pytest]\nmarkers = unit\ntest_categories_marker_sizes = unit = small\n")
    pytester.makepyfile("import pytest\n@pytest.mark.unit('why')\ndef test_one(): pass\n")
    result = run_pytest()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["sizes: 1 small"])


def test_one_size_twice_is_no_conflict(pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]) -> None:
    pytester.makeini("[pytest]\nmarkers = unit\ntest_categories_marker_sizes = unit = small\n")
    pytester.makepyfile(
        "import pytest\n@pytest.mark.small\n@pytest.mark.unit\n@pytest.mark.small\ndef test_one(): pass\n"
    )
    run_pytest().assert_outcomes(passed=1)


def test_two_sizes_by_a_conftest_hook_are_a_usage_error(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest(
        """
        import pytest
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.small)
                item.add_marker("large")
        """
    )
    pytester.makepyfile("def test_one(): pass")
    result = run_pytest()
    said = result.stdout.str() + result.stderr.str()
    assert "test_one has two sizes: @pytest.mark.large, @pytest.mark.small. Keep one of them" in said
    assert "INTERNALERROR" not in said
    assert result.ret in {pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED}


UNDEFINED = "no collected file, conftest or plugin defines it"

UNUSED = """
[pytest]
test_categories_enforcement = strict
test_categories_path_sizes =
    tests = medium
    tests/unit = small
    tests/unti = small
    tests/empty = small
    tests/unit/test_one.py = small
test_categories_fixture_sizes =
    docker = large
    dokcer = large
    tmp_path = small
    of_module = medium
"""


@pytest.fixture
def unused(pytester: pytest.Pytester) -> pytest.Pytester:
    """Write a project whose settings have rules that no test and no fixture answers to."""
    pytester.makeini(UNUSED)
    (pytester.path / "tests/empty").mkdir(parents=True)
    (pytester.path / "tests/unit").mkdir()
    (pytester.path / "tests/conftest.py").write_text("import pytest\n@pytest.fixture\ndef docker(): pass\n")
    (pytester.path / "tests/unit/test_one.py").write_text(
        "import pytest\n@pytest.fixture\ndef of_module(): pass\ndef test_one(): pass\ndef test_two(): pass\n"
    )
    return pytester


@pytest.mark.parametrize(
    "arguments", [(), (".",), ("-k", "one"), ("--deselect=tests/unit",), ("tests", "-o", "testpaths=tests")]
)
def test_rule_12_settings_that_found_nothing_in_the_whole_project_are_told_once(
    unused: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    workers: int,
    arguments: tuple[str, ...],
) -> None:
    lines = [line for line in summary(run_pytest(*arguments, workers=workers)) if line.startswith("test_categories_")]
    assert lines == [
        "test_categories_path_sizes: 'tests/empty = small' matched no test: no collected test is in it",
        "test_categories_path_sizes: 'tests/unti = small' matched no test: there is no such directory or file",
        f"test_categories_fixture_sizes: 'dokcer = large' names no fixture: {UNDEFINED}",
    ]


@pytest.mark.parametrize(
    "arguments", [("tests/unit",), ("tests/unit/test_one.py::test_one",), ("--ignore=tests/empty",)]
)
def test_of_settings_that_found_nothing_in_a_part_of_the_project_only_a_missing_directory_is_told(
    unused: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    summary: Callable[[pytest.RunResult], list[str]],
    workers: int,
    arguments: tuple[str, ...],
) -> None:
    lines = [line for line in summary(run_pytest(*arguments, workers=workers)) if line.startswith("test_categories_")]
    assert lines == [
        "test_categories_path_sizes: 'tests/unti = small' matched no test: there is no such directory or file"
    ]


def test_settings_that_found_nothing_are_not_told_where_a_module_could_not_be_collected(
    unused: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    (unused.path / "tests/test_broken.py").write_text("1 / 0")
    run_pytest("--continue-on-collection-errors").stdout.no_fnmatch_line("test_categories_*")
