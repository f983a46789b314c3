"""Baskets of customers who have not paid yet, in Redis."""

import redis

SECONDS = 3600


def put(client: redis.Redis, customer: str, isbn: str, copies: int = 1) -> int:
    """Put copies of a book into a basket; return how many of it are there."""
    with client.pipeline() as pipe:
        pipe.hincrby(f"basket:{customer}", isbn, copies)
        pipe.expire(f"basket:{customer}", SECONDS)
        found, _ = pipe.execute()
    return found


def content(client: redis.Redis, customer: str) -> dict[str, int]:
    """Return what is in a basket."""
    return {isbn.decode(): int(copies) for isbn, copies in client.hgetall(f"basket:{customer}").items()}


def empty(client: redis.Redis, customer: str) -> None:
    """Empty a basket."""
    client.delete(f"basket:{customer}")
