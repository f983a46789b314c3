"""A row of the table: what was measured on each side, and how far ours may be from bare pytest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Side = Literal["bare", "fixture", "socket", "ours"]
SIDES: Final[tuple[Side, ...]] = ("bare", "fixture", "socket", "ours")
HEADS: Final = {"bare": "bare", "fixture": "empty fixture", "socket": "pytest-socket", "ours": "ours"}

_SIGNIFICANT: Final = 100
"""Above this, tenths are noise."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The most that may be measured.

    Args:
        kind: ``x`` limits the ratio of ours to bare, ``+`` the difference, ``=`` ours alone.
        limit: The limit; ``None`` where a row only informs.
    """

    kind: Literal["x", "+", "="]
    limit: float | None

    def of(self, values: Mapping[Side, float]) -> float:
        """Return what is limited."""
        ours, bare = values["ours"], values.get("bare", 0)
        if self.kind == "=":
            return ours
        return ours - bare if self.kind == "+" else ours / bare if bare else float("inf")

    def text(self, value: float | None) -> str:
        """Return a value as it stands in the table."""
        if value is None:
            return ""
        if self.kind == "x":
            return f"{value:.2f} x"
        return f"{value:+,.1f}" if self.kind == "+" else number(value)


@dataclass(slots=True)
class Figure:
    """What was measured for a row, and what counts besides.

    Args:
        values: By side, in the row's unit.
        medians: The same of all blocks and not of the least, where calls are timed.
        instructions: The same in thousands of instructions, where calls are counted too.
        notes: What else there is to say.
    """

    values: dict[Side, float]
    medians: dict[Side, float] = field(default_factory=dict)
    instructions: dict[Side, float] = field(default_factory=dict)
    notes: str = ""


def passed(reach: Reach, figure: Figure) -> bool | None:
    """Return whether the limit is kept, if there is one."""
    return None if reach.limit is None else round(reach.of(figure.values), 6) <= reach.limit


def number(value: float | None) -> str:
    """Return a number with as many places as it is good for."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= _SIGNIFICANT or value == int(value) else f"{value:.2f}"


def header() -> str:
    """Return the line above the table."""
    return _line(
        "row", "unit", *(HEADS[side] for side in SIDES), "ours is", "reach", "", "by medians", "by instructions"
    )


def line(name: str, unit: str, reach: Reach, figure: Figure) -> str:
    """Return the line of a row."""
    found = reach.of(figure.values)
    verdict = {None: "", True: "PASS", False: "FAIL"}[passed(reach, figure)]
    counted = figure.instructions
    more = f"{reach_of(counted):.2f} x ({counted['ours'] - counted['bare']:+,.1f} k)" if "bare" in counted else ""
    if counted and "bare" not in counted:
        more = f"{counted['ours']:,.1f} k"
    return _line(
        name,
        unit,
        *(number(figure.values.get(side)) for side in SIDES),
        reach.text(found),
        reach.text(reach.limit),
        verdict,
        reach.text(reach.of(figure.medians)) if figure.medians else "",
        more,
    )


def reach_of(values: Mapping[Side, float]) -> float:
    """Return how many times the bare value ours is."""
    return Reach("x", None).of(values)


def _line(*cells: str) -> str:
    widths = (26, 8, *(13 for _ in SIDES), 10, 10, 4, 11, 18)
    left = 2
    return "  ".join(
        f"{cell:<{width}}" if place < left else f"{cell:>{width}}"
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ).rstrip()


def as_json(figures: Iterable[tuple[str, str, Reach, Figure]]) -> dict[str, object]:
    """Return the rows for a file."""
    return {
        name: {
            "unit": unit,
            "values": figure.values,
            "medians": figure.medians,
            "instructions": figure.instructions,
            "kind": reach.kind,
            "found": reach.of(figure.values),
            "reach": reach.limit,
            "passed": passed(reach, figure),
            "notes": figure.notes,
        }
        for name, unit, reach, figure in figures
    }
