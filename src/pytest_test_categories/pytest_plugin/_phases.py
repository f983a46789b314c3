"""The phases of a test: each runs under the test's guard, and reports at its end what the guard refused."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections import Counter
from typing import TYPE_CHECKING, Final, TypeVar

import pytest

from pytest_test_categories._attribution import origin
from pytest_test_categories._attribution.origin import Scope, ScopeKind, current, state
from pytest_test_categories._attribution.stack import identity
from pytest_test_categories._guard import NetworkGuard, is_skip
from pytest_test_categories._ledger.ledger import error_of
from pytest_test_categories._rules.policy import (
    EnforcementMode,
    Policy,
    TestSize,
    parse_only,
    parse_own_allow,
)
from pytest_test_categories._runtime import runtime
from pytest_test_categories.pytest_plugin import _private
from pytest_test_categories.pytest_plugin._options import ALLOW_MARKER, ONLY_MARKER

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from pytest_test_categories._ledger.records import Record
    from pytest_test_categories._ledger.runs import Run
    from pytest_test_categories._rules.address import AllowEntry
    from pytest_test_categories._rules.violation import Violation
    from pytest_test_categories.pytest_plugin._options import Settings
    from pytest_test_categories.pytest_plugin._sizes import Sizes

_T = TypeVar("_T")

_FIXTURE: Final = "network_isolation"
_KEPT: Final = 32
_TEST: Final = ScopeKind.TEST  # looked up once, not for each test

REPORT_KEY: Final = "test_categories"
"""Attribute of reports that holds violations; xdist sends it to its controller with the report."""

SIZE_KEY: Final = "test_categories_size"
"""Attribute of the first report of a test that ran in its own process: the size to count the test under."""

SECTION: Final = "TC001 network access"
"""Title of the section with the violations, in a report that failed for another reason."""


def _hidden(info: pytest.ExceptionInfo[BaseException]) -> bool:
    """Hide one of our frames, except for groups: pytest 8.4 fails on a group if no frame of it is shown."""
    return not isinstance(info.value, BaseExceptionGroup)


class _Test(Scope):
    """One item that runs or has run, from its set-up on: the scope that judges its attempts. Several may run at once.

    Attributes:
        item: The item; compared by identity, since two items may have the same node id.
        inner: A guard that a fixture entered for the test, and that is current in its phases; None for none.
        outer: The scope that was current before the present phase.
        has_run: Whether the body ran before the set-up, so that its refusals are still to be reported.
    """

    inner: Scope | None = None
    outer: Scope | None = None
    has_run = False
    where = ""

    def __init__(self, item: pytest.Item, policy: Policy, parent: Scope | None) -> None:
        # Instead of the constructor of ``Scope``: each test comes here, and most make no attempt, which needs the rest.
        self.kind = _TEST
        self.item = item
        self.policy = policy
        self.parent = parent
        self.around = () if parent is None else parent.chain
        self.open = True
        self.records = {}
        self.memo = {}
        self.serial = next(state.serials)
        self.thread = origin.this_thread()

    @functools.cached_property
    def test(self) -> str:  # type: ignore[override]  # may be set, as in other scopes
        """The test's node id, until a group is removed from it."""
        return self.item.nodeid

    @functools.cached_property
    def file(self) -> object:  # type: ignore[override]
        """The test's file."""
        return self.item.path

    def end(self) -> None:
        """Close the scope; attempts of work that the test left behind count as late from now on."""
        if self.has_run:
            self.has_run = False
        if self.open:
            self.close()


class Phases:
    """Guards each item, from its first fixture to its last finalizer."""

    def __init__(self, settings: Settings, run: Run, sizes: Sizes) -> None:
        self._run = run
        self._sizes = sizes
        assert settings.mode is not None
        self._mode = settings.mode
        self._updating = settings.baseline_update
        self._policies: dict[TestSize | None, Policy] = {}
        self._unrestricted = Policy(None, self._mode, settings.allow)
        self._allow = settings.allow
        self._deny = settings.deny
        self._now: _Test | None = None  # the latest
        self._tests: dict[int, _Test] = {}  # by identity: tests that run, and some that ran, for their reports
        self._room = _KEPT
        self._uncounted: dict[int, pytest.Item] = {}  # by identity, which stays unique while the dict holds the item
        self._process = os.getpid()
        self._ran: list[Policy] = []  # the policy of each test that was counted
        self._policies_below: dict[int, tuple[object, Policy]] = {}
        self.fixture_scopes: list[Scope] = []
        self.broken: dict[object, BaseException] = {}  # by fixture definition: errors that pytest doesn't keep

    # -- the guard of a test -----------------------------------------------------------------------------------------

    def policy(self, size: TestSize | None, cls: type | None = None) -> Policy:
        """Return the policy of a size, adjusted by the test class's ``network_mode``, ``_allow`` and ``_only``."""
        policy = self._policies.get(size)
        if policy is None:
            policy = self._policies[size] = Policy(size, self._mode, self._allow, deny=self._deny)
        mode = getattr(cls, "network_mode", None)
        allow = getattr(cls, "network_allow", ())
        only = getattr(cls, "network_only", None)
        if mode is None and not allow and only is None:
            return policy
        return policy._replace(
            mode=self._mode_of(mode),
            allow=policy.allow + self._entries(parse_own_allow, allow),
            only=self._entries(parse_only, only),
        )

    def _entries(self, parse: Callable[..., tuple[_T, ...]], given: object) -> tuple[_T, ...]:
        """Return the parsed entries of a class or of markers; in off mode invalid ones are ignored."""
        try:
            return parse(given)
        except ValueError:
            if self._mode is EnforcementMode.OFF:
                return ()
            raise

    def _mode_of(self, mode: EnforcementMode | str | None) -> EnforcementMode:
        """Return the mode of a class; a run that is to refuse nothing overrides it."""
        if mode is None or self._mode is EnforcementMode.OFF:
            return self._mode
        parsed = EnforcementMode.parse(mode)
        return self._mode if self._updating and parsed is EnforcementMode.STRICT else parsed

    def _policy_of(self, item: pytest.Item) -> Policy:
        # Most tests get their size from their module or class, and share the policy of the other tests there.
        parent = item.parent
        if not item.own_markers:
            known = self._policies_below.get(identity(parent))
            if known is not None and known[0] is parent:
                return known[1]
        policy = self.policy(self._sizes.of(item), parent.obj if isinstance(parent, pytest.Class) else None)
        if self._sizes.have_entries:
            policy = self._marked(policy, item)
        if policy.mode is EnforcementMode.OFF and self._mode is not EnforcementMode.OFF:
            policy = self._unrestricted
        if not item.own_markers:
            self._policies_below[identity(parent)] = (parent, policy)
        return policy

    def _marked(self, policy: Policy, item: pytest.Item) -> Policy:
        """Return a policy widened by all ``network_allow`` markers of a test, its classes and its module.

        Each ``network_only`` marker narrows it further.
        """
        given = [entry for mark in item.iter_markers(ALLOW_MARKER) for entry in mark.args]
        try:
            allow = self._entries(parse_own_allow, given) + self._entries(self._of_size, item)
            lists = [self._entries(parse_only, mark.args) for mark in item.iter_markers(ONLY_MARKER)]
        except ValueError as error:  # added while the tests run, so nothing has checked it before
            raise pytest.UsageError(f"{item.nodeid}: an entry of a marker: {error}") from None
        if not allow and not lists:
            return policy
        return policy._replace(allow=policy.allow + allow, only=(*policy.only, *itertools.chain(*lists)))

    def _of_size(self, item: pytest.Item) -> tuple[AllowEntry, ...]:
        return parse_own_allow([entry for _, entries in self._sizes.entries_of_size(item) for entry in entries])

    def label(self, item: pytest.Item) -> str:
        """Return a test's node id without the group that pytest-xdist appends to it."""
        if not self._run.groups:
            return item.nodeid
        from pytest_test_categories._report.baseline import plain_id  # few runs need it, so none pays for it at import

        return plain_id(item.nodeid)

    def with_known(self, policy: Policy, test: str, fixture: str = "", home: str = "") -> Policy:
        """Return a policy with the violations that the baseline lists for a test, or for a fixture."""
        known = None if self._run.baseline is None else self._run.baseline.of(test, fixture, home)
        return policy._replace(known=known) if known else policy

    def note_items(self, items: list[pytest.Item]) -> None:
        """Note the collected items: each is counted once, and items into which a runner groups them are not."""
        self._uncounted.update(zip(map(identity, items), items, strict=True))

    @property
    def scope(self) -> Scope | None:
        """The scope of the latest test."""
        return self._now

    def scope_of(self, item: pytest.Item) -> Scope | None:
        """Return the scope of a test; None if no report of the test is due, or if the test ended long ago."""
        test = self._known(item)
        return None if test is None or test.has_run else test

    def _known(self, item: pytest.Item) -> _Test | None:
        now = self._now
        return now if now is not None and now.item is item else self._tests.get(identity(item))

    def _open(self, item: pytest.Item, known: _Test | None) -> _Test:
        if known is not None:  # a rerun; some runners skip the tear-down before it
            known.end()
        policy = self._policy_of(item)
        if self._run.baseline is not None:
            policy = self.with_known(policy, self.label(item))
        test = _Test(item, policy, self._run.base)
        if self._run.groups:
            test.test = self.label(item)
        key = identity(item)
        if self._process != os.getpid():
            _carry_sizes(item.config.pluginmanager, self)
        elif self._uncounted.pop(key, None) is not None:
            self._ran.append(policy)
        self._now = self._tests[key] = test
        if len(self._tests) > self._room:
            for known_by, one in self._tests.copy().items():  # tests may begin in several threads at once
                if not one.open:
                    self._tests.pop(known_by, None)
            self._room = 2 * len(self._tests) + _KEPT
        # With the value in place pytest doesn't set the fixture up, which is most of an autouse fixture's cost.
        values = _private.values_to_fill(item, _FIXTURE)
        if values is not None:
            values[_FIXTURE] = NetworkGuard.of(test)
        return test

    @property
    def counts(self) -> dict[str, int]:
        """How many tests of each size have run; under ``""``, those with neither a size nor a ``network_only`` list."""
        times = Counter(map(identity, self._ran))
        found: Counter[str] = Counter()
        for policy in self._policies_of_tests():
            if policy.size is not None or not policy.only:
                found["" if policy.size is None else policy.size.value] += times[identity(policy)]
        return found

    def _policies_of_tests(self) -> list[Policy]:
        """Return the policies of the tests that ran, each once."""
        return list({identity(policy): policy for policy in self._ran}.values())

    def largest(self) -> Policy | None:
        """Return the widest policy of the tests that ran; None if it restricts nothing, or if no test ran.

        Deny entries hold for all tests and are kept; ``network_only`` lists belong to single tests and are not.
        """
        ran = self._policies_of_tests()
        sizes = [policy.size for policy in ran if policy.size is not None]
        size = max(sizes, key=lambda size: size.rank) if sizes and len(sizes) == len(ran) else None
        if not ran or (size is None and not self._deny):
            return None
        allow = tuple(dict.fromkeys(entry for policy in ran for entry in policy.allow))
        return Policy(size, self._mode, allow, deny=self._deny)

    @pytest.fixture(autouse=True)
    def network_isolation(self) -> NetworkGuard:
        """Return the guard of the running test. Request it in a fixture that is to run under that guard."""
        # It doesn't request ``request``: pytest would set that fixture up, too, for each test.
        here = current.get()
        tests = (link for link in (() if here is None else here.chain) if link.kind is _TEST)
        return NetworkGuard.of(next(tests, self.scope))  # type: ignore[arg-type]  # a test is running

    # -- phases --------------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        """Guard the set-up of a test."""
        __tracebackhide__ = _hidden
        test = self._known(item)
        if test is None or not test.has_run:
            test = self._open(item, test)
        self._enter(test)
        error: BaseException | None = None
        try:
            yield
            if self.broken:
                self._tell_broken(item)
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._leave(test, error)

    def _tell_broken(self, item: pytest.Item) -> None:
        """Raise the error that a fixture had when it was set up for another test."""
        __tracebackhide__ = True
        for definitions in _private.fixtures_of(item).values():
            if definitions[-1] in self.broken:
                raise self.broken[definitions[-1]]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        """Guard the body of a test."""
        __tracebackhide__ = _hidden
        test = self._running(item)
        if test.has_run:  # its refusals are reported in this phase
            test.has_run = False
        self._enter(test)
        error: BaseException | None = None
        try:
            return (yield)
        except BaseException as raised:
            error = raised
            raise
        finally:
            if self._run.unwatched_fails:
                runtime.note_unwatched(test)
            self._leave(test, error)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        """Guard the tear-down of a test, and close the test's scope."""
        __tracebackhide__ = _hidden
        test = self._running(item)
        if test.has_run:
            test.has_run = False
        self._enter(test)
        error: BaseException | None = None
        try:
            return (yield)
        except BaseException as raised:
            error = raised
            raise
        finally:
            try:
                if self._run.unwatched_fails:
                    runtime.note_unwatched(test)
                self._leave(test, error)
            finally:
                test.end()

    @contextlib.contextmanager
    def body(self, item: pytest.Item) -> Iterator[None]:
        """Guard a test's body where it runs outside of the test's phases: before them, or in a thread of one."""
        test = self._known(item)
        if test is None or not test.open:
            test = self._open(item, test)
            test.has_run = True
        outer = current.get()
        current.set(test.inner or test)
        try:
            yield
        finally:
            current.set(outer)

    def _running(self, item: pytest.Item) -> _Test:
        """Return the running test of an item; open it first if the runner skipped its set-up."""
        test = self._known(item)
        return test if test is not None and test.open else self._open(item, test)

    def _enter(self, test: _Test) -> None:
        self._now = test
        if self._run.standing:
            self._enclose(test)
        test.outer = current.get()
        # If fixtures have entered a guard for the test, it holds in the phases that follow.
        inner = test.inner
        current.set(test if inner is None else inner)
        origin.begin_phase(test)
        if state.on_change is not None:
            state.on_change(test.chain if inner is None and not self._run.standing else None)

    def _leave(self, test: _Test, error: BaseException | None) -> None:
        __tracebackhide__ = True
        origin.end_phase(test)  # the last one, except for runners that run several tests at once
        inner = current.get()
        test.inner = None if inner is test else inner
        current.set(test.outer)
        if state.on_change is not None:
            state.on_change(None if state.phases or test.outer is not None else ())
        runtime.collect()
        if (test.records or self.fixture_scopes) and not test.has_run:
            self._tell(test.item, test, error)
            runtime.ledger.warn_of_children()

    def _enclose(self, scope: Scope) -> None:
        """Put the guards that fixtures of broad scope have entered around a test."""
        standing = self._run.standing
        standing[:] = [guard for guard in standing if guard.open]
        scope.around = (*standing, *(() if scope.parent is None else scope.parent.chain))
        scope.memo.clear()

    def _tell(self, item: pytest.Item, scope: Scope, error: BaseException | None) -> None:
        """Raise the refusals of a phase that nothing has reported yet."""
        __tracebackhide__ = True
        for told in (error, *_private.caught_by_unittest(item)):
            if told is not None and not is_skip(told):
                runtime.ledger.deliver(told)
        if isinstance(error, (KeyboardInterrupt, pytest.exit.Exception)):  # pytest makes no report of it
            self._run.noted += to_tell(record for s in (scope, *self.fixture_scopes) for record in s.records.values())
        if strict_of(scope) and (error is None or is_skip(error)) and (left := scope.undelivered()):
            raise error_of(left) from error


class _Sizes:
    """Adds each test's size to its first report: the test runs in a forked process, the parent process counts it."""

    def __init__(self, phases: Phases) -> None:
        self._phases = phases

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        scope = self._phases.scope_of(item)
        if call.when == "setup" and scope is not None and scope.policy is not None:
            size = scope.policy.size
            report.__dict__[SIZE_KEY] = "" if size is None else size.value
        return report


def _carry_sizes(manager: pytest.PytestPluginManager, phases: Phases) -> None:
    if not manager.has_plugin("test-categories-forked"):
        manager.register(_Sizes(phases), "test-categories-forked")


def strict_of(scope: Scope) -> bool:
    """Tell whether a scope is strict: it refuses what it doesn't permit."""
    return scope.policy is not None and scope.policy.mode is EnforcementMode.STRICT


def to_tell(records: Iterable[Record]) -> list[Violation]:
    """Return the violations that no block expected, each once."""
    return list({identity(record): record.snapshot() for record in records if record.count > record.expected}.values())
