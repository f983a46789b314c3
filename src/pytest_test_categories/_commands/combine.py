"""``combine``: one report, one baseline and one set of sizes from the recordings of many runs."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Final, TypeVar

from pytest_test_categories._commands import CommandError
from pytest_test_categories._report import files, gates
from pytest_test_categories._report.baseline import UPDATE, Baseline, BaselineError, Comparison, Entry
from pytest_test_categories._report.baselines import BaselineFiles
from pytest_test_categories._report.combined import Combined, combine, differences
from pytest_test_categories._report.lists import ListError
from pytest_test_categories._report.recording import Recording, RecordingError, published_entry
from pytest_test_categories._sizing import held

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator

    from pytest_test_categories._report.model import Report

_T = TypeVar("_T")

PRINT: Final = "print"
APPLY: Final = "apply"
_FAILED: Final = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="a recording, or a directory that is searched for *.jsonl"
    )
    parser.add_argument(
        "--expect", type=int, default=0, metavar="N", help="how many recordings there should be; fewer fail"
    )
    parser.add_argument(
        "--network-report",
        action="append",
        default=[],
        metavar="FILE",
        help="write one report of all recordings into FILE: .json, .html, .sarif or .md (repeatable)",
    )
    parser.add_argument(
        "--network-baseline",
        action="append",
        default=[],
        metavar="FILE",
        help="the known violations (repeatable: several files by directory)",
    )
    parser.add_argument(UPDATE, action="store_true", help="write the violations into the files")
    parser.add_argument(
        "--network-baseline-strict",
        action="store_true",
        help="fail for violations that the file doesn't list, and for those of the file that no longer happen",
    )
    parser.add_argument(
        "--network-fixtures", default="", metavar="FILE", help="the sizes that broad fixtures are held to in each part"
    )
    parser.add_argument(held.UPDATE, action="store_true", help="write the sizes into the file")
    parser.add_argument(
        "--test-categories-gates",
        action="append",
        default=[],
        metavar="NAME=N",
        help="the most that all parts together may have of something: unsized = 0 (repeatable)",
    )
    parser.add_argument(
        gates.SINCE, default="", metavar="FILE", help="a JSON report of the main branch, for the gate 'new hosts'"
    )
    parser.add_argument(
        "--network-suggest-sizes",
        nargs="?",
        const=PRINT,
        choices=(PRINT, APPLY),
        help="print the smallest size that each test would pass with; =apply writes the markers into the sources",
    )
    parser.add_argument(
        "--network-suggest-sizes-force",
        action="store_true",
        help="write markers into files with uncommitted changes, too",
    )
    parser.add_argument(
        "--force", action="store_true", help="combine recordings of other commits or settings, and say so"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="name every test of the suggested sizes")


def run(arguments: argparse.Namespace) -> int:
    """Combine the recordings; return 1 if something is missing, or the strict baseline does not hold.

    Raises:
        CommandError: An argument or a recording can't be used; nothing was written.
    """
    collects = gc.isenabled()
    gc.disable()  # a hundred thousand tests hold no cycles, and looking for some takes a third of the time
    try:
        return _run(arguments)
    finally:
        if collects:
            gc.enable()


def _run(arguments: argparse.Namespace) -> int:
    _check(arguments)
    baselines, fixtures = _load_baselines(arguments), _load_fixtures(arguments)
    limits, since = _load_gates(arguments)
    recordings = [_checked(RecordingError, Recording.load, path) for path in dict.fromkeys(_found(arguments.paths))]
    if not recordings:
        raise CommandError(
            f"no recording in {', '.join(arguments.paths)}: --network-report=FILE{files.RECORDING} writes one"
        )
    recordings.sort(key=lambda one: (one.header.shard or (0, 0), one.name))
    if (others := differences(recordings)) and not arguments.force:
        raise CommandError(f"{others[0]}; --force combines them all the same")
    combined = combine(recordings, arguments.expect)
    _check_root(arguments, combined)
    tests = len(combined.findings.tests)
    print(f"combined: {_count(len(recordings), 'recording')}, {_count(tests, 'test')}")
    for line in (*others, *combined.notes, *combined.missing):
        print(line)
    failed = bool(combined.missing)
    if baselines is not None:
        failed |= _compare(arguments, combined, baselines)
    if fixtures is not None:
        failed |= _hold(arguments, recordings, fixtures, whole=not combined.missing)
    if limits:
        known = None if baselines is None else baselines.baseline
        for finding in gates.check(limits, combined.findings.report(), since=since, baseline=known):
            print(finding.text)
            failed |= finding.fails
    if arguments.network_suggest_sizes:
        failed |= _suggest(arguments, combined, {k: v for one in recordings for k, v in one.header.markers.items()})
    if arguments.network_report:
        report = combined.findings.report()
        for path in arguments.network_report:
            failed |= _written(f"network report: {path}", lambda path=path: files.write(report, path))  # type: ignore[misc]
    return _FAILED if failed else 0


# -- the arguments ---------------------------------------------------------------------------------------------------


def _check(arguments: argparse.Namespace) -> None:
    if arguments.expect < 0:
        raise CommandError(f"--expect: {arguments.expect} is no number of recordings")
    for path in arguments.network_report:
        if path.lower().endswith(files.RECORDING):
            raise CommandError(f"--network-report: {path} is a recording, which a run writes; choose another format")
        _checked(ValueError, files.check, path, "--network-report: ")
    if arguments.network_suggest_sizes and arguments.network_baseline_update:
        raise CommandError(f"{UPDATE} and --network-suggest-sizes: choose one of them")


def _load_baselines(arguments: argparse.Namespace) -> BaselineFiles | None:
    paths = arguments.network_baseline
    if not paths:
        for name in ("update", "strict"):
            if getattr(arguments, f"network_baseline_{name}"):
                raise CommandError(f"--network-baseline-{name} needs a file: add --network-baseline=FILE")
        return None
    try:
        return BaselineFiles(list(map(os.path.abspath, paths)), os.getcwd(), update=arguments.network_baseline_update)
    except BaselineError as error:
        raise CommandError(f"--network-baseline: {error}") from None


def _load_fixtures(arguments: argparse.Namespace) -> held.Held | None:
    path = arguments.network_fixtures
    if not path:
        if arguments.network_fixtures_update:
            raise CommandError(f"{held.UPDATE} needs a file: add --network-fixtures=FILE")
        return None
    if arguments.network_fixtures_update and not os.path.exists(path):
        return held.Held()
    return _checked(ListError, held.Held.load, path, f"--network-fixtures: {path} ")


def _load_gates(arguments: argparse.Namespace) -> tuple[list[gates.Gate], Report | None]:
    limits = [
        _checked(ValueError, gates.Gate.parse, one, "--test-categories-gates: ")
        for one in arguments.test_categories_gates
    ]
    path = arguments.network_since
    return limits, _checked(gates.SinceError, gates.load_report, path, f"{gates.SINCE}: {path} ") if path else None


def _checked(error: type[Exception], parse: Callable[[str], _T], text: str, where: str = "") -> _T:
    try:
        return parse(text)
    except error as raised:
        raise CommandError(f"{where}{raised}") from None


def _found(paths: Iterable[str]) -> Iterator[str]:
    """Yield the recordings, each once; other files of that suffix in a directory are passed over."""
    seen: set[str] = set()
    for path in paths:
        found = [path]
        if os.path.isdir(path):
            found = sorted(
                os.path.join(folder, name)
                for folder, _, names in os.walk(path)
                for name in names
                if name.lower().endswith(files.RECORDING)
            )
            found = [file for file in found if _is_recording(file)]
        for file in found:
            if (real := os.path.realpath(file)) not in seen:
                seen.add(real)
                yield file


def _is_recording(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b'"recording"' in file.readline(1000)
    except OSError:
        return True  # reading it tells the reason


def _check_root(arguments: argparse.Namespace, combined: Combined) -> None:
    """Check that the sources are here: elsewhere every listed violation would count as gone."""
    if not (arguments.network_baseline or arguments.network_suggest_sizes == APPLY):
        return
    there = combined.findings.files
    if there and not any(os.path.exists(file) for file in there):
        raise CommandError(f"{min(there)} is not here: start combine in the root directory of the tests")


# -- the results -----------------------------------------------------------------------------------------------------


def _compare(arguments: argparse.Namespace, combined: Combined, baselines: BaselineFiles) -> bool:
    """Compare with the baseline or update it; return whether that fails the command."""
    from pytest_test_categories._report import known

    updating, findings, baseline = arguments.network_baseline_update, combined.findings, baselines.baseline
    # Recordings hold what is safe to publish, and so do the entries that are compared with them.
    texts = {published_entry(entry): entry for entry in baseline.entries}
    found, lines = known.against(findings, Baseline(texts), os.getcwd(), updating=updating, unknown=combined.redacted)

    def original(entries: Iterable[Entry]) -> tuple[Entry, ...]:
        return tuple(texts.get(entry, entry) for entry in entries)

    found = Comparison(
        original(found.known),
        found.new,
        original(found.stale),
        tuple((texts.get(entry, entry), test) for entry, test in found.renamed),
    )
    for line in lines:
        print(line)
    if updating:
        try:
            lines = known.update(findings, baseline, found, baselines)
        except OSError as error:
            print(f"network baseline: could not be written: {error}", file=sys.stderr)
            return True
        print(*lines, sep="\n")
        return False
    for line in known.comparison_lines(found, baselines):
        print(line)
    if found.new:
        print(
            *known.listed(f"network baseline: {_count(len(found.new), 'violation')} not listed:", map(str, found.new)),
            sep="\n",
        )
    over = bool(found.stale or found.renamed)
    if arguments.network_baseline_strict and over:
        print("--network-baseline-strict: entries that no longer happen fail the run")
    refused = bool(found.new) and findings.mode == "strict"
    return bool(arguments.network_baseline_strict) and (over or refused)


def _hold(arguments: argparse.Namespace, recordings: list[Recording], listed: held.Held, *, whole: bool) -> bool:
    """Write what the fixtures are held to, or say where the file is out of date; return whether that fails.

    If a part is missing, what the file knows of its tests stays in it.
    """
    tests = {}
    for collected in {id(one.collected): one.collected for one in recordings}.values():
        for number, (test, size) in enumerate(zip(collected.ids, collected.sizes, strict=True)):
            tests[test] = (test, size, held.uses_of(collected.uses_of(number)))
    path = arguments.network_fixtures
    now = held.Held.of(tests.values(), () if whole else listed.entries)
    outdated = listed.differences(now, {})
    if arguments.network_fixtures_update:
        print(f"network fixtures: {_count(len(now.entries), 'fixture')}, {len(outdated)} changed")
        return _written(f"network fixtures: {path}", lambda: now.save(path))
    if outdated:
        print(f"network fixtures: {path} is out of date; {held.UPDATE} rewrites it:")
        print(*(f"  {line}" for line in outdated), sep="\n")
    return False


def _suggest(arguments: argparse.Namespace, combined: Combined, aliases: dict[str, str]) -> bool:
    """Print suggested sizes, and write them if asked to; return whether that fails the command."""
    from pytest_test_categories._sizing import apply, found

    findings = combined.findings
    suggestions, lines = found.suggestions(findings, verbose=arguments.verbose)
    print(*lines, sep="\n")
    if arguments.network_suggest_sizes != APPLY:
        return False
    try:
        lines = found.write(findings, suggestions, os.getcwd(), aliases, force=arguments.network_suggest_sizes_force)
    except apply.ApplyError as error:
        print(f"no size marker was written: {error}", file=sys.stderr)
        return True
    print(*lines, sep="\n")
    return False


def _written(line: str, write: Callable[[], object]) -> bool:
    """Write a file and say so; return whether that failed."""
    try:
        write()
    except OSError as error:
        print(f"{line} could not be written: {error}", file=sys.stderr)
        return True
    print(line)
    return False


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
