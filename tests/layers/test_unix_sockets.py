"""Unix sockets of the test's own processes are free, by whatever spelling; others are not, whatever stood there."""

from __future__ import annotations

import _socket
import contextlib
import functools
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from multiprocessing.managers import SharedMemoryManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.outsiders import unix_server

from pytest_test_categories import NetworkAccessViolationError, network_guard
from pytest_test_categories._host import unix_sockets
from pytest_test_categories._host.unix_sockets import our_family
from pytest_test_categories._watch import connections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="the platform has no unix sockets")
linux: Final = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says who holds a unix socket")

SERVER: Final = """
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1].replace("@", chr(0)))
server.listen()
print("serves", flush=True)
kept = []
while True:
    kept.append(server.accept())
"""
CLIENT: Final = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1].replace('@', chr(0)))"
PERL_SERVER: Final = """
use Socket;
socket(S, AF_UNIX, SOCK_STREAM, 0) and bind(S, sockaddr_un($ARGV[0])) and listen(S, 5) or die;
$| = 1;
print "serves\\n";
while (accept(my $c, S)) { push @kept, $c }
"""


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["asked", "told"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the system say who holds a socket, or let the processes tell each other."""
    if request.param == "asked" and not unix_sockets.can_ask():
        pytest.skip("nobody can be asked here")
    for module in (unix_sockets, connections):
        monkeypatch.setattr(module, "can_ask", lambda: request.param == "asked")
    return str(request.param)


@contextlib.contextmanager
def listening(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        yield server


def dial(path: str | bytes) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.send(b"x")


def refused(attempt: Callable[[], object]) -> bool:
    """Tell whether a small guard refuses an attempt."""
    try:
        with network_guard("small", "strict"):
            attempt()
    except NetworkAccessViolationError:
        return True
    except OSError:
        return False
    return False


@contextlib.contextmanager
def serving(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Have a child serve that says so on its output."""
    with subprocess.Popen([*command], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline()
            yield child
        finally:
            child.kill()


def linked() -> str:
    os.symlink("own", "link")
    return "link"


def linked_twice() -> str:
    os.mkdir("d")
    os.symlink("../own", "d/first")
    os.symlink("d/first", "second")
    return "second"


def hard_linked() -> str:
    os.link("own", "hard")
    return "hard"


def renamed() -> str:
    os.rename("own", "published")
    return "published"


def moved_directory() -> str:
    here = Path.cwd()
    os.rename(here, here.with_name(here.name + "-moved"))
    return f"../{here.name}-moved/own"  # short: a path may have some hundred bytes


def linked_directory() -> str:
    os.symlink(Path.cwd(), "there")
    return "there/own"


def from_elsewhere() -> str:
    os.mkdir("below")
    os.chdir("below")
    return "../own"


def of_a_descriptor() -> str:
    return f"/proc/self/fd/{os.open('.', os.O_RDONLY)}/own"


SPELLINGS: Final = [
    linked,
    linked_twice,
    hard_linked,
    renamed,
    moved_directory,
    linked_directory,
    from_elsewhere,
    pytest.param(of_a_descriptor, marks=linux),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_rule_9_any_spelling_reaches_an_own_unix_socket(way: str, spelling: Callable[[], str]) -> None:
    with network_guard("small", "strict") as guard, listening("own"):
        path = spelling()
        dial(path)
        dial(path.encode())
    assert guard.violations == []


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_rule_9_any_spelling_reaches_a_childs_unix_socket(spelling: Callable[[], str]) -> None:
    with network_guard("small", "strict") as guard, serving(sys.executable, "-c", SERVER, "own"):
        dial(spelling())
    assert guard.violations == []


@linux
def test_rule_9_names_that_the_system_chose_and_abstract_ones() -> None:
    with network_guard("small", "strict") as guard:
        for name in ("", f"\0ours-{os.getpid()}"):
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(name)
                server.listen()
                dial(server.getsockname())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one, listening_for_datagrams("there") as other:
            one.bind("")
            one.sendto(b"ping", "there")
            message, sender = other.recvfrom(9)
            other.sendto(b"pong to " + message, sender)
            assert one.recv(99) == b"pong to ping"
        raw = _socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        raw.bind("")
        raw.listen()
        dial(raw.getsockname())
        kept = os.dup(raw.fileno())
        raw.close()
        with socket.socket(fileno=kept) as server:
            dial(server.getsockname())
    assert guard.violations == []


@contextlib.contextmanager
def listening_for_datagrams(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        yield sock


def test_rule_9_an_own_unix_socket_that_was_closed_fails_by_itself(way: str) -> None:
    with network_guard("small", "strict") as guard:
        with listening("own"):
            pass
        with pytest.raises(ConnectionRefusedError):
            dial("own")
        os.unlink("own")
        with pytest.raises(FileNotFoundError):
            dial("own")
        with listening("own"):  # and was started again
            dial("own")
    assert guard.violations == []


def put_a_link() -> None:
    os.unlink("own")
    os.symlink("foreign", "own")


def rename_over() -> None:
    os.rename("foreign", "own")


def put_a_hard_link() -> None:
    os.unlink("own")
    os.link("foreign", "own")


def exchange_directories() -> None:
    here = Path.cwd()
    other = here.with_name(here.name + "-other")
    os.mkdir(other)
    os.rename("foreign", other / "own")
    os.rename(here, here.with_name(here.name + "-gone"))
    os.rename(other, here)
    os.chdir(here)


REPLACED: Final = [put_a_link, rename_over, put_a_hard_link, exchange_directories]


@pytest.mark.parametrize("replace", REPLACED)
@pytest.mark.parametrize("raw", [False, True])
def test_rule_9_what_took_the_place_of_an_own_unix_socket_is_foreign(
    replace: Callable[[], None], raw: bool, way: str
) -> None:
    with unix_server("foreign"):
        with network_guard("small", "strict"):
            server: Any = (_socket if raw else socket).socket(socket.AF_UNIX, socket.SOCK_STREAM)
            with contextlib.closing(server):
                server.bind("own")
                server.listen()
                if way == "told":  # what was bound past the wrappers is known from the first look on
                    dial("own")
        replace()
        assert refused(lambda: dial("own"))
        assert refused(lambda: dial(f"../{Path.cwd().name}/own"))


@linux
@pytest.mark.parametrize("replace", REPLACED)
@pytest.mark.parametrize("dialled", [False, True])
def test_rule_9_what_took_the_place_of_a_childs_unix_socket_is_foreign(
    replace: Callable[[], None], dialled: bool
) -> None:
    with unix_server("foreign"), network_guard("large", "strict"):
        with serving(sys.executable, "-c", SERVER, "own"):
            if dialled:
                assert not refused(lambda: dial("own"))
            replace()
            assert refused(lambda: dial("own"))
        assert refused(lambda: dial("own"))


@linux
def test_rule_9_an_abstract_name_that_another_process_has_taken_is_foreign() -> None:
    name = f"@taken-{os.getpid()}"
    with network_guard("small", "strict"), listening("\0" + name[1:]):
        dial("\0" + name[1:])
    with unix_server(name):
        assert refused(lambda: dial("\0" + name[1:]))
        assert refused(lambda: dial(b"\0" + name[1:].encode()))


def test_rule_9_an_inode_that_is_used_again_is_another_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    with unix_server("foreign"):
        now = unix_sockets.identity("foreign")
        assert now is not None
        before = (*now[:2], now[2] - 1)
        monkeypatch.setattr(our_family, "_known", {before: None})
        assert refused(lambda: dial("foreign"))
        monkeypatch.setattr(our_family, "_known", {now: None})
        assert not refused(lambda: dial("foreign"))


@linux
@pytest.mark.parametrize("name", ["foreign", "@foreign", "link", "/proc/self/cwd/foreign"])
def test_rule_9_foreign_unix_sockets_are_refused(name: str) -> None:
    os.symlink("foreign", "link")
    name = name.replace("@", f"@{os.getpid()}-")
    with unix_server(name if name.startswith("@") else "foreign"):
        assert refused(lambda: dial(name.replace("@", "\0")))
    with unix_server("datagrams", socket.SOCK_DGRAM):
        sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with sender:
            assert refused(lambda: sender.sendto(b"x", "datagrams"))
            assert refused(lambda: sender.sendmsg([b"x"], [], 0, "datagrams"))


@linux
def test_rule_9_a_connection_to_a_foreign_server_makes_it_no_relative() -> None:
    with unix_server("foreign"), socket.socket(socket.AF_UNIX) as client:
        client.connect("foreign")
        assert refused(lambda: dial("foreign"))
        assert refused(lambda: client.send(b"x"))


@linux
def test_rule_9_what_was_handed_to_the_run_is_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as given:
        _socket.socket.bind(given, "given")
        given.listen()
        monkeypatch.setattr(our_family, "inherited", frozenset({os.fstat(given.fileno()).st_ino}))
        assert refused(lambda: dial("given"))


@linux
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_rule_9_multiprocessings_managers_work(method: str) -> None:
    with network_guard("small", "strict") as guard:
        context: Any = multiprocessing.get_context(method)
        with context.Manager() as manager:
            shared = manager.dict(x=1)
            child = context.Process(target=shared.__setitem__, args=("x", 2))  # a sibling of the manager's
            child.start()
            child.join(30)
            assert (child.exitcode, shared["x"]) == (0, 2)
        with SharedMemoryManager(ctx=context) as memory:
            assert memory.ShareableList([1, 2])[1] == 2
    assert guard.violations == []


@linux
def test_rule_9_a_client_that_is_a_child_reaches_its_sibling_and_its_parent() -> None:
    with network_guard("small", "strict") as guard, serving(sys.executable, "-c", SERVER, "child"), listening("own"):
        for path in ("child", "own"):
            subprocess.run([sys.executable, "-c", CLIENT, path], check=True)
    assert guard.violations == []
    with unix_server("foreign"), pytest.raises(NetworkAccessViolationError, match="foreign"):
        with network_guard("small", "strict"):
            subprocess.run([sys.executable, "-c", CLIENT, "foreign"], check=False, stderr=subprocess.DEVNULL)


@linux
@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-I", "-S", "-c", SERVER],  # a Python that we don't watch
        ["sh", "-c", 'exec 3>&1; "$0" "$@" >&3 & wait', sys.executable, "-I", "-S", "-c", SERVER],
        ["perl", "-e", PERL_SERVER],
    ],
    ids=["unwatched", "grandchild", "perl"],
)
def test_rule_9_a_server_of_any_language_is_a_child(command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} here")
    with network_guard("small", "strict") as guard, serving(*command, "served"):
        dial("served")
        os.rename("served", "renamed")
        dial("renamed")
    assert guard.violations == []


def wait_for(path: str) -> None:
    while True:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            dial(path)
            return


def test_rule_9_a_socket_that_is_about_to_be_bound_may_be_waited_for_by_dialling_it(tmp_path: Path) -> None:
    with network_guard("small", "strict") as guard:
        go = "import os; os.read(0, 1)\n"
        command = [sys.executable, "-I", "-S", "-c", go + SERVER, "served"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            for path in ("served", str(tmp_path / "served")):
                with pytest.raises(FileNotFoundError):
                    dial(path)
            assert child.stdin is not None
            child.stdin.write(b"x")
            child.stdin.flush()
            wait_for("served")
            child.kill()
        ready = threading.Event()

        def serve() -> None:
            ready.wait(30)
            with listening("threaded"):
                done.wait(30)

        done = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, pytest.raises(FileNotFoundError):
            sock.sendto(b"x", "threaded")
        ready.set()
        wait_for("threaded")
        done.set()
        thread.join()
    assert guard.violations == []


def test_rule_9_what_others_may_serve_is_refused_where_it_is_missing_too(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"  # to everybody who gets that far
    open_to_all.mkdir()
    (tmp_path / "link").symlink_to("/nonexistent/service.sock")
    (tmp_path / "beyond").symlink_to("/nonexistent")
    foreign = ["/var/run/no-such.sock", str(Path(tempfile.gettempdir(), "no-such.sock")), "link", "beyond/no.sock"]
    with network_guard("large", "strict"):
        for path in foreign:
            assert refused(functools.partial(dial, path)), path
        assert not refused(lambda: dial("open/missing.sock"))
        assert not refused(lambda: dial("missing/missing.sock"))
        assert refused(lambda: dial(""))  # no path at all
        with tempfile.TemporaryDirectory() as directory:
            for mode, others in ((0o700, False), (0o755, False), (0o777, True), (0o775, True)):
                os.chmod(directory, mode)
                assert refused(lambda: dial(f"{directory}/missing.sock")) is others, oct(mode)


def bind_in_a_forked_child(path: str) -> None:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen()
        os.write(write, b"x")
        server.accept()[0].recv(1)
        os._exit(0)
    os.read(read, 1)
    os.close(read)
    os.close(write)


def test_rule_9_forked_children_and_their_parents_reach_each_other(way: str) -> None:
    with network_guard("small", "strict") as guard, listening("before"):
        bind_in_a_forked_child("theirs")
        dial("theirs")
        os.wait()
        with listening("after"):
            child = os.fork()
            if not child:
                with contextlib.suppress(NetworkAccessViolationError):
                    dial("before")
                    dial("after")
                    os._exit(0)
                os._exit(1)
            assert os.waitpid(child, 0)[1] == 0
    assert guard.violations == []


@pytest.mark.parametrize("way", ["told"], indirect=True)
def test_rule_9_spawned_children_and_their_parents_tell_each_other(way: str) -> None:
    told = "from pytest_test_categories._host import unix_sockets; unix_sockets.can_ask = lambda: False\n"
    with network_guard("small", "strict") as guard, listening("before"):
        with serving(sys.executable, "-c", told + SERVER, "child"), listening("own"):
            dial("child")
            for path in ("child", "own", "before"):
                subprocess.run([sys.executable, "-c", told + CLIENT, path], check=True)
    assert guard.violations == []
    with unix_server("foreign"):
        assert refused(lambda: dial("foreign"))


@linux
def test_a_size_that_permits_a_unix_socket_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def asks(_path: str) -> bool:
        raise AssertionError

    monkeypatch.setattr(our_family, "holds", asks)
    with unix_server("foreign"), network_guard("medium", "strict"):
        dial("foreign")
    path = Path("foreign").resolve()
    with unix_server("served"), network_guard("small", "strict", allow=[f"small: unix:{path.with_name('served')}"]):
        dial(str(path.with_name("served")))


@linux
def test_rule_9_an_open_connection_to_a_relative_may_be_used_whatever_its_name_is_by_now() -> None:
    with network_guard("large", "strict"):
        with serving(sys.executable, "-c", SERVER, "served"), socket.socket(socket.AF_UNIX) as client:
            client.connect("served")
            assert not refused(lambda: dial("served"))
            os.rename("served", "gone")
            assert not refused(lambda: client.send(b"x"))
            assert not refused(lambda: os.write(client.fileno(), b"x"))
        with unix_server("foreign"), socket.socket(socket.AF_UNIX) as client:
            client.connect("foreign")
            os.rename("gone", "foreign")  # its name leads to a relative's now
            assert refused(lambda: client.send(b"x"))


def test_a_unix_socket_fails_by_itself_where_nothing_can_be_asked(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    with network_guard("medium", "strict"), listening("own"):
        os.chdir(gone)
        gone.rmdir()
        with pytest.raises(FileNotFoundError):
            dial("nothing")


def test_what_is_known_of_unix_sockets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unix_sockets, "_REMEMBERED", 8)
    family = unix_sockets.Family()
    for number in range(20):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(number))
            family.note(sock, str(number))
    assert (len(family._known), len(family._paths)) == (8, 8)
    assert family.knows("19")
    with socket.socket(socket.AF_UNIX) as sock, contextlib.suppress(OSError):
        sock.bind("")
        family.note(sock, "")
        assert len(family._names) == 1
    del sock
    assert not family._names
