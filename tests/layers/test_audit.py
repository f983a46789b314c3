"""Rule 10: the hook can't be removed; it is inert when nobody guards, and a pass lets one call through, once."""

from __future__ import annotations

import _socket
import contextlib
import contextvars
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories import NetworkAccessViolationError, expect_network_violation, network_guard
from pytest_test_categories._watch import audit, passes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FOREIGN: Final = ("198.51.100.1", 9)


def noted(asked: list[object], attempt: object) -> bool:
    """Judge as a layer's judge does: note it, and let it go on."""
    asked.append(attempt)
    return False


def test_the_hook_is_inert_when_nobody_guards(listener: tuple[str, int]) -> None:
    with network_guard("small", "strict"):
        pass
    with contextlib.closing(_socket.socket()) as sock:
        sock.connect(listener)


def test_events_that_are_not_watched_meet_no_judge() -> None:
    asked: list[object] = []
    audit.hook.start(lambda *args: noted(asked, args))
    try:
        audit._hook("open", ("/", "r", 0))
        audit._hook("socket.__new__", (None, 1, 1, 0))
        assert asked == []
    finally:
        audit.hook.stop()


@pytest.mark.parametrize("event", ["socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"])
def test_a_pass_is_good_for_one_event_of_one_thread_on_one_socket(event: str) -> None:
    asked: list[object] = []
    audit.hook.start(lambda *args: noted(asked, args))
    try:
        with socket.socket() as sock, socket.socket() as other:
            one_shot = (event, sock, FOREIGN)
            passes.allow(one_shot)
            audit._hook(event, (other, FOREIGN))
            audit._hook(event, (sock, ("198.51.100.1", 10)))
            thread = threading.Thread(target=audit._hook, args=(event, (sock, FOREIGN)))
            thread.start()
            thread.join()
            assert len(asked) == 3
            audit._hook(event, (sock, FOREIGN))
            assert len(asked) == 3
            audit._hook(event, (sock, FOREIGN))
            assert len(asked) == 4
            passes.allow(one_shot)
            passes.withdraw(one_shot)
            passes.withdraw(one_shot)
            audit._hook(event, (sock, FOREIGN))
            assert len(asked) == 5
    finally:
        audit.hook.stop()


def test_a_permitted_call_leaves_no_pass_behind(listener: tuple[str, int]) -> None:
    with network_guard("medium", "strict"):
        with socket.socket() as sock:
            sock.connect(listener)
        with socket.socket(type=socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError, TypeError):
            sock.sendto(b"x", listener)
            sock.sendto(b"x", ("127.0.0.1", "no port"))
        socket.getaddrinfo("localhost", 80)
        with contextlib.suppress(OSError):
            socket.gethostbyname("256.256.256.256.localhost")
        assert passes._passes.open == []


def test_a_call_inside_a_permitted_call_has_no_pass() -> None:
    """As a signal handler's, or a greenlet's, that runs while a wrapper waits."""

    class Sly(socket.socket):
        def connect(self, address: Any) -> None:
            with contextlib.closing(_socket.socket()) as inner, expect_network_violation():
                inner.connect(FOREIGN)
            super().connect(address)

    with network_guard("medium", "strict"), Sly() as sock, contextlib.suppress(OSError):
        sock.settimeout(1)
        sock.connect(("127.0.0.1", 9))


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda s: s.connect(FOREIGN), id="connect"),
        pytest.param(lambda s: s.connect_ex(FOREIGN), id="connect_ex"),
        pytest.param(lambda s: s.bind(("127.0.0.1", 0)), id="bind"),
        pytest.param(lambda s: s.sendto(b"", FOREIGN), id="sendto"),
        pytest.param(lambda s: s.sendto(b"", 0, FOREIGN), id="sendto flags"),
        pytest.param(lambda s: s.sendmsg([b""], [], 0, FOREIGN), id="sendmsg"),
    ],
)
def test_the_hook_refuses_on_its_own(call: Callable[[Any], object]) -> None:
    with contextlib.closing(_socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)) as sock:
        with pytest.raises(NetworkAccessViolationError) as caught, network_guard("small", "strict"):
            call(sock)
    assert caught.value.violation.route.startswith("_socket.")


def test_connected_datagram_sockets_send_on() -> None:
    with (
        network_guard("medium", "strict"),
        socket.socket(type=socket.SOCK_DGRAM) as server,
        socket.socket(type=socket.SOCK_DGRAM) as client,
    ):
        server.bind(("127.0.0.1", 0))
        client.connect(server.getsockname())
        client.send(b"one")
        client.sendmsg([b"two"])
        assert (server.recv(9), server.recv(9)) == (b"one", b"two")


@pytest.fixture
def unknown() -> contextvars.Context:
    """Return a context that knows of no guard: what is permitted there is not remembered, so that passes count."""
    return contextvars.Context()


class Turning:
    """A port: while the interpreter reads its number, something else happens."""

    def __init__(self, number: int, meanwhile: Callable[[], object]) -> None:
        self.number = number
        self.meanwhile = meanwhile
        self.turn = 0

    def __index__(self) -> int:
        self.turn += 1
        if self.turn == 2:  # first the wrapper reads it; then the call, which has its pass by then
            self.meanwhile()
        return self.number


def test_a_permitted_call_inside_a_permitted_call_leaves_its_pass_alone(
    listener: tuple[str, int], unknown: contextvars.Context
) -> None:
    open_inside: list[int] = []

    def meanwhile() -> None:
        with socket.socket() as inner:
            inner.connect(listener)
        with socket.socket() as inner, contextlib.suppress(TypeError):
            inner.connect((listener[0], Turning(listener[1], lambda: inner.connect(None))))  # type: ignore[arg-type]
        open_inside.append(len(passes._passes.open))

    with network_guard("medium", "strict"), socket.socket() as sock:
        unknown.run(sock.connect, (listener[0], Turning(listener[1], meanwhile)))
        assert passes._passes.open == []
    assert open_inside == [1]


def test_passes_of_calls_that_take_turns_are_each_good_for_their_own(
    listener: tuple[str, int], unknown: contextvars.Context
) -> None:
    """As greenlets take turns in one thread: the call that asked first goes on first."""
    greenlet = pytest.importorskip("greenlet")
    main = greenlet.getcurrent()
    judged: list[object] = []

    def second() -> None:
        with socket.socket() as sock:
            sock.connect((listener[0], Turning(listener[1], main.switch)))

    other = greenlet.greenlet(second)
    with network_guard("medium", "strict"):
        audit.hook.start(lambda *args: noted(judged, args))
        with socket.socket() as sock:
            unknown.run(sock.connect, (listener[0], Turning(listener[1], other.switch)))
        other.switch()
        assert other.dead
        assert passes._passes.open == []
    assert judged == []


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="the platform has no unix sockets")
def test_a_unix_socket_bound_past_the_wrappers_is_this_processs_own(tmp_path: Path) -> None:
    path = str(tmp_path / "own.sock")
    with (
        network_guard("small", "strict") as guard,
        contextlib.closing(_socket.socket(socket.AF_UNIX)) as server,
        socket.socket(socket.AF_UNIX) as client,
    ):
        server.bind(path)
        server.listen()
        client.connect(path)
    assert guard.violations == []


def test_a_bind_past_the_wrappers_has_looked_its_name_up() -> None:
    with contextlib.closing(_socket.socket()) as sock:
        with pytest.raises(NetworkAccessViolationError), network_guard("medium", "strict") as guard:
            sys.audit("socket.bind", sock, ("names.example", 0))  # the real one would ask a server before
        assert [(v.kind, v.target) for v in guard.violations] == [("lookup", "names.example")]
        with network_guard("medium", "strict"):
            sys.audit("socket.bind", sock, ("localhost", 0))
            sys.audit("socket.bind", sock, FOREIGN)


class Own:
    """Somebody's own object, which they pass to an audit event."""


@pytest.mark.parametrize("size", ["small", "medium"])
@pytest.mark.parametrize("event", [*audit._KINDS, "open"])
@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (None,),
        (5,),
        ((),),
        ((), ()),
        (Own(),),
        (Own(), ("198.51.100.1", 9)),
        (object(), None, 1),
        ("198.51.100.1", ("198.51.100.1", 9), 2),
        (-1, "w", 0),
        (b"\xff\0",),
        ([], {}),
    ],
    ids=range(12),
)
def test_an_event_of_others_raises_nothing_of_ours(size: str, event: str, arguments: tuple[object, ...]) -> None:
    try:
        with network_guard(size, "strict"):
            sys.audit(event, *arguments)
    except NetworkAccessViolationError:  # a name to look up is one, whoever says so
        assert event.startswith("socket.get")


@pytest.mark.parametrize(
    "address", [(), ("198.51.100.1",), ([], 9), ("198.51.100.1", []), 5, Own(), b"\xff", ("", None)], ids=range(8)
)
def test_an_event_with_a_socket_and_no_address_raises_nothing_of_ours(address: object) -> None:
    with network_guard("small", "strict"), socket.socket() as sock:
        for event in ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"):
            sys.audit(event, sock, address)
