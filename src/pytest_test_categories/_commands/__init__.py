"""The commands of ``python -m pytest_test_categories``, a module each.

A module has ``add_arguments(parser)`` and ``run(arguments)``, which returns the exit status. It is imported only when
its command is given.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: Final[dict[str, str]] = {
    "combine": "make one report, baseline and set of sizes from the recordings of many runs",
    "run": "run a command with the network that a size permits",
    "selftest": "try the main ways out on this machine, and say which are stopped",
}
"""The commands, each with a line that says what it does."""

USAGE_ERROR: Final = 4
"""The exit status for wrong arguments and settings, as pytest's."""


class CommandError(Exception):
    """A command can't do what was asked; the message is one line that says why, and what to do."""


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, and ends with pytest's status for wrong usage."""

    def error(self, message: str) -> NoReturn:
        """Print the line and end."""
        self.exit(USAGE_ERROR, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str]) -> int:
    """Run a command, and return the exit status of the process.

    Args:
        arguments: The words after ``python -m pytest_test_categories``.
    """
    parser = _Parser(prog="python -m pytest_test_categories", allow_abbrev=False)
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    chosen = next((word for word in arguments if not word.startswith("-")), "")
    for name, line in COMMANDS.items():
        command = parsers.add_parser(name, help=line, description=f"{line[0].upper()}{line[1:]}.", allow_abbrev=False)
        if name == chosen:
            module = importlib.import_module(f"{__name__}.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    parsed = parser.parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
    except CommandError as error:
        print(f"{parser.prog} {parsed.command}: {error}", file=sys.stderr)
        return USAGE_ERROR
    return status
