"""Marks each asyncio task with the time when it was created, and with the guard that it is a leftover of.

Listing all tasks is not an option: from CPython 3.14 on they are in lists that only C code reads, one for each thread
(``Modules/_asynciomodule.c``), and a list is long when thousands of tasks run at once. The cost of a mark does not
depend on the number of tasks, and the mark disappears with its task.

A task without a mark was created while no guard was active, or without its loop's ``create_task``.
"""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pytest_test_categories._attribution.origin import Scope

_NAME: Final = "_pytest_test_categories_born"
"""The attribute that contains a task's mark; tasks implemented in C accept attributes, too."""


class Era:
    """The time between two claims: tasks created in it become leftovers of one owner.

    Attributes:
        claimed: Whether it has ended.
        owner: The guard that its tasks are then leftovers of; None if they are charged to the running phase.
        used: Whether a task has, or is about to get, a mark of it.
    """

    __slots__ = ("claimed", "owner", "used")

    def __init__(self, owner: Scope | None = None) -> None:
        self.owner = owner
        self.claimed = owner is not None
        self.used = False


class Born:
    """The mark of the tasks that were created between two moments.

    Attributes:
        moment: The earlier of the two.
        era: The era that they were created in.
    """

    __slots__ = ("era", "moment")

    def __init__(self, era: Era) -> None:
        self.moment = next(_moments)
        self.era = era


class _Known:
    """All mutable state of this module.

    Attributes:
        now: The mark for new tasks.
        since: The moment since which every task that a loop's ``create_task`` creates is marked.
    """

    def __init__(self) -> None:
        self.now = Born(Era())
        self.since = 0


_moments: Final = itertools.count(1)
known: Final = _Known()


def of_now() -> Born:
    """Return the mark for a task that is about to be created."""
    now = known.now
    now.era.used = True
    return now


def mark(task: Any, born: Born) -> None:
    """Mark a new task, unless it accepts no attributes."""
    try:  # faster than a context manager; this runs for each task
        setattr(task, _NAME, born)
    except AttributeError:
        return


def born(task: Any) -> Born | None:
    """Return a task's mark, or None."""
    found: Born | None = getattr(task, _NAME, None)
    return found


def is_claimed(task: Any) -> bool:
    """Tell whether a task has been claimed: it is a leftover of a guard, or known not to be one."""
    found = born(task)
    return found is not None and found.era.claimed


def moment() -> int:
    """Begin a new mark for later tasks; return the current moment, for ``was_there``."""
    at = next(_moments)
    if known.now.era.used:
        known.now = Born(known.now.era)  # the new mark's moment is later
    else:  # no task has the mark
        known.now.moment = next(_moments)
    return at


def was_there(task: Any, at: int) -> bool:
    """Tell whether a task had already been created at an earlier moment.

    A task without a mark counts as created before it, if ``create_task`` has marked every task since then. Callers ask
    only about tasks whose context was copied before that moment.
    """
    found = born(task)
    return at >= known.since if found is None else found.moment < at


def claim(owner: Scope | None) -> int:
    """Make all unclaimed tasks leftovers of ``owner``, except the task that runs here.

    Args:
        owner: The guard; None to charge the tasks to the running phase instead.

    Returns:
        This moment.
    """
    at = next(_moments)
    era = known.now.era
    if not era.used:  # most tests create no task, and leave the era to the next one
        known.now.moment = next(_moments)
        return at
    era.owner, era.claimed = owner, True
    known.now = Born(Era())
    mine = current()
    if mine is not None and (found := born(mine)) is not None and found.era is era:
        mark(mine, of_now())
    return at


def current() -> Any:
    """Return the task that runs here, or None."""
    loop = running_loop()
    return None if loop is None else sys.modules["asyncio.tasks"].current_task(loop)


def running_loop() -> Any:
    """Return asyncio's event loop that runs in this thread, or None."""
    events = sys.modules.get("asyncio.events")
    if events is None:
        return None
    get = getattr(events, "_get_running_loop", None)  # another thread may be importing it
    return None if get is None else get()


def pause() -> None:
    """Note that no task is marked until guards are active again."""
    known.since = next(_moments)
    known.now = Born(Era())
