"""What crosses between kernel, supervisor and test process."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import select
import socket
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if sys.platform != "linux":
    pytest.skip("the layer is Linux'", allow_module_level=True)

from pytest_test_categories._kernel import wire
from pytest_test_categories._kernel.names import Detour, NameServers, queried_name, refusal_of
from pytest_test_categories._kernel.processes import Starts, start_of, ticks
from pytest_test_categories._kernel.watched import Watched
from pytest_test_categories._rules.address import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def page() -> wire.Page:
    descriptor = os.memfd_create("test")
    os.ftruncate(descriptor, wire.Page.SIZE)
    made = wire.Page(descriptor)
    os.close(descriptor)
    return made


def inet(host: str, port: int) -> bytes:
    return struct.pack("=H", socket.AF_INET) + struct.pack(">H", port) + socket.inet_aton(host) + bytes(8)


def inet6(host: str, port: int, scope: int = 0) -> bytes:
    raw = struct.pack("=H", socket.AF_INET6) + struct.pack(">HI", port, 0)
    return raw + socket.inet_pton(socket.AF_INET6, host) + struct.pack("=I", scope)


@pytest.mark.parametrize(
    ("raw", "endpoint"),
    [
        pytest.param(inet("198.51.100.1", 80), Endpoint("198.51.100.1", 80), id="IPv4"),
        pytest.param(inet("198.51.100.1", 80)[:8], Endpoint("198.51.100.1", 80), id="IPv4 cut short"),
        pytest.param(inet6("2001:db8::1", 443), Endpoint("2001:db8::1", 443), id="IPv6"),
        pytest.param(inet6("fe80::1", 443, 2), Endpoint("fe80::1%2", 443), id="link-local"),
        pytest.param(b"\1\0/run/x\0rest", Endpoint("/run/x", family="unix"), id="path"),
        pytest.param(b"\1\0/run/x", Endpoint("/run/x", family="unix"), id="path without an end"),
        pytest.param(b"\1\0\0hidden", Endpoint("@hidden", family="unix"), id="abstract"),
        pytest.param(struct.pack("=HHII4x", 40, 0, 5000, 2), Endpoint("2", "5000", "vsock"), id="vsock"),
        pytest.param(struct.pack("=HHi12x", 17, 0, 1), Endpoint("lo", family="packet"), id="packet"),
        pytest.param(struct.pack("=HHi12x", 17, 0, 99999), Endpoint("#99999", family="packet"), id="packet elsewhere"),
        pytest.param(struct.pack("=HHi12x", 17, 0, 0), None, id="packet of no interface"),
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"\1\0", None, id="unnamed"),
        pytest.param(struct.pack("=H", 0) + bytes(14), None, id="unspecified"),
        pytest.param(struct.pack("=HHII", 16, 0, 0, 0), None, id="netlink"),
        pytest.param(inet("198.51.100.1", 80)[:6], None, id="too short"),
    ],
)
def test_socket_addresses_are_read(raw: bytes, endpoint: Endpoint | None) -> None:
    assert wire.read_sockaddr(raw) == endpoint


@pytest.mark.parametrize(
    ("raw", "endpoint"),
    [
        pytest.param(bytes(2) + inet("198.51.100.1", 9)[2:], Endpoint("198.51.100.1", 9), id="unspecified"),
        pytest.param(inet("198.51.100.1", 9), Endpoint("198.51.100.1", 9), id="IPv4"),
        pytest.param(struct.pack("=H14sH", 17, b"d0", 8), Endpoint("d0", family="packet"), id="device"),
        pytest.param(struct.pack("=H14s", 17, b"eth0"), Endpoint("eth0", family="packet"), id="device, short form"),
        pytest.param(struct.pack("=H14s4x", 17, b"eth0"), Endpoint("eth0", family="packet"), id="device, long form"),
        pytest.param(struct.pack("=H14sH", 17, b"", 8), None, id="no device"),
        pytest.param(struct.pack("=HHi12x", 17, 8, 1), Endpoint("lo", family="packet"), id="interface and protocol"),
    ],
)
def test_addresses_that_something_is_sent_to_are_read_as_linux_does(raw: bytes, endpoint: Endpoint | None) -> None:
    assert wire.read_sockaddr(raw, sending=True) == endpoint


def test_memory_is_read_and_what_is_not_there_fails() -> None:
    held = ctypes.create_string_buffer(b"what is there")
    memory = wire.Memory()
    address = ctypes.addressof(held)
    assert memory.read(os.getpid(), address, 13) == b"what is there"
    assert memory._from_file(os.getpid(), address, 13) == b"what is there"
    with pytest.raises(OSError, match="Bad address"):
        memory.read(os.getpid(), 16, 8)


def test_no_more_than_the_buffer_is_read() -> None:
    size = wire.Memory.LARGEST + 100
    held = mmap.mmap(-1, size)
    view = (ctypes.c_char * size).from_buffer(held)
    assert len(wire.Memory().read(os.getpid(), ctypes.addressof(view), size)) == wire.Memory.LARGEST
    del view
    held.close()


@pytest.fixture
def pipe() -> Iterator[tuple[wire.Messages, int]]:
    read, write = os.pipe()
    yield wire.Messages(read), write
    os.close(read)
    with contextlib.suppress(OSError):
        os.close(write)


def test_messages_are_read_whole_and_an_end_is_noticed(pipe: tuple[wire.Messages, int]) -> None:
    messages, write = pipe
    assert messages.read() == []
    [first], [second] = wire.encode([1, "a"]), wire.encode([2, "bc"])
    os.write(write, first + second[:3])
    assert messages.read() == [[1, "a"]]
    os.write(write, second[3:-4])
    assert messages.read() == []
    os.write(write, second[-4:])
    assert messages.read() == [[2, "bc"]]
    assert not messages.ended
    os.close(write)
    assert messages.read() == []
    assert messages.ended
    assert not messages.dropped


def test_long_messages_come_whole_when_their_pieces_are_mixed(pipe: tuple[wire.Messages, int]) -> None:
    messages, write = pipe
    first, second = wire.encode(["x" * 9000]), wire.encode(["y" * 9000])
    assert all(len(piece) <= select.PIPE_BUF for piece in first)
    for pieces in zip(first, second, strict=True):
        os.write(write, b"".join(pieces))
    assert messages.read() == [["x" * 9000], ["y" * 9000]]
    assert not messages.dropped


WHOLE = wire.encode([7])[0]


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(b"hello\n", id="text"),
        pytest.param(bytes(range(256)) * 20, id="bytes"),
        pytest.param(WHOLE[:4], id="only a mark"),
        pytest.param(WHOLE[:-1], id="cut short"),
        pytest.param(WHOLE[:4] + b"\xff" * 18, id="impossible sizes"),
        pytest.param(WHOLE.replace(b"[7]", b"[7}"), id="no JSON"),
        pytest.param(WHOLE.replace(b"[7]", b"777"), id="no list"),
        pytest.param(wire.encode([])[0], id="empty"),
        pytest.param(wire.encode(["x" * 9000])[1], id="without its beginning"),
    ],
)
def test_what_is_no_message_is_dropped_and_the_next_one_is_read(pipe: tuple[wire.Messages, int], wrong: bytes) -> None:
    messages, write = pipe
    os.write(write, wrong)
    found = messages.read()
    os.write(write, WHOLE)
    assert found + messages.read() == [[7]]
    assert messages.dropped


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(["policies"], id="too few"),
        pytest.param(["policies", 1, [["huge", "strict", [], []]]], id="no size"),
        pytest.param(["policies", [], []], id="no index"),
        pytest.param(["policies", 1, [["small", "strict", ["::::"], []]]], id="no entry"),
        pytest.param(["vouch", {}, "connect"], id="no thread"),
        pytest.param(["vouch", 5, "dial"], id="no kind"),
        pytest.param(["names", [], 1, 2, 3], id="no names"),
        pytest.param([["nested"]], id="no word"),
        pytest.param(["other", 1], id="unknown"),
    ],
)
def test_the_supervisor_survives_whatever_a_client_writes(
    message: list[object], capfd: pytest.CaptureFixture[str]
) -> None:
    page = os.memfd_create("test")
    os.ftruncate(page, wire.Page.SIZE)
    theirs, reports = os.pipe()
    control, mine = os.pipe()
    watched = Watched(os.open(os.devnull, os.O_RDONLY), page, reports, control, os.getpid())
    for sent in (message, ["vouch", 5, "lookup"], message):
        os.write(mine, wire.encode(sent)[0])
    watched.hear()
    assert 5 in watched.vouched
    assert capfd.readouterr().err.count("drops what it can't read") == 1
    watched.close()
    os.close(theirs)
    os.close(mine)


def sleeping() -> subprocess.Popen[bytes]:
    return subprocess.Popen(("sleep", "60"))


def end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()


def test_starts_are_remembered_for_as_long_as_their_owners_live() -> None:
    starts = Starts()
    before = ticks()
    children = [sleeping() for _ in range(10)]
    assert [starts.of(child.pid) for child in children * 2] == [start_of(child.pid)[0] for child in children] * 2
    found = starts.of(children[0].pid)
    assert before <= found <= ticks()
    for child in children:
        end(child)
    time.sleep(0.05)
    assert all(starts.of(child.pid) > found + 2 for child in children)  # now: none of them is there


def test_the_next_owner_of_a_number_has_a_start_of_its_own() -> None:
    starts = Starts()
    for _ in range(20):
        first = sleeping()
        since = starts.of(first.pid)
        assert starts.of(first.pid) == since
        end(first)
        time.sleep(0.03)
        try:
            with open("/proc/sys/kernel/ns_last_pid", "w") as file:
                file.write(str(first.pid - 1))
        except OSError:
            pytest.skip("only root may choose the next process id")
        second = sleeping()
        later = starts.of(second.pid)
        assert later == start_of(second.pid)[0]
        end(second)
        if second.pid == first.pid:
            assert later > since
            return
    pytest.skip("other processes take the numbers")


class TestPage:
    def test_holds_what_was_published(self, page: wire.Page) -> None:
        assert page.now == 0
        page.publish(7 << wire.WORD_BITS | 3)
        assert page.now >> wire.WORD_BITS == 7
        assert page.now & wire.LARGEST_INDEX == 3
        page.close()

    def test_counts_reports(self, page: wire.Page) -> None:
        page.count_report(lost=False)
        page.count_report(lost=False)
        page.count_report(lost=True)
        page.pending = 4
        assert (page.reports, page.lost, page.pending) == (2, 1, 4)
        page.close()

    def test_knows_what_held_when_a_process_started(self, page: wire.Page, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 1000
        monkeypatch.setattr(wire, "ticks", lambda: now)
        assert page.word_at(999, 7) == 0  # no test has begun
        page.begin_tests()
        for moment, word in [(1000, 1), (1010, 2 << 16 | 1), (1020, 3 << 16), (1020, 4 << 16 | 2), (1030, 5 << 16)]:
            now = moment
            page.publish(word)
        assert page.word_at(999, 7) == 0  # the runner's
        assert page.word_at(1015, 7) == 2 << 16 | 1
        assert page.word_at(1020, 7) == 4 << 16 | 2
        assert page.word_at(1025, 7) == 4 << 16 | 2
        assert page.word_at(1030, 7) == 4 << 16 | 2  # within one tick: rather somebody's than nobody's
        assert page.word_at(1031, 7) == 5 << 16
        page.close()

    def test_tells_processes_of_one_tick_apart_by_their_numbers(
        self, page: wire.Page, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(wire, "ticks", lambda: 1000)
        page.begin_tests()
        page.publish(1 << 16 | 1, 100)
        page.publish(2 << 16)
        page.publish(3 << 16 | 2, 105)
        page.publish(4 << 16 | 2, 105)
        assert page.word_at(1000, 103) == 1 << 16 | 1
        assert page.word_at(1000, 105) == 1 << 16 | 1
        assert page.word_at(1000, 106) == 4 << 16 | 2
        assert page.word_at(1000, 99_999) == 4 << 16 | 2
        assert page.word_at(1001, 103) == 4 << 16 | 2
        page.close()

    def test_remembers_fixtures_longer_than_tests(self, page: wire.Page, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 1000
        monkeypatch.setattr(wire, "ticks", lambda: now)
        page.begin_tests()
        page.publish(1 << 16 | 1)
        now = 1010
        page.note_span(1000, 1 << 16 | 1)
        for number in range(10_000):
            now = 2000 + number
            page.publish((number + 2) << 16 | 2)
        assert page.word_at(1005, 7) == 1 << 16 | 1
        assert page.word_at(1500, 7) is None
        assert page.word_at(2000, 7) is None
        assert page.word_at(now, 7) == 10_001 << 16 | 2
        page.close()


QUERY = b"\x12\x34\1\0\0\1\0\0\0\0\0\0\7example\3com\0\0\1\0\1"


@pytest.mark.parametrize(
    ("query", "name"),
    [
        pytest.param(QUERY, "example.com", id="query"),
        pytest.param(QUERY[:2] + b"\x81\x80" + QUERY[4:], "", id="answer"),
        pytest.param(QUERY[:4] + b"\0\2" + QUERY[6:], "", id="two questions"),
        pytest.param(QUERY[:16], "", id="cut short"),
        pytest.param(b"", "", id="empty"),
        pytest.param(QUERY[:12] + b"\0\0\1\0\1", "", id="root"),
        pytest.param(QUERY.replace(b"example", b"ex\xffmple"), "ex\\xffmple.com", id="no text"),
    ],
)
def test_the_name_is_read_from_a_query(query: bytes, name: str) -> None:
    assert queried_name(query) == name


def test_a_refusal_repeats_the_question_alone() -> None:
    asked = QUERY[:11] + b"\1" + QUERY[12:] + b"\0\0\x29\x10\0\0\0\0\0\0\0"  # with EDNS
    assert refusal_of(asked) == b"\x12\x34\x81\x85\0\1" + bytes(6) + QUERY[12:]
    assert queried_name(refusal_of(asked)) == ""
    assert refusal_of(QUERY[:16]) == b""


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("blocking", [True, False])
def test_a_detour_leads_here_or_to_the_server(host: str, blocking: bool) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as server:
        try:
            server.bind((host, 0))
        except OSError as error:
            pytest.skip(f"no such loopback address: {error}")
        server.settimeout(5)
        detour = Detour(Endpoint(host, server.getsockname()[1]), blocking=blocking)
        with detour.caller.dup() as caller:
            assert caller.getblocking() is blocking
            for _ in range(2):
                caller.send(QUERY)
                assert detour.receive() == QUERY
                detour.lead_to_server(QUERY)
                message, sender = server.recvfrom(512)
                assert message == QUERY
                server.sendto(b"answer", sender)
                assert select.select([caller], [], [], 5)[0]
                detour.lead_here()  # what has come stays
                assert caller.recv(512) == b"answer"
            server.sendto(b"of another", detour.here.getsockname())
            assert select.select([detour.here], [], [], 5)[0]
            assert detour.receive() == b""
            caller.send(QUERY)
            query = detour.receive()
            detour.refuse(query)
            assert caller.recv(512) == refusal_of(QUERY)
            detour.close()
            with pytest.raises(ConnectionRefusedError):
                for _ in range(2):
                    caller.send(QUERY)
        with pytest.raises(BlockingIOError), contextlib.closing(Detour(Endpoint(host, 9), blocking=blocking)) as idle:
            idle.receive()


def test_name_servers_are_those_of_the_file_and_any_foreign_one(tmp_path: pytest.TempPathFactory) -> None:
    path = f"{tmp_path}/resolv.conf"
    servers = NameServers(path)
    assert servers.asks(Endpoint("127.0.0.53", 53))
    assert not servers.asks(Endpoint("127.0.0.11", 53))
    with open(path, "w") as file:
        file.write("# a comment\nnameserver 127.0.0.11\noptions ndots:2\nnameserver\n")
    assert servers.asks(Endpoint("127.0.0.11", 53))
    assert servers.asks(Endpoint("127.0.0.53", 53))
    assert not servers.asks(Endpoint("127.0.0.1", 53))  # a test's own server
    assert servers.asks(Endpoint("198.51.100.1", 53))
    assert servers.asks(Endpoint("198.51.100.1", 853))
    assert servers.asks(Endpoint("224.0.0.251", 5353))
    assert not servers.asks(Endpoint("198.51.100.1", 80))
    assert not servers.asks(Endpoint("/run/x", 53, "unix"))


def test_a_queried_name_is_meant_without_the_domains_that_are_appended(tmp_path: pytest.TempPathFactory) -> None:
    path = f"{tmp_path}/resolv.conf"
    servers = NameServers(path)
    assert servers.meant("db.corp.test") == "db.corp.test"
    with open(path, "w") as file:
        file.write("domain Test.\nsearch corp.test svc.local\n")
    assert servers.meant("db.corp.test") == "db"
    assert servers.meant("db.CORP.test") == "db"
    assert servers.meant("db.other.test") == "db.other"
    assert servers.meant("corp.test") == "corp"
    assert servers.meant("db.example.com") == "db.example.com"
