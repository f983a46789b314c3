"""The model of a report: the network use of each test of a run, and totals.

A ``Report`` is plain data, the same for any number of workers. The formats only render its properties and compute
nothing. Its texts are safe to publish: paths are relative to the root directory, and user names, passwords, query
strings and arguments of programs are left out.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._report.published import (
    is_plain,
    program_of,
    publishable,
    published,
    published_id,
    relative_place,
)
from pytest_test_categories._rules.address import split_target
from pytest_test_categories._rules.advice import cures, library_of_route, reach_hints
from pytest_test_categories._rules.fakes import fake
from pytest_test_categories._rules.named_tuples import NamedTuple
from pytest_test_categories._rules.policy import TestSize
from pytest_test_categories._rules.violation import Violation
from pytest_test_categories._rules.wording import KERNEL, aim_text, counted, facts, line_text, place_text

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION: Final = 1
"""Version of the JSON schema; increased when a reader of the old version would misread the new one."""

PERMITTED: Final = "permitted"
OBSERVED: Final = "observed"
KNOWN: Final = "known"
WARNED: Final = "warned"
REFUSED: Final = "refused"
VERDICTS: Final = (PERMITTED, OBSERVED, KNOWN, WARNED, REFUSED)
"""The possible results of an attempt, the mildest first.

``observed``: the test's size does not permit it, in a run that enforces nothing; ``known``: the baseline lists the
violation; ``warned``: it was carried out, with a warning; ``refused``: it was stopped.
"""

BREACHES: Final = frozenset({OBSERVED, KNOWN, WARNED, REFUSED})
"""Verdicts on attempts that the test's size does not permit."""

SYMBOLS: Final = {PERMITTED: "\u2713", OBSERVED: "?", KNOWN: "~", WARNED: "!", REFUSED: "\u2715"}
"""A symbol for each verdict, for places without room for the word."""

MEANINGS: Final = {
    PERMITTED: "the test's size or an allow entry permits it",
    OBSERVED: "the test's size does not permit it; this run only observes",
    KNOWN: "the test's size does not permit it; the baseline lists it",
    WARNED: "the test's size does not permit it; the run warned, and the call went on",
    REFUSED: "the test's size does not permit it; the call was stopped",
}
"""The meaning of each verdict, for legends."""

_COUNTERS: Final = {
    REFUSED: "refused",
    WARNED: "warned",
    OBSERVED: "observed",
    KNOWN: "in the baseline",
    "tests_on_the_network": "test{s} used the network",
    "hosts": "host{s}",
    "late": "after the end of the test",
    "unwatched": "program start{s} not watched",
    "unsized": "test{s} without a size",
}

SIZES: Final = tuple(size.value for size in TestSize)

_SEEN: Final = {
    "audit": "seen by the audit hook",
    "kernel": "seen by the kernel layer",
    "client": "seen at the entry point of a native client",
}
_PLACE: Final = re.compile(r"(?![A-Za-z]:[\\/])(?P<file>[^<./\\].*|\.[^.].*):(?P<line>\d+)")


class Position(NamedTuple):
    """A line of code that a code host can show.

    Attributes:
        file: Path, relative to the root directory.
        line: The line number, from 1; 0 if unknown.
    """

    file: str
    line: int = 0


def position_of(place: str) -> Position | None:
    """Parse ``path:line``; return None if it is not a file below the root directory."""
    match = _PLACE.fullmatch(place)
    return Position(match["file"], int(match["line"])) if match else None


def layer_of(route: str) -> str:
    """Return the layer that an entry point belongs to."""
    if route == KERNEL:
        return KERNEL
    if route.startswith("_"):
        return "audit"
    return "client" if library_of_route(route) else "python"


class Access(NamedTuple):
    """One network access of one test, and its result.

    Attributes:
        violation: The test, the target, the line of code and the count; used for permitted attempts, too.
        verdict: One of ``VERDICTS``.
        needs: The smallest size that would permit it, given the allow entries of the run; ``small`` if an entry
            permits it in small tests.
        because: The reason why it was permitted or not.
        layer: The layer that saw it: ``python``, ``audit``, ``kernel``, or ``client`` for the entry point of a native
            client.
    """

    violation: Violation
    verdict: str
    needs: str
    because: str = ""
    layer: str = "python"

    @classmethod
    def of(cls, violation: Violation) -> Access:
        """Return the access for a guard's record."""
        needs = violation.needs or SIZES[-2]
        return cls(violation, violation.verdict, needs, violation.because, layer_of(violation.route))

    @property
    def key(self) -> tuple[str, ...]:
        """The identity of the access: repetitions have an equal key."""
        v = self.violation
        return (v.test, v.fixture, v.kind, v.target, v.location, v.called_from, v.process, v.late, self.verdict)

    @property
    def host(self) -> str:
        """The target without its port."""
        return split_target(self.violation.target)[0]

    @property
    def aim(self) -> str:
        """What it used: the target, or ``listen on ...`` for a server."""
        return aim_text(self.violation)

    @property
    def module(self) -> str:
        """The file of the test."""
        return self.violation.test.partition("::")[0]

    @property
    def is_breach(self) -> bool:
        """Whether the test's size does not permit it."""
        return self.verdict in BREACHES

    @property
    def cures(self) -> tuple[str, ...]:
        """How to fix it, one line each, as in the TC001 text; empty unless it is a breach."""
        return (*cures(self.violation), *reach_hints(self.violation)) if self.is_breach else ()

    @property
    def fake(self) -> str:
        """Code that fakes a breach's call, to paste above the test; empty if there is none."""
        return fake(self.violation) if self.is_breach else ""

    @property
    def where(self) -> str:
        """The line that made it and its function, without the caller; empty if unknown."""
        return place_text(self.violation._replace(called_from="")).removeprefix("at ")

    @property
    def line(self) -> str:
        """The access in one line."""
        return line_text(self.violation)

    @property
    def notes(self) -> tuple[str, ...]:
        """Further facts, a phrase each: client, call, fixture, thread, process, address, layer, reason."""
        v = self.violation
        by_itself = self.layer == v.route == KERNEL and not v.process  # facts() says so already
        return (
            *((f"with {v.library}",) if v.library else ()),
            *facts(v),
            *((_SEEN[self.layer],) if self.layer in _SEEN and not by_itself else ()),
            *((self.because,) if self.because and not self.is_breach else ()),
        )

    @property
    def level(self) -> str:
        """The severity of a breach on code hosts: ``error`` or ``warning``."""
        return "error" if self.verdict == REFUSED else "warning"

    @property
    def message(self) -> str:
        """The text of a breach for tools that show it beside its line: what happened, the notes, how to fix it."""
        v = self.violation
        by = f"{v.test} ({v.size})" if v.size else v.test
        used = self.aim if v.kind == "bind" else f"use {v.target}"
        said = (f"{by} tried to {used}: {self.verdict}.", "; ".join(self.notes), *self.cures)
        return "\n".join(line for line in said if line)

    @property
    def fingerprint(self) -> tuple[str, str, str]:
        """Identifies a breach across runs, even if lines have moved: test, kind, target."""
        return (self.violation.test, self.violation.kind, self.violation.target)

    def published(self) -> Access:
        """Return the access in a form that is safe to publish: no absolute path, no secrets."""
        return self._replace(violation=published(self.violation), because=publishable(self.because))

    def to_dict(self) -> dict[str, Any]:
        """Return the access as JSON-safe values."""
        return {
            **self.violation.to_dict(),
            "verdict": self.verdict,
            "needs": self.needs,
            "because": self.because,
            "layer": self.layer,
            "fake": self.fake,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Access:
        """Return the access from the values of ``to_dict``."""
        return cls(
            Violation.from_dict(data), data["verdict"], data["needs"], data.get("because", ""), data.get("layer", "")
        )


class Case(NamedTuple):
    """One test of the run.

    Attributes:
        id: The node id.
        size: The size; empty if the test has none.
        file: Path of its file, relative to the root directory.
        line: The line in that file, from 1; 0 if unknown.
        outcome: ``passed``, ``failed``, ``skipped``, ``xfailed``, ``xpassed``, ``error`` (in set-up or tear-down) or
            ``unfinished``.
        seconds: The total duration of its phases.
        unwatched: The number of programs it started that no layer watched.
    """

    id: str
    size: str = ""
    file: str = ""
    line: int = 0
    outcome: str = "unfinished"
    seconds: float = 0.0
    unwatched: int = 0

    def published(self) -> Case:
        """Return the test in a form that is safe to publish: no absolute path, no secrets."""
        if is_plain(self.id) and self.id.startswith(self.file):  # most tests
            return self
        return self._replace(id=published_id(self.id), file=relative_place(self.file))

    def to_dict(self) -> dict[str, Any]:
        """Return the test as JSON-safe values."""
        return self._asdict()

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Case:
        """Return the test from the values of ``to_dict``; unknown keys, of a newer version, are ignored."""
        return cls(**{key: value for key, value in data.items() if key in cls._fields})


class Tally(NamedTuple):
    """A row of a table: the attempts on one host, or of the whole run.

    Attributes:
        name: The host.
        verdicts: The number of attempts for each verdict, in the order of ``VERDICTS``.
        tests: The number of tests that made them.
        needs: The smallest size that would permit all of them.
    """

    name: str
    verdicts: dict[str, int]
    tests: int
    needs: str

    @property
    def attempts(self) -> int:
        """The number of attempts."""
        return sum(self.verdicts.values())

    @property
    def worst(self) -> str:
        """The most severe verdict."""
        return next((verdict for verdict in reversed(VERDICTS) if self.verdicts.get(verdict)), PERMITTED)

    @property
    def breaches(self) -> int:
        """The number of attempts that the sizes of their tests do not permit."""
        return sum(count for verdict, count in self.verdicts.items() if verdict in BREACHES)


class Site(NamedTuple):
    """A line of code that accessed a host which the sizes of the tests do not permit.

    Attributes:
        host: The host.
        where: The line and its function; empty if unknown.
        verdict: The most severe verdict.
        attempts: The number of attempts.
        tests: The tests that made them, in order.
        cures: How to fix it, one line each.
        targets: What it used: hosts with ports, as the code passed them, or ``listen on ...`` for a server.
        notes: Further facts, a phrase each: client, fixture, thread, process.
        fake: Code that fakes the call, to paste above the first test for which there is one; empty if there is none.
    """

    host: str
    where: str
    verdict: str
    attempts: int
    tests: tuple[str, ...]
    cures: tuple[str, ...]
    targets: tuple[str, ...]
    notes: tuple[str, ...]
    fake: str = ""


def _tally(name: str, accesses: Iterable[Access]) -> Tally:
    counts: dict[str, int] = {}
    tests = set()
    needs = 0
    for access in accesses:
        counts[access.verdict] = counts.get(access.verdict, 0) + access.violation.count
        tests.add(access.violation.test)
        needs = max(needs, SIZES.index(access.needs))
    return Tally(name, {v: counts[v] for v in VERDICTS if v in counts}, len(tests), SIZES[needs])


def merged(accesses: Iterable[Access]) -> Iterable[Access]:
    """Return accesses in a form that is safe to publish, repetitions as one with the sum of their counts."""
    found: dict[tuple[str, ...], Access] = {}
    for access in accesses:
        published = access.published()
        before = found.get(published.key)
        if before is not None:
            counts = (before.violation.count, published.violation.count)
            # Each worker of a parallel run imports every module.
            count = max(counts) if published.violation.importing else sum(counts)
            needs = max(before.needs, published.needs, key=SIZES.index)
            published = before._replace(needs=needs, violation=before.violation._replace(count=count, needs=needs))
        found[published.key] = published
    return found.values()


class Report:
    """A whole run.

    Args:
        tests: The tests of the run.
        accesses: The network accesses of the tests.
        mode: ``strict``, ``warn`` or ``off`` (everything was watched, nothing enforced).
        layers: The layers in force.
        complete: Whether every test of the project ran to its end.
        why_incomplete: The reasons why not, one line each.
        unwatched: Programs that no layer watched, and how often each was started.
        tool: Version of this plugin.
    """

    def __init__(
        self,
        tests: Iterable[Case],
        accesses: Iterable[Access],
        *,
        mode: str = "strict",
        layers: Iterable[str] = (),
        complete: bool = True,
        why_incomplete: Iterable[str] = (),
        unwatched: dict[str, int] | None = None,
        tool: str = "",
    ) -> None:
        self.mode = mode
        self.layers = tuple(layers)
        self.complete = complete
        self.why_incomplete = tuple(publishable(why) for why in why_incomplete)
        programs: dict[str, int] = {}
        for program, count in (unwatched or {}).items():
            name = program_of(program)
            programs[name] = programs.get(name, 0) + count
        self.unwatched = dict(sorted(programs.items()))
        self.tool = tool
        self.tests = tuple(sorted([test.published() for test in tests]))
        self.accesses = tuple(sorted(merged(accesses), key=lambda access: access.key))

    # -- what it adds up to --------------------------------------------------------------------------------------------

    @cached_property
    def by_test(self) -> dict[str, tuple[Access, ...]]:
        """The accesses by test, in the order of the tests; only tests with any."""
        return _grouped((access.violation.test, access) for access in self.accesses)

    @cached_property
    def by_host(self) -> dict[str, tuple[Access, ...]]:
        """The accesses by host: the most severe hosts first, then those with the most breaches and attempts."""
        grouped = _grouped((access.host, access) for access in self.accesses)
        tallies = [_tally(host, accesses) for host, accesses in grouped.items()]
        tallies.sort(key=lambda t: (-VERDICTS.index(t.worst), -t.breaches, -t.attempts, t.name))
        return {tally.name: grouped[tally.name] for tally in tallies}

    @cached_property
    def by_module(self) -> dict[str, tuple[Access, ...]]:
        """The accesses by the test's file, in the order of the files."""
        return dict(sorted(_grouped((access.module, access) for access in self.accesses).items()))

    @cached_property
    def hosts(self) -> tuple[Tally, ...]:
        """A row for each host, in the order of ``by_host``."""
        return tuple(_tally(name, accesses) for name, accesses in self.by_host.items())

    @cached_property
    def breaches(self) -> tuple[Access, ...]:
        """The accesses that the tests' sizes do not permit, including late ones."""
        return tuple(access for access in self.accesses if access.is_breach)

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """The lines of code to change, in the order of ``hosts``; for each host the most severe and most used first."""
        found: list[Site] = []
        for host, accesses in self.by_host.items():
            grouped = _grouped((access.where, access) for access in accesses if access.is_breach)
            found += sorted(
                (_site(host, where, same) for where, same in grouped.items()),
                key=lambda site: (-VERDICTS.index(site.verdict), -len(site.tests), site.where),
            )
        return tuple(found)

    @cached_property
    def cases(self) -> dict[str, Case]:
        """The tests by their node ids."""
        return {test.id: test for test in self.tests}

    def position(self, access: Access) -> Position | None:
        """Return the line to show an access on.

        That is the line that made it, or the line in the test that led there, or else that of the test itself. None if
        no test is charged with it, or if none of these lines is below the root directory.
        """
        for place in (access.violation.location, access.violation.called_from):
            if (found := position_of(place)) is not None:
                return found
        test = self.cases.get(access.violation.test)
        if test is not None and test.file:
            # Checked in the same way: the code host has no file outside of the root directory.
            return position_of(f"{test.file}:{test.line}")
        return Position(access.module) if access.module.endswith(".py") and position_of(f"{access.module}:0") else None

    @cached_property
    def headline(self) -> str:
        """The run in a sentence."""
        numbers = self.totals
        tests = counted(numbers["tests"], "test")
        if not self.accesses:
            return f"No network use in {tests}"
        if not self.breaches:
            hosts = counted(numbers["hosts"], "host")
            used = f"{numbers['tests_on_the_network']:,} of {tests} used the network ({hosts})"
            unsized = sum(1 for test in self.unsized if test.id in self.by_test)
            return f"{used}; {unsized:,} of them without a size" if unsized else f"{used}, and their sizes permit it"
        attempts = counted(sum(access.violation.count for access in self.breaches), "attempt")
        hosts = counted(sum(1 for host in self.hosts if host.breaches), "host")
        broke = f"{numbers['tests_in_breach']:,} of {tests} used more network than their size permits"
        return f"{broke}: {attempts} to {hosts}"

    @cached_property
    def late(self) -> tuple[Access, ...]:
        """Breaches after the end of their test, or from threads that belong to no test."""
        return tuple(access for access in self.breaches if access.violation.late)

    @cached_property
    def unsized(self) -> tuple[Case, ...]:
        """Tests with no size."""
        return tuple(test for test in self.tests if not test.size)

    @cached_property
    def totals(self) -> dict[str, int]:
        """The numbers at the top of a page.

        ``tests``, ``unsized``, ``tests_on_the_network``, ``tests_in_breach``, ``hosts``, ``attempts``, ``late``,
        ``unwatched``, and one for each verdict.
        """
        verdicts = _tally("", self.accesses).verdicts
        return {
            "tests": len(self.tests),
            "unsized": len(self.unsized),
            "tests_on_the_network": len(self.by_test),
            "tests_in_breach": len({access.violation.test for access in self.breaches}),
            "hosts": len(self.by_host),
            "attempts": sum(verdicts.values()),
            "late": len(self.late),
            "unwatched": sum(self.unwatched.values()),
            **{verdict: verdicts.get(verdict, 0) for verdict in VERDICTS},
        }

    @property
    def counters(self) -> tuple[tuple[int, str, str], ...]:
        """The numbers at the top of a page that are not zero, each with its label and its name in ``totals``."""
        return tuple(
            (number, label.format(s="" if number == 1 else "s"), name)
            for name, label in _COUNTERS.items()
            if (number := self.totals[name])
        )

    # -- as data -------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-safe values, in a stable order: docs/reference/report.schema.json describes it."""
        return {
            "version": VERSION,
            "tool": {"name": "pytest-test-categories", "version": self.tool},
            "mode": self.mode,
            "layers": list(self.layers),
            "complete": self.complete,
            "why_incomplete": list(self.why_incomplete),
            "totals": dict(self.totals),
            "tests": [test.to_dict() for test in self.tests],
            "accesses": [access.to_dict() for access in self.accesses],
            "unwatched": dict(self.unwatched),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Report:
        """Return the report from the values of ``to_dict``.

        Raises:
            ValueError: The values have another version.
        """
        if data.get("version") != VERSION:
            raise ValueError(f"a report of version {data.get('version')!r}; this version reads {VERSION}")
        return cls(
            map(Case.from_dict, data["tests"]),
            map(Access.from_dict, data["accesses"]),
            mode=data["mode"],
            layers=data["layers"],
            complete=data["complete"],
            why_incomplete=data["why_incomplete"],
            unwatched=data["unwatched"],
            tool=data["tool"]["version"],
        )


def _site(host: str, where: str, accesses: tuple[Access, ...]) -> Site:
    tally = _tally(host, accesses)
    tests = tuple(sorted({access.violation.test for access in accesses}))
    cures = tuple(dict.fromkeys(cure for access in accesses for cure in access.cures))
    targets = tuple(dict.fromkeys(access.aim for access in accesses))
    notes = tuple(dict.fromkeys(note for access in accesses for note in access.notes))
    fake = next(filter(None, (access.fake for access in sorted(accesses))), "")
    return Site(host, where, tally.worst, tally.attempts, tests, cures, targets, notes, fake)


def _grouped(pairs: Iterable[tuple[str, Access]]) -> dict[str, tuple[Access, ...]]:
    found: dict[str, list[Access]] = {}
    for name, access in pairs:
        found.setdefault(name, []).append(access)
    return {name: tuple(accesses) for name, accesses in found.items()}
