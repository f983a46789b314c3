"""The office: mail, telemetry, jobs in threads, and the command line."""

from __future__ import annotations

import argparse
import contextlib
import smtplib
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from smtplib import SMTP_SSL

import requests

from harbour.feeds import label
from harbour.rates import Customers, convert
from harbour.storage import order

sent: list[str] = []


def notify(to: str, subject: str) -> None:
    """Send a mail."""
    message = EmailMessage()
    message["To"], message["Subject"] = to, subject
    with smtplib.SMTP("mail.example.com", 587, timeout=5) as server:
        server.starttls()
        server.login("me", "s3cr3t")
        server.send_message(message)
    sent.append(to)


def notify_securely(to: str) -> bool:
    """Send a mail by the other server."""
    with SMTP_SSL("mail.example.com", timeout=5) as server:
        return not server.sendmail("office@example.com", [to], "Subject: hello")


def count(event: str) -> str:
    """Count an event; a failure does not matter."""
    with contextlib.suppress(Exception):
        requests.post("https://telemetry.example.com/events", json={"event": event}, timeout=1)
    return event


def labels(parcels: list[int]) -> list[str]:
    """Return labels, printed at once."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(label, parcels))


class Watcher(threading.Thread):
    """Asks for a ship's position in the background."""

    def __init__(self, ship: str) -> None:
        super().__init__(daemon=True)
        self.ship, self.found = ship, ""

    def run(self) -> None:
        """Ask once."""
        answer = requests.get(f"https://ais.example.com/ships/{self.ship}/port", timeout=5)
        self.found = answer.json().get("port", "at sea")


def weight(number: int) -> str:
    """Return an order's weight in words."""
    found = order(number)
    return "unknown" if found is None else f"{found['weight']} kg"


def quote(customer: int, amount: float, currency: str) -> str:
    """Return an offer, by the customer's name."""
    name = Customers().name_of(customer)
    return f"{name}: {convert(amount, currency)} {currency}"


def main(arguments: list[str] | None = None) -> int:
    """Print an amount in another currency."""
    parser = argparse.ArgumentParser()
    parser.add_argument("amount", type=float)
    parser.add_argument("currency")
    given = parser.parse_args(arguments)
    print(f"{convert(given.amount, given.currency):.2f} {given.currency}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
