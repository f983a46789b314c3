"""Signals: a handler carries the guard of whoever installed it, whoever the signal interrupts.

Others see the handler that was installed, and never what carries it.
"""

from __future__ import annotations

import contextlib
import sys
import weakref
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pytest_test_categories._attribution.carriers.executors import Job
from pytest_test_categories._attribution.origin import Scope, changed, current, spawner, state
from pytest_test_categories._host.wrapping import EntryPoint
from pytest_test_categories._rules.errors import NetworkAccessViolationError

if TYPE_CHECKING:
    from collections.abc import Callable


class SignalJob(Job):
    """A signal's handler, for the one who installed it."""

    WHAT = "a signal handler"
    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the handler on behalf of whoever installed it."""
        __tracebackhide__ = True
        here = current.get()
        if here is not None and isinstance(self.scope, Scope) and self.scope.open and self.scope in here.chain:
            return self._function(*args, **kwargs)  # it interrupts its own test: also held to blocks that are open
        token = current.set(None)
        try:
            return super().__call__(*args, **kwargs)
        except NetworkAccessViolationError:
            if self.is_due:
                raise
            return None  # it is on record for whoever installed it: raised, it would end what the signal interrupts
        finally:
            current.reset(token)
            changed()

    @property
    def is_due(self) -> bool:
        """Whether who installed it still runs, or is a fixture that is up."""
        return _is_due(self.scope)


class Replaced(NamedTuple):
    """What was installed for a signal, until something else was.

    Attributes:
        find: Returns the handler, or None once nobody has it: it must not live on here with all that it leads to, as
            asyncio's leads to the event loop.
        scope: Whose it is; None for one that came from outside of any guard.
        made: The line that installed it.
    """

    find: Callable[[], Any]
    scope: Any
    made: Any


def _is_due(scope: Any) -> bool:
    return isinstance(scope, Scope) and (scope.open or scope.held)


def handler_of(installed: object) -> Any:
    """Return the handler that somebody installed."""
    return installed._function if type(installed) is SignalJob else installed


_REPLACED: Final = 16  # handlers of one signal that are remembered


def _install(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    number: Any = args[0] if args else kwargs.get("signalnum")
    handler = args[1] if len(args) > 1 else kwargs.get("handler")
    if callable(handler) and type(handler) is not SignalJob and handler is not _signals().default_int_handler:
        handler = _carrying(number, handler)
        if len(args) > 1:
            args = (args[0], handler, *args[2:])
        else:
            kwargs = {**kwargs, "handler": handler}
    before = wrapped(*args, **kwargs)
    known = state.handlers.setdefault(int(number), [])  # that something was installed at all is known by it, too
    if callable(before):
        _remember(known, before)
    return handler_of(before)


def _remember(known: list[Replaced], before: Any) -> None:
    handler = handler_of(before)
    scope, made = (before.scope, before.made) if type(before) is SignalJob else (None, None)
    known[:] = [one for one in known if one.find() is not None and (one.scope is None or _is_due(one.scope))]
    if any(one.find() is handler and one.scope is scope for one in known):
        return
    try:
        find: Callable[[], Any] = weakref.ref(handler)
    except TypeError:  # of a class that says it has no weak references

        def find() -> Any:
            return handler

    known[:] = [*known[1 - _REPLACED :], Replaced(find, scope, made)]


def _signals() -> Any:
    return sys.modules["_signal"]  # its own functions, which nobody has wrapped


def _carrying(number: Any, handler: Any) -> Any:
    """Return a handler as it is to be installed."""
    with contextlib.suppress(TypeError, ValueError):  # no number at all: the call itself will say so
        for one in state.handlers.get(int(number), ()):
            if one.find() == handler and (one.scope is None or _is_due(one.scope)):
                if one.scope is None:
                    return handler
                job = SignalJob(handler, one.scope)
                job.made = one.made
                return job
    scope = spawner()
    return SignalJob(handler, scope) if isinstance(scope, Scope) else handler


def _look(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return handler_of(wrapped(*args, **kwargs))


def forget() -> None:
    """Leave the handlers that are in place to themselves: nothing is guarded any more."""
    numbers = list(state.handlers)
    state.handlers.clear()
    for number in numbers:
        installed = _signals().getsignal(number)
        if type(installed) is SignalJob:
            with contextlib.suppress(ValueError):  # only the main thread may
                _signals().signal(number, installed._function)


ENTRY_POINTS: Final = (
    EntryPoint("signal", "signal", _install),
    EntryPoint("signal", "getsignal", _look),
)
