"""Report files: which formats there are, and writing one."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._host.files import write_whole

if TYPE_CHECKING:
    from pytest_test_categories._report.model import Report

FORMATS: Final = {
    ".json": "all of it, for programs",
    ".html": "one page to look at, filter and search",
    ".sarif": "breaches on their lines, for code hosts",
    ".md": "a summary for a pull request",
}
"""What each suffix of ``--network-report=FILE`` writes."""


def check(path: str) -> None:
    """Check that a report can be written in the format that a path asks for.

    Raises:
        ValueError: There is no such format (the message lists those there are), or what it needs is not installed.
    """
    if "\0" in path:
        raise ValueError(f"{path!r} is not a valid file name")
    if _suffix(path) not in FORMATS:
        choices = ", ".join(f"{suffix} ({what})" for suffix, what in FORMATS.items())
        raise ValueError(f"{path!r} has no suffix of a report format; choose a file name that ends in one of {choices}")
    if _suffix(path) == ".html":
        _renderer(".html").check_installed()


def write(report: Report, path: str) -> None:
    """Write a report in the format of the path's suffix, making its directories.

    Raises:
        ValueError: As ``check``.
        OSError: The file can't be written.
    """
    check(path)
    write_whole(path, _renderer(_suffix(path)).render(report))


def _renderer(suffix: str) -> Any:
    """Return the module of a format: no run pays for one that nobody asked for."""
    return importlib.import_module(f"{__package__}.{'markdown' if suffix == '.md' else suffix[1:]}")


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()
