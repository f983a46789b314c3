"""The shop's services, where the environment says they are."""

import os
import uuid
from collections.abc import AsyncIterator, Iterator

import asyncpg
import psycopg
import pytest
import pytest_asyncio
import redis
from bookshop import stock
from bookshop.orders import StoredOrders


@pytest.fixture(scope="session")
def database_url() -> str:
    return os.environ["DATABASE_URL"]


@pytest.fixture
def stored_orders(database_url: str) -> Iterator[StoredOrders]:
    with psycopg.connect(database_url, connect_timeout=10, autocommit=True) as connection:
        orders = StoredOrders(connection)
        orders.create()
        yield orders


@pytest_asyncio.fixture
async def shelf(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url, timeout=10)
    await stock.create(connection)
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
def cache() -> Iterator[redis.Redis]:
    with redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=10) as client:
        client.ping()
        yield client


@pytest.fixture
def customer() -> str:
    return uuid.uuid4().hex
