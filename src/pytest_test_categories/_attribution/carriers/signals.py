"""Signals: a handler carries the guard of the code that installed it, whatever code the signal interrupts.

Other code sees only the handler that was installed, and never the wrapper around it.
"""

from __future__ import annotations

import contextlib
import sys
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._attribution.carriers.executors import Job
from pytest_test_categories._attribution.origin import Scope, changed, current, spawner, state
from pytest_test_categories._host.wrapping import EntryPoint
from pytest_test_categories._rules.errors import NetworkAccessViolationError
from pytest_test_categories._rules.named_tuples import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class SignalJob(Job):
    """A signal's handler with the guard of the code that installed it."""

    WHAT = "a signal handler"
    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the handler under the guard of the code that installed it."""
        __tracebackhide__ = True
        here = current.get()
        if here is not None and isinstance(self.scope, Scope) and self.scope.open and self.scope in here.chain:
            return self._function(*args, **kwargs)  # it interrupts its own test: open blocks of the test apply, too
        token = current.set(None)
        try:
            return super().__call__(*args, **kwargs)
        except NetworkAccessViolationError:
            if self.is_due:
                raise
            return None  # it is recorded for the handler's guard; raised, it would end the code that was interrupted
        finally:
            current.reset(token)
            changed()

    @property
    def is_due(self) -> bool:
        """Whether the guard of the code that installed it is open, or is that of a fixture that is set up."""
        return _is_due(self.scope)


class Replaced(NamedTuple):
    """An earlier handler of a signal, which another one has replaced.

    Attributes:
        find: Returns the handler, or None if it no longer exists. A strong reference would keep alive everything that
            the handler refers to: asyncio's handler refers to the event loop.
        scope: The guard that it carries; None if it was installed outside of any guard.
        made: The line that installed it.
    """

    find: Callable[[], Any]
    scope: Any
    made: Any


def _is_due(scope: Any) -> bool:
    return isinstance(scope, Scope) and (scope.open or scope.held)


def handler_of(installed: object) -> Any:
    """Return the handler as it was installed, without the wrapper."""
    return installed._function if type(installed) is SignalJob else installed


_REPLACED: Final = 16  # how many earlier handlers of one signal are remembered


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
    known = state.handlers.setdefault(int(number), [])  # the key also shows that a handler was installed at all
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
    except TypeError:  # its class does not support weak references

        def find() -> Any:
            return handler

    known[:] = [*known[1 - _REPLACED :], Replaced(find, scope, made)]


def _signals() -> Any:
    return sys.modules["_signal"]  # the original functions, which are not wrapped


def _carrying(number: Any, handler: Any) -> Any:
    """Return a handler, wrapped if it carries a guard, as it will be installed."""
    with contextlib.suppress(TypeError, ValueError):  # not a number: the call itself raises the error
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
    """Remove the wrappers from installed handlers, when no guard is active any more."""
    numbers = list(state.handlers)
    state.handlers.clear()
    for number in numbers:
        installed = _signals().getsignal(number)
        if type(installed) is SignalJob:
            with contextlib.suppress(ValueError):  # only the main thread may install a handler
                _signals().signal(number, installed._function)


ENTRY_POINTS: Final = (
    EntryPoint("signal", "signal", _install),
    EntryPoint("signal", "getsignal", _look),
)
