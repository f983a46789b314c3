"""Children that are not forks run under the policy of the test that started them, and tell it what they were refused."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import json
import multiprocessing
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import unittest
import unittest.mock
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories import (
    NetworkAccessViolationError,
    NetworkAccessWarning,
    expect_network_violation,
    network_guard,
)
from pytest_test_categories._processes.child import pytest_test_categories_child as child
from pytest_test_categories._runtime import runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="spellings of POSIX"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]

FOREIGN: Final = ("198.51.100.1", 9)
CHILD_DIRECTORY: Final = child.DIRECTORY

WORKER: Final = '''
import socket
import sys


def dial(host, port):
    """0: connected; 3: refused by a guard; 4: something else."""
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return 4
    except Exception as error:
        return 3 if type(error).__name__ == "NetworkAccessViolationError" else 5
    return 0


if __name__ == "__main__":
    sys.exit(dial(*sys.argv[1:3]))
'''


def dial(address: tuple[str, int]) -> int:
    """What the worker does, for pools, which import it from here."""
    try:
        socket.create_connection(address, timeout=5).close()
    except OSError:
        return 4
    except NetworkAccessViolationError:
        return 3
    return 0


def dial_openly(address: tuple[str, int]) -> None:
    socket.create_connection(address, timeout=5).close()


@pytest.fixture
def worker(tmp_path: Path) -> str:
    path = tmp_path / "worker.py"
    path.write_text(WORKER)
    return str(path)


def stop_fork_server() -> None:
    """One that was started outside of any guard has no part of ours."""
    from multiprocessing import forkserver

    server: Any = forkserver._forkserver
    server._stop()


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    stop_fork_server()
    assert not list(Path(tempfile.gettempdir()).glob(f"pytest-test-categories-{os.getpid():x}-*"))


def status(code: int) -> int:
    return os.waitstatus_to_exitcode(code)


def by_run(argv: list[str]) -> int:
    return subprocess.run(argv, check=False).returncode


def by_exec(how: Callable[[str, list[str]], object]) -> Callable[[list[str]], int]:
    def run(argv: list[str]) -> int:
        if (pid := os.fork()) == 0:
            try:
                how(argv[0], argv)
            finally:
                os._exit(9)
        return status(os.waitpid(pid, 0)[1])

    return run


def by_popen(argv: list[str]) -> int:
    closed = os.popen(" ".join(argv)).close()
    return 0 if closed is None else status(closed)


def by_asyncio(argv: list[str]) -> int:
    async def run() -> int:
        return await (await asyncio.create_subprocess_exec(*argv)).wait()

    return asyncio.run(run())


def by_asyncio_shell(argv: list[str]) -> int:
    async def run() -> int:
        return await (await asyncio.create_subprocess_shell(" ".join(argv))).wait()

    return asyncio.run(run())


def by_uvloop(argv: list[str], *, shell: bool = False) -> int:
    uvloop = pytest.importorskip("uvloop")

    async def run() -> int:
        if shell:
            return await (await asyncio.create_subprocess_shell(" ".join(argv))).wait()
        return await (await asyncio.create_subprocess_exec(*argv)).wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


def in_pool(method: str) -> Callable[[list[str]], int]:
    def run(argv: list[str]) -> int:
        with multiprocessing.get_context(method).Pool(1) as pool:
            return pool.map(dial, [(argv[2], int(argv[3]))])[0]

    return run


def in_process(method: str) -> Callable[[list[str]], int]:
    def run(argv: list[str]) -> int:
        context: Any = multiprocessing.get_context(method)
        answers = context.SimpleQueue()
        process = context.Process(target=answer, args=(answers, (argv[2], int(argv[3]))))
        process.start()
        process.join()
        code: int = answers.get()
        process.close()
        answers.close()
        return code

    return run


def answer(answers: Any, address: tuple[str, int]) -> None:
    answers.put(dial(address))


def in_executor(argv: list[str]) -> int:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(dial, (argv[2], int(argv[3]))).result()


SPELLINGS: Final[list[Any]] = [
    pytest.param(by_run, id="subprocess.run"),
    pytest.param(lambda argv: subprocess.call(argv), id="subprocess.call"),
    pytest.param(lambda argv: subprocess.Popen(argv).wait(), id="Popen"),
    pytest.param(lambda argv: subprocess.run(" ".join(argv), shell=True).returncode, id="shell=True"),
    pytest.param(lambda argv: subprocess.run(argv, env={}).returncode, id="env={}"),
    pytest.param(lambda argv: subprocess.run(argv, env={"A": "b"}).returncode, id="env"),
    pytest.param(lambda argv: subprocess.run(argv, env={b"A": b"b"}).returncode, id="env of bytes"),
    pytest.param(
        lambda argv: subprocess.run(argv, env={"PYTHONPATH": "/nowhere"}).returncode, id="env with PYTHONPATH"
    ),
    pytest.param(lambda argv: subprocess.run(argv, env=dict(os.environ)).returncode, id="env copied"),
    pytest.param(lambda argv: subprocess.run(argv, cwd="/").returncode, id="cwd"),
    pytest.param(lambda argv: subprocess.run(argv, close_fds=False).returncode, id="close_fds=False"),
    pytest.param(lambda argv: subprocess.run(argv, preexec_fn=os.getpid).returncode, id="preexec_fn"),
    pytest.param(lambda argv: subprocess.run(argv, start_new_session=True).returncode, id="new session"),
    pytest.param(lambda argv: os.system(" ".join(argv)) >> 8, id="os.system"),
    pytest.param(by_popen, id="os.popen"),
    pytest.param(lambda argv: status(os.waitpid(os.posix_spawn(argv[0], argv, os.environ), 0)[1]), id="posix_spawn"),
    pytest.param(lambda argv: status(os.waitpid(os.posix_spawnp(argv[0], argv, {}), 0)[1]), id="posix_spawnp"),
    pytest.param(by_exec(lambda path, argv: os.execv(path, argv)), id="execv"),
    pytest.param(by_exec(lambda path, argv: os.execvp(path, argv)), id="execvp"),
    pytest.param(by_exec(lambda path, argv: os.execl(path, *argv)), id="execl"),
    pytest.param(by_exec(lambda path, argv: os.execve(path, argv, {})), id="execve"),
    pytest.param(by_exec(lambda path, argv: os.execvpe(path, argv, dict(os.environ))), id="execvpe"),
    pytest.param(lambda argv: os.spawnv(os.P_WAIT, argv[0], argv), id="spawnv"),
    pytest.param(lambda argv: os.spawnve(os.P_WAIT, argv[0], argv, {}), id="spawnve"),
    pytest.param(lambda argv: os.spawnlp(os.P_WAIT, argv[0], *argv), id="spawnlp"),
    pytest.param(by_asyncio, id="asyncio exec"),
    pytest.param(by_asyncio_shell, id="asyncio shell"),
    pytest.param(by_uvloop, id="uvloop exec"),
    pytest.param(functools.partial(by_uvloop, shell=True), id="uvloop shell"),
    pytest.param(in_process("spawn"), id="multiprocessing spawn"),
    pytest.param(in_process("forkserver"), id="multiprocessing forkserver"),
    pytest.param(in_pool("spawn"), id="Pool spawn"),
    pytest.param(in_pool("forkserver"), id="Pool forkserver"),
    pytest.param(in_executor, id="ProcessPoolExecutor spawn"),
]


@pytest.mark.parametrize("start", SPELLINGS)
def test_a_child_is_held_to_what_its_test_is(
    start: Callable[[list[str]], int], worker: str, listener: tuple[str, int]
) -> None:
    local = [sys.executable, worker, listener[0], str(listener[1])]
    foreign = [sys.executable, worker, FOREIGN[0], str(FOREIGN[1])]
    assert start(local) == 0  # the way out
    stop_fork_server()
    small = network_guard("small", "strict")
    with pytest.raises(NetworkAccessViolationError) as caught, small:
        assert start(local) == 3
    assert caught.value.undelivered
    (violation,) = small.violations
    assert violation.target == f"{listener[0]}:{listener[1]}"
    assert violation.process.startswith("child process ")
    assert violation.location.endswith((f"{worker}:9", f"test_spawned.py:{dial.__code__.co_firstlineno + 3}"))
    assert not violation.late
    medium = network_guard("medium", "strict")
    with pytest.raises(NetworkAccessViolationError), medium:
        assert start(local) == 0
        assert start(foreign) == 3
    assert [violation.target for violation in medium.violations] == ["198.51.100.1:9"]
    with pytest.warns(NetworkAccessWarning) as warned, network_guard("small", "warn") as warn:
        assert start(local) == 0
    assert [one.category for one in warned].count(
        NetworkAccessWarning
    ) == 1  # newer Pythons warn of a fork's threads, too
    assert [violation.target for violation in warn.violations] == [f"{listener[0]}:{listener[1]}"]
    assert start(local) == 0


def test_the_process_is_named_by_its_command_line(worker: str) -> None:
    guard = network_guard("small", "strict")
    with pytest.raises(NetworkAccessViolationError) as caught, guard:
        process = subprocess.Popen([sys.executable, worker, *map(str, FOREIGN)])
        process.wait()
    name = os.path.basename(sys.executable)
    assert guard.violations[0].process == f"child process {process.pid}: {name} {worker} 198.51.100.1 9"[: 120 + 30]
    assert f"in child process {process.pid}: {name} " in str(caught.value)
    assert json.loads(json.dumps(guard.violations[0].to_dict()))
    assert pickle.loads(pickle.dumps(caught.value)).violations == caught.value.violations


def test_grandchildren_too(worker: str, tmp_path: Path) -> None:
    parent = tmp_path / "parent.py"
    parent.write_text("import subprocess, sys\nsys.exit(subprocess.run(sys.argv[1:], env=ENV).returncode)\n")
    argv = [sys.executable, worker, *map(str, FOREIGN)]
    for env in ("None", "{}", "{**__import__('os').environ, 'A': 'b'}"):
        parent.write_text(parent.read_text().replace("ENV", env))
        guard = network_guard("small", "strict")
        with pytest.raises(NetworkAccessViolationError), guard:
            assert by_run([sys.executable, str(parent), sys.executable, str(parent), *argv]) == 3
        assert [violation.target for violation in guard.violations] == ["198.51.100.1:9"]


# -- what the child's own guards, threads and processes add -----------------------------------------------------------


def run_code(code: str, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *args], capture_output=True, text=True, check=False, **options
    )


WAYS: Final = {
    "thread": """
        import socket, threading
        def dial():
            try: socket.create_connection(("198.51.100.1", 9), timeout=5)
            except Exception: pass
        thread = threading.Thread(target=dial); thread.start(); thread.join()
    """,
    "fork": """
        import os, socket
        if os.fork() == 0:
            try: socket.create_connection(("198.51.100.1", 9), timeout=5)
            finally: os._exit(0)
        os.wait()
    """,
    "fork of a child that has dialled": """
        import os, socket
        socket.getaddrinfo("127.0.0.1", 9)
        if os.fork() == 0:
            try: socket.create_connection(("198.51.100.1", 9), timeout=5)
            finally: os._exit(0)
        os.wait()
    """,
    "asyncio": """
        import asyncio
        async def dial():
            try: await asyncio.open_connection("198.51.100.1", 9)
            except Exception: pass
        asyncio.run(dial())
    """,
    "executor": """
        import asyncio, socket
        async def dial():
            try: await asyncio.get_running_loop().run_in_executor(None, socket.create_connection, ("198.51.100.1", 9), 5)
            except Exception: pass
        asyncio.run(dial())
    """,
    "bound before": """
        from socket import create_connection as create, socket
        connect = socket.connect
        import contextlib
        with contextlib.suppress(Exception): create(("198.51.100.1", 9), timeout=5)
        with contextlib.suppress(Exception): connect(socket(), ("198.51.100.1", 9))
    """,
    "the C module": """
        import _socket, contextlib
        with contextlib.suppress(Exception): _socket.socket().connect(("198.51.100.1", 9))
    """,
    "a subclass": """
        import socket, contextlib
        class Mine(socket.socket):
            def connect(self, address): return super().connect(address)
        with contextlib.suppress(Exception): Mine().connect(("198.51.100.1", 9))
    """,
    "all descriptors closed": """
        import os, socket
        os.closerange(0, 256)
        try: socket.create_connection(("198.51.100.1", 9), timeout=5)
        except Exception: pass
    """,
    "a path of its own": """
        import sys, contextlib
        sys.path[:] = [entry for entry in sys.path if "site-packages" not in entry and "src" not in entry]
        import socket
        with contextlib.suppress(Exception): socket.create_connection(("198.51.100.1", 9), timeout=5)
    """,
    "exit at once": """
        import os, socket
        try: socket.create_connection(("198.51.100.1", 9), timeout=5)
        finally: os._exit(0)
    """,
    "killed": """
        import os, signal, socket
        try: socket.create_connection(("198.51.100.1", 9), timeout=5)
        finally: os.kill(os.getpid(), signal.SIGKILL)
    """,
    "its own large guard": """
        import socket
        from pytest_test_categories import network_guard
        try:
            with network_guard("large"): socket.create_connection(("198.51.100.1", 9), timeout=5)
        except Exception: pass
    """,
    "its own guard that is off": """
        import socket
        from pytest_test_categories import network_guard
        try:
            with network_guard("small", "off"): socket.create_connection(("198.51.100.1", 9), timeout=5)
        except Exception: pass
    """,
    "at exit": """
        import atexit, contextlib, socket
        def dial():
            with contextlib.suppress(Exception): socket.create_connection(("198.51.100.1", 9), timeout=5)
        atexit.register(dial)
    """,
    "os.execv to the next": """
        import os, sys
        code = '''
        import contextlib, socket
        with contextlib.suppress(Exception): socket.create_connection(("198.51.100.1", 9), timeout=5)
        '''
        import textwrap
        os.execv(sys.executable, [sys.executable, "-c", textwrap.dedent(code)])
    """,
    "started by native code": """
        import ctypes, sys
        code = 'import contextlib, socket\\\\nwith contextlib.suppress(Exception): socket.create_connection((b"198.51.100.1".decode(), 9), timeout=5)'
        ctypes.CDLL(None).system((sys.executable + " -c $'" + code + "'").encode().replace(b"$'", b"\\"$(printf '").replace(b"5)'", b"5)')\\""))
    """,
}


@pytest.mark.parametrize("code", [pytest.param(code, id=name) for name, code in WAYS.items()])
def test_no_way_out_of_a_child_goes_unseen(code: str) -> None:
    guard = network_guard("medium", "strict")
    with pytest.raises(NetworkAccessViolationError), guard:
        done = run_code(code)
    assert {violation.target for violation in guard.violations} == {"198.51.100.1:9"}, done.stderr


def test_a_child_with_a_guard_of_its_own_tells_both() -> None:
    guard = network_guard("medium", "strict")
    with pytest.raises(NetworkAccessViolationError), guard:
        done = run_code(
            """
            import socket, subprocess, sys
            from pytest_test_categories import network_guard
            guard = network_guard("small", "warn")
            with guard:
                subprocess.run([sys.executable, "-c", '''
            import socket, contextlib
            with contextlib.suppress(Exception): socket.create_connection(("198.51.100.1", 9), timeout=5)
            '''])
            print([(v.size, v.target) for v in guard.violations])
            """
        )
    assert done.stdout.strip() == "[('small', '198.51.100.1:9')]", done.stderr
    assert [(v.size, v.target) for v in guard.violations] == [("medium", "198.51.100.1:9")]


def test_rule_3_every_guard_around_hears_of_it(worker: str) -> None:
    outer, inner = network_guard("small", "warn"), network_guard("medium", "strict")
    with pytest.raises(NetworkAccessViolationError), outer, inner:
        assert by_run([sys.executable, worker, *map(str, FOREIGN)]) == 3
    assert [len(guard.violations) for guard in (outer, inner)] == [1, 1]


def test_allow_entries_hold_in_a_child(worker: str, listener: tuple[str, int]) -> None:
    with network_guard("small", "strict", allow=[f"small: 127.0.0.1:{listener[1]}"]) as guard:
        assert by_run([sys.executable, worker, listener[0], str(listener[1])]) == 0
    assert guard.violations == []


def test_a_long_allow_list_fits(worker: str, listener: tuple[str, int]) -> None:
    allow = [f"small: service{number}.example:443" for number in range(5000)]
    with network_guard("small", "strict", allow=[*allow, f"small: 127.0.0.1:{listener[1]}"]) as guard:
        assert by_run([sys.executable, worker, listener[0], str(listener[1])]) == 0
    assert guard.violations == []
    with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict", allow=allow):
        assert by_run([sys.executable, worker, listener[0], str(listener[1])]) == 3


def test_a_refusal_in_a_child_can_be_expected(worker: str) -> None:
    argv = [sys.executable, worker, *map(str, FOREIGN)]
    with network_guard("small", "strict") as guard:
        with expect_network_violation() as seen:
            assert by_run(argv) == 3
        with pytest.raises(AssertionError), expect_network_violation():
            by_run([sys.executable, "-c", ""])
    assert [violation.target for violation in seen] == ["198.51.100.1:9"]
    assert len(guard.violations) == 1


def test_a_child_that_outlives_who_expected_its_refusal_is_not_excused(worker: str) -> None:
    code = "import sys, worker\nfor _ in sys.stdin: print(worker.dial('198.51.100.1', 9), flush=True)"
    argv = [sys.executable, "-c", code]
    guard = network_guard("small", "strict")
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": os.path.dirname(worker)}

    def ask(process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        print("go", file=process.stdin, flush=True)
        assert process.stdout.readline() == "3\n"

    with guard, expect_network_violation() as seen, subprocess.Popen(argv, text=True, **pipes) as process:
        ask(process)
    assert len(seen) == 1
    with pytest.raises(NetworkAccessViolationError), guard:
        with expect_network_violation():
            process = subprocess.Popen(argv, text=True, **pipes)
            ask(process)
        with process:
            ask(process)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_an_error_that_comes_back_from_a_pool_is_delivered(method: str) -> None:
    case = unittest.TestCase()
    with network_guard("small", "strict"), multiprocessing.get_context(method).Pool(1) as pool:
        with case.assertRaises(NetworkAccessViolationError):
            pool.map(dial_openly, [FOREIGN])
        with expect_network_violation() as seen:
            pool.map(dial_openly, [FOREIGN])
        assert [violation.target for violation in seen] == ["198.51.100.1:9"]


def start_with(monkeypatch: pytest.MonkeyPatch, before: str) -> None:
    """Put code before that of the programs which multiprocessing starts, as other releases of Python do."""
    from multiprocessing import util

    source = """
def spawnv_passfds(path, args, passfds):
    at = args.index("-c") + 1
    return start(path, [*args[:at], before + args[at], *args[at + 1:]], passfds)
"""
    module: dict[str, Any] = {"__name__": util.__name__, "before": before, "start": util.spawnv_passfds}
    exec(source, module)
    monkeypatch.setattr(util, "spawnv_passfds", module["spawnv_passfds"])


def test_a_program_whose_code_speaks_of_multiprocessing_is_held() -> None:
    """What multiprocessing starts is known by who starts it, and not by the words of a command."""
    for part in ("forkserver", "resource_tracker"):
        code = f"from multiprocessing.{part} import main; import socket; socket.socket().connect(('198.51.100.1', 9))"
        with pytest.raises(NetworkAccessViolationError, match=r"198\.51\.100\.1:9"), network_guard("small", "strict"):
            subprocess.run([sys.executable, "-c", code], check=False, stderr=subprocess.DEVNULL)


def test_a_fork_server_that_was_there_before_still_serves() -> None:
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        assert pool.map(abs, [-1]) == [1]
    with network_guard("small", "strict") as guard, multiprocessing.get_context("forkserver").Pool(1) as pool:
        assert pool.map(abs, [-1]) == [1]
    assert guard.violations == []


@pytest.mark.parametrize("before", ["", "import sys; ", "import os, sys; import gc; "])
def test_one_fork_server_serves_tests_of_different_sizes(
    listener: tuple[str, int], monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """Its command has another beginning in every few releases of Python."""
    start_with(monkeypatch, before)
    argv = ["", "", *map(str, listener)]
    for _ in range(2):
        with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
            assert in_process("forkserver")(argv) == 3
        with network_guard("medium", "strict") as medium:
            assert in_process("forkserver")(argv) == 0
        assert medium.violations == []
        with network_guard("large", "strict"):
            assert in_process("forkserver")(argv) == 0
        assert in_process("forkserver")(argv) == 0


def test_rule_9_a_loop_of_many_is_one_record_with_a_count() -> None:
    guard = network_guard("small", "strict")
    with pytest.raises(NetworkAccessViolationError), guard:
        run_code(
            """
            import socket
            for _ in range(5000):
                try: socket.create_connection(("198.51.100.1", 9), timeout=5)
                except Exception: pass
            try: socket.create_connection(("198.51.100.2", 9), timeout=5)
            except Exception: pass
            """
        )
    assert {v.target: v.count for v in guard.violations} == {"198.51.100.1:9": 5000, "198.51.100.2:9": 1}


def test_many_children_at_once(worker: str) -> None:
    guard = network_guard("small", "strict")
    with pytest.raises(NetworkAccessViolationError), guard:
        running = [subprocess.Popen([sys.executable, worker, *map(str, FOREIGN)]) for _ in range(60)]
        assert {process.wait() for process in running} == {3}
    assert [violation.count for violation in guard.violations] == [60]


def test_a_child_that_is_killed_leaves_the_rest_readable(worker: str, tmp_path: Path) -> None:
    endless = tmp_path / "endless.py"
    endless.write_text(WORKER.partition("if __name__")[0] + "while True:\n    dial('198.51.100.3', 9)\n")
    guard = network_guard("small", "strict")
    with pytest.raises(NetworkAccessViolationError), guard:
        process = subprocess.Popen([sys.executable, str(endless)])
        until(lambda: bool(guard.violations))
        process.send_signal(signal.SIGKILL)
        process.wait()
        by_run([sys.executable, worker, *map(str, FOREIGN)])
    assert {violation.target for violation in guard.violations} == {"198.51.100.3:9", "198.51.100.1:9"}


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_torn_and_strange_lines_are_passed_over(worker: str) -> None:
    guard = network_guard("small", "strict")
    with pytest.raises(NetworkAccessViolationError), guard:
        by_run([sys.executable, "-c", ""])
        home = runtime._spawned._home
        for line in (
            b"[1, false, fal",
            b"\xff\xfe",
            b"{}",
            b"[]",
            b"17",
            b'["spawn"]',
            b'["here"]',
            b"[1, 2, 3, 4, {}, []]",
        ):
            child.append(home, line)
        with open(os.path.join(home, child.REPORTS), "ab") as torn:
            torn.write(b'["he')
        assert by_run([sys.executable, worker, *map(str, FOREIGN)]) == 3
    assert [violation.target for violation in guard.violations] == ["198.51.100.1:9"]


# -- rule 9: nothing else changes -------------------------------------------------------------------------------------

PRINTS: Final = """
import os, sys, json
print(json.dumps([dict(os.environ), sys.path, sorted(sys.modules), [type(f).__name__ for f in sys.meta_path], sys.flags]))
"""


@pytest.mark.parametrize("env", [None, {}, {"PYTHONPATH": "/one:/two"}, {"PYTHONPATH": ""}])
def test_rule_9_a_child_sees_what_it_would_see(env: dict[str, str] | None) -> None:
    plain = json.loads(run_code(PRINTS, env=env).stdout)
    with network_guard("small", "strict"):
        guarded = json.loads(run_code(PRINTS, env=env).stdout)
    assert {k: v for k, v in guarded[0].items() if k != "PYTHONPATH"} == {
        k: v for k, v in plain[0].items() if k != "PYTHONPATH"
    }
    assert guarded[0].get("PYTHONPATH", "") == plain[0].get("PYTHONPATH", "")
    assert guarded[1] == plain[1]
    assert set(guarded[2]) - set(plain[2]) <= {"pytest_test_categories_child", "sitecustomize"}
    assert guarded[4] == plain[4]


def test_rule_9_a_parents_environment_is_left_alone() -> None:
    before = dict(os.environ)
    env = {"A": "b"}
    with network_guard("small", "strict"):
        run_code("", env=env)
        run_code("")
        os.system("true")
        assert dict(os.environ) == before
        assert env == {"A": "b"}
        assert subprocess.run(["printenv"], env=env, capture_output=True).stdout == b"A=b\n"
        assert subprocess.run(["env"], env=env, capture_output=True).stdout == b"A=b\n"


@pytest.mark.parametrize("kind", ["a plain dict", "cleared", "with PYTHONPATH"])
def test_an_environment_that_a_test_has_changed_is_what_a_child_gets(
    kind: str, worker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "a plain dict":
        monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"]})
    elif kind == "cleared":
        for name in list(os.environ):
            monkeypatch.delenv(name)
    else:
        monkeypatch.setenv("PYTHONPATH", "/one")
    plain = json.loads(run_code(PRINTS).stdout)
    guard = network_guard("small", "strict")
    with guard:
        guarded = json.loads(run_code(PRINTS).stdout)
    assert (guarded[0], guarded[1]) == (plain[0], plain[1])
    with pytest.raises(NetworkAccessViolationError), guard:
        assert by_run([sys.executable, worker, *map(str, FOREIGN)]) == 3
        assert os.system(f"{sys.executable} {worker} 198.51.100.1 9") >> 8 == 3


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_rule_9_a_child_gets_what_c_code_has_put_into_the_environment() -> None:
    """As readline does with COLUMNS and LINES: ``os.environ`` doesn't know."""
    code = """
        import ctypes, os, readline, subprocess
        from pytest_test_categories import network_guard

        def given(**kwargs):
            text = subprocess.run(["cat", "/proc/self/environ"], stdout=subprocess.PIPE, **kwargs).stdout
            return sorted(e for e in text.split(b"\\0") if not e.startswith((b"TEST_CATEGORIES_CHILD=", b"PYTHONPATH=")))

        os.environ["CHANGED"] = "before"
        for changed in ("first", "second"):
            os.putenv("SET_BY_C", changed)
            os.putenv("CHANGED", changed)
            plain = given()
            with network_guard("small", "strict"):
                assert given() == plain, (plain, given())
                assert b"SET_BY_C=" + changed.encode() in given()
                assert given(env={"A": "b"}) == [b"", b"A=b"]
                os.environ["LATER"] = changed
                assert b"LATER=" + changed.encode() in given()
        ctypes.CDLL(None).clearenv()
        with network_guard("small", "strict"):
            assert given() == [b""]
    """
    assert run_code(code).stderr == ""


def test_without_a_restricting_guard_the_environment_is_untouched() -> None:
    code = "import os, sys; print('TEST_CATEGORIES_CHILD' in os.environ, 'pytest_test_categories_child' in sys.modules)"
    assert run_code(code).stdout.split() == ["False", "False"]
    for size, mode in (("large", "strict"), ("xlarge", "warn"), ("small", "off")):
        with network_guard(size, mode):
            assert run_code(code).stdout.split() == ["False", "False"]
            assert (
                subprocess.run(["sh", "-c", "echo ${TEST_CATEGORIES_CHILD-none}"], capture_output=True).stdout
                == b"none\n"
            )
    with network_guard("small", "strict"):
        assert run_code(code).stdout.split() == ["False", "True"]


def test_a_child_that_leaves_the_network_alone_imports_none_of_the_layers() -> None:
    with network_guard("small", "strict"):
        done = run_code(
            """
            import asyncio, http.client, logging.handlers, multiprocessing.spawn, socket, ssl, subprocess, sys
            subprocess.run(["true"])
            socket.socketpair()
            print([name for name in sys.modules if name.startswith(("wrapt", "pytest_test_categories."))])
            """
        )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("mode", ["strict", "warn"])
def test_a_childs_output_does_not_change(mode: str, worker: str, listener: tuple[str, int]) -> None:
    argv = [sys.executable, "-W", "error", worker, listener[0], str(listener[1])]
    with contextlib.suppress(NetworkAccessViolationError, NetworkAccessWarning), network_guard("small", mode):
        done = subprocess.run(argv, capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"", b"")
    assert done.returncode == (3 if mode == "strict" else 0)


def test_rule_9_programs_that_fake_subprocess_keep_working() -> None:
    with network_guard("small", "strict"):
        with unittest.mock.patch("subprocess.Popen") as popen:
            subprocess.Popen(["nothing"], env={"A": "b"})
        popen.assert_called_once_with(["nothing"], env={"A": "b"})
        with unittest.mock.patch("os.execv") as execv, unittest.mock.patch("os.system", return_value=7) as system:
            os.execv("/bin/nothing", ["nothing"])
            assert os.system("nothing") == 7
        execv.assert_called_once_with("/bin/nothing", ["nothing"])
        system.assert_called_once_with("nothing")
        assert os.execve in os.supports_fd
    with unittest.mock.patch("os.execv") as execv, unittest.mock.patch("os.system") as system:
        with network_guard("small", "strict"):  # the fakes are there first
            os.execv("/bin/nothing", ["nothing"])
            os.system("nothing")
        execv.assert_called_once_with("/bin/nothing", ["nothing"])
        system.assert_called_once_with("nothing")


def test_rule_9_bad_arguments_raise_what_they_raise() -> None:
    calls: list[Callable[[], object]] = [
        lambda: subprocess.run(["/nowhere/at/all"]),
        lambda: subprocess.run([]),
        lambda: subprocess.run([1]),  # type: ignore[list-item]
        lambda: subprocess.run(["true"], env={"A=B": "c"}),
        lambda: subprocess.run(["true"], env={"A": "\0"}),
        lambda: subprocess.run(["true"], env=[1]),  # type: ignore[call-overload]
        lambda: os.posix_spawn("true", [], {}),
        lambda: os.posix_spawn("/nowhere/at/all", ["x"], {}),
        lambda: os.posix_spawn("true"),  # type: ignore[call-arg]
        lambda: os.posix_spawn("true", ["true"], {1: 2}),  # type: ignore[arg-type]
        lambda: os.execv("/nowhere/at/all", ["x"]),
        lambda: os.execv("/nowhere/at/all", []),
        lambda: os.execve("/nowhere/at/all", ["x"], {"A": "b"}),
        lambda: os.execve("/bin/true", ["x"], 7),  # type: ignore[arg-type]
        lambda: os.system(),  # type: ignore[call-arg]
        lambda: os.system(7),  # type: ignore[arg-type]
        lambda: os.system("a\0b"),
    ]
    for call in calls:
        with pytest.raises(Exception) as plain:
            call()
        with network_guard("small", "strict"), pytest.raises(Exception) as guarded:
            call()
        assert (type(guarded.value), str(guarded.value)) == (type(plain.value), str(plain.value))


def test_a_shells_messages_and_status_stay_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    commands = [
        "exit 7",
        "nonsense-command",
        "",
        "true # a comment",
        "echo 'a b'; echo \"$HOME\"",
        "kill -9 $$",
        "cat <<X\nhere\nX",
    ]
    plain = [(os.system(command), capfd.readouterr()) for command in commands]
    with network_guard("small", "strict"):
        guarded = [(os.system(command), capfd.readouterr()) for command in commands]
        assert os.system(b"exit 7") == plain[0][0]
    assert guarded == plain


# -- other people's sitecustomize, other interpreters -----------------------------------------------------------------


def test_a_sitecustomize_that_exists_is_still_imported(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.mine = 1\nname = 'theirs'\n")
    (tmp_path / "usercustomize.py").write_text("import sys\nsys.users = 1\n")
    code = "import sys, sitecustomize; print(sys.mine, sitecustomize.name, getattr(sys, 'users', 0), sitecustomize.__file__)"
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    plain = run_code(code, env=env)
    assert plain.stdout.startswith("1 theirs ")
    guard = network_guard("small", "strict")
    with guard:
        assert run_code(code, env=env).stdout == plain.stdout
    (tmp_path / "sitecustomize.py").write_text(
        "import socket\ntry: socket.create_connection(('198.51.100.1', 9), timeout=5)\nexcept Exception: pass\n"
    )
    with pytest.raises(NetworkAccessViolationError), guard:
        run_code("", env=env)


@pytest.mark.parametrize("body", ["raise RuntimeError('theirs')", "import no_such_module", "1 /"])
def test_one_that_fails_fails_as_it_would(body: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(body + "\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    plain = run_code("print(1)", env=env)
    assert "rror" in plain.stderr
    with network_guard("small", "strict"):
        guarded = run_code("print(1)", env=env)
    assert (guarded.stdout, guarded.stderr) == (plain.stdout, plain.stderr)


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter without our package."""
    where = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(where)], check=True)
    return str(where / "bin" / "python")


def test_an_interpreter_without_our_package_runs_as_it_would(bare_python: str, tmp_path: Path) -> None:
    code = "import sys; print('pytest_test_categories' in sys.modules, sys.path, 'mine' in vars(sys))"
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.mine = 1\n")
    for env in (None, {"PYTHONPATH": str(tmp_path)}):
        plain = subprocess.run([bare_python, "-c", code], capture_output=True, text=True, env=env)
        with network_guard("small", "strict"):
            guarded = subprocess.run([bare_python, "-c", code], capture_output=True, text=True, env=env)
        assert (guarded.stdout, guarded.stderr) == (plain.stdout, plain.stderr)


def test_a_child_of_an_interpreter_without_our_package_is_watched(bare_python: str, worker: str) -> None:
    code = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"
    guard = network_guard("small", "strict")
    with pytest.raises(NetworkAccessViolationError), guard:
        assert by_run([bare_python, "-c", code, sys.executable, worker, *map(str, FOREIGN)]) == 3


def older_pythons() -> list[str]:
    """Return the older interpreters that run here (a version manager's shims may not)."""
    found = []
    for version in ("2.7", "3.6", "3.8", "3.10"):
        installed = Path("~/.pyenv/versions").expanduser().glob(f"{version}*/bin/python")
        for path in (shutil.which(f"python{version}"), *map(str, installed)):
            if path is not None and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
                found.append(path)
                break
    return found


OLDER: Final = older_pythons()


@pytest.mark.parametrize("python", OLDER or [pytest.param("", marks=pytest.mark.skip("no older Python here"))])
def test_an_older_python_runs_as_it_would(python: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.mine = 1\n")
    code = "import sys; print(sys.path); print('mine' in vars(sys))"
    for env in ({"PYTHONDONTWRITEBYTECODE": "1"}, {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}):
        plain = subprocess.run([python, "-c", code], capture_output=True, text=True, env=env)
        with network_guard("small", "strict"):
            guarded = subprocess.run([python, "-c", code], capture_output=True, text=True, env=env)
        assert plain.returncode == 0
        assert (guarded.stdout, guarded.stderr) == (plain.stdout, plain.stderr)


def test_what_every_python_imports_is_python_2(tmp_path: Path) -> None:
    import ast

    source = Path(CHILD_DIRECTORY, "sitecustomize.py").read_text()
    ast.parse(source, feature_version=(3, 4))
    assert source.isascii()
    assert 'f"' not in source
    assert not any("->" in line.partition("#")[0] for line in source.splitlines())


# -- the spool --------------------------------------------------------------------------------------------------------


def test_the_spool_is_private_made_at_the_first_start_and_removed_at_the_end(worker: str) -> None:
    with network_guard("small", "strict"):
        assert runtime._spawned._home == ""
        run_code("")
        home = runtime._spawned._home
        assert os.stat(home).st_mode & 0o777 == 0o700
    assert not os.path.exists(home)


def test_a_daemon_that_outlives_the_guard_is_refused_and_told_nobody(tmp_path: Path) -> None:
    code = """
    import os, socket, sys, time
    if os.fork():
        os._exit(0)
    os.setsid()
    while not os.path.exists(sys.argv[1]): time.sleep(0.02)
    try: socket.create_connection(("198.51.100.1", 9), timeout=5)
    except Exception as error: said = type(error).__name__
    open(sys.argv[1] + ".said", "w").write(said)
    os.rename(sys.argv[1] + ".said", sys.argv[1] + ".done")
    """
    go = tmp_path / "go"
    with network_guard("small", "strict"):
        subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(go)], check=True)
        home = runtime._spawned._home
    go.touch()
    done = Path(f"{go}.done")
    until(done.exists)
    assert done.read_text() == "NetworkAccessViolationError"
    assert not os.path.exists(home)


def test_forked_children_leave_the_spool_to_their_parent(worker: str) -> None:
    guard = network_guard("small", "strict")
    with pytest.raises(NetworkAccessViolationError), guard:
        by_run([sys.executable, "-c", ""])
        if (pid := os.fork()) == 0:
            try:
                with network_guard("medium", "strict"):
                    pass
                runtime._spawned.close()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        assert os.path.isdir(runtime._spawned._home)
        assert by_run([sys.executable, worker, *map(str, FOREIGN)]) == 3


def test_starts_in_many_threads(worker: str) -> None:
    guard = network_guard("small", "strict")
    codes: list[int] = []

    def start() -> None:
        codes.append(by_run([sys.executable, worker, *map(str, FOREIGN)]))

    with pytest.raises(NetworkAccessViolationError), guard:
        threads = [threading.Thread(target=start) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert codes == [3] * 8
    assert [violation.count for violation in guard.violations] == [8]


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["/usr/bin/curl", "-H", "Authorization: secret"], "curl"),
        (["/usr/bin/python3.11", "-I", "-c", "secret"], "python3.11 -I"),
        (["python", "-SE", "-c", "-I"], "python -SE"),
        (["python", "-m", "secret", "-I"], "python"),
        (["python", "-", "-I"], "python"),
        (["/opt/a b\n|c"], "a b__c"),
        ([b"/bin/true"], "true"),
        ([], "?"),
        ([7], "?"),
    ],
)
def test_a_program_is_named_without_its_arguments(argv: list[Any], name: str) -> None:
    assert child.program_name(argv, ()) == name


def test_what_is_handed_down_reads_back() -> None:
    given = child.Handed("/a|b%7C", "7", "1.2.3", "/w|x", "a,b", '{"x": "|"}')
    back = child.Handed.parse(given.text())
    assert back is not None
    assert [getattr(back, name) for name in child.Handed.__slots__] == [
        getattr(given, name) for name in child.Handed.__slots__
    ]
    assert child.Handed.parse("0|" + given.text()) is None
