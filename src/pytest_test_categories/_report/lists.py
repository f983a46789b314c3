"""Files that a project commits and that two branches may both change: JSON, one entry a line.

Each line ends with a comma and a last item marks the end of the list, so that a merge conflict can be resolved by
taking both sides.
"""

from __future__ import annotations

import json
from typing import Any, Final

from pytest_test_categories._rules.named_tuples import NamedTuple

VERSION: Final = 1
_END: Final = "end of list"


class ListError(ValueError):
    """A file can't be used; the message, which follows the file's name, says what to do."""


class Layout(NamedTuple):
    """What a file is, and how its lines look.

    Attributes:
        what: What the file is called in messages.
        key: The key of the list.
        update: The option that makes the file.
        types: The types of a line's values.
    """

    what: str
    key: str
    update: str
    types: tuple[type, ...]

    def text(self, lines: list[Any]) -> str:
        """Return the text of a file with these lines."""
        rows = [f"{json.dumps(list(line), ensure_ascii=False)}," for line in lines]
        return "\n".join([f'{{"version": {VERSION}, "{self.key}": [', *rows, f'"{_END}"', "]}", ""])

    def parse(self, text: str) -> list[list[Any]]:
        """Return the lines of a file's text.

        Raises:
            ListError: The text is damaged, or has a newer version.
        """
        if any(marker in text for marker in ("<<<<<<<", ">>>>>>>")) and any(
            line.startswith(("<<<<<<<", ">>>>>>>")) for line in text.splitlines()
        ):
            raise ListError("has a merge conflict: keep the lines of both sides, and take the markers out")
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ListError(f"is damaged ({error}): restore it, or delete it and make it with {self.update}") from None
        version = data.get("version") if isinstance(data, dict) else None
        if type(version) is int and version > VERSION:
            raise ListError(f"is of version {version}, and this plugin reads {VERSION}: install a newer one")
        listed = data.get(self.key) if version == VERSION else None
        if not isinstance(listed, list) or type(version) is not int:
            raise ListError(f"is no {self.what}: delete it, and make it with {self.update}")
        lines = []
        types = list(self.types)
        for line in listed:
            if line == _END:
                continue
            if not isinstance(line, list) or list(map(type, line)) != types:
                raise ListError(f"is damaged at {line!r}: restore it, or delete it and make it with {self.update}")
            lines.append(line)
        return lines

    def load(self, path: str) -> list[list[Any]]:
        """Return the lines of a file.

        Raises:
            ListError: The file is missing, can't be read, is damaged or has a newer version.
        """
        try:
            with open(path, encoding="utf-8-sig") as file:  # some editors add a byte order mark
                return self.parse(file.read())
        except FileNotFoundError:
            raise ListError(f"does not exist: make it with {self.update}") from None
        except (OSError, UnicodeError) as error:
            raise ListError(f"can't be read: {error}") from None
