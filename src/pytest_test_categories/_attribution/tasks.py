"""asyncio's tasks: which there are, and which of them were there at an earlier moment."""

from __future__ import annotations

import itertools
import sys
import weakref
from typing import Any, Final


class _Known:
    """What is known of tasks.

    Attributes:
        sets: asyncio's own sets of them.
        births: By weak reference to a task, the moment at which it was seen first.
        moments: The moments to come.
    """

    def __init__(self) -> None:
        self.sets: list[Any] = []
        self.births: dict[Any, int] = {}
        self.moments = itertools.count(1)


known: Final = _Known()


def _task_sets() -> list[Any]:
    """Return asyncio's own sets of tasks: 3.11 has one weak set; 3.12 splits eager tasks off."""
    module = sys.modules.get("asyncio.tasks")
    if module is not None:
        names = ("_all_tasks", "_scheduled_tasks", "_eager_tasks")
        known.sets.extend(held for name in names if (held := getattr(module, name, None)) is not None)
    return known.sets


def all_tasks() -> list[Any]:
    """Return every task that is not done, whatever its loop."""
    found: list[Any] = []
    for held in known.sets or _task_sets():
        if not getattr(held, "data", held):  # the weak set's own set: cheaper to ask when empty
            continue
        for _ in range(10):
            try:
                found.extend(held)
                break
            except RuntimeError:  # another thread made a task meanwhile
                continue
    return [task for task in found if not task.done()]


def moment() -> int:
    """Take note of the tasks that there are; return what ``was_there`` knows this moment by.

    The interpreter's own difference of sets finds the tasks that are new since the last time: of n guards that end
    one after another, each looks at n tasks, and a look has to cost next to nothing.
    """
    live = 0
    for held in known.sets or _task_sets():
        data = getattr(held, "data", None)  # weak references; asyncio keeps eager tasks themselves
        if data is None:
            data = {weakref.ref(task) for task in held.copy()}
        live += len(data)
        new = data.difference(known.births)
        if new:
            born = next(known.moments)  # later than any that was returned before one of these was made
            for reference in new:
                known.births.setdefault(reference, born)
    if len(known.births) > 2 * live + 64:
        forget()
    return next(known.moments)


def was_there(task: Any, at: int) -> bool:
    """Tell whether a task had been made at a moment that has passed."""
    return known.births.get(weakref.ref(task), at) < at


def forget() -> None:
    """Forget the tasks that are gone."""
    for reference in [one for one in list(known.births) if one() is None]:
        known.births.pop(reference, None)
