"""What one run found, or several together: the data of which reports, the baseline and suggested sizes are made.

``Findings`` is plain data. The plugin makes it from the tests that it ran, ``combine`` from recordings.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._report.baseline import origin
from pytest_test_categories._report.model import OBSERVED, PERMITTED, SIZES, Access, Case, Report, merged
from pytest_test_categories._report.published import published_id
from pytest_test_categories._rules.named_tuples import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pytest_test_categories._rules.violation import Violation

_BROKEN: Final = frozenset({"failed", "error"})
_DONE: Final = frozenset({"passed", "xpassed"})
_MILD: Final = frozenset({PERMITTED, OBSERVED})


class Use(NamedTuple):
    """A fixture that has a guard of its own, as a test uses it.

    Attributes:
        name: The fixture with its scope, such as ``db (session)``.
        home: The directory or file that defines it; empty for the root directory, and for module and class scope.
        parameter: The index of its parameter; 0 if it has none.
        autouse: Whether it is an autouse fixture.
        relaxed: Whether no test asks for it by name: then it is held to the largest size of its tests.
        declared: Whether ``test_categories_fixture_sizes`` gives it its size.
        place: The directory, file or class that defines it; empty for the root directory and for plugins.
    """

    name: str
    home: str = ""
    parameter: int = 0
    autouse: bool = False
    relaxed: bool = False
    declared: bool = False
    place: str = ""

    @property
    def narrows(self) -> str:
        """``HOME::NAME`` if the fixture is held to the sizes of the tests that use it; else empty."""
        name = self.name.rpartition(" (")[0]
        return "" if self.declared or self.autouse else f"{self.home}::{name}" if self.home else name


class Collected(NamedTuple):
    """The tests that pytest collected, before any was deselected.

    Attributes:
        ids: Their node ids, in the order of the run.
        sizes: The size of each; empty for none.
        fixtures: The fixtures with guards of their own that any test uses.
        uses: For each test the indices of those that it uses.
        sets: Indices of the tests that get their size from a marker on their parameter set.
        targets: Where each test function is defined, as ``_sizing.apply.Target`` without what a run adds.
    """

    ids: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    fixtures: tuple[Use, ...] = ()
    uses: tuple[tuple[int, ...], ...] = ()
    sets: tuple[int, ...] = ()
    targets: tuple[tuple[Any, ...], ...] = ()

    def uses_of(self, number: int) -> tuple[Use, ...]:
        """Return the fixtures that a test uses, by its index."""
        return tuple(self.fixtures[fixture] for fixture in self.uses[number])


class Findings:
    """What was found.

    Args:
        tests: The tests that ran, by node id.
        gave_up_as_expected: Those that ended as their ``xfail`` marker says, in their body.
        violations: All attempts, permitted ones included, each once.
        unwatched: Programs that no layer watched: how often each test started each.
        collected: The collected tests without deselected ones, in order.
        uses: The fixtures with guards of their own that tests use.
        users: The tests that depend on what the baseline lists under a fixture; None to read it from ``uses``.
        sets: The tests that get their size from a marker on their parameter set.
        targets: Where each test function is defined, by its node id; see ``Collected``.
        selected: Whether all of the project's tests were collected and none was deselected.
        why_incomplete: The reasons why not every test of the project ran to its end, one line each.
        mode: As in ``Report``.
        layers: As in ``Report``.
        tool: As in ``Report``.
    """

    def __init__(
        self,
        tests: Mapping[str, Case],
        violations: Sequence[Violation] = (),
        *,
        gave_up_as_expected: Collection[str] = (),
        unwatched: Mapping[str, Mapping[str, int]] | None = None,
        collected: Iterable[str] = (),
        uses: Mapping[str, tuple[Use, ...]] | None = None,
        users: Mapping[str, Sequence[str]] | None = None,
        sets: Collection[str] = (),
        targets: Mapping[str, Any] | None = None,
        selected: bool = True,
        why_incomplete: Sequence[str] = (),
        mode: str = "strict",
        layers: Sequence[str] = (),
        tool: str = "",
    ) -> None:
        self.tests = tests
        self.violations = violations
        self.unwatched = unwatched or {}
        self.collected = dict.fromkeys(collected)
        self.uses = uses or {}
        self.sets = sets
        self.targets = targets or {}
        self.selected = selected
        self.why_incomplete = tuple(why_incomplete)
        self.mode = mode
        self.layers = layers
        self.tool = tool
        self._gave_up = gave_up_as_expected
        self._users = users

    @cached_property
    def passed(self) -> frozenset[str]:
        """The tests that ran to their end with the outcome expected of them."""
        return frozenset(n for n, test in self.tests.items() if test.outcome in _DONE or n in self._gave_up)

    @cached_property
    def failed(self) -> frozenset[str]:
        """The tests that failed in any phase."""
        return frozenset(node for node, test in self.tests.items() if test.outcome in _BROKEN)

    @cached_property
    def files(self) -> frozenset[str]:
        """The files of the collected tests."""
        return frozenset(node.partition("::")[0] for node in self.collected)

    @cached_property
    def narrowing(self) -> dict[str, tuple[str, ...]]:
        """The fixtures that are held to the sizes of their tests, by test, in the form that ``suggest`` takes."""
        return {node: tuple(filter(None, (use.narrows for use in uses))) for node, uses in self.uses.items()}

    @cached_property
    def users(self) -> Mapping[str, Sequence[str]]:
        """The tests that depend on a fixture, by the name that the baseline lists it under."""
        if self._users is not None:
            return self._users
        found: dict[str, list[str]] = {}
        for node, uses in self.uses.items():
            for use in uses:
                found.setdefault(origin(node, use.name, use.home), []).append(node)
        return found

    def shared_ran(self, shared: str) -> bool:
        """Tell whether a fixture or an import of the baseline ran to its end: a test that depends on it passed."""
        if shared in self.users:
            return any(node in self.passed for node in self.users[shared])
        files = {node.partition("::")[0] for node in self.passed}
        return shared in files or not shared.endswith(".py") or shared not in self.files

    def report(self) -> Report:
        """Return the data of the report."""
        # An attempt of a refused import is listed with that verdict, and not as a permitted one, too.
        broken = {(v.test, v.target, v.location) for v in self.violations if v.verdict not in _MILD}
        seen = merged(
            Access.of(violation)
            for violation in self.violations
            if violation.verdict != PERMITTED or (violation.test, violation.target, violation.location) not in broken
        )
        programs: dict[str, int] = {}
        for started in self.unwatched.values():
            for program, count in started.items():
                programs[program] = programs.get(program, 0) + count
        return Report(
            [
                test._replace(unwatched=sum(self.unwatched[node].values())) if node in self.unwatched else test
                for node, test in self.tests.items()
            ],
            self._shared(seen),
            mode=self.mode,
            layers=self.layers,
            complete=not self.why_incomplete,
            why_incomplete=self.why_incomplete,
            unwatched=programs,
            tool=self.tool,
        )

    def _shared(self, accesses: Iterable[Access]) -> Iterable[Access]:
        """Charge what a broad fixture reached to the first of its tests, in the order of one process.

        Each process sets such a fixture up for the first test that it runs of those that use it.
        """
        found: dict[tuple[str, ...], Access] = {}
        order: dict[str, int] | None = None
        parameters: dict[tuple[str, str, str], int] = {}
        for access in accesses:
            violation = access.violation
            if not violation.fixture or violation.fixture.endswith("(function)"):
                found[access.key] = access
                continue
            if order is None:
                order = {published_id(node): number for number, node in enumerate(self.collected)}
                for node, uses in self.uses.items():
                    parameters |= {(published_id(node), use.name, use.home): use.parameter for use in uses}
            shared = origin(violation.test, violation.fixture, violation.fixture_home)
            parameter = parameters.get((violation.test, violation.fixture, violation.fixture_home), 0)
            key = (shared, str(parameter), *access.key[1:])
            before = found.get(key)
            found[key] = access if before is None else _first(before, access, order)
        return found.values()


def _first(one: Access, other: Access, order: Mapping[str, int]) -> Access:
    """Return the access of the earlier of two tests, with what is known from both."""

    def position(node: str) -> tuple[int, str]:
        return order.get(node, len(order)), node

    first, later = sorted((one, other), key=lambda access: position(access.violation.test))
    mine, theirs = first.violation, later.violation
    holders = [v.held_by for v in (mine, theirs) if v.size == mine.size]
    needs = max(first.needs, later.needs, key=SIZES.index)
    count = max(mine.count, theirs.count)
    return first._replace(
        needs=needs, violation=mine._replace(count=count, held_by=min(holders, key=position), needs=needs)
    )
