"""The benchmarks' command runs: what it measures is asserted, and not how fast anything is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.benchmarks.__main__ import ROWS
from tests.benchmarks.table import Figure, Reach, line, passed

TOP = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not hasattr(os, "wait4"), reason="the benchmarks need what POSIX says of a process")


def run(*options: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *options],
        cwd=TOP,
        # Counting under valgrind would take half a minute; in an empty directory it is not found.
        env=None if path is None else os.environ | {"PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_list_names_the_rows() -> None:
    done = run("--list")
    assert done.stdout.split() == [row.name for row in ROWS]
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_the_readme_names_each_row() -> None:
    text = (TOP / "tests" / "benchmarks" / "README.md").read_text(encoding="utf-8")
    text = text.replace("`-execution`", "`small-test-execution`")
    for row in ROWS:
        name = row.name.rpartition("-")[0] + "-N" if row.name.startswith("growth-") else row.name
        assert f"`{name}`" in text


def test_an_unknown_row_is_an_error() -> None:
    done = run("--only", "nothing")
    assert done.returncode == 2
    assert "no row matches nothing" in done.stderr


def test_cheap_rows_are_measured_on_all_sides(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    done = run(
        "--quick", "--python", sys.executable, "--only", "off-modules|deepcopy", "--json", str(file), path=tmp_path
    )
    found = json.loads(file.read_text(encoding="utf-8"))
    assert list(found) == ["deepcopy", "off-modules"], done.stderr
    assert found["off-modules"]["values"] == {"ours": 0}
    assert set(found["deepcopy"]["values"]) == set(found["deepcopy"]["medians"]) == {"bare", "ours"}
    assert all(value > 0 for value in found["deepcopy"]["values"].values())
    assert done.returncode == (0 if all(row["passed"] for row in found.values()) else 1)
    assert [text.split()[0] for text in done.stdout.splitlines()[-2:]] == ["deepcopy", "off-modules"]


def test_a_row_that_can_not_be_measured_says_so_and_fails_the_command(tmp_path: Path) -> None:
    done = run("--quick", "--python", sys.executable, "--only", "off-start", path=tmp_path)
    assert done.stdout.splitlines()[-1] == (
        "off-start: not measured: valgrind is not installed: instructions can't be counted"
    )
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("kind", "limit", "bare", "ours", "shown", "verdict"),
    [
        pytest.param("x", 1.5, 10, 15, "1.50 x", "PASS", id="ratio"),
        pytest.param("x", 1.5, 10, 16, "1.60 x", "FAIL", id="ratio, exceeded"),
        pytest.param("+", 5, 10, 15, "+5.0", "PASS", id="difference"),
        pytest.param("+", 5, 10, 15.5, "+5.5", "FAIL", id="difference, exceeded"),
        pytest.param("=", 5, 10, 5, "5", "PASS", id="value"),
        pytest.param("=", 5, 1, 6, "6", "FAIL", id="value, exceeded"),
        pytest.param("+", None, 1, 6, "+5.0", None, id="no reach"),
    ],
)
def test_a_row_says_how_far_ours_is_and_whether_that_is_in_reach(
    kind: str, limit: float | None, bare: float, ours: float, shown: str, verdict: str | None
) -> None:
    reach = Reach(kind, limit)  # type: ignore[arg-type]
    figure = Figure({"bare": bare, "ours": ours})
    assert passed(reach, figure) is (None if verdict is None else verdict == "PASS")
    text = line("name", "us", reach, figure)
    assert shown in text
    assert verdict is None or text.endswith(verdict)
