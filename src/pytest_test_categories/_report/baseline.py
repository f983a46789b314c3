"""The baseline: a project's known violations, which only warn while new ones fail.

A violation is identified by its test, kind and target, never by line or count: code moves, and a count would let a new
violation replace an old one. A violation in a fixture of broad scope is listed under the fixture, since the test that
requests it first is not the same in every run.

The file has one violation a line, in the layout of ``lists``.
"""

from __future__ import annotations

import re
from functools import cached_property
from itertools import starmap
from typing import TYPE_CHECKING, Final

from pytest_test_categories._host.files import write_whole
from pytest_test_categories._report.lists import Layout, ListError
from pytest_test_categories._rules.address import split_target, stable_target
from pytest_test_categories._rules.named_tuples import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from pytest_test_categories._rules.violation import Violation

UPDATE: Final = "--network-baseline-update"
BaselineError: Final = ListError
_LAYOUT: Final = Layout("network baseline", "violations", UPDATE, (str, str, str))
_FIXTURE: Final = "fixture "
_GROUP: Final = re.compile(r"(?<=::)(\w+(?:::\w+)*(?:\[.*\])?)@[^\[\]/]*$", re.DOTALL)
_FOLLOW_UPS: Final = frozenset({"connect", "send"})


class Entry(NamedTuple):
    """One known violation.

    Attributes:
        test: Node id of the test, or of the module for an import; ``fixture NAME (scope)`` for a broad fixture, with
            the directory or file that defines it before the name, if that is not the root directory.
        kind: The kind of access, as in ``Violation``.
        target: ``host:port`` as the test passes it.
    """

    test: str
    kind: str
    target: str

    @classmethod
    def of(cls, violation: Violation) -> Entry:
        """Return the entry for a violation.

        If tests share a connection, the first one opens it and the others reuse it. Which test is first depends on the
        order, so that opening and reusing count as the same kind.
        """
        kind = "connect" if violation.kind == "reuse" else violation.kind
        return cls(
            origin(violation.test, violation.fixture, violation.fixture_home), kind, stable_target(violation.target)
        )

    @property
    def file(self) -> str:
        """The test's file; empty for a fixture."""
        return "" if self.test.startswith(_FIXTURE) else self.test.partition("::")[0]

    @property
    def place(self) -> str:
        """The test's file, or the directory or file of a fixture; empty for a fixture of the root directory."""
        home, colons, _ = self.test.removeprefix(_FIXTURE).partition("::")
        return home if colons or not self.test.startswith(_FIXTURE) else ""

    @property
    def is_shared(self) -> bool:
        """Whether it belongs to a fixture or an import, for which only the first user is charged."""
        return self.test.startswith(_FIXTURE) or "::" not in self.test

    def __str__(self) -> str:
        """Return the entry in one line."""
        return f"{self.test}: {self.kind} {self.target}"


def origin(test: str, fixture: str, home: str = "") -> str:
    """Return the name that a violation is listed under: the fixture it happened in, else the test.

    A fixture of module or class scope is listed with that module or class, one of broader scope with the directory or
    file that defines it, ``home``.
    """
    if not fixture:
        return test
    owner = home
    if fixture.endswith("(module)"):
        owner = test.partition("::")[0]
    elif fixture.endswith("(class)"):
        owner = test.partition("[")[0].rpartition("::")[0]
    return f"{_FIXTURE}{owner}{owner and '::'}{fixture}"


def plain_id(test: str) -> str:
    """Return a node id without the group that pytest-xdist's ``--dist=loadgroup`` appends."""
    return _GROUP.sub(r"\1", test) if "@" in test else test


class Baseline:
    """The known violations of a project.

    Args:
        entries: The known violations.
    """

    def __init__(self, entries: Iterable[Sequence[str]] = ()) -> None:
        # A worker only looks up its tests: it makes no ``Entry`` of the 20,000 that a file may have.
        self._lines = tuple(entries)

    @cached_property
    def entries(self) -> frozenset[Entry]:
        """The known violations."""
        return frozenset(starmap(Entry, self._lines))

    @cached_property
    def _by_test(self) -> dict[str, list[Sequence[str]]]:
        found: dict[str, list[Sequence[str]]] = {}
        for line in self._lines:
            found.setdefault(line[0], []).append(line)
        return found

    def of(self, test: str, fixture: str = "", home: str = "") -> frozenset[tuple[str, str]]:
        """Return the kind and target of each known violation of a test or a fixture."""
        return frozenset((kind, target) for _, kind, target in self._by_test.get(origin(test, fixture, home), ()))

    def text(self) -> str:
        """Return the file's text."""
        return _LAYOUT.text(sorted(self.entries))

    @classmethod
    def parse(cls, text: str) -> Baseline:
        """Parse the text of a baseline file; duplicate lines count once.

        Raises:
            BaselineError: The text is damaged, or has a newer version.
        """
        return cls(_LAYOUT.parse(text))

    @classmethod
    def load(cls, path: str) -> Baseline:
        """Load a baseline file.

        Raises:
            BaselineError: The file is missing, can't be read, is damaged or has a newer version.
        """
        return cls(_LAYOUT.load(path))

    def save(self, path: str) -> None:
        """Write the file atomically; a file with the same content is not touched.

        Raises:
            OSError: The file can't be written.
        """
        write_whole(path, self.text())


class Comparison(NamedTuple):
    """The comparison of a run with the baseline.

    Attributes:
        known: Entries that happened again.
        new: Violations that are not listed.
        stale: Entries that no longer happen: their tests ran to the end without them, or no longer exist.
        renamed: Entries whose test no longer exists, each with a test of the same file that now does the same.
    """

    known: tuple[Entry, ...]
    new: tuple[Entry, ...]
    stale: tuple[Entry, ...]
    renamed: tuple[tuple[Entry, str], ...]


def compare(
    baseline: Baseline,
    seen: Iterable[Entry],
    *,
    passed: Collection[str],
    gone: Callable[[Entry], bool],
    whole: bool,
    shared_ran: Callable[[Entry], bool] = lambda _: True,
) -> Comparison:
    """Compare a run with the baseline.

    Args:
        baseline: The known violations.
        seen: The violations of the run.
        passed: Tests that ran to their end and passed, or failed as a marker expects: what they did not do is stale.
        gone: Tells whether the test of an entry no longer exists.
        whole: Whether every test of the project ran to its end: only then an entry of a fixture or import can be stale.
        shared_ran: Tells whether a fixture or an import ran to its end.
    """
    happened = set(without_follow_ups(seen))
    looked_up, known_look_ups = _looked_up(happened), _looked_up(baseline.entries)
    known = {entry for entry in baseline.entries if entry in happened or _follows(entry, looked_up)}
    new = {entry for entry in happened - baseline.entries if not _follows(entry, known_look_ups)}
    missing = baseline.entries - known
    renamed: dict[Entry, str] = {}
    stale = set()
    unclaimed = sorted(new)
    for entry in sorted(missing):
        if entry.is_shared and not (entry.file and gone(entry)):
            over = whole and shared_ran(entry)
        elif gone(entry):
            heir = next((e for e in unclaimed if (e.file, e.kind, e.target) == (entry.file, *entry[1:])), None)
            if heir is not None:
                unclaimed.remove(heir)
                renamed[entry] = heir.test
                continue
            over = True
        else:
            over = entry.test in passed
        if over:
            stale.add(entry)
    return Comparison(tuple(sorted(known)), tuple(sorted(new)), tuple(sorted(stale)), tuple(sorted(renamed.items())))


def updated(baseline: Baseline, found: Comparison) -> Baseline:
    """Return the baseline after a run: with new violations, and without those that no longer happen."""
    over = {*found.stale, *(entry for entry, _ in found.renamed)}
    return Baseline(without_follow_ups({*(baseline.entries - over), *found.new}))


def without_follow_ups(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries without the connections that follow a listed look-up: the addresses of a name change."""
    every = list(entries)
    looked_up = _looked_up(every)
    return [entry for entry in every if not _follows(entry, looked_up)]


def _looked_up(entries: Iterable[Entry]) -> set[tuple[str, str]]:
    return {(entry.test, split_target(entry.target)[0]) for entry in entries if entry.kind == "lookup"}


def _follows(entry: Entry, looked_up: set[tuple[str, str]]) -> bool:
    return entry.kind in _FOLLOW_UPS and (entry.test, split_target(entry.target)[0]) in looked_up
