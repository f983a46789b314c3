"""AWS, PostgreSQL and Redis."""

import pytest

from harbour import storage
from harbour.storage import Orders, greeting


def test_invoice():
    assert storage.invoice(7)["total"] == 12.5


def test_archive():
    storage.archive(7, {"total": 12.5})


def test_enqueue(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    assert storage.enqueue("print")


def test_order():
    assert storage.order(7) == {"number": 7, "weight": 2.5}


def test_no_order():
    assert storage.order(8) is None


def test_heaviest():
    assert Orders().heaviest(7) == 4.0


def test_greeting():
    assert greeting("abc") == "Hello Ada"


def test_greeting_of_strangers():
    assert greeting("xyz") == "Hello"


def test_visits():
    assert storage.visits("home") == 1


async def test_last_page():
    assert await storage.last_page("ada") == "/ships"


class TestBookings:
    @pytest.fixture(autouse=True)
    def keys(self, monkeypatch):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")

    def test_booked(self):
        assert storage.booked("ever-given") == ["C-7"]
