"""Entry points of other distributions, found without reading every distribution's metadata.

``importlib.metadata.entry_points`` parses each installed distribution. That is too slow for the start of every run,
when hardly any distribution has the wanted group. Here a file that doesn't name the group is only searched as bytes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pytest_test_categories._host.system import System

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def announced_in(path: Iterable[str], group: str) -> dict[str, list[Any]]:
    """Return the entry points of a group by name, from the distributions in the directories of a path."""
    found: dict[str, list[Any]] = {}
    for metadata in _that_name(group.encode(), path):
        from importlib.metadata import PathDistribution
        from pathlib import Path

        for entry_point in PathDistribution(Path(metadata)).entry_points:
            if entry_point.group == group:
                found.setdefault(entry_point.name, []).append(entry_point)
    return found


def _that_name(group: bytes, path: Iterable[str]) -> Iterator[str]:
    standard = os.path.dirname(os.__file__)
    for directory in dict.fromkeys(path):
        if directory in {standard, f"{standard}{os.sep}lib-dynload"}:
            continue
        try:
            names = System.listdir(directory or ".")
        except OSError:  # a zip file, or no such directory
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")):
                metadata = f"{directory or '.'}/{name}"
                if group in _read(f"{metadata}/entry_points.txt"):
                    yield metadata


def _read(path: str) -> bytes:
    if not System.access(path, os.R_OK):  # most distributions have no such file, and an exception costs more
        return b""
    return System.contents(path)
