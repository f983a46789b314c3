"""Attempts on record: how often each was made, and how many of them somebody was told of.

Guarantees:

- Delivery is counted by attempt, while memory grows with the number of places only: a record counts the attempts that
  were made from one line to one target.
- A ``Delivery`` counts its attempts once, however often the exception that carries it is looked at.
- What was refused by several guards is one attempt: telling of it tells each of them.
- No count is lost where threads count at once: they do it one after the other (``counting``), in builds without the
  interpreter's lock as well. What is permitted is not counted, and waits for nobody.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from pytest_test_categories._rules.policy import refuses
from pytest_test_categories._rules.violation import of_further_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_test_categories._attribution.origin import Scope
    from pytest_test_categories._rules.policy import Attempt, Policy, Verdict
    from pytest_test_categories._rules.violation import Violation


class _Counting:
    """Keeps threads apart that read a number and write it back: the part of this file that changes.

    Attributes:
        lock: Held meanwhile; inside, nothing else is called that might wait. A forked child needs a new one.
    """

    __slots__ = ("lock",)

    def __init__(self) -> None:
        self.lock = threading.RLock()


counting: Final = _Counting()


class Place(NamedTuple):
    """A line that started something.

    Attributes:
        location: ``path:line``.
        function: The function.
        called_from: ``path:line`` in the test that led there.
    """

    location: str = ""
    function: str = ""
    called_from: str = ""


NOWHERE: Final = Place()


class Refusal(NamedTuple):
    """A guard that does not permit an attempt, and by which verdict.

    Attributes:
        scope: The guard's entry.
        policy: What it holds to.
        verdict: What that says.
    """

    scope: Scope
    policy: Policy
    verdict: Verdict

    @property
    def ends_it(self) -> bool:
        """Whether the attempt ends there; else it goes on, and is told of."""
        return refuses(self.policy, self.verdict)


class Record:
    """A violation, how often it happened, and how many of these attempts somebody has been told of.

    Attributes:
        violation: What happened.
        attempt: What was judged, to judge it again when a module's sizes are known.
        count: How many attempts it stands for.
        delivered: Of those, how many ended a guard, or are in a report.
        expected: Of those, how many reached somebody who had asked for them.
        reported: How many of its attempts a test's report tells of.
        same_attempt: The records that other guards made of the same attempts, this one among them.
        registry: For the warnings module, which says a thing once by it.
    """

    __slots__ = ("attempt", "count", "delivered", "expected", "registry", "reported", "same_attempt", "violation")

    def __init__(self, violation: Violation, attempt: Attempt | None = None) -> None:
        self.violation = violation
        self.attempt = attempt
        self.count = 0
        self.delivered = 0
        self.expected = 0
        self.reported = 0
        self.same_attempt: list[Record] = [self]
        self.registry: dict[str | tuple[str, type[Warning], int], int] = {}

    def add(self, times: int = 1) -> int:
        """Count so many more attempts; return how many there are now."""
        with counting.lock:
            self.count += times
            return self.count

    @property
    def fails(self) -> bool:
        """Whether it fails a strict test: what the baseline lists doesn't."""
        return self.violation.verdict != "known"

    @property
    def undelivered(self) -> int:
        """How many of its attempts nobody was told of."""
        return max(0, self.count - self.delivered)

    def snapshot(self) -> Violation:
        """Return the violation with its count so far."""
        violation = self.violation
        count = self.count or 1  # others see a record before it is counted
        return violation if violation.count == count else violation._replace(count=count)


class Delivery:
    """Attempts that one exception, report or block tells of.

    Args:
        shares: Records, and how many attempts of each.
    """

    __slots__ = ("_delivered", "_expected", "_shares")

    def __init__(self, shares: Iterable[tuple[Record, int]]) -> None:
        self._shares = tuple(shares)
        self._delivered = self._expected = False

    @classmethod
    def of_the_rest(cls, records: Iterable[Record]) -> Self:
        """Return the delivery of all that nobody was told of, in these records and in those of the same attempts."""
        shares: dict[Record, int] = {}
        for record in records:
            for one in record.same_attempt:
                shares[one] = max(shares.get(one, 0), min(record.undelivered, one.undelivered))
        return cls(shares.items())

    def deliver(self, *, expected: bool = False) -> None:
        """Note that the attempts have ended a guard, or are in a report; or that somebody expected them."""
        with counting.lock:
            if not self._delivered:
                self._delivered = True
                for record, times in self._shares:
                    record.delivered += times
            if expected and not self._expected:
                self._expected = True
                for record, times in self._shares:
                    record.expected += times


class Expecting:
    """Takes the attempts that are refused in a block which expects refusals, when one of them has ended the block.

    Those that were made before it stay as they were, and so do those that others make meanwhile.

    Args:
        records: The records that there are when the block begins.
    """

    __slots__ = ("_before", "_inside")

    def __init__(self, records: Iterable[Record]) -> None:
        self._before = {record: record.undelivered for record in records}
        self._inside: dict[Record, tuple[Scope, int]] = {}

    def add(self, scope: Scope, record: Record, times: int = 1) -> None:
        """Note that a guard has refused so many more attempts in the block."""
        with counting.lock:
            self._inside[record] = (scope, self._inside.get(record, (scope, 0))[1] + times)

    def deliver(self, tell: Callable[[], None]) -> list[tuple[Scope, Record, int]]:
        """Note that somebody expected what was refused in the block; return whose that is, and how often.

        Args:
            tell: Delivers the error that has ended the block: those attempts are not counted twice.
        """
        taken = self._inside.copy()  # in one go
        inside = [(scope, record, times, record.delivered) for record, (scope, times) in taken.items()]
        tell()
        before = self._before
        shares = (
            (record, min(times - (record.delivered - delivered), record.undelivered - before.get(record, 0)))
            for _, record, times, delivered in inside
        )
        Delivery((record, times) for record, times in shares if times > 0).deliver(expected=True)
        return [(scope, record, times) for scope, record, times, _ in inside]


class Gathered:
    """What guards that have ended have on record, until a report takes it.

    Attributes:
        records: Theirs; of many, the older ones of one place are made one.
    """

    LIMIT: Final = 1000

    __slots__ = ("records",)

    def __init__(self) -> None:
        self.records: list[Record] = []

    def add(self, records: Iterable[Record]) -> None:
        """Keep what a guard that ends has on record: itself, since its errors may be expected later."""
        with counting.lock:
            if len(self.records) >= self.LIMIT:
                self._merge()
            self.records += records

    def _merge(self) -> None:
        once: dict[tuple[str, ...], Record] = {}
        for record in self.records:
            if record.count > record.expected:
                violation = record.violation
                if len(once) >= self.LIMIT // 2 and _place_of(violation) not in once:
                    violation = of_further_targets(violation)
                merged = once.setdefault(_place_of(violation), Record(violation))
                merged.add(record.count - record.expected)
        self.records[:] = once.values()


def _place_of(violation: Violation) -> tuple[str, ...]:
    return (violation.kind, violation.verdict, violation.fixture, violation.guard, violation.process, *violation.key)
