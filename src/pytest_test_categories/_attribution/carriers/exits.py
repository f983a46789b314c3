"""The exit: what the interpreter calls then, it calls for whoever registered it."""

from __future__ import annotations

import contextlib
import sys
import weakref
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pytest_test_categories._attribution.carriers.executors import Job
from pytest_test_categories._attribution.origin import Scope, spawner
from pytest_test_categories._host.wrapping import EntryPoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import FrameType


class ExitJob(Job):
    """A function that the interpreter calls when it exits, for the one who registered it."""

    WHAT = "an exit function"
    __slots__ = ()
    held: ClassVar[Callable[[], AbstractContextManager[None]]] = contextlib.nullcontext
    """Holds the layers in place: they went with the run, as a rule."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function on behalf of whoever registered it."""
        __tracebackhide__ = True
        with ExitJob.held():
            return super().__call__(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        """Compare as the function does: ``atexit.unregister`` is given that."""
        return bool(self._function == (other._function if type(other) is ExitJob else other))

    def __hash__(self) -> int:
        """Hash as the function does."""
        return hash(self._function)

    def __repr__(self) -> str:
        """Show the function: the interpreter names it when it raises."""
        return repr(self._function)


at_exit: Final[weakref.WeakValueDictionary[int, ExitJob]] = weakref.WeakValueDictionary()
"""Exit functions that guarded code has registered and nobody has taken back, by their ids."""


def registered_since(serial: int) -> bool:
    """Tell whether an exit function is to come that was registered under a scope younger than a number."""
    return any(isinstance(job.scope, Scope) and job.scope.serial > serial for job in list(at_exit.values()))


def _register(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    carried = spawner() if args and callable(args[0]) else None
    if not isinstance(carried, Scope) or _is_for_everybody(sys._getframe(1)):
        return wrapped(*args, **kwargs)
    job = ExitJob(args[0], carried)
    at_exit[id(job)] = job
    answer = wrapped(job, *args[1:], **kwargs)
    return args[0] if answer is job else answer


def _is_for_everybody(frame: FrameType | None) -> bool:
    """Tell whether what a frame registers is no test's own: below an import, or the interpreter's own clean-up."""
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("wrapt."):  # without its C extension
        frame = frame.f_back
    if frame is None or frame.f_globals.get("__name__") in _OF_THE_PROCESS:
        return True
    while frame is not None and frame.f_code.co_name != "_multicall":  # of pluggy, which calls tests and fixtures
        if frame.f_code.co_filename.startswith(_IMPORT_CODE):
            return True
        frame = frame.f_back
    return False


_OF_THE_PROCESS: Final = frozenset({"multiprocessing.util", "weakref"})
"""Modules that register one function for all: weakref when the first finalizer is made, multiprocessing once more."""
_IMPORT_CODE: Final = "<frozen importlib._bootstrap"
"""So begin the names of the two files that imports go through."""


ENTRY_POINTS: Final = (
    EntryPoint("atexit", "register", _register),
    EntryPoint("threading", "_register_atexit", _register),
)
