"""Gates: the most that a run may have of something, such as ``unsized = 0``; a run that has more fails.

A gate names a counter of the report's totals, or the hosts that are new beside a report of the main branch or beside
the baseline. A gate with ``=`` also says when a complete run has less, so that the number can be lowered; one with
``<=`` does not.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from pytest_test_categories._report.model import VERDICTS, Report
from pytest_test_categories._rules.address import split_target
from pytest_test_categories._rules.named_tuples import NamedTuple
from pytest_test_categories._rules.violation import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_test_categories._report.baseline import Baseline

NEW_HOSTS: Final = "new hosts"
SINCE: Final = "--network-since"

_FIX: Final = "fix the tests, or give them the size that they need"
_ADVICE: Final = {
    NEW_HOSTS: "fake it in the tests, or raise the gate for this change",
    "tests": "raise the gate, or remove tests",
    "unsized": "give them a size marker, or set test_categories_default_size",
    "tests on the network": "fake the network in some of them, or raise the gate",
    "tests in breach": _FIX,
    "hosts": "fake some of them, or raise the gate",
    "attempts": "fake some of them, or raise the gate",
    "late": "end what the tests start before they end",
    "unwatched": "--network-kernel-guard=auto has the kernel layer watch them, on Linux",
    "permitted": "fake some of them, or raise the gate",
    "observed": _FIX,
    "known": "fix some of the baseline's violations, or raise the gate",
    "warned": _FIX,
    "refused": _FIX,
}
"""What to do about a gate that is exceeded, by the name of its counter."""

_NOUNS: Final = {
    "tests": "test{s}",
    "unsized": "test{s} without a size",
    "tests on the network": "test{s} on the network",
    "tests in breach": "test{s} in breach",
    "hosts": "host{s}",
    "attempts": "attempt{s}",
    "late": "attempt{s} after the end of a test",
    "unwatched": "program start{s} that no layer watched",
    **{verdict: f"{verdict} attempt{{s}}" for verdict in VERDICTS},
}
_GATE: Final = re.compile(r"(?P<name>[^<=]+?)\s*(?P<sign><?=)\s*(?P<most>[0-9]+)", re.ASCII)
_SHOWN: Final = 3


class SinceError(ValueError):
    """A file to compare with can't be used; the message, which follows the file's name, says what to do."""


class Gate(NamedTuple):
    """The most that a run may have of something.

    Attributes:
        name: The name of a counter, with spaces, or ``new hosts``.
        most: The greatest number that passes.
        exact: Whether to say that it can be lowered.
    """

    name: str
    most: int
    exact: bool

    @classmethod
    def parse(cls, text: str) -> Gate:
        """Parse ``NAME = N`` or ``NAME <= N``.

        Raises:
            ValueError: The text has another form, or no counter has that name.
        """
        match = _GATE.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not a gate; write NAME = N or NAME <= N, such as 'unsized = 0'")
        name = " ".join(match["name"].lower().replace("_", " ").split())
        if name not in _ADVICE:
            raise ValueError(f"{match['name']!r} is not one of {', '.join(_ADVICE)}")
        return cls(name, int(match["most"]), match["sign"] == "=")

    @property
    def observes(self) -> bool:
        """Whether it counts permitted attempts too, which only a run that notes all attempts knows."""
        return self.name in {NEW_HOSTS, "hosts", "attempts", "permitted", "tests on the network"}

    def __str__(self) -> str:
        """Return the gate as it is written."""
        return f"{self.name} {'=' if self.exact else '<='} {self.most}"


class Finding(NamedTuple):
    """What a gate says about a run.

    Attributes:
        text: A line for the terminal.
        fails: Whether the run has more than the gate permits.
    """

    text: str
    fails: bool


def load_report(path: str) -> Report:
    """Load a JSON report to compare with.

    Raises:
        SinceError: The file can't be read, or is no JSON report.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return Report.from_dict(json.load(file))
    except OSError as error:
        raise SinceError(f"can't be read: {error.strerror or error}") from None
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise SinceError("is no JSON report of this version: make it with --network-report=FILE.json") from None


def check(
    gates: Iterable[Gate], report: Report, *, since: Report | None = None, baseline: Baseline | None = None
) -> Iterator[Finding]:
    """Yield what the gates say; nothing for a gate that is kept.

    Args:
        gates: The gates.
        report: The report of the run.
        since: The report that ``new hosts`` compares with.
        baseline: The baseline that it compares with if there is no such report; then only violations count.
    """
    for gate in gates:
        if gate.name == NEW_HOSTS:
            finding = _new_hosts(gate, report, since, baseline)
        else:
            number = report.totals[gate.name.replace(" ", "_")]
            said = f"{number:,} {_NOUNS[gate.name].format(s='' if number == 1 else 's')}"
            finding = _finding(gate, number, said, _named(gate, report), report)
        if finding is not None:
            yield finding


def hosts_beyond(report: Report, *, breaches: bool = False) -> dict[str, str]:
    """Return the hosts outside of this machine that a report's tests reached for, each with the first of the tests.

    Args:
        report: The report.
        breaches: Whether to leave out what the sizes of the tests permit.
    """
    found: dict[str, str] = {}
    for access in report.accesses:
        one = access.violation
        if one.reach == "beyond" and one.kind != PROGRAM and (access.is_breach or not breaches):
            found[access.host] = min(one.test, found.get(access.host, one.test))
    return found


def _new_hosts(gate: Gate, report: Report, since: Report | None, baseline: Baseline | None) -> Finding | None:
    if since is not None:
        known = set(hosts_beyond(since))
    elif baseline is not None:
        known = {split_target(entry.target)[0] for entry in baseline.entries}
    else:
        why = f"there is nothing to compare with; add {SINCE}=FILE, a JSON report of the main branch"
        return Finding(f"gate '{gate}' was not checked: {why}", fails=False)
    new = {host: test for host, test in hosts_beyond(report, breaches=since is None).items() if host not in known}
    listed = [f"{host} ({test})" for host, test in sorted(new.items())]
    more = "" if since is None or since.complete else f" ({SINCE} names the report of an incomplete run)"
    return _finding(gate, len(new), f"this change adds {_some(listed, len(new))}{more}", [], report)


def _named(gate: Gate, report: Report) -> list[str]:
    """Return the tests or hosts that a gate counts, as far as it counts such."""
    if gate.name == "unsized":
        return [test.id for test in report.unsized]
    if gate.name == "hosts":
        return list(report.by_host)
    if gate.name == "unwatched":
        return list(report.unwatched)
    if gate.name in {"tests in breach", "late", *VERDICTS}:
        chosen = {"tests in breach": report.breaches, "late": report.late}.get(gate.name)
        accesses = [one for one in report.accesses if one.verdict == gate.name] if chosen is None else chosen
        return sorted({access.violation.test for access in accesses})
    return []


def _finding(gate: Gate, number: int, said: str, named: list[str], report: Report) -> Finding | None:
    if number > gate.most:
        which = f" ({_some(named, len(named))})" if named else ""
        return Finding(
            f"gate '{gate}' is exceeded by {number - gate.most:,}: {said}{which}; {_ADVICE[gate.name]}", fails=True
        )
    if gate.exact and number < gate.most and report.complete:
        return Finding(f"gate '{gate}' can be lowered to {number:,}", fails=False)
    return None


def _some(named: list[str], number: int) -> str:
    more = f" and {number - _SHOWN:,} more" if number > _SHOWN else ""
    return f"{', '.join(named[:_SHOWN])}{more}"
