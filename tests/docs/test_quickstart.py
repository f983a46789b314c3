"""README's first command does what README says: all sizes pass, a real TC001, then a warning."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PYTHON: Final = ".venv/bin/python"


def commands(name: str) -> list[list[str]]:
    """Return the commands of README's block below ``<!-- ci: NAME -->``."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(rf"<!-- ci: {name} -->\n```bash\n(.*?)```", readme, re.DOTALL)
    assert block is not None
    return [shlex.split(command) for command in block[1].split("&&")]


@pytest.fixture
def quickstart(tmp_path: Path) -> Path:
    """Return a copy of the quickstart project."""
    return Path(shutil.copytree(ROOT / "docs/examples/quickstart", tmp_path / "q", ignore=shutil.ignore_patterns(".*")))


def run(command: list[str], directory: Path) -> tuple[str, int]:
    """Run one of README's pytest commands with this Python; return its output and status."""
    environment = os.environ | {
        "PYTEST_ADDOPTS": "-p pytest_test_categories.pytest_plugin -p no:cacheprovider",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    done = subprocess.run(
        [sys.executable, *command[command.index(PYTHON) + 1 :]],
        check=False,
        cwd=directory,
        env=environment,
        stderr=subprocess.STDOUT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    return done.stdout, done.returncode


def test_the_quickstart_runs_as_readme_shows(quickstart: Path) -> None:
    runs = [command for command in commands("quickstart") if "pytest" in command]
    assert [command[0] for command in runs] == [PYTHON, "!", PYTHON]
    (all_sizes, passed), (refused, failed), (warned, in_warn_mode) = (run(command, quickstart) for command in runs)

    assert passed == pytest.ExitCode.OK, all_sizes
    assert "sizes: 2 small, 1 medium, 1 large, 1 xlarge" in all_sizes

    assert failed == pytest.ExitCode.TESTS_FAILED, refused
    assert "[TC001] Network Access Violation" in refused
    assert "Attempted network connection to api.example.com:443" in refused
    assert "at users.py:23 in fetch_name" in refused

    assert in_warn_mode == pytest.ExitCode.OK, warned
    assert "Network access violation in test_fetches_a_name: attempted connection to 127.0.0.1:" in warned


def test_the_wrong_size_fails_in_strict_mode(quickstart: Path) -> None:
    output, status = run([PYTHON, "-m", "pytest", "violations/test_wrong_size.py"], quickstart)
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "@pytest.mark.medium is enough" in output


@pytest.mark.parametrize("name", ["quickstart", "quick", "test"])
def test_readmes_commands_need_only_python_and_pip(name: str) -> None:
    programs = {command[1] if command[0] == "!" else command[0] for command in commands(name)}
    assert programs <= {"cd", "echo", "python3", PYTHON}
    assert ["python3", "-m", "venv", ".venv"] in commands(name)


def test_readmes_line_fixes_the_violation(quickstart: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    line = re.search(r"^    assert greeting.*$", readme, re.MULTILINE)
    assert line is not None
    test = quickstart / "violations" / "test_forgotten_fake.py"
    *others, _ = test.read_text(encoding="utf-8").splitlines()
    test.write_text("\n".join([*others, line[0], ""]), encoding="utf-8")
    output, status = run([PYTHON, "-m", "pytest", "violations/test_forgotten_fake.py"], quickstart)
    assert status == pytest.ExitCode.OK, output


@pytest.mark.parametrize("name", ["quickstart", "quick", "test"])
def test_readmes_commands_say_what_they_do_before_each_step_that_takes_time(name: str) -> None:
    programs = [command[0] for command in commands(name) if command[0] != "cd"]
    assert programs[0] == "echo"
    assert programs.count("echo") >= programs.count(PYTHON) // 2
