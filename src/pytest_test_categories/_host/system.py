"""The system's own functions, taken before a test puts a fake in their place.

What the layers ask for while a test runs must not meet what holds for the test: an in-memory file system, a tool that
forbids blocking calls in event loops, a mock of ``os.stat``. They are kept in a class because such tools also look for
them in modules' own names.
"""

from __future__ import annotations

import _thread
import os
import time
from typing import Final

_CHUNK: Final = 1 << 16


class System:
    """Functions of ``os``, ``time`` and ``_thread`` as the interpreter made them, and what needs no more than those."""

    stat = staticmethod(os.stat)
    fstat = staticmethod(os.fstat)
    getcwd = staticmethod(os.getcwd)
    open = staticmethod(os.open)
    close = staticmethod(os.close)
    read = staticmethod(os.read)
    write = staticmethod(os.write)
    mkdir = staticmethod(os.mkdir)
    unlink = staticmethod(os.unlink)
    rmdir = staticmethod(os.rmdir)
    listdir = staticmethod(os.listdir)
    readlink = staticmethod(os.readlink)
    access = staticmethod(os.access)
    get_inheritable = staticmethod(os.get_inheritable)
    sleep = staticmethod(time.sleep)
    start_thread = staticmethod(_thread.start_new_thread)

    @classmethod
    def exists(cls, path: str | bytes) -> bool:
        """Tell whether there is such a file."""
        try:
            cls.stat(path)
        except (OSError, ValueError):
            return False
        return True

    @classmethod
    def stamp(cls, path: str) -> tuple[int, int, int] | None:
        """Return what changes whenever a file does; None if there is no such file."""
        try:
            stat = cls.stat(path)
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    @classmethod
    def absolute(cls, path: str) -> str:
        """Return a path from the root on, with neither ``.`` nor ``..``."""
        return os.path.normpath(path if os.path.isabs(path) else os.path.join(cls.getcwd(), path))

    @classmethod
    def contents(cls, path: str) -> bytes:
        """Return what is in a file.

        Raises:
            OSError: It can't be read.
        """
        descriptor = cls.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
        try:
            found = b""
            while chunk := cls.read(descriptor, _CHUNK):
                found += chunk
            return found
        finally:
            cls.close(descriptor)
