"""Jobs of process pools: a job carries the guard of who submitted it to whatever worker takes it.

A worker outlives the test that started it, so what the worker itself was handed says nothing about a job. From the
first job that it takes, a worker is held to its jobs, one after the other: to each from when it is unpickled, which may
import modules, until it has run.

Workers unpickle what this module defines: it imports nothing that a worker might not need.
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
    """What the submitter of a job hands to the worker that takes it.

    Attributes:
        process: The process that submitted the job.
        handed: The guards, as a process that is started is handed them; empty if nothing holds the job.
        word: The guards, as the layer outside of the submitter's process knows them; None if there is none.
    """

    __slots__ = ("handed", "process", "word")

    def __init__(self, process: int, handed: str, word: int | None) -> None:
        self.process = process
        self.handed = handed
        self.word = word

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle such that the worker is held to the job before the job itself is unpickled."""
        return _arrive, (self.process, self.handed, self.word)


class PoolJob:
    """A callable that a process pool's worker runs for who submitted it."""

    __slots__ = ("__weakref__", "_function", "_ticket")

    def __init__(self, ticket: Ticket, function: Callable[..., Any]) -> None:
        self._ticket = ticket
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, held to what its submitter is held to."""
        __tracebackhide__ = True
        ticket = self._ticket
        if ticket.process == os.getpid():  # it was never sent
            return self._function(*args, **kwargs)
        if _taken is not ticket:  # a chunk of map calls it once for each item
            _take(ticket)
        try:
            return self._function(*args, **kwargs)
        except BaseException as error:
            # Its traceback goes to the submitter, as text: without this frame.
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
        # The run is over, and its directory gone with it: nobody is there to be told, and the pool must go on.
        _hold_to("")


def _end() -> None:
    global _taken  # noqa: PLW0603 - as above
    if _taken is not None and _taken.word is not None:
        _say(0)
    _taken = None
    _hold_to("")


def _say(word: int) -> None:
    """Tell the layer outside what this thread is held to: its supervisor is asked about each ``sendmsg``.

    None of its pipes leads to a program that was started. Where nobody is asked, the call fails.
    """
    from _socket import AF_UNIX, SOCK_DGRAM, socket  # which nobody wraps

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
    elif given is not None:  # a worker that was started when nothing was guarded
        import importlib

        importlib.import_module(_RUNTIME).runtime.take_job(given)
