import pytest

from parcels import orders


def test_save_and_find(table):
    order = orders.create("A1", 300)
    orders.save(table, order)
    assert orders.find(table, "A1") == order


def test_find_nothing(table):
    assert orders.find(table, "A2") is None


@pytest.mark.parametrize("numbers", [[], ["A1"], ["A1", "A2", "A3"]])
def test_turnover(table, numbers):
    for number in numbers:
        orders.save(table, orders.Order(number, 300, "AT", 1.5))
    assert orders.turnover(table) == 1.5 * len(numbers)


@pytest.mark.large
def test_number_is_unique(table):
    orders.save(table, orders.Order("A1", 1, "AT", 1))
    with pytest.raises(Exception, match="duplicate key"), table.transaction():
        orders.save(table, orders.Order("A1", 2, "AT", 2))
