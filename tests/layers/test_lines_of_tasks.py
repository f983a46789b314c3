"""The line of the user's code is named wherever a library connects in a task, thread or nursery of its own."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories import network_guard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Way = Callable[[str], Awaitable[object]]
    How = Callable[[Way, str], Awaitable[object]]


def lib(name: str) -> Any:
    return pytest.importorskip(name.partition(".")[0]) and importlib.import_module(name)


# -- what a coroutine of the user's awaits: each line that is meant says so -------------------------------------------


async def anyio_tcp(host: str) -> None:
    await lib("anyio").connect_tcp(host, 91)  # HERE anyio_tcp


async def httpx_get(host: str) -> None:
    async with lib("httpx").AsyncClient() as client:
        await client.get(f"http://{host}:92/")  # HERE httpx_get


async def aiohttp_get(host: str) -> None:
    async with lib("aiohttp").ClientSession() as session:
        await session.get(f"http://{host}:93/")  # HERE aiohttp_get


async def asyncpg_connect(host: str) -> None:
    await lib("asyncpg").connect(host=host, port=94, user="u", timeout=3)  # HERE asyncpg_connect


async def streams(host: str) -> None:
    await asyncio.open_connection(host, 95)  # HERE streams


async def trio_stream(host: str) -> None:
    await lib("trio").open_tcp_stream(host, 96)  # HERE trio_stream


async def directly(way: Way, host: str) -> None:
    await way(host)


async def in_a_task(way: Way, host: str) -> None:
    await asyncio.ensure_future(way(host))


async def in_a_task_of_before(way: Way, host: str) -> None:
    task = asyncio.ensure_future(way(host))
    await asyncio.sleep(0.02)
    await task


async def gathered(way: Way, host: str) -> None:
    await asyncio.gather(way(host), asyncio.sleep(0))


async def in_a_group(way: Way, host: str) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(way(host))  # type: ignore[arg-type]


async def in_anyios_group(way: Way, host: str) -> None:
    async with lib("anyio").create_task_group() as group:
        group.start_soon(way, host)


async def in_a_nursery(way: Way, host: str) -> None:
    async with lib("trio").open_nursery() as nursery:
        nursery.start_soon(way, host)


# -- what is a library's from the task's first frame on ---------------------------------------------------------------


async def task_of_a_library(host: str) -> None:
    task = asyncio.create_task(lib("anyio").connect_tcp(host, 97))  # HERE task_of_a_library
    await asyncio.sleep(0.02)
    await task


async def gather_of_a_library(host: str) -> None:
    async with lib("httpx").AsyncClient() as client:
        await asyncio.gather(client.get(f"http://{host}:98/"))  # HERE gather_of_a_library


async def group_of_a_library(host: str) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.open_connection(host, 99))  # HERE group_of_a_library


async def anyio_group_of_a_library(host: str) -> None:
    async with lib("anyio").create_task_group() as group:
        group.start_soon(lib("anyio").connect_tcp, host, 100)  # HERE anyio_group_of_a_library


async def nursery_of_a_library(host: str) -> None:
    async with lib("trio").open_nursery() as nursery:
        nursery.start_soon(lib("trio").open_tcp_stream, host, 101)  # HERE nursery_of_a_library


async def nursery_of_a_client(host: str) -> None:
    async with lib("httpx").AsyncClient() as client, lib("trio").open_nursery() as nursery:
        nursery.start_soon(client.get, f"http://{host}:102/")  # HERE nursery_of_a_client


async def executor_of_a_library(host: str) -> None:
    running = asyncio.get_running_loop()
    await running.run_in_executor(None, socket.create_connection, (host, 103), 1)  # HERE executor_of_a_library


async def thread_of_anyio(host: str) -> None:
    await lib("anyio").to_thread.run_sync(socket.create_connection, (host, 104))  # HERE thread_of_anyio


async def thread_of_trio(host: str) -> None:
    await lib("trio").to_thread.run_sync(socket.create_connection, (host, 105))  # HERE thread_of_trio


async def pool_of_a_library(host: str) -> None:
    await lib("asyncpg").create_pool(host=host, port=106, user="u", timeout=3)  # HERE pool_of_a_library


SEEN: Final = {
    "aiohttp_get": "aiohttp",
    "asyncpg_connect": "asyncpg",
    "gather_of_a_library": "httpx",
    "httpx_get": "httpx",
    "nursery_of_a_client": "httpx",
    "pool_of_a_library": "asyncpg",
}
OF_ASYNCIO: Final = (anyio_tcp, httpx_get, aiohttp_get, asyncpg_connect, streams)
OF_TRIO: Final = (anyio_tcp, httpx_get, trio_stream)
ALONE: Final = (
    task_of_a_library,
    gather_of_a_library,
    group_of_a_library,
    anyio_group_of_a_library,
    executor_of_a_library,
    thread_of_anyio,
    pool_of_a_library,
)
ALONE_IN_TRIO: Final = (
    nursery_of_a_library,
    nursery_of_a_client,
    anyio_group_of_a_library,
    thread_of_anyio,
    thread_of_trio,
)
LINES: Final = {
    found[1]: f"{Path(__file__).name}:{number}"
    for number, line in enumerate(Path(__file__).read_text(encoding="utf-8").splitlines(), 1)
    if (found := re.search(r"# HERE (\w+)$", line))
}
HOSTS: Final = pytest.mark.parametrize("host", ["198.51.100.1", "api.example.com"], ids=["address", "name"])


def _check(act: Callable[[], object], way: Way) -> None:
    with contextlib.suppress(BaseException), network_guard("small") as guard:
        act()
    name = getattr(way, "__name__", "")
    found = [(one.location.rpartition("/")[2], one.library) for one in guard.violations]
    assert found == [(LINES[name], SEEN.get(name, ""))]


def _named(ways: tuple[Any, ...]) -> list[Any]:
    return [pytest.param(way, id=way.__name__) for way in ways]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Any:
    """Run a coroutine in one of asyncio's event loops."""
    return lib(request.param).run


@HOSTS
@pytest.mark.parametrize(
    "how", _named((directly, in_a_task, in_a_task_of_before, gathered, in_a_group, in_anyios_group))
)
@pytest.mark.parametrize("way", _named(OF_ASYNCIO))
def test_an_attempt_in_a_task_is_of_the_line_that_called(run: Any, way: Way, how: How, host: str) -> None:
    _check(lambda: run(how(way, host)), way)


@HOSTS
@pytest.mark.parametrize("way", _named(ALONE))
def test_a_librarys_own_task_is_of_the_line_that_made_it(run: Any, way: Way, host: str) -> None:
    _check(lambda: run(way(host)), way)


@HOSTS
@pytest.mark.parametrize("how", _named((directly, in_a_nursery, in_anyios_group)))
@pytest.mark.parametrize("way", _named(OF_TRIO))
def test_an_attempt_in_a_task_of_trio_is_of_the_line_that_called(way: Way, how: How, host: str) -> None:
    trio = lib("trio")
    _check(lambda: trio.run(how, way, host), way)


@HOSTS
@pytest.mark.parametrize("way", _named(ALONE_IN_TRIO))
def test_a_librarys_own_task_of_trio_is_of_the_line_that_made_it(way: Way, host: str) -> None:
    trio = lib("trio")
    _check(lambda: trio.run(way, host), way)
