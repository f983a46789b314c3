"""A real PostgreSQL and a real Redis."""

import asyncio
import threading
import urllib.parse

import pytest

pytestmark = pytest.mark.medium


def test_psycopg(database_url: str) -> None:
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


async def test_psycopg_under_asyncio(database_url: str) -> None:
    psycopg = pytest.importorskip("psycopg")
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)


def test_psycopg_by_the_name_localhost(database_url: str) -> None:
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(database_url.replace("127.0.0.1", "localhost")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_psycopg_by_a_unix_socket(database_url: str, database_dir: str) -> None:
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(database_url, host=database_dir, hostaddr="") as connection:
        assert connection.execute("SELECT inet_server_addr()").fetchone() == (None,)


async def test_asyncpg_by_a_unix_socket(database_url: str, database_dir: str) -> None:
    asyncpg = pytest.importorskip("asyncpg")
    url = urllib.parse.urlsplit(database_url)
    connection = await asyncpg.connect(host=database_dir, port=url.port, user=url.username, database=url.path[1:])
    assert await connection.fetchval("SELECT inet_server_addr()") is None
    await connection.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_asyncpg(database_url: str, host: str) -> None:
    asyncpg = pytest.importorskip("asyncpg")
    connection = await asyncpg.connect(database_url.replace("127.0.0.1", host))
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


async def test_a_pool_of_asyncpg(database_url: str) -> None:
    asyncpg = pytest.importorskip("asyncpg")
    async with asyncpg.create_pool(database_url, min_size=1, max_size=2) as pool:
        assert await asyncio.gather(*(pool.fetchval("SELECT 1") for _ in range(4))) == [1] * 4


@pytest.mark.parametrize("host", ["", "localhost"])
def test_redis(redis_address: tuple[str, int], host: str) -> None:
    redis = pytest.importorskip("redis")
    with redis.Redis(host=host or redis_address[0], port=redis_address[1]) as client:
        client.set("one", "1")
        assert client.get("one") == b"1"


async def test_redis_under_asyncio(redis_address: tuple[str, int]) -> None:
    redis = pytest.importorskip("redis.asyncio")
    async with redis.Redis(host=redis_address[0], port=redis_address[1]) as client:
        await client.set("two", "2")
        assert await client.get("two") == b"2"


def test_subscriptions_of_redis(redis_address: tuple[str, int]) -> None:
    redis = pytest.importorskip("redis")
    heard = threading.Event()
    with redis.Redis(host=redis_address[0], port=redis_address[1]) as client, client.pubsub() as subscriber:
        subscriber.subscribe(things=lambda _message: heard.set())
        thread = subscriber.run_in_thread(sleep_time=0.01)
        for _ in range(100):
            client.publish("things", "one")
            if heard.wait(0.1):
                break
        thread.stop()
        thread.join()
    assert heard.is_set()
