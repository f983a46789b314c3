"""One-shot passes: after a wrapper has judged a call, the audit event of the same call is not judged again.

A pass names its call, and the event uses it up. A flag would not do: greenlets and signal handlers would share it.
"""

from __future__ import annotations

import threading
from typing import Any, Final, Self


class Permitted(tuple[Any, ...]):  # noqa: SLOT001 - a tuple can have no slots
    """A socket address as it was judged and remembered: the audit event of a call that gets it is not judged again.

    A wrapper passes it on in place of an equal address of the caller's. That takes no state, which another greenlet or
    a signal handler could share, and what the C code reads is what was judged, whatever the caller's items become.
    Other audit hooks see it as well, and may keep it: it permits nothing but to the guard that it was permitted to.

    Attributes:
        serial: The serial number of that guard's scope.
    """

    serial: int

    def __new__(cls, address: tuple[Any, ...], serial: int) -> Self:
        """Return the address as one that was permitted to the scope with this serial number."""
        permitted = super().__new__(cls, address)
        permitted.serial = serial
        return permitted


class PermittedHost(str):
    """The same for the host of a look-up."""

    __slots__ = ("serial",)

    serial: int

    def __new__(cls, host: str, serial: int) -> Self:
        """Return the host as one that was permitted to the scope with this serial number."""
        permitted = super().__new__(cls, host)
        permitted.serial = serial
        return permitted


class _Passes(threading.local):
    """The passes of one thread: they must not permit another thread's call."""

    def __init__(self) -> None:
        self.open: list[tuple[str, Any, Any]] = []


_passes: Final = _Passes()


def allow(one_shot: tuple[str, Any, Any]) -> None:
    """Add a pass for a call that a wrapper has judged: ``(event, socket or host, address)``, for one event only."""
    _passes.open.append(one_shot)


def withdraw(one_shot: tuple[str, Any, Any]) -> None:
    """Remove a pass that no event has used."""
    passes = _passes.open
    if not passes:  # the usual case: the event has used it
        return
    for index in range(len(passes) - 1, -1, -1):
        if passes[index] is one_shot:
            del passes[index]
            return


def passed(event: str, subject: Any, address: Any) -> bool:
    """Use up the pass for an event, and return whether there was one."""
    passes = _passes.open
    if not passes:
        return False
    known = passes[-1]  # the usual case
    if known[1] is subject and known[2] is address and known[0] == event:
        passes.pop()
        return True
    for index in range(len(passes) - 1, -1, -1):
        known = passes[index]
        if known[0] == event and known[1] is subject and (known[2] is address or known[2] is None):
            del passes[index]
            return True
    return False
