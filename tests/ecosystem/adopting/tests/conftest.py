import pytest
import redis

from parcels import cache


@pytest.fixture(autouse=True)
def clean_cache():
    """No test sees the quotes of another."""
    with redis.Redis.from_url(cache.URL) as client:
        client.flushdb()
