"""Rule 8: every socket entry point, spelling and family that a guard has to stop, and what it has to leave alone."""

from __future__ import annotations

import _socket
import asyncio
import contextlib
import functools
import gc
import http.client
import importlib
import operator
import os
import socket
import ssl
import struct
import sys
import urllib.request
import warnings
from multiprocessing.connection import Client
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import anyio
import pytest
import trio
import wrapt
from tests.outsiders import unix_server

from pytest_test_categories import NetworkAccessViolationError, Violation, network_guard
from pytest_test_categories._host import names
from pytest_test_categories._ledger.records import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Address = tuple[str, int]
    Attack = Callable[[Address], object]

FOREIGN: Final = ("198.51.100.1", 9)
FOREIGN_6: Final = ("2001:db8::1", 9)

# Bound before any guard.
BOUND_CONNECT: Final = socket.socket.connect
BOUND_CLASS: Final = socket.socket
BOUND_CREATE_CONNECTION: Final = socket.create_connection
BOUND_GETADDRINFO: Final = socket.getaddrinfo
BOUND_GETHOSTBYNAME: Final = socket.gethostbyname
BOUND_GETNAMEINFO: Final = socket.getnameinfo


class Subclass(socket.socket):
    """A socket that calls its base class, as ssl's does."""

    def connect(self, address: Any) -> None:
        """Connect."""
        super().connect(address)


def with_socket(
    act: Callable[[Any], object], kind: int = socket.SOCK_STREAM, family: int = socket.AF_INET, cls: Any = None
) -> None:  # noqa: ANN401, RUF100 - any socket class
    """Do something to a socket, and close it."""
    sock = (cls or socket.socket)(family, kind)
    try:
        if hasattr(sock, "settimeout"):
            sock.settimeout(2)
        act(sock)
    finally:
        sock.close()


def with_ssl(address: Address) -> None:
    context = ssl.create_default_context()
    with context.wrap_socket(socket.socket(), do_handshake_on_connect=False, server_hostname="localhost") as wrapped:
        wrapped.connect(address)


def http_get(address: Address) -> None:
    connection = http.client.HTTPConnection(*address, timeout=2)
    try:
        connection.connect()
    finally:
        connection.close()


async def open_stream(address: Address) -> None:
    _, writer = await asyncio.open_connection(*address)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def sock_connect(address: Address) -> None:
    with socket.socket() as sock:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)


async def datagram(address: Address) -> None:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=address
    )
    transport.sendto(b"x")  # the connect alone sends nothing
    transport.close()


async def datagram_sendto(address: Address) -> None:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, family=socket.AF_INET
    )
    try:
        transport.sendto(b"x", address)
        await asyncio.sleep(0)
    finally:
        transport.close()


async def loop_sock_sendto(address: Address) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_sendto(sock, b"x", address)


async def trio_stream(address: Address) -> None:
    await (await trio.open_tcp_stream(*address)).aclose()


async def trio_socket(address: Address) -> None:
    with trio.socket.socket() as sock:
        await sock.connect(address)


async def anyio_stream(address: Address) -> None:
    await (await anyio.connect_tcp(*address)).aclose()


def multiprocessing_client(address: Address) -> None:
    Client(address).close()


def reloaded(address: Address) -> None:
    """Connect by a class that existed before the socket module was reloaded, and by the new one."""
    before = dict(vars(socket))
    try:
        importlib.reload(socket)
        with_socket(lambda sock: sock.connect(address))
    finally:
        vars(socket).update(before)


ATTACKS: Final[dict[str, Attack]] = {
    "connect": lambda to: with_socket(lambda s: s.connect(to)),
    "connect_ex": lambda to: with_socket(lambda s: s.connect_ex(to)),
    "create_connection": lambda to: socket.create_connection(to, 2).close(),
    "create_connection by keyword": lambda to: socket.create_connection(address=to, timeout=2).close(),
    "_socket.socket": lambda to: with_socket(lambda s: s.connect(to), cls=_socket.socket),
    "_socket.socket connect_ex": lambda to: with_socket(lambda s: s.connect_ex(to), cls=_socket.socket),
    "_socket.socket method on a socket.socket": lambda to: with_socket(lambda s: _socket.socket.connect(s, to)),
    "subclass": lambda to: with_socket(lambda s: s.connect(to), cls=Subclass),
    "method bound before": lambda to: with_socket(lambda s: BOUND_CONNECT(s, to)),
    "class bound before": lambda to: with_socket(lambda s: s.connect(to), cls=BOUND_CLASS),
    "create_connection bound before": lambda to: BOUND_CREATE_CONNECTION(to, 2).close(),
    "bytes host": lambda to: with_socket(lambda s: s.connect((to[0].encode(), to[1]))),
    "bytearray host": lambda to: with_socket(lambda s: s.connect((bytearray(to[0].encode()), to[1]))),
    "port that is no int": lambda to: with_socket(lambda s: s.connect((to[0], Index(to[1])))),
    "port that is no int, past the wrapper": lambda to: with_socket(
        lambda s: s.connect((to[0], Index(to[1]))), cls=_socket.socket
    ),
    "a name": lambda to: with_socket(lambda s: s.connect(("localhost", to[1]))),
    "a name in capitals, with a dot": lambda to: with_socket(lambda s: s.connect(("LOCALHOST", to[1]))),
    "ssl": with_ssl,
    "http.client": http_get,
    "asyncio streams": lambda to: asyncio.run(open_stream(to)),
    "asyncio sock_connect": lambda to: asyncio.run(sock_connect(to)),
    "asyncio datagram endpoint": lambda to: asyncio.run(datagram(to)),
    "asyncio datagram sendto": lambda to: asyncio.run(datagram_sendto(to)),
    "asyncio sock_sendto": lambda to: asyncio.run(loop_sock_sendto(to)),
    "trio stream": lambda to: trio.run(trio_stream, to),
    "trio socket": lambda to: trio.run(trio_socket, to),
    "anyio on asyncio": lambda to: anyio.run(anyio_stream, to),
    "anyio on trio": lambda to: anyio.run(anyio_stream, to, backend="trio"),
    "udp connect and send": lambda to: with_socket(lambda s: (s.connect(to), s.send(b"x")), socket.SOCK_DGRAM),
    "_socket udp connect": lambda to: with_socket(lambda s: s.connect(to), socket.SOCK_DGRAM, cls=_socket.socket),
    "udp sendto": lambda to: with_socket(lambda s: s.sendto(b"x", to), socket.SOCK_DGRAM),
    "udp sendto with flags": lambda to: with_socket(lambda s: s.sendto(b"x", 0, to), socket.SOCK_DGRAM),
    "udp sendto a name": lambda to: with_socket(lambda s: s.sendto(b"x", ("localhost", to[1])), socket.SOCK_DGRAM),
    "udp sendmsg": lambda to: with_socket(lambda s: s.sendmsg([b"x"], [], 0, to), socket.SOCK_DGRAM),
    "_socket udp sendto": lambda to: with_socket(lambda s: s.sendto(b"x", to), socket.SOCK_DGRAM, cls=_socket.socket),
    "_socket udp sendmsg": lambda to: with_socket(
        lambda s: s.sendmsg([b"x"], [], 0, to), socket.SOCK_DGRAM, cls=_socket.socket
    ),
    "bind": lambda _to: with_socket(lambda s: s.bind(("127.0.0.1", 0))),
    "bind a name": lambda _to: with_socket(lambda s: s.bind(("localhost", 0))),
    "bind past the wrapper": lambda _to: with_socket(lambda s: s.bind(("127.0.0.1", 0)), cls=_socket.socket),
    "create_server": lambda _to: socket.create_server(("127.0.0.1", 0)).close(),
    "reloaded module": reloaded,
}


class Index:
    """A port that C code takes for a number, though it is none."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


def refused(attack: Callable[[], object], size: str = "small", allow: tuple[str, ...] = ()) -> list[Violation]:
    """Return what a strict guard refused, although the attack's error was swallowed."""
    guard = network_guard(size, "strict", allow=allow)
    with pytest.raises(NetworkAccessViolationError) as caught, guard, contextlib.suppress(BaseException):
        attack()
    assert list(caught.value.violations) == guard.violations
    return guard.violations


@pytest.mark.parametrize("attack", [pytest.param(attack, id=name) for name, attack in ATTACKS.items()])
def test_rule_8_an_attack_that_works_is_stopped_by_a_small_guard(listener: Address, attack: Attack) -> None:
    attack(listener)  # it does work
    with network_guard("medium", "strict") as medium:
        attack(listener)
    assert medium.violations == []
    (violation,) = refused(lambda: attack(listener))
    assert violation.reach == "machine"
    assert violation.location.startswith("tests/layers/test_sockets.py:")
    assert violation.count == 1
    attack(listener)


@pytest.fixture
def _vsock() -> None:
    try:
        socket.socket(socket.AF_VSOCK).close()
    except (AttributeError, OSError):
        pytest.skip("there is no vsock here")


def dial_vsock(context: int) -> None:
    with socket.socket(socket.AF_VSOCK) as sock:
        sock.setblocking(False)
        sock.connect_ex((context, 9))  # what becomes of it depends on the kernel's modules


def own_vsock() -> int:
    import fcntl

    try:
        with open("/dev/vsock", "rb") as device:
            told = fcntl.ioctl(device, socket.IOCTL_VM_SOCKETS_GET_LOCAL_CID, bytes(4))
    except OSError:
        pytest.skip("nobody says what this machine's own context is")
    return int.from_bytes(told, sys.byteorder)


@pytest.mark.usefixtures("_vsock")
def test_vsock_counts_as_foreign() -> None:
    for size in ("small", "medium"):
        for context in {2, 77} - {own_vsock()}:
            (violation,) = refused(functools.partial(dial_vsock, context), size)
            assert violation.target == f"vsock:{context}:9"
            assert violation.reach == "beyond"


@pytest.mark.usefixtures("_vsock")
@pytest.mark.parametrize("find", [lambda: 1, own_vsock], ids=["local", "own"])
def test_vsock_contexts_of_this_machine_are_this_machine(find: Callable[[], int]) -> None:
    context = find()
    with network_guard("medium", "strict") as guard:
        dial_vsock(context)
    assert guard.violations == []
    (violation,) = refused(lambda: dial_vsock(context), "small")
    assert (violation.target, violation.reach) == (f"vsock:{context}:9", "machine")


@pytest.mark.skipif(not hasattr(socket, "AF_NETLINK"), reason="the platform has no netlink")
def test_netlink_is_not_judged() -> None:
    with network_guard("small", "strict") as guard:
        with_socket(lambda s: s.bind((0, 0)), socket.SOCK_RAW, socket.AF_NETLINK)
    assert guard.violations == []


@pytest.mark.parametrize("size", ["small", "medium"])
@pytest.mark.parametrize(
    "host",
    [
        *("198.51.100.1", "198.51.25601", "0xc6336401", "3325256705", "0306.063.0144.01"),
        *("127.evil.example", "localhost.example.com", "localhost.evil", "0.evil.example", "127.0.0.1.evil.example"),
        *(
            "evil.example",
            "EVIL.example.",
            "xn--bcher-kva.example",
            "b\u00fccher.example",
            "<broadcast>",
            "255.255.255.255",
        ),
    ],
)
def test_locality_is_judged_from_the_address_and_never_from_its_text(size: str, host: str) -> None:
    for kind, act in (
        (socket.SOCK_STREAM, lambda s: s.connect((host, 9))),
        (socket.SOCK_STREAM, lambda s: s.connect((host.encode("idna"), 9))),
        (socket.SOCK_DGRAM, lambda s: s.sendto(b"", (host, 9))),
    ):
        (violation,) = refused(lambda kind=kind, act=act: with_socket(act, kind), size)  # type: ignore[misc]
        assert violation.reach == "beyond"


@pytest.mark.parametrize("size", ["small", "medium"])
@pytest.mark.parametrize(
    "address",
    [FOREIGN_6, ("::ffff:198.51.100.1", 9), ("2001:db8::1", 9, 0, 0), ("64:ff9b::7f00:1", 9), ("fe80::1%1", 9)],
)
def test_ipv6_targets(size: str, address: tuple[Any, ...]) -> None:
    (violation,) = refused(lambda: with_socket(lambda s: s.connect(address), family=socket.AF_INET6), size)
    assert violation.reach == "beyond"


@pytest.mark.parametrize(
    "spelling",
    ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "0177.1", "0.0.0.0", "", "localhost"],
)
def test_any_spelling_of_loopback_is_local(listener: Address, spelling: str) -> None:
    with network_guard("medium", "strict"):
        with_socket(lambda s: s.connect((spelling, listener[1])))
    (violation,) = refused(lambda: with_socket(lambda s: s.connect((spelling, listener[1]))))
    assert violation.reach == "machine"


LOOKUPS: Final[dict[str, Callable[[str], object]]] = {
    "getaddrinfo": lambda name: socket.getaddrinfo(name, 80),
    "getaddrinfo bytes": lambda name: socket.getaddrinfo(name.encode(), 80),
    "getaddrinfo keywords": lambda name: socket.getaddrinfo(host=name, port=80, flags=socket.AI_CANONNAME),
    "getaddrinfo bound before": lambda name: BOUND_GETADDRINFO(name, 80),
    "getaddrinfo with a strange flag": lambda name: socket.getaddrinfo(name, 80, 0, 0, 0, Index(0)),  # type: ignore[arg-type]
    "_socket.getaddrinfo": lambda name: _socket.getaddrinfo(name, 80),
    "text before a NUL": lambda name: socket.getaddrinfo(f"{name}\0.localhost", 80),
    "bytes before a NUL": lambda name: socket.getaddrinfo(f"{name}\0.localhost".encode(), 80),
    "bytes before a NUL, past the wrapper": lambda name: _socket.getaddrinfo(f"{name}\0.localhost".encode(), 80),
    "gethostbyname": socket.gethostbyname,
    "gethostbyname, late": lambda name: socket.gethostbyname(name),
    "gethostbyname bound before": lambda name: BOUND_GETHOSTBYNAME(name),
    "gethostbyname_ex": lambda name: socket.gethostbyname_ex(name),
    "_socket.gethostbyname_ex": lambda name: _socket.gethostbyname_ex(name),
    "gethostbyaddr of a name": lambda name: socket.gethostbyaddr(name),
    "_socket.gethostbyaddr of a name": lambda name: _socket.gethostbyaddr(name),
    "getfqdn": lambda name: socket.getfqdn(name),
    "connect": lambda name: with_socket(lambda s: s.connect((name, 80))),
    "connect_ex": lambda name: with_socket(lambda s: s.connect_ex((name, 80))),
    "bind": lambda name: with_socket(lambda s: s.bind((name, 0))),
    "sendto": lambda name: with_socket(lambda s: s.sendto(b"", (name, 80)), socket.SOCK_DGRAM),
    "create_connection": lambda name: socket.create_connection((name, 80)),
    "urllib": lambda name: urllib.request.urlopen(f"http://{name}/"),
    "asyncio": lambda name: asyncio.run(open_stream((name, 80))),
    "asyncio getaddrinfo": lambda name: asyncio.run(loop_getaddrinfo(name)),
    "trio": lambda name: trio.run(trio_stream, (name, 80)),
    "anyio": lambda name: anyio.run(anyio_stream, (name, 80)),
}


async def loop_getaddrinfo(name: str) -> None:
    await asyncio.get_running_loop().getaddrinfo(name, 80)


@pytest.mark.parametrize("size", ["small", "medium"])
@pytest.mark.parametrize("look_up", [pytest.param(look_up, id=name) for name, look_up in LOOKUPS.items()])
def test_rule_7_a_lookup_of_a_foreign_name_is_network_access(size: str, look_up: Callable[[str], object]) -> None:
    violations = refused(lambda: look_up("foreign.example"), size)
    assert {violation.target.partition(":")[0] for violation in violations} == {"foreign.example"}
    assert violations[0].reach == "beyond"
    if look_up not in (LOOKUPS["trio"], LOOKUPS["anyio"]):  # their worker threads may not tell which task waits
        assert violations[0].location.startswith("tests/layers/test_sockets.py:")


@pytest.mark.parametrize("size", ["small", "medium"])
@pytest.mark.parametrize(
    "look_up",
    [
        pytest.param(lambda: socket.gethostbyaddr("198.51.100.1"), id="gethostbyaddr"),
        pytest.param(lambda: socket.getnameinfo(FOREIGN, 0), id="getnameinfo"),
        pytest.param(lambda: socket.getnameinfo(FOREIGN, socket.NI_NUMERICSERV), id="getnameinfo with a flag"),
        pytest.param(lambda: BOUND_GETNAMEINFO(FOREIGN, 0), id="getnameinfo bound before"),
        pytest.param(lambda: _socket.getnameinfo(FOREIGN_6, 0), id="_socket.getnameinfo"),
        pytest.param(lambda: socket.getfqdn("198.51.100.1"), id="getfqdn"),
    ],
)
def test_rule_7_so_is_the_name_of_a_foreign_address(size: str, look_up: Callable[[], object]) -> None:
    (violation,) = refused(look_up, size)
    assert violation.kind == "reverse-lookup"
    assert violation.target in {"198.51.100.1", "2001:db8::1"}


def test_rule_7_lookups_that_send_nothing_are_none() -> None:
    numeric = socket.AI_NUMERICHOST
    with network_guard("small", "strict") as guard:
        for host in ("198.51.100.1", b"198.51.100.1", "2001:db8::1", "127.1", "localhost", "LOCALHOST", b"localhost"):
            socket.getaddrinfo(host, 80)
        socket.getaddrinfo(None, 0, flags=socket.AI_PASSIVE)
        for probe in (socket.getaddrinfo, BOUND_GETADDRINFO):
            with pytest.raises(socket.gaierror):
                probe("foreign.example", 80, flags=numeric)
            with pytest.raises(socket.gaierror):
                probe("foreign.example", 80, 0, 0, 0, numeric)
        assert socket.getnameinfo(FOREIGN, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV) == ("198.51.100.1", "9")
        assert socket.gethostbyname("198.51.100.1") == "198.51.100.1"
        for name_given in (socket.getnameinfo, BOUND_GETNAMEINFO):  # it takes addresses alone
            with pytest.raises(socket.gaierror):
                name_given(("foreign.example", 80), 0)
    assert guard.violations == []


BAD_CALLS: Final[dict[str, Callable[[socket.socket], object]]] = {
    "connect nothing": lambda s: s.connect(),  # type: ignore[call-arg]
    "connect None": lambda s: s.connect(None),  # type: ignore[arg-type]
    "connect text": lambda s: s.connect("198.51.100.1:9"),
    "connect a list": lambda s: s.connect(["198.51.100.1", 9]),  # type: ignore[arg-type]
    "connect two arguments": lambda s: s.connect("198.51.100.1", 9),  # type: ignore[call-arg]
    "connect by keyword": lambda s: s.connect(address=FOREIGN),  # type: ignore[call-arg]
    "connect one-tuple": lambda s: s.connect(("198.51.100.1",)),
    "connect three-tuple": lambda s: s.connect(("198.51.100.1", 9, 0)),
    "connect empty tuple": lambda s: s.connect(()),
    "connect text port": lambda s: s.connect(("198.51.100.1", "9")),
    "connect float port": lambda s: s.connect(("198.51.100.1", 9.0)),
    "connect None port": lambda s: s.connect(("198.51.100.1", None)),
    "connect None host": lambda s: s.connect((None, 9)),
    "connect number host": lambda s: s.connect((1, 9)),
    "connect high port": lambda s: s.connect(("198.51.100.1", 65536)),
    "connect negative port": lambda s: s.connect(("198.51.100.1", -1)),
    "connect huge port": lambda s: s.connect(("foreign.example", 2**40)),
    "connect localhost, high port": lambda s: s.connect(("localhost", 70000)),
    "connect NUL": lambda s: s.connect(("foreign.example\0", 9)),
    "connect bytes NUL": lambda s: s.connect((b"foreign.example\0", 9)),
    "connect long label": lambda s: s.connect(("a" * 64 + ".example", 9)),
    "connect empty label": lambda s: s.connect(("a..example", 9)),
    "connect surrogate": lambda s: s.connect(("\ud800.example", 9)),
    "connect_ex one-tuple": lambda s: s.connect_ex(("198.51.100.1",)),
    "unbound connect": lambda _s: socket.socket.connect(),  # type: ignore[call-arg]
    "unbound connect on a number": lambda _s: socket.socket.connect(1, FOREIGN),  # type: ignore[arg-type]
    "unix connect to a number": lambda _s: with_socket(lambda s: s.connect(1), family=socket.AF_UNIX),
    "bind None": lambda s: s.bind(None),  # type: ignore[arg-type]
    "bind high port": lambda s: s.bind(("127.0.0.1", 65536)),
    "bind three-tuple": lambda s: s.bind(("127.0.0.1", 0, 0)),
    "sendto nothing": lambda s: s.sendto(),  # type: ignore[call-overload]
    "sendto text": lambda s: s.sendto("text", FOREIGN),  # type: ignore[call-overload]
    "sendto no address": lambda s: s.sendto(b"x"),  # type: ignore[call-overload]
    "sendto bad address": lambda s: s.sendto(b"x", "198.51.100.1"),
    "sendmsg bad address": lambda s: s.sendmsg([b"x"], [], 0, "198.51.100.1"),
    "sendmsg nothing": lambda s: s.sendmsg(),  # type: ignore[call-arg]
    "getaddrinfo nothing": lambda _s: socket.getaddrinfo(),  # type: ignore[call-arg]
    "getaddrinfo one": lambda _s: socket.getaddrinfo("foreign.example"),  # type: ignore[call-arg]
    "getaddrinfo number": lambda _s: socket.getaddrinfo(1, 2),  # type: ignore[arg-type]
    "getaddrinfo long label": lambda _s: socket.getaddrinfo("a" * 64 + ".example", 80),
    "getaddrinfo empty label": lambda _s: socket.getaddrinfo(".example", 80),
    "gethostbyname nothing": lambda _s: socket.gethostbyname(),  # type: ignore[call-arg]
    "gethostbyname number": lambda _s: socket.gethostbyname(1),  # type: ignore[arg-type]
    "gethostbyname empty label": lambda _s: socket.gethostbyname("a..example"),
    "gethostbyaddr None": lambda _s: socket.gethostbyaddr(None),  # type: ignore[arg-type]
    "getnameinfo text": lambda _s: socket.getnameinfo("198.51.100.1", 0),  # type: ignore[arg-type]
    "getnameinfo one-tuple": lambda _s: socket.getnameinfo(("198.51.100.1",), 0),  # type: ignore[arg-type]
    "getnameinfo no flags": lambda _s: socket.getnameinfo(FOREIGN),  # type: ignore[call-arg]
    "getnameinfo a name": lambda _s: socket.getnameinfo(("foreign.example", 80), 0),
    "create_connection nothing": lambda _s: socket.create_connection(),  # type: ignore[call-arg]
    "create_connection number": lambda _s: socket.create_connection(1),  # type: ignore[arg-type]
    "create_connection one-tuple": lambda _s: socket.create_connection(("198.51.100.1",)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in BAD_CALLS.items()])
def test_rule_9_bad_arguments_raise_what_they_raise_without_the_guard(call: Callable[[socket.socket], object]) -> None:
    outcomes = []
    for guard in (contextlib.nullcontext(), network_guard("small", "strict"), network_guard("medium", "strict")):
        with socket.socket() as sock, guard:
            try:
                outcomes.append(call(sock))
            except Exception as error:
                outcomes.append((type(error), str(error)))
    assert outcomes[1:] == [outcomes[0], outcomes[0]]


def test_rule_8_the_socket_of_a_refused_connect_is_closed_and_of_a_refused_sendto_is_not() -> None:
    with network_guard("small", "strict"):
        for act in ("connect", "connect_ex", "bind"):
            sock = socket.socket()
            with pytest.raises(NetworkAccessViolationError):
                getattr(sock, act)(FOREIGN)
            assert sock.fileno() == -1
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            for _ in range(2):
                with pytest.raises(NetworkAccessViolationError):
                    sock.sendto(b"x", FOREIGN)
            assert sock.fileno() != -1
        raise_nothing_undelivered()


def raise_nothing_undelivered() -> None:
    """Tell the guards that pytest.raises saw their errors: there is no plugin here that would."""
    for scope in charged_scopes():
        Delivery.of_the_rest(scope.records.values()).deliver(expected=True)


def charged_scopes() -> list[Any]:
    from pytest_test_categories._attribution.origin import current

    scope = current.get()
    return [] if scope is None else list(scope.chain)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_rule_8_no_descriptor_leaks() -> None:
    def count() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    before = count()
    for mode in ("strict", "warn"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # in warn mode the warning ends the call: the socket is closed then too
            for _ in range(50):
                with contextlib.suppress(NetworkAccessViolationError, UserWarning), network_guard("small", mode):
                    socket.create_connection(("127.0.0.1", 9), 1)
    assert count() == before


def test_rule_9_unix_sockets_that_this_process_bound_itself(tmp_path: Path) -> None:
    path = str(tmp_path / "own.sock")
    other = str(tmp_path / "other.sock")
    abstract = f"\0own-{os.getpid()}"
    with unix_server(other), socket.socket(socket.AF_UNIX) as foreign, network_guard("small", "strict") as guard:
        for bound in (path, abstract):
            with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
                server.bind(bound)
                server.listen()
                client.connect(bound)
        assert guard.violations == []
        with contextlib.suppress(NetworkAccessViolationError):
            foreign.connect(other)
        assert [violation.target for violation in guard.violations] == [f"unix:{other}"]
        raise_nothing_undelivered()
    with unix_server(other + "2"), network_guard("medium", "strict"), socket.socket(socket.AF_UNIX) as client:
        client.connect(other + "2")


def test_rule_9_a_foreign_socket_in_the_place_of_an_own_one_is_foreign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = str(tmp_path / "foreign.sock")
    with unix_server(foreign):
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path)
        with network_guard("small", "strict") as guard, socket.socket(socket.AF_UNIX) as own:
            own.bind("own.sock")
            own.listen()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(tmp_path / "own.sock"))
        assert guard.violations == []
        os.unlink("own.sock")
        os.symlink(foreign, "own.sock")
        assert refused(lambda: with_socket(lambda s: s.connect("own.sock"), family=socket.AF_UNIX))
        os.symlink(foreign, "elsewhere/own.sock")
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert refused(lambda: with_socket(lambda s: s.connect("own.sock"), family=socket.AF_UNIX))


def test_a_unix_path_may_come_as_bytes() -> None:
    path = "/var/run/other.sock"
    (violation,) = refused(lambda: with_socket(lambda s: s.connect(path.encode()), family=socket.AF_UNIX))
    assert violation.target == f"unix:{path}"


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="only Linux gives a socket a name by itself")
def test_a_unix_socket_that_is_given_a_name_of_no_choice_opens_no_other(tmp_path: Path) -> None:
    with network_guard("small", "strict"), socket.socket(socket.AF_UNIX) as server:
        server.bind("")
    assert refused(lambda: with_socket(lambda s: s.connect(""), family=socket.AF_UNIX))


def test_rule_9_the_systems_log_socket() -> None:
    with network_guard("small", "strict") as guard, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        with contextlib.suppress(OSError):
            sock.connect("/dev/log")
    assert guard.violations == []


@contextlib.contextmanager
def resolving_to(address: str) -> Iterator[None]:
    """Fake the resolver: every name has this address."""

    def answer(_host: object, port: int, *_args: object, **_kwargs: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    with mock.patch.object(socket, "getaddrinfo", answer):
        yield


@resolving_to("127.0.0.1")
def test_an_allowed_name_carries_its_addresses_where_its_lookup_was_made_under_the_entry() -> None:
    address = ("127.0.0.1", 9)
    with network_guard("small", "strict", allow=["small: db.example:9"]) as guard:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("db.example", 9), 1)
        # The address by itself was not allowed before, and is now: the name gave it.
        with pytest.raises(OSError, match="refused"):
            with_socket(lambda s: s.connect(address))
    assert guard.violations == []
    assert refused(lambda: with_socket(lambda s: s.connect(address)))  # a new guard has seen no such look-up
    with network_guard("small", "strict", allow=["small: db.example:9"]):
        other = network_guard("small", "strict", allow=["small: other.example:9"])
        with contextlib.suppress(NetworkAccessViolationError), other:
            with contextlib.suppress(NetworkAccessViolationError):
                socket.create_connection(("db.example", 9), 1)
            assert [v.target for v in other.violations] == ["db.example:9"]
            raise_nothing_undelivered()


@pytest.mark.parametrize("answer", [None, [], "127.0.0.1", ("name", [], ["127.0.0.1"]), [("short",)]])
def test_rule_9_a_faked_look_up_may_answer_what_it_likes(answer: object) -> None:
    with mock.patch.object(socket, "getaddrinfo", return_value=answer), network_guard("small", "strict") as guard:
        assert socket.getaddrinfo("api.example.com", 443) is answer
    assert guard.violations == []


class TestAMethodThatSomebodyHasReplaced:
    """It is no fake for certain: it may go on to the interpreter's, which resolves a name before anybody is told."""

    @pytest.fixture(autouse=True)
    def calls(self, monkeypatch: pytest.MonkeyPatch) -> list[object]:
        calls: list[object] = []

        def connect(sock: socket.socket, address: object) -> None:
            calls.append(address)
            _socket.socket.connect(sock, address)  # type: ignore[arg-type]

        monkeypatch.setattr(socket.socket, "connect", connect, raising=False)
        return calls

    def test_is_judged_by_a_name_before_it_runs(self, calls: list[object]) -> None:
        (violation,) = refused(lambda: with_socket(lambda s: s.connect(("api.example.com", 9))))
        assert (violation.target, violation.route) == ("api.example.com:9", "socket.connect")
        assert calls == []

    def test_is_judged_by_where_an_address_leads_it(self, calls: list[object]) -> None:
        (violation,) = refused(lambda: with_socket(lambda s: s.connect(FOREIGN)))
        assert (violation.target, violation.route) == ("198.51.100.1:9", "_socket.connect")
        assert calls == [FOREIGN]


@resolving_to("127.0.0.1")
def test_a_name_allowed_outside_stays_allowed_inside_a_larger_guard() -> None:
    with (
        network_guard("small", "strict", allow=["small: db.example:9"]),
        network_guard("large", "strict"),
        pytest.raises(OSError, match="refused"),
    ):
        socket.create_connection(("db.example", 9), 1)


@pytest.mark.parametrize("name", ["localhost", "db.localhost", "127.0.0.1.nip.example"])
@resolving_to("198.51.100.1")
def test_a_resolver_that_answers_a_foreign_address_does_not_get_through(name: str) -> None:
    (violation,) = refused(lambda: socket.create_connection((name, 9), 1), "medium", ("localhost",))
    assert violation.target == f"{name}:9"
    assert violation.address == "198.51.100.1:9"


def test_the_memo_lets_no_foreign_target_through(listener: Address) -> None:
    with network_guard("medium", "strict") as guard:
        for _ in range(3):
            with_socket(lambda s: s.connect(listener))
            with contextlib.suppress(NetworkAccessViolationError):
                with_socket(lambda s: s.connect(("198.51.100.1", listener[1])))
        raise_nothing_undelivered()
    assert [violation.count for violation in guard.violations] == [3]


def test_operator_index_is_what_the_interpreter_uses() -> None:
    assert operator.index(Index(9)) == 9


def test_rule_10_late_undoes_never_wrap_twice() -> None:
    for _ in range(3):
        patcher = mock.patch("socket.socket.connect")
        with network_guard("small"):
            patcher.start()
        patcher.stop()
        with network_guard("small"):
            assert len(list(wrapt.wrapper_chain(vars(socket.socket)["connect"]))) == 2


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        pytest.param("localhost", "localhost", id="hosts-has-it"),
        pytest.param("localhost.", "localhost", id="dot"),
        pytest.param("app.localhost", "localhost", id="below"),
        pytest.param(b"app.localhost", "localhost", id="bytes"),
        pytest.param("127.0.0.1", "127.0.0.1", id="numeric"),
    ],
)
def test_localhost_names_that_the_hosts_file_lacks_are_asked_of_no_server(
    name: str | bytes, asked: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n", encoding="ascii")
    monkeypatch.setattr(names, "hosts_file", names.HostsFile(str(tmp_path / "hosts")))
    seen: list[object] = []

    def answer(host: object, port: object, *_rest: object) -> list[Any]:
        seen.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(_socket, "getaddrinfo", answer)
    with network_guard("medium", "strict"):
        assert socket.getaddrinfo(name, 9)[0][4] == ("127.0.0.1", 9)
        assert socket.getaddrinfo(host=name, port=9)[0][4] == ("127.0.0.1", 9)
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.connect((name, 9))
            assert sock.getpeername() == ("127.0.0.1", 9)
    numeric = name == "127.0.0.1"
    assert seen == [asked] * (2 if numeric else 3)
    socket.getaddrinfo(name, 9)
    assert seen[-1] == name  # outside a guard it stays what it was


class Pair(tuple[Any, ...]):
    """An address that shows another one to those who ask it in Python."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Any:
        return ("127.0.0.1", 9)[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(("127.0.0.1", 9))


class Host(str):
    """A host, of the same kind."""

    __slots__ = ()

    def __str__(self) -> str:
        return "127.0.0.1"

    def isascii(self) -> bool:
        return True

    def lower(self) -> str:
        return "localhost"


@pytest.mark.parametrize("address", [Pair(FOREIGN), (Host(FOREIGN[0]), 9)], ids=["tuple", "str"])
def test_of_a_derived_class_only_what_it_holds_counts(address: Any) -> None:
    with pytest.raises(NetworkAccessViolationError) as caught, network_guard("medium", "strict"):
        with_socket(lambda s: s.connect(address))
    assert caught.value.violation.target == "198.51.100.1:9"


class Twin(str):
    """A host that calls itself equal to loopback."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other == "127.0.0.1"

    def __hash__(self) -> int:
        return hash("127.0.0.1")

    def partition(self, _sep: str) -> tuple[str, str, str]:
        return ("localhost", "", "")


def test_what_calls_itself_equal_to_what_was_permitted_is_not(listener: Address) -> None:
    with pytest.raises(NetworkAccessViolationError) as caught, network_guard("medium", "strict"):
        for host in (listener[0], listener[0], Twin(FOREIGN[0])):
            with_socket(operator.methodcaller("connect", (host, listener[1])))
    assert caught.value.violation.target == f"198.51.100.1:{listener[1]}"
    assert refused(lambda: socket.getaddrinfo(Twin("db.example"), 9))


class Mask(bytes):
    """A host that shows another one to those who ask it in Python."""

    __slots__ = ()

    def __bytes__(self) -> bytes:
        return b"localhost"

    def __contains__(self, _part: object) -> bool:
        return True

    def partition(self, _sep: Any) -> tuple[bytes, bytes, bytes]:
        return (b"/", b"", b"")


@pytest.mark.parametrize(
    "look_up",
    [
        pytest.param(lambda: socket.getaddrinfo(Mask(b"db.example"), 9), id="getaddrinfo"),
        pytest.param(lambda: socket.gethostbyname(Mask(b"db.example")), id="gethostbyname"),  # type: ignore[arg-type]
        pytest.param(lambda: socket.create_connection((Mask(b"db.example"), 9)), id="create_connection"),  # type: ignore[arg-type]
        pytest.param(lambda: socket.getnameinfo(Pair(FOREIGN), 0), id="getnameinfo"),
    ],
)
def test_of_a_derived_class_only_what_it_holds_is_looked_up(look_up: Callable[[], object]) -> None:
    (violation,) = refused(look_up, "medium")
    assert violation.target.partition(":")[0] in {"db.example", FOREIGN[0]}


def test_a_hosts_name_without_an_ipv6_address_is_not_asked_of_a_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "hosts").write_text("127.0.0.1 localhost db.test\n", encoding="ascii")
    monkeypatch.setattr(names, "hosts_file", names.HostsFile(str(tmp_path / "hosts")))
    seen: list[object] = []

    def answer(host: object, *_rest: object) -> list[Any]:
        seen.append(host)
        raise socket.gaierror(socket.EAI_FAMILY)

    monkeypatch.setattr(_socket, "getaddrinfo", answer)
    for family in (socket.AF_INET6, socket.AF_INET):
        with network_guard("small", "strict"), pytest.raises(socket.gaierror):
            socket.getaddrinfo("db.test", 9, family)
    assert seen == ["127.0.0.1", "db.test"]


def test_localhost_without_an_ipv6_address_is_not_asked_of_a_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n", encoding="ascii")
    monkeypatch.setattr(names, "hosts_file", names.HostsFile(str(tmp_path / "hosts")))
    with network_guard("small", "strict"):
        for name in ("localhost", "app.localhost"):
            found = socket.getaddrinfo(name, 9, socket.AF_INET6, socket.SOCK_STREAM)
            assert found[0][4][:2] == ("::1", 9)


def test_without_localhost_in_the_hosts_file_its_names_are_numbers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(names, "hosts_file", names.HostsFile(str(tmp_path / "none")))
    with network_guard("small", "strict"):
        assert socket.getaddrinfo("localhost", 9, socket.AF_INET, socket.SOCK_STREAM)[0][4] == ("127.0.0.1", 9)
        assert socket.gethostbyname("app.localhost") == "127.0.0.1"


# -- names of this machine's own addresses -----------------------------------------------------------------------------


OWN_REVERSE: Final = [
    pytest.param(lambda: socket.gethostbyaddr("127.0.0.99"), ("localhost", [], ["127.0.0.99"]), id="gethostbyaddr"),
    pytest.param(lambda: socket.gethostbyaddr("0.0.0.0"), (socket.gethostname(), [], ["0.0.0.0"]), id="unspecified"),
    pytest.param(lambda: socket.getnameinfo(("127.0.0.99", 80), 0), ("localhost", "http"), id="getnameinfo"),
    pytest.param(
        lambda: socket.getnameinfo(("127.0.0.99", 80), socket.NI_NUMERICSERV), ("localhost", "80"), id="numeric service"
    ),
    pytest.param(lambda: socket.getfqdn("127.0.0.99"), "localhost", id="getfqdn"),
    pytest.param(
        lambda: socket.getnameinfo(("127.0.0.99", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV),
        ("127.0.0.99", "80"),
        id="numeric host",
    ),
]


@pytest.mark.parametrize(("ask", "answer"), OWN_REVERSE)
def test_names_of_this_machines_own_addresses_are_answered_without_a_server(
    ask: Callable[[], object], answer: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    monkeypatch.setattr(names, "hosts_file", names.HostsFile(str(hosts)))
    with network_guard("medium", "strict") as guard:
        assert ask() == answer
    assert guard.violations == []


# -- frames ------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(socket, "AF_PACKET"), reason="Linux has packet sockets")
@pytest.mark.parametrize("size", ["small", "medium"])
def test_frames_for_an_interface_are_held(size: str) -> None:
    try:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    except PermissionError:
        pytest.skip("only root may have one")
    with sock:
        with pytest.raises(NetworkAccessViolationError), network_guard(size, "strict") as guard:
            sock.sendto(b"frame", ("beyond", 0))
        with pytest.raises(NetworkAccessViolationError), network_guard(size, "strict") as bound:
            sock.bind(("beyond", 0))
    assert [(v.kind, v.target) for v in guard.violations] == [("send", "packet:beyond")]
    assert [(v.kind, v.target) for v in bound.violations] == [("connect", "packet:beyond")]


@pytest.mark.skipif(not hasattr(socket, "AF_PACKET"), reason="Linux has packet sockets")
def test_frames_for_loopback_stay_on_this_machine() -> None:
    try:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    except PermissionError:
        pytest.skip("only root may have one")
    with sock:
        with network_guard("medium", "strict"):
            sock.bind(("lo", 0))
        with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
            sock.bind(("lo", 0))


def test_who_connects_to_loopback_by_number_is_not_told_this_machines_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {socket.gethostname()}\n")
    monkeypatch.setattr(names, "hosts_file", names.HostsFile(str(hosts)))
    with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict") as guard:
        names.look_ups.remember(socket.gethostname(), (), ["127.0.0.1"], 0)  # as getfqdn() does
        socket.create_connection(("127.0.0.1", 9))
    assert guard.violations[0].target == "127.0.0.1:9"


def test_rule_9_a_datagram_connect_to_a_number_passes_and_what_is_sent_is_judged() -> None:
    for size in ("small", "medium"):
        with network_guard(size, "strict") as guard, socket.socket(type=socket.SOCK_DGRAM) as sock:
            with contextlib.suppress(OSError):  # no route
                sock.connect(FOREIGN)
        assert guard.violations == []


@pytest.mark.parametrize("listen", [lambda s: s.listen(), lambda s: s.listen(5), lambda s: socket.socket.listen(s, 1)])
def test_listening_on_an_unbound_socket_is_server_work(listen: Any) -> None:
    (violation,) = refused(lambda: with_socket(listen))
    assert (violation.kind, violation.route) == ("bind", "socket.listen")
    with network_guard("medium", "strict"):
        with_socket(listen)


@pytest.mark.skipif(sys.platform != "linux", reason="the numbers of Linux")
@pytest.mark.parametrize("size", ["small", "medium"])
def test_joining_a_multicast_group_is_judged_as_a_send_to_it(size: str) -> None:
    group = socket.inet_aton("239.1.2.3")
    six = socket.inet_pton(socket.AF_INET6, "ff05::1:3")
    other, lo = 4_000_000, socket.if_nametoindex("lo")  # no such interface: nothing is sent in any case
    in_storage = struct.pack("@I0L", other) + struct.pack("=HH", socket.AF_INET, 0) + group + bytes(120)
    for family, level, option, value in (
        (socket.AF_INET, socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + socket.inet_aton("198.51.100.1")),
        (socket.AF_INET, socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + bytes(4) + struct.pack("=i", other)),
        (socket.AF_INET, socket.IPPROTO_IP, 39, group + socket.inet_aton("198.51.100.1") + bytes(4)),
        (socket.AF_INET, socket.IPPROTO_IP, 42, in_storage),
        (socket.AF_INET6, socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, six + struct.pack("=I", other)),
    ):
        join = operator.methodcaller("setsockopt", level, option, value)
        (violation,) = refused(lambda family=family, join=join: with_socket(join, socket.SOCK_DGRAM, family), size)  # type: ignore[misc]
        assert (violation.kind, violation.route) == ("send", "socket.setsockopt")
        assert violation.target in {"239.1.2.3", "ff05::1:3"}
    with network_guard(size, "strict") as guard, socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for value in (group + socket.inet_aton("127.0.0.1"), group + bytes(4) + struct.pack("=i", lo), b"", group):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, value)
    assert guard.violations == []


def test_a_datagram_connect_lets_no_stream_through() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(NetworkAccessViolationError):
        address = server.getsockname()
        with network_guard("small"):
            with socket.socket(type=socket.SOCK_DGRAM) as probe:
                probe.connect(address)
            with socket.socket() as client:
                client.connect(address)
