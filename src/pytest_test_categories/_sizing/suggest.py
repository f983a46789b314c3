"""Suggests the smallest size for each test, with the evidence, from a run in which nothing was refused."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from pytest_test_categories._report.model import SIZES
from pytest_test_categories._report.published import published_id
from pytest_test_categories._rules.named_tuples import NamedTuple
from pytest_test_categories._rules.policy import TestSize
from pytest_test_categories._rules.wording import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from pytest_test_categories._report.model import Access, Case, Report

SMALL: Final = TestSize.SMALL.value
LARGE: Final = TestSize.LARGE.value
XLARGE: Final = TestSize.XLARGE.value

UNSEEN: Final = ("failed", "error", "skipped", "xfailed", "unfinished")
"""Outcomes of tests that may not have made all of their attempts."""
UNWATCHED: Final = "unwatched child processes"

_SHOWN: Final = 3
"""How many names and lines of a group are shown if the output is not verbose."""


class Evidence(NamedTuple):
    """An access because of which a test function needs a size.

    Attributes:
        needs: The smallest size that permits it.
        target: ``host:port`` as the code passed it.
        place: ``path:line`` of the access, if known.
        fixture: The fixture that made the access, with its scope, such as ``db (session)``.
        importing: The module whose import made the access.
    """

    needs: str
    target: str
    place: str = ""
    fixture: str = ""
    importing: str = ""

    @property
    def line(self) -> str:
        """The evidence in one line, such as ``medium: localhost:5432 from tests/conftest.py:31``."""
        parts = [f"{self.needs}: {self.target}"]
        if self.place:
            parts.append(f"from {self.place}")
        if self.fixture:
            parts.append(f"in fixture {self.fixture}")
        if self.importing:
            parts.append(f"while importing {self.importing}")
        return " ".join(parts)


class SetSize(NamedTuple):
    """A parameter set with its own size, and the size that it needs.

    Attributes:
        id: Node id of the test.
        size: The size in the markers of the set.
        needs: The smallest size that permits all observed accesses.
    """

    id: str
    size: str
    needs: str

    @property
    def too_small(self) -> bool:
        """Whether the set's own size is smaller than needed."""
        return _rank(self.size) < _rank(self.needs)


class Suggestion(NamedTuple):
    """The result of a run for the size of a test function.

    Attributes:
        function: Node id of the function: that of a test without its parameters.
        file: Path of its file, relative to the root directory.
        line: The line in that file, from 1; 0 if unknown.
        tests: The number of its tests: one, or one for each set of parameters.
        sizes: The sizes that its tests have now, the smallest first; an empty string for no size. Parameter sets with
            their own size are not included.
        needs: The smallest size that permits all observed accesses.
        evidence: The accesses that need more than ``small``, the most demanding first.
        unobserved: The reasons why it was not observed in full, such as ``skipped``; empty if it was.
        sets: Its parameter sets with their own sizes.
        fits: Whether its tests have different sizes, and each test the size that it needs.
    """

    function: str
    file: str
    line: int
    tests: int
    sizes: tuple[str, ...]
    needs: str
    evidence: tuple[Evidence, ...] = ()
    unobserved: tuple[str, ...] = ()
    sets: tuple[SetSize, ...] = ()
    fits: bool = False

    @property
    def name(self) -> str:
        """The function's name within its file, such as ``TestStore::test_save``."""
        return self.function.partition("::")[2] or self.function

    @property
    def current(self) -> str:
        """The size it has now; empty if it has none, or different ones."""
        return self.sizes[0] if len(self.sizes) == 1 else ""

    @property
    def observed(self) -> bool:
        """Whether all of its tests ran to their end, and the layers could watch everything."""
        return not self.unobserved

    @property
    def size(self) -> str:
        """The size that it should have; empty if the run does not determine it.

        Large and xlarge permit the same network, so that xlarge is kept where large is needed. For a test that was not
        observed in full, only a larger size is suggested.
        """
        if not self.sizes or self.fits:
            return ""
        if self.observed:
            return self._unless_equal(self.needs)
        if _rank(self.sizes[0]) < _rank(self.needs) and self.needs != SMALL:
            return self._unless_equal(self.needs)
        return ""

    def _unless_equal(self, size: str) -> str:
        return XLARGE if size == LARGE and self.sizes[-1] == XLARGE else size

    @property
    def larger_than_needed(self) -> bool:
        """Whether a smaller size is enough; only for a test that was observed in full."""
        return self.observed and bool(self.sizes) and _rank(self.sizes[-1]) > _rank(self.needs) and not self.fits


def suggest(
    report: Report, uses: Mapping[str, Collection[str]] | None = None, sets: Collection[str] = ()
) -> tuple[Suggestion, ...]:
    """Return a suggestion for each test function of a run, in the order of their files and lines.

    All tests of a module need what its import accessed, and all users of a fixture need what the fixture accessed: only
    the first test was charged with it, and another test may be the first in the next run.

    Args:
        report: A run in which nothing was refused: a test with a refusal did not make its other attempts.
        uses: The broad fixtures that each test uses, by node id: the name of the fixture, preceded by its home and
            ``::`` if it has one. Leave out fixtures that are not held to the test's size.
        sets: Node ids of the tests that get their size from their parameter set.
    """
    of_fixtures: dict[str, list[Access]] = {}
    for access in report.accesses:
        name, _space, scope = access.violation.fixture.partition(" (")
        if name and scope != "function)":  # function fixtures are set up for each test, and charged to it
            home = access.violation.fixture_home
            of_fixtures.setdefault(f"{home}::{name}" if home else name, []).append(access)
    using = {published_id(test): names for test, names in (uses or {}).items()}
    own_sets = frozenset(map(published_id, sets))

    functions: dict[str, list[tuple[Case, frozenset[Evidence]]]] = {}
    for case in report.tests:
        charged = [*report.by_test.get(case.id, ())]
        # Accesses during the import of a module are charged to the module.
        charged += report.by_test.get(case.id.partition("::")[0], ()) if "::" in case.id else ()
        charged += [access for name in sorted(using.get(case.id, ())) for access in of_fixtures.get(name, ())]
        evidence = frozenset(_evidence(access) for access in charged if access.needs != SMALL)
        functions.setdefault(function_of(case.id), []).append((case, evidence))
    found = [_suggestion(function, cases, own_sets) for function, cases in functions.items()]
    return tuple(sorted(found, key=lambda s: (s.file, s.line, s.function)))


def function_of(test: str) -> str:
    """Return the node id of a test's function: without parameters, which may contain brackets and colons."""
    path, colons, inside = test.partition("::")
    return path + colons + (inside.partition("[")[0] if inside.endswith("]") else inside)


def _suggestion(
    function: str, cases: Sequence[tuple[Case, frozenset[Evidence]]], own_sets: frozenset[str]
) -> Suggestion:
    free = [(case, seen) for case, seen in cases if case.id not in own_sets]
    sizes = sorted({case.size for case, _ in free}, key=_rank)
    # A set with its own size, even a skipped one, does not matter for the function's marker.
    evidence = {item for _, seen in free or cases for item in seen}
    unobserved = {reason for case, _ in free or cases for reason in _unobserved(case)}
    first = cases[0][0]
    return Suggestion(
        function=function,
        file=first.file or function.partition("::")[0],
        line=first.line,
        tests=len(cases),
        sizes=tuple(sizes),
        needs=_needs(evidence),
        evidence=tuple(sorted(evidence, key=lambda e: (-_rank(e.needs), *e[1:]))),
        unobserved=tuple(sorted(unobserved, key=(*UNSEEN, UNWATCHED).index)),
        sets=tuple(SetSize(case.id, case.size, _needs(seen)) for case, seen in cases if case.id in own_sets),
        fits=len(sizes) > 1 and all(_rank(case.size) == _rank(_needs(seen)) for case, seen in free),
    )


def _evidence(access: Access) -> Evidence:
    v = access.violation
    return Evidence(access.needs, v.target, v.location or v.called_from, v.fixture, v.importing)


def _needs(evidence: Iterable[Evidence]) -> str:
    return max((item.needs for item in evidence), key=SIZES.index, default=SMALL)


def _unobserved(case: Case) -> Iterator[str]:
    if case.outcome in UNSEEN:
        yield case.outcome
    if case.unwatched:
        yield UNWATCHED


def _rank(size: str) -> int:
    """Return a size's rank; that of xlarge equals that of large, since they permit the same network."""
    return SIZES.index(LARGE if size == XLARGE else size) if size else -1


# -- for the terminal ------------------------------------------------------------------------------------------------


def lines(suggestions: Iterable[Suggestion], verbose: bool = False) -> Iterator[str]:
    """Yield the lines for the terminal: a summary by file with the evidence, then the tests to check.

    Args:
        suggestions: The result of ``suggest``.
        verbose: Whether to name every test and show all evidence, instead of only the first few.
    """
    every = sorted(suggestions, key=lambda s: s.file)  # stable: lines of a file stay in order
    for file, group in groupby(every, key=lambda s: s.file):
        members = list(group)
        yield f"{file}: {_tally(members)}"
        yield from _indented(_evidence_lines(members, verbose), verbose)
    larger = [s for s in every if s.larger_than_needed]
    yield from _section("larger than needed", ((f"{s.file}: {_now(s)}, needs {s.needs}", s) for s in larger), verbose)
    unseen = [s for s in every if s.unobserved]
    yield from _section(
        "not observed in full", ((f"{s.file}: {', '.join(s.unobserved)}{_at_least(s)}", s) for s in unseen), verbose
    )
    small_sets = [item for s in every for item in s.sets if item.too_small]
    if small_sets:
        yield "decided by a parameter set, which is left to you:"
        yield from _indented([f"{item.id}: {item.size}, needs {item.needs}" for item in small_sets], verbose)


def _tally(members: Sequence[Suggestion]) -> str:
    counts: dict[str, int] = {}
    for member in members:
        key = (member.needs if member.fits else member.size) or "undecided"
        if not member.sizes:
            key = "sized by parameter sets"
        counts[key] = counts.get(key, 0) + member.tests
    order = (*SIZES, "sized by parameter sets", "undecided")
    return ", ".join(f"{key} ({counted(counts[key], 'test')})" for key in order if key in counts)


def _evidence_lines(members: Sequence[Suggestion], verbose: bool) -> list[str]:
    grouped: dict[Evidence, list[str]] = {}
    for member in members:
        for item in member.evidence:
            grouped.setdefault(item, []).append(member.name)
    ranked = sorted(grouped.items(), key=lambda pair: (-_rank(pair[0].needs), *pair[0][1:]))
    return [f"{item.line} ({_names(names, verbose)})" for item, names in ranked]


def _section(title: str, entries: Iterable[tuple[str, Suggestion]], verbose: bool) -> Iterator[str]:
    grouped: dict[str, list[str]] = {}
    for text, suggestion in entries:
        grouped.setdefault(text, []).append(suggestion.name)
    if grouped:
        yield f"{title}:"
        yield from (f"  {text} ({_names(names, verbose)})" for text, names in grouped.items())


def _now(suggestion: Suggestion) -> str:
    return " or ".join(size or "no size" for size in suggestion.sizes)


def _at_least(suggestion: Suggestion) -> str:
    return f", at least {suggestion.needs}" if suggestion.needs != SMALL else ""


def _names(names: Sequence[str], verbose: bool) -> str:
    shown = names if verbose else names[:_SHOWN]
    rest = len(names) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")


def _indented(texts: Sequence[str], verbose: bool) -> Iterator[str]:
    shown = texts if verbose else texts[:_SHOWN]
    yield from (f"  {text}" for text in shown)
    if len(shown) < len(texts):
        yield f"  and {len(texts) - len(shown)} more"
