"""Being told of each time that a module is executed: at its first import, after it was dropped, and at a reload.

wrapt's own hooks are called once.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    Hook = Callable[[ModuleType], object]


class _Loader:
    """Loads a module as its own loader does, and then calls the hooks; it passes for that loader."""

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
    """Stands before the other finders once a module is awaited."""

    def __init__(self) -> None:
        self.awaited: dict[str, dict[Hook, None]] = {}  # in the order in which they were given

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Let the finders behind this one find an awaited module."""
        hooks = self.awaited.get(name)
        finders = list(sys.meta_path)
        if not hooks or self not in finders:
            return None
        for finder in finders[finders.index(self) + 1 :]:  # one before it may ask this one
            # It stands there twice if two threads have put it there at once.
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec = None if find is None else find(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, hooks)
                return spec
        return None


_finder: Final = _Finder()


def on_import(name: str, hook: Hook) -> None:
    """Call a hook with a module each time that it has been executed from now on; once, however often this is asked."""
    _finder.awaited.setdefault(name, {})[hook] = None
    if _finder not in sys.meta_path:  # others may have put another list in the place of the one that had it
        sys.meta_path.insert(0, _finder)


def off_import(name: str, hook: Hook) -> None:
    """End what ``on_import`` began, if it did: nothing of the hook is held any more."""
    _finder.awaited.get(name, {}).pop(hook, None)
