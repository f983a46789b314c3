"""Third-party runners that run a test's body outside of the test's phases: there, too, its size is enforced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_test_categories._host.wrapping import EntryPoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_test_categories.pytest_plugin._phases import Phases


def entry_points(phases: Phases) -> list[EntryPoint]:
    """Return the entry points at which such runners create the coroutine of a test's body."""

    def in_a_task(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        async def run() -> object:
            with phases.body(args[0] if args else kwargs["item"]):
                return await wrapped(*args, **kwargs)

        return run()

    # It runs all bodies, with their fixtures, as tasks of one loop; afterwards each item's phases report the result.
    return [EntryPoint("pytest_asyncio_cooperative.plugin", "item_to_task", in_a_task)]
