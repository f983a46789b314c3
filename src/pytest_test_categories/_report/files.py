"""Report files: which formats there are, and writing one."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Final

from pytest_test_categories._report import html, json, markdown, sarif

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_test_categories._report.model import Report

FORMATS: Final = {
    ".json": "all of it, for programs",
    ".html": "one page to look at, filter and search",
    ".sarif": "breaches on their lines, for code hosts",
    ".md": "a summary for a pull request",
}
"""What each suffix of ``--network-report=FILE`` writes."""

_RENDERERS: Final[dict[str, Callable[[Report], str]]] = {
    ".json": json.render,
    ".html": html.render,
    ".sarif": sarif.render,
    ".md": markdown.render,
}


def check(path: str) -> None:
    """Check that a report can be written in the format that a path asks for.

    Raises:
        ValueError: There is no such format (the message lists those there are), or what it needs is not installed.
    """
    if _suffix(path) not in FORMATS:
        choices = ", ".join(f"{suffix} ({what})" for suffix, what in FORMATS.items())
        raise ValueError(f"{path!r} names no report format; choose a file name that ends in one of {choices}")
    if _suffix(path) == ".html":
        html.check_installed()


def write(report: Report, path: str) -> None:
    """Write a report in the format of the path's suffix, making its directories.

    Readers see the old file or the new one, never a part.

    Raises:
        ValueError: As ``check``.
        OSError: The file can't be written.
    """
    check(path)
    text = _RENDERERS[_suffix(path)](report)
    directory, name = os.path.split(os.path.abspath(path))
    os.makedirs(directory, exist_ok=True)
    # A directory of one's own beside the target: the file in it gets the permissions that any new file gets, which
    # those of tempfile's are not.
    with tempfile.TemporaryDirectory(dir=directory, prefix=f".{name}.") as beside:
        temporary = os.path.join(beside, name)
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(temporary, path)


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()
