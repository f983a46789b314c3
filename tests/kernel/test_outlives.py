"""What outlives its test is held to what its test was, whoever runs meanwhile: in both directions, and told of nobody else."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.conftest import Outcome

pytestmark = pytest.mark.usefixtures("kernel")

WAYS: Final = '''
"""Ways to go on when the test is over; each connects once ``go`` is there, and says how that went."""

import concurrent.futures, ctypes, os, pathlib, signal, socket, struct, subprocess, sys, threading, time

GO, ANSWER = pathlib.Path("go"), pathlib.Path("answer")
libc = ctypes.CDLL(None, use_errno=True)
PORT = 45454
SHELL = (
    "while [ ! -e go ]; do sleep 0.02; done; (exec 3<>/dev/tcp/127.0.0.1/45454) && echo connected >new || echo refused >new;"
    "mv new answer"
)
Routine = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
kept = []


def dial():
    sock = libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    address = struct.pack("=H", socket.AF_INET) + struct.pack(">H", PORT) + socket.inet_aton("127.0.0.1") + bytes(8)
    failed = libc.connect(sock, address, 16)
    os.close(sock)
    return "refused" if failed else "connected"


def later(*_):
    while not GO.exists():
        time.sleep(0.02)
    pathlib.Path("new").write_text(dial())
    os.replace("new", ANSWER)
    return 0


def program():
    kept.append(subprocess.Popen(["bash", "-c", SHELL]))


def spawned():
    os.posix_spawn("/bin/bash", ["bash", "-c", SHELL], dict(os.environ))


def daemon():
    subprocess.run(["bash", "-c", f"(setsid bash -c '{SHELL}' &)"])


def forked_twice():
    child = os.fork()
    if not child:
        os.setsid()
        if not os.fork():
            later()
        os._exit(0)
    os.waitpid(child, 0)


def native_thread():
    routine = Routine(later)
    thread = ctypes.c_ulong()
    kept.append(routine)
    assert libc.pthread_create(ctypes.byref(thread), None, routine, None) == 0


def thread():
    threading.Thread(target=later, daemon=True).start()


def job():
    pool = concurrent.futures.ThreadPoolExecutor(1)
    kept.append(pool)
    pool.submit(later)


def program_of_a_thread():
    def start():
        while not GO.exists():
            time.sleep(0.02)
        kept.append(subprocess.Popen(["bash", "-c", SHELL]))

    threading.Thread(target=start, daemon=True).start()


def fork_of_a_thread():
    def start():
        while not GO.exists():
            time.sleep(0.02)
        if not os.fork():
            later()
            os._exit(0)

    threading.Thread(target=start, daemon=True).start()


def handler():
    def handle(*_):
        pathlib.Path("answer").write_text(dial())

    signal.signal(signal.SIGALRM, handle)


def result():
    if signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL:
        signal.raise_signal(signal.SIGALRM)
    GO.touch()
    deadline = time.monotonic() + 10
    while not ANSWER.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return ANSWER.read_text().strip()
'''
NAMES: Final = (
    "program",
    "spawned",
    "daemon",
    "forked_twice",
    "native_thread",
    "thread",
    "job",
    "program_of_a_thread",
    "fork_of_a_thread",
    "handler",
)
TESTS: Final = """
import socket
import pytest
import ways

servers = []


@pytest.fixture
def fixture():
    ways.{way}()
    yield


@pytest.mark.large
def test_a_server():
    servers.append(socket.create_server(("127.0.0.1", ways.PORT)))


@pytest.mark.{before}
def test_b_leaves():
    ways.{way}()


@pytest.mark.{after}
def test_c_meanwhile():
    assert ways.result() == "{result}"
"""


@pytest.mark.parametrize(("way", "after"), [("program", "medium"), *((name, "large") for name in NAMES)])
def test_a_small_tests_leftover_is_refused_and_told_as_its_own(
    run: Callable[..., Outcome], pytester: pytest.Pytester, way: str, after: str
) -> None:
    pytester.makepyfile(ways=WAYS, test_it=TESTS.format(way=way, before="small", after=after, result="refused"))
    outcome = run("-q", "-W", "ignore::DeprecationWarning")
    assert outcome.counts == {"passed": 3}, outcome.text
    assert outcome.result.ret == 1
    charged = r"no running test is charged with[\s\S]*::test_b_leaves \[small\]\n(    .*\n)*    127[.]0[.]0[.]1:45454"
    assert re.search(charged, outcome.text), outcome.text
    assert "by nobody" not in outcome.text


@pytest.mark.parametrize(("way", "before"), [("native_thread", "medium"), *((name, "large") for name in NAMES)])
def test_a_larger_tests_leftover_goes_on_and_no_smaller_test_is_charged(
    run: Callable[..., Outcome], pytester: pytest.Pytester, way: str, before: str
) -> None:
    pytester.makepyfile(ways=WAYS, test_it=TESTS.format(way=way, before=before, after="small", result="connected"))
    outcome = run("-q", "-W", "ignore::DeprecationWarning")
    assert outcome.counts == {"passed": 3}, outcome.text
    assert outcome.result.ret == 0, outcome.text


@pytest.mark.parametrize("way", [name for name in NAMES if name != "handler"])
def test_what_a_fixture_started_is_held_to_its_size(
    run: Callable[..., Outcome], pytester: pytest.Pytester, way: str
) -> None:
    pytester.makepyfile(
        ways=WAYS,
        test_it=f"""
        import socket
        import pytest
        import ways

        @pytest.fixture(scope="module")
        def service():
            server = socket.create_server(("127.0.0.1", ways.PORT))
            ways.{way}()
            yield
            server.close()

        @pytest.mark.medium
        def test_a_medium(service):
            pass

        @pytest.mark.small
        def test_b_bystander():
            assert ways.result() == "connected"

        @pytest.mark.medium
        def test_c_medium(service):
            pass
        """,
    )
    outcome = run("-q", "-W", "ignore::DeprecationWarning")
    assert outcome.counts == {"passed": 3}, outcome.text
    assert outcome.result.ret == 0, outcome.text


def test_threads_older_than_the_collection_are_the_runners(
    run: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        ways=WAYS,
        conftest="""
        import socket
        import ways

        servers = []
        ways.native_thread()

        def pytest_sessionstart():
            servers.append(socket.create_server(("127.0.0.1", ways.PORT)))
        """,
        test_it="""
        import pytest
        import ways

        @pytest.mark.small
        def test_bystander():
            assert ways.result() == "connected"
        """,
    )
    outcome = run("-q", "-W", "ignore")
    assert outcome.counts == {"passed": 1}, outcome.text
    assert "no running test is charged" not in outcome.text


def test_a_pools_thread_is_held_to_each_of_its_jobs(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        ways=WAYS,
        test_it="""
        import concurrent.futures, socket
        import pytest
        import ways

        pool = concurrent.futures.ThreadPoolExecutor(1)
        servers = []

        @pytest.mark.large
        def test_a_server():
            servers.append(socket.create_server(("127.0.0.1", ways.PORT)))
            assert pool.submit(ways.dial).result() == "connected"

        @pytest.mark.small
        def test_b_small():
            assert pool.submit(ways.dial).result() == "refused"

        @pytest.mark.medium
        def test_c_medium():
            assert pool.submit(ways.dial).result() == "connected"
        """,
    )
    outcome = run("-q", "-W", "ignore::DeprecationWarning")
    assert outcome.counts == {"passed": 2, "failed": 1}, outcome.text
    assert "::test_b_small [small]\n    127.0.0.1:45454" in outcome.text


def test_programs_that_threads_start_at_once_are_each_held_to_the_guard_of_their_thread(
    run: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_it="""
        import socket, subprocess, threading, time
        import pytest
        from pytest_test_categories import network_guard
        from pytest_test_categories._host.system import System

        fstat = System.fstat

        def fstat_slowly(descriptor):  # it is asked of what a program inherits, just before the program starts
            time.sleep(0.001)
            return fstat(descriptor)

        System.fstat = staticmethod(fstat_slowly)

        def work(size, port, found):
            with network_guard(size, "warn" if size == "large" else "strict"):
                for _ in range(12):
                    found.append(subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"], stderr=-3).returncode)

        @pytest.mark.large
        def test_both():
            server = socket.create_server(("127.0.0.1", 0), backlog=100)
            found = {"small": [], "large": []}
            threads = [
                threading.Thread(target=work, args=(size, server.getsockname()[1], found[size]))
                for size in found
                for _ in range(3)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            server.close()
            print(f"\\nstatus {[set(map(bool, found[size])) for size in found]}")
        """,
    )
    outcome = run("-q", "-s", "-W", "ignore")
    assert "status [{True}, {False}]" in outcome.text


POOLS: Final = """
import concurrent.futures, multiprocessing, socket
import pytest
import ways

servers = []


class Loky:
    def submit(self, function):
        import joblib

        class Done:
            result = staticmethod(lambda: joblib.Parallel(n_jobs=2)([joblib.delayed(function)()])[0])

        return Done


@pytest.fixture(scope="module")
def pool():
    if "{kind}" == "loky":
        yield Loky()
        return
    if "{kind}" == "interpreters":
        found = "import os, sys; sys.path.insert(0, os.getcwd())"
        with concurrent.futures.InterpreterPoolExecutor(1, initializer=exec, initargs=(found,)) as made:
            yield made
        return
    context = multiprocessing.get_context("{kind}")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def server():
    with socket.create_server(("127.0.0.1", ways.PORT), backlog=50):
        yield


@pytest.mark.{first}
def test_b_first(pool):
    assert pool.submit(ways.dial).result() == "{firsts}"


@pytest.mark.{second}
def test_c_second(pool):
    assert pool.submit(ways.dial).result() == "{seconds}"
    assert pool.submit(ways.dial).result() == "{seconds}"


@pytest.mark.{first}
def test_d_third(pool):
    assert pool.submit(ways.dial).result() == "{firsts}"
"""


@pytest.mark.parametrize("kind", ["fork", "spawn", "forkserver", "loky", "interpreters"])
@pytest.mark.parametrize("sizes", [("small", "large"), ("medium", "small")])
def test_a_process_pools_worker_is_held_to_each_of_its_jobs(
    run: Callable[..., Outcome], pytester: pytest.Pytester, kind: str, sizes: tuple[str, str]
) -> None:
    if kind == "loky":
        pytest.importorskip("joblib")
    if kind == "interpreters" and sys.version_info < (3, 14):
        pytest.skip("pools of interpreters are new in 3.14")
    first, second = sizes
    firsts, seconds = ("refused" if size == "small" else "connected" for size in sizes)
    tests = POOLS.format(kind=kind, first=first, second=second, firsts=firsts, seconds=seconds)
    pytester.makepyfile(ways=WAYS, test_it=tests)
    outcome = run("-q", "-W", "ignore::DeprecationWarning")
    small = ["test_c_second"] if second == "small" else ["test_b_first", "test_d_third"]
    assert re.findall(r"^FAILED test_it.py::(\w+)", outcome.text, re.MULTILINE) == small, outcome.text
    assert "no running test is charged" not in outcome.text
    for name in small:
        assert f"::{name} [small]\n    127.0.0.1:45454" in outcome.text, outcome.text


@pytest.mark.parametrize(("size", "answer"), [("small", "refused"), ("medium", "connected")])
def test_the_exit_is_held_to_the_largest_size_of_the_run(
    run: Callable[..., Outcome], pytester: pytest.Pytester, size: str, answer: str
) -> None:
    pytester.makepyfile(
        ways=WAYS,
        conftest="""
        import atexit, socket
        import ways

        server = socket.socket()

        def pytest_sessionstart():
            server.bind(("127.0.0.1", ways.PORT))
            server.listen()

        @atexit.register
        def of_the_runner():
            print("of the runner:", ways.dial(), flush=True)
        """,
        test_it=f"""
        import atexit, subprocess
        import pytest
        import ways

        @atexit.register
        def of_the_module():
            print("of the module:", ways.dial(), flush=True)
            command = ["bash", "-c", f"(exec 3<>/dev/tcp/127.0.0.1/{{ways.PORT}}) 2>/dev/null && echo connected || echo refused"]
            print("of a program:", subprocess.run(command, capture_output=True, text=True).stdout, flush=True)

        @pytest.mark.{size}
        def test_it():
            pass
        """,
    )
    outcome = run("-q", "-W", "ignore::DeprecationWarning")
    assert outcome.counts == {"passed": 1}, outcome.text
    assert outcome.result.ret == 0
    assert f"of the module: {answer}" in outcome.text
    assert f"of a program: {answer}" in outcome.text
    assert "of the runner: connected" in outcome.text
    told = outcome.text.count(
        "Network access violation after the run: the end of the process attempted 127.0.0.1:45454"
    )
    assert told == (1 if answer == "refused" else 0), outcome.text


LOOPS: Final = {
    "asyncio": """
import asyncio

loop = asyncio.new_event_loop()

def leave(work):
    async def later():
        await asyncio.sleep(0.2)
        work()

    async def main():
        ways.kept.append(asyncio.ensure_future(later()))
        await asyncio.sleep(0.01)

    loop.run_until_complete(main())

def go_on():
    loop.run_until_complete(asyncio.sleep(0.5))
""",
    "gevent": """
import gevent

def leave(work):
    gevent.spawn_later(0.2, work)

def go_on():
    gevent.sleep(0.5)
""",
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("before", "after", "answer"), [("small", "large", "refused"), ("large", "small", "connected")]
)
def test_a_program_of_a_task_that_outlives_its_test_is_held_to_that(
    run: Callable[..., Outcome], pytester: pytest.Pytester, loop: str, before: str, after: str, answer: str
) -> None:
    pytest.importorskip(loop)
    pytester.makepyfile(
        ways=WAYS,
        leaving="import ways\n" + LOOPS[loop],
        test_it=f"""
        import socket
        import leaving, pytest, ways

        servers = []

        @pytest.mark.large
        def test_a_server():
            servers.append(socket.create_server(("127.0.0.1", ways.PORT)))

        @pytest.mark.{before}
        def test_b_leaves():
            leaving.leave(ways.program)

        @pytest.mark.{after}
        def test_c_meanwhile():
            leaving.go_on()
            assert ways.result() == "{answer}"
        """,
    )
    outcome = run("-q", "-W", "ignore")
    assert outcome.counts == {"passed": 3}, outcome.text
    assert outcome.result.ret == (answer == "refused"), outcome.text
