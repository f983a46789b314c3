"""The test runners' sessions in this process; separate from the guard, so that a run in off mode imports only this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_test_categories._attribution.origin import Scope
    from pytest_test_categories._ledger.records import Gathered, Record
    from pytest_test_categories._report.baseline import Baseline
    from pytest_test_categories._rules.address import AllowEntry
    from pytest_test_categories._rules.errors import NetworkAccessWarning
    from pytest_test_categories._rules.policy import EnforcementMode
    from pytest_test_categories._rules.violation import Violation


class Run:
    """A test runner's session: its defaults, and the violations that no single test is charged with.

    Args:
        mode: Mode of guards that specify none.
        allow: Entries that widen every guard.
        deny: Entries that no guard can lift.
        root: Directory that paths in reports are relative to.
        announce: Writes a line to the terminal at once, past any capturing.
        warning: Category of the warnings to emit.
        base: The scope that the run itself is in, if it runs inside a guarded test.

    Attributes:
        on_record: Called when a new violation is recorded.
        late: Violations that came after their test, and those of threads that belong to no test.
        noted: Violations of imports in warn mode: no test reports them.
        decided: Whether the exit status is fixed, so that a violation can only be printed, not counted.
        standing: Guards that fixtures of broad scope have entered and not left.
        of_blocks: The records of guards inside tests that have ended; None if they are not gathered.
        groups: Whether node ids contain groups of pytest-xdist.
        observing: The scope that records every attempt of the run, if a report needs it.
        baseline: The known violations, if the project keeps such a list.
        fakes: Whether clients' requests are read, and fakes for them suggested.
        children_watched: Whether a layer watches every program: then none is reported as unwatched.
        unwatched_fails: Whether a program that no layer watches is a violation of the test that started it.
    """

    def __init__(
        self,
        mode: EnforcementMode,
        allow: tuple[AllowEntry, ...],
        root: str,
        announce: Callable[[str], None],
        warning: type[NetworkAccessWarning],
        base: Scope | None = None,
        *,
        deny: tuple[AllowEntry, ...] = (),
    ) -> None:
        self.mode = mode
        self.allow = allow
        self.deny = deny
        self.root = root
        self.announce = announce
        self.warning = warning
        self.on_record: Callable[[], None] = lambda: None
        self.late: dict[tuple[str, ...], Record] = {}
        self.noted: list[Violation] = []
        self.decided = False
        self.base = base
        self.standing: list[Scope] = []
        self.fakes = True
        self.children_watched = False
        self.unwatched_fails = False
        self.of_blocks: Gathered | None = None
        self.groups = False
        self.observing: Scope | None = None
        self.baseline: Baseline | None = None


runs: Final[list[Run | None]] = []
"""All sessions, the innermost last; None is a session in off mode, where guards without a mode of their own are off."""


def innermost() -> Run | None:
    """Return the innermost session that is not in off mode, if there is one."""
    for run in reversed(runs):
        if run is not None:
            return run
    return None
