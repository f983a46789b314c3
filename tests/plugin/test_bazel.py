"""Bazel's test contract, as a run meets it: its environment, and the files that Bazel reads afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from pytest_test_categories._rules.policy import TestSize
from pytest_test_categories.pytest_plugin import _bazel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., pytest.RunResult]
    Bazel = Callable[..., Path]

TESTS: Final = """
import socket

def serve():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()

def test_unmarked(): serve()
"""


@pytest.fixture
def bazel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bazel:
    """Give inner runs the environment of a test target, and return the directory that Bazel reads."""
    for name in _bazel.VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def start(**variables: str) -> Path:
        directory = tmp_path / "bazel"
        (directory / "outputs").mkdir(parents=True, exist_ok=True)
        given = {
            "BAZEL_TEST": "1",
            "TEST_TARGET": "//pkg:api_test",
            "TEST_UNDECLARED_OUTPUTS_DIR": str(directory / "outputs"),
            "TEST_WARNINGS_OUTPUT_FILE": str(directory / "warnings"),
            **variables,
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        return directory

    return start


@pytest.mark.parametrize(("size", "passes"), [("small", False), ("medium", True), ("large", True), ("enormous", True)])
def test_a_test_without_a_size_has_that_of_its_target(
    pytester: pytest.Pytester, run_pytest: Run, bazel: Bazel, workers: int, size: str, passes: bool
) -> None:
    bazel(TEST_SIZE=size)
    pytester.makepyfile(TESTS)
    result = run_pytest("--test-categories-default-size=small", workers=workers)
    result.assert_outcomes(**{"passed" if passes else "failed": 1})
    result.stdout.fnmatch_lines([f"sizes: 1 {'xlarge' if size == 'enormous' else size}"])


def test_a_marker_and_a_path_rule_take_precedence_over_the_target(
    pytester: pytest.Pytester, run_pytest: Run, bazel: Bazel
) -> None:
    bazel(TEST_SIZE="large")
    pytester.makepyfile(test_ruled=TESTS, test_marked="import pytest\npytestmark = pytest.mark.small\n" + TESTS)
    run_pytest("--test-categories-path-sizes=test_ruled.py=small").assert_outcomes(failed=2)


def test_a_variable_of_that_name_outside_of_bazel_means_nothing(
    pytester: pytest.Pytester, run_pytest: Run, bazel: Bazel, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = bazel(TEST_SIZE="huge")
    monkeypatch.delenv("BAZEL_TEST")
    pytester.makepyfile(TESTS)
    run_pytest("--network-report=report.json").assert_outcomes(passed=1)
    assert (pytester.path / "report.json").exists()
    assert list((directory / "outputs").iterdir()) == []


@pytest.mark.parametrize(
    ("marker", "attribute"),
    [
        pytest.param("medium", 'size = "medium"', id="medium"),
        pytest.param("xlarge", 'size = "enormous"', id="xlarge"),
    ],
)
def test_a_marker_larger_than_the_target_is_a_collection_error_that_names_the_attribute(
    pytester: pytest.Pytester, run_pytest: Run, bazel: Bazel, workers: int, marker: str, attribute: str
) -> None:
    bazel(TEST_SIZE="small")
    pytester.makepyfile(
        test_large=f"import pytest\n@pytest.mark.{marker}\ndef test_it(): pass\n", test_fine="def test_it(): pass\n"
    )
    why = f"and the Bazel target //pkg:api_test is small: set {attribute} in the target"
    result = run_pytest(workers=workers)
    assert result.ret in {pytest.ExitCode.INTERRUPTED, pytest.ExitCode.TESTS_FAILED}
    result.stdout.fnmatch_lines(
        [
            f"test_large.py::test_it is {marker} (@pytest.mark.{marker} on the test), {why}, or give the test a smaller size"
        ]
    )
    assert "test_fine.py" not in "".join(line for line in result.outlines if line.startswith("ERROR"))


def test_a_path_rule_larger_than_the_target_is_one_too(
    pytester: pytest.Pytester, run_pytest: Run, bazel: Bazel
) -> None:
    bazel(TEST_SIZE="medium", TEST_TARGET="")
    pytester.makepyfile(test_it=TESTS)
    result = run_pytest("--test-categories-path-sizes=.=large")
    result.stdout.fnmatch_lines(["*is large (the path rule . = large), and the Bazel target is medium: set size = *"])


def test_a_larger_test_that_the_target_leaves_out_is_none_of_its_business(
    pytester: pytest.Pytester, run_pytest: Run, bazel: Bazel
) -> None:
    bazel(TEST_SIZE="small")
    pytester.makepyfile(
        "import pytest\n@pytest.mark.large\ndef test_e2e(): pass\n@pytest.mark.small\ndef test_it(): pass\n"
    )
    run_pytest("-m", "small").assert_outcomes(passed=1, deselected=1)


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_an_unknown_size_is_one_line_and_exit_status_4(
    pytester: pytest.Pytester, run_pytest: Run, bazel: Bazel, arguments: tuple[str, ...]
) -> None:
    bazel(TEST_SIZE="huge")
    pytester.makepyfile(TESTS)
    result = run_pytest(*arguments, plugins=("xdist",))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line.strip()] == [
        "ERROR: TEST_SIZE: 'huge' is not the size of a Bazel test; choose one of small, medium, large, enormous"
    ]
    run_pytest(mode="off").assert_outcomes(passed=1)  # nothing is enforced


@pytest.mark.parametrize("setting", ["ini", "option"])
def test_the_contract_can_be_switched_off(
    pytester: pytest.Pytester, run_pytest: Run, bazel: Bazel, setting: str
) -> None:
    directory = bazel(TEST_SIZE="huge")
    pytester.makepyfile(TESTS)
    pytester.makeini("[pytest]\n" + ("test_categories_bazel = off\n" if setting == "ini" else ""))
    options = ["--test-categories-bazel=off"] if setting == "option" else []
    run_pytest("--network-report=report.json", *options).assert_outcomes(passed=1)
    assert (pytester.path / "report.json").exists()
    assert list((directory / "outputs").iterdir()) == []


def test_a_report_is_written_where_bazel_collects_it_and_names_the_shard(
    pytester: pytest.Pytester, run_pytest: Run, bazel: Bazel, workers: int, tmp_path: Path
) -> None:
    directory = bazel(TEST_SIZE="small", TEST_SHARD_INDEX="1", TEST_TOTAL_SHARDS="4")
    status = tmp_path / "status"
    pytester.makepyfile(TESTS)
    elsewhere = tmp_path / "absolute.json"
    run_pytest("--network-report=in/report.json", f"--network-report={elsewhere}", workers=workers)
    report = json.loads((directory / "outputs" / "in" / "report.json").read_text("utf-8"))
    assert report["why_incomplete"] == ["shard 2 of 4 of the Bazel target //pkg:api_test"]
    assert json.loads(elsewhere.read_text("utf-8"))["accesses"] == report["accesses"]
    assert not (pytester.path / "in").exists()
    assert not status.exists()  # only who selects a shard's tests may say that they are sharded


def test_warnings_are_written_where_bazel_collects_them_each_once(
    pytester: pytest.Pytester, run_pytest: Run, bazel: Bazel, workers: int
) -> None:
    directory = bazel(TEST_SIZE="small")
    pytester.makepyfile(
        """
        import socket, warnings

        def test_it():
            warnings.warn("not of the network")
            for _ in range(3):
                with socket.socket() as sock: sock.bind(("127.0.0.1", 0))
        """
    )
    run_pytest(mode="warn", workers=workers).assert_outcomes(passed=1, warnings=2)
    [line] = (directory / "warnings").read_text("utf-8").splitlines()
    assert line.startswith("test_warnings_are_written_where_bazel_collects_them_each_once.py::test_it: ")
    assert "127.0.0.1:0" in line


def test_a_warnings_file_that_cannot_be_written_fails_nothing(
    pytester: pytest.Pytester, run_pytest: Run, bazel: Bazel
) -> None:
    bazel(TEST_SIZE="small", TEST_WARNINGS_OUTPUT_FILE=str(pytester.path / "none" / "warnings"))
    pytester.makepyfile(TESTS)
    run_pytest(mode="warn").assert_outcomes(passed=1, warnings=2)


def test_a_run_inside_of_a_test_is_not_the_targets(
    pytester: pytest.Pytester, run_pytest: Run, bazel: Bazel, workers: int
) -> None:
    directory = bazel(TEST_SIZE="large")
    pytester.makeconftest("pytest_plugins = ['pytester']")
    pytester.makepyfile(
        """
        import pytest

        OPTIONS = ("-p", "pytest_test_categories.pytest_plugin", "-p", "no:cacheprovider", "--network-report=inner.json",
                   "--test-categories-enforcement=strict")

        @pytest.mark.parametrize("how", ["subprocess", "inprocess"])
        def test_inner(pytester, how):
            pytester.makepyfile("import socket\\ndef test_it():\\n    with socket.socket() as s: s.bind(('127.0.0.1', 0))")
            for _ in range(2):
                getattr(pytester, f"runpytest_{how}")(*OPTIONS).assert_outcomes(passed=1)
            assert (pytester.path / "inner.json").exists()
        """
    )
    run_pytest(workers=workers).assert_outcomes(passed=2)
    assert list((directory / "outputs").iterdir()) == []


def test_each_of_two_runs_of_one_process_is_the_targets(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, bazel: Bazel
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    bazel(TEST_SIZE="small")
    pytester.makepyfile(TESTS)
    for _ in range(2):
        result = pytester.runpytest_inprocess(
            *("-p", "pytest_test_categories.pytest_plugin", "-p", "no:cacheprovider"),
            "--test-categories-enforcement=strict",
        )
        result.assert_outcomes(failed=1)


def test_the_explanation_names_the_target_as_the_source(
    pytester: pytest.Pytester, run_pytest: Run, bazel: Bazel
) -> None:
    bazel(TEST_SIZE="enormous")
    pytester.makepyfile(TESTS)
    pytester.makeini("[pytest]\ntest_categories_default_size = small\n")
    result = run_pytest("--network-explain", "-v")
    result.stdout.fnmatch_lines(
        [
            "  size: xlarge, from TEST_SIZE of the Bazel target //pkg:api_test",
            "    not from the default size (small), which comes after it",
        ]
    )


def test_the_suggested_size_is_printed_as_a_command_for_the_target(
    pytester: pytest.Pytester, run_pytest: Run, bazel: Bazel, workers: int
) -> None:
    bazel(TEST_SIZE="small")
    pytester.makepyfile(TESTS)
    result = run_pytest("--network-suggest-sizes=buildozer", workers=workers)
    result.assert_outcomes(passed=1)
    assert (
        "buildozer 'set size medium' 'add tags block-network' 'remove tags requires-network' //pkg:api_test"
        in result.outlines
    )


def test_a_shard_does_not_make_its_target_smaller(pytester: pytest.Pytester, run_pytest: Run, bazel: Bazel) -> None:
    bazel(TEST_SIZE="large", TEST_SHARD_INDEX="0", TEST_TOTAL_SHARDS="2")
    pytester.makepyfile(TESTS)
    result = run_pytest("--network-suggest-sizes=buildozer")
    assert "# //pkg:api_test: at least medium; not all of it was observed: shard 1 of 2" in result.outlines


def test_the_runner_of_pytest_bazel_and_its_shards(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, bazel: Bazel, tmp_path: Path
) -> None:
    """``pytest_bazel.main()`` stands where Bazel's own test would be: each shard is a process with other variables."""
    pytest.importorskip("pytest_bazel")
    pytest.importorskip("pytest_shard")
    pytester.makepyfile(
        "import socket, pytest\n@pytest.mark.parametrize('n', range(8))\n"
        "def test_it(n):\n    with socket.socket() as sock: sock.bind(('127.0.0.1', 0))\n"
    )
    options = ("-p", "pytest_test_categories.pytest_plugin", "-p", "pytest_shard.pytest_shard")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--test-categories-enforcement=warn --network-report=report.json")
    seen: list[str] = []
    for shard in range(2):
        directory = bazel(
            TEST_SIZE="small",
            TEST_SHARD_INDEX=str(shard),
            TEST_TOTAL_SHARDS="2",
            TEST_SHARD_STATUS_FILE=str(tmp_path / "status"),
            TEST_TMPDIR=str(tmp_path),
            XML_OUTPUT_FILE=str(tmp_path / "test.xml"),
        )
        result = pytester.runpython_c(f"import pytest_bazel; pytest_bazel.main({list(options)})")
        assert result.ret == 0
        report = json.loads((directory / "outputs" / "report.json").read_text("utf-8"))
        assert f"shard {shard + 1} of 2 of the Bazel target //pkg:api_test" in report["why_incomplete"]
        assert {access["verdict"] for access in report["accesses"]} == {"warned"}
        seen += [test["id"] for test in report["tests"]]
        assert "127.0.0.1:0" in (directory / "warnings").read_text("utf-8")
    assert len(seen) == len(set(seen)) == 8


@pytest.mark.parametrize(
    ("variables", "target"),
    [
        pytest.param({}, _bazel.Target(), id="nothing"),
        pytest.param({"TEST_SIZE": "enormous"}, _bazel.Target(size=TestSize.XLARGE), id="size"),
        pytest.param({"TEST_SHARD_INDEX": "0", "TEST_TOTAL_SHARDS": "1"}, _bazel.Target(), id="one shard is the whole"),
        pytest.param({"TEST_SHARD_INDEX": "x", "TEST_TOTAL_SHARDS": "3"}, _bazel.Target(), id="no number"),
        pytest.param({"TEST_SHARD_INDEX": "2", "TEST_TOTAL_SHARDS": "3"}, _bazel.Target(shard=2, shards=3), id="shard"),
    ],
)
def test_what_the_environment_says(variables: dict[str, str], target: _bazel.Target) -> None:
    assert _bazel.read(variables) == target
