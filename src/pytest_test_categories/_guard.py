"""``NetworkGuard``, the guard that users enter, and ``expect_network_violation``, a block that expects a refusal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from pytest_test_categories._attribution import origin, stack
from pytest_test_categories._attribution.origin import Scope, ScopeKind, charge, current
from pytest_test_categories._ledger.ledger import error_of, errors_in
from pytest_test_categories._ledger.records import Delivery, counting
from pytest_test_categories._ledger.runs import innermost, runs
from pytest_test_categories._rules.errors import HermeticityViolationError
from pytest_test_categories._rules.policy import (
    ALLOW_VARIABLE,
    DENY_VARIABLE,
    MODE_VARIABLE,
    EnforcementMode,
    Policy,
    TestSize,
    parse_allow,
    parse_narrowing,
    parse_only,
    parse_own_allow,
)
from pytest_test_categories._rules.wording import report_text
from pytest_test_categories._runtime import runtime

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Any, Self

    from pytest_test_categories._rules.address import AllowEntry
    from pytest_test_categories._rules.violation import Violation

    # The violations of entries that have ended, each with how often it happened.
    _Counts = dict[tuple[str, ...], tuple[Violation, list[int]]]

_CONTROL_FLOW: Final = frozenset(
    {
        ("asyncio.exceptions", "CancelledError"),
        ("trio", "Cancelled"),
        ("trio._core._exceptions", "Cancelled"),
        ("_pytest.outcomes", "Exit"),
        ("bdb", "BdbQuit"),
    }
)


# pytest sets the ``__module__`` of its Skipped to "builtins".
_SKIPS: Final = frozenset({("builtins", "Skipped"), ("_pytest.outcomes", "Skipped"), ("_pytest.outcomes", "XFailed")})


def is_control_flow(error: BaseException) -> bool:
    """Tell whether an exception stops the run or a task, so that a guard must not replace it with its own."""
    if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
        return True
    return any((cls.__module__, cls.__name__) in _CONTROL_FLOW for cls in type(error).__mro__)


def is_skip(error: BaseException) -> bool:
    """Tell whether a test runner would not count an exception as a failure, such as a skip."""
    unittest = sys.modules.get("unittest.case")
    if unittest is not None and isinstance(error, unittest.SkipTest):
        return True
    return any((cls.__module__, cls.__name__) in _SKIPS for cls in type(error).__mro__)


class NetworkGuard:
    """Limits code to the network that a test size permits, while the guard is entered.

    Enter it with ``with`` or ``async with``, as often and as nested as you like. A guard inside another only
    tightens: an attempt passes only if every guard around it permits it.

    Args:
        size: ``"small"``, ``"medium"``, ``"large"``, ``"xlarge"`` or a ``TestSize``.
        mode: ``"strict"``, ``"warn"``, ``"off"`` or an ``EnforcementMode``. The default is the test run's mode, or
            else the environment variable ``TEST_CATEGORIES_ENFORCEMENT``, or else strict.
        allow: Entries that widen the size, such as ``"postgres:5432"`` or ``"10.0.0.0/8"``.
        only: Entries such as ``"staging.example.com:443"``: of what the size and ``allow`` permit, only these.

    Raises:
        ValueError: A size, mode or entry is not one of the choices.
    """

    def __init__(
        self,
        size: TestSize | str,
        mode: EnforcementMode | str | None = None,
        *,
        allow: Iterable[str | AllowEntry] | str = (),
        only: Iterable[str | AllowEntry] | str | None = None,
    ) -> None:
        self.size = TestSize.parse(size)
        self._mode = None if mode is None else EnforcementMode.parse(mode)
        self._allow = parse_own_allow(allow if isinstance(allow, str) else tuple(allow))
        self._only = parse_only(only if only is None or isinstance(only, str) else tuple(only))
        if self._only:
            runtime.judge.listing.add(self)
        self._entered: list[Scope | None] = []
        self._ended: _Counts = {}

    @classmethod
    def of(cls, scope: Scope) -> Self:
        """Return the guard of a test, whose scope a test runner has entered."""
        policy = scope.policy
        assert policy is not None
        guard = cls.__new__(cls)  # without parsing: one is created for each test
        guard.size, guard._mode, guard._allow, guard._only = (
            policy.size or TestSize.XLARGE,
            policy.mode,
            policy.allow,
            policy.only,
        )
        guard._entered, guard._ended = [scope], {}
        return guard

    def __repr__(self) -> str:
        """Return the call that makes such a guard."""
        return f"network_guard({self.size.value!r}, {self.mode.value!r})"

    @property
    def mode(self) -> EnforcementMode:
        """The mode in force: the argument, or else the run's, or else the environment's, or else strict.

        Raises:
            ValueError: The environment variable holds no mode.
        """
        if self._mode is not None:
            return self._mode
        if latest := runs[-1:]:
            return EnforcementMode.OFF if latest[0] is None else latest[0].mode
        return EnforcementMode.parse(os.environ.get(MODE_VARIABLE) or EnforcementMode.STRICT)

    @property
    def violations(self) -> list[Violation]:
        """The violations that the guard has seen so far, in strict and in warn mode, oldest first."""
        runtime.collect()
        found = {key: (violation, [*counts]) for key, (violation, counts) in self._ended.copy().items()}
        for scope in list(self._entered):
            if scope is not None:
                self._count(scope, found)
        return [violation._replace(count=counts[0]) for violation, counts in found.values()]

    def _count(self, scope: Scope, into: _Counts) -> None:
        """Add the violations of an entry; if the guard is entered inside itself, only the outer entry counts."""
        if any(link in self._entered for link in scope.around):
            return
        for record in list(scope.records.values()):
            violation = record.snapshot()
            if len(into) >= origin.RECORDS_PER_SCOPE and violation.key not in into:
                violation = violation._replace(target="further targets", location="", function="")
            with counting.lock:  # entries may end in several threads at once
                _, counts = into.setdefault(violation.key, (violation, [0]))
                counts[0] += violation.count

    def policy(self) -> Policy:
        """Return the policy that the guard would enforce if it were entered now."""
        if (run := innermost()) is not None:
            allow, deny = run.allow, run.deny
        else:
            allow = parse_allow(os.environ.get(ALLOW_VARIABLE) or ())
            deny = parse_narrowing(os.environ.get(DENY_VARIABLE) or ())
        return Policy(self.size, self.mode, self._allow + allow, only=self._only, deny=deny)

    def open(self, *, label: str = "", where: str = "") -> Scope | None:
        """Create a scope and put the layers in place; the caller makes it current. None if the mode is off."""
        policy = self.policy()
        if policy.mode is EnforcementMode.OFF:
            return None
        charged = charge()
        outer = charged.scopes[0] if charged is not None and charged.scopes and not charged.unattributed else None
        if outer is not None and outer.policy is not None and outer.policy.known:
            policy = policy._replace(known=outer.policy.known)
        runtime.hold()
        scope = Scope(
            ScopeKind.BLOCK,
            policy,
            label or (outer.test if outer is not None else where),
            parent=outer,
            file="" if outer is None else outer.file,
            where=where,
        )
        if outer is not None:
            scope.fixture, scope.fixture_home, scope.held_by = outer.fixture, outer.fixture_home, outer.held_by
            scope.test_size = outer.test_size
        return scope

    def shut(self, scope: Scope, error: BaseException | None) -> None:
        """End a scope that ``open`` made.

        Raises:
            NetworkAccessViolationError: The scope is strict and something that it refused was not delivered.
        """
        __tracebackhide__ = True
        runtime.collect()
        runtime.note_unwatched(scope)
        scope.close()
        runtime.release()
        if scope.records and (run := innermost()) is not None and run.of_blocks is not None and scope.home is None:
            run.of_blocks.add(scope.records.values())
        runtime.ledger.deliver(error, ended=scope)
        self._count(scope, self._ended)  # after the delivery, which fills in lines from the exception's traceback
        finish(scope, error)
        if scope.records:
            runtime.ledger.warn_of_children()

    def __enter__(self) -> Self:
        """Start guarding."""
        self._enter(sys._getframe(1))
        return self

    def _enter(self, frame: Any, label: str = "") -> Scope | None:
        while frame.f_back is not None and frame.f_globals.get("__name__") == "contextlib":  # an exit stack
            frame = frame.f_back
        where = f"{self!r} at {stack.relative(frame.f_code.co_filename, runtime.root())}:{frame.f_lineno}"
        scope = self.open(label=label, where=where)
        self._entered.append(scope)
        if scope is not None:
            scope.entered().__enter__()
        return scope

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop guarding.

        Raises:
            NetworkAccessViolationError: The mode is strict, and the code inside caught a violation's error.
            RuntimeError: The guard is not entered.
        """
        __tracebackhide__ = True
        scope = self._leave()
        if scope is not None:
            self.shut(scope, error)

    def _leave(self) -> Scope | None:
        __tracebackhide__ = True
        here = current.get()
        # The scope of a test is not listed: the test runner entered it, and leaves it.
        # Iterate over a copy: other threads that entered the guard, too, may remove their scopes meanwhile.
        entered = [scope for scope in list(self._entered) if scope is None or scope.kind is ScopeKind.BLOCK]
        if not entered:
            raise RuntimeError(f"{self!r} is not entered: there is nothing to leave")
        # If it was entered more than once, take the scope of this context, otherwise the latest.
        scope = next((link for link in (() if here is None else here.chain) if link in entered), entered[-1])
        self._entered.remove(scope)
        if scope is not None:
            scope.entered().__exit__()
        return scope

    async def __aenter__(self) -> Self:
        """Start guarding."""
        self._enter(sys._getframe(1))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop guarding; raises as ``with`` does."""
        __tracebackhide__ = True
        self.__exit__(exc_type, error, traceback)


def finish(scope: Scope, error: BaseException | None) -> None:
    """Raise an error for the undelivered refusals of a strict scope, unless ``error`` must stay as it is."""
    __tracebackhide__ = True
    if scope.policy is None or scope.policy.mode is not EnforcementMode.STRICT:
        return
    if error is not None and is_skip(error):
        left = [record for record in list(scope.records.values()) if record.count > record.expected and record.fails]
    else:
        left = scope.undelivered()
    if not left or (error is not None and is_control_flow(error)):
        return
    ours = error_of(left)
    if error is None:
        raise ours
    if is_skip(error):
        raise ours from error
    # The failure stays the same; its traceback shows the note at the end.
    if scope.parent is None and scope.kind is ScopeKind.BLOCK and innermost() is None:
        # A client that retries has caught the first attempts: the error of the last one already reports their place.
        told = [record for one in errors_in(error) for record in one.records]
        if untold := tuple(record.snapshot() for record in left if record not in told):
            error.add_note(report_text(untold, undelivered=True))


class expect_network_violation:  # noqa: N801 - used as a with statement, like pytest.raises
    """Expects a network violation in the block, and fails if there is none.

    ``with expect_network_violation() as seen:`` returns a list that contains the violations once the block has ended.
    The block catches the plugin's own errors; any other error, such as the client's, is raised as usual. Without an
    active guard (mode off), the block expects nothing.

    Raises:
        AssertionError: A guard was active, and nothing was refused in the block.
    """

    def __init__(self) -> None:
        self._seen: list[Violation] = []
        self._scope: Scope | None = None
        self._guarded = False

    def __enter__(self) -> list[Violation]:
        """Start expecting violations."""
        charged = charge()
        outer = charged.scopes[0] if charged is not None and charged.scopes else None
        self._guarded = charged is not None and any(map(_can_refuse, charged.scopes))
        scope = Scope(ScopeKind.EXPECT, None, "" if outer is None else outer.test, parent=outer)
        scope.file = "" if outer is None else outer.file
        self._scope = scope
        scope.entered().__enter__()
        return self._seen

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Stop expecting violations; True, which suppresses it, for an error of the plugin's own."""
        __tracebackhide__ = True
        scope = self._scope
        assert scope is not None
        scope.entered().__exit__()
        runtime.collect()
        scope.close()
        records = list(scope.records.values())
        Delivery.of_the_rest(records).deliver(expected=True)
        self._seen += [record.snapshot() for record in records]
        # A child process that was forked before this block delivers only its error, and no record.
        known = {violation.key for violation in self._seen}
        self._seen += [v for ours in errors_in(error) for v in ours.violations if v.key not in known]
        if error is None and not self._seen and self._guarded:
            raise AssertionError("expect_network_violation: nothing was refused in this block")
        runtime.ledger.deliver(error, expected=True)
        return _only_ours(error)


def _can_refuse(scope: Scope) -> bool:
    return scope.policy is not None and scope.policy.mode is not EnforcementMode.OFF


def _only_ours(error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_only_ours(one) for one in error.exceptions)
    return isinstance(error, HermeticityViolationError)
