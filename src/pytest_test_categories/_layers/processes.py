"""The table of wrapt wrappers on what starts a program: its environment is given what it is held to.

How the calls are read and changed stands in ``pytest_test_categories_child``, which children start with: they hand
down what they were handed before the layers are there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_test_categories._child.pytest_test_categories_child import ENTRIES, Spawning
from pytest_test_categories._wrapping import EntryPoint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


def entry_points(hand_down: Callable[[Sequence[Any], Sequence[Any], bool], str | None]) -> list[EntryPoint]:
    """Return the rows of the table; ``hand_down`` is asked at each start of a program."""
    spawning = Spawning(hand_down)
    return [EntryPoint(module, name, getattr(spawning, method)) for module, name, method in ENTRIES]
