"""The pipe by which forked children tell their parent what they were refused."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import weakref
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_test_categories._host.system import System
from pytest_test_categories._ledger.records import counting
from pytest_test_categories._rules.violation import Violation
from pytest_test_categories._rules.wording import line_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_test_categories._attribution.origin import Scope
    from pytest_test_categories._rules.policy import Attempt


class ChildReport(NamedTuple):
    """What one line from a child says: whose violation, whether late and expected, how many more of it.

    A negative number takes so many back: the child expected them. One that was not forked says what was judged, too.
    """

    serial: int
    late: bool
    expected: bool
    times: int
    violation: Violation
    attempt: Attempt | None = None


LINE_LIMIT: Final = 4094  # with what ends the lines Linux' PIPE_BUF; POSIX promises 512, which a record may exceed
_EACH: Final = 16  # of the same violation so many are sent one by one; a loop in a child must not fill the pipe


class Strides:
    """Counts violations of the same kind, and says when to tell of them: of many, in ever longer strides."""

    def __init__(self) -> None:
        self._seen: dict[tuple[object, ...], int] = {}
        self._told: dict[tuple[object, ...], int] = {}

    def step(self, key: tuple[object, ...]) -> int:
        """Count one more; returns how many to tell of now, mostly none."""
        with counting.lock:
            seen = self._seen[key] = self._seen.get(key, 0) + 1
        if seen > _EACH and seen & (seen - 1):
            return 0  # the next power of two speaks for it
        return self.rest(key)

    def rest(self, key: tuple[object, ...]) -> int:
        """Return how many nobody was told of, who is told of them now."""
        with counting.lock:
            seen = self._seen.get(key, 0)
            rest = seen - self._told.get(key, 0)
            self._told[key] = seen
            return rest

    def clear(self) -> None:
        """Start anew."""
        self._seen.clear()
        self._told.clear()


def report_line(head: list[object], violation: Violation, tail: object = None) -> bytes:
    """Return the line that tells of a violation, its texts shortened until it is below the limit."""
    optional = Violation._field_defaults
    data = {name: value for name, value in violation.to_dict().items() if value or name not in optional}
    while True:
        line = json.dumps([*head, data] if tail is None else [*head, data, tail]).encode()
        if len(line) < LINE_LIMIT:
            return line
        longest = max((name for name in data if isinstance(data[name], str)), key=lambda name: len(data[name]))
        data[longest] = data[longest][: len(data[longest]) // 2] + "..."


class ChildReports:
    """A pipe from forked children: one record a write, each below PIPE_BUF, so that they don't mix.

    Where that is less (macOS), a pipe that is nearly full takes a part of one: that part is no record.

    Args:
        otherwise: Takes the line of a child that has closed the pipe, or finds it full.

    Attributes:
        scopes: The guards that children may report to, by serial number.
        is_child: Whether this process is such a child.
    """

    def __init__(self, otherwise: Callable[[bytes], None] = lambda _line: None) -> None:
        self._root = os.getpid()
        self._otherwise = otherwise
        try:
            self._read, self._write = os.pipe()
        except OSError:  # no descriptor is left: the fork works without, and ``otherwise`` takes what its child tells
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
        """Tell whether the pipe is: a daemon closes what it inherits, and opens files of its own."""
        try:
            return self._pipe is not None and self._identity() == self._pipe
        except OSError:
            return False

    def become_child(self) -> None:
        """Report to the parent from now on."""
        self.is_child = True
        self._sent.clear()

    def send(self, serial: int, violation: Violation, *, late: bool, expected: bool) -> None:
        """Tell the parent of a violation; of many of the same, in ever longer strides."""
        count = self._sent.step((serial, violation.key))
        if not count:
            return
        try:
            self._tell([serial, late, expected, count], violation)
            os.kill(self._root, 0)
        except ProcessLookupError:  # the run is over: nobody reads what is in the pipe
            text = f"Network access violation after the run: {violation.test} attempted {line_text(violation)}"
            with contextlib.suppress(OSError):
                System.write(2, f"\n{text}\n".encode(errors="replace"))
        except (OSError, ImportError):  # no place to tell it: the child was refused all the same
            pass

    def take_back(self, serial: int, violation: Violation, times: int) -> None:
        """Tell the parent that so many of those that it was told of were expected."""
        with contextlib.suppress(OSError, ImportError):
            self._tell([serial, False, True, -times], violation)

    def _tell(self, head: list[object], violation: Violation) -> None:
        if not self._is_open() or not self._write_line(report_line(head, violation)):
            self._otherwise(report_line(head, violation, []))

    def _write_line(self, line: bytes) -> bool:
        """Write a line if the pipe has room: its reader reads when the test ends."""
        try:
            return System.write(self._write, b"\n" + line + b"\n") == len(line) + 2
        except BlockingIOError:
            return False

    def receive(self) -> list[ChildReport]:
        """Return what children have told since the last time."""
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
            with contextlib.suppress(ValueError):  # a part of one
                serial, late, expected, times, fields = json.loads(line)
                found.append(ChildReport(serial, late, expected, times, Violation.from_dict(fields)))
        return found

    def close(self) -> None:
        """Close the parent's ends."""
        if not self.is_child and self._read >= 0:
            os.close(self._read)
            os.close(self._write)
