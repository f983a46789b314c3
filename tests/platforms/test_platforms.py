"""The scripts of this folder, and what the project says of where it ran."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml
from tests.schemas import published

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
SCRIPTS: Final = sorted(path.name for path in HERE.iterdir() if path.is_file() and not path.suffix)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these are scripts for Linux")


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)


@pytest.mark.parametrize("name", [*SCRIPTS, "../../.ci/run"])
def test_each_script_is_valid_and_says_what_it_is_for(name: str) -> None:
    path = HERE / name
    assert os.access(path, os.X_OK)
    done = run("bash", "-n", str(path))
    assert done.returncode == 0, done.stderr
    first, second = path.read_text(encoding="utf-8").splitlines()[:2]
    assert first == "#!/usr/bin/env bash"
    assert re.match(r"# [A-Z].*", second)


def test_the_readme_of_this_folder_names_each_script() -> None:
    text = (HERE / "README.md").read_text(encoding="utf-8")
    assert {name for name in SCRIPTS if f"`tests/platforms/{name}" not in text} == set()


def test_the_pythons_of_this_machine_are_listed_each_once() -> None:
    done = run(str(HERE / "suite"), "--list")
    assert done.returncode == 0
    versions = [line.partition(" ")[0] for line in done.stdout.splitlines()]
    assert versions == sorted(set(versions), key=lambda version: int(version.partition(".")[2]))
    assert all(Path(line.partition(" ")[2]).exists() for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", ["suite", "debian"])
def test_without_arguments_they_say_how_they_are_called(name: str) -> None:
    done = run(str(HERE / name))
    assert done.returncode == 2
    assert f"tests/platforms/{name} " in done.stderr


def test_a_python_that_is_not_here_is_told_in_one_line() -> None:
    done = run(str(HERE / "suite"), "3.99", str(ROOT))
    assert (done.returncode, done.stderr) == (77, "no Python 3.99 was found on this machine\n")


@pytest.mark.skipif(shutil.which("setpriv") is None or os.geteuid() != 0, reason="setpriv, and root that it can leave")
def test_a_file_system_that_can_not_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    script = tmp_path / "debian"
    script.write_text((HERE / "debian").read_text(encoding="utf-8"), encoding="utf-8")
    for path in (tmp_path, *tmp_path.parents[:-2]):
        path.chmod(path.stat().st_mode | 0o055)
    script.chmod(0o755)
    done = run("setpriv", "--reuid=65534", "--clear-groups", "bash", str(script), "/tmp", "true")
    assert (done.returncode, done.stderr) == (
        77,
        "Debian unstable can't be had here: only root can make and enter it\n",
    )


def test_the_workflow_is_one() -> None:
    workflow: Any = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
    workflow["on"] = workflow.pop(True)  # YAML 1.1 takes the word for a truth value
    jsonschema.validate(workflow, published("github-workflow.json"))
    text = str(workflow)
    for script in re.findall(r"tests/platforms/(\w+)", text):
        assert script in SCRIPTS
    for folder in re.findall(r" (tests/\w+)(?= |')", text):
        assert (ROOT / folder).is_dir()


def test_the_classifiers_name_what_every_runs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {line.rpartition(" ")[2] for line in project["classifiers"] if re.search(r"Python :: 3\.\d+$", line)}
    text = (HERE / "every").read_text(encoding="utf-8")
    from_debian = set(re.findall(r"debian:(3\.\d+)", text))
    assert from_debian < named
    assert named - from_debian == {"3.11", "3.12"}  # which Debian unstable has no more


def test_the_page_of_platforms_is_filled_in() -> None:
    page = (ROOT / "docs/reference/platforms.md").read_text(encoding="utf-8")
    assert "<!--" not in page
