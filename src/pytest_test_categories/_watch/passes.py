"""One-shot passes: what a wrapper has judged, the audit event of the same call need not be judged again for.

No flag, which greenlets and signal handlers would share: a pass names its call, and the event uses it up.
"""

from __future__ import annotations

import threading
from typing import Any, Final


class _Passes(threading.local):
    """A thread's own passes: what is permitted to one must not let another's call through."""

    def __init__(self) -> None:
        self.open: list[tuple[str, Any, Any]] = []


_passes: Final = _Passes()


def allow(one_shot: tuple[str, Any, Any]) -> None:
    """Note what a wrapper has judged: ``(event, socket or host, address)``, good for one event of this thread."""
    _passes.open.append(one_shot)


def withdraw(one_shot: tuple[str, Any, Any]) -> None:
    """Take back a pass that no event used."""
    passes = _passes.open
    if not passes:  # the usual case: the event used it
        return
    for index in range(len(passes) - 1, -1, -1):
        if passes[index] is one_shot:
            del passes[index]
            return


def passed(event: str, subject: Any, address: Any) -> bool:
    """Use up the pass of an event, if there is one."""
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
