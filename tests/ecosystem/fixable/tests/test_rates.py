"""Rates and customers, by requests."""

import pytest

from harbour import rates
from harbour.rates import Customers, convert, latest_or_stale


@pytest.fixture
def customers():
    return Customers()


@pytest.fixture
def dollars():
    return convert(100, "USD")


@pytest.fixture(scope="module")
def staff():
    return Customers("https://staff.example.com").emails()


def test_dollars(dollars):
    assert dollars == 125


def test_staff(staff):
    assert staff == []


def test_latest():
    assert rates.latest("USD") == 1.25


@pytest.mark.parametrize(("amount", "expected"), [(10, 12.5), (0, 0.0)])
def test_convert(amount, expected):
    assert convert(amount, "USD") == expected


def test_stale_rates_do(caplog):
    assert latest_or_stale("USD") == 1.1
    assert "no rates today" in caplog.text


def test_no_notices():
    assert rates.notices() == []


class TestCustomers:
    def test_name(self, customers):
        assert customers.name_of(7) == "Ada"

    def test_create(self, customers):
        assert customers.create("Ada") == 7

    def test_delete(self, customers):
        assert customers.delete(7) is None


def test_emails(customers):
    assert customers.emails() == []


def test_emails_of_one_page():
    emails = Customers("https://crm.example.com/v2").emails()
    assert emails == ["ada@example.com"]
