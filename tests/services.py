"""Private PostgreSQL and Redis servers for tests: started from installed binaries, on free ports of loopback.

As root PostgreSQL runs under another user, since it refuses to run as root. Where a binary is missing, the tests that
need it are skipped, and say so; under CI they fail.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

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
    initdb = _binary("initdb", "PostgreSQL", "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
    postgres = _binary("postgres", "PostgreSQL", "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
    account = _unprivileged()
    with _directory(account) as top:
        data, log = top / "data", top / "log"
        with log.open("w", encoding="utf-8") as out:
            setup = [initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
            made = _start(setup, top, out, account)
            status = _wait(made, START_SECONDS)
        if status != 0:
            raise ServerStartError(f"initdb ended with {status}:\n{log.read_text(encoding='utf-8')}")
        command = [postgres, "-D", str(data), "-k", str(top), "-c", f"listen_addresses={HOST}", "-c", "fsync=off"]

        def ready(_port: int) -> bool:
            # The last line of the file that only this server writes; any server may answer at the port.
            with contextlib.suppress(FileNotFoundError):
                return "ready" in (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[-1:].__str__()
            return False

        # SIGINT disconnects the clients that are left; SIGTERM would wait for them.
        with _running(command, "-p", top, account, ready, signal.SIGINT) as port:
            yield PostgresServer(HOST, port, "postgres", "postgres", str(top))


@contextlib.contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Run a new Redis server.

    Raises:
        ServerStartError: Redis is installed, but does not come up.
    """
    binary = _binary("redis-server", "Redis")
    with _directory(None) as top:
        private = top / "redis.sock"
        command = [binary, "--bind", HOST, "--unixsocket", str(private), "--dir", str(top)]
        command += ["--save", "", "--appendonly", "no", "--daemonize", "no"]

        def ready(_port: int) -> bool:
            # Redis listens at the port before it listens here, where no other server can answer.
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
                client.settimeout(1)
                client.connect(str(private))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
            return False

        with _running(command, "--port", top, None, ready, signal.SIGTERM) as port:
            yield RedisServer(HOST, port)


def _binary(name: str, product: str, *directories: str) -> str:
    """Return the path of an installed program; skip or fail the test that needs it where there is none."""
    found = shutil.which(name)
    if found is not None:
        return os.path.realpath(found)
    for pattern in directories:
        homes = sorted(Path("/").glob(pattern.lstrip("/")), key=_version, reverse=True)
        for home in homes:
            if os.access(home / name, os.X_OK):
                return str(home / name)
    _unavailable(f"{product} is not installed: no program {name} was found")


def _version(home: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", str(home))]


def _unavailable(sentence: str) -> None:
    ...
