"""The baseline: its file, and what a run is held against it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from pytest_test_categories._report.baseline import Baseline, BaselineError, Entry, compare, origin, plain_id, updated
from pytest_test_categories._rules.address import stable_target
from pytest_test_categories._rules.violation import Violation

if TYPE_CHECKING:
    from pathlib import Path

A = Entry("tests/test_a.py::test_one", "connect", "api.example.com:443")
B = Entry("tests/test_a.py::test_two[ünï::cödé]", "lookup", "db.example.com:5432")
C = Entry("fixture db (session)", "connect", "localhost:5432")


def gone_never(_entry: Entry) -> bool:
    return False


def test_a_baseline_is_read_as_it_was_written() -> None:
    assert Baseline.parse(Baseline([A, B, C]).text()).entries == {A, B, C}
    assert Baseline.parse(Baseline().text()).entries == set()


def test_the_text_does_not_depend_on_the_order() -> None:
    texts = {Baseline(order).text() for order in itertools.permutations([A, B, C])}
    assert len(texts) == 1
    assert len(texts.pop().splitlines()) == 3 + 3  # a line for each, and three around them


def test_a_merge_conflict_is_resolved_by_taking_both_sides() -> None:
    ours, theirs = Baseline([A, C]).text().splitlines(), Baseline([B, C]).text().splitlines()
    both = [*ours[:-2], *theirs[1:]]  # ours up to the end of the list, then all of theirs
    assert Baseline.parse("\n".join(both)).entries == {A, B, C}
    swapped = [*theirs[:-2], *ours[1:]]
    assert Baseline.parse("\n".join(swapped)).entries == {A, B, C}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("", "is damaged", id="empty"),
        pytest.param(Baseline([A]).text()[:40], "is damaged", id="cut-short"),
        pytest.param("[1, 2]", "is no network baseline", id="another-file"),
        pytest.param('{"version": 1}', "is no network baseline", id="no-list"),
        pytest.param('{"version": 2, "violations": {}}', "is of version 2", id="newer"),
        pytest.param('{"version": 1, "violations": [["a", "b"]]}', "is damaged at", id="short-line"),
        pytest.param('{"version": 1, "violations": [["a", "b", 3]]}', "is damaged at", id="odd-line"),
        pytest.param("<<<<<<< HEAD\n" + Baseline([A]).text(), "merge conflict", id="conflict"),
    ],
)
def test_a_file_that_cannot_be_used_says_what_to_do(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "network-baseline.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BaselineError, match=says) as raised:
        Baseline.load(str(file))
    assert any(word in str(raised.value) for word in ("--network-baseline-update", "install", "keep the lines"))


def test_a_missing_file_says_how_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="does not exist: make it with --network-baseline-update"):
        Baseline.load(str(tmp_path / "none.json"))


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BaselineError, match="can't be read"):
        Baseline.load(str(file))


def test_a_fixture_has_entries_of_its_own() -> None:
    violation = Violation(A.test, "small", "connect", C.target, fixture="db (session)")
    assert Entry.of(violation) == C
    assert Baseline([A, C]).of(A.test) == {("connect", A.target)}
    assert Baseline([A, C]).of(A.test, "db (session)") == {("connect", C.target)}
    assert (A.file, C.file) == ("tests/test_a.py", "")


@pytest.mark.parametrize(
    ("test", "plain"),
    [
        ("tests/t.py::test_one@db", "tests/t.py::test_one"),
        ("tests/t.py::TestA::test_one[a@b]@my group", "tests/t.py::TestA::test_one[a@b]"),
        ("tests/t.py::test_one[a@b]", "tests/t.py::test_one[a@b]"),
        ("tests/t.py::test_one[a::b@c]@db", "tests/t.py::test_one[a::b@c]"),
        ("a@b/t.py::test_one", "a@b/t.py::test_one"),
        ("a@b.py", "a@b.py"),
    ],
)
def test_groups_of_xdist_are_no_part_of_a_test(test: str, plain: str) -> None:
    assert plain_id(test) == plain


def test_a_fixture_of_a_module_or_class_is_that_modules_or_classs_own() -> None:
    test = "tests/t.py::TestA::test_one[a::b]"
    assert origin(test, "db (session)") == "fixture db (session)"
    assert origin(test, "db (module)") == "fixture tests/t.py::db (module)"
    assert origin(test, "db (class)") == "fixture tests/t.py::TestA::db (class)"


@pytest.mark.parametrize(
    ("target", "stable"),
    [
        ("127.0.0.1:5432", "127.0.0.1:5432"),
        ("127.0.0.1:43210", "127.0.0.1:*"),
        ("[::1]:43210", "[::1]:*"),
        ("localhost:60000", "localhost:*"),
        ("db.example.com:60000", "db.example.com:60000"),
        ("198.51.100.1:60000", "198.51.100.1:60000"),
        ("unix:/tmp/pytest-of-me/pytest-12/test_a0/s", "unix:.../test_a0/s"),
        ("unix:/tmp/pytest-of-me/pytest-12/popen-gw1/test_a0/s", "unix:.../test_a0/s"),
        ("unix:/tmp/pytest-of-me/pytest-12/test_a0/tmpa_b3c4d5/s", "unix:.../test_a0/tmp*/s"),
        ("unix:/tmp/pymp-149ns4tl/listener-t9znl8wg", "unix:/tmp/pymp-*/listener-*"),
        ("unix:/var/folders/x1/abc_def/T/pymp-149ns4tl/s", "unix:/var/folders/x1/abc_def/T/pymp-*/s"),
        ("unix:/tmp/.s.PGSQL.5432", "unix:/tmp/.s.PGSQL.5432"),
        ("unix:/run/app-instance/s", "unix:/run/app-instance/s"),
        ("unix:/var/run/docker.sock", "unix:/var/run/docker.sock"),
    ],
)
def test_a_port_that_the_system_chose_is_any_port(target: str, stable: str) -> None:
    assert stable_target(target) == stable
    assert Entry.of(Violation("t", "small", "connect", target)).target == stable


def test_a_byte_order_mark_before_the_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text("\ufeff" + Baseline([A]).text(), encoding="utf-8")
    assert Baseline.load(str(tmp_path / "b.json")).entries == {A}


def test_only_what_is_not_listed_is_new() -> None:
    found = compare(Baseline([A]), [A, B], passed=(), gone=gone_never, whole=True)
    assert (found.known, found.new, found.stale) == ((A,), (B,), ())


def test_an_entry_is_stale_once_its_test_has_passed_without() -> None:
    base = Baseline([A, B])
    assert compare(base, [], passed={A.test}, gone=gone_never, whole=False).stale == (A,)
    assert compare(base, [A], passed={A.test}, gone=gone_never, whole=False).stale == ()
    assert compare(base, [], passed=(), gone=gone_never, whole=True).stale == ()


def test_an_entry_is_stale_when_its_test_is_gone() -> None:
    found = compare(Baseline([A, B]), [], passed=(), gone=lambda entry: entry == B, whole=False)
    assert found.stale == (B,)


def test_a_fixtures_entry_is_stale_after_a_whole_run_only() -> None:
    for whole in (True, False):
        found = compare(Baseline([C]), [], passed=(), gone=gone_never, whole=whole)
        assert bool(found.stale) is whole


def test_an_imports_entry_is_stale_after_a_whole_run_or_with_its_file() -> None:
    module = Entry("tests/test_a.py", "connect", "localhost:5432")
    for whole in (True, False):
        assert bool(compare(Baseline([module]), [], passed=(), gone=gone_never, whole=whole).stale) is whole
    assert compare(Baseline([module]), [], passed=(), gone=lambda _: True, whole=False).stale == (module,)


def test_a_renamed_test_is_told_apart_from_a_fixed_one() -> None:
    renamed = A._replace(test="tests/test_a.py::test_uno")
    elsewhere = A._replace(test="tests/test_b.py::test_uno")
    found = compare(Baseline([A]), [renamed], passed=(), gone=lambda entry: entry == A, whole=False)
    assert (found.stale, found.renamed, found.new) == ((), ((A, renamed.test),), (renamed,))
    found = compare(Baseline([A]), [elsewhere], passed=(), gone=lambda entry: entry == A, whole=False)
    assert (found.stale, found.renamed) == ((A,), ())


def test_one_new_test_is_the_heir_of_one_old_one() -> None:
    old = [A._replace(test=f"tests/test_a.py::test_old{number}") for number in (1, 2)]
    new = A._replace(test="tests/test_a.py::test_new")
    found = compare(Baseline(old), [new], passed=(), gone=lambda _: True, whole=True)
    assert found.renamed == ((old[0], new.test),)
    assert found.stale == (old[1],)


def test_an_update_takes_what_is_new_and_drops_what_is_over() -> None:
    base = Baseline([A, C])
    found = compare(base, [B], passed={A.test}, gone=gone_never, whole=False)
    assert updated(base, found).entries == {B, C}
    again = updated(base, found)
    assert updated(again, compare(again, [B], passed={A.test}, gone=gone_never, whole=False)).entries == {B, C}


def test_what_a_look_up_leads_to_is_part_of_it() -> None:
    connect = Entry(B.test, "connect", "db.example.com:5432")
    base = Baseline([B])
    found = compare(base, [B, connect], passed={B.test}, gone=gone_never, whole=True)
    assert (found.new, found.stale) == ((), ())
    assert updated(Baseline(), compare(Baseline(), [B, connect], passed=(), gone=gone_never, whole=True)).entries == {B}


def test_a_file_is_written_whole_and_only_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "network-baseline.json"
    Baseline([A]).save(str(file))
    before = file.stat().st_mtime_ns, file.stat().st_ino
    Baseline([A]).save(str(file))
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before
    Baseline([A, B]).save(str(file))
    assert Baseline.load(str(file)).entries == {A, B}
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]
