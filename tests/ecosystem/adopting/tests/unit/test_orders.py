import pytest

from parcels import orders, prices


def test_create():
    assert orders.create("A1", 300).price == 1.8


def test_create_abroad():
    assert orders.create("A2", 300, "DE").price == 3.6


@pytest.mark.parametrize("grams", [400, 1500, 9000])
def test_create_of_each_kind(grams):
    assert orders.create("A3", grams).grams == grams


def test_create_too_heavy():
    with pytest.raises(prices.TooHeavy):
        orders.create("A4", 99999)


def test_equal():
    assert orders.Order("A5", 1, "AT", 1.0) == orders.Order("A5", 1, "AT", 1.0)
