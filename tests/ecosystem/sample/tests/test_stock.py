import asyncio

import asyncpg
import pytest
from bookshop import stock


@pytest.mark.small
async def test_what_the_shop_never_had_is_not_sold(mocker):
    connection = mocker.MagicMock()
    connection.fetchval = mocker.AsyncMock(return_value=None)
    with pytest.raises(LookupError):
        await stock.sell(connection, "1")


@pytest.mark.medium
async def test_deliveries_add_up(shelf):
    await stock.receive(shelf, {"1": 2, "2": 1})
    await stock.receive(shelf, {"1": 1})
    assert await stock.sell(shelf, "1") == 2


@pytest.mark.medium
async def test_no_more_is_sold_than_there_is(shelf):
    await stock.receive(shelf, {"1": 0})
    with pytest.raises(asyncpg.CheckViolationError):
        await stock.sell(shelf, "1")


@pytest.mark.medium
async def test_a_pool_serves_many_at_once(database_url):
    async with asyncpg.create_pool(database_url, min_size=2, max_size=2) as pool:
        found = await asyncio.gather(*(pool.fetchval("SELECT $1::int", number) for number in range(8)))
    assert found == list(range(8))
