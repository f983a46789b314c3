"""What the selftest found: an outcome for each way, size and set of layers, and what it says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pytest_test_categories._commands.selftest.ways import LIMITS, WAYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SETUPS: Final = {"python": "without the kernel layer", "kernel": "with the kernel layer"}
SIZES: Final = ("small", "medium")
LAYERS: Final = {
    "python": "Python code: socket wrappers and audit hook",
    "children": "Python child processes",
    "kernel": "Native code and programs: the kernel layer",
}

STOPPED: Final = "stopped"
NOT_STOPPED: Final = "not stopped"
NOT_REPORTED: Final = "not reported"
NOT_RUN: Final = "not run"
NOT_TRIED: Final = "not tried"
UNPROVEN: Final = "unproven"
NOT_AVAILABLE: Final = "not available"
PERMITTED: Final = "permitted"

_GAPS: Final = {
    NOT_STOPPED: "not stopped",
    NOT_REPORTED: "did not lead out, but no violation is on record",
    NOT_RUN: "not tried, since the process broke or did not end",
}


class Cell(NamedTuple):
    """What came of one way under one set of layers at one size.

    Attributes:
        way: The way's id.
        setup: The set of layers, a key of ``SETUPS``.
        size: The size.
        outcome: One of the constants of this module.
        limit: The known limitation that explains it, a key of ``LIMITS``; empty if none does.
    """

    way: str
    setup: str
    size: str
    outcome: str
    limit: str = ""

    @property
    def is_gap(self) -> bool:
        """Whether it should not be so."""
        return self.outcome in _GAPS and not self.limit


class Findings(NamedTuple):
    """All of it.

    Attributes:
        system: Python and the system that it runs on.
        loopback: Why no private network was used; empty if one was.
        unavailable: Why there is no kernel layer; empty if there is one.
        broken: The last words of processes that did not try all their ways, by name.
        cells: The outcomes.
    """

    system: str
    loopback: str
    unavailable: str
    broken: dict[str, str]
    cells: list[Cell]

    @property
    def gaps(self) -> list[Cell]:
        """The outcomes that should not be."""
        return [cell for cell in self.cells if cell.is_gap]

    @property
    def tries(self) -> list[Cell]:
        """The outcomes that prove something."""
        return [cell for cell in self.cells if cell.outcome in {STOPPED, *_GAPS}]

    def to_dict(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "system": self.system,
            "network": "loopback" if self.loopback else "private",
            "why_loopback": self.loopback,
            "kernel_layer": not self.unavailable,
            "why_no_kernel_layer": self.unavailable,
            "ways": [
                {
                    "id": way,
                    "title": WAYS[way].title,
                    "layer": WAYS[way].layer,
                    "outcomes": {
                        setup: {cell.size: cell.outcome for cell in self._of(way) if cell.setup == setup}
                        for setup in SETUPS
                    },
                    "limit": next((LIMITS[cell.limit][1] for cell in self._of(way) if cell.limit), ""),
                }
                for way in self._ways()
            ],
            "broken": self.broken,
            "gaps": [{"way": gap.way, "layers": gap.setup, "size": gap.size, "why": gap.outcome} for gap in self.gaps],
        }

    def lines(self) -> Iterator[str]:
        """Yield the lines of the table, and of what it means."""
        yield f"selftest of pytest-test-categories: {self.system}"
        if self.loopback:
            yield f"network: loopback, because this machine permits no private network: {self.loopback}"
            yield "not tried there: medium tests, which may reach loopback; look-ups and multicast, which would leave"
        else:
            yield "network: a private one; what is not stopped ends there, and nothing leaves this machine"
        yield f"kernel layer: {f'not available: {self.unavailable}' if self.unavailable else 'available'}"
        yield ""
        yield _row("", list(SETUPS.values()), len(SIZES))
        yield _row("way out", [size for _ in SETUPS for size in SIZES])
        for layer, heading in LAYERS.items():
            ways = [way for way in self._ways() if WAYS[way].layer == layer]
            if ways:
                yield heading
            for way in ways:
                yield _row(f"  {WAYS[way].title}", [cell.outcome for cell in self._of(way)])
        yield ""
        yield from self._limits()
        yield from self._untried()
        for setup, size, outcome in dict.fromkeys((gap.setup, gap.size, gap.outcome) for gap in self.gaps):
            ways = [WAYS[gap.way].title for gap in self.gaps if gap[1:4] == (setup, size, outcome)]
            yield f"GAP: {size}, {SETUPS[setup]}: {_GAPS[outcome]}: {'; '.join(ways)}"
        for name, words in self.broken.items():
            yield f"the process {name} broke: {words}"
        for setup, text in SETUPS.items():
            tried = [cell for cell in self.tries if cell.setup == setup]
            stopped = sum(cell.outcome == STOPPED for cell in tried)
            yield f"{text}: {stopped} of {len(tried)} tries stopped"
        yield f"gaps: {len(self.gaps)}" if self.tries else "nothing could be tried here: this proves nothing"

    def _limits(self) -> Iterator[str]:
        for limit, (text, page) in LIMITS.items():
            ways = dict.fromkeys(WAYS[cell.way].title for cell in self.cells if cell.limit == limit)
            if ways:
                yield f"known limitation: {'; '.join(ways)}"
                yield f"  {text}"
                yield f"  {page}"

    def _untried(self) -> Iterator[str]:
        found = {
            UNPROVEN: "could not be tried here, because it does not lead out without a guard either",
            NOT_AVAILABLE: "not available on this machine",
        }
        for outcome, text in found.items():
            ways = dict.fromkeys(cell.way for cell in self.cells if (cell.outcome, cell.setup) == (outcome, "python"))
            for way in ways:
                yield f"{WAYS[way].title}: {text}{f' ({lacking})' if (lacking := WAYS[way].missing()) else ''}"

    def _ways(self) -> list[str]:
        return list(dict.fromkeys(cell.way for cell in self.cells))

    def _of(self, way: str) -> list[Cell]:
        return [cell for cell in self.cells if cell.way == way]


def cells(chosen: Sequence[str], examined: dict[str, Any]) -> Iterator[Cell]:
    """Yield the outcomes.

    Args:
        chosen: The ids of the ways.
        examined: What the lab found.
    """
    trials = {(setup, size, way): (arrived, on_record) for setup, size, way, arrived, on_record in examined["trials"]}
    for way in chosen:
        for setup in SETUPS:
            for size in SIZES:
                if WAYS[way].missing() or (setup == "kernel" and examined["unavailable"]):
                    outcome = NOT_AVAILABLE
                elif (WAYS[way].kind, size) == ("unix", "medium"):
                    outcome = PERMITTED
                elif (setup, size, way) not in trials:
                    outcome = NOT_TRIED
                elif not trials["none", "none", way][0]:
                    outcome = NOT_RUN if trials["none", "none", way][1] is None else UNPROVEN
                else:
                    outcome = _outcome(*trials[setup, size, way])
                limit = WAYS[way].limit if setup == "python" and outcome == NOT_STOPPED else ""
                yield Cell(way, setup, size, outcome, limit)


def _outcome(arrived: bool, on_record: bool | None) -> str:
    if arrived:
        return NOT_STOPPED
    if on_record is None:
        return NOT_RUN
    return STOPPED if on_record else NOT_REPORTED


def _row(first: str, cells: Sequence[str], width: int = 1) -> str:
    return f"{first:38}" + "".join(f"{cell:{15 * width}}" for cell in cells).rstrip()
