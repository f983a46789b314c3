"""What this machine knows by itself: the hosts file, its own names and addresses, what look-ups answered."""

from __future__ import annotations

import ipaddress
import os
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from pytest_test_categories._host import names as host_names
from pytest_test_categories._host.names import (
    HOSTS_FILE,
    REMEMBERED_NAMES,
    HostsFile,
    LookUps,
    is_own_address,
    own_names,
    reach_of_address,
    reach_of_name,
    reach_of_reverse,
)
from pytest_test_categories._rules.address import Reach, parse_allow_entry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IP = ipaddress.ip_address
TEXT = """\
127.0.0.1   localhost
::1         localhost ip6-localhost
127.0.1.1   app.test  # App.Test too
0x7f.1      spelled.test
127.0.0.1   both.test
10.0.0.7    both.test web1.example.com web1 web1.other.example
0.0.0.0     blocked.test
nonsense    odd.test
# 127.0.0.1 commented.test

10.0.0.9
"""


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HostsFile:
    """A hosts file of ours in place of the machine's."""
    path = tmp_path / "hosts"
    path.write_text(TEXT, encoding="utf-8")
    file = HostsFile(str(path))
    monkeypatch.setattr(host_names, "hosts_file", file)
    return file


@pytest.fixture
def hostname(monkeypatch: pytest.MonkeyPatch) -> str:
    """Call this machine web1."""
    monkeypatch.setattr("_socket.gethostname", lambda: "WEB1")
    return "web1"


@pytest.fixture
def nothing_known() -> Iterator[None]:
    """Forget which addresses are this machine's, before and after."""
    host_names.state.own.clear()
    yield
    host_names.state.own.clear()


# -- the hosts file ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        pytest.param("localhost", {"127.0.0.1", "::1"}, id="two-lines"),
        pytest.param("WEB1.Example.com.", {"10.0.0.7"}, id="any-spelling"),
        pytest.param("web1.other.example", {"10.0.0.7"}, id="alias"),
        pytest.param("too", set(), id="comment-after"),
        pytest.param("commented.test", set(), id="comment"),
        pytest.param("absent.test", set(), id="absent"),
    ],
)
def test_the_file_gives_a_name_s_addresses(hosts: HostsFile, name: str, addresses: set[str]) -> None:
    assert hosts.addresses(name) == addresses


@pytest.mark.parametrize(
    ("name", "loopback"),
    [
        pytest.param("app.test", True, id="loopback"),
        pytest.param("localhost", True, id="both-families"),
        pytest.param("spelled.test", True, id="another-spelling"),
        pytest.param("both.test", False, id="loopback-and-foreign"),
        pytest.param("web1", False, id="foreign"),
        pytest.param("odd.test", False, id="no-address"),
        pytest.param("absent.test", False, id="absent"),
    ],
)
def test_loopback_only_is_what_counts(hosts: HostsFile, name: str, loopback: bool) -> None:
    assert hosts.maps_to_loopback(name) is loopback


@pytest.mark.parametrize(
    ("address", "held"),
    [
        pytest.param("10.0.0.7", True, id="written"),
        pytest.param("127.0.0.1", True, id="loopback"),
        pytest.param("::1", True, id="ipv6"),
        pytest.param("10.0.0.9", False, id="without-a-name"),
        pytest.param("198.51.100.1", False, id="absent"),
    ],
)
def test_the_file_holds_addresses_that_have_names(hosts: HostsFile, address: str, held: bool) -> None:
    assert hosts.holds_address(IP(address)) is held


def test_an_address_is_held_in_any_spelling(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("0:0:0:0:0:0:0:1 six\n0x7f.2 two\n", encoding="utf-8")
    assert HostsFile(str(path)).holds_address(IP("::1"))
    assert HostsFile(str(path)).holds_address(IP("127.0.0.2"))


def test_the_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 one.test\n", encoding="utf-8")
    file = HostsFile(str(path))
    assert file.maps_to_loopback("one.test")
    path.write_text("127.0.0.1 second.test\n", encoding="utf-8")
    assert not file.maps_to_loopback("one.test")
    assert file.maps_to_loopback("second.test")
    assert file.holds_address(IP("127.0.0.1"))


def test_a_file_put_in_its_place_is_read(tmp_path: Path) -> None:
    """The same size and the same time: tools copy both."""
    path, other = tmp_path / "hosts", tmp_path / "other"
    path.write_text("127.0.0.1 one.test\n", encoding="utf-8")
    file = HostsFile(str(path))
    assert file.maps_to_loopback("one.test")
    other.write_text("127.0.0.1 two.test\n", encoding="utf-8")
    stat = path.stat()
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(path)
    assert file.maps_to_loopback("two.test")


def test_the_file_is_read_once_while_it_stays(hosts: HostsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts.addresses("localhost")
    monkeypatch.setattr(hosts, "_read", lambda: pytest.fail("read again"))
    assert hosts.addresses("web1") == {"10.0.0.7"}


def test_no_file_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 one.test\n", encoding="utf-8")
    file = HostsFile(str(path))
    assert file.maps_to_loopback("one.test")
    path.unlink()
    assert file.addresses("one.test") == set()
    assert not file.holds_address(IP("127.0.0.1"))
    path.write_text("127.0.0.1 one.test\n", encoding="utf-8")
    assert file.maps_to_loopback("one.test")


def test_what_cannot_be_read_holds_nothing(tmp_path: Path) -> None:
    assert HostsFile(str(tmp_path)).addresses("localhost") == set()


def test_bytes_that_are_no_text_do_not_spoil_the_file(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"127.0.0.1 \xff\xfe.test\n127.0.0.1 fine.test\n")
    assert HostsFile(str(path)).maps_to_loopback("fine.test")


def test_the_machine_s_file_is_the_one_that_its_resolver_reads() -> None:
    if sys.platform != "win32":
        assert HOSTS_FILE == "/etc/hosts"
    assert os.path.basename(HOSTS_FILE) == "hosts"


# -- this machine's names ----------------------------------------------------------------------------------------------


def test_own_names_are_the_host_name_and_its_full_forms_in_the_file(hosts: HostsFile, hostname: str) -> None:
    assert own_names() == {"web1", "web1.example.com", "web1.other.example"}


def test_a_full_host_name_is_the_only_own_name(hosts: HostsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("_socket.gethostname", lambda: "web1.example.com")
    assert own_names() == {"web1.example.com"}


def test_a_name_at_another_address_is_no_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hosts"
    path.write_text("10.0.0.7 web1\n10.0.0.8 web1.evil.example\n", encoding="utf-8")
    monkeypatch.setattr(host_names, "hosts_file", HostsFile(str(path)))
    monkeypatch.setattr("_socket.gethostname", lambda: "web1")
    assert own_names() == {"web1"}


def test_this_machine_s_own_name_is_never_beyond_it() -> None:
    assert reach_of_name(socket.gethostname()) in {Reach.NOWHERE, Reach.MACHINE}
    assert reach_of_name(socket.gethostname().upper() + ".") in {Reach.NOWHERE, Reach.MACHINE}


@pytest.mark.parametrize(
    ("name", "reach"),
    [
        pytest.param("localhost", Reach.NOWHERE, id="localhost"),
        pytest.param("App.LOCALHOST.", Reach.NOWHERE, id="below-localhost"),
        pytest.param("", Reach.NOWHERE, id="empty"),
        pytest.param("<broadcast>", Reach.BEYOND, id="broadcast-is-a-name-to-most"),
        pytest.param("app.test", Reach.NOWHERE, id="loopback-in-the-file"),
        pytest.param("web1", Reach.NOWHERE, id="own-name-in-the-file"),
        pytest.param("web1.example.com", Reach.NOWHERE, id="own-full-name-in-the-file"),
        pytest.param("both.test", Reach.BEYOND, id="foreign-in-the-file"),
        pytest.param("blocked.test", Reach.BEYOND, id="unspecified-in-the-file"),
        pytest.param("localhost.example.com", Reach.BEYOND, id="looks-local"),
        pytest.param("127.evil.example", Reach.BEYOND, id="looks-like-an-address"),
        pytest.param("web1.evil.example", Reach.BEYOND, id="below-the-own-name"),
    ],
)
def test_a_look_up_goes_as_far_as_its_answer_is(hosts: HostsFile, hostname: str, name: str, reach: Reach) -> None:
    assert reach_of_name(name) is reach


def test_the_own_name_asks_this_machine_where_the_file_lacks_it(
    hosts: HostsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("_socket.gethostname", lambda: "db3")
    assert reach_of_name("DB3.") is Reach.MACHINE


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        pytest.param("10.0.0.7", Reach.NOWHERE, id="in-the-file"),
        pytest.param("127.9.9.9", Reach.MACHINE, id="loopback"),
        pytest.param("198.51.100.1", Reach.BEYOND, id="foreign"),
    ],
)
def test_a_reverse_look_up_goes_as_far_as_its_answer_is(hosts: HostsFile, address: str, reach: Reach) -> None:
    assert reach_of_reverse(IP(address)) is reach


# -- this machine's addresses ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_known")
@pytest.mark.parametrize(
    ("address", "own"),
    [
        pytest.param("127.0.0.1", True, id="loopback"),
        pytest.param("198.51.100.1", False, id="foreign"),
        pytest.param("2001:db8::1", False, id="ipv6-foreign"),
        pytest.param("224.0.0.1", False, id="multicast"),
        pytest.param("ff02::1", False, id="ipv6-multicast"),
        pytest.param("0.0.0.0", False, id="unspecified-is-reached-from-another"),
        pytest.param("127.255.255.255", False, id="broadcast-binds-but-is-not-reached"),
    ],
)
def test_an_address_is_own_where_this_machine_reaches_itself_from_it(address: str, own: bool) -> None:
    assert is_own_address(IP(address)) is own


@pytest.mark.usefixtures("nothing_known")
def test_the_address_that_this_machine_sends_from_is_its_own() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("198.51.100.1", 9))  # picks a route; a datagram socket's connect sends nothing
        except OSError:
            pytest.skip("this machine has no route out")
        mine = IP(sock.getsockname()[0])
    assert is_own_address(mine)
    assert reach_of_address(mine) is Reach.MACHINE


@pytest.mark.usefixtures("nothing_known")
def test_ipv6_loopback_is_own_where_there_is_ipv6() -> None:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert is_own_address(IP("::1"))
    assert is_own_address(ipaddress.IPv6Address("::1%lo"))


def own_link_local() -> tuple[str, str]:
    """A link-local address of this machine, and its interface."""
    try:
        with open("/proc/net/if_inet6", encoding="ascii") as lines:
            for line in lines:
                address, _index, _prefix, _scope, _flags, interface = line.split()
                if address.startswith("fe80"):
                    return str(ipaddress.IPv6Address(bytes.fromhex(address))), interface
    except OSError:
        pass
    pytest.skip("this machine has no link-local address, or does not tell")


@pytest.mark.usefixtures("nothing_known")
def test_a_link_local_address_is_own_on_its_interface_however_that_is_named() -> None:
    address, interface = own_link_local()
    index = socket.if_nametoindex(interface)
    assert is_own_address(IP(address))
    assert is_own_address(IP(f"{address}%{interface}"))
    assert is_own_address(IP(f"{address}%{index}"))
    assert not is_own_address(IP(f"{address}%nowhere0"))


@pytest.mark.usefixtures("nothing_known")
@pytest.mark.parametrize(
    "scope",
    [
        pytest.param("", id="none"),
        pytest.param("%lo", id="name"),
        pytest.param("%1", id="number"),
        pytest.param("%nowhere0", id="unknown-name"),
        pytest.param("%4294967295", id="unknown-number"),
        pytest.param("%" + "9" * 5000, id="endless-number"),
    ],
)
def test_a_link_local_address_that_nobody_has_is_not_own(scope: str) -> None:
    assert not is_own_address(IP(f"fe80::dead:beef{scope}"))


@pytest.mark.usefixtures("nothing_known")
def test_where_every_address_binds_own_is_what_routes_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_names, "_binds", lambda _ip, _scope: True)  # as under net.ipv4.ip_nonlocal_bind
    assert not is_own_address(IP("198.51.100.1"))
    assert is_own_address(IP("127.0.0.1"))


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors have no limit there")
def test_without_a_descriptor_left_no_address_is_own_and_nothing_is_remembered() -> None:
    code = """
import resource
from ipaddress import ip_address
from pytest_test_categories._host.names import is_own_address

_, hard = limits = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
own = is_own_address(ip_address("127.0.0.1"))
resource.setrlimit(resource.RLIMIT_NOFILE, limits)
print(own, is_own_address(ip_address("127.0.0.1")))
"""
    # A process of its own: other threads of this one may need a descriptor just then.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.usefixtures("nothing_known")
def test_an_answer_holds_for_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    assert is_own_address(IP("127.0.0.1"))
    monkeypatch.setattr(host_names, "_binds", lambda _ip, _scope: False)
    now += host_names.OWN_ADDRESS_SECONDS - 0.1
    assert is_own_address(IP("127.0.0.1"))
    now += 0.1
    assert not is_own_address(IP("127.0.0.1"))


@pytest.mark.usefixtures("nothing_known")
def test_the_table_of_own_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_names, "REMEMBERED_ADDRESSES", 8)
    monkeypatch.setattr(host_names, "_binds", lambda _ip, _scope: False)
    for number in range(100):
        is_own_address(ipaddress.IPv4Address(number))
        assert len(host_names.state.own) <= 8


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        pytest.param("127.0.0.1", Reach.MACHINE, id="loopback"),
        pytest.param("0.0.0.0", Reach.MACHINE, id="unspecified"),
        pytest.param("::", Reach.MACHINE, id="ipv6-unspecified"),
        pytest.param("198.51.100.1", Reach.BEYOND, id="foreign"),
        pytest.param("2001:db8::1", Reach.BEYOND, id="ipv6-foreign"),
    ],
)
def test_an_address_is_on_this_machine_or_beyond(address: str, reach: Reach) -> None:
    assert reach_of_address(IP(address)) is reach


# -- remembered look-ups -----------------------------------------------------------------------------------------------

DB = parse_allow_entry("db")


def names(table: LookUps, address: str) -> list[str]:
    return [looked_up.name for looked_up in table.names_of(IP(address))]


def test_a_table_gives_the_names_of_an_address_oldest_first() -> None:
    table = LookUps()
    table.remember("db", (DB,), ["10.0.0.7", "::ffff:10.0.0.8", "fd00::7"], 1)
    table.remember("cache", (), ["10.0.0.7"], 1)
    assert table.names_of(IP("10.0.0.7")) == (("db", (DB,)), ("cache", ()))
    assert names(table, "10.0.0.8") == names(table, "fd00::7") == ["db"]
    assert names(table, "10.0.0.9") == []


def test_a_name_looked_up_again_is_the_latest_and_stands_once() -> None:
    table = LookUps()
    table.remember("db", (), ["10.0.0.7"], 1)
    table.remember("cache", (), ["10.0.0.7"], 1)
    table.remember("db", (DB,), ["10.0.0.7"], 1)
    assert table.names_of(IP("10.0.0.7")) == (("cache", ()), ("db", (DB,)))


def test_what_is_no_address_is_not_kept() -> None:
    table = LookUps()
    table.remember("db", (), ["db.example", ""], 1)
    assert table._by_address == {}


def test_the_name_shown_is_the_latest_of_the_context_else_the_latest() -> None:
    table = LookUps()
    assert table.shown_name(IP("10.0.0.7"), 1) == ""
    for name, context in (("first", 1), ("second", 1), ("third", 2), ("fourth", 3)):
        table.remember(name, (), ["10.0.0.7"], context)
    assert [table.shown_name(IP("10.0.0.7"), context) for context in (1, 2, 3, 4)] == [
        "second",
        "third",
        "fourth",
        "fourth",
    ]


def test_a_table_is_bounded_both_ways() -> None:
    table = LookUps(size=4)
    for number in range(10):
        table.remember("db", (), [f"10.0.0.{number}"], 1)
    assert [names(table, f"10.0.0.{number}") for number in (5, 6, 9)] == [[], ["db"], ["db"]]
    for number in range(REMEMBERED_NAMES + 5):
        table.remember(f"name{number}", (), ["10.0.0.9"], 1)
    assert names(table, "10.0.0.9") == [f"name{number}" for number in range(5, REMEMBERED_NAMES + 5)]


def test_an_address_asked_for_again_outlives_the_others() -> None:
    table = LookUps(size=2)
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.3"):
        table.remember("db", (), [address], 1)
    assert [names(table, f"10.0.0.{number}") for number in (1, 2, 3)] == [["db"], [], ["db"]]


def test_a_cleared_table_is_empty() -> None:
    table = LookUps()
    table.remember("db", (), ["10.0.0.7"], 1)
    table.clear()
    assert names(table, "10.0.0.7") == []


def test_threads_share_a_table() -> None:
    table = LookUps(size=8)

    def work(context: int) -> None:
        for number in range(300):
            table.remember(f"name{number % 5}", (), [f"10.0.0.{number % 16}"], context)
            table.shown_name(IP("10.0.0.3"), context)
            table.names_of(IP("10.0.0.5"))

    threads = [threading.Thread(target=work, args=(context,)) for context in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(table._by_address) == 8
