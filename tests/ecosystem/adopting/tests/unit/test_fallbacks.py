from parcels import prices, tracking


def test_price_without_the_service():
    assert prices.current("large") == 9.9


def test_page_without_the_carrier():
    assert tracking.page("P1") == "P1: ask again later"
