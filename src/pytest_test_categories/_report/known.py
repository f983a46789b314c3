"""Compares what was found with the baseline, updates it, and says both in lines for the terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pytest_test_categories._report.baseline import UPDATE, Baseline, Comparison, Entry, compare, updated
from pytest_test_categories._report.model import BREACHES
from pytest_test_categories._rules.wording import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from pytest_test_categories._report.baselines import BaselineFiles
    from pytest_test_categories._report.findings import Findings

_SHOWN: Final = 20


def against(
    findings: Findings, baseline: Baseline, root: str, *, updating: bool = False, unknown: Collection[Entry] = ()
) -> tuple[Comparison, list[str]]:
    """Compare what was found with the baseline, and return lines about what an update leaves out.

    Args:
        findings: What was found.
        baseline: The known violations.
        root: The root directory.
        updating: Whether the baseline is about to be updated.
        unknown: Violations whose text is not known in full, so that no update can add them.
    """
    breaches = [violation for violation in findings.violations if violation.verdict in BREACHES]
    lines: list[str] = []
    if updating:
        # A test that expects a refusal fails in a run that refuses nothing.
        failed = findings.failed
        left_out = {violation.test for violation in breaches if violation.test in failed}
        breaches = [v for v in breaches if v.test not in failed or Entry.of(v) in baseline.entries]
        if left_out:
            lines += listed(
                f"network baseline: {counted(len(left_out), 'test')} failed, and nothing is added for:", left_out
            )
        if redacted := {Entry.of(v) for v in breaches} & set(unknown) - baseline.entries:
            breaches = [v for v in breaches if Entry.of(v) not in redacted]
            said = (
                f"{counted(len(redacted), 'violation')} can only be added by a run itself, since recordings hide a part"
            )
            lines += listed(f"network baseline: {said}:", map(str, redacted))

    def is_gone(entry: Entry) -> bool:
        if entry.test in findings.collected:
            return False
        if not os.path.exists(os.path.join(root, entry.file)):
            return True
        return entry.file in findings.files and findings.selected and not entry.is_shared

    found = compare(
        baseline,
        map(Entry.of, breaches),
        passed=findings.passed,
        gone=is_gone,
        whole=not findings.why_incomplete,
        shared_ran=lambda entry: findings.shared_ran(entry.test),
    )
    return found, lines


def update(findings: Findings, baseline: Baseline, found: Comparison, files: BaselineFiles) -> list[str]:
    """Write the baseline as it is after a run, and return lines that say what changed.

    Raises:
        OSError: A file can't be written.
    """
    saved = files.save(updated(baseline, found))
    lines = []
    for file in saved:
        name = file.name if len(saved) > 1 else os.path.basename(file.name)
        listed = counted(file.entries, "violation")
        lines.append(f"network baseline: {name} lists {listed} ({file.added} added, {file.removed} removed)")
    if findings.why_incomplete:
        lines.append(f"  what did not run was left as it was: {'; '.join(findings.why_incomplete)}")
    return lines


def comparison_lines(found: Comparison, files: BaselineFiles | None) -> Iterator[str]:
    """Yield what a comparison found; stale entries by file, if there are several files."""
    for (there, nearest), number in ({} if files is None else files.misplaced).items():
        are, them = ("is", "it") if number == 1 else ("are", "them")
        yield (
            f"network baseline: {counted(number, 'violation')} of {there} {are} ignored, since {nearest} is nearer; "
            f"{UPDATE} moves {them}"
        )
    if found.known:
        yield f"network baseline: {counted(len(found.known), 'known violation')} warned"
    if found.stale:
        one = len(found.stale) == 1
        title = (
            f"network baseline: {counted(len(found.stale), 'known violation')} no longer "
            f"{'happens' if one else 'happen'}; {UPDATE} removes {'it' if one else 'them'}:"
        )
        if files is None or len(files.paths) == 1:
            yield from listed(title, map(str, found.stale))
        else:
            yield title
            for name, entries in files.by_file(found.stale).items():
                yield from (f"  {line}" for line in listed(f"in {name}:", map(str, entries)))
    if found.renamed:
        yield from listed(
            "network baseline: renamed, by file, kind and target; --network-baseline-update takes the new name:",
            (f"{entry} -> {test}" for entry, test in found.renamed),
        )


def listed(title: str, texts: Iterable[str]) -> Iterator[str]:
    """Yield a title and the first texts in order, and how many more there are."""
    yield title
    every = sorted(texts)
    yield from (f"  {text}" for text in every[:_SHOWN])
    if len(every) > _SHOWN:
        yield f"  and {len(every) - _SHOWN} more"
