"""Exchange rates, from a service on the web."""

from __future__ import annotations

import logging
from typing import Any

import requests

logger = logging.getLogger(__name__)
STALE = {"EUR": 1.0, "USD": 1.1}


def latest(currency: str) -> float:
    """Return the rate of today."""
    answer = requests.get(
        "https://rates.example.com/v1/latest", params={"base": "EUR", "symbols": currency, "key": "s3cr3t"}, timeout=5
    )
    answer.raise_for_status()
    return float(answer.json()["rates"][currency])


def convert(amount: float, currency: str) -> float:
    """Return an amount in another currency, rounded to cents."""
    return round(amount * latest(currency), 2)


def latest_or_stale(currency: str) -> float:
    """Return the rate of today, or the last one that is known."""
    try:
        return latest(currency)
    except Exception:
        logger.exception("no rates today")
        return STALE[currency]


def notices() -> list[str]:
    """Return the bank's notices, of the first of its servers that answers."""
    for host in ("notices.example.com", "mirror.example.com"):
        try:
            answer = requests.get(f"https://{host}/today.json", timeout=5)
            answer.raise_for_status()
            return list(answer.json().get("notices", ()))
        except Exception:
            logger.warning("%s does not answer", host)
    return []


class Customers:
    """The customer service's API."""

    def __init__(self, base: str = "https://crm.example.com/api") -> None:
        self.base = base
        self.session = requests.Session()
        self.session.headers["Authorization"] = "Bearer s3cr3t"
        retries = requests.adapters.Retry(total=3, backoff_factor=0, status_forcelist=[502, 503])
        self.session.mount("https://", requests.adapters.HTTPAdapter(max_retries=retries))

    def _ask(self, method: str, path: str, **arguments: Any) -> Any:
        answer = self.session.request(method, f"{self.base}{path}", timeout=5, **arguments)
        answer.raise_for_status()
        return answer.json()

    def name_of(self, number: int) -> str:
        """Return a customer's name."""
        return str(self._ask("GET", f"/customers/{number}")["name"])

    def create(self, name: str) -> int:
        """Add a customer; return the number."""
        return int(self._ask("POST", "/customers", json={"name": name})["id"])

    def delete(self, number: int) -> None:
        """Remove a customer."""
        self._ask("DELETE", f"/customers/{number}")

    def emails(self) -> list[str]:
        """Return the addresses of all customers, page by page."""
        found: list[str] = []
        page = 1
        while page:
            answer = self._ask("GET", "/customers", params={"page": page})
            found += [one["email"] for one in answer.get("items", ())]
            page = answer.get("next") or 0
        return found
