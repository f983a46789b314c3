"""A recording: what a run saw, a line each, appended as its tests end, so that a run that is killed leaves what it saw.

``Writer`` writes one, ``Recording.load`` reads one; docs/reference/recording.schema.json describes the lines. All texts
are safe to publish. What differs from the text that the baseline would list is marked as ``redacted``.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import json
import os
import sys
import zlib
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._host.checkout import Shard
from pytest_test_categories._report.baseline import Entry
from pytest_test_categories._report.findings import Collected, Use
from pytest_test_categories._report.model import Case
from pytest_test_categories._report.published import program_of, publishable, published, published_id, relative_place
from pytest_test_categories._rules.address import stable_target
from pytest_test_categories._rules.named_tuples import NamedTuple
from pytest_test_categories._rules.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

VERSION: Final = 1
"""Version of the lines; increased when a reader of the old version would misread the new ones."""

_MILD: Final = frozenset({"permitted", "observed"})
_DEFAULTS: Final = Violation("", "", "", "")._asdict()
_CASE: Final = Case("")._asdict()


class RecordingError(ValueError):
    """A file is no recording that can be read; the message says why."""


class Header(NamedTuple):
    """The first line: how the run was made.

    Attributes:
        tool: Version of this plugin.
        mode: As in ``Report``.
        layers: As in ``Report``.
        settings: Each setting that changes verdicts: its value, or a digest of it.
        markers: The project's own markers that stand for sizes.
        commit: The commit that was checked out; empty if unknown.
        shard: The part of a split suite that it is; None if it is not known to be one.
        python: Version of Python.
        platform: ``sys.platform``.
        paths: The paths and node ids of the command line, if they don't cover the whole project.
        options: Other reasons for which not every test was collected, a phrase each.
    """

    tool: str = ""
    mode: str = "strict"
    layers: tuple[str, ...] = ()
    settings: dict[str, str] = {}  # noqa: RUF012 - never changed
    markers: dict[str, str] = {}  # noqa: RUF012 - never changed
    commit: str = ""
    shard: Shard | None = None
    python: str = ""
    platform: str = sys.platform
    paths: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the line's values."""
        digest = _digest(json.dumps(self.settings, sort_keys=True))
        return {
            "recording": VERSION,
            **self._asdict(),
            "tool": {"name": "pytest-test-categories", "version": self.tool},
            "settings": {"digest": digest, **self.settings},
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Header:
        """Return the header from the values of ``to_dict``."""
        known: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
        settings = {key: value for key, value in data["settings"].items() if key != "digest"}
        shard = None if data["shard"] is None else Shard(*data["shard"])
        known |= {"tool": data["tool"]["version"], "settings": settings, "shard": shard}
        return cls(**{key: value for key, value in known.items() if key in cls._fields})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


def digest_of(values: Iterable[object]) -> str:
    """Return a short text that differs where the values of a setting do; empty for no values."""
    texts = [str(value) for value in values]
    return _digest("\n".join(texts)) if texts else ""


# -- the collected tests ---------------------------------------------------------------------------------------------


def packed(collected: Collected) -> str:
    """Return the collected tests as compressed text: tens of thousands of node ids repeat each other."""
    data = json.dumps(collected, separators=(",", ":")).encode()
    return base64.b64encode(zlib.compress(data)).decode()


@functools.lru_cache(maxsize=8)  # shards of a split suite collect the same tests
def unpacked(text: str) -> Collected:
    """Return the collected tests from the text of ``packed``."""
    ids, sizes, fixtures, uses, sets, targets = json.loads(zlib.decompress(base64.b64decode(text)))
    return Collected(
        tuple(ids),
        tuple(map(sys.intern, sizes)),
        tuple(Use(*use) for use in fixtures),
        tuple(map(tuple, uses)),
        tuple(sets),
        tuple(map(tuple, targets)),
    )


def publishable_collected(collected: Collected, shown: Callable[[str], str]) -> Collected:
    """Return the collected tests in a form that is safe to publish.

    Args:
        collected: The tests.
        shown: Returns a path relative to the root directory if it is below it; other paths are left out.
    """

    def inside(path: str) -> str:
        found = shown(path)
        return "" if os.path.isabs(found) else found

    def target(values: tuple[Any, ...]) -> tuple[Any, ...]:
        node, size, current, module, function, classes, observed = values
        function = [(inside(file), name) for file, name in function]
        classes = [[(inside(file), name) for file, name in level] for level in classes]
        return node, size, current, inside(module), function, classes, observed

    return collected._replace(
        ids=tuple(map(published_id, collected.ids)),
        fixtures=tuple(
            use._replace(name=publishable(use.name), home=relative_place(use.home), place=relative_place(use.place))
            for use in collected.fixtures
        ),
        targets=tuple(map(target, collected.targets)),
    )


def runs_of(flags: Iterable[bool]) -> list[int]:
    """Return flags as the lengths of their runs, beginning with those that are not set."""
    lengths = [(flag, sum(1 for _ in group)) for flag, group in groupby(flags)]
    return [*([0] if lengths and lengths[0][0] else []), *(length for _, length in lengths)]


def numbers_in(lengths: Sequence[int]) -> Iterator[int]:
    """Yield the indices of the flags that are set, from the result of ``runs_of``."""
    at = 0
    for position, length in enumerate(lengths):
        if position % 2:
            yield from range(at, at + length)
        at += length


# -- writing ---------------------------------------------------------------------------------------------------------


class Writer:
    """Appends to a recording; where that fails it stops, and keeps the reason.

    Guarantees: a line is in the file, whole, when the call that writes it returns, as long as the machine lives. No
    call raises for what the system refuses.

    Attributes:
        path: The path, as it was given.
        error: Why nothing more is written; empty if all was.
    """

    def __init__(self, path: str, place: str) -> None:
        self.path = path
        self.error = ""
        self._place = place
        self._file: Any = None
        self._numbers: dict[tuple[str, ...], tuple[int, int]] = {}  # and the counts
        self._accesses = 0

    def begin(self, header: Header) -> None:
        """Create the file with its first line; an older recording is replaced."""
        try:
            os.makedirs(os.path.dirname(os.path.abspath(self._place)), exist_ok=True)
            # No buffer: what a killed process has written is in the file.
            self._file = open(self._place, "wb", buffering=0)  # noqa: SIM115 - open until the run ends
        except OSError as error:
            self.error = str(error)
        self._write(header.to_dict())

    def collected(self, tests: Collected, selected: Sequence[int], deselected: Sequence[int]) -> None:
        """Write which tests were collected; ``selected`` and ``deselected`` as ``runs_of`` returns them."""
        line = {
            "collected": len(tests.ids),
            "digest": _digest("\n".join(tests.ids)),
            "tests": packed(tests),
            "selected": selected,
            "deselected": deselected,
        }
        self._write(line)

    def test(self, case: Case, *, gave_up_as_expected: bool = False) -> None:
        """Write that a test has ended; a later line of the same test replaces an earlier one."""
        case = case.published()
        line: dict[str, Any] = {"test": case.id}
        line |= {key: value for key, value in case._asdict().items() if value != _CASE[key]}
        if line.get("outcome") == "passed":  # most tests
            del line["outcome"]
        elif "outcome" not in line:
            line["outcome"] = case.outcome
        if case.file == case.id.partition("::")[0]:
            line.pop("file", None)
        del line["id"]
        if gave_up_as_expected:
            line["expected"] = True
        self._write(line)

    def access(self, violation: Violation) -> None:
        """Write an attempt; a record that a later report repeats with a higher count keeps its number."""
        if violation.verdict in _MILD:
            number = self._accesses = self._accesses + 1
        else:
            known = (violation.kind, violation.verdict, violation.fixture, violation.process, *violation.key)
            number, count = self._numbers.get(known, (0, 0))
            if count >= violation.count:  # several reports of a test have its record
                return
            if not number:
                number = self._accesses = self._accesses + 1
            self._numbers[known] = (number, violation.count)
        shown = published(violation)._replace(because=publishable(violation.because))
        line: dict[str, Any] = {"access": number}
        line |= {key: value for key, value in shown._asdict().items() if value != _DEFAULTS[key]}
        if Entry.of(shown) != Entry.of(violation):
            line["redacted"] = True
        self._write(line)

    def end(
        self, unwatched: Mapping[str, Mapping[str, int]], why_incomplete: Sequence[str], reasons: Sequence[str]
    ) -> None:
        """Write the last lines.

        Args:
            unwatched: The programs that no layer watched, by test.
            why_incomplete: The reasons why not every test of the project ran to its end.
            reasons: Those of them that are not the choice of tests, such as a worker that crashed.
        """
        for test, programs in unwatched.items():
            shown: dict[str, int] = {}
            for program, count in programs.items():
                name = program_of(program)
                shown[name] = shown.get(name, 0) + count
            self._write({"unwatched": published_id(test), "programs": shown})
        why = list(map(publishable, why_incomplete))
        self._write({"complete": not why, "why_incomplete": why, "reasons": list(map(publishable, reasons))})
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()

    def _write(self, values: dict[str, Any]) -> None:
        if self.error:
            return
        data = json.dumps(values, separators=(",", ":")).encode() + b"\n"
        try:
            while data:
                data = data[self._file.write(data) :]
        except (OSError, ValueError) as error:  # ValueError: a test has closed the descriptor's file
            self.error = str(error)


# -- reading ---------------------------------------------------------------------------------------------------------


class Recording:
    """What a recording says.

    Attributes:
        name: The path, as it was given.
        header: The first line.
        collected: The tests that were collected.
        selected: The ids of those that were to run.
        deselected: The ids of those that an option such as ``-k`` left out, unlike those left to other shards.
        tests: The tests that ran.
        gave_up_as_expected: As in ``Findings``.
        violations: The attempts, each once.
        redacted: Entries of the baseline that are not what the run would list.
        unwatched: As in ``Findings``.
        reasons: Why tests did not run to the end, beside their choice.
        ended: Whether the run came to its end.
    """

    def __init__(self, name: str, header: Header) -> None:
        self.name = name
        self.header = header
        self.collected = Collected()
        self.selected: set[str] = set()
        self.deselected: set[str] = set()
        self.tests: dict[str, Case] = {}
        self.gave_up_as_expected: set[str] = set()
        self.redacted: set[Entry] = set()
        self.unwatched: dict[str, dict[str, int]] = {}
        self.reasons: tuple[str, ...] = ()
        self.ended = False
        self._accesses: dict[int, Violation] = {}

    @property
    def violations(self) -> Collection[Violation]:
        """The attempts, each once."""
        return self._accesses.values()

    def __str__(self) -> str:
        """Return the name for messages."""
        shard = self.header.shard
        return self.name if shard is None else f"{self.name} (shard {shard})"

    @classmethod
    def load(cls, path: str) -> Recording:
        """Read a recording; a last line that is cut off is ignored, since the run was killed.

        Raises:
            RecordingError: It can't be read, is no recording, is damaged or has a newer version.
        """
        try:
            with open(path, "rb") as file:
                return cls._read(path, file)
        except OSError as error:
            raise RecordingError(f"{path} can't be read: {error.strerror or error}") from None

    @classmethod
    def _read(cls, path: str, lines: Iterable[bytes]) -> Recording:
        found: Recording | None = None
        for number, line in enumerate(lines, 1):
            if found is not None and not line.endswith(b"\n"):
                break
            try:
                data = json.loads(line.decode())
                if found is None:
                    version = data["recording"]
                    if type(version) is int and version > VERSION:
                        raise RecordingError(
                            f"{path} is of version {version}, and this plugin reads {VERSION}: install a newer one"
                        )
                    found = cls(path, Header.from_dict(data))
                else:
                    found._take(data)
            except RecordingError:
                raise
            except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, zlib.error):
                if found is None:
                    break
                raise RecordingError(f"{path} is damaged at line {number}: record the run again") from None
        if found is None:
            raise RecordingError(f"{path} is no recording: --network-report=FILE.jsonl writes one")
        return found

    def _take(self, data: dict[str, Any]) -> None:
        if "access" in data:
            self._take_access(data)
        elif "collected" in data:
            self.collected = unpacked(data["tests"])
            ids = self.collected.ids
            self.selected = {ids[number] for number in numbers_in(data["selected"])}
            self.deselected = {ids[number] for number in numbers_in(data["deselected"])}
        elif "unwatched" in data:
            self.unwatched[data["unwatched"]] = data["programs"]
        elif "test" in data:
            node = data["test"]
            self.tests[node] = Case(
                node,
                data.get("size", ""),
                data.get("file", node.partition("::")[0]),
                data.get("line", 0),
                data.get("outcome", "passed"),
                data.get("seconds", 0.0),
            )
            (self.gave_up_as_expected.add if data.get("expected") else self.gave_up_as_expected.discard)(node)
        elif "complete" in data:
            self.reasons = tuple(data["reasons"])
            self.ended = True

    def _take_access(self, data: dict[str, Any]) -> None:
        violation = Violation.from_dict(_DEFAULTS | data)
        number = data["access"]
        before = self._accesses.get(number)
        if before is None or violation.count > before.count:
            self._accesses[number] = violation
        if data.get("redacted"):
            self.redacted.add(Entry.of(violation))


def published_entry(entry: Entry) -> Entry:
    """Return an entry of the baseline as the accesses of a recording have it."""
    from pytest_test_categories._report.published import published_target

    return Entry(published_id(entry.test), entry.kind, stable_target(published_target(entry.target)))
