"""Titles by ISBN, from a public catalogue (httpx)."""

import asyncio
from dataclasses import dataclass

import httpx

BASE = "https://catalog.example"


@dataclass(frozen=True)
class Book:
    """A book as the catalogue knows it."""

    isbn: str
    title: str


def find(isbn: str) -> Book | None:
    """Return a book; None if the catalogue has none."""
    with httpx.Client(base_url=BASE, timeout=5) as client:
        answer = client.get(f"/books/{isbn}")
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None
    return Book(isbn, answer.raise_for_status().json()["title"])


async def find_all(isbns: list[str], base: str = BASE) -> list[str]:
    """Return the titles of several books, asked for side by side."""
    async with httpx.AsyncClient(base_url=base, timeout=5) as client:
        answers = await asyncio.gather(*(client.get(f"/books/{isbn}") for isbn in isbns))
    return [answer.raise_for_status().json()["title"] for answer in answers]
