"""Endpoints, local or foreign, and allow entries: what a text means, without a look-up."""

from __future__ import annotations

import ipaddress
import pickle
from typing import TYPE_CHECKING

import pytest

from pytest_test_categories._rules.address import (
    ALLOW_FORMS,
    AllowEntry,
    Endpoint,
    host_text,
    is_local_ip,
    is_localhost,
    normal_name,
    parse_allow_entry,
    parse_ip,
)

if TYPE_CHECKING:
    from pytest_test_categories._rules.address import IPAddress


def address(text: str) -> IPAddress:
    found = parse_ip(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        pytest.param(Endpoint("api.example.com", 443), "api.example.com:443", id="name-and-port"),
        pytest.param(Endpoint("api.example.com", "https"), "api.example.com:https", id="name-and-service"),
        pytest.param(Endpoint("api.example.com"), "api.example.com", id="name-alone"),
        pytest.param(Endpoint("api.example.com", ""), "api.example.com", id="empty-service"),
        pytest.param(Endpoint("192.0.2.1", 0), "192.0.2.1:0", id="port-zero"),
        pytest.param(Endpoint("2001:db8::1", 443), "[2001:db8::1]:443", id="ipv6-and-port"),
        pytest.param(Endpoint("2001:db8::1"), "2001:db8::1", id="ipv6-alone"),
        pytest.param(Endpoint("/run/app.sock", family="unix"), "unix:/run/app.sock", id="unix"),
        pytest.param(Endpoint("2", "1234", "vsock"), "vsock:2:1234", id="vsock"),
        pytest.param(Endpoint("/run/a\nb.sock", family="unix"), r"unix:/run/a\nb.sock", id="line-break"),
        pytest.param(
            Endpoint("/run/\udcff.sock", family="unix"), r"unix:/run/\udcff.sock", id="bytes-that-are-no-text"
        ),
    ],
)
def test_an_endpoint_shows_as_people_write_it(endpoint: Endpoint, shown: str) -> None:
    assert str(endpoint) == shown


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("localhost", id="text"),
        pytest.param(b"localhost", id="bytes"),
        pytest.param(bytearray(b"localhost"), id="bytearray"),
    ],
)
def test_a_host_is_text_whatever_type_it_came_in(host: str | bytes | bytearray) -> None:
    assert host_text(host) == "localhost"


def test_bytes_that_are_no_text_fold_into_no_name() -> None:
    assert host_text(b"\xff\xfe") == r"\xff\xfe"
    full_width = "\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54".encode("utf-16")
    assert not is_localhost(host_text(full_width))


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        pytest.param("API.Example.COM", "api.example.com", id="case"),
        pytest.param("api.example.com.", "api.example.com", id="trailing-dot"),
        pytest.param("B\u00dcCHER.example", "xn--bcher-kva.example", id="idna"),
        pytest.param("\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54", "localhost", id="full-width"),
        pytest.param("\u00fc" * 80, "\u00fc" * 80, id="label-too-long-for-idna"),
        pytest.param("", "", id="empty"),
    ],
)
def test_names_are_compared_in_one_form(name: str, normal: str) -> None:
    assert normal_name(name) == normal


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        pytest.param("127.0.0.1", "127.0.0.1", id="dotted"),
        pytest.param("127.1", "127.0.0.1", id="short"),
        pytest.param("127.0.1", "127.0.0.1", id="three-parts"),
        pytest.param("2130706433", "127.0.0.1", id="decimal"),
        pytest.param("0x7f000001", "127.0.0.1", id="hexadecimal"),
        pytest.param("0x7F.1", "127.0.0.1", id="hexadecimal-short"),
        pytest.param("0177.0.0.01", "127.0.0.1", id="octal"),
        pytest.param("0", "0.0.0.0", id="zero"),
        pytest.param("127\u30020\u30020\u30021", "127.0.0.1", id="ideographic-full-stops"),
        pytest.param("\uff11\uff12\uff17.1", "127.0.0.1", id="full-width-digits"),
        pytest.param("::1", "::1", id="ipv6"),
        pytest.param("0:0:0:0:0:0:0:1", "::1", id="ipv6-long"),
        pytest.param("::1%lo", "::1%lo", id="ipv6-with-scope"),
        pytest.param("::1%1", "::1%1", id="ipv6-with-scope-number"),
        pytest.param("fe80::1%bad%scope", "fe80::1", id="scope-that-ipaddress-refuses"),
        pytest.param("::1%", "::1", id="empty-scope"),
        pytest.param("::ffff:127.0.0.1", "127.0.0.1", id="ipv4-in-ipv6"),
        pytest.param("::FFFF:7f00:1", "127.0.0.1", id="ipv4-in-ipv6-hexadecimal"),
        pytest.param("::ffff:0.0.0.0", "0.0.0.0", id="unspecified-in-ipv6"),
        pytest.param("::", "::", id="ipv6-unspecified"),
    ],
)
def test_every_spelling_of_an_address_is_that_address(text: str, meant: str) -> None:
    assert parse_ip(text) == ipaddress.ip_address(meant)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("localhost", id="localhost"),
        pytest.param("127.evil.example", id="starts-like-an-address"),
        pytest.param("1e100.net", id="starts-with-a-digit"),
        pytest.param("127.0.0.1.", id="trailing-dot"),
        pytest.param("127.0.0.1 evil.example", id="blank-after-address"),
        pytest.param("127.0.0.1\tx", id="tab-after-address"),
        pytest.param("127.0.0.1\0", id="nul-after-address"),
        pytest.param(" 127.0.0.1", id="blank-before-address"),
        pytest.param("256.0.0.1", id="number-too-large"),
        pytest.param("1.2.3.4.5", id="five-parts"),
        pytest.param("-1", id="negative"),
        pytest.param("1\ud800", id="lone-surrogate"),
        pytest.param("::g", id="no-ipv6"),
        pytest.param("host:80", id="port"),
        pytest.param("host%eth0:1", id="scope-of-a-name"),
        pytest.param("1::2::3%eth0", id="scope-of-no-address"),
    ],
)
def test_what_only_looks_like_an_address_is_a_name(text: str) -> None:
    assert parse_ip(text) is None


@pytest.mark.parametrize(
    ("text", "local"),
    [
        pytest.param("127.0.0.1", True, id="loopback"),
        pytest.param("127.255.255.254", True, id="end-of-loopback"),
        pytest.param("126.255.255.255", False, id="before-loopback"),
        pytest.param("128.0.0.0", False, id="after-loopback"),
        pytest.param("0.0.0.1", False, id="after-unspecified"),
        pytest.param("::7f00:1", False, id="ipv6-with-the-number-of-loopback"),
        pytest.param("::1", True, id="ipv6-loopback"),
        pytest.param("::1%lo", True, id="ipv6-loopback-with-scope"),
        pytest.param("::2", False, id="after-ipv6-loopback"),
        pytest.param("::ffff:127.9.9.9", True, id="mapped-loopback"),
        pytest.param("::ffff:198.51.100.1", False, id="mapped-foreign"),
        pytest.param("0.0.0.0", True, id="unspecified"),
        pytest.param("::", True, id="ipv6-unspecified"),
        pytest.param("10.0.0.1", False, id="private"),
        pytest.param("169.254.169.254", False, id="link-local"),
        pytest.param("fe80::1", False, id="ipv6-link-local"),
    ],
)
def test_locality_is_judged_from_the_address(text: str, local: bool) -> None:
    assert is_local_ip(address(text)) is local


@pytest.mark.parametrize(
    ("name", "local"),
    [
        pytest.param("localhost", True, id="localhost"),
        pytest.param("LocalHost", True, id="case"),
        pytest.param("localhost.", True, id="trailing-dot"),
        pytest.param("app.localhost", True, id="below"),
        pytest.param("a.b.LOCALHOST.", True, id="far-below"),
        pytest.param("localhost.example.com", False, id="above"),
        pytest.param("notlocalhost", False, id="ends-alike"),
        pytest.param("localhost..", False, id="two-dots"),
        pytest.param("", False, id="empty"),
    ],
)
def test_localhost_and_what_is_below_it_are_local_names(name: str, local: bool) -> None:
    assert is_localhost(name) is local


NET = ipaddress.ip_network


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        pytest.param("postgres", AllowEntry("postgres", name="postgres"), id="name"),
        pytest.param(" Postgres ", AllowEntry("Postgres", name="postgres"), id="name-with-blanks"),
        pytest.param("my_db-1.", AllowEntry("my_db-1.", name="my_db-1"), id="compose-name"),
        pytest.param("256.1.1.a", AllowEntry("256.1.1.a", name="256.1.1.a"), id="name-with-numbers"),
        pytest.param("b\u00fccher.example", AllowEntry("b\u00fccher.example", name="xn--bcher-kva.example"), id="idna"),
        pytest.param("redis:6379", AllowEntry("redis:6379", name="redis", port=6379), id="name-and-port"),
        pytest.param(
            "*.svc.cluster.local:443",
            AllowEntry("*.svc.cluster.local:443", name="*.svc.cluster.local", port=443),
            id="pattern",
        ),
        pytest.param("10.0.0.0/8", AllowEntry("10.0.0.0/8", network=NET("10.0.0.0/8")), id="network"),
        pytest.param("10.1.2.3/8", AllowEntry("10.1.2.3/8", network=NET("10.0.0.0/8")), id="network-with-host-bits"),
        pytest.param(
            "10.0.0.0/8:5432", AllowEntry("10.0.0.0/8:5432", network=NET("10.0.0.0/8"), port=5432), id="network-port"
        ),
        pytest.param("10.0.0.7", AllowEntry("10.0.0.7", network=NET("10.0.0.7/32")), id="address"),
        pytest.param("0x0a000007:1", AllowEntry("0x0a000007:1", network=NET("10.0.0.7/32"), port=1), id="hexadecimal"),
        pytest.param("[fd00::]/8", AllowEntry("[fd00::]/8", network=NET("fd00::/8")), id="ipv6-network"),
        pytest.param("fd00::/8", AllowEntry("fd00::/8", network=NET("fd00::/8")), id="ipv6-network-bare"),
        pytest.param(
            "[fd00::]/8:443", AllowEntry("[fd00::]/8:443", network=NET("fd00::/8"), port=443), id="ipv6-network-port"
        ),
        pytest.param(
            "[fd00::1]:443", AllowEntry("[fd00::1]:443", network=NET("fd00::1/128"), port=443), id="ipv6-port"
        ),
        pytest.param("fd00::1", AllowEntry("fd00::1", network=NET("fd00::1/128")), id="ipv6"),
        pytest.param(
            "::ffff:10.0.0.0/104", AllowEntry("::ffff:10.0.0.0/104", network=NET("10.0.0.0/8")), id="mapped-network"
        ),
        pytest.param("::ffff:0:0/90", AllowEntry("::ffff:0:0/90", network=NET("::ffc0:0:0/90")), id="more-than-mapped"),
        pytest.param("::ffff:10.0.0.7", AllowEntry("::ffff:10.0.0.7", network=NET("10.0.0.7/32")), id="mapped"),
        pytest.param("unix:/run/d.sock", AllowEntry("unix:/run/d.sock", path="/run/d.sock"), id="unix"),
        pytest.param("unix:@app", AllowEntry("unix:@app", path="@app"), id="unix-abstract"),
        pytest.param(
            "small: 127.0.0.1:8126",
            AllowEntry("small: 127.0.0.1:8126", "small", network=NET("127.0.0.1/32"), port=8126),
            id="small",
        ),
        pytest.param("small:agent", AllowEntry("small:agent", "small", name="agent"), id="small-without-blank"),
        pytest.param("medium : db", AllowEntry("medium : db", "medium", name="db"), id="medium"),
        pytest.param("small: unix:/x", AllowEntry("small: unix:/x", "small", path="/x"), id="small-unix"),
        pytest.param("db:1", AllowEntry("db:1", name="db", port=1), id="lowest-port"),
        pytest.param("db:65535", AllowEntry("db:65535", name="db", port=65535), id="highest-port"),
    ],
)
def test_an_entry_parses_to_what_it_means(text: str, entry: AllowEntry) -> None:
    assert parse_allow_entry(text) == entry
    assert pickle.loads(pickle.dumps(entry)) == entry


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("  ", id="blank"),
        pytest.param("*", id="everything"),
        pytest.param("a.*.b", id="pattern-inside"),
        pytest.param("a b", id="blank-inside"),
        pytest.param("http://api.example.com", id="url"),
        pytest.param("api.example.com/path", id="path"),
        pytest.param("10.0.0.0/33", id="prefix-too-long"),
        pytest.param("[fd00::1", id="bracket"),
        pytest.param("[db]:x", id="brackets-round-a-bad-port"),
        pytest.param("5432", id="port-alone"),
        pytest.param("small: 8126", id="port-alone-for-small"),
        pytest.param(":5432", id="no-host"),
        pytest.param("db:", id="no-port"),
        pytest.param("db:http", id="service"),
        pytest.param("db:0", id="port-zero"),
        pytest.param("db:65536", id="port-too-high"),
        pytest.param("db:" + "9" * 5000, id="endless-port"),
        pytest.param("[fd00::1]:" + "9" * 5000, id="endless-port-after-brackets"),
        pytest.param("db:\u00b2", id="port-of-a-digit-that-is-no-number"),
        pytest.param("large: db", id="size-that-needs-none"),
        pytest.param("unix:", id="unix-without-path"),
        pytest.param("-db", id="dash-first"),
        pytest.param("db..x", id="empty-label"),
    ],
)
def test_what_is_no_entry_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_allow_entry(text)
    assert str(caught.value) == f"{text!r} is not a network allow entry; write one like {ALLOW_FORMS}"


def test_the_forms_shown_to_people_are_forms() -> None:
    entries = [parse_allow_entry(form) for form in ALLOW_FORMS.split(", ")]
    assert [entry.text for entry in entries] == ALLOW_FORMS.split(", ")


@pytest.mark.parametrize(
    ("entry", "name", "port", "admitted"),
    [
        pytest.param("postgres", "postgres", 5432, True, id="any-port"),
        pytest.param("postgres", "POSTGRES.", 5432, True, id="any-spelling"),
        pytest.param("postgres", "postgres.example.com", 5432, False, id="not-below"),
        pytest.param("redis:6379", "redis", 6379, True, id="its-port"),
        pytest.param("redis:6379", "redis", "6379", True, id="its-port-as-text"),
        pytest.param("redis:6379", "redis", 6380, False, id="another-port"),
        pytest.param("redis:6379", "redis", None, True, id="look-up"),
        pytest.param("*.example.com", "api.example.com", 1, True, id="pattern"),
        pytest.param("*.example.com", "a.b.example.com", 1, True, id="pattern-two-labels"),
        pytest.param("*.example.com", "example.com", 1, False, id="pattern-not-the-name-itself"),
        pytest.param("*.example.com", ".example.com", 1, False, id="pattern-not-an-empty-label"),
        pytest.param("*.example.com", "evilexample.com", 1, False, id="pattern-not-what-ends-alike"),
        pytest.param("10.0.0.0/8", "10.evil.example", 1, False, id="network-admits-no-name"),
        pytest.param("unix:/x", "x", 1, False, id="unix-admits-no-name"),
    ],
)
def test_an_entry_admits_the_names_that_it_says(entry: str, name: str, port: int | str | None, admitted: bool) -> None:
    assert parse_allow_entry(entry).admits_name(name, port) is admitted


@pytest.mark.parametrize(
    ("entry", "ip", "port", "admitted"),
    [
        pytest.param("10.0.0.0/8", "10.255.0.1", 1, True, id="inside"),
        pytest.param("10.0.0.0/8", "11.0.0.1", 1, False, id="outside"),
        pytest.param("10.0.0.0/8", "::ffff:10.0.0.1", 1, True, id="mapped"),
        pytest.param("10.0.0.0/8", "fd00::1", 1, False, id="another-family"),
        pytest.param("[fd00::]/8:443", "fd12::1", 443, True, id="ipv6"),
        pytest.param("[fd00::]/8:443", "fd12::1", 80, False, id="ipv6-another-port"),
        pytest.param("[fe80::1]:443", "fe80::1%lo", 443, True, id="ipv6-with-scope"),
        pytest.param("postgres", "10.0.0.1", 1, False, id="name-admits-no-address"),
    ],
)
def test_an_entry_admits_the_addresses_that_it_says(entry: str, ip: str, port: int | None, admitted: bool) -> None:
    assert parse_allow_entry(entry).admits_ip(address(ip), port) is admitted


@pytest.mark.parametrize(
    ("entry", "path", "admitted"),
    [
        pytest.param("unix:/run/docker.sock", "/run/docker.sock", True, id="path"),
        pytest.param("unix:/run/docker.sock", "/run/docker.socket", False, id="another-path"),
        pytest.param("unix:/tmp/[a].sock", "/tmp/[a].sock", True, id="path-that-reads-as-a-pattern"),
        pytest.param("unix:/tmp/.s.PGSQL.*", "/tmp/.s.PGSQL.5432", True, id="pattern"),
        pytest.param("postgres", "postgres", False, id="name-admits-no-path"),
    ],
)
def test_an_entry_admits_the_unix_sockets_that_it_says(entry: str, path: str, admitted: bool) -> None:
    assert parse_allow_entry(entry).admits_path(path) is admitted
