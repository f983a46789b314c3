"""Threads: a new thread carries the guard of the code that starts it."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._attribution.origin import announced, context_of_thread, note_thread, state
from pytest_test_categories._host.wrapping import EntryPoint

if TYPE_CHECKING:
    from collections.abc import Callable


def _start(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    note_thread(instance, sys._getframe(1))
    if _INHERIT and getattr(instance, "_context", instance) is None:  # it was created without a context
        instance._context = context_of_thread()
    return wrapped(*args, **kwargs)


_INHERIT: Final = bool(getattr(sys.flags, "thread_inherit_context", False))
"""Whether threads begin in a copy of their starter's context (Python 3.14; the default in free-threaded builds)."""


def _bootstrap(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    # Thread.start calls this function, also if other code keeps a reference to Thread.start from before the wrapping.
    thread = getattr(args[0], "__self__", None) if args else None
    if isinstance(thread, threading.Thread) and thread not in state.threads:
        note_thread(thread, sys._getframe(1))
    if isinstance(thread, threading.Thread):
        args = (announced(args[0], state.threads.get(thread)), *args[1:])
    return wrapped(*args, **kwargs)


ENTRY_POINTS: Final = (
    EntryPoint("threading", "Thread.start", _start),
    EntryPoint("threading", "_start_new_thread", _bootstrap),
    EntryPoint("threading", "_start_joinable_thread", _bootstrap),  # from 3.13 on
)
