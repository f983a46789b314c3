"""A client of a user service: what the tests of this project are about."""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import urllib.parse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SERVICE = "https://api.example.com"


def fetch_name(user_id: int, service: str = SERVICE) -> str:
    """Return a user's name, as the service knows it."""
    url = urllib.parse.urlsplit(service)
    make = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    with contextlib.closing(make(url.netloc, timeout=10)) as connection:
        connection.request("GET", f"/users/{user_id}")
        name: str = json.load(connection.getresponse())["name"]
        return name


def greeting(user_id: int, fetch: Callable[[int], str] = fetch_name) -> str:
    """Return a line that greets a user."""
    return f"Hello, {fetch(user_id)}!"


if __name__ == "__main__":
    print(greeting(int(sys.argv[1]), lambda user_id: fetch_name(user_id, sys.argv[2])))
