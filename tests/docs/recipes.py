"""The command lines of pytest that stand in settings of CI systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOLD_COMMANDS: Final = ("run", "script", "entry")


def pytest_commands(settings: object) -> Iterator[str]:
    """Return the commands in parsed YAML that start pytest: of steps, scripts and hooks."""
    if isinstance(settings, list):
        for part in settings:
            yield from pytest_commands(part)
    elif isinstance(settings, dict):
        for key, value in settings.items():
            if key in _HOLD_COMMANDS:
                lines = [value] if isinstance(value, str) else value
                yield from (line.strip() for text in lines for line in text.splitlines() if _is_ours(line))
            else:
                yield from pytest_commands(value)


def _is_ours(line: str) -> bool:
    return line.split()[:1] == ["pytest"]
