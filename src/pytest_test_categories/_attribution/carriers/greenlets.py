"""Greenlets: work that they hand on carries the guard of whoever handed it on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._attribution.carriers.executors import Job
from pytest_test_categories._attribution.origin import FREE, resolving, spawner
from pytest_test_categories._host.wrapping import EntryPoint

if TYPE_CHECKING:
    from collections.abc import Callable


def _spawn(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if args and callable(args[0]):
        args = (Job(args[0], FREE if resolving.get() else spawner()), *args[1:])
    return wrapped(*args, **kwargs)


ENTRY_POINTS: Final = (EntryPoint("gevent.threadpool", "ThreadPool.spawn", _spawn),)
