"""Who has a book, and for how much (aiohttp)."""

import asyncio
from collections.abc import Iterable

import aiohttp


async def offer(session: aiohttp.ClientSession, supplier: str, isbn: str) -> tuple[int, str] | None:
    """Return a supplier's price in cents, and the supplier; None if it has none or does not answer."""
    try:
        async with session.get(f"{supplier}/offers/{isbn}", timeout=aiohttp.ClientTimeout(total=5)) as answer:
            if answer.status != 200:
                return None
            return (await answer.json())["cents"], supplier
    except aiohttp.ClientError:
        return None


async def cheapest(suppliers: Iterable[str], isbn: str) -> tuple[int, str] | None:
    """Return the best offer of all suppliers."""
    async with aiohttp.ClientSession() as session:
        offers = await asyncio.gather(*(offer(session, supplier, isbn) for supplier in suppliers))
    return min((found for found in offers if found), default=None)
