"""Which fixture of broad scope is held to which size, because of which test: the file of ``--network-fixtures``.

A fixture is held to the smallest size among the tests that use it, and an autouse fixture to the largest. A run that
collects a part of the suite does not see the other tests. The file says what a run of the whole suite found, so that a
fixture is held to the same size in each part.

Only fixtures whose tests have different sizes are listed: the others are held to the same size in each part. The
file has one fixture a line, in the layout of ``lists``.
"""

from __future__ import annotations

from itertools import groupby, starmap
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._host.files import write_whole
from pytest_test_categories._report.lists import Layout, ListError
from pytest_test_categories._rules.named_tuples import NamedTuple
from pytest_test_categories._rules.policy import TestSize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_test_categories._report.findings import Use as Recorded

UPDATE: Final = "--network-fixtures-update"
UNSIZED: Final = "unsized"
SMALLEST: Final = "smallest"
LARGEST: Final = "largest"
"""What an autouse fixture is held to, unless a test requests it by name."""

_LAYOUT: Final = Layout("list of network fixtures", "fixtures", UPDATE, (str, int, str, str, str))
_SIZES: Final = (*(size.value for size in TestSize), UNSIZED)
_RULES: Final = (SMALLEST, LARGEST)


class Use(NamedTuple):
    """A test's use of a fixture of broad scope.

    Attributes:
        fixture: ``HOME::NAME (scope)``, or ``NAME (scope)`` if a plugin or the root directory defines it. The home is
            the directory, file or class that defines the fixture.
        parameter: The index of the fixture's parameter; 0 if it has none.
        relaxed: Whether the test gets it only because it is autouse.
    """

    fixture: str
    parameter: int = 0
    relaxed: bool = False


def uses_of(recorded: Iterable[Recorded]) -> list[Use]:
    """Return the uses of a test from a recording, without fixtures with a declared size."""
    return [
        Use(f"{use.place}::{use.name}" if use.place else use.name, use.parameter, use.relaxed)
        for use in recorded
        if not use.declared
    ]


class Entry(NamedTuple):
    """A fixture and the size that it is held to.

    Attributes:
        fixture: As in ``Use``.
        parameter: As in ``Use``.
        rule: ``smallest`` or ``largest``: which of the sizes of its tests counts.
        size: The name of the size; ``unsized`` for none.
        test: The node id of the test that has it.
    """

    fixture: str
    parameter: int
    rule: str
    size: str
    test: str

    @property
    def rank(self) -> int:
        """The rank of the size; for no size, the number after the last rank."""
        return _SIZES.index(self.size)

    @property
    def label(self) -> str:
        """The fixture, with the index of its parameter if that is not the first."""
        return f"{self.fixture}[{self.parameter}]" if self.parameter else self.fixture

    def __str__(self) -> str:
        """Return the entry in one line."""
        return f"{self.label}: {self.size} because of {self.test}"


class Held:
    """The sizes that the fixtures of a project are held to.

    Args:
        entries: The entries. If several name one fixture, as after a merge, the one that a run of all these tests
            would find counts.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.by_use: dict[tuple[str, int], Entry] = {}
        for (fixture, parameter), same in groupby(sorted(entries), key=lambda entry: entry[:2]):
            self.by_use[fixture, parameter] = _deciding(list(same))

    @classmethod
    def of(cls, tests: Iterable[tuple[str, str, Iterable[Use]]], known: Iterable[Entry] = ()) -> Held:
        """Return what tests hold their fixtures to.

        Args:
            tests: For each test its node id, the name of its size (empty for none) and the fixtures that it uses.
            known: What is known of further tests, if these are not all of a suite.
        """
        found: dict[tuple[str, int], dict[tuple[str, str], str]] = {}
        listed = set()
        for entry in known:
            found[entry.fixture, entry.parameter] = {(entry.rule, entry.size): entry.test}
            listed.add((entry.fixture, entry.parameter))
        for test, given, uses in tests:
            size = given or UNSIZED
            for use in uses:
                rule = LARGEST if use.relaxed else SMALLEST
                first = found.setdefault((use.fixture, use.parameter), {})
                named = first.get((rule, size))
                if named is None or test < named:  # the same test whatever the order
                    first[rule, size] = test
        return cls(
            Entry(*use, rule, size, test)
            for use, by_size in found.items()
            if use in listed or len({size for _, size in by_size}) > 1
            for (rule, size), test in by_size.items()
        )

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries in order."""
        return tuple(self.by_use.values())

    def contradicted(
        self, tests: Mapping[str, tuple[str, Iterable[Use]]], gone: Callable[[str], bool]
    ) -> dict[Entry, str]:
        """Return the entries that are out of date as far as a run can tell, each with the reason.

        Args:
            tests: The size and uses of each collected test that an entry names, by node id.
            gone: Tells whether a test that was not collected no longer exists.
        """
        found = {}
        for entry in self.entries:
            if (why := _contradiction(entry, tests, gone)) is not None:
                found[entry] = why
        return found

    def differences(self, now: Held, contradicted: Mapping[Entry, str]) -> list[str]:
        """Return a line for each fixture for which the file is out of date.

        Args:
            now: What a run found.
            contradicted: What ``contradicted`` returns.
        """
        lines = []
        for use in sorted({*self.by_use, *now.by_use}):
            listed, found = self.by_use.get(use), now.by_use.get(use)
            if listed is None:
                lines.append(f"{found} (not in the file)")
            elif listed in contradicted:
                lines.append(f"{listed} in the file, but {contradicted[listed]}")
            elif found is None:
                lines.append(f"{listed} in the file, but all tests that use it have one size")
            elif (listed.rule, listed.size) != (found.rule, found.size):
                lines.append(f"{listed} in the file, {found.size} because of {found.test} in the tests")
        return lines

    def text(self) -> str:
        """Return the file's text."""
        return _LAYOUT.text(list(self.entries))

    @classmethod
    def parse(cls, text: str) -> Held:
        """Parse the text of a file.

        Raises:
            ListError: The text is damaged, or has a newer version.
        """
        return cls(_checked(_LAYOUT.parse(text)))

    @classmethod
    def load(cls, path: str) -> Held:
        """Load a file.

        Raises:
            ListError: The file is missing, can't be read, is damaged or has a newer version.
        """
        return cls(_checked(_LAYOUT.load(path)))

    def save(self, path: str) -> None:
        """Write the file atomically; a file with the same content is not touched.

        Raises:
            OSError: The file can't be written.
        """
        write_whole(path, self.text())


def _checked(lines: list[list[Any]]) -> Iterable[Entry]:
    for entry in starmap(Entry, lines):
        if entry.rule not in _RULES or entry.size not in _SIZES:
            choices = f"{' or '.join(_RULES)}, and one of {', '.join(_SIZES)}"
            raise ListError(f"is damaged at {list(entry)!r}: write {choices}")
        yield entry


def _deciding(entries: list[Entry]) -> Entry:
    """Return the entry that counts of those for one fixture: a test that requests it by name comes first."""
    named = [entry for entry in entries if entry.rule == SMALLEST]
    if named:
        return min(named, key=lambda entry: (entry.rank, entry.test))
    return min(entries, key=lambda entry: (-entry.rank, entry.test))


def _contradiction(
    entry: Entry, tests: Mapping[str, tuple[str, Iterable[Use]]], gone: Callable[[str], bool]
) -> str | None:
    known = tests.get(entry.test)
    if known is None:
        return f"{entry.test} is gone" if gone(entry.test) else None
    size, uses = known
    size = size or UNSIZED
    use = next((use for use in uses if (use.fixture, use.parameter) == entry[:2]), None)
    if use is None:
        return f"{entry.test} does not use it"
    if (LARGEST if use.relaxed else SMALLEST) != entry.rule:
        return f"{entry.test} {'gets it as autouse' if use.relaxed else 'requests it by name'}"
    return None if size == entry.size else f"{entry.test} is {size}"
