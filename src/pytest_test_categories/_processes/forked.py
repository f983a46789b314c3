"""The pipe by which forked child processes report violations to their parent."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import weakref
from typing import TYPE_CHECKING, Final

from pytest_test_categories._host.system import System
from pytest_test_categories._ledger.records import counting
from pytest_test_categories._rules.named_tuples import NamedTuple
from pytest_test_categories._rules.violation import Violation
from pytest_test_categories._rules.wording import line_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_test_categories._attribution.origin import Scope
    from pytest_test_categories._rules.policy import Attempt


class ChildReport(NamedTuple):
    """One line from a child process: the guard's serial, whether late and expected, the number of further attempts.

    A negative number takes attempts back, because a block in the child expected them. A child that was not forked
    reports the judged attempt, too.
    """

    serial: int
    late: bool
    expected: bool
    times: int
    violation: Violation
    attempt: Attempt | None = None


LINE_LIMIT: Final = 4094  # with two newlines, PIPE_BUF of Linux; POSIX promises only 512, which a record may exceed
_EACH: Final = 16  # so many of the same violation are sent one by one; a loop in a child must not fill the pipe


class Strides:
    """Counts equal violations, and decides when to report them: many of them in ever larger groups."""

    def __init__(self) -> None:
        self._seen: dict[tuple[object, ...], int] = {}
        self._told: dict[tuple[object, ...], int] = {}

    def step(self, key: tuple[object, ...]) -> int:
        """Count one more; return how many to report now, which is usually 0 for a repeated violation."""
        with counting.lock:
            seen = self._seen[key] = self._seen.get(key, 0) + 1
        if seen > _EACH and seen & (seen - 1):
            return 0  # it is reported at the next power of two
        return self.rest(key)

    def rest(self, key: tuple[object, ...]) -> int:
        """Return how many have not been reported yet, and count them as reported."""
        with counting.lock:
            seen = self._seen.get(key, 0)
            rest = seen - self._told.get(key, 0)
            self._told[key] = seen
            return rest

    def clear(self) -> None:
        """Forget all counts."""
        self._seen.clear()
        self._told.clear()


def report_line(head: list[object], violation: Violation, tail: object = None) -> bytes:
    """Return the line that reports a violation, with its texts shortened until the line is below the limit."""
    optional = Violation._field_defaults
    data = {name: value for name, value in violation.to_dict().items() if value or name not in optional}
    while True:
        line = json.dumps([*head, data] if tail is None else [*head, data, tail]).encode()
        if len(line) < LINE_LIMIT:
            return line
        longest = max((name for name in data if isinstance(data[name], str)), key=lambda name: len(data[name]))
        data[longest] = data[longest][: len(data[longest]) // 2] + "..."


class ChildReports:
    """A pipe from forked child processes: each write is one record below PIPE_BUF, so that records don't mix.

    Where PIPE_BUF is smaller (macOS), a pipe that is nearly full may take only part of a record; the part is ignored.

    Args:
        otherwise: Called with the line of a child that has closed the pipe, or finds it full.

    Attributes:
        scopes: The guards that child processes may report to, by serial number.
        is_child: Whether this process is such a child.
    """

    def __init__(self, otherwise: Callable[[bytes], None] = lambda _line: None) -> None:
        self._root = os.getpid()
        self._otherwise = otherwise
        try:
            self._read, self._write = os.pipe()
        except OSError:  # no descriptor is left: the fork works without a pipe, and ``otherwise`` gets the reports
            self._read = self._write = -1
            self._pipe: tuple[int, int] | None = None
        else:
            os.set_blocking(self._read, False)
            os.set_blocking(self._write, False)
            self._pipe = self._identity()
        self._lock = threading.Lock()
        self._sent = Strides()
        self._rest = b""
        self.scopes: weakref.WeakValueDictionary[int, Scope] = weakref.WeakValueDictionary()
        self.is_child = False

    def _identity(self) -> tuple[int, int]:
        stat = System.fstat(self._write)
        return stat.st_dev, stat.st_ino

    def _is_open(self) -> bool:
        """Tell whether the descriptor is still this pipe: a daemon closes inherited ones, and opens new files."""
        try:
            return self._pipe is not None and self._identity() == self._pipe
        except OSError:
            return False

    def become_child(self) -> None:
        """Report to the parent from now on."""
        self.is_child = True
        self._sent.clear()

    def send(self, serial: int, violation: Violation, *, late: bool, expected: bool) -> None:
        """Report a violation to the parent; repeated ones in ever larger groups."""
        count = self._sent.step((serial, violation.key))
        if not count:
            return
        try:
            self._tell([serial, late, expected, count], violation)
            os.kill(self._root, 0)
        except ProcessLookupError:  # the parent has ended: nothing reads the pipe any more
            text = f"Network access violation after the run: {violation.test} attempted {line_text(violation)}"
            with contextlib.suppress(OSError):
                System.write(2, f"\n{text}\n".encode(errors="replace"))
        except (OSError, ImportError):  # it can't be reported, but the attempt was refused all the same
            pass

    def take_back(self, serial: int, violation: Violation, times: int) -> None:
        """Report to the parent how many of the reported attempts were expected."""
        with contextlib.suppress(OSError, ImportError):
            self._tell([serial, False, True, -times], violation)

    def _tell(self, head: list[object], violation: Violation) -> None:
        if not self._is_open() or not self._write_line(report_line(head, violation)):
            self._otherwise(report_line(head, violation, []))

    def _write_line(self, line: bytes) -> bool:
        """Write a line if the pipe has room: the parent reads it only when the test ends."""
        try:
            return System.write(self._write, b"\n" + line + b"\n") == len(line) + 2
        except BlockingIOError:
            return False

    def receive(self) -> list[ChildReport]:
        """Return what child processes have reported since the last call."""
        if self._read < 0:
            return []
        with self._lock:
            while True:
                try:
                    chunk = System.read(self._read, 65536)
                except BlockingIOError:
                    break
                self._rest += chunk
                if not chunk:
                    break
            *lines, self._rest = self._rest.split(b"\n")
        found = []
        for line in filter(None, lines):
            with contextlib.suppress(ValueError):  # part of a line
                serial, late, expected, times, fields = json.loads(line)
                found.append(ChildReport(serial, late, expected, times, Violation.from_dict(fields)))
        return found

    def close(self) -> None:
        """Close the parent's ends."""
        if not self.is_child and self._read >= 0:
            os.close(self._read)
            os.close(self._write)
