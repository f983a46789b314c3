"""The main job on real input: a sample project with real clients and real servers, in strict mode."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services import PostgresServer, RedisServer

SAMPLE: Final = Path(__file__).parent / "sample"
LIBRARIES: Final = (
    "aiohttp",
    "asyncpg",
    "httpx",
    "psycopg",
    "pytest_asyncio",
    "pytest_mock",
    "redis",
    "requests",
    "responses",
    "respx",
    "vcr",
)
PLUGINS: Final = ("asyncio", "pytest_mock", "respx")


@pytest.fixture
def sample(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer, redis: RedisServer
) -> Path:
    """Return a copy of the sample project, in the current directory, with its servers in the environment."""
    for name in LIBRARIES:
        pytest.importorskip(name)
    shutil.copytree(SAMPLE, pytester.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("DATABASE_URL", postgres.dsn)
    monkeypatch.setenv("REDIS_URL", f"redis://{redis.host}:{redis.port}/0")
    return pytester.path


@pytest.mark.usefixtures("sample")
def test_every_test_of_the_sample_passes(run_pytest: Callable[..., pytest.RunResult], workers: int) -> None:
    result = run_pytest(mode=None, plugins=PLUGINS, workers=workers)
    outcomes = result.parseoutcomes()
    assert outcomes.keys() == {"passed"}, result.outlines
    result.stdout.fnmatch_lines(["*test categories (strict)*", f"*{outcomes['passed']} passed*"])
    assert result.ret == 0


def test_tests_of_the_sample_that_use_this_machine_are_refused_when_they_are_marked_small(
    sample: Path, run_pytest: Callable[..., pytest.RunResult], redis: RedisServer, postgres: PostgresServer
) -> None:
    medium = 0
    for path in sample.glob("tests/test_*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name == "test_orders.py":  # the C library below psycopg connects without asking the interpreter
            continue
        medium += text.count("@pytest.mark.medium")
        path.write_text(text.replace("@pytest.mark.medium", "@pytest.mark.small"), encoding="utf-8")
    result = run_pytest("-rfE", mode=None, plugins=PLUGINS)
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] + outcomes["errors"] == medium, result.outlines
    text = result.stdout.str()
    assert text.count("[TC001] Network Access Violation") >= medium
    for address in (f"{redis.host}:{redis.port}", f"{postgres.host}:{postgres.port}", "127.0.0.1:0"):
        assert re.search(rf"Attempted network connection to {re.escape(address)}$", text, re.MULTILINE)
