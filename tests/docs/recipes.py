"""The command lines that stand in settings of CI systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOLD_COMMANDS: Final = ("run", "script", "entry")


def commands(settings: object, *programs: str) -> Iterator[str]:
    """Return the commands in parsed YAML that start one of the programs: of steps, scripts and hooks."""
    if isinstance(settings, list):
        for part in settings:
            yield from commands(part, *programs)
    elif isinstance(settings, dict):
        for key, value in settings.items():
            if key not in _HOLD_COMMANDS:
                yield from commands(value, *programs)
                continue
            for text in [value] if isinstance(value, str) else value:
                yield from (line.strip() for line in text.splitlines() if line.split()[:1] in [[p] for p in programs])
