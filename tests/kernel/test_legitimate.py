"""What is legitimate at a size works at it under the kernel layer as well."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from tests.outsiders import unix_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.conftest import Outcome
    from tests.services import PostgresServer, RedisServer

pytestmark = pytest.mark.usefixtures("kernel")

LEGITIMATE: Final = Path(__file__).parents[1] / "ecosystem" / "legitimate"
PLUGINS: Final = ("asyncio", "pytest_httpx", "pytest_mock", "respx", "requests_mock")


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_the_list_of_what_is_legitimate(
    pytester: pytest.Pytester,
    command: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
    postgres: PostgresServer,
    redis: RedisServer,
    workers: tuple[str, ...],
) -> None:
    for name in PLUGINS:
        pytest.importorskip({"asyncio": "pytest_asyncio"}.get(name, name))
    shutil.copytree(LEGITIMATE, pytester.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("DATABASE_URL", postgres.dsn)
    monkeypatch.setenv("DATABASE_DIR", postgres.socket_dir)
    monkeypatch.setenv("REDIS_ADDRESS", f"{redis.host}:{redis.port}")
    call = command(*workers, plugins=(*PLUGINS, *(["xdist"] if workers else [])))
    result = pytester.run(*call, timeout=200)
    outcomes = result.parseoutcomes()
    assert outcomes.keys() <= {"passed", "skipped", "warnings", "warning"}, result.outlines
    assert outcomes["passed"] > 100
    assert result.ret == 0


def test_what_the_system_asks_for_by_itself(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio, grp, logging.handlers, multiprocessing, os, pwd, socket, subprocess, sys, syslog, uuid
        import pytest

        def users():
            with pytest.raises(KeyError):
                pwd.getpwnam("nobody-has-this-name")
            os.path.expanduser("~root")

        def names():
            assert socket.getaddrinfo("localhost", 80)
            assert socket.getaddrinfo("localhost", None)
            assert socket.getaddrinfo(None, 80, flags=socket.AI_PASSIVE)
            assert socket.getaddrinfo("93.184.216.34", 80)
            assert socket.getaddrinfo("2001:db8::1", 80)
            subprocess.run(["getent", "ahosts", "localhost"], check=True)

        def loops():
            asyncio.run(asyncio.sleep(0))
            uvloop = pytest.importorskip("uvloop")
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(asyncio.sleep(0))

        def pairs():
            left, right = socket.socketpair()
            with left, right:
                left.sendmsg([b"x"])
                assert right.recv(1) == b"x"

        def processes():
            for method in multiprocessing.get_all_start_methods():
                process = multiprocessing.get_context(method).Process(target=abs, args=(1,))
                process.start()
                process.join()
                assert process.exitcode == 0

        def pools():
            with multiprocessing.get_context("fork").Pool(2) as pool:
                assert pool.map(abs, [-1]) == [1]

        def logs():
            syslog.syslog("hello")

        def identifiers():
            uuid.uuid1()
            socket.if_nameindex()

        def repositories():
            subprocess.run(["git", "--version"], check=True)

        def own_unix_socket(path="s"):
            with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
                server.bind(path)
                server.listen()
                client.connect(path)
            os.unlink(path)

        def unix_socket_of_two_children():
            server = (
                "import socket; s = socket.socket(socket.AF_UNIX); s.bind('two'); s.listen(); print('x', flush=True);"
                "s.accept()"
            )
            child = subprocess.Popen([sys.executable, "-S", "-c", server], stdout=subprocess.PIPE)
            child.stdout.readline()
            client = f"import os, socket; socket.socket(socket.AF_UNIX).connect(os.path.abspath('two'))"
            subprocess.run([sys.executable, "-S", "-c", client], check=True)
            child.wait()
            child.stdout.close()
            os.unlink("two")

        WAYS = [users, names, loops, pairs, processes, pools, logs, identifiers, repositories, own_unix_socket]
        WAYS.append(unix_socket_of_two_children)

        @pytest.mark.parametrize("way", WAYS)
        @pytest.mark.small
        def test_small(way):
            way()

        @pytest.mark.parametrize("way", WAYS)
        @pytest.mark.medium
        def test_medium(way):
            way()
        """
    )
    outcome = run("-v", "-W", "ignore::DeprecationWarning")
    assert outcome.counts == {"passed": 22}, outcome.text
    assert outcome.packets == 0


def test_threads_of_the_runner_and_report_hooks_are_free(
    run: Callable[..., Outcome], pytester: pytest.Pytester, listener: tuple[str, int]
) -> None:
    pytester.makeconftest(
        """
        import queue, socket, threading
        import pytest

        server = socket.create_server(("127.0.0.1", 0))
        jobs, done = queue.Queue(), queue.Queue()

        def dial():
            with socket.create_connection(server.getsockname(), 2):
                pass

        def work():
            while True:
                jobs.get()
                try:
                    dial()
                    done.put(None)
                except BaseException as error:
                    done.put(error)

        def pytest_sessionstart():
            threading.Thread(target=work, daemon=True).start()

        def pytest_runtest_logreport(report):
            dial()

        @pytest.fixture
        def ask_runner():
            def ask():
                jobs.put(1)
                error = done.get()
                if error is not None:
                    raise error
            return ask
        """
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.small
        def test_runner(ask_runner):
            ask_runner()
            ask_runner()
        """
    )
    outcome = run("-v")
    assert outcome.counts == {"passed": 1}, outcome.text


def test_a_fixtures_server_is_held_to_the_fixtures_size(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    """Its process goes on while smaller tests run, and does then what it may."""
    pytester.makepyfile(
        """
        import socket, subprocess, sys, threading, time
        import pytest

        CODE = '''
        import socket, time
        server = socket.create_server(("127.0.0.1", 0))
        while True:
            with socket.create_connection(server.getsockname(), 2):
                server.accept()[0].close()
            print("beat", flush=True)
            time.sleep(0.02)
        '''

        @pytest.fixture(scope="session")
        def beating():
            with subprocess.Popen([sys.executable, "-S", "-c", CODE], stdout=subprocess.PIPE) as process:
                yield process
                process.kill()

        @pytest.fixture(scope="session")
        def thread():
            server = socket.create_server(("127.0.0.1", 0))
            beats, going = [], [True]
            def beat():
                while going:
                    with socket.create_connection(server.getsockname(), 2):
                        server.accept()[0].close()
                    beats.append(1)
                    time.sleep(0.01)
            worker = threading.Thread(target=beat, daemon=True)
            worker.start()
            yield beats
            going.clear()
            worker.join()
            server.close()

        @pytest.mark.medium
        def test_medium(beating, thread):
            assert beating.stdout.readline() == b"beat\\n"

        @pytest.mark.small
        def test_small(request):
            time.sleep(0.5)

        @pytest.mark.medium
        def test_again(beating, thread):
            before = len(thread)
            for _ in range(5):
                assert beating.stdout.readline() == b"beat\\n"
            time.sleep(0.2)
            assert len(thread) > before > 5
            assert beating.poll() is None
        """
    )
    outcome = run("-v")
    assert outcome.counts == {"passed": 3}, outcome.text
    assert outcome.result.ret == 0


def test_a_thread_goes_on_connecting_where_the_main_thread_enters_a_tighter_block(
    run: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    """What a guard has let pass before is told to the supervisor again as soon as that goes by another guard."""
    pytester.makepyfile(
        """
        import concurrent.futures, contextvars, socket
        import pytest
        from pytest_test_categories import expect_network_violation, network_guard

        @pytest.mark.medium
        def test_thread():
            with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
                def dial():
                    socket.create_connection(server.getsockname()).close()

                context = contextvars.copy_context()
                with concurrent.futures.ThreadPoolExecutor(1) as pool:
                    def elsewhere():
                        pool.submit(context.run, dial).result()

                    for _ in range(3):
                        dial()
                        elsewhere()
                    with network_guard("small", "strict"):
                        for _ in range(3):
                            elsewhere()
                        with expect_network_violation() as seen:
                            with pytest.raises(Exception):
                                dial()
                        assert len(seen) == 1
                    for _ in range(3):
                        dial()
                        elsewhere()
                with network_guard("small", "strict"), expect_network_violation():
                    with pytest.raises(Exception):
                        dial()
        """
    )
    outcome = run()
    assert outcome.counts == {"passed": 1}, outcome.text


def test_rule_9_a_datagram_socket_may_connect_to_a_number_and_is_judged_when_it_sends(
    run: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        """
        import socket
        import pytest

        def probe():
            sock = socket.socket(type=socket.SOCK_DGRAM)
            sock.connect(("198.51.100.2", 80))
            return sock

        @pytest.mark.small
        def test_asks_for_its_own_address():
            with probe() as sock:
                assert sock.getsockname()[0]

        @pytest.mark.small
        def test_sends():
            with probe() as sock:
                sock.send(b"x")
        """
    )
    outcome = run()
    assert outcome.counts == {"passed": 1, "failed": 1}
    assert "198.51.100.2:80 at test_" in outcome.text
    assert outcome.packets == 0


UNIX_CLIENTS: Final = """
import os, socket, subprocess, sys
import pytest

SERVER = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print('x', flush=True); sys.stdin.read()"
CLIENT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1].replace('@', chr(0)))"
UNSEEN = [sys.executable, "-I", "-S", "-c"]


def dial(path, cwd=None):
    return subprocess.run([*UNSEEN, CLIENT, path], cwd=cwd, stderr=subprocess.DEVNULL).returncode == 0


@pytest.fixture(params=["ours", "childs"])
def served(request):
    if request.param == "ours":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("own")
            server.listen()
            yield
    else:
        with subprocess.Popen([*UNSEEN, SERVER, "own"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            yield


@pytest.fixture(autouse=True)
def there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
"""


def test_rule_9_unix_sockets_are_free_to_native_clients(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        UNIX_CLIENTS
        + """
@pytest.mark.small
def test_small(served):
    os.mkdir("below")
    os.symlink("../own", "below/link")
    os.symlink("below", "there")
    os.link("own", "hard")
    assert dial("own") and dial("below/link") and dial("there/link") and dial("hard")
    assert dial("../own", cwd="below")
    assert dial("/proc/self/cwd/own")
    os.rename("own", "published")
    assert dial("published")
    assert not dial("missing")  # somebody may be about to bind it


@pytest.mark.small
def test_abstract():
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("")
        server.listen()
        assert dial("@" + server.getsockname()[1:].decode())
"""
    )
    outcome = run("-v")
    assert outcome.counts == {"passed": 3}, outcome.text


@pytest.mark.skipif(not Path("/dev/vsock").exists(), reason="there is no vsock here")
def test_vsock_of_this_machine_is_free_to_native_clients_of_medium_tests(
    run: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        """
        import subprocess, sys
        import pytest

        DIAL = "import socket, sys; s = socket.socket(socket.AF_VSOCK); s.setblocking(False); s.connect_ex((int(sys.argv[1]), 9))"

        def dial(context):
            return subprocess.run([sys.executable, "-I", "-S", "-c", DIAL, context])

        @pytest.mark.medium
        def test_here():
            dial("1")

        @pytest.mark.medium
        def test_elsewhere():
            dial("77")

        @pytest.mark.small
        def test_small():
            dial("1")
        """
    )
    outcome = run("-v")
    assert outcome.counts == {"passed": 1, "failed": 2}, outcome.text
    assert "::test_here PASSED" in outcome.text
    assert "vsock:77:9" in outcome.text


def test_rule_9_what_replaced_a_unix_socket_is_refused_to_native_clients(
    run: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        UNIX_CLIENTS
        + """
@pytest.mark.small
@pytest.mark.parametrize("before", [False, True])
def test_small(served, before):
    if before:
        assert dial("own")
    os.unlink("own")
    os.symlink(os.environ["FOREIGN_SOCKET"], "own")
    assert not dial("own")
    os.unlink("own")
    os.link(os.environ["FOREIGN_SOCKET"], "own")
    assert not dial("own")
    assert not dial("/proc/self/cwd/own")
"""
    )
    path = pytester.path / "foreign"
    with unix_server("foreign"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FOREIGN_SOCKET", str(path))
            outcome = run("-v", "-p", "no:cacheprovider")
    assert outcome.counts == {"failed": 4}, outcome.text
    assert "assert not" not in outcome.text.partition("FAILURES")[2]


FORBIDS: Final = """
import ctypes, errno, os, struct, sys

# A container's profile as far as it matters: pidfd_getfd, which has this number on every machine, is not permitted.
rows = [(0x20, 0, 0, 0), (0x15, 0, 1, 438), (0x06, 0, 0, 0x50000 | errno.EPERM), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *row) for row in rows))
filter = ctypes.create_string_buffer(struct.pack("=H6xQ", len(rows), ctypes.addressof(code)))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filter) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_rule_9_where_sockets_may_not_be_looked_at_servers_start_all_the_same(
    run: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        """
        import multiprocessing, socket
        import pytest

        @pytest.mark.small
        def test_manager():
            with multiprocessing.Manager() as manager:
                assert manager.list([1])[0] == 1

        @pytest.mark.small
        @pytest.mark.network_allow("127.0.0.1")
        def test_allowed():
            with socket.create_server(("127.0.0.1", 0)) as server:
                socket.create_connection(server.getsockname()).close()

        @pytest.mark.small
        def test_bind():
            with socket.socket() as server:
                server.bind(("127.0.0.1", 0))
        """
    )
    outcome = run(prefix=(sys.executable, "-c", FORBIDS))
    assert outcome.counts == {"passed": 2, "failed": 1}, outcome.text
    assert "may not be read" not in outcome.text


def test_with_the_layer_no_program_is_unwatched(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import subprocess
        import pytest

        @pytest.mark.small
        def test_program():
            subprocess.run(["true"], check=True)
        """
    )
    assert run("--test-categories-unwatched=error").counts == {"passed": 1}
    assert run("--test-categories-unwatched=error", guard="off").counts == {"failed": 1}
