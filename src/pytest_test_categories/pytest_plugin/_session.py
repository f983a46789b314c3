"""The session: installs the layers and keeps the record of the run; it decides nothing."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories._attribution import origin, stack
from pytest_test_categories._attribution.origin import Scope, ScopeKind, current
from pytest_test_categories._host.imports import import_late
from pytest_test_categories._host.system import System
from pytest_test_categories._host.wrapping import install_all, remove_all
from pytest_test_categories._ledger.runs import Run, runs
from pytest_test_categories._rules.errors import NetworkAccessViolationError, NetworkAccessWarning
from pytest_test_categories._rules.policy import EnforcementMode, Policy, TestSize
from pytest_test_categories._runtime import runtime
from pytest_test_categories.pytest_plugin import _options, _private, _runners
from pytest_test_categories.pytest_plugin._collection import Collecting
from pytest_test_categories.pytest_plugin._fixtures import FixtureGuard, FixturePlan
from pytest_test_categories.pytest_plugin._other_guards import OtherGuards
from pytest_test_categories.pytest_plugin._phases import Phases
from pytest_test_categories.pytest_plugin._sizes import Sizes
from pytest_test_categories.pytest_plugin._summary import REPORTS, Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

    from pytest_test_categories.pytest_plugin._held import HeldFixtures
    from pytest_test_categories.pytest_plugin._options import Settings
    from pytest_test_categories.pytest_plugin._tracker import Tracker
    from pytest_test_categories.pytest_plugin._waiting import Waiting

_WARNING_FILTER: Final = "default::pytest_test_categories.NetworkAccessWarning"


class PytestNetworkAccessWarning(NetworkAccessWarning, pytest.PytestWarning):
    """The warning of warn mode under pytest."""


# Under the name of the base class, since users copy the name that pytest prints into a filter, and xdist's controller
# looks the class up by it.
PytestNetworkAccessWarning.__module__ = "pytest_test_categories"
PytestNetworkAccessWarning.__name__ = PytestNetworkAccessWarning.__qualname__ = "NetworkAccessWarning"


REPORT_HOOKS: Final = frozenset(
    {
        "pytest_collectreport",
        "pytest_collectstart",
        "pytest_enter_pdb",
        "pytest_exception_interact",
        "pytest_internalerror",
        "pytest_itemcollected",
        "pytest_keyboard_interrupt",
        "pytest_leave_pdb",
        "pytest_runtest_logfinish",
        "pytest_runtest_logreport",
        "pytest_runtest_logstart",
        "pytest_terminal_summary",
        "pytest_warning_recorded",
    }
)
"""Hooks of IDE adapters, reporters and dashboards: their traffic belongs to the runner, not to a test."""


_RUNNING_HOOKS: Final = frozenset(
    {
        "pytest_cmdline_main",
        "pytest_fixture_setup",
        "pytest_pyfunc_call",
        "pytest_runtest_call",
        "pytest_runtest_protocol",
        "pytest_runtest_setup",
        "pytest_runtest_teardown",
        "pytest_runtestloop",
    }
)
"""Hooks that are on the stack of every test: checking an implementation's name is faster than pluggy's locals."""


def _is_report_hook(frame: FrameType, called: FrameType | None) -> bool:
    if called is not None and called.f_code.co_name in _RUNNING_HOOKS:
        return False
    return _private.hook_of(frame) in REPORT_HOOKS


class Session:
    """One pytest session under guard."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._terminal = _duplicate(2)
        assert settings.mode is not None
        self.run = Run(
            mode=settings.mode,
            allow=settings.allow,
            deny=settings.deny,
            root=str(config.rootpath),
            announce=self._announce,
            warning=PytestNetworkAccessWarning,
            base=current.get(),
        )
        self.run.baseline = settings.baseline
        self.run.fakes = settings.fakes
        self._note_kernel_layer()
        option = config.known_args_namespace
        self.run.groups = getattr(config.option, "loadgroup", False) or getattr(option, "dist", "") == "loadgroup"
        if settings.observing:
            # Encloses the whole run: records what no guard refuses.
            everything = Policy(TestSize.SMALL, EnforcementMode.OFF)
            self.run.observing = self.run.base = Scope(ScopeKind.OBSERVE, everything, "", parent=self.run.base)
        self._tracker: Tracker | None = None
        self._sizes = Sizes(settings, self.run.root)
        self._plan = FixturePlan(settings, self._sizes)
        self._collecting = Collecting(settings, self.run)
        self._phases = Phases(settings, self.run, self._sizes)
        self._fixtures = FixtureGuard(self._plan, self.run, self._phases)
        self._others = OtherGuards(self._phases)
        self._hook_before: Callable[[threading.ExceptHookArgs], object] | None = None
        self._waiting: Waiting | None = None
        self._held: HeldFixtures | None = None
        self._entry_points = _runners.entry_points(self._phases)
        self._no_reports = [True]  # until the first violation
        self.run.on_record = self._expect_reports
        runs.append(self.run)
        runtime.hold()
        install_all(self._entry_points)
        self._others.replace_kept()
        stack.set_aside(_private.CALLS_HOOKS, _is_report_hook)
        config.add_cleanup(self._close)

    def _note_kernel_layer(self) -> None:
        """Note whether the kernel layer is in force: after its start it may turn out not to be."""
        self.run.children_watched = runtime.judge.outside is not None
        wanted = self._settings.unwatched == _options.ERROR and self.run.mode is not EnforcementMode.OFF
        self.run.unwatched_fails = wanted and not self.run.children_watched

    def configure(self, config: pytest.Config) -> None:
        """Register the parts that run with tests."""
        self._note_kernel_layer()
        warns = self._settings.mode is EnforcementMode.WARN or self._settings.baseline is not None
        if warns and not any("NetworkAccessWarning" in line for line in config.getini("filterwarnings")):
            # With "error" in the ini file, warn mode still warns; -W on the command line comes later and overrides it.
            config.addinivalue_line("filterwarnings", _WARNING_FILTER)
        manager = config.pluginmanager
        manager.register(self._phases, "test-categories-phases")
        self._register_results(config)
        if self._settings.target is not None:
            from pytest_test_categories.pytest_plugin import _bazel

            _bazel.register(config, self._settings.target)
        self._register_held(config)
        self._summary = Summary(self.run, self._phases, self._fixtures, self._sizes, self._others, config)
        manager.register(self._summary, "test-categories-summary")

    def _register_held(self, config: pytest.Config) -> None:
        """Register the part that compares what fixtures are held to with the file, or says that it depends on a part.

        Without a file that is worth a line only if the user asks for details.
        """
        if self._settings.fixtures is None:
            if getattr(config.option, "verbose", 0) <= 0 or self._settings.explain:
                return
            from pytest_test_categories.pytest_plugin import _selection

            if _selection.is_whole(config):
                return
        from pytest_test_categories.pytest_plugin._held import HeldFixtures

        self._held = HeldFixtures(config, self._settings, self._phases.label, self._plan, self._sizes)
        config.pluginmanager.register(self._held, "test-categories-held")

    def _register_results(self, config: pytest.Config) -> None:
        """Register the parts that need data of the whole run, if a report, baseline, suggestion or annotation does."""
        settings = self._settings
        if settings.explain:
            from pytest_test_categories.pytest_plugin._explain import Explain

            explain = Explain(config, settings, self.run, self._sizes, self._plan)
            config.pluginmanager.register(explain, "test-categories-explain")
            return
        wanted = settings.observing or settings.baseline is not None or settings.gates
        if not (wanted or _options.wants_annotations()):
            return
        from pytest_test_categories.pytest_plugin import _results
        from pytest_test_categories.pytest_plugin._tracker import Tracker

        self._tracker = Tracker(config, settings, self.run, self._phases)
        config.pluginmanager.register(self._tracker, "test-categories-tracker")
        _results.register(config, settings, self.run, self._tracker)
        if settings.gates and not hasattr(config, "workerinput"):
            from pytest_test_categories.pytest_plugin._gates import Gates

            config.pluginmanager.register(Gates(config, settings, self._tracker), "test-categories-gates")

    def _expect_reports(self) -> None:
        """Register the part that handles reports with violations, at the first violation."""
        if not self._no_reports:
            return
        # ``pop`` is one step for the interpreter. A lock could make a hub wait.
        try:
            self._no_reports.pop()
        except IndexError:  # another thread was faster
            return
        self._config.pluginmanager.register(import_late("pytest_plugin._reports").Reports(self._phases), REPORTS)

    def collecting(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Watch the import of a conftest."""
        return self._collecting.conftest(name)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Install a hook for exceptions in threads, in front of pytest's own."""
        self._hook_before = threading.excepthook
        threading.excepthook = self._thread_hook

    # -- collection ----------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Exempt the threads and exit functions that exist before the first test module is imported."""
        if runs == [self.run]:
            runtime.exit.expect()
            if runtime.judge.outside is not None:
                runtime.judge.outside.begin_tests()
        origin.free_threads(t for t in threading.enumerate() if t is not origin.running_thread())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        """Watch the imports of a collector."""
        return (yield from self._collecting.collect_report(collector, self._sizes))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> Generator[None]:
        """Evaluate all items, including those that get deselected, after every plugin has added its markers."""
        everything = list(items)
        result = yield
        self._collecting.check_items(session, items, everything, self._sizes)
        if self._held is not None:
            self._held.before(session, everything)
        self._plan.compute(everything)
        if self._held is not None:
            self._held.after()
        if self._settings.path_sizes or self._settings.fixture_sizes:
            from pytest_test_categories.pytest_plugin import _selection

            self._summary.note_unused(_selection.unused(session, everything, self._settings, self._sizes))
        if self._tracker is not None:
            self._tracker.note_selection(everything, items)
            if self._settings.baseline is not None:
                self._tracker.note_users(items, self._plan, self._settings.baseline)
        if self._tracker is not None and self._settings.observing:
            self._tracker.note_items(everything, items, self._plan, self._sizes)
        self._collecting.settle(session, items, everything, self._sizes)
        if self._sizes.have_lists:
            runtime.judge.listing.add(self._sizes)
        self._phases.note_items(items)
        if self._others.are_there():
            session.config.pluginmanager.register(self._others, "test-categories-other-guards")
        if self._plan.needed(session):
            session.config.pluginmanager.register(self._fixtures, "test-categories-fixtures")
        return result

    def _thread_hook(self, args: threading.ExceptHookArgs) -> None:
        # pytest would warn about it in whichever test runs by then; the record of its own test has it already.
        error = args.exc_value
        if not isinstance(error, NetworkAccessViolationError):
            if self._hook_before is not None:
                self._hook_before(args)
        elif error.violations:
            if self._waiting is None:
                from pytest_test_categories.pytest_plugin._waiting import Waiting

                self._waiting = Waiting(self._announce)
            self._waiting.note_death("" if args.thread is None else args.thread.name, error.violation)

    # -- the end -------------------------------------------------------------------------------------------------------

    def _announce(self, text: str) -> None:
        with contextlib.suppress(OSError):
            System.write(self._terminal, f"\n{text}\n".encode(errors="replace"))

    def _close(self) -> None:
        if self._waiting is not None:
            self._waiting.closed = True
        if threading.excepthook == self._thread_hook and self._hook_before is not None:
            threading.excepthook = self._hook_before
        stack.unset_aside(_private.CALLS_HOOKS, _is_report_hook)
        remove_all(self._entry_points)
        self._others.close()
        if runtime.leave(self.run, self._phases.largest()) and self._terminal >= 0:
            os.close(self._terminal)
            # Nothing is captured any more. If 2 was closed from the start, -1 stays: 2 may be another file by now.
            self._terminal = 2


def _duplicate(descriptor: int) -> int:
    """Return a duplicate of a descriptor, which capturing doesn't redirect; -1 if it is closed."""
    try:
        return os.dup(descriptor)
    except OSError:
        return -1
