"""The files of a baseline: one for the project, or several by directory, so that each team owns its own.

Each entry stands in the nearest file: of the files whose directory contains the test's file, the one with the deepest
directory. What no directory contains stands in the file that is named first.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_test_categories._report.baseline import Baseline, BaselineError, Entry
from pytest_test_categories._rules.named_tuples import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Saved(NamedTuple):
    """What was written into a file.

    Attributes:
        name: The name of the file.
        entries: The number of its entries.
        added: The number of entries that it did not have before.
        removed: The number of entries that it no longer has.
    """

    name: str
    entries: int
    added: int
    removed: int


class BaselineFiles:
    """The files of a project's baseline.

    Attributes:
        baseline: The entries that hold: of each file those that stand in the right file.
        misplaced: How many entries of a file stand nearer in another one, by the names of both. They don't hold.

    Args:
        paths: The files' absolute paths.
        root: The root directory, to which the paths in entries are relative.
        update: Whether the files are about to be written: then a file may be missing, and entries hold wherever they
            stand, since they are moved.

    Raises:
        BaselineError: Two files are in one directory, or a file can't be used; the message begins with its name.
    """

    def __init__(self, paths: Sequence[str], root: str, *, update: bool = False) -> None:
        self._root = root
        self.paths = tuple(map(os.path.normpath, paths))
        self.misplaced: dict[tuple[str, str], int] = {}
        self._nearest: dict[str, str] = {}
        by_directory: dict[str, str] = {}
        for path in self.paths:
            other = by_directory.setdefault(os.path.dirname(path), path)
            if other != path:
                raise BaselineError(f"{self.name(other)} and {self.name(path)} are in one directory: name one of them")
        self._directories = sorted(by_directory.items(), key=lambda item: -len(item[0]))
        self._listed = {path: self._load(path, update=update) for path in self.paths}
        if len(self._listed) == 1:
            self.baseline = self._listed[self.paths[0]]
            return
        held = []
        for path, listed in self._listed.items():
            for entry in listed.entries:
                nearest = self.nearest(entry)
                if nearest == path or update:
                    held.append(entry)
                else:
                    pair = (self.name(path), self.name(nearest))
                    self.misplaced[pair] = self.misplaced.get(pair, 0) + 1
        self.baseline = Baseline(held)

    def _load(self, path: str, *, update: bool) -> Baseline:
        if update and not os.path.exists(path):
            return Baseline()
        try:
            return Baseline.load(path)
        except BaselineError as error:
            name = self.name(path)
            raise BaselineError(f"{name if name.isprintable() else repr(name)} {error}") from None

    def name(self, path: str) -> str:
        """Return a file's path relative to the root directory, or its absolute path if it is elsewhere."""
        inside = os.path.normpath(path).removeprefix(os.path.normpath(self._root) + os.sep)
        return inside.replace(os.sep, "/")

    def nearest(self, entry: Entry) -> str:
        """Return the file that an entry stands in."""
        place = entry.place
        found = self._nearest.get(place)
        if found is None:
            absolute = os.path.normpath(os.path.join(self._root, place)) + os.sep
            found = self._nearest[place] = next(
                (
                    path
                    for directory, path in self._directories
                    if absolute.startswith(directory.rstrip(os.sep) + os.sep)
                ),
                self.paths[0],
            )
        return found

    def by_file(self, entries: Iterable[Entry]) -> dict[str, list[Entry]]:
        """Return entries by the name of the file that they stand in, for the files that have any of them."""
        found: dict[str, list[Entry]] = {}
        for entry in entries:
            found.setdefault(self.name(self.nearest(entry)), []).append(entry)
        return dict(sorted(found.items()))

    def save(self, baseline: Baseline) -> list[Saved]:
        """Write each entry into the nearest file, each file atomically.

        Raises:
            OSError: A file can't be written.
        """
        parts: dict[str, set[Entry]] = {path: set() for path in self.paths}
        for entry in baseline.entries:
            parts[self.nearest(entry)].add(entry)
        saved = []
        for path, entries in parts.items():
            Baseline(entries).save(path)
            before = self._listed[path].entries
            saved.append(Saved(self.name(path), len(entries), len(entries - before), len(before - entries)))
        return saved
