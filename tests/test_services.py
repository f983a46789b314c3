"""The private servers: they answer, listen on loopback only, leave nothing, and say plainly why there are none."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import services
from tests.services import ServerStartError, postgres_server, redis_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.services import PostgresServer, RedisServer

    Server = Callable[[], AbstractContextManager[PostgresServer | RedisServer]]

SERVERS = pytest.mark.parametrize(
    "start", [pytest.param(postgres_server, id="PostgreSQL"), pytest.param(redis_server, id="Redis")]
)


def _refuses(host: str, port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(5)
        return client.connect_ex((host, port)) != 0


def _programs(directory: Path, names: tuple[str, ...], text: str) -> None:
    directory.mkdir()
    for name in names:
        program = directory / name
        program.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the directory in which servers started by this test put theirs."""
    # pytest's own directories are closed to other users, and PostgreSQL is one where the tests run as root.
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        directory = Path(name) / "t"
        directory.mkdir()
        directory.parent.chmod(0o755)
        directory.chmod(0o777)
        monkeypatch.setattr("tempfile.tempdir", str(directory))
        yield directory


def test_postgresql_stores_and_returns(postgres: PostgresServer) -> None:
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(postgres.dsn, connect_timeout=10) as connection:
        connection.execute("CREATE TEMPORARY TABLE word (text varchar)")
        connection.execute("INSERT INTO word VALUES (%s)", ["ünï"])
        assert connection.execute("SELECT text FROM word").fetchall() == [("ünï",)]
        listens = connection.execute("SHOW listen_addresses").fetchone()
        connection.rollback()
    assert listens == ("127.0.0.1",)


def test_postgresql_answers_on_its_unix_socket(postgres: PostgresServer) -> None:
    psycopg = pytest.importorskip("psycopg")
    where = {"host": postgres.socket_dir, "port": postgres.port, "user": postgres.user, "dbname": postgres.database}
    with psycopg.connect(**where, connect_timeout=10) as connection:
        assert connection.execute("SELECT inet_server_addr()").fetchone() == (None,)


def test_redis_stores_and_returns(redis: RedisServer) -> None:
    library = pytest.importorskip("redis")
    with library.Redis(redis.host, redis.port, socket_timeout=10) as client:
        assert client.set("word", "ünï")
        assert client.get("word") == "ünï".encode()
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
        client.delete("word")


@SERVERS
def test_two_servers_of_a_kind_run_side_by_side_and_leave_nothing(start: Server, temporary: Path) -> None:
    with start() as one, start() as other:
        assert one.port != other.port
        assert not _refuses(one.host, one.port)
        assert not _refuses(other.host, other.port)
        assert len(list(temporary.iterdir())) == 2
    assert _refuses(one.host, one.port)
    assert _refuses(other.host, other.port)
    assert list(temporary.iterdir()) == []


def test_a_client_that_stays_does_not_keep_postgresql_running(temporary: Path) -> None:
    psycopg = pytest.importorskip("psycopg")
    with postgres_server() as server:
        stays = psycopg.connect(server.dsn, connect_timeout=10)
    assert _refuses(server.host, server.port)
    stays.close()
    assert list(temporary.iterdir()) == []


@SERVERS
def test_a_server_stops_when_its_test_raises(start: Server, temporary: Path) -> None:
    with pytest.raises(KeyError), start() as server:
        raise KeyError
    assert _refuses(server.host, server.port)
    assert list(temporary.iterdir()) == []


@SERVERS
def test_a_port_that_somebody_took_is_given_up_for_another(start: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    free = services._free_port
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1]])
        monkeypatch.setattr(services, "_free_port", lambda: next(ports, None) or free())
        with start() as server:
            assert server.port != taken.getsockname()[1]
            assert not _refuses(server.host, server.port)


@pytest.mark.parametrize(
    ("ci", "outcome"),
    [
        pytest.param("", pytest.skip.Exception, id="skips"),
        pytest.param("false", pytest.skip.Exception, id="skips where CI is false"),
        pytest.param("true", pytest.fail.Exception, id="fails under CI"),
    ],
)
@SERVERS
def test_a_missing_binary_is_named(
    start: Server, ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(shutil, "which", lambda _name, path=None: None)
    with pytest.raises(
        outcome, match=r"^(PostgreSQL|Redis) is not installed: found no (postgres and initdb|redis-server)\.$"
    ):
        start().__enter__()


@pytest.mark.parametrize(
    ("start", "names"),
    [
        pytest.param(postgres_server, ("postgres", "initdb"), id="PostgreSQL"),
        pytest.param(redis_server, ("redis-server",), id="Redis"),
    ],
)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("echo no room here; exit 3", r"ended with status 3:\nno room here", id="that ends at once"),
        pytest.param("echo still busy; exec sleep 60", r"still busy", id="that never is ready"),
    ],
)
def test_a_server_that_does_not_come_up_shows_its_log(
    start: Server, names: tuple[str, ...], text: str, said: str, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _programs(temporary.parent / "bin", names, text)
    monkeypatch.setenv("PATH", str(temporary.parent / "bin"), prepend=os.pathsep)
    monkeypatch.setattr(services, "START_SECONDS", 1)
    with pytest.raises(ServerStartError, match=said):
        start().__enter__()
    assert list(temporary.iterdir()) == []
