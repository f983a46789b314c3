"""Gates: a run that has more of something than the project permits fails, and says by how much and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., pytest.RunResult]

HEAD: Final = """
import contextlib, socket
import pytest

def dial(host):
    with contextlib.suppress(OSError), socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # from there the system sends nothing to another machine
        sock.connect((host, 9))
"""
OLD: Final = """
@pytest.mark.large
def test_old(): dial("198.51.100.1")
"""
NEW: Final = """
@pytest.mark.large
def test_new(): dial("198.51.100.2"); dial("127.0.0.1")
"""
UNSIZED: Final = """
def test_unsized(): pass
"""


@pytest.fixture(autouse=True)
def no_stale_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")


@pytest.fixture
def gated(pytester: pytest.Pytester) -> Callable[..., Path]:
    """Write a project with gates and tests."""

    def write(gates: str, *tests: str) -> Path:
        lines = "".join(f"\n    {gate}" for gate in gates.split(", "))
        pytester.makeini(f"[pytest]\ntest_categories_gates ={lines}\n")
        (pytester.path / "test_it.py").write_text(HEAD + "".join(tests), encoding="utf-8")
        return pytester.path

    return write


def test_a_gate_that_is_exceeded_fails_a_run_that_passes(
    gated: Callable[..., Path], run_pytest: Run, workers: int
) -> None:
    gated("unsized = 0, tests <= 5", OLD, UNSIZED)
    result = run_pytest(workers=workers)
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "gate 'unsized = 0' is exceeded by 1: 1 test without a size (test_it.py::test_unsized); give them a size*",
        ]
    )
    assert "tests <= 5" not in result.stdout.str()
    assert run_pytest("--test-categories-gates=unsized = 1", workers=workers).ret == 0


def test_a_kept_gate_says_nothing_but_that_it_can_be_lowered(gated: Callable[..., Path], run_pytest: Run) -> None:
    gated("unsized = 3, hosts <= 5", OLD, UNSIZED)
    result = run_pytest()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["gate 'unsized = 3' can be lowered to 1"])
    assert "gate 'hosts" not in result.stdout.str()
    assert "gate '" not in run_pytest("-k", "unsized").stdout.str()  # a part says nothing about the whole


def test_a_host_that_the_main_branch_does_not_reach_is_new(
    gated: Callable[..., Path], run_pytest: Run, workers: int
) -> None:
    gated("new hosts = 0", OLD)
    run_pytest("--network-report=main.json", workers=workers)
    gated("new hosts = 0", OLD, NEW)
    result = run_pytest("--network-since=main.json", workers=workers)
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "gate 'new hosts = 0' is exceeded by 1: this change adds 198.51.100.2 (test_it.py::test_new); fake it in*",
        ]
    )
    gated("new hosts = 0", NEW.replace("198.51.100.2", "198.51.100.1"))
    result = run_pytest("--network-since=main.json", workers=workers)
    assert result.ret == 0
    assert "gate '" not in result.stdout.str()


def test_new_hosts_that_nothing_can_be_compared_with_are_said_not_to_be_checked(
    gated: Callable[..., Path], run_pytest: Run
) -> None:
    gated("new hosts = 0", NEW)
    result = run_pytest()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["gate 'new hosts = 0' was not checked: *add --network-since=FILE*"])


def test_without_a_report_new_hosts_compares_violations_with_the_baseline(
    gated: Callable[..., Path], run_pytest: Run
) -> None:
    small = OLD.replace("large", "small")
    gated("new hosts = 0", small)
    update = run_pytest("--network-baseline=known.json", "--network-baseline-update")
    assert (update.ret, "gate '" in update.stdout.str()) == (0, False)
    result = run_pytest("--network-baseline=known.json")
    assert (result.ret, "gate '" in result.stdout.str()) == (0, False)
    gated("new hosts = 0", small, NEW, NEW.replace("large", "small").replace("_new", "_small"))
    result = run_pytest("--network-baseline=known.json", mode="warn")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["gate 'new hosts = 0' is exceeded by 1: this change adds 198.51.100.2 (*::test_small)*"]
    )


def test_an_unwatched_program_exceeds_its_gate(gated: Callable[..., Path], run_pytest: Run, workers: int) -> None:
    gated("unwatched = 0", 'import subprocess\n@pytest.mark.small\ndef test_runs(): subprocess.run(["true"])\n')
    result = run_pytest(workers=workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["gate 'unwatched = 0' is exceeded by 1: 1 program start that no layer watched (true);*"]
    )


def test_off_mode_checks_no_gate(gated: Callable[..., Path], run_pytest: Run) -> None:
    gated("unsized = 0", UNSIZED)
    result = run_pytest(mode="off")
    assert (result.ret, "gate '" in result.stdout.str()) == (0, False)


def test_a_failed_run_keeps_its_status(gated: Callable[..., Path], run_pytest: Run) -> None:
    gated("unsized = 0", "def test_stops(): pytest.exit('enough', 7)\n")
    assert run_pytest().ret == 7


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(
            ["--test-categories-gates=new host = 0"], "'new host' is not one of new hosts, tests,*", id="name"
        ),
        pytest.param(["--test-categories-gates=unsized"], "'unsized' is not a gate; write NAME = N or*", id="form"),
        pytest.param(["--test-categories-gates=unsized = -1"], "'unsized = -1' is not a gate*", id="negative"),
        pytest.param(["--network-since=none.json"], "none.json can't be read: No such file*", id="missing"),
        pytest.param(["--network-since=tox.ini"], "tox.ini is no JSON report*", id="no report"),
    ],
)
def test_a_gate_that_cannot_work_stops_the_run(
    gated: Callable[..., Path], run_pytest: Run, args: list[str], says: str, workers: int
) -> None:
    gated("new hosts = 0", OLD)
    result = run_pytest(*args, workers=workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {args[0].partition('=')[0]}: {says}"])


def test_a_report_to_compare_with_needs_the_gate(gated: Callable[..., Path], run_pytest: Run) -> None:
    gated("unsized = 0", OLD)
    result = run_pytest("--network-since=main.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --network-since needs a gate: *'new hosts = 0'*"])
