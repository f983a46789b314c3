"""The files of a baseline by directory: the nearest one has a test's entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_test_categories._report.baseline import Baseline, BaselineError, Entry
from pytest_test_categories._report.baselines import BaselineFiles

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("known.json", "tests/a/known.json", "tests/a/deep/known.json")


def entry(test: str) -> Entry:
    return Entry(test, "connect", "api.example.com:443")


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Return the paths of three files, without an entry, the outer one first."""
    made = [tmp_path / name for name in NAMES]
    for path in made:
        path.parent.mkdir(parents=True, exist_ok=True)
        Baseline().save(str(path))
    return list(map(str, made))


@pytest.mark.parametrize(
    ("test", "name"),
    [
        pytest.param("test_it.py::test_it", 0, id="root"),
        pytest.param("tests/b/test_it.py::test_it", 0, id="no nearer one"),
        pytest.param("tests/ab/test_it.py::test_it", 0, id="a longer name"),
        pytest.param("tests/a/test_it.py::test_it", 1, id="directory"),
        pytest.param("tests/a/other/test_it.py::test_it[deep/x]", 1, id="below"),
        pytest.param("tests/a/deep/test_it.py::test_it", 2, id="deepest"),
        pytest.param("tests/a/conftest.py", 1, id="import"),
        pytest.param("fixture db (session)", 0, id="fixture"),
        pytest.param("fixture tests/a::db (session)", 1, id="fixture of a directory"),
        pytest.param("fixture tests/a/deep/test_it.py::db (module)", 2, id="fixture of a module"),
    ],
)
def test_the_deepest_directory_that_contains_the_test_has_its_entry(
    paths: list[str], tmp_path: Path, test: str, name: int
) -> None:
    for order in (paths, paths[::-1]):
        files = BaselineFiles(order, str(tmp_path))
        assert files.name(files.nearest(entry(test))) == NAMES[name]


def test_what_no_directory_contains_is_in_the_first_file(paths: list[str], tmp_path: Path) -> None:
    files = BaselineFiles(paths[:0:-1], str(tmp_path))
    assert files.nearest(entry("tests/b/test_it.py::test_it")) == paths[2]


def test_an_entry_in_another_file_does_not_hold_and_an_update_moves_it(paths: list[str], tmp_path: Path) -> None:
    inner, outer = entry("tests/a/test_it.py::test_it"), entry("test_it.py::test_it")
    Baseline([inner, outer]).save(paths[0])
    files = BaselineFiles(paths, str(tmp_path))
    assert files.baseline.entries == {outer}
    assert files.misplaced == {(NAMES[0], NAMES[1]): 1}
    updating = BaselineFiles(paths, str(tmp_path), update=True)
    assert updating.baseline.entries == {inner, outer}
    saved = updating.save(updating.baseline)
    assert [tuple(one) for one in saved] == [(NAMES[0], 1, 0, 1), (NAMES[1], 1, 1, 0), (NAMES[2], 0, 0, 0)]
    after = BaselineFiles(paths, str(tmp_path))
    assert after.baseline.entries == {inner, outer}
    assert after.misplaced == {}
    assert after.by_file([inner, outer]) == {NAMES[0]: [outer], NAMES[1]: [inner]}


def test_one_file_has_every_entry_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "somewhere" / "known.json"
    Baseline([entry("test_it.py::test_it")]).save(str(path))
    files = BaselineFiles([str(path)], str(tmp_path))
    assert files.baseline.entries == {entry("test_it.py::test_it")}
    assert files.misplaced == {}


def test_two_files_in_one_directory_are_an_error(paths: list[str], tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match=r"^known\.json and other\.json are in one directory"):
        BaselineFiles([*paths, str(tmp_path / "other.json")], str(tmp_path))


def test_an_error_names_the_file(paths: list[str], tmp_path: Path) -> None:
    (tmp_path / NAMES[1]).write_text("{", encoding="utf-8")
    with pytest.raises(BaselineError, match=r"^tests/a/known\.json is damaged"):
        BaselineFiles(paths, str(tmp_path))
