"""The commands that set the sizes and tags of Bazel's targets."""

from __future__ import annotations

import shlex

import pytest

from pytest_test_categories._sizing.buildozer import commands
from pytest_test_categories._sizing.suggest import Suggestion


def suggested(file: str, needs: str, size: str = "", unobserved: tuple[str, ...] = ()) -> Suggestion:
    return Suggestion(f"{file}::test_it", file, 1, 1, (size,), needs, unobserved=unobserved)


@pytest.mark.parametrize(
    ("needs", "now", "size", "tag", "other"),
    [
        ("small", "", "small", "block-network", "requires-network"),
        ("medium", "", "medium", "block-network", "requires-network"),
        ("large", "", "large", "requires-network", "block-network"),
        ("large", "xlarge", "enormous", "requires-network", "block-network"),
        ("small", "xlarge", "small", "block-network", "requires-network"),
    ],
)
def test_a_command_sets_the_size_and_the_tag(needs: str, now: str, size: str, tag: str, other: str) -> None:
    [line] = commands([suggested("pkg/test_a.py", needs, now)])
    assert shlex.split(line) == [
        "buildozer",
        f"set size {size}",
        f"add tags {tag}",
        f"remove tags {other}",
        "//pkg:test_a",
    ]


def test_each_file_is_a_target_and_has_its_largest_size() -> None:
    found = [
        suggested("test_top.py", "small"),
        suggested("a/test_a.py", "small"),
        suggested("a b/test_b.py", "medium"),
        suggested("a/test_a.py", "medium"),
    ]
    assert [(shlex.split(line)[1], shlex.split(line)[-1]) for line in commands(found)] == [
        ("set size medium", "//a b:test_b"),
        ("set size medium", "//a:test_a"),
        ("set size small", "//:test_top"),
    ]


def test_in_a_run_of_a_target_all_files_are_that_target() -> None:
    found = [suggested("a.py", "small"), suggested("b.py", "large")]
    [line] = commands(found, "//pkg:all", "xlarge")
    assert shlex.split(line)[1::3] == ["set size enormous", "//pkg:all"]
    assert list(commands([], "//pkg:all")) == []


@pytest.mark.parametrize(
    ("current", "part", "begins"),
    [
        ("large", "", "# //pkg:t: at least medium; not all of it was observed: skipped"),
        ("", "shard 1 of 2", "# //pkg:t: at least medium; not all of it was observed: shard 1 of 2, skipped"),
        ("small", "shard 1 of 2", "buildozer 'set size medium' "),
    ],
)
def test_what_was_not_observed_makes_no_target_smaller(current: str, part: str, begins: str) -> None:
    [line] = commands([suggested("a.py", "medium", unobserved=("skipped",))], "//pkg:t", current, part)
    assert line.startswith(begins)
