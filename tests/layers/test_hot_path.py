"""Rule 15: what is permitted is judged once, wherever it comes from; and what is remembered of it never goes stale."""

from __future__ import annotations

import _socket
import contextlib
import contextvars
import socket
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import pytest
import wrapt

from pytest_test_categories import (
    NetworkAccessViolationError,
    NetworkAccessWarning,
    _judge,
    expect_network_violation,
    network_guard,
)
from pytest_test_categories._attribution import origin
from pytest_test_categories._attribution.carriers.executors import carrying
from pytest_test_categories._attribution.origin import Scope, ScopeKind
from pytest_test_categories._host import names
from pytest_test_categories._host.c_library import asks_for_local_names
from pytest_test_categories._rules import policy
from pytest_test_categories._rules.address import parse_allow_entry
from pytest_test_categories._rules.policy import Kind, Policy, TestSize
from pytest_test_categories._watch.passes import Permitted, PermittedHost

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Address = tuple[str, int]


def connect(address: Address) -> None:
    with socket.socket() as sock:
        sock.connect(address)


def connect_ex(address: Address) -> None:
    with socket.socket() as sock:
        assert sock.connect_ex(address) == 0


def connect_bare(address: Address) -> None:
    """Connect without a wrapper: only the audit hook sees it."""
    sock = _socket.socket()
    try:
        sock.connect(address)
    finally:
        sock.close()


def send_to(address: Address) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", address)
        sock.sendto(b"x", 0, address)


def send_message(address: Address) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendmsg([b"x"], [], 0, address)


def bind(address: Address) -> None:
    with socket.socket() as sock:
        sock.bind((address[0], 0))


def create_connection(address: Address) -> None:
    socket.create_connection(address).close()


CALLS: Final = (connect, connect_ex, connect_bare, send_to, send_message, bind, create_connection)


def here(function: Callable[[], object]) -> None:
    function()


def in_thread(function: Callable[[], object]) -> None:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def in_pool(function: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(function).result()


def in_a_job_each(function: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as pool:
        for _ in range(3):
            pool.submit(function).result()


PLACES: Final = (here, in_thread, in_pool, in_a_job_each)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the judge decided."""
    attempts: list[Any] = []
    decide = policy.decide

    def noting(one: Policy, attempt: Any) -> Any:
        attempts.append(attempt)
        return decide(one, attempt)

    monkeypatch.setattr(_judge, "decide", noting)
    return attempts


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("call", CALLS)
def test_rule_15_what_is_permitted_is_judged_once_wherever_it_comes_from(
    call: Callable[[Address], None], place: Callable[[Callable[[], object]], None], listener: Address, judged: list[Any]
) -> None:
    counts = []

    def often() -> None:
        for _ in range(4):
            call(listener)
            counts.append(len(judged))

    with network_guard("medium", "strict"):
        place(often)
    assert counts[0] == counts[-1] > 0


@pytest.mark.parametrize("call", CALLS)
def test_a_pools_thread_does_not_take_what_the_last_job_was_permitted(
    call: Callable[[Address], None], listener: Address
) -> None:
    def twice() -> None:
        call(listener)
        call(listener)

    with network_guard("large", "strict"), ThreadPoolExecutor(1) as pool:
        with network_guard("medium", "strict"):
            pool.submit(twice).result()
        with network_guard("small", "strict"), expect_network_violation():
            refused = pool.submit(call, listener)
            assert isinstance(refused.exception(), NetworkAccessViolationError)
            raise_it(refused.exception())


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_pools_thread_does_not_send_what_the_last_job_was_permitted_to(kind: int) -> None:
    server = socket.create_server(("127.0.0.1", 0))  # it keeps the connection
    with network_guard("large", "strict"), ThreadPoolExecutor(1) as pool, server, socket.socket(type=kind) as sock:
        sock.connect(server.getsockname())
        with network_guard("medium", "strict"):
            for _ in range(3):
                pool.submit(send_on, sock).result()
        with network_guard("small", "strict"), expect_network_violation():
            refused = pool.submit(send_on, sock)
            raise_it(refused.exception())


def send_on(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # nobody reads datagrams there
        sock.send(b"x")


def raise_it(error: BaseException | None) -> None:
    assert error is not None
    raise error


def test_a_job_within_a_job_is_held_to_its_own_guard(listener: Address) -> None:
    """And the rest of the outer job to the outer one, afterwards. The guards tell of what the job swallowed."""
    raised: list[NetworkAccessViolationError] = []
    with pytest.raises(NetworkAccessViolationError), network_guard("medium", "strict"):
        with network_guard("small", "strict"):
            inner = carrying(lambda: connect(listener))

        def outer() -> None:
            connect(listener)
            try:
                inner()
            except NetworkAccessViolationError as error:
                raised.append(error)
            connect(listener)

        in_pool(outer)
    assert len(raised) == 1


def test_a_guard_inside_a_thread_does_not_take_what_the_thread_was_permitted(listener: Address) -> None:
    def run() -> None:
        connect(listener)
        with network_guard("small", "strict"), expect_network_violation():
            connect(listener)
        connect(listener)

    with network_guard("medium", "strict"):
        in_thread(run)


def test_a_phase_that_begins_in_a_thread_does_not_take_what_the_thread_was_permitted(listener: Address) -> None:
    """In a context of its own, as a kept runner's, which holds no guard."""

    def run() -> None:
        connect(listener)
        phase = Scope(ScopeKind.TEST, Policy(TestSize.SMALL), "test_inner")
        with phase.entered(phase=True):
            with pytest.raises(NetworkAccessViolationError):
                contextvars.Context().run(connect, listener)
            (record,) = phase.records.values()
            assert record.count == 1
        phase.close()
        connect(listener)

    with network_guard("medium", "strict"):
        in_thread(run)


def test_a_thread_that_outlives_its_guard_is_judged_by_what_encloses_it(listener: Address) -> None:
    """The guard had permitted the same target to the thread before."""
    first, second = threading.Event(), threading.Event()
    raised: list[BaseException] = []

    def run() -> None:
        connect(listener)
        first.set()
        second.wait(5)
        try:
            connect(listener)
        except NetworkAccessViolationError as error:
            raised.append(error)

    with network_guard("large", "strict"):
        with network_guard("medium", "strict"):
            thread = threading.Thread(target=run)
            thread.start()
            first.wait(5)
        second.set()
        thread.join()
    assert raised == []  # a leftover of the medium guard, which permits it


def test_what_one_thread_was_permitted_is_not_permitted_in_another(listener: Address) -> None:
    with network_guard("large", "strict"):
        with network_guard("medium", "strict"):
            in_thread(lambda: connect(listener))
        with network_guard("small", "strict"), expect_network_violation():
            in_thread(lambda: connect(listener))


def test_an_address_that_was_permitted_is_not_permitted_to_another_guard(listener: Address) -> None:
    """The same object, and what an audit hook saw of it."""
    with network_guard("medium", "strict"):
        connect(listener)
        connect(listener)
    for call in CALLS:
        with network_guard("small", "strict"), expect_network_violation():
            call(listener)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("port", [9.0, "9", None, 9 << 40], ids=["float", "text", "none", "too-large"])
def test_a_port_that_equals_a_permitted_one_and_is_none_raises_what_it_raises(port: Any, host: str) -> None:
    def attempt() -> str:
        with socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises((TypeError, OverflowError)) as raised:
            sock.sendto(b"x", (host, port))
        return str(raised.value)

    bare = attempt()
    with network_guard("medium", "strict"), socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", (host, 9))
        sock.sendto(b"x", (host, 9))
        assert attempt() == bare


class Sly(int):
    """A port that pretends to be another one."""

    def __eq__(self, other: object) -> bool:
        """Equal port 9."""
        return other == 9

    def __hash__(self) -> int:
        """Hash as port 9."""
        return hash(9)


def test_a_port_that_pretends_to_be_a_permitted_one_is_judged_by_what_it_is() -> None:
    denying = Policy(TestSize.MEDIUM, deny=(parse_allow_entry("127.0.0.1:7"),))
    with network_guard("large", "strict"), socket.socket(type=socket.SOCK_DGRAM) as sock:
        scope = Scope(ScopeKind.BLOCK, denying, "test_inner")
        with scope.entered():
            for _ in range(2):
                sock.sendto(b"x", ("127.0.0.1", 9))
            with pytest.raises(NetworkAccessViolationError):
                sock.sendto(b"x", ("127.0.0.1", Sly(7)))
        scope.close()


ARGUMENTS: Final[tuple[tuple[str, tuple[Any, ...], dict[str, Any]], ...]] = (
    ("connect", (), {}),
    ("connect", (("127.0.0.1", 9), 1), {}),
    ("connect", (), {"address": ("127.0.0.1", 9)}),
    ("connect", (("127.0.0.1", 9),), {"flags": 1}),
    ("connect", (["127.0.0.1", 9],), {}),
    ("connect", ((["127.0.0.1"], 9),), {}),
    ("sendto", (b"x",), {}),
    ("sendto", (b"x", 0, ("127.0.0.1", 9), 1), {}),
    ("sendto", ("text", ("127.0.0.1", 9)), {}),
    ("sendto", (b"x", "flags", ("127.0.0.1", 9)), {}),
    ("sendmsg", ([b"x"], [], 0, ("127.0.0.1", 9), 1), {}),
    ("setsockopt", (), {}),
    ("setsockopt", (1, [], {}), {}),
    ("send", (), {}),
    ("send", ("text",), {}),
)


@pytest.mark.parametrize(("name", "args", "kwargs"), ARGUMENTS)
def test_wrong_arguments_raise_what_they_raise_without_a_guard(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    def attempt() -> tuple[type, str]:
        with socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises(Exception) as raised:
            getattr(sock, name)(*args, **kwargs)
        return raised.type, str(raised.value)

    bare = attempt()
    with network_guard("medium", "strict"), socket.socket(type=socket.SOCK_DGRAM) as sock:
        for _ in range(2):
            sock.sendto(b"x", ("127.0.0.1", 9))
        assert attempt() == bare


def test_socket_methods_are_wrapt_proxies_and_look_like_methods() -> None:
    with network_guard("medium", "strict"), socket.socket() as sock:
        for name in ("connect", "connect_ex", "bind", "sendto", "send", "sendall", "setsockopt"):
            assert isinstance(vars(socket.socket)[name], wrapt.FunctionWrapper)
            assert isinstance(getattr(socket.socket, name), wrapt.BoundFunctionWrapper)
            method = getattr(sock, name)
            assert method == getattr(sock, name)
            assert method.__self__ is sock
            assert method.__name__ == name
            assert method.__doc__ == getattr(_socket.socket, name).__doc__
            assert method.__wrapped__ is vars(_socket.socket)[name]


def test_other_audit_hooks_see_an_address_like_the_callers(listener: Address) -> None:
    seen: list[Any] = []

    def note(event: str, args: tuple[Any, ...]) -> None:
        if event == "socket.connect" and listening:
            seen.append(args[1])

    listening = True
    sys.addaudithook(note)
    try:
        with network_guard("medium", "strict"):
            connect(listener)
            connect(listener)
    finally:
        listening = False
    assert seen == [listener, listener]
    assert [repr(address) for address in seen] == [repr(listener)] * 2


def test_what_other_audit_hooks_may_keep_is_permitted_to_its_own_guard_alone(listener: Address) -> None:
    def reuse(address: Any, host: str) -> None:
        connect_bare(address)
        with contextlib.closing(_socket.socket(type=_socket.SOCK_DGRAM)) as sock:
            sock.sendto(b"x", address)
        sys.audit("socket.getaddrinfo", host, None, 0, 0, 0)

    def refused(address: Any, host: str) -> None:
        with expect_network_violation():
            connect_bare(address)
        with expect_network_violation(), contextlib.closing(_socket.socket(type=_socket.SOCK_DGRAM)) as sock:
            sock.sendto(b"x", address)
        with expect_network_violation():
            sys.audit("socket.getaddrinfo", host, None, 0, 0, 0)

    with network_guard("medium"):
        connect(listener)
        scope = origin.scope_here()
        assert scope is not None
        kept = scope.memo[Kind.CONNECT, listener], PermittedHost("shop.example", scope.serial)
        assert type(kept[0]) is Permitted
        reuse(*kept)
        in_thread(lambda: reuse(*kept))
        with network_guard("small"):
            refused(*kept)
            in_thread(lambda: refused(*kept))
    with network_guard("small"):
        refused(*kept)
        in_thread(lambda: refused(*kept))


def test_a_thread_keeps_its_guard_no_longer_than_others_do(listener: Address) -> None:
    with network_guard("medium", "strict"):
        in_thread(lambda: connect(listener))
        assert getattr(origin.state.running, "carrier", None) is None  # the main thread carries none


# -- look-ups ----------------------------------------------------------------------------------------------------------


class Resolver:
    """Stands for what the interpreter asks: notes each question, and answers as it is told to."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.asked: list[Any] = []

    def __call__(self, host: Any, port: Any = 0, *_args: Any, **_kwargs: Any) -> list[Any]:
        """Return the answer of getaddrinfo."""
        self.asked.append(host)
        address = self.answers.get(str(host).partition(".")[0], "127.0.0.1")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    stand_in = Resolver()
    monkeypatch.setattr(_socket, "getaddrinfo", stand_in)
    return stand_in


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hosts file of the test's own."""
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n127.0.0.1 here.test\n", encoding="utf-8")
    monkeypatch.setattr(names, "hosts_file", names.HostsFile(str(path)))
    return path


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("name", "call"),
    [
        *((name, create_connection) for name in ("localhost", "here.test", "db.example")),
        *((name, call) for name in ("localhost", "here.test") for call in (connect, connect_ex, send_to, send_message)),
    ],
)
def test_rule_15_a_permitted_name_is_judged_once(
    name: str,
    call: Callable[[Address], None],
    place: Callable[[Callable[[], object]], None],
    listener: Address,
    judged: list[Any],
    hosts: Path,
    resolver: Resolver,
) -> None:
    counts = []

    def often() -> None:
        for _ in range(4):
            call((name, listener[1]))
            counts.append(len(judged))

    with network_guard("medium", "strict", allow=["db.example"]):
        place(often)
    assert counts[0] == counts[-1] > 0


def test_a_look_up_of_localhost_asks_no_server_once_the_hosts_file_lacks_it(hosts: Path, resolver: Resolver) -> None:
    with network_guard("medium", "strict"):
        for _ in range(3):
            socket.getaddrinfo("localhost", 80)
        assert resolver.asked == ["localhost"] * 3
        hosts.write_text("127.0.0.1 here.test\n", encoding="utf-8")
        socket.getaddrinfo("localhost", 80)
    assert resolver.asked[-1] == "127.0.0.1"


def test_a_name_that_the_hosts_file_no_longer_has_is_foreign(hosts: Path, resolver: Resolver) -> None:
    with network_guard("medium", "strict"):
        for _ in range(3):
            socket.getaddrinfo("here.test", 80)
        hosts.write_text("127.0.0.1 localhost\n", encoding="utf-8")
        with expect_network_violation():
            socket.getaddrinfo("here.test", 80)
    assert resolver.asked == ["here.test"] * 3


def test_a_name_that_was_local_and_is_warned_about_is_warned_about_each_time(
    hosts: Path,
    resolver: Resolver,
) -> None:
    with warnings.catch_warnings(), network_guard("medium", "warn") as guard:
        warnings.simplefilter("ignore", NetworkAccessWarning)
        for _ in range(3):
            socket.getaddrinfo("here.test", 80)
        hosts.write_text("127.0.0.1 localhost\n", encoding="utf-8")
        for _ in range(3):
            socket.getaddrinfo("here.test", 80)
    assert [violation.count for violation in guard.violations] == [3]


def test_what_a_wrapper_answers_itself_is_not_permitted_to_who_bypasses_it(
    hosts: Path,
) -> None:
    """The wrapper asks for localhost instead of app.localhost, which the C library would ask a server for."""
    if not asks_for_local_names():
        pytest.skip("this machine's C library asks nobody for it")
    with network_guard("medium", "strict"):
        for _ in range(3):
            socket.getaddrinfo("app.localhost", 80, 0, 0, 0)
        with expect_network_violation():
            _socket.getaddrinfo("app.localhost", 80, 0, 0, 0)


def test_a_loopback_address_without_a_name_is_named_here_each_time(
    hosts: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(_socket, "gethostbyaddr", asked.append)
    with network_guard("medium", "strict"):
        assert [socket.gethostbyaddr("127.0.0.2")[0] for _ in range(3)] == ["localhost"] * 3
    assert asked == []


def test_an_allowed_names_new_address_is_permitted_and_no_other_is(resolver: Resolver) -> None:
    def reach(address: str) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(b"", (address, 9))

    resolver.answers["db"] = "127.0.0.1"
    with network_guard("small", "strict", allow=["db.example"]):
        for address in ("127.0.0.1", "127.0.0.1", "127.0.0.3", "127.0.0.3"):
            resolver.answers["db"] = address
            socket.getaddrinfo("db.example", 9)
            reach(address)
        for _ in range(2):
            with expect_network_violation():
                reach("127.0.0.4")
        with expect_network_violation():
            socket.getaddrinfo("other.example", 9)


def test_a_resolver_that_answers_a_foreign_address_for_localhost_later_on_does_not_get_through(
    resolver: Resolver,
) -> None:
    """DNS rebinding: the name was permitted, and so was its address."""
    with network_guard("medium", "strict"), socket.socket(type=socket.SOCK_DGRAM) as sock:
        for _ in range(3):
            sock.sendto(b"", ("127.0.0.1", 9))
            socket.getaddrinfo("localhost", 9)
        resolver.answers["localhost"] = "198.51.100.1"
        for _ in range(2):
            with expect_network_violation() as seen:
                socket.create_connection(("localhost", 9), 1)
            assert [violation.address for violation in seen] == ["198.51.100.1:9"]


def test_a_call_that_takes_an_allowed_name_has_its_address_judged_each_time(resolver: Resolver) -> None:
    with network_guard("medium", "strict", allow=["db.example:9"]), socket.socket(type=socket.SOCK_DGRAM) as sock:
        for _ in range(3):
            sock.sendto(b"", ("localhost", 9))
        resolver.answers["localhost"] = "198.51.100.1"
        with expect_network_violation():
            sock.sendto(b"", ("localhost", 9))


def test_the_name_that_a_refusal_shows_is_the_latest_although_look_ups_are_remembered(
    hosts: Path,
    resolver: Resolver,
) -> None:
    hosts.write_text("127.0.0.1 localhost one.test two.test\n", encoding="utf-8")
    seen = []
    with network_guard("small", "strict"):
        for name in ("one.test", "one.test", "two.test", "one.test", "two.test", "two.test"):
            socket.getaddrinfo(name, 9)
            with expect_network_violation() as violations, socket.socket() as sock:
                sock.connect(("127.0.0.1", 9))
            seen += [violation.target.partition(":")[0] for violation in violations]
    assert seen == ["one.test", "one.test", "two.test", "one.test", "two.test", "two.test"]


def test_a_fake_that_comes_later_is_called_with_what_the_caller_gave(
    hosts: Path,
    resolver: Resolver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = mock.Mock(return_value=[])
    with network_guard("medium", "strict"):
        for _ in range(3):
            socket.getaddrinfo("localhost", 80)
        monkeypatch.setattr(socket, "getaddrinfo", fake)
        socket.getaddrinfo("localhost", 80)
        monkeypatch.undo()
    assert type(fake.call_args.args[0]) is str
    assert len(resolver.asked) == 3


def test_an_answer_that_its_caller_changes_is_recorded_again(
    hosts: Path,
    resolver: Resolver,
) -> None:
    with network_guard("small", "strict", allow=["localhost:9"]), socket.socket(type=socket.SOCK_DGRAM) as sock:
        for _ in range(3):
            socket.getaddrinfo("localhost", 9).clear()
            sock.sendto(b"", ("127.0.0.1", 9))


@pytest.mark.parametrize("args", [("localhost", [80]), ("localhost", 80.5), ("localhost", 80, 0, 0, 0, "flags")])
def test_wrong_arguments_of_a_look_up_raise_what_they_raise_without_a_guard(args: tuple[Any, ...]) -> None:
    def attempt() -> tuple[type, str]:
        with pytest.raises(Exception) as raised:
            socket.getaddrinfo(*args)
        return raised.type, str(raised.value)

    bare = attempt()
    with network_guard("medium", "strict"):
        for _ in range(2):
            socket.getaddrinfo("localhost", 80)
        assert attempt() == bare


@pytest.mark.parametrize("call", [connect, connect_ex, send_to, send_message])
def test_a_name_given_to_a_socket_is_judged_again_when_the_hosts_file_or_its_answer_changes(
    call: Callable[[Address], None], hosts: Path, resolver: Resolver, listener: Address
) -> None:
    with network_guard("medium", "strict"):
        for name in ("localhost", "here.test"):
            for _ in range(3):
                call((name, listener[1]))
        resolver.answers["localhost"] = "198.51.100.1"
        for _ in range(2):
            with expect_network_violation() as seen:
                call(("localhost", listener[1]))
            assert [violation.address for violation in seen] == [f"198.51.100.1:{listener[1]}"]
        del resolver.answers["localhost"]
        call(("localhost", listener[1]))
        hosts.write_text("127.0.0.1 localhost\n", encoding="utf-8")
        with expect_network_violation() as seen:
            call(("here.test", listener[1]))
        assert [violation.target for violation in seen] == [f"here.test:{listener[1]}"]


def test_the_connect_of_a_datagram_socket_to_a_name_permits_no_other(
    hosts: Path,
    resolver: Resolver,
) -> None:
    """It sends nothing to a number, whatever the number is."""
    resolver.answers["localhost"] = "198.51.100.1"
    with network_guard("medium", "strict"):
        for _ in range(3):
            with socket.socket(type=socket.SOCK_DGRAM) as sock:
                sock.connect(("localhost", 9))
        with expect_network_violation():
            connect(("localhost", 9))
