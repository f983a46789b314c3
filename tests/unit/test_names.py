"""What this machine knows by itself: the hosts file, its own names and addresses, look-ups it has seen."""

from __future__ import annotations

import _socket
import ipaddress
import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from pytest_test_categories import _names
from pytest_test_categories._address import IPAddress, Reach, parse_allow_entry, parse_ip
from pytest_test_categories._names import (
    HostsFile,
    LookUps,
    is_own_address,
    own_names,
    reach_of_address,
    reach_of_name,
    reach_of_reverse,
)
from pytest_test_categories._policy import LookedUp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def address(text: str) -> IPAddress:
    found = parse_ip(text)
    assert found is not None
    return found


def own_addresses() -> list[str]:
    """The addresses of this machine's interfaces, as its resolver and its routes tell them without a packet."""
    found = {"127.0.0.1"}
    for family, foreign in ((socket.AF_INET, "198.51.100.1"), (socket.AF_INET6, "2001:db8::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((foreign, 9))  # picks a route; a datagram socket sends nothing by that
            except OSError:
                continue
            found.add(probe.getsockname()[0])
    return sorted(found)


# -- the hosts file ----------------------------------------------------------------------------------------------------

HOSTS = """\
127.0.0.1   localhost
# 127.0.0.1 commented
127.0.0.1   app.test App.Alias.   # 127.0.0.1 after
::1         app.test ip6-localhost
0:0:0:0:0:0:0:1 spelled.test
127.0.0.1   mixed.test
10.0.0.7    mixed.test web1.example.com web1
garbage     odd.test
10.0.0.8

"""


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HostsFile:
    path = tmp_path / "hosts"
    path.write_text(HOSTS, encoding="utf-8")
    file = HostsFile(str(path))
    monkeypatch.setattr(_names, "hosts_file", file)
    return file


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        pytest.param("app.test", {"127.0.0.1", "::1"}, id="several-addresses"),
        pytest.param("APP.Test.", {"127.0.0.1", "::1"}, id="any-case-and-a-dot"),
        pytest.param("app.alias", {"127.0.0.1"}, id="alias"),
        pytest.param("commented", set(), id="comment"),
        pytest.param("after", set(), id="comment-at-the-end"),
        pytest.param("", set(), id="address-alone"),
        pytest.param("elsewhere.test", set(), id="absent"),
    ],
)
def test_the_hosts_file_gives_the_addresses_of_a_name(hosts: HostsFile, name: str, addresses: set[str]) -> None:
    assert hosts.addresses(name) == addresses


@pytest.mark.parametrize(
    ("name", "loopback"),
    [
        pytest.param("app.test", True, id="loopback-alone"),
        pytest.param("mixed.test", False, id="loopback-and-another"),
        pytest.param("web1", False, id="another"),
        pytest.param("odd.test", False, id="no-address"),
        pytest.param("elsewhere.test", False, id="absent"),
    ],
)
def test_only_names_with_loopback_and_nothing_else_stay_here(hosts: HostsFile, name: str, loopback: bool) -> None:
    assert hosts.maps_to_loopback(name) is loopback
    assert reach_of_name(name) is (Reach.NOWHERE if loopback else Reach.BEYOND)


def test_an_address_is_found_however_it_is_spelled(hosts: HostsFile) -> None:
    assert hosts.holds_address(address("10.0.0.7"))
    assert hosts.holds_address(address("::1"))
    assert not hosts.holds_address(address("10.0.0.9"))


def test_an_address_is_compared_by_value_and_not_as_text(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("2001:DB8:0::00FF long.test\n127.1 short.test\n", encoding="utf-8")
    assert HostsFile(str(path)).holds_address(address("2001:db8::ff"))
    assert HostsFile(str(path)).holds_address(address("127.0.0.1"))


def _rewrite(path: Path) -> None:
    path.write_text("127.0.0.1 fresh.test and.more.test\n", encoding="utf-8")


def _replace_by_one_of_the_same_size_and_time(path: Path) -> None:
    other = path.with_name("other")
    other.write_text("127.0.0.1 fresh.test\n", encoding="utf-8")
    stat = path.stat()
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(path)


def _touch(path: Path) -> None:
    path.write_text("127.0.0.1 fresh.test\n", encoding="utf-8")
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_rewrite, id="size"),
        pytest.param(_touch, id="time"),
        pytest.param(_replace_by_one_of_the_same_size_and_time, id="file"),
    ],
)
def test_the_hosts_file_is_read_again_when_it_changes(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 stale.test\n", encoding="utf-8")
    file = HostsFile(str(path))
    assert file.maps_to_loopback("stale.test")
    change(path)
    assert file.maps_to_loopback("fresh.test")
    assert not file.maps_to_loopback("stale.test")


def test_an_unchanged_hosts_file_is_read_once(hosts: HostsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    real = hosts._read
    monkeypatch.setattr(hosts, "_read", lambda: reads.append(1) or real())
    for _ in range(3):
        hosts.addresses("app.test")
    assert len(reads) == 1


def test_a_hosts_file_that_is_gone_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("10.0.0.7 web1.test\n", encoding="utf-8")
    file = HostsFile(str(path))
    assert file.holds_address(address("10.0.0.7"))
    path.unlink()
    assert file.addresses("web1.test") == set()
    assert not file.holds_address(address("10.0.0.7"))


def test_a_hosts_file_that_cannot_be_read_holds_nothing(tmp_path: Path) -> None:
    assert HostsFile(str(tmp_path)).addresses("localhost") == set()  # a directory can be looked at, and not opened


def test_a_hosts_file_of_another_encoding_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"127.0.0.1 b\xfccher.test\n127.0.0.1 plain.test\n")
    assert HostsFile(str(path)).maps_to_loopback("plain.test")


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reach"),
    [
        pytest.param("localhost", Reach.NOWHERE, id="localhost"),
        pytest.param("API.LocalHost.", Reach.NOWHERE, id="under-localhost"),
        pytest.param("", Reach.NOWHERE, id="empty"),
        pytest.param("<broadcast>", Reach.NOWHERE, id="broadcast"),
        pytest.param("localhost.example.com", Reach.BEYOND, id="localhost-as-a-label"),
        pytest.param("127.evil.example", Reach.BEYOND, id="looks-like-an-address"),
        pytest.param("notlocalhost", Reach.BEYOND, id="ends-in-localhost"),
    ],
)
def test_a_look_up_goes_as_far_as_its_answer_is(name: str, reach: Reach) -> None:
    assert reach_of_name(name) is reach


def test_this_machines_own_name_is_local_and_free_of_charge_where_hosts_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = socket.gethostname()
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n", encoding="utf-8")
    monkeypatch.setattr(_names, "hosts_file", HostsFile(str(path)))
    assert reach_of_name(name) is Reach.MACHINE
    assert reach_of_name(name.upper() + ".") is Reach.MACHINE
    path.write_text(f"127.0.0.1 localhost\n10.0.0.7 {name}.example.com {name}\n", encoding="utf-8")
    assert reach_of_name(name) is Reach.NOWHERE
    assert reach_of_name(f"{name}.example.com") is Reach.NOWHERE


@pytest.mark.parametrize(
    ("hostname", "names"),
    [
        pytest.param("web1", {"web1", "web1.example.com"}, id="short"),
        pytest.param("WEB1", {"web1", "web1.example.com"}, id="capitals"),
        pytest.param("web1.example.com", {"web1.example.com"}, id="whole"),
        pytest.param("web2", {"web2"}, id="not-in-hosts"),
        pytest.param("web", {"web"}, id="start-of-another"),
    ],
)
@pytest.mark.usefixtures("hosts")
def test_own_names_are_the_hostname_and_its_full_form_in_hosts(
    monkeypatch: pytest.MonkeyPatch, hostname: str, names: set[str]
) -> None:
    monkeypatch.setattr(_socket, "gethostname", lambda: hostname)
    assert own_names() == names


def test_the_name_of_an_address_in_hosts_is_free(hosts: HostsFile) -> None:
    assert hosts.holds_address(address("10.0.0.7"))
    assert reach_of_reverse(address("10.0.0.7")) is Reach.NOWHERE
    assert reach_of_reverse(address("127.0.0.9")) is Reach.MACHINE
    assert reach_of_reverse(address("198.51.100.1")) is Reach.BEYOND


# -- addresses ---------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_names, "_own", {})


@pytest.mark.parametrize("text", own_addresses())
def test_the_addresses_of_this_machines_interfaces_are_its_own(text: str) -> None:
    assert is_own_address(address(text))
    assert reach_of_address(address(text)) is Reach.MACHINE


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("198.51.100.1", id="foreign"),
        pytest.param("2001:db8::1", id="foreign-v6"),
        pytest.param("255.255.255.255", id="broadcast"),
        pytest.param("224.0.0.1", id="multicast"),
        pytest.param("ff02::1", id="multicast-v6"),
        pytest.param("169.254.169.254", id="metadata"),
        pytest.param("fe80::1%no-such-interface", id="unknown-scope"),
    ],
)
def test_no_other_address_is(text: str) -> None:
    assert not is_own_address(address(text))
    assert reach_of_address(address(text)) is Reach.BEYOND


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "127.255.255.254", "0.0.0.0", "::", "::1", "::1%lo", "::ffff:127.0.0.1", "0x7f.1"]
)
def test_loopback_and_unspecified_need_no_probe(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_names, "is_own_address", lambda _ip: pytest.fail("probed"))
    assert reach_of_address(address(text)) is Reach.MACHINE


def _link_local() -> tuple[str, int] | None:
    try:
        with open("/proc/net/if_inet6", encoding="ascii") as lines:
            for line in lines:
                digits, index, *_, interface = line.split()
                if digits.startswith("fe80"):
                    return f"{ipaddress.IPv6Address(int(digits, 16))}%{interface}", int(index, 16)
    except OSError:
        pass
    return None


@pytest.mark.skipif(_link_local() is None, reason="no interface of this machine has a link-local address")
def test_an_own_link_local_address_is_own_under_either_spelling_of_its_scope() -> None:
    found = _link_local()
    assert found is not None
    text, index = found
    assert is_own_address(address(text))
    assert is_own_address(address(f"{text.partition('%')[0]}%{index}"))


def test_an_address_that_binds_but_is_not_reached_from_itself_is_not_own(monkeypatch: pytest.MonkeyPatch) -> None:
    # As under net.ipv4.ip_nonlocal_bind.
    monkeypatch.setattr(_names, "_binds", lambda _ip: True)
    assert not is_own_address(address("198.51.100.1"))


def test_what_is_own_is_asked_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    asked = []

    def binds(ip: IPAddress) -> bool:
        asked.append(ip)
        return False

    monkeypatch.setattr(_names.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(_names, "_binds", binds)
    ip = address("198.51.100.1")
    for later in (0, _names.OWN_ADDRESS_SECONDS - 0.1, _names.OWN_ADDRESS_SECONDS + 0.1):
        now[0] = 1000.0 + later
        is_own_address(ip)
    assert asked == [ip, ip]


def test_the_addresses_asked_about_are_kept_in_a_bounded_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_names, "_binds", lambda _ip: False)
    monkeypatch.setattr(_names, "REMEMBERED_ADDRESSES", 10)
    for number in range(100):
        is_own_address(ipaddress.IPv4Address(f"198.51.100.{number}"))
        assert len(_names._own) <= 10


def test_a_machine_that_can_make_no_socket_owns_nothing_and_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_ip: IPAddress) -> None:
        raise OSError("too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(_names, "_socket_of", refuse)
        assert not is_own_address(address("127.0.0.1"))
    assert is_own_address(address("127.0.0.1"))


def test_probes_are_not_left_on_the_list_of_probes() -> None:
    for text in (*own_addresses(), "198.51.100.1", "2001:db8::1"):
        is_own_address(address(text))
    assert _names.probes == set()


# -- remembered look-ups -----------------------------------------------------------------------------------------------

ALLOW = (parse_allow_entry("db.test:5432"),)


def test_a_look_up_is_remembered_by_each_of_its_addresses() -> None:
    table = LookUps()
    table.remember("db.test", ALLOW, ["198.51.100.1", "::ffff:198.51.100.2", "not an address"], context=1)
    assert table.names_of(address("198.51.100.1")) == (LookedUp("db.test", ALLOW),)
    assert table.names_of(address("198.51.100.2")) == (LookedUp("db.test", ALLOW),)
    assert table.names_of(address("198.51.100.3")) == ()


def test_several_names_of_an_address_are_all_remembered_oldest_first() -> None:
    table = LookUps()
    table.remember("one.test", (), ["198.51.100.1"], context=1)
    table.remember("two.test", ALLOW, ["198.51.100.1"], context=2)
    table.remember("one.test", ALLOW, ["198.51.100.1"], context=1)
    assert table.names_of(address("198.51.100.1")) == (LookedUp("two.test", ALLOW), LookedUp("one.test", ALLOW))


def test_the_same_name_looked_up_for_another_does_not_replace_it() -> None:
    table = LookUps()
    table.remember("db.test", ALLOW, ["198.51.100.1"], context=1)
    table.remember("db.test", (), ["198.51.100.1"], context=2)
    assert LookedUp("db.test", ALLOW) in table.names_of(address("198.51.100.1"))


def test_the_name_shown_is_the_latest_of_this_context_else_the_latest() -> None:
    table = LookUps()
    for name, context in (("old.test", 1), ("mine.test", 1), ("other.test", 2)):
        table.remember(name, (), ["198.51.100.1"], context)
    assert table.shown_name(address("198.51.100.1"), 1) == "mine.test"
    assert table.shown_name(address("198.51.100.1"), 3) == "other.test"
    assert table.shown_name(address("198.51.100.2"), 1) == ""


def test_the_table_is_bounded_in_addresses_and_in_names() -> None:
    table = LookUps(size=3)
    for number in range(1, 6):
        table.remember(f"host{number}.test", (), [f"198.51.100.{number}"], context=1)
    kept = [bool(table.names_of(ipaddress.IPv4Address(f"198.51.100.{number}"))) for number in range(1, 6)]
    assert kept == [False, False, True, True, True]
    for number in range(100):
        table.remember(f"name{number}.test", (), ["198.51.100.5"], context=1)
    names = [seen.name for seen in table.names_of(address("198.51.100.5"))]
    assert names == [f"name{number}.test" for number in range(84, 100)]


def test_an_address_seen_again_outlives_older_ones() -> None:
    table = LookUps(size=2)
    for last in (1, 2, 1, 3):
        table.remember("db.test", (), [f"198.51.100.{last}"], context=1)
    assert table.names_of(address("198.51.100.1"))
    assert not table.names_of(address("198.51.100.2"))


def test_a_cleared_table_knows_nothing() -> None:
    table = LookUps()
    table.remember("db.test", (), ["198.51.100.1"], context=1)
    table.clear()
    assert table.names_of(address("198.51.100.1")) == ()


def test_threads_may_remember_at_the_same_time() -> None:
    table = LookUps(size=8)
    errors = []

    def work(number: int) -> None:
        try:
            for step in range(300):
                table.remember(f"n{number}.{step}", (), [f"198.51.100.{step % 16}"], context=number)
                table.names_of(ipaddress.IPv4Address(f"198.51.100.{step % 16}"))
                table.shown_name(ipaddress.IPv4Address(f"198.51.100.{step % 16}"), number)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
