"""The model of a report: what it adds up, and what of it may be published."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.report.samples import big_report, small_report

from pytest_test_categories._report import html, markdown
from pytest_test_categories._report.model import (
    BREACHES,
    MEANINGS,
    SYMBOLS,
    VERDICTS,
    VERSION,
    Access,
    Case,
    Position,
    Report,
    position_of,
)
from pytest_test_categories._report.published import program_of, redacted, relative_place
from pytest_test_categories._rules.address import printable
from pytest_test_categories._rules.violation import Violation

ORDERS = "tests/test_orders.py"
USERS = "tests/test_users.py"


def access(test: str = f"{USERS}::test_a", verdict: str = "refused", needs: str = "large", **facts: object) -> Access:
    facts = {"size": "small", "kind": "connect", "target": "api.example.com:443"} | facts
    return Access(Violation(test=test, **facts), verdict, needs)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "published"),
    [
        pytest.param("api.example.com:443", "api.example.com:443", id="no URL"),
        pytest.param("https://bob:secret@host/", "https://...@host/", id="user and password"),
        pytest.param("https://bob:se@cret@host/", "https://...@host/", id="@ in the password"),
        pytest.param("https://bob:se'cr]et@host/", "https://...@host/", id="marks in the password"),
        pytest.param("https://host/?q='secret'&r=[s]", "https://host/?...]", id="marks in the query"),
        pytest.param("https://host/?a=1 and more", "https://host/?... and more", id="in a sentence"),
        pytest.param("https://host/@scope/a", "https://host/@scope/a", id="@ in the path"),
        pytest.param("https://bob@host", "https://...@host", id="user"),
        pytest.param("https://host/path?key=1&b=2", "https://host/path?...", id="query"),
        pytest.param("https://host#token=1", "https://host?...", id="fragment"),
        pytest.param("test_a[postgresql://u:p@db/x?y=1]", "test_a[postgresql://...@db/x?...]", id="in a node id"),
        pytest.param("a://u:p@b c://d:e@f", "a://...@b c://...@f", id="two"),
    ],
)
def test_urls_lose_users_passwords_and_queries(text: str, published: str) -> None:
    assert redacted(text) == published
    assert redacted(published) == published


@pytest.mark.parametrize(
    ("place", "published"),
    [
        pytest.param("src/a.py:3", "src/a.py:3", id="relative"),
        pytest.param("/home/bob/lib/a.py:3", ".../lib/a.py:3", id="absolute"),
        pytest.param("C:\\Users\\bob\\lib\\a.py:3", ".../lib/a.py:3", id="Windows"),
        pytest.param("\\\\server\\share\\lib\\a.py:3", ".../lib/a.py:3", id="UNC"),
        pytest.param("src\\a.py:3", "src/a.py:3", id="backslashes"),
        pytest.param("", "", id="none"),
    ],
)
def test_places_are_never_absolute(place: str, published: str) -> None:
    assert relative_place(place) == published
    assert relative_place(published) == published


@pytest.mark.parametrize(
    ("target", "published"),
    [
        ("api.example.com:443", "api.example.com:443"),
        ("unix:/var/run/docker.sock", "unix:/var/run/docker.sock"),
        ("unix:@abstract", "unix:@abstract"),
        ("unix:/home/alice/project/run/app.sock", "unix:.../run/app.sock"),
        ("unix:/tmp/pymp-149ns4tl/listener-t9znl8wg", "unix:/tmp/pymp-*/listener-*"),
        ("unix:/tmp/pytest-of-alice/pytest-3/test_a0/s", "unix:.../test_a0/s"),
        ("unix:relative/app.sock", "unix:relative/app.sock"),
    ],
)
def test_of_a_sockets_path_only_what_tells_is_published(target: str, published: str) -> None:
    assert access(target=target).published().violation.target == published
    assert access(target=published).published().violation.target == published


@pytest.mark.parametrize(
    ("process", "program"),
    [
        pytest.param("", "", id="none"),
        pytest.param("child process 12", "a forked child", id="forked"),
        pytest.param("child process 12: /opt/bin/python -c print('secret')", "python", id="Python"),
        pytest.param("child process 12: python -c x\nsecret", "python", id="several lines"),
        pytest.param("/usr/bin/curl -u bob:secret (pid 7, descendant of the test process)", "curl", id="kernel layer"),
        pytest.param("a process (pid 7, descendant of the test process)", "a process", id="nameless"),
        pytest.param("C:\\bin\\tool.exe -p secret", "tool.exe", id="Windows"),
    ],
)
def test_of_a_process_the_program_alone_is_published(process: str, program: str) -> None:
    assert program_of(process) == program
    assert program_of(program) == program


@pytest.mark.parametrize(
    ("place", "position"),
    [
        pytest.param("src/a.py:3", Position("src/a.py", 3), id="relative"),
        pytest.param(".github/check.py:3", Position(".github/check.py", 3), id="hidden directory"),
        pytest.param(".../lib/a.py:3", None, id="outside, absolute"),
        pytest.param("../lib/a.py:3", None, id="outside, relative"),
        pytest.param("<string>:3", None, id="no file"),
        pytest.param("", None, id="none"),
    ],
)
def test_only_files_below_the_root_have_a_position(place: str, position: Position | None) -> None:
    assert position_of(place) == position


def test_control_characters_and_undecodable_bytes_become_escapes() -> None:
    assert printable("a\nb\x1b[31m\udc80\u202e\u2028ü") == "a\\nb\\x1b[31m\\udc80\\u202e\\u2028ü"


PIECES = [
    "://",
    "@",
    "?",
    "#",
    "]",
    "[",
    " ",
    "\n",
    "a",
    "/",
    "\\",
    "::",
    ":3",
    "C:",
    " at ",
    "child process 1: ",
    "\udc80",
    "...",
]
TEXTS = (
    st.lists(st.sampled_from([*PIECES, " (pid 7, descendant of the test process)"]), max_size=9).map("".join)
    | st.text()
)


@st.composite
def accesses(draw: st.DrawFn) -> Access:
    fields = {name: draw(TEXTS) for name in Violation._fields if name not in {"cassette", "count", "size"}}
    violation = Violation(**fields, size=draw(st.sampled_from(["", "small", "medium"])), count=draw(st.integers(1, 9)))  # type: ignore[arg-type]
    return Access(violation, draw(st.sampled_from(VERDICTS)), draw(st.sampled_from(["small", "medium", "large"])))


@settings(deadline=None)
@given(
    st.lists(accesses(), max_size=4), st.lists(TEXTS, max_size=3), st.dictionaries(TEXTS, st.integers(1, 9), max_size=3)
)
def test_what_is_written_reads_back_the_same(found: list[Access], ids: list[str], programs: dict[str, int]) -> None:
    report = Report([Case(text, file=text) for text in ids], found, unwatched=programs, why_incomplete=ids)
    written = json.dumps(report.to_dict())
    assert json.dumps(Report.from_dict(json.loads(written)).to_dict()) == written


@pytest.mark.parametrize("report", [small_report(), big_report(200, 20, 10)], ids=["small", "big"])
def test_samples_read_back_the_same(report: Report) -> None:
    assert Report.from_dict(report.to_dict()).to_dict() == report.to_dict()


def test_a_report_of_another_version_is_not_read() -> None:
    with pytest.raises(ValueError, match=f"version {VERSION + 1}; this version reads {VERSION}"):
        Report.from_dict(small_report().to_dict() | {"version": VERSION + 1})


def test_fields_of_a_later_version_are_passed_over() -> None:
    data = small_report().to_dict()
    data["new"] = data["tests"][0]["new"] = data["accesses"][0]["new"] = 1
    assert Report.from_dict(data).to_dict() == small_report().to_dict()


def test_nothing_secret_is_in_the_data() -> None:
    text = json.dumps(small_report().to_dict())
    assert [word for word in ("secret", "bob", "key=1", "/usr/bin") if word in text] == []


def test_programs_that_nothing_watched_lose_their_arguments_and_add_up() -> None:
    report = Report([], [], unwatched={"/usr/bin/curl -u bob:secret": 2, "curl http://x": 1, "tool": 1})
    assert report.unwatched == {"curl": 3, "tool": 1}


def test_what_several_workers_saw_of_one_access_adds_up() -> None:
    one, other = access(count=2, location="/a/b/c.py:1"), access(count=3, location="/z/b/c.py:1")
    report = Report([], [one, other, access(verdict="warned")])
    assert [(a.verdict, a.violation.count) for a in report.accesses] == [("warned", 1), ("refused", 5)]
    assert Report([], [other, one, access(verdict="warned")]).to_dict() == report.to_dict()


def test_totals_add_up() -> None:
    totals = small_report().totals
    assert sum(totals[verdict] for verdict in VERDICTS) == totals["attempts"] == 10
    assert (totals["tests"], totals["tests_in_breach"], totals["hosts"], totals["late"]) == (7, 4, 7, 1)
    assert (totals["unsized"], totals["unwatched"], totals["tests_on_the_network"]) == (1, 2, 6)


def test_each_way_to_group_holds_each_access_once() -> None:
    report = big_report(300, 20, 10)
    for grouped in (report.by_test, report.by_host, report.by_module):
        assert sorted(a for same in grouped.values() for a in same) == sorted(report.accesses)


def test_hosts_with_the_worst_verdict_come_first() -> None:
    hosts = small_report().hosts
    ranks = [VERDICTS.index(host.worst) for host in hosts]
    assert ranks == sorted(ranks, reverse=True)
    assert (hosts[0].name, hosts[0].breaches, hosts[0].needs) == ("api.example.com", 3, "large")


def test_each_verdict_has_a_sign_and_a_meaning() -> None:
    assert tuple(SYMBOLS) == tuple(MEANINGS) == VERDICTS
    assert len(set(SYMBOLS.values())) == len(VERDICTS)
    assert set(VERDICTS) > BREACHES


def test_sites_name_the_lines_to_change() -> None:
    report = Report(
        [],
        [
            *(
                access(f"{USERS}::test_{n}", location="src/a.py:1", function="f", called_from=f"{USERS}:{n}")
                for n in range(3)
            ),
            access(location="src/b.py:2"),
            access(verdict="warned", location="src/c.py:3", size="medium"),
            access(verdict="permitted", location="src/d.py:4"),
        ],
    )
    assert [(site.where, site.verdict, site.attempts, len(site.tests)) for site in report.sites] == [
        ("src/a.py:1 in f", "refused", 3, 3),
        ("src/b.py:2", "refused", 1, 1),
        ("src/c.py:3", "warned", 1, 1),
    ]
    assert report.sites[0].cures == ("@pytest.mark.large instead: api.example.com is not on this machine",)


@pytest.mark.parametrize(
    ("facts", "position"),
    [
        pytest.param({"location": "src/a.py:1"}, Position("src/a.py", 1), id="the line itself"),
        pytest.param(
            {"location": "/opt/lib/a.py:1", "called_from": f"{USERS}:7"},
            Position(USERS, 7),
            id="what called it, if outside",
        ),
        pytest.param({}, Position(USERS, 5), id="else the test"),
        pytest.param({"test": f"{USERS}::test_other"}, Position(USERS), id="a test that is not listed: its file"),
        pytest.param({"test": "/opt/test_a.py::test_b"}, None, id="outside"),
        pytest.param({"test": "the run"}, None, id="no test at all"),
        pytest.param({"test": "outside"}, None, id="a test outside"),
    ],
)
def test_an_access_is_shown_on_its_line(facts: dict[str, str], position: Position | None) -> None:
    report = Report(
        [Case(f"{USERS}::test_a", "small", USERS, 5), Case("outside", "small", "/opt/test_a.py", 3)], [access(**facts)]
    )
    assert report.position(report.accesses[0]) == position


@pytest.mark.parametrize(
    ("accesses", "headline"),
    [
        pytest.param([], "No network use in 2 tests", id="nothing"),
        pytest.param(
            [access(verdict="permitted")],
            "1 of 2 tests used the network (1 host), and their sizes permit it",
            id="no breach",
        ),
        pytest.param(
            [access(count=2)],
            "1 of 2 tests used more network than their size permits: 2 attempts to 1 host",
            id="breach",
        ),
    ],
)
def test_the_headline_says_how_it_went(accesses: list[Access], headline: str) -> None:
    assert Report([Case("a"), Case("b")], accesses).headline == headline


def test_the_headline_does_not_speak_for_tests_without_a_size() -> None:
    seen = access(verdict="permitted")
    headline = Report([Case(seen.violation.test), Case("b", "small")], [seen]).headline
    assert headline == "1 of 2 tests used the network (1 host); 1 of them without a size"


def test_a_message_says_who_what_and_the_cure() -> None:
    found = {a.violation.target: a.message for a in small_report().breaches}
    assert found["api.example.com:443"].splitlines() == [
        f"{USERS}::test_fetch (small) tried to use api.example.com:443: refused.",
        "with requests; GET https://api.example.com/users/7?...; by a lookup (socket.connect)",
        "with requests, use responses or requests-mock",
        "@pytest.mark.large instead: api.example.com is not on this machine",
    ]
    assert "seen by the kernel layer" in found["<script>alert(1)</script>.example:80"]


def test_a_server_is_said_to_listen() -> None:
    serves = access(kind="bind", target="127.0.0.1:0", location="src/shop/app.py:3")
    report = Report([Case(serves.violation.test, "small")], [serves])
    said = "listen on 127.0.0.1 (any port)"
    assert [site.targets for site in report.sites] == [(said,)]
    assert f" tried to {said}: refused." in serves.message
    assert f"| <code>{said}</code> |" in markdown.render(report)
    assert f'<p>to <b class="name">{said}</b>: 1 attempt' in html.render(report)


def test_a_permitted_access_needs_no_cure() -> None:
    permitted = [a for a in small_report().accesses if not a.is_breach]
    assert permitted
    assert all(a.cures == () for a in permitted)


@pytest.mark.parametrize(
    ("layer", "facts", "notes"),
    [
        pytest.param("python", {}, (), id="Python"),
        pytest.param("audit", {}, ("seen by the audit hook",), id="audit hook"),
        pytest.param("client", {}, ("seen at the entry point of a native client",), id="native client"),
        pytest.param(
            "kernel", {"route": "kernel"}, ("by native code (the kernel layer saw it)",), id="kernel layer, once"
        ),
        pytest.param(
            "kernel", {"route": "kernel", "process": "curl"}, ("in curl", "seen by the kernel layer"), id="program"
        ),
    ],
)
def test_a_note_says_what_saw_it(layer: str, facts: dict[str, str], notes: tuple[str, ...]) -> None:
    assert access(**facts)._replace(layer=layer).notes == notes


def test_a_reason_is_a_note() -> None:
    assert access(verdict="permitted")._replace(because="allowed by postgres:5432").notes == (
        "allowed by postgres:5432",
    )
