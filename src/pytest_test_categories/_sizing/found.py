"""Suggests sizes from findings and writes them as markers, with the lines for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_test_categories._sizing import apply
from pytest_test_categories._sizing.suggest import lines, suggest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_test_categories._report.findings import Findings
    from pytest_test_categories._sizing.suggest import Suggestion


def suggestions(findings: Findings, *, verbose: bool = False) -> tuple[tuple[Suggestion, ...], list[str]]:
    """Return the suggestions, and the lines that say them."""
    found = suggest(findings.report(), findings.narrowing, findings.sets)
    return found, list(lines(found, verbose=verbose))


def write(
    findings: Findings, found: Sequence[Suggestion], root: str, aliases: Mapping[str, str], *, force: bool = False
) -> list[str]:
    """Write the suggested sizes into the sources, and return lines that say what was written.

    Args:
        findings: What the suggestions were made from.
        found: The suggestions.
        root: The root directory.
        aliases: As for ``apply.plan``.
        force: Whether to change files with uncommitted changes, too.

    Raises:
        ApplyError: Nothing was written; the message says why.
    """
    by_function = {one.function: one for one in found}
    targets = []
    for node, values in findings.targets.items():
        target, one = apply.read_target(values), by_function.get(node)
        if one is None:  # it was not run, so no marker on a module or class may cover it
            targets.append(target._replace(observed=False))
        else:
            targets.append(target._replace(size=one.size, current=one.current, observed=one.observed))
    planned = apply.plan(root, targets, aliases)
    omitted = apply.apply(root, planned.changes, force=force)
    failed = {omission.what for omission in omitted}
    written = [change for change in planned.changes if change.file not in failed]
    return list(apply.lines(written, (*planned.omitted, *omitted)))
