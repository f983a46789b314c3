"""The size of an item: parameter set, function, most derived class, outer class, module; path; Bazel; default."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_test_categories._attribution.stack import identity
from pytest_test_categories._rules.policy import TestSize
from pytest_test_categories.pytest_plugin import _private
from pytest_test_categories.pytest_plugin._options import ALLOW_MARKER, MARKERS, ONLY_MARKER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_test_categories._rules.address import AllowEntry
    from pytest_test_categories.pytest_plugin._options import Settings


class SizeConflictError(Exception):
    """A function, class, module or parameter set has markers of two sizes, or a size marker with arguments."""


class Sizes:
    """Finds the sizes of nodes, and remembers them."""

    def __init__(self, settings: Settings, root: str) -> None:
        self._settings = settings
        self._root = root.replace("\\", "/")
        self._markers = {size.value: size for size in TestSize} | dict(settings.marker_sizes)
        # By identity, with the node to keep it alive: pytest's nodes are slow to hash.
        self._nodes: dict[int, tuple[Any, TestSize | None, tuple[Any, ...]]] = {}  # and its markers at that time
        self._unmarked: dict[int, pytest.Item] = {}  # likewise: collected items that had no markers of their own
        self._paths: dict[str, TestSize | None] = {}
        self._stated: dict[str, TestSize | None] = {}  # by path: the size that the source states
        self.have_entries = False  # whether any test, class or module has a marker with entries
        self._mapped_allow = False  # whether one of these markers stands for a size
        self.have_lists = False  # whether one is ``network_only``, or a class has that attribute

    def of(self, item: pytest.Item) -> TestSize | None:
        """Return an item's size; None if it has none and there is no default."""
        key = identity(item)
        known = self._nodes.get(key)
        if known is not None:
            return known[1]
        unmarked = not item.own_markers or key in self._unmarked
        size = None if unmarked else self._own(item)
        if size is None:
            size = self._of_parent(item.parent)
        if size is None:
            size = self.of_path(str(item.path))
        if not unmarked:  # the others have the size of their parent or path, which is remembered for that
            self._nodes[key] = (item, size, tuple(item.own_markers))
        return size

    def of_each(self, items: Iterable[pytest.Item]) -> Iterator[TestSize | None]:
        """Yield the size of each item; unmarked items that follow one another in one class or module share it."""
        parent, path, size = None, None, None
        for item in items:
            if item.own_markers:
                yield self.of(item)
            else:
                if item.parent is not parent or item.path is not path:
                    parent, path, size = item.parent, item.path, self.of(item)
                yield size

    def settle(self, items: list[pytest.Item]) -> Iterator[tuple[pytest.Item, SizeConflictError]]:
        """Determine the sizes of all items, and yield those that have two; markers that are added later don't count."""
        unmarked = [item for item in items if not item.own_markers]
        self._unmarked.update(zip(map(identity, unmarked), unmarked, strict=True))
        parent = None
        for item in items:
            if not item.own_markers:
                if item.parent is parent:
                    continue
                parent = item.parent
            try:
                self.of(item)
            except SizeConflictError as conflict:
                yield item, conflict

    def on_parameter_set(self, item: pytest.Item) -> bool:
        """Tell whether an item gets its size from a marker on its parameter set."""
        return any(mark.name in self._markers for mark in _private.parameter_marks(item))

    def sources(self, item: pytest.Item) -> Iterator[tuple[str, TestSize]]:
        """Yield everything that gives an item a size, with that size; the first one decides."""
        node: Any = item
        while node is not None:
            for where, marks in _levels(node):
                size = self._one(marks, node)
                if size is not None:
                    names = [mark.name for mark in marks if mark.name in self._markers]
                    yield f"@pytest.mark.{names[0]} on {where}", size
            node = node.parent
        inside = self._inside(str(item.path))
        for rule, size in self._settings.path_sizes:
            if _covers(rule, inside):
                yield f"the path rule {rule or '.'} = {size.value}", size
        target = self._settings.target
        if target is not None and target.size is not None:
            yield f"TEST_SIZE of {target.name}", target.size
        if self._settings.default_size is not None:
            yield "the default size", self._settings.default_size

    def too_large_for_target(self, items: Iterable[pytest.Item]) -> Iterator[tuple[pytest.Item, str]]:
        """Yield the items that are larger than the Bazel target of the run, each with what to change."""
        target = self._settings.target
        if target is None or self._is_off:
            return
        items = list(items)
        for item, size in zip(items, self.of_each(items), strict=True):
            if size is not None and (why := target.too_small_for(size, next(self.sources(item))[0])):
                yield item, f"{item.nodeid} {why}"

    def _inside(self, path: str) -> str:
        return path.replace("\\", "/").removeprefix(self._root + "/")

    def of_path(self, path: str) -> TestSize | None:
        """Return the size that a path rule, else the default, gives the tests of a file."""
        try:
            return self._paths[path]
        except KeyError:
            pass
        inside = self._inside(path)
        size = self._settings.unstated_size
        for rule, ruled in self._settings.path_sizes:
            if _covers(rule, inside):
                size = ruled
                break
        self._paths[path] = size
        return size

    def of_source(self, path: str, config: pytest.Config) -> TestSize | None:
        """Return the size that a module is held to while it is imported.

        That is the size from a path rule or the default, or the largest size that the source states for its tests,
        whichever is smaller: a marker does not override the settings here.
        """
        size = self.of_path(path)
        try:
            stated = self._stated[path]
        except KeyError:
            stated = self._stated[path] = self._read_source(path, size, config)
        return min((one for one in (size, stated) if one is not None), key=lambda one: one.rank, default=None)

    def _read_source(self, path: str, otherwise: TestSize | None, config: pytest.Config) -> TestSize | None:
        from pytest_test_categories.pytest_plugin._imports import stated_size

        try:
            with open(path, "rb") as file:
                source = file.read()
        except OSError:
            return None
        functions, classes = config.getini("python_functions"), config.getini("python_classes")
        starred = functools.partial(_source_of, os.path.dirname(path))
        return stated_size(source, self._markers, otherwise, functions, classes, starred)

    def covers(self, rule: str, paths: Iterable[str]) -> bool:
        """Tell whether a path rule covers one of the files, even if another rule takes precedence there."""
        return any(_covers(rule, self._inside(path)) for path in paths)

    def added_late(self) -> Iterator[str]:
        """Yield the size markers that were added to tests, classes and modules after their size was determined."""
        changed = [entry for entry in self._nodes.values() if len(entry[0].own_markers) != len(entry[2])]
        changed += [(item, self.of(item), ()) for item in self._unmarked.values() if item.own_markers]
        for node, size, before in changed:
            added = [mark for mark in node.own_markers if all(mark is not known for known in before)]
            held = size or self.of_path(str(node.path))
            for name in dict.fromkeys(mark.name for mark in added):
                if self._markers.get(name, held) is not held:
                    yield f"@pytest.mark.{name} on {node.nodeid}"

    def check(self, node: pytest.Item | pytest.Collector) -> None:
        """Check a node's own markers.

        Raises:
            SizeConflictError: One place has two sizes, or a marker has arguments that it doesn't take.
        """
        self._own(node)

    def _of_parent(self, node: Any) -> TestSize | None:
        if node is None:
            return None
        known = self._nodes.get(identity(node))
        if known is not None:
            return known[1]
        size = self._own(node)
        if size is None:
            size = self._of_parent(node.parent)
        self._nodes[identity(node)] = (node, size, tuple(node.own_markers))
        return size

    def _own(self, node: Any) -> TestSize | None:
        if not node.own_markers:
            return None
        self._check_arguments(node)
        for _, marks in _levels(node):
            size = self._one(marks, node)
            if size is not None:
                return size
        return None

    def _check_arguments(self, node: Any) -> None:
        for mark in node.own_markers:
            if mark.name in {ALLOW_MARKER, ONLY_MARKER}:
                self.have_entries = True
                self.have_lists = self.have_lists or mark.name == ONLY_MARKER
                self._check_entries(node, mark)
            elif (mark.args or mark.kwargs) and mark.name in MARKERS and not self._is_off:
                from pytest_test_categories.pytest_plugin import _from_1x

                why = _from_1x.about_arguments(mark.kwargs)
                raise SizeConflictError(
                    f"{node.nodeid}: @pytest.mark.{mark.name} takes no arguments; "
                    + (why or f"what widens a test is @pytest.mark.{ALLOW_MARKER}('postgres:5432')")
                )

            elif (mark.args or mark.kwargs) and mark.name in self._markers:
                self._check_mapped(node, mark)

    def _check_mapped(self, node: Any, mark: Any) -> None:
        try:
            if self._entries_of(mark):
                self.have_entries = self._mapped_allow = True
        except ValueError as error:
            if not self._is_off:
                raise SizeConflictError(f"{node.nodeid}: @pytest.mark.{mark.name}: {error}") from None

    def _entries_of(self, mark: Any) -> tuple[AllowEntry, ...]:
        """Return the allow entries in the arguments of a marker that stands for small or medium.

        Entries are lists of strings, positional or in a keyword such as ``allowed_hosts``. A positional string counts
        if it parses as entries; otherwise it is a description or a file name.

        Raises:
            ValueError: An item of a list is not an entry.
        """
        from pytest_test_categories._rules.policy import TestSize, parse_allow

        found: tuple[AllowEntry, ...] = ()
        if mark.name in MARKERS or self._markers[mark.name].rank >= TestSize.LARGE.rank:
            return found
        for given in mark.args:
            if isinstance(given, str):
                with contextlib.suppress(ValueError):
                    found += parse_allow(given)
            elif _are_texts(given):
                found += parse_allow(given)
        for name, given in mark.kwargs.items():
            if name.endswith("hosts") and (isinstance(given, str) or _are_texts(given)):
                found += parse_allow(given)
        return found

    def entries_of_size(self, item: pytest.Item) -> Iterator[tuple[str, tuple[AllowEntry, ...]]]:
        """Yield the names and allow entries of the mapped markers that give an item its size."""
        node: Any = item if self._mapped_allow else None
        while node is not None:
            for _, marks in _levels(node):
                giving = [mark for mark in marks if mark.name in self._markers]
                for mark in giving:
                    with contextlib.suppress(ValueError):  # collection has reported it, except in off mode
                        yield mark.name, self._entries_of(mark)
                if giving:
                    return
            node = node.parent

    def _check_entries(self, node: Any, mark: Any) -> None:
        from pytest_test_categories._rules.policy import parse_narrowing, parse_own_allow

        try:
            if mark.kwargs or not mark.args:
                raise ValueError("it takes entries such as 'postgres:5432', and nothing else")
            (parse_own_allow if mark.name == ALLOW_MARKER else parse_narrowing)(mark.args)
        except ValueError as error:
            if not self._is_off:
                raise SizeConflictError(f"{node.nodeid}: @pytest.mark.{mark.name}: {error}") from None

    @property
    def _is_off(self) -> bool:
        """Whether nothing is enforced, so that wrong markers are no errors."""
        return self._settings.mode is None or self._settings.mode.value == "off"

    def _one(self, marks: Iterable[Any], node: Any) -> TestSize | None:
        found = {mark.name: self._markers[mark.name] for mark in marks if mark.name in self._markers}
        if not found:
            return None
        sizes = set(found.values())
        if len(sizes) > 1 and self._is_off:
            return max(sizes, key=lambda size: size.rank)
        if len(sizes) > 1:
            names = ", ".join(f"@pytest.mark.{name}" for name in sorted(found))
            raise SizeConflictError(f"{node.nodeid} has two sizes: {names}. Keep one of them")
        return sizes.pop()


def _are_texts(given: object) -> bool:
    return isinstance(given, (list, tuple, set, frozenset)) and all(isinstance(one, str) for one in given)


def _covers(rule: str, path: str) -> bool:
    return not rule or path == rule or path.startswith(rule + "/")


def _levels(node: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yield a node's own markers by place, the closest first: a description of the place, and its markers."""
    own = node.own_markers
    if isinstance(node, pytest.Class):
        # pytest puts the markers of all base classes in one list; the most derived class wins.
        by_class = [(f"class {cls.__name__}", _marks_of(cls)) for cls in node.obj.__mro__]
        written = {identity(mark) for _, marks in by_class for mark in marks}
        yield "the collected class", [mark for mark in own if identity(mark) not in written]
        yield from by_class
    elif marks := _private.parameter_marks(node):
        of_set = {identity(mark) for mark in marks}
        yield "the parameter set", list(marks)
        yield "the test", [mark for mark in own if identity(mark) not in of_set]
    elif isinstance(node, pytest.Item):
        yield "the test", own
    else:
        kind = "module" if isinstance(node, pytest.Module) else type(node).__name__.lower()
        yield f"{kind} {node.name}", own


def _marks_of(cls: type) -> list[Any]:
    marks = vars(cls).get("pytestmark", ())
    return [getattr(mark, "mark", mark) for mark in (marks if isinstance(marks, (list, tuple)) else [marks])]


def _source_of(beside: str, name: str) -> bytes | None:
    """Return the source of the module that an import from a directory finds; None if it has no source file."""
    loaded = getattr(sys.modules.get(name), "__file__", None)
    path = name.replace(".", os.sep)
    folders = [beside, *(folder for folder in sys.path if isinstance(folder, str))]
    places = [f"{folder}{os.sep}{path}{end}" for folder in folders for end in (f"{os.sep}__init__.py", ".py")]
    for place in [loaded] if loaded else places:
        try:
            with open(place, "rb") as file:
                return file.read()
        except OSError:
            continue
    return None
