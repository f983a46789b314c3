"""How the plugin and its settings come in: addopts, a conftest's pytest_plugins, class attributes, an override."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest
from tests.waiting import until

from pytest_test_categories._attribution import origin
from pytest_test_categories._ledger.runs import runs
from pytest_test_categories._runtime import runtime

if TYPE_CHECKING:
    from collections.abc import Callable

BINDS: Final = """
import socket, unittest
import pytest
from pytest_test_categories import SmallTest, network_guard

def bind():
    with socket.socket() as s: s.bind(("127.0.0.1", 0))

@pytest.mark.small
def test_small(): bind()

@pytest.mark.medium
def test_medium(): bind()
"""


def test_settings_may_stand_in_addopts_and_in_the_environment(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
) -> None:
    pytester.makepyfile(BINDS)
    pytester.makeini("[pytest]\naddopts = --test-categories-enforcement=strict\n")
    run_pytest(mode=None, workers=workers).assert_outcomes(passed=1, failed=1)
    pytester.makeini("[pytest]\n")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--test-categories-enforcement=strict --network-allow=small:127.0.0.0/8")
    run_pytest(mode=None, workers=workers).assert_outcomes(passed=2)


@pytest.mark.parametrize("where", ["ini file", "argument"])
def test_a_conftest_may_load_the_plugin(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest("pytest_plugins = ['pytest_test_categories.pytest_plugin']")
    pytester.makeini("[pytest]\n" + ("" if where == "argument" else "test_categories_enforcement = strict\n"))
    pytester.makepyfile(BINDS)
    result = pytester.runpytest_subprocess(
        "-p",
        "no:cacheprovider",
        *(["--test-categories-enforcement=strict", "--network-allow=postgres:5432"] if where == "argument" else []),
    )
    result.assert_outcomes(passed=1, failed=1)


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        pytest.param(
            "network_mode = 'strickt'",
            "'strickt' is not an enforcement mode; choose one of strict, warn, off",
            id="mode",
        ),
        pytest.param("network_allow = ['10.0.0.0/99']", "10.0.0.0/99", id="allow entry"),
    ],
)
def test_a_bad_class_attribute_is_a_collection_error(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], attribute: str, message: str
) -> None:
    pytester.makepyfile(
        test_bad=BINDS + f"\nclass Bad(SmallTest, unittest.TestCase):\n    {attribute}\n    def test_one(self): pass\n"
    )
    result = run_pytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([f"test_bad.py::Bad: *{message}*"])
    assert "Traceback" not in result.stdout.str()


def test_a_guard_nested_in_any_fixture_overrides_by_tightening(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
) -> None:
    pytester.makepyfile(
        BINDS
        + """
@pytest.fixture
def tight():
    with network_guard("small"): yield

@pytest.fixture
def loose():
    with network_guard("large"): yield

@pytest.mark.medium
def test_tightened(tight): bind()

@pytest.mark.small
def test_not_loosened(loose): bind()

@pytest.fixture(autouse=True)
@network_guard("medium")
def decorated(): bind()

@network_guard("small")
@pytest.mark.large
def test_decorated(): bind()
"""
    )
    found = outcomes(run_pytest("-v"))
    assert {name for name, words in found.items() if words == {"PASSED"}} == {"test_medium"}
    assert len(found) == 5
    assert found["test_tightened"] == {"FAILED"}


def test_a_guard_above_a_fixture_says_to_swap_the_two(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(BINDS + "\n@network_guard('small')\n@pytest.fixture\ndef swapped(): pass\n")
    result = run_pytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*TypeError: *swap the two*"])


def test_nothing_stays_patched_after_a_run_in_this_process(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The check itself is the autouse fixture of all our tests. A thread that an earlier test left keeps a run's guard.
    assert until(lambda: not origin.threads_left())
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(BINDS)
    for mode, counts in (
        ("strict", {"passed": 1, "failed": 1}),
        ("warn", {"passed": 2}),
        ("off", {"passed": 2}),
    ):
        result = pytester.runpytest_inprocess(
            "-p",
            "pytest_test_categories.pytest_plugin",
            "-p",
            "no:cacheprovider",
            f"--test-categories-enforcement={mode}",
        )
        result.assert_outcomes(**counts)
    assert (runs, runtime.holders) == ([], 0)


PROBE: Final = """
import json, sys

BEFORE = set(sys.modules)  # coverage measures child processes, too

def pytest_unconfigure():
    ours = {name for name in sys.modules if name.startswith("pytest_test_categories")}
    rewritten = sorted(n for n in ours if "rewrite" in type(sys.modules[n].__spec__.loader).__module__)
    there = sorted({"asyncio", "concurrent.futures", "ssl", "multiprocessing", "ctypes"} & set(sys.modules) - BEFORE)
    print("PROBE", json.dumps([rewritten, there, [type(finder).__name__ for finder in sys.meta_path]]))
"""


NO_PDB: Final = ("-p", "no:debugging")
"""From CPython 3.14 on pdb imports asyncio, and pytest imports pdb."""


@pytest.mark.parametrize("mode", ["strict", "off"])
def test_pytest_rewrites_nothing_of_ours_and_nothing_dear_is_imported(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(probe=PROBE, test_it="import pytest\n@pytest.mark.small\ndef test_it(): pass\n")
    ours = ["-p", "pytest_test_categories.pytest_plugin", f"--test-categories-enforcement={mode}"]
    result = pytester.runpytest_subprocess("-p", "probe", "-p", "no:cacheprovider", *NO_PDB, *ours, "-W", "error")
    result.assert_outcomes(passed=1)
    line = next(line for line in result.outlines if line.startswith("PROBE"))
    rewritten, there, finders = json.loads(line.removeprefix("PROBE"))
    assert (rewritten, there) == (["pytest_test_categories.pytest_plugin"], [])  # pytest itself imports that one
    assert "_Plainly" not in finders


NEEDED: Final = frozenset(
    """
    _attribution _attribution.carriers _attribution.carriers.executors _attribution.carriers.exits
    _attribution.carriers.greenlets _attribution.carriers.loops _attribution.carriers.signals
    _attribution.carriers.threads _attribution.origin _attribution.stack _attribution.tasks _guard _host
    _host.c_library _host.files _host.imports _host.multicast _host.names _host.system _host.unix_sockets _host.wrapping
    _judge _ledger _ledger.expecting _ledger.ledger _ledger.records _ledger.runs _processes _processes.child
    _processes.child.pytest_test_categories_child _processes.forked _processes.jobs _processes.pools
    _processes.programs _processes.spool _rules _rules.address _rules.advice _rules.errors _rules.named_tuples
    _rules.policy _rules.violation _rules.wording _runtime _watch _watch.audit _watch.clients _watch.clients.announced
    _watch.connections _watch.endpoints _watch.passes _watch.sockets pytest_plugin pytest_plugin._collection
    pytest_plugin._fixtures pytest_plugin._options pytest_plugin._other_guards pytest_plugin._phases
    pytest_plugin._private pytest_plugin._runners pytest_plugin._session pytest_plugin._sizes pytest_plugin._summary
    pytest_plugin._unwatched
    """.split()
)
"""All that a run of small tests imports of this package while nothing is refused; a start costs what these cost."""

NEEDED_IN_OFF_MODE: Final = frozenset(
    "_ledger _ledger.runs pytest_plugin pytest_plugin._off pytest_plugin._options".split()
)


@pytest.mark.parametrize(
    ("mode", "needed"), [pytest.param("strict", NEEDED, id="strict"), pytest.param("off", NEEDED_IN_OFF_MODE, id="off")]
)
def test_a_run_that_breaks_no_rule_imports_no_more_than_it_needs(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, mode: str, needed: frozenset[str]
) -> None:
    """What the other runs need (reports, baselines, fakes, the kernel layer) comes when it is asked for."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    probe = (
        "import sys\ndef pytest_unconfigure():\n"
        "    print('OURS', *(n for n in sys.modules if n.startswith('pytest_test_categories.')))"
    )
    pytester.makepyfile(probe=probe, test_it="import pytest\n@pytest.mark.small\ndef test_it(): pass\n")
    ours = ["-p", "pytest_test_categories.pytest_plugin", f"--test-categories-enforcement={mode}"]
    result = pytester.runpytest_subprocess("-p", "probe", "-p", "no:cacheprovider", *NO_PDB, *ours)
    result.assert_outcomes(passed=1)
    line = next(line for line in result.outlines if line.startswith("OURS"))
    imported = {name.removeprefix("pytest_test_categories.") for name in line.split()[1:]}
    assert imported - needed == set()


REFUSED: Final = """
import socket
from unittest import mock

import pytest

@pytest.mark.small
def test_it():
    with mock.patch("builtins.open", side_effect=TypeError), mock.patch("os.stat", side_effect=TypeError):
        socket.create_connection(("198.51.100.1", 80))
"""


def test_what_a_refusal_needs_is_imported_whatever_the_test_has_replaced(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makeconftest(
        """
        import sys

        def pytest_unconfigure():
            late = sys.modules["pytest_test_categories._attribution.client_requests"]
            print("LOADER", type(late.__spec__.loader).__name__)
            print("FINDERS", [type(finder).__name__ for finder in sys.meta_path])
        """
    )
    pytester.makepyfile(REFUSED)
    result = run_pytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Attempted network connection to 198.51.100.1:80*"])
    assert "LOADER SourceFileLoader" in result.outlines
    assert not any("_Plain'" in line for line in result.outlines)
