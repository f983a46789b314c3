"""Runs in a Python that lacks what another system's Python lacks: names are taken away before pytest is imported.

That shows what the plugin does without them, and no more: the system below is this one, and so are child processes.
"""

from __future__ import annotations

import sys
from typing import Final

import pytest

_WITHOUT: Final = """
import _socket, os, signal, sys, types

def take(module, names):
    for name in names.split():
        vars(module).pop(name, None)

take(_socket, "AF_NETLINK AF_PACKET AF_VSOCK SOCK_NONBLOCK SOCK_CLOEXEC SO_PEERCRED")
take(os, "O_PATH pipe2 memfd_create eventfd splice copy_file_range posix_fadvise sched_getaffinity")
"""
WINDOWS: Final = (
    _WITHOUT
    + """
take(_socket, "AF_UNIX socketpair CMSG_LEN CMSG_SPACE SO_REUSEPORT MSG_DONTWAIT MSG_NOSIGNAL")
# sysconf stays: asyncio asks it where sockets have a sendmsg, which can't be taken from them.
take(os, "fork forkpty register_at_fork confstr uname getuid geteuid getgid setsid getpgid killpg chown fchown")
take(os, "mkfifo mknod posix_spawn posix_spawnp sendfile writev pread pwrite get_blocking set_blocking wait3 wait4")
take(os, "statvfs pathconf openpty environb fchdir nice O_CLOEXEC O_NONBLOCK O_NOCTTY O_DIRECTORY")
take(os, "POSIX_SPAWN_DUP2 POSIX_SPAWN_OPEN POSIX_SPAWN_CLOSE POSIX_SPAWN_CLOSEFROM")
kept = "SIGABRT SIGFPE SIGILL SIGINT SIGSEGV SIGTERM SIG_DFL SIG_IGN"
take(signal, " ".join(name for name in vars(signal) if name.startswith("SIG") and name not in kept.split()))
take(signal, "pthread_sigmask pthread_kill sigwait sigpending setitimer alarm pause")
sys.modules.pop("socket", None)  # coverage has imported it: its functions are others where there are no unix sockets
sys.modules.update(dict.fromkeys("fcntl resource pwd grp termios pty tty syslog".split()))
"""
)
MACOS: Final = (
    _WITHOUT
    + """
sys.platform = "darwin"
proxies = sys.modules["_scproxy"] = types.ModuleType("_scproxy")
proxies._get_proxies = dict
proxies._get_proxy_settings = lambda: {"exclude_simple": False, "exceptions": ["*.local", "169.254/16"]}
"""
)
_START: Final = """
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""
_TESTS: Final = """
import os, socket, subprocess, sys, threading
import pytest, requests, responses

DIAL = "import socket\\ntry: socket.create_connection(('127.0.0.1', 9), 1)\\nexcept BaseException as e: print(type(e).__name__)"

@pytest.mark.small
def test_pairs_and_threads_are_free():
    a, b = socket.socketpair()
    thread = threading.Thread(target=a.send, args=(b"x",))
    thread.start()
    thread.join()
    assert b.recv(1) == b"x"
    a.close()
    b.close()

@pytest.mark.small
def test_fakes_are_free():
    with responses.RequestsMock() as fake:
        fake.get("https://api.example.com/", json={})
        assert requests.get("https://api.example.com/", timeout=5).json() == {}

@pytest.mark.medium
def test_this_machine_is_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(("localhost", server.getsockname()[1])) as client:
            client.sendall(b"x")
    assert subprocess.run([sys.executable, "-c", DIAL], capture_output=True).stdout.strip() == b"ConnectionRefusedError"

@pytest.mark.small
def test_a_connection():
    socket.create_connection(("127.0.0.1", 9), 1)

@pytest.mark.small
def test_a_look_up():
    socket.getaddrinfo("api.example.com", 443)

@pytest.mark.small
def test_a_child():
    subprocess.run([sys.executable, "-c", DIAL], check=True)

@pytest.mark.small
def test_a_fork():
    if not hasattr(os, "fork"):
        socket.create_connection(("127.0.0.1", 9), 1)
    child = os.fork()
    if not child:
        try:
            socket.create_connection(("127.0.0.1", 9), 1)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.parametrize("system", [pytest.param(WINDOWS, id="windows"), pytest.param(MACOS, id="macos")])
def test_a_run_judges_as_on_linux(pytester: pytest.Pytester, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # a worker has another reason to have no kernel layer
    pytester.makepyfile(test_it=_TESTS)
    start = pytester.makepyfile(start=system + _START)
    result = pytester.run(
        *(sys.executable, str(start), "-p", "pytest_test_categories.pytest_plugin", "-p", "no:cacheprovider", "-v"),
        *("--test-categories-enforcement=strict", "-W", "ignore::DeprecationWarning", "--network-kernel-guard=auto")
        if system is MACOS
        else ("--test-categories-enforcement=strict",),
    )
    result.assert_outcomes(passed=3, failed=4)
    result.stdout.fnmatch_lines_random(
        [f"*::{name} FAILED*" for name in ("test_a_connection", "test_a_look_up", "test_a_child", "test_a_fork")]
    )
    result.stdout.fnmatch_lines(["network violations: 4 in 4 tests"])
    if system is MACOS:
        result.stdout.fnmatch_lines(["*it needs Linux, and this is darwin*"])
