"""Greenlets: each carries the guard of the code that spawned it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._attribution.carriers.executors import Job
from pytest_test_categories._attribution.origin import FREE, resolving, spawner, state
from pytest_test_categories._host.wrapping import EntryPoint

if TYPE_CHECKING:
    from collections.abc import Callable


def _spawn(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if args and callable(args[0]):
        args = (Job(args[0], FREE if resolving.get() else spawner()), *args[1:])
    return wrapped(*args, **kwargs)


def _make(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    # A hub runs callbacks of any code: it carries no guard, whichever code was the first to need a hub.
    run = args[0] if args else kwargs.get("run")
    state.greenlets[instance] = None if _is_hub(instance) or _is_hub(getattr(run, "__self__", None)) else spawner()
    return wrapped(*args, **kwargs)


class _Link(Job):
    """A function called when a greenlet has ended, in a new greenlet that a hub creates."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function; its greenlet carries the guard of the code that linked it, also after a switch."""
        __tracebackhide__ = True
        state.greenlets[sys.modules["greenlet"].getcurrent()] = self.scope
        return self._function(*args, **kwargs)


def _link(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if args and callable(args[0]):
        args = (_Link(args[0], spawner()), *args[1:])
    return wrapped(*args, **kwargs)


def _start(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    state.greenlets[instance] = spawner()
    return wrapped(*args, **kwargs)


def _is_hub(thing: object) -> bool:
    return any(cls.__name__ in _HUBS and cls.__module__ in _HUB_MODULES for cls in type(thing).__mro__)


_HUBS: Final = frozenset({"BaseHub", "Hub"})
_HUB_MODULES: Final = frozenset({"eventlet.hubs.hub", "gevent.hub"})

_MODULES: Final = ("gevent.greenlet", "gevent._gevent_cgreenlet")  # the compiled module replaces the other

ENTRY_POINTS: Final = (
    # The code that creates a greenlet is its spawner (eventlet, plain greenlets), unless other code starts it (gevent).
    EntryPoint("greenlet", "greenlet.__init__", _make),
    *(
        EntryPoint(module, f"Greenlet.{name}", wrapper)
        for module in _MODULES
        for name, wrapper in (
            ("__init__", _make),  # it does not call greenlet.__init__ by name
            ("start", _start),
            ("start_later", _start),
            ("link", _link),
        )
    ),
    EntryPoint("gevent.threadpool", "ThreadPool.spawn", _spawn),
    EntryPoint("eventlet.tpool", "execute", _spawn),
)
"""A greenlet's context starts empty, so the guards that greenlets carry are kept in ``state.greenlets``."""
