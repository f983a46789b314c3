"""Beside other plugins that refuse network access: pytest-socket, pytest-recording, pytest-remotedata."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from pytest_test_categories.pytest_plugin._other_guards import TABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]
    Outcomes = Callable[[pytest.RunResult], dict[str, set[str]]]
    Lines = Callable[[pytest.RunResult], list[str]]


class Other(NamedTuple):
    """How a plugin is asked to block."""

    name: str
    plugin: str
    options: tuple[str, ...] = ()
    marker: str = "skipif(False, reason='')"


OTHERS: Final = [
    pytest.param(Other("pytest-socket", "pytest_socket", marker="disable_socket"), id="pytest-socket"),
    pytest.param(Other("pytest-socket", "pytest_socket", marker="allow_hosts(['127.0.0.1'])"), id="its hosts"),
    pytest.param(Other("pytest-socket", "pytest_socket", ("--disable-socket",)), id="its option"),
    pytest.param(Other("pytest-recording", "pytest_recording.plugin", marker="block_network"), id="pytest-recording"),
    pytest.param(
        Other("pytest-remotedata", "pytest_remotedata.plugin", ("-oremote_data_strict=true",)), id="pytest-remotedata"
    ),
]
BLOCKED: Final = """
import contextlib, socket
import pytest

def swallowed():
    with contextlib.suppress(Exception):
        socket.create_connection(("198.51.100.1", 9), 1)

@pytest.mark.MARKER
@pytest.mark.SIZE
def test_swallows():
    with contextlib.suppress(RuntimeError, OSError), socket.socket() as s:
        s.connect(("198.51.100.1", 9))
"""


def _blocks(other: Other, size: str = "small") -> str:
    return BLOCKED.replace("MARKER", other.marker).replace("SIZE", size)


@pytest.mark.parametrize("other", OTHERS)
def test_rule_11_the_run_says_once_that_another_plugins_refusals_are_not_on_record(
    pytester: pytest.Pytester, run_pytest: Run, summary: Lines, other: Other, workers: int
) -> None:
    pytest.importorskip(other.plugin.partition(".")[0])
    source = _blocks(other)
    pytester.makepyfile(test_one=source, test_two=source)
    result = run_pytest(*other.options, "-Wignore", plugins=(other.plugin,), workers=workers)
    assert summary(result) == [
        f"{other.name} blocks first in 2 tests: what it refuses is not on record here, and a test that swallows that passes",
        "sizes: 2 small",
    ]
    assert result.parseoutcomes() == {"passed": 2}


@pytest.mark.parametrize("other", OTHERS)
def test_nothing_is_said_of_plugins_that_block_nothing_or_only_where_everything_is_permitted(
    pytester: pytest.Pytester, run_pytest: Run, summary: Lines, other: Other
) -> None:
    pytest.importorskip(other.plugin.partition(".")[0])
    pytester.makepyfile(
        test_large=_blocks(other, "large"),
        test_small="import pytest\n@pytest.mark.small\ndef test(): pass"
        if not other.options
        else "import pytest\n@pytest.mark.large\ndef test(): pass",
    )
    result = run_pytest(*other.options, "-Wignore", plugins=(other.plugin,))
    assert [line for line in summary(result) if not line.startswith("sizes:")] == []


AFTERWARDS: Final = """
import contextlib, socket
import pytest

@pytest.fixture
def late():
    yield
    with contextlib.suppress(OSError), socket.socket() as s:
        s.connect(("late.example.com", 80))

@pytest.mark.MARKER
def test_a_is_blocked(): pass

@pytest.mark.medium
def test_b_clean():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as s:
        s.connect(("localhost", server.getsockname()[1]))
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as s:
        assert s.connect_ex(server.getsockname()) == 0

@pytest.mark.small
def test_c_looks_up():
    with contextlib.suppress(OSError), socket.socket() as s:
        s.connect(("api.example.com", 80))

@pytest.mark.small
def test_d_looks_up():
    with contextlib.suppress(OSError), socket.socket() as s:
        s.connect_ex(("api.example.com", 81))

@pytest.mark.small
def test_e_asks():
    with contextlib.suppress(Exception): socket.getaddrinfo("api.example.com", 82)
    with contextlib.suppress(Exception): socket.gethostbyname("www.example.com")
    socket.socketpair()[0].close()

@pytest.mark.small
def test_f_looks_up_late(late): pass
"""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("other", [other for other in OTHERS if not other.values[0].options])  # type: ignore[union-attr]
def test_what_another_plugin_puts_back_is_ours(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes, summary: Lines, other: Other
) -> None:
    pytest.importorskip(other.plugin.partition(".")[0])
    pytester.makepyfile(test_all=AFTERWARDS.replace("MARKER", other.marker))
    result = run_pytest("-v", "-Wignore", plugins=(other.plugin,))
    found = outcomes(result)
    assert {name: words for name, words in found.items() if "FAILED" not in words} == {
        "test_a_is_blocked": {"PASSED"},
        "test_b_clean": {"PASSED"},
        "test_f_looks_up_late": {"PASSED", "ERROR"},
    }
    targets = [line.split()[0] for line in summary(result) if re.match(r" {4}\S", line)]
    assert targets == [
        "api.example.com:80",
        "api.example.com:81",
        "api.example.com:82",
        "www.example.com",
        "late.example.com:80",
    ]


def test_what_another_plugin_keeps_is_its_own_again_after_the_session(pytester: pytest.Pytester) -> None:
    for other in TABLE:
        pytest.importorskip(other.module.partition(".")[0])
    pytester.makepyfile("import pytest\n@pytest.mark.small\ndef test(): pass")
    script = f"""
        import importlib, socket, pytest
        before = [dict(vars(importlib.import_module(module))) for module in {[other.module for other in TABLE]}]
        plain = dict(vars(socket.socket)), dict(vars(socket))
        assert pytest.main(["-q", "-p", "pytest_test_categories.pytest_plugin", "-p", "no:cacheprovider"]) == 0
        after = [dict(vars(importlib.import_module(module))) for module in {[other.module for other in TABLE]}]
        assert [{{k for k in a if a[k] is not b[k]}} for a, b in zip(after, before)] == {[set() for _ in TABLE]}
        assert plain == (dict(vars(socket.socket)), dict(vars(socket)))
        """
    path = pytester.makepyfile(script=script)
    environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, env=os.environ | environment)
    assert done.returncode == 0, done.stdout + done.stderr


MIGRATED: Final = """
import contextlib, socket
import pytest

@pytest.mark.NONE
def test_pure(): pass

@pytest.mark.NONE
def test_swallows():
    with contextlib.suppress(Exception): socket.create_connection(("198.51.100.1", 9), 1)

@pytest.mark.NONE
def test_raises():
    socket.create_connection(("198.51.100.1", 9), 1)

@pytest.mark.LOCAL
def test_local():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()

@pytest.mark.LOCAL
def test_local_swallows():
    with contextlib.suppress(Exception): socket.create_connection(("198.51.100.1", 9), 1)
"""


@pytest.mark.parametrize(
    ("plugin", "none", "local", "red"),
    [
        ("pytest_socket", "disable_socket", "allow_hosts(['127.0.0.1'])", {"test_raises"}),
        (
            "pytest_recording.plugin",
            "block_network",
            "block_network(allowed_hosts=['127[.]0[.]0[.]1'])",
            {"test_raises"},
        ),
        ("", "small", "medium", {"test_raises", "test_swallows", "test_local_swallows"}),
    ],
    ids=["pytest-socket", "pytest-recording", "migrated"],
)
def test_the_same_tests_migrated_are_right(
    pytester: pytest.Pytester,
    run_pytest: Run,
    outcomes: Outcomes,
    plugin: str,
    none: str,
    local: str,
    red: set[str],
) -> None:
    if plugin:
        pytest.importorskip(plugin.partition(".")[0])
    pytester.makepyfile(test_all=MIGRATED.replace("NONE", none).replace("LOCAL", local))
    result = run_pytest("-v", "-Wignore", mode="off" if plugin else "strict", plugins=(plugin,) if plugin else ())
    found = outcomes(result)
    assert len(found) == 5
    assert {name for name, words in found.items() if words != {"PASSED"}} == red
