import pytest

from parcels import orders


@pytest.fixture(scope="session")
def database():
    with orders.connect() as connection:
        connection.execute(
            "CREATE TEMPORARY TABLE orders (number text PRIMARY KEY, grams int, country text, price numeric)"
        )
        yield connection


@pytest.fixture
def table(database):
    database.execute("TRUNCATE orders")
    return database
