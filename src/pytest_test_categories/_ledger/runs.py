"""The test runners' sessions in this process: apart from the guard, so that a run in off mode imports only this."""

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
    """A test runner's session: its defaults, and what no single test is charged with.

    Args:
        mode: Mode of guards that name none.
        allow: Entries that hold for every guard.
        deny: Entries that none of them lifts.
        root: Directory that paths in reports are relative to.
        announce: Writes a line to the terminal at once, past any capturing.
        warning: Category of the warnings to emit.
        base: The scope that the run itself is in, if it runs inside a guarded test.

    Attributes:
        on_record: Called when a violation is put on record that wasn't there.
        late: Violations that came after their test, and those of nobody's threads.
        noted: Violations that a warned-about import made: no test reports them.
        decided: Whether the exit status is fixed, so that a violation can only be told, not counted.
        standing: Guards that fixtures of broad scope have entered and not left.
        of_blocks: What guards inside tests that have ended have on record; None where nobody gathers that.
        groups: Whether node ids carry groups of pytest-xdist's.
        observing: The scope that takes note of all that the run does, if somebody wants to know.
        baseline: Violations that the project knows of, if it keeps a list.
        fakes: Whether what clients were about to ask for is read, and a fake for it offered.
        children_watched: Whether a layer sees what any program does: then none is said to be unwatched.
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
"""The innermost last; None stands for one in off mode, where guards that name no mode watch nothing."""


def innermost() -> Run | None:
    """Return the innermost session that watches, if there is one."""
    for run in reversed(runs):
        if run is not None:
            return run
    return None
