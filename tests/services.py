"""Private PostgreSQL and Redis servers for tests: started from installed binaries, on free ports of loopback.

As root PostgreSQL runs under another user, since it refuses to run as root. Where a binary is missing, the tests that
need it are skipped, and say so; under CI they fail.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 60.0
"""How long a server may take to come up, on a machine that is busy with something else."""
STOP_SECONDS: Final = 20.0
PORTS_TRIED: Final = 5
"""Another process may take the free port before the server does."""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running PostgreSQL server that trusts every local client."""

    host: str
    port: int
    user: str
    database: str
    socket_dir: str

    @property
    def dsn(self) -> str:
        """The URL of its database, over TCP."""
        return f"postgresql://{self.user}@{self.host}:{self.port}/{self.database}"


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A running Redis server that saves nothing."""

    host: str
    port: int
    socket_path: str


class ServerStartError(Exception):
    """A server that is installed did not come up."""


@dataclass(frozen=True, slots=True)
class _Account:
    """Whom a server runs as."""

    uid: int
    gid: int


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Return a private PostgreSQL server, one for all tests."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """Return a private Redis server, one for all tests."""
    with redis_server() as server:
        yield server


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a new PostgreSQL server with an empty database.

    Raises:
        ServerStartError: PostgreSQL is installed, but does not come up.
    """
    programs = _programs("PostgreSQL", ["postgres", "initdb"], ["usr/lib/postgresql/*/bin", "usr/pgsql-*/bin"])
    account = _unprivileged() if os.geteuid() == 0 else None
    with _directory(account) as top:
        data, log = top / "data", top / "log"
        setup = [programs["initdb"], "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        with log.open("w", encoding="utf-8") as out:
            made = _spawn([*setup, "--no-locale", "--no-sync"], top, out, account)
            try:
                status = made.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                _stop(made, signal.SIGTERM)
        if status != 0:
            raise ServerStartError(f"initdb ended with status {status}:\n{_text(log)}")
        command = [programs["postgres"], "-D", str(data), "-k", str(top), "-c", f"listen_addresses={HOST}"]

        def ready() -> bool:
            # Its last line says so, and no other server writes it: at the port any server might answer.
            with contextlib.suppress(FileNotFoundError):
                return _text(data / "postmaster.pid").rstrip().endswith("ready")
            return False

        # SIGINT disconnects the clients that are left; SIGTERM would wait for them.
        with _running([*command, "-c", "fsync=off", "-p"], top, account, ready, signal.SIGINT) as port:
            yield PostgresServer(HOST, port, "postgres", "postgres", str(top))


@contextlib.contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Run a new Redis server.

    Raises:
        ServerStartError: Redis is installed, but does not come up.
    """
    program = _programs("Redis", ["redis-server"], [])["redis-server"]
    with _directory(None) as top:
        private = top / "redis.sock"
        command = [program, "--bind", HOST, "--unixsocket", str(private), "--dir", str(top), "--save", "", "--port"]

        def ready() -> bool:
            # Redis listens at its port before it listens here, where no other server can answer.
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
                client.settimeout(1)
                client.connect(str(private))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
            return False

        with _running(command, top, None, ready, signal.SIGTERM) as port:
            yield RedisServer(HOST, port, str(private))


def _programs(product: str, names: list[str], homes: list[str]) -> dict[str, str]:
    """Return where a product's programs are; where they are not, skip or fail the test that asked."""
    first = shutil.which(names[0])
    # A link would hide the programs that lie beside the one it points to.
    directories = [Path(os.path.realpath(first)).parent, Path(first).parent] if first else []
    for home in homes:
        directories += sorted(Path("/").glob(home), key=_version, reverse=True)
    for directory in directories:
        found = {name: shutil.which(name, path=str(directory)) for name in names}
        if None not in found.values():
            return {name: str(path) for name, path in found.items()}
    raise _unavailable(f"{product} is not installed: found no {' and '.join(names)}.")


def _version(home: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", str(home))]


def _unprivileged() -> _Account:
    import pwd  # Windows has none, and no root

    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return _Account(entry.pw_uid, entry.pw_gid)
    raise _unavailable("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody.")


def _unavailable(sentence: str) -> BaseException:
    """Return what fails a test under CI, where nobody reads why tests are skipped, and skips it elsewhere."""
    if os.environ.get("CI", "").lower() in {"", "0", "false"}:
        return pytest.skip.Exception(sentence)
    return pytest.fail.Exception(sentence, pytrace=False)


@contextlib.contextmanager
def _directory(account: _Account | None) -> Iterator[Path]:
    """Make a directory for a server's files, where its account may reach it; remove it and all in it."""
    parents = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    parent = next((parent for parent in parents if account is None or _reachable(parent)), parents[0])
    with tempfile.TemporaryDirectory(prefix="server-", dir=parent, ignore_cleanup_errors=True) as name:
        if account is not None:
            os.chown(name, account.uid, account.gid)
        yield Path(name)


def _reachable(directory: Path) -> bool:
    return all(above.stat().st_mode & 0o001 for above in [directory, *directory.resolve().parents])


# Not by Popen's own ``user``, which forks: libraries with threads that tests have loaded (gRPC) may crash in the fork.
_BECOME: Final = (
    "import os, sys; uid, gid = map(int, sys.argv[1:3]); os.setgroups([]); os.setgid(gid); os.setuid(uid); "
    "os.execv(sys.argv[3], sys.argv[3:])"
)


def _spawn(command: list[str], top: Path, out: IO[str], account: _Account | None) -> subprocess.Popen[bytes]:
    """Start a program out of reach of the terminal's Ctrl-C, with no settings but those of its command line."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    if account is not None:
        command = [sys.executable, "-S", "-c", _BECOME, str(account.uid), str(account.gid), *command]
    return subprocess.Popen(
        command,
        cwd=top,
        env=environment | {"LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


@contextlib.contextmanager
def _running(
    command: list[str], top: Path, account: _Account | None, ready: Callable[[], bool], stop: signal.Signals
) -> Iterator[int]:
    """Run a server whose command line wants a port at its end; give the port once the server is ready."""
    log = top / "log"
    for left in reversed(range(PORTS_TRIED)):
        port = _free_port()
        with log.open("w", encoding="utf-8") as out:
            process = _spawn([*command, str(port)], top, out, account)
        try:
            if _comes_up(process, ready):
                yield port
                return
        finally:
            status = process.poll()
            _stop(process, stop)
        # Between our look and the server's somebody may have taken the port.
        if status is None or not left or "in use" not in _text(log):
            how = f"was not ready after {START_SECONDS:.0f} s" if status is None else f"ended with status {status}"
            raise ServerStartError(f"{command[0]} {how}:\n{_text(log)}")


def _comes_up(process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if ready():
            return True
        time.sleep(0.02)
    return False


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def _stop(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """End a program and what it started; do nothing if it has ended."""
    if process.poll() is None:
        process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_SECONDS)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
