"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile


def write_whole(path: str, text: str) -> None:
    """Replace a file's content in one step, and create its directories; an unchanged file is not written.

    Readers see the old file or the new one, never a part of it. A link stays a link, and leads to the new file.

    Raises:
        OSError: The file can't be written.
    """
    data = text.encode()
    with contextlib.suppress(OSError), open(path, "rb") as file:
        if file.read() == data:
            return
    directory, name = os.path.split(os.path.realpath(path))
    os.makedirs(directory, exist_ok=True)
    # The file is written in a private directory beside the target: there it gets the usual permissions of a new file,
    # which a file created by tempfile does not.
    with tempfile.TemporaryDirectory(dir=directory, prefix=f".{name}.") as beside:
        temporary = os.path.join(beside, name)
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, os.path.join(directory, name))
