"""Combines recordings into what a single run would have found, and says what is missing or contradictory.

What several recordings say of one test counts once, with the larger count: combining a recording with itself changes
nothing, and the order of the recordings does not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_test_categories._report.baseline import Entry
from pytest_test_categories._report.findings import Findings, Use
from pytest_test_categories._report.model import Access, Case, merged
from pytest_test_categories._rules.named_tuples import NamedTuple
from pytest_test_categories._rules.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_test_categories._report.recording import Recording
    from pytest_test_categories._rules.violation import Violation

_TELLING: Final = ("unfinished", "skipped", "xfailed", "xpassed", "passed", "error", "failed")
"""Outcomes, the most telling last: of a test that ran more than once, this one counts."""
_SHOWN: Final = 20


class Combined(NamedTuple):
    """The result.

    Attributes:
        findings: What a single run would have found.
        redacted: Entries of the baseline whose real text is not in the recordings.
        missing: What is missing, a line each; the combined run is not whole.
        notes: What else a reader should know, a line each.
    """

    findings: Findings
    redacted: frozenset[Entry]
    missing: tuple[str, ...]
    notes: tuple[str, ...]


def differences(recordings: Sequence[Recording]) -> tuple[str, ...]:
    """Return why recordings don't belong together, a line each: other commits or settings."""
    found = []
    first = recordings[0]
    commits: dict[str, Recording] = {}
    for recording in recordings:
        if recording.header.commit:
            commits.setdefault(recording.header.commit, recording)
    if len(commits) > 1:
        found.append("other commits: " + ", ".join(f"{commit[:12]} in {one}" for commit, one in commits.items()))
    for recording in recordings[1:]:
        mine, theirs = first.header.settings, recording.header.settings
        if names := sorted(key for key in {*mine, *theirs} if mine.get(key) != theirs.get(key)):
            found.append(f"other settings: {', '.join(names)} in {recording}, not as in {first}")
    return tuple(found)


def combine(recordings: Sequence[Recording], expect: int = 0) -> Combined:
    """Combine recordings.

    Args:
        recordings: At least one.
        expect: How many recordings make the whole project; 0 if unknown. The recordings' own numbers tell it, too.
    """
    order = _order(recordings)
    selected: set[str] = set().union(*(recording.selected for recording in recordings))
    ran: dict[str, Case] = {}
    ended: set[str] = set()
    for recording in recordings:
        for node, case in recording.tests.items():
            ran[node] = _more_telling(ran[node], case) if node in ran else case
    for recording in recordings:
        ended |= {n for n in recording.gave_up_as_expected if ran[n].outcome == recording.tests[n].outcome}
    missing_shards = tuple(_missing_shards(recordings, expect))
    deselected: set[str] = set().union(*(recording.deselected for recording in recordings)) - selected - ran.keys()
    # What no recording was to run and no option left out is lost: each shard left it to another one.
    collected = [node for node in order if node not in deselected]
    known_whole = not missing_shards and (bool(expect) or any(r.header.shard is not None for r in recordings))
    unfinished = [node for node in collected if node not in ran or ran[node].outcome == "unfinished"]
    unfinished += [node for node in ran if node not in order and ran[node].outcome == "unfinished"]
    chosen = _chosen(recordings, known_whole=known_whole)
    why = [
        *missing_shards,
        *dict.fromkeys(reason for recording in recordings for reason in recording.reasons),
        *(f"{recording} ends early" for recording in recordings if not recording.ended),
        *(
            [f"{len(deselected)} {'test was' if len(deselected) == 1 else 'tests were'} deselected"]
            if deselected
            else []
        ),
        *chosen,
        *(
            [f"{len(unfinished)} {'test' if len(unfinished) == 1 else 'tests'} did not run to the end"]
            if unfinished
            else []
        ),
    ]
    uses, sets, targets = _definitions(recordings)
    findings = Findings(
        ran,
        _violations(recordings),
        gave_up_as_expected=ended,
        unwatched=_unwatched(recordings),
        collected=collected,
        uses={node: uses[node] for node in order if uses.get(node)},
        sets=sets,
        targets=targets,
        selected=not (deselected or chosen or missing_shards) and not any(r.reasons for r in recordings),
        why_incomplete=why,
        mode=recordings[0].header.mode,
        layers=_layers(recordings),
        tool=recordings[0].header.tool,
    )
    never = [node for node in collected if node not in ran]
    missing = [*missing_shards, *_listed("no recording has these tests", never)]
    redacted = frozenset[Entry]().union(*(recording.redacted for recording in recordings))
    return Combined(findings, redacted, tuple(missing), tuple(_notes(recordings)))


def _more_telling(one: Case, other: Case) -> Case:
    case = max(one, other, key=lambda case: (_TELLING.index(case.outcome), case))
    return case._replace(seconds=max(one.seconds, other.seconds))


# -- what is missing -------------------------------------------------------------------------------------------------


def _missing_shards(recordings: Sequence[Recording], expect: int) -> Iterator[str]:
    shards = {recording.header.shard for recording in recordings} - {None}
    total = max((shard.total for shard in shards if shard is not None), default=0)
    there = {shard.index for shard in shards if shard is not None and shard.total == total}
    for index in range(1, total + 1):
        if index not in there:
            yield f"shard {index} of {total} is missing"
    if expect and len(recordings) < expect and expect != total:
        yield f"{counted(expect - len(recordings), 'recording')} of {expect} missing"


def _chosen(recordings: Sequence[Recording], *, known_whole: bool) -> list[str]:
    """Return why the project may have tests that no recording collected."""
    options = dict.fromkeys(option for recording in recordings for option in recording.header.options)
    parts = [recording for recording in recordings if recording.header.paths]
    if known_whole or len(parts) < len(recordings):  # another one has the whole project
        return list(options)
    paths = dict.fromkeys(path for recording in parts for path in recording.header.paths)
    return [f"only {', '.join(paths)}", *options]


def _notes(recordings: Sequence[Recording]) -> Iterator[str]:
    for recording in recordings:
        if not recording.ended:
            yield f"{recording} ends early: it has {counted(len(recording.tests), 'test')}"
    every = dict.fromkeys(layer for recording in recordings for layer in recording.header.layers)
    for recording in recordings:
        if weaker := [layer for layer in every if layer not in recording.header.layers]:
            yield f"{recording} watched less: without {', '.join(weaker)}"
    outcomes: dict[str, dict[str, Recording]] = {}
    twice: dict[str, Recording] = {}
    for recording in recordings:
        for node, case in recording.tests.items():
            before = twice.setdefault(node, recording)
            if before is not recording and before.tests[node].outcome != case.outcome:
                outcomes.setdefault(node, {before.tests[node].outcome: before}).setdefault(case.outcome, recording)
    yield from _listed(
        "with different outcomes",
        [f"{node}: {', '.join(f'{o} in {r}' for o, r in by.items())}" for node, by in sorted(outcomes.items())],
    )
    yield from _listed("with different verdicts", list(_contradictions(recordings)))


def _contradictions(recordings: Sequence[Recording]) -> Iterator[str]:
    """Yield the attempts that were permitted in one recording of a test and not in another."""
    verdicts: dict[tuple[str, ...], dict[str, Recording]] = {}
    for recording in recordings:
        for v in recording.violations:
            key: tuple[str, ...] = (v.test, v.fixture, v.fixture_home, v.kind, v.target, v.location)
            if v.fixture and not v.fixture.endswith("(function)"):
                key = ("", *key[1:])  # each part of the suite sets it up
            verdicts.setdefault(key, {}).setdefault(v.verdict, recording)
    for key, by in sorted(verdicts.items(), key=lambda pair: pair[0]):
        if len(set(by.values())) > 1 and len(by) > 1:
            test, fixture, _home, _kind, target, _location = key
            yield f"{test or f'fixture {fixture}'}: {target} {', '.join(f'{v} in {r}' for v, r in by.items())}"


def _listed(title: str, texts: Sequence[str]) -> Iterator[str]:
    if texts:
        yield f"{title}: {len(texts)}"
        yield from (f"  {text}" for text in texts[:_SHOWN])
        if len(texts) > _SHOWN:
            yield f"  and {len(texts) - _SHOWN} more"


# -- the union -------------------------------------------------------------------------------------------------------


def _order(recordings: Sequence[Recording]) -> dict[str, None]:
    """Return the collected tests in the order in which one run of all would have them.

    Parts of a suite that is split by plugins collect all tests; parts that are chosen by path have files, or pieces of
    files, of their own.
    """
    lists = {one.collected.ids: None for one in sorted(recordings, key=lambda r: (-len(r.collected.ids), r.name))}
    longest = next(iter(lists))
    whole = set(longest)
    if all(whole.issuperset(ids) for ids in lists):
        return dict.fromkeys(longest)
    lines = {node: case.line for recording in recordings for node, case in recording.tests.items()}
    files: dict[str, dict[str, None]] = {}
    pieces: set[str] = set()
    for ids in lists:
        for node in ids:
            file = node.partition("::")[0]
            known = files.setdefault(file, {})
            if node not in known and ids is not longest and known:
                pieces.add(file)
            known[node] = None
    for file in pieces:
        files[file] = dict.fromkeys(sorted(files[file], key=lambda node: lines.get(node, 0)))
    return dict.fromkeys(node for file in sorted(files, key=lambda file: file.split("/")) for node in files[file])


def _definitions(
    recordings: Iterable[Recording],
) -> tuple[dict[str, tuple[Use, ...]], set[str], dict[str, tuple[object, ...]]]:
    uses: dict[str, tuple[Use, ...]] = {}
    sets: set[str] = set()
    targets: dict[str, tuple[object, ...]] = {}
    for collected in {id(r.collected): r.collected for r in recordings}.values():
        sets.update(collected.ids[number] for number in collected.sets)
        for target in collected.targets:
            targets.setdefault(str(target[0]), target)
        for number, node in enumerate(collected.ids):
            if collected.uses[number]:
                uses.setdefault(node, collected.uses_of(number))
    return uses, sets, targets


def _violations(recordings: Iterable[Recording]) -> list[Violation]:
    found: dict[tuple[str, ...], Access] = {}
    for recording in recordings:
        # Within a recording, repetitions are added up; what two recordings have of one attempt is the same.
        for access in merged(map(Access.of, recording.violations)):
            before = found.get(access.key)
            if before is None or _rank(access) > _rank(before):
                found[access.key] = access
    return [access.violation for access in found.values()]


def _rank(access: Access) -> tuple[int, Access]:
    return access.violation.count, access


def _unwatched(recordings: Iterable[Recording]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for recording in recordings:
        for test, programs in recording.unwatched.items():
            known = found.setdefault(test, {})
            for program, count in programs.items():
                known[program] = max(known.get(program, 0), count)
    return found


def _layers(recordings: Sequence[Recording]) -> tuple[str, ...]:
    """Return the layers that watched all of it."""
    return tuple(
        layer
        for layer in recordings[0].header.layers
        if all(layer in recording.header.layers for recording in recordings)
    )
