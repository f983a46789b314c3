"""Hooks that run each time a module is executed: at its first import, at an import after removal, and at a reload.

wrapt's own import hooks run only once.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    Hook = Callable[[ModuleType], object]


class _Loader:
    """Loads a module with its own loader, and then calls the hooks; ``isinstance`` takes it for that loader."""

    def __init__(self, loader: Any, hooks: dict[Hook, None]) -> None:
        self._loader = loader
        self._hooks = hooks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._loader)

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        for hook in list(self._hooks):
            hook(module)


class _Finder:
    """The first finder in ``sys.meta_path``, once there is a hook."""

    def __init__(self) -> None:
        self.awaited: dict[str, dict[Hook, None]] = {}  # in the order in which the hooks were added

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find a module that has hooks, with the finders after this one."""
        hooks = self.awaited.get(name)
        finders = list(sys.meta_path)
        if not hooks or self not in finders:
            return None
        for finder in finders[finders.index(self) + 1 :]:  # an earlier finder may be the caller
            # This finder is in the list twice if two threads have added it at the same time.
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec = None if find is None else find(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, hooks)
                return spec
        return None


_finder: Final = _Finder()


def on_import(name: str, hook: Hook) -> None:
    """Call a hook with a module each time the module has been executed; adding the same hook again has no effect."""
    _finder.awaited.setdefault(name, {})[hook] = None
    if _finder not in sys.meta_path:  # other code may have replaced the list that contained it
        sys.meta_path.insert(0, _finder)


def off_import(name: str, hook: Hook) -> None:
    """Remove a hook that ``on_import`` added, if any, and every reference to it."""
    _finder.awaited.get(name, {}).pop(hook, None)


class _Plain:
    """Finds the modules of this package as the interpreter does."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """Find a module of this package; leave all others to the next finder."""
        return PathFinder.find_spec(name, path) if name.partition(".")[0] == _PACKAGE else None


def import_late(name: str) -> ModuleType:
    """Import a module of this package in the middle of a test.

    No other finder is asked: pytest's rewrites assertions with functions that the test may have replaced, such as
    ``open``. The interpreter's own uses none of them.
    """
    finder = _Plain()
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module(f"{_PACKAGE}.{name}")
    finally:
        if finder in sys.meta_path:  # the test may have replaced the list
            sys.meta_path.remove(finder)


_PACKAGE: Final = __name__.partition(".")[0]
