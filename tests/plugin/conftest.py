"""Reading the outcome of a real pytest run, with and without workers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]
    Outcomes = dict[str, set[str]]

_WORD: Final = "(?P<word>(?:SUB)?(?:PASSED|FAILED|SKIPPED|XFAIL|XPASS)|ERROR|RERUN)"
_LINES: Final = (
    re.compile(rf"^(?P<node>\S+::\S.*?) {_WORD}\b"),
    re.compile(rf"^\[gw\d+\] \[ *\d+%\] {_WORD}\S* (?P<node>\S+::\S.*?)\s*$"),
    re.compile(rf"^{_WORD}(?:\[\S*\]|\(\S*\))? (?P<node>\S+::\S.*?)(?: - .*)?$"),
)
_NEXT: Final = re.compile(r"^(=|!|\d+ (passed|failed|error|skipped|warning))")


@pytest.fixture(params=[pytest.param(0, id="one process"), pytest.param(2, id="two workers")])
def workers(request: pytest.FixtureRequest) -> int:
    """Return how many xdist workers the inner run has."""
    count: int = request.param
    return count


@pytest.fixture
def outcomes() -> Callable[[pytest.RunResult], Outcomes]:
    """Read from a ``-v`` run all that became of each test, by the part of its node id after the file."""

    def read(result: pytest.RunResult) -> Outcomes:
        found: Outcomes = {}
        for line in result.outlines:
            match = next((match for pattern in _LINES if (match := pattern.match(line))), None)
            if match is not None:
                found.setdefault(match["node"].partition("::")[2], set()).add(match["word"])
        return found

    return read


@pytest.fixture
def summary() -> Callable[[pytest.RunResult], list[str]]:
    """Return the lines of our section of the terminal summary."""

    def read(result: pytest.RunResult) -> list[str]:
        lines = result.outlines
        starts = [at for at, line in enumerate(lines) if re.match(r"^=+ test categories \(\w+\) =+$", line)]
        if not starts:
            return []
        end = next((at for at in range(starts[0] + 1, len(lines)) if _NEXT.match(lines[at])), len(lines))
        return lines[starts[0] + 1 : end]

    return read
