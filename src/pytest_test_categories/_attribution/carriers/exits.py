"""The exit: what tests and their modules left for it is held to the largest size that the process has run.

``atexit`` calls the last registered first. One function of ours, registered when collection begins, thus runs after
all that was registered since, and before what the runner had registered: no registration needs to be wrapped.
"""

from __future__ import annotations

import atexit
import math
import os
import threading
from typing import TYPE_CHECKING, Final

from pytest_test_categories._attribution import origin
from pytest_test_categories._attribution.origin import Scope, ScopeKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_test_categories._rules.policy import Policy


class Exit:
    """The end of this process, from where the interpreter begins it to where the runner's own functions are due.

    Args:
        hold: Puts the layers in place.
        collect: Takes in what has been refused elsewhere.
        release: Takes them away.
    """

    def __init__(self, hold: Callable[[], None], collect: Callable[[], None], release: Callable[[], None]) -> None:
        self._hold = hold
        self._collect = collect
        self._release = release
        self._process = 0
        self._scope: Scope | None = None

    def expect(self) -> None:
        """Be told when all is done that is registered from now on: collection begins."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._scope = None
            atexit.register(self._end)

    def narrow(self, policy: Policy) -> None:
        """Hold the exit to the largest size of a run that ends, unless an earlier one ran larger tests."""
        before = None if self._scope is None else self._scope.policy
        if self._process != os.getpid():
            return
        if before is None or _rank(policy) >= _rank(before):
            self._scope = Scope(ScopeKind.TEST, policy, LABEL)
        register = getattr(threading, "_register_atexit", None)  # before it, threads that are no daemons are joined
        if register is not None:
            try:
                register(self._begin)
            except RuntimeError:  # a run in an exit function: the interpreter is on its way already
                self._begin()

    def _begin(self) -> None:
        if self._scope is not None and origin.state.ending is None and self._process == os.getpid():
            origin.state.ending = self._scope
            self._hold()
            origin.changed()

    def _end(self) -> None:
        if origin.state.ending is not None and self._process == os.getpid():
            self._collect()
            origin.state.ending = None
            origin.changed()
            self._release()


def _rank(policy: Policy) -> float:
    return math.inf if policy.size is None else policy.size.rank


LABEL: Final = "the end of the process"
