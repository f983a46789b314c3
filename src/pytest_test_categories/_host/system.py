"""The system's own functions, saved before a test replaces them with fakes.

The layers' own calls during a test must not be affected by the test's tools: an in-memory file system, a tool that
forbids blocking calls in event loops, a mock of ``os.stat``. The functions are attributes of a class because such tools
also replace them in the namespaces of modules.
"""

from __future__ import annotations

import _thread
import os
import time
from typing import Final

_CHUNK: Final = 1 << 16


class System:
    """The original functions of ``os``, ``time`` and ``_thread``, and a few functions that use only these."""

    stat = staticmethod(os.stat)
    fstat = staticmethod(os.fstat)
    fstatvfs = staticmethod(getattr(os, "fstatvfs", os.fstat))
    isatty = staticmethod(os.isatty)
    lseek = staticmethod(os.lseek)
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
        """Return whether a file exists."""
        try:
            cls.stat(path)
        except (OSError, ValueError):
            return False
        return True

    @classmethod
    def stamp(cls, path: str) -> tuple[int, int, int] | None:
        """Return a value that changes whenever a file changes; None if there is no such file."""
        try:
            stat = cls.stat(path)
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    @classmethod
    def absolute(cls, path: str) -> str:
        """Return the absolute path, without ``.`` and ``..``."""
        return os.path.normpath(path if os.path.isabs(path) else os.path.join(cls.getcwd(), path))

    @classmethod
    def contents(cls, path: str) -> bytes:
        """Return the content of a file.

        Raises:
            OSError: The file can't be read.
        """
        descriptor = cls.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
        try:
            found = b""
            while chunk := cls.read(descriptor, _CHUNK):
                found += chunk
            return found
        finally:
            cls.close(descriptor)
