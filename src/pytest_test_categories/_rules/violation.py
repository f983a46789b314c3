"""A violation: a plain record that is sent between processes and written into reports."""

from __future__ import annotations

from typing import Any, Final

from pytest_test_categories._rules.named_tuples import NamedTuple

PROGRAM: Final = "program"
"""The kind of a violation that is not an attempt: the start of a program that no layer watches."""


RUN: Final = "run --size "
"""Start of the guard's name if it is that of a command, and not of a test."""


class Violation(NamedTuple):
    """One violation: the test, the target, the line of code, and how often it happened.

    Attributes:
        test: The test (a pytest node id, a unittest id, or where the guard was entered).
        size: The size whose rule was broken.
        kind: ``connect``, ``send``, ``lookup``, ``reverse-lookup``, ``bind`` or ``reuse`` (sending on a connection
            that was already open); ``program`` for the start of a program that no layer watches.
        target: ``host:port`` as the test passed it; for a program its name.
        route: The entry point that was called, such as ``socket.connect``.
        reach: ``machine`` for this machine, ``beyond`` for anything else.
        address: The numeric address behind the target, if it was known and differs.
        location: ``path:line`` of the innermost line of the project's own code; empty if there is none.
        function: The function at that line.
        called_from: ``path:line`` of the call in the test that led there, if that is another line.
        library: The client library on the stack, such as ``requests``.
        cassette: Whether VCR.py was recording or replaying around the call.
        importing: The module whose import made the attempt.
        thread: Name of the thread, if it was not the test's own.
        process: Description of the child process that made the attempt, if one did.
        fixture: Fixture that was being set up or torn down, with its scope, such as ``db (session)``.
        fixture_home: The directory or file that defines that fixture; empty for the root directory.
        held_by: The test because of which that fixture is held to ``size``.
        test_size: The size of the test itself, if a fixture was held to ``size``.
        guard: Where the guard that refused was entered, if it was not the test's own.
        late: Why the violation came after the end of its test; empty if it did not.
        count: The number of attempts in this record.
        verdict: The result: ``refused``, ``warned`` or ``known`` (the baseline lists it, so that it only warned);
            for records that only reports use, ``permitted`` or ``observed``.
        needs: The smallest size that permits it.
        because: The reason why it was permitted or not.
        request: The request that the client was about to make, such as
            ``GET https://api.example.com/users?page=...`` or ``s3 GetObject``; without values of a query, user names,
            passwords and payload.
        replace: What a fake can replace so that the call isn't made, such as ``shop.rates.fetch``;
            ``.fetch`` for a name in the test's module; preceded by ``async`` or ``class`` if it is one.
    """

    test: str
    size: str
    kind: str
    target: str
    route: str = ""
    reach: str = "beyond"
    address: str = ""
    location: str = ""
    function: str = ""
    called_from: str = ""
    library: str = ""
    cassette: bool = False
    importing: str = ""
    thread: str = ""
    process: str = ""
    fixture: str = ""
    fixture_home: str = ""
    held_by: str = ""
    test_size: str = ""
    guard: str = ""
    late: str = ""
    count: int = 1  # type: ignore[assignment]  # a field of ours, not tuple's method
    verdict: str = "refused"
    needs: str = ""
    because: str = ""
    request: str = ""
    replace: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """The identity of the violation: repetitions have an equal key."""
        known = "known" if self.verdict == "known" else ""  # a failing violation is not merged into one that only warns
        return (self.test, self.size, self.kind, self.target, self.location, self.called_from, self.late, known)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON-safe values."""
        return self._asdict()

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Violation:
        """Return the record from the values of ``to_dict``; unknown keys, of a newer version, are ignored."""
        return cls(**{key: value for key, value in data.items() if key in cls._fields})


def is_of_command(violation: Violation) -> bool:
    """Tell whether a command made the attempt, which has neither markers nor fakes."""
    return violation.guard.startswith(RUN)


def of_further_targets(violation: Violation) -> Violation:
    """Return the record that sums up further violations, if there are too many to name each."""
    return violation._replace(target="further targets", location="", function="", request="", replace="")
