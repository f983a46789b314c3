"""Wrapping entry points so that exactly our own wrapper can be taken off again.

The only module beside ``_decorate`` that imports wrapt, and it does so when the first wrapper goes on: a process
that never guards anything never pays for it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]


class EntryPoint:
    """One attribute to wrap.

    Args:
        module: Module that holds it; one that isn't imported yet is wrapped when it is.
        name: Dotted path in the module.
        wrapper: Called as ``wrapper(wrapped, instance, args, kwargs)``.
        owner: Object to wrap on instead of what the module's path resolves to now.
    """

    def __init__(self, module: str, name: str, wrapper: Wrapper, owner: object = None) -> None:
        self.module = module
        self.name = name
        self.wrapper = wrapper
        self.owner = owner
        self._handles: list[Any] = []
        self._awaited = False
        self._wanted = False

    def install(self) -> None:
        """Wrap the attribute, unless a wrapper of ours is still (or again) in place."""
        self._wanted = True
        if self.owner is not None or self.module in sys.modules:
            self._install()
        elif not self._awaited:
            import wrapt

            self._awaited = True
            wrapt.register_post_import_hook(self._imported, self.module)

    def _imported(self, _module: object) -> None:
        if self._wanted:
            self._install()

    def _install(self) -> None:
        import wrapt

        target, name = self._target()
        try:
            _, _, current = wrapt.resolve_path(target, name)
        except AttributeError:  # this platform or version has no such entry point
            return
        # A patch undone after our end brings an old wrapper of ours back: use it, never wrap twice.
        for handle in self._handles:
            if wrapt.is_wrapped_by(current, handle):
                return
        self._handles.append(wrapt.wrap_function_wrapper(target, name, self.wrapper))

    def remove(self) -> None:
        """Take our wrapper off; one that somebody has wrapped or replaced stays behind, inert."""
        self._wanted = False
        if not self._handles:
            return
        import wrapt

        target, name = self._target()
        for handle in list(self._handles):
            try:
                wrapt.unwrap_object(target, name, handle, missing_ok=True)
            except wrapt.WrapperNotOutermostError:
                continue
        # Handles are kept: a late undo may bring each of them back. More than a few never are.
        del self._handles[:-4]

    def _target(self) -> tuple[object, str]:
        return (self.owner if self.owner is not None else sys.modules[self.module]), self.name


def install_all(entry_points: Iterable[EntryPoint]) -> None:
    """Wrap each entry point."""
    for entry_point in entry_points:
        entry_point.install()


def remove_all(entry_points: Iterable[EntryPoint]) -> None:
    """Unwrap each entry point, the last one first."""
    for entry_point in reversed(list(entry_points)):
        entry_point.remove()
