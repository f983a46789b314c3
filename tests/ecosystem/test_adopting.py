"""The guide to adopting the plugin, followed command by command on the project that it walks through.

The project's clients dial hosts abroad. It runs in a network that has none, and that leads to our servers.
"""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from tests.docs.recipes import commands
from tests.docs.test_examples import ExampleError, Project, check_used, pieces, run_piece
from tests.docs.test_reference import ROOT
from tests.ecosystem import private_network

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services import PostgresServer, RedisServer

GUIDE: Final = ROOT / "docs" / "guides" / "adopting.md"
SAMPLE: Final = Path(__file__).parent / "adopting"
LIBRARIES: Final = ("boto3", "httpx", "jinja2", "libcst", "moto", "psycopg", "redis", "requests", "responses", "respx")
START: Final = "git init -q && git add . && git commit -qm 'The project as it is'"


class Adopting(Project):
    """The sample project, in a repository of its own."""

    def start(self) -> None:
        """Begin with the project as its team has it."""
        shutil.copytree(SAMPLE, self._directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        output, status = self.run(START)
        assert status == 0, output


@pytest.fixture
def project(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    require: Callable[..., None],
    lacking: Callable[[str], None],
    postgres: PostgresServer,
    redis: RedisServer,
) -> Adopting:
    """Return a copy of the sample project, in a network with the servers at their usual ports, and nothing abroad."""
    require(*LIBRARIES)
    if shutil.which("git") is None:
        lacking("git is not installed")
    own_network = [*private_network.PREFIX, sys.executable, str(private_network.__file__)]
    if shutil.which("unshare") is None or subprocess.run([*own_network, "--", "true"], capture_output=True).returncode:
        pytest.skip("a network of one's own is not permitted here")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A Team")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "team@example.com")
    for name in ("CI", "GITHUB_ACTIONS", "DATABASE_URL", "REDIS_URL", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    ports = (f"5432={postgres.socket_dir}/.s.PGSQL.{postgres.port}", f"6379={redis.socket_path}")
    return Adopting(tmp_path, [*own_network, *ports, "--"])


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="the guide shows what pytest 9 prints")
def test_the_guide_leads_from_the_first_run_to_strict(project: Adopting) -> None:
    yaml = pytest.importorskip("yaml")
    run_in_ci = []
    try:
        for piece in pieces(GUIDE.read_text(encoding="utf-8")):
            run_piece(piece, project)
            if piece.kind == "yaml":
                for command in commands(yaml.safe_load(piece.text), "pytest"):
                    output, status = project.run(command)
                    assert status == 0, f"{command!r} gave:\n{output}"
                    run_in_ci.append(command)
        check_used(project)
    except ExampleError as error:
        said = f"docs/guides/adopting.md, {error}"
    else:
        assert run_in_ci
        return
    pytest.fail(said, pytrace=False)


def test_the_project_has_nothing_abroad(project: Adopting) -> None:
    dial = "import socket; print(socket.socket().connect_ex(('198.51.100.7', 9000)))"
    output, status = project.run(f'python -c "{dial}"')
    assert (output.strip(), status) == (str(errno.ENETUNREACH), 0)
