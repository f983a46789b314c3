"""Orders, in PostgreSQL."""

import os
from dataclasses import dataclass

import psycopg

from parcels import prices, telemetry

URL = os.environ.get("DATABASE_URL", "postgresql://postgres@localhost:5432/postgres")


@dataclass(frozen=True)
class Order:
    number: str
    grams: int
    country: str
    price: float


def connect():
    return psycopg.connect(URL, connect_timeout=5)


def create(number, grams, country="AT"):
    order = Order(number, grams, country, prices.price(prices.kind_for(grams), country))
    telemetry.record("order", grams=grams)
    return order


def save(connection, order):
    connection.execute(
        "INSERT INTO orders VALUES (%s, %s, %s, %s)", (order.number, order.grams, order.country, order.price)
    )


def find(connection, number):
    row = connection.execute("SELECT number, grams, country, price FROM orders WHERE number = %s", (number,)).fetchone()
    return None if row is None else Order(row[0], row[1], row[2], float(row[3]))


def turnover(connection):
    return float(connection.execute("SELECT coalesce(sum(price), 0) FROM orders").fetchone()[0])
