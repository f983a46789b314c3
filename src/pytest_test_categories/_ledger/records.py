"""Records of attempts: how often each was made, and how many of them have been delivered.

Guarantees:

- Delivery is counted per attempt, while memory grows only with the number of places: one record counts all attempts
  from one line to one target.
- A ``Delivery`` counts its attempts once, however often the exception that carries it is examined.
- A refusal by several guards is one attempt: delivering it delivers it for each of them.
- No count is lost if several threads count at once: the lock ``counting`` makes them take turns, also in free-threaded
  builds. Permitted attempts are not counted, and never wait for the lock.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Self

from pytest_test_categories._rules.named_tuples import NamedTuple
from pytest_test_categories._rules.policy import refuses
from pytest_test_categories._rules.violation import of_further_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_test_categories._attribution.origin import Scope
    from pytest_test_categories._rules.policy import Attempt, Policy, Verdict
    from pytest_test_categories._rules.violation import Violation


class _Counting:
    """The lock for threads that read a count and write it back; all mutable state of this file.

    Attributes:
        lock: Held while a thread counts; no call under it may wait. A forked child process needs a new one.
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
        called_from: ``path:line`` in the test that called it.
    """

    location: str = ""
    function: str = ""
    called_from: str = ""


NOWHERE: Final = Place()


class Refusal(NamedTuple):
    """A guard that does not permit an attempt, with its verdict.

    Attributes:
        scope: The guard's entry.
        policy: The guard's policy.
        verdict: The policy's verdict.
    """

    scope: Scope
    policy: Policy
    verdict: Verdict

    @property
    def ends_it(self) -> bool:
        """Whether the guard raises an error; otherwise the attempt goes on and is reported."""
        return refuses(self.policy, self.verdict)


class Record:
    """A violation, how often it happened, and how many of these attempts have been delivered.

    Attributes:
        violation: What happened.
        attempt: What was judged, so that it can be judged again when a module's sizes are known.
        count: How many attempts the record stands for.
        delivered: How many of them ended a guard, or are in a report.
        expected: How many of them reached a block that expects violations.
        reported: How many of them a test's report contains.
        same_attempt: The records that all guards made of the same attempts, including this record.
        registry: The registry by which the warnings module emits a warning only once.
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
        """Count ``times`` more attempts, and return the new count."""
        with counting.lock:
            self.count += times
            return self.count

    @property
    def fails(self) -> bool:
        """Whether it fails a strict test; a violation that the baseline lists does not."""
        return self.violation.verdict != "known"

    @property
    def undelivered(self) -> int:
        """How many of its attempts have not been delivered."""
        return max(0, self.count - self.delivered)

    def snapshot(self) -> Violation:
        """Return the violation with its count so far."""
        violation = self.violation
        count = self.count or 1  # other threads may see a new record before its first attempt is counted
        return violation if violation.count == count else violation._replace(count=count)


class Delivery:
    """The attempts that one exception, report or block delivers.

    Args:
        shares: Records, each with the number of its attempts.
    """

    __slots__ = ("_delivered", "_expected", "_shares")

    def __init__(self, shares: Iterable[tuple[Record, int]]) -> None:
        self._shares = tuple(shares)
        self._delivered = self._expected = False

    @classmethod
    def of_the_rest(cls, records: Iterable[Record]) -> Self:
        """Return a delivery of all undelivered attempts of these records, and of other records of the same attempts."""
        shares: dict[Record, int] = {}
        for record in records:
            for one in record.same_attempt:
                shares[one] = max(shares.get(one, 0), min(record.undelivered, one.undelivered))
        return cls(shares.items())

    def deliver(self, *, expected: bool = False) -> None:
        """Mark the attempts as delivered, and as expected if a block expected them."""
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
    """Delivers the attempts refused inside a block that expects violations, once one of them has ended the block.

    Attempts made before the block stay undelivered, and so do those that other code makes meanwhile.

    Args:
        records: The records that exist when the block begins.
    """

    __slots__ = ("_before", "_inside")

    def __init__(self, records: Iterable[Record]) -> None:
        self._before = {record: record.undelivered for record in records}
        self._inside: dict[Record, tuple[Scope, int]] = {}

    def add(self, scope: Scope, record: Record, times: int = 1) -> None:
        """Note that a guard refused ``times`` more attempts in the block."""
        with counting.lock:
            self._inside[record] = (scope, self._inside.get(record, (scope, 0))[1] + times)

    def deliver(self, tell: Callable[[], None]) -> list[tuple[Scope, Record, int]]:
        """Mark what was refused in the block as expected; return the guards, their records, and how many attempts.

        Args:
            tell: Delivers the error that ended the block, so that its attempts are not counted twice.
        """
        taken = self._inside.copy()  # one step: other threads may add to it meanwhile
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
    """The records of guards that have ended, kept until a report uses them.

    Attributes:
        records: The records; above the limit, older records of one place are merged.
    """

    LIMIT: Final = 1000

    __slots__ = ("records",)

    def __init__(self) -> None:
        self.records: list[Record] = []

    def add(self, records: Iterable[Record]) -> None:
        """Keep the records of a guard that ends; not copies, since its errors may still be expected later."""
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
