"""Other people's runners that run a test's body outside of its phases: it is held to the test's size there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_test_categories._host.wrapping import EntryPoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_test_categories.pytest_plugin._phases import Phases


def entry_points(phases: Phases) -> list[EntryPoint]:
    """Return where such runners make the coroutine that is a test's body."""

    def in_a_task(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        async def run() -> object:
            with phases.body(args[0] if args else kwargs["item"]):
                return await wrapped(*args, **kwargs)

        return run()

    # All bodies are tasks of one loop, fixtures included; then each item's phases report what its task came to.
    return [EntryPoint("pytest_asyncio_cooperative.plugin", "item_to_task", in_a_task)]
