"""The table of wrapt wrappers around test runners' own blocks that expect violations, in any process."""

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
"""What ``assertRaises`` and ``pytest.raises`` return. Unwrapped, they would not deliver the violations they expect."""


def entry_points(ledger: Ledger) -> list[EntryPoint]:
    """Return the rows of the table.

    Args:
        ledger: Its methods are called when such a block begins, and with the error that it has caught.
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
        finally:  # it fails if nothing was raised
            if _expects_ours(instance):
                ledger.leave_expecting(instance, args[1] if caught and len(args) > 1 else None)
        return caught

    return [
        EntryPoint(module, f"{block}.{name}", wrapper)
        for module, block in BLOCKS
        for name, wrapper in (("__enter__", enter), ("__exit__", leave))
    ]


def names_our_class(expected: object) -> bool:
    """Tell whether the exceptions that ``raises`` or ``assertRaises`` expects include one of the plugin's."""
    if isinstance(expected, tuple):
        return any(names_our_class(one) for one in expected)
    if isinstance(expected, type):
        return issubclass(expected, HermeticityViolationError)
    nested = getattr(expected, "expected_exceptions", None)  # RaisesGroup contains other blocks
    return isinstance(nested, tuple) and names_our_class(nested)


def _expects_ours(block: Any) -> bool:
    return names_our_class(getattr(block, "expected", ())) or names_our_class(block)
