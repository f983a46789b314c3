"""Reports on stderr a test that waits for a thread which a refusal ended, since such a run may never end by itself."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Final

from pytest_test_categories._attribution.origin import state
from pytest_test_categories._attribution.stack import other_threads_stand_still
from pytest_test_categories._host.system import System
from pytest_test_categories._rules.wording import short_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_test_categories._rules.violation import Violation

SECONDS: Final = 5.0
"""How long to wait after the refusal before looking at the main thread."""
_MOMENT: Final = 0.1
_LOOKS: Final = 5


class Waiting:
    """Watches a test after a refusal ended one of its threads, and announces, once in a run, that the test waits.

    The ``join`` of a queue, or a lock that the thread would have released, can block forever: the refusal was raised
    only in the thread, and the test fails with it only if it reaches its end.

    Args:
        announce: Writes a line to the terminal immediately, even while output is captured.
    """

    def __init__(self, announce: Callable[[str], None]) -> None:
        self._announce = announce
        self._busy = False
        self.closed = False

    def note_death(self, thread: str, violation: Violation) -> None:
        """Start to watch a test after a violation ended one of its threads."""
        if not self._busy:
            self._busy = True
            # Not a thread of ``threading``: tests may count those.
            System.start_thread(self._watch, (thread, violation))

    def _watch(self, thread: str, violation: Violation) -> None:
        System.sleep(SECONDS)
        seen = [_main_thread_is_at()]
        for _ in range(_LOOKS):  # on a busy machine a thread may not get on within a moment
            System.sleep(_MOMENT)
            seen.append(_main_thread_is_at())
        waits = all(one == seen[0] for one in seen)
        if self.closed:
            return
        if waits and any(scope.test == violation.test for scope in state.phases):
            self._announce(
                f"test categories: {violation.test} still waits, {SECONDS:.0f} s after a network violation ended its "
                f"thread {thread}: {short_text(violation)}. If it waits for that thread, it hangs: pytest-timeout "
                "ends such a test"
            )
        else:
            self._busy = False


def _main_thread_is_at() -> tuple[object, int] | None:
    """Return the main thread's current instruction, to compare; None where other threads' frames can't be read."""
    if not other_threads_stand_still():
        return None
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    return None if frame is None else (frame, frame.f_lasti)
