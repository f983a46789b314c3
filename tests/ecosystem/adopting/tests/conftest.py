import pytest

from parcels import cache


@pytest.fixture(autouse=True)
def clean_cache():
    """No test sees the quotes of another."""
    cache.client().flushdb()
