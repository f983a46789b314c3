import pytest
from bookshop import baskets


@pytest.mark.small
def test_a_basket_is_counted_in_numbers(mocker):
    client = mocker.Mock()
    client.hgetall.return_value = {b"1": b"2"}
    assert baskets.content(client, "me") == {"1": 2}


@pytest.mark.medium
def test_baskets_fill_and_empty(cache, customer):
    assert baskets.put(cache, customer, "1") == 1
    assert baskets.put(cache, customer, "1", 2) == 3
    assert baskets.content(cache, customer) == {"1": 3}
    baskets.empty(cache, customer)
    assert baskets.content(cache, customer) == {}


@pytest.mark.medium
def test_baskets_do_not_last(cache, customer):
    baskets.put(cache, customer, "1")
    assert 0 < cache.ttl(f"basket:{customer}") <= baskets.SECONDS
    baskets.empty(cache, customer)
