"""Orders, in PostgreSQL (psycopg)."""

from typing import Protocol

import psycopg


class Orders(Protocol):
    """Where orders are kept."""

    def add(self, isbn: str, copies: int) -> int:
        """Keep an order; return its number."""

    def copies(self, isbn: str) -> int:
        """Return how many copies of a book are ordered."""


class StoredOrders:
    """Orders in a database."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def create(self) -> None:
        """Make the table."""
        self._connection.execute("CREATE TEMPORARY TABLE orders (number serial PRIMARY KEY, isbn text, copies int)")

    def add(self, isbn: str, copies: int) -> int:
        """Keep an order; return its number."""
        with self._connection.transaction():
            row = self._connection.execute(
                "INSERT INTO orders (isbn, copies) VALUES (%s, %s) RETURNING number", (isbn, copies)
            ).fetchone()
        return row[0]

    def copies(self, isbn: str) -> int:
        """Return how many copies of a book are ordered."""
        row = self._connection.execute(
            "SELECT coalesce(sum(copies), 0) FROM orders WHERE isbn = %s", (isbn,)
        ).fetchone()
        return row[0]


def order(orders: Orders, isbn: str, copies: int, limit: int = 10) -> int:
    """Order a book, of which at most ``limit`` copies may be on order."""
    if orders.copies(isbn) + copies > limit:
        raise ValueError(f"at most {limit} copies")
    return orders.add(isbn, copies)
