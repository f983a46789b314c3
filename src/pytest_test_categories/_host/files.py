"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile


def write_whole(path: str, text: str) -> None:
    """Put a text in a file's place in one step, making its directories; a file that holds it already is left alone.

    Readers see the old file or the new one, never a part. A link stays one, and leads to the new file.

    Raises:
        OSError: It can't be written.
    """
    data = text.encode()
    with contextlib.suppress(OSError), open(path, "rb") as file:
        if file.read() == data:
            return
    directory, name = os.path.split(os.path.realpath(path))
    os.makedirs(directory, exist_ok=True)
    # A directory of one's own beside the target: the file in it gets the permissions that any new file gets, which
    # those of tempfile's are not.
    with tempfile.TemporaryDirectory(dir=directory, prefix=f".{name}.") as beside:
        temporary = os.path.join(beside, name)
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, os.path.join(directory, name))
