"""The recipes for CI: settings that are YAML, and whose commands do on a small project what the page says of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

import pytest
from tests.docs.recipes import commands
from tests.docs.test_examples import Project, pieces, run_piece
from tests.docs.test_reference import ROOT

from pytest_test_categories._commands import COMMANDS

if TYPE_CHECKING:
    from pathlib import Path

GUIDE: Final = ROOT / "docs" / "guides" / "ci.md"
DIALS: Final = """
import contextlib
import socket

def dial(host):
    with contextlib.suppress(OSError), socket.socket() as sock:
        sock.connect((host, 9))
"""
UNIT: Final = f"""{DIALS}
def test_known():
    dial("127.0.0.1")

def test_hermetic():
    assert 1 + 1 == 2
"""
INTEGRATION: Final = """
import socket

def test_server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
"""
NEW: Final = f"""{DIALS}
def test_new():
    dial("127.0.0.2")
"""
RECIPES: Final = (".github/workflows/tests.yml", ".gitlab-ci.yml", ".pre-commit-config.yaml")
SHARDS: Final = (".github/workflows/shards.yml", "shards.gitlab-ci.yml")
FILES: Final = {"network.html", "network.md", "network.sarif", "junit.xml"}


def recipe(name: str) -> object:
    """Return the parsed settings that the page shows under a name."""
    yaml = pytest.importorskip("yaml")
    [piece] = [piece for piece in pieces(GUIDE.read_text(encoding="utf-8")) if piece.name == name]
    return yaml.safe_load(piece.text)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project with the page's settings, and a baseline of one violation, on a runner of GitHub's."""
    pytest.importorskip("jinja2")
    project = Project(tmp_path)
    for piece in pieces(GUIDE.read_text(encoding="utf-8")):
        run_piece(piece, project)
    project.write("tests/unit/test_known.py", UNIT, 0)
    project.write("tests/integration/test_server.py", INTEGRATION, 0)
    output, status = project.run("pytest --network-baseline-update")
    assert status == 0, output
    assert "lists 1 violation" in output
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    return project


def test_the_page_holds_these_recipes() -> None:
    shown = [piece.name for piece in pieces(GUIDE.read_text(encoding="utf-8")) if piece.kind == "yaml"]
    assert sorted(shown) == sorted((*RECIPES, *SHARDS))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_passes_while_nothing_is_new(name: str, project: Project, tmp_path: Path) -> None:
    lines = list(commands(recipe(name), "pytest", "cat"))
    assert any(line.startswith("pytest") for line in lines)
    for line in lines:
        output, status = project.run(line)
        assert status == 0, f"{line!r} gave:\n{output}"
    written = {path.name for path in tmp_path.rglob("*")} & FILES
    assert written == {file for file in FILES if any(file in line for line in lines)}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_fails_for_what_is_new_and_writes_its_files(name: str, project: Project, tmp_path: Path) -> None:
    project.write("tests/unit/test_new.py", NEW, 0)
    for line in commands(recipe(name), "pytest"):
        output, status = project.run(line)
        assert status == 1, f"{line!r} gave:\n{output}"
        assert "::error file=tests/unit/test_new.py,line=7,title=TC001 network access violation::" in output
    for path in tmp_path.rglob("network.*"):
        text = path.read_text(encoding="utf-8")
        assert "127.0.0.2" in text, path
    for path in tmp_path.rglob("junit.xml"):
        assert [case.get("name") for case in ET.parse(path).iter("testcase") if case.find("failure") is not None] == [
            "test_new"
        ]
        assert any("127.0.0.2" in (found.get("value") or "") for found in ET.parse(path).iter("property"))
    for path in tmp_path.rglob("network.sarif"):
        [run] = json.loads(path.read_text(encoding="utf-8"))["runs"]
        assert {result["level"] for result in run["results"]} == {"error", "warning"}


def test_the_summary_of_a_workflow_is_the_report(project: Project, tmp_path: Path) -> None:
    for line in commands(recipe(RECIPES[0]), "pytest", "cat"):
        project.run(line)
    assert (tmp_path / "summary.md").read_text(encoding="utf-8").startswith("## Network report (strict): ")


@pytest.mark.parametrize("name", RECIPES[:2])
def test_a_recipe_fails_for_what_no_longer_happens(name: str, project: Project) -> None:
    project.write("tests/unit/test_known.py", UNIT.replace('dial("127.0.0.1")', "pass"), 0)
    *_, everything = commands(recipe(name), "pytest")
    output, status = project.run(everything)
    assert status == 1
    assert "--network-baseline-strict: entries that no longer happen fail the run" in output


def test_a_medium_test_reaches_the_services_that_are_named(project: Project) -> None:
    output, status = project.run("pytest -q --network-explain tests/integration")
    assert status == 0
    assert "allowed: postgres:5432, from test_categories_network_allow" in output


@pytest.fixture
def sharded(project: Project) -> Project:
    """Return the project, with pytest-split."""
    pytest.importorskip("pytest_split")
    project.plugins.append("pytest_split.plugin")
    return project


@pytest.mark.parametrize("name", SHARDS)
def test_the_shards_are_combined_and_a_new_host_fails(name: str, sharded: Project, tmp_path: Path) -> None:
    if "combine" not in COMMANDS:
        pytest.skip("this version has no command that combines recordings")
    pytest_line, combine, *rest = commands(recipe(name), "pytest", "python")
    for shard in range(1, 5):
        line = pytest_line
        for variable in ("${{ matrix.shard }}", "$CI_NODE_INDEX"):
            line = line.replace(variable, str(shard))
        output, status = sharded.run(line.replace("$CI_NODE_TOTAL", "4"))
        assert status in {0, pytest.ExitCode.NO_TESTS_COLLECTED}, output  # there are more shards than tests
    output, status = sharded.run(combine)
    assert status == 0, output
    assert {
        test["id"].rpartition("::")[2] for test in json.loads((tmp_path / "network.json").read_text())["tests"]
    } == {
        "test_known",
        "test_hermetic",
        "test_server",
    }
    (tmp_path / "recordings" / "2.jsonl").unlink()
    output, status = sharded.run(combine)
    assert status == 1
    assert rest == ["python new_hosts.py main/network.json network.json"] or name == SHARDS[1]


def test_a_change_that_reaches_a_new_host_fails(project: Project, tmp_path: Path) -> None:
    (tmp_path / "main").mkdir()
    for path in ("main/network.json", "network.json"):
        output, status = project.run(f"pytest --network-report={path}")
        assert status == 0, output
    check = "python new_hosts.py main/network.json network.json"
    assert project.run(check) == ("", 0)
    project.write("tests/unit/test_new.py", NEW, 0)  # this machine's own address is no host
    project.run("pytest --network-report=network.json")
    assert project.run(check) == ("", 0)
    project.write("tests/unit/test_new.py", NEW.replace("127.0.0.2", "198.51.100.7"), 0)
    project.run("pytest --network-report=network.json")
    assert project.run(check) == (
        "this change adds 198.51.100.7: tests/unit/test_new.py::test_new at tests/unit/test_new.py:7\n",
        1,
    )
