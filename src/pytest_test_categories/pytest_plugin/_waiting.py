"""Reports on stderr a test that waits for a thread which a refusal ended, since such a run may never end by itself."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final

from pytest_test_categories._attribution.origin import state
from pytest_test_categories._host.system import System
from pytest_test_categories._rules.wording import short_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_test_categories._rules.violation import Violation

SECONDS: Final = 5.0
"""How long to wait after the refusal before looking at the main thread."""
_MOMENT: Final = 0.5
"""How long to look at it."""
_WORK: Final = 0.02
"""Seconds of that moment in which a main thread that works uses a processor, or is ready to."""


class Waiting:
    """Watches a test after a refusal ended one of its threads, and announces, once in a run, that the test waits.

    The ``join`` of a queue, or a lock that the thread would have released, can block forever: the refusal was raised
    only in the thread, and the test fails with it only if it reaches its end. A main thread that uses the processor
    or is ready to does not wait; where the system does not tell that, nothing is announced.

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
        before = _work_of_main_thread()
        System.sleep(_MOMENT)
        after = _work_of_main_thread()
        waits = before is not None and after is not None and after - before < _WORK
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


def _work_of_main_thread() -> float | None:
    """Return for how many seconds the main thread has used a processor or waited for one; None where nothing tells."""
    main = threading.main_thread()
    with contextlib.suppress(OSError), open(f"/proc/self/task/{main.native_id}/schedstat", encoding="ascii") as file:
        running, ready, *_ = map(int, file.read().split())
        return (running + ready) / 1e9  # Linux; on a busy machine a thread that works may not run for long
    clock_of = getattr(time, "pthread_getcpuclockid", None)  # not on Windows and macOS
    return None if clock_of is None or main.ident is None else time.clock_gettime(clock_of(main.ident))
