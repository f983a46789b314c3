"""The layers, which find attempts and ask one callable, the judge. No layer decides, and no layer knows the guard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_test_categories._rules.named_tuples import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from pytest_test_categories._attribution.origin import Scope
    from pytest_test_categories._rules.address import AllowEntry, Endpoint, Reach
    from pytest_test_categories._rules.policy import Kind


class Sight(NamedTuple):
    """What a layer reads from a call.

    Attributes:
        endpoint: Where the call leads.
        reach: How far the call reaches; None to derive it from the endpoint's address.
        stays: Returns whether the call reaches nothing outside this test after all. It is costly, and therefore called
            only where the answer makes a difference.
    """

    endpoint: Endpoint
    reach: Reach | None = None
    stays: Callable[[], bool] | None = None


if TYPE_CHECKING:  # creating a Protocol class takes longer than all other classes of this package

    class Judge(Protocol):
        """The callable that layers call for each attempt they find."""

        def __call__(
            self,
            kind: Kind,
            route: str,
            family: int,
            address: Any,
            sock: Any,
            read: Callable[[Kind, int, Any], Sight | None],
        ) -> bool:
            """Return if the attempt may proceed: True if a guard restricts it, so its later steps matter."""

    class Remember(Protocol):
        """The callable that receives the answer of a permitted look-up."""

        def __call__(self, name: str, addresses: list[str]) -> None:
            """Remember the addresses of a name."""

    class Outside(Protocol):
        """A layer outside this process; the judge informs it, since it would see permitted calls as well."""

        def begin_tests(self) -> None:
            """Treat the processes and threads started so far as the test runner's own."""

        def word_of_work(self) -> int | None:
            """Return this layer's number for the current work, for a worker that continues it; None if it has none."""

        def begin_start(self) -> None:
            """Apply this thread's policy to the process that the thread is about to start."""

        def end_start(self) -> None:
            """Note that the process has started."""

        def agrees(self, kind: Kind, scopes: tuple[Scope, ...], reach: Reach) -> bool:
            """Return whether it permits by itself what ``scopes`` permit; when that ends, it empties their memos."""

        def vouch(self, kind: Kind, scopes: tuple[Scope, ...], reach: Reach) -> None:
            """Permit this thread's next call: either ``scopes`` permit it, or no guard is charged for it."""

        def remember(self, name: str, allow: tuple[AllowEntry, ...], addresses: list[str]) -> None:
            """Remember the answer of a permitted look-up."""

        def take(self) -> None:
            """Record what this layer has seen."""
