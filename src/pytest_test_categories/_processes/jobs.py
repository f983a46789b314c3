"""Jobs of process pools: a job carries the guards of the code that submitted it to the worker that runs it.

A worker outlives the test that started it, so the guards that the worker itself received do not apply to a job. Once a
worker has taken a job, only the guards of its jobs are enforced, one job after the other: from the unpickling of the
job, which may import modules, until it has run.

Workers unpickle the classes of this module, so it imports nothing that a worker might not need.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_JOB: Final = 0x54430001  # as in _kernel.wire
_CHILD: Final = "pytest_test_categories_child"
_RUNTIME: Final = "pytest_test_categories._runtime"


class Ticket:
    """The data that travels with a job from its submitter to the worker.

    Attributes:
        process: The id of the process that submitted the job.
        handed: The guards, as text in the same format as for child processes; empty if no guard applies to the job.
        word: The number by which the layer outside of the submitter's process knows the guards; None without one.
    """

    __slots__ = ("handed", "process", "word")

    def __init__(self, process: int, handed: str, word: int | None) -> None:
        self.process = process
        self.handed = handed
        self.word = word

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle so that the worker enforces the guards before it unpickles the job itself."""
        return _arrive, (self.process, self.handed, self.word)


class PoolJob:
    """A callable that a process pool's worker runs under its submitter's guards."""

    __slots__ = ("__weakref__", "_function", "_ticket")

    def __init__(self, ticket: Ticket, function: Callable[..., Any]) -> None:
        self._ticket = ticket
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function under its submitter's guards."""
        __tracebackhide__ = True
        ticket = self._ticket
        if ticket.process == os.getpid():  # it was not sent to another process
            return self._function(*args, **kwargs)
        if _taken is not ticket:  # a chunk of map calls it once for each item
            _take(ticket)
        try:
            return self._function(*args, **kwargs)
        except BaseException as error:
            # The traceback goes to the submitter as text: remove this frame from it.
            error.__traceback__ = None if error.__traceback__ is None else error.__traceback__.tb_next
            raise
        finally:
            _end()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with any pickler that takes the function."""
        return PoolJob, (self._ticket, self._function)

    def __repr__(self) -> str:
        """Show the function."""
        return repr(self._function)


_taken: Ticket | None = None


def word_here() -> int | None:
    """Return the word of the job that runs here."""
    return None if _taken is None else _taken.word


def _arrive(process: int, handed: str, word: int | None) -> Ticket:
    ticket = Ticket(process, handed, word)
    if process != os.getpid():
        _take(ticket)
    return ticket


def _take(ticket: Ticket) -> None:
    global _taken  # noqa: PLW0603 - a worker has one job at a time
    _taken = ticket
    if ticket.word is not None:
        _say(ticket.word)
    try:
        _hold_to(ticket.handed)
    except (ImportError, OSError, ValueError, LookupError):
        # The run is over, and its directory is gone: nothing reads reports any more, and the pool must keep working.
        _hold_to("")


def _end() -> None:
    global _taken  # noqa: PLW0603 - as above
    if _taken is not None and _taken.word is not None:
        _say(0)
    _taken = None
    _hold_to("")


def _say(word: int) -> None:
    """Tell the layer outside which guards apply to this thread, by a ``sendmsg`` call that its supervisor sees.

    The layer has no pipe to a program that was started. Without a supervisor, the call fails.
    """
    from _socket import AF_UNIX, SOCK_DGRAM, socket  # this class is not wrapped

    with contextlib.suppress(OSError):
        sock = socket(AF_UNIX, SOCK_DGRAM)
        try:
            sock.sendmsg([word.to_bytes(8, sys.byteorder)], (), _JOB)
        finally:
            sock.close()


def _hold_to(handed: str) -> None:
    child: Any = sys.modules.get(_CHILD)
    runtime: Any = sys.modules.get(_RUNTIME)
    given: Any = None
    if handed:
        from pytest_test_categories._processes.child.pytest_test_categories_child import Handed

        given = Handed.parse(handed)
    if child is not None:
        child.take_job(given)
    elif runtime is not None:
        runtime.runtime.take_job(given)
    elif given is not None:  # a worker that was started while no guard was active
        import importlib

        importlib.import_module(_RUNTIME).runtime.take_job(given)
