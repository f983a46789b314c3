"""What /proc says of processes and threads."""

from __future__ import annotations

import time
from typing import Final

_LONGEST_COMMAND: Final = 200


def ticks() -> int:
    """Return the time since boot as /proc counts it: in hundredths of a second."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 10_000_000


def process_of(thread: int) -> int:
    """Return the process that a thread belongs to; the thread's own number if it is gone."""
    try:
        with open(f"/proc/{thread}/status", "rb") as lines:
            return next((int(line[5:]) for line in lines if line.startswith(b"Tgid:")), thread)
    except OSError:
        return thread


def start_of(pid: int) -> tuple[int, int]:
    """Return when a process or thread started, in the ticks of ``ticks``, and its parent; now and 0 if gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The second field is a name, which may hold blanks and brackets.
            fields = file.read().rpartition(b")")[2].split()
            return int(fields[19]), int(fields[1])
    except (OSError, IndexError, ValueError):
        return ticks(), 0


def command_of(pid: int) -> str:
    """Return a process's command line, cut short; empty if it is gone."""
    text = "".join(c if c.isprintable() else " " for c in text_of(f"/proc/{pid}/cmdline").rstrip("\0"))
    return text if len(text) <= _LONGEST_COMMAND else text[:_LONGEST_COMMAND] + "..."


def text_of(path: str) -> str:
    """Return what is in a file; nothing if it can't be read."""
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "backslashreplace").strip()
    except OSError:
        return ""
