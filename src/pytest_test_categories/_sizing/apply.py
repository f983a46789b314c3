"""Writes size markers into source files, with few markers and without loss of uncommitted work.

``plan`` decides and changes nothing; ``apply`` writes what was planned. As few markers as possible are used: one for a
module, for a class, or for a function.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import subprocess
import sys
import tempfile
import warnings
from collections import ChainMap
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._report.model import SIZES
from pytest_test_categories._rules.named_tuples import NamedTuple
from pytest_test_categories._rules.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence

    from pytest_test_categories._sizing.sources import Source

FORCE: Final = "--network-suggest-sizes-force"
"""The option that writes into files with uncommitted changes."""

_SHOWN: Final = 3
"""How many markers of a file the terminal shows."""
_AT_ONCE: Final = 500
"""How many files to name in one command line."""


class ApplyError(ValueError):
    """The markers can't be written; nothing was written."""


class LibcstMissingError(ApplyError):
    """libcst, which is needed to write markers, is not installed."""

    def __init__(self) -> None:
        super().__init__("writing markers needs libcst: pip install 'pytest-test-categories[apply]'")


class UncommittedError(ApplyError):
    """Files to write have uncommitted changes."""


class Place(NamedTuple):
    """A place for a marker.

    Attributes:
        file: Path of the source, absolute or relative to the root directory.
        name: Dotted name of the class or function in it, as in ``__qualname__``; empty for the module itself.
    """

    file: str
    name: str = ""


class Target(NamedTuple):
    """A test function that pytest collected, and the size that it should get.

    Attributes:
        id: Its node id, without parameters.
        size: The size that it should get; empty to leave it as it is.
        current: The size that it has; empty if none.
        module: Path of the file that it was collected from, absolute or relative to the root directory.
        function: The possible places of its ``def``, the most likely first. Empty if it is not a Python function.
        classes: For each class around it, the innermost first: the class and its bases, in method resolution order.
        observed: Whether it was observed in full, so that a marker of a module or class may cover it.
    """

    id: str
    size: str
    current: str
    module: str
    function: tuple[Place, ...] = ()
    classes: tuple[tuple[Place, ...], ...] = ()
    observed: bool = True


class Mark(NamedTuple):
    """A marker that a change writes or removes.

    Attributes:
        name: Dotted name of the class or function; empty for the module.
        size: The new size; empty to remove the marker.
    """

    name: str
    size: str


class Change(NamedTuple):
    """The change of one file.

    Attributes:
        file: Its path, relative to the root directory.
        before: Its content before the change.
        after: Its content with the markers.
        marks: The markers, in order of their names.
    """

    file: str
    before: bytes
    after: bytes
    marks: tuple[Mark, ...]


class Omission(NamedTuple):
    """A test function or file that was left out.

    Attributes:
        what: Node id of a test function, or path of a file.
        why: The reason, in a sentence without a full stop.
    """

    what: str
    why: str


class Plan(NamedTuple):
    """The changes to write, and what can't be written.

    Attributes:
        changes: The changes, in the order of the files.
        omitted: The omissions, in order.
    """

    changes: tuple[Change, ...]
    omitted: tuple[Omission, ...]


def target_of(
    test: str, module: str, function: Callable[..., object] | None, name: str, classes: Sequence[type]
) -> Target:
    """Return the target for a collected test function, with its sizes still empty.

    Args:
        test: The node id, without parameters.
        module: Path of the file that it was collected from.
        function: The function; None if the test is not a Python function.
        name: The name it was collected under, without parameters.
        classes: The classes that it was collected in, the outermost first.
    """
    if function is None:
        return Target(test, "", "", module)
    places = []
    if classes:
        owner = next((cls for cls in classes[-1].__mro__ if name in vars(cls)), None)
        if owner is not None:
            places.append(Place(_file_of(owner), f"{owner.__qualname__}.{name}"))
    else:
        places.append(Place(module, name))
    inner = inspect.unwrap(function)
    inner = getattr(inner, "__func__", inner)
    if code := getattr(inner, "__code__", None):
        places.append(Place(code.co_filename, inner.__qualname__))
    levels = tuple(tuple(Place(_file_of(c), c.__qualname__) for c in cls.__mro__[:-1]) for cls in reversed(classes))
    return Target(test, "", "", module, tuple(dict.fromkeys(places)), levels)


def read_target(values: Sequence[Any]) -> Target:
    """Return a target from its values, of which JSON makes lists."""
    node, size, current, module, function, classes, observed = values
    levels = tuple(tuple(Place(*place) for place in level) for level in classes)
    return Target(node, size, current, module, tuple(Place(*place) for place in function), levels, observed)


def _file_of(cls: type) -> str:
    return getattr(sys.modules.get(cls.__module__), "__file__", None) or ""


def plan(root: str, targets: Iterable[Target], aliases: Mapping[str, str] | None = None) -> Plan:
    """Return the changes that give each test its size with few markers.

    A module or class gets one marker if all of its tests were observed and need the same size, and if its source has no
    test that is not a target. Nothing is written for a test that already has its size, and no other test changes size.

    Args:
        root: The root directory; files outside of it are not changed.
        targets: All test functions of the files, including those that should not change.
        aliases: The project's own markers and their sizes, such as ``{"unit": "small"}``.

    Raises:
        LibcstMissingError: libcst is not installed.
    """
    return _Planner(root, targets, {**(aliases or {}), **{size: size for size in SIZES}}).plan()


class _Planner:
    """Chooses the places; marks that it has already decided on override those in the sources."""

    def __init__(self, root: str, targets: Iterable[Target], sizes: Mapping[str, str]) -> None:
        self._root = os.path.realpath(root)
        self._sizes = sizes
        self._sources: dict[str, Source | str] = {}
        self._omitted: set[Omission] = set()
        self._decided: dict[Place, str] = {}
        self._targets = [self._resolved(target) for target in sorted(set(targets))]
        self._at: dict[Place, list[Target]] = {}
        for target in self._targets:
            for place in _look_up(target):
                self._at.setdefault(place, []).append(target)
        self._tests = {target.function[0] for target in self._targets if target.function}
        self._first = {target: self._effective(target, {}) for target in self._targets}

    def plan(self) -> Plan:
        by_module: dict[str, list[Target]] = {}
        for target in self._targets:
            if target.function:
                by_module.setdefault(target.module, []).append(target)
            elif self._is_wrong(target, self._decided):
                self._omit(target, "its function is not found in a source: generated, or no function of Python")
        for module, members in by_module.items():
            if self._wide(Place(module), members):
                continue
            by_class: dict[Place, list[Target]] = {}
            for target in members:
                for level in reversed(target.classes):
                    by_class.setdefault(level[0], []).append(target)
            for place, inside in sorted(by_class.items(), key=lambda pair: pair[0].name.count(".")):
                self._wide(place, inside)
            for target in members:
                if self._is_wrong(target, self._decided):
                    self._narrow(target, members)
        return Plan(tuple(self._changes()), tuple(sorted(self._omitted)))

    # -- the sources ---------------------------------------------------------------------------------------------------

    def _path(self, file: str) -> str:
        return os.path.realpath(os.path.join(self._root, file)) if file else ""

    def _source(self, path: str) -> Source | str:
        """Return the source at a path, or the reason why it can't be changed."""
        known = self._sources.get(path)
        if known is None:
            known = self._sources[path] = self._read(path)
        return known

    def _read(self, path: str) -> Source | str:
        try:
            from pytest_test_categories._sizing.sources import Source, SourceError
        except ImportError as error:
            raise LibcstMissingError from error
        if reason := _not_ours(self._root, path):
            return reason
        try:
            with open(path, "rb") as file:
                return Source(file.read(), self._sizes)
        except (OSError, SourceError) as error:
            reason = str(error)
        self._omitted.add(Omission(self._shown(path), reason))
        return reason

    def _resolved(self, target: Target) -> Target:
        module = self._path(target.module)
        places = [Place(self._path(place.file), place.name) for place in target.function]
        found = [p for p in places if isinstance(source := self._source(p.file), str) or p.name in source]
        classes = tuple(tuple(Place(self._path(p.file), p.name) for p in level) for level in target.classes)
        # Of the places found, prefer one in a source that can be changed to one in a library.
        found.sort(key=lambda place: isinstance(self._source(place.file), str))
        return target._replace(module=module, function=tuple((found or places)[:1]), classes=classes)

    def _size_at(self, place: Place) -> str:
        source = self._source(place.file)
        return "" if isinstance(source, str) else source.size_of(place.name)

    def _can_write(self, place: Place) -> bool:
        source = self._source(place.file)
        return not isinstance(source, str) and source.can_write(place.name)

    def _can_mark(self, target: Target) -> bool:
        """Whether a marker on the function applies to the test: not if a decorator creates tests with other names."""
        place = target.function[0]
        name = target.id.rpartition("::")[2]
        return place.name.rpartition(".")[2] == name and self._can_write(place)

    # -- sizes ---------------------------------------------------------------------------------------------------------

    def _effective(self, target: Target, marks: Mapping[Place, str]) -> str:
        """Return the size that the sources give a target; empty if they give none."""
        for place in _look_up(target):
            if size := marks[place] if place in marks else self._size_at(place):
                return size
        return ""

    def _is_wrong(self, target: Target, marks: Mapping[Place, str]) -> bool:
        """Whether a target would not have the size it should have. A size that no source gives remains unchanged."""
        found, first = self._effective(target, marks), self._first[target]
        if found == first:
            return bool(target.size) and target.size not in {found, target.current}
        return found != (target.size or first or target.current)

    def _harmless(self, marks: Mapping[Place, str], changed: Iterable[Place]) -> bool:
        """Whether all targets that have the right size keep it."""
        affected = {target for place in changed for target in self._at.get(place, ())}
        return not any(self._is_wrong(t, marks) and not self._is_wrong(t, self._decided) for t in affected)

    # -- places --------------------------------------------------------------------------------------------------------

    def _wide(self, place: Place, members: Sequence[Target]) -> bool:
        """Give a module or class one marker if its tests need the same size; return whether all are then right."""
        sizes = {target.size for target in members}
        size = next(iter(sizes))
        if not any(self._is_wrong(target, self._decided) for target in members):
            return True
        if len(sizes) > 1 or not size or not all(t.observed for t in members) or not self._can_write(place):
            return False
        source = self._source(place.file)
        assert not isinstance(source, str)
        prefix = f"{place.name}." if place.name else ""
        if any(name.startswith(prefix) and Place(place.file, name) not in self._tests for name in source.tests):
            return False
        edit = {place: size}
        marks = ChainMap(edit, self._decided)
        for target in members:
            if not self._clear(target, place, size, marks):
                return False
        if not self._harmless(marks, edit):
            return False
        self._decided.update(edit)
        return True

    def _clear(self, target: Target, place: Place, size: str, marks: MutableMapping[Place, str]) -> bool:
        """Remove closer sizes that would override a wide marker for a target; return whether that is possible."""
        for closer in _look_up(target):
            if closer == place:
                return True
            here = marks[closer] if closer in marks else self._size_at(closer)
            if here in {"", size}:
                continue
            source = self._source(closer.file)
            if isinstance(source, str) or not source.can_write(closer.name):
                return False
            marks[closer] = "" if source.can_drop(closer.name) else size
        return True

    def _narrow(self, target: Target, members: Sequence[Target]) -> None:
        """Mark a function; if that is impossible, mark its class or module and correct the other tests there."""
        place = target.function[0]
        source = self._source(place.file)
        if isinstance(source, str):
            why = f"its function is in {self._shown(place.file)}: {source}"
        elif not self._can_mark(target):
            why = "its function is not found in the source: generated, or defined inside of another"
        elif self._harmless(ChainMap({place: target.size}, self._decided), [place]):
            sharing = {other.size for other in self._at[place]} - {""}
            if sharing == {target.size}:
                self._decided[place] = target.size
                return
            why = "its function is shared by tests that need other sizes"
        else:
            why = "its function is shared by tests that are to stay as they are"
        if not self._around(target, target.classes[0][0] if target.classes else Place(target.module), members):
            self._omit(target, why)

    def _around(self, target: Target, wide: Place, members: Sequence[Target]) -> bool:
        if not target.observed or not self._can_write(wide):
            return False
        edit = {wide: target.size}
        marks = ChainMap(edit, self._decided)
        for other in members:
            wrong = self._is_wrong(other, marks) and other.size and wide in _look_up(other)
            if wrong and other.function[0] != target.function[0] and self._can_mark(other):
                edit[other.function[0]] = other.size
        if self._is_wrong(target, marks) or not self._harmless(marks, edit):
            return False
        self._decided.update(edit)
        return True

    # -- what comes of it ----------------------------------------------------------------------------------------------

    def _changes(self) -> Iterator[Change]:
        by_file: dict[str, dict[str, str]] = {}
        for place, size in self._decided.items():
            if size != self._size_at(place):
                by_file.setdefault(place.file, {})[place.name] = size
        for path, sizes in sorted(by_file.items()):
            source = self._source(path)
            assert not isinstance(source, str)
            after = source.sized(sizes)
            name = self._shown(path)
            if reason := _no_python(after, path):
                self._omitted.add(Omission(name, f"with the markers it would not compile: {reason}"))
                continue
            yield Change(name, source.data, after, tuple(Mark(*mark) for mark in sorted(sizes.items())))

    def _omit(self, target: Target, why: str) -> None:
        self._omitted.add(Omission(target.id, why))

    def _shown(self, path: str) -> str:
        return _inside(self._root, path) or path


def _look_up(target: Target) -> Iterator[Place]:
    """Yield the places that may give a target its size, the closest first."""
    yield from target.function
    for level in target.classes:
        yield from level
    if target.function:
        yield Place(target.module)


def _inside(root: str, path: str) -> str:
    """Return a path relative to the root directory, with forward slashes; empty if it is outside."""
    try:
        inside = os.path.relpath(path, root)
    except ValueError:  # the path is empty, or on another drive
        return ""
    return "" if inside.split(os.sep)[0] == ".." else inside.replace(os.sep, "/")


def _not_ours(root: str, path: str) -> str:
    """Return why a file must not be changed; empty if it may be. The path must have its links resolved."""
    if not _inside(root, path):
        return "outside of the root directory"
    if not path.endswith((".py", ".pyw")):
        return "no Python source"
    if {"site-packages", "dist-packages"} & set(path.split(os.sep)):
        return "an installed package"
    folder = os.path.dirname(path)
    while len(folder) > len(root):
        if os.path.exists(os.path.join(folder, "pyvenv.cfg")):
            return "part of a virtual environment"
        folder = os.path.dirname(folder)
    return ""


def _no_python(data: bytes, path: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # with -W error, warnings about the existing code would count as errors
        try:
            compile(data, path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            return str(error)
    return ""


# -- writing -----------------------------------------------------------------------------------------------------------


def apply(root: str, changes: Sequence[Change], *, force: bool = False) -> tuple[Omission, ...]:
    """Write the changes of a plan, each file atomically; return those that were left out.

    Args:
        root: The root directory that the plan was made for.
        changes: The changes of the plan.
        force: Whether to change files with uncommitted changes, too.

    Raises:
        UncommittedError: Some files have uncommitted changes, or git can't tell. Nothing was written.
    """
    root = os.path.realpath(root)
    paths = {os.path.join(root, change.file): change for change in changes}
    if not force:
        unsafe = sorted(paths[path].file for path in _uncommitted(paths))
        if unsafe:
            raise UncommittedError(
                f"uncommitted changes in {', '.join(unsafe)}: commit them first, or write all the same with {FORCE}"
            )
    omitted = []
    for path, change in paths.items():
        try:
            reason = _not_ours(root, os.path.realpath(path)) or _replace(path, change)
        except OSError as error:
            reason = f"it can't be written: {error.strerror or error}"
        if reason:
            omitted.append(Omission(change.file, reason))
    return tuple(omitted)


def _replace(path: str, change: Change) -> str:
    with open(path, "rb") as file:
        if file.read() != change.before:
            return "it has changed since its markers were planned"
    status = os.stat(path)
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".py~", dir=os.path.dirname(path))
    try:
        with open(handle, "wb") as file:
            file.write(change.after)
        with contextlib.suppress(OSError, AttributeError):  # keeps the owner where that is permitted
            os.chown(temporary, status.st_uid, status.st_gid)
        os.chmod(temporary, status.st_mode & 0o7777)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    return ""


def _uncommitted(paths: Iterable[str]) -> Iterator[str]:
    """Yield the files that are in a git work tree and differ from its last commit."""
    by_tree: dict[str, list[str]] = {}
    for path in paths:
        if tree := _work_tree(path):
            by_tree.setdefault(tree, []).append(os.path.relpath(path, tree).replace(os.sep, "/"))
    for tree, files in by_tree.items():
        for start in range(0, len(files), _AT_ONCE):
            some = files[start : start + _AT_ONCE]
            tracked = set(_git(tree, "ls-files", "-z", "--", *some))
            entries = _git(tree, "status", "--porcelain", "-z", "--untracked-files=all", "--", *some)
            # For a renamed file git prints both names as separate entries, the old one without the status letters.
            changed = {entry[3:] for entry in entries} | set(entries)
            yield from (os.path.join(tree, *file.split("/")) for file in some if file not in tracked - changed)


def _work_tree(path: str) -> str:
    """Return the closest work tree around a file, which may be a submodule; empty if there is none."""
    folder = os.path.dirname(path)
    while not os.path.lexists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return ""
        folder = above
    return folder


def _git(tree: str, *arguments: str) -> list[str]:
    # In a git hook, variables may point to another tree. The commands must not write anything or run other programs.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "--literal-pathspecs", "--no-optional-locks", "-c", "core.fsmonitor=false", *arguments]
    try:
        done = subprocess.run(command, cwd=tree, env=env, capture_output=True, check=False)  # noqa: S603  # git, by its name
    except OSError as error:
        raise UncommittedError(f"git can't tell what is committed: {error}; write all the same with {FORCE}") from error
    if done.returncode:
        said = os.fsdecode(done.stderr).strip().partition("\n")[0]
        raise UncommittedError(f"git can't tell what is committed: {said}; write all the same with {FORCE}")
    return [os.fsdecode(entry) for entry in done.stdout.split(b"\0") if entry]


# -- for the terminal --------------------------------------------------------------------------------------------------


def lines(changes: Sequence[Change], omitted: Iterable[Omission]) -> Iterator[str]:
    """Yield the lines for the terminal: what was written, and what was left out and why.

    Args:
        changes: The changes that were written.
        omitted: The omissions of ``plan`` and ``apply``.
    """
    yield f"size markers written into {counted(len(changes), 'file')}" if changes else "no size marker to write"
    for change in changes:
        written = [f"{mark.name or 'the module'} {mark.size}" for mark in change.marks if mark.size]
        shown = written[:_SHOWN]
        yield f"  {change.file}: {', '.join(shown)}" + (
            f" and {len(written) - len(shown)} more" if written[_SHOWN:] else ""
        )
    left = sorted(set(omitted))
    if left:
        yield "left out:"
        yield from (f"  {each.what}: {each.why}" for each in left)
