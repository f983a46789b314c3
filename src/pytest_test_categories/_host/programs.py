"""Programs: how this process becomes another one."""

from __future__ import annotations

import errno
import os
import shutil
import signal


def execute(words: list[str]) -> int:
    """Replace this process by a command; return the error number if that fails.

    As with ``execvp`` of the C library, a file without a first line that names its interpreter is a shell script.
    """
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
        signal.signal(number, signal.SIG_DFL)
    program = shutil.which(words[0])
    try:
        try:
            os.execvp(program or words[0], words)  # noqa: S606 - that is what it is for
        except OSError as error:
            if error.errno != errno.ENOEXEC or program is None:
                raise
            os.execv("/bin/sh", ["sh", program, *words[1:]])  # noqa: S606 - the same
    except OSError as error:
        return error.errno or errno.EIO
