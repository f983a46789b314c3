"""The table of wrapt wrappers on what expects refusals: a test runner's own blocks, in whatever process they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._host.wrapping import EntryPoint
from pytest_test_categories._rules.errors import HermeticityViolationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_test_categories._ledger.ledger import Ledger

BLOCKS: Final = (
    ("unittest.case", "_AssertRaisesContext"),
    ("_pytest.raises", "RaisesExc"),
    ("_pytest.raises", "RaisesGroup"),
)
"""What ``assertRaises`` and ``pytest.raises`` return. Without them, a violation that they expect is not delivered."""


def entry_points(ledger: Ledger) -> list[EntryPoint]:
    """Return the rows of the table.

    Args:
        ledger: Told where such a block begins, and what it has caught.
    """

    def enter(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        __tracebackhide__ = True
        if _expects_ours(instance):
            ledger.enter_expecting(instance)
        return wrapped(*args, **kwargs)

    def leave(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        __tracebackhide__ = True
        caught = False
        try:
            caught = wrapped(*args, **kwargs)
        finally:  # it may fail: nothing was raised
            if _expects_ours(instance):
                ledger.leave_expecting(instance, args[1] if caught and len(args) > 1 else None)
        return caught

    return [
        EntryPoint(module, f"{block}.{name}", wrapper)
        for module, block in BLOCKS
        for name, wrapper in (("__enter__", enter), ("__exit__", leave))
    ]


def names_our_class(expected: object) -> bool:
    """Tell whether what a ``raises`` or ``assertRaises`` expects names one of our exceptions."""
    if isinstance(expected, tuple):
        return any(names_our_class(one) for one in expected)
    if isinstance(expected, type):
        return issubclass(expected, HermeticityViolationError)
    nested = getattr(expected, "expected_exceptions", None)  # a block in a block, of groups
    return isinstance(nested, tuple) and names_our_class(nested)


def _expects_ours(block: Any) -> bool:
    return names_our_class(getattr(block, "expected", ())) or names_our_class(block)
