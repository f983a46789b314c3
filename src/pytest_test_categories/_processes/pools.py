"""The table of wrapt wrappers around functions that submit a job to a process pool: the job carries the guards."""

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
_POOLS: Final = ("multiprocessing.pool", "multiprocess.pool", "billiard.pool")  # the others are copies of the first
_ROWS: Final = (
    *((module, "ProcessPoolExecutor.submit", 0) for module in _EXECUTORS),
    *(
        (module, f"Pool.{name}", callback)
        for module in _POOLS
        for name, callback in (("apply_async", 3), ("_map_async", 4), ("imap", 0), ("imap_unordered", 0))
    ),
    ("mpire.pool", "WorkerPool.apply_async", 3),
    ("mpire.pool", "WorkerPool.imap_unordered", 0),  # its other map methods call this one
    ("pebble.pool.process", "ProcessPool.schedule", 0),
)
"""Module, name, and the index of the first of two callback arguments, or 0. The job's function is the first."""
_CALLBACKS: Final = frozenset({"callback", "error_callback"})
_FUNCTIONS: Final = ("func", "function")

MODULES: Final = ("concurrent.futures._base", *dict.fromkeys(module for module, _, _ in _ROWS))


def entry_points(hand_to_job: Callable[[], tuple[str, int | None]]) -> list[EntryPoint]:
    """Return the rows of the table.

    Args:
        hand_to_job: Returns the guards for a job that is submitted here and now, as ``Ticket`` takes them.
    """

    def submit_with(first: int) -> Callable[..., Any]:
        def submit(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            __tracebackhide__ = True
            if _runs_threads(instance):
                return wrapped(*args, **kwargs)
            name = next((name for name in _FUNCTIONS if name in kwargs), "") if not args else ""
            function = args[0] if args else kwargs.get(name)
            if callable(function):
                job = PoolJob(Ticket(os.getpid(), *hand_to_job()), function)
                if args:
                    args = (job, *args[1:])
                else:
                    kwargs = {**kwargs, name: job}
            if first:
                args = (*args[:first], *map(_carried, args[first : first + 2]), *args[first + 2 :])
                kwargs = {name: _carried(value) if name in _CALLBACKS else value for name, value in kwargs.items()}
            return wrapped(*args, **kwargs)

        return submit

    # A subclass that examines its arguments does so before it calls these methods.
    return [
        EntryPoint("concurrent.futures._base", "Future.add_done_callback", _add_callback),
        *(EntryPoint(module, name, submit_with(callback)) for module, name, callback in _ROWS),
    ]


def _add_callback(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    # A thread of the executor calls it, which the first submitter has started; joblib submits further jobs from it.
    __tracebackhide__ = True
    if args and callable(args[0]):
        args = (carrying(args[0]), *args[1:])
    return wrapped(*args, **kwargs)


def _carried(callback: Any) -> Any:
    return carrying(callback) if callable(callback) else callback


def _runs_threads(pool: Any) -> bool:
    """Tell whether a pool uses threads: ``multiprocessing`` derives its thread pool from its process pool."""
    tasks = getattr(type(pool), "_get_tasks", None)
    threads = None if tasks is None else getattr(sys.modules.get(tasks.__module__), "ThreadPool", None)
    return threads is not None and isinstance(pool, threads)
