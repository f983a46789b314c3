"""Report files: the formats, and how to write one."""

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
"""The formats of a report, by the file name's suffix."""

RECORDING: Final = ".jsonl"
"""The suffix of recordings, which are written while the tests run, and not by ``write``."""


def check(path: str) -> None:
    """Check that a report or a recording can be written in the format of the path's suffix.

    Raises:
        ValueError: There is no such format (the message lists the formats), or a package it needs is not installed.
    """
    if "\0" in path:
        raise ValueError(f"{path!r} is not a valid file name")
    if _suffix(path) not in {*FORMATS, RECORDING}:
        every = {**FORMATS, RECORDING: "a recording to combine with others"}
        choices = ", ".join(f"{suffix} ({what})" for suffix, what in every.items())
        raise ValueError(f"{path!r} has no suffix of a report format; choose a file name that ends in one of {choices}")
    if _suffix(path) == ".html":
        _renderer(".html").check_installed()


def write(report: Report, path: str) -> None:
    """Write a report in the format of the path's suffix, except a recording; create missing directories.

    Raises:
        ValueError: As for ``check``.
        OSError: The file can't be written.
    """
    check(path)
    write_whole(path, _renderer(_suffix(path)).render(report))


def _renderer(suffix: str) -> Any:
    """Import and return the module of a format; only the formats that a run uses are imported."""
    return importlib.import_module(f"{__package__}.{'markdown' if suffix == '.md' else suffix[1:]}")


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()
