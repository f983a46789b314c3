"""asyncio's tasks: which there are, and which of them were there at an earlier moment."""

from __future__ import annotations

import itertools
import sys
import weakref
from typing import Any, Final

_sets: Final[list[Any]] = []
_births: Final[dict[Any, int]] = {}
_moments: Final = itertools.count(1)


def _task_sets() -> list[Any]:
    """Return asyncio's own sets of tasks: 3.11 has one weak set; 3.12 splits eager tasks off."""
    module = sys.modules.get("asyncio.tasks")
    if module is not None:
        names = ("_all_tasks", "_scheduled_tasks", "_eager_tasks")
        _sets.extend(held for name in names if (held := getattr(module, name, None)) is not None)
    return _sets


def all_tasks() -> list[Any]:
    """Return every task that is not done, whatever its loop."""
    found: list[Any] = []
    for held in _sets or _task_sets():
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
    for held in _sets or _task_sets():
        data = getattr(held, "data", None)  # weak references; asyncio keeps eager tasks themselves
        if data is None:
            data = {weakref.ref(task) for task in held.copy()}
        live += len(data)
        new = data.difference(_births)
        if new:
            born = next(_moments)  # later than any that was returned before one of these was made
            for reference in new:
                _births.setdefault(reference, born)
    if len(_births) > 2 * live + 64:
        forget()
    return next(_moments)


def was_there(task: Any, at: int) -> bool:
    """Tell whether a task had been made at a moment that has passed."""
    return _births.get(weakref.ref(task), at) < at


def forget() -> None:
    """Forget the tasks that are gone."""
    for reference in [one for one in list(_births) if one() is None]:
        _births.pop(reference, None)
