"""The table of wrapt wrappers on what hands a job to a process pool: the job carries its submitter's guard."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._attribution.carriers.executors import carrying
from pytest_test_categories._host.wrapping import EntryPoint
from pytest_test_categories._processes.jobs import PoolJob, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

_EXECUTORS: Final = (
    "concurrent.futures.process",
    "joblib.externals.loky.process_executor",
    "loky.process_executor",
)
_POOLS: Final = ("multiprocessing.pool", "multiprocess.pool", "billiard.pool")  # one was copied from the other
_POOL_METHODS: Final = ("apply_async", "_map_async", "imap", "imap_unordered")
_CALLBACKS: Final = frozenset({"callback", "error_callback"})

MODULES: Final = ("concurrent.futures._base", *_EXECUTORS, *_POOLS)


def entry_points(hand_to_job: Callable[[], tuple[str, int | None]]) -> list[EntryPoint]:
    """Return the rows of the table.

    Args:
        hand_to_job: Returns what a job that is submitted here and now is handed.
    """

    def submit(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        __tracebackhide__ = True
        if _runs_threads(instance):
            return wrapped(*args, **kwargs)
        if args and callable(args[0]):
            callbacks = (
                (carrying(one) if callable(one) else one for one in args[3:]) if _is_pool(instance) else args[3:]
            )
            args = (PoolJob(Ticket(os.getpid(), *hand_to_job()), args[0]), *args[1:3], *callbacks)
        elif not args and callable(kwargs.get("func")):
            kwargs = {**kwargs, "func": PoolJob(Ticket(os.getpid(), *hand_to_job()), kwargs["func"])}
        return wrapped(*args, **(_carrying(kwargs) if _is_pool(instance) else kwargs))

    # A subclass that looks at what it is given does so before it calls these.
    return [
        EntryPoint("concurrent.futures._base", "Future.add_done_callback", _add_callback),
        *(EntryPoint(module, "ProcessPoolExecutor.submit", submit) for module in _EXECUTORS),
        *(EntryPoint(module, f"Pool.{name}", submit) for module in _POOLS for name in _POOL_METHODS),
    ]


def _add_callback(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    # A thread of the executor calls it, which whoever submitted first has started; joblib submits further jobs there.
    __tracebackhide__ = True
    if args and callable(args[0]):
        args = (carrying(args[0]), *args[1:])
    return wrapped(*args, **kwargs)


def _carrying(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {
        name: carrying(value) if name in _CALLBACKS and callable(value) else value for name, value in kwargs.items()
    }


def _runs_threads(pool: Any) -> bool:
    """Tell whether a pool is one of threads, which ``multiprocessing`` derives from that of processes."""
    threads = getattr(sys.modules.get(type(pool)._get_tasks.__module__), "ThreadPool", None) if _is_pool(pool) else None
    return threads is not None and isinstance(pool, threads)


def _is_pool(pool: Any) -> bool:
    return hasattr(type(pool), "_get_tasks")
