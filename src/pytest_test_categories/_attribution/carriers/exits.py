"""The end of the process: what tests and their modules run there is limited to the largest size of the run's tests.

``atexit`` calls the functions that were registered last first. One function of ours, registered when collection begins,
runs after all that were registered later, and before those of the test runner. So no registration needs a wrapper.
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
    """Guards the end of this process: from the interpreter's shutdown until the test runner's own exit functions.

    Args:
        hold: Puts the layers in place.
        collect: Records the refusals of child processes and of the layer outside.
        release: Removes the layers.
    """

    def __init__(self, hold: Callable[[], None], collect: Callable[[], None], release: Callable[[], None]) -> None:
        self._hold = hold
        self._collect = collect
        self._release = release
        self._process = 0
        self._scope: Scope | None = None

    def expect(self) -> None:
        """Register the exit function; called when collection begins, so that it runs after all registered later."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._scope = None
            atexit.register(self._end)

    def narrow(self, policy: Policy) -> None:
        """Enforce the largest size of a run that ends, unless an earlier run had larger tests."""
        before = None if self._scope is None else self._scope.policy
        if self._process != os.getpid():
            return
        if before is None or _rank(policy) >= _rank(before):
            self._scope = Scope(ScopeKind.TEST, policy, LABEL)
        register = getattr(threading, "_register_atexit", None)  # it runs before non-daemon threads are joined
        if register is not None:
            try:
                register(self._begin)
            except RuntimeError:  # the run was in an exit function: the interpreter is shutting down already
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
