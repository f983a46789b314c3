"""When each asyncio task was made, and whose leftover it is: by a mark that the task itself carries.

Which tasks there are can't be asked: from CPython 3.14 on they stand in lists that only C code reads, one for each
thread (``Modules/_asynciomodule.c``), and a list is long where thousands run at once. A mark costs the same however
many there are, and goes with its task.

A task without a mark was made while nothing was guarded, or without its loop's ``create_task``.
"""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pytest_test_categories._attribution.origin import Scope

_NAME: Final = "_pytest_test_categories_born"
"""The attribute of a task: native tasks, too, take attributes."""


class Era:
    """The time between two claims: tasks made in it are left over from one owner.

    Attributes:
        claimed: Whether it has ended.
        owner: Whose the tasks of it are then; None if they are whoever's phase runs.
    """

    __slots__ = ("claimed", "owner")

    def __init__(self, owner: Scope | None = None) -> None:
        self.owner = owner
        self.claimed = owner is not None


class Born:
    """The mark of the tasks that were made between two moments.

    Attributes:
        moment: The one before.
        era: The time that they were made in.
    """

    __slots__ = ("era", "moment")

    def __init__(self, era: Era) -> None:
        self.moment = next(_moments)
        self.era = era


class _Known:
    """The part of this module that changes.

    Attributes:
        now: The mark of a task that is made now.
        since: The moment from which on every task that a loop's ``create_task`` makes is marked.
    """

    def __init__(self) -> None:
        self.now = Born(Era())
        self.since = 0


_moments: Final = itertools.count(1)
known: Final = _Known()


def mark(task: Any, born: Born) -> None:
    """Mark a new task; one that takes no attributes stays without."""
    try:  # quicker than a context manager, for each task
        setattr(task, _NAME, born)
    except AttributeError:
        return


def born(task: Any) -> Born | None:
    """Return a task's mark, or None."""
    found: Born | None = getattr(task, _NAME, None)
    return found


def is_claimed(task: Any) -> bool:
    """Tell whether a task is somebody's leftover, or known to be nobody's."""
    found = born(task)
    return found is not None and found.era.claimed


def moment() -> int:
    """Begin another mark for the tasks to come; return what ``was_there`` knows this moment by."""
    at = next(_moments)
    known.now = Born(known.now.era)  # whose moment is later
    return at


def was_there(task: Any, at: int) -> bool:
    """Tell whether a task had been made at a moment that has passed.

    A task without a mark counts as made before, if all that ``create_task`` has made since then is marked: it is asked
    for one whose context was copied before that moment.
    """
    found = born(task)
    return at >= known.since if found is None else found.moment < at


def claim(owner: Scope | None) -> int:
    """Let the unclaimed tasks that there are be somebody's leftovers from now on.

    The task that runs here is not one of them.

    Args:
        owner: None for nobody's: they are then whoever's phase runs.

    Returns:
        This moment.
    """
    at = next(_moments)
    era = known.now.era
    era.owner, era.claimed = owner, True
    known.now = Born(Era())
    mine = current()
    if mine is not None and (found := born(mine)) is not None and found.era is era:
        mark(mine, known.now)
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
    """Note that from now on no task is marked for a while."""
    known.since = next(_moments)
    known.now = Born(Era())
