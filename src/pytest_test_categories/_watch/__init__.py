"""Layers find attempts and ask one callable, the judge. None decides, none knows the guard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from pytest_test_categories._attribution.origin import Scope
    from pytest_test_categories._rules.address import AllowEntry, Endpoint, Reach
    from pytest_test_categories._rules.policy import Kind


class Sight(NamedTuple):
    """What a layer reads from a call.

    Attributes:
        endpoint: Its aim.
        reach: How far it goes; None: as far as its address.
        stays: Finds out at some cost whether it goes nowhere after all; asked only where that makes a difference.
    """

    endpoint: Endpoint
    reach: Reach | None = None
    stays: Callable[[], bool] | None = None


if TYPE_CHECKING:  # making a Protocol costs more than this whole package's other classes

    class Judge(Protocol):
        """The callable that layers ask about each attempt they find."""

        def __call__(
            self,
            kind: Kind,
            route: str,
            family: int,
            address: Any,
            sock: Any,
            read: Callable[[Kind, int, Any], Sight | None],
        ) -> bool:
            """Return if the attempt may go on: True if some guard restricts it, so that what it leads to matters."""

    class Remember(Protocol):
        """The callable that layers tell what a permitted look-up answered."""

        def __call__(self, name: str, addresses: list[str]) -> None:
            """Keep a name's addresses."""

    class Outside(Protocol):
        """A layer outside of this process: the judge tells it what it would see otherwise."""

        def begin_tests(self) -> None:
            """Leave what has been started so far to whoever runs the tests."""

        def word_of_work(self) -> int | None:
            """Return how it knows what is done here and now, for whoever does it elsewhere; None if it can't tell."""

        def begin_start(self) -> None:
            """Hold the process that this thread starts now to what the thread is held to."""

        def end_start(self) -> None:
            """Note that it has started."""

        def agrees(self, kind: Kind, scopes: tuple[Scope, ...], reach: Reach) -> bool:
            """Tell whether it lets go on by itself what ``scopes`` permit; if that ends, it empties their memos."""

        def vouch(self, kind: Kind, scopes: tuple[Scope, ...], reach: Reach) -> None:
            """Let this thread's next call go on, which ``scopes`` permit, or nobody is charged with."""

        def remember(self, name: str, allow: tuple[AllowEntry, ...], addresses: list[str]) -> None:
            """Keep what a permitted look-up has answered."""

        def take(self) -> None:
            """Put on record what has been seen there."""
