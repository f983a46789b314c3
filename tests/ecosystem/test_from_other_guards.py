"""Each row of "Coming from pytest-socket, pytest-recording, pytest-remotedata": both tools give the same verdicts.

A row is run as a project that uses the other tool's switch with the other tool, and as the project with what takes its
place here. A test that is permitted passes, one that is refused fails.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from tests.docs.test_reference import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[..., pytest.RunResult]
    Outcomes = Callable[[pytest.RunResult], dict[str, set[str]]]

PAGE: Final = Path(__file__).parents[2] / "docs" / "guides" / "from-other-guards.md"
HERE: Final = "127.0.0.1"
OTHER: Final = "127.0.0.2"
ABROAD: Final = "198.51.100.1"
SMALL: Final = "test_categories_default_size = small"
MEDIUM: Final = "test_categories_default_size = medium"

HEAD: Final = """
import contextlib
import pytest
import socket

def reach(host):
    with socket.socket() as s:
        try:
            s.connect((host, 9))
        except ConnectionRefusedError:
            pass  # permitted: nothing listens there

def reach_unix(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
"""
PLUGINS: Final = {
    "pytest-socket": "pytest_socket",
    "pytest-recording": "pytest_recording.plugin",
    "pytest-remotedata": "pytest_remotedata.plugin",
}


class Way(NamedTuple):
    """How a project says it.

    Attributes:
        options: On the command line.
        ini: Lines of the ini file.
        mark: The marker of both tests.
        parameter: The fixture that both tests name.
        conftest: The text of a conftest.
        block: The context manager around what both tests do.
    """

    options: tuple[str, ...] = ()
    ini: str = ""
    mark: str = ""
    parameter: str = ""
    conftest: str = ""
    block: str = ""

    def source(self, name: str, body: str) -> str:
        """Return the source of one test."""
        mark = f"@pytest.mark.{self.mark}\n" if self.mark else ""
        return f"{mark}def {name}({self.parameter}):\n    with {self.block or 'contextlib.nullcontext()'}:\n        {body}\n"


class Row(NamedTuple):
    """One row of the page.

    Attributes:
        name: Its first cell.
        there: With the other tool.
        here: With this one, in each way that the row names.
        permitted: What the test does that both permit.
        refused: What the test does that both refuse; empty where the switch permits everything.
    """

    name: str
    there: Way
    here: tuple[Way, ...]
    permitted: str
    refused: str


def mapped(marker: str, size: str) -> Way:
    """Return the way that leaves a marker in its place."""
    name = marker.partition("(")[0]
    return Way(ini=f"markers = {name}\ntest_categories_marker_sizes = {name} = {size}", mark=marker)


PURE: Final = "assert True"
ALLOWING: Final = f"{SMALL}\ntest_categories_network_allow = small: {HERE}"
ROWS: Final = {
    "pytest-socket": [
        Row("--disable-socket", Way(("--disable-socket",)), (Way(ini=SMALL),), PURE, f"reach('{HERE}')"),
        Row(
            "--allow-hosts=HOST,...",
            Way((f"--allow-hosts={HERE}",)),
            (Way(ini=ALLOWING), Way((f"--network-allow=small: {HERE}",), ini=SMALL)),
            f"reach('{HERE}')",
            f"reach('{OTHER}')",
        ),
        Row(
            "--allow-unix-socket",
            Way(("--disable-socket", "--allow-unix-socket")),
            (Way(ini=f"{SMALL}\ntest_categories_network_allow = small: unix:PATH"),),
            "reach_unix('PATH')",
            f"reach('{HERE}')",
        ),
        Row(
            "--force-enable-socket",
            Way(("--disable-socket", "--force-enable-socket")),
            (Way(("--test-categories-enforcement=off",), ini=SMALL),),
            f"reach('{HERE}')",
            "",
        ),
        Row(
            "@pytest.mark.disable_socket",
            Way(mark="disable_socket"),
            (mapped("disable_socket", "small"), Way(mark="small")),
            PURE,
            f"reach('{HERE}')",
        ),
        Row(
            "@pytest.mark.enable_socket",
            Way(("--disable-socket",), mark="enable_socket"),
            (mapped("enable_socket", "large"), Way(ini=SMALL, mark="large")),
            f"reach('{HERE}')",
            "",
        ),
        Row(
            "@pytest.mark.allow_hosts([...])",
            Way(mark=f"allow_hosts(['{HERE}'])"),
            (
                mapped(f"allow_hosts(['{HERE}'])", "small"),
                Way(ini=SMALL, mark=f"network_allow('{HERE}')"),
            ),
            f"reach('{HERE}')",
            f"reach('{OTHER}')",
        ),
        Row("socket_disabled", Way(parameter="socket_disabled"), (Way(mark="small"),), PURE, f"reach('{HERE}')"),
        Row(
            "socket_enabled",
            Way(("--disable-socket",), parameter="socket_enabled"),
            (Way(ini=SMALL, mark="large"),),
            f"reach('{HERE}')",
            "",
        ),
        Row(
            "disable_socket() in a hook",
            Way(conftest="import pytest_socket\ndef pytest_runtest_setup():\n    pytest_socket.disable_socket()"),
            (Way(ini=SMALL),),
            PURE,
            f"reach('{HERE}')",
        ),
        Row(
            "socket_allow_hosts([...]) in a hook",
            Way(
                conftest="import pytest_socket, pytest\n@pytest.hookimpl(trylast=True)\n"
                f"def pytest_runtest_setup():\n    pytest_socket.socket_allow_hosts(['{HERE}'])"
            ),
            (Way(ini=ALLOWING),),
            f"reach('{HERE}')",
            f"reach('{OTHER}')",
        ),
        Row(
            "pytest.raises(SocketBlockedError)",
            Way(
                ("--disable-socket", "-Wignore"),
                block="pytest.raises(__import__('pytest_socket').SocketBlockedError)",
            ),
            (Way(ini=SMALL, block="__import__('pytest_test_categories').expect_network_violation()"),),
            f"reach('{HERE}')",
            PURE,
        ),
    ],
    "pytest-recording": [
        Row("--block-network", Way(("--block-network",)), (Way(ini=SMALL),), PURE, f"reach('{HERE}')"),
        Row(
            "--allowed-hosts=REGEX,...",
            Way(("--block-network", f"--allowed-hosts={re.escape(HERE)}")),
            (Way(ini=ALLOWING), Way((f"--network-allow=small: {HERE}",), ini=SMALL)),
            f"reach('{HERE}')",
            f"reach('{OTHER}')",
        ),
        Row(
            "@pytest.mark.block_network",
            Way(mark="block_network"),
            (mapped("block_network", "small"), Way(mark="small")),
            PURE,
            f"reach('{HERE}')",
        ),
        Row(
            "@pytest.mark.block_network(allowed_hosts=[...])",
            Way(mark=f"block_network(allowed_hosts=['{HERE}'])"),
            (
                mapped(f"block_network(allowed_hosts=['{HERE}'])", "small"),
                Way(ini=SMALL, mark=f"network_allow('{HERE}')"),
            ),
            f"reach('{HERE}')",
            f"reach('{OTHER}')",
        ),
        Row(
            "allowed_hosts in vcr_config",
            Way(
                ("--block-network",),
                conftest="import pytest\n@pytest.fixture\n"
                f"def vcr_config():\n    return {{'allowed_hosts': ['{re.escape(HERE)}']}}".replace("\\", "\\\\"),
            ),
            (Way(ini=ALLOWING),),
            f"reach('{HERE}')",
            f"reach('{OTHER}')",
        ),
        Row(
            "the fixture allowed_hosts",
            Way(
                ("--block-network",),
                conftest=f"import pytest\n@pytest.fixture\ndef allowed_hosts():\n    return ['{HERE}']",
            ),
            (Way(ini=ALLOWING),),
            f"reach('{HERE}')",
            f"reach('{OTHER}')",
        ),
        Row(
            "--record-mode=rewrite with --block-network",
            Way(("--block-network", "--record-mode=all"), mark="vcr"),
            (Way(("--test-categories-enforcement=off",), ini=SMALL + "\nmarkers = vcr", mark="vcr"),),
            f"reach('{HERE}')",
            "",
        ),
        Row(
            "blocking_context(allowed_hosts=[...])",
            Way(block=f"__import__('pytest_recording.network').network.blocking_context(allowed_hosts=['{HERE}'])"),
            (Way(block=f"__import__('pytest_test_categories').network_guard('small', allow=['{HERE}'])"),),
            f"reach('{HERE}')",
            f"reach('{OTHER}')",
        ),
    ],
    "pytest-remotedata": [
        Row(
            "remote_data_strict = true",
            Way(ini="remote_data_strict = true"),
            (Way(ini=MEDIUM),),
            f"reach('{HERE}')",
            f"reach('{ABROAD}')",
        ),
        Row(
            "@pytest.mark.remote_data",
            Way(("--remote-data",), mark="remote_data"),
            (mapped("remote_data", "large"), Way(ini=MEDIUM, mark="large")),
            f"reach('{OTHER}')",
            "",
        ),
        Row(
            "@pytest.mark.remote_data(source=...)",
            Way(("--remote-data",), mark="remote_data(source='github')"),
            (mapped("remote_data(source='github')", "large"), mapped("remote_data('astropy')", "large")),
            f"reach('{OTHER}')",
            "",
        ),
        Row(
            "@pytest.mark.internet_off",
            Way(ini="remote_data_strict = true", mark="internet_off"),
            (mapped("internet_off", "medium"), Way(mark="medium")),
            f"reach('{HERE}')",
            f"reach('{ABROAD}')",
        ),
        Row(
            "no_internet()",
            Way(block="__import__('pytest_remotedata.disable_internet').disable_internet.no_internet()"),
            (Way(block="__import__('pytest_test_categories').network_guard('medium')"),),
            f"reach('{HERE}')",
            f"reach('{ABROAD}')",
        ),
    ],
}


def _cases() -> Iterator[object]:
    for tool, rows in ROWS.items():
        for row in rows:
            yield pytest.param(tool, row, row.there, id=f"{row.name} there")
            for number, way in enumerate(row.here):
                yield pytest.param("", row, way, id=f"{row.name} here {number}")


@pytest.mark.parametrize(("tool", "row", "way"), [*_cases()])
def test_both_tools_give_the_verdicts_of_a_row(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes, tmp_path: Path, tool: str, row: Row, way: Way
) -> None:
    if tool:
        pytest.importorskip(PLUGINS[tool].partition(".")[0])
    path = str(tmp_path / "service.sock")
    source = HEAD + way.source("test_permitted", row.permitted)
    if row.refused:
        source += way.source("test_refused", row.refused)
    pytester.makepyfile(test_row=source.replace("PATH", path))
    pytester.makeconftest(way.conftest)
    pytester.makeini(f"[pytest]\n{way.ini}".replace("PATH", path))
    with socket.socket(socket.AF_UNIX) as service:
        if "PATH" in source:
            service.bind(path)
            service.listen()
        mode = "off" if tool else None if way.options[:1] == ("--test-categories-enforcement=off",) else "strict"
        result = run_pytest("-v", *way.options, mode=mode, plugins=(PLUGINS[tool],) if tool else ())
    found = {name: "PASSED" in words for name, words in outcomes(result).items()}
    assert found == {"test_permitted": True, **({"test_refused": False} if row.refused else {})}


@pytest.mark.parametrize("tool", ROWS)
def test_the_page_has_these_rows(tool: str) -> None:
    rows = [row[0] for row in table(PAGE, f"{tool} |")]
    assert rows == [row.name for row in ROWS[tool]]


class _Asked:
    """Takes the options, ini keys and markers that a plugin registers."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.option = self
        self.stash: dict[object, object] = {}

    def getgroup(self, _name: str) -> _Asked:
        return self

    def addoption(self, name: str, **_settings: object) -> None:
        self.names.append(name)

    def addini(self, name: str, *_settings: object, **_others: object) -> None:
        self.names.append(name)


@pytest.mark.parametrize("tool", PLUGINS)
def test_the_page_names_each_option_marker_and_fixture_of_the_other_tool(
    pytester: pytest.Pytester, run_pytest: Run, tool: str
) -> None:
    module = pytest.importorskip(PLUGINS[tool])
    asked = _Asked()
    module.pytest_addoption(asked)
    fixtures = [name for name, value in vars(module).items() if type(value).__name__ == "FixtureFunctionDefinition"]
    ours, theirs = (
        {line.partition(":")[0].partition("(")[0].removeprefix("@pytest.mark.") for line in run.outlines if line}
        for run in (run_pytest("--markers", mode=None, plugins=plugins) for plugins in ((), (PLUGINS[tool],)))
    )
    page = PAGE.read_text(encoding="utf-8")
    names = {*asked.names, *fixtures, *(theirs - ours)}
    assert len(names) > 3
    assert [name for name in sorted(names) if name not in page] == []


BLOCKING: Final = """
import asyncio, contextlib, socket
import pytest
from blockbuster import blockbuster_ctx

@pytest.fixture(autouse=True)
def blockbuster():
    with blockbuster_ctx() as it:
        yield it

def dial():
    with socket.socket() as s:
        s.connect(("127.0.0.1", 9))

async def in_loop():
    with contextlib.suppress(Exception):
        dial()

@pytest.mark.small
def test_blocking_call_in_a_loop():
    asyncio.run(in_loop())

@pytest.mark.small
def test_in_a_loop():
    async def connect():
        with contextlib.suppress(Exception):
            await asyncio.open_connection("127.0.0.1", 9)
    asyncio.run(connect())

@pytest.mark.small
def test_blocking_call():
    with contextlib.suppress(Exception):
        dial()

@pytest.mark.large
def test_large():
    asyncio.run(in_loop())
"""


def test_rule_11_the_run_says_that_blockbuster_stops_blocking_calls_first(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes
) -> None:
    pytest.importorskip("blockbuster")
    pytester.makepyfile(BLOCKING)
    result = run_pytest("-v")
    assert {name for name, words in outcomes(result).items() if words != {"PASSED"}} == {
        "test_in_a_loop",
        "test_blocking_call",
    }
    said = [line for line in result.outlines if line.startswith("blockbuster ")]
    assert said == [
        "blockbuster stops blocking calls in event loops first in 3 tests: what it refuses is not on record here, and a test that swallows that passes"
    ]


@pytest.mark.parametrize(
    ("tool", "options"),
    [("pytest-remotedata", ()), ("", ("--network-available=machine",))],
    ids=["there", "here"],
)
def test_a_run_without_the_internet_skips_what_needs_it(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes, tool: str, options: tuple[str, ...]
) -> None:
    if tool:
        pytest.importorskip(PLUGINS[tool].partition(".")[0])
    way = mapped("remote_data", "large")
    pytester.makepyfile(HEAD + way.source("test_remote", PURE) + "\ndef test_local():\n    pass\n")
    pytester.makeini("[pytest]" if tool else f"[pytest]\n{way.ini}")
    plugins = (PLUGINS[tool],) if tool else ()
    found = outcomes(run_pytest("-v", *options, mode="off" if tool else "strict", plugins=plugins))
    assert found == {"test_remote": {"SKIPPED"}, "test_local": {"PASSED"}}
