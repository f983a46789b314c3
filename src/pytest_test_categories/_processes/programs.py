"""The table of wrapt wrappers around functions that start a program: they add the guards to its environment.

The code that reads and changes the calls is in ``pytest_test_categories_child``, which child processes load at
start-up: before they have the layers, they pass on the guards that they received.
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
        hand_down: Called at each start of a program; returns its guards.
        hand_over: Called where a program replaces this process; returns its guards.
        companions: Returns what a process without guards needs.
        start: Called with a function that starts a program and returns at once, and with its arguments.
        note_interpreter: Called when a subinterpreter was created in this process; none of our layers is in it.
    """
    starting, replacing = Spawning(hand_down, companions), Spawning(hand_over, companions)

    @functools.cache  # one wrapper per method: a ``subprocess`` that is imported later imports a wrapped function
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
        # The audit event of a new interpreter does not reach hooks written in Python (CPython 3.13 to 3.15).
        EntryPoint("_interpreters", "create", make),
        EntryPoint("_xxsubinterpreters", "create", make),
    ]


_COME_BACK: Final = frozenset({"fork_exec", "posix_spawn"})
