"""Quotes that were given, for as long as they hold."""

import json
import os

import redis

URL = os.environ.get("REDIS_URL", "redis://localhost:6379/0")
SECONDS = 600
_client = None


def client():
    global _client
    if _client is None:
        _client = redis.Redis.from_url(URL)
    return _client


def remember(number, quote):
    client().set(f"quote:{number}", json.dumps(quote), ex=SECONDS)


def recall(number):
    found = client().get(f"quote:{number}")
    return None if found is None else json.loads(found)
