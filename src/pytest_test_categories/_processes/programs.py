"""The table of wrapt wrappers on what starts a program: its environment is given what it is held to.

How the calls are read and changed stands in ``pytest_test_categories_child``, which children start with: they hand
down what they were handed before the layers are there.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, TypeAlias

from pytest_test_categories._host.wrapping import EntryPoint
from pytest_test_categories._processes.child.pytest_test_categories_child import ENTRIES, Spawning

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


HandDown: TypeAlias = "Callable[[Sequence[Any], Sequence[Any], bool], str | None]"


def entry_points(
    hand_down: HandDown,
    hand_over: HandDown,
    companions: Callable[[], tuple[str, str]],
    start: Callable[..., Any],
    note_interpreter: Callable[[], None],
) -> list[EntryPoint]:
    """Return the rows of the table.

    Args:
        hand_down: Asked at each start of a program.
        hand_over: Asked where a program takes this process's place.
        companions: Says what a process needs that is handed no guard.
        start: Called with what starts a program and its arguments, where that comes back at once.
        note_interpreter: Called where another interpreter was made in this process: none of our layers is in it.
    """
    starting, replacing = Spawning(hand_down, companions), Spawning(hand_over, companions)

    @functools.cache  # one for each: ``subprocess`` has what it imports wrapped already, if it is imported later
    def wrapper(method: str) -> Callable[..., Any]:
        read: Callable[..., Any] = getattr(replacing if method.startswith("exec") else starting, method)
        if method not in _COME_BACK:
            return read

        def begin(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            __tracebackhide__ = True
            return read(functools.partial(start, wrapped), instance, args, kwargs)

        return begin

    def make(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        made = wrapped(*args, **kwargs)
        note_interpreter()
        return made

    return [
        *(EntryPoint(module, name, wrapper(method)) for module, name, method in ENTRIES),
        # libuv starts programs in C.
        EntryPoint("uvloop.loop", "Loop.subprocess_exec", starting.loop_exec),
        EntryPoint("uvloop.loop", "Loop.subprocess_shell", starting.loop_shell),
        # The audit event of a new interpreter reaches no hook of Python's (CPython 3.13 to 3.15).
        EntryPoint("_interpreters", "create", make),
        EntryPoint("_xxsubinterpreters", "create", make),
    ]


_COME_BACK: Final = frozenset({"fork_exec", "posix_spawn"})
