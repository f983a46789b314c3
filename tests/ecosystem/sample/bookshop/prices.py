"""Prices in the customer's currency, by the rates that a bank publishes (requests)."""

from decimal import Decimal

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

RATES = "https://rates.bank.example/v1/latest"


class RatesUnavailable(Exception):
    """The bank does not answer as agreed."""


def session() -> requests.Session:
    """Return a session that tries again where the bank is busy."""
    made = requests.Session()
    made.mount("https://", HTTPAdapter(max_retries=Retry(3, backoff_factor=0.01, status_forcelist=[503])))
    return made


def rate(currency: str, http: requests.Session | None = None) -> Decimal:
    """Return what one euro is in a currency."""
    with http or session() as client:
        try:
            answer = client.get(RATES, params={"base": "EUR", "symbols": currency}, timeout=5)
            answer.raise_for_status()
            return Decimal(str(answer.json()["rates"][currency]))
        except (requests.RequestException, KeyError) as error:
            raise RatesUnavailable(currency) from error


def price(euros: Decimal, currency: str) -> Decimal:
    """Return a price in a currency."""
    if currency == "EUR":
        return euros
    return (euros * rate(currency)).quantize(Decimal("0.01"))
