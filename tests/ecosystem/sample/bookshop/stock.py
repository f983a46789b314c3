"""What lies in the shop, in PostgreSQL (asyncpg)."""

import asyncpg


async def create(connection: asyncpg.Connection) -> None:
    """Make the table."""
    await connection.execute("CREATE TEMPORARY TABLE stock (isbn text PRIMARY KEY, copies int CHECK (copies >= 0))")


async def receive(connection: asyncpg.Connection, deliveries: dict[str, int]) -> None:
    """Add deliveries."""
    await connection.executemany(
        "INSERT INTO stock VALUES ($1, $2) ON CONFLICT (isbn) DO UPDATE SET copies = stock.copies + excluded.copies",
        list(deliveries.items()),
    )


async def sell(connection: asyncpg.Connection, isbn: str) -> int:
    """Sell one copy; return how many are left."""
    async with connection.transaction():
        left = await connection.fetchval("UPDATE stock SET copies = copies - 1 WHERE isbn = $1 RETURNING copies", isbn)
    if left is None:
        raise LookupError(isbn)
    return left
