"""Suites of public packages, taken from their source distributions: markers written into them, and read back."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from tests.collected import collect

from pytest_test_categories._sizing.apply import Place, Plan, apply, plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Suite(NamedTuple):
    """A package whose source distribution ships its tests.

    Attributes:
        package: What to ask the package index for.
        tests: Where the tests are.
        sizes: Sizes that its tests turn out to need, among others.
    """

    package: str
    tests: str = "tests"
    sizes: frozenset[str] = frozenset({"small"})


SUITES: Final = [
    Suite("cachetools==8.0.2"),  # unittest classes that inherit their tests from mixins
    Suite("h11==0.16.0", "h11/tests", frozenset({"small", "medium"})),  # real servers on loopback
    Suite("waitress==3.0.2", sizes=frozenset({"small", "medium"})),  # servers in child processes; deep inheritance
    Suite("wsproto==1.3.2"),  # parametrized, in classes
]
QUICK: Final = [suite for suite in SUITES if not suite.package.startswith("waitress")]
"""Those that are run three times; waitress passes too, and takes a minute and a half."""
# Their own ini files ask for plugins of theirs; our run needs none.
OPTIONS: Final = ("-o", "addopts=", "-o", "filterwarnings=", "--import-mode=prepend")


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Suite], Path | str]:
    """Return what takes a suite's source distribution from the package index, once, or says why it can't."""
    folder = tmp_path_factory.mktemp("sdists")
    known: dict[Suite, Path | str] = {}

    def fetch(suite: Suite) -> Path | str:
        if suite not in known:
            target = folder / suite.package.partition("=")[0]
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(target)]
            # pip asks the distribution's build backend for its metadata, and builds nothing.
            command += ["--no-binary", ":all:", suite.package]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=240)
            except subprocess.TimeoutExpired:
                known[suite] = "the package index takes too long"
            else:
                archives = [*target.glob("*.tar.gz")]
                known[suite] = archives[0] if archives else f"no source distribution of {suite.package}"
                if done.returncode and archives:
                    known[suite] = f"pip could not take {suite.package}"
        return known[suite]

    return fetch


@pytest.fixture(params=SUITES, ids=lambda suite: suite.package.partition("=")[0])
def suite(request: pytest.FixtureRequest) -> Suite:
    found: Suite = request.param
    return found


@pytest.fixture
def project(
    suite: Suite,
    distributions: Callable[[Suite], Path | str],
    tmp_path: Path,
    lacking: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Return the suite's project, unpacked and committed."""
    archive = distributions(suite)
    if isinstance(archive, str):
        lacking(archive)
        raise AssertionError
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    (root,) = (tmp_path / "unpacked").iterdir()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root / "src"), str(root)]))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for variable in ("PYTEST_ADDOPTS", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(variable, raising=False)
    commit(root, "init", "--quiet")
    commit(root, "add", "--all", "--force")
    commit(root, "commit", "--quiet", "--message", "as released")
    return root


def commit(root: Path, *arguments: str) -> str:
    who = [
        "-c",
        "user.name=n",
        "-c",
        "user.email=n@example.com",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "core.autocrlf=no",
    ]
    return subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("sizes", [("small",), ("small", "medium", "large")], ids=len)
def test_pytest_collects_the_sizes_that_were_written(
    suite: Suite, project: Path, tmp_path: Path, sizes: tuple[str, ...]
) -> None:
    arguments = (*OPTIONS, suite.tests)
    found = collect(project, *arguments, scratch=tmp_path / "scratch")
    assert found.targets, found.output
    asked = {test: sizes[number % len(sizes)] for number, test in enumerate(found.targets)}
    planned = plan(str(project), [target._replace(size=asked[test]) for test, target in found.targets.items()])
    left_out = {omitted.what for omitted in planned.omitted}
    assert not left_out or len(sizes) > 1
    assert apply(str(project), planned.changes) == ()

    again = collect(project, *arguments, scratch=tmp_path / "scratch")
    assert again.targets.keys() == found.targets.keys(), again.output
    wrong = {test: (t.current, asked[test]) for test, t in again.targets.items() if t.current != asked[test]}
    assert wrong.keys() == left_out
    # What is left out could not be done: tests that inherit one function, and were asked for different sizes.
    sharing: dict[Place, set[str]] = {}
    for target in found.targets.values():
        sharing.setdefault(target.function[0], set()).add(asked[target.id])
    assert all(len(sharing[found.targets[test].function[0]]) > 1 for test in left_out)

    if len(sizes) == 1:
        added = commit(project, "diff", "--numstat").split()
        assert set(added[1::3]) == {"0"}  # nothing is taken away
        assert all("pytestmark = " in change.after.decode() for change in planned.changes)
    third = plan(str(project), [target._replace(size=asked[test]) for test, target in again.targets.items()])
    assert third == Plan((), planned.omitted)


# -- the whole way -----------------------------------------------------------------------------------------------------


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "pytest_test_categories.pytest_plugin", "-p", "no:cacheprovider"]
    return subprocess.run([*command, *OPTIONS, *arguments], cwd=root, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("suite", QUICK, ids=lambda suite: suite.package.partition("=")[0], indirect=True)
def test_a_suite_that_was_sized_by_one_run_passes_the_next_in_strict_mode(suite: Suite, project: Path) -> None:
    sizing = run(project, "--network-suggest-sizes=apply", suite.tests)
    assert sizing.returncode == 0, sizing.stdout + sizing.stderr
    written = commit(project, "diff")
    assert suite.sizes <= set(re.findall(r"^\+.*mark\.(\w+)", written, re.MULTILINE))
    commit(project, "commit", "--quiet", "--all", "--message", "sized")

    strict = run(project, "--test-categories-enforcement=strict", suite.tests)
    assert strict.returncode == 0, strict.stdout + strict.stderr

    again = run(project, "--network-suggest-sizes=apply", suite.tests)
    assert again.returncode == 0, again.stdout + again.stderr
    assert commit(project, "status", "--porcelain", "--untracked-files=no") == ""
