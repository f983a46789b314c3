"""Jobs: a callable submitted to a pool of threads carries the guard of the code that submitted it."""

from __future__ import annotations

import sys
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._attribution import tasks
from pytest_test_categories._attribution.origin import Carried, carrier_of, changed, maker, spawner, state, trio_task
from pytest_test_categories._host.wrapping import EntryPoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import SupportsIndex


class Job:
    """A callable that runs under its submitter's guard; it carries the guard, and no other context."""

    WHAT = "a job"
    __slots__ = ("__weakref__", "_function", "made", "scope", "task")

    def __init__(self, function: Callable[..., Any], scope: Carried, task: Any = None) -> None:
        self._function = function
        self.scope = scope
        self.made = maker(sys._getframe(1))
        self.task = None if task is None else weakref.ref(task)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function on behalf of its submitter."""
        __tracebackhide__ = True
        return self._do(self._function, *args, **kwargs)

    def _do(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call something on behalf of the submitter."""
        __tracebackhide__ = True
        outer = getattr(state.running, "job", None)
        state.running.job, state.running.carrier = self, carrier_of(self.scope)
        if state.on_change is not None:
            changed()
        try:
            return function(*args, **kwargs)
        finally:
            state.running.job, state.running.carrier = outer, None
            if state.on_change is not None:
                changed()

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """Return the function's class: custom executors check for a partial or a coroutine function."""
        return type(self._function)

    def __getattr__(self, name: str) -> Any:
        """Return the function's attribute: other code may print its name."""
        return getattr(self._function, name)

    def __eq__(self, other: object) -> bool:
        """Compare as the function does, for code that removes a callback that it has added."""
        theirs: Any = other
        return bool(self._function == (theirs._function if issubclass(type(other), Job) else other))

    def __hash__(self) -> int:
        """Hash as the function does."""
        return hash(self._function)

    def __reduce_ex__(self, _protocol: SupportsIndex) -> tuple[Any, ...]:
        """Copy and pickle as the function itself: a copy carries no guard."""
        return _itself, (self._function,)


def _itself(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def carrying(function: Callable[..., Any]) -> Job:
    """Return a function that another thread can call under the guard that is charged here and now."""
    return Job(function, spawner())


def _submit(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if args and callable(args[0]):
        args = (Job(args[0], spawner(), tasks.current() or trio_task()), *args[1:])
    elif callable(kwargs.get("func")):
        kwargs = {**kwargs, "func": Job(kwargs["func"], spawner(), tasks.current() or trio_task())}
    return wrapped(*args, **kwargs)


def _run_in_interpreter(
    wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """``run((function, args, kwargs))``: only the function is sent to the other interpreter, without its guard."""
    __tracebackhide__ = True
    if args and type(args[0]) is tuple and args[0] and type(job := args[0][0]) is Job:
        bare = (job._function, *args[0][1:])
        return job._do(wrapped, bare, *args[1:], **kwargs)
    return wrapped(*args, **kwargs)


ENTRY_POINTS: Final = (
    EntryPoint("_thread", "start_new_thread", _submit),
    EntryPoint("concurrent.futures.thread", "ThreadPoolExecutor.submit", _submit),
    EntryPoint("concurrent.futures.interpreter", "WorkerContext.run", _run_in_interpreter),
    *(
        EntryPoint("multiprocessing.pool", f"ThreadPool.{name}", _submit)
        for name in ("apply_async", "_map_async", "imap", "imap_unordered")
    ),
    # Both keep idle workers, and pass jobs to them through their own locks and queues.
    EntryPoint("anyio._backends._asyncio", "AsyncIOBackend.run_sync_in_worker_thread", _submit),
    EntryPoint("trio._core._thread_cache", "ThreadCache.start_thread_soon", _submit),
)
