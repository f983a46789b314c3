"""What C libraries refuse by themselves; tests/layers/test_look_ups.py counts what this machine's own does send."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from pytest_test_categories._host import c_library, names
from pytest_test_categories._host.c_library import (
    asks_for_local_names,
    host_sources,
    library,
    refused_by_c_library,
    refuses_arguments,
    refuses_name_flags,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    library.cache_clear()
    c_library._read_sources.cache_clear()


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return what makes this a machine with a C library and an ``nsswitch.conf``."""

    def make(name: str, sources: str | None = "hosts: files dns\n") -> None:
        monkeypatch.setattr(c_library, "library", lambda: name)
        monkeypatch.setattr(names, "library", lambda: name)
        path = tmp_path / "nsswitch.conf"
        if sources is not None:
            path.write_text(sources, encoding="ascii")
        monkeypatch.setattr(c_library, "_NSSWITCH", str(path))

    return make


LONG = ".".join(["a" * 63] * 3 + ["a" * 61])


@pytest.mark.parametrize(
    ("name", "glibc", "musl", "macos"),
    [
        pytest.param("t.example", False, False, False, id="plain"),
        pytest.param("t.example.", False, False, False, id="dot"),
        pytest.param("_t.example", False, False, False, id="underscore"),
        pytest.param("t.-example", False, False, False, id="hyphen-later"),
        pytest.param("1.2.3.4.5", False, False, False, id="too-many-numbers"),
        pytest.param("/", True, False, False, id="slash"),
        pytest.param("[::1]", True, False, False, id="brackets"),
        pytest.param("-t.example", True, False, False, id="hyphen-first"),
        pytest.param("127.0.0.1%lo", True, False, False, id="scope"),
        pytest.param("a\\.b.example", True, False, False, id="quoted-dot"),
        pytest.param("a\\046b.example", True, False, False, id="quoted-octet"),
        pytest.param("a\\", True, False, False, id="nothing-quoted"),
        pytest.param("\\256.example", True, False, False, id="no-such-octet"),
        pytest.param(b"a..\\b", True, True, False, id="quoted-beside-an-empty-label"),
        pytest.param("\\097.example", False, False, False, id="a-quoted-letter"),
        pytest.param("\u00fc.example", False, False, False, id="idna"),
        pytest.param(b"\xc3\xbc.example", True, False, False, id="utf-8"),
        pytest.param(b"a..example", True, True, True, id="empty-label"),
        pytest.param(b".example", True, True, True, id="empty-label-first"),
        pytest.param("t.example..", True, True, True, id="two-dots"),
        pytest.param(".", False, True, False, id="root"),
        pytest.param("a" * 63 + ".example", False, False, False, id="longest-label"),
        pytest.param(b"a" * 64 + b".example", True, True, True, id="label-too-long"),
        pytest.param(bytearray(LONG, "ascii"), False, False, False, id="longest-name"),
        pytest.param(LONG + ".", False, False, False, id="longest-name-with-a-dot"),
        pytest.param(LONG + "a", True, True, False, id="name-too-long"),
        pytest.param(LONG + "aa", True, True, True, id="name-too-long-anywhere"),
        pytest.param("\ud800.example", False, False, False, id="no-idna-form"),
    ],
)
def test_names_that_are_refused(on: Any, name: str | bytes, glibc: bool, musl: bool, macos: bool) -> None:
    for system, refused in (("glibc", glibc), ("musl", musl), ("macos", macos), ("", False)):
        on(system)
        assert refused_by_c_library(name) is refused


@pytest.mark.parametrize(
    ("name", "family", "flags", "refused"),
    [
        pytest.param("256.1.1.1", socket.AF_INET, 0, True, id="digits-and-dots"),
        pytest.param("256.1.1.1.", socket.AF_INET, 0, False, id="and-a-dot"),
        pytest.param("256.1.1.1", socket.AF_INET6, 0, False, id="of-ipv6"),
        pytest.param("256.1.1.1", socket.AF_INET, socket.AI_CANONNAME, False, id="canonical"),
        pytest.param("a b.example", socket.AF_INET, socket.AI_CANONNAME, False, id="any-character"),
        pytest.param("a b.example", 0, socket.AI_CANONNAME, True, id="of-any-family"),
        pytest.param(b"a..example", socket.AF_INET6, socket.AI_CANONNAME, True, id="what-has-no-form"),
        pytest.param(b"\xc3\xbc.example", 0, 0x40, False, id="that-libidn-translates"),
        pytest.param("a b.example", 0, 0x40, True, id="that-it-does-not"),
    ],
)
def test_what_is_wanted_decides_too(on: Any, name: str | bytes, family: int, flags: int, refused: bool) -> None:
    on("glibc")
    assert refused_by_c_library(name, family, flags) is refused


@pytest.mark.parametrize(
    ("text", "sources", "refuses", "asks"),
    [
        pytest.param("hosts: files dns\n", {"files", "dns"}, True, True, id="plain"),
        pytest.param("# hosts: nis\nhosts:\tfiles  dns # x\n", {"files", "dns"}, True, True, id="comments"),
        pytest.param("passwd: nis\n", {"files", "dns"}, True, True, id="no-line"),
        pytest.param(None, {"files", "dns"}, True, True, id="no-file"),
        pytest.param("hosts: files myhostname dns\n", {"files", "myhostname", "dns"}, True, False, id="own-names"),
        pytest.param(
            "hosts: resolve [!UNAVAIL=return] files dns\n", {"resolve", "files", "dns"}, False, False, id="systemd"
        ),
        pytest.param(
            "hosts: files mdns4_minimal [NOTFOUND=return] dns\n",
            {"files", "mdns4_minimal", "dns"},
            True,
            True,
            id="mdns",
        ),
        pytest.param("hosts: files ldap dns\n", {"files", "ldap", "dns"}, False, True, id="ldap"),
    ],
)
def test_whom_glibc_asks(on: Any, text: str | None, sources: set[str], refuses: bool, asks: bool) -> None:
    on("glibc", text)
    assert host_sources() == host_sources() == sources
    assert refused_by_c_library("a b.example") is refuses
    assert asks_for_local_names() is asks
    if "mdns4_minimal" in sources:
        assert not refused_by_c_library("a b.local.")
    on("")
    assert not asks_for_local_names()
    on("musl")
    assert asks_for_local_names()


def test_a_changed_file_is_read_again(on: Any, tmp_path: Path) -> None:
    on("glibc")
    assert refused_by_c_library("a b.example")
    (tmp_path / "nsswitch.conf").write_text("hosts: resolve\n", encoding="ascii")
    assert not refused_by_c_library("a b.example")


@pytest.mark.parametrize(
    ("version", "musl", "known"),
    [
        pytest.param("glibc 2.36", "", "glibc", id="glibc"),
        pytest.param("glibc 2.31", "", "", id="older-glibc"),
        pytest.param("NPTL", "", "", id="odd"),
        pytest.param(None, "", "", id="none"),
        pytest.param(None, "x86_64-linux-musl", "musl", id="musl"),
    ],
)
def test_which_library_it_is(monkeypatch: pytest.MonkeyPatch, version: str | None, musl: str, known: str) -> None:
    library.cache_clear()
    monkeypatch.setattr("sys.implementation._multiarch", musl, raising=False)
    monkeypatch.setattr("os.confstr", lambda _name: version, raising=False)
    assert library() == known
    library.cache_clear()
    monkeypatch.setattr("sys.platform", "darwin")
    assert library() == "macos"


def test_where_it_is_not_known_nothing_is_refused(on: Any) -> None:
    on("")
    assert not refuses_arguments("no-such-service", 0, 0, 0, 0)
    assert not refuses_name_flags(1 << 20)


def test_musl_finds_a_hosts_name_letter_by_letter(on: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("127.0.0.1 localhost db.test\n", encoding="ascii")
    monkeypatch.setattr(names, "hosts_file", names.HostsFile(str(tmp_path / "hosts")))
    on("musl")
    assert [names.spelled_here(name) for name in ("DB.test", "db.test.", "LOCALHOST")] == [
        "db.test",
        "db.test",
        "localhost",
    ]
    assert names.spelled_here("db.test") is None
    on("glibc")
    assert names.spelled_here("DB.test") is None
