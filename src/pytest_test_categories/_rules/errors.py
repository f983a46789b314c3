"""The exception for TC001, and the warning of warn mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_test_categories._rules.violation import Violation
from pytest_test_categories._rules.wording import line_text, report_text

if TYPE_CHECKING:
    from collections.abc import Iterable


class HermeticityViolationError(Exception):
    """A test broke the rules of its size."""


class NetworkAccessViolationError(HermeticityViolationError):
    """A test tried to use a network that its size does not permit (TC001).

    It is not an ``OSError``, so that clients don't treat it as an ordinary failure and retry.

    Attributes:
        violations: The refused attempts, in order. Empty only if other code created the error from a text.
        text: That text.
        undelivered: Whether the guard raised the error at its end, because code under test had caught the original.
    """

    def __init__(
        self, violations: Violation | Iterable[Violation] | NetworkAccessViolationError | str, undelivered: bool = False
    ) -> None:
        # Code that wraps errors creates new ones of the same class from the old error, its text or its arguments.
        self.text = violations if isinstance(violations, str) else ""
        if isinstance(violations, Violation):
            self.violations: tuple[Violation, ...] = (violations,)
        elif isinstance(violations, NetworkAccessViolationError):
            self.violations = violations.violations
        elif not isinstance(violations, str):
            self.violations = tuple(violations)
        else:
            self.violations = ()
        self.undelivered = undelivered
        self.records: list[Any] = []  # the guard's own records; like ``delivery``, they stay in this process
        self.delivery: Any = None
        self._told: tuple[tuple[Violation, ...], str] = ((), "")  # a cache: runners call str() often
        super().__init__(self.text or self.violations, undelivered)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle only the violations, or the text."""
        return _rebuild, (type(self), self.text or self.violations, self.undelivered)

    @property
    def violation(self) -> Violation:
        """The first violation."""
        return self.violations[0]

    def __repr__(self) -> str:
        """Return the violations in one line, which exception groups show."""
        return f"{type(self).__name__}({self.text or '; '.join(map(line_text, self.violations))!r})"

    def __str__(self) -> str:
        """Return the TC001 text."""
        if self._told[0] is not self.violations:
            self._told = (self.violations, self.text or report_text(self.violations, undelivered=self.undelivered))
        return self._told[1] or self.text


def _rebuild(
    cls: type[NetworkAccessViolationError], violations: tuple[Violation, ...] | str, undelivered: bool
) -> NetworkAccessViolationError:
    return cls(violations, undelivered=undelivered)


class NetworkAccessWarning(UserWarning):
    """A test in warn mode used a network that its size does not permit."""


# Tracebacks show these names: they name the module to import them from.
for _public in (HermeticityViolationError, NetworkAccessViolationError, NetworkAccessWarning):
    _public.__module__ = "pytest_test_categories"
