import pytest
from bookshop.orders import order


class ListedOrders:
    def __init__(self):
        self.listed = []

    def add(self, isbn, copies):
        self.listed.append((isbn, copies))
        return len(self.listed)

    def copies(self, isbn):
        return sum(copies for listed, copies in self.listed if listed == isbn)


@pytest.mark.small
def test_orders_are_numbered():
    orders = ListedOrders()
    assert [order(orders, "1", 2), order(orders, "2", 10)] == [1, 2]


@pytest.mark.small
def test_too_many_copies_are_refused():
    orders = ListedOrders()
    order(orders, "1", 6)
    with pytest.raises(ValueError, match="at most 10"):
        order(orders, "1", 5)


@pytest.mark.medium
def test_orders_are_stored(stored_orders):
    assert [order(stored_orders, "1", 2), order(stored_orders, "1", 3)] == [1, 2]
    assert stored_orders.copies("1") == 5
    assert stored_orders.copies("2") == 0


@pytest.mark.medium
def test_too_many_stored_copies_are_refused(stored_orders):
    order(stored_orders, "1", 6)
    with pytest.raises(ValueError, match="at most 10"):
        order(stored_orders, "1", 5)
