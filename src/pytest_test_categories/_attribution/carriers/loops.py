"""Tasks: asyncio's carry the time and line of their creation, and the guard they are a leftover of; trio's, a line."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._attribution import tasks
from pytest_test_categories._attribution.origin import lineage, made, renewed, state
from pytest_test_categories._attribution.stack import line_of_caller
from pytest_test_categories._host.wrapping import EntryPoint

if TYPE_CHECKING:
    from collections.abc import Callable


def _create(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    line = line_of_caller(sys._getframe(1))  # without one, the context has the line that created the current task
    told = None if line is None else made.set(line)
    left, older = lineage(kwargs.get("context"))
    newer = None if older is None else renewed.set(older)
    born = tasks.of_now()  # before the call: a task may run eagerly in it
    if left is not None:
        born = tasks.Born(tasks.Era(left))
        before, state.running.heir = getattr(state.running, "heir", None), born
    try:
        task = wrapped(*args, **kwargs)
    finally:
        if told is not None:
            made.reset(told)
        if newer is not None:
            renewed.reset(newer)
        if left is not None:
            state.running.heir = before
    tasks.mark(task, born)
    if created := getattr(task, "_source_traceback", None):  # asyncio's debug mode shows where the task was created
        while created and (created[-1].filename == __file__ or _WRAPT in created[-1].filename):
            del created[-1]
    return task


def _spawn(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    line = line_of_caller(sys._getframe(1))
    if line is None:
        return wrapped(*args, **kwargs)
    told = made.set(line)
    try:
        return wrapped(*args, **kwargs)
    finally:
        made.reset(told)


_WRAPT: Final = f"{os.sep}wrapt{os.sep}"  # on some platforms, parts of wrapt are written in Python


ENTRY_POINTS: Final = (
    EntryPoint("asyncio.base_events", "BaseEventLoop.create_task", _create),
    EntryPoint("uvloop.loop", "Loop.create_task", _create),
    EntryPoint("trio._core._run", "Runner.spawn_impl", _spawn),
)
