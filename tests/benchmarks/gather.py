"""How the cost of decorated coroutines that run at once grows: ``python -m tests.benchmarks.gather``.

Runs of few and of many, guarded and not, take turns; the least processor time of each counts.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import TYPE_CHECKING, Final

from tests.benchmarks.figures import Figure, report

from pytest_test_categories import network_guard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Work = Callable[[], Awaitable[None]]

FEW: Final = 500
MANY: Final = 4 * FEW

_left: set[asyncio.Task[None]] = set()


async def wait() -> None:
    """Wait for the other ones' turn."""
    await asyncio.sleep(0)


async def wait_in_time() -> None:
    """Wait for the other ones' turn under a timeout, whose timer keeps the context for some time."""
    async with asyncio.timeout(30):
        await asyncio.sleep(0)


async def leave_a_task() -> None:
    """Leave a task behind, which keeps the context until all are done."""
    _left.add(asyncio.create_task(asyncio.sleep(30)))
    await asyncio.sleep(0)


async def gather(work: Work, times: int) -> None:
    """Run so many at once."""
    await asyncio.gather(*(work() for _ in range(times)))
    for task in _left:
        task.cancel()
    _left.clear()


def seconds(work: Work, times: int) -> float:
    """Return the processor time that so many at once take."""
    start = time.process_time()
    asyncio.run(gather(work, times))
    return time.process_time() - start


def growth(work: Work, rounds: int) -> tuple[float, float]:
    """Return what guarding few and guarding many costs, in milliseconds."""
    guarded = network_guard("small", "strict")(work)
    runs: tuple[list[float], ...] = ([], [], [], [])
    with network_guard("small", "strict"):
        for _ in range(rounds):
            for taken, job in zip(runs, ((work, FEW), (guarded, FEW), (work, MANY), (guarded, MANY)), strict=True):
                taken.append(seconds(*job))
    few, few_guarded, many, many_guarded = (min(taken) * 1e3 for taken in runs)
    return few_guarded - few, many_guarded - many


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of each (%(default)s)")
    rounds = parser.parse_args().rounds
    figures = []
    for what, work, limit in (
        ("decorated coroutines in gather", wait, 5),
        ("the same, each under a timeout", wait_in_time, 10),
        ("the same, each leaving a task behind", leave_a_task, 12),
    ):
        few, many = growth(work, rounds)
        figures.append(Figure(f"{MANY:,} over {FEW} {what}", many, few, limit, "ms"))
    return report(figures)


if __name__ == "__main__":
    sys.exit(main())
