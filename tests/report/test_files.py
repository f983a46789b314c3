"""Report files: the format by the suffix, whole or not at all."""

from __future__ import annotations

import importlib.util
import json
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.report.samples import small_report

from pytest_test_categories._report import files, sarif
from pytest_test_categories._report.files import FORMATS, check, write
from pytest_test_categories._report.html import MissingExtraError
from pytest_test_categories._report.model import Case, Report

if TYPE_CHECKING:
    from pathlib import Path

STARTS = {".json": "{", ".html": "<!DOCTYPE html>", ".sarif": '{\n "$schema"', ".md": "## Network report"}


def test_each_format_has_a_renderer_and_a_word_about_it() -> None:
    assert list(FORMATS) == list(STARTS)
    assert len({files._renderer(suffix).__name__ for suffix in FORMATS}) == len(FORMATS)
    assert all(FORMATS.values())


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_suffix_chooses_the_format(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"network{suffix}"
    check(str(path))
    write(small_report(), str(path))
    text = path.read_bytes()
    assert text.startswith(STARTS[suffix].encode())
    assert text.endswith(b"\n")
    assert b"\r" not in text


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_one_and_leads_to_the_new_file(there: bool, tmp_path: Path) -> None:
    (link := tmp_path / "network.json").symlink_to(target := tmp_path / "kept" / "report.json")
    target.parent.mkdir()
    if there:
        target.write_text("old", encoding="utf-8")
    write(small_report(), str(link))
    assert link.is_symlink()
    assert json.loads(target.read_text(encoding="utf-8"))["version"] == 1


def test_the_case_of_the_suffix_does_not_count(tmp_path: Path) -> None:
    write(small_report(), str(tmp_path / "NETWORK.JSON"))
    assert json.loads((tmp_path / "NETWORK.JSON").read_text(encoding="utf-8"))["version"] == 1


@pytest.mark.parametrize("path", ["report.xml", "report", ".json", "a.json/report"])
def test_another_suffix_is_an_error_that_lists_the_choices(path: str, tmp_path: Path) -> None:
    for call in (check, lambda name: write(small_report(), str(tmp_path / name))):
        with pytest.raises(ValueError) as caught:
            call(path)
        said = str(caught.value)
        assert all(suffix in said for suffix in FORMATS)
        assert len(said.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_without_jinja2_the_html_format_is_an_error_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jinja2" else find_spec(name))
    with pytest.raises(MissingExtraError, match=r"pip install 'pytest-test-categories\[report\]'") as caught:
        check("network.html")
    assert isinstance(caught.value, ValueError)
    check("network.json")


def test_directories_are_made(tmp_path: Path) -> None:
    write(small_report(), str(tmp_path / "a" / "b" / "network.md"))
    assert (tmp_path / "a" / "b" / "network.md").is_file()


def test_a_relative_path_is_taken_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(small_report(), "network.md")
    assert [path.name for path in tmp_path.iterdir()] == ["network.md"]


def test_an_older_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "network.json"
    path.write_text("old", encoding="utf-8")
    write(small_report(), str(path))
    assert path.read_text(encoding="utf-8").startswith("{")
    assert [found.name for found in tmp_path.iterdir()] == ["network.json"]


def test_what_can_not_be_written_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "network.sarif"
    path.write_text("old", encoding="utf-8")
    render = sarif.render
    monkeypatch.setattr(sarif, "render", lambda report: render(report) + "\udc80")
    with pytest.raises(UnicodeEncodeError):
        write(small_report(), str(path))
    assert path.read_text(encoding="utf-8") == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["network.sarif"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_a_report_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write(small_report(), str(tmp_path / "network.json"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "network.json").stat().st_mode) == 0o644


@pytest.mark.parametrize("suffix", FORMATS)
def test_names_of_any_kind_can_be_written(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"network{suffix}"
    write(
        Report([Case("tést[\udc80\x00\r\n\u2028日本</script>]", file="\udc80.py")], [], why_incomplete=["\udcff"]),
        str(path),
    )
    text = path.read_bytes()
    assert b"\x00" not in text
    assert b"\r" not in text


def test_the_formats_are_named_without_jinja2() -> None:
    script = "import sys, pytest_test_categories._report.files; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("False\n", "")
