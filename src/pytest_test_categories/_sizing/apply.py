"""Size markers written into sources: where each stands best, and a write that harms nobody's work.

``plan`` decides and touches nothing; ``apply`` writes what was planned. The markers go where the least of them say it
all: one for a module, for a class, or for a function.
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
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_test_categories._report.model import SIZES
from pytest_test_categories._rules.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence

    from pytest_test_categories._sizing.sources import Source

FORCE: Final = "--network-suggest-sizes-force"
"""The option that writes into files with uncommitted changes."""

_SHOWN: Final = 3
"""How many markers the terminal gets of a file."""
_AT_ONCE: Final = 500
"""How many files one command line names."""


class ApplyError(ValueError):
    """Markers can't be written; nothing was."""


class LibcstMissingError(ApplyError):
    """The library that writes them is not installed."""

    def __init__(self) -> None:
        super().__init__("writing markers needs libcst: pip install 'pytest-test-categories[apply]'")


class UncommittedError(ApplyError):
    """Files to be written have changes that are in no commit."""


class Place(NamedTuple):
    """Where a marker may stand.

    Attributes:
        file: Path of the source, absolute or relative to the root directory.
        name: Dotted name of the class or function in it, as ``__qualname__`` has it; empty for the module itself.
    """

    file: str
    name: str = ""


class Target(NamedTuple):
    """A test function as pytest collected it, and the size that it is to have.

    Attributes:
        id: Its node id, without parameters.
        size: The size that it should have; empty to leave it as it is.
        current: The size it has; empty if none.
        module: Path of the file that it was collected from, absolute or relative to the root directory.
        function: Where its ``def`` may be found, the likeliest first. Empty if it is no Python function.
        classes: For each class around it, the innermost first: the class and its bases, in the order of look-up.
        observed: Whether it was observed in full, so that a marker of a module or class may speak for it.
    """

    id: str
    size: str
    current: str
    module: str
    function: tuple[Place, ...] = ()
    classes: tuple[tuple[Place, ...], ...] = ()
    observed: bool = True


class Mark(NamedTuple):
    """A marker that a change writes or takes away.

    Attributes:
        name: Dotted name of the class or function; empty for the module.
        size: The size it says from now on; empty if it goes.
    """

    name: str
    size: str


class Change(NamedTuple):
    """A file, before and after.

    Attributes:
        file: Its path, relative to the root directory.
        before: Its bytes as they are.
        after: Its bytes with the markers.
        marks: The markers, in order of their names.
    """

    file: str
    before: bytes
    after: bytes
    marks: tuple[Mark, ...]


class Omission(NamedTuple):
    """Something that was left out.

    Attributes:
        what: Node id of a test function, or path of a file.
        why: The reason, in a sentence without a full stop.
    """

    what: str
    why: str


class Plan(NamedTuple):
    """What is to be written, and what can't be.

    Attributes:
        changes: The files, in order.
        omitted: What is left out, in order.
    """

    changes: tuple[Change, ...]
    omitted: tuple[Omission, ...]


def target_of(
    test: str, module: str, function: Callable[..., object] | None, name: str, classes: Sequence[type]
) -> Target:
    """Return the target for a test function that Python holds; its sizes are not known yet.

    Args:
        test: Its node id, without parameters.
        module: Path of the file that it was collected from.
        function: The function; None if it is no Python function.
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


def _file_of(cls: type) -> str:
    return getattr(sys.modules.get(cls.__module__), "__file__", None) or ""


def plan(root: str, targets: Iterable[Target], aliases: Mapping[str, str] | None = None) -> Plan:
    """Return the changes that give each test its size, with the least text.

    A module or class gets one marker where all of its tests were observed and agree; its source must hold no test that
    is not among the targets. Nothing is written for a test that has its size already, and no other test's size changes.

    Args:
        root: The root directory; files outside of it stay as they are.
        targets: All test functions of the files, those that are to stay as they are too.
        aliases: The sizes of markers that the project has for them, such as ``{"unit": "small"}``.

    Raises:
        LibcstMissingError: libcst is not installed.
    """
    return _Planner(root, targets, {**(aliases or {}), **{size: size for size in SIZES}}).plan()


class _Planner:
    """Finds the places; the marks that it has decided on so far lie over those of the sources."""

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
        """Return the source at a path, or why there is none to write to."""
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
        # Of those that are found, one in a source that can be written is better than one in the library beside it.
        found.sort(key=lambda place: isinstance(self._source(place.file), str))
        return target._replace(module=module, function=tuple((found or places)[:1]), classes=classes)

    def _size_at(self, place: Place) -> str:
        source = self._source(place.file)
        return "" if isinstance(source, str) else source.size_of(place.name)

    def _can_write(self, place: Place) -> bool:
        source = self._source(place.file)
        return not isinstance(source, str) and source.can_write(place.name)

    def _can_mark(self, target: Target) -> bool:
        """Whether a marker on the function is one of the test: not where a decorator makes tests of other names."""
        place = target.function[0]
        name = target.id.rpartition("::")[2]
        return place.name.rpartition(".")[2] == name and self._can_write(place)

    # -- sizes ---------------------------------------------------------------------------------------------------------

    def _effective(self, target: Target, marks: Mapping[Place, str]) -> str:
        """Return the size that the sources give a target; empty if they don't."""
        for place in _look_up(target):
            if size := marks[place] if place in marks else self._size_at(place):
                return size
        return ""

    def _is_wrong(self, target: Target, marks: Mapping[Place, str]) -> bool:
        """Whether a target is to have another size than it has. What no source decides stays what it was."""
        found, first = self._effective(target, marks), self._first[target]
        if found == first:
            return bool(target.size) and target.size not in {found, target.current}
        return found != (target.size or first or target.current)

    def _harmless(self, marks: Mapping[Place, str], changed: Iterable[Place]) -> bool:
        """Whether all that are right stay right."""
        affected = {target for place in changed for target in self._at.get(place, ())}
        return not any(self._is_wrong(t, marks) and not self._is_wrong(t, self._decided) for t in affected)

    # -- places --------------------------------------------------------------------------------------------------------

    def _wide(self, place: Place, members: Sequence[Target]) -> bool:
        """Give a whole module or class one marker, if its tests agree on a size; return whether that settles them."""
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
        """Take away the other sizes that would hide a wide marker from a target; return whether that is possible."""
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
        """Give a function a marker; where it can't have one, the class or module, with others put right."""
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
    """Yield the places of a target's size, the closest first."""
    yield from target.function
    for level in target.classes:
        yield from level
    if target.function:
        yield Place(target.module)


def _inside(root: str, path: str) -> str:
    """Return a path relative to the root directory, with forward slashes; empty if it lies outside."""
    try:
        inside = os.path.relpath(path, root)
    except ValueError:  # there is none, or it is on another drive
        return ""
    return "" if inside.split(os.sep)[0] == ".." else inside.replace(os.sep, "/")


def _not_ours(root: str, path: str) -> str:
    """Return why a file is not written to, if it is not: the path is one that links were followed to."""
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
        warnings.simplefilter("ignore")  # made errors, those of the text as it is would count
        try:
            compile(data, path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            return str(error)
    return ""


# -- writing -----------------------------------------------------------------------------------------------------------


def apply(root: str, changes: Sequence[Change], *, force: bool = False) -> tuple[Omission, ...]:
    """Write the changes of a plan, each file at once; return those that were left out.

    Args:
        root: The root directory that the plan was made for.
        changes: The changes of the plan.
        force: Write into files with uncommitted changes too.

    Raises:
        UncommittedError: Some of the files have changes that are in no commit, or git can't tell. Nothing was written.
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
        with contextlib.suppress(OSError, AttributeError):  # another's file stays another's where that is permitted
            os.chown(temporary, status.st_uid, status.st_gid)
        os.chmod(temporary, status.st_mode & 0o7777)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    return ""


def _uncommitted(paths: Iterable[str]) -> Iterator[str]:
    """Yield those of the files that a git work tree holds, and that differ from its last commit."""
    by_tree: dict[str, list[str]] = {}
    for path in paths:
        if tree := _work_tree(path):
            by_tree.setdefault(tree, []).append(os.path.relpath(path, tree).replace(os.sep, "/"))
    for tree, files in by_tree.items():
        for start in range(0, len(files), _AT_ONCE):
            some = files[start : start + _AT_ONCE]
            tracked = set(_git(tree, "ls-files", "-z", "--", *some))
            entries = _git(tree, "status", "--porcelain", "-z", "--untracked-files=all", "--", *some)
            # Of a renamed file both names come, each by itself: the old one without the letters in front.
            changed = {entry[3:] for entry in entries} | set(entries)
            yield from (os.path.join(tree, *file.split("/")) for file in some if file not in tracked - changed)


def _work_tree(path: str) -> str:
    """Return the closest work tree around a file: a submodule is its own."""
    folder = os.path.dirname(path)
    while not os.path.lexists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return ""
        folder = above
    return folder


def _git(tree: str, *arguments: str) -> list[str]:
    # A hook of git's own sets variables that would lead to another tree; looking must not write nor run anything.
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
    """Yield what a terminal shows of what was written, and of what was not and why.

    Args:
        changes: What was written.
        omitted: What was left out, by ``plan`` and by ``apply``.
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
