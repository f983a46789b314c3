"""How the cost of decorated coroutines that run at once grows: run by itself, in the environment that is measured.

Runs of few and of many, guarded and not, take turns; the least processor time of each counts. Prints what guarding few
and guarding many costs, in milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING, Final

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


if __name__ == "__main__":
    print(json.dumps(growth(globals()[sys.argv[1]], int(sys.argv[2]))))
