"""Windows' entry points, as far as they can be tried elsewhere.

CPython's own Python code for Windows runs; the extension modules below it are stand-ins that do nothing but note what
Windows is asked for (``tests/windows.py``). Not tried here: what Windows does then, errors of its own, completions.
"""

from __future__ import annotations

import _socket
import asyncio
import contextlib
import functools
import importlib
import socket
import sys
import types
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import pytest
from tests.windows import emulated, step

from pytest_test_categories import NetworkAccessViolationError, expect_network_violation, network_guard
from pytest_test_categories._host import names, unix_sockets
from pytest_test_categories._processes.child import pytest_test_categories_child
from pytest_test_categories._rules.address import host_text
from pytest_test_categories._watch import audit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.windows import Windows

    from pytest_test_categories import Violation

FOREIGN: Final = ("198.51.100.1", 9)


@pytest.fixture
def windows() -> Iterator[Windows]:
    """The stand-in for Windows."""
    yield from emulated()


@pytest.fixture
def stream() -> Iterator[socket.socket]:
    with socket.socket() as sock:
        yield sock


@pytest.fixture
def datagram() -> Iterator[socket.socket]:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        yield sock


def refused(call: Callable[[], object], size: str = "small") -> Violation:
    """Return the only violation of a call that a guard of a size refuses."""
    with (
        network_guard(size, "strict") as guard,
        expect_network_violation(),
        contextlib.suppress(NetworkAccessViolationError),
    ):
        call()
        pytest.fail("it was let through")
    (violation,) = guard.violations
    return violation


class TestTheProactor:
    @pytest.mark.parametrize(
        "call",
        [
            pytest.param(lambda w, sock: step(w.loop().sock_connect(sock, FOREIGN)), id="sock_connect"),
            pytest.param(lambda w, sock: w.proactor().connect(sock, FOREIGN), id="connect"),
            pytest.param(lambda w, sock: w.proactor().connect(conn=sock, address=FOREIGN), id="connect-by-name"),
        ],
    )
    def test_connects_nowhere_that_is_not_permitted(
        self, windows: Windows, stream: socket.socket, call: Callable[[Windows, socket.socket], object]
    ) -> None:
        call(windows, stream)
        assert windows.asked == [("ConnectEx", stream.fileno(), FOREIGN)]  # the stand-in does what it should
        violation = refused(lambda: call(windows, stream))
        assert (violation.target, violation.kind, violation.route) == ("198.51.100.1:9", "connect", "loop.sock_connect")
        assert len(windows.asked) == 1
        assert stream.fileno() == -1

    @pytest.mark.parametrize(
        "call",
        [
            pytest.param(lambda w, sock: step(w.loop().sock_sendto(sock, b"x", FOREIGN)), id="sock_sendto"),
            pytest.param(lambda w, sock: w.proactor().sendto(sock, b"x", addr=FOREIGN), id="a-transport"),
            pytest.param(lambda w, sock: w.proactor().sendto(sock, b"x", 0, FOREIGN), id="by-place"),
        ],
    )
    def test_sends_no_datagram_where_none_is_permitted(
        self, windows: Windows, datagram: socket.socket, call: Callable[[Windows, socket.socket], object]
    ) -> None:
        call(windows, datagram)
        assert windows.asked == [("WSASendTo", datagram.fileno(), b"x", 0, FOREIGN)]
        violation = refused(lambda: call(windows, datagram))
        assert (violation.target, violation.kind, violation.route) == ("198.51.100.1:9", "send", "loop.sock_sendto")
        assert len(windows.asked) == 1
        assert datagram.fileno() != -1

    def test_a_datagram_transport_sends_nothing_either(self, windows: Windows, datagram: socket.socket) -> None:
        loop = mock.Mock(_proactor=windows.proactor())
        transport = windows.events.proactor_events._ProactorDatagramTransport(loop, datagram, mock.Mock())
        with network_guard("small", "strict") as guard, expect_network_violation():
            transport.sendto(b"x", FOREIGN)
        assert [violation.target for violation in guard.violations] == ["198.51.100.1:9"]
        assert windows.asked == []
        transport._sock = None  # the next step of the loop would close it
        # As everywhere, a transport hands its error to the loop.
        (context,) = loop.call_exception_handler.call_args.args
        assert isinstance(context["exception"], NetworkAccessViolationError)

    def test_rule_9_a_datagram_socket_connects_and_is_judged_when_it_sends(
        self, windows: Windows, datagram: socket.socket
    ) -> None:
        with network_guard("small", "strict") as guard:
            windows.proactor().connect(datagram, FOREIGN)
        assert windows.asked == [("WSAConnect", datagram.fileno(), FOREIGN)]
        assert guard.violations == []
        datagram.connect(FOREIGN)
        violation = refused(lambda: windows.proactor().send(datagram, b"x"))
        assert (violation.target, violation.kind) == ("198.51.100.1:9", "send")

    @pytest.mark.parametrize(
        ("call", "asks"),
        [
            pytest.param(lambda p, sock: p.send(sock, b"x"), "WSASend", id="send"),
            pytest.param(lambda p, sock: p.sendfile(sock, mock.Mock(), 0, 1), "TransmitFile", id="sendfile"),
        ],
    )
    def test_sends_nothing_on_a_connection_that_was_open_before(
        self,
        windows: Windows,
        listener: tuple[str, int],
        call: Callable[[Any, socket.socket], object],
        asks: str,
    ) -> None:
        proactor = windows.proactor()
        with socket.create_connection(listener) as sock:
            with network_guard("medium", "strict"):
                call(proactor, sock)
            assert [name for name, *_ in windows.asked] == [asks]
            violation = refused(lambda: call(proactor, sock))
        assert (violation.target, violation.kind) == (f"127.0.0.1:{listener[1]}", "reuse")
        assert len(windows.asked) == 1

    def test_rule_9_answers_on_what_it_accepted(self, windows: Windows, listener: tuple[str, int]) -> None:
        proactor = windows.proactor()
        with network_guard("medium", "strict"), proactor._get_accept_socket(socket.AF_INET) as accepted:
            # Windows makes it the accepted end of a connection (AcceptEx), which nothing else here can.
            accepted.settimeout(5)
            accepted.connect(listener)
            with network_guard("small", "strict"):
                proactor.send(accepted, b"x")
        assert [name for name, *_ in windows.asked] == ["WSASend"]


def opened(path: str) -> None:
    """Open a file, which is not there as a rule."""
    with contextlib.suppress(OSError):
        open(path, "r+b").close()


def by_client(windows: Windows, path: str) -> None:
    with mock.patch.object(sys, "platform", "win32"):
        windows.connection.Client(path)


def by_asyncio(windows: Windows, path: str) -> None:
    loop = windows.loop()
    loop._make_duplex_pipe_transport = lambda pipe, *_, **__: pipe.close()
    step(loop.create_pipe_connection(mock.Mock(), path))


class TestNamedPipes:
    """Named pipes are what unix sockets are elsewhere: who serves them decides, and here is known by their names."""

    DOCKER: Final = r"\\.\pipe\docker_engine"
    WAYS: Final = [
        pytest.param(lambda w, path: w.connection.PipeClient(path), id="multiprocessing"),
        pytest.param(by_client, id="multiprocessing's Client"),
        pytest.param(lambda w, path: step(w.proactor().connect_pipe(path)).close(), id="connect_pipe"),
        pytest.param(lambda w, path: step(w.proactor().connect_pipe(address=path)).close(), id="by-name"),
        pytest.param(by_asyncio, id="asyncio"),
        pytest.param(lambda _, path: opened(path), id="open"),
        pytest.param(lambda _, path: sys.modules["win32file"].CreateFile(path, 0, 0, None, 3, 0, 0), id="pywin32"),
        pytest.param(lambda _, path: sys.modules["win32pipe"].CallNamedPipe(path, b"x", 9, 0), id="pywin32's call"),
    ]

    @pytest.fixture(autouse=True)
    def pywin32(self, windows: Windows, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put functions in the place of pywin32's."""
        for module, names_of_functions in (
            ("win32file", ["CreateFile"]),
            ("win32pipe", ["CallNamedPipe", "CreateNamedPipe"]),
        ):
            stub = types.ModuleType(module)
            for name in names_of_functions:
                setattr(stub, name, windows.noting(name))
            monkeypatch.setitem(sys.modules, module, stub)
        # CPython raises the event of ``open`` everywhere; that of Windows is read there alone.
        monkeypatch.setitem(audit.EVENTS, "open", audit._open_event_of_windows)

    @pytest.fixture(autouse=True)
    def _nothing_served(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(unix_sockets, "can_ask", lambda: False)
        monkeypatch.setattr(unix_sockets.our_family, "_paths", {})

    @pytest.mark.parametrize("way", WAYS)
    def test_rule_9_one_of_this_machine_is_refused_in_small_and_free_in_medium(
        self, windows: Windows, way: Callable[[Windows, str], object]
    ) -> None:
        violation = refused(lambda: way(windows, self.DOCKER))
        assert (violation.target, violation.kind, violation.reach) == ("pipe:docker_engine", "connect", "machine")
        assert windows.asked == []
        for guard in (network_guard("medium"), network_guard("small", allow=["pipe:docker_engine"])):
            with guard:
                way(windows, self.DOCKER)
            assert guard.violations == []

    @pytest.mark.parametrize("way", WAYS)
    def test_one_of_another_machine_is_refused_in_medium(
        self, windows: Windows, way: Callable[[Windows, str], object]
    ) -> None:
        violation = refused(lambda: way(windows, r"\\server.example\pipe\sql\query"), "medium")
        assert violation.target == r"pipe:\\server.example\pipe\sql\query"
        assert violation.reach == "beyond"
        assert windows.asked == []

    @pytest.mark.parametrize("machine", ["localhost", "127.0.0.1", "LOCALHOST", socket.gethostname()])
    def test_this_machine_may_be_named(self, machine: str) -> None:
        path = rf"\\{machine}\pipe\docker_engine"
        with network_guard("medium"):
            opened(path)
        assert refused(lambda: opened(path)).reach == "machine"

    @pytest.mark.parametrize(
        "path",
        [
            "//./pipe/docker_engine",
            r"\\?\pipe\docker_engine",
            r"\\.\PIPE\docker_engine",
            r"\\.\GLOBALROOT\Device\NamedPipe\docker_engine",
        ],
    )
    def test_every_spelling_of_a_path_is_read(self, path: str) -> None:
        assert refused(lambda: opened(path)).target == "pipe:docker_engine"

    @pytest.mark.parametrize(
        "path",
        [
            r"\\server\share\pipe\file",  # a file on a share: none of our business
            r"\\.\pipe" + "\\",
            r"C:\pipe\file",
            r"\\.\C:\pipe\file",
            r"\\?\C:\pipe\file",
            "/srv/pipe/file",
            b"//./pipe/docker_engine".hex(),
        ],
    )
    def test_rule_9_files_are_not(self, windows: Windows, path: str) -> None:
        with network_guard("small"):
            opened(path)
            sys.modules["_winapi"].CreateFile(path, 0, 0, 0, 3, 0, 0)
            step(windows.proactor().connect_pipe(path)).close()
            sys.modules["win32file"].CreateFile(path)
            sys.modules["win32file"].CreateFile(fileName=path)

    @pytest.mark.parametrize(
        "serve",
        [
            pytest.param(lambda w, path: w.events.PipeServer(path).close(), id="asyncio"),
            pytest.param(lambda w, path: w.connection.PipeListener(path).close(), id="multiprocessing"),
            pytest.param(lambda _, path: sys.modules["win32pipe"].CreateNamedPipe(path, 3), id="pywin32"),
        ],
    )
    def test_rule_9_one_that_this_process_serves_is_free(
        self, windows: Windows, serve: Callable[[Windows, str], object]
    ) -> None:
        with network_guard("small") as guard:
            serve(windows, r"\\.\pipe\MyServer")
            windows.connection.PipeClient(r"\\.\pipe\myserver")
        assert guard.violations == []
        refused(lambda: windows.connection.PipeClient(self.DOCKER))

    def test_rule_9_one_that_a_child_serves_is_free(self, windows: Windows, tmp_path: Path) -> None:
        told = tmp_path / "sockets"
        child = unix_sockets.Family()
        child.share(str(told), functools.partial(pytest_test_categories_child.append_to, str(told)))
        with network_guard("small"), mock.patch.multiple(unix_sockets.our_family, told=str(told), _read=0):
            child.note_pipe("Served")
            windows.connection.PipeClient(r"\\.\pipe\served")

    def test_rule_9_those_of_the_standard_library_to_its_own_children_are_free(self, windows: Windows) -> None:
        with network_guard("small") as guard:
            for handle in windows.events.windows_utils.pipe(duplex=True):
                assert handle
            windows.connection.PipeClient(r"\\.\pipe\pyc-4711-2-ab12cd34")  # as a manager's process serves it
            ends = windows.connection.Pipe()
            for end in ends:
                end._handle = None  # there is nothing to close
        assert guard.violations == []

    @pytest.mark.parametrize("arguments", [(), (None,), (b"//./pipe/x",), (4,), (["//./pipe/x"],)])
    @pytest.mark.parametrize("event", ["open", "_winapi.CreateFile", "_winapi.CreateNamedPipe"])
    def test_rule_9_what_others_say_under_these_names_is_their_affair(
        self, event: str, arguments: tuple[object, ...]
    ) -> None:
        with network_guard("small"):
            sys.audit(event, *arguments)

    @pytest.mark.parametrize(
        ("path", "loads"),
        [
            (r"\\.\pipe\docker_engine", True),
            ("//./PIPE/docker_engine", True),
            (r"\\server\pipe\sql\query", True),
            (r"\\.\pipe\pyc-1-2-ab", False),
            (r"\\.\pipe\python-pipe-1-2-ab", False),
            (r"C:\pipe\file", False),
            (None, False),
        ],
    )
    def test_a_child_brings_in_the_layers_for_those_of_others(self, path: str | None, loads: bool) -> None:
        assert pytest_test_categories_child._is_foreign_pipe((path,)) is loads
        assert not pytest_test_categories_child._is_foreign_pipe(())


class TestWakeUpPairs:
    """A loop's wake-up pair is a TCP connection on Windows; here it is put in the place of the loop's own."""

    @pytest.fixture
    def end(self) -> Iterator[socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as end:
            with server.accept()[0]:
                yield end

    def test_rule_9_that_asyncio_made_before_a_guard_wakes_it_up(self, end: socket.socket) -> None:
        with contextlib.closing(asyncio.SelectorEventLoop()) as loop:
            with mock.patch.object(loop, "_csock", end), network_guard("small", "strict"):
                loop.call_soon_threadsafe(int)
            violation = refused(lambda: end.send(b"\0"))  # by others it stays what it was
        assert violation.kind == "reuse"

    def test_rule_9_that_the_proactor_loop_made_before_a_guard_wakes_it_up(
        self, windows: Windows, end: socket.socket
    ) -> None:
        loop = windows.loop()
        loop._csock = end
        with network_guard("small", "strict"):
            loop._write_to_self()

    def test_rule_9_that_trio_made_before_a_guard_wakes_it_up(self, end: socket.socket) -> None:
        pair = importlib.import_module("trio._core._wakeup_socketpair").WakeupSocketpair()
        pair.write_sock, own = end, pair.write_sock
        with own, contextlib.closing(pair), network_guard("small", "strict"):
            pair.wakeup_thread_and_signal_safe()


class TestLocalhost:
    """Windows' hosts file as installed, and its word for what its resolver does; the resolver is a function here."""

    HOSTS: Final = """\
# localhost name resolution is handled within DNS itself.
#\t127.0.0.1       localhost
#\t::1             localhost
"""

    @pytest.fixture(autouse=True)
    def asked(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
        (tmp_path / "hosts").write_text(self.HOSTS, encoding="ascii")
        monkeypatch.setattr(names, "hosts_file", names.HostsFile(str(tmp_path / "hosts")))
        monkeypatch.setattr(names, "ANSWERS_FOR_LOCALHOST", True)
        asked: list[Any] = []

        def answer(host: object, port: object, *_rest: object) -> list[Any]:
            asked.append(host)
            both = [(socket.AF_INET6, ("::1", port, 0, 0)), (socket.AF_INET, ("127.0.0.1", port))]
            return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in both]

        monkeypatch.setattr(_socket, "getaddrinfo", answer)
        return asked

    @pytest.mark.parametrize("size", ["small", "medium"])
    @pytest.mark.parametrize("family", [socket.AF_UNSPEC, socket.AF_INET6, socket.AF_INET])
    @pytest.mark.parametrize("name", ["localhost", "localhost.", "LOCALHOST", "app.localhost", b"localhost"])
    def test_rule_7_keeps_both_its_addresses(
        self, size: str, family: socket.AddressFamily, name: str | bytes, asked: list[Any]
    ) -> None:
        with network_guard(size, "strict"):
            found = {info[4][0] for info in socket.getaddrinfo(name, 9, family)}
        assert found == {"::1", "127.0.0.1"}
        assert [host_text(host) for host in asked] == ["localhost"]  # the one spelling that Windows knows

    def test_a_server_on_its_other_address_is_reached(self) -> None:
        with (
            socket.create_server(("::1", 0), family=socket.AF_INET6) as server,
            network_guard("medium", "strict"),
            socket.create_connection(("localhost", server.getsockname()[1]), 5) as client,
        ):
            assert client.getpeername()[0] == "::1"
