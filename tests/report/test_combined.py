"""Recordings that are combined are what one run would have found."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_test_categories._host.checkout import Shard, commit_of, shard_of
from pytest_test_categories._report.combined import combine, differences
from pytest_test_categories._report.findings import Collected, Findings, Use
from pytest_test_categories._report.model import Case
from pytest_test_categories._report.published import published
from pytest_test_categories._report.recording import (
    Header,
    Recording,
    RecordingError,
    Writer,
    numbers_in,
    packed,
    runs_of,
    unpacked,
)
from pytest_test_categories._rules.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA: Final = json.loads((Path(__file__).parents[2] / "docs/reference/recording.schema.json").read_text("utf-8"))
OUTCOMES: Final = ("passed", "failed", "skipped", "xfailed", "xpassed", "error")
TEXTS: Final = st.sampled_from(["", "src/a.py:3", "/home/me/b.py:4", "GET https://u:p@h.example/?q=1", "Thread-7 (x)"])


class World:
    """A suite whose tests reach for the same things in whichever run they are."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        files = [f"{folder}/test_{n}.py" for folder in ("a", "b/c", "d") for n in range(rng.randint(1, 3))]
        self.fixtures = (
            Use("db (session)"),
            Use("db (session)", "b"),
            Use("web (module)"),
            Use("p (session)", parameter=1),
        )
        self.cases, self.uses, self.own = {}, {}, {}
        for file in sorted(files):
            for number in range(rng.randint(1, 5)):
                node = f"{file}::test_{number}" + rng.choice(["", "[1]", "[a::b]"])
                self.cases[node] = Case(
                    node, rng.choice(["", "small", "medium"]), file, number + 1, rng.choice(OUTCOMES), 0.1
                )
                self.uses[node] = tuple(n for n in range(len(self.fixtures)) if rng.random() < 0.3)
                verdicts = rng.choices(["permitted", "refused", "known", "warned"], k=rng.randint(0, 3))
                self.own[node] = [
                    Violation(
                        node,
                        "small",
                        "connect",
                        f"h{n}.example:1",
                        location=f"{file}:9",
                        verdict=v,
                        count=n + 1,
                        needs="large",
                    )
                    for n, v in enumerate(verdicts)
                ]
        self.nodes = list(self.cases)
        self.imports = {
            file: Violation(file, "", "lookup", "i.example:2", importing=file, verdict="refused") for file in files
        }
        self.conftest = Violation("conftest.py", "", "lookup", "c.example:2", importing="conftest", verdict="permitted")
        self.programs = {node: {"curl": 2} for node in self.nodes if rng.random() < 0.2}

    def violations(self, nodes: Sequence[str], collected: Sequence[str]) -> list[Violation]:
        """Return what a process that runs some tests sees: it sets each fixture up for the first of them."""
        seen = [self.conftest, *(self.imports[file] for file in dict.fromkeys(n.partition("::")[0] for n in collected))]
        there: set[tuple[str, ...]] = set()
        for node in nodes:
            seen += self.own[node]
            for number in self.uses[node]:
                use = self.fixtures[number]
                key = (str(number), node.partition("::")[0] if "module" in use.name else "")
                if key not in there:
                    there.add(key)
                    seen.append(
                        Violation(
                            node, "small", "connect", "db.example:5", fixture=use.name, fixture_home=use.home,
                            location=f"conftest.py:{number}",
                            verdict="refused", held_by=node, needs="large",
                        )
                    )  # fmt: skip
        return seen

    def collected(self, nodes: Sequence[str]) -> Collected:
        return Collected(
            tuple(nodes),
            tuple(self.cases[node].size for node in nodes),
            self.fixtures,
            tuple(self.uses[node] for node in nodes),
        )

    def record(self, path: Path, nodes: Sequence[str], collected: Sequence[str], **facts: Any) -> Recording:
        writer = Writer(path.name, str(path))
        writer.begin(Header(layers=("audit hook",), python="3.12", **facts))
        writer.collected(self.collected(collected), runs_of(n in nodes for n in collected), [])
        for violation in self.violations(nodes, collected):
            writer.access(violation)
        for node in nodes:
            writer.test(self.cases[node])
        writer.end({node: self.programs[node] for node in nodes if node in self.programs}, [], [])
        assert not writer.error
        return Recording.load(str(path))

    def findings(self) -> Findings:
        """Return what one process finds."""
        return Findings(
            self.cases,
            self.violations(self.nodes, self.nodes),
            unwatched=self.programs,
            collected=self.nodes,
            uses={node: tuple(self.fixtures[n] for n in uses) for node, uses in self.uses.items()},
            layers=("audit hook",),
        )


def _dealt(nodes: Sequence[str], parts: int, rng: random.Random) -> list[list[str]]:
    hands: list[list[str]] = [[] for _ in range(parts)]
    for node in nodes:
        rng.choice(hands).append(node)
    return hands


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**9), parts=st.integers(1, 6), by_path=st.booleans())
def test_any_cut_of_a_suite_gives_the_report_of_one_run(seed: int, parts: int, by_path: bool, tmp_path: Path) -> None:
    world, rng = World(seed), random.Random(seed)
    hands = _dealt(world.nodes, parts, rng)
    recordings = [
        world.record(
            tmp_path / f"{n}.jsonl", hand, hand if by_path else world.nodes,
            shard=Shard(n, parts) if parts > 1 else None, paths=("a",) if by_path else (),
        )
        for n, hand in enumerate(hands, 1)
    ]  # fmt: skip
    rng.shuffle(recordings)
    found = combine(recordings, parts)
    assert found.findings.report().to_dict() == world.findings().report().to_dict()
    assert not found.missing
    assert not found.notes
    assert combine([*recordings, *recordings], parts).findings.report().to_dict() == world.findings().report().to_dict()


def test_what_no_recording_has_is_missing(tmp_path: Path) -> None:
    world = World(1)
    first, rest = world.nodes[:2], world.nodes[2:]
    one = world.record(tmp_path / "1.jsonl", first, world.nodes, shard=Shard(1, 3))
    three = world.record(tmp_path / "3.jsonl", rest[1:], world.nodes, shard=Shard(3, 3))
    found = combine([one, three])
    assert found.missing == ("shard 2 of 3 is missing", "no recording has these tests: 1", f"  {rest[0]}")
    assert found.findings.why_incomplete == ("shard 2 of 3 is missing", "1 test did not run to the end")
    assert combine([one], expect=4).missing[:3] == (
        "shard 2 of 3 is missing",
        "shard 3 of 3 is missing",
        "3 recordings of 4 missing",
    )


def test_a_test_with_different_outcomes_is_told_and_the_failure_counts(tmp_path: Path) -> None:
    world = World(2)
    node = world.nodes[0]
    world.cases[node] = world.cases[node]._replace(outcome="passed")
    one = world.record(tmp_path / "1.jsonl", world.nodes, world.nodes)
    world.cases[node] = world.cases[node]._replace(outcome="failed")
    two = world.record(tmp_path / "2.jsonl", world.nodes, world.nodes)
    for pair in ([one, two], [two, one]):
        found = combine(pair)
        assert found.findings.tests[node].outcome == "failed"
        assert found.notes[0] == "with different outcomes: 1"
        assert node in found.notes[1]
        assert str(tmp_path / "2.jsonl") in found.notes[1]


def test_other_commits_and_settings_do_not_belong_together(tmp_path: Path) -> None:
    world = World(3)

    def recorded(name: str, **facts: Any) -> Recording:
        return world.record(tmp_path / name, world.nodes, world.nodes, **facts)

    one = recorded("1.jsonl", commit="a" * 40, settings={"test_categories_network_allow": "1"})
    assert not differences([one, recorded("2.jsonl", commit="", settings=one.header.settings)])
    other = differences([one, recorded("3.jsonl", commit="b" * 40, settings={"test_categories_network_allow": "2"})])
    assert [line.partition(":")[0] for line in other] == ["other commits", "other settings"]
    assert "test_categories_network_allow" in other[1]


def test_weaker_layers_are_told_and_not_reported(tmp_path: Path) -> None:
    world = World(4)
    one = world.record(tmp_path / "1.jsonl", world.nodes, world.nodes)
    two = world.record(tmp_path / "2.jsonl", world.nodes, world.nodes)
    two.header = two.header._replace(layers=("audit hook", "kernel"))
    found = combine([two, one])
    assert found.notes == (f"{one} watched less: without kernel",)
    assert found.findings.layers == ("audit hook",)


def test_a_recording_that_is_cut_off_anywhere_keeps_the_whole_lines_before(tmp_path: Path) -> None:
    world = World(5)
    path = tmp_path / "r.jsonl"
    whole = world.record(path, world.nodes, world.nodes)
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    cut = tmp_path / "cut.jsonl"
    for size in range(len(lines[0]), len(data), 37):
        cut.write_bytes(data[:size])
        found = Recording.load(str(cut))
        assert not found.ended
        assert found.tests.items() <= whole.tests.items()
    cut.write_bytes(b"".join(lines[:-1]))
    found = Recording.load(str(cut))
    assert found.tests == whole.tests
    assert combine([found]).findings.why_incomplete == (f"{cut} ends early",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "is no recording", id="empty"),
        pytest.param('{"a": 1}\n', "is no recording", id="other lines"),
        pytest.param("[]\n", "is no recording", id="a list"),
        pytest.param('{"recording": 99}\n', "is of version 99, and this plugin reads 1", id="newer"),
    ],
)
def test_other_files_are_refused_in_one_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text)
    with pytest.raises(RecordingError, match=said) as refused:
        Recording.load(str(path))
    assert "\n" not in str(refused.value)


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    world = World(6)
    path = tmp_path / "r.jsonl"
    world.record(path, world.nodes, world.nodes)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"{broken\n", *lines[2:]]))
    with pytest.raises(RecordingError, match="damaged at line 3"):
        Recording.load(str(path))


@given(
    st.builds(
        Violation,
        *[TEXTS] * 4,
        **dict.fromkeys(("location", "thread", "process", "fixture", "request", "guard"), TEXTS),
    )
)
def test_what_is_published_stays_as_it_is(violation: Violation) -> None:
    assert published(published(violation)) == published(violation)


@given(st.lists(st.booleans()))
def test_runs_of_flags_are_lossless(flags: list[bool]) -> None:
    assert list(numbers_in(runs_of(flags))) == [number for number, flag in enumerate(flags) if flag]


def test_collected_tests_are_lossless(tmp_path: Path) -> None:
    world = World(7)
    tests = world.collected(world.nodes)._replace(sets=(0,), targets=(("a::b", "", "", "a", (("a", "b"),), (), True),))
    found = unpacked(packed(tests))
    assert found[:-1] == tests[:-1]
    assert json.dumps(found.targets) == json.dumps(tests.targets)


def test_every_line_matches_the_schema_and_hides_secrets(tmp_path: Path) -> None:
    world = World(8)
    node = world.nodes[0]
    secret = Violation(
        f"{node}[https://bob:hunter2@x.example/?k=1]", "small", "connect", "x.example:1", location="/home/me/a/b.py:1"
    )
    world.own[node] = [secret, secret._replace(count=4)]
    path = tmp_path / "r.jsonl"
    found = world.record(path, world.nodes, world.nodes, shard=Shard(1, 2), commit="c" * 40)
    text = path.read_text()
    for line in text.splitlines():
        jsonschema.validate(json.loads(line), SCHEMA)
    assert "hunter2" not in text
    assert "/home/me" not in text
    assert [v.count for v in found.violations if v.target == "x.example:1"] == [4]
    assert len(found.redacted) == 1


def test_a_test_that_reaches_for_nothing_takes_less_than_150_bytes(tmp_path: Path) -> None:
    world = World(9)
    nodes = [f"tests/unit/test_{n // 20}.py::test_that_something_holds_{n}" for n in range(1000)]
    world.cases = {n: Case(n, "small", n.partition("::")[0], 12, "passed", 0.0123) for n in nodes}
    world.uses, world.own = dict.fromkeys(nodes, ()), {n: [] for n in nodes}
    world.imports = {n.partition("::")[0]: world.conftest for n in nodes}
    path = tmp_path / "r.jsonl"
    world.record(path, nodes, nodes)
    assert path.stat().st_size < 150 * len(nodes)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_disk_that_is_full_raises_nothing() -> None:
    writer = Writer("r.jsonl", "/dev/full")
    writer.begin(Header())
    writer.test(Case("a.py::test_a"))
    writer.end({}, [], [])
    assert "No space left" in writer.error


@pytest.mark.parametrize(
    ("environment", "shard"),
    [
        pytest.param({"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "3"}, Shard(1, 3), id="GitLab counts from 1"),
        pytest.param({"CIRCLE_NODE_INDEX": "0", "CIRCLE_NODE_TOTAL": "3"}, Shard(1, 3), id="CircleCI counts from 0"),
        pytest.param({"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "1"}, None, id="the only one"),
        pytest.param({"CI_NODE_INDEX": "4", "CI_NODE_TOTAL": "3"}, None, id="out of range"),
        pytest.param({"CI_NODE_INDEX": "x", "CI_NODE_TOTAL": "3"}, None, id="no number"),
    ],
)
def test_ci_services_name_the_shard(environment: dict[str, str], shard: Shard | None) -> None:
    assert shard_of(environment) == shard


def test_the_commit_is_read_without_git(tmp_path: Path) -> None:
    commit, git = "0123456789abcdef" * 2 + "01234567", tmp_path / "repo/.git"
    below = tmp_path / "repo/sub/dir"
    below.mkdir(parents=True)
    assert commit_of(str(below), {"GITHUB_SHA": commit}) in {commit, commit_of(str(tmp_path), {})}
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text(f"# pack-refs\n{commit} refs/heads/main\n")
    assert commit_of(str(below), {}) == commit
    loose = commit[::-1]
    (git / "refs/heads").mkdir(parents=True)
    (git / "refs/heads/main").write_text(f"{loose}\n")
    assert commit_of(str(below), {"GITHUB_SHA": commit}) == loose
    tree = git / "worktrees/w"
    tree.mkdir(parents=True)
    (tree / "HEAD").write_text(f"{commit}\n")
    (tree / "commondir").write_text("../..\n")
    other = tmp_path / "w"
    other.mkdir()
    (other / ".git").write_text(f"gitdir: {tree}\n")
    assert commit_of(str(other), {}) == commit
    (tree / "HEAD").write_text("ref: refs/heads/main\n")
    assert commit_of(str(other), {}) == loose
