"""Native clients by name: libraries whose traffic meets no socket of Python's.

``rows`` is the table. A row is wrapped when the project has imported the row's module: nothing is imported, and of
the readers nothing is loaded, for a library that a project doesn't use.
"""

from __future__ import annotations

import functools
import importlib
import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._layers.clients.rows import ROWS, Row
from pytest_test_categories._wrapping import EntryPoint, remove_all, when_imported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_test_categories._layers import Judge, Remember

    Where = str | tuple[str, int | str | None]
    Read = Callable[[Any, tuple[Any, ...], dict[str, Any]], Iterable[Where]]

GROUP: Final = "pytest_test_categories.clients"
"""The entry-point group: a module to wait for, and a function to call once it has been imported."""

_rows: dict[str, list[Row]] = {}
_entry_points: dict[Row, list[EntryPoint]] = {}  # made once: each knows its own wrapper again
_awaited: set[str] = set()
_announced: dict[str, list[Any]] = {}  # entry points of the group, by the module that each waits for
_asked: tuple[Judge, Remember] | None = None


def activate(judge: Judge, remember: Remember) -> None:
    """Watch the clients that are imported, and those that will be."""
    global _asked  # noqa: PLW0603 - layers are for the process, and so is their state
    _asked = (judge, remember)
    if not _rows:
        for row in ROWS:
            _enter(row)
        from pytest_test_categories._layers.clients.announced import announced_in

        _announced.update(announced_in(sys.path, GROUP))
    for module in [*_rows, *(name for name in _announced if name not in _rows)]:
        _watch(module)


def deactivate() -> None:
    """Take every wrapper off."""
    global _asked  # noqa: PLW0603 - as above
    _asked = None
    for entry_points in _entry_points.values():
        remove_all(entry_points)


def add(row: Row) -> Callable[[], None]:
    """Put a row into the table; return what takes it out again."""
    _enter(row)
    if _asked is not None:
        for module in (row.module, *row.also):
            _watch(module)

    def remove() -> None:
        for module in (row.module, *row.also):
            if row in _rows[module]:
                _rows[module].remove(row)
        remove_all(_entry_points.pop(row, []))

    return remove


def _enter(row: Row) -> None:
    for module in (row.module, *row.also):
        _rows.setdefault(module, []).append(row)


def _watch(module: str) -> None:
    if module in sys.modules:
        _imported(module)
    elif module not in _awaited:
        _awaited.add(module)
        when_imported(module, functools.partial(_imported, module))


def _imported(module: str) -> None:
    """Wrap what the table has for a module that is there now."""
    if _asked is None:
        return
    for announced in _announced.pop(module, ()):
        announced.load()()
    for row in _rows.get(module, ()):
        if row not in _entry_points:
            _entry_points[row] = _made(row)
        for entry_point in _entry_points[row]:
            # A module that re-exports a function may be in the middle of its own import: it takes the wrapped one,
            # and is looked at again when it is done.
            if entry_point.module in sys.modules:
                entry_point.install()


def _made(row: Row) -> list[EntryPoint]:
    from pytest_test_categories._layers.clients.asking import wrapper

    read = row.read
    if isinstance(read, str):
        home, _, name = read.partition(":")
        read = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    wrap = wrapper(row, read, _whom)
    return [EntryPoint(module, row.name, wrap) for module in (row.module, *row.also)]


def _whom() -> tuple[Judge, Remember] | None:
    return _asked
